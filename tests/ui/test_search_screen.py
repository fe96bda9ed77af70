"""The Search screen: over a real index, and with a model that makes the query's vector."""

from __future__ import annotations

from pathlib import Path

import pytest
from seeing import NARROW, WIDE, MakeApp, screen_text, until, until_text
from served import ServedHost, busy, complete, workspace_of

from tests.engine.running import run_once
from tests.llm.model_server import KEY, serving
from tui_scraper.app import TuiScraperApp
from tui_scraper.engine import RunRequest, RunState
from tui_scraper.engine.settings import Settings
from tui_scraper.engine_host import EngineHost
from tui_scraper.widgets.paged_table import PagedTable
from tui_scraper.widgets.text_field import TextField

HOSTILE = "report [final] \x1b]52;c;aGk=\x07.txt"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    for number in range(12):
        (folder / f"letter-{number:02}.txt").write_text(f"Letter {number} about an unpaid invoice of March.")
    (folder / "zebra.txt").write_text("The zebra crossed the savanna while lions slept under acacia trees.")
    (folder / HOSTILE).write_text("A penguin with \x9b31m escape and [/markup] in its text.")
    return folder


@pytest.fixture(scope="module")
def workspace(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("w") / "w"
    run_once(source, directory)
    return directory


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_words_are_found_as_they_are_typed(
    make_app: MakeApp, workspace: Path, size: tuple[int, int]
) -> None:
    app = make_app(workspace_of(complete(), workspace))
    async with app.run_test(size=size) as pilot:
        await pilot.press("slash")
        await until_text(pilot, "Type words", "title:report", "type:pdf")
        await pilot.press(*"zebra")
        await until_text(pilot, "1 by words", "zebra.txt #1", "The zebra crossed the savanna")
        await pilot.press(*"x")
        await until_text(pilot, 'Nothing has "zebrax"; searched for "zebra".', "zebra.txt #1")
        await pilot.press(*["backspace"] * 6, *"qqqxyz")
        await until_text(pilot, "Nothing was found")


async def test_letters_type_in_the_field_and_act_in_the_list(make_app: MakeApp, workspace: Path) -> None:
    host = ServedHost(workspace_of(busy(), workspace))
    app = make_app(host=host)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("5", *"pqf")
        await pilot.pause()
        assert not host.calls[1:]
        await pilot.press(*["backspace"] * 3, *"invoice")
        await until_text(pilot, "12 by words", "letter-")
        await pilot.press("enter", "j", "j")
        table = app.screen.query_one(PagedTable)
        await until(pilot, lambda: table.has_focus and table.cursor == 2)
        await app.workers.wait_for_complete()
        await until_text(pilot, "12 by words and meaning ")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#hit").has_focus)
        await pilot.press("escape")
        await until(pilot, lambda: table.has_focus)
        await pilot.press("escape")
        await until_text(pilot, "Phases")
        await pilot.press("slash", *"qz")  # letters are typed, over the query of before
        await until(pilot, lambda: app.screen.query_one("#query", TextField).value == "qz")


async def test_names_and_texts_from_outside_are_harmless(make_app: MakeApp, workspace: Path) -> None:
    app = make_app(workspace_of(complete(), workspace))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"penguin")
        text = await until_text(pilot, "report [final]", "[/markup] in its text")
        assert not {"\x1b", "\x07", "\x9b"} & set(text)


async def test_nothing_is_open_yet(make_app: MakeApp) -> None:
    app = make_app(busy())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("5")
        await until_text(pilot, "No folder is open yet")


async def test_enter_looks_for_the_meaning_with_one_call_of_the_engine(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as server:
        settings = Settings.model_validate(
            {
                "classify": {"backend": "local", "base_url": server.url},
                "index": {"embeddings": "openai"},
                "ui": {"refresh_hz": 30},
                "engine": {"workers": 1},
            }
        )
        host = EngineHost()
        host.start(RunRequest(source, settings, tmp_path / "w"))
        try:
            app = TuiScraperApp(host, settings, source, tmp_path / "w")
            async with app.run_test(size=NARROW) as pilot:
                await until(pilot, lambda: host.snapshot().state is RunState.COMPLETE, 30)
                await pilot.press("escape", "1", "slash")
                await until_text(pilot, "looks for the meaning")
                calls = len(server.records)
                await pilot.press(*"lions trees")
                await until_text(pilot, "1 by words", "zebra.txt")
                assert len(server.records) == calls
                await pilot.press("enter")
                screen = await until_text(pilot, "by words and meaning", "▸")
                assert "zebra.txt" in screen.split("Passage")[0].split("Found")[1].splitlines()[1]
                assert len(server.records) == calls + 1
                assert "savanna" in screen_text(app)
        finally:
            assert host.close(20)


@pytest.mark.parametrize("been_there", [False, True], ids=["not seen before", "filtered before"])
async def test_a_hit_is_looked_up_among_the_documents(
    make_app: MakeApp, workspace: Path, been_there: bool
) -> None:
    app = make_app(workspace_of(complete(), workspace))
    async with app.run_test(size=WIDE) as pilot:
        if been_there:
            await pilot.press("d")
            await until_text(pilot, "14, by path")
            await pilot.press("slash", *"letter", "enter")
            await until_text(pilot, "12 of 14, by path")
        await pilot.press("5", *"zebra")
        await until_text(pilot, "1 by words", "zebra.txt #1")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one(PagedTable).has_focus)
        await pilot.press("d")
        await until_text(pilot, "tui-scraper  Documents", "lions slept under acacia trees")
        assert any("▸" in line and "  zebra.txt" in line for line in screen_text(app).splitlines())
