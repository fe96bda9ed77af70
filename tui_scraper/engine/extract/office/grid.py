"""A spreadsheet's cells as Markdown: what workbooks of every kind are written into.

Only columns that are used are shown, and only rows. Cells come row by row; after `_HELD_CELLS` or
`_HELD_CHARS` the columns are settled and the rows written out, so that memory does not grow with the sheet.
Where filling the gaps would cost more than the cells themselves (a diagonal across the sheet), rows become
plain lines, so that the text stays linear in the cells.
"""

from __future__ import annotations

import datetime
import math
import re
from typing import Final

from tui_scraper.engine.extract.office.blocks import Blocks
from tui_scraper.engine.extract.tables import markdown_table, table_row

Cells = list[tuple[int, str]]
"""The cells of a row that hold something: (column from 0, text)."""

_HELD_CELLS: Final = 50_000
_HELD_CHARS: Final = 2_000_000
_GAPS_PER_CELL: Final = 8
_FREE_GAPS: Final = 2_000
_DRAWING_COLUMNS: Final = 10

_FORMAT_LITERALS = re.compile(r'"[^"]*"|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[^\]]{0,40}\]")
_SPOKEN = re.compile(r"general|standard|@|\be\+|0e|#e", re.IGNORECASE)
_HEADER_CODE = re.compile(r'&(?:"[^"]*"|K[0-9A-Fa-f]{6}|K\d\d[+-]\d{3}|\d+|[LCR]|[^&\d])')
_SECONDS_A_DAY: Final = 86_400
_LAST_DAY: Final = 2_958_466  # 10,000-01-01
_MAC_DAYS: Final = 1_462  # from 1900-01-00 to 1904-01-01


class Grid:
    """The cells of one sheet on their way into blocks."""

    def __init__(self, blocks: Blocks, name: str) -> None:
        self._blocks = blocks
        self._name = name
        self._rows: list[Cells] = []
        self._cells = self._characters = 0
        self._places: dict[int, int] | None = None  # column -> place in the table, once that is settled

    def row(self, cells: Cells) -> None:
        """Add a row. Cells without text are no cells."""
        if not cells:
            return
        self._rows.append(cells)
        self._cells += len(cells)
        self._characters += sum(len(text) for _column, text in cells)
        if self._cells >= _HELD_CELLS or self._characters >= _HELD_CHARS:
            self._write()

    def note(self, text: str) -> None:
        """Add a paragraph: a comment, a text box, a header."""
        self._write()
        self._head()
        self._blocks.paragraph(text)

    def end(self) -> None:
        """Write out what is still held."""
        self._write()

    def _head(self) -> None:
        if self._name:
            self._blocks.heading(2, self._name)
            self._name = ""

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        cells, self._cells, self._characters = self._cells, 0, 0
        if not rows:
            return
        self._head()
        places, begins = self._places, False
        if places is None:
            begins = True
            used = sorted({column for row in rows for column, _text in row})
            places = {column: place for place, column in enumerate(used)}
        width = len(places)
        if begins and _is_drawing(rows, width):
            self._blocks.lines("\n".join(" ".join(text for _column, text in row) for row in rows))
            return
        if width * len(rows) > cells * _GAPS_PER_CELL + _FREE_GAPS:
            self._blocks.lines("\n".join(" | ".join(text for _column, text in row) for row in rows))
            return
        lines = [_in_place(row, places, width) for row in rows]
        if not begins:
            self._blocks.more_lines("\n".join(table_row(line, width) for line in lines))
        elif width == 1 or len(lines) == 1:
            self._blocks.lines("\n".join(" | ".join(filter(None, line)) for line in lines))
        else:
            self._blocks.lines(markdown_table(lines))
            self._places = places


def _is_drawing(rows: list[Cells], width: int) -> bool:
    """Whether a sheet is drawn rather than written: every cell is filled, by a single character.

    Bars between them would be most of its text.
    """
    if width < _DRAWING_COLUMNS:
        return False
    return all(len(row) == width and sum(len(text) for _column, text in row) == width for row in rows)


def _in_place(row: Cells, places: dict[int, int], width: int) -> list[str]:
    line = [""] * width
    for column, text in row:
        place = places.get(column)
        if place is None:
            line.append(text)  # a column that came up after the table's columns were settled
        else:
            line[place] = text
    return line


def column_name(column: int) -> str:
    """0 is 'A', 26 'AA'."""
    letters = ""
    column += 1
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def cell_text(text: str) -> str:
    """The text of a cell on one line."""
    return " ".join(text.split())


def plain_number(number: float) -> str:
    """A number as people write it: without a fraction of nothing, without the noise of binary fractions."""
    if not math.isfinite(number):
        return ""
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.15g}"


def time_format(code: str) -> str:
    """What a number format shows: 'date', 'time', 'moment' (both), 'span', or '' for a plain number."""
    code = _FORMAT_LITERALS.sub("", code[:255].partition(";")[0])
    if _ELAPSED.search(code):
        return "span"
    code = _BRACKETS.sub("", code).lower()
    if _SPOKEN.search(code):
        return ""
    has_time = "h" in code or "s" in code or "am/pm" in code
    has_date = "y" in code or "d" in code or ("m" in code and not has_time)
    if has_date:
        return "moment" if has_time else "date"
    return "time" if has_time else ""


def builtin_time_format(number: int) -> str:
    """The same for the formats that have numbers and no code (ECMA-376-1, 18.8.30)."""
    if number in (14, 15, 16, 17) or 27 <= number <= 31 or number in (36, 50, 51, 52, 53, 54, 57, 58):
        return "date"
    if number in (18, 19, 20, 21, 45, 47) or 32 <= number <= 35 or number in (55, 56):
        return "time"
    return {22: "moment", 46: "span"}.get(number, "")


def time_text(serial: float, shows: str, is_1904: bool) -> str:
    """A serial number as the date or time that it stands for; '' where it stands for none."""
    if not 0 <= serial < _LAST_DAY:
        return ""
    if shows == "span":
        seconds = round(serial * _SECONDS_A_DAY)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    days, part = divmod(round(serial * _SECONDS_A_DAY), _SECONDS_A_DAY)
    clock = f"{part // 3600:02}:{part // 60 % 60:02}:{part % 60:02}"
    if shows == "time" or (days == 0 and not is_1904):
        return clock
    if is_1904:
        days += _MAC_DAYS
    # Day 60 is the 29th of February 1900, which never was.
    day = datetime.date(1899, 12, 30 if days > 59 else 31) + datetime.timedelta(days=days)
    return day.isoformat() if shows == "date" or (shows == "moment" and part == 0) else f"{day} {clock}"


def header_text(code: str) -> str:
    """The text of a page header or footer, without its codes for fonts, page numbers and places."""
    return cell_text(_HEADER_CODE.sub(_header_code, code[:4_000]))


def _header_code(match: re.Match[str]) -> str:
    return "&" if match[0] == "&&" else " "
