"""Search: what the index finds, by words and by meaning, reduced to what the head has.

The index knows chunk artifacts; the store knows which documents have them now. A hit counts where
the artifact is the latest visible chunk result of a live version that is also done in the index
phase, all on the head's lineages. So a rollback, a vanished file and a changed setting take effect
at once, with no write to the index.

By meaning: the chunks whose vectors are nearest to that of the query. Both together: each way gives its best,
and a chunk counts by its places in both (reciprocal rank fusion; Cormack, Clarke and Büttcher 2009).

Everything is read from committed data through read-only connections, so a search works beside a
running engine. The store's snapshot is taken before the index is opened: what the store calls
indexed is then in the index, and what the index has beyond that is filtered out.
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import PhaseName, SearchHit, Status
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.search.snippet import snippet
from tui_scraper.engine.search.terms import Wanted, build_query, holds, only_artifacts, read_query
from tui_scraper.engine.search.text_index import DamagedIndexError, guarded, open_for_reading
from tui_scraper.engine.search.visible import latest
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.codec import unpack
from tui_scraper.engine.store.connection import explained, open_blobs, open_state
from tui_scraper.engine.store.head import PHASE_NUMBER, STATUS_NUMBER, Head, read_head
from tui_scraper.engine.store.vectors import count_without, held, read_vector, space_at
from tui_scraper.engine.wire import Chunk, CleanText

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DONE = STATUS_NUMBER[Status.DONE]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_LARGEST_PAGE = 8_192
_FEW = 2_000
"""Chunk artifacts up to which a path filter is put into the index query instead of after it."""

_FUSED = 50
"""Chunks of each way that are put in one order, at least."""

_NEAREST_LOOKED_AT = 200_000
"""Nearest chunks among which those that pass the filters are looked for: a rare label must not have every one
of millions looked up."""

_RANKS = 60
"""What is added to each rank in the fusion: the constant of its authors."""

_COPIES_LOOKED_AT = 1_000
"""Documents with one and the same text among which the first by path is chosen."""


@dataclass(frozen=True, slots=True)
class _Holder:
    """A document that has a chunk artifact at the head."""

    path: bytes
    clean: int
    chunks: int
    label: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    score: float
    artifact: int
    ordinal: int


def search(
    directory: Path,
    query: str,
    *,
    k: int = 10,
    label: str | None = None,
    path: str | None = None,
) -> list[SearchHit]:
    """Find the `k` best chunks for the words of a query in the workspace `directory`.

    Words must all occur in a chunk, its heading or its title; where no chunk has them all, any of
    them counts. "Quoted words" must follow each other; -word leaves out. Any text is a query.

    `label` keeps documents with that label (exactly). `path` keeps paths that begin with it, or,
    where it holds `*`, `?` or `[`, whole paths that match it as a glob (`*` also crosses '/').

    Documents with one and the same text share a hit, under the first path; the others appear only
    where fewer than `k` different hits were found. Hits are ordered by score, then path.

    Raises StoreError where the workspace cannot be read, or its index is damaged.
    """
    with Search(directory) as reader:
        return reader.find(query, k=k, label=label, path=path)


class Search:
    """An open workspace to search, for front ends that ask again and again.

    Each `find` sees what was committed when it was called. Belongs to the thread that made it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = open_state(directory, read_only=True)
        try:
            self._blobs = open_blobs(directory, read_only=True)
        except BaseException:
            self._state.close()
            raise
        self._index: tuple[Any, Any] | None = None

    def __enter__(self) -> Search:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._index = None
        self._blobs.close()
        self._state.close()

    def space(self) -> bytes | None:
        """The vectors that the index has, at the head; None where it has none."""
        with explained(self._directory):
            return space_at(self._state, read_head(self._state))

    def vectors(self) -> tuple[int, int]:
        """How many vectors there are at the head, and how many documents have not all of theirs."""
        with explained(self._directory):
            head = read_head(self._state)
            space = space_at(self._state, head)
            return 0 if space is None else held(self._state, space), count_without(self._state, head)

    def vector(self, key: bytes) -> NDArray[np.int8] | None:
        """The vector that is stored under a key; None where there is none.

        Raises ValueError where it is damaged.
        """
        with explained(self._directory):
            return read_vector(self._state, self._blobs, key)

    def find(
        self,
        query: str,
        *,
        k: int = 10,
        label: str | None = None,
        path: str | None = None,
        vector: NDArray[np.int8] | None = None,
        words: bool = True,
    ) -> list[SearchHit]:
        """Find the `k` best chunks; see `search`.

        `vector` is that of the query, to find by meaning as well; without `words`, by meaning alone. The
        score is that of the words, the cosine, or, where both count, the sum of 1 / (60 + rank).
        """
        with explained(self._directory):
            self._state.execute("BEGIN")
            try:
                head = read_head(self._state)
                if k < 1 or not _anything_indexed(self._state, head):
                    return []
                documents = _Filter(self._directory, self._state, head, k, label, path)
                return self._find(documents, head, query, k, vector, words=words)
            finally:
                self._state.execute("ROLLBACK")

    def _find(
        self,
        documents: _Filter,
        head: Head,
        query: str,
        k: int,
        vector: NDArray[np.int8] | None,
        *,
        words: bool,
    ) -> list[SearchHit]:
        self._refresh()
        if self._index is None:
            raise DamagedIndexError(
                f"{self._directory}: the search index is missing. The next run builds it again."
            )
        index, analyze = self._index
        wanted = read_query(query, analyze)
        narrow = documents.few_artifacts()
        if not wanted.words or (narrow is not None and not narrow):
            return []
        hits = _Hits(self._state, self._blobs, wanted.terms(), analyze.analyze)
        depth = k if vector is None else max(k, _FUSED)
        groups: list[tuple[_Found, list[_Holder]]] = []
        if words:
            groups = self._by_words(index, wanted, documents, narrow, depth)
        if vector is not None:
            leaves_out = functools.partial(_leaves_out, hits, wanted, analyze)
            near = self._by_meaning(head, vector, documents, narrow, depth, leaves_out)
            groups = _fused(groups, near) if words else near
        return [hits.make(found, holder) for found, holder in _choose(groups, k)]

    def _by_words(
        self, index: Any, wanted: Wanted, documents: _Filter, narrow: list[int] | None, k: int
    ) -> list[tuple[_Found, list[_Holder]]]:
        searcher = guarded(self._directory, index.searcher)
        for every_word in (True, False) if len(wanted.words) > 1 else (True,):
            parsed = build_query(index.schema, wanted, every_word=every_word)
            if narrow is not None:
                parsed = only_artifacts(index.schema, parsed, narrow)
            groups = self._collect(searcher, parsed, documents, k)
            if groups:
                return groups
        return []

    def _by_meaning(
        self,
        head: Head,
        vector: NDArray[np.int8],
        documents: _Filter,
        narrow: list[int] | None,
        k: int,
        leaves_out: Callable[[_Found, _Holder], bool],
    ) -> list[tuple[_Found, list[_Holder]]]:
        """The `k` nearest chunks that some document of the head has."""
        from tui_scraper.engine.search.vector_files import open_vectors

        space = space_at(self._state, head)
        reader = None if space is None else open_vectors(self._directory, space, held(self._state, space))
        if reader is None:
            return []
        if reader.dimensions != len(vector):
            raise StoreError(
                f"{self._directory}: the vector of the query has {len(vector)} numbers, and those of the "
                f"documents have {reader.dimensions}."
            )
        groups: list[tuple[_Found, list[_Holder]]] = []
        seen: set[tuple[int, int]] = set()
        nearest = reader.nearest(vector.astype("f4"), narrow)
        for score, artifact, ordinal in itertools.islice(nearest, _NEAREST_LOOKED_AT):
            if len(groups) >= k:
                break
            if (artifact, ordinal) in seen:
                continue
            seen.add((artifact, ordinal))
            found = _Found(round(score, 6), artifact, ordinal)
            holders = documents.holders(artifact)
            if holders and not leaves_out(found, holders[0]):
                groups.append((found, holders))
        return groups

    def _refresh(self) -> None:
        if self._index is None:
            self._index = open_for_reading(self._directory)
        else:
            try:
                guarded(self._directory, self._index[0].reload)
            except StoreError:  # the directory was built anew since
                self._index = open_for_reading(self._directory)

    def _collect(
        self, searcher: Any, query: Any, documents: _Filter, k: int
    ) -> list[tuple[_Found, list[_Holder]]]:
        """The best chunks that some document of the head has, in order, until there are `k`.

        Goes on through hits with the score of the last, so that what is cut off is decided by path
        and not by the place in the index.
        """
        groups: list[tuple[_Found, list[_Holder]]] = []
        seen: set[tuple[int, int]] = set()
        for found in self._pages(searcher, query, min(4 * k, _LARGEST_PAGE)):
            if len(groups) >= k and (found.score < groups[k - 1][0].score or len(groups) >= 10 * k):
                break
            if (found.artifact, found.ordinal) in seen:
                continue
            seen.add((found.artifact, found.ordinal))
            holders = documents.holders(found.artifact)
            if holders:
                groups.append((found, holders))
        return groups

    def _pages(self, searcher: Any, query: Any, size: int) -> Iterator[_Found]:
        """Every hit, best first; in pages that grow, because each is sorted from the start."""
        offset = 0
        while True:

            def page(limit: int = size, start: int = offset) -> list[_Found]:
                hits = searcher.search(query, limit, count=False, offset=start).hits
                places = [address for _score, address in hits]
                return [
                    _Found(round(float(score), 6), int(artifact), int(ordinal))
                    for (score, _address), artifact, ordinal in zip(
                        hits,
                        searcher.fast_field_values("artifact", places),
                        searcher.fast_field_values("ordinal", places),
                        strict=True,
                    )
                ]

            found: list[_Found] = guarded(self._directory, page)
            yield from found
            if len(found) < size:
                return
            offset += size
            size = min(4 * size, _LARGEST_PAGE)


