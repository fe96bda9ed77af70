"""Help: every action of the screen with its keys, and why it cannot be used now, from the registry."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.screen import ModalScreen

from tui_scraper.actions import MOVES, OTHER_KEYS, Action, Situation, on_screen
from tui_scraper.formatting import STATUS_SIGNS, Line, Span, pad, wrap
from tui_scraper.widgets.lines import Lines, ScrollLines

_KEYS = 14
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
    return " ".join(_NAMES.get(key, key) for key in action.keys)


def _entry(keys: str, text: str, width: int) -> list[Line]:
    first_width = max(_KEYS, len(keys))
    parts = wrap(text, max(20, width - first_width - 2))
    lines: list[Line] = [(Span(f"{pad(keys, first_width)}  ", "key"), Span(parts[0]))]
    return lines + [(Span(" " * (first_width + 2)), Span(part)) for part in parts[1:]]


class Help(ModalScreen[None]):
    """The help over the screen it is about."""

    AUTO_FOCUS = "#help-text"
    BINDINGS = [Binding("escape,q,question_mark,enter", "close", "Close", show=False)]

    def __init__(self, now: Situation) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        """The text, scrolled with the same keys as everything else."""
        with Container(id="help"):
            yield ScrollLines(id="help-text")
            yield Lines(id="help-end")

    def on_resize(self) -> None:
        """Wrap to the width there is."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if not self.is_attached:
            return
        text = self.query_one(ScrollLines)
        text.show(help_lines(self._now, max(30, text.size.width - 1)))
        keys = (Span("esc", "key"), Span(" close   "), Span("j k pgdn pgup", "key"), Span(" scroll"))
        self.query_one("#help-end", Lines).show([keys])

    def action_close(self) -> None:
        """Back to the screen."""
        self.dismiss(None)
