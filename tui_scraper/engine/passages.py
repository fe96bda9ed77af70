"""Passages: what of a chunk a vector is made from, and how a vector is kept, whoever makes it.

A vector is kept as whole numbers from -127 to 127, its largest at the end of the range: a search compares
directions, and this turns one by about half a degree, for a quarter of the room.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.int8]

MOST_DIMENSIONS = 8_192


def passage(title: str, heading: str, text: str) -> str:
    """What a model is shown of a chunk: where it stands, and what it says.

    A passage that is about what its title says need not say so itself.
    """
    above = [line for line in (title.strip(), heading.strip()) if line and not text.startswith(line)]
    return "\n".join([*above, text])


def kept(vector: Sequence[float] | NDArray[np.float32]) -> Vector | None:
    """A vector as it is kept; None where it is none: empty, all zeros, or with what is no number."""
    if not 0 < len(vector) <= MOST_DIMENSIONS:
        return None
    row = kept_rows(np.asarray(vector, np.float64)[np.newaxis])[0]
    return row if row.any() else None


def kept_rows(vectors: NDArray[np.float32] | NDArray[np.float64]) -> Vector:
    """Each row of a matrix as it is kept; zeros for one that is none."""
    numbers = vectors.astype(np.float64)
    largest = np.abs(numbers).max(axis=1, initial=0.0)
    none = ~(np.isfinite(largest) & (largest > 0.0))
    numbers[none], largest[none] = 0.0, 1.0
    rows: Vector = np.rint(numbers / largest[:, np.newaxis] * 127.0).astype(np.int8)
    return rows
