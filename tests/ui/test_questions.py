"""A question is answered where it can be seen, and only as long as it makes sense."""

from __future__ import annotations

from seeing import NARROW, MakeApp, until, until_text, until_words
from served import ServedHost, busy, complete
from test_settings_screen import at_work

from tui_scraper.screens.confirm import Confirm

OPEN = "/nowhere/workspace"


async def test_the_question_before_quitting_goes_when_the_run_has_ended(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN))
    app = make_app(host=host)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("q")
        await until_text(pilot, "Stop here and leave?")
        host.now = complete(workspace=OPEN)
        await until_text(pilot, "The run has ended meanwhile", "COMPLETE")
        assert not isinstance(app.screen, Confirm)
        assert not app._exit


async def test_a_question_covers_the_lines_it_stands_on(make_app: MakeApp) -> None:
    async with make_app(busy(workspace=OPEN)).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("q")
        text = await until_text(pilot, "Stop here and leave?", "▸ Cancel")
    box = [line for line in text.splitlines() if "│" in line]
    assert box
    assert all(line.startswith("│") and line.rstrip().endswith("│") for line in box)


async def test_in_a_terminal_that_is_too_small_only_quitting_works_and_is_named(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN))
    app = make_app(host=host)
    async with app.run_test(size=(70, 10)) as pilot:
        await until_text(pilot, "Too small: tui-scraper needs 60x15. q stops safely and quits.")
        await pilot.press("p", "f", "question_mark", "ctrl+p")
        await until_text(pilot, "Too small")
        assert [call[0] for call in host.calls] == ["start"]
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_a_question_that_cannot_be_seen_is_not_answered(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN))
    app = make_app(host=host)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("q")
        await until_text(pilot, "Stop here and leave?")
        await pilot.resize_terminal(50, 10)
        await until_text(pilot, "Too small")
        await pilot.press("y")
        await pilot.resize_terminal(*NARROW)
        await until_text(pilot, "Stop here and leave?")
        assert not app._exit


async def test_quitting_says_what_stays_in_flight(make_app: MakeApp) -> None:
    async with make_app(at_work()).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("q")
        await until_words(pilot, "Stop here and leave?", "7 calls to the model are in flight, and paid for")
