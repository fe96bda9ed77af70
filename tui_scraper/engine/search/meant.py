"""Which terms of the index stand for each typed word: itself and its forms, or what is there in its place.

A word that no document has, as it stands or in another form, stands for the words that begin like it, as it
may not be typed to its end; else for those that differ by a letter or two. What was done is told, and that
nothing has quoted words as they stand, for which nothing is put in their place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tui_scraper.engine.search.asked import Wanted, Word
from tui_scraper.engine.search.ranking import FORM, Meant
from tui_scraper.engine.search.vocabulary import Vocabulary

_SHORTEST_REPLACED = 3
"""Letters of a word for which others are looked for: a shorter one is like too many."""
_DIGIT = re.compile(r"\d")
"""What is in numbers and names of things: one that nobody has must not become another."""
_TOLD = 3


@dataclass(frozen=True, slots=True)
class Replaced:
    """A word that no document has, and those looked for in its place; `begins`: they begin like it.

    None in the place of a quoted one, or of several.
    """

    word: str
    by: tuple[str, ...]
    begins: bool

    def __str__(self) -> str:
        """A sentence."""
        if not self.by:
            return f'Nothing has "{self.word}" just so; try it without the quotes.'
        shown = ", ".join(f'"{word}"' for word in self.by[:_TOLD])
        more = ", …" if len(self.by) > _TOLD else ""
        return f'Nothing has "{self.word}"; searched for {shown}{more}.'


def understand(
    wanted: Wanted, vocabulary: Vocabulary, anywhere: Callable[[Meant], bool]
) -> tuple[list[Meant], list[Meant], tuple[Replaced, ...]]:
    """The words, those left out, and what was replaced. `anywhere` tells whether a document has a word."""
    meant: list[Meant] = []
    replaced: list[Replaced] = []
    for word in wanted.words:
        one = _plainly(word, vocabulary)
        if word.exact and not word.title and not anywhere(one):
            replaced.append(Replaced(" ".join(word.terms), (), begins=False))
        elif one.terms and not word.exact and not word.begins and not anywhere(one):
            other = _instead(word, vocabulary, anywhere)
            if other is not None:
                one, told = other
                replaced.append(told)
        meant.append(one)
    excluded = [_left_out(word) for word in wanted.excluded]
    return meant, excluded, tuple(replaced)


def _left_out(word: Word) -> Meant:
    """As it stands; with a star all words that begin so, since one that is left out must not come back."""
    return Meant(word, dict.fromkeys(word.terms[:1] if len(word.terms) == 1 else (), 1.0), word.begins)


def _plainly(word: Word, vocabulary: Vocabulary) -> Meant:
    if len(word.terms) > 1:
        return Meant(word, {})
    term = word.terms[0]
    if word.begins:
        return Meant(word, dict.fromkeys(vocabulary.beginning(term), 1.0))
    others = [] if word.exact else vocabulary.forms(term)
    return Meant(word, dict.fromkeys(others, FORM) | {term: 1.0})


def _instead(
    word: Word, vocabulary: Vocabulary, anywhere: Callable[[Meant], bool]
) -> tuple[Meant, Replaced] | None:
    """What some document has, in the place of a word that none has."""
    term = word.terms[0]
    if len(term) < _SHORTEST_REPLACED or _DIGIT.search(term):
        return None
    for begins, found in ((True, vocabulary.beginning(term)), (False, vocabulary.similar(term))):
        there = [other for other in found if anywhere(Meant(word, {other: 1.0}))]
        if there:
            terms = dict.fromkeys(there, 1.0)
            if not begins:
                terms = dict.fromkeys(vocabulary.forms(there[0]), FORM) | terms
            return Meant(word, terms), Replaced(term, tuple(there), begins)
    return None
