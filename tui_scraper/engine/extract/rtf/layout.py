r"""The paragraphs of an RTF document as blocks of text: headings, list items, tables and the rest.

RTF has no elements: a paragraph is what stands before `\par`, a cell what stands before `\cell`, and a
table ends where a paragraph comes that is in none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tui_scraper.engine.extract.tables import markdown_table

_CELL_CHARS: Final = 600  # a longer cell is a page's layout, not a value
_HEADING_CHARS: Final = 300
_MAX_INDENT: Final = 8
_NUMBER = re.compile(
    r"\(?(?:\d{1,4}|[a-zA-Z]|[ivxlcIVXLC]{1,8})(?:\.\d{1,4}){0,8}[.)]{1,2}|\d{1,4}(?:\.\d{1,4}){1,8}"
)
_TYPED_BULLET = re.compile(r"[•·◦▪‣●○■–-](?:\t[ \t]*| {2,})(?=\S)")
_LOOSE_SHARE: Final = 4  # one empty paragraph to four others: empty ones are how the author sets them apart


@dataclass(frozen=True, slots=True)
class Style:
    """How a paragraph is set: `heading` is its level or 0, `level` the depth of a list item, from 0."""

    heading: int = 0
    in_table: bool = False
    is_item: bool = False
    level: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """`kind` is 'text', 'heading', 'item', 'table', or '' for an empty paragraph."""

    kind: str
    text: str = ""


class Flow:
    """One stream of paragraphs: the body, a note, a text box. `marker` is the number of the next item."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.boxes: list[Block] = []  # anchored in the paragraph that is being read
        self.marker = ""
        self._pieces: list[str] = []
        self._cell: list[str] = []
        self._row: list[str] = []
        self._rows: list[list[str]] = []

    def write(self, text: str) -> None:
        """Add to the paragraph that is being read."""
        self._pieces.append(text)

    def end_paragraph(self, style: Style) -> None:
        """End the paragraph."""
        text = self._take()
        marker, self.marker = self.marker, ""
        if style.in_table or self._row:
            self._cell.append(f"{marker} {text}" if marker and text else text)
        else:
            self._end_table()
            self.blocks.append(_block(text, marker, style))
        self._place_boxes()

    def end_cell(self) -> None:
        """End a cell of a table, and the paragraph in it."""
        self._cell.append(f"{self.marker} {self._take()}" if self.marker else self._take())
        self.marker = ""
        self._row.append(" ".join(" ".join(self._cell).split()))
        self._cell.clear()

    def end_row(self) -> None:
        """End a row of a table."""
        if self._row or self._cell:
            if self._cell:
                self.end_cell()
            self._rows.append(self._row)
            self._row = []
        if not self._cell:
            self._place_boxes()

    def close(self) -> list[Block]:
        """The blocks, after ending what is open."""
        self.end_row()
        if self._pieces:
            self.end_paragraph(Style())
        self._end_table()
        self._place_boxes()
        return self.blocks

    def _take(self) -> str:
        text = "".join(self._pieces).strip(" \t\n")
        self._pieces.clear()
        return text

    def _place_boxes(self) -> None:
        if self.boxes and not self._rows and not self._row:
            self.blocks.extend(self.boxes)
            self.boxes = []

    def _end_table(self) -> None:
        rows, self._rows = [row for row in self._rows if any(row)], []
        if not rows:
            return
        columns = max(len(row) - row[::-1].index(next(filter(None, row[::-1]))) for row in rows)
        rows = [row[:columns] for row in rows]
        if columns == 1 or any(len(cell) > _CELL_CHARS for row in rows for cell in row):
            self.blocks.extend(Block("text", cell) for row in rows for cell in row if cell)
        elif len(rows) == 1:
            self.blocks.append(Block("text", " | ".join(filter(None, rows[0]))))
        else:
            self.blocks.append(Block("table", markdown_table(rows)))


def _block(text: str, marker: str, style: Style) -> Block:
    if not text:
        return Block("")
    if style.heading and len(text) <= _HEADING_CHARS:
        line = " ".join(text.split())
        number = f"{marker} " if marker and _NUMBER.fullmatch(marker) else ""
        return Block("heading", f"{'#' * min(style.heading, 6)} {number}{line}")
    typed = _TYPED_BULLET.match(text) if not marker else None
    if typed:
        text = text[typed.end() :]
    if not (marker or style.is_item or typed):
        return Block("text", text)
    lead = "  " * min(style.level, _MAX_INDENT) + (f"{marker} " if _NUMBER.fullmatch(marker) else "- ")
    return Block("item", lead + text.replace("\n", "\n" + " " * len(lead)))


def join(blocks: list[Block]) -> str:
    """The text of blocks, an empty line between paragraphs.

    Where the author set paragraphs apart by empty ones, as in mails, a paragraph without an empty one
    before it is a line of its own and no more.
    """
    texts = sum(block.kind == "text" for block in blocks)
    is_loose = sum(not block.kind for block in blocks) * _LOOSE_SHARE >= texts
    pieces: list[str] = []
    before: Block | None = None
    for block in blocks:
        if block.kind and before is not None:
            tight = block.kind == before.kind and (
                block.kind == "item" or (block.kind == "text" and is_loose)
            )
            pieces.append("\n" if tight else "\n\n")
        pieces.append(block.text)
        before = block if block.kind else (before and Block("gap"))
    return "".join(pieces)
