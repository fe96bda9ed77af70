"""The last line: the keys of the screen, from the registry; above them, for a moment, what a key said.

Keys that cannot be used now stand in parentheses; pressing one shows the reason. The keys stay
where they are, so that the next one can be found while the sentence is still there.
"""

from __future__ import annotations

from textual.timer import Timer

from tui_scraper.actions import Action, Situation, on_screen
from tui_scraper.formatting import Line, Role, Span, width_of, wrap
from tui_scraper.widgets.lines import Lines

_WIDE, _AT_A_GLANCE = 100, 6
_SAID_FOR_S = 5.0
_MOST_SAID = 3


def footer_line(now: Situation, width: int) -> Line:
    """The keys that fit, in the order of the registry; the weightiest stay when room is short."""
    entries = [(action, _entry(action, now)) for action in on_screen(now) if action.word(now)]
    kept = sorted(entries, key=lambda entry: -entry[0].weight)
    if width < _WIDE:
        del kept[_AT_A_GLANCE:]
    while kept and sum(width_of(line) + 3 for _, line in kept) - 2 > width:
        kept.pop()
    names = {action.name for action, _ in kept}
    spans: list[Span] = [Span(" ")]
    for action, line in entries:
        if action.name in names:
            spans += [*line, Span("   ")]
    return tuple(spans[:-1])


def _entry(action: Action, now: Situation) -> Line:
    if action.reason(now):
        return (Span(f"({action.shown}) {action.word(now)}", "dim"),)
    return Span(action.shown, "key"), Span(f" {action.word(now)}")


class KeyFooter(Lines):
    """The last line of a screen."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._said: list[Line] = []
        self._timer: Timer | None = None
        self._now: Situation | None = None

    def paint(self, now: Situation) -> None:
        """Show the keys for a situation, below what is being said."""
        self._now = now
        self.show([*self._said, footer_line(now, self.size.width)])

    def say(self, text: str, role: Role = "warn") -> None:
        """Show a sentence above the keys for a few seconds. `text` is safe for a terminal."""
        width = max(10, (self.size.width or self.screen.size.width) - 2)
        self._said = [(Span(f" {part}", role),) for part in wrap(text, width)[:_MOST_SAID]]
        self.show([*self._said, *self.lines[-1:]])
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_SAID_FOR_S, self.hush)

    def hush(self) -> None:
        """Show the keys alone again."""
        self._said = []
        if self._now is not None:
            self.paint(self._now)
