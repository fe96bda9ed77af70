"""Excel workbooks of the years before 2007 (.xls): the records of BIFF, from version 2 to 8.

Records are read one after another, as Excel writes them: what all sheets share, then each sheet with its
cells row by row, its text boxes and comments, and what is embedded in it. Sheets of Excel 2 to 4 are no
compound files but the records alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Extracted, Links, Prose
from tui_scraper.engine.extract.office.biff import (
    ContinuedStrings,
    Record,
    code_page,
    decoded,
    records,
    switch_text,
    unpacked_number,
)
from tui_scraper.engine.extract.office.blocks import Blocks, FullError
from tui_scraper.engine.extract.office.grid import (
    Cells,
    Grid,
    builtin_time_format,
    cell_text,
    column_name,
    header_text,
    plain_number,
    time_format,
    time_text,
)
from tui_scraper.engine.extract.office.ole import MAGIC, CompoundFile, DamagedFileError
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

NAME: Final = "Excel workbook"

_BOF2, _BOF3, _BOF4, _BOF = 0x0009, 0x0209, 0x0409, 0x0809
_BOFS: Final = {_BOF2: 2, _BOF3: 3, _BOF4: 4, _BOF: 5}
_EOF, _CONTINUE, _FILEPASS, _CODEPAGE, _DATEMODE = 0x0A, 0x3C, 0x2F, 0x42, 0x22
_BOUNDSHEET, _SST, _FORMAT2, _FORMAT, _XF5, _XF4, _XF3 = 0x85, 0xFC, 0x1E, 0x041E, 0xE0, 0x0443, 0x0243
_LABELSST, _LABEL, _LABEL2, _RSTRING, _NUMBER, _NUMBER2 = 0xFD, 0x0204, 0x04, 0xD6, 0x0203, 0x03
_INTEGER2, _RK, _MULRK, _BOOLERR, _BOOLERR2 = 0x02, 0x027E, 0xBD, 0x0205, 0x05
_FORMULAS: Final = (0x06, 0x0206, 0x0406)
_STRING, _STRING2, _NOTE, _TXO, _OBJ = 0x0207, 0x07, 0x1C, 0x01B6, 0x5D
_HEADER, _FOOTER, _HLINK, _SERIESTEXT = 0x14, 0x15, 0x01B8, 0x100D
_GLOBALS, _WORKSPACE = 5, 0x100
_URL_MONIKER: Final = b"\xe0\xc9\xea\x79\xf9\xba\xce\x11\x8c\x82\x00\xaa\x00\x4b\xa9\x0b"


def read_xls(data: bytes, settings: CleanSettings) -> Extracted:
    """The text of a workbook.

    Raises DocumentError: CORRUPT or ENCRYPTED.
    """
    stream, title = _stream(data)
    blocks = Blocks(settings.max_chars)
    reader = _Workbook(blocks)
    truncated = False
    try:
        reader.read(records(stream))
    except FullError:
        truncated = True
    if not reader.is_whole:
        raise DocumentError(Cause.CORRUPT, f"The {NAME} is damaged: it has no sheets that can be read.")
    return Extracted(
        text=blocks.text(), title=title, links=reader.links.as_list(), truncated=truncated, prose=Prose.DATA
    )


def _stream(data: bytes) -> tuple[bytes, str | None]:
    """The stream of records, and the title that the document has."""
    if not data.startswith(MAGIC):
        return data, None
    try:
        container = CompoundFile(data)
    except DamagedFileError:
        raise DocumentError(
            Cause.CORRUPT, f"The {NAME} is damaged: its container cannot be opened."
        ) from None
    stream = container.read("Workbook") or container.read("Book")
    if not stream:
        raise DocumentError(Cause.CORRUPT, f"The {NAME} is damaged: its sheets are missing.")
    return stream, container.title()


class _Workbook:
    """The state of one pass over the records."""

    def __init__(self, blocks: Blocks) -> None:
        self.links = Links()
        self.is_whole = False  # whether at least one sheet began
        self._blocks = blocks
        self._version = 8
        self._encoding = "cp1252"
        self._is_1904 = False
        self._names: dict[int, str] = {}
        self._strings: list[str] = []
        self._formats: dict[int, str] = {}
        self._format_count = 0
        self._shows: list[str] = []
        self._page_texts: set[str] = set()
        self._sheet: _Sheet | None = None
        self._depth = 0

    def read(self, records: Iterator[Record]) -> None:
        """Read all records. Raises DocumentError(ENCRYPTED) where they say that they are."""
        pending: tuple[int, list[bytes]] | None = None
        for kind, content, offset in records:
            if kind == _CONTINUE and pending is not None:
                pending[1].append(content)
                continue
            if pending is not None:
                self._end_continued(*pending)
                pending = None
            if kind == _FILEPASS:
                raise DocumentError(Cause.ENCRYPTED, f"The {NAME} is encrypted: it needs a password.")
            if kind in (_SST, _TXO):
                pending = (kind, [content])
            else:
                self._record(kind, content, offset)
        if pending is not None:
            self._end_continued(*pending)
        self._end_sheet()

    def _end_continued(self, kind: int, pieces: list[bytes]) -> None:
        if kind == _SST:
            self._read_strings(pieces)
        elif self._sheet is not None and len(pieces) > 1 and len(pieces[0]) >= 12:
            (count,) = struct.unpack_from("<H", pieces[0], 10)
            flags = pieces[1][:1]
            if flags:
                strings = ContinuedStrings([pieces[1][1:], *pieces[2:]])
                self._sheet.shape_text(cell_text(strings.characters(count, bool(flags[0] & 1))))

    def _read_strings(self, pieces: list[bytes]) -> None:
        strings = ContinuedStrings([pieces[0][8:], *pieces[1:]])
        while (text := strings.shared()) is not None:
            self._strings.append(cell_text(text))

    def _record(self, kind: int, content: bytes, offset: int) -> None:
        if kind in _BOFS:
            self._begin(kind, content, offset)
        elif kind == _EOF:
            self._depth = max(0, self._depth - 1)
            if self._depth == 0:
                self._end_sheet()
        elif self._sheet is None:
            try:
                self._shared_record(kind, content)
            except (struct.error, IndexError):
                return  # a record too short for what it is tells nothing
        else:
            try:
                self._sheet.record(kind, content)
            except (struct.error, IndexError):
                return

    def _begin(self, kind: int, content: bytes, offset: int) -> None:
        version, holds = struct.unpack_from("<HH", content + b"\0\0\0\0")
        if self._depth == 0:
            self._version = _BOFS[kind]
            if kind == _BOF:
                self._version = 8 if version == 0x0600 else 5
            self._end_sheet()
            if holds not in (_GLOBALS, _WORKSPACE):
                self.is_whole = True
                self._sheet = _Sheet(self, Grid(self._blocks, self._names.get(offset, "")))
        self._depth += 1

    def _end_sheet(self) -> None:
        if self._sheet is not None:
            sheet, self._sheet = self._sheet, None
            sheet.end()

    def _shared_record(self, kind: int, content: bytes) -> None:
        if kind == _BOUNDSHEET:
            (offset,) = struct.unpack_from("<I", content)
            self._names[offset] = cell_text(self.short_text(content, 6))
        elif kind == _CODEPAGE:
            (page,) = struct.unpack_from("<H", content)
            self._encoding = code_page(page)
        elif kind == _DATEMODE:
            self._is_1904 = bool(struct.unpack_from("<H", content)[0])
        else:
            self.format_record(kind, content)

    def format_record(self, kind: int, content: bytes) -> None:
        """Learn a number format or a style; before version 5 they stand among the cells."""
        if kind == _FORMAT and self._version >= 5:
            (number,) = struct.unpack_from("<H", content)
            code = self.long_text(content, 2) if self._version == 8 else self.short_text(content, 2)
            self._formats[number] = time_format(code)
        elif kind in (_FORMAT, _FORMAT2):
            code = self.short_text(content, 2 if kind == _FORMAT else 0)
            self._formats[self._format_count] = time_format(code)
            self._format_count += 1
        elif kind in (_XF5, _XF4, _XF3):
            number = struct.unpack_from("<H", content, 2)[0] if kind == _XF5 else content[1]
            known = self._formats.get(number)
            self._shows.append(builtin_time_format(number) if known is None else known)

    def short_text(self, content: bytes, offset: int) -> str:
        """A string with a length of one byte."""
        count = content[offset]
        if self._version == 8:
            return self._flagged(content, offset + 1, count)
        return content[offset + 1 : offset + 1 + count].decode(self._encoding, "replace")

    def long_text(self, content: bytes, offset: int) -> str:
        """A string with a length of two bytes."""
        (count,) = struct.unpack_from("<H", content, offset)
        if self._version == 8:
            return self._flagged(content, offset + 2, count)
        return content[offset + 2 : offset + 2 + count].decode(self._encoding, "replace")

    def _flagged(self, content: bytes, offset: int, count: int) -> str:
        flags = content[offset] if count else 0
        start = offset + 1 + (2 if flags & 8 else 0) + (4 if flags & 4 else 0)
        is_wide = bool(flags & 1)
        return decoded(content[start : start + count * (2 if is_wide else 1)], is_wide)

    def old_text(self, raw: bytes) -> str:
        """Bytes in the code page of the workbook."""
        return raw.decode(self._encoding, "replace")

    def shared_text(self, number: int) -> str:
        """A shared string, '' where there is none of that number."""
        return self._strings[number] if number < len(self._strings) else ""

    def number_text(self, number: float, style: int) -> str:
        """What a cell of that style shows of a number."""
        shows = self._shows[style] if style < len(self._shows) else ""
        return (time_text(number, shows, self._is_1904) if shows else "") or plain_number(number)

    def page_text(self, text: str) -> str:
        """A page header or footer that no sheet had before, '' otherwise."""
        text = header_text(text)
        if text in self._page_texts:
            return ""
        self._page_texts.add(text)
        return text

    @property
    def version(self) -> int:
        """Of BIFF: 2 to 5, or 8."""
        return self._version


class _Sheet:
    """One sheet while its records are read."""

    def __init__(self, workbook: _Workbook, grid: Grid) -> None:
        self._workbook = workbook
        self._grid = grid
        self._row = -1
        self._cells: Cells = []
        self._formula_column = -1
        self._shape = -1
        self._shape_texts: dict[int, str] = {}
        self._unnamed = -1
        self._comments: list[tuple[str, str, int, str]] = []  # (cell, author, shape, text)
        self._beside: list[str] = []

    def record(self, kind: int, content: bytes) -> None:
        """Take a record. Raises struct.error or IndexError where it is too short."""
        if kind == _LABELSST:
            row, column, _style, number = struct.unpack_from("<HHHI", content)
            self._cell(row, column, self._workbook.shared_text(number))
        elif kind == _NUMBER:
            row, column, style, value = struct.unpack_from("<HHHd", content)
            self._cell(row, column, self._workbook.number_text(value, style))
        elif kind == _RK:
            row, column, style, packed = struct.unpack_from("<HHHI", content)
            self._cell(row, column, self._workbook.number_text(unpacked_number(packed), style))
        elif kind == _MULRK:
            row, column = struct.unpack_from("<HH", content)
            for offset in range(4, len(content) - 7, 6):
                style, packed = struct.unpack_from("<HI", content, offset)
                self._cell(row, column, self._workbook.number_text(unpacked_number(packed), style))
                column += 1
        elif kind in _FORMULAS:
            self._formula(content)
        elif kind in (_STRING, _STRING2):
            is_short = kind == _STRING2
            text = self._workbook.short_text(content, 0) if is_short else self._workbook.long_text(content, 0)
            if self._formula_column >= 0:
                self._cell(self._row, self._formula_column, cell_text(text))
                self._formula_column = -1
        elif kind in (_LABEL, _RSTRING):
            row, column = struct.unpack_from("<HH", content)
            self._cell(row, column, cell_text(self._workbook.long_text(content, 6)))
        elif kind == _BOOLERR:
            row, column, _style, code, is_error = struct.unpack_from("<HHHBB", content)
            self._cell(row, column, switch_text(code, bool(is_error)))
        else:
            self._rare_record(kind, content)

    def _rare_record(self, kind: int, content: bytes) -> None:
        if kind in (_HEADER, _FOOTER):
            self._page_text(content)
        elif kind == _OBJ and self._workbook.version == 8:
            self._shape = struct.unpack_from("<H", content, 6)[0]
        elif kind == _NOTE:
            self._comment(content)
        elif kind == _HLINK:
            self._link(content)
        elif kind == _SERIESTEXT:
            text = cell_text(self._workbook.short_text(content, 2))
            if text:
                self._beside.append(text)
        elif self._workbook.version < 5:
            self._old_record(kind, content)

    def _old_record(self, kind: int, content: bytes) -> None:
        """Records of Excel 2, whose cells have three bytes of attributes, and styles among the cells."""
        if kind == _LABEL2:
            row, column = struct.unpack_from("<HH", content)
            self._cell(row, column, cell_text(self._workbook.short_text(content, 7)))
        elif kind == _NUMBER2:
            row, column, value = struct.unpack_from("<HH3xd", content)
            self._cell(row, column, plain_number(value))
        elif kind == _INTEGER2:
            row, column, whole = struct.unpack_from("<HH3xH", content)
            self._cell(row, column, str(whole))
        elif kind == _BOOLERR2:
            row, column, code, is_error = struct.unpack_from("<HH3xBB", content)
            self._cell(row, column, switch_text(code, bool(is_error)))
        else:
            self._workbook.format_record(kind, content)

    def _formula(self, content: bytes) -> None:
        row, column, style = struct.unpack_from("<HHH", content)
        start = 7 if self._workbook.version == 2 else 6
        result = content[start : start + 8]
        self._formula_column = -1
        if result[6:8] != b"\xff\xff":
            self._cell(row, column, self._workbook.number_text(struct.unpack("<d", result)[0], style))
        elif result[0] == 0:
            self._move_to(row)
            self._formula_column = column  # its text comes in a record of its own
        elif result[0] in (1, 2):
            self._cell(row, column, switch_text(result[2], result[0] == 2))

    def _cell(self, row: int, column: int, text: str) -> None:
        self._move_to(row)
        if text:
            self._cells.append((column, text))

    def _move_to(self, row: int) -> None:
        if row != self._row:
            self._grid.row(self._cells)
            self._row, self._cells = row, []

    def _page_text(self, content: bytes) -> None:
        if content:
            version = self._workbook.version
            code = (
                self._workbook.long_text(content, 0)
                if version == 8
                else self._workbook.short_text(content, 0)
            )
            text = self._workbook.page_text(code)
            if text:
                self._beside.append(text)

    def shape_text(self, text: str) -> None:
        """Take the text of the shape that was named last."""
        if text:
            if self._shape < 0 or self._shape in self._shape_texts:
                self._shape, self._unnamed = self._unnamed, self._unnamed - 1
            self._shape_texts[self._shape] = text

    def _comment(self, content: bytes) -> None:
        row, column, third = struct.unpack_from("<HHH", content)
        cell = f"{column_name(column)}{row + 1}"
        if self._workbook.version == 8:
            (shape,) = struct.unpack_from("<H", content, 6)
            self._comments.append((cell, cell_text(self._workbook.long_text(content, 8)), shape, ""))
        elif row != 0xFFFF:
            self._comments.append((cell, "", 0, cell_text(self._workbook.old_text(content[6 : 6 + third]))))

    def _link(self, content: bytes) -> None:
        at = content.find(_URL_MONIKER)
        if at >= 0:
            (size,) = struct.unpack_from("<I", content, at + 16)
            address = content[at + 20 : at + 20 + size].decode("utf-16-le", "replace").partition("\0")[0]
            self._workbook.links.add(address, "hyperlink")

    def end(self) -> None:
        """Write the sheet out."""
        self._grid.row(self._cells)
        self._cells = []
        self._grid.end()
        for cell, author, shape, text in self._comments:
            said = text or self._shape_texts.pop(shape, "")
            if said:
                by = f" by {author}" if author else ""
                self._grid.note(f"Comment on {cell}{by}: {said.removeprefix(f'{author}:').strip()}")
        for text in [*self._shape_texts.values(), *self._beside]:
            self._grid.note(text)
