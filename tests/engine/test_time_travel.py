"""Going back is exact, costs nothing twice, and can itself be taken back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.engine.corpus import write_corpus
from tests.engine.running import (
    check_counters,
    export_bytes,
    results_by_phase,
    rows,
    run_once,
    running,
    table,
)
from tui_scraper.engine import (
    PhaseName,
    Reader,
    RunState,
    Settings,
    SettingsChanged,
    SettingsKept,
    UsageError,
)
from tui_scraper.engine.going_back import find_target, preview, preview_undo
from tui_scraper.engine.search.query import search
from tui_scraper.engine.store.checkpoints import name_checkpoint, thinned
from tui_scraper.engine.store.connection import connect, open_state
from tui_scraper.engine.store.counters import count_anew
from tui_scraper.engine.store.head import read_head, read_point
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo
from tui_scraper.engine.store.setbacks import put_back
from tui_scraper.engine.workspace import reopen

SMALL: dict[str, dict[str, object]] = {"chunk": {"max_tokens": 64, "overlap": 0}}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder and the workspace of a complete run over it: copied, never changed."""
    base = tmp_path_factory.mktemp("prepared")
    write_corpus(base / "source", filling=6)
    run_once(base / "source", base / "workspace")
    return base / "source", base / "workspace"


@pytest.fixture
def source(request: pytest.FixtureRequest, prepared: tuple[Path, Path], tmp_path: Path) -> Path:
    """The folder; one of its own for a test that changes it."""
    if request.node.get_closest_marker("changes_files") is None:
        return prepared[0]
    write_corpus(tmp_path / "source", filling=6)
    return tmp_path / "source"


@pytest.fixture
def workspace(prepared: tuple[Path, Path], source: Path, tmp_path: Path) -> Path:
    """A workspace of a complete run over `source`."""
    if source == prepared[0]:
        shutil.copytree(prepared[1], tmp_path / "workspace")
    else:
        run_once(source, tmp_path / "workspace")
    return tmp_path / "workspace"


def carry_out(workspace: Path, *operations: Any) -> list[Any]:
    opened = reopen(workspace)
    try:
        return [opened.writer.call(operation) for operation in operations]
    finally:
        opened.close()


def view(workspace: Path) -> tuple[Any, ...]:
    """Everything that can be seen of a workspace from outside.

    Hits without their order: words are weighed by all that the index holds, which outlives a rollback.
    """
    with Reader(workspace) as reader:
        status = reader.status()
        failures = [(row.path, row.phase, row.cause, row.message) for row in reader.all_failures()]
        causes = reader.causes()
    hits = sorted(hit.path for hit in search(workspace, "invoice zebra axolotl", k=50))
    return status.counts, status.phases, status.head, failures, causes, hits


def made(workspace: Path) -> Any:
    return table(workspace, "SELECT phase, count(*) FROM artifact GROUP BY phase")


@pytest.mark.parametrize("phase", list(PhaseName))
def test_undo_puts_everything_back_and_twice_is_as_if_nothing_had_been(
    workspace: Path, phase: PhaseName
) -> None:
    before = view(workspace)
    carry_out(workspace, roll_back_to_phase(phase))
    back = view(workspace)
    assert (back != before) or phase is PhaseName.OUTPUT
    carry_out(workspace, undo())
    assert view(workspace) == before
    carry_out(workspace, undo())
    assert view(workspace) == back
    carry_out(workspace, undo())
    assert view(workspace) == before
    check_counters(workspace)


def test_work_done_after_a_rollback_stays_reachable_after_the_undo(source: Path, workspace: Path) -> None:
    before = view(workspace)
    carry_out(workspace, roll_back_to_phase(PhaseName.CLEAN))
    run_once(source, workspace, settings=SMALL, accept_settings=True)
    small = view(workspace)
    carry_out(workspace, undo())
    assert view(workspace) == before
    carry_out(workspace, undo())
    assert view(workspace) == small
    check_counters(workspace)


@pytest.mark.changes_files
def test_a_point_without_a_checkpoint_gets_one_before_it_is_left(source: Path, workspace: Path) -> None:
    with Reader(workspace) as reader:
        early = reader.checkpoints()[0].id
    (source / "new.txt").write_text("A new document about wombats.")
    with running(
        source, workspace, settings={"engine": {"checkpoint_every_docs": 10_000, "checkpoint_every_s": 3_600}}
    ) as run:
        run.complete()
        opened_before = table(workspace, "SELECT max(id) FROM checkpoint")
    carry_out(workspace, put_back())  # changes results, and no checkpoint follows
    left = view(workspace)
    carry_out(workspace, roll_back_to_checkpoint(early))
    (newest,) = table(workspace, "SELECT max(id) FROM checkpoint")
    assert newest > opened_before[0]
    carry_out(workspace, roll_back_to_checkpoint(newest[0]))
    now = view(workspace)
    assert (now[0], now[1], now[3:]) == (left[0], left[1], left[3:])


