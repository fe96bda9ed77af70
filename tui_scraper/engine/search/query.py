"""Search: what the index finds, by words and by meaning, reduced to what the head has.

The index knows chunk artifacts; the store knows which documents have them now. A hit counts where
the artifact is the latest visible chunk result of a live version that is also done in the index
phase, all on the head's lineages. So a rollback, a vanished file and a changed setting take effect
at once, with no write to the index.

By meaning: the chunks whose vectors are nearest to that of the query. Both together: each way gives its best,
and a chunk counts by its scores in both (`search.fusion`).

Everything is read from committed data through read-only connections, so a search works beside a
running engine. The store's snapshot is taken before the index is opened: what the store calls
indexed is then in the index, and what the index has beyond that is filtered out.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import apsw

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import PhaseName, SearchHit, Status
from tui_scraper.engine.search.asked import Wanted, read_query
from tui_scraper.engine.search.conditions import Conditions
from tui_scraper.engine.search.fusion import DEPTH, UNLIKE, Groups, fused
from tui_scraper.engine.search.hits import Found, Hits
from tui_scraper.engine.search.holders import Filter, Holder
from tui_scraper.engine.search.matches import Matches
from tui_scraper.engine.search.meant import Replaced, understand
from tui_scraper.engine.search.near import Demands, near_groups
from tui_scraper.engine.search.ranking import Meant, RankedQuery, Ranking
from tui_scraper.engine.search.text_index import (
    DamagedIndexError,
    guarded,
    holds_languages,
    open_for_reading,
)
from tui_scraper.engine.search.vocabulary import Vocabulary
from tui_scraper.engine.store.connection import explained, open_blobs, open_state
from tui_scraper.engine.store.counters import counts_of, read_totals
from tui_scraper.engine.store.head import STATUS_NUMBER, Head, read_head
from tui_scraper.engine.store.vectors import (
    count_without,
    held,
    is_made_here,
    read_vector,
    settings_of_vectors,
    space_at,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tui_scraper.engine.search.vector_files import VectorReader

_DONE = STATUS_NUMBER[Status.DONE]

_TRIED = 2_000
"""Chunk artifacts looked up for a search before one asks whether few documents pass its conditions at all."""


_FEW_CHUNKS = 5_000
"""With what a query quotes, or wants in titles, up to which they are looked up before the nearest are."""

_NOTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found, and how the query was understood.

    `replaced` are the words that nothing has, with those looked for in their place. `old`: by an index that
    an older version has made, so without other forms of words and without languages. `languages`: those that
    passages are in, the most frequent first; None where nobody looked.
    """

    hits: list[SearchHit]
    replaced: tuple[Replaced, ...] = ()
    old: bool = False
    wanted: Wanted = _NOTHING
    languages: tuple[str, ...] | None = None


