from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_scraper import formatting
from tui_scraper.engine.models import RunSnapshot, RunState, Spend, Status
from tui_scraper.widgets.counts_panel import counts_column, counts_lines


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "1s"), (0.4, "1s"), (59, "59s"), (163, "2m43s"), (11_100, "3h05m"), (352_800, "4d02h")],
)
def test_a_duration_is_never_0s(seconds: float, shown: str) -> None:
    assert formatting.duration(seconds) == shown


def test_an_eta_shows_its_range() -> None:
    assert formatting.eta(165, 130, 210) == "~2m 45s (2m 10s – 3m 30s)"
    assert formatting.eta(None, None, None) == ""
    assert formatting.eta(5, None, None) == "~5s"


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_400, "1.4 KB"), (999_600, "1.0 MB"), (812_000_000, "812 MB")],
)
def test_sizes_have_three_digits_at_most(size_bytes: int, shown: str) -> None:
    assert formatting.size(size_bytes) == shown


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 200))
def test_a_bar_is_full_only_when_all_is_done(done: int, total: int, width: int) -> None:
    filled, rest = formatting.bar(min(done, total), total, width)
    assert len(filled) + len(rest) == width
    if width and total:
        assert (filled == "█" * width) == (done >= total)
        assert bool(filled) == (min(done, total) > 0)


@given(st.text(), st.integers(0, 30))
def test_cut_text_never_takes_more_cells_than_allowed(text: str, width: int) -> None:
    assert formatting.cells(formatting.cut(text, width)) <= max(width, 0)
    assert formatting.cells(formatting.cut_left(text, width)) <= max(width, 0)


def test_a_path_is_cut_from_the_left_by_cells() -> None:
    assert formatting.cut_left("scans/契約書/予算.pdf", 11) == "…/予算.pdf"
    assert formatting.cut("契約書", 5) == "契約…"


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"])), st.integers(4, 40))
def test_wrapped_lines_fit_and_lose_no_word(text: str, width: int) -> None:
    lines = formatting.wrap(text, width)
    assert all(formatting.cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_every_state_of_a_run_and_of_a_document_has_a_sign() -> None:
    assert set(formatting.STATE_SIGNS) == set(RunState)
    assert set(formatting.STATUS_SIGNS) == set(Status)


def test_the_model_stands_beside_who_labels() -> None:
    spend = Spend(
        backend="openai",
        model="gpt-6-luna",
        budget_nano_usd=5_000_000_000,
        spent_nano_usd=420_000_000,
        open_nano_usd=0,
        calls=9,
        tokens_in=1,
        tokens_out=1,
        taken_over=0,
        stand_ins=0,
        requests_per_min=None,
        requests_used=0,
        tokens_per_min=None,
        tokens_used=0,
        in_flight=2,
        waiting=0,
        concurrency=4,
        docs_per_request=16,
        throttled=0,
        bottleneck="",
        notice="",
    )
    with_model = RunSnapshot(method="openai", spend=spend)
    for lines in (counts_lines(with_model, 80), counts_column(with_model, 60)):
        text = "\n".join("".join(span.text for span in line) for line in lines)
        assert "openai gpt-6-luna" in text


@pytest.mark.parametrize(
    ("nano_usd", "shown"),
    [
        (0, "$0.00"),
        (420_000_000, "$0.42"),
        (1_234_567_000_000, "$1,234.57"),
        (3_100_000, "$0.0031"),
        (14_000, "$0.000014"),
    ],
)
def test_money_is_shown_to_the_digits_that_count(nano_usd: int, shown: str) -> None:
    assert formatting.usd(nano_usd) == shown
