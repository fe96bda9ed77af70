from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from seeing import screen_text, until, until_text, until_words
from served import IDLE, ServedHost, busy
from stored import Bad, write_failures

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.models import Counts
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.settings import Settings, UiSettings
from tui_scraper.screens.aside import OneAtATime
from tui_scraper.screens.start_words import history_lines, make_plan
from tui_scraper.widgets.text_field import PathField, matching_directories

MakeApp = Callable[..., TuiScraperApp]
NARROW, WIDE = (80, 24), (200, 50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "corpus"
    path.mkdir()
    for number in range(3):
        (path / f"{number}.txt").write_text("hello")
    (path / "a.pdf").write_bytes(b"%PDF" * 500)
    (path / ".hidden").write_text("x")
    (path / "inner").mkdir()
    return path


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_start_shows_what_was_found_and_which_workspace_is_used(
    make_app: MakeApp, folder: Path, size: tuple[int, int]
) -> None:
    async with make_app(IDLE, start=True, source=folder).run_test(size=size) as pilot:
        text = await until_text(
            pilot, "4 files", ".txt", ".pdf", "2.0 KB", "1 ignored", "corpus-", "· new;", "Go"
        )
    assert "enter go" in text
    assert "ctrl+q quit" in text


async def test_enter_in_the_field_begins(make_app: MakeApp, folder: Path) -> None:
    host = ServedHost()
    host.after_start = busy(workspace="/nowhere")
    async with make_app(host=host, start=True, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "4 files")
        await pilot.press("enter")
        await until_text(pilot, "RUNNING", "Phases")
    assert host.calls[0] == ("start", folder, None)


async def test_letters_type_in_the_field_and_esc_leaves_it(make_app: MakeApp, folder: Path) -> None:
    host = ServedHost()
    app = make_app(host=host, start=True, source=folder)
    async with app.run_test(size=WIDE) as pilot:
        await until_text(pilot, "4 files")
        await pilot.press("slash", *"qp1?")
        text = await until_text(pilot, "· no such folder yet")
        assert "✗" not in text
        assert app.screen.query_one(PathField).value == f"{folder}/qp1?"
        await pilot.press("escape", "p")
        await until_text(pilot, "Nothing is running, so there is nothing to pause.", "▸ Go")
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


@pytest.mark.parametrize(
    ("name", "says"),
    [("missing", "there is no such folder."), ("corpus/0.txt", "this is a file, not a folder.")],
)
async def test_a_bad_path_is_a_sentence_and_nothing_begins(
    make_app: MakeApp, folder: Path, tmp_path: Path, name: str, says: str
) -> None:
    host = ServedHost()
    async with make_app(host=host, start=True, source=tmp_path / name).run_test(size=WIDE) as pilot:
        await until_text(pilot, "no such folder yet" if name == "missing" else "this is a file")
        assert "✗" not in screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.press("enter")
        await until_words(pilot, says, "✗")
    assert host.calls == []


async def test_an_engine_that_cannot_start_says_why(make_app: MakeApp, folder: Path) -> None:
    class Refusing(ServedHost):
        def start(self, request: RunRequest) -> None:
            raise UsageError("the workspace would lie on a network file system [nfs].")

    async with make_app(host=Refusing(), start=True, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "4 files")
        await pilot.press("enter")
        await until_text(pilot, "✗ the workspace would lie on a network file system [nfs].")


async def test_tab_completes_a_folder(make_app: MakeApp, folder: Path) -> None:
    async with make_app(IDLE, start=True, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "4 files")
        await pilot.press("slash", "i")
        await until_text(pilot, "inner/")
        await pilot.press("tab")
        field = pilot.app.screen.query_one(PathField)
        await until(pilot, lambda: field.value == f"{folder}/inner/")
        await until_text(pilot, "0 files")


async def test_a_path_longer_than_its_field_hides_nothing_else(make_app: MakeApp, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    async with make_app(IDLE, start=True, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "longlong", "Folder to process", "0 files", "Workspace", "Go")


def test_completions_are_folders_that_can_be_typed(tmp_path: Path) -> None:
    for name in ("one", "only", "two", "on\x1b[31m", ".ones"):
        (tmp_path / name).mkdir()
    (tmp_path / "on-file").write_text("")
    os.mkdir(os.fsencode(tmp_path) + b"/on\xff")
    assert matching_directories(f"{tmp_path}/on") == [f"{tmp_path}/one/", f"{tmp_path}/only/"]
    assert matching_directories(f"{tmp_path}/.o") == [f"{tmp_path}/.ones/"]
    assert matching_directories(f"{tmp_path}/nothing/here") == []


async def test_a_file_system_that_hangs_blocks_no_key(
    make_app: MakeApp, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()
    monkeypatch.setattr("tui_scraper.screens.start.make_plan", lambda *_: never.wait())
    monkeypatch.setattr("tui_scraper.widgets.text_field.matching_directories", lambda _: never.wait())
    app = make_app(IDLE, start=True, source=folder)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("x", "y")
        await until_text(pilot, "counting")
        assert app.screen.query_one(PathField).value == f"{folder}xy"
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)
    assert len([thread for thread in threading.enumerate() if thread.name == "aside"]) <= 6
    never.set()


async def test_pasted_controls_never_reach_the_terminal(make_app: MakeApp, folder: Path) -> None:
    async with make_app(IDLE, start=True, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "4 files")
        field = pilot.app.screen.query_one(PathField)
        field.insert_text_at_cursor("\x1b]52;c;aGk=\x07[/b]")
        await until(pilot, lambda: "]52;c" in screen_text(pilot.app))  # type: ignore[arg-type]
        assert "\x1b" not in screen_text(pilot.app)  # type: ignore[arg-type]


async def test_opening_another_folder_while_one_is_worked_on_asks(make_app: MakeApp, folder: Path) -> None:
    host = ServedHost(busy(workspace="/nowhere", source="/data/[/first]"))
    async with make_app(host=host, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "Phases")
        await pilot.press("o")
        await until_text(pilot, "Folder to process", "4 files")
        await pilot.press("enter")
        await until_text(pilot, "A run of /data/[/first] is going on.", "▸ Cancel")
        await pilot.press("y")
        await until_text(pilot, "Phases")
    assert [call[0] for call in host.calls] == ["start", "start"]


def test_a_workspace_with_a_history_resumes(tmp_path: Path, folder: Path) -> None:
    workspace = tmp_path / "workspace"
    write_failures(workspace, [Bad("a.pdf"), Bad("b.pdf")])
    plan = make_plan(folder, workspace)
    assert (plan.counts, plan.trouble) == (Counts(found=2, failed=2), "")
    assert make_plan(folder, None).counts is None
    assert "has not run yet" in make_plan(workspace, None).trouble


def test_a_folder_that_may_not_be_read_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert make_plan(folder, None).trouble.endswith("this folder may not be read (no permission).")


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        (
            Counts(360, 323, 19, 11, 7, 0),
            "complete: 360 documents, 0 pending; a run takes up what has changed",
        ),
        (Counts(360, 300, 19, 11, 7, 23), "resumes: 360 documents, 23 pending"),
        (Counts(), "resumes: 0 documents, 0 pending"),
    ],
)
def test_a_history_says_what_is_left_to_do(counts: Counts, says: str) -> None:
    lines = ["".join(span.text for span in line) for line in history_lines(counts)]
    assert says in lines[0]
    assert max(map(len, lines)) <= 76
    if counts.found:
        assert lines[1].strip() == f"{counts.done} done, 19 failed, 11 skipped, 7 empty"


