"""Pause, stop, retry and rollback: whatever is done in between, the end is that of an undisturbed run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.corpus import prose, write_corpus
from tests.engine.running import (
    check_counters,
    export_bytes,
    results_by_phase,
    rows,
    run_once,
    running,
    table,
)
from tests.plugins import write_plugin
from tui_scraper.commands.changing import change
from tui_scraper.control import ControlServer, EndedError, ask
from tui_scraper.engine import (
    Cause,
    CheckpointTaken,
    Event,
    PhaseName,
    RunRequest,
    RunSnapshot,
    RunState,
    Settings,
    UsageError,
)
from tui_scraper.engine.engine import Engine, Retried
from tui_scraper.engine.errors import StoreClosedError
from tui_scraper.engine.search.query import search
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.store.setbacks import put_back
from tui_scraper.engine.workspace import Workspace, locked
from tui_scraper.engine_host import EngineHost, _Session


class Prepared:
    """A folder, and the export of an undisturbed run over it."""

    def __init__(self, base: Path) -> None:
        self.source = base / "source"
        write_corpus(self.source, filling=0)
        rng = random.Random(7)
        for number in range(160):
            (self.source / f"slow-{number:03}.md").write_text(f"# Number {number}\n\n{prose(rng, 80)}")
        run_once(self.source, base / "undisturbed", settings=SMALL_STEPS)
        self.export = export_bytes(base / "undisturbed")


SMALL_STEPS: dict[str, dict[str, object]] = {"engine": {"checkpoint_every_docs": 20, "checkpoint_every_s": 0}}


SLOW = """
import time
from tui_scraper.engine.extract.base import Format, hookimpl
from tui_scraper.engine.extract.plain.text import extract_markdown


def slow(data, media_type, settings):
    time.sleep(0.02)
    return extract_markdown(data, media_type, settings)


@hookimpl
def tui_scraper_formats():
    return [Format("slow Markdown", ("text/markdown",), slow)]
"""
"""Makes workers take a fiftieth of a second for each Markdown file, so that there is a middle to act in."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def prepared(
    undisturbed: Prepared, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Prepared:
    folder = tmp_path_factory.mktemp("slow")
    monkeypatch.setenv("PYTHONPATH", str(write_plugin(folder, "slow_markdown", SLOW)), prepend=os.pathsep)
    return undisturbed


def test_pause_takes_up_nothing_and_resume_goes_on(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared.source, tmp_path, settings={"engine": {"workers": 1}}) as run:
        run.wait(lambda now: now.phases[1].done > 5, "first results")
        run.host.pause()
        run.wait(lambda now: now.state is RunState.PAUSED, "pause")
        quiet_since, last = time.monotonic(), -1
        while time.monotonic() - quiet_since < 0.8:  # what was in hand is finished, then nothing moves
            reached = run.host.snapshot().phases[1].done
            if reached != last:
                quiet_since, last = time.monotonic(), reached
            time.sleep(0.01)
        assert run.host.snapshot().state is RunState.PAUSED
        assert run.host.snapshot().counts.pending > 0
        run.host.resume()
        run.complete()
    assert export_bytes(tmp_path) == prepared.export


@pytest.mark.parametrize(
    ("documents", "seconds", "some"),
    [(5, 3_600, True), (1_000_000, 0, True), (1_000_000, 3_600, False)],
    ids=["after documents", "after seconds", "neither"],
)
def test_checkpoints_come_after_so_many_documents_or_so_many_seconds(
    prepared: Prepared, tmp_path: Path, documents: int, seconds: float, some: bool
) -> None:
    cadence = {"workers": 1, "checkpoint_every_docs": documents, "checkpoint_every_s": seconds}
    with running(prepared.source, tmp_path, settings={"engine": cadence}) as run:
        if some:
            run.wait(lambda now: now.checkpoint > 0 and now.counts.pending > 0, "a checkpoint on the way")
        run.complete()
    (number,) = table(tmp_path, "SELECT count(*) FROM checkpoint")
    assert (number[0] > 6) is some  # six at the ends of the phases


