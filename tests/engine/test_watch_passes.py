"""An engine that watches: changes are taken up by themselves, all of them, and by few passes."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.running import (
    DEADLINE_S,
    Running,
    check_counters,
    export_bytes,
    rows,
    run_once,
    running,
    table,
)
from tui_scraper.engine import PassFinished, Reader, RunPaused, RunResumed, RunState, Settings
from tui_scraper.engine import watching as module
from tui_scraper.engine.phases.input import Walk
from tui_scraper.engine.scanning import Scan
from tui_scraper.engine.search.query import search
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.workspace import Workspace

QUIET_S = 0.3


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_S", QUIET_S)
    monkeypatch.setattr(module, "PRESENCE_S", 0.2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "c.txt", "sub/d.txt"):
        (folder / name).write_text(f"Document {name} about zebras.")
    return folder


class Watched:
    """A running engine, and the passes it has told of."""

    def __init__(self, run: Running, workspace: Path) -> None:
        self.run = run
        self.workspace = workspace
        self.passes: list[PassFinished] = []
        self.events: list[object] = []

    def look(self) -> None:
        while not self.run.events.empty():
            event = self.run.events.get()
            self.events.append(event)
            if isinstance(event, PassFinished):
                self.passes.append(event)

    def until(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            self.look()
            if reached():
                return
            state = self.run.host.snapshot().state
            assert state is not RunState.FAILED, self.run.host.error
            assert time.monotonic() < deadline, f"{what}: {state}, {len(self.passes)} passes"
            time.sleep(0.02)

    def until_passes(self, number: int) -> None:
        self.until(lambda: len(self.passes) >= number, f"{number} passes")

    def until_held(self, folder: Path) -> None:
        """Until the export holds what the folder holds, and nothing else is under way."""

        def holds() -> bool:
            if self.run.host.snapshot().state is not RunState.WATCHING:
                return False
            return self.exported() == on_disk(folder)

        self.until(holds, "what the folder holds in the export")

    def exported(self) -> dict[str, str]:
        try:
            return {path: row["text"] or "" for path, row in rows(self.workspace).items()}
        except (OSError, ValueError):  # it is being exchanged
            return {}

    def rests(self, seconds: float = 2.0) -> bool:
        """Whether no pass begins for a while."""
        still = {RunState.WATCHING, RunState.PAUSED, RunState.STOPPED}
        self.until(lambda: self.run.host.snapshot().state in still, "end of the pass")
        before = self.run.host.snapshot()
        time.sleep(seconds)
        return self.run.host.snapshot() is before


def on_disk(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text().strip()
        for path in sorted(folder.rglob("*.txt"))
        if path.is_file()
    }


@contextmanager
def watched(source: Path, workspace: Path, **options: Any) -> Iterator[Watched]:
    """An engine that watches, after its first pass."""
    with running(source, workspace, watch=True, **options) as run:
        it = Watched(run, workspace)
        it.until_passes(1)
        yield it


def test_new_changed_renamed_and_vanished_files_are_taken_up_by_themselves(
    source: Path, tmp_path: Path
) -> None:
    with watched(source, tmp_path / "workspace") as it:
        it.run.wait(lambda now: now.state is RunState.WATCHING, "watching")
        assert it.passes[0].snapshot.counts.done == 4
        (source / "new.txt").write_text("A new one about wombats.")
        (source / "a.txt").write_text("Changed: about capybaras now.")
        (source / "b.txt").rename(source / "sub" / "b.txt")
        (source / "c.txt").unlink()
        it.until_held(source)
        assert it.rests()
        it.look()
        taken = it.passes[1:]
        assert sum(one.changed for one in taken) == 1
        assert sum(one.new - one.moved for one in taken) == 1
        assert sum(one.gone - one.moved for one in taken) == 1
        assert sum(one.moved for one in taken) == 1
        assert len(taken) <= 2
        assert [hit.path for hit in search(tmp_path / "workspace", "wombats")] == ["new.txt"]
        assert [hit.path for hit in search(tmp_path / "workspace", "capybaras")] == ["a.txt"]
        (source / "made" / "later").mkdir(parents=True)
        (source / "made" / "later" / "e.txt").write_text("In a folder that was not there before.")
        it.until_held(source)
        (source / "made" / "later" / "e.txt").write_text("And changed in it.")
        it.until_held(source)
    check_counters(tmp_path / "workspace")
    run_once(source, tmp_path / "fresh")
    assert export_bytes(tmp_path / "workspace") == export_bytes(tmp_path / "fresh")


def _processes_of_the_pool() -> list[psutil.Process]:
    """Zygotes, of which each leads a session, and what they have forked."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if os.getsid(process.pid) not in (os.getsid(0), 0)]


