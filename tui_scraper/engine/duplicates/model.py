"""Which documents are copies of which, in columns of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Copy(IntEnum):
    """What a document is to the one that stands for its group."""

    NONE = 0
    EXACT = 1
    NEAR = 2


@dataclass(frozen=True, slots=True)
class DuplicateCounts:
    """How much of a corpus is there more than once.

    `groups` have two documents at least. `exact` and `near` count those that could go, with `exact_bytes` and
    `near_bytes`: all but the one that stands for the group.
    """

    documents: int
    groups: int
    exact: int
    near: int
    exact_bytes: int
    near_bytes: int

    @property
    def could_go(self) -> int:
        """Documents that could go."""
        return self.exact + self.near

    @property
    def bytes_could_go(self) -> int:
        """Their bytes."""
        return self.exact_bytes + self.near_bytes


@dataclass(frozen=True, slots=True)
class Group:
    """Documents, as places: the one that stands for them, then the others by path."""

    first: int
    others: tuple[int, ...]
    bytes_could_go: int


@dataclass(frozen=True)
class Duplicates:
    """Every document at a point of history, in the order of paths; a document is its place here.

    `exact` is the first document with the same bytes, `near` the one that stands for those with nearly the
    same text, and `similarity` how like it the text is; where there is no other, each is the document itself.
    `uids` are the exported ids as numbers.
    """

    versions: NDArray[np.int64]
    uids: NDArray[np.uint64]
    sizes: NDArray[np.int64]
    exact: NDArray[np.int32]
    near: NDArray[np.int32]
    similarity: NDArray[np.float32]
    kinds: NDArray[np.uint8] = field(init=False)
    firsts: NDArray[np.int32] = field(init=False)
    """The document that stands for each one's group, itself where it is alone or stands for others."""
    _by_version: NDArray[np.int64] = field(init=False, repr=False)
    _sorted: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = np.arange(len(self.versions), dtype=np.int32)
        kinds = np.where(self.exact != own, Copy.EXACT, np.where(self.near != own, Copy.NEAR, Copy.NONE))
        firsts = np.minimum(self.exact, self.near)
        while True:  # the one with the same bytes may itself be nearly like another; all lead to earlier ones
            further = np.minimum(self.exact[firsts], self.near[firsts])
            if np.array_equal(further, firsts):
                break
            firsts = further
        object.__setattr__(self, "kinds", kinds.astype(np.uint8))
        object.__setattr__(self, "firsts", firsts)
        by_version = np.argsort(self.versions)
        object.__setattr__(self, "_by_version", by_version)
        object.__setattr__(self, "_sorted", self.versions[by_version])

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.versions)

    def place(self, version: int) -> int | None:
        """Where a document stands; None where it is not here."""
        at = int(np.searchsorted(self._sorted, version))
        if at == len(self) or self._sorted[at] != version:
            return None
        return int(self._by_version[at])

    def near_duplicate_of(self, place: int) -> str | None:
        """The id of the one that a document is nearly the same as, but not byte for byte."""
        other = int(self.near[place])
        if other == place or self.exact[other] == self.exact[place]:
            return None
        return f"{int(self.uids[other]):016x}"

    def only(self, kind: Copy) -> Duplicates:
        """Groups of one kind alone: by bytes, or of texts that are nearly the same with each content once."""
        own = np.arange(len(self), dtype=np.int32)
        if kind is Copy.EXACT:
            return replace(self, near=own, similarity=np.ones(len(self), np.float32))
        if kind is Copy.NEAR:
            copies = self.exact != own
            near = np.where(copies, own, self.near).astype(np.int32)
            return replace(self, exact=own, near=near)
        return self

    def group(self, place: int) -> Group | None:
        """The group of a document; None where it is alone."""
        first = int(self.firsts[place])
        members = np.flatnonzero(self.firsts == first)
        return self._group(members) if len(members) > 1 else None

    def groups(self) -> Iterator[Group]:
        """All groups, the one of which most bytes could go first, then by path."""
        order = np.argsort(self.firsts, kind="stable")
        bounds = np.flatnonzero(np.diff(self.firsts[order], prepend=-1, append=-1)).tolist()
        found = [self._group(order[start:end]) for start, end in pairwise(bounds) if end - start > 1]
        return iter(sorted(found, key=lambda group: (-group.bytes_could_go, group.first)))

    def _group(self, members: NDArray[Any]) -> Group:
        first, *others = members.tolist()
        return Group(first, tuple(others), int(self.sizes[members[1:]].sum()))

    def counts(self) -> DuplicateCounts:
        """How many documents and bytes could go."""
        exact, near = self.kinds == Copy.EXACT, self.kinds == Copy.NEAR
        return DuplicateCounts(
            documents=len(self),
            groups=len(np.unique(self.firsts[exact | near])),
            exact=int(exact.sum()),
            near=int(near.sum()),
            exact_bytes=int(self.sizes[exact].sum()),
            near_bytes=int(self.sizes[near].sum()),
        )

    def standing_for_others(self) -> NDArray[np.bool_]:
        """Which documents stand for a group."""
        found = np.zeros(len(self), np.bool_)
        found[self.firsts[self.kinds != Copy.NONE]] = True
        return found
