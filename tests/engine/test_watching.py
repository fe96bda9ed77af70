"""Which changes of a folder are told, and when. The system is asked for real: real files, real inotify."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tui_scraper.engine import RunRequest, Settings
from tui_scraper.engine import watching as module
from tui_scraper.engine.errors import FolderUnreachableError
from tui_scraper.engine.watching import Watching
from tui_scraper.engine.workspace import Workspace

DEADLINE_S = 30.0
QUIET_S, MOST_S = 0.25, 2.0
SILENCE_S = 1.2
"""As long as it takes to be told, several times over."""


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_S", QUIET_S)
    monkeypatch.setattr(module, "_GROUP_MS", 50)  # the same part of it as in use
    monkeypatch.setattr(module, "_STEP_MS", 10)
    monkeypatch.setattr(module, "MOST_S", MOST_S)
    monkeypatch.setattr(module, "PRESENCE_S", 0.2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub" / "deep").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt"):
        (folder / name).write_text(f"Document {name}.")
    return folder


@asynccontextmanager
async def watched(
    source: Path, workspace: Path, *, export: Path | None = None, **settings: object
) -> AsyncIterator[Watching]:
    """Somebody who listens to a folder."""
    chosen = Settings.model_validate({"input": settings})
    request = RunRequest(source=source, settings=chosen, workspace=workspace, export_dir=export, watch=True)
    opened = Workspace(workspace, source)
    watching = Watching(opened, request)
    try:
        await watching.listen(chosen.input, known=True)
        yield watching
    finally:
        await watching.close()
        opened.close()


async def told(watching: Watching) -> None:
    """Something is told, and the next listening begins."""
    await asyncio.wait_for(watching.changed(), DEADLINE_S)
    await watching.listen(Settings().input, known=True)


async def is_silent(watching: Watching) -> bool:
    """Whether nothing is told."""
    try:
        await asyncio.wait_for(watching.changed(), SILENCE_S)
    except TimeoutError:
        return True
    return False


def _new(source: Path) -> None:
    (source / "new.txt").write_text("new")


def _new_below(source: Path) -> None:
    (source / "sub" / "deep" / "new.txt").write_text("new")


def _changed(source: Path) -> None:
    (source / "sub" / "c.txt").write_text("changed")


def _gone(source: Path) -> None:
    (source / "a.txt").unlink()


def _renamed(source: Path) -> None:
    (source / "a.txt").rename(source / "sub" / "z.txt")


def _moved_away(source: Path) -> None:
    (source / "a.txt").rename(source.parent / "a.txt")


def _folder_gone(source: Path) -> None:
    shutil.rmtree(source / "sub")


def _folder_moved_in(source: Path) -> None:
    (source.parent / "other").mkdir()
    (source.parent / "other" / "x.txt").write_text("x")
    (source.parent / "other").rename(source / "other")


def _name_is_not_utf8(source: Path) -> None:
    Path(os.fsdecode(os.fsencode(source) + b"/sub/deep/caf\xe9.txt")).write_text("new")


def _may_be_read_again(source: Path) -> None:
    (source / "sub").chmod(0o700)


@pytest.mark.parametrize(
    "change",
    [
        _new,
        _new_below,
        _changed,
        _gone,
        _renamed,
        _moved_away,
        _folder_gone,
        _folder_moved_in,
        _name_is_not_utf8,
        _may_be_read_again,
    ],
)
async def test_a_change_is_told(source: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    async with watched(source, tmp_path / "workspace") as watching:
        assert not watching.limited
        change(source)
        await told(watching)
        assert await is_silent(watching)
        _new(source)  # and it goes on listening
        await told(watching)


async def test_what_is_left_out_of_a_walk_is_not_told(source: Path, tmp_path: Path) -> None:
    (source / ".git").mkdir()
    (source / "drafts").mkdir()
    (source / "built").mkdir()
    (source / ".gitignore").write_text("built/\n*.tmp\n")
    export = source / "out"
    async with watched(
        source,
        source / "workspace",
        export=export,
        exclude=["drafts/", "*.log"],
        include=["*.txt", "*.log"],
        gitignore=True,
    ) as watching:
        (source / ".git" / "index").write_text("x")
        (source / ".a.txt.swp").write_text("x")
        (source / "drafts" / "new.txt").write_text("x")
        (source / "built" / "new.txt").write_text("x")
        (source / "server.log").write_text("x")
        (source / "sub" / "half.tmp").write_text("x")
        (source / "picture.psd").write_text("x")
        (source / "workspace" / "state.db-wal").write_text("x")
        export.mkdir()
        (export / "documents.jsonl").write_text("x")
        (source / "a.txt").read_text()
        assert await is_silent(watching)
        (source / ".gitignore").write_text("built/\n")  # other files are documents now
        await told(watching)


async def test_links_to_folders_are_not_followed(source: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (source / "link").symlink_to(tmp_path / "elsewhere")
    (source / "whole machine").symlink_to("/")
    async with watched(source, tmp_path / "workspace") as watching:
        (tmp_path / "elsewhere" / "new.txt").write_text("x")
        assert await is_silent(watching)


async def test_a_folder_that_is_made_anew_under_its_name_is_listened_to(source: Path, tmp_path: Path) -> None:
    async with watched(source, tmp_path / "workspace") as watching:
        for _ in range(3):
            shutil.rmtree(source / "sub")
            (source / "sub").mkdir()
            await told(watching)
            assert await is_silent(watching)
            (source / "sub" / "new.txt").write_text("x")
            await told(watching)


async def test_changes_while_nobody_waits_are_told_at_once(source: Path, tmp_path: Path) -> None:
    async with watched(source, tmp_path / "workspace") as watching:
        _changed(source)
        await asyncio.sleep(SILENCE_S)
        await asyncio.wait_for(watching.changed(), QUIET_S + 5)


async def test_changes_that_follow_each_other_are_told_together(source: Path, tmp_path: Path) -> None:
    async with watched(source, tmp_path / "workspace") as watching:
        waiting = asyncio.ensure_future(watching.changed())
        for number in range(20):
            (source / f"{number}.txt").write_text("x")
            await asyncio.sleep(QUIET_S / 10)
        await asyncio.wait_for(waiting, DEADLINE_S)
        await watching.listen(Settings().input, known=True)
        assert await is_silent(watching)


@pytest.mark.parametrize("pause_s", [0.02, 0.1])
async def test_rest_is_not_seen_while_new_files_keep_coming(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause_s: float
) -> None:
    """However fast they come: with the waiting time that is in use, over several of the system's reports."""
    monkeypatch.undo()
    async with watched(source, tmp_path / "workspace") as watching:
        waiting = asyncio.ensure_future(watching.changed())
        began = written = time.monotonic()
        number, longest_s = 0, 0.0
        while time.monotonic() - began < 2.5 * module.QUIET_S:
            (source / f"{(number := number + 1)}.txt").write_text("x")
            await asyncio.sleep(pause_s)
            longest_s = max(longest_s, time.monotonic() - written)
            written = time.monotonic()
            # else this machine had other things to do
            assert not waiting.done() or longest_s > module.QUIET_S / 3
        await asyncio.wait_for(waiting, DEADLINE_S)


