"""Keyword rules: which of a taxonomy's keywords a text has, as whole words, case-folded.

Plain keywords are looked up, not searched for: single words in the set of the text's words,
phrases in its words joined by spaces (so punctuation and line breaks inside do not matter). Only a
keyword with other signs in it, such as `#include` or `c++`, needs a regular expression, and that
runs only where the signs occur at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from tui_scraper.engine.labels.embedding import Vector, split_words

_PLAIN = re.compile(r"[\w\s'’-]+")


class KeywordRules:
    """The keywords of all labels, ready to be matched against many texts."""

    def __init__(self, keywords: Sequence[Sequence[str]]) -> None:
        self._labels = len(keywords)
        owners: dict[str, list[int]] = {}
        for label, its in enumerate(keywords):
            for keyword in sorted({keyword.casefold().strip() for keyword in its} - {""}):
                owners.setdefault(keyword, []).append(label)
        self._words: dict[str, list[tuple[int, float]]] = {}
        self._phrases: dict[str, list[tuple[str, list[tuple[int, float]]]]] = {}
        self._signs: list[tuple[str, re.Pattern[str], list[tuple[int, float]]]] = []
        for keyword, labels in owners.items():
            # A keyword that several labels claim says less about each of them.
            weighted = [(label, 1.0 / len(labels)) for label in labels]
            words = split_words(keyword)
            if words and _PLAIN.fullmatch(keyword):
                if len(words) == 1:
                    self._words.setdefault(words[0], []).extend(weighted)
                else:
                    self._phrases.setdefault(words[0], []).append((f" {' '.join(words)} ", weighted))
            else:
                self._signs.append((keyword, _bounded(keyword), weighted))

    def score(self, text: str, words: Sequence[str]) -> Vector:
        """log(1 + weight of the distinct keywords found) for each label."""
        found = [0.0] * self._labels
        distinct = set(words)
        for word in sorted(distinct & self._words.keys()):  # float sums depend on the order
            for label, weight in self._words[word]:
                found[label] += weight
        if first_words := distinct & self._phrases.keys():
            joined = f" {' '.join(words)} "
            for word in sorted(first_words):
                for phrase, weighted in self._phrases[word]:
                    if phrase in joined:
                        for label, weight in weighted:
                            found[label] += weight
        if self._signs:
            folded = text.casefold()
            for keyword, pattern, weighted in self._signs:
                if keyword in folded and pattern.search(folded):
                    for label, weight in weighted:
                        found[label] += weight
        return np.log1p(np.array(found, np.float32))


def _bounded(keyword: str) -> re.Pattern[str]:
    """The keyword, not inside a longer word (an end that is a sign bounds itself)."""
    before = r"(?<!\w)" if re.match(r"\w", keyword) else ""
    after = r"(?!\w)" if re.match(r"\w", keyword[-1]) else ""
    return re.compile(before + re.escape(keyword) + after)
