"""The Run screen shows what a model is paid, how fast it goes and what holds it up, at every size."""

from __future__ import annotations

from dataclasses import replace

import pytest
from seeing import NARROW, WIDE, MakeApp, screen_text, until, until_text
from served import ServedHost, busy, complete

from tui_scraper.engine.models import Counts, PhaseProgress, RunSnapshot, RunState, Spend
from tui_scraper.formatting import cells
from tui_scraper.widgets.counts_panel import counts_lines
from tui_scraper.widgets.pace import STEPS, Pace
from tui_scraper.widgets.phase_bars import phase_lines, slowest_words
from tui_scraper.widgets.spend_panel import HELD_UP_BY, spend_lines

OPEN = "/nowhere/workspace"
SIZES = [(60, 15), NARROW, (100, 30), WIDE]


def spending(documents: int = 0, **more: object) -> Spend:
    """What was spent when so many documents of the run have been paid for: $0.0001 and 48 tokens each."""
    spend = Spend(
        backend="openai",
        model="gpt-5-nano",
        budget_nano_usd=5_000_000_000,
        spent_nano_usd=documents * 100_000,
        open_nano_usd=0,
        calls=documents,
        tokens_in=documents * 40,
        tokens_out=documents * 8,
        taken_over=0,
        stand_ins=0,
        requests_per_min=2_000,
        requests_used=1_840,
        tokens_per_min=200_000,
        tokens_used=122_000,
        in_flight=24,
        waiting=100,
        concurrency=32,
        docs_per_request=1,
        throttled=2,
        bottleneck="requests",
        notice="",
    )
    return replace(spend, **more)  # type: ignore[arg-type]


def labelled(snapshot: RunSnapshot, done: int, spend: Spend) -> RunSnapshot:
    """The same with so many documents labelled."""
    phases = list(snapshot.phases)
    phases[3] = replace(phases[3], done=done)
    return replace(snapshot, phases=tuple(phases), spend=spend)


def through(done: int, elapsed_s: float, **more: object) -> RunSnapshot:
    counts = Counts(found=10_000, done=done, pending=10_000 - done)
    return replace(busy(workspace=OPEN), counts=counts, elapsed_s=elapsed_s, **more)


def text_of(lines: object) -> str:
    return "\n".join("".join(span.text for span in line) for line in lines)  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", SIZES)
