"""A process that may become the zygote loads what will be needed, when it will be needed."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tui_scraper.engine import PhaseName, Settings, Status
from tui_scraper.engine.store.runs import begin_run, end_run
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.wire import DocumentReply, WorkItem
from tui_scraper.engine.workers import launch
from tui_scraper.engine.workers.expecting import changed_after, is_little, last_complete
from tui_scraper.engine.workers.frames import FromZygote, Ready, ZygoteSettings
from tui_scraper.engine.workers.pool import Pool
from tui_scraper.engine.workspace import Workspace

DEADLINE_S = 60.0
SETTINGS = Settings.model_validate({"classify": {"backend": "rules"}})


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.01)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "below").mkdir(parents=True)
    (folder / "below/letter.txt").write_text("a letter")
    return folder


@pytest.fixture
def workspace(tmp_path: Path, source: Path) -> Path:
    """A workspace in which a run is complete that began after everything in the source was there."""
    directory = tmp_path / "workspace"
    run_once(directory, source, "complete")
    return directory


def run_once(directory: Path, source: Path, ended: str) -> None:
    newest = max(path.stat().st_ctime for path in source.rglob("*"))
    until(lambda: time.time() > newest + 0.05, "a time after the last change")
    workspace = Workspace(directory, source)
    run = workspace.writer.call(begin_run("{}"))
    workspace.writer.call(end_run(run, ended))
    workspace.close()


def since(workspace: Path, source: Path) -> float:
    found = last_complete(source, workspace)
    assert found is not None
    assert found.source == source
    return found.time


def test_nothing_has_changed_since_a_run_that_saw_it_all(source: Path, workspace: Path) -> None:
    assert not any(changed_after(os.fsencode(source), since(workspace, source)))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "below/letter.txt").write_text("another"),
        lambda folder: (folder / "new.txt").write_text("new"),
        lambda folder: (folder / "below/letter.txt").rename(folder / "moved.txt"),
        lambda folder: shutil.copy2(folder / "below/letter.txt", folder / "copy with an old time stamp.txt"),
        lambda folder: os.utime(folder / "below/letter.txt", (1, 1)),
    ],
    ids=["changed", "new", "moved", "copied", "touched"],
)
def test_a_change_is_seen(source: Path, workspace: Path, change: Callable[[Path], object]) -> None:
    change(source)
    assert any(changed_after(os.fsencode(source), since(workspace, source)))


def test_what_the_scan_passes_over_is_no_change(source: Path, workspace: Path, tmp_path: Path) -> None:
    (source / ".hidden").write_text("hidden")
    (source / ".git").mkdir()
    (source / ".git/index").write_text("hidden, too")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("not below the source")
    (source / "link").symlink_to(tmp_path / "elsewhere")
    assert not any(changed_after(os.fsencode(source), since(workspace, source)))
    assert not any(changed_after(os.fsencode(tmp_path / "missing"), 0))


def test_who_is_asked_looks_no_further(source: Path) -> None:
    assert any(changed_after(os.fsencode(source), 0))
    assert not any(changed_after(os.fsencode(source), 0, lambda: True))


def test_what_has_changed_is_little_by_all_of_it(source: Path) -> None:
    assert is_little(10, changed_after(os.fsencode(source), 0))
    assert not is_little(300_000, iter(()))
    (source / "large.txt").write_bytes(bytes(300_000))
    assert not is_little(0, changed_after(os.fsencode(source), 0))
    assert not is_little(10, itertools.repeat(0))


@pytest.mark.parametrize("ended", ["incomplete", "stopped", "failed", "paused"])
def test_only_a_complete_run_is_one_to_go_by(source: Path, workspace: Path, ended: str) -> None:
    assert last_complete(workspace, None) == last_complete(source, workspace)
    run_once(workspace, source, ended)
    assert last_complete(source, workspace) is None
    assert last_complete(workspace, None) is None


def test_without_a_workspace_or_a_run_there_is_none(source: Path, tmp_path: Path) -> None:
    assert last_complete(source, tmp_path / "none") is None
    (tmp_path / "new").mkdir()
    Writer(tmp_path / "new").close()
    assert last_complete(source, tmp_path / "new") is None
    assert last_complete(tmp_path / "new", None) is None


@pytest.fixture
def zygote(source: Path, workspace: Path) -> Iterator[Callable[[], launch.Zygote]]:
    started: list[launch.Zygote] = []

    def start() -> launch.Zygote:
        launch.prewarm(source, workspace)
        started.append(launch.take())
        return started[-1]

    yield start
    for each in started:
        each.control.close()
        each.process.wait(DEADLINE_S)


def has_loaded(zygote: launch.Zygote) -> bool:
    return b"numpy" in Path(f"/proc/{zygote.process.pid}/maps").read_bytes()


def wait_until_idle(zygote: launch.Zygote) -> None:
    """Wait until a process sleeps whenever one looks."""
    seen = 0

    def idle() -> bool:
        nonlocal seen
        state = Path(f"/proc/{zygote.process.pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        seen = seen + 1 if state == b"S" else 0
        return seen > 25

    until(idle, "a process that waits")


def test_where_nothing_has_changed_nothing_is_loaded_until_the_engine_asks(
    zygote: Callable[[], launch.Zygote],
) -> None:
    waiting = zygote()
    wait_until_idle(waiting)
    assert not has_loaded(waiting)
    start = ZygoteSettings(SETTINGS.model_dump_json(), PhaseName.CHUNK, 900_000_000, 20)
    waiting.control.settimeout(DEADLINE_S)
    waiting.control.sendall(msgspec.json.encode(start))
    assert isinstance(msgspec.json.decode(waiting.control.recv(65536), type=FromZygote), Ready)
    assert has_loaded(waiting)


def test_where_something_has_changed_it_is_loaded_at_once(
    zygote: Callable[[], launch.Zygote], source: Path
) -> None:
    (source / "new.txt").write_text("new")
    loading = zygote()
    until(lambda: has_loaded(loading), "a process that loads")


def test_who_waits_ends_with_the_engine(zygote: Callable[[], launch.Zygote]) -> None:
    waiting = zygote()
    waiting.control.close()
    assert waiting.process.wait(DEADLINE_S) == 0


async def run(pool: Pool, folder: Path, texts: list[str]) -> list[DocumentReply]:
    items = []
    for number, text in enumerate(texts, 1):
        path = folder / f"{number}.txt"
        path.write_text(text, encoding="utf-8")
        items.append(WorkItem(number, os.fsencode(path), path.stat().st_size))
    replies: list[DocumentReply] = []
    await asyncio.wait_for(pool.run(items, replies.extend), DEADLINE_S)
    return sorted(replies, key=lambda reply: reply.version)


async def test_more_than_was_expected_gives_the_same_from_workers_that_have_everything(
    source: Path, workspace: Path, tmp_path: Path
) -> None:
    texts = [f"Document {number}: it's naïve. 12345\n\n" * 1_200 for number in range(24)]
    (source / "new.txt").write_text("new")
    seen: list[list[tuple[Status, bytes]]] = []
    workers: list[list[int]] = []
    for expects_little, times in ((True, 3), (False, 1)):
        if expects_little:
            launch.prewarm(source, workspace)
            until(lambda: has_loaded(launch._warm[0]), "a process that has seen how little has changed")
        pool = Pool(1, SETTINGS, PhaseName.CHUNK, readable=(os.fsencode(tmp_path),))
        await pool.start()
        try:
            for _time in range(times):
                replies = await run(pool, tmp_path, texts)
                seen.append([(reply.status, reply.chunk.output) for reply in replies if reply.chunk])
                workers.append(pool.pids[1:])
        finally:
            await pool.close()
    assert len(seen[0]) == len(texts)
    assert seen == [seen[0]] * 4
    assert workers[0] != workers[1] == workers[2], "one for little, then one with everything"
