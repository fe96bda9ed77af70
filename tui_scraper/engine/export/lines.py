"""The lines of `documents.jsonl`, in order: rows made from the store, and lines carried over."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import apsw

from tui_scraper.engine.export.base import Base
from tui_scraper.engine.export.documents import Copies, Copy, Document, read_documents
from tui_scraper.engine.export.parts import PartsReader
from tui_scraper.engine.export.row import Row, make_row
from tui_scraper.engine.settings import ALIKE
from tui_scraper.engine.store.head import Head

if TYPE_CHECKING:
    from tui_scraper.engine.duplicates.model import Duplicates

_PAGE = 500
_HELD_BYTES = 8_000_000
"""Lines carried over that may wait for the rows before them, so that rows are read many at a time."""


def read_lines(
    state: apsw.Connection,
    blobs: apsw.Connection,
    head: Head,
    versions: Collection[int] | None = None,
    base: Base | None = None,
    duplicates: Duplicates | None = None,
) -> Iterator[Row | bytes]:
    """A row for every document found, in the order of path bytes, or its line in `base` if that is true.

    Only those of `versions` where given; near-duplicates are those of `duplicates`. Both
    connections must be inside a read transaction for as long as the iterator runs. Raises StoreError where a
    payload is missing or damaged, UnfitBaseError where the base is no base.
    """
    copies = Copies(state, head, versions, duplicates)
    reader = PartsReader(state, blobs, head)
    waiting: list[tuple[Document, Copy, bytes | None]] = []
    held_bytes = 0
    for document in read_documents(state, head, versions):
        copy = copies.of(document)
        line = base.take(document, copy) if base is not None else None
        if line is not None and not waiting:
            yield line
            continue
        waiting.append((document, copy, line))
        held_bytes += len(line) if line is not None else 0
        if len(waiting) >= _PAGE or held_bytes >= _HELD_BYTES:
            yield from _filled(waiting, reader)
            waiting, held_bytes = [], 0
    yield from _filled(waiting, reader)


def read_rows(state: apsw.Connection, blobs: apsw.Connection, head: Head) -> Iterator[Row]:
    """A row for every document that can be seen from a point of history.

    It is what an export from there has, with near-duplicates by the default similarity, whatever is set.
    """
    from tui_scraper.engine.duplicates.reading import Finder

    duplicates, _signed = Finder(state, blobs, head).find(ALIKE)
    for line in read_lines(state, blobs, head, duplicates=duplicates):
        assert not isinstance(line, bytes)  # there is no base to carry lines over from
        yield line


def _filled(waiting: list[tuple[Document, Copy, bytes | None]], reader: PartsReader) -> Iterator[Row | bytes]:
    parts = reader.read([document for document, _copy, line in waiting if line is None])
    for document, copy, line in waiting:
        yield line if line is not None else make_row(document, next(parts), copy)
