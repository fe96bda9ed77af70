"""What duplicates are, said without any of the means they are found by: every text against every other."""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNSPACED = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]"
_WORD = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})\w)+")


def words(text: str) -> list[str]:
    """The words of a text: runs of letters and digits, or single characters of scripts without spaces."""
    return [word for word in _WORD.findall(text.casefold()) if re.match(r"\w", word)]


def runs(text: str) -> frozenset[tuple[str, ...]]:
    """Runs of five words."""
    found = words(text)
    return frozenset(tuple(found[at : at + 5]) for at in range(len(found) - 4))


def jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """The share that both have of what either has."""
    return len(one & other) / len(one | other) if one or other else 1.0


def stars(similarity: Sequence[Sequence[float]], alike: float) -> list[int]:
    """For each, who stands for it: the most similar of those before that stand for themselves, or itself."""
    leaders: list[int] = []
    for at, row in enumerate(similarity):
        free = [one for one in range(at) if leaders[one] == one]
        best = max(free, key=lambda one: (row[one], -one), default=None)
        leaders.append(best if best is not None and row[best] >= alike else at)
    return leaders