def test_a_rollback_asks_no_worker_for_what_was_made_before(source: Path, workspace: Path) -> None:
    wanted, before = export_bytes(workspace), made(workspace)
    failed = {path for path, row in rows(workspace).items() if row["status"] not in {"done"}}
    carry_out(workspace, roll_back_to_phase(PhaseName.INPUT))
    with running(source, workspace) as run:
        snapshot = run.complete()
    assert made(workspace) == before
    assert export_bytes(workspace) == wanted
    documents = sum(
        1 for line in snapshot.log if any(line.text.startswith(f"✗ clean {path}") for path in failed)
    )
    assert documents <= len(failed)


def test_fresh_makes_later_phases_anew_although_nothing_changed(source: Path, workspace: Path) -> None:
    wanted, before = export_bytes(workspace), dict(made(workspace))
    carry_out(workspace, roll_back_to_phase(PhaseName.CHUNK, fresh=True))
    run_once(source, workspace)
    after = dict(made(workspace))
    assert after[1] == before[1]
    assert after[2] == before[2]
    assert after[3] == 2 * before[3]
    assert export_bytes(workspace) == wanted
    results = results_by_phase(workspace)
    run_once(source, workspace)  # it stays asked anew, and is not asked again
    assert results_by_phase(workspace) == results
    carry_out(workspace, undo(), roll_back_to_phase(PhaseName.CHUNK, fresh=True))
    run_once(source, workspace)
    assert dict(made(workspace))[3] == 3 * before[3]
    check_counters(workspace)


def test_settings_gone_back_to_stay_in_force_until_those_of_the_file_are_accepted(
    source: Path, workspace: Path
) -> None:
    wanted = export_bytes(workspace)
    with Reader(workspace) as reader:
        large = reader.status().head
    run_once(source, workspace, settings=SMALL)
    small = export_bytes(workspace)
    assert small != wanted
    carry_out(workspace, roll_back_to_checkpoint(large))
    with running(source, workspace, settings=SMALL) as run:
        run.complete()
        kept = [event for event in _events(run) if isinstance(event, SettingsKept)]
    assert [event.keys for event in kept] == [("chunk.max_tokens", "chunk.overlap")]
    assert "--accept-settings" in kept[0].sentence
    assert export_bytes(workspace) == wanted
    with running(source, workspace, settings=SMALL) as run:  # asked again at every run
        run.complete()
        assert any(isinstance(event, SettingsKept) for event in _events(run))
    run_once(source, workspace, settings=SMALL, accept_settings=True)
    assert export_bytes(workspace) == small
    with running(source, workspace) as run:  # accepted: from now on the file decides again
        run.complete()
        assert not any(isinstance(event, SettingsKept) for event in _events(run))
    assert export_bytes(workspace) == wanted


def test_equal_settings_need_no_accepting_after_a_rollback(source: Path, workspace: Path) -> None:
    carry_out(workspace, roll_back_to_phase(PhaseName.CLEAN))
    run_once(source, workspace)
    with running(source, workspace, settings=SMALL) as run:
        run.complete()
        assert not any(isinstance(event, SettingsKept) for event in _events(run))


def _events(run: Any) -> list[Any]:
    found = []
    while not run.events.empty():
        found.append(run.events.get())
    return found


def test_what_a_changed_setting_redoes_is_said_before_it_is_done(source: Path, workspace: Path) -> None:
    done = sum(row["status"] == "done" for row in rows(workspace).values())
    labels = [{"name": "animals", "keywords": ["zebra"]}, {"name": "rest"}]
    for settings, keys, said in (
        (
            {"chunk": {"max_tokens": 256}},
            ("chunk.max_tokens",),
            f"chunk.max_tokens changed (512 → 256): {done} documents re-chunked, "
            "classification reused where the digest is the same.",
        ),
        (
            {"chunk": {"max_tokens": 256}, "classify": {"labels": labels}},
            ("classify.labels",),
            f"classify.labels changed (… → …): {done} documents re-labelled.",
        ),
        (
            {},
            ("chunk.max_tokens", "classify.labels"),
            "chunk.max_tokens changed (256 → 512): nothing redone.",
        ),
    ):
        with running(source, workspace, settings=settings) as run:
            run.complete()
            (event,) = [event for event in _events(run) if isinstance(event, SettingsChanged)]
        assert event.keys == keys
        assert event.sentences[0] == said


