"""The XML that Office wrote before it wrote packages: Excel 2003 workbooks, Word 2003 documents, flat OPC.

A flat OPC package is the parts of a .docx one after the other in a single file; its document part reads
as Word's own XML does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tui_scraper.engine.extract.base import Extracted
from tui_scraper.engine.extract.markup.structure import Structure
from tui_scraper.engine.extract.tables import markdown_table
from tui_scraper.engine.extract.xml.events import END, START, TEXT, Event

PREFIXES: Final = {
    "urn:schemas-microsoft-com:office:spreadsheet": "ss",
    "http://schemas.microsoft.com/office/word/2003/wordml": "w",
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.microsoft.com/office/2006/xmlPackage": "pkg",
    "urn:schemas-microsoft-com:office:office": "o",
    "http://schemas.microsoft.com/aml/2001/core": "aml",
    "http://purl.org/dc/elements/1.1/": "dc",
}
"""Namespaces under the prefixes that the readers here know them by."""

WORKBOOK_ROOTS: Final = frozenset(("ss:Workbook",))
WORD_ROOTS: Final = frozenset(("w:wordDocument", "pkg:package", "w:document"))

_MAX_COLUMNS: Final = 500
_MAX_EMPTY_CELLS: Final = 200_000
_PROPERTIES: Final = {
    "o:Title": "title", "o:Subject": "subject", "o:Author": "author", "o:Keywords": "keywords",
    "o:Description": "description", "o:Category": "category", "o:Company": "company", "o:Manager": "manager",
}  # fmt: skip
_TEXT_PARTS: Final = ("document", "footnotes", "endnotes", "header", "footer", "comments")
_MOVED: Final = frozenset(
    ("w:delText", "w:instrText", "w:binData", "w:del", "w:moveFrom", "w:styles", "w:fonts", "w:lists")
)


class WorkbookReader:
    """Reads the events of an Excel 2003 workbook: a heading and a table for each sheet."""

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._paragraphs: list[str] = []
        self._title = ""
        self._properties: list[str] = []
        self._rows: list[list[str]] = []
        self._row: list[str] = []
        self._pieces: list[str] | None = None
        self._closing = ""  # the element whose text is being read
        self._characters = 0
        self._filled = 0  # empty cells that were put in for an index

    def read(self, events: Iterable[Event]) -> Extracted:
        """Read a whole workbook, or as much of it as is wanted."""
        is_cut = False
        for kind, value, attributes in events:
            if kind == TEXT:
                if self._pieces is not None:
                    self._pieces.append(value)
            elif kind == START:
                self._start(value, attributes)
            elif kind == END:
                self._end(value)
            if self._characters > self._max_chars:
                is_cut = True
                break
        self._end_sheet()
        text = "\n\n".join(["\n".join(self._properties), *self._paragraphs])
        return Extracted(text=text, title=self._title or None, truncated=is_cut)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in ("ss:Worksheet", "ss:ComponentOptions"):
            self._end_sheet()
            sheet = attributes.get("ss:Name", "").strip()
            if sheet:
                self._paragraphs.append(f"## {' '.join(sheet.split())}")
        elif name == "ss:Row":
            self._row = []
        elif name == "ss:Cell":
            index = attributes.get("ss:Index", "")
            column = int(index) - 1 if index.isdecimal() and len(index) < 6 else len(self._row)
            missing = column - len(self._row)
            if missing > 0 and column < _MAX_COLUMNS and self._filled < _MAX_EMPTY_CELLS:
                self._row.extend([""] * missing)
                self._filled += missing
            self._row.append("")
        elif (name == "ss:Data" or name in _PROPERTIES) and self._pieces is None:
            self._pieces, self._closing = [], name

    def _end(self, name: str) -> None:
        if name == self._closing and self._pieces is not None:
            text = " ".join("".join(self._pieces).split())
            self._pieces, self._closing = None, ""
            self._characters += len(text) + 3
            if name in _PROPERTIES:
                self._title = text if name == "o:Title" else self._title
                if text:
                    self._properties.append(f"{_PROPERTIES[name]}: {text}")
            elif self._row:
                self._row[-1] = f"{self._row[-1]} {text}".strip()
        elif name == "ss:Row":
            if any(self._row):
                self._rows.append(self._row)
            self._row = []
        elif name == "ss:Worksheet":
            self._end_sheet()

    def _end_sheet(self) -> None:
        if any(self._row):
            self._rows.append(self._row)
        rows, self._rows, self._row = self._rows, [], []
        if rows:
            self._paragraphs.append(markdown_table(rows))


class WordReader:
    """Reads the events of WordprocessingML as structure."""

    def __init__(self, structure: Structure) -> None:
        self._out = structure
        self._unread = 0
        self._is_text = False
        self._property = ""  # the element of the document's properties that is open
        self._started: list[str] = []  # what each open paragraph began: 'p', 'h1', 'li'
        self._part_is_read = True
        self._list_open = False

    def read(self, events: Iterable[Event]) -> None:
        """Read a whole document, or as much of it as is wanted."""
        for kind, value, attributes in events:
            if kind == TEXT:
                if self._is_text and not self._unread and self._part_is_read:
                    self._out.text(value)
                elif self._property:
                    self._set_property(value)
            elif kind == START:
                self._start(value, attributes)
            elif kind == END:
                self._end(value)
            if self._out.is_full:
                break
        self._end_list()

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "pkg:part":
            path = attributes.get("pkg:name", "")
            self._part_is_read = path.rpartition("/")[2].startswith(_TEXT_PARTS) and path.endswith(".xml")
        elif self._unread or name in _MOVED or attributes.get("w:type") == "Word.Deletion":
            self._unread += 1
        elif name in _PROPERTIES or name == "dc:title":
            self._property = name
        elif not self._part_is_read:
            return
        elif name == "w:t":
            self._is_text = True
        elif name == "w:p":
            self._started.append("p")
            self._out.paragraph()
        elif name in ("w:pStyle", "w:outlineLvl"):
            self._style(name, attributes.get("w:val", ""))
        elif name in ("w:listPr", "w:numPr") and self._started and self._started[-1] == "p":
            self._started[-1] = "li"
            if not self._list_open:
                self._out.start("ul")
                self._list_open = True
            self._out.start("li")
        elif name == "w:tbl":
            self._end_list()
            self._out.start("table")
        elif name in ("w:tr", "w:tc"):
            self._out.start("tr" if name == "w:tr" else "td")
        elif name in ("w:br", "w:cr"):
            self._out.line_break()
        elif name == "w:tab":
            self._out.text(" ")
        elif name == "w:hlink":
            self._out.links.add(attributes.get("w:dest", ""), "hyperlink")

    def _set_property(self, value: str) -> None:
        if self._property in ("o:Title", "dc:title"):
            self._out.title += value
        if self._property in _PROPERTIES and value.strip():
            self._out.text(f"{_PROPERTIES[self._property]}: {value}")
            self._out.line_break()

    def _style(self, name: str, value: str) -> None:
        bare = value.lower().replace(" ", "")
        level = bare.removeprefix("heading") if bare.startswith("heading") else "1" if bare == "title" else ""
        if name == "w:outlineLvl" and value.isdecimal():
            level = str(int(value[:2]) + 1)
        if level.isdecimal() and 0 < int(level) < 10 and self._started and self._started[-1] == "p":
            self._end_list()
            self._started[-1] = f"h{min(int(level), 6)}"
            self._out.start(self._started[-1])

    def _end(self, name: str) -> None:
        if self._unread:
            self._unread -= 1
        elif name == "w:t":
            self._is_text = False
        elif name == self._property:
            self._property = ""
        elif name == "pkg:part":
            self._part_is_read = True
        elif not self._part_is_read:
            return
        elif name == "w:p":
            started = self._started.pop() if self._started else "p"
            self._out.end(started)
            if started == "p":
                self._end_list()
        elif name in ("w:tbl", "w:tr", "w:tc"):
            self._end_list()
            self._out.end({"w:tbl": "table", "w:tr": "tr", "w:tc": "td"}[name])

    def _end_list(self) -> None:
        if self._list_open:
            self._out.end("ul")
            self._list_open = False
