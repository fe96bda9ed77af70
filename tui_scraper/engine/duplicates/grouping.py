"""Groups of texts that are nearly the same, each a star around the one that stands for it.

Texts come in an order that says who stands for others. Each joins the most similar of those that stand for
themselves already and are similar enough; where there is none, it stands for itself. So everything in a group
is like the one that stands for it, however long a chain of likenesses is, and the same texts in the same
order make the same groups.

Only texts that share a band of their signatures are compared (locality-sensitive hashing, 32 bands of 4:
Leskovec et al., Mining of Massive Datasets, 3.4). Two signatures that agree in more than 96 of 128 numbers
cannot differ in every band, so from a similarity of 0.758 on two that are alike share one; at 0.7 they do
9,998 times in 10,000, at 0.5 873 times in 1,000. Of those that share a band the latest 32 that stand for
themselves are compared. Where there never are more, the groups are those of comparing all with all; a text
that shares each of its bands with 32 later ones may miss its like, and stands for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.duplicates.signature import PERMUTATIONS, Signatures
from tui_scraper.engine.settings import ALIKE

_BANDS = 32
_MOST_OF_A_BAND = 32
"""With so many of those that share a band a text is compared, the latest. Form letters, which are somewhat
alike by the thousand, share bands of what all of them say; near-duplicates among them share others too."""

_TOLD_EVERY = 4_096
"""Texts between two signs of life: less than a second."""

Leaders = NDArray[np.int32]
Progress = Callable[[int, int], None]
"""Told how many texts are done, of how many. What it raises ends the work."""


def group(
    signatures: Signatures,
    alike: float = ALIKE,
    alone: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> tuple[Leaders, NDArray[np.float32]]:
    """For each text the one that stands for it (itself, where it does), and how similar the two are.

    Where `alone` is true a text stands for itself, whatever it is like. Takes about 0.6 KB of memory a text
    beside the signatures. `progress` is told every some thousand texts how many have been compared.
    """
    count = len(signatures)

    def tell(done: int) -> None:
        if progress is not None and count >= _TOLD_EVERY:
            progress(done, count)

    leaders, similarity = np.arange(count, dtype=np.int32), np.ones(count, np.float32)
    buckets, bucket_count = _buckets(signatures, lambda: tell(0))
    newest = np.full(bucket_count + 1, -1, np.int32)
    earlier = np.full(buckets.shape, -1, np.int32)  # who came before one in each of its buckets
    bands = np.arange(_BANDS)
    least = np.ceil(alike * PERMUTATIONS - 1e-6)
    for done, at in enumerate(np.flatnonzero(buckets.any(axis=1)).tolist()):
        if not done % _TOLD_EVERY:
            tell(at)
        mine = buckets[at]
        if alone is None or not alone[at]:
            others = _others(newest[mine], earlier, bands)
            if len(others):
                equal = (signatures[others] == signatures[at]).sum(axis=1)
                best = int(np.lexsort((others, -equal))[0])
                if equal[best] >= least:
                    leaders[at], similarity[at] = others[best], equal[best] / PERMUTATIONS
                    continue
        shared = bands[mine > 0]
        earlier[at, shared] = newest[mine[shared]]
        newest[mine[shared]] = at
    tell(count)
    return leaders, similarity


def _buckets(signatures: Signatures, alive: Callable[[], None]) -> tuple[NDArray[np.int32], int]:
    """For each text the number of its bucket in each band, 0 where it is alone; and how many there are.

    `alive` is called before each band.
    """
    keys = np.ascontiguousarray(signatures).view(np.uint64)
    found = np.zeros(keys.shape, np.int32)
    used = 0
    for band in range(keys.shape[1] if len(keys) > 1 else 0):
        alive()
        column = keys[:, band]
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        same = ordered[1:] == ordered[:-1]
        if not same.any():
            continue
        shared = np.concatenate((same, [False])) | np.concatenate(([False], same))
        numbers = np.cumsum(np.concatenate(([True], ~same))[shared])
        found[order[shared], band] = used + numbers
        used += int(numbers[-1])
    return found, used


def _others(newest: NDArray[np.int32], earlier: NDArray[np.int32], bands: NDArray[Any]) -> NDArray[np.int32]:
    """Those that stand for themselves and share a band, each once."""
    found = []
    now = newest
    for _step in range(_MOST_OF_A_BAND):
        here = now >= 0
        if not here.all():
            now, bands = now[here], bands[here]
            if not len(now):
                break
        found.append(now)
        now = earlier[now, bands]
    return np.unique(np.concatenate(found)) if found else newest[:0]
