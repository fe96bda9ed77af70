"""The vectors of one model as files: derived data, appended to by one thread, rebuildable at any time.

    <workspace>/vectors/<space>/meta.json     how many rows count, how long a vector is, checksums
                                signs.N       a bit for each number of a vector, whether it is positive
                                values.N      the numbers, a byte each
                                rows.N        chunk artifact and ordinal, two 64-bit integers

Rows beyond those that `meta.json` counts are of a process that ended before its commit, and are cut off. A
search compares the signs of all rows with those of the query and then the numbers of the nearest (binary
quantisation with rescoring; Shakir, Aarsen and Lee 2024), through the file system's cache: nothing is loaded.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.search.segments import VECTORS_FOLDER as FOLDER
from tui_scraper.engine.search.segments import DamagedVectorsError
from tui_scraper.engine.search.vector_meta import (
    META_FILE,
    NAMES,
    Meta,
    are_whole,
    explained,
    folder_of,
    read_meta,
    sizes_of,
    words_of,
    write_meta,
)
from tui_scraper.engine.search.vector_runs import Runs

_BLOCK_ROWS = 1 << 15
_EXACT_ROWS = 1 << 14
"""Up to so many rows all are compared by their numbers: that takes as long as the detour."""
_FIRST_PAGE = 512
_ORDINAL_BITS = 32
"""So that artifact and ordinal make one number."""

Vectors = NDArray[np.int8]


class VectorFiles:
    """The writer. Create, use and close it in one and the same thread.

    Where the files are damaged, or of vectors that are not as long as `dimensions` (0: not known), it begins
    anew. Raises StoreBlockedError where the disk is full or read-only,
    StoreError where the files cannot be written for another reason.
    """

    def __init__(self, workspace: Path, space: bytes, dimensions: int = 0) -> None:
        self.directory = folder_of(workspace, space)
        with explained(self.directory):
            self._meta = self._opened(dimensions)
            self._files: list[IO[bytes]] = []
            self._pending: list[list[bytes]] = [[], [], []]
            self._added: list[tuple[int, list[int]]] = []
            self._added_of: dict[int, set[int]] = {}
            self._rows = _rows(self.directory, self._meta)
            self._runs = Runs(np.asarray(self._rows[:, 0]))

    @property
    def rows(self) -> int:
        """Vectors that are committed."""
        return self._meta.rows if self._meta is not None else 0

    def add(self, artifact: int, ordinals: Sequence[int], vectors: Vectors) -> None:
        """Add vectors of chunks of an artifact, one row each; those that are there already are left out."""
        if self._meta is None:
            self._meta = Meta(vectors.shape[1], 0, 1, (0, 0, 0))
        have = self._ordinals(artifact)
        if have:
            wanted = [at for at, ordinal in enumerate(ordinals) if ordinal not in have]
            ordinals, vectors = [ordinals[at] for at in wanted], vectors[wanted]
        if not ordinals:
            return
        rows = np.empty((len(ordinals), 2), "<i8")
        rows[:, 0], rows[:, 1] = artifact, ordinals
        for pending, array in zip(self._pending, (_signs(vectors), vectors, rows), strict=True):
            pending.append(array.tobytes())
        self._added.append((artifact, list(ordinals)))
        self._added_of.setdefault(artifact, set()).update(ordinals)

    def has(self, artifact: int) -> bool:
        """Whether any vector of an artifact is there, committed or not."""
        return artifact in self._added_of or bool(self._runs.of(artifact))

    def commit(self) -> bool:
        """Make what was added durable, and visible to searches. Returns whether there was anything."""
        if not self._added:
            return False
        assert self._meta is not None
        meta = self._meta
        with explained(self.directory):
            if not self._files:
                self._open_files(meta)
            sums = []
            for file, pending, before in zip(self._files, self._pending, meta.sums, strict=True):
                data = b"".join(pending)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                sums.append(zlib.crc32(data, before))
            before_rows = meta.rows
            added = sum(len(ordinals) for _artifact, ordinals in self._added)
            meta = msgspec.structs.replace(meta, rows=before_rows + added, sums=(sums[0], sums[1], sums[2]))
            write_meta(self.directory, meta)
        self._meta = meta
        self._rows = _rows(self.directory, meta)
        runs = []
        for artifact, ordinals in self._added:
            runs.append((artifact, before_rows, len(ordinals)))
            before_rows += len(ordinals)
        self._runs.add(runs)
        self._pending = [[], [], []]
        self._added, self._added_of = [], {}
        return True

    def close(self) -> None:
        """Close the files. What was added since the last commit is dropped."""
        for file in self._files:
            file.close()

    def _opened(self, dimensions: int) -> Meta | None:
        try:
            meta = read_meta(self.directory)
        except DamagedVectorsError:
            meta = None
        fits = meta is not None and dimensions in {0, meta.dimensions}
        if meta is not None and fits and are_whole(self.directory, meta):
            return meta
        shutil.rmtree(self.directory, ignore_errors=True)
        return None

    def _open_files(self, meta: Meta) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, size in zip(NAMES, sizes_of(meta), strict=True):
            file = (self.directory / f"{name}.{meta.part}").open("ab")
            self._files.append(file)
            file.truncate(size)
            file.seek(0, os.SEEK_END)

    def _ordinals(self, artifact: int) -> set[int]:
        """The chunks of an artifact that are there, committed or not."""
        found = set(self._added_of.get(artifact, ()))
        for start, count in self._runs.of(artifact):
            found.update(self._rows[start : start + count, 1].tolist())
        return found


class VectorReader:
    """The committed vectors of a space, as they were when it was made."""

    def __init__(self, directory: Path, meta: Meta) -> None:
        self.rows, self.dimensions = meta.rows, meta.dimensions
        self._rows = _rows(directory, meta)
        words = words_of(meta.dimensions)
        shapes = (("signs", "<u8", words), ("values", "i1", meta.dimensions))
        with explained(directory):
            self._signs, self._values = (
                np.memmap(directory / f"{name}.{meta.part}", kind, "r", shape=(meta.rows, width))
                for name, kind, width in shapes
            )

    def nearest(
        self, query: NDArray[np.float32], artifacts: Sequence[int] | None = None
    ) -> Iterator[tuple[float, int, int]]:
        """(cosine, chunk artifact, ordinal) of all rows, the nearest to a query first.

        `artifacts` keeps those of some. Where there are many rows the order is that of the signs from one
        page to the next, and exact inside each: the first has some 512 rows, each further one four times as
        many.
        """
        if artifacts is not None:
            yield from self._ranked(query, self._rows_of(artifacts))
            return
        if self.rows <= _EXACT_ROWS:
            yield from self._ranked(query, np.arange(self.rows))
            return
        distances = self._distances(query)
        within = np.cumsum(np.bincount(distances, minlength=self.dimensions + 1))
        beyond, size = -1, _FIRST_PAGE
        while beyond < self.dimensions:
            upto = min(int(np.searchsorted(within, size, "right")), self.dimensions)
            near = distances <= upto
            if beyond >= 0:
                near &= distances > beyond
            yield from self._ranked(query, np.flatnonzero(near))
            beyond, size = upto, size * 4

    def cosines(
        self, query: NDArray[np.float32], places: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], float]:
        """The cosine of each (chunk artifact, ordinal) that has a vector here."""
        rows = self._rows_of(list({artifact for artifact, _ordinal in places}))
        found = np.asarray(self._rows)[rows]
        wanted = [artifact << _ORDINAL_BITS | ordinal for artifact, ordinal in places]
        ranked = self._ranked(query, rows[np.isin(found[:, 0] << _ORDINAL_BITS | found[:, 1], wanted)])
        return {(artifact, ordinal): score for score, artifact, ordinal in ranked}

    def _rows_of(self, artifacts: Sequence[int]) -> NDArray[np.int64]:
        """Rows of some artifacts. New artifacts have the highest numbers, so that most files are in order."""
        column = np.asarray(self._rows)[:, 0]
        if np.any(column[1:] < column[:-1]):
            return np.flatnonzero(np.isin(column, artifacts))
        # The library's own search would copy the column first.
        ends = ((bisect_left(column, one), bisect_right(column, one)) for one in artifacts)
        return np.concatenate([np.arange(start, end) for start, end in ends] or [np.empty(0, np.int64)])

    def _distances(self, query: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Of each row, in how many places its sign differs from the query's."""
        wanted = _signs(query[np.newaxis, :]).view("<u8")[0]
        width = len(wanted)
        signs = self._signs.reshape(-1)
        # One long row against another, into places that stay: row by row it takes more than twice the time.
        repeated = np.tile(wanted, min(self.rows, _BLOCK_ROWS))
        differing, counts = np.empty_like(repeated), np.empty(len(repeated), np.uint8)
        found = np.empty(self.rows, np.uint16)
        for start in range(0, self.rows, _BLOCK_ROWS):
            total = found[start : start + _BLOCK_ROWS]
            size = len(total) * width
            part = signs[start * width : start * width + size]
            np.bitwise_xor(part, repeated[:size], out=differing[:size])
            np.bitwise_count(differing[:size], out=counts[:size])
            each = counts[:size].reshape(-1, width)
            total[:] = each[:, 0]
            for word in range(1, width):  # `sum` over so short an axis takes three times as long
                total += each[:, word]
        return found

    def _ranked(
        self, query: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> Iterator[tuple[float, int, int]]:
        if not len(rows):
            return
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _BLOCK_ROWS):
            part = rows[start : start + _BLOCK_ROWS]
            values = self._values[part].astype(np.float32)
            lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", values, values)), 1)  # without words: 0
            scores[start : start + len(part)] = (values @ query) / lengths
        scores /= np.float32(max(np.sqrt(query @ query), 1e-9))
        for at in np.argsort(-scores, kind="stable"):
            artifact, ordinal = self._rows[rows[at]]
            yield float(scores[at]), int(artifact), int(ordinal)