def _anything_indexed(state: apsw.Connection, head: Head) -> bool:
    lineage = head.lineages.get(PhaseName.INDEX)
    if lineage is None:
        return False
    row = state.execute(
        "SELECT n FROM counter WHERE branch = ? AND lineage = ? AND status = ?", (head.branch, lineage, _DONE)
    ).fetchone()
    return row is not None and row[0] > 0


def _fused(*ways: list[tuple[_Found, list[_Holder]]]) -> list[tuple[_Found, list[_Holder]]]:
    """Reciprocal rank fusion: a chunk counts by its places, so different kinds of scores need no scale."""
    scores: defaultdict[tuple[int, int], float] = defaultdict(float)
    holders: dict[tuple[int, int], list[_Holder]] = {}
    for groups in ways:
        for rank, (found, those) in enumerate(groups, 1):
            scores[found.artifact, found.ordinal] += 1.0 / (_RANKS + rank)
            holders[found.artifact, found.ordinal] = those
    return [(_Found(round(score, 6), *place), holders[place]) for place, score in scores.items()]


def _leaves_out(hits: _Hits, wanted: Wanted, analyze: Any, found: _Found, holder: _Holder) -> bool:
    """Whether a chunk has words that the query leaves out."""
    if not wanted.excluded:
        return False
    text = hits.text(found, holder)
    return any(holds(text, terms, analyze) for terms in wanted.excluded)


