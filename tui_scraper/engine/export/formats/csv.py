"""`documents.csv`: what is known of each document but its text, safe to open in a spreadsheet.

A spreadsheet takes a cell that begins with = + - or @ for a formula, which can send the sheet's contents
somewhere or start a program. So an apostrophe is put before such a beginning, and before an apostrophe, so
that taking it away again gives the text (`restored`). A cell has more than one beginning: in countries with
a decimal comma a double click splits the lines at semicolons instead, whatever is quoted, and what follows
one is a cell. Control characters, line ends and what turns lines around are replaced as on the screen.

UTF-8 with a byte order mark: Excel takes a file without one for the code page of the country. RFC 4180.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.export.formats.port import Format, Line, Tally, Writer, mismatch
from tui_scraper.engine.export.formats.sink import WRITE_BYTES, Sink, hash_file
from tui_scraper.engine.export.formats.values import Value, about, decimal
from tui_scraper.engine.export.manifest import ExportedFile
from tui_scraper.engine.export.row import Row
from tui_scraper.engine.safe_text import safe_text

COLUMNS = (
    "path",
    "path_bytes",
    "parent",
    "id",
    "content_hash",
    "media_type",
    "size",
    "modified",
    "status",
    "error_phase",
    "error_cause",
    "error_message",
    "title",
    "language",
    "chunk_count",
    "label",
    "labels",
    "confidence",
    "method",
    "model",
    "tokens_in",
    "tokens_out",
    "cost_usd",
    "duplicate_of",
    "near_duplicate_of",
    "link_count",
    "truncated",
    "members",
)
_STATUS, _CHUNKS = COLUMNS.index("status"), COLUMNS.index("chunk_count")
_MOST_CHARS = 32_000
"""A cell of Excel or LibreOffice holds 32,767."""
_BOM = b"\xef\xbb\xbf"
_PROCEED_ROWS = 500
_SEPARATOR = "; "
"""Between the labels of a document."""

# The last four are = + - @ as East Asian keyboards write them, which some spreadsheets read alike.
_ACTS = r"[=+\-@'＝＋－＠]"
_BEGINS = r"""(?:^|;)[\s";]*"""
_RISKY = re.compile(rf"({_BEGINS})(?={_ACTS})")
_MADE_SAFE = re.compile(rf"({_BEGINS})'(?={_ACTS})")
_MAY_MATTER = re.compile(r"[^ -~]|[=+\-@']")


def cell(text: str) -> str:
    """A text as a cell that nothing acts on."""
    if _MAY_MATTER.search(text) is None and len(text) <= _MOST_CHARS:
        return text
    return _RISKY.sub(r"\1'", safe_text(text, limit=_MOST_CHARS))


def restored(text: str) -> str:
    """The text of a cell, without the apostrophes that `cell` put in."""
    return _MADE_SAFE.sub(r"\1", text)


class Csv(Format):
    """Comma-separated values."""

    name = "csv"
    file = "documents.csv"

    def writer(self, directory: Path, before: Path) -> CsvWriter:
        """A writer; the whole file is made anew."""
        return CsvWriter(directory / self.file)

    def tally(self, directory: Path, proceed: Callable[[], None]) -> Tally:
        """Count the rows of a finished file."""
        tally = Tally()
        for cells in _read(directory / self.file):
            tally.add(cells[_STATUS], int(cells[_CHUNKS]))
            proceed()
        return tally


class CsvWriter(Writer):
    """Writes cells, and keeps a hash of them as they are before anything is quoted."""

    def __init__(self, path: Path) -> None:
        self._rows = 0
        self._text = io.StringIO(newline="")
        self._csv = csv.writer(self._text, lineterminator="\r\n")
        self._csv.writerow(COLUMNS)
        self._cells = hashlib.sha256()
        self._sink = Sink(path)
        self._sink.put(bytearray(_BOM))
        self._written: ExportedFile | None = None

    def add(self, line: Line) -> None:
        """Write a row."""
        self._rows += 1
        cells = cells_of(line.row)
        self._csv.writerow(cells)
        self._cells.update("\0".join(cells).encode())
        if self._text.tell() >= WRITE_BYTES // 4:
            self._flush()

    def finish(self) -> ExportedFile:
        """End the file."""
        self._flush()
        size_bytes, sha256 = self._sink.finish()
        self._written = ExportedFile(self._sink.path.name, "csv", self._rows, size_bytes, sha256)
        return self._written

    def sync(self) -> None:
        """Make it durable."""
        self._sink.sync()

    def check(self, total: Tally, proceed: Callable[[], None]) -> None:
        """Read every cell back."""
        assert self._written is not None
        path = self._sink.path
        found, read = Tally(), hashlib.sha256()
        try:
            for cells in _read(path):
                found.add(cells[_STATUS], int(cells[_CHUNKS]))
                read.update("\0".join(cells).encode())
                if found.rows % _PROCEED_ROWS == 0:
                    proceed()
        except ValueError as error:
            raise StoreError(
                f"{path.name}: row {found.rows + 1} of the export is not valid ({error})."
            ) from error
        same_cells = (found, read.digest()) == (total, self._cells.digest())
        if not same_cells or hash_file(path, proceed) != (self._written.size_bytes, self._written.sha256):
            raise StoreError(mismatch(path.name, f"{found.rows} rows", f"{total.rows}"))

    def close(self) -> None:
        """Let go of the file."""
        self._sink.close()

    def _flush(self) -> None:
        self._sink.put(bytearray(self._text.getvalue().encode()))
        self._text.seek(0)
        self._text.truncate()


def cells_of(row: Row) -> list[str]:
    """The cells of a document, in the order of the columns."""
    cells: list[str] = []
    for name, value in about(row).items():
        if name == "error":
            error = value if isinstance(value, dict) else {}
            cells += [cell(error.get(part, "")) for part in ("phase", "cause", "message")]
        else:
            cells.append(_shown(value))
    return cells


def _shown(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return cell(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, list):
        return cell(_SEPARATOR.join(value))
    return str(value)


def _read(path: Path) -> Iterator[list[str]]:
    """The rows of a file after its header. Raises ValueError where it is not one of ours."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            if next(rows, None) != list(COLUMNS):
                raise ValueError("it has other columns")
            for cells in rows:
                if len(cells) != len(COLUMNS):
                    raise ValueError(f"it has {len(cells)} cells")
                yield cells
        except csv.Error as error:
            raise ValueError(str(error)) from error


CSV = Csv()
