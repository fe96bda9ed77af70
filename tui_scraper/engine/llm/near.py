"""Near-duplicates that have so much in common that one label will do for all of them.

Who stands for whom hangs on nothing but what the documents say, so the same documents make the same groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tui_scraper.engine.duplicates.grouping import group as grouped
from tui_scraper.engine.duplicates.signature import PERMUTATIONS


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
    matrix = np.frombuffer(b"".join(signatures[at] for at in order), "<u2").reshape(-1, PERMUTATIONS)
    alone = np.array([digests[at] in first for at in order], bool)
    leaders, similarity = grouped(matrix, alone=alone)
    return {
        digests[order[at]]: Kin(digests[order[leader]], round(float(similarity[at]), 4))
        for at, leader in enumerate(leaders.tolist())
        if leader != at
    }
