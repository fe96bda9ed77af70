from __future__ import annotations

from dataclasses import replace

from tests import readme_keys
from tui_scraper import actions
from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.models import RunState
from tui_scraper.formatting import cells
from tui_scraper.widgets.key_footer import footer_line

EATEN = {"ctrl+b", "ctrl+a", "ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m"}


def test_every_action_is_carried_out_by_the_app_or_a_screen() -> None:
    own = {
        "go",
        "retry",
        "retry_cause",
        "filter",
        "zoom",
        "leave",
        "undo",
        "compare",
        "mark",
        "name_point",
        "levels",
        "accept",
        "set_label",
        "skip",
        "order",
        "copy_path",
        "choose",
    }
    for action in actions.ACTIONS:
        assert action.name in own or hasattr(TuiScraperApp, f"_do_{action.name}"), action.name


def test_no_key_has_two_meanings_on_a_screen_and_none_is_eaten_by_terminals() -> None:
    for screen in actions.EVERYWHERE:
        keys = [key for action in actions.on_screen(actions.Situation(screen)) for key in action.keys]
        assert len(keys) == len(set(keys))
        assert not EATEN & set(keys)
        assert not [key for key in keys if key.startswith("alt+")]


def test_the_footer_fits_and_always_names_help_and_quit() -> None:
    for screen in actions.EVERYWHERE:
        for state in RunState:
            now = actions.Situation(screen, state, open=True, bad=1_234_567, failed=1_234_567)
            text = "".join(span.text for span in footer_line(now, 80))
            assert cells(text) <= 80
            assert "? help" in text
            assert "q quit" in text
            assert text.count("   ") <= 5, text  # six keys are read at a glance


def test_an_action_that_cannot_be_used_stays_in_the_footer_in_parentheses() -> None:
    now = actions.Situation("run", RunState.STOPPING, open=True)
    assert "(p) pause" in "".join(span.text for span in footer_line(now, 80))


def test_while_typing_the_footer_names_no_letters() -> None:
    now = actions.Situation("start", typing=True)
    words = [span.text for span in footer_line(now, 80) if span.role == "key"]
    assert words == ["enter", "esc", "ctrl+p", "ctrl+q"]


def test_before_a_folder_is_open_the_reason_is_right_wherever_the_focus_is() -> None:
    for typing in (True, False):
        reason = actions.BY_NAME["show_failed"].reason(actions.Situation("start", typing=typing))
        assert reason == "No folder is open yet. Enter begins with the folder in the path field."


def test_every_reason_is_a_sentence_that_fits_the_footer() -> None:
    base = actions.Situation("run")
    for screen in actions.EVERYWHERE:
        for state in RunState:
            for is_open in (True, False):
                now = replace(base, screen=screen, state=state, open=is_open)
                for here in (now, replace(now, slid=True), replace(now, asked=True)):
                    for action in actions.on_screen(here):
                        reason = action.reason(here)
                        assert not reason or (reason.endswith(".") and len(reason) <= 78), reason


def test_the_readme_lists_the_keys_that_there_are() -> None:
    assert readme_keys.written() == readme_keys.table()
