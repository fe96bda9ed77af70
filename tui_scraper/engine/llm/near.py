"""Near-duplicates: documents that have so much in common that one label will do for all of them.

Candidates share a band of their signatures (locality-sensitive hashing, 32 bands of 4: Leskovec et al.,
Mining of Massive Datasets, 3.4); they belong together where the whole signatures agree. Each group is a star
around its first member, in an order that hangs on nothing but what the documents say, so the same documents
make the same groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tui_scraper.engine.labels.signature import PERMUTATIONS

ALIKE = 0.85
"""Estimated share of common runs of words from which on documents count as near-duplicates."""
_BANDS, _ROWS = 32, 4
_MOST_CANDIDATES, _MOST_OF_A_BAND = 512, 1_024
"""So that form letters, which are somewhat alike by the thousand, take no more than their share of time."""


@dataclass(frozen=True, slots=True)
class Kin:
    """Whose label a document may have: the hash of what is read of it, and how alike they are (0 to 1)."""

    digest: bytes
    similarity: float


def group(digests: Sequence[bytes], signatures: Sequence[bytes], first: frozenset[bytes]) -> dict[bytes, Kin]:
    """Find for each document the one whose label it may have. Those that stand for themselves are left out.

    `digests` say what is read of the documents, `signatures` how to compare them; those in `first` have
    labels already and are what others are compared with first. The others follow in the order of their
    hashes.
    """
    order = sorted(range(len(digests)), key=lambda at: (digests[at] not in first, digests[at]))
    if len(order) < 2:
        return {}
    matrix = np.frombuffer(b"".join(signatures[at] for at in order), "<u4").reshape(len(order), PERMUTATIONS)
    bands = [_Band(matrix[:, band * _ROWS : (band + 1) * _ROWS]) for band in range(_BANDS)]
    free = np.ones(len(order), bool)
    found: dict[bytes, Kin] = {}
    for at in range(len(order)):
        if not free[at]:
            continue
        free[at] = False
        shared = np.concatenate([band.others(at) for band in bands])
        others, bands_shared = np.unique(shared[free[shared]], return_counts=True)
        if not len(others):
            continue
        if len(others) > _MOST_CANDIDATES:  # those that share most
            others = others[np.argsort(-bands_shared, kind="stable")[:_MOST_CANDIDATES]]
        alike = (matrix[others] == matrix[at]).mean(axis=1)
        for other, similarity in zip(others.tolist(), alike.tolist(), strict=True):
            if similarity >= ALIKE and digests[order[other]] not in first:
                free[other] = False
                found[digests[order[other]]] = Kin(digests[order[at]], round(similarity, 4))
    return found


class _Band:
    """Documents by their numbers in one band, sorted so that those with the same ones stand together."""

    def __init__(self, numbers: np.ndarray[tuple[int, int], np.dtype[np.uint32]]) -> None:
        keys = np.ascontiguousarray(numbers).view([("", numbers.dtype)] * numbers.shape[1]).ravel()
        _unique, bucket, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        self._bucket = bucket.astype(np.int32)
        self._order = np.argsort(self._bucket, kind="stable").astype(np.int32)
        self._starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)

    def others(self, at: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Those that share the band, some of very many."""
        bucket = self._bucket[at]
        start, end = self._starts[bucket], self._starts[bucket + 1]
        if end - start < 2:
            return self._order[:0]
        members = self._order[start:end]
        after = int(np.searchsorted(members, at, side="right"))
        return members[after : after + _MOST_OF_A_BAND]
