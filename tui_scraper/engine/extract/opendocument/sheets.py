"""The sheets of an OpenDocument spreadsheet as Markdown tables.

Only rows and columns that hold something are shown, and what is repeated is repeated as far as a person
would look: a sheet may say in one line that a cell fills 16,384 columns of a million rows. Where filling
the gaps would cost more than the cells themselves, rows become plain lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from tui_scraper.engine.extract.opendocument.text import SKIPPED
from tui_scraper.engine.extract.tables import markdown_table
from tui_scraper.engine.extract.xml.events import END, START, Event

_MAX_REPEATED: Final = 100
_MAX_COLUMN: Final = 16_384
_FREE_GAPS: Final = 2_000
_GAPS_PER_CELL: Final = 8
_VALUES: Final = ("office:string-value", "office:date-value", "office:time-value", "office:value")

Row = list[tuple[int, str]]
"""The cells of a row that hold something: (column, text)."""


class SheetWriter:
    """Collects the sheets of a document, up to `max_chars` characters."""

    def __init__(self, max_chars: int) -> None:
        self.is_cut = False
        self._blocks: list[str] = []
        self._left = max_chars
        self._skipped = 0
        self._depth = 0  # tables inside one another: a cell may hold one
        self._rows: list[Row] = []
        self._row: Row = []
        self._column = 0
        self._row_repeated = self._cell_repeated = 1
        self._in_cell = False
        self._value = ""
        self._texts: list[str] = []
        self._paragraphs = 0
        self._comment: list[str] | None = None
        self._aside: list[str] = []
        self._name = ""

    def write(self, events: Iterable[Event]) -> None:
        """Take the events of the document, until there is enough."""
        for kind, value, attributes in events:
            if self._skipped:
                self._skipped += {START: 1, END: -1}.get(kind, 0)
            elif kind == START:
                if value in SKIPPED or (value == "table:shapes" and self._in_cell):
                    self._skipped = 1
                elif value in _STARTS:
                    _STARTS[value](self, attributes)
            elif kind == END:
                if value in _ENDS:
                    _ENDS[value](self)
            elif self._paragraphs:
                self._add_text(value)
            if self._left < 0:
                self.is_cut = True
                break

    def text(self) -> str:
        """Everything, with what is still open closed."""
        self._end_row()
        self._depth = min(self._depth, 1)
        self._end_sheet()
        return "\n\n".join(self._blocks)

    def _start_sheet(self, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self._name = " ".join(attributes.get("table:name", "").split())

    def _end_sheet(self) -> None:
        self._depth -= 1
        if self._depth:
            return
        rows, self._rows = self._rows, []
        aside, self._aside = self._aside, []
        if not (rows or aside):
            return
        if self._name:
            self._blocks.append(f"## {self._name}")
        if rows:
            self._blocks.append(_laid_out(rows))
        self._blocks.extend(aside)

    def _start_row(self, attributes: Mapping[str, str]) -> None:
        if self._depth == 1:
            self._row, self._column = [], 0
            self._row_repeated = _count(attributes.get("table:number-rows-repeated"))

    def _end_row(self) -> None:
        if self._depth != 1 or not self._row:
            return
        times = min(self._row_repeated, _MAX_REPEATED)
        self.is_cut = self.is_cut or times < self._row_repeated
        self._rows.extend([self._row] * times)
        self._left -= sum(len(text) + 3 for _column, text in self._row) * times
        self._row = []

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        if self._depth != 1:
            return
        self._in_cell = True
        self._cell_repeated = _count(attributes.get("table:number-columns-repeated"))
        self._value = next(filter(None, map(attributes.get, _VALUES)), None) or ""
        if "office:boolean-value" in attributes:
            self._value = attributes["office:boolean-value"].upper()
        self._texts = []

    def _end_cell(self) -> None:
        if self._depth != 1:
            return
        self._in_cell = False
        text = " ".join("".join(self._texts).split()) or " ".join(self._value.split())
        if text and self._column >= _MAX_COLUMN:
            self.is_cut = True
        elif text:
            times = min(self._cell_repeated, _MAX_REPEATED)
            self.is_cut = self.is_cut or times < self._cell_repeated
            self._row.extend((self._column + number, text) for number in range(times))
        self._column += self._cell_repeated

    def _start_paragraph(self, _attributes: Mapping[str, str]) -> None:
        self._paragraphs += 1
        self._add_text(" ")

    def _end_paragraph(self) -> None:
        self._paragraphs = max(0, self._paragraphs - 1)

    def _blank(self, _attributes: Mapping[str, str]) -> None:
        self._add_text(" ")

    def _start_comment(self, _attributes: Mapping[str, str]) -> None:
        self._comment = []

    def _end_comment(self) -> None:
        comment = " ".join("".join(self._comment or ()).split())
        self._comment = None
        if comment:
            self._aside.append(f"[comment] {comment}")

    def _add_text(self, text: str) -> None:
        if self._comment is not None:
            self._comment.append(text)
        elif self._in_cell:
            self._texts.append(text)
        elif text.strip():
            self._aside.append(" ".join(text.split()))  # a shape or chart beside the cells
        self._left -= len(text) if self._comment is not None or not self._in_cell else 0


def _count(repeated: str | None) -> int:
    return max(1, int(repeated)) if repeated and repeated.isdecimal() and len(repeated) < 8 else 1


def _laid_out(rows: list[Row]) -> str:
    used = sorted({column for row in rows for column, _text in row})
    cells = sum(map(len, rows))
    if len(used) == 1 or len(rows) == 1 or len(used) * len(rows) > cells * _GAPS_PER_CELL + _FREE_GAPS:
        return "\n".join(" | ".join(text for _column, text in row) for row in rows)
    places = {column: place for place, column in enumerate(used)}
    lines = []
    for row in rows:
        line = [""] * len(used)
        for column, text in row:
            line[places[column]] = text
        lines.append(line)
    return markdown_table(lines)


_STARTS: Final[dict[str, Callable[[SheetWriter, Mapping[str, str]], None]]] = {
    "table:table": SheetWriter._start_sheet,
    "table:table-row": SheetWriter._start_row,
    "table:table-cell": SheetWriter._start_cell,
    "table:covered-table-cell": SheetWriter._start_cell,
    "text:p": SheetWriter._start_paragraph,
    "text:s": SheetWriter._blank,
    "text:tab": SheetWriter._blank,
    "text:line-break": SheetWriter._blank,
    "office:annotation": SheetWriter._start_comment,
}
_ENDS: Final[dict[str, Callable[[SheetWriter], None]]] = {
    "table:table": SheetWriter._end_sheet,
    "table:table-row": SheetWriter._end_row,
    "table:table-cell": SheetWriter._end_cell,
    "table:covered-table-cell": SheetWriter._end_cell,
    "text:p": SheetWriter._end_paragraph,
    "office:annotation": SheetWriter._end_comment,
}
