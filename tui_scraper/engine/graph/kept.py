"""The graph of the head, kept in a file of the workspace for as long as nothing changes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import apsw
import numpy as np

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.graph.model import KINDS, Graph
from tui_scraper.engine.graph.reading import Progress, make_graph, source_root
from tui_scraper.engine.kept import Columns, KeptFile, documents_at, made_from
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.connection import closed_on_error, open_blobs, open_state, snapshot
from tui_scraper.engine.store.head import Head, read_head

_NAMES = "broken_targets"


def _graph(columns: Columns) -> Graph:
    names = columns.pop(_NAMES).tobytes()
    return Graph(**columns, broken_targets=names)


GRAPH = KeptFile(
    "graph.kept",
    {
        "versions": np.int64,
        "sources": np.int32,
        "targets": np.int32,
        "kinds": np.uint8,
        "counts": np.uint32,
        "broken_sources": np.int32,
        "broken_kinds": np.uint8,
        "broken_counts": np.uint32,
        "elsewhere": np.int64,
        "ambiguous": np.int64,
        _NAMES: np.uint8,
    },
    _graph,
)


class GraphReader:
    """A workspace's graph with the paths of its documents: a context manager, for one thread.

    Everything is of the moment it was opened. Raises StoreError where the workspace cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open = contextlib.ExitStack()
        self._state = open_state(directory, read_only=True)
        self._open.callback(self._state.close)
        with closed_on_error(self._state):
            self._blobs = open_blobs(directory, read_only=True)
            self._open.callback(self._blobs.close)
            with closed_on_error(self._blobs):
                self._open.enter_context(snapshot(self._state, directory))
                self._open.enter_context(snapshot(self._blobs, directory))
                self.head = read_head(self._state)

    def __enter__(self) -> GraphReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(None, None, None)

    def graph(self, progress: Progress | None = None) -> Graph:
        """The graph: the one that is kept, else made now and kept.

        Raises StoreError where a text is missing or damaged. Where it cannot be kept it is made all the same.
        """
        found = read_kept(self._directory, self._state, self.head)
        if found is None:
            found = make_graph(self._state, self._blobs, self.head, progress)
            with contextlib.suppress(OSError):
                _keep(self._directory, _made_from(self._state, self.head), found)
        return found

    def version(self, path: bytes) -> int:
        """The document with this path. Raises UsageError where there is none."""
        found = self._state.execute(
            f"""SELECT v.id FROM document d JOIN version v ON v.document = d.id
            WHERE d.path = ? AND {self.head.live()}""",  # noqa: S608
            (path,),
        ).get
        if found is None:
            raise UsageError(f"{safe_text(os.fsdecode(path))}: there is no such document here.")
        return int(found)

    @property
    def state(self) -> apsw.Connection:
        """The state tables, inside the snapshot."""
        return self._state


def read_kept(directory: Path, state: apsw.Connection, head: Head) -> Graph | None:
    """The graph that is kept, if it is that of the head. Takes a second for ten million references."""
    return GRAPH.read(directory, _made_from(state, head))


def keep_graph(directory: Path) -> None:
    """See that the graph of the head is kept."""
    with GraphReader(directory) as reader:
        reader.graph()


def _made_from(state: apsw.Connection, head: Head) -> str:
    root = source_root(state).hex()
    return made_from(kinds=list(map(str, KINDS)), root=root, **documents_at(state, head))


def _keep(directory: Path, made: str, graph: Graph) -> None:
    names = np.frombuffer(graph.broken_targets, np.uint8)
    columns = {name: getattr(graph, name) for name in GRAPH.columns if name != _NAMES}
    GRAPH.keep(directory, made, columns | {_NAMES: names})
