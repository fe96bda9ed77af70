"""The graph of the head, kept in a file of the workspace for as long as nothing changes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw
import numpy as np

from tui_scraper.engine.graph.model import KINDS, Graph
from tui_scraper.engine.graph.reading import Progress, make_graph, source_root
from tui_scraper.engine.kept import Columns, KeptFile, documents_at, made_from
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.moment import MomentReader

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


class GraphReader(MomentReader):
    """A workspace's graph with the paths of its documents."""

    def graph(self, progress: Progress | None = None) -> Graph:
        """The graph: the one that is kept, else made now and kept.

        Raises StoreError where a text is missing or damaged. Where it cannot be kept it is made all the same.
        """
        found = read_kept(self.directory, self.state, self.head)
        if found is None:
            found = make_graph(self.state, self.blobs, self.head, progress)
            with contextlib.suppress(OSError):
                _keep(self.directory, _made_from(self.state, self.head), found)
        return found


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
