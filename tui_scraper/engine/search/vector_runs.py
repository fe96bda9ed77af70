"""Which rows of the files of vectors are of which artifact: runs of rows that follow each other.

Twenty bytes a run, and a document is one run unless its vectors came in parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Runs:
    """The runs of a column of artifacts, which only grows."""

    def __init__(self, artifacts: NDArray[np.int64]) -> None:
        starts = np.flatnonzero(np.diff(artifacts, prepend=-1))
        self._artifacts = np.empty(0, np.int64)
        self._starts = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int32)
        self._take(artifacts[starts], starts, np.diff(starts, append=len(artifacts)))

    def of(self, artifact: int) -> list[tuple[int, int]]:
        """(first row, rows) of each run of an artifact."""
        left, right = np.searchsorted(self._artifacts, [artifact, artifact + 1])
        return [(int(self._starts[at]), int(self._counts[at])) for at in range(left, right)]

    def add(self, runs: Sequence[tuple[int, int, int]]) -> None:
        """Some more, each (artifact, first row, rows)."""
        if runs:
            artifacts, starts, counts = (np.array(column, np.int64) for column in zip(*runs, strict=True))
            self._take(artifacts, starts, counts)

    def _take(
        self, artifacts: NDArray[np.int64], starts: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> None:
        columns = (
            np.concatenate((self._artifacts, artifacts)),
            np.concatenate((self._starts, starts)),
            np.concatenate((self._counts, counts.astype(np.int32))),
        )
        if np.any(np.diff(columns[0]) < 0):  # new artifacts have the highest numbers, most of the time
            order = np.argsort(columns[0], kind="stable")
            columns = (columns[0][order], columns[1][order], columns[2][order])
        self._artifacts, self._starts, self._counts = columns
