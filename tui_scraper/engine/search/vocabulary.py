"""Other words for a typed word, of those that the index has: its forms, beginnings and misspellings.

A stemmer says which terms are forms of one word. It is asked when one searches, about the terms that begin
like the word, rather than of every word of every document: this finds what a stemmed field would, costs the
indexing nothing, and leaves each form known by itself, so that the one that was typed counts most. The
stemmers are those of the languages that the indexed documents are in. Terms are without accents, and so is
what is compared.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import tantivy

TEXT_FIELDS = ("text", "title", "heading")
"""Where words are."""

_STEMMERS = {
    "ar": "arabic", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "fi": "finnish", "fr": "french", "hu": "hungarian", "it": "italian", "nb": "norwegian", "nl": "dutch",
    "nn": "norwegian", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
_WITHOUT_STOP_WORDS = {"arabic", "greek", "romanian", "tamil", "turkish"}
_ENGLISH = (
    " about after all am any been before being between both can could did do does doing each few from had "
    "has have having he her here him his how i me more most my no nor now off on once only other our out "
    "over own same she should so some than them those through too under until up very we were what when "
    "where which while who whom why would you your "
)
"""Those that the library's list, which is short for this language, lacks of Snowball's."""
_LANGUAGES = 6
"""The most frequent ones whose forms are looked for: each costs a walk through some terms."""
_LEAST_SHARE = 0.01
"""Of all chunks, below which a language is more likely a mistake of the detector than worth a search."""

_SHORTEST = 3
"""Letters that all forms of a word have in common."""
_LONGER = 12
"""Letters that a form may have more than the word."""
_SURELY = 20
"""Chunks with a term above which nobody looks whether a document of the head has one."""
_BEGINNINGS = 50
"""The most frequent words that begin as was typed."""
_SIMILAR = 5
_WHOLE, _ENDING = 5, 3
"""Letters from which a misspelt word may lack its ending, and how long that may be."""
_LONG = 8
"""Letters from which two of them may be wrong."""
_LONGEST = 30
"""Letters up to which a word is corrected: a longer one is seldom typed, and thousands are like it."""
_WALKED = 20_000
"""The most frequent terms with one beginning, and all terms for one misspelt word, that are looked at."""
_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґў",
    "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώ",
)


Guard = Callable[[Callable[[], Any]], Any]
"""Makes a read of the index, and a sentence of what the library throws."""


def _unguarded(work: Callable[[], Any]) -> Any:
    return work()


class Vocabulary:
    """The terms of one searcher."""

    def __init__(self, searcher: Any, *, languages: bool = True, guard: Guard = _unguarded) -> None:
        self._searcher = searcher
        self._guard = guard
        self._walked: dict[tuple[str, int], list[tuple[str, int]]] = {}
        self.chunks: int = searcher.num_docs
        held = guard(lambda: searcher.terms_with_prefix("language", "")) if languages else []
        self.codes = tuple(code for code, _count in held)
        """The languages that chunks are in, as the index names them."""
        names = [
            _STEMMERS[code]
            for code, count in held
            if code in _STEMMERS and count >= _LEAST_SHARE * self.chunks
        ]
        self.languages: list[str] = list(dict.fromkeys(names))[:_LANGUAGES]

    def count(self, field: str, term: str) -> int:
        """How many chunks have a term in a field."""
        return int(self._guard(lambda: self._searcher.doc_freq(field, term)))

    def is_frequent(self, terms: Iterable[str]) -> bool:
        """Whether so many chunks have one of some terms that some document surely has it now."""
        return any(self._counted(term) > _SURELY for term in terms)

    def is_empty_word(self, term: str) -> bool:
        """Whether it is one that says nothing by itself (such as "the") in a language of the index."""
        if "english" in self.languages and f" {term} " in _ENGLISH:
            return True
        names = [name for name in self.languages if name not in _WITHOUT_STOP_WORDS]
        return any(not _stop_words(name).analyze(term) for name in names)

    def forms(self, word: str) -> list[str]:
        """The other terms that are forms of a word, in a language of the index. Numbers have none."""
        found: dict[str, None] = {}
        if word.isdigit():
            return []
        for name in self.languages:
            stemmer = _stemmer(name)
            stems = stemmer.analyze(word)
            if len(stems) != 1:
                continue
            start = _in_common(word, stems[0])
            if len(start) > _SHORTEST and start[-1] in "aeiouy":  # "take" and "taking", "city" and "cities"
                start = start[:-1]
            if len(start) < _SHORTEST:
                continue
            terms = [term for term, _count in self._beginning(start) if len(term) <= len(word) + _LONGER]
            found |= dict.fromkeys(
                term for term, stem in zip(terms, _stems(stemmer, terms), strict=True) if stem == stems[0]
            )
        found.pop(word, None)
        return list(found)

    def beginning(self, start: str) -> list[str]:
        """The most frequent terms that begin so."""
        return [term for term, _count in self._beginning(start, _BEGINNINGS)]

    def similar(self, word: str) -> list[str]:
        """The terms that differ by one letter (left out, put in, changed, two exchanged), common ones first.

        Where there is none, those that begin like that and have an ending ("recieve", "received"); then, for
        eight letters or more, those that differ by two and begin with the same two.
        """
        if len(word) > _LONGEST:
            return []
        off = _one_off(word)
        found = {term: count for term in off if (count := self._counted(term))}
        if not found and len(word) >= _WHOLE:
            starts = sorted(off, key=lambda start: (start[0] != word[0], start))
            walked = (pair for start in starts for pair in self._beginning(start))
            found = {
                term: count
                for term, count in itertools.islice(walked, _WALKED)
                if len(term) <= len(word) + _ENDING
            }
        if not found and len(word) >= _LONG:
            found = {
                term: count
                for term, count in self._beginning(word[:2])
                if abs(len(term) - len(word)) <= 2 and _differ_by_two(term, word)
            }
        return sorted(found, key=lambda term: (term[0] != word[0], -found[term], term))[:_SIMILAR]

    def _counted(self, term: str) -> int:
        return max(self.count(field, term) for field in TEXT_FIELDS)

    def _beginning(self, start: str, limit: int | None = None) -> list[tuple[str, int]]:
        limit = limit or _WALKED
        known = self._walked.get((start, limit))
        if known is None:  # the stemmers of several languages leave mostly the same
            counts: dict[str, int] = {}
            for field in TEXT_FIELDS:

                def walk(field: str = field) -> Any:
                    return self._searcher.terms_with_prefix(field, start, limit=limit)

                for term, count in self._guard(walk):
                    counts[term] = max(count, counts.get(term, 0))
            known = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
            self._walked[start, limit] = known
        return known


def _in_common(one: str, other: str) -> str:
    """What both begin with."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(letter for letter, _same in same)


