"""Text whose letters PDFium could not make out, because the document does not say what its glyphs mean.

PDFium then gives the glyphs' numbers as if they were letters: control characters and nonsense, which must
not pass for text. It says of each character whether it had to guess; where it guessed nearly all and the
result looks like numbers, the page counts as undeciphered.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_JUNK = frozenset(("Cc", "Cn", "Co", "Cs"))
_MOST_JUNK: Final = 0.02
_CLEARLY_BETTER: Final = 0.2
_GLYPH_NAME = re.compile(r"/[A-Za-z]{0,3}[0-9A-Fa-f]{1,6}")
_PRIVATE_USE: Final = bytes(range(0xE0, 0xF9))
"""The upper halves of characters for private use."""
_SAMPLE_CHARS: Final = 20_000


def decode(utf_16: bytes) -> str:
    """The text of a page as PDFium writes it, mended where a document has the bytes the wrong way round."""
    lower = utf_16[0::2]
    swapped = 2 * lower.count(0) > len(lower) > 0
    return utf_16.decode("utf-16-be" if swapped else "utf-16-le", "ignore")


def is_undeciphered(text: str, utf_16: bytes, guessed: bool) -> bool:
    """Whether the text of a page is no text. `guessed`: PDFium guessed nearly all of its characters."""
    if guessed:
        return _junk(text) > _MOST_JUNK
    if text.isascii():
        return False
    upper = utf_16[1::2]
    return 2 * len(upper.translate(None, _PRIVATE_USE)) < len(upper)


def better(guessed: str, other: str) -> str:
    """Another reader's text of a page if it is clearly more of a text than the guessed one, else ''."""
    if not other.strip() or _junk(other) > _MOST_JUNK:
        return ""
    if sum(map(len, _GLYPH_NAME.findall(other))) * 3 > len(other):
        return ""
    return other if _plainness(other) > _plainness(guessed) + _CLEARLY_BETTER else ""


def _junk(text: str) -> float:
    """The share of characters that no text has: controls, private use, unassigned, replacement marks."""
    sample = "".join(text[:_SAMPLE_CHARS].split())
    if not sample:
        return 0.0
    counts = {char: sample.count(char) for char in set(sample)}
    junk = sum(
        count
        for char, count in counts.items()
        if char == "\ufffd" or (unicodedata.category(char) in _JUNK and char not in "\x02\ufffe\uf0b7\uf0a7")
    )
    return junk / len(sample)


def _plainness(text: str) -> float:
    """How much of a text is of the plainest kind, less what is no text at all."""
    sample = "".join(text[:_SAMPLE_CHARS].split())
    if not sample:
        return 0.0
    return sum(char.isascii() and char.isalnum() for char in sample) / len(sample) - 2 * _junk(sample)
