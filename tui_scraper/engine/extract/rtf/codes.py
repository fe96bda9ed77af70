"""What the control words of RTF mean to somebody who wants the text.

Characters, the encodings of fonts, and which groups hold no text at all, from the Rich Text Format
Specification, version 1.9.1.
"""

from __future__ import annotations

import codecs
from functools import cache
from typing import Final

CHARACTERS: Final[dict[bytes, str]] = {
    b"tab": "\t",
    b"line": "\n",
    b"lbr": "\n",
    b"softline": "\n",
    b"emdash": "\u2014",
    b"endash": "\u2013",
    b"emspace": " ",
    b"enspace": " ",
    b"qmspace": " ",
    b"bullet": "\u2022",
    b"lquote": "\u2018",
    b"rquote": "\u2019",
    b"ldblquote": "\u201c",
    b"rdblquote": "\u201d",
    b"zwj": "\u200d",
    b"zwnj": "\u200c",
    b"nestcell": "\t",
    b"nestrow": "\n",
}
"""Control words that stand for characters. Cells of a table inside a cell are set apart by tabs."""

SYMBOLS: Final[dict[bytes, str]] = {
    b"\\": "\\",
    b"{": "{",
    b"}": "}",
    b"~": "\u00a0",
    b"_": "\u2011",
    b"\t": "\t",
}
"""Control symbols that stand for characters. An optional hyphen is none until a line breaks there."""

PARAGRAPH_ENDS: Final = frozenset((b"par", b"page", b"sect", b"column"))

HEADERS: Final = frozenset((b"header", b"headerl", b"headerr", b"headerf"))
FOOTERS: Final = frozenset((b"footer", b"footerl", b"footerr", b"footerf"))

WITHOUT_TEXT: Final = frozenset(
    {
        b"colortbl", b"filetbl", b"listtable", b"listoverridetable", b"rsidtbl", b"revtbl", b"pict",
        b"objdata", b"objclass", b"objname", b"nonshppict", b"shppict", b"shprslt", b"sp", b"pntxta",
        b"pntxtb", b"pnseclvl", b"bkmkstart", b"bkmkend", b"xe", b"tc", b"tcn", b"rxe", b"txe", b"private",
        b"nonesttables", b"leveltext", b"levelnumbers", b"fldtype", b"datafield", b"formfield", b"template",
        b"themedata", b"colorschememapping", b"latentstyles", b"datastore", b"xmlnstbl", b"generator",
        b"background", b"mmathpr", b"mctrlpr", b"mrpr", b"ftnsep", b"ftnsepc", b"ftncn", b"aftnsep",
        b"aftnsepc", b"aftncn", b"atnid", b"atnref", b"atrfstart", b"atrfend", b"atnicn", b"atntime",
        b"atndate", b"atnparent", b"bliptag", b"blipuid", b"picprop", b"htmltag", b"mhtmltag", b"userprops",
        b"docvar", b"password", b"passwordhash", b"protusertbl", b"keycode", b"falt", b"panose", b"fname",
        b"fontemb", b"fontfile", b"pn", b"mmathpict", b"nesttableprops", b"wgrffmtfilter",
    }
)  # fmt: skip
"""Groups that begin with one of these words are left out."""

STARRED: Final = frozenset(
    {
        b"shpinst", b"shptxt", b"ud", b"fldinst", b"annotation", b"footnote", b"atnauthor", b"do",
        b"dptxbxtext", b"momath", b"momathpara", b"result",
    }
)  # fmt: skip
"""Groups that are read though a star says that who does not know them may leave them out."""

_CHARSETS: Final[dict[int, int]] = {
    0: 1252, 77: 10000, 78: 932, 79: 949, 80: 936, 81: 950, 83: 10005, 84: 10004, 85: 10006, 86: 10081,
    88: 10029, 89: 10007, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254,
    163: 1258, 177: 1255, 178: 1256, 179: 1256, 180: 1256, 181: 1255, 186: 1257, 204: 1251, 222: 874,
    238: 1250, 254: 437, 255: 850,
}  # fmt: skip
r"""\fcharset of a font -> code page."""

