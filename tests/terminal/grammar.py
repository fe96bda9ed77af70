"""What a program may send to a terminal: its own control sequences, and text that no terminal acts on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

OWN = re.compile(
    r"\x1b\]22;[a-z-]*\x07"  # the shape of the mouse pointer
    r"|\x1b\[(?:"
    r"[0-9;:]*m"  # colours
    r"|[0-9]*;?[0-9]*H"  # where to write
    r"|[0-9]*[ABCDGJKX]"  # moving, clearing
    r"|\?(?:7|25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl]"  # modes, set and given back
    r"|\?(?:2026|2048)\$p|>[0-9]+u|<u|>[0-9;]*c"  # asking the terminal what it can do; the keyboard
    r")"
)
"""The control sequences of Textual. No DCS, one OSC: nothing that writes to a clipboard or sets a title."""

_UNSEEN = frozenset("\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\ufeff\u2060")


def offences(sent: bytes, *, controls: bool) -> Iterator[str]:
    """What should not have been sent, each with what stands around it.

    `controls`: a terminal was drawn on, so the sequences of `OWN` are allowed; a pipe gets none.
    """
    text = sent.decode("utf-8", "surrogateescape")
    if controls:
        text = OWN.sub("", text)
    for at, char in enumerate(text):
        kind = unicodedata.category(char)
        if char == "\n" or (controls and char == "\r"):
            continue
        if kind in {"Cc", "Cs", "Co"} or char in _UNSEEN or "\u202a" <= char <= "\u202e" or _isolates(char):
            yield f"U+{ord(char):04X} in {text[max(0, at - 40) : at + 40]!r}"


def _isolates(char: str) -> bool:
    return "\u2066" <= char <= "\u2069" or "\U000e0000" <= char <= "\U000e007f"
