"""Words: how text is cut into index terms, and what a typed query asks for.

Both sides use the same rules, or nothing would be found. A word is a run of letters and digits,
lower-cased, without accents (someone on a server's console cannot always type them). Scripts that
put no spaces between words (Chinese, Japanese, Thai, …, and Korean, where particles stick to the
noun) are cut into single characters, and a typed run of them is looked up as a phrase: that finds
any substring. The cut is made in Python, by putting spaces around such characters, because a
tokenizer with a regular expression costs three times the CPU on all other text (benchmarked:
29 MB per CPU second against 11).

What people type must never be an error, so the query is read by a few rules of our own instead of
the index library's language: words, "phrases", and -word or -"phrase" to leave out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tantivy

TOKENIZER = "words-1"
"""The tokenizer's name in the index schema; a change of the rules above needs a new one."""

MAX_TERM_BYTES = 200
"""Longer runs are encoded data rather than words. The library's default, 40, loses long Cyrillic words."""

MAX_QUERY_CHARS = 1_000
MAX_QUERY_WORDS = 32

_UNSPACED = (
    "\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f\u1100-\u11ff"  # Myanmar, Hangul letters
    "\u1780-\u17ff"  # Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"  # radicals, kana, Hangul letters
    "\u3400-\u4dbf\u4e00-\u9fff"  # Han
    "\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    "\uf900-\ufaff\uff66-\uffdc"  # Han, half-width kana and Hangul
    "\U00020000-\U0003ffff"  # Han
)
_UNSPACED_CHAR = re.compile(f"[{_UNSPACED}]")
WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
"""What may be one term, with its place in the original text (for snippets)."""

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "「": '"', "」": '"'})
_PART = re.compile(r'(?<!\S)(-(?=[^\s-]))?(?:"([^"]*)(?:"|$)|(\S+))|"([^"]*)(?:"|$)|(\S+)')


def analyzer() -> Any:
    """The tokenizer that index and queries share (a tantivy TextAnalyzer)."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(MAX_TERM_BYTES))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .build()
    )


def spaced(text: str) -> str:
    """The text with spaces around characters that are a term of their own."""
    if text.isascii() or _UNSPACED_CHAR.search(text) is None:
        return text
    return _UNSPACED_CHAR.sub(r" \g<0> ", text)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query asks for: each entry is the terms of one word or phrase, in order."""

    words: tuple[tuple[str, ...], ...]
    excluded: tuple[tuple[str, ...], ...]

    def terms(self) -> frozenset[str]:
        """Every single term that may be highlighted."""
        return frozenset(term for word in self.words for term in word)


def read_query(query: str, analyze: Any) -> Wanted:
    """Understand what was typed. Never raises; signs that mean nothing are passed over."""
    text = query[:MAX_QUERY_CHARS].encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    words: list[tuple[str, ...]] = []
    excluded: list[tuple[str, ...]] = []
    for match in _PART.finditer(text):
        part = next(group for group in match.groups()[1:] if group is not None)
        terms = tuple(analyze.analyze(spaced(part)))[:MAX_QUERY_WORDS]
        into = excluded if match[1] else words
        if terms and terms not in into and len(words) + len(excluded) < MAX_QUERY_WORDS:
            into.append(terms)
    return Wanted(tuple(words), tuple(excluded))


def in_words(query: str) -> str:
    """A query as a person would say it: without what it leaves out, and without its signs."""
    text = query[:MAX_QUERY_CHARS].encode("utf-8", "replace").decode("utf-8")
    parts = _PART.finditer(unicodedata.normalize("NFC", text).translate(_QUOTES))
    wanted = ["".join(filter(None, part.groups()[1:])) for part in parts if not part[1]]
    return " ".join(" ".join(wanted).split())


def holds(text: str, terms: Sequence[str], analyze: Any) -> bool:
    """Whether a text has some terms, one after another."""
    found, size = analyze.analyze(spaced(text)), len(terms)
    return any(found[at : at + size] == list(terms) for at in range(len(found) - size + 1))


_FIELDS: tuple[tuple[str, float], ...] = (("text", 1.0), ("title", 1.5), ("heading", 1.2))
"""Where a word may occur, and how much that place counts."""


def build_query(schema: Any, wanted: Wanted, *, every_word: bool) -> Any:
    """The index query. With `every_word`, each word must occur somewhere in the chunk or its titles."""
    occur = tantivy.Occur.Must if every_word else tantivy.Occur.Should
    clauses = [(occur, _anywhere(schema, terms)) for terms in wanted.words]
    clauses += [(tantivy.Occur.MustNot, _anywhere(schema, terms)) for terms in wanted.excluded]
    return tantivy.Query.boolean_query(clauses)


def only_artifacts(schema: Any, query: Any, artifacts: Sequence[int]) -> Any:
    """The query, kept to chunks of some artifacts; scores stay as they are."""
    among = tantivy.Query.term_set_query(schema, "artifact", list(artifacts))
    must = tantivy.Occur.Must
    return tantivy.Query.boolean_query([(must, query), (must, tantivy.Query.const_score_query(among, 0.0))])


def _anywhere(schema: Any, terms: Sequence[str]) -> Any:
    """One word or phrase in any field; the best field counts, the others add a little."""
    queries = []
    for field, weight in _FIELDS:
        if len(terms) == 1:
            query = tantivy.Query.term_query(schema, field, terms[0])
        else:
            query = tantivy.Query.phrase_query(schema, field, list(terms))
        queries.append(query if weight == 1.0 else tantivy.Query.boost_query(query, weight))
    return tantivy.Query.disjunction_max_query(queries, tie_breaker=0.1)
