"""Limits that a person changes while a run goes on: they hold at once, nothing is lost or paid twice."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.engine.corpus import prose
from tests.engine.running import Running, export_bytes, results_by_phase, rows, run_once, running, table
from tests.engine.test_control import SLOW
from tests.engine.test_model_labels import asking, audit, notices, stopped, write_documents
from tests.llm.journal import Record, answered_twice
from tests.llm.model_server import KEY, serving
from tests.plugins import write_plugin
from tui_scraper.engine import PhaseName, RunSnapshot, RunState, Settings, TuiScraperError, UsageError
from tui_scraper.engine.limits import BUDGET, CONCURRENCY, LIMITS, WORKERS, limited, replaced
from tui_scraper.engine.models import RunLimits
from tui_scraper.engine.phases.registry import DOCUMENT_PHASE_MODULES
from tui_scraper.engine.store.reader import Reader

LITTLE = 0.0015
"""Dollars: enough for some of sixty documents."""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_documents(tmp_path / "source", 60)


@pytest.fixture
def slow_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hundred documents that a worker takes a fiftieth of a second for, each."""
    monkeypatch.setenv("PYTHONPATH", str(write_plugin(tmp_path, "slow_markdown", SLOW)), prepend=os.pathsep)
    folder, rng = tmp_path / "slow", random.Random(7)
    folder.mkdir()
    for number in range(100):
        (folder / f"{number:03}.md").write_text(f"# Number {number}\n\n{prose(rng, 80)}")
    return folder


def spend_reaches(run: Running, calls: int) -> RunSnapshot:
    return run.wait(lambda now: now.spend is not None and now.spend.calls >= calls, f"{calls} calls")


def most_together(records: Sequence[Record]) -> int:
    """How many requests a server had in hand at once, at most."""
    return max(
        sum(other.received <= one.received < (other.answered or math.inf) for other in records)
        for one in records
    )


# --- money ----------------------------------------------------------------------------------------


def test_a_run_that_paused_at_its_cap_goes_on_once_the_cap_is_raised(source: Path, tmp_path: Path) -> None:
    with serving() as server:
        few = asking(server, budget_usd=LITTLE, docs_per_request=4)
        with running(source, tmp_path / "w", settings=few) as run:
            assert "budget is used up" in stopped(run)
            run.host.limit({BUDGET: LITTLE / 2})
            assert run.host.snapshot().state is RunState.PAUSED  # less is no reason to go on
            run.host.limit({BUDGET: "$1,000.50"})
            run.wait(lambda now: now.state is RunState.COMPLETE, "completion")
            now = run.host.snapshot()
            assert now.limits == RunLimits(1000.5, 2, None, asks=True)
            assert now.spend is not None
            assert now.spend.budget_nano_usd == 1_000_500_000_000
        found = audit(tmp_path / "w")
        assert found.labels.saved == 60
        assert found.proven
        assert not answered_twice([r for r in server.records if len(r.documents) > 1])


def test_who_has_stopped_a_run_is_not_overruled_by_more_money(source: Path, tmp_path: Path) -> None:
    with serving() as server:
        few = asking(server, budget_usd=LITTLE, docs_per_request=4)
        with running(source, tmp_path / "w", settings=few) as run:
            stopped(run)
            run.host.stop()
            run.host.limit({BUDGET: 1.0})
            assert run.host.snapshot().state is RunState.PAUSED
            run.again()
    assert audit(tmp_path / "w").labels.saved == 60


def test_a_cap_below_what_is_spent_pauses_and_what_is_in_flight_is_saved(
    source: Path, tmp_path: Path
) -> None:
    with serving(latency_s=0.05) as server:
        slowly = asking(server, docs_per_request=1, concurrency=2)
        with running(source, tmp_path / "w", settings=slowly) as run:
            spend_reaches(run, 5)
            run.host.limit({BUDGET: 0})
            assert "budget is used up" in stopped(run)
            with Reader(tmp_path / "w") as reader:
                found = reader.audit()
            assert found.proven
            assert (found.unanswered, found.spending.open_nano_usd) == ((), 0)
            assert 0 < found.labels.saved < 60
            answered = sum(record.good for record in server.records if record.api == "decisions")
            assert found.spending.calls == answered
            run.host.limit({BUDGET: 1})
            run.wait(lambda now: now.state is RunState.COMPLETE, "completion")
        assert audit(tmp_path / "w").labels.saved == 60


def test_where_the_rest_is_labelled_here_a_raised_cap_has_the_model_asked_about_what_comes(
    slow_source: Path, tmp_path: Path
) -> None:
    with serving() as server:
        few = asking(server, budget_usd=LITTLE, on_budget="offline", docs_per_request=4)
        chosen = {**few, "engine": {"workers": 1}}
        with running(slow_source, tmp_path / "w", settings=chosen) as run:
            run.wait(lambda now: now.spend is not None and now.spend.stand_ins > 0, "stand-ins")
            run.host.limit({BUDGET: 1})
            run.complete()
            assert any("There is budget again" in sentence for sentence in notices(run))
    methods = [row["method"] for row in rows(tmp_path / "w").values()]
    assert methods.count("local") > 0
    assert methods.count("openai") == audit(tmp_path / "w").labels.saved > 0
    later = sorted(rows(tmp_path / "w").items())[-4:]
    assert {row["method"] for _path, row in later} == {"openai"}


# --- calls in flight ------------------------------------------------------------------------------