def test_settings_that_no_result_depends_on_redo_nothing_and_say_nothing(
    source: Path, workspace: Path
) -> None:
    before = results_by_phase(workspace)
    others = {"clean": {"timeout_s": 30}, "engine": {"workers": 1}, "ui": {"theme": "light"}}
    with running(source, workspace, settings=others) as run:
        run.complete()
        assert not any(isinstance(event, SettingsChanged) for event in _events(run))
    assert results_by_phase(workspace) == before


@pytest.mark.changes_files
def test_a_renamed_folder_is_recognised_and_nothing_is_read_or_labelled_again(
    source: Path, workspace: Path
) -> None:
    before = made(workspace)
    wanted = {path.replace("fill/", "moved/"): row["text"] for path, row in rows(workspace).items()}
    (source / "fill").rename(source / "moved")
    with running(source, workspace) as run:
        snapshot = run.complete()
    assert made(workspace) == before
    assert any("6 moved" in line.text for line in snapshot.log)
    assert snapshot.phases[1].cpu_ms_per_doc is None  # no worker was asked
    assert {path: row["text"] for path, row in rows(workspace).items()} == wanted
    assert {hit.path.partition("/")[0] for hit in search(workspace, "Filling", k=50)} == {"moved"}
    check_counters(workspace)


