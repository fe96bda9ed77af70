"""Text with structure, put together block by block: headings, paragraphs, list items and tables.

For formats that say of every paragraph what it is. HTML does not, and has a renderer of its own. Blocks
that belong together but are read at the wrong moment (a text box inside a paragraph, a note) are collected
aside and placed later.
"""

from __future__ import annotations

from typing import Final, Literal

from tui_scraper.engine.extract.base import Extracted
from tui_scraper.engine.extract.tables import markdown_table

_CELL_CHARS: Final = 600  # a longer cell is a page's layout, not a value
_MAX_INDENT: Final = 8
_MAX_LEVEL: Final = 6
_MAX_SPAN: Final = 50
_GAPS_PER_CELL: Final = 8  # filling up shorter rows may cost this much
_FREE_GAPS: Final = 2_000


class FullError(Exception):
    """The document has given as much text as is kept of one."""


Kind = Literal["text", "item", "laid out"]
"""A paragraph, an item of a list, or text that must stay as it is, such as a table or a heading."""


class Block:
    """A piece of text. `tight` ones follow the one before without an empty line."""

    __slots__ = ("kind", "text", "tight")

    def __init__(self, text: str, kind: Kind = "text", *, tight: bool = False) -> None:
        self.text = text
        self.kind = kind
        self.tight = tight


class _Table:
    """A table while it is read: rows of cells, each cell a list of blocks."""

    def __init__(self, outer: list[Block]) -> None:
        self.outer = outer
        self.rows: list[list[list[Block]]] = []

    def close(self) -> list[Block]:
        """The table as one block of Markdown, or, where it only lays out a page, its cells' blocks."""
        cells = [cell for row in self.rows for cell in row]
        columns = max(map(len, self.rows), default=0)
        is_data = columns > 1 and all(
            all(block.kind != "laid out" for block in cell)
            and sum(len(block.text) for block in cell) <= _CELL_CHARS
            for cell in cells
        )
        if not is_data:
            return [block for cell in cells for block in cell]
        lines = [
            [" ".join(block.text.replace("\n", " ") for block in cell) for cell in row] for row in self.rows
        ]
        lines = [row for row in lines if any(row)]
        if not lines:
            return []
        if len(lines) == 1:
            return [Block(" | ".join(filter(None, lines[0])))]
        if len(lines) * columns > _GAPS_PER_CELL * len(cells) + _FREE_GAPS:
            return [Block(" | ".join(row)) for row in lines]
        return [Block(markdown_table(lines), "laid out")]


class Blocks:
    """Collects the blocks of a document, up to `max_chars` characters; raises FullError there."""

    def __init__(self, max_chars: int) -> None:
        self._blocks: list[Block] = []
        self._sink = self._blocks
        self._tables: list[_Table] = []
        self._asides: list[tuple[list[Block], list[_Table]]] = []  # where to go on after each
        self._left = max_chars
        self.first_heading = ""

    def paragraph(self, text: str) -> None:
        """Add a paragraph; its lines stay lines."""
        self._add(Block(text))

    def heading(self, level: int, text: str) -> None:
        """Add a heading, a plain paragraph inside a table."""
        text = text.replace("\n", " ")
        if self._tables:
            self._add(Block(text))
            return
        self.first_heading = self.first_heading or text
        self._add(Block(f"{'#' * min(level, _MAX_LEVEL)} {text}", "laid out"))

    def item(self, level: int, marker: str, text: str) -> None:
        """Add a list item: `level` 0 is the outermost, `marker` is '-' or '3.'."""
        lead = "  " * min(level, _MAX_INDENT) + marker + " "
        goes_on = bool(self._sink) and self._sink[-1].kind == "item"
        self._add(Block(lead + text.replace("\n", "\n" + " " * len(lead)), "item", tight=goes_on))

    def lines(self, text: str) -> None:
        """Add text that is laid out already, such as a table."""
        self._add(Block(text, "laid out"))

    def more_lines(self, text: str) -> None:
        """Add lines that go on where the block before ended."""
        self._add(Block(text, "laid out", tight=True))

    def _add(self, block: Block) -> None:
        if not block.text or block.text.isspace():
            return
        self._sink.append(block)
        self._left -= len(block.text)
        if self._left < 0:
            raise FullError

    def start_table(self) -> None:
        """Begin a table, perhaps inside a cell of another."""
        self._tables.append(_Table(self._sink))

    def start_row(self) -> None:
        """Begin a row of the innermost table."""
        if self._tables:
            self._tables[-1].rows.append([])

    def start_cell(self) -> None:
        """Begin a cell: what is added from now on belongs to it."""
        if not self._tables:
            return
        table = self._tables[-1]
        if not table.rows:
            table.rows.append([])
        self._sink = []
        table.rows[-1].append(self._sink)

    def widen_cell(self, columns: int) -> None:
        """Say that the cell just ended spans several columns."""
        if self._tables and self._tables[-1].rows:
            self._tables[-1].rows[-1].extend([] for _ in range(min(columns, _MAX_SPAN) - 1))

    def end_cell(self) -> None:
        """End the cell: what is added until the next one stands between tables' cells, as an outer block."""
        if self._tables:
            self._sink = self._tables[-1].outer

    def end_table(self) -> None:
        """End the innermost table."""
        if self._tables:
            table = self._tables.pop()
            self._sink = table.outer
            self._sink.extend(table.close())

    def aside(self) -> None:
        """Collect aside what comes until `resume`."""
        self._asides.append((self._sink, self._tables))
        self._sink, self._tables = [], []

    def resume(self) -> list[Block]:
        """Give what was collected since `aside`, and go on where that was called."""
        while self._tables:
            self.end_table()
        collected = self._sink
        self._sink, self._tables = self._asides.pop()
        return collected

    def place(self, blocks: list[Block]) -> None:
        """Add blocks that were collected aside."""
        self._sink.extend(blocks)

    def text(self) -> str:
        """Everything collected, with what is still open closed."""
        while self._asides:
            self.place(self.resume())
        while self._tables:
            self.end_table()
        return join(self._blocks)

    def extracted(self, title: str | None, links: list[tuple[str, str]], *, truncated: bool) -> Extracted:
        """The document: titled by its first heading where it has no title of its own."""
        return Extracted(
            text=self.text(), title=title or self.first_heading or None, links=links, truncated=truncated
        )


def join(blocks: list[Block]) -> str:
    """Blocks as text, with an empty line between those that are not tight."""
    pieces: list[str] = []
    for block in blocks:
        if pieces:
            pieces.append("\n" if block.tight else "\n\n")
        pieces.append(block.text)
    return "".join(pieces)


def one_paragraph(text: str) -> str:
    """Text with its blanks squeezed, line by line, and empty lines left out."""
    if "\n" not in text:
        return " ".join(text.split())
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n"))))
