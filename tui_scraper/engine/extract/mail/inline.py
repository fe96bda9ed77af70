"""Files written into the text of a mail, as was done before MIME: uuencode, yEnc and BinHex.

A block counts only where its lines have the lengths they announce, so that a sentence which starts with
'begin' stays a sentence. BinHex is recognised and taken out of the text, not decoded.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import Final

_START = re.compile(
    rb"^(?:begin(?P<base64>-base64)? [0-7]{3,4} (?P<uu>[^\r\n]{1,200})"
    rb"|=ybegin (?P<yenc>[^\r\n]{1,400})"
    rb"|\(This file must be converted with BinHex[^\r\n]{0,80})[ \t]*\r?\n",
    re.MULTILINE,
)
_YENC_NAME = re.compile(rb"\bname=(.{1,200})")
_BINHEX = re.compile(rb"(?:[ \t]*\r?\n){0,5}:[!-z\r\n]{10,}:[ \t]*(?:\r?\n|\Z)")
_MAX_FILES: Final = 1_000
_MINUS_42 = bytes((byte - 42) % 256 for byte in range(256))
_MINUS_106 = bytes((byte - 106) % 256 for byte in range(256))


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file found in a text: its name as raw bytes, how it is encoded and the lines that hold it."""

    name: bytes
    encoding: str
    lines: bytes

    def content(self) -> bytes:
        """The bytes of the file; BinHex as it is."""
        if self.encoding == "uu":
            return b"".join(_uu_line(line) for line in self.lines.splitlines())
        if self.encoding == "yenc":
            return _yenc(self.lines)
        return self.lines


def inline_files(text: bytes) -> tuple[bytes, list[InlineFile]]:
    """A text without the files in it, and these."""
    if not (b"begin " in text or b"BinHex" in text):
        return text, []
    kept: list[bytes] = []
    files: list[InlineFile] = []
    position = 0
    last_yend = text.rfind(b"\n=yend")
    while len(files) < _MAX_FILES and (start := _START.search(text, position)):
        found, end = _block(text, start, last_yend)
        if found is None:
            kept.append(text[position : start.end()])
        else:
            kept.append(text[position : start.start()])
            files.append(found)
        position = end
    kept.append(text[position:])
    return b"".join(kept), files


def _block(text: bytes, start: re.Match[bytes], last_yend: int) -> tuple[InlineFile | None, int]:
    """The file that begins here, if one does, and where the text goes on."""
    begin = start.end()
    if start["yenc"] is not None:
        name = _YENC_NAME.search(start["yenc"])
        if name is None or begin > last_yend + 1:
            return None, begin
        end = text.find(b"\n=yend", begin - 1)
        return InlineFile(name[1].strip(), "yenc", text[begin : end + 1]), _next_line(text, end + 1)
    if start["uu"] is not None:
        end = begin
        while (line_end := _next_line(text, end)) > end and _is_uu(text[end : min(line_end, end + 100)]):
            end = line_end
        if start["base64"] or end == begin:
            return None, begin
        lines = text[begin:end]
        if text.startswith(b"end", end):
            end = _next_line(text, end)
        return InlineFile(start["uu"].strip(), "uu", lines), end
    found = _BINHEX.match(text, begin)
    if found is None:
        return None, begin
    return InlineFile(b"", "binhex", text[start.start() : found.end()]), found.end()


def _next_line(text: bytes, position: int) -> int:
    end = text.find(b"\n", position)
    return len(text) if end < 0 else end + 1


def _is_uu(line: bytes) -> bool:
    """Whether a line has the length that its first character gives."""
    line = line.rstrip(b"\r\n")
    if not line or not 0x20 <= line[0] <= 0x60 or line.startswith(b"end"):
        return False
    length = (line[0] - 0x20) % 64
    letters = (length + 2) // 3 * 4
    return letters - 3 <= len(line) - 1 <= letters + 2


def _uu_line(line: bytes) -> bytes:
    length = (line[0] - 0x20) % 64 if line else 0
    letters = (length * 4 + 5) // 3
    try:
        return binascii.a2b_uu(line[: letters + 1])
    except binascii.Error:
        return b""  # a damaged line


def _yenc(lines: bytes) -> bytes:
    escaped = lines.translate(None, b"\r\n").split(b"=")
    pieces = [escaped[0].translate(_MINUS_42)]
    pieces += [piece[:1].translate(_MINUS_106) + piece[1:].translate(_MINUS_42) for piece in escaped[1:]]
    return b"".join(pieces)
