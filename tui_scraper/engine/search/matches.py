"""Chunks that the index has for a query of words, best first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tui_scraper.engine.search.hits import Found
from tui_scraper.engine.search.ranking import RankedQuery
from tui_scraper.engine.search.vocabulary import Guard

_LARGEST_PAGE = 8_192
CANDIDATES = 100
"""Chunks looked for by the rough rule, at least: with 50 already `benchmarks.retrieval` lost nothing."""


class Matches:
    """Those of one state of the index."""

    def __init__(self, searcher: Any, guard: Guard) -> None:
        self._searcher = searcher
        self._guard = guard

    def best(self, query: RankedQuery, k: int) -> list[Found]:
        """The best of those that are best by the rough rule; [] where there are few of these.

        Where `k` of them do not pass a filter, `every` finds the others.
        """
        size = max(CANDIDATES, 2 * k)
        if query.rough is None or size > _LARGEST_PAGE:
            return []
        found = self._page(query.rough, size)
        if len(found) < size:
            return []
        artifacts = {one.artifact for one in found}
        return [one for one in self._page(query.one_by_one(list(artifacts)), size) if one.score]

    def every(self, query: Any, k: int) -> Iterator[Found]:
        """All of them; in pages that grow, because each is sorted from the start."""
        size, offset = min(4 * k, _LARGEST_PAGE), 0
        while True:
            found = self._page(query, size, offset)
            yield from found
            if len(found) < size:
                return
            offset += size
            size = min(4 * size, _LARGEST_PAGE)

    def _page(self, query: Any, size: int, offset: int = 0) -> list[Found]:
        def page() -> list[Found]:
            hits = self._searcher.search(query, size, count=False, offset=offset).hits
            places = [address for _score, address in hits]
            return [
                Found(round(float(score), 6), int(artifact), int(ordinal))
                for (score, _address), artifact, ordinal in zip(
                    hits,
                    self._searcher.fast_field_values("artifact", places),
                    self._searcher.fast_field_values("ordinal", places),
                    strict=True,
                )
            ]

        found: list[Found] = self._guard(page)
        return found