def _choose(groups: list[tuple[_Found, list[_Holder]]], k: int) -> list[tuple[_Found, _Holder]]:
    """One document for each text, and copies only into places that would stay empty."""

    def order(pair: tuple[_Found, _Holder]) -> tuple[float, bytes, int]:
        return -pair[0].score, pair[1].path, pair[0].ordinal

    firsts = sorted(((found, holders[0]) for found, holders in groups), key=order)[:k]
    copies = [(found, holder) for found, holders in groups for holder in holders[1:]]
    return sorted(firsts + sorted(copies, key=order)[: k - len(firsts)], key=order)


class _Filter:
    """Which documents of the head have a chunk artifact and pass the person's filters."""

    def __init__(
        self,
        directory: Path,
        state: apsw.Connection,
        head: Head,
        k: int,
        label: str | None,
        path: str | None,
    ) -> None:
        self._directory = directory
        self._state = state
        self._scan = head.scan
        self._k = k
        self._label = label
        self._path = None if path is None else _shown(path).removeprefix("./")
        self._glob = self._path is not None and any(sign in self._path for sign in "*?[")
        self._cache: dict[int, list[_Holder]] = {}
        clean, chunk, classify, index = (
            head.lineages[name]
            for name in (PhaseName.CLEAN, PhaseName.CHUNK, PhaseName.CLASSIFY, PhaseName.INDEX)
        )

        self._under = f"""
            SELECT DISTINCT r.artifact
            FROM document d CROSS JOIN version v ON v.document = d.id AND v.scan_to IS NULL
                CROSS JOIN result r ON r.version = v.id
            WHERE d.path >= ? AND d.path < ? AND r.lineage = {chunk} AND r.artifact IS NOT NULL
            LIMIT ?"""  # noqa: S608
        self._sql = f"""
            SELECT d.path, {latest(head, "artifact", clean)}, r.artifact, {latest(head, "artifact", classify)}
            FROM result r JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
            WHERE r.artifact = ? AND r.phase = {_CHUNK} AND r.lineage = {chunk} AND r.status = {_DONE}
                AND {head.visible()} AND {head.live()}
                AND r.seq = {latest(head, "seq", chunk)} AND {latest(head, "status", index)} = {_DONE}
            """  # noqa: S608

    def few_artifacts(self) -> list[int] | None:
        """The chunk artifacts under the path filter's fixed beginning; None where there are many.

        Without this a filter that few documents pass would have every hit of a common word looked
        up in the store, at 40-75 microseconds each.
        """
        if self._path is None:
            return None
        fixed = re.split(r"[*?\[]", self._path, maxsplit=1)[0] if self._glob else self._path
        prefix = fixed.partition("\\")[0].encode()  # from there on it may be an escaped byte
        newest = self._state.execute("SELECT max(id) FROM scan").get
        if not prefix or self._scan != newest:  # live versions of an older scan have no index
            return None
        rows: list[Any] = self._state.execute(
            self._under, (prefix, prefix[:-1] + bytes([prefix[-1] + 1]), _FEW + 1)
        ).fetchall()
        return [artifact for (artifact,) in rows] if len(rows) <= _FEW else None

    def holders(self, artifact: int) -> list[_Holder]:
        """Up to `k` documents with that chunk artifact, by path."""
        known = self._cache.get(artifact)
        if known is None:
            known = self._cache[artifact] = self._look_up(artifact)
        return known

    def _look_up(self, artifact: int) -> list[_Holder]:
        found: list[_Holder] = []
        for path, clean, chunks, label_artifact in self._state.execute(self._sql, (artifact,)):
            if clean is None or not self._path_passes(path):
                continue
            labels = self._labels(label_artifact)
            if self._label is not None and self._label not in labels:
                continue
            found.append(_Holder(path, clean, chunks, labels[0] if labels else None))
            if len(found) == _COPIES_LOOKED_AT:
                break
        return sorted(found, key=lambda holder: holder.path)[: self._k]

    def _path_passes(self, path: bytes) -> bool:
        if self._path is None:
            return True
        shown = show_path(path)
        return fnmatch.fnmatchcase(shown, self._path) if self._glob else shown.startswith(self._path)

    def _labels(self, artifact: int | None) -> list[str]:
        if artifact is None:
            return []
        data = self._state.execute("SELECT data FROM artifact WHERE id = ?", (artifact,)).get
        try:
            return msgspec.msgpack.decode(data or b"", type=StoredLabel).labels
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self._directory}: a stored label cannot be read ({error}). "
                "Copy the workspace before doing anything else."
            ) from error


