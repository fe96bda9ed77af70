"""Takes what the graph is made of from the store: every document at the head, and the clean texts there are.

Texts are read page by page, in the order of paths; only numbers and paths of all documents are held.
Everything comes from one read snapshot.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator

import apsw

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.graph.build import Documents, build
from tui_scraper.engine.graph.model import Graph
from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.store.head import STATUS_NUMBER, Head
from tui_scraper.engine.wire import CleanText

_PAGE = 400
_PAYLOADS_BYTES = 8_000_000
"""Of compressed texts that are held at once; a single one may be larger."""
_DONE = STATUS_NUMBER[Status.DONE]

Progress = Callable[[int, int], None]
"""Told how many texts have been read, of how many."""


def source_root(state: apsw.Connection) -> bytes:
    """The absolute path of the folder of documents, b'' where no run has said yet which it is."""
    source = state.execute("SELECT value FROM meta WHERE key = 'source'").get
    return (os.fsencode(source) if isinstance(source, str) else bytes(source or b"")).rstrip(b"/")


def make_graph(
    state: apsw.Connection, blobs: apsw.Connection, head: Head, progress: Progress | None = None
) -> Graph:
    """The graph at a point of history. Both connections must be inside a read transaction.

    Raises StoreError where a text is missing or damaged.
    """
    documents = _documents(state, head)
    texts = _Texts(state, blobs, head, documents, progress)
    return build(documents, texts, source_root(state))


def _documents(state: apsw.Connection, head: Head) -> Documents:
    containers = {row[0] for row in state.execute("SELECT DISTINCT parent FROM document WHERE parent > 0")}
    found = Documents()
    rows = state.execute(
        f"""SELECT v.id, d.path, v.media_type, d.id, d.parent
        FROM document d CROSS JOIN version v ON v.document = d.id
        WHERE {head.live()} ORDER BY d.path, d.parent"""  # noqa: S608
    )
    for version, path, media_type, identity, parent in rows:
        found.add(
            version,
            path,
            media_type or "",
            identity=identity,
            parent=parent,
            container=identity in containers,
        )
    return found


class _Texts:
    """The clean texts, as often as they are asked for."""

    def __init__(
        self,
        state: apsw.Connection,
        blobs: apsw.Connection,
        head: Head,
        documents: Documents,
        progress: Progress | None,
    ) -> None:
        self._blobs = blobs
        self._documents = documents
        self._progress = progress
        self._unpack = Unpacker(CleanText)
        self._done = 0
        self._payloads = array("q", bytes(8 * len(documents)))  # blob of each document's text, 0 for none
        self._find(state, head)
        self._total = 2 * sum(blob != 0 for blob in self._payloads)

    def _find(self, state: apsw.Connection, head: Head) -> None:
        lineage = head.lineages.get(PhaseName.CLEAN)
        if lineage is None:
            return
        versions = self._documents.versions
        for start in range(0, len(versions), _PAGE):
            page = versions[start : start + _PAGE].tolist()
            places = {version: start + at for at, version in enumerate(page)}
            rows = state.execute(
                f"""SELECT r.version, r.status, (SELECT a.blob FROM artifact a WHERE a.id = r.artifact),
                    max(r.seq)
                FROM result r WHERE r.lineage = ? AND r.version IN ({_marks(len(page))}) AND {head.visible()}
                GROUP BY r.version""",  # noqa: S608
                (lineage, *page),
            )
            for version, status, blob, _seq in rows:
                if status == _DONE:
                    self._payloads[places[version]] = blob or -1

    def __call__(self) -> Iterator[tuple[int, CleanText]]:
        waiting: list[int] = []
        for document, blob in enumerate(self._payloads):
            if blob:
                waiting.append(document)
                if len(waiting) == _PAGE:
                    yield from self._read(waiting)
                    waiting = []
        yield from self._read(waiting)

    def _read(self, page: list[int]) -> Iterator[tuple[int, CleanText]]:
        wanted = {self._payloads[document] for document in page}
        sizes = dict(
            self._blobs.execute(
                f"SELECT id, length(data) FROM blob WHERE id IN ({_marks(len(wanted))})",  # noqa: S608
                tuple(wanted),
            )
        )
        batch: list[int] = []
        size_bytes = 0
        for document in page:
            batch.append(document)
            size_bytes += sizes.get(self._payloads[document], 0)
            if size_bytes >= _PAYLOADS_BYTES:
                yield from self._unpacked(batch)
                batch, size_bytes = [], 0
        yield from self._unpacked(batch)

    def _unpacked(self, batch: list[int]) -> Iterator[tuple[int, CleanText]]:
        wanted = {self._payloads[document] for document in batch}
        payloads = dict(
            self._blobs.execute(
                f"SELECT id, data FROM blob WHERE id IN ({_marks(len(wanted))})",  # noqa: S608
                tuple(wanted),
            )
        )
        for document in batch:
            try:
                clean = self._unpack(payloads.get(self._payloads[document], b""))
            except ValueError as error:
                path = safe_text(show_path(self._documents.paths[document]))
                raise StoreError(
                    f"{path}: its text cannot be read ({error}). `tui-scraper verify` says what is lost, and "
                    "with --repair mends it."
                ) from error
            yield document, clean
            self._done += 1
            if self._progress is not None and self._done % 64 == 0:
                self._progress(self._done, self._total)


def shown_paths(state: apsw.Connection, head: Head) -> dict[int, str]:
    """Version -> path for people, of every document at the head."""
    rows = state.execute(
        f"""SELECT v.id, d.path FROM document d JOIN version v ON v.document = d.id
        WHERE {head.live()}"""  # noqa: S608
    )
    return {version: safe_text(show_path(path)) for version, path in rows}


def _marks(count: int) -> str:
    return ",".join("?" * count)