def test_stop_and_resume_many_times(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared.source, tmp_path, settings=SMALL_STEPS) as run:
        stops = 0
        while True:
            before = run.host.snapshot().counts.done + run.host.snapshot().phases[3].done
            now = run.wait(
                lambda now, before=before: (
                    now.state is RunState.COMPLETE or now.phases[3].done + now.counts.done > before + 15
                ),
                "progress",
            )
            if now.state is RunState.COMPLETE or stops == 4:
                break
            run.host.stop()
            ended = run.wait_for_end()
            check_counters(tmp_path)
            if ended.state is RunState.COMPLETE:
                break
            stops += 1
            run.host.resume()
            run.wait(lambda now, ended=ended: now.started != ended.started, "next pass")
        run.complete()
    assert stops >= 1
    assert export_bytes(tmp_path) == prepared.export
    made = table(
        tmp_path, "SELECT count(*), count(DISTINCT version) FROM result WHERE phase = 1 AND status = 1"
    )
    assert made[0][0] == made[0][1], "what was committed before a stop was made again"
    check_counters(tmp_path)


def test_stop_during_the_scan_and_right_at_the_start(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared.source, tmp_path) as run:
        run.wait(lambda now: bool(now.workspace), "opening")
        run.host.stop()
        run.host.pause()
        run.wait(lambda now: now.state in {RunState.STOPPED, RunState.COMPLETE, RunState.PAUSED}, "stop")
    run_once(prepared.source, tmp_path)
    assert export_bytes(tmp_path) == prepared.export


def test_close_in_mid_run_ends_in_time_and_loses_nothing(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared.source, tmp_path) as run:
        run.wait(lambda now: now.phases[1].done > 5, "first results")
        started = time.monotonic()
        assert run.host.close(3.0)
        assert time.monotonic() - started < 3
    run_once(prepared.source, tmp_path)
    assert export_bytes(tmp_path) == prepared.export


def test_resume_while_it_is_stopping_is_not_lost(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared.source, tmp_path) as run:
        run.wait(lambda now: now.phases[1].done > 5, "first results")
        run.host.stop()
        run.host.resume()
        run.wait(lambda now: now.state is RunState.COMPLETE, "completion")
    assert export_bytes(tmp_path) == prepared.export


# --- retry ----------------------------------------------------------------------------------------


