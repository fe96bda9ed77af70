"""Exact token counts, through one small interface around `quicktok`.

The vocabularies come inside the wheel, so nothing is ever downloaded. A text that is going to be cut is
tokenized once, by a `Ruler`, and every later question ("how far do 512 tokens reach?", "how many
tokens has this slice on its own?") is answered from that one pass. That is exact, and not an estimate,
because neither vocabulary has a token that crosses certain places, called joints here; see `_is_joint`.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import quicktok
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tui_scraper.engine.slow_tokens import SlowVocabulary

Lengths = NDArray[np.uint8]
"""Bytes of each token of a text."""

_ENCODINGS = {"o200k": "o200k_base", "cl100k": "cl100k_base"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDLIKE = re.compile(r"[!-~]|[^\W_]")  # what is white space in no definition
_WINDOW_CHARS = 262_144
_JOINT_SEARCH_CHARS = 96
_SEAM_SEARCH_CHARS = 4_096


class _Vocabulary:
    """An encoding, with the lengths of its tokens in bytes. Its tables are built when they are needed.

    A length is looked up when its token is first met: asking for all 200,000 takes longer than loading
    anything else that a worker needs, but the tables.
    """

    def __init__(self, name: str) -> None:
        self.slow: SlowVocabulary | None = None
        self._name = name
        self._encoding: Any = None
        self._lengths = np.zeros(0, np.uint8)

    @property
    def has_tables(self) -> bool:
        """Whether the tables have been built."""
        return self._encoding is not None

    @property
    def encoding(self) -> Any:
        """The encoding with its tables."""
        if self._encoding is None:
            self._encoding = quicktok.get_encoding(_ENCODINGS[self._name])
            self._lengths = np.zeros(self._encoding.n_vocab, np.uint8)
        return self._encoding

    def count(self, text: str) -> int:
        """The number of tokens of a text. Raises TypeError for what cannot be encoded."""
        lengths = self._slow_lengths(text)
        return len(lengths) if lengths is not None else int(self.encoding.count(text))

    def lengths(self, text: str) -> Lengths:
        """How many bytes each token of a text has, in order."""
        lengths = self._slow_lengths(text)
        return np.array(lengths, np.uint8) if lengths is not None else self.lengths_of_all([text])[0]

    def lengths_of_all(self, texts: Sequence[str]) -> list[Lengths]:
        """As `lengths`, for many texts, with the tables."""
        tokens, starts = self.encoding.encode_batch(list(texts), 1)  # 1: no thread is started
        found: Lengths = self._lengths.take(tokens)
        if not found.all():
            for token in np.unique(tokens[found == 0]):
                self._lengths[token] = len(self.encoding.decode_single_token_bytes(int(token)))
            found = self._lengths.take(tokens)
        return [found[start:end] for start, end in itertools.pairwise(starts.tolist())]

    def _slow_lengths(self, text: str) -> list[int] | None:
        return self.slow.lengths(text) if self.slow is not None and not self.has_tables else None


@cache
def _load(name: str) -> _Vocabulary:
    return _Vocabulary(name)


def preload(*vocabularies: str) -> None:
    """Build the tables of vocabularies (default: o200k) before workers are forked, which then share them."""
    for name in vocabularies or ("o200k",):
        chosen = _load(name)
        chosen.encoding.count("warm")
        chosen.slow = None
        Ruler("warm", name).count(0, 4)


def expect_little(vocabulary: str = "o200k") -> bool:
    """Be ready soon for a little text, and build tables only where that is not enough.

    Returns whether that can be done; without it the tables are built with the first text.
    """
    from tui_scraper.engine.slow_tokens import SlowVocabulary

    chosen = _load(vocabulary)
    if chosen.slow is None and vocabulary == "o200k":
        with contextlib.suppress(OSError, ValueError):
            chosen.slow = SlowVocabulary()
    return chosen.slow is not None


def is_overtaxed(vocabulary: str = "o200k") -> bool:
    """Whether it was more than `expect_little` is for: another process with tables goes on better."""
    slow = _load(vocabulary).slow
    return slow is not None and (slow.is_spent or _load(vocabulary).has_tables)


def count(text: str, vocabulary: str = "o200k") -> int:
    """The exact number of tokens of `text`, special tokens read as plain text.

    A lone surrogate, which cannot be encoded, counts as U+FFFD.
    """
    chosen = _load(vocabulary)
    try:
        return chosen.count(text)
    except TypeError:
        return chosen.count(_encodable(text))


def lengths_of(texts: Sequence[str], vocabulary: str = "o200k") -> list[Lengths | None]:
    """How many bytes each token of each text has, for `Ruler`: half the time of one text after the other.

    None for a text that is too long for that, and for all while only little is expected.
    """
    chosen = _load(vocabulary)
    found: list[Lengths | None] = [None] * len(texts)
    short = [at for at, text in enumerate(texts) if len(text) <= _WINDOW_CHARS]
    if short and chosen.has_tables:
        made = chosen.lengths_of_all([_sound(texts[at]) for at in short])
        for at, lengths in zip(short, made, strict=True):
            found[at] = lengths
    return found


def _sound(text: str) -> str:
    """The text as it can be encoded: with U+FFFD for lone surrogates."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return _encodable(text)
    return text