@pytest.mark.changes_files
def test_a_file_with_the_size_and_time_of_another_is_not_taken_for_it(source: Path, workspace: Path) -> None:
    known = source / "notes.txt"
    stamp = known.stat()
    other = source / "other.txt"
    other.write_bytes(b"quokka" + known.read_bytes()[6:])
    os.utime(other, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    shutil.copy2(known, source / "copy.txt")
    shutil.copy2(known, source / "copy.md")  # another ending: it may be read differently
    run_once(source, workspace)
    exported = rows(workspace)
    assert exported["other.txt"]["text"].startswith("quokka")
    assert exported["copy.txt"]["text"] == exported["notes.txt"]["text"]
    assert exported["copy.md"]["media_type"] == "text/markdown"


@pytest.mark.changes_files
def test_a_file_that_becomes_another_without_a_new_stamp_does_not_change_the_past(
    source: Path, workspace: Path
) -> None:
    before = rows(workspace)["notes.txt"]
    with Reader(workspace) as reader:
        head = reader.status().head
    path = source / "notes.txt"
    stamp = path.stat()
    path.write_bytes(b"quokka" + path.read_bytes()[6:])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    run_once(source, workspace, settings={"clean": {"max_chars": 50_000}})
    assert rows(workspace)["notes.txt"]["text"].startswith("quokka")
    check_counters(workspace)
    carry_out(workspace, roll_back_to_checkpoint(head))
    from tui_scraper.engine.export import export

    export(workspace, workspace / "again")
    shutil.rmtree(workspace / "export")
    (workspace / "again").rename(workspace / "export")
    assert rows(workspace)["notes.txt"] == before
    check_counters(workspace)


def test_a_preview_says_what_becomes_pending_and_changes_nothing(source: Path, workspace: Path) -> None:
    before = view(workspace)
    with Reader(workspace) as reader:
        counts = reader.status().counts
    shown = preview(workspace, PhaseName.CHUNK, Settings())
    assert shown.before == counts
    assert shown.after.pending == counts.done
    assert shown.hidden == {PhaseName.CLASSIFY: counts.done, PhaseName.INDEX: counts.done}
    assert shown.cached == shown.hidden
    assert (shown.redo_tokens, shown.redo_nano_usd, shown.waiting) == (0, 0, ())
    assert preview(workspace, PhaseName.CHUNK, Settings(), fresh=True).cached == {}
    wanted = Settings.model_validate(SMALL)
    (first, *_rest) = preview(workspace, PhaseName.CHUNK, wanted).if_accepted
    assert first.startswith(f"chunk.max_tokens changed (512 → 64): {counts.done} documents re-chunked")
    assert view(workspace) == before
    carry_out(workspace, roll_back_to_phase(PhaseName.CHUNK))
    with Reader(workspace) as reader:
        assert reader.status().counts == shown.after
    assert preview_undo(workspace, Settings()).after == counts
    run_once(source, workspace)


def test_what_cannot_be_gone_back_to_is_a_sentence(workspace: Path) -> None:
    for word in ("4711", "nothing", "0", "٣"):
        with pytest.raises(UsageError, match="There is no checkpoint"):
            find_target(workspace, word)
    with pytest.raises(UsageError, match="nothing to undo"):
        carry_out(workspace, undo())
    with pytest.raises(UsageError, match="nothing to undo"):
        preview_undo(workspace, Settings())


def test_names_are_unique_and_cannot_be_taken_for_something_else(workspace: Path) -> None:
    carry_out(workspace, name_checkpoint(2, "before labels", "a remark"))
    assert find_target(workspace, "before labels") == 2
    for name in ("before labels", "7", "clean", " x", "a\nb", "x" * 101):
        with pytest.raises(UsageError):
            carry_out(workspace, name_checkpoint(3, name))
    carry_out(workspace, name_checkpoint(2, "before labels"), name_checkpoint(2, ""))
    with Reader(workspace) as reader:
        assert (reader.checkpoint("2").checkpoint.name, reader.checkpoint("2").checkpoint.note) == (
            None,
            "a remark",
        )


def test_history_is_thinned_for_display_and_never_lost(workspace: Path) -> None:
    from tui_scraper.engine.store.checkpoints import take_checkpoint

    carry_out(workspace, *[take_checkpoint(PhaseName.CLEAN) for _ in range(200)])
    carry_out(workspace, name_checkpoint(50, "kept"))
    state = open_state(workspace, read_only=True)
    try:
        state_head = read_head(state).checkpoint
        shown = thinned(state)
        everything = [row[0] for row in state.execute("SELECT id FROM checkpoint ORDER BY id")]
        assert all(read_point(state, identifier) is not None for identifier in everything)
    finally:
        state.close()
    assert shown == sorted(shown)
    assert {50, state_head, *everything[-20:]} <= set(shown)
    assert len(shown) < 40 < len(everything)
    with Reader(workspace) as reader:
        assert [point.id for point in reader.checkpoints()] == shown
        assert [point.id for point in reader.checkpoints(everything=True)] == everything


def test_a_long_life_is_shown_in_few_lines(workspace: Path) -> None:
    """Two months with a pass every ten minutes, as `watch` makes them, and one move long ago."""
    carry_out(workspace, roll_back_to_checkpoint(3))
    connection = connect(workspace / "state.db")
    passes, months = 8_640, 60 * 86_400.0
    with connection:
        row = connection.execute("SELECT * FROM checkpoint WHERE id = 1").fetchall()[0]
        names = [name for name, _kind in connection.execute("SELECT * FROM checkpoint").get_description()]
        time_at, run_at, phase_at = (names.index(name) for name in ("time", "run", "phase"))
        made = []
        for number in range(passes):
            for phase in range(6):
                values = list(row)
                values[0] = 1_000 + number * 6 + phase
                values[time_at] = row[time_at] - months * number / passes
                values[run_at], values[phase_at] = 10 + passes - number, phase
                made.append(values)
        marks = ",".join("?" * len(names))
        connection.executemany(f"INSERT INTO checkpoint VALUES({marks})", made)
    shown = thinned(connection, now=row[time_at])
    connection.close()
    assert {3, 6} <= set(shown)  # where the head was moved to, and from
    assert len(shown) < 1_500
    with Reader(workspace) as reader:
        assert len(reader.checkpoints()) < 1_500
        assert len(reader.checkpoints(everything=True)) > 6 * passes


def test_a_hundred_rollbacks_without_work_leave_no_long_chain(workspace: Path) -> None:
    carry_out(workspace, *[roll_back_to_phase(PhaseName.CLEAN) for _ in range(100)])
    state = open_state(workspace, read_only=True)
    try:
        assert len(read_head(state).chain) == 2
    finally:
        state.close()
    check_counters(workspace)


@pytest.mark.changes_files
def test_more_branches_than_an_expression_may_be_deep_are_still_read(source: Path, workspace: Path) -> None:
    wanted = view(workspace)

    def grow(transaction: Any) -> None:
        state, seq = transaction.state, transaction.last_seq
        for branch in range(1, 1_500):
            state.execute("INSERT INTO branch VALUES(?, ?, ?, 5, ?)", (branch + 1, branch, seq, seq))
        state.execute("UPDATE head SET branch = 1500, settled = 0")
        count_anew(state)

    carry_out(workspace, grow)
    assert view(workspace) == wanted
    (source / "new.txt").write_text("A new document about wombats.")
    run_once(source, workspace)
    assert rows(workspace)["new.txt"]["status"] == "done"
    check_counters(workspace)


def test_undo_in_mid_run_drains_it_first(source: Path, workspace: Path) -> None:
    wanted = export_bytes(workspace)
    with running(source, workspace) as run:
        run.complete()
        run.host.roll_back(PhaseName.CLEAN)
        run.wait(lambda now: now.state is RunState.STOPPED, "rollback")
        run.host.resume()
        run.host.undo_rollback()
        run.wait(lambda now: now.state is RunState.STOPPED and now.counts.pending == 0, "undo")
        run.again()
    assert export_bytes(workspace) == wanted
    check_counters(workspace)
