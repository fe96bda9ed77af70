"""Which label a document gets by hand: the labels in force, found by typing, chosen with enter."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.screen import ModalScreen
from textual.widgets import Input

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import DocumentRow
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import Line, Span, cut_left, wrap
from tui_scraper.screens.aside import aside
from tui_scraper.screens.live import LiveScreen
from tui_scraper.screens.requests import LabelByHand
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.paged_table import PagedTable
from tui_scraper.widgets.text_field import TextField

_NONE = "(take away the label given by hand)"


async def ask_label(screen: LiveScreen, directory: Path, version: int) -> None:
    """Ask which label a document is to have, and post LabelByHand to the screen."""

    def read() -> tuple[list[str], list[DocumentRow]]:
        from tui_scraper.engine.document_details import DocumentReader

        with DocumentReader(directory) as reader:
            return reader.labels(), reader.rows([version])

    try:
        labels, rows = await aside(read)
    except TuiScraperError as error:
        screen.say(safe_text(str(error)), "bad")
        return

    if not rows or not screen.is_here:
        return
    (row,) = rows

    def chosen(labels: list[str] | None) -> None:
        if labels is not None:
            screen.post_message(LabelByHand(version, labels, row.labels))

    question = ChooseLabel(row.path, labels, row.labels, by_hand=row.method == "human")
    screen.app.push_screen(question, chosen)


class _Labels:
    """The rows of the list: those labels that hold what was typed."""

    def __init__(self, labels: Sequence[str], now: Sequence[str]) -> None:
        self._all = labels
        self._now = now
        self._shown = list(labels)

    def __len__(self) -> int:
        return len(self._shown)

    def filter(self, typed: str) -> None:
        wanted = typed.casefold().strip()
        self._shown = [label for label in self._all if wanted in label.casefold()]

    def label(self, index: int) -> str | None:
        return self._shown[index] if 0 <= index < len(self._shown) else None

    def line(self, index: int, width: int) -> Line | None:
        label = self._shown[index]
        mark = "●" if label in self._now else " "
        return (Span(f"{mark} ", "accent"), Span(cut_left(label, width - 2)))

    def identity(self, index: int) -> Hashable | None:
        return self.label(index)

    def index_of(self, identity: Hashable) -> int | None:
        return self._shown.index(str(identity)) if identity in self._shown else None


class ChooseLabel(ModalScreen[list[str] | None]):
    """Asks; the result is the labels chosen, [] to take one given by hand away, None to change nothing."""

    AUTO_FOCUS = "#label-typed"
    BINDINGS = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("down", "row(1)", "Down", show=False, priority=True),
        Binding("up", "row(-1)", "Up", show=False, priority=True),
    ]

    def __init__(self, name: str, labels: Sequence[str], now: Sequence[str], *, by_hand: bool) -> None:
        """`name` is what is shown of the document; `now` are its labels, and `by_hand` who gave them."""
        super().__init__()
        self._document = name
        self._rows = _Labels([*labels, _NONE] if by_hand else labels, now)
        self._height = min(14, len(self._rows))

    def compose(self) -> ComposeResult:
        """The document, a field to type in, the labels."""
        with Container(id="label-question"):
            yield Lines(id="label-title")
            yield TextField(id="label-typed", placeholder="type to find, enter takes the one marked ▸")
            yield Lines(id="label-nothing")
            yield PagedTable(self._rows, id="label-rows")

    def on_mount(self) -> None:
        """Show the words, and begin at the label that it has."""
        self.query_one(PagedTable).styles.height = self._height
        width = min(66, max(20, self.size.width - 8))
        said = wrap(f"Label by hand: {self._document}", width)[:3]
        self.query_one("#label-title", Lines).show([(Span(f" {part}", "title"),) for part in said])
        table = self.query_one(PagedTable)
        table.reload()
        marked = next((at for at in range(len(self._rows)) if self._is_now(at)), 0)
        self.call_after_refresh(lambda: table.move_to(marked))

    def _is_now(self, index: int) -> bool:
        line = self._rows.line(index, 80)
        return line is not None and line[0].text.startswith("●")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what holds it."""
        event.stop()
        self._rows.filter(event.value)
        table = self.query_one(PagedTable)
        table.reload()
        table.move_to(0)
        nothing = [(Span(" No label holds that.", "warn"),)] if not len(self._rows) else []
        self.query_one("#label-nothing", Lines).show(nothing)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field takes the marked one."""
        event.stop()
        self._take(self.query_one(PagedTable).cursor)

    def on_paged_table_chosen(self, event: PagedTable.Chosen) -> None:
        """So does enter in the list."""
        event.stop()
        self._take(event.index)

    def _take(self, index: int) -> None:
        label = self._rows.label(index)
        if label is not None:
            self.dismiss([] if label == _NONE else [label])

    def action_row(self, rows: int) -> None:
        """Up and down, also while one types."""
        self.query_one(PagedTable).action_move(rows)

    def action_leave(self) -> None:
        """`esc`."""
        self.dismiss(None)
