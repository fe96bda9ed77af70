"""From bytes to characters: byte order marks, then UTF-8, then what the bytes look like.

Strict UTF-8 is right for nearly all files and wrong text hardly ever passes it, so it comes before
anything a document declares about itself and before statistics.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from tui_scraper.engine.extract.detect import is_ebcdic, wide_without_bom

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16 LE, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHIFTS: Final = (
    (b"\x1b$)C", "iso2022_kr"),
    (b"\x1b$B", "iso2022_jp_ext"),
    (b"\x1b$@", "iso2022_jp_ext"),
    (b"\x1b$(D", "iso2022_jp_ext"),
    (b"\x1b$(O", "iso2022_jp_3"),
    (b"\x1b$(Q", "iso2022_jp_2004"),
)
_EBCDIC: Final = "cp037"
_SAMPLE_BYTES: Final = 20_000
_STRAY_SHARE: Final = 20  # one stray byte for 20 good characters: damaged UTF-8 rather than another encoding
_STRAY = re.compile("[\udc80-\udcff]")
_NAME_CONTEXT: Final = b"file/"
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]{2,40})", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w-]{2,40})")


def decode(data: bytes, declared: str = "") -> str:
    """Decode a text file. `declared` is an encoding that the document itself names.

    Never fails: what no encoding explains becomes U+FFFD.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    wide = wide_without_bom(data) if b"\0" in data else ""
    if wide:
        return data.decode(wide, "replace")
    if b"\x1b" in data and b"\x1b$" in data:
        shifted = _shifted(data)
        if shifted is not None:
            return shifted
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        first_bad = error.start
    damaged = _mostly_utf8(data)
    if damaged is not None:
        return damaged
    if is_ebcdic(data):
        return data.decode(_EBCDIC)
    for encoding in (declared, _guess(data, first_bad)):
        try:
            if encoding:
                return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("windows-1252", "replace")


def decode_name(raw: bytes, encoding: str | None = None) -> str:
    """Decode the name of a file in an archive: UTF-8, else the given encoding, else a likely one."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(encoding or name_encoding(raw, "windows-1252"), "replace")


def name_encoding(names: bytes, usual: str) -> str:
    """The encoding of names that are not UTF-8, the more of them the better, with '/' between them.

    `usual` is the one that archives of this kind have in Western countries; statistics decide where it
    gives no Latin words. They are given some ASCII to hold on to, because names are short.
    """
    western = names.decode(usual, "replace")
    foreign = [char for char in western if char > "\x7f"]
    if 2 * len(foreign) <= len(western) and all(char.isalpha() and char < "\u0250" for char in foreign):
        return usual
    sample = _NAME_CONTEXT + names
    guessed = _guess(sample, 0)
    try:
        text = sample.decode(guessed)
    except (UnicodeDecodeError, LookupError):
        return usual
    return guessed if text.startswith(_NAME_CONTEXT.decode()) and text.isprintable() else usual


def declared_charset(data: bytes) -> str:
    """The encoding that an HTML document names in its first kilobytes, '' where it names none."""
    head = data[:4096]
    found = _META_CHARSET.search(head) or _XML_ENCODING.search(head)
    if found is None:
        return ""
    name = found[1].decode("ascii").lower()
    # As browsers do: the web means windows-1252 when it says Latin-1 (WHATWG Encoding, labels).
    if name in ("iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"):
        return "windows-1252"
    try:
        codec = codecs.lookup(name)
    except LookupError:
        return ""
    return codec.name if codec.name not in ("utf-16", "utf-16-le", "utf-16-be") else ""


def _shifted(data: bytes) -> str | None:
    """Text of seven bits that says with escape sequences which script comes next (ISO 2022), else None."""
    for mark, encoding in _SHIFTS:
        if mark in data:
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                continue
    return None


def _mostly_utf8(data: bytes) -> str | None:
    """UTF-8 with a few stray bytes, these read as windows-1252; None where it is something else."""
    text = data.decode("utf-8", "surrogateescape")
    strays = len(_STRAY.findall(text))
    good = (len(data) - strays) - (len(text) - strays)  # continuation bytes: one or more a character
    if strays * _STRAY_SHARE > good:
        return None
    return _STRAY.sub(lambda m: bytes([ord(m[0]) - 0xDC00]).decode("windows-1252", "replace"), text)


def _guess(data: bytes, first_bad: int) -> str:
    import chardet

    start = max(0, first_bad - _SAMPLE_BYTES // 4)
    found = chardet.detect(data[start : start + _SAMPLE_BYTES])
    encoding = found.get("encoding")
    return str(encoding) if encoding else ""
