"""By meaning: the nearest chunks that some document of the head has and that are as the query says.

The vectors know nothing of words, so what the query quotes and leaves out, and what titles and languages must
be, is read from the stored text, by the same rules as the index has for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tui_scraper.engine.search.fusion import Groups
from tui_scraper.engine.search.hits import Found, Hits
from tui_scraper.engine.search.holders import Filter, Holder
from tui_scraper.engine.search.ranking import Meant

_LOOKED_AT = 200_000
"""Nearest chunks among which those that pass the filters are looked for: a rare label must not have every one
of millions looked up."""

_BELOW = 512
"""Chunks in a row that are not near enough after which no other is looked at. One alone says nothing: from
one page of the nearest to the next their order is not exact."""

Nearest = Callable[[Sequence[int] | None], Iterator[tuple[float, int, int]]]
"""(cosine, chunk artifact, ordinal) of all chunks, or of those of some artifacts, the nearest first."""


class Demands:
    """What the query says of the text of a chunk: what must be in it, what not, its title, its language."""

    def __init__(
        self,
        hits: Hits,
        meant: Sequence[Meant],
        excluded: Sequence[Meant],
        languages: Sequence[tuple[Sequence[str], bool]],
    ) -> None:
        self._hits = hits
        self._titles = [(one, True) for one in meant if one.word.title]
        self._titles += [(one, False) for one in excluded if one.word.title]
        self._quoted = [one for one in meant if one.word.exact and not one.word.title]
        self._excluded = [one for one in excluded if not one.word.title]
        self._languages = languages

    def met(self, found: Found, holder: Holder) -> bool:
        """Whether a chunk is so. What costs least to read is asked first."""
        for codes, without in self._languages:
            if (self._hits.language(holder) in codes) is without:
                return False
        if self._titles:
            title = self._hits.title_terms(holder)
            if any(one.is_in(title) is not wanted for one, wanted in self._titles):
                return False
        if not self._excluded and not self._quoted:
            return True
        places = self._hits.terms_of(found, holder)
        if not all(any(one.is_in(terms) for terms in places) for one in self._quoted):
            return False
        return not any(one.is_in(terms) for one in self._excluded for terms in places)


def near_groups(
    nearest: Nearest,
    narrow: Sequence[int] | None,
    few: Callable[[], Sequence[int] | None],
    documents: Filter,
    demands: Demands,
    k: int,
    *,
    least: float,
    tried: int,
) -> Groups:
    """The `k` nearest chunks, none further than `least`, among the artifacts `narrow` if any.

    After so many `tried` in vain `few` is asked whether few artifacts can pass at all.
    """
    groups: Groups = []
    seen: set[tuple[int, int]] = set()
    below = 0
    for score, artifact, ordinal in nearest(narrow):
        if len(groups) >= k or below >= _BELOW or len(seen) >= _LOOKED_AT:
            break
        if score < least:
            below += 1
            continue
        below = 0
        if (artifact, ordinal) in seen:
            continue
        if narrow is None and len(seen) == tried:
            among = few()
            if among is not None:
                return near_groups(nearest, among, few, documents, demands, k, least=least, tried=tried)
        seen.add((artifact, ordinal))
        found = Found(round(score, 6), artifact, ordinal)
        holders = documents.holders(artifact)
        if holders and demands.met(found, holders[0]):
            groups.append((found, holders))
    return groups