_CODECS: Final[dict[int, str]] = {
    437: "cp437", 708: "iso8859_6", 819: "cp1252", 1361: "johab", 10000: "mac_roman", 10001: "shift_jis",
    10002: "big5", 10003: "euc_kr", 10004: "mac_arabic", 10005: "cp1255", 10006: "mac_greek",
    10007: "mac_cyrillic", 10008: "gb2312", 10029: "mac_latin2", 10081: "mac_turkish", 65001: "utf-8",
}  # fmt: skip
_CJK: Final = {932: "cp932", 936: "gb18030", 949: "cp949", 950: "cp950"}

SYMBOL_FONT: Final = "symbol"
PICTURE_FONT: Final = "pictures"
WITHOUT_LETTERS: Final = frozenset((SYMBOL_FONT, PICTURE_FONT))
"""What stands for the encodings of fonts whose characters are no letters."""

_GREEK = dict(
    zip(
        b"ABCDEFGHIKLMNOPQRSTUWXYZabcdefghijklmnopqrstuwxyz",
        "ΑΒΧΔΕΦΓΗΙΚΛΜΝΟΠΘΡΣΤΥΩΞΨΖαβχδεφγηιϕκλμνοπθρστυωξψζ",
        strict=True,
    )
)
_SYMBOL = _GREEK | {
    0xA3: "≤", 0xA5: "∞", 0xAB: "↔", 0xAC: "←", 0xAD: "↑", 0xAE: "→", 0xAF: "↓", 0xB0: "°", 0xB1: "±",
    0xB3: "≥", 0xB4: "×", 0xB6: "∂", 0xB7: "•", 0xB8: "÷", 0xB9: "≠", 0xBA: "≡", 0xBB: "≈", 0xBC: "…",
    0xC6: "∅", 0xC7: "∩", 0xC8: "∪", 0xCC: "⊂", 0xCE: "∈", 0xD0: "∠", 0xD1: "∇", 0xD2: "®", 0xD3: "©",
    0xD4: "™", 0xD5: "∏", 0xD6: "√", 0xD7: "⋅", 0xDB: "⇔", 0xDC: "⇐", 0xDE: "⇒", 0xE5: "∑", 0xF2: "∫",
}  # fmt: skip
_PICTURES = {
    0xDF: "←",
    0xE0: "→",
    0xE1: "↑",
    0xE2: "↓",
    0xF0: "→",
    0xFB: "✗",
    0xFC: "✓",
    0x4A: "☺",
    0x20: " ",
}


@cache
def codec_of_page(page: int) -> str:
    """Python's name of a Windows or Mac code page, 'cp1252' for one that nobody knows."""
    name = _CJK.get(page) or _CODECS.get(page) or f"cp{page}"
    try:
        codecs.lookup(name)
    except LookupError:
        return "cp1252"
    return name


def codec_of_charset(charset: int) -> str:
    r"""Python's name of the code page that a font's \fcharset stands for, '' for the document's own."""
    return codec_of_page(_CHARSETS[charset]) if charset in _CHARSETS else ""


def codec_of_font(name: str) -> str:
    """The encoding of a font whose characters are no letters, '' for every other font."""
    name = name.strip().lower()
    if name in ("symbol", "standard symbols ps", "standardsymbolsps"):
        return SYMBOL_FONT
    if name.startswith(
        ("wingdings", "webdings", "zapf dingbats", "zapfdingbats", "opensymbol", "monotype sorts")
    ):
        return PICTURE_FONT
    return ""


def symbol(code: int, codec: str) -> str:
    """A character of a font of symbols. Of the pictures, arrows and the like; the rest are bullets."""
    if codec == PICTURE_FONT:
        return _PICTURES.get(code, "•")
    return _SYMBOL.get(code) or (chr(code) if code < 0x80 else "•")