def open_vectors(workspace: Path, space: bytes, at_least: int) -> VectorReader | None:
    """The committed vectors of a space; None where there are none.

    Raises DamagedVectorsError, also where there are fewer than `at_least`.
    """
    directory = folder_of(workspace, space)
    meta = read_meta(directory)
    if (meta.rows if meta is not None else 0) < at_least or (meta and not are_whole(directory, meta)):
        raise DamagedVectorsError(
            f"Vectors are missing from the files of the search ({directory}). "
            "The next `tui-scraper run` makes them again, without paying."
        )
    return VectorReader(directory, meta) if meta is not None and meta.rows else None


def compact(
    workspace: Path, stays: Callable[[Sequence[int]], set[int]], note: Callable[[bytes, int], None]
) -> None:
    """Copy what stays of each space to new files, and remove the old ones.

    `stays` says which of some artifacts are still there; `note` is told how many vectors a space will have,
    before there are fewer. Only who holds the workspace may call it.
    """
    folder = workspace / FOLDER
    for directory in sorted(folder.iterdir()) if folder.is_dir() else []:
        with explained(directory), contextlib.suppress(DamagedVectorsError, ValueError):
            space = bytes.fromhex(directory.name)
            _compact(directory, stays, functools.partial(note, space))


def _compact(
    directory: Path, stays: Callable[[Sequence[int]], set[int]], note: Callable[[int], None]
) -> None:
    meta = read_meta(directory)
    if meta is None or not are_whole(directory, meta) or not meta.rows:
        return
    rows = _rows(directory, meta)
    kept = np.isin(rows[:, 0], list(stays(np.unique(rows[:, 0]).tolist())))
    gone = int(len(kept) - kept.sum())
    if not gone:
        return
    note(meta.rows - gone)  # before there are fewer
    sums = []
    for name, size in zip(NAMES, sizes_of(meta), strict=True):
        total = 0
        shape = (meta.rows, size // meta.rows)
        source = np.memmap(directory / f"{name}.{meta.part}", np.uint8, "r", shape=shape)
        with (directory / f"{name}.{meta.part + 1}").open("wb") as file:
            for start in range(0, meta.rows, _BLOCK_ROWS):
                data = source[start : start + _BLOCK_ROWS][kept[start : start + _BLOCK_ROWS]].tobytes()
                file.write(data)
                total = zlib.crc32(data, total)
            file.flush()
            os.fsync(file.fileno())
        sums.append(total)
    new = Meta(meta.dimensions, meta.rows - gone, meta.part + 1, (sums[0], sums[1], sums[2]))
    write_meta(directory, new)
    for name in NAMES:
        (directory / f"{name}.{meta.part}").unlink()


def artifacts_in(workspace: Path, space: bytes) -> dict[int, int]:
    """How many vectors the files have of each chunk artifact; chunks that are there twice count once."""
    directory = folder_of(workspace, space)
    rows = np.unique(_rows(directory, read_meta(directory)), axis=0)
    artifacts, counts = np.unique(rows[:, 0], return_counts=True)
    return dict(zip(artifacts.tolist(), counts.tolist(), strict=True))


def damaged(workspace: Path, space: bytes, proceed: Callable[[int], None]) -> Iterator[tuple[str, str]]:
    """Read all files of a space. Yields the name of each that is not whole, with what is wrong.

    `proceed` is called with the bytes read each time.
    """
    directory = folder_of(workspace, space)
    try:
        meta = read_meta(directory)
    except DamagedVectorsError:
        yield META_FILE, "it cannot be read"
        return
    if meta is None:
        return
    for name, size, wanted in zip(NAMES, sizes_of(meta), meta.sums, strict=True):
        path = directory / f"{name}.{meta.part}"
        left, found = size, 0
        try:
            with path.open("rb") as file:
                while left and (block := file.read(min(left, 1 << 20))):
                    found = zlib.crc32(block, found)
                    left -= len(block)
                    proceed(len(block))
        except OSError as error:
            yield path.name, f"it cannot be read ({error.strerror})"
            continue
        if left:
            yield path.name, "its end is missing"
        elif found != wanted:
            yield path.name, "its checksum does not match"


def _signs(vectors: NDArray[np.int8] | NDArray[np.float32]) -> NDArray[np.uint8]:
    bits = np.packbits(vectors > 0, axis=1)
    return np.pad(bits, ((0, 0), (0, words_of(vectors.shape[1]) * 8 - bits.shape[1])))


def _rows(directory: Path, meta: Meta | None) -> NDArray[np.int64]:
    if meta is None or not meta.rows:
        return np.empty((0, 2), np.int64)
    with explained(directory):
        return np.memmap(directory / f"rows.{meta.part}", "<i8", "r", shape=(meta.rows, 2))
