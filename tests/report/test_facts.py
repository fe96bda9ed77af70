"""The facts of a report are those of the store, whatever has happened to it; counted here another way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.history import fill
from tests.store.histories import STEPS, History
from tui_scraper.engine.document_details import DocumentReader
from tui_scraper.engine.models import PHASES, PhaseName
from tui_scraper.engine.report.facts import Facts
from tui_scraper.engine.report.reading import read_facts
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.store.rollback import roll_back_to_phase, undo
from tui_scraper.engine.store.runs import begin_run, end_run
from tui_scraper.engine.store.writer import Writer


def check_against_the_list(directory: Path, facts: Facts) -> None:
    """Everything that can be counted from the list of documents is what it gives, and states are `status`."""
    with DocumentReader(directory) as reader:
        rows = reader.first(10_000)
        status, causes = reader.status(), reader.causes()
        paths = {row.path for row in reader.all_failures()}
    assert facts.status == status
    assert sum(one.documents for one in facts.found.types) == len(rows) == status.counts.found
    by_type = Counter(row.media_type for row in rows)
    assert {one.name: one.documents for one in facts.found.types} == by_type
    assert sum(one.size_bytes for one in facts.found.types) == sum(row.size_bytes for row in rows)
    assert facts.found.size_bytes + facts.found.inside_bytes == sum(row.size_bytes for row in rows)
    largest = sorted((row.size_bytes for row in rows), reverse=True)[: len(facts.found.biggest)]
    assert [one.size_bytes for one in facts.found.biggest] == largest
    labelled = [row for row in rows if row.labels]
    assert facts.labels.documents == len(labelled)
    by_label = Counter(label for row in labelled for label in row.labels)
    assert {one.name: one.documents for one in facts.labels.groups} == by_label
    by_method = Counter(row.method for row in labelled)
    assert Counter(one.method for one in facts.labels.makers for _ in range(one.documents)) == by_method
    sure = [row.confidence for row in labelled if row.confidence is not None and row.method != "human"]
    assert sum(facts.labels.confidence) == len(sure)
    assert facts.labels.unsaid == len(labelled) - len(sure)
    assert facts.labels.unsure == sum(one < 0.6 for one in sure)
    assert {(one.phase, one.status, one.cause): one.documents for one in facts.troubles} == {
        (one.phase, one.status, one.cause): one.count for one in causes
    }
    for one in facts.troubles:
        assert 0 < len(one.examples) <= one.documents
        assert {example.path for example in one.examples} <= paths


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=14))
def test_after_any_history_the_facts_are_those_of_the_head(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]]
) -> None:
    directory = tmp_path_factory.mktemp("history")
    history = History(directory)
    try:
        for name, *values in steps:
            history.step(str(name), *values)
        facts = read_facts(directory)
        check_against_the_list(directory, facts)
    finally:
        history.writer.close()
    assert facts.pace.run_count == 0  # none of these steps is a run, so nothing is said of its pace
    assert facts.pace.rate is None


def test_the_pace_counts_every_document_of_every_run_once(tmp_path: Path) -> None:
    fill(tmp_path / "w", 2_000)
    facts = read_facts(tmp_path / "w")
    pace = facts.pace
    assert pace.run_count == 1
    assert pace.read == pace.through == sum(one.through for one in pace.stretches) == 2_000
    assert pace.runs[0].through == 2_000
    ends = [one.start_s + one.seconds for one in pace.stretches]
    assert all(a <= b.start_s + 1e-6 for a, b in zip(ends, pace.stretches[1:], strict=False))
    assert ends[-1] <= pace.seconds + 1e-6
    work = {one.phase: one for one in pace.phases}
    assert [one.phase for one in pace.phases] == list(PHASES)
    done = {phase: by.get("done", 0) for phase, by in facts.status.phases.items()}
    assert work[PhaseName.INDEX].documents == done["index"]
    assert work[PhaseName.CLASSIFY].documents == done["classify"]
    assert all(0 <= start <= end <= pace.seconds for one in pace.phases for start, end in one.spans)


def test_work_that_was_rolled_back_stays_in_the_pace_and_leaves_the_rest(tmp_path: Path) -> None:
    fill(tmp_path / "w", 500)
    before = read_facts(tmp_path / "w")
    writer = Writer(tmp_path / "w")
    writer.call(roll_back_to_phase(PhaseName.CLEAN))
    writer.close()
    back = read_facts(tmp_path / "w")
    check_against_the_list(tmp_path / "w", back)
    assert back.labels.documents == 0
    assert back.status.counts.pending > 0
    assert (back.pace.through, back.pace.run_count) == (before.pace.through, 1)
    assert before.pace.taken_over == 0
    assert back.history.move_count == len(back.history.moves) == 1
    writer = Writer(tmp_path / "w")
    writer.call(undo())
    writer.close()
    again = read_facts(tmp_path / "w")
    assert again.labels == before.labels
    assert again.history.move_count == 2


def test_a_killed_run_ends_where_its_last_checkpoint_is(tmp_path: Path) -> None:
    fill(tmp_path / "w", 500)
    writer = Writer(tmp_path / "w")
    writer.call(begin_run("{}"))
    writer.call(take_checkpoint(PhaseName.CLEAN))
    writer.close()
    pace = read_facts(tmp_path / "w").pace
    assert [run.state for run in pace.runs] == ["complete", "interrupted"]
    assert pace.runs[1].through == 0
    assert pace.runs[1].seconds < 60
    writer = Writer(tmp_path / "w")
    writer.call(end_run(2, "stopped"))
    writer.close()
    assert [run.state for run in read_facts(tmp_path / "w").pace.runs] == ["complete", "stopped"]


def test_many_short_runs_need_no_more_room_than_one(tmp_path: Path) -> None:
    fill(tmp_path / "w", 100)
    writer = Writer(tmp_path / "w")
    for _ in range(150):
        run = writer.call(begin_run("{}"))
        writer.call(take_checkpoint(PhaseName.OUTPUT))
        writer.call(end_run(run, "complete"))
    writer.close()
    pace = read_facts(tmp_path / "w").pace
    assert pace.run_count == 151
    assert len(pace.runs) <= 10
    assert len(pace.stretches) <= 200
    assert pace.through == 100


def test_the_languages_of_many_texts_are_those_of_a_sample_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "w", 300)
    every = read_facts(tmp_path / "w").found.languages
    done = read_facts(tmp_path / "w").status.counts.done
    assert (every.sampled, every.looked_at) == (False, done)
    monkeypatch.setattr("tui_scraper.engine.report.documents._LOOKED_AT", 100)
    some = read_facts(tmp_path / "w").found.languages
    assert some.sampled
    assert 90 <= some.looked_at <= 100
    assert some == read_facts(tmp_path / "w").found.languages


def test_a_text_that_could_not_be_read_again_has_no_language(tmp_path: Path) -> None:
    fill(tmp_path / "w", 100)
    before = read_facts(tmp_path / "w").found.languages.looked_at
    state = open_state(tmp_path / "w")
    state.execute(
        """INSERT INTO result(branch, phase, lineage, version, status, attempt)
        SELECT branch, phase, lineage, version, 2, attempt + 1 FROM result WHERE phase = 1 AND status = 1
        ORDER BY seq LIMIT 1"""
    )
    state.execute("INSERT INTO failure SELECT max(seq), 'corrupt', 'The file is damaged.', 0 FROM result")
    state.close()
    assert read_facts(tmp_path / "w").found.languages.looked_at == before - 1


def test_a_workspace_in_which_nothing_ran_has_a_report(tmp_path: Path) -> None:
    Writer(tmp_path).close()
    facts = read_facts(tmp_path)
    assert facts.status.counts.found == 0
    assert facts.labels.documents == facts.pace.run_count == 0
    assert (facts.troubles, facts.settings, facts.spent.models) == ((), (), ())
    with Reader(tmp_path) as reader:
        assert reader.status() == facts.status
