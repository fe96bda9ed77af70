"""Binary Excel workbooks (.xlsb): the package of an .xlsx, with records in place of XML.

Comments, shared strings and sheets are streams of records (MS-XLSB 2.1.4); drawings and relationships are
XML as elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from tui_scraper.engine.extract.base import Extracted, Links, Prose
from tui_scraper.engine.extract.office.biff import ERRORS, unpacked_number
from tui_scraper.engine.extract.office.blocks import Blocks, FullError
from tui_scraper.engine.extract.office.drawings import write_drawings
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
from tui_scraper.engine.extract.office.ooxml import Package
from tui_scraper.engine.extract.office.sheets import SHEET_KINDS
from tui_scraper.engine.settings import CleanSettings

NAME: Final = "Excel workbook"

_MAIN_TYPE: Final = r"(?i)ms-excel\.sheet\.binary"
_MAIN_NAME: Final = r"xl/workbook\d*\.bin"
_SHEET_NAME: Final = r"xl/worksheets/sheet\d*\.bin"

_ROW, _RK, _ERROR, _BOOLEAN, _REAL, _STRING, _SHARED = 0, 2, 3, 4, 5, 6, 7
_FORMULA_STRING, _FORMULA_NUMBER, _FORMULA_BOOLEAN, _FORMULA_ERROR, _RICH_STRING = 8, 9, 10, 11, 62
_SHARED_ITEM, _FORMAT, _STYLE, _CELL_STYLES, _CELL_STYLES_END = 19, 44, 47, 617, 618
_WORKBOOK_PROPERTIES, _SHEET, _HEADER_FOOTER = 153, 156, 479
_AUTHOR, _COMMENT, _COMMENT_TEXT = 632, 635, 637
_NO_STRING: Final = 0xFFFFFFFF


def read_xlsb(data: bytes, settings: CleanSettings) -> Extracted:
    """The text of a binary workbook.

    Raises DocumentError: CORRUPT, ENCRYPTED or TOO_LARGE.
    """
    package = Package(data, NAME)
    main = package.main_part(_MAIN_TYPE, _MAIN_NAME)
    blocks = Blocks(settings.max_chars)
    reader = _Workbook(package, main, blocks)
    truncated = False
    try:
        reader.read()
    except FullError:
        truncated = True
    return Extracted(
        text=blocks.text(),
        title=package.title(),
        links=reader.links.as_list(),
        truncated=truncated,
        prose=Prose.DATA,
    )


class _Workbook:
    """What the sheets of a workbook share, and the pass over each of them."""

    def __init__(self, package: Package, main: str, blocks: Blocks) -> None:
        self.links = Links()
        self._package = package
        self._main = main
        self._blocks = blocks
        self._is_1904 = False
        self._strings: list[str] = []
        self._shows: list[str] = []
        self._page_texts: set[str] = set()

    def read(self) -> None:
        """Read all sheets, in the order of their tabs."""
        named: list[tuple[str, str]] = []
        for kind, content in self._records(self._main):
            if kind == _SHEET:
                identity, offset = _text(content, 8)
                name, _offset = _text(content, offset)
                named.append((cell_text(name), identity))
            elif kind == _WORKBOOK_PROPERTIES and content:
                self._is_1904 = bool(content[0] & 1)
        targets = {
            one.identity: one.target
            for one in self._package.relations(self._main)
            if one.kind in SHEET_KINDS and self._package.has(one.target)
        }
        sheets = [(name, targets[identity]) for name, identity in named if identity in targets]
        if not sheets:
            sheets = [("", part) for part in self._package.matching(_SHEET_NAME)]
        for part in self._package.targets(self._main, "sharedstrings"):
            for kind, content in self._records(part):
                if kind == _SHARED_ITEM:
                    self._strings.append(cell_text(_text(content, 1)[0]))
        for part in self._package.targets(self._main, "styles"):
            self._read_styles(part)
        for name, part in sheets:
            self._read_sheet(name, part)

    def _records(self, part: str) -> Iterator[tuple[int, bytes]]:
        """The records of a part, of a cut one those before the cut."""
        data = b"".join(self._package.pieces(part))
        offset, end = 0, len(data)
        while offset < end:
            kind = data[offset]
            offset += 1
            if kind & 0x80 and offset < end:
                kind = kind & 0x7F | (data[offset] & 0x7F) << 7
                offset += 1
            length = shift = 0
            while offset < end and shift < 28:
                byte = data[offset]
                offset += 1
                length |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    break
            if offset + length > end:
                return
            yield kind, data[offset : offset + length]
            offset += length

    def _read_styles(self, part: str) -> None:
        codes: dict[int, str] = {}
        in_cells = False
        for kind, content in self._records(part):
            if kind == _FORMAT and len(content) > 2:
                codes[struct.unpack_from("<H", content)[0]] = time_format(_text(content, 2)[0])
            elif kind in (_CELL_STYLES, _CELL_STYLES_END):
                in_cells = kind == _CELL_STYLES
            elif kind == _STYLE and in_cells and len(content) >= 4:
                (number,) = struct.unpack_from("<H", content, 2)
                self._shows.append(codes[number] if number in codes else builtin_time_format(number))

    def _read_sheet(self, name: str, part: str) -> None:
        grid = Grid(self._blocks, name)
        cells: Cells = []
        page_texts: list[str] = []
        for kind, content in self._records(part):
            if kind == _ROW:
                grid.row(cells)
                cells = []
            elif kind <= _FORMULA_ERROR or kind == _RICH_STRING:
                if len(content) > 8:
                    text = self._value(kind, content)
                    if text:
                        cells.append((struct.unpack_from("<I", content)[0], text))
            elif kind == _HEADER_FOOTER:
                page_texts = _texts(content, 2)
        grid.row(cells)
        grid.end()
        for relation in self._package.relations(part):
            if relation.is_external and relation.kind == "hyperlink":
                self.links.add(relation.target, "hyperlink")
        for comments in self._package.targets(part, "comments"):
            self._read_comments(comments, grid)
        write_drawings(self._package, part, grid.note)
        for text in map(header_text, page_texts):
            if text and text not in self._page_texts:
                self._page_texts.add(text)
                grid.note(text)

    def _value(self, kind: int, content: bytes) -> str:
        style = int.from_bytes(content[4:7], "little")
        if kind == _SHARED:
            number = int.from_bytes(content[8:12], "little")
            return self._strings[number] if number < len(self._strings) else ""
        if kind == _RK and len(content) >= 12:
            return self._number(unpacked_number(struct.unpack_from("<I", content, 8)[0]), style)
        if kind in (_REAL, _FORMULA_NUMBER) and len(content) >= 16:
            return self._number(struct.unpack_from("<d", content, 8)[0], style)
        if kind in (_STRING, _FORMULA_STRING):
            return cell_text(_text(content, 8)[0])
        if kind == _RICH_STRING:
            return cell_text(_text(content, 9)[0])
        if kind in (_BOOLEAN, _FORMULA_BOOLEAN):
            return "TRUE" if content[8] else "FALSE"
        return ERRORS.get(content[8], "") if kind in (_ERROR, _FORMULA_ERROR) else ""

    def _number(self, number: float, style: int) -> str:
        shows = self._shows[style] if style < len(self._shows) else ""
        return (time_text(number, shows, self._is_1904) if shows else "") or plain_number(number)

    def _read_comments(self, part: str, grid: Grid) -> None:
        authors: list[str] = []
        where = who = ""
        for kind, content in self._records(part):
            if kind == _AUTHOR:
                authors.append(cell_text(_text(content, 0)[0]))
            elif kind == _COMMENT and len(content) >= 20:
                author, row, _last_row, column = struct.unpack_from("<4I", content)
                where = f"{column_name(column)}{row + 1}"
                who = authors[author] if author < len(authors) else ""
            elif kind == _COMMENT_TEXT:
                text = cell_text(_text(content, 1)[0])
                if text:
                    by = f" by {who}" if who else ""
                    grid.note(f"Comment on {where}{by}: {text.removeprefix(f'{who}:').strip()}")


def _text(content: bytes, offset: int) -> tuple[str, int]:
    """A string at this place, '' where there is none, and the place after it."""
    if offset + 4 > len(content):
        return "", len(content)
    (count,) = struct.unpack_from("<I", content, offset)
    offset += 4
    if count == _NO_STRING:
        return "", offset
    return content[offset : offset + 2 * count].decode("utf-16-le", "replace"), offset + 2 * count


def _texts(content: bytes, offset: int) -> list[str]:
    """The strings that follow one another from this place on."""
    found: list[str] = []
    while offset + 4 <= len(content):
        text, offset = _text(content, offset)
        found.append(text)
    return found
