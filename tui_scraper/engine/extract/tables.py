"""Tables as Markdown: one row a line, so that a chunk may end between any two rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_MAX_PADDING: Final = 10  # empty cells to one that a row has: one very long row among short ones is no table


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first row is the heading. Cells hold no line ends."""
    columns = max(map(len, rows))
    cells = sum(map(len, rows))
    width = columns if columns * len(rows) - cells <= cells * _MAX_PADDING else 0
    lines = [table_row(rows[0], width), "|" + " --- |" * columns]
    lines.extend(table_row(row, width) for row in rows[1:])
    return "\n".join(lines)


def table_row(row: Sequence[str], columns: int) -> str:
    """One row of a Markdown table with this many columns."""
    joined = " | ".join(cell.replace("|", "\\|") if "|" in cell else cell for cell in row)
    return f"| {joined} |{'  |' * (columns - len(row))}"
