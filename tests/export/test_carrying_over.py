"""An export made from the one before is, byte for byte, the export that is made from nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from changing_corpus import OUTCOMES, ChangingCorpus, File, contents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_scraper.engine.export import base as base_module
from tui_scraper.engine.export import export, record_export
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.human import give_label

FILES = {
    b"a.txt": File(1),
    b"b/one.txt": File(2),
    b"b/two.txt": File(1),
    b"c.zip": File(4),
    b"c.zip!": File(3),
    b"caf\xe9.txt": File(5),
    b"z.txt": File(6),
}
"""Two of these are copies, and some of what is inside the zip are copies of others; z.txt has none."""


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[ChangingCorpus]:
    corpus = ChangingCorpus(tmp_path / "workspace")
    corpus.scan(FILES)
    for _round in range(4):  # what is inside what is inside
        corpus.work()
    corpus.export()
    yield corpus
    corpus.close()


def expect(corpus: ChangingCorpus, *, made_anew: int | None) -> None:
    """Export, and compare with an export from nothing. `made_anew` of the rows are not carried over."""
    report = corpus.export()
    assert contents(corpus.exported) == corpus.export_anew()
    assert report.documents > 0
    if made_anew is None:
        assert report.carried == 0
    else:
        assert report.documents - report.carried == made_anew


def test_nothing_changed_carries_everything_over(corpus: ChangingCorpus) -> None:
    before = contents(corpus.exported)
    expect(corpus, made_anew=0)
    corpus.scan(FILES)
    expect(corpus, made_anew=0)
    assert contents(corpus.exported) == before
    assert len(before["documents.jsonl"].splitlines()) > len(FILES)


def test_one_changed_file_makes_one_row(corpus: ChangingCorpus) -> None:
    corpus.scan(FILES | {b"z.txt": File(9, 1)})
    expect(corpus, made_anew=1)  # not read yet
    corpus.work()
    expect(corpus, made_anew=1)


def test_a_label_by_hand_makes_the_rows_of_its_content_only(corpus: ChangingCorpus) -> None:
    corpus.writer.call(give_label(["mine"], path=b"a.txt"))
    expect(corpus, made_anew=4)  # b/two.txt and some of what is inside the zip hold the same
    corpus.writer.call(give_label([], path=b"b/two.txt"))
    expect(corpus, made_anew=4)
    expect(corpus, made_anew=0)


def test_a_file_that_comes_goes_or_moves_makes_its_row_only(corpus: ChangingCorpus) -> None:
    corpus.scan(FILES | {b"x.txt": File(8)})
    corpus.work()
    expect(corpus, made_anew=1)
    corpus.scan(FILES)
    expect(corpus, made_anew=0)
    moved = dict(FILES)
    moved[b"moved.txt"] = moved.pop(b"z.txt")
    corpus.scan(moved)
    corpus.work()
    expect(corpus, made_anew=1)


def test_a_time_stamp_alone_makes_the_row_anew(corpus: ChangingCorpus) -> None:
    corpus.scan(FILES | {b"z.txt": File(6, mtime_s=7)})
    expect(corpus, made_anew=1)
    assert b'"modified":"1970-01-01T00:00:07.000000Z"' in contents(corpus.exported)["documents.jsonl"]


def test_copies_are_made_anew_when_the_first_of_them_changes(corpus: ChangingCorpus) -> None:
    files = dict(FILES)
    del files[b"a.txt"]  # b/two.txt and what is inside c.zip were its copies
    corpus.scan(files)
    lines = contents(corpus.exported)["documents.jsonl"].splitlines()
    first = next(line for line in lines if line.startswith(b'{"path":"a.txt"')).split(b'"id":"')[1][:16]
    copies = sum(b'duplicate_of":"%b"' % first in line for line in lines)  # or nearly so
    assert copies >= 2
    expect(corpus, made_anew=copies)


def test_near_duplicates_are_made_anew_when_another_stands_for_them(corpus: ChangingCorpus) -> None:
    corpus.scan(FILES | {b"b/new.txt": File(8)})  # before b/one.txt, which stood for caf\xe9.txt and others
    corpus.work()
    report = corpus.export()
    assert contents(corpus.exported) == corpus.export_anew()
    lines = contents(corpus.exported)["documents.jsonl"].splitlines()
    new = next(line for line in lines if line.startswith(b'{"path":"b/new.txt"')).split(b'"id":"')[1][:16]
    changed = sum(b'"near_duplicate_of":"%b"' % new in line for line in lines)
    assert changed >= 2
    assert report.documents - report.carried == 1 + changed


def test_without_near_duplicates_nothing_of_them_is_written_or_carried_over(corpus: ChangingCorpus) -> None:
    target = corpus.exported
    assert b'"near_duplicate_of":"' in contents(target)["documents.jsonl"]
    report = export(corpus.directory, target, alike=0.0)
    assert (report.carried, b'"near_duplicate_of":"' in contents(target)["documents.jsonl"]) == (0, False)
    corpus.writer.call(record_export(report))
    assert not corpus.is_current()
    assert export(corpus.directory, target, alike=0.0).carried == report.documents


def test_a_container_is_made_anew_when_its_members_change(corpus: ChangingCorpus) -> None:
    corpus.scan(FILES | {b"c.zip": File(2, 1)})
    corpus.work()
    report = corpus.export()
    assert contents(corpus.exported) == corpus.export_anew()
    assert 0 < report.carried < report.documents
    assert b'"members":1}' in contents(corpus.exported)["documents.jsonl"]


def test_a_retry_makes_what_it_puts_back_anew(corpus: ChangingCorpus) -> None:
    corpus.scan(FILES | {b"x.txt": File(8), b"y.txt": File(9)})
    corpus.work("corrupt")
    expect(corpus, made_anew=2)
    corpus.retry()
    expect(corpus, made_anew=2)
    corpus.work()
    expect(corpus, made_anew=2)


def test_other_settings_and_a_rollback_make_everything_anew(corpus: ChangingCorpus) -> None:
    corpus.use(classify=1)
    corpus.work()
    expect(corpus, made_anew=None)
    corpus.roll_back(PhaseName.CHUNK)
    expect(corpus, made_anew=None)
    corpus.undo()
    corpus.scan(FILES | {b"x.txt": File(8)})
    corpus.work()
    expect(corpus, made_anew=None)


@pytest.fixture
def opened_later(tmp_path: Path) -> Iterator[ChangingCorpus]:
    """A zip in which other settings found members: checkpoint 0 is without them, 1 and the export with."""
    corpus = ChangingCorpus(tmp_path / "workspace")
    corpus.scan({b"c.zip": File(4), b"z.txt": File(6)})
    corpus.work("empty")
    corpus.checkpoint()
    corpus.use(clean=1)
    corpus.work()
    corpus.work()
    corpus.work()
    corpus.checkpoint()
    assert corpus.export().documents == 6
    yield corpus
    corpus.close()


def test_an_export_is_current_again_when_a_rollback_is_undone(opened_later: ChangingCorpus) -> None:
    opened_later.roll_back(0)
    assert not opened_later.is_current()
    opened_later.undo()
    assert opened_later.is_current()


def test_members_that_leave_and_come_back_with_the_head_are_in_the_export_each_time(
    opened_later: ChangingCorpus,
) -> None:
    for move, documents in (
        (lambda: opened_later.roll_back(0), 2),
        (lambda: opened_later.roll_back(1), 6),
        (opened_later.undo, 2),
        (opened_later.undo, 6),
    ):
        move()
        report = opened_later.export()
        assert report.documents == documents
        assert contents(opened_later.exported) == opened_later.export_anew()


def test_a_file_of_a_later_scan_is_not_the_one_that_was_exported(corpus: ChangingCorpus) -> None:
    corpus.checkpoint()
    files = dict(FILES)
    del files[b"z.txt"]
    corpus.scan(files)
    corpus.scan(FILES)
    corpus.work()  # the same file as before, read again
    corpus.roll_back(0)
    corpus.export()
    corpus.scan(FILES)
    expect(corpus, made_anew=1)


def test_an_export_stays_current_and_a_base_when_garbage_is_collected(corpus: ChangingCorpus) -> None:
    corpus.roll_back(PhaseName.CLEAN)
    corpus.work("late")  # the newest results of all, and nothing of the head's when this is undone
    corpus.undo()
    corpus.export()
    assert corpus.collect_garbage() > 0
    corpus.restart()
    assert corpus.is_current()
    corpus.scan(FILES | {b"z.txt": File(8)})
    corpus.work()
    expect(corpus, made_anew=1)


def test_what_another_branch_read_shows_in_the_row(tmp_path: Path) -> None:
    corpus = ChangingCorpus(tmp_path / "workspace")
    corpus.scan({b"a.txt": File(1), b"b.txt": File(2), b"c.txt": File(3)})
    corpus.work(limit=1)
    corpus.export()
    corpus.roll_back(PhaseName.CLEAN)
    corpus.work()  # contents are known from now on, though none of these results counts before
    corpus.undo()
    expect(corpus, made_anew=2)
    corpus.close()


def test_a_document_that_may_no_longer_be_read_has_a_row_without_contents(corpus: ChangingCorpus) -> None:
    corpus.scan(FILES | {b"x.txt": File(8)})
    corpus.work()
    corpus.use(clean=1)
    corpus.work("refused")
    expect(corpus, made_anew=None)
    assert b'"error":{"phase":"input"' in contents(corpus.exported)["documents.jsonl"]
    corpus.scan(FILES | {b"x.txt": File(8), b"y.txt": File(8)})
    corpus.work()
    report = corpus.export()
    assert report.carried == 0  # none of them is believed without its results
    assert contents(corpus.exported) == corpus.export_anew()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1] + b" ",
        lambda data: data.replace(b"report", b"rePort", 1),
        lambda data: data.replace(b'"path":"z', b'"path":"y', 1),
        lambda data: data.replace(b'"path":"a', b'"path":"z', 1),
        lambda data: data.replace(b"\n", b" "),
        lambda data: data.replace(b'"', b"\xff", 1),
        lambda data: bytes(len(data)),
        lambda data: b"\n" * len(data),
    ],
)
def test_nothing_of_a_damaged_export_is_carried_over(corpus: ChangingCorpus, damage: object) -> None:
    documents = corpus.exported / "documents.jsonl"
    before = documents.read_bytes()
    damaged = damage(before)  # type: ignore[operator]
    assert len(damaged) == len(before)
    assert damaged != before
    documents.write_bytes(damaged)
    corpus.scan(FILES | {b"z.txt": File(8)})
    corpus.work()
    expect(corpus, made_anew=None)


def test_an_export_of_another_state_of_the_workspace_is_no_base(
    corpus: ChangingCorpus, tmp_path: Path
) -> None:
    shutil.copytree(corpus.exported, tmp_path / "old")
    corpus.scan(FILES | {b"z.txt": File(8)})
    corpus.work()
    expect(corpus, made_anew=1)
    shutil.rmtree(corpus.exported)
    shutil.copytree(tmp_path / "old", corpus.exported)
    expect(corpus, made_anew=None)
    (corpus.exported / "documents.jsonl").unlink()
    (corpus.exported / "documents.jsonl").symlink_to(tmp_path / "old/documents.jsonl")
    expect(corpus, made_anew=None)


def test_with_too_much_new_everything_is_made_anew(
    corpus: ChangingCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_module, "_MOST_RESULTS", 3)
    corpus.scan(FILES | {b"z.txt": File(8)})
    corpus.work()
    expect(corpus, made_anew=None)


def test_two_documents_of_one_path_are_told_apart(corpus: ChangingCorpus) -> None:
    files = FILES | {b"c.zip!/in.txt": File(8)}  # c.zip has a member of that whole path
    corpus.scan(files)
    corpus.work()
    corpus.export()
    assert contents(corpus.exported) == corpus.export_anew()
    expect(corpus, made_anew=0)
    corpus.scan(files | {b"c.zip!/in.txt": File(9)})
    corpus.work()
    corpus.export()
    assert contents(corpus.exported) == corpus.export_anew()


STEPS = st.one_of(
    st.tuples(
        st.just("scan"),
        st.dictionaries(
            st.sampled_from([*FILES, b"c.zip!/in.txt", b"d.zip", b"new"]),
            st.builds(File, st.integers(0, 5), st.integers(0, 1)),
        ),
    ),
    st.tuples(
        st.just("alter"),
        st.sampled_from([*FILES, b"c.zip!/in.txt", b"d.zip", b"new"]),
        st.one_of(st.none(), st.builds(File, st.integers(0, 5), st.integers(0, 1))),
    ),
    st.tuples(st.just("work"), st.sampled_from(OUTCOMES), st.integers(1, 12), st.booleans()),
    st.tuples(st.just("retry"), st.sampled_from([None, *PhaseName][:6])),
    st.tuples(st.just("use"), st.sampled_from(["input", "clean", "classify"]), st.integers(0, 1)),
    st.tuples(st.just("checkpoint")),
    st.tuples(st.just("roll back"), st.one_of(st.sampled_from(list(PhaseName)), st.integers(0, 20))),
    st.tuples(st.just("undo")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("gc")),
    st.tuples(st.just("export")),
    st.tuples(st.just("export")),
    st.tuples(st.just("export")),
)


SEVERAL = (("jsonl", "parquet", "csv", "markdown"), ("markdown",), ("csv", "markdown", "jsonl"))


def live_through(corpus: ChangingCorpus, steps: list[tuple[Any, ...]]) -> None:
    """Let all this happen to a corpus, comparing every export with one that is made from nothing."""
    files = dict(FILES)
    corpus.scan(files)
    corpus.work()
    corpus.export()
    for name, *values in [*steps, ("export",)]:
        match name:
            case "scan":
                files = values[0]
                corpus.scan(files)
            case "alter":
                path, file = values
                files = {known: value for known, value in files.items() if known != path}
                files |= {path: file} if file is not None else {}
                corpus.scan(files)
            case "work":
                corpus.work(values[0], values[1], indexed=values[2])
            case "retry":
                corpus.retry(values[0])
            case "use":
                corpus.use(**{values[0]: values[1]})
            case "checkpoint":
                corpus.checkpoint()
            case "roll back":
                corpus.roll_back(values[0])
            case "undo":
                corpus.undo()
            case "restart":
                corpus.restart()
            case "gc":
                corpus.collect_garbage()
            case "export":
                current = corpus.is_current()
                before = contents(corpus.exported)
                corpus.export()
                assert contents(corpus.exported) == corpus.export_anew()
                assert not current or contents(corpus.exported) == before


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=5, max_size=16))
def test_whatever_happens_between_two_exports(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    corpus = ChangingCorpus(tmp_path_factory.mktemp("mix") / "workspace")
    try:
        live_through(corpus, steps)
    finally:
        corpus.close()


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=5, max_size=12), formats=st.sampled_from(SEVERAL))
def test_whatever_happens_between_two_exports_in_several_formats(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]], formats: tuple[str, ...]
) -> None:
    corpus = ChangingCorpus(tmp_path_factory.mktemp("mix") / "workspace", formats)
    try:
        live_through(corpus, steps)
    finally:
        corpus.close()


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=5, max_size=30))
def test_whatever_happens_between_many_exports(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    corpus = ChangingCorpus(tmp_path_factory.mktemp("mix") / "workspace")
    try:
        live_through(corpus, steps)
    finally:
        corpus.close()