async def test_what_a_model_is_paid_is_shown_and_nothing_is_cut_off(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    host = ServedHost(labelled(busy(workspace=OPEN, method="openai"), 0, spending()))
    async with make_app(host=host).run_test(size=size) as pilot:
        await until_text(pilot, "$0.00 of $5.00")
        host.now = labelled(host.now, 4_200, spending(4_200))
        text = await until_text(
            pilot, "$0.42 of $5.00", "→ ~$1.04", "48 tok/doc", "✓ done", "✗ failed", "» skipped",
            "○ empty", "· pending", "· output", "? help", "q quit",
        )  # fmt: skip
        assert len(text.splitlines()) == size[1]
        if size != (60, 15):
            for said in ("1,840/2,000 per min", "61% of 200,000", "in flight 24", "429s 2", "following",
                         "held up by requests per minute"):  # fmt: skip
                assert said in text, said


@pytest.mark.parametrize("size", SIZES)
async def test_at_the_smallest_size_a_sentence_hides_neither_counts_nor_keys(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    notice = "The disk is full. Free some space and press p; " * 6
    now = labelled(busy(workspace=OPEN, state=RunState.PAUSED, notice=notice), 10, spending(10))
    async with make_app(now).run_test(size=size) as pilot:
        await until_text(pilot, "The disk is full.", "· output", "○ empty", "· pending", "? help", "q quit")


async def test_nothing_is_said_of_money_where_nobody_is_asked(make_app: MakeApp) -> None:
    async with make_app(busy(workspace=OPEN)).run_test(size=NARROW) as pilot:
        text = await until_text(pilot, "Documents", "following")
    assert "Spend" not in text
    assert "$" not in text


def test_cost_is_reckoned_from_documents_that_were_paid_for_in_this_run() -> None:
    pace, now = Pace(), busy(workspace=OPEN)
    pace.note(labelled(now, 1_000, spending(0, taken_over=1_000, spent_nano_usd=70_000_000)))
    assert (pace.each_nano_usd, pace.projected_nano_usd, pace.saved_nano_usd) == (None, None, None)
    later = spending(100, taken_over=1_300, spent_nano_usd=80_000_000)
    pace.note(labelled(now, 1_412, replace(later, stand_ins=12)))
    assert pace.each_nano_usd == 100_000
    assert pace.projected_nano_usd == 80_000_000 + 100_000 * (10_412 - 1_412 - 1)  # one has failed
    assert pace.saved_nano_usd == 130_000_000
    text = text_of(spend_lines(labelled(now, 1_412, later), pace, 120))
    assert "cached 1,300 (saved ~$0.13)" in text
    pace.note(replace(labelled(now, 5, spending(5)), started=2.0))
    assert pace.each_nano_usd is None  # another run


def test_more_than_the_budget_is_marked_without_colour() -> None:
    pace, now = Pace(), busy(workspace=OPEN)
    pace.note(labelled(now, 0, spending()))
    small = spending(100, budget_nano_usd=20_000_000)
    pace.note(labelled(now, 100, small))
    assert "→ ~$1.04 !" in text_of(spend_lines(labelled(now, 100, small), pace, 80))


def test_what_is_not_known_of_an_endpoint_is_not_invented() -> None:
    unknown = spending(10, requests_per_min=None, tokens_per_min=None, bottleneck="", throttled=0)
    text = text_of(spend_lines(labelled(busy(), 10, unknown), Pace(), 80))
    assert "1,840 per min" in text
    assert "122,000 per min" in text
    for word in ("%", "429s", "held up", "→", "tok/doc", "cached"):
        assert word not in text


@pytest.mark.parametrize("bottleneck", ["requests", "tokens", "concurrency", "pause"])
def test_what_holds_calls_up_is_said_in_words(bottleneck: str) -> None:
    text = text_of(spend_lines(replace(busy(), spend=spending(1, bottleneck=bottleneck)), Pace(), 80))
    assert f"held up by {HELD_UP_BY[bottleneck]}" in text


def test_the_sparkline_is_what_came_through_and_has_one_width() -> None:
    pace = Pace()
    assert pace.peak is None
    widths = set()
    for second in range(400):
        pace.note(through(second * 10 if second < 200 else 2_000 + (second - 200) * 20, float(second)))
        widths.add(cells(pace.sparkline(STEPS)))
    assert widths == {STEPS}
    assert pace.peak == pytest.approx(20, rel=0.05)
    assert set(pace.sparkline(12)) <= {"█", "▇"}
    for second in range(400, 500):
        pace.note(through(5_980, float(second), state=RunState.PAUSED))
    assert pace.sparkline(12) == "▁" * 12
    pace.note(through(0, 1.0))
    assert pace.sparkline(12) == " " * 12


@pytest.mark.parametrize("width", [60, 80, 100, 143])
def test_rate_and_peak_stand_in_the_heading_as_far_as_they_fit_and_do_not_jitter(width: int) -> None:
    pace, places = Pace(), set()
    for second in range(60):
        now = through(second * 1_000, float(second))
        pace.note(now)
        phases = list(now.phases)
        phases[4] = replace(phases[4], rate=float(second * second))
        heading = "".join(
            span.text for span in phase_lines(replace(now, phases=tuple(phases)), width, pace)[0]
        )
        assert cells(heading) == width
        assert "slowest: classify" in heading
        if second > 10 and width >= 80:
            assert " · peak " in heading
            places.add(heading.index("peak"))
    assert len(places) <= 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "slowest: classify"),
        ({"memory_full": True}, "slowest: classify (memory limit)"),
        ({"bottleneck": ""}, ""),
    ],
)
def test_what_the_end_waits_for_is_named(changes: dict[str, object], says: str) -> None:
    assert slowest_words(busy(**changes)) == says


def test_a_phase_of_the_workers_is_bound_by_cpu() -> None:
    now = busy(bottleneck="clean")
    phases = tuple(replace(phase, cpu_ms_per_doc=1.5) for phase in now.phases)
    assert slowest_words(replace(now, phases=phases)) == "slowest: clean (CPU)"


def test_60_columns_hold_the_counts_of_a_large_folder() -> None:
    now = busy(counts=Counts(10_431, 4_180, 1_500, 300, 200, 4_251), ignored=1_200)
    for line in counts_lines(now, 60):
        assert sum(cells(span.text) for span in line) <= 60
    rows = text_of(phase_lines(now, 60)).splitlines()
    assert all(cells(row) <= 60 for row in rows)


async def test_without_utf8_the_sparkline_is_ascii(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    host = ServedHost(through(0, 0.0))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        for second, done in enumerate((0, 100, 300, 600, 1_000, 1_500)):
            host.now = through(done, second * 5.0 + 0.1)
            pilot.app._paint()  # type: ignore[attr-defined]
        text = await until_text(pilot, "peak", "in 1 min")
    assert text.isascii()


async def test_a_workspace_at_rest_says_what_is_true(make_app: MakeApp) -> None:
    done = complete(workspace=OPEN)
    host = ServedHost(replace(done, state=RunState.STOPPED, notice="The rollback is taken back."))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        text = await until_text(pilot, "✓ COMPLETE", "exported to", "The rollback is taken back.")
        assert "STOPPED" not in text
        host.now = replace(
            host.now, export_dir="", phases=(*done.phases[:5], PhaseProgress(done.phases[5].name))
        )
        await until_text(pilot, "■ STOPPED", "nothing pending")
        host.now = replace(host.now, counts=Counts(10, 4, pending=6))
        await until_text(pilot, "■ STOPPED", "6 pending")


async def test_what_was_said_goes_when_the_run_goes_on(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN, state=RunState.STOPPED))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "STOPPED")
        pilot.app._screens["run"].say("asked for. p goes on from there.")  # type: ignore[attr-defined]
        await until_text(pilot, "p goes on from there.")
        await pilot.press("p")
        await until_text(pilot, "RUNNING")
        await until(pilot, lambda: "goes on from there" not in screen_text(pilot.app), 3.0)  # type: ignore[arg-type]
