"""What is there can be looked at without a run, from any side."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from opened import really_open
from seeing import NARROW, until, until_text, until_words

from tests.engine.running import run_once, table
from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.workspace import default_directory
from tui_scraper.engine_host import EngineHost
from tui_scraper.widgets.paged_table import PagedTable


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(5):
        (folder / f"letter {number}.txt").write_text(f"A letter with the number {number} about an invoice.")
    (folder / "zebra.txt").write_text("The zebra crossed the savanna while lions slept under acacia trees.")
    for number in range(3):
        (folder / f"broken {number}.pdf").write_bytes(b"%PDF-1.4 broken")
    return folder


async def test_a_complete_workspace_is_opened_without_a_run(source: Path) -> None:
    workspace = default_directory(source)
    run_once(source, workspace)
    runs = table(workspace, "SELECT count(*) FROM run")
    (source / "new.txt").write_text("Nobody has read this yet.")
    settings = Settings.model_validate({"ui": {"refresh_hz": 30}, "engine": {"workers": 1}})
    host = EngineHost()
    app = TuiScraperApp(host, settings, source)
    try:
        async with app.run_test(size=NARROW) as pilot:
            await until_text(pilot, "complete: 9 documents")
            await pilot.press("escape", "7")
            await until_text(pilot, "Settings", "no folder is open")
            await pilot.press("o")
            await until_text(pilot, "complete: 9 documents")
            await pilot.press("escape", "4")
            await until_text(pilot, "9, by path", "letter 0.txt")
            await pilot.press("1")
            await until_text(pilot, "✓ COMPLETE", "p run again", "exported to")
            assert table(workspace, "SELECT count(*) FROM run") == runs
            await pilot.press("p")
            await until_text(pilot, "found       10")
    finally:
        assert host.close(20)


async def test_a_hit_of_a_search_is_opened_whole(source: Path, tmp_path: Path) -> None:
    async with really_open(source, tmp_path / "w") as pilot:
        await pilot.press("d")
        await until_text(pilot, "9, by path")
        await pilot.press("slash", *"letter", "enter")
        await until_text(pilot, "5 of 9")
        await pilot.press("5", *"zebra")
        await until_text(pilot, "1 by words")
        await pilot.press("enter")
        await until_text(pilot, "d open it")
        await pilot.press("d")
        await until_text(pilot, "9, by path", "▸✓", "Chunk 1 of 1", "acacia")
        table_of_documents = pilot.app.screen.query_one(PagedTable)
        await until(pilot, lambda: table_of_documents.has_focus)
        await pilot.press("t")
        await until_text(pilot, "Label by hand: zebra.txt")


async def test_several_are_set_aside_one_after_the_other(source: Path, tmp_path: Path) -> None:
    async with really_open(source, tmp_path / "w") as pilot:
        await pilot.press("f")
        await until_text(pilot, "corrupt · failed in clean")
        await until(pilot, lambda: isinstance(pilot.app.focused, PagedTable))
        await pilot.press("j", "s")
        await until_text(pilot, "set aside by hand", "▸✗")
        await pilot.press("s")
        await until_words(pilot, "Set aside: broken 1.pdf")
        await until_text(pilot, "▸✗")
        await pilot.press("s")
        await until_words(pilot, "Set aside: broken 2.pdf")


async def test_what_is_overtaken_before_it_begins_is_let_go_of_silently(source: Path, tmp_path: Path) -> None:
    """Python would say in the terminal, perhaps after the end, that a coroutine was never awaited."""
    ran: list[str] = []

    async def read(what: str) -> None:
        ran.append(what)

    async with really_open(source, tmp_path / "w") as pilot:
        for what in ("first", "second"):
            pilot.app.screen.run_worker(read(what), group="test", exclusive=True)
        await until(pilot, lambda: bool(ran))
        assert ran == ["second"]
        gc.collect()


async def test_a_workspace_named_with_a_folder_is_for_that_folder(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("hello")
    app = TuiScraperApp(EngineHost(), Settings(), source, tmp_path / "w")
    async with app.run_test(size=(120, 40)) as pilot:
        await until_text(pilot, "9 files", f"{tmp_path.name}/w")
        await pilot.press("ctrl+u", *str(other))
        await until_text(pilot, "1 file", f"other-{str(default_directory(other))[-8:]}")


async def test_a_key_of_another_screen_says_where_it_works(source: Path, tmp_path: Path) -> None:
    async with really_open(source, tmp_path / "w") as pilot:
        await pilot.press("x")
        await until_text(pilot, "x (compare) works on: Checkpoints.")
