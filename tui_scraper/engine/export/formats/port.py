"""What a format of an export is, so that several are written in one pass over the store.

A format says which file of the export is its own, and makes a writer. The writer takes every document's
line in the order of paths, says what the manifest should, makes what it wrote durable, and reads it back.
A new format is one module, and one line in the registry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tui_scraper.engine.export.manifest import ExportedFile
from tui_scraper.engine.export.row import Row

_decode = msgspec.json.Decoder(Row).decode


@dataclass(slots=True)
class Tally:
    """What some lines hold, in numbers. `counts` is rows by status."""

    rows: int = 0
    chunks: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, chunks: int) -> None:
        """Count one row."""
        self.rows += 1
        self.chunks += chunks
        self.counts[status] += 1

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, self.chunks + other.chunks, self.counts + other.counts)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.rows - other.rows, self.chunks - other.chunks, self.counts - other.counts)


class Line:
    """What is exported of one document: a row made anew, or a line of `documents.jsonl` carried over.

    `carried` is that line, None for a row made anew. It is decoded only for formats that ask for the row.
    """

    __slots__ = ("_row", "carried")

    def __init__(self, line: Row | bytes) -> None:
        if isinstance(line, bytes):
            self.carried: bytes | None = line
            self._row: Row | None = None
        else:
            self.carried, self._row = None, line

    @property
    def row(self) -> Row:
        """The row. Raises msgspec.MsgspecError where a line carried over is none, so it is no base."""
        if self._row is None:
            assert self.carried is not None
            self._row = _decode(self.carried)
        return self._row


class Writer(ABC):
    """Writes one format into the folder under construction, then reads it back."""

    @abstractmethod
    def add(self, line: Line) -> None:
        """Take the next line, in the order of paths."""

    @abstractmethod
    def finish(self) -> ExportedFile:
        """End the file. What the manifest says of it is what was meant to be written."""

    @abstractmethod
    def sync(self) -> None:
        """Make it durable; may run beside `check`."""

    @abstractmethod
    def check(self, total: Tally, proceed: Callable[[], None]) -> None:
        """Read back what `finish` described; `total` is what it must hold.

        `proceed` is called now and then; what it raises ends the reading. Raises StoreError where the file
        is not what was written, or not sound.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file, whatever has happened. May be called twice."""


class Format(ABC):
    """One format. `file` is the file that the manifest lists, `folder` what lies beside it, if anything."""

    name: str
    file: str
    folder: str = ""

    @abstractmethod
    def writer(self, directory: Path, before: Path) -> Writer:
        """A writer into `directory`. `before` is where the export that it replaces lies, if there is one."""

    @abstractmethod
    def tally(self, directory: Path, proceed: Callable[[], None]) -> Tally:
        """Count what the file of a finished export holds.

        Raises OSError or ValueError where it cannot be read, and ImportError where that takes a package that
        is not installed. Formats that do not say so much give the rows only.
        """

    def refusal(self) -> str:
        """Why this format cannot be written here, as a sentence; empty where it can."""
        return ""

    def wrong(self, directory: Path, proceed: Callable[[], None]) -> str:
        """What is wrong with `folder`, whose listing is `file` and sound; empty for nothing."""
        return ""

    def foreign(self, directory: Path, listed: ExportedFile) -> str:
        """Something in `folder` that no export wrote, as a path inside `directory`; empty for nothing.

        `listed` is what the manifest there says of `file`.
        """
        return ""

    def clear(self, directory: Path) -> None:  # noqa: B027 - most formats have no folder
        """Delete `folder`, except what no export writes."""

    def weigh(self, directory: Path) -> tuple[int, int]:
        """How many files `clear` would delete, and their bytes."""
        return 0, 0


def mismatch(name: str, found: str, expected: str) -> str:
    """The sentence for a file that does not give back what was written."""
    return (
        f"{name}: reading the export back gave {found}, not the {expected} that were written, or other "
        "contents. The disk may be failing; the export before is unchanged."
    )
