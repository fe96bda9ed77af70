"""Exact o200k tokens of a little text, without tables: ready in a tenth of the time, twenty times slower.

The tables with which `quicktok` counts hundreds of megabytes take longer to build than everything else in a
run over a folder in which one file has changed. A few pages need none of them. This module cuts text as the
vocabulary's regular expression does and merges bytes by rank, as the definition of byte pair encoding says
(https://github.com/openai/tiktoken, `o200k_base`), over the vocabulary that comes with `quicktok`. A test
holds it against `quicktok`, for every character and for text of all kinds.

It knows its limits: where it cannot be sure to say the same, or has done as much as the tables cost, it says
nothing.
"""

from __future__ import annotations

import os
import re
import unicodedata

import quicktok
from blake3 import blake3

_FILE = os.path.join(os.path.dirname(quicktok.__file__), "data", "o200k.vocab")
_TOKENS = 199_998
_HASH = "6ed5df7d598898850955448a593c7caac9d31f9d305b5d3de53c655b0088cdec"
"""BLAKE3 of the file in quicktok 0.4. Of another one it is not known what it says, so it is not read."""

_ALLOWANCE = 1_000_000
"""Characters, about a second: more are worth the tables. Merging costs by the square of what is merged."""
_LONGEST_MERGED_BYTES = 400
_MERGED_BYTES_SQUARED_PER_CHARACTER = 8

# Each character is replaced by one that stands for its class; ASCII mostly stands for itself.
_UPPER, _LOWER, _OTHER_LETTER, _MARK, _NUMBER, _SPACE, _SIGN = "\x01\x02\x03\x04\x05\x06\x07"
_CLASSES = {
    **dict.fromkeys(("Lu", "Lt"), _UPPER),
    "Ll": _LOWER,
    **dict.fromkeys(("Lm", "Lo"), _OTHER_LETTER),
    **dict.fromkeys(("Mn", "Mc", "Me"), _MARK),
    **dict.fromkeys(("Nd", "Nl", "No"), _NUMBER),
}
_SPACES = frozenset("\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000").union(map(chr, range(0x2000, 0x200B)))
_UNSURE = frozenset("\u017f")  # equals an "s" where case does not count, so "'ſ" may be one more ending
_CONTROLS = dict.fromkeys([*range(9), *range(14, 32), 127], _SIGN)

_LETTERS = "A-Za-z\x01\x02\x03"
_BEFORE_WORD = rf"[^\r\n{_LETTERS}0-9\x05]?"
_ENDING = r"(?:'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))?"
_HEAD, _TAIL = "[A-Z\x01\x03\x04]", "[a-z\x02\x03\x04]"
_PIECE = re.compile(
    rf"{_BEFORE_WORD}{_HEAD}*{_TAIL}+{_ENDING}"
    rf"|{_BEFORE_WORD}{_HEAD}+{_TAIL}*{_ENDING}"
    r"|[0-9\x05]{1,3}"
    rf"| ?[^\s\x06{_LETTERS}0-9\x05]+[\r\n/]*"
    r"|[\s\x06]*[\r\n]+"
    r"|[\s\x06]+(?![^\s\x06])"
    r"|[\s\x06]+",
    re.ASCII,
)


class SlowVocabulary:
    """The tokens of o200k. Raises OSError or ValueError where the vocabulary cannot be read."""

    def __init__(self) -> None:
        with open(_FILE, "rb") as file:
            self._ranks = _parse(file.read())
        self._known: dict[str, list[int]] = {}
        self._left = _ALLOWANCE

    @property
    def is_spent(self) -> bool:
        """Whether it has done as much as it is good for."""
        return self._left <= 0

    def lengths(self, text: str) -> list[int] | None:
        """How many bytes each token of `text` has, in order, special tokens read as plain text.

        None where it takes the tables to tell.
        """
        self._left -= len(text)
        shape = _shape(text)
        if self.is_spent or shape is None:
            return None
        lengths: list[int] = []
        for found in _PIECE.finditer(shape):
            piece = text[found.start() : found.end()]
            known = self._known.get(piece)
            if known is None:
                merged = self._merge(piece.encode())
                if merged is None:
                    return None
                known = self._known[piece] = merged
            lengths += known
        return lengths

    def _merge(self, piece: bytes) -> list[int] | None:
        """Join the pair of parts with the lowest rank, the first of them, until no pair is a token."""
        ranks = self._ranks
        if piece in ranks:
            return [len(piece)]
        if len(piece) > _LONGEST_MERGED_BYTES:
            return None
        self._left -= len(piece) ** 2 // _MERGED_BYTES_SQUARED_PER_CHARACTER
        if self.is_spent:
            return None
        parts = [piece[at : at + 1] for at in range(len(piece))]
        while True:
            lowest, best = _TOKENS, 0
            for at in range(len(parts) - 1):
                rank = ranks.get(parts[at] + parts[at + 1], _TOKENS)
                if rank < lowest:
                    lowest, best = rank, at
            if lowest == _TOKENS:
                return [len(part) for part in parts]
            parts[best : best + 2] = [parts[best] + parts[best + 1]]


def _shape(text: str) -> str | None:
    """The text with each character replaced by one for its class; None with one that is not known here."""
    if text.isascii():
        return text.translate(_CONTROLS)
    classes = dict(_CONTROLS)
    for character in set(text):
        if character.isascii():
            continue
        category = unicodedata.category(character)
        if category in {"Cn", "Cs"} or character in _UNSURE:  # newer than this Python's tables, or no text
            return None
        classes[ord(character)] = _SPACE if character in _SPACES else _CLASSES.get(category, _SIGN)
    return text.translate(classes)


def _parse(data: bytes) -> dict[bytes, int]:
    """The vocabulary: a count, then for each token its length (two bytes), its bytes, its rank (four)."""
    if blake3(data).hexdigest() != _HASH:
        raise ValueError("another vocabulary, or another format")
    ranks: dict[bytes, int] = {}
    at = 4
    for rank in range(_TOKENS):
        start = at + 2
        at = start + data[at]  # no token is longer than 128 bytes
        ranks[data[start:at]] = rank
        at += 4
    return ranks
