"""The index query: what counts, and how much.

A word counts by BM25, and so do its other forms, a little less; each form by how rare they all are
together, or the rarest form would count most. A chunk need not have every word: the more, and the rarer,
the better, with a little more for having all, and for words that follow each other as they were typed. What
nearly every chunk has is not looked for unless there is nothing else: it costs most and says nothing.
Quoted words and those for the title must be there.

The constants were chosen by `benchmarks.retrieval`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import tantivy

from tui_scraper.engine.search.asked import Word
from tui_scraper.engine.search.vocabulary import TEXT_FIELDS, Vocabulary

FORM = 0.8
"""How much another form of a word counts, against the word as it was typed."""

_WEIGHTS = {"text": 1.0, "title": 1.5, "heading": 1.2}
"""Where a word may occur, and how much that place counts."""

_OTHER_PLACES, _OTHER_FORMS = 0.1, 0.5
"""What the places, and the forms, other than the best one add."""

_ALL, _PAIR = 0.1, 0.1
"""What it adds that all words are there, and that two follow each other, of what they count themselves."""

_COMMON, _COMMON_EMPTY = 0.2, 0.02
"""The share of chunks above which a word says nothing; for one on the lists of such words it is less."""
_MANY = 1_000
"""Chunks up to which a word may be in all of them and still be looked for."""

_MUST, _SHOULD, _NOT = tantivy.Occur.Must, tantivy.Occur.Should, tantivy.Occur.MustNot


@dataclass(frozen=True, slots=True)
class Meant:
    """A word with all terms that stand for it, and how much each counts; none for a phrase.

    `any_beginning`: every term that begins so stands for it, however many, and none is listed.
    """

    word: Word
    terms: Mapping[str, float]
    any_beginning: bool = False

    def is_in(self, text: Sequence[str]) -> bool:
        """Whether a text has it, given as its terms: what the index would say."""
        typed = self.word.terms
        if len(typed) > 1:
            return any(tuple(text[at : at + len(typed)]) == typed for at in range(len(text) - len(typed) + 1))
        if self.word.begins and any(term.startswith(typed[0]) for term in text):
            return True
        return any(term in self.terms for term in text)


class Ranking:
    """Builds queries for one state of the index."""

    def __init__(self, schema: Any, vocabulary: Vocabulary) -> None:
        self._schema = schema
        self.vocabulary = vocabulary

    def query(
        self,
        words: Sequence[Meant],
        excluded: Sequence[Meant],
        languages: Sequence[tuple[Sequence[str], bool]],
    ) -> Any:
        """Chunks with some of the words, or all first passages without one.

        `languages` are lists of which a chunk must be in one, or (True) in none.
        """
        needed = [one for one in words if one.word.exact or one.word.title]
        free = self._telling([one for one in words if not (one.word.exact or one.word.title)])
        clauses = [(_MUST, self._anywhere(one)) for one in needed]
        ranked = [self._anywhere(one) for one in free]
        clauses += [(_SHOULD, query) for query in ranked]
        if len(ranked) > 1:
            everything = tantivy.Query.boolean_query([(_MUST, query) for query in ranked])
            clauses.append((_SHOULD, tantivy.Query.boost_query(everything, _ALL)))
            clauses += [(_SHOULD, query) for query in self._pairs(free)]
        if not clauses:
            clauses.append((_MUST, self._first_passages()))
        clauses += [(_NOT, self._anywhere(one)) for one in excluded]
        for codes, without in languages:
            among = tantivy.Query.term_set_query(self._schema, "language", list(codes))
            clauses.append((_NOT, among) if without else (_MUST, tantivy.Query.const_score_query(among, 0.0)))
        return tantivy.Query.boolean_query(clauses)

    def among(self, query: Any, artifacts: Sequence[int]) -> Any:
        """The query, kept to chunks of some artifacts; scores stay as they are."""
        kept = tantivy.Query.term_set_query(self._schema, "artifact", list(artifacts))
        return tantivy.Query.boolean_query(
            [(_MUST, query), (_MUST, tantivy.Query.const_score_query(kept, 0.0))]
        )

    def _telling(self, words: list[Meant]) -> list[Meant]:
        """Those that tell chunks apart; all, where none does."""
        if len(words) < 2:
            return words
        return [one for one in words if self._tells(one)] or words

    def _tells(self, meant: Meant) -> bool:
        """Whether some chunks have a word, and not nearly all: a phrase is taken to be so."""
        count, chunks = self.vocabulary.count, self.vocabulary.chunks
        if len(meant.word.terms) > 1:
            return True
        if not any(count(field, term) for term in meant.terms for field in TEXT_FIELDS):
            return False
        term = meant.word.terms[0]
        share = count("text", term) / max(1, chunks)
        if meant.word.begins or share <= _COMMON_EMPTY:
            return True
        return not ((share > _COMMON and chunks > _MANY) or self.vocabulary.is_empty_word(term))

    def _pairs(self, words: list[Meant]) -> list[Any]:
        """Neighbours as a phrase."""
        return [
            tantivy.Query.boost_query(
                tantivy.Query.phrase_query(self._schema, "text", [one.word.terms[0], other.word.terms[0]]),
                _PAIR,
            )
            for one, other in pairwise(words)
            if all(
                len(meant.word.terms) == 1 and self.vocabulary.count("text", meant.word.terms[0])
                for meant in (one, other)
            )
        ]

    def _anywhere(self, meant: Meant) -> Any:
        """One word or phrase in any place; the best place counts, the others add a little."""
        fields = ("title",) if meant.word.title else TEXT_FIELDS
        queries = []
        for field in fields:
            query = self._within(field, meant)
            if query is not None:
                queries.append(tantivy.Query.boost_query(query, _WEIGHTS[field]))
        if not queries:
            return tantivy.Query.empty_query()
        return tantivy.Query.disjunction_max_query(queries, tie_breaker=_OTHER_PLACES)

    def _within(self, field: str, meant: Meant) -> Any | None:
        if len(meant.word.terms) > 1:
            return tantivy.Query.phrase_query(self._schema, field, list(meant.word.terms))
        if meant.any_beginning:
            return tantivy.Query.regex_query(self._schema, field, re.escape(meant.word.terms[0]) + ".*")
        counts = {term: self.vocabulary.count(field, term) for term in meant.terms}
        counts = {term: count for term, count in counts.items() if count}
        if not counts:
            return None
        rarity = self._rarity(sum(counts.values()))
        queries = [
            tantivy.Query.boost_query(
                tantivy.Query.term_query(self._schema, field, term),
                meant.terms[term] * rarity / self._rarity(count),
            )
            for term, count in counts.items()
        ]
        return tantivy.Query.disjunction_max_query(queries, tie_breaker=_OTHER_FORMS)

    def _rarity(self, count: int) -> float:
        """What BM25 makes of the number of chunks with a term."""
        chunks = self.vocabulary.chunks
        count = min(count, chunks)
        return math.log(1 + (chunks - count + 0.5) / (count + 0.5))

    def _first_passages(self) -> Any:
        first = tantivy.Query.range_query(self._schema, "ordinal", tantivy.FieldType.Integer, 0, 0)
        return tantivy.Query.const_score_query(first, 0.0)
