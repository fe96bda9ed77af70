"""Widgets made of `Line`s: a fixed block, and one that scrolls.

Both compare what they are given with what they show and repaint only the lines that differ, so a
screen on which nothing happens sends nothing down the line. Text is put into segments as it is;
there is no markup that a file name could break.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui_scraper import actions
from tui_scraper.formatting import ROLES, Line, Role

LINE_CLASSES = {f"line--{role}" for role in ROLES if role}


def style_of(widget: Widget, role: Role) -> Style:
    """The theme's style for a role, on the background of the widget."""
    if not role:
        return widget.rich_style
    style = widget.get_component_rich_style(f"line--{role}", partial=True)
    return widget.rich_style + style


def strip_of(widget: Widget, line: Line, width: int) -> Strip:
    """A line as Textual draws it, exactly `width` cells, with '…' where it goes on."""
    strip = Strip([Segment(span.text, style_of(widget, span.role)) for span in line if span.text])
    if strip.cell_length > width > 0:
        rest = Strip([Segment("…", style_of(widget, "dim"))])
        return Strip.join([strip.crop(0, width - 1), rest])
    return strip.adjust_cell_length(width, widget.rich_style)


class Lines(Widget):
    """A block of lines, as high as there are lines."""

    COMPONENT_CLASSES: ClassVar[set[str]] = LINE_CLASSES
    DEFAULT_CSS = "Lines { height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown."""
        return self._lines

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines; only those that differ are painted."""
        old, new = self._lines, tuple(lines)
        self._lines = new
        if len(old) != len(new) or self._was_not_laid_out():
            self.refresh(layout=True)
            return
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            if before != after:
                self.refresh(Region(0, index, self.size.width, 1))  # inside the padding

    def _was_not_laid_out(self) -> bool:
        """Textual 8.2 loses a layout that falls together with a scrolling text field: ask again."""
        fits = self.styles.is_auto_height and self.size.height != len(self._lines)
        return self.display and self.size.width > 0 and fits

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One cell for each line."""
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        return strip_of(self, self._lines[y], width)


class ScrollLines(ScrollView, can_focus=True):
    """Lines that may be more than fit; only visible ones are drawn."""

    COMPONENT_CLASSES: ClassVar[set[str]] = LINE_CLASSES
    DEFAULT_CSS = "ScrollLines { overflow-x: hidden; scrollbar-size-vertical: 1; }"
    BINDINGS = actions.move_bindings()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, visible or not."""
        return self._lines

    @property
    def at_end(self) -> bool:
        """Whether the last line is in view."""
        return self.scroll_offset.y >= self.max_scroll_y

    def show(self, lines: Sequence[Line], *, follow: bool = False) -> None:
        """Show these lines; `follow` scrolls to the last one."""
        new = tuple(lines)
        if new != self._lines:
            self._lines = new
            self.virtual_size = Size(self.size.width, len(new))
            self.refresh()
        if follow:
            self._scroll_to_edge(1)

    def render_line(self, y: int) -> Strip:
        """Draw the line at a place of the window."""
        index = self.scroll_offset.y + y
        width = self.scrollable_content_region.width  # `size` goes on under the scrollbar
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        return strip_of(self, self._lines[index], width)

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self.scroll_relative(y=lines, animate=False, force=True)

    def action_page(self, pages: int) -> None:
        """Scroll by windows, one line less so that the eye finds its place."""
        self.scroll_relative(y=pages * max(1, self.size.height - 1), animate=False, force=True)

    def action_edge(self, end: int) -> None:
        """Scroll to the beginning (-1) or the end (1)."""
        self._scroll_to_edge(end)

    def _scroll_to_edge(self, end: int) -> None:
        """`force`: Textual scrolls nothing before the scrollbar is there, and the key would be lost."""
        scroll = self.scroll_end if end > 0 else self.scroll_home
        scroll(animate=False, immediate=True, force=True)
