"""A word one can choose with enter: what other programs call a button, in one line."""

from __future__ import annotations

from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message

from tui_scraper.formatting import Span, width_of
from tui_scraper.widgets.lines import Lines


class Choice(Lines, can_focus=True):
    """Shows `▸` when it has the focus, so that it can be told without colour."""

    BINDINGS = [Binding("enter,space", "choose", "Choose", show=False)]

    class Chosen(Message):
        """Enter, space or a click."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, label: str, *, key: str = "", id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._label, self._key = label, key
        self._draw(focused=False)

    def _draw(self, *, focused: bool) -> None:
        key = (Span(f"{self._key} ", "key"),) if self._key else ()
        self.show([(Span("▸ " if focused else "  "), *key, Span(f"{self._label}  "))])

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as its words."""
        return width_of(self.lines[0])

    def on_focus(self) -> None:
        """Mark it."""
        self._draw(focused=True)

    def on_blur(self) -> None:
        """Unmark it."""
        self._draw(focused=False)

    def action_choose(self) -> None:
        """Tell the screen."""
        self.post_message(self.Chosen(self))

    def on_click(self) -> None:
        """The same with a mouse."""
        self.action_choose()
