"""Bodies that Outlook keeps as compressed RTF (MS-OXRTFCP), with the HTML or text that is wrapped in it.

Outlook turns HTML mail into RTF that still contains every tag (MS-OXRTFEX); reading these tags gives back
the mail as it was written, which the RTF around them does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from tui_scraper.engine.extract.mail.charsets import decode_labelled
from tui_scraper.engine.extract.mail.outlook_properties import codec_of

MAX_RTF_BYTES: Final = 20_000_000

_COMPRESSED: Final = b"LZFu"
_STORED: Final = b"MELA"
_WINDOW: Final = 4096
_PRELOADED: Final = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_TOKEN = re.compile(
    rb"\\(?:([a-zA-Z]{1,32})(-?\d{1,10})? ?|'([0-9a-fA-F]{2})|([^a-zA-Z]))|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
_LEFT_OUT: Final = frozenset(
    b"colortbl stylesheet info pict object objdata header footer pntext pntxta pntxtb listtext fldinst"
    b" themedata mhtmltag xe tc footnote".split()
)
_CHARACTERS: Final = {
    b"par": "\n", b"line": "\n", b"sect": "\n\n", b"page": "\n\n", b"row": "\n", b"cell": "\t", b"tab": "\t",
    b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”", b"bullet": "•", b"endash": "–",
    b"emdash": "—", b"enspace": " ", b"emspace": " ", b"qmspace": " ",
}  # fmt: skip
_SYMBOLS: Final = {
    b"~": "\u00a0", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n",
}  # fmt: skip
_CHARSETS: Final = {
    # \fcharset of a font (RTF 1.9.1) and its code page.
    0: 1252, 77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258,
    177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437,
}  # fmt: skip
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH: Final = 1_000


def decompress_rtf(data: bytes) -> bytes:
    """RTF from its compressed form; b'' where it is none. What is damaged ends where the damage begins."""
    if len(data) < 16:
        return b""
    kind = data[8:12]
    claimed = int.from_bytes(data[4:8], "little")
    if kind == _STORED:
        return data[16 : 16 + claimed]
    if kind != _COMPRESSED:
        return b""
    limit = min(claimed, MAX_RTF_BYTES) + len(_PRELOADED)
    out = bytearray(_PRELOADED)
    position, size = 16, len(data)
    while position < size and len(out) < limit:
        control = data[position]
        position += 1
        if control == 0:
            out += data[position : position + 8]
            position += 8
            continue
        for bit in range(8):
            if not control >> bit & 1:
                out += data[position : position + 1]
                position += 1
                continue
            if position + 1 >= size:
                return bytes(out[len(_PRELOADED) : limit])
            reference = data[position] << 8 | data[position + 1]
            position += 2
            offset, length = reference >> 4, (reference & 0xF) + 2
            back = (len(out) - offset) % _WINDOW or _WINDOW
            if offset == len(out) % _WINDOW:
                return bytes(out[len(_PRELOADED) : limit])  # the mark of the end
            start = len(out) - back
            if start < 0:
                return bytes(out[len(_PRELOADED) : limit])
            if back >= length:
                out += out[start : start + length]
            else:
                out += (out[start:] * (length // back + 1))[:length]
    return bytes(out[len(_PRELOADED) : limit])


@dataclass(slots=True)
class _Group:
    """What holds between two braces; a group inside begins with a copy."""

    is_hidden: bool = False
    in_fonts: bool = False
    is_suppressed: bool = False
    codec: str = "cp1252"
    unicode_skip: int = 1
    starred: bool = False


class _RtfReader:
    """One pass over the tokens of an RTF body."""

    def __init__(self, rtf: bytes) -> None:
        head = rtf[:2_000]
        self.is_html = b"\\fromhtml" in head
        self._rtf = rtf
        self._pieces: list[str] = []
        self._bytes = bytearray()  # characters of one code page that follow one another
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._skip = 0  # characters that repeat a Unicode one for old readers

    def read(self) -> str:
        group = _Group()
        stack: list[_Group] = []
        for match in _TOKEN.finditer(self._rtf):
            word, number, code, symbol, brace, text = match.groups()
            if brace == b"{":
                self._end_bytes(group)
                if len(stack) >= _MAX_DEPTH:
                    break
                stack.append(group)
                group = replace(group, starred=False)
                self._skip = 0
            elif brace:
                self._end_bytes(group)
                group = stack.pop() if stack else group
                self._skip = 0
            elif word:
                self._end_bytes(group)
                self._word(group, word, int(number) if number else None)
            elif code:
                self._add_bytes(group, bytes((int(code, 16),)))
            elif symbol:
                if symbol == b"*":
                    group.starred = True
                else:
                    self._end_bytes(group)
                    self._add(group, _SYMBOLS.get(symbol, ""))
            elif text:
                self._add_bytes(group, text)
        self._end_bytes(group)
        return "".join(self._pieces)

    def _word(self, group: _Group, word: bytes, number: int | None) -> None:
        if word == b"htmltag" and group.starred:
            group.is_suppressed = False
        elif word in _LEFT_OUT or (group.starred and word not in (b"htmltag", b"fldrslt", b"shptxt")):
            group.is_hidden = True
        elif word == b"fonttbl":
            group.in_fonts = True
        elif word == b"htmlrtf":
            group.is_suppressed = number != 0
        elif word == b"f" and number is not None:
            self._font = number
            group.codec = self._fonts.get(number, group.codec)
        elif word == b"fcharset" and group.in_fonts:
            codec = codec_of(_CHARSETS.get(number or 0, 0))
            if codec and number != 0:
                self._fonts[self._font] = codec
        elif word == b"cpg" and group.in_fonts and number:
            self._fonts[self._font] = codec_of(number) or "cp1252"
        elif word == b"ansicpg" and number:
            group.codec = codec_of(number) or group.codec
        elif word == b"uc" and number is not None:
            group.unicode_skip = min(max(number, 0), 8)
        elif word == b"u" and number is not None:
            self._add(group, chr(number & 0xFFFF))
            self._skip = group.unicode_skip
        elif word in _CHARACTERS:
            self._add(group, _CHARACTERS[word])
        group.starred = False

    def _is_shown(self, group: _Group) -> bool:
        return not (group.is_hidden or group.in_fonts or group.is_suppressed)

    def _add(self, group: _Group, text: str) -> None:
        if self._is_shown(group):
            self._pieces.append(text)

    def _add_bytes(self, group: _Group, text: bytes) -> None:
        if self._skip:
            skipped = min(self._skip, len(text))
            self._skip -= skipped
            text = text[skipped:]
        self._bytes += text

    def _end_bytes(self, group: _Group) -> None:
        if self._bytes:
            raw = bytes(self._bytes)
            self._bytes.clear()
            if self._is_shown(group):
                plain = raw.isascii() and not group.codec.startswith(("iso2022", "hz", "utf-7"))
                self._pieces.append(raw.decode("ascii") if plain else _decode(raw, group.codec))


def _decode(raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return decode_labelled(raw, codec)


def read_rtf_body(rtf: bytes) -> tuple[str, bool]:
    """The text of an RTF body, and whether it is HTML."""
    reader = _RtfReader(rtf[:MAX_RTF_BYTES])
    text = reader.read()
    if _SURROGATE.search(text):  # a character beyond the basic plane comes in two halves
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text, reader.is_html
