"""Which titles a text holds, in time that grows with the text and not with the number of titles.

Titles and texts are compared word by word, without regard to case, punctuation and markup. The first words of
each title are an entry of an index of hashes; a text is turned into numbers once, all its runs of as many
words are looked up together, and only where one is found are the titles that begin so compared, exactly.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.graph.names import MOST_SHARING

LEAST_WORDS = 4
LEAST_LETTERS = 16
"""Shorter titles are names of things rather than of documents. An ideograph counts as two letters."""
MOST_WORDS = 32

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_ASCII = bytes(range(128))
_SPACED = bytes(code if code > 127 or chr(code).isalnum() else 32 for code in range(256))
_SPARSE, _MOST_BITS = 64, 26
"""Of the table that says whether a title may begin with a hash, at most one place in so many is taken."""
_FEW = 24
"""With no more characters beyond ASCII than that, replacing them is much faster than an expression."""
_WORDS = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")
_WIDE = re.compile(f"[{_IDEOGRAPHS}]")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def words_of(text: str) -> list[str]:
    """The words of a text; each ideograph is one."""
    data = text.encode("utf-8", "replace").lower()  # of ASCII alone
    if len(data) != len(text):
        beyond = set(data.translate(None, _ASCII).decode())
        if len(beyond) > _FEW:
            return _WORDS.findall(text.casefold())
        for character in beyond:
            data = data.replace(*_folded(character))
    return data.translate(_SPACED).decode().split()


@lru_cache(4096)
def _folded(character: str) -> tuple[bytes, bytes]:
    """A character beyond ASCII, and what takes its place."""
    folded = (
        f" {one} " if _WIDE.match(one) else one if one.isalnum() else " " for one in character.casefold()
    )
    return character.encode(), "".join(folded).encode()


def is_telling(words: Sequence[str]) -> bool:
    """Whether a title is long enough to be looked for."""
    if not LEAST_WORDS <= len(words) <= MOST_WORDS:
        return False
    letters = "".join(words)
    return len(letters) + len(_WIDE.findall(letters)) >= LEAST_LETTERS


class Titles:
    """The titles of all documents. Add every one, `close` it, then look through texts.

    Titles are held one after another as numbers of words, some 50 bytes each.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._words = array("i")
        self._ends = array("q", [0])
        self._documents = array("i")
        self._hashes = np.zeros(0, np.int64)  # of whole titles, sorted, and which title each is
        self._order = np.zeros(0, np.intp)
        self._beginnings = np.zeros(
            0, np.uint64
        )  # hashes of first words, sorted, and how long the titles are
        self._lengths = np.zeros(0, np.uint32)
        self._may_begin = np.zeros(1, np.bool_)
        self._shift = np.uint64(63)

    def add(self, document: int, title: str) -> None:
        """A document has this title."""
        words = words_of(title)
        if is_telling(words):
            numbers = self._numbers
            self._words.extend([numbers.setdefault(word, len(numbers) + 1) for word in words])
            self._ends.append(len(self._words))
            self._documents.append(document)

    def close(self) -> None:
        """All titles have been added."""
        count = len(self._documents)
        if not count:
            return
        hashes = np.fromiter((hash(self._title(at)) for at in range(count)), np.int64, count)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        ends = np.frombuffer(self._ends, np.int64)
        firsts = np.frombuffer(self._words, np.int32)[ends[:-1, None] + np.arange(LEAST_WORDS)]
        self._beginnings, which = np.unique(_hashes(firsts.T)[0], return_inverse=True)
        self._lengths = np.zeros(len(self._beginnings), np.uint32)
        np.bitwise_or.at(self._lengths, which, np.uint32(1) << (np.diff(ends) - 1).astype(np.uint32))
        bits = min(_MOST_BITS, (len(self._beginnings) * _SPARSE).bit_length())
        self._shift = np.uint64(64 - bits)
        self._may_begin = np.zeros(1 << bits, np.bool_)
        self._may_begin[self._beginnings >> self._shift] = True

    def _title(self, at: int) -> bytes:
        return self._words[self._ends[at] : self._ends[at + 1]].tobytes()

    def key(self, title: str | None) -> bytes:
        """What `find` calls a title that was added; others have keys that it does not give."""
        words = words_of(title) if title else []
        return array("i", [self._numbers.get(word, 0) for word in words]).tobytes()

    def owners(self, key: bytes) -> Sequence[int] | None:
        """The documents with a title that `find` has found; None where too many have it."""
        found: list[int] = []
        hashed = hash(key)
        for at in range(int(np.searchsorted(self._hashes, hashed)), len(self._hashes)):
            if self._hashes[at] != hashed:
                break
            title = int(self._order[at])
            if self._title(title) == key:
                found.append(self._documents[title])
                if len(found) > MOST_SHARING:
                    return None
        return found

    def find(self, text: str) -> Counter[bytes]:
        """The titles that a text holds, and how often."""
        found: Counter[bytes] = Counter()
        if not len(self._beginnings):
            return found
        words = words_of(text)
        if len(words) < LEAST_WORDS:
            return found
        numbers = np.fromiter(map(self._numbers.get, words, repeat(0)), np.int32, len(words))
        hashes = _hashes(numbers)
        at = np.flatnonzero(self._may_begin[hashes >> self._shift])
        if not len(at):
            return found
        nearest = np.minimum(np.searchsorted(self._beginnings, hashes[at]), len(self._beginnings) - 1)
        hits = self._beginnings[nearest] == hashes[at]
        for start, lengths in zip(at[hits].tolist(), self._lengths[nearest[hits]].tolist(), strict=True):
            for length in range(LEAST_WORDS, lengths.bit_length() + 1):
                if lengths >> (length - 1) & 1 and start + length <= len(words):
                    key = numbers[start : start + length].tobytes()
                    if key in found or self.owners(key) != []:
                        found[key] += 1
        return found


def _hashes(numbers: NDArray[np.int32]) -> NDArray[np.uint64]:
    """A hash of every run of `LEAST_WORDS` numbers along the first axis."""
    wide = numbers.astype(np.uint64)
    end = len(numbers) - LEAST_WORDS + 1
    total = wide[:end]
    for at in range(1, LEAST_WORDS):
        total = total * _FACTOR + wide[at : at + end]
    return total * _FACTOR  # so that the first bits depend on the last word, too
