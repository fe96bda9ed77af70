"""Takes what the graph is made of from the store: every document at the head, and the clean texts there are.

Texts are read page by page, in the order of paths; only numbers and paths of all documents are held.
Everything comes from one read snapshot.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import apsw

from tui_scraper.engine.graph.build import Documents, build
from tui_scraper.engine.graph.model import Graph
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.texts import CleanTexts
from tui_scraper.engine.wire import CleanText

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
    texts = CleanTexts(state, blobs, head, documents.versions, lambda place: documents.paths[place])
    return build(documents, _Texts(texts, progress), source_root(state))


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

    def __init__(self, texts: CleanTexts, progress: Progress | None) -> None:
        self._texts = texts
        self._progress = progress
        self._done = 0
        self._total = 2 * len(texts)

    def __call__(self) -> Iterator[tuple[int, CleanText]]:
        for document, clean in self._texts.read(self._texts.places()):
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
