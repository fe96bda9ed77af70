"""The index query: what counts, and how much.

A word counts by BM25, and so do its other forms, a little less; each form by how rare they all are
together, or the rarest form would count most. A chunk need not have every word: the more, and the rarer,
the better, with a little more for having all, and for words that follow each other as they were typed. One
that is typed n times counts 1 + log n times. What
nearly every chunk has is not looked for unless there is nothing else: it costs most and says nothing.
Quoted words and those for the title must be there.

Most of that is asked only of the best chunks by a rougher rule, the sum of what the terms count, for which
the index library passes over whole blocks that cannot be among the best (Ding and Suel, 2011, "Faster top-k
document retrieval using block-max indexes").

The constants were chosen by `benchmarks.retrieval`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class RankedQuery:
    """What chunks must have, what counts, and what they must not have, as queries of the index library."""

    schema: Any
    must: Sequence[Any]
    counts: Sequence[Any]
    must_not: Sequence[Any]
    rough: Any | None
    """Finds most of the best, in a fraction of the time; None where that is not to be had."""

    @property
    def whole(self) -> Any:
        """All chunks that are found, with their scores."""
        clauses = [(_MUST, query) for query in self.must] + [(_SHOULD, query) for query in self.counts]
        return tantivy.Query.boolean_query(clauses + [(_NOT, query) for query in self.must_not])

    def among(self, artifacts: Sequence[int]) -> Any:
        """Those that are chunks of some artifacts; scores stay as they are."""
        return tantivy.Query.boolean_query([(_MUST, self.whole), (_MUST, self._of(artifacts))])

    def one_by_one(self, artifacts: Sequence[int]) -> Any:
        """All chunks of some artifacts but those that must not be found, with 0 for one that has nothing.

        What counts is looked up for each of these chunks, one after the other: for few of them this takes
        less than half the time of `among`, where all of it is brought together first.
        """
        clauses = [(_MUST, query) for query in (self._of(artifacts), *self.must)]
        query = tantivy.Query.boolean_query(clauses + [(_NOT, query) for query in self.must_not])
        for one in self.counts:
            query = tantivy.Query.boolean_query([(_MUST, query), (_SHOULD, one)])
        return query

    def _of(self, artifacts: Sequence[int]) -> Any:
        kept = tantivy.Query.term_set_query(self.schema, "artifact", list(artifacts))
        return tantivy.Query.const_score_query(kept, 0.0)


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
    ) -> RankedQuery:
        """Chunks with some of the words, or all first passages without one.

        `languages` are lists of which a chunk must be in one, or (True) in none.
        """
        needed = [one for one in words if one.word.exact or one.word.title]
        free = self._telling([one for one in words if not (one.word.exact or one.word.title)])
        must = [self._anywhere(one) for one in needed]
        must_not = [self._anywhere(one) for one in excluded]
        counts = [self._anywhere(one) for one in free]
        if len(counts) > 1:
            everything = tantivy.Query.boolean_query([(_MUST, query) for query in counts])
            counts = [*counts, tantivy.Query.boost_query(everything, _ALL), *self._pairs(free)]
        for codes, without in languages:
            among = tantivy.Query.term_set_query(self._schema, "language", list(codes))
            if without:
                must_not.append(among)
            else:
                must.append(tantivy.Query.const_score_query(among, 0.0))
        if not needed and not free:
            must.append(self._first_passages())
        rough = None if must or len(free) < 2 else self._roughly(free)
        return RankedQuery(self._schema, must, counts, must_not, rough)

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

    def _roughly(self, words: list[Meant]) -> Any | None:
        """The sum of what each term counts in each place. Only for words that are terms."""
        if any(len(one.word.terms) > 1 or one.any_beginning for one in words):
            return None
        terms = (
            (_SHOULD, tantivy.Query.boost_query(query, _WEIGHTS[field] * weight * _emphasis(one)))
            for one in words
            for field in TEXT_FIELDS
            for query, weight in self._terms(field, one)
        )
        return tantivy.Query.boolean_query(list(terms))

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
        found = tantivy.Query.disjunction_max_query(queries, tie_breaker=_OTHER_PLACES)
        return tantivy.Query.boost_query(found, _emphasis(meant)) if meant.word.times > 1 else found

    def _within(self, field: str, meant: Meant) -> Any | None:
        if len(meant.word.terms) > 1:
            return tantivy.Query.phrase_query(self._schema, field, list(meant.word.terms))
        if meant.any_beginning:
            return tantivy.Query.regex_query(self._schema, field, re.escape(meant.word.terms[0]) + ".*")
        queries = [tantivy.Query.boost_query(query, weight) for query, weight in self._terms(field, meant)]
        return tantivy.Query.disjunction_max_query(queries, tie_breaker=_OTHER_FORMS) if queries else None

    def _terms(self, field: str, meant: Meant) -> Iterator[tuple[Any, float]]:
        """Those that a field has, and how much each counts against BM25."""
        counts = {term: self.vocabulary.count(field, term) for term in meant.terms}
        rarity = self._rarity(sum(counts.values()))
        for term, count in counts.items():
            if count:
                query = tantivy.Query.term_query(self._schema, field, term)
                yield query, meant.terms[term] * rarity / self._rarity(count)

    def _rarity(self, count: int) -> float:
        """What BM25 makes of the number of chunks with a term."""
        chunks = self.vocabulary.chunks
        count = min(count, chunks)
        return math.log(1 + (chunks - count + 0.5) / (count + 0.5))

    def _first_passages(self) -> Any:
        first = tantivy.Query.range_query(self._schema, "ordinal", tantivy.FieldType.Integer, 0, 0)
        return tantivy.Query.const_score_query(first, 0.0)


def _emphasis(meant: Meant) -> float:
    return 1.0 + math.log(meant.word.times)
