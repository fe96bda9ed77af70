"""The Checkpoints screen: the history as the store has it, and what is asked of the engine from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from seeing import NARROW, WIDE, MakeApp, until, until_text
from served import ServedHost, busy, complete, workspace_of

from tests.engine.running import run_once
from tui_scraper.engine.models import Checkpoint, PhaseName, RunState
from tui_scraper.engine.store.checkpoints import name_checkpoint
from tui_scraper.engine.workspace import reopen
from tui_scraper.screens.checkpoint_rows import History, lanes
from tui_scraper.widgets.paged_table import PagedTable


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the checkpoints of a whole run; one has a name that no terminal should get."""
    folder = tmp_path_factory.mktemp("documents")
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"Letter {number} about an unpaid invoice.")
    directory = tmp_path_factory.mktemp("w") / "w"
    run_once(folder, directory)
    opened = reopen(directory)
    opened.writer.call(name_checkpoint(3, "before [/the] new labels"))
    opened.close()
    return directory


def point(number: int, parent: int | None, *, head: bool = False, branch: int = 1) -> Checkpoint:
    return Checkpoint(number, parent, 1_700_000_000.0, PhaseName.CLEAN, None, 0, 0, None, head, branch=branch)


def test_a_straight_history_is_one_line() -> None:
    assert lanes([point(3, 2, head=True), point(2, 1), point(1, None)]) == ["◉", "●", "●"]


def test_a_rollback_is_a_second_line_that_comes_out_of_the_first() -> None:
    history = [point(5, 2, head=True, branch=2), point(4, 3), point(3, 2), point(2, 1), point(1, None)]
    assert lanes(history) == ["◉", "│●", "│●", "●╯", "●"]


def test_what_a_long_history_leaves_out_is_passed_over() -> None:
    assert lanes([point(90, 89), point(40, 39), point(1, None)]) == ["●", "●", "●"]


def test_a_filter_finds_names_numbers_and_phases() -> None:
    history = History()
    named = replace(point(2, 1), name="before the labels")
    history.set([point(1, None), named, point(33, 2)], 0)
    for needle, found in (("labels", {2}), ("33", {33}), ("clean", {1, 2, 33}), ("nothing", set())):
        history.filter(needle)
        assert {history.identity(at) for at in range(len(history))} == found


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_history_is_shown_with_the_head_and_details(
    make_app: MakeApp, workspace: Path, size: tuple[int, int]
) -> None:
    app = make_app(workspace_of(complete(), workspace))
    async with app.run_test(size=size) as pilot:
        await pilot.press("c")
        text = await until_text(pilot, "History", "◉", "(the head)", "“before [/the] new labels”")
        assert "done" in text
        await pilot.press("j", "j", "j")
        await until_text(pilot, "checkpoint  3", "“before [/the] new labels”")


async def test_going_back_is_asked_about_with_what_it_does(make_app: MakeApp, workspace: Path) -> None:
    host = ServedHost(workspace_of(complete(), workspace))
    app = make_app(host=host)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("c")
        await until_text(pilot, "History", "(the head)")
        await pilot.press("b")
        await until_text(pilot, "This is the head already")
        await pilot.press("j", "b")
        await until_text(pilot, "Go back to checkpoint 5?", "▸ Cancel", "documents are pending then")
        await pilot.press("enter", "b")
        await until_text(pilot, "Go back to checkpoint 5?")
        await pilot.press("y")
        await until(pilot, lambda: ("roll_back", 5, False) in host.calls)
        await until_text(pilot, "asked for")
    assert [call for call in host.calls if call[0] == "roll_back"] == [("roll_back", 5, False)]


async def test_undo_without_a_rollback_says_so(make_app: MakeApp, workspace: Path) -> None:
    host = ServedHost(workspace_of(complete(), workspace))
    app = make_app(host=host)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("c")
        await until_text(pilot, "(the head)")
        await pilot.press("u")
        await until_text(pilot, "There is nothing to undo")
    assert ("undo",) not in host.calls


async def test_two_points_are_compared_and_esc_leaves_that(make_app: MakeApp, workspace: Path) -> None:
    app = make_app(workspace_of(complete(), workspace))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("c")
        await until_text(pilot, "(the head)")
        await pilot.press("x")
        await until_text(pilot, "Difference", "checkpoint 6", "now", "0 documents differ")
        await pilot.press("escape")
        await until_text(pilot, "taken", "(the head)")
        await pilot.press("space", "j", "j", "x")
        await until_text(pilot, "Difference", "checkpoint 4", "checkpoint 6")


async def test_a_name_is_given_and_letters_type_meanwhile(make_app: MakeApp, workspace: Path) -> None:
    host = ServedHost(workspace_of(complete(), workspace))
    app = make_app(host=host)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("c")
        await until_text(pilot, "(the head)")
        await pilot.press("n", *"quarter", "space", "1", "enter")
        await until(pilot, lambda: ("name", 6, "quarter 1") in host.calls)
        assert pilot.app.focused is pilot.app.screen.query_one(PagedTable)
        await pilot.press("n", "x", "escape")
        await pilot.pause()
    assert [call for call in host.calls if call[0] == "name"] == [("name", 6, "quarter 1")]


async def test_the_filter_and_the_empty_screen(make_app: MakeApp, workspace: Path) -> None:
    app = make_app(workspace_of(complete(), workspace))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("c")
        await until_text(pilot, "(the head)")
        await pilot.press("slash", *"labels")
        table = pilot.app.screen.query_one(PagedTable)
        await until(pilot, lambda: table.virtual_size.height == 1)
        await pilot.press("escape")
        await until(pilot, lambda: table.virtual_size.height == 6)
    empty = make_app(busy())
    async with empty.run_test(size=NARROW) as pilot:
        await pilot.press("3")
        await until_text(pilot, "No folder is open yet")


@pytest.mark.parametrize("key", ["c", "6"])
async def test_p_goes_on_from_where_it_was_gone_back_to(make_app: MakeApp, workspace: Path, key: str) -> None:
    host = ServedHost(replace(workspace_of(complete(), workspace), state=RunState.STOPPED))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await pilot.press(key, "p")
        await until(pilot, lambda: len(host.calls) > 1)
    assert host.calls[-1] == ("resume",)
