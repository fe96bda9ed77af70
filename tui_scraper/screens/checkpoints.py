"""Checkpoints: the history with its branches; one point in detail; going back, and taking that back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.widgets import Input

from tui_scraper.actions import Situation
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import Checkpoint
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.formatting import Line, Span, number, rule
from tui_scraper.screens.aside import OneAtATime, aside
from tui_scraper.screens.checkpoint_rows import History, read_history
from tui_scraper.screens.going_back import ask_to_go_back
from tui_scraper.screens.live import NO_FOLDER, LiveScreen
from tui_scraper.widgets.lines import Lines, ScrollLines
from tui_scraper.widgets.paged_table import PagedTable
from tui_scraper.widgets.text_field import TextField

_RELOAD_S = 1.0
_MOST_DIFFERENCES = 400
"""Lines of a comparison that are kept for the pane; the command line lists them all."""


class CheckpointsScreen(LiveScreen):
    """The history of the workspace, newest first. `hint` is said once, with the next paint."""

    PLACE = "Checkpoints"
    AUTO_FOCUS = "#points"

    class Rename(Message):
        """The person gives a checkpoint a name; '' takes it away."""

        def __init__(self, checkpoint: int, new_name: str) -> None:
            super().__init__()
            self.checkpoint = checkpoint
            self.new_name = new_name

    def __init__(self, settings: Settings) -> None:
        super().__init__("checkpoints")
        self.hint = ""
        self._settings = settings
        self._history = History()
        self._directory = ""
        self._loaded: tuple[int, str] | None = None
        self._loaded_at = 0.0
        self._reading = False
        self._details = OneAtATime()
        self._shown: int | None = None
        self._compared: tuple[int, int | None] | None = None
        self._filled: list[str] = []
        self._naming: int | None = None
        self._can_undo = False

    def body(self) -> ComposeResult:
        """List and details, above or beside each other."""
        with Container(id="history"):
            with Container(id="points-side"):
                yield Lines(id="points-rule")
                yield PagedTable(self._history, id="points")
                with Container(id="history-field-row"):
                    yield Lines(id="history-field-mark")
                    yield TextField(id="history-field", placeholder="")
            yield Container(id="history-divider")
            with Container(id="point-side"):
                yield Lines(id="point-rule")
                yield ScrollLines(id="point")
        yield Lines(id="no-history")

    def situation(self) -> Situation:
        """The cursor decides what can be done."""
        base = super().situation()
        if not self.is_here:
            return base
        point = self._point()
        return replace(
            base,
            checkpoint=point is not None,
            on_head=point is not None and point.head,
            slid=self.query_one(PagedTable).slid,
            filtered=self._esc_clears() and self._naming is None,
            can_undo=self._can_undo,
        )

    def _point(self) -> Checkpoint | None:
        return self._history.point(self.query_one(PagedTable).cursor)

    def paint_body(self) -> None:
        """Read the history again when there is more of it."""
        if self.snapshot.workspace != self._directory:
            self._directory = self.snapshot.workspace
            self._history.set([], 0)
            self._loaded, self._loaded_at, self._shown, self._compared = None, 0.0, None, None
            self.query_one(PagedTable).reload()
        state = (self.snapshot.checkpoint, str(self.snapshot.state))
        due = time.monotonic() - self._loaded_at >= _RELOAD_S
        if self._directory and state != self._loaded and due and not self._reading:
            self._reading = True
            self.run_worker(self._load(state), group="history")
        self._paint_frame()
        if self.hint:
            self.say(self.hint, "accent")
            self.hint = ""

    def reload(self) -> None:
        """Read the history again: a name or the head has changed."""
        self._loaded = None

    def _paint_frame(self) -> None:
        empty = not self._history.total
        filled = self.has_class("-empty") and not empty
        self.set_class(empty, "-empty")
        if filled:
            self.call_after_refresh(self.query_one(PagedTable).focus)
        if empty:
            self.query_one("#no-history", Lines).show(self._nothing())
            return
        shown, hidden = number(len(self._history)), self._history.hidden
        right = f"{shown}, {number(hidden)} more in between" if hidden else shown
        width = max(20, self.query_one("#points-side").size.width)
        self.query_one("#points-rule", Lines).show([rule("History", width, right), self._history.header])
        title = "Difference" if self._compared is not None else "Checkpoint"
        width = max(20, self.query_one("#point-side").size.width)
        self.query_one("#point-rule", Lines).show([rule(title, width)])

    def _nothing(self) -> list[Line]:
        if not self._directory:
            return [NO_FOLDER]
        return [
            (Span("No checkpoint yet: one is taken every hundred documents, and after each phase.", "dim"),),
            (),
            (Span("Press "), Span("1", "key"), Span(" to see the run.")),
        ]

    async def _load(self, state: tuple[int, str]) -> None:
        directory = Path(self._directory)
        try:
            history, hidden, self._can_undo = await aside(lambda: read_history(directory))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
            return
        finally:
            self._reading = False
            self._loaded_at = time.monotonic()
        if not self.is_here or str(directory) != self._directory:
            return
        first = not self._history.total
        self._loaded = state
        self._history.set(history, hidden)
        table = self.query_one(PagedTable)
        table.reload()
        if first:
            head = next((point.id for point in history if point.head), None)
            at = self._history.index_of(head) if head is not None else None
            table.move_to(at or 0)
        elif not table.slid:
            table.move_to(table.cursor)  # into view, whatever has come above it
        if self._shown is not None and self._compared is None:
            self.run_worker(self._show(self._shown), group="details")  # it may be the head now
        self.repaint()

    # The details

    def on_paged_table_highlighted(self, event: PagedTable.Highlighted) -> None:
        """Show the checkpoint under the cursor."""
        event.stop()
        point = self._history.point(event.index)
        if point is not None and (point.id != self._shown or self._compared is not None):
            self._shown, self._compared = point.id, None
            self.run_worker(self._show(point.id), group="details")
        self._repaint_keys()

    def on_paged_table_chosen(self, event: PagedTable.Chosen) -> None:
        """Enter goes to the details."""
        event.stop()
        self.query_one("#point").focus()

    async def _show(self, checkpoint: int) -> None:
        directory = Path(self._directory)
        lines = await self._read(lambda: list(_details(directory, checkpoint)))
        if lines is not None and self._shown == checkpoint and self._compared is None:
            self._fill(lines)

    async def _show_difference(self, a: int, b: int | None) -> None:
        directory = Path(self._directory)
        self._fill(["Comparing …"])
        lines = await self._read(lambda: list(_difference(directory, a, b)))
        if lines is not None and self._compared == (a, b):
            self._fill(lines)

    async def _read(self, work: Callable[[], list[str]]) -> list[str] | None:
        """Lines from the store; None where something newer is wanted by now."""
        try:
            lines = await self._details(work)
        except TuiScraperError as error:
            lines = [safe_text(str(error))]
        return lines if self.is_here else None

    def _fill(self, lines: list[str]) -> None:
        if lines != self._filled:
            self._filled = lines
            pane = self.query_one("#point", ScrollLines)
            pane.show([(Span(f" {line}"),) for line in lines])
            pane.scroll_home(animate=False, immediate=True)
        self._paint_frame()

    # What can be done

    def perform(self, name: str) -> bool:
        """Go back, undo, compare, name, filter, zoom."""
        point = self._point()
        if name == "roll_back" and point is not None:
            self._ask_to_go_back(point.id)
        elif name == "undo":
            self._ask_to_go_back(None)
        elif name == "mark" and point is not None:
            self._history.marked = None if self._history.marked == point.id else point.id
            self.query_one(PagedTable).refresh()
        elif name == "compare" and point is not None:
            self._compare(point.id)
        elif name == "name_point" and point is not None:
            self._naming = point.id
            self._open_field(point.name or "", "a name for this checkpoint; empty takes it away")
        elif name == "filter":
            self._naming = None
            self._open_field("", "part of a name, number or phase")
        elif name == "zoom":
            self.toggle_class("-zoomed")
            self.query_one("#point" if self.has_class("-zoomed") else "#points").focus()
            self.call_after_refresh(self.repaint)
        else:
            return False
        return True

    def _ask_to_go_back(self, target: int | None) -> None:
        asking = ask_to_go_back(self, Path(self._directory), target, self._settings)
        self.run_worker(asking, group="ask", exclusive=True)

    def _compare(self, point: int) -> None:
        marked = self._history.marked
        a, b = (point, None) if marked in {None, point} else (min(marked, point), max(marked, point))
        assert a is not None
        self._compared = (a, b)
        self.run_worker(self._show_difference(a, b), group="details")
        self._repaint_keys()

    # The field: a filter, or a name

    def _open_field(self, value: str, hint: str) -> None:
        field = self.query_one("#history-field", TextField)
        field.placeholder = hint
        field.value = value
        mark = " / " if self._naming is None else " n "
        self.query_one("#history-field-mark", Lines).show([(Span(mark, "key"),)])
        self.query_one("#history-field-row").display = True
        self.add_class("-filtering")
        self.set_focus(field)

    def _close_field(self) -> None:
        self._naming = None
        self.query_one("#history-field-row").display = False
        self.remove_class("-filtering")
        self.query_one(PagedTable).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as one types."""
        event.stop()
        if self._naming is None and self.has_class("-filtering"):
            self._filter(event.value.strip())

    def _filter(self, needle: str) -> None:
        self._history.filter(needle)
        table = self.query_one(PagedTable)
        table.reload()
        if not table.slid:
            table.move_to(table.cursor)
        self._paint_frame()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the filter, or gives the name."""
        event.stop()
        if self._naming is not None:
            self.post_message(self.Rename(self._naming, event.value.strip()))
            self._close_field()
        else:
            self.query_one(PagedTable).focus()

    def _esc_clears(self) -> bool:
        return self.has_class("-filtering") and not self.has_class("-zoomed")

    def back_out(self) -> bool:
        """Esc leaves the zoom, the field, the details or the comparison."""
        if self.has_class("-zoomed"):
            self.perform("zoom")
        elif self.has_class("-filtering"):
            naming = self._naming is not None
            self._close_field()
            if not naming:
                self._filter("")
        elif self.query_one("#point").has_focus:
            self.query_one(PagedTable).focus()
        elif self._compared is not None and self._shown is not None:
            self._compared = None
            self.run_worker(self._show(self._shown), group="details")
        else:
            return False
        return True

    def _repaint_keys(self) -> None:
        self.call_after_refresh(self.repaint)


def _details(directory: Path, checkpoint: int) -> Iterator[str]:
    from tui_scraper import plain_history
    from tui_scraper.engine.store.reader import Reader

    with Reader(directory) as reader:
        details = reader.checkpoint(str(checkpoint))
    yield from plain_history.details_lines(details)


def _difference(directory: Path, a: int, b: int | None) -> Iterator[str]:
    from tui_scraper import plain_history
    from tui_scraper.engine.store.reader import Reader

    with Reader(directory) as reader, reader.compare(a, b) as comparison:
        for count, line in enumerate(plain_history.comparison_lines(comparison)):
            if count == _MOST_DIFFERENCES:
                yield f"… `tui-scraper checkpoints diff {a}{'' if b is None else f' {b}'}` lists them all."
                return
            yield line
