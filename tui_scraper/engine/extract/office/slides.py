"""PowerPoint presentations (.pptx and its relatives): slides in order, each under its title.

A slide is a page: what it shows, its tables and charts, then what belongs to it (speaker notes, comments).
Dates and numbers of slides are left out, footers kept once. Layouts and masters hold prompts rather than
text and are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tui_scraper.engine.extract.base import Extracted, Links
from tui_scraper.engine.extract.office.blocks import Blocks, FullError, one_paragraph
from tui_scraper.engine.extract.office.drawings import CHARTS, drawing_text
from tui_scraper.engine.extract.office.ooxml import Attributes, Package, number, relation_of
from tui_scraper.engine.settings import CleanSettings

NAME: Final = "PowerPoint presentation"

_MAIN_TYPE: Final = (
    r"(?i)presentationml\.(?:presentation|template|slideshow)\.main|ms-powerpoint\.(?:pres|templ|slideshow)"
)
_MAIN_NAME: Final = r"ppt/presentation\d*\.xml"
_SLIDE_NAME: Final = r"ppt/slides/slide\d*\.xml"
_TITLES: Final = ("title", "ctrTitle")
_ALTERNATIVE_CHARS: Final = 300
_TITLE_LEVEL: Final = 2


def read_slides(data: bytes, settings: CleanSettings) -> Extracted:
    """The text of a PresentationML document, a page for each slide.

    Raises DocumentError: CORRUPT, ENCRYPTED or TOO_LARGE.
    """
    package = Package(data, NAME)
    main = package.main_part(_MAIN_TYPE, _MAIN_NAME)
    reader = _Presentation(package, main, settings.max_chars)
    reader.read()
    return Extracted(
        title=package.title() or reader.first_title or None,
        pages=reader.pages,
        links=reader.links.as_list(),
        truncated=reader.truncated,
    )


class _Presentation:
    """What the slides of a presentation share."""

    def __init__(self, package: Package, main: str, max_chars: int) -> None:
        self._package = package
        self._main = main
        self._left = max_chars
        self._authors: dict[str, str] | None = None
        self._footers: set[str] = set()
        self.links = Links()
        self.pages: list[str] = []
        self.first_title = ""
        self.truncated = False

    def read(self) -> None:
        """Read all slides, in the order they are shown in."""
        for part in self._slides():
            blocks = Blocks(self._left)
            try:
                self._read_slide(part, blocks)
            except FullError:
                self.truncated = True
            self.first_title = self.first_title or blocks.first_heading
            self.pages.append(blocks.text())
            self._left -= len(self.pages[-1])
            if self.truncated or self._left <= 0:
                self.truncated = True
                return

    def _slides(self) -> list[str]:
        order: list[str] = []

        def slide(attributes: Attributes) -> None:
            order.append(relation_of(attributes))

        self._package.parse(self._main, {"sldId": slide}, {})
        targets = {
            one.identity: one.target
            for one in self._package.relations(self._main)
            if one.kind == "slide" and self._package.has(one.target)
        }
        found = [targets[identity] for identity in order if identity in targets]
        return found or list(targets.values()) or self._package.matching(_SLIDE_NAME)

    def _read_slide(self, part: str, blocks: Blocks) -> None:
        shapes = _Shapes()
        self._package.parse(part, shapes.starts, shapes.ends, shapes.text)
        shapes.write(blocks, self._footers)
        for drawing in self._package.targets(part, *CHARTS):
            for text in drawing_text(self._package, drawing):
                blocks.paragraph(text)
        notes: list[str] = []
        for beside in self._package.targets(part, "notesslide"):
            seen = _Shapes(is_notes=True)
            self._package.parse_if_there(beside, seen.starts, seen.ends, seen.text)
            notes.extend(seen.paragraphs(self._footers))
        if notes:
            blocks.paragraph("Notes: " + "\n".join(notes))
        for comments in self._package.targets(part, "comments"):
            self._read_comments(comments, blocks)
        for relation in self._package.relations(part):
            if relation.is_external and relation.kind == "hyperlink":
                self.links.add(relation.target, "hyperlink")

    def _read_comments(self, part: str, blocks: Blocks) -> None:
        pieces: list[str] = []
        author = ""
        in_text = False

        def start_comment(attributes: Attributes) -> None:
            nonlocal author
            author = self._author(attributes.get("authorId", ""))
            pieces.clear()

        def end_comment() -> None:
            text = one_paragraph("".join(pieces))
            pieces.clear()
            if text:
                blocks.paragraph(f"Comment by {author}: {text}" if author else f"Comment: {text}")

        def start_text(_attributes: Attributes) -> None:
            nonlocal in_text
            in_text = True

        def end_text() -> None:
            nonlocal in_text
            in_text = False

        def text(characters: str) -> None:
            if in_text:
                pieces.append(characters)

        self._package.parse_if_there(
            part,
            {"cm": start_comment, "reply": start_comment, "text": start_text, "t": start_text},
            {
                "cm": end_comment,
                "reply": end_comment,
                "text": end_text,
                "t": end_text,
                "p": lambda: pieces.append("\n"),
                "txBody": end_comment,
            },
            text,
        )

    def _author(self, identity: str) -> str:
        if self._authors is None:
            self._authors = authors = {}

            def author(attributes: Attributes) -> None:
                authors[attributes.get("id", "")] = one_paragraph(attributes.get("name", ""))

            for part in self._package.targets(self._main, "commentauthors", "authors"):
                self._package.parse_if_there(part, {"cmAuthor": author, "author": author})
        return self._authors.get(identity, "")


@dataclass(slots=True)
class _Line:
    """A paragraph of a shape. `is_item` is None where only the layout tells whether it has a bullet."""

    text: str
    level: int
    is_item: bool | None


@dataclass(slots=True)
class _Shape:
    """A shape with its paragraphs, or a table with its rows. `role` is that of a placeholder."""

    role: str = "-"
    lines: list[_Line] = field(default_factory=list)
    rows: list[list[list[str]]] | None = None


class _Shapes:
    """One pass over a slide, or over the page with its notes. Groups only hold shapes and say nothing."""

    def __init__(self, *, is_notes: bool = False) -> None:
        self._is_notes = is_notes
        self._shapes: list[_Shape] = []
        self._shape = _Shape()
        self._runs: list[str] | None = None
        self._in_text = False
        self._in_field = False
        self._level = 0
        self._is_item: bool | None = None
        self._alternatives: list[tuple[int, bool]] = []  # (characters before it, whether the first has text)
        self._characters = 0
        self._left_out = 0
        self.starts: dict[str, Callable[[Attributes], None]] = {
            **dict.fromkeys(("sp", "pic", "cxnSp", "grpSp", "graphicFrame"), self._start_shape),
            "ph": self._placeholder,
            "cNvPr": self._alternative_text,
            "tbl": self._start_table,
            "tr": self._start_row,
            "tc": self._start_cell,
            "p": self._start_paragraph,
            "pPr": self._properties,
            "buNone": lambda _attributes: self._bullet(False),
            "buChar": lambda _attributes: self._bullet(True),
            "buAutoNum": lambda _attributes: self._bullet(True),
            "t": self._start_text,
            "br": self._line_break,
            "tab": self._line_break,
            "fld": self._start_field,
            "AlternateContent": self._start_alternatives,
            "Fallback": self._start_fallback,
        }
        self.ends: dict[str, Callable[[], None]] = {
            "p": self._end_paragraph,
            "t": self._end_text,
            "fld": self._end_field,
            "AlternateContent": self._end_alternatives,
            "Choice": self._end_choice,
            "Fallback": self._end_fallback,
        }

    def text(self, characters: str) -> None:
        """Take characters, where they belong to a run."""
        if self._in_text and self._runs is not None:
            self._runs.append(characters)
            self._characters += len(characters)

    def write(self, blocks: Blocks, footers: set[str]) -> None:
        """Write the slide: its title, then its shapes in the order they are drawn in."""
        titles = [shape for shape in self._shapes if shape.role in _TITLES]
        heading = " ".join(line.text.replace("\n", " ") for shape in titles for line in shape.lines)
        if heading:
            blocks.heading(_TITLE_LEVEL, heading)
        for shape in self._shapes:
            if shape.role in _TITLES:
                continue
            if shape.role == "ftr":
                for text in _new(shape, footers):
                    blocks.paragraph(text)
            elif shape.role != "sldNum":
                _write_lines(shape, blocks)
            if shape.rows:
                _write_table(shape.rows, blocks)

    def paragraphs(self, footers: set[str]) -> list[str]:
        """The paragraphs of a page of notes, without what is not a note."""
        found: list[str] = []
        for shape in self._shapes:
            if shape.role in ("hdr", "ftr"):
                found.extend(_new(shape, footers))
            elif shape.role not in ("sldNum", "dt"):
                found.extend(line.text for line in shape.lines)
        return found

    # Shapes

    def _start_shape(self, _attributes: Attributes) -> None:
        self._shape = _Shape()
        self._shapes.append(self._shape)

    def _placeholder(self, attributes: Attributes) -> None:
        self._shape.role = attributes.get("type", "body")

    def _alternative_text(self, attributes: Attributes) -> None:
        text = attributes.get("descr", "").strip()
        if " " in text and len(text) <= _ALTERNATIVE_CHARS and not self._left_out and not self._is_notes:
            self._shape.lines.append(_Line(one_paragraph(text), 0, False))

    def _start_table(self, _attributes: Attributes) -> None:
        self._shape.rows = []

    def _start_row(self, _attributes: Attributes) -> None:
        if self._shape.rows is not None:
            self._shape.rows.append([])

    def _start_cell(self, _attributes: Attributes) -> None:
        if self._shape.rows:
            self._shape.rows[-1].append([])

    # Paragraphs

    def _start_paragraph(self, _attributes: Attributes) -> None:
        self._runs, self._level, self._is_item = [], 0, None

    def _end_paragraph(self) -> None:
        text = one_paragraph("".join(self._runs or ()))
        self._runs = None
        if not text:
            return
        rows = self._shape.rows
        if rows and rows[-1]:
            rows[-1][-1].append(text)
        else:
            self._shape.lines.append(_Line(text, self._level, self._is_item))

    def _properties(self, attributes: Attributes) -> None:
        self._level = number(attributes.get("lvl", ""))

    def _bullet(self, is_item: bool) -> None:
        if self._runs is not None and not self._runs:
            self._is_item = is_item

    def _start_text(self, _attributes: Attributes) -> None:
        self._in_text = not (self._left_out or self._in_field)

    def _end_text(self) -> None:
        self._in_text = False

    def _line_break(self, _attributes: Attributes) -> None:
        if self._runs:
            self._runs.append("\n")

    def _start_field(self, attributes: Attributes) -> None:
        self._in_field = attributes.get("type", "").startswith(("slidenum", "datetime"))

    def _end_field(self) -> None:
        self._in_field = False

    # Of two renderings of one thing, the first that has text

    def _start_alternatives(self, _attributes: Attributes) -> None:
        self._alternatives.append((self._characters, False))

    def _end_choice(self) -> None:
        if self._alternatives:
            before, _has_text = self._alternatives[-1]
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


def _write_lines(shape: _Shape, blocks: Blocks) -> None:
    # The layout gives the paragraphs of a body bullets, where they do not say otherwise.
    is_list = shape.role in ("body", "obj") and len(shape.lines) > 1
    for line in shape.lines:
        if is_list if line.is_item is None else line.is_item:
            blocks.item(line.level, "-", line.text)
        else:
            blocks.paragraph(line.text)


def _write_table(rows: list[list[list[str]]], blocks: Blocks) -> None:
    blocks.start_table()
    for row in rows:
        blocks.start_row()
        for cell in row:
            blocks.start_cell()
            for text in cell:
                blocks.paragraph(text)
            blocks.end_cell()
    blocks.end_table()


def _new(shape: _Shape, seen: set[str]) -> list[str]:
    found = [line.text for line in shape.lines if line.text not in seen]
    seen.update(found)
    return found
