"""Signatures of texts that tell how much two of them have in common: MinHash over runs of five words.

128 permutations; the share of equal numbers in two signatures estimates the share of runs that both texts
have of those that either has (Broder 1997), with a standard error of at most 4.4%. Of each number its last 16
bits are kept: two that differ agree there once in 65,536 times.

Texts are taken apart many at once and by numpy, since finding the words is most of the work: a regular
expression and joined strings take three times as long. A word is a run of letters, digits and underscores,
without case; where words are not set apart by spaces (Chinese, Japanese, Thai, others) each character is one.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from tui_scraper.engine.wire import SIGNATURE_BYTES

PERMUTATIONS = SIGNATURE_BYTES // 2
SIGNATURE_VERSION = 3
"""Signatures of another version cannot be compared with these. Those that are kept outlive the program that
made them: whatever makes other numbers of a text has another number here."""
_WORDS_IN_RUN = 5
_FEWEST_WORDS = 20
"""Of less than that every other form letter would be a copy."""
_SEED = 1
_BATCH_CHARS = 100_000
"""Taken apart at once: what numpy makes of it should stay near the processor."""
_PIECE_CHARS = 1_000_000
"""A longer text is taken apart in pieces, so that memory does not grow with it."""
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FFF), (0x3005, 0x30FF),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)  # fmt: skip
"""Blocks of Unicode whose scripts are written without spaces between words."""
_BETWEEN, _IN_A_WORD, _A_WORD = 0, 1, 2
_MOST_TEXTS = 0x2E80
"""Most texts have only characters below this, alphabets and signs: a table of these takes a hundredth of the
time that one of all 1.1 million takes."""

Signatures = NDArray[np.uint16]
"""A row of 128 numbers for each text."""


def signature(text: str) -> bytes:
    """The signature of a text, 128 unsigned 16-bit numbers; b'' of one too short to have any."""
    found, words = _signed([text])
    return found[0].astype("<u2").tobytes() if words[0] >= _FEWEST_WORDS else b""


def signatures(texts: Sequence[str]) -> Signatures:
    """The signatures of texts. One too short for that gets numbers that only the same words get as well.

    One without any word gets zeros: it says nothing, so it is like no other (`wordless`).
    """
    found, words = _signed(texts)
    for at in np.flatnonzero(words < _FEWEST_WORDS).tolist():
        same = " ".join(texts[at].casefold().split()).encode("utf-8", "surrogatepass")
        found[at] = np.frombuffer(blake3(same).digest(length=SIGNATURE_BYTES), "<u2") if words[at] else 0
    return found


def wordless(matrix: Signatures) -> NDArray[np.bool_]:
    """Which signatures are those of texts without any word."""
    has_some = np.asarray(matrix.any(axis=1), np.bool_)
    return ~has_some


def _signed(texts: Sequence[str]) -> tuple[Signatures, NDArray[np.int64]]:
    """Signatures, and how many words the texts have."""
    found = np.full((len(texts), PERMUTATIONS), np.iinfo(np.uint32).max, np.uint32)
    words = np.zeros(len(texts), np.int64)
    for owners, pieces in _batches(texts):
        hashes, counts = _words(pieces)
        runs, starts = _runs(hashes, counts)
        digests = _minima(runs, starts)
        for at, owner in enumerate(owners):  # a text in pieces has the least numbers of all of them
            np.minimum(found[owner], digests[at], out=found[owner])
            words[owner] += counts[at]
    return found.astype(np.uint16), words


def _batches(texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Pieces of texts without case, some at a time, and whose they are."""
    owners: list[int] = []
    pieces: list[str] = []
    chars = 0
    for owner, text in enumerate(texts):
        start = 0
        while True:
            end = start + _PIECE_CHARS
            if end < len(text):
                end = max(text.rfind(" ", start, end), text.rfind("\n", start, end), start) + 1
                end = end if end > start + 1 else start + _PIECE_CHARS
            owners.append(owner)
            pieces.append(text[start:end].casefold())
            chars += len(pieces[-1])
            if chars >= _BATCH_CHARS:
                yield owners, pieces
                owners, pieces, chars = [], [], 0
            start = end
            if start >= len(text):
                break
    if owners:
        yield owners, pieces


@functools.cache
def _classes(characters: int) -> NDArray[np.uint8]:
    """What each of the first characters is. A worker that took much memory for it would be replaced."""
    every = np.arange(characters, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    found = np.zeros(len(every), np.uint8)
    for match in re.finditer(r"\w+", every):
        found[match.start() : match.end()] = _IN_A_WORD
    for first, last in _UNSPACED:
        block = found[first : last + 1]
        block[block == _IN_A_WORD] = _A_WORD
    return found


_BY_WORD = np.frombuffer(blake3(b"words of a run").digest(length=8 * _WORDS_IN_RUN), "<u8") | np.uint64(1)
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_powers: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None


def _powers_to(length: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Powers of `_BASE` and of its inverse, modulo 2**64."""
    global _powers  # noqa: PLW0603
    found = _powers
    if found is None or len(found[0]) < length:
        room = max(length, 2 * _BATCH_CHARS)
        found = _powers = (_powers_of(_BASE, room), _powers_of(_INVERSE, room))
    return found


def _powers_of(base: int, count: int) -> NDArray[np.uint64]:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    powers: NDArray[np.uint64] = np.multiply.accumulate(factors)
    return powers


def _words(pieces: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the words of some texts, one text after another, and how many each has.

    A hash is the polynomial of a word's characters: each is multiplied by a power for where it stands. They
    are added up from the start of a word to that of the next, and the power of the start is divided out.
    """
    chars = np.frombuffer("\n".join(pieces).encode("utf-32-le", "surrogatepass"), "<u4")
    classes = _classes(_MOST_TEXTS if chars.max(initial=0) < _MOST_TEXTS else sys.maxunicode + 1)[chars]
    begins = classes != _BETWEEN
    chars = chars * begins
    begins[1:] &= (classes[1:] != _IN_A_WORD) | (classes[:-1] != _IN_A_WORD)
    starts = np.flatnonzero(begins)
    ends = np.cumsum([len(piece) + 1 for piece in pieces])
    counts = np.diff(np.searchsorted(starts, ends), prepend=0)
    if not len(starts):
        return np.zeros(0, np.uint64), counts
    powers, inverses = _powers_to(len(chars))
    return _mixed(np.add.reduceat(chars * powers[: len(chars)], starts) * inverses[starts]), counts


def _runs(
    hashes: NDArray[np.uint64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the runs of words in each text, and where those of each text begin, and the end."""
    fewer = _WORDS_IN_RUN - 1
    runs = np.maximum(counts - fewer, 0)
    starts = np.concatenate(([0], np.cumsum(runs)))
    if not starts[-1]:
        return np.zeros(0, np.uint64), starts
    firsts = np.cumsum(counts) - counts
    at = np.arange(starts[-1]) + np.repeat(firsts - starts[:-1], runs)
    mixed = hashes[at] * _BY_WORD[0]
    for word in range(1, _WORDS_IN_RUN):
        mixed += hashes[at + word] * _BY_WORD[word]
    return _mixed(mixed), starts


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread over all bits (the finalizer of SplitMix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _minima(runs: NDArray[np.uint64], starts: NDArray[np.int64]) -> NDArray[np.uint32]:
    from rensa import RMinHash

    made = RMinHash.digest_matrix_from_flat_token_hashes(runs, starts.astype(np.uint64), PERMUTATIONS, _SEED)
    return np.array(made.to_rows(), np.uint32).reshape(len(starts) - 1, PERMUTATIONS)