def test_more_calls_are_made_at_the_same_time_as_soon_as_they_are_allowed(
    source: Path, tmp_path: Path
) -> None:
    with serving(latency_s=0.08, jitter=0) as server:
        one = asking(server, docs_per_request=1, concurrency=1)
        with running(source, tmp_path / "w", settings=one) as run:
            before = spend_reaches(run, 21)  # by then a run has seen that calls bring labels
            assert before.spend is not None
            assert before.spend.concurrency == 1
            run.host.limit({CONCURRENCY: "12"})
            run.wait(lambda now: now.limits == RunLimits(1.0, 2, 12, asks=True), "limits")
            run.complete()
        assert most_together(server.records) > 4
        assert not answered_twice(server.records)
    assert audit(tmp_path / "w").labels.saved == 60


# --- workers --------------------------------------------------------------------------------------


def test_workers_are_started_and_ended_while_they_work(slow_source: Path, tmp_path: Path) -> None:
    local: dict[str, dict[str, object]] = {"classify": {"backend": "local"}, "engine": {"workers": 1}}
    run_once(slow_source, tmp_path / "undisturbed", settings=local)
    with running(slow_source, tmp_path / "w", settings=local) as run:
        for workers in (3, 1, 4, 2):
            before = run.host.snapshot().phases[1].done
            run.wait(  # on a busy machine all may be done before the last of them, here and below
                lambda now, done=before: now.phases[1].done > done or now.state is RunState.COMPLETE,
                "a result",
            )
            run.host.limit({WORKERS: workers})
            run.wait(lambda now, n=workers: now.workers == n or now.state is RunState.COMPLETE, "the workers")
        run.complete()
        run.host.limit({WORKERS: 0})
        assert run.host.snapshot().limits == RunLimits(1.0, 0, None, asks=False)
        run.again()
        assert run.host.snapshot().workers == os.cpu_count()
    assert export_bytes(tmp_path / "w") == export_bytes(tmp_path / "undisturbed")
    made = table(tmp_path / "w", "SELECT count(*), count(DISTINCT version) FROM result WHERE phase = 1")
    assert made == [(100, 100)]


# --- what they are not ----------------------------------------------------------------------------


def test_nothing_is_redone_and_limits_outlive_a_rollback(source: Path, tmp_path: Path) -> None:
    with serving() as server, running(source, tmp_path / "w", settings=asking(server)) as run:
        run.complete()
        results, exported = results_by_phase(tmp_path / "w"), export_bytes(tmp_path / "w")
        calls = len(server.records)
        run.host.limit({BUDGET: 7.5, WORKERS: 1, CONCURRENCY: 3})
        run.again()
        assert (results_by_phase(tmp_path / "w"), export_bytes(tmp_path / "w")) == (results, exported)
        run.host.roll_back(PhaseName.CHUNK)
        run.wait(lambda now: now.state is RunState.STOPPED, "rollback")
        assert run.host.snapshot().limits == RunLimits(7.5, 1, 3, asks=True)
        run.again()
        assert export_bytes(tmp_path / "w") == exported
        assert len(server.records) == calls
    assert len(table(tmp_path / "w", "SELECT * FROM lineage")) == 5


def test_no_phase_depends_on_a_limit() -> None:
    settings = Settings()
    other = limited(settings, {BUDGET: 3, WORKERS: 7, CONCURRENCY: 9})
    assert [replaced(settings, key, 1) == settings for key in LIMITS] == [True, False, False]
    for phase in DOCUMENT_PHASE_MODULES.values():
        assert phase.relevant(settings) == phase.relevant(other)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (BUDGET, "lots", "classify.budget_usd cannot be 'lots': it must be a valid number."),
        (BUDGET, -1, "classify.budget_usd cannot be '-1': it must be greater than or equal to 0."),
        (BUDGET, "nan", "classify.budget_usd cannot be 'nan'"),
        (BUDGET, "", "classify.budget_usd cannot be ''"),
        (WORKERS, "257", "engine.workers cannot be '257': it must be less than or equal to 256."),
        (WORKERS, "2.5", "engine.workers cannot be '2.5': it must be a valid integer."),
        (CONCURRENCY, "many", "classify.concurrency cannot be 'many': it must be 'auto' or a valid integer."),
        (CONCURRENCY, 0, "it must be 'auto' or greater than or equal to 1."),
        (CONCURRENCY, "\x1b[31m", "classify.concurrency cannot be '"),
        (
            "chunk.max_tokens",
            8,
            "'chunk.max_tokens' does not change in a run; these do: classify.budget_usd,",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence(key: str, value: object, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        limited(Settings(), {WORKERS: 3, key: value})
    assert str(raised.value).startswith(sentence) or str(raised.value).endswith(sentence)
    assert "\x1b" not in str(raised.value)


def test_a_refusal_changes_nothing_and_without_a_model_there_is_nothing_to_limit(
    source: Path, tmp_path: Path
) -> None:
    local: dict[str, dict[str, object]] = {"classify": {"backend": "local"}}
    with running(source, tmp_path / "w", settings=local) as run:
        run.complete()
        before = run.host.snapshot().limits
        for wanted in ({WORKERS: 1, BUDGET: 5}, {CONCURRENCY: "auto"}):
            with pytest.raises(TuiScraperError, match="No model is asked in this run"):
                run.host.limit(wanted)
        with pytest.raises(UsageError, match="less than or equal to 256"):
            run.host.limit({WORKERS: 1_000})
        assert run.host.snapshot().limits == before == RunLimits(1.0, 2, None, asks=False)
    with pytest.raises(TuiScraperError, match="The engine is only starting, or ending"):
        run.host.limit({WORKERS: 1})
