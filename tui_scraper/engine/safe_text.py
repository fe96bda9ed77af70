"""Text from outside, made harmless for a terminal.

File names, contents and error messages may hold escape sequences (OSC 52 writes to the clipboard),
bidi overrides that reorder a line, and lone surrogates that cannot be encoded. Everything the
engine hands to a front end or a log passes through here once, when the object is built.
"""

from __future__ import annotations

import re

_BAD = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"  # bidi, zero width, separators
    "\ud800-\udfff"  # surrogates
    "\U000e0000-\U000e007f]"  # tags
)
_BAD_BUT_NEWLINE = re.compile(_BAD.pattern.replace("[\x00-\x1f", "[\x00-\x09\x0b-\x1f", 1))


def _show(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in "\t\n\r":
        return " "
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, as os.fsdecode keeps it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


def safe_text(text: str, *, limit: int | None = None, newlines: bool = False) -> str:
    """Replace what a terminal could act on. The result is one line unless `newlines` is set.

    `limit` is the number of characters kept; a cut is marked with '…'.
    """
    cut = text if limit is None or len(text) <= limit else text[: limit - 1] + "…"
    return (_BAD_BUT_NEWLINE if newlines else _BAD).sub(_show, cut)


def show_path(path: bytes) -> str:
    r"""A path for people and exports: UTF-8, with other bytes as `\xNN`."""
    return path.decode("utf-8", "backslashreplace")
