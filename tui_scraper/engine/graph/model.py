"""The graph itself: documents as numbers, references between them in columns.

A million documents with ten references each take 130 MB. What people see of a document (its path) is read
from the store for those that are shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int32]


class Kind(StrEnum):
    """In what way a document refers to another. The first four are links that its format has."""

    HYPERLINK = "hyperlink"
    IMAGE = "image"
    INCLUDE = "include"
    REFERENCE = "reference"
    IMPORT = "import"
    REPLY = "reply"
    MANUAL = "manual"
    RFC = "rfc"
    DOI = "doi"
    TITLE = "title"


KINDS: tuple[Kind, ...] = tuple(Kind)
KIND_NUMBER: dict[Kind, int] = {kind: number for number, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Edge:
    """One document refers to another `count` times in one way. Documents are places in `Graph.versions`."""

    source: int
    target: int
    kind: Kind
    count: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A document refers to a file that is not there, under the name `target`."""

    source: int
    target: str
    kind: Kind
    count: int


@dataclass(frozen=True, slots=True)
class Graph:
    """All references, ordered by (source, target, kind); no document refers to itself.

    `versions` are the documents in the order of their paths. `elsewhere` counts, for each of `KINDS`, the
    references that lead to no document here and need not: addresses on the web, packages, mails and papers
    that are not here. `ambiguous` counts those whose name is that of too many documents. `broken_targets`
    holds a name and a line feed for each broken reference; no name has a line feed.
    """

    versions: NDArray[np.int64]
    sources: Numbers
    targets: Numbers
    kinds: NDArray[np.uint8]
    counts: NDArray[np.uint32]
    broken_sources: Numbers
    broken_kinds: NDArray[np.uint8]
    broken_counts: NDArray[np.uint32]
    broken_targets: bytes
    elsewhere: NDArray[np.int64]
    ambiguous: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.versions)

    def only(self, kinds: Collection[Kind]) -> Graph:
        """The same documents with references of these kinds alone; of all kinds where none is named."""
        if not kinds:
            return self
        wanted = np.zeros(len(KINDS), np.bool_)
        wanted[[KIND_NUMBER[kind] for kind in kinds]] = True
        kept, broken = wanted[self.kinds], wanted[self.broken_kinds]
        names = self.broken_targets.split(b"\n")[:-1]
        left = b"".join(name + b"\n" for name, keep in zip(names, broken.tolist(), strict=True) if keep)
        return Graph(
            self.versions,
            self.sources[kept],
            self.targets[kept],
            self.kinds[kept],
            self.counts[kept],
            self.broken_sources[broken],
            self.broken_kinds[broken],
            self.broken_counts[broken],
            left,
            np.where(wanted, self.elsewhere, 0),
            np.where(wanted, self.ambiguous, 0),
        )

    def place(self, version: int) -> int | None:
        """Where a document stands in `versions`."""
        found = np.flatnonzero(self.versions == version)
        return int(found[0]) if len(found) else None

    def edges(self, at: NDArray[np.intp] | None = None) -> Iterator[Edge]:
        """All references, or those at some places."""
        columns = (self.sources, self.targets, self.kinds, self.counts)
        for start in range(0, len(self.sources) if at is None else len(at), 10_000):
            page = slice(start, start + 10_000) if at is None else at[start : start + 10_000]
            for source, target, kind, count in zip(*(one[page].tolist() for one in columns), strict=True):
                yield Edge(source, target, KINDS[kind], count)

    def refers_to(self, document: int) -> list[Edge]:
        """What a document refers to."""
        start, end = np.searchsorted(self.sources, [document, document + 1])
        return list(self.edges(np.arange(start, end)))

    def referred_by(self, document: int) -> list[Edge]:
        """What refers to a document."""
        return list(self.edges(np.flatnonzero(self.targets == document)))

    def broken(self, document: int | None = None) -> Iterator[Broken]:
        """The references to what is not there, of one document or of all."""
        kinds, counts = self.broken_kinds.tolist(), self.broken_counts.tolist()
        names = self.broken_targets.split(b"\n")
        for at, source in enumerate(self.broken_sources.tolist()):
            if document is None or source == document:
                yield Broken(source, names[at].decode("utf-8", "replace"), KINDS[kinds[at]], counts[at])

    def pairs(self) -> tuple[Numbers, Numbers]:
        """(sources, targets) of every two documents of which one refers to the other, whatever the kind."""
        if not len(self.sources):
            return self.sources, self.targets
        first = np.ones(len(self.sources), np.bool_)
        first[1:] = (self.sources[1:] != self.sources[:-1]) | (self.targets[1:] != self.targets[:-1])
        return self.sources[first], self.targets[first]

    def referrers(self) -> NDArray[np.int64]:
        """For each document, how many documents refer to it."""
        return np.bincount(self.pairs()[1], minlength=len(self)).astype(np.int64)

    def most_referred(self, number: int) -> list[tuple[int, int]]:
        """(document, how many refer to it), the most first, those with equally many in path order."""
        referrers = self.referrers()
        order = np.argsort(-referrers, kind="stable")[:number]
        return [(int(at), int(referrers[at])) for at in order if referrers[at]]

    def unreferenced(self) -> NDArray[np.intp]:
        """The documents that nothing refers to."""
        return np.flatnonzero(self.referrers() == 0)

    def by_kind(self) -> dict[Kind, int]:
        """References of each kind; those that occur several times in a document count once."""
        found = np.bincount(self.kinds, minlength=len(KINDS)).tolist()
        return {kind: found[number] for number, kind in enumerate(KINDS)}
