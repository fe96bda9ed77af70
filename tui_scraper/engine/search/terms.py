"""Words: how text is cut into index terms, by the same rules for documents and for what is typed.

A word is a run of letters and digits,
lower-cased, without accents (someone on a server's console cannot always type them). Scripts that
put no spaces between words (Chinese, Japanese, Thai, …, and Korean, where particles stick to the
noun) are cut into single characters, and a typed run of them is looked up as a phrase: that finds
any substring. The cut is made in Python, by putting spaces around such characters, because a
tokenizer with a regular expression costs three times the CPU on all other text (benchmarked:
29 MB per CPU second against 11).

The index has each word as it stands. Its other forms are found when one searches (`search.vocabulary`), so
stemming costs the indexing thread nothing.
"""

from __future__ import annotations

import re
from typing import Any

import tantivy

TOKENIZER = "words-1"
"""The tokenizer's name in the index schema; a change of the rules above needs a new one."""

MAX_TERM_BYTES = 200
"""Longer runs are encoded data rather than words. The library's default, 40, loses long Cyrillic words."""

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


def is_unspaced(term: str) -> bool:
    """Whether a term is one character of a script without spaces."""
    return _UNSPACED_CHAR.fullmatch(term) is not None
