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
_MOST_CANDIDATES = 4_096


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
    buckets = [_buckets(matrix[:, band * _ROWS : (band + 1) * _ROWS]) for band in range(_BANDS)]
    free = np.ones(len(order), bool)
    found: dict[bytes, Kin] = {}
    for at in range(len(order)):
        if not free[at]:
            continue
        free[at] = False
        near = {
            other for members, of in buckets for other in members[of[at]][:_MOST_CANDIDATES] if free[other]
        }
        if not near:
            continue
        others = np.fromiter(near, np.int64, len(near))
        alike = (matrix[others] == matrix[at]).mean(axis=1)
        for other, similarity in zip(others.tolist(), alike.tolist(), strict=True):
            if similarity >= ALIKE and digests[order[other]] not in first:
                free[other] = False
                found[digests[order[other]]] = Kin(digests[order[at]], round(similarity, 4))
    return found


def _buckets(band: np.ndarray[tuple[int, int], np.dtype[np.uint32]]) -> tuple[list[list[int]], list[int]]:
    """Documents with the same numbers in a band: (members of each bucket, the bucket of each document)."""
    keys = np.ascontiguousarray(band).view([("", band.dtype)] * band.shape[1]).ravel()
    _unique, of = np.unique(keys, return_inverse=True)
    members: list[list[int]] = [[] for _bucket in range(int(of.max()) + 1)]
    for at, bucket in enumerate(of.tolist()):
        members[bucket].append(at)
    return members, of.tolist()