def search(
    directory: Path,
    query: str,
    *,
    k: int = 10,
    label: str | None = None,
    path: str | None = None,
) -> list[SearchHit]:
    """Find the `k` best chunks for the words of a query in the workspace `directory`.

    A chunk counts by which of the words it has, in its text, heading or title, and so do their other forms
    in the language of the documents, a little less. "Quoted words" must follow each other, just so; `invoi*`
    is any word that begins so; -word leaves out. Fields such as `type:pdf` say what documents must be (see
    `syntax`); without any word the first passages of all such documents are found. Any text is a query.

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

    def embeddings(self) -> object | None:
        """Which model makes the vectors at the head, and how; None where there are none."""
        with explained(self._directory):
            return settings_of_vectors(self._state, read_head(self._state))

    def vectors(self) -> tuple[int, int]:
        """How many vectors there are at the head and, if any, how many documents have not all of theirs."""
        with explained(self._directory):
            head = read_head(self._state)
            space = space_at(self._state, head)
            count = 0 if space is None else held(self._state, space)
            return count, count_without(self._state, head) if count else 0

    def pending(self) -> int:
        """How many documents are not in the index yet."""
        with explained(self._directory):
            return counts_of(read_totals(self._state, read_head(self._state))).pending

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
        """Find the `k` best chunks; see `look`."""
        return self.look(query, k=k, label=label, path=path, vector=vector, words=words).hits

    def look(
        self,
        query: str,
        *,
        k: int = 10,
        label: str | None = None,
        path: str | None = None,
        vector: NDArray[np.int8] | None = None,
        words: bool = True,
    ) -> Looked:
        """Find the `k` best chunks; see `search`.

        `vector` is that of the query, to find by meaning as well; without `words`, by meaning alone. The
        score is that of the words, the cosine, or, where both count, one from 0 to 1 made of both.
        """
        with explained(self._directory):
            self._state.execute("BEGIN")
            try:
                head = read_head(self._state)
                if k < 1 or not _anything_indexed(self._state, head):
                    return Looked([])
                return self._look(head, query, k, label, path, vector, words=words)
            finally:
                self._state.execute("ROLLBACK")

    def _look(
        self,
        head: Head,
        query: str,
        k: int,
        label: str | None,
        path: str | None,
        vector: NDArray[np.int8] | None,
        *,
        words: bool,
    ) -> Looked:
        self._refresh()
        if self._index is None:
            raise DamagedIndexError(
                f"{self._directory}: the search index is missing. The next run builds it again."
            )
        index, analyze = self._index
        wanted = read_query(query, analyze)
        conditions = Conditions(wanted.conditions, label=label, path=path)
        documents = Filter(self._directory, self._state, head, k, conditions)
        narrow = documents.few_artifacts()
        old = not holds_languages(index)
        if not wanted.anything or (narrow is not None and not narrow) or (old and conditions.languages):
            return Looked([], old=old, wanted=wanted)
        searcher = guarded(self._directory, index.searcher)
        guard = functools.partial(guarded, self._directory)
        ranking = Ranking(index.schema, Vocabulary(searcher, languages=not old, guard=guard))
        matches = Matches(searcher, guard)
        whole = Filter(self._directory, self._state, head, 1, Conditions())
        few = functools.cache(documents.few_of_all)

        def anywhere(word: Meant) -> bool:
            """Whether any document of the head has a word. Common ones are not worth a look."""
            if ranking.vocabulary.is_frequent(word.terms):
                return True
            parsed = guarded(self._directory, lambda: ranking.query([word], [], []))
            return bool(_collect(matches.every(parsed.whole, 1), whole, 1)[0])

        meant, excluded, replaced = understand(wanted, ranking.vocabulary, anywhere)
        terms = frozenset(term for one in meant for term in (*one.terms, *one.word.terms))
        hits = Hits(self._state, self._blobs, terms, analyze.analyze)
        depth = k if vector is None else max(k, DEPTH)
        groups: Groups = []
        if words or vector is None:
            parsed = guarded(self._directory, lambda: ranking.query(meant, excluded, conditions.languages))
            groups = self._by_words(matches, parsed, documents, narrow, few, depth)
        reader = self._open_vectors(head, vector) if vector is not None else None
        if vector is not None and reader is not None:
            aim = vector.astype("f4")
            needed = [one for one in meant if one.word.exact or one.word.title]
            near = near_groups(
                functools.partial(reader.nearest, aim),
                self._with_all(needed, matches, ranking, narrow) if needed else narrow,
                few,
                documents,
                Demands(hits, meant, excluded, conditions.languages),
                depth,
                least=self._least(head) if words else -1.0,
                tried=_TRIED,
            )
            if words:
                places = [(found.artifact, found.ordinal) for found, _holders in groups]
                near = fused(groups, near, reader.cosines(aim, places))
            groups = near
        found = [hits.make(one, holder) for one, holder in _choose(groups, k)]
        return Looked(found, replaced, old, wanted, ranking.vocabulary.codes)

    def _by_words(
        self,
        matches: Matches,
        query: RankedQuery,
        documents: Filter,
        narrow: list[int] | None,
        few: Callable[[], list[int] | None],
        k: int,
    ) -> Groups:
        if narrow is not None:
            return _collect(matches.every(query.among(narrow), k), documents, k)[0]
        groups, _complete = _collect(matches.best(query, k), documents, k)
        if len(groups) >= k:
            return groups
        groups, complete = _collect(matches.every(query.whole, k), documents, k, _TRIED)
        if complete:
            return groups
        among = few()
        rest = query.whole if among is None else query.among(among)
        return _collect(matches.every(rest, k), documents, k)[0]

    def _with_all(
        self, needed: list[Meant], matches: Matches, ranking: Ranking, narrow: list[int] | None
    ) -> list[int] | None:
        """The artifacts, of those in `narrow` if any, with all these words; `narrow` where they are many."""
        query = guarded(self._directory, lambda: ranking.query(needed, [], []))
        chunks = list(itertools.islice(matches.every(query.whole, _FEW_CHUNKS), _FEW_CHUNKS + 1))
        if len(chunks) > _FEW_CHUNKS:
            return narrow
        found = {chunk.artifact for chunk in chunks}
        return sorted(found if narrow is None else found.intersection(narrow))

    def _open_vectors(self, head: Head, vector: NDArray[np.int8]) -> VectorReader | None:
        from tui_scraper.engine.search.vector_files import open_vectors

        space = space_at(self._state, head)
        if space is None:
            return None
        reader = open_vectors(self._directory, space, held(self._state, space))
        if reader is not None and reader.dimensions != len(vector):
            raise StoreError(
                f"{self._directory}: the vector of the query has {len(vector)} numbers, and those of the "
                f"documents have {reader.dimensions}."
            )
        return reader

    def _least(self, head: Head) -> float:
        """How near a chunk must be to be found for that alone, beside those that have the words."""
        return UNLIKE if is_made_here(settings_of_vectors(self._state, head)) else -1.0

    def _refresh(self) -> None:
        if self._index is None:
            self._index = open_for_reading(self._directory)
        else:
            try:
                guarded(self._directory, self._index[0].reload)
            except StoreError:  # the directory was built anew since
                self._index = open_for_reading(self._directory)


def _anything_indexed(state: apsw.Connection, head: Head) -> bool:
    lineage = head.lineages.get(PhaseName.INDEX)
    if lineage is None:
        return False
    row = state.execute(
        "SELECT n FROM counter WHERE branch = ? AND lineage = ? AND status = ?", (head.branch, lineage, _DONE)
    ).fetchone()
    return row is not None and row[0] > 0


def _collect(
    matches: Iterable[Found], documents: Filter, k: int, limit: int | None = None
) -> tuple[Groups, bool]:
    """The best chunks that some document of the head has, in order, until there are `k`.

    Goes on through hits with the score of the last, so that what is cut off is decided by path
    and not by the place in the index. Gives up, and says so by False, after `limit` hits.
    """
    groups: Groups = []
    seen: set[tuple[int, int]] = set()
    for found in matches:
        if len(groups) >= k and (found.score < groups[k - 1][0].score or len(groups) >= 10 * k):
            break
        if (found.artifact, found.ordinal) in seen:
            continue
        if limit is not None and len(seen) >= limit and len(groups) < k:
            return groups, False
        seen.add((found.artifact, found.ordinal))
        holders = documents.holders(found.artifact)
        if holders:
            groups.append((found, holders))
    return groups, True


def _choose(groups: Groups, k: int) -> list[tuple[Found, Holder]]:
    """One document for each text, and copies only into places that would stay empty."""

    def order(pair: tuple[Found, Holder]) -> tuple[float, bytes, int]:
        return -pair[0].score, pair[1].path, pair[0].ordinal

    firsts = sorted(((found, holders[0]) for found, holders in groups), key=order)[:k]
    copies = [(found, holder) for found, holders in groups for holder in holders[1:]]
    return sorted(firsts + sorted(copies, key=order)[: k - len(firsts)], key=order)