def _encodable(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _is_joint(text: str, at: int) -> bool:
    """Whether no token crosses offset `at`, whatever stands around it: counts add up there.

    Both vocabularies split text with a regular expression before they merge bytes. In both, a space
    after a visible character always starts a new piece, and no alternative looks past that place
    from the left (only a run of white space looks ahead, and it would have to touch `at`). The
    same holds for a visible character after a line feed, except '/', which o200k lets follow
    punctuation and line feeds within one piece.
    """
    here, before = text[at], text[at - 1]
    if here == " ":
        return _WORDLIKE.match(before) is not None
    return before == "\n" and here != "/" and _WORDLIKE.match(here) is not None


class Ruler:
    """Measures slices of one text in tokens, having tokenized each character of it once.

    The text is read in windows, from left to right, so that memory depends on the window and not on
    the text: questions move forward, and `forget` says what will not be asked about again.

    `characters_tokenized` is the work done so far, for tests that hold it against the text's length.
    """

    def __init__(self, text: str, vocabulary: str = "o200k", lengths: Lengths | None = None) -> None:
        """`lengths` are those of the whole text, where they are known (`lengths_of`)."""
        self._text = _sound(text)
        self._vocabulary = _load(vocabulary)
        self._lengths = lengths
        # Where each known token ends, after the offset at which the first of them starts.
        self._ends: memoryview[int] = np.zeros(1, np.int64).data
        self._read = 0  # everything before this offset has been tokenized
        self._seam = 0  # the last place where windows met within a word: sums across it can be wrong
        self._forgotten = 0
        self.characters_tokenized = 0

    def forget(self, before: int) -> None:
        """Allow what was learnt about the text before this offset to be dropped."""
        self._forgotten = before

    def reach(self, start: int, tokens: int) -> int:
        """The farthest offset that about `tokens` tokens from `start` reach, between characters.

        Exact where `start` and the answer are joints, a few tokens off elsewhere: count the slice
        that is made of it.
        """
        index = self._look_ahead(start, tokens) + tokens
        ends = self._ends
        if index >= len(ends) - 1:
            return self._read
        end = ends[index]
        if ends[index + 1] == end:  # the token ends inside a character: go back to where that starts
            end = ends[bisect_left(ends, end) - 1]
        return max(start, end)

    def reach_back(self, end: int, tokens: int) -> int:
        """The offset about `tokens` tokens before `end`, which lies in what is known, or the first known."""
        ends = self._ends
        return ends[max(0, bisect_right(ends, end) - 1 - tokens)]

    def distance(self, start: int, end: int, at_most: int) -> int:
        """About how many tokens lie between two offsets, looking no further than `at_most` tokens."""
        first = self._look_ahead(start, at_most)
        return min(at_most, bisect_right(self._ends, end) - 1 - first)

    def count(self, start: int, end: int) -> int:
        """Exactly the number of tokens of `text[start:end]` on its own.

        Between the first and the last joint of the slice that is known already; only the words at its
        two ends are tokenized again. A slice without joints is tokenized whole.
        """
        text, ends, vocabulary = self._text, self._ends, self._vocabulary
        head = self._first_joint(start, end)
        tail = self._last_joint(head, end)
        if self._seam <= head < tail <= self._read:
            first, last = bisect_right(ends, head) - 1, bisect_right(ends, tail) - 1
            if first >= 0 and ends[first] == head and ends[last] == tail:
                self.characters_tokenized += end - tail + head - start
                between = last - first
                if start < head:
                    between += vocabulary.count(text[start:head])
                return between + vocabulary.count(text[tail:end]) if tail < end else between
        self.characters_tokenized += end - start
        return vocabulary.count(text[start:end])

    def _first_joint(self, start: int, end: int) -> int:
        text = self._text
        if start == 0 or (text[start - 1] == "\n" and _is_joint(text, start)):
            return start
        stop = min(end, start + _JOINT_SEARCH_CHARS)
        at = text.find(" ", start + 1, stop)
        while at != -1 and not _is_joint(text, at):
            at = text.find(" ", at + 1, stop)
        return end if at == -1 else at

    def _last_joint(self, start: int, end: int) -> int:
        text = self._text
        if end == len(text):
            return end
        stop = max(start + 1, end - _JOINT_SEARCH_CHARS)
        at = text.rfind(" ", stop, end)
        while at != -1 and not _is_joint(text, at):
            at = text.rfind(" ", stop, at)
        return start if at == -1 else at

    def _look_ahead(self, start: int, tokens: int) -> int:
        """Read until `tokens` tokens after `start` are known. Returns how many known ones precede it."""
        first = bisect_right(self._ends, start) - 1
        while self._read < len(self._text) and (self._read <= start or len(self._ends) - 1 - first <= tokens):
            self._read_window()
            first = bisect_right(self._ends, start) - 1
        return max(first, 0)

    def _read_window(self) -> None:
        start, text = self._read, self._text
        end = self._window_end(start) if self._lengths is None else len(text)
        window = text[start:end]
        lengths = self._lengths if self._lengths is not None else self._vocabulary.lengths(window)
        ends = lengths.cumsum(dtype=np.int64)
        if not window.isascii():
            # From bytes to characters: a token that ends inside a character ends where that does.
            data = np.frombuffer(window.encode(), np.uint8)
            characters = ((data & 0xC0) != 0x80).cumsum(dtype=np.int64)
            ends = characters.take(ends - 1)
        ends += start
        known = np.asarray(self._ends)
        keep = max(0, bisect_right(self._ends, self._forgotten) - 1)
        self._ends = np.concatenate((known[keep:], ends)).data
        self._read = end
        self.characters_tokenized += end - start

    def _window_end(self, start: int) -> int:
        text, end = self._text, start + _WINDOW_CHARS
        if end >= len(text):
            return len(text)
        stop = end - _SEAM_SEARCH_CHARS
        for separator, after in ((" ", 0), ("\n", 1)):
            at = text.rfind(separator, stop, end)
            while at != -1 and not _is_joint(text, at + after):
                at = text.rfind(separator, stop, at)
            if at != -1:
                return at + after
        self._seam = end
        return end
