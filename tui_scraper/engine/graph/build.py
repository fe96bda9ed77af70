"""Makes the graph of documents, in two passes over their texts: what they are called, then what they name.

Time grows with the characters of the texts and the number of references; memory with names and references.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.graph.imports import SOURCES
from tui_scraper.engine.graph.model import KIND_NUMBER, KINDS, Graph, Kind
from tui_scraper.engine.graph.names import Names
from tui_scraper.engine.graph.paths import Place, place_of
from tui_scraper.engine.graph.references import References, Resolver, own_names
from tui_scraper.engine.graph.titles import Titles
from tui_scraper.engine.wire import CleanText

Texts = Callable[[], Iterator[tuple[int, CleanText]]]
"""Gives (document, its clean text) for each that has one, in order, as often as it is called."""


class Documents:
    """All documents in the order of their paths, in columns. A document is its number here."""

    def __init__(self) -> None:
        self.versions = array("q")
        self.paths: list[bytes] = []
        self._parents = array("q")
        self._types = array("H")
        self._type_numbers: dict[str, int] = {}
        self._type_names: list[str] = []
        self._containers: dict[int, Place] = {}

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.paths)

    def add(
        self, version: int, path: bytes, media_type: str, *, identity: int, parent: int, container: bool
    ) -> None:
        """The next document by path. `parent` is the `identity` of the container it is in, 0 for a file."""
        self.versions.append(version)
        self.paths.append(path)
        self._parents.append(parent)
        number = self._type_numbers.setdefault(media_type, len(self._type_names))
        if number == len(self._type_names):
            self._type_names.append(media_type)
        self._types.append(number)
        if container:
            self._containers[identity] = self.place(len(self.paths) - 1)

    def place(self, document: int) -> Place:
        """Where a document is."""
        return place_of(self.paths[document], self._containers.get(self._parents[document]))

    def media_type(self, document: int) -> str:
        """What a document is, '' where that is not known."""
        return self._type_names[self._types[document]]


def build(documents: Documents, texts: Texts, root: bytes) -> Graph:
    """The graph. `root` is the absolute path of the folder of documents, b'' where it is not known."""
    names, titles = Names(documents.paths), Titles()
    for document in range(len(documents)):
        media_type = documents.media_type(document)
        names.add(
            document,
            documents.place(document),
            source=media_type in SOURCES,
            manual=media_type == mt.ROFF,
        )
    for document, clean in texts():
        own_names(names, titles, document, clean)
    names.close()
    titles.close()
    resolver = Resolver(names, titles, root)
    columns = _Columns()
    for document, clean in texts():
        media_type = documents.media_type(document)
        columns.add(document, resolver.references(documents.place(document), media_type, clean))
    return columns.graph(documents)


class _Columns:
    """References as they are found, document by document in order."""

    def __init__(self) -> None:
        self._edges = (array("i"), array("i"), array("B"), array("I"))
        self._broken = (array("i"), array("B"), array("I"))
        self._names = bytearray()
        self._elsewhere: Counter[Kind] = Counter()
        self._ambiguous: Counter[Kind] = Counter()

    def add(self, source: int, found: References) -> None:
        sources, targets, kinds, counts = self._edges
        ordered = sorted(
            (target, KIND_NUMBER[kind], count)
            for (target, kind), count in found.found.items()
            if target != source
        )
        if ordered:
            more_targets, more_kinds, more_counts = zip(*ordered, strict=True)
            sources.extend([source] * len(ordered))
            targets.extend(more_targets)
            kinds.extend(more_kinds)
            counts.extend(more_counts)
        broken_sources, broken_kinds, broken_counts = self._broken
        lost = sorted((name, KIND_NUMBER[kind], count) for (name, kind), count in found.broken.items())
        for name, kind, count in lost:
            broken_sources.append(source)
            broken_kinds.append(kind)
            broken_counts.append(count)
            self._names += name.replace("\n", " ").encode("utf-8", "replace") + b"\n"
        if found.elsewhere:
            self._elsewhere.update(found.elsewhere)
        if found.ambiguous:
            self._ambiguous.update(found.ambiguous)

    def graph(self, documents: Documents) -> Graph:
        def column(values: array[Any]) -> Any:
            return np.frombuffer(values, values.typecode) if values else np.zeros(0, values.typecode)

        sources, targets, kinds, counts = map(column, self._edges)
        broken_sources, broken_kinds, broken_counts = map(column, self._broken)
        return Graph(
            column(documents.versions),
            sources,
            targets,
            kinds,
            counts,
            broken_sources,
            broken_kinds,
            broken_counts,
            bytes(self._names),
            np.array([self._elsewhere[kind] for kind in KINDS], np.int64),
            np.array([self._ambiguous[kind] for kind in KINDS], np.int64),
        )