async def test_changes_that_never_stop_are_told_all_the_same(source: Path, tmp_path: Path) -> None:
    async with watched(source, tmp_path / "workspace") as watching:
        began = written = time.monotonic()
        longest_s = 0.0
        waiting = asyncio.ensure_future(watching.changed())
        while not waiting.done():
            with open(source / "a.txt", "a") as file:
                file.write("x")
            await asyncio.sleep(QUIET_S / 20)
            longest_s = max(longest_s, time.monotonic() - written)
            written = time.monotonic()
            assert written - began < DEADLINE_S
        # else this machine had other things to do
        assert time.monotonic() - began > MOST_S - QUIET_S or longest_s > QUIET_S / 3


async def test_a_change_at_the_very_moment_is_not_waited_for_anew(source: Path, tmp_path: Path) -> None:
    async with watched(source, tmp_path / "workspace") as watching:
        waiting = asyncio.ensure_future(watching.changed())
        began = time.monotonic()
        while not waiting.done():  # at every turn of the loop, so also at the one at which time is up
            watching._tell(renew=False)
            await asyncio.sleep(0)
            assert time.monotonic() - began < DEADLINE_S


@pytest.mark.parametrize("how", ["gone", "empty", "a file"])
async def test_a_folder_that_is_taken_away_is_waited_for(source: Path, tmp_path: Path, how: str) -> None:
    async with watched(source, tmp_path / "workspace") as watching:
        source.rename(tmp_path / "away")
        if how == "empty":
            source.mkdir()
        elif how == "a file":
            source.write_text("x")
        await asyncio.wait_for(watching.changed(), DEADLINE_S)
        for _ in range(2):  # and again, when it was looked at in between
            with pytest.raises(FolderUnreachableError, match="Nothing is marked as gone"):
                await watching.listen(Settings().input, known=True)
            assert await is_silent(watching)
        if how == "empty":
            source.rmdir()
        elif how == "a file":
            source.unlink()
        (tmp_path / "away").rename(source)
        await told(watching)
        _changed(source)
        await told(watching)


