"""The rows of the Documents screen: the first ones at once, all of them once the catalogue is read.

Only rows that were in view are kept, the last few thousand; everything else is a number in the catalogue.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_scraper.engine.models import DocumentRow, Order
from tui_scraper.formatting import STATUS_SIGNS, Line, Span, cut_left, pad, percent

if TYPE_CHECKING:
    from tui_scraper.engine.document_details import Catalogue, DocumentDetails
    from tui_scraper.engine.store.catalogue import Rows

_PAGE_ROWS = 200
_KEPT = 8_000
_LABEL = 14


def read_first(directory: Path) -> tuple[int, list[DocumentRow]]:
    """How many documents there are, and the first ones by path."""
    from tui_scraper.engine.document_details import DocumentReader

    with DocumentReader(directory) as reader:
        return reader.count(), reader.first(_PAGE_ROWS)


def read_all(directory: Path) -> tuple[Catalogue, float]:
    """The catalogue, and the seconds of a processor that it has cost."""
    from tui_scraper.engine.document_details import DocumentReader

    started = time.thread_time()
    with DocumentReader(directory) as reader:
        return reader.catalogue(), time.thread_time() - started


def read_page(directory: Path, versions: Sequence[int]) -> list[DocumentRow]:
    """Some documents."""
    from tui_scraper.engine.document_details import DocumentReader

    with DocumentReader(directory) as reader:
        return reader.rows(versions)


def read_version(directory: Path, path: str) -> int:
    """The document with a path as it is shown. Raises UsageError where there is none."""
    from tui_scraper.engine.document_details import DocumentReader

    with DocumentReader(directory) as reader:
        return reader.version(path)


def read_details(directory: Path, version: int) -> DocumentDetails | None:
    """All of one document."""
    from tui_scraper.engine.document_details import DocumentReader

    with DocumentReader(directory) as reader:
        return reader.details(version)


@dataclass(frozen=True, slots=True)
class View:
    """What a list shows of a catalogue: which documents, in which order."""

    query: str = ""
    order: Order = Order.PATH

    def of(self, catalogue: Catalogue) -> Rows:
        """The places of the documents. Takes some hundredths of a second for 100,000."""
        return catalogue.sort(catalogue.select(self.query), self.order)


class DocumentRows:
    """What the list shows."""

    def __init__(self) -> None:
        self.catalogue: Catalogue | None = None
        self.shown: Rows | None = None
        self._first: list[int] = []
        self._count = 0
        self._rows: OrderedDict[int, DocumentRow | None] = OrderedDict()

    def __len__(self) -> int:
        """Number of rows."""
        return self._count if self.shown is None else len(self.shown)

    @property
    def total(self) -> int:
        """Documents in all, whatever the filter."""
        return self._count if self.catalogue is None else len(self.catalogue)

    def forget_all(self) -> None:
        """Another workspace."""
        self.catalogue = None
        self.shown = None
        self._first, self._count = [], 0
        self._rows.clear()

    def begin(self, count: int, first: Sequence[DocumentRow]) -> None:
        """Show the first rows, before there is a catalogue."""
        self._count, self._first = count, [row.version for row in first]
        self.put(self._first, first)

    def set(self, catalogue: Catalogue, shown: Rows) -> None:
        """Show documents of a catalogue. One read anew may say other things of those that were in view."""
        if catalogue is not self.catalogue:
            self._rows.clear()
        self.catalogue, self.shown = catalogue, shown

    def lacks_copies(self, view: View) -> bool:
        """Whether a view asks what is there more than once where that is not known."""
        return self.catalogue is not None and self.catalogue.lacks_copies(view.query)

    def put(self, asked: Sequence[int], rows: Sequence[DocumentRow]) -> None:
        """Keep rows that were read. Those asked for and not among them are gone."""
        self._rows.update(dict.fromkeys(asked))
        self._rows.update((row.version, row) for row in rows)
        while len(self._rows) > _KEPT:
            self._rows.popitem(last=False)

    def forget(self, version: int) -> None:
        """A document reads otherwise now."""
        self._rows.pop(version, None)

    def version(self, index: int) -> int | None:
        """A row's document."""
        if self.catalogue is None or self.shown is None:
            return self._first[index] if 0 <= index < len(self._first) else None
        if not 0 <= index < len(self.shown):
            return None
        return int(self.catalogue.versions[self.shown[index]])

    def row(self, index: int) -> DocumentRow | None:
        """What is known of a row's document; None where it is not here yet, or gone."""
        version = self.version(index)
        return self._rows.get(version) if version is not None else None

    def missing(self, index: int) -> list[int]:
        """The documents around a row that are still to be read."""
        start = max(0, index - _PAGE_ROWS // 4)
        around = (self.version(at) for at in range(start, min(start + _PAGE_ROWS, len(self))))
        return [version for version in around if version is not None and version not in self._rows]

    def line(self, index: int, width: int) -> Line | None:
        """A row fitted to `width` cells."""
        version = self.version(index)
        if version is None or version not in self._rows:
            return None
        row = self._rows[version]
        if row is None:
            return (Span("  (gone)", "dim"),)
        sign, role = STATUS_SIGNS[row.status]
        name = row.labels[0] if row.labels else row.cause
        sure = percent(row.confidence) if row.confidence is not None else ""
        if row.method == "human":
            sure = "hand"
        more = "+" if len(row.labels) > 1 else " "
        left = max(4, width - _LABEL - 10)
        return (
            Span(f"{sign} ", role),
            Span(pad(name, _LABEL), "accent" if row.labels else role),
            Span(f"{more}{sure:>4}  ", "dim"),
            Span(cut_left(row.path, left)),
        )

    def identity(self, index: int) -> Hashable | None:
        """What a row is, wherever it stands."""
        return self.version(index)

    def index_of(self, identity: Hashable) -> int | None:
        """Where a document stands now."""
        if not isinstance(identity, int):
            return None
        if self.catalogue is None or self.shown is None:
            return self._first.index(identity) if identity in self._first else None
        places, here = self.catalogue.places([identity])
        (found,) = (self.shown == places[0]).nonzero()
        return int(found[0]) if here[0] and len(found) else None