@pytest.fixture
def failing(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with some broken documents, and the workspace of a run over it."""
    source = tmp_path / "source"
    write_corpus(source, filling=2)
    for number in range(3):
        (source / f"bad-{number}.pdf").write_bytes(b"%PDF-1.4 broken " + bytes([number]))
    run_once(source, tmp_path / "workspace")
    return source, tmp_path / "workspace"


def attempts(workspace: Path) -> dict[str, int]:
    with Reader(workspace) as reader:
        return {row.path: row.attempts for row in reader.all_failures()}


def test_retry_of_one_of_a_cause_and_of_all_that_failed(failing: tuple[Path, Path]) -> None:
    source, workspace = failing
    wanted = export_bytes(workspace)
    with Reader(workspace) as reader:
        version = {row.path: row.version for row in reader.all_failures()}
    with running(source, workspace) as run:
        run.complete()

        def retry_and_wait(attempted: dict[str, int], **what: object) -> None:
            before = run.host.snapshot()
            run.host.retry(**what)  # type: ignore[arg-type]
            run.wait(lambda now: now.started != before.started and now.state is RunState.COMPLETE, "retry")
            assert attempts(workspace) == attempted

        base = dict.fromkeys(
            ["broken.pdf", "bad-0.pdf", "bad-1.pdf", "bad-2.pdf", "empty.txt", "picture.psd"], 1
        )
        retry_and_wait(base | {"bad-1.pdf": 2}, version=version["bad-1.pdf"])
        retry_and_wait(base | {"bad-1.pdf": 2, "empty.txt": 2}, cause=Cause.NO_TEXT)
        failed = {"broken.pdf": 2, "bad-0.pdf": 2, "bad-1.pdf": 3, "bad-2.pdf": 2}
        retry_and_wait(base | {"empty.txt": 2} | failed)
        retry_and_wait(base | {"empty.txt": 2, "picture.psd": 2} | failed, version=version["picture.psd"])
        retry_and_wait(base | {"empty.txt": 2, "picture.psd": 2} | failed, phase=PhaseName.CHUNK)
    assert export_bytes(workspace) == wanted
    check_counters(workspace)


def test_a_document_that_was_mended_without_a_new_time_stamp_is_done_after_a_retry(
    failing: tuple[Path, Path],
) -> None:
    source, workspace = failing
    path = source / "empty.txt"
    stamp = path.stat().st_mtime_ns
    path.write_text("now there is text in it, of a numbat")
    os.utime(path, ns=(stamp, stamp))
    run_once(source, workspace)
    assert rows(workspace)["empty.txt"]["status"] == "done"
    check_counters(workspace)


def test_retry_in_mid_run_is_never_lost(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared.source, tmp_path, settings=SMALL_STEPS) as run:
        asked = 0
        last: list[float] = []
        while run.host.snapshot().state is not RunState.COMPLETE:
            snapshot = run.host.snapshot()
            if snapshot.counts.failed:
                run.host.retry()
                asked += 1
                last.append(snapshot.started)
            time.sleep(0.02)
            if asked > 400:
                break
        run.wait(lambda now: now.state is RunState.COMPLETE and now.counts.pending == 0, "everything done")
    assert asked > 3
    assert export_bytes(tmp_path) == prepared.export
    check_counters(tmp_path)


def test_a_retry_while_the_export_is_written_is_worked_on_before_the_engine_leaves(
    failing: tuple[Path, Path], tmp_path: Path
) -> None:
    """What has begun the engine leaves when its run is complete: a retry that came last is not forgotten."""
    source, _workspace = failing
    host: EngineHost
    retried: list[float] = []

    def emit(event: Event) -> None:
        if isinstance(event, CheckpointTaken) and event.phase is PhaseName.OUTPUT and not retried:
            retried.append(event.time)
            host.retry()

    host = EngineHost(emit)
    host.start(RunRequest(source, Settings(), workspace=tmp_path / "other"))
    until = time.monotonic() + 60
    while host.snapshot().state is not RunState.COMPLETE or not host.leave(20):
        assert time.monotonic() < until, (host.snapshot(), host.error)
        time.sleep(0.002)
    assert host.close(20)
    assert retried
    assert host.error is None
    assert host.snapshot().counts.pending == 0
    assert host.snapshot().counts.failed == 4
    assert attempts(tmp_path / "other")["broken.pdf"] == 2


def test_a_retry_after_the_engine_has_begun_to_leave_does_not_say_that_it_is_worked_on(
    failing: tuple[Path, Path],
) -> None:
    source, workspace = failing

    async def late() -> Retried:
        snapshots: list[RunSnapshot] = []
        engine = Engine(RunRequest(source, Settings(), workspace=workspace), snapshots.append)
        serving = asyncio.create_task(engine.serve())
        while not engine.leave():
            await asyncio.sleep(0.002)
        retried = await engine.retry()
        await serving
        return retried

    assert asyncio.run(late()) == Retried(4, worked_on=False)
    with Reader(workspace) as reader:
        assert reader.status().counts.pending == 4
    check_counters(workspace)


def test_what_an_ending_engine_has_not_begun_with_is_done_here(failing: tuple[Path, Path]) -> None:
    """It lets go of the workspace in that very moment, so there is nothing that a person had to try again."""
    _source, workspace = failing
    holding = contextlib.ExitStack()
    holding.enter_context(locked(workspace))
    asked: list[object] = []

    def handle(request: dict[str, object], _wanted: object) -> dict[str, object]:
        asked.append(request["command"])
        if len(asked) == 2:
            holding.close()
        raise [CancelledError(), StoreClosedError("closed")][len(asked) % 2]

    server = ControlServer(workspace, handle)
    try:
        count = change(workspace, put_back(), {"command": "retry"}, lambda answer: int(str(answer)))
    finally:
        server.close()
        holding.close()
    assert count == 4
    assert asked == ["retry", "retry"]
    with Reader(workspace) as reader:
        assert reader.status().counts.pending == 4


def test_what_an_ending_engine_has_begun_with_is_told(
    failing: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed as the engine ended must not be called undone, and done again by who asked."""
    source, workspace = failing
    began, closed = threading.Event(), threading.Event()
    truly, close = Engine.retry, Workspace.close

    async def slowly(self: Engine, **which: object) -> Retried:
        retried = await truly(self, **which)  # type: ignore[arg-type]
        began.set()
        while not closed.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        return retried

    def closing(self: Workspace) -> None:
        close(self)
        closed.set()

    monkeypatch.setattr(Engine, "retry", slowly)
    monkeypatch.setattr(Workspace, "close", closing)
    with ThreadPoolExecutor() as threads, running(source, workspace) as run:
        run.complete()
        asking = threads.submit(ask, workspace, {"command": "retry"})
        assert began.wait(20)
        run.host.close(0)
        answer = asking.result(20)
    assert answer is not None
    assert answer["documents"] == 4


def test_a_loop_that_is_closed_before_it_comes_to_a_command_does_not_keep_who_asked(tmp_path: Path) -> None:
    session = _Session(RunRequest(tmp_path, Settings()), None, lambda *_: None, lambda _event: None)

    async def never() -> None:
        raise AssertionError

    closed, stopped = asyncio.new_event_loop(), asyncio.new_event_loop()
    closed.close()
    with pytest.raises(EndedError):
        session._obeyed(never(), closed, lambda: True)
    with ThreadPoolExecutor() as threads:
        asking = threads.submit(session._obeyed, never(), stopped, lambda: True)
        while not session._obeying:
            time.sleep(0.01)
        stopped.close()
        with pytest.raises(EndedError):
            asking.result(20)


def test_a_retry_before_a_stop_does_not_undo_the_stop(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared.source, tmp_path) as run:
        run.wait(lambda now: now.phases[1].done > 5, "first results")
        run.host.retry()
        run.host.stop()
        ended = run.wait_for_end()
        assert ended.state is RunState.STOPPED
        time.sleep(0.3)
        assert run.host.snapshot().state is RunState.STOPPED


# --- rollback -------------------------------------------------------------------------------------


def roll_back(workspace: Path, source: Path, target: PhaseName | int) -> None:
    with running(source, workspace) as run:
        run.complete()
        run.host.roll_back(target)
        run.wait(lambda now: now.state is RunState.STOPPED, "rollback")


@pytest.mark.parametrize("phase", list(PhaseName))
def test_rollback_to_a_phase_and_on_gives_the_same(failing: tuple[Path, Path], phase: PhaseName) -> None:
    source, workspace = failing
    wanted, artifacts = export_bytes(workspace), table(workspace, "SELECT count(*) FROM artifact")
    with Reader(workspace) as reader:
        before = reader.status()
    with running(source, workspace) as run:
        run.complete()
        run.host.roll_back(phase)
        snapshot = run.wait(lambda now: now.state is RunState.STOPPED, "rollback")
        for progress in snapshot.phases[:5]:
            if list(PhaseName).index(progress.name) > list(PhaseName).index(phase):
                assert (progress.done, progress.failed, progress.skipped, progress.empty) == (0, 0, 0, 0)
            else:
                assert progress.done == before.phases[progress.name].get("done", 0)
        with Reader(workspace) as reader:
            assert reader.status().counts == snapshot.counts
        check_counters(workspace)
        if phase not in {PhaseName.INDEX, PhaseName.OUTPUT}:
            assert search(workspace, "axolotl") == []
        assert run.again().counts == before.counts
    assert export_bytes(workspace) == wanted
    assert table(workspace, "SELECT count(*) FROM artifact") == artifacts
    check_counters(workspace)


def test_rollback_to_checkpoints_of_the_middle_and_forward_again(prepared: Prepared, tmp_path: Path) -> None:
    run_once(prepared.source, tmp_path, settings=SMALL_STEPS)
    with Reader(tmp_path) as reader:
        history = reader.checkpoints()
        whole = reader.status()
    middle = [point for point in history if 0 < point.counts["chunk"].get("done", 0) < 160]
    assert middle, "no checkpoint within the run"
    hits = [hit.path for hit in search(tmp_path, "invoice", k=1000)]
    with running(prepared.source, tmp_path, settings=SMALL_STEPS) as run:
        run.complete()
        for point in (middle[0], middle[-1], middle[0]):
            before = run.host.snapshot()
            run.host.roll_back(point.id)
            run.wait(
                lambda now, before=before, wanted=point.id: (
                    now is not before and now.checkpoint == wanted and now.state is RunState.STOPPED
                ),
                "rollback",
            )
            with Reader(tmp_path) as reader:
                status = reader.status()
                assert status.head == point.id
                assert {
                    p: {s: n for s, n in c.items() if n} for p, c in point.counts.items()
                } == status.phases
                assert sum(point.head for point in reader.checkpoints()) == 1
            check_counters(tmp_path)
            found = {hit.path for hit in search(tmp_path, "invoice", k=1000)}
            assert found <= set(hits)
            assert len(found) <= status.counts.done
        last = history[-1]
        run.host.roll_back(last.id)
        run.wait(lambda now: now.checkpoint == last.id and now.state is RunState.STOPPED, "rolling forward")
        with Reader(tmp_path) as reader:
            assert (reader.status().counts, reader.status().phases) == (whole.counts, whole.phases)
        check_counters(tmp_path)
        assert [hit.path for hit in search(tmp_path, "invoice", k=1000)] == hits
        run.host.roll_back(middle[0].id)
        run.wait(lambda now: now.checkpoint == middle[0].id and now.state is RunState.STOPPED, "rollback")
        run.again()
    assert export_bytes(tmp_path) == prepared.export
    check_counters(tmp_path)


def test_rollback_in_mid_run_drains_it_first(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared.source, tmp_path, settings=SMALL_STEPS) as run:
        run.wait(lambda now: now.phases[1].done > 5 and now.checkpoint > 0, "first results")
        run.host.roll_back(PhaseName.CLEAN)
        snapshot = run.wait(lambda now: now.state is RunState.STOPPED and now.phases[2].done == 0, "rollback")
        assert snapshot.phases[1].done > 0
        check_counters(tmp_path)
        run.again()
    assert export_bytes(tmp_path) == prepared.export


def test_rollback_to_before_files_changed_and_on(failing: tuple[Path, Path], tmp_path: Path) -> None:
    source, workspace = failing
    with Reader(workspace) as reader:
        early = reader.checkpoints()[-1]
    (source / "letter.docx").unlink()
    (source / "new.txt").write_text("A new document about wombats.")
    (source / "notes.txt").write_text("Changed: now about capybaras.")
    run_once(source, workspace)
    wanted = export_bytes(workspace)
    with running(source, workspace) as run:
        run.complete()
        run.host.roll_back(early.id)
        snapshot = run.wait(lambda now: now.state is RunState.STOPPED, "rollback")
        assert snapshot.counts.found == sum(early.counts["input"].values())
        assert [hit.path for hit in search(workspace, "axolotl")] == ["letter.docx"]
        assert [hit.path for hit in search(workspace, "zebra")] == ["notes.txt"]
        assert search(workspace, "wombats") == []
        check_counters(workspace)
        run.again()
    check_counters(workspace)
    assert export_bytes(workspace) == wanted
    assert [hit.path for hit in search(workspace, "wombats")] == ["new.txt"]


def test_rollback_to_what_does_not_exist_is_a_sentence_and_changes_nothing(
    failing: tuple[Path, Path],
) -> None:
    source, workspace = failing
    before = results_by_phase(workspace)
    with running(source, workspace) as run:
        run.complete()
        run.host.roll_back(4711)
        run.wait(lambda _now: run.host.error is not None, "sentence")
        assert isinstance(run.host.error, UsageError)
        assert "There is no checkpoint 4711" in str(run.host.error)
        run.again()
    assert results_by_phase(workspace) == before
    check_counters(workspace)


def test_another_folder_can_be_opened_again_and_again(prepared: Prepared, tmp_path: Path) -> None:
    """Also the same one, while the engine before is complete, at work, or only just starting."""
    host = EngineHost()
    for turn in range(6):
        host.start(RunRequest(prepared.source, Settings(), workspace=tmp_path / f"workspace-{turn % 2}"))
        until = time.monotonic() + 30
        while turn % 3 and host.snapshot().state is not RunState.COMPLETE:
            assert time.monotonic() < until, (host.snapshot(), host.error)
            time.sleep(0.01)
    assert host.close(20)
    assert host.error is None