async def test_an_unmounted_disk_is_waited_for(source: Path, tmp_path: Path) -> None:
    """Nobody tells of it: the folder is another one, or another one again."""
    async with watched(source, tmp_path / "workspace") as watching:
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "e.txt").write_text("another disk")
        source.rename(tmp_path / "away")
        (tmp_path / "other").rename(source)
        await told(watching)
        (source / "e.txt").write_text("changed there")
        await told(watching)


async def test_a_folder_without_documents_so_far_is_listened_to(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    settings = Settings()
    workspace = Workspace(tmp_path / "workspace", tmp_path / "source")
    watching = Watching(workspace, RunRequest(tmp_path / "source", settings, tmp_path / "workspace"))
    with contextlib.closing(workspace):
        await watching.listen(settings.input, known=False)
        assert await is_silent(watching)
        _new(tmp_path / "source")
        await told(watching)
        await watching.close()


async def test_folders_that_come_and_go_while_they_are_listed_end_in_listening(
    source: Path, tmp_path: Path
) -> None:
    """Whatever happens between listing and listening, the last change of all is told."""
    for round_number in range(2):
        async with watched(source, tmp_path / f"workspace{round_number}") as watching:
            churn = subprocess.Popen(
                ["sh", "-c", f"cd {source}; for i in $(seq 100); do mkdir -p n$i/m; rm -rf n$((i-2)); done"]
            )
            while churn.poll() is None:
                await watching.listen(Settings().input, known=True)
            await watching.listen(Settings().input, known=True)
            while not await is_silent(watching):
                await watching.listen(Settings().input, known=True)
            (source / "n100" / "m" / "last.txt").write_text("x")
            await told(watching)


async def test_names_that_are_not_utf8_are_looked_at_now_and_then_and_hinder_no_other(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Path(os.fsdecode(os.fsencode(source) + b"/caf\xe9.txt"))
    odd.write_text("odd")
    async with watched(source, tmp_path / "workspace") as watching:
        assert "1 folder has names that are not UTF-8" in watching.limited
        assert "every 60 s" in watching.limited
        odd.read_text()
        assert await is_silent(watching)
        _changed(source)
        await told(watching)
        with monkeypatch.context() as hurry:
            hurry.setattr(module, "LOOK_AGAIN_S", 0.5)
            await asyncio.wait_for(watching.changed(), DEADLINE_S)
        odd.unlink()
        await watching.listen(Settings().input, known=True)
        assert not watching.limited
        _new(source)
        await told(watching)


async def test_a_folder_that_cannot_be_named_is_looked_at_now_and_then(tmp_path: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("x")
    async with watched(source, tmp_path / "workspace") as watching:
        assert "2 folders have names that are not UTF-8" in watching.limited
        assert await is_silent(watching)


async def test_a_network_file_system_is_looked_at_by_itself(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "network_file_system", lambda _folder: "nfs4")
    async with watched(source, tmp_path / "workspace") as watching:
        assert "network file system (nfs4)" in watching.limited
        assert "every 60 s" in watching.limited


async def test_it_is_looked_at_when_somebody_wants_that(source: Path, tmp_path: Path) -> None:
    async with watched(source, tmp_path / "workspace") as watching:
        await asyncio.wait_for(watching.changed(0.1), DEADLINE_S)