def test_a_burst_of_files_is_taken_up_by_few_passes_and_no_process_stays(
    source: Path, tmp_path: Path
) -> None:
    with watched(source, tmp_path / "workspace") as it:
        for number in range(200):
            (source / f"{number:03}.txt").write_text(f"Burst {number}.")
        it.until_held(source)
        assert it.rests()
        it.look()
        assert 2 <= len(it.passes) <= 4
        assert it.passes[-1].snapshot.counts.done == 204
        assert not _processes_of_the_pool()


def test_a_change_during_a_pass_leads_to_one_more_pass(source: Path, tmp_path: Path) -> None:
    with watched(source, tmp_path / "workspace") as it:
        for number in range(300):
            (source / f"{number:03}.txt").write_text(f"Document {number}.")
        it.run.wait(lambda now: now.state is RunState.RUNNING, "pass that has scanned")
        (source / "late.txt").write_text("This came during the pass.")
        it.until_held(source)
        assert it.rests()
        it.look()
        assert len(it.passes) == 3
        assert (it.passes[2].new, it.passes[2].snapshot.counts.done) == (1, 305)


def test_what_the_passes_write_inside_the_folder_leads_to_no_pass(source: Path) -> None:
    workspace = source / "kept" / "workspace"
    with watched(source, workspace, export_dir=source / "out") as it:
        assert it.rests()
        (source / "a.txt").write_text("One change.")
        it.until_passes(2)
        assert it.rests()
        for folder in (workspace, source / "out"):
            (folder / "note.txt").write_text("Nobody asked for this.")
        (source / ".hidden.txt").write_text("Nor for this.")
        assert it.rests()
        it.look()
        assert len(it.passes) == 2
        assert it.passes[1].snapshot.counts.found == 4


def test_whatever_happens_to_a_folder_in_the_end_the_export_holds_what_it_holds(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "first.txt").write_text("First.")
    stop = threading.Event()

    def churn() -> None:
        rng = random.Random(7)
        for number in range(10**6):
            if stop.is_set():
                return
            folders = [source, *(path for path in source.iterdir() if path.is_dir())]
            files = [path for path in source.rglob("*.txt") if path.is_file()]
            match rng.randrange(6):
                case 0:
                    (source / f"folder{rng.randrange(4)}" / f"below{rng.randrange(2)}").mkdir(
                        parents=True, exist_ok=True
                    )
                case 1 if len(folders) > 1:
                    shutil.rmtree(rng.choice(folders[1:]))
                case 2 if files:
                    rng.choice(files).unlink()
                case 3 if files:
                    rng.choice(files).rename(rng.choice(folders) / f"moved{number}.txt")
                case 4 if len(folders) > 1:
                    chosen = rng.choice(folders[1:])
                    below = [chosen, *(path for path in chosen.iterdir() if path.is_dir())]
                    (rng.choice(below) / f"{rng.randrange(9)}.txt").write_text(f"Number {number}.")
                case _:
                    (source / f"{rng.randrange(9)}.txt").write_text(f"Number {number}.")
            time.sleep(rng.random() * 0.1)

    with watched(source, tmp_path / "workspace") as it:
        thread = threading.Thread(target=churn)
        thread.start()
        it.until_passes(4)
        stop.set()
        thread.join()
        (source / "last.txt").write_text("Last.")
        it.until_held(source)
        assert it.rests()
    check_counters(tmp_path / "workspace")


