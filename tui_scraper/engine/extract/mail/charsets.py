"""Characters of text that somebody else has labelled: mail bodies and header words.

A label on mail is a hint, often a wrong one: Latin-1 stands on UTF-8, GB2312 on its supersets, and
made-up names on anything. So UTF-8 still comes first where the bytes prove it, as in `decoding`. The
exceptions are encodings that are pure ASCII to look at (ISO-2022, HZ, UTF-7), and the double-byte ones,
of which a few characters may pass for UTF-8.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final

from tui_scraper.engine.extract.decoding import decode

_SUPERSETS: Final = {
    # What browsers read under these names (WHATWG Encoding, labels), in Python's words.
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "iso2022_jp": "iso2022_jp_ext",
    "iso2022_jp_1": "iso2022_jp_ext",
    "iso2022_jp_2": "iso2022_jp_2",
    "iso2022_jp_3": "iso2022_jp_3",
}
_OTHER_NAMES: Final = {
    "x-sjis": "cp932",
    "x-gbk": "gb18030",
    "x-big5": "big5hkscs",
    "x-euc-jp": "euc_jp",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-6-e": "iso8859-6",
    "windows-874": "cp874",
    "dos-874": "cp874",
    "unicode-1-1-utf-7": "utf-7",
    "x-unicode-2-0-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-ce": "mac-latin2",
    "x-mac-greek": "mac-greek",
    "x-mac-turkish": "mac-turkish",
    "x-mac-icelandic": "mac-iceland",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-cp1252": "cp1252",
    "x-koi8-r": "koi8-r",
    "koi8-ru": "koi8-u",
    "unicode": "utf-16",
}
_SEVEN_BIT: Final = frozenset(("iso2022_jp_ext", "iso2022_jp_2", "iso2022_jp_3", "iso2022_kr", "hz", "utf-7"))
_DOUBLE_BYTE: Final = frozenset(
    ("gb18030", "big5hkscs", "cp949", "cp932", "euc_jp", "euc_jis_2004", "johab", "big5", "cp950")
)
_FAMILIES: Final = (
    # What Python knows beside these is no character set, or decodes in more than linear time (Punycode).
    *("ascii", "utf", "iso8859", "iso2022", "cp", "koi8", "mac", "euc", "gb", "big5", "hz", "shift_jis"),
    *("johab", "tis-620", "ptcp154", "kz1048", "hp-roman8"),
)
_WIDE: Final = ("utf-16", "utf-32")
_PROOF_BYTES: Final = 12  # so many bytes beyond ASCII are UTF-8 by chance only in made-up examples
_FEW_ERRORS: Final = 50  # one bad character in so many: damage rather than another encoding
_SHORT_BYTES: Final = 400
_RUN = re.compile(rb"[\x80-\xff]{3}")
_JIS_SEGMENT = re.compile(rb"\x1b(\$[@B]|\$\([DOPQ]|\([BJI])([^\x1b]*)")
_NAME = re.compile(r"[A-Za-z0-9][\w.:+-]{0,39}")


@lru_cache(maxsize=256)
def codec_name(charset: str) -> str:
    """Python's name of a charset that mail names, widened to what is meant by it; '' for an unknown one."""
    found = _NAME.search(charset)
    if found is None:
        return ""
    label = found[0].lower()
    for candidate in (label, label.replace("_", "-"), label.removeprefix("x-"), label.removeprefix("cs")):
        if candidate in _OTHER_NAMES:
            return _OTHER_NAMES[candidate]
        try:
            codec = codecs.lookup(candidate)
        except (LookupError, ValueError):
            continue
        if codec.name.startswith(_FAMILIES):
            return _SUPERSETS.get(codec.name, codec.name)
    return ""


def decode_labelled(data: bytes, charset: str) -> str:
    """Decode text whose charset is said to be `charset` ('' where nothing is said). Never fails."""
    codec = codec_name(charset) if charset else ""
    if b"\x1b$" in data or b"\x1b(J" in data or b"\x1b(I" in data:
        japanese = _iso_2022(data, codec)
        if japanese is not None:
            return japanese
    if codec in _SEVEN_BIT and data.isascii():
        return data.decode(codec, "replace")
    if codec.startswith(_WIDE):
        return data.decode(codec, "replace") if b"\0" in data else decode(data)
    if data.isascii():
        return data.decode("ascii")
    if codec in _DOUBLE_BYTE and len(data) - len(data.decode("ascii", "ignore")) < _PROOF_BYTES:
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            pass
    elif codec in _DOUBLE_BYTE and not _is_utf8(data):
        text = data.decode(codec, "replace")
        if text.count("\ufffd") * _FEW_ERRORS < len(text):
            return text
    if not codec and _looks_western(data) and not _is_utf8(data):
        return data.decode("cp1252", "replace")
    return decode(data, codec)


def _looks_western(data: bytes) -> bool:
    """Whether the few letters beyond ASCII stand among others, as accents do: too few for statistics."""
    accents = len(data) - len(data.decode("ascii", "ignore"))
    return len(data) <= _SHORT_BYTES and accents * 4 <= len(data) and not _RUN.search(data)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _iso_2022(data: bytes, codec: str) -> str | None:
    """Text that switches between character sets by escape sequences, None where it is no such text."""
    names = [codec] if codec in _SEVEN_BIT else []
    names += ["iso2022_kr"] if b"\x1b$)C" in data else ["iso2022_jp_ext", "iso2022_jp_2"]
    for name in names:
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    if b"\x1b$B" not in data and b"\x1b$@" not in data:
        return None
    return _by_segments(data)


def _by_segments(data: bytes) -> str:
    """ISO-2022-JP with makers' extra characters, such as circled digits, and with stray bytes."""
    first = data.find(b"\x1b")
    pieces = [decode(data[:first]) if first > 0 else ""]
    for escape, content in _JIS_SEGMENT.findall(data, max(first, 0)):
        if escape.startswith(b"$"):
            line, end, rest = content.partition(b"\n")  # a line's end ends the character set too
            wide = bytes(byte | 0x80 for byte in line if byte > 0x20)
            pieces.append(wide.decode("euc_jis_2004", "replace") + (end + rest).decode("ascii", "replace"))
        elif escape == b"(I":
            pieces.append(bytes(byte | 0x80 for byte in content).decode("cp932", "replace"))
        else:
            pieces.append(content.decode("ascii", "replace"))
    return "".join(pieces)
