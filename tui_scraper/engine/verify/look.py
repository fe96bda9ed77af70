"""What every check is given: both databases, the head, and what the checks before have found."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.seal import Seal
from tui_scraper.engine.verify.report import SHOWN_DOCUMENTS, Damage, Note

Finding = Damage | Note


@dataclass
class Found:
    """What repair has to know besides what it finds in the tables themselves.

    `lost` are artifacts whose payload or data is damaged. `structure` are database files that cannot be read
    whole, `logs` those beside which lies a write-ahead log of another time, `exports` the folders (as they
    are recorded) whose export is damaged. `vectors` are payloads of vectors that are damaged, `spaces` those
    whose files are. `human` are labels of people that cannot be read. `index`: the search index is not sound.
    """

    lost: array[int] = field(default_factory=lambda: array("q"))
    structure: set[str] = field(default_factory=set)
    logs: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    vectors: list[int] = field(default_factory=list)
    human: list[int] = field(default_factory=list)
    spaces: list[bytes] = field(default_factory=list)
    index: bool = False


@dataclass
class Look:
    """A workspace that is being looked at, and never written to. `head` is None where it cannot be read.

    `chunks` is what the payloads say about the index: how many chunks an artifact has, by its id (-1: none).
    """

    directory: Path
    state: apsw.Connection
    blobs: apsw.Connection
    seal: Seal | None
    tick: Callable[[int], None]
    head: Head | None = None
    chunks: array[int] = field(default_factory=lambda: array("i"))
    found: Found = field(default_factory=Found)
    looked_at: int = 0

    def proceed(self, units: int) -> None:
        """So many more have been looked at."""
        self.looked_at += units
        self.tick(self.looked_at)

    def ask(self, sql: str, *values: object) -> Any:
        """All rows of a query over `state.db`."""
        return self.state.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> Any:
        """The first row of a query over `state.db`, the value itself where it has one column."""
        return self.state.execute(sql, values).get


def shown(path: bytes) -> str:
    """A document's path, safe for a terminal."""
    return safe_text(show_path(path))


class Gathered:
    """Rows of one kind of damage, of which only the first few paths are kept."""

    def __init__(self) -> None:
        self.count = 0
        self.paths: list[str] = []

    def add(self, path: bytes | None) -> None:
        """One more, of the document with this path (None: of none)."""
        self.count += 1
        if path is not None and len(self.paths) < SHOWN_DOCUMENTS:
            name = shown(path)
            if name not in self.paths:
                self.paths.append(name)


def gather(rows: Any) -> Gathered:
    """Rows whose first column is a path."""
    found = Gathered()
    for row in rows:
        found.add(row[0])
    return found


def damage(found: Gathered, what: str, where: str, repair: str) -> Iterator[Damage]:
    """The damage, where there is any. `{n}` in `what` is how many."""
    if found.count:
        sentence = what.replace("{n}", f"{found.count:,}")
        yield Damage(sentence, where, repair, tuple(found.paths), found.count if found.paths else 0)