def _shown(path: str) -> str:
    """A typed path as paths are shown; a byte that is not UTF-8 may come as the system gives it."""
    return show_path(_NO_BYTE.sub("\ufffd", path).encode("utf-8", "surrogateescape"))


_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class _Hits:
    """Makes what is shown of a hit, from the stored text. Each text is read once."""

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection, terms: frozenset[str], analyze: Any):
        self._state = state
        self._blobs = blobs
        self._terms = terms
        self._analyze = analyze
        self._texts: dict[int, CleanText] = {}
        self._chunks: dict[int, list[Chunk]] = {}

    def text(self, found: _Found, holder: _Holder) -> str:
        """What words are looked for in: a chunk with what stands above it."""
        text, chunk = self._read(found, holder)
        return "\n".join((text.title or "", chunk.heading, text.text[chunk.start : chunk.end]))

    def _read(self, found: _Found, holder: _Holder) -> tuple[CleanText, Chunk]:
        if holder.clean not in self._texts:
            self._texts[holder.clean] = self._payload(holder.clean, CleanText, holder.path)
        if holder.chunks not in self._chunks:
            self._chunks[holder.chunks] = self._payload(holder.chunks, list[Chunk], holder.path)
        chunks = self._chunks[holder.chunks]
        if found.ordinal >= len(chunks):
            raise StoreError(
                f"{safe_text(show_path(holder.path))}: the search index disagrees with the store. "
                "Delete the folders 'index' and 'vectors' of the workspace; the next run makes them again."
            )
        return self._texts[holder.clean], chunks[found.ordinal]

    def make(self, found: _Found, holder: _Holder) -> SearchHit:
        text, chunk = self._read(found, holder)
        path = safe_text(show_path(holder.path))
        return SearchHit(
            path=path,
            title=safe_text(text.title or "") or path.rpartition("/")[2],
            label=None if holder.label is None else safe_text(holder.label),
            score=round(found.score, 4),
            chunk=found.ordinal,
            start=chunk.start,
            end=chunk.end,
            snippet=snippet(text.text[chunk.start : chunk.end], self._terms, self._analyze),
        )

    def _payload(self, artifact: int, kind: Any, path: bytes) -> Any:
        blob = self._state.execute("SELECT blob FROM artifact WHERE id = ?", (artifact,)).get
        row = self._blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).fetchone()
        try:
            if row is None:
                raise ValueError("the payload is missing")
            return unpack(row[0], kind)
        except ValueError as error:
            raise StoreError(
                f"{safe_text(show_path(path))}: the stored text cannot be read ({error}). "
                "Copy the workspace before doing anything else."
            ) from error
