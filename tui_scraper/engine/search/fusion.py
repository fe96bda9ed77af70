"""Words and meaning in one order.

Each score is divided by the best of its kind, and the two are added up, each with its share: the convex
combination of Bruch, Gai and Ingber (2023), doi 10.1145/3596512. They count the cosine from the least that it
can be, -1; texts are never opposites, so here it counts from 0. Reciprocal rank fusion, which looks at places
only, loses what the scores know: on titles of Debian packages it found less than the words alone
(`benchmarks.retrieval`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tui_scraper.engine.search.hits import Found
from tui_scraper.engine.search.holders import Holder

DEPTH = 50
"""Chunks of each way that are put in one order, at least."""

UNLIKE = 0.2
"""Cosine below which vectors of this machine say nothing: of 2,000 titles of Debian packages 99% are nearer
to their description, and 69% of other descriptions, which are about packages too, are further off."""

_MEANING = 0.4
"""The share of the meaning. From .3 to .45 what is found changes by a hundredth."""

Groups = list[tuple[Found, list[Holder]]]
Place = tuple[int, int]
"""(chunk artifact, ordinal)"""


def fused(by_words: Groups, by_meaning: Groups, cosines: Mapping[Place, float]) -> Groups:
    """All that was found either way, with the score of both: 0 to 1.

    `cosines` are those of what was found by its words; what has none, has no vector.
    """
    words, meaning = _scores(by_words), {**cosines, **_scores(by_meaning)}
    best = max(words.values(), default=0.0) or 1.0
    nearest = max(meaning.values(), default=0.0) or 1.0
    holders = {(found.artifact, found.ordinal): those for found, those in (*by_words, *by_meaning)}

    def score(place: Place) -> float:
        near = max(0.0, meaning.get(place, 0.0)) / nearest
        return (1.0 - _MEANING) * words.get(place, 0.0) / best + _MEANING * near

    return [(Found(round(score(place), 6), *place), those) for place, those in holders.items()]


def _scores(groups: Sequence[tuple[Found, list[Holder]]]) -> dict[Place, float]:
    return {(found.artifact, found.ordinal): found.score for found, _those in groups}
