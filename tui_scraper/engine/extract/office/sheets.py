"""Excel workbooks (.xlsx and its relatives): each sheet a heading and a table, hidden ones too.

The cells' texts are looked up among the shared strings, which are read first; numbers are shown as they
are kept, dates and times as dates and times. What else a sheet says follows its table: comments, text
boxes and charts, and its page header and footer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tui_scraper.engine.extract.base import Extracted, Links, Prose
from tui_scraper.engine.extract.office.blocks import Blocks, FullError
from tui_scraper.engine.extract.office.drawings import write_drawings
from tui_scraper.engine.extract.office.grid import (
    Cells,
    Grid,
    builtin_time_format,
    cell_text,
    header_text,
    plain_number,
    time_format,
    time_text,
)
from tui_scraper.engine.extract.office.ooxml import Attributes, Package, is_on, number, relation_of
from tui_scraper.engine.settings import CleanSettings

NAME: Final = "Excel workbook"

_MAIN_TYPE: Final = r"(?i)spreadsheetml\.(?:sheet|template)\.main|ms-excel\.(?:sheet|template|addin)"
_MAIN_NAME: Final = r"xl/workbook\d*\.xml"
_SHEET_NAME: Final = r"xl/worksheets/sheet\d*\.xml"
SHEET_KINDS: Final = ("worksheet", "chartsheet", "dialogsheet", "xlmacrosheet", "xlintlmacrosheet")
"""The kinds of relationship by which a workbook refers to its sheets."""

_PAGE_TEXTS: Final = (
    "oddHeader",
    "oddFooter",
    "evenHeader",
    "evenFooter",
    "firstHeader",
    "firstFooter",
)


def read_sheets(data: bytes, settings: CleanSettings) -> Extracted:
    """The text of a SpreadsheetML workbook.

    Raises DocumentError: CORRUPT, ENCRYPTED or TOO_LARGE.
    """
    package = Package(data, NAME)
    main = package.main_part(_MAIN_TYPE, _MAIN_NAME)
    blocks = Blocks(settings.max_chars)
    links = Links()
    reader = _Workbook(package, main, blocks, links)
    truncated = False
    try:
        reader.read()
    except FullError:
        truncated = True
    return Extracted(
        text=blocks.text(),
        title=package.title(),
        links=links.as_list(),
        truncated=truncated,
        prose=Prose.DATA,
    )


class _Workbook:
    """What the sheets of a workbook share, and the pass over each of them."""

    def __init__(self, package: Package, main: str, blocks: Blocks, links: Links) -> None:
        self._package = package
        self._main = main
        self._blocks = blocks
        self._links = links
        self._is_1904 = False
        self._strings: list[str] = []
        self._shows: list[str] = []  # by style: what its number format shows
        self._page_texts: set[str] = set()
        self._persons: dict[str, str] | None = None
        self._columns: dict[str, int] = {}

    def read(self) -> None:
        """Read all sheets, in the order of their tabs."""
        named: list[tuple[str, str]] = []

        def sheet(attributes: Attributes) -> None:
            named.append((cell_text(attributes.get("name", "")), relation_of(attributes)))

        def properties(attributes: Attributes) -> None:
            self._is_1904 = "date1904" in attributes and is_on(attributes["date1904"])

        self._package.parse(self._main, {"sheet": sheet, "workbookPr": properties}, {})
        targets = {
            one.identity: one.target
            for one in self._package.relations(self._main)
            if one.kind in SHEET_KINDS and self._package.has(one.target)
        }
        sheets = [(name, targets[identity]) for name, identity in named if identity in targets]
        if not sheets:
            sheets = [("", part) for part in self._package.matching(_SHEET_NAME)]
        self._read_strings()
        self._read_styles()
        for name, part in sheets:
            self._read_sheet(name, part)

    def _read_strings(self) -> None:
        pieces: list[str] = []
        in_text = False
        in_phonetics = False

        def start_item(_attributes: Attributes) -> None:
            pieces.clear()

        def end_item() -> None:
            self._strings.append(cell_text("".join(pieces)))

        def start_text(_attributes: Attributes) -> None:
            nonlocal in_text
            in_text = not in_phonetics

        def end_text() -> None:
            nonlocal in_text
            in_text = False

        def start_phonetics(_attributes: Attributes) -> None:
            nonlocal in_phonetics
            in_phonetics = True

        def end_phonetics() -> None:
            nonlocal in_phonetics
            in_phonetics = False

        def text(characters: str) -> None:
            if in_text:
                pieces.append(characters)

        found = self._package.targets(self._main, "sharedstrings") or ["xl/sharedstrings.xml"]
        if self._package.has(found[0]):
            self._package.parse(
                found[0],
                {"si": start_item, "t": start_text, "rPh": start_phonetics},
                {"si": end_item, "t": end_text, "rPh": end_phonetics},
                text,
            )

    def _read_styles(self) -> None:
        codes: dict[int, str] = {}
        in_cells = False

        def format_code(attributes: Attributes) -> None:
            codes[number(attributes.get("numFmtId", ""))] = time_format(attributes.get("formatCode", ""))

        def start_cells(_attributes: Attributes) -> None:
            nonlocal in_cells
            in_cells = True

        def end_cells() -> None:
            nonlocal in_cells
            in_cells = False

        def style(attributes: Attributes) -> None:
            if in_cells:
                kind = number(attributes.get("numFmtId", ""))
                self._shows.append(codes[kind] if kind in codes else builtin_time_format(kind))

        for part in self._package.targets(self._main, "styles")[:1]:
            self._package.parse_if_there(
                part, {"numFmt": format_code, "cellXfs": start_cells, "xf": style}, {"cellXfs": end_cells}
            )

    def _read_sheet(self, name: str, part: str) -> None:
        grid = Grid(self._blocks, name)
        sheet = _Sheet(self._columns, self._value, grid)
        self._package.parse(part, sheet.starts, sheet.ends, sheet.text)
        grid.end()
        relations = self._package.relations(part)
        for relation in relations:
            if relation.is_external and relation.kind == "hyperlink":
                self._links.add(relation.target, "hyperlink")
        threads = self._package.targets(part, "threadedcomment")
        for comments in threads or self._package.targets(part, "comments"):
            self._read_comments(comments, grid)
        write_drawings(self._package, part, grid.note)
        for code in sheet.page_texts:
            text = header_text(code)
            if text and text not in self._page_texts:
                self._page_texts.add(text)
                grid.note(text)

    def _value(self, kind: str, style: str, content: str) -> str:
        """What a cell shows, '' for nothing."""
        if kind == "s":
            place = number(content.strip(), -1)
            return self._strings[place] if 0 <= place < len(self._strings) else ""
        if kind in ("", "n"):
            content = content.strip()
            place = number(style)
            shows = self._shows[place] if style and place < len(self._shows) else ""
            if shows or len(content) > 15 or "E" in content or "e" in content:
                return _number(content, shows, self._is_1904)
            return content
        if kind == "b":
            return "TRUE" if content.strip() == "1" else "FALSE" if content.strip() == "0" else content
        return cell_text(content)

    def _read_comments(self, part: str, grid: Grid) -> None:
        authors: list[str] = []
        pieces: list[str] = []
        where = who = ""
        in_text = in_author = False

        def start_author(_attributes: Attributes) -> None:
            nonlocal in_author
            in_author = True
            pieces.clear()

        def end_author() -> None:
            nonlocal in_author
            in_author = False
            authors.append(cell_text("".join(pieces)))

        def start_comment(attributes: Attributes) -> None:
            nonlocal where, who
            where = cell_text(attributes.get("ref", ""))
            place = number(attributes.get("authorId", ""), -1)
            who = authors[place] if 0 <= place < len(authors) else ""
            who = who or self._person(attributes.get("personId", ""))
            pieces.clear()

        def end_comment() -> None:
            text = cell_text("".join(pieces))
            if text:
                by = f" by {who}" if who else ""
                grid.note(f"Comment on {where}{by}: {text.removeprefix(f'{who}:').strip()}")

        def start_text(_attributes: Attributes) -> None:
            nonlocal in_text
            in_text = True

        def end_text() -> None:
            nonlocal in_text
            in_text = False

        def text(characters: str) -> None:
            if in_text or in_author:
                pieces.append(characters)

        self._package.parse_if_there(
            part,
            {
                "author": start_author,
                "comment": start_comment,
                "threadedComment": start_comment,
                "t": start_text,
                "text": start_text,
            },
            {
                "author": end_author,
                "comment": end_comment,
                "threadedComment": end_comment,
                "t": end_text,
                "text": end_text,
            },
            text,
        )

    def _person(self, identity: str) -> str:
        if not identity:
            return ""
        if self._persons is None:
            self._persons = persons = {}

            def person(attributes: Attributes) -> None:
                persons[attributes.get("id", "")] = cell_text(attributes.get("displayName", ""))

            for part in self._package.targets(self._main, "person"):
                self._package.parse_if_there(part, {"person": person})
        return self._persons.get(identity, "")


class _Sheet:
    """One pass over the cells of a sheet."""

    def __init__(self, columns: dict[str, int], value: Callable[[str, str, str], str], grid: Grid) -> None:
        self.page_texts: list[str] = []
        self._columns = columns
        self._value = value
        self._grid = grid
        self._cells: Cells = []
        self._column = -1
        self._kind = self._style = ""
        self._pieces: list[str] | None = None
        self._contents: list[str] = []
        self.starts: dict[str, Callable[[Attributes], None]] = {
            "row": self._start_row,
            "c": self._start_cell,
            "v": self._start_text,
            "t": self._start_text,
            "rPh": self._start_phonetics,
            **dict.fromkeys(_PAGE_TEXTS, self._start_text),
        }
        self.ends: dict[str, Callable[[], None]] = {
            "row": self._end_row,
            "c": self._end_cell,
            "v": self._end_text,
            "t": self._end_text,
            "rPh": self._end_phonetics,
            **dict.fromkeys(_PAGE_TEXTS, self._end_page_text),
        }
        self._in_phonetics = False

    def text(self, characters: str) -> None:
        """Take characters, where they belong to a value."""
        if self._pieces is not None:
            self._pieces.append(characters)

    def _start_row(self, _attributes: Attributes) -> None:
        self._cells = []
        self._column = -1

    def _end_row(self) -> None:
        self._grid.row(self._cells)
        self._cells = []

    def _start_cell(self, attributes: Attributes) -> None:
        place = attributes.get("r", "").rstrip("0123456789")
        column = self._columns.get(place)
        if column is None:
            column = self._columns[place] = _column(place)
        self._column = column if column >= 0 else self._column + 1
        self._kind = attributes.get("t", "")
        self._style = attributes.get("s", "")
        self._contents = []

    def _end_cell(self) -> None:
        if self._contents:
            text = self._value(self._kind, self._style, "".join(self._contents))
            if text:
                self._cells.append((self._column, text))

    def _start_text(self, _attributes: Attributes) -> None:
        self._pieces = []

    def _end_text(self) -> None:
        if self._pieces is not None and not self._in_phonetics:
            self._contents += self._pieces
        self._pieces = None

    def _start_phonetics(self, _attributes: Attributes) -> None:
        self._in_phonetics = True

    def _end_phonetics(self) -> None:
        self._in_phonetics = False

    def _end_page_text(self) -> None:
        if self._pieces is not None:
            self.page_texts.append("".join(self._pieces))
        self._pieces = None


def _column(letters: str) -> int:
    """'A' is 0, 'AA' 26; -1 for what is no column."""
    letters = letters.upper()
    if not letters.isascii() or not letters.isalpha() or len(letters) > 3:
        return -1
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return column - 1


def _number(content: str, shows: str, is_1904: bool) -> str:
    try:
        found = float(content)
    except ValueError:
        return content
    return (time_text(found, shows, is_1904) if shows else "") or plain_number(found)
