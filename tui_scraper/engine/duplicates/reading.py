"""Finds the duplicates at a point of history: copies by content, and near-duplicates by signatures of texts.

The first document by path stands for others, so who does hangs on nothing but the documents themselves. Each
distinct text is read and signed once; signatures made before are handed in, so that only new texts are read.

A document that says nothing of its own is like no other: it has no words, or only names what is in it, as an
archive does and a mail that is all attachment. Its bytes alone tell whether it is a copy.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.duplicates.grouping import Progress, group
from tui_scraper.engine.duplicates.model import Duplicates
from tui_scraper.engine.duplicates.signature import PERMUTATIONS, Signatures, signatures, wordless
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.setbacks import bad_results
from tui_scraper.engine.store.texts import CleanTexts

_SIGNED_TEXTS, _SIGNED_CHARS = 400, 2_000_000
"""Signed at once."""


@dataclass(frozen=True)
class Signed:
    """Signatures of texts: a row of `matrix` for each of `keys`, the beginnings of their hashes."""

    keys: NDArray[np.uint64]
    matrix: Signatures

    @staticmethod
    def none() -> Signed:
        """Of no text."""
        return Signed(np.zeros(0, np.uint64), np.zeros((0, PERMUTATIONS), np.uint16))


@dataclass
class _Documents:
    """All documents in the order of their paths."""

    versions: array[int]
    uids: array[int]
    sizes: array[int]
    contents: bytearray
    unread: list[int]
    """Those that no content is known of, or that may not be read now."""


class Finder:
    """Finds duplicates at a point of history. Both connections must be inside a read transaction."""

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection, head: Head) -> None:
        self._state = state
        self._blobs = blobs
        self._head = head
        self._signed_last = Signed.none()
        self._new: NDArray[np.int64] = np.zeros(0, np.int64)
        self.fresh_count = 0
        """How many texts were signed anew for the last question, also where it ended with an error."""

    def fresh(self) -> Signed:
        """What was signed anew for the last question."""
        rows = self._new[: self.fresh_count]
        return Signed(self._signed_last.keys[rows], self._signed_last.matrix[rows])

    def find(
        self,
        alike: float,
        known: Signed | None = None,
        progress: Progress | None = None,
        versions: Collection[int] | None = None,
        made: Iterable[Signed] = (),
    ) -> tuple[Duplicates, Signed]:
        """The duplicates, among all documents or some `versions`; and the signatures of all their texts.

        `made` are signatures of some of them that nobody keeps yet. `progress` is told how many of the new
        texts have been signed, then how many of all have been compared. Raises StoreError where a text is
        missing or damaged.
        """
        documents = self._documents(versions)
        texts = CleanTexts(
            self._state, self._blobs, self._head, documents.versions,
            lambda place: self._path(documents.versions[place]),
        )  # fmt: skip
        count = len(documents.versions)
        places = np.flatnonzero(np.frombuffer(texts.payloads, np.int64)) if count else np.zeros(0, np.int64)
        outputs = np.frombuffer(texts.outputs, np.uint64)[places] if count else np.zeros(0, np.uint64)
        _keys, first, inverse = np.unique(outputs, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")  # of different texts, as the first document with each comes
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        holders = places[first[order]]
        signed = self._signed(texts, holders, outputs[first[order]], known or Signed.none(), made, progress)
        alone = wordless(signed.matrix)
        leaders, similarity = group(signed.matrix, alike, alone, progress)
        near = np.arange(count, dtype=np.int32)
        shares = np.ones(count, np.float32)
        mine = rank[inverse]
        near[places] = np.where(alone[mine], places, holders[leaders[mine]])
        shares[places] = similarity[mine]
        found = Duplicates(
            versions=np.array(documents.versions, np.int64),
            uids=np.array(documents.uids, np.uint64),
            sizes=np.array(documents.sizes, np.int64),
            exact=_first_copies(documents),
            near=near,
            similarity=shares,
        )
        return found, signed

    def _signed(
        self,
        texts: CleanTexts,
        holders: NDArray[np.int64],
        keys: NDArray[np.uint64],
        known: Signed,
        made: Iterable[Signed],
        progress: Progress | None,
    ) -> Signed:
        matrix = np.empty((len(keys), PERMUTATIONS), np.uint16)
        signed = self._signed_last = Signed(keys, matrix)
        order = np.argsort(keys, kind="stable")
        here = _fill(signed, order, np.ones(len(keys), np.bool_), [known])
        given = _fill(signed, order, ~here, made)
        new = np.concatenate((np.flatnonzero(~here & given), np.flatnonzero(~here & ~given)))
        self._new, self.fresh_count = new, int(np.count_nonzero(given))
        for rows, batch in self._batches(texts, holders, new[self.fresh_count :]):
            matrix[rows] = signatures(batch)
            self.fresh_count += len(rows)
            if progress is not None:
                progress(self.fresh_count, len(new))
        return signed

    def _batches(
        self, texts: CleanTexts, holders: NDArray[np.int64], new: NDArray[np.int64]
    ) -> Iterator[tuple[list[int], list[str]]]:
        rows: list[int] = []
        batch: list[str] = []
        chars = 0
        for row, (_place, clean) in zip(new.tolist(), texts.read(holders[new].tolist()), strict=True):
            rows.append(row)
            batch.append("" if clean.is_listing else clean.text)
            chars += len(clean.text)
            if len(rows) == _SIGNED_TEXTS or chars >= _SIGNED_CHARS:
                yield rows, batch
                rows, batch, chars = [], [], 0
        if rows:
            yield rows, batch

    def _documents(self, wanted: Collection[int] | None) -> _Documents:
        head, state = self._head, self._state
        unreadable = {bad.version for bad in bad_results(state, head, phase=PhaseName.INPUT)}
        chosen = None if wanted is None else frozenset(wanted)
        found = _Documents(array("q"), array("Q"), array("q"), bytearray(), [])
        rows = state.execute(
            f"""SELECT v.id, d.uid, v.size_bytes, v.content FROM document d CROSS JOIN version v
            ON v.document = d.id WHERE {head.live()} ORDER BY d.path, d.parent"""  # noqa: S608
        )
        for version, uid, size_bytes, content in rows:
            if chosen is not None and version not in chosen:
                continue
            if content is None or version in unreadable:
                found.unread.append(len(found.versions))
            found.versions.append(version)
            found.uids.append(int.from_bytes(uid, "big"))
            found.sizes.append(size_bytes)
            found.contents += content or bytes(16)
        return found

    def _path(self, version: int) -> bytes:
        path: bytes = self._state.execute(
            "SELECT d.path FROM version v JOIN document d ON d.id = v.document WHERE v.id = ?", (version,)
        ).get
        return path


def _fill(
    signed: Signed, order: NDArray[np.int64], missing: NDArray[np.bool_], made: Iterable[Signed]
) -> NDArray[np.bool_]:
    """Fill in what is missing and has been made. `order` sorts the keys. Returns which rows that were."""
    filled = np.zeros(len(order), np.bool_)
    if not len(order):
        return filled
    for some in made:
        at = order[np.minimum(np.searchsorted(signed.keys, some.keys, sorter=order), len(order) - 1)]
        wanted = np.flatnonzero((signed.keys[at] == some.keys) & missing[at])
        signed.matrix[at[wanted]] = some.matrix[wanted]
        filled[at[wanted]] = True
    return filled


def _first_copies(documents: _Documents) -> NDArray[np.int32]:
    """For each document the first with the same bytes."""
    own = np.arange(len(documents.versions), dtype=np.int32)
    halves = np.frombuffer(documents.contents, np.uint64).reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    begins = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))[: len(order)]
    firsts = own.copy()
    firsts[order] = np.repeat(order[begins], np.diff(np.flatnonzero(begins), append=len(order)))
    firsts[documents.unread] = own[documents.unread]
    return firsts