async def test_o_puts_the_cursor_into_the_path_field(make_app: MakeApp, folder: Path) -> None:
    host = ServedHost(busy(workspace="/nowhere"))
    async with make_app(host=host, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "Phases")
        for _ in range(2):
            await pilot.press("o")
            await until_text(pilot, "Folder to process", "4 files")
            await until(pilot, lambda: isinstance(pilot.app.focused, PathField))
            await pilot.press("escape")
            await until_text(pilot, "▸ Go")
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.focused, PathField))
            await pilot.press("escape", "1")
            await until_text(pilot, "Phases")


async def test_what_start_shows_is_fresh_on_return(make_app: MakeApp, folder: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    app = TuiScraperApp(
        ServedHost(busy(workspace="/nowhere")), Settings(ui=UiSettings(refresh_hz=30)), folder, workspace
    )
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "· new;", "4 files")
        await pilot.press("escape", "1")
        await until_text(pilot, "Phases")
        write_failures(workspace, [Bad("a.pdf"), Bad("b.pdf")])
        (folder / "more.txt").write_text("more")
        await pilot.press("o")
        await until_text(pilot, "complete: 2 documents, 0 pending", "2 failed", "5 files")


async def test_the_newest_look_runs_after_the_one_that_is_under_way() -> None:
    look, started, go_on = OneAtATime(), threading.Event(), threading.Event()

    def slow() -> str:
        started.set()
        go_on.wait(10)
        return "first"

    first = asyncio.create_task(look(slow))
    await asyncio.to_thread(started.wait, 10)
    between = asyncio.create_task(look(lambda: "between"))
    newest = asyncio.create_task(look(lambda: "newest"))
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, between, newest) == ["first", None, "newest"]
    assert await look(lambda: "later") == "later"


async def test_who_gives_up_neither_frees_a_hanging_look_nor_keeps_others_waiting() -> None:
    look, go_on = OneAtATime(), threading.Event()
    ran: list[str] = []
    first = asyncio.create_task(look(lambda: go_on.wait(10)))
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.create_task(look(lambda: ran.append("second")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    third = asyncio.create_task(look(lambda: ran.append("third")))
    await asyncio.sleep(0)
    assert ran == []
    go_on.set()
    await third
    assert ran == ["third"]


async def test_tab_waits_for_the_matches_of_what_was_typed(
    make_app: MakeApp, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "index").mkdir()
    go_on, asked = threading.Event(), threading.Event()

    def slow(typed: str) -> list[str]:
        asked.set()
        go_on.wait(10)
        return matching_directories(typed)

    async with make_app(IDLE, start=True, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "4 files")
        monkeypatch.setattr("tui_scraper.widgets.text_field.matching_directories", slow)
        field = pilot.app.screen.query_one(PathField)
        await pilot.press("slash", "i")
        await until(pilot, asked.is_set)
        await pilot.press("n", "n", "tab")
        assert field.value == f"{folder}/inn"
        assert field.has_focus
        go_on.set()
        await until(pilot, lambda: field.value == f"{folder}/inner/")
        assert field.has_focus


async def test_a_second_tab_does_not_wait_for_a_file_system_that_hangs(
    make_app: MakeApp, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr("tui_scraper.widgets.text_field.matching_directories", lambda _: [go_on.wait(10)][1:])
    async with make_app(IDLE, start=True, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "4 files")
        await pilot.press("slash", "tab", "tab")
        await until_text(pilot, "▸ Go")
        go_on.set()
