"""Help: every action of the screen with its keys, and why it cannot be used now, from the registry.

It is made once and shown again, and it hides what is below: a new screen that shines through costs
three repaints of the whole terminal for one key, in the middle of a run at full speed.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.screen import ModalScreen

from tui_scraper.actions import MOVES, OTHER_KEYS, Action, Situation, on_screen
from tui_scraper.formatting import STATUS_SIGNS, Line, Span, pad, wrap
from tui_scraper.widgets.lines import Lines, ScrollLines

_KEYS = 14
_USUAL_WIDTH = 75
_NAMES = {"question_mark": "?", "slash": "/", "escape": "esc"}


def help_lines(now: Situation, width: int) -> list[Line]:
    """The text of the help for one screen."""
    lines: list[Line] = []
    actions = on_screen(now)
    for group in dict.fromkeys(action.group for action in actions):
        lines += [(), (Span(group, "title"),)]
        for action in actions:
            if action.group == group:
                lines += _entry(_keys(action), f"{action.title}. {action.help}", width)
                reason = action.reason(now)
                if reason:
                    lines += [(Span(" " * (_KEYS + 2)), Span(part, "warn"))
                              for part in wrap(f"Not now: {reason}", width - _KEYS - 2)]  # fmt: skip
    lines += [(), (Span("Lists and logs", "title"),)]
    for _, _, shown, text in MOVES:
        lines += _entry(shown, f"{text}.", width)
    lines += [(), (Span("Where they apply", "title"),)]
    for shown, text in OTHER_KEYS:
        lines += _entry(shown, f"{text}.", width)
    lines += [(), (Span("Signs", "title"),)]
    spans: list[Span] = []
    for status, (sign, role) in STATUS_SIGNS.items():
        spans += [Span(f"{sign} ", role), Span(f"{status.value}   ")]
    lines.append(tuple(spans))
    return lines[1:]


def _keys(action: Action) -> str:
    return " ".join(_NAMES.get(key, key) for key in action.keys) or action.shown


def _entry(keys: str, text: str, width: int) -> list[Line]:
    first_width = max(_KEYS, len(keys))
    parts = wrap(text, max(20, width - first_width - 2))
    lines: list[Line] = [(Span(f"{pad(keys, first_width)}  ", "key"), Span(parts[0]))]
    return lines + [(Span(" " * (first_width + 2)), Span(part)) for part in parts[1:]]


class Help(ModalScreen[None]):
    """The help of the screen below: `about` says which, before it is shown."""

    AUTO_FOCUS = "#help-text"
    BINDINGS = [Binding("escape,q,question_mark,enter", "close", "Close", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._now = Situation("run")
        self._width = 0

    def about(self, now: Situation) -> None:
        """Tell what is possible in a situation, from the first line on."""
        self._now = now
        if self.is_attached:
            self._fill()
            self.query_one(ScrollLines).scroll_home(animate=False, immediate=True)

    def compose(self) -> ComposeResult:
        """The text, scrolled with the same keys as everything else."""
        with Container(id="help"):
            yield ScrollLines(id="help-text")
            yield Lines(id="help-end")

    def on_mount(self) -> None:
        """Show the text with the first frame."""
        self._fill()

    def on_resize(self) -> None:
        """Wrap to the width there is."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if not self.is_attached:
            return
        width = max(30, self.query_one(ScrollLines).size.width - 1)
        if width != self._width:
            self._width = width
            self._fill()

    def _fill(self) -> None:
        self.query_one(ScrollLines).show(help_lines(self._now, self._width or _USUAL_WIDTH))
        keys = (Span("esc", "key"), Span(" close   "), Span("j k pgdn pgup", "key"), Span(" scroll"))
        self.query_one("#help-end", Lines).show([keys])

    def action_close(self) -> None:
        """Back to the screen."""
        self.dismiss(None)