@pytest.mark.parametrize("empty", [False, True])
def test_a_folder_that_is_taken_away_pauses_and_nothing_is_gone(
    source: Path, tmp_path: Path, empty: bool
) -> None:
    workspace = tmp_path / "workspace"
    with watched(source, workspace) as it:
        held = it.exported()
        source.rename(tmp_path / "away")
        if empty:
            source.mkdir()
        snapshot = it.run.wait(lambda now: now.state is RunState.PAUSED, "pause")
        assert "Nothing is marked as gone" in snapshot.notice
        assert it.rests(1.0)
        it.look()
        assert [type(event) for event in it.events if isinstance(event, RunPaused)] == [RunPaused]
        assert it.exported() == held
        if empty:
            source.rmdir()
        (tmp_path / "away" / "new.txt").write_text("Written while it was away.")
        (tmp_path / "away").rename(source)
        it.until_held(source)
        it.look()
        assert any(isinstance(event, RunResumed) for event in it.events)
        assert it.passes[-1].gone == 0


def test_what_vanished_while_it_was_worked_on_is_tried_again_when_it_is_back(
    source: Path, tmp_path: Path
) -> None:
    with watched(source, tmp_path / "workspace") as it:
        for number in range(400):
            (source / f"{number:03}.txt").write_text(f"Document {number}.")
        it.run.wait(lambda now: now.state is RunState.RUNNING, "pass that has scanned")
        source.rename(tmp_path / "away")
        it.run.wait(lambda now: now.state is RunState.PAUSED, "pause")
        (tmp_path / "away").rename(source)
        it.until_held(source)
        assert it.run.host.snapshot().counts.failed == 0


def test_stopping_ends_the_watching_and_resuming_takes_up_what_has_changed_since(
    source: Path, tmp_path: Path
) -> None:
    with watched(source, tmp_path / "workspace") as it:
        it.run.host.stop()
        it.run.wait(lambda now: now.state is RunState.STOPPED, "stop")
        (source / "new.txt").write_text("Written while nobody watched.")
        assert it.rests()
        it.run.host.resume()
        it.until_held(source)
        (source / "newer.txt").write_text("And watched for again.")
        it.until_held(source)
    with Reader(tmp_path / "workspace") as reader:
        assert reader.status(locked=False).state == "complete"


def test_a_retry_while_watching_is_a_pass_and_the_watching_goes_on(source: Path, tmp_path: Path) -> None:
    (source / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    with watched(source, tmp_path / "workspace") as it:
        it.run.host.retry()
        it.until_passes(2)
        assert it.passes[1].snapshot.counts.failed == 1
        (source / "new.txt").write_text("A new one.")
        it.until_passes(3)
        assert it.passes[2].new == 1


def test_a_pass_without_being_told_finds_what_was_not_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 1.0)
    odd = Path(os.fsdecode(os.fsencode(source / "sub") + b"/caf\xe9.txt"))
    odd.write_text("In a folder that cannot be watched.")
    with watched(source, tmp_path / "workspace") as it:
        assert "1 folder has names that are not UTF-8" in "".join(
            line.text for line in it.run.host.snapshot().log
        )
        (source / "sub" / "new.txt").write_text("Not told, but found.")
        it.until(lambda: "sub/new.txt" in it.exported(), "the new file")


def test_a_folder_that_is_exchanged_during_its_scan_marks_nothing_as_gone(
    source: Path, tmp_path: Path
) -> None:
    for number in range(600):
        (source / f"{number:03}.txt").write_text("x")
    workspace = tmp_path / "workspace"
    run_once(source, workspace, through="input")
    said: list[str] = []

    def exchange() -> bool:
        if source.exists() and not (tmp_path / "away").exists():
            source.rename(tmp_path / "away")
            source.mkdir()
            (source / "other.txt").write_text("x")
        return False

    held = Workspace(workspace, source)
    state = open_state(workspace, read_only=True)
    try:
        number = table(workspace, "SELECT max(id) FROM scan")[0][0]
        walk = Walk(os.fsencode(source), Settings().input, warn=said.append)
        tally = Scan(number, walk, Settings().input, held.writer, state, lambda: None, exchange).run()
    finally:
        state.close()
        held.close()
    assert tally.gone == 0
    assert "taken away or replaced" in said[-1]