def _stems(stemmer: Any, terms: list[str]) -> list[str]:
    stems: list[str] = stemmer.analyze(" ".join(terms))
    if len(stems) != len(terms):  # a term with a sign in it: each by itself then
        stems = [" ".join(stemmer.analyze(term)) for term in terms]
    return stems


@functools.cache
def _stemmer(name: str) -> Any:
    return _chain(tantivy.Filter.stemmer(name))


@functools.cache
def _stop_words(name: str) -> Any:
    return _chain(tantivy.Filter.stopword(name))


def _chain(kind: Any) -> Any:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(kind).build()


def _one_off(word: str) -> set[str]:
    """Every word that differs by one letter."""
    letters = next((one for one in _ALPHABETS if word[0] in one), "".join(sorted(set(word))))
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    made = {left + right[1:] for left, right in cuts if right}
    made |= {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    made |= {left + letter + right[1:] for left, right in cuts if right for letter in letters}
    made |= {left + letter + right for left, right in cuts for letter in letters}
    return made - {word, ""}


def _differ_by_two(one: str, other: str) -> bool:
    """Whether no more than two letters, or exchanges of neighbours, make one of the other."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row] + [0] * len(other)
        for at, against in enumerate(other, 1):
            line[at] = min(last[at] + 1, line[at - 1] + 1, last[at - 1] + (letter != against))
            if row > 1 and at > 1 and letter == other[at - 2] and one[row - 2] == against:
                line[at] = min(line[at], before[at - 2] + 1)
        if min(line) > 2:
            return False
        before, last = last, line
    return last[-1] <= 2
