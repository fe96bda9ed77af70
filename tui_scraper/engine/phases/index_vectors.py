"""The part of the index thread that brings vectors into files: a model's from the store, others as made.

Loaded where there are some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.phases import local_vectors
from tui_scraper.engine.search.vector_files import VectorFiles
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.store.vectors import (
    StoredVectors,
    dimensions_of,
    find_vectors,
    forget_vectors,
    held_by,
)
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.wire import Chunk, CleanText

_CALLS_HELD = 64
"""Answers whose vectors are kept at hand: some 64 kB each."""


class VectorCopier:
    """Belongs to the index thread. `blob` reads a payload of the store; ValueError: it is missing."""

    def __init__(
        self, workspace: Path, space: bytes, state: apsw.Connection, blob: Callable[[int], bytes]
    ) -> None:
        self._space = space
        self._length = dimensions_of(state, space)
        self._files = VectorFiles(workspace, space, self._length)
        self._damaged: set[int] = set()
        self._state = state
        self._blob = blob
        self._unpack = Unpacker(StoredVectors)
        self._read: dict[int, StoredVectors] = {}

    def add(self, artifact: int, keys: Sequence[bytes]) -> bool:
        """Add the vectors of a document's chunks, as far as they are stored. Returns whether all are.

        `keys` are in the order of the chunks, b'' for one that has none.
        """
        places = find_vectors(self._state, [key for key in keys if key])
        self._length = self._length or dimensions_of(self._state, self._space)
        ordinals, vectors = [], []
        for ordinal, key in enumerate(keys):
            place = places.get(key)
            vector = self._vector(*place) if place is not None else None
            if vector is not None:
                ordinals.append(ordinal)
                vectors.append(vector)
        if vectors:
            self._files.add(artifact, ordinals, np.stack(vectors))
        return len(vectors) == sum(map(bool, keys))

    def has(self, artifact: int) -> bool:
        """Whether the files have vectors of a document's chunks; of those made here, all."""
        return self._files.has(artifact)

    def make(self, artifact: int, clean: CleanText, chunks: Sequence[Chunk], made: bytes) -> None:
        """Add the vectors of a document's chunks; `made` are those of a worker, if it made them."""
        vectors = local_vectors.unpacked(made, len(chunks))
        if vectors is None:
            vectors = local_vectors.unpacked(local_vectors.vectors_of(clean, chunks), len(chunks))
        if vectors is not None and len(vectors):
            self._files.add(artifact, range(len(chunks)), vectors)

    def commit(self, writer: Writer) -> None:
        """Make what was added durable and record how much there is. What was damaged is asked for again."""
        if self._files.commit():
            held_by(writer)(self._space, self._files.rows)
        if self._damaged:
            damaged, self._damaged = self._damaged, set()
            writer.call(forget_vectors(damaged))

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _vector(self, blob: int, place: int) -> NDArray[np.int8] | None:
        """A stored vector; None where it is damaged, or not as long as the others."""
        stored = self._read.get(blob)
        if stored is None:
            try:
                stored = self._unpack(self._blob(blob))
            except ValueError:
                self._damaged.add(blob)
                return None
            if len(self._read) >= _CALLS_HELD:
                self._read.clear()
            self._read[blob] = stored
        size = stored.dimensions
        numbers = stored.numbers[place * size : (place + 1) * size]
        if size != self._length or len(numbers) != size:
            return None
        return np.frombuffer(numbers, np.int8)
