"""Word documents (.docx and its relatives): one pass over each part, straight into blocks.

The body comes first, then what stands apart from it: footnotes and endnotes (marked where they belong),
comments, headers and footers (once each, however many sections repeat them). Text that was deleted or moved
away while changes were tracked is left out; of two renderings of one drawing the first is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from tui_scraper.engine.extract.base import Extracted, Links
from tui_scraper.engine.extract.office.blocks import Block, Blocks, FullError, join, one_paragraph
from tui_scraper.engine.extract.office.drawings import CHARTS, drawing_text
from tui_scraper.engine.extract.office.ooxml import Attributes, Package, number, value
from tui_scraper.engine.extract.office.word_styles import Lists, Styles, outline_level
from tui_scraper.engine.settings import CleanSettings

NAME: Final = "Word document"

_MAIN_TYPE: Final = r"(?i)wordprocessingml\.(?:document|template)\.main|ms-word\.(?:document|template)"
_MAIN_NAME: Final = r"word/document\d*\.xml"
_ADDRESS_FIELD = re.compile(r'\bHYPERLINK\s+"([^"]+)"', re.IGNORECASE)
_ALTERNATIVE_CHARS: Final = 300
_MAX_FIELD_CHARS: Final = 4_000


def read_word(data: bytes, settings: CleanSettings) -> Extracted:
    """The text of a WordprocessingML document.

    Raises DocumentError: CORRUPT, ENCRYPTED or TOO_LARGE.
    """
    package = Package(data, NAME)
    main = package.main_part(_MAIN_TYPE, _MAIN_NAME)
    blocks = Blocks(settings.max_chars)
    links = Links()
    reader = _Reader(package, main, blocks, links)
    truncated = False
    try:
        reader.read(main)
        for part in package.targets(main, *CHARTS):
            for text in drawing_text(package, part):
                blocks.paragraph(text)
        reader.notes_and_comments()
        reader.headers_and_footers()
    except FullError:
        truncated = True
    for relation in package.relations(main):
        if relation.is_external and relation.kind == "hyperlink":
            links.add(relation.target, "hyperlink")
    return blocks.extracted(package.title(), links.as_list(), truncated=truncated)


@dataclass(slots=True)
class _Paragraph:
    """A paragraph while it is read. `beside` are the text boxes that hang on it."""

    runs: list[str] = field(default_factory=list)
    style: str = ""
    outline: int = -1
    list_id: str = ""
    list_level: int = -1
    beside: list[Block] = field(default_factory=list)


class _Reader:
    """The state of one pass over a part; the same reader goes over all parts of a document."""

    def __init__(self, package: Package, main: str, blocks: Blocks, links: Links) -> None:
        self._package = package
        self._main = main
        self._blocks = blocks
        self._links = links
        self._styles = Styles(package, main)
        self._lists = Lists(package, main)
        self._paragraph: _Paragraph | None = None
        self._kept: _Paragraph | None = None
        self._outer: list[_Paragraph | None] = []  # around what is open
        self._in_text = False
        self._left_out = 0  # open elements whose text is left out
        self._alternatives: list[tuple[int, bool]] = []  # (characters before it, whether the first gave any)
        self._characters = 0
        self._spans: list[int] = []
        self._instruction: list[str] | None = None
        self._sign = ""  # of mathematics, written before the next text
        self._numbers: dict[tuple[str, str], int] = {}
        self._note: tuple[str, str] = ("", "")
        self._author = ""
        self._starts: dict[str, Callable[[Attributes], None]] = {
            "p": self._start_paragraph,
            "t": self._start_text,
            "tab": self._tab,
            "ptab": lambda _attributes: self._append(" "),
            "br": self._line_break,
            "cr": self._line_break,
            "noBreakHyphen": self._hyphen,
            "pPrChange": self._start_old_properties,
            "pStyle": self._style,
            "outlineLvl": self._outline_level,
            "numId": self._list_id,
            "ilvl": self._list_level,
            "tbl": self._start_table,
            "tr": self._start_row,
            "tc": self._start_cell,
            "gridSpan": self._span,
            "txbxContent": self._start_box,
            "AlternateContent": self._start_alternatives,
            "Fallback": self._start_fallback,
            "moveFrom": self._start_left_out,
            "rt": self._start_left_out,
            "instrText": self._start_instruction,
            "fldSimple": self._simple_field,
            "footnoteReference": self._footnote_mark,
            "endnoteReference": self._endnote_mark,
            "docPr": self._alternative_text,
            "textpath": self._word_art,
            "sup": lambda _attributes: self._set_sign("^"),
            "sub": lambda _attributes: self._set_sign("_"),
            "den": lambda _attributes: self._set_sign("/"),
            "footnote": lambda attributes: self._start_note("footnote", attributes),
            "endnote": lambda attributes: self._start_note("endnote", attributes),
            "comment": self._start_comment,
        }
        self._ends: dict[str, Callable[[], None]] = {
            "p": self._end_paragraph,
            "pPrChange": self._end_old_properties,
            "t": self._end_text,
            "tbl": self._end_table,
            "tc": self._end_cell,
            "txbxContent": self._end_box,
            "AlternateContent": self._end_alternatives,
            "Choice": self._end_choice,
            "Fallback": self._end_fallback,
            "moveFrom": self._end_left_out,
            "rt": self._end_left_out,
            "instrText": self._end_instruction,
            "sup": lambda: self._set_sign(""),
            "sub": lambda: self._set_sign(""),
            "den": lambda: self._set_sign(""),
            "footnote": self._end_note,
            "endnote": self._end_note,
            "comment": self._end_comment,
        }

    def read(self, part: str) -> None:
        """Read a part into the blocks."""
        self._package.parse(part, self._starts, self._ends, self._text)

    def read_if_there(self, part: str) -> None:
        """Read a part that the document can do without."""
        self._package.parse_if_there(part, self._starts, self._ends, self._text)

    # Text

    def _text(self, text: str) -> None:
        if self._instruction is not None:
            self._instruction.append(text)
        elif self._in_text and self._paragraph is not None:
            if self._sign:
                text, self._sign = self._sign + text, ""
            self._paragraph.runs.append(text)
            self._characters += len(text)

    def _start_text(self, _attributes: Attributes) -> None:
        self._in_text = not self._left_out

    def _end_text(self) -> None:
        self._in_text = False

    def _append(self, text: str) -> None:
        if self._paragraph is not None and not self._left_out:
            self._paragraph.runs.append(text)

    def _tab(self, attributes: Attributes) -> None:
        if not attributes:  # with attributes it is a stop of the ruler
            self._append(" ")

    def _line_break(self, _attributes: Attributes) -> None:
        self._append("\n")

    def _hyphen(self, _attributes: Attributes) -> None:
        self._append("-")

    def _set_sign(self, sign: str) -> None:
        self._sign = sign

    def _alternative_text(self, attributes: Attributes) -> None:
        text = attributes.get("descr", "").strip()
        if " " in text and len(text) <= _ALTERNATIVE_CHARS:
            self._append(f" {text} ")

    def _word_art(self, attributes: Attributes) -> None:
        if not self._left_out:
            self._append(f" {attributes.get('string', '')} ")
            self._characters += len(attributes.get("string", ""))

    # Paragraphs

    def _start_paragraph(self, _attributes: Attributes) -> None:
        self._outer.append(self._paragraph)
        self._paragraph = _Paragraph()

    def _end_paragraph(self) -> None:
        paragraph, self._paragraph = self._paragraph, self._outer.pop() if self._outer else None
        if paragraph is None:
            return
        if self._paragraph is not None:
            self._blocks.aside()  # inside another paragraph, as in a drawing
        text = one_paragraph("".join(paragraph.runs))
        if text:
            self._place(paragraph, text)
        self._blocks.place(paragraph.beside)
        if self._paragraph is not None:
            self._paragraph.beside.extend(self._blocks.resume())

    def _place(self, paragraph: _Paragraph, text: str) -> None:
        outline, list_id, list_level = paragraph.outline, paragraph.list_id, paragraph.list_level
        if paragraph.style:
            style = self._styles.of(paragraph.style)
            outline = outline if outline >= 0 else style.outline
            if not list_id:
                list_id = style.list_id
            list_level = list_level if list_level >= 0 else style.list_level
        if 0 <= outline < 9:
            self._blocks.heading(outline + 1, text)
            return
        marker = self._lists.marker(list_id, max(list_level, 0)) if list_id and list_id != "0" else ""
        if marker:
            self._blocks.item(max(list_level, 0), marker, text)
        else:
            self._blocks.paragraph(text)

    def _style(self, attributes: Attributes) -> None:
        if self._paragraph is not None:
            self._paragraph.style = value(attributes, "val")

    def _outline_level(self, attributes: Attributes) -> None:
        if self._paragraph is not None:
            self._paragraph.outline = outline_level(attributes)

    def _list_id(self, attributes: Attributes) -> None:
        if self._paragraph is not None:
            self._paragraph.list_id = value(attributes, "val")

    def _list_level(self, attributes: Attributes) -> None:
        if self._paragraph is not None:
            self._paragraph.list_level = number(value(attributes, "val"))

    def _start_old_properties(self, _attributes: Attributes) -> None:
        """Keep what the paragraph is, while it is told what it was before a tracked change."""
        if self._paragraph is not None:
            self._kept = replace(self._paragraph)

    def _end_old_properties(self) -> None:
        if self._paragraph is not None and self._kept is not None:
            self._paragraph, self._kept = self._kept, None

    # Tables and text boxes

    def _start_table(self, _attributes: Attributes) -> None:
        self._blocks.start_table()

    def _end_table(self) -> None:
        self._blocks.end_table()

    def _start_row(self, _attributes: Attributes) -> None:
        self._blocks.start_row()

    def _start_cell(self, _attributes: Attributes) -> None:
        self._spans.append(1)
        self._blocks.start_cell()

    def _end_cell(self) -> None:
        self._blocks.end_cell()
        if self._spans:
            self._blocks.widen_cell(self._spans.pop())

    def _span(self, attributes: Attributes) -> None:
        if self._spans:
            self._spans[-1] = number(value(attributes, "val"), 1)

    def _start_box(self, _attributes: Attributes) -> None:
        self._outer.append(self._paragraph)
        self._paragraph = None
        self._blocks.aside()

    def _end_box(self) -> None:
        collected = self._blocks.resume()
        self._paragraph = self._outer.pop()
        if self._paragraph is None:
            self._blocks.place(collected)
        else:
            self._paragraph.beside.extend(collected)

    # What is left out

    def _start_left_out(self, _attributes: Attributes) -> None:
        self._left_out += 1

    def _end_left_out(self) -> None:
        self._left_out -= 1

    def _start_alternatives(self, _attributes: Attributes) -> None:
        self._alternatives.append((self._characters, False))

    def _end_choice(self) -> None:
        if self._alternatives:
            before, _gave = self._alternatives[-1]
            self._alternatives[-1] = (before, self._characters > before)

    def _start_fallback(self, _attributes: Attributes) -> None:
        if self._alternatives and self._alternatives[-1][1]:
            self._left_out += 1

    def _end_fallback(self) -> None:
        if self._alternatives and self._alternatives[-1][1]:
            self._left_out -= 1

    def _end_alternatives(self) -> None:
        if self._alternatives:
            self._alternatives.pop()

    # Fields and notes

    def _start_instruction(self, _attributes: Attributes) -> None:
        self._instruction = []

    def _end_instruction(self) -> None:
        if self._instruction is not None:
            self._add_address("".join(self._instruction))
        self._instruction = None

    def _simple_field(self, attributes: Attributes) -> None:
        self._add_address(value(attributes, "instr"))

    def _add_address(self, instruction: str) -> None:
        found = _ADDRESS_FIELD.search(instruction[:_MAX_FIELD_CHARS])
        if found:
            self._links.add(found[1], "hyperlink")

    def _footnote_mark(self, attributes: Attributes) -> None:
        self._mark("footnote", attributes)

    def _endnote_mark(self, attributes: Attributes) -> None:
        self._mark("endnote", attributes)

    def _mark(self, kind: str, attributes: Attributes) -> None:
        if not self._left_out:
            self._append(f"[^{self._number((kind, value(attributes, 'id')))}]")

    def _number(self, note: tuple[str, str]) -> int:
        return self._numbers.setdefault(note, len(self._numbers) + 1)

    def _start_note(self, kind: str, attributes: Attributes) -> None:
        is_separator = value(attributes, "type") not in ("", "normal")
        self._note = ("" if is_separator else kind, value(attributes, "id"))
        self._blocks.aside()

    def _end_note(self) -> None:
        text = self._text_aside()
        if text and self._note[0]:
            self._blocks.paragraph(f"[^{self._number(self._note)}]: {text}")

    def _start_comment(self, attributes: Attributes) -> None:
        self._author = one_paragraph(value(attributes, "author"))
        self._blocks.aside()

    def _end_comment(self) -> None:
        text = self._text_aside()
        if text:
            self._blocks.paragraph(
                f"Comment by {self._author}: {text}" if self._author else f"Comment: {text}"
            )

    def _text_aside(self) -> str:
        return join(self._blocks.resume()).replace("\n\n", "\n")

    # Parts beside the body

    def notes_and_comments(self) -> None:
        """Read footnotes, endnotes and comments."""
        for part in self._package.targets(self._main, "footnotes", "endnotes", "comments"):
            self.read_if_there(part)

    def headers_and_footers(self) -> None:
        """Read headers and footers; what several of them say is said once, page numbers not at all."""
        seen: set[str] = set()
        for kind in ("header", "footer"):
            for part in self._package.targets(self._main, kind):
                self._blocks.aside()
                self.read_if_there(part)
                collected = self._blocks.resume()
                new = [block for block in collected if block.text not in seen and not block.text.isdecimal()]
                seen.update(block.text for block in new)
                self._blocks.place(new)
