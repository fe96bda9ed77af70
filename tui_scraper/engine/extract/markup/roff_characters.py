"""What the escapes of roff stand for: special characters, and sequences that only say how to print.

Names are those of groff_char(7); an accent and a letter are composed by rule rather than listed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MARKS: Final = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", ":": "\u0308", "~": "\u0303", ",": "\u0327",
    "v": "\u030c", "o": "\u030a",
}  # fmt: skip
_NAMED: Final = {
    "em": "—", "en": "–", "hy": "-", "-": "-", "bu": "•", "ci": "○", "sq": "□", "lh": "☜", "rh": "☞",
    "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "aq": "'", "dq": '"', "Bq": "„", "bq": "‚", "Fo": "«",
    "Fc": "»", "fo": "‹", "fc": "›", "ga": "`", "aa": "´", "ti": "~", "ha": "^", "a^": "^", "a~": "~",
    "rs": "\\", "sl": "/", "ba": "|", "bv": "|", "br": "|", "or": "|", "bb": "¦", "ul": "_", "ru": "_",
    "at": "@", "sh": "#", "Do": "$", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "⟨", "ra": "⟩",
    "de": "°", "co": "©", "rg": "®", "tm": "™", "ct": "¢", "eu": "€", "Eu": "€", "Po": "£", "Ye": "¥",
    "Cs": "¤", "Fn": "ƒ", "fm": "′", "sd": "″", "mu": "×", "di": "÷", "pl": "+", "mi": "−", "eq": "=",
    "**": "*", "+-": "±", "<=": "≤", ">=": "≥", "!=": "≠", "==": "≡", "~~": "≈", "~=": "≅", "=~": "≅",
    "->": "→", "<-": "←", "<>": "↔", "ua": "↑", "da": "↓", "va": "↕", "lA": "⇐", "rA": "⇒", "uA": "⇑",
    "dA": "⇓", "hA": "⇔", "if": "∞", "pd": "∂", "gr": "∇", "is": "∫", "ca": "∩", "cu": "∪", "sb": "⊂",
    "sp": "⊃", "ib": "⊆", "ip": "⊇", "mo": "∈", "nm": "∉", "es": "∅", "no": "¬", "AN": "∧", "OR": "∨",
    "fa": "∀", "te": "∃", "tf": "∴", "ap": "∼", "pt": "∝", "sr": "√", "su": "∑", "pr": "∏", "<<": "≪",
    ">>": "≫", "r!": "¡", "r?": "¿", "S1": "¹", "S2": "²", "S3": "³", "12": "½", "14": "¼", "34": "¾",
    "sc": "§", "dg": "†", "dd": "‡", "ps": "¶", "pc": "·", "md": "⋅", "ss": "ß", "AE": "Æ", "ae": "æ",
    "OE": "Œ", "oe": "œ", "/O": "Ø", "/o": "ø", "/L": "Ł", "/l": "ł", "-D": "Ð", "Sd": "ð", "TP": "Þ",
    "Tp": "þ", ".i": "ı", "IJ": "Ĳ", "ij": "ĳ", "ff": "ff", "fi": "fi", "fl": "fl", "Fi": "ffi",
    "Fl": "ffl", "OK": "✓", "lz": "◊", "sd2": "″", "Of": "ª", "Om": "º", "%0": "‰", "ah": "ˇ", "ao": "˚",
    "ac": "¸", "ho": "˛", "ad": "¨", "a-": "¯", "ab": "˘", "a.": "˙", "a\"": "˝", "Ah": "ℵ", "-h": "ℏ",
    "hbar": "ℏ", "CR": "↵", "c*": "⊗", "c+": "⊕", "lf": "⌊", "rf": "⌋", "lc": "⌈", "rc": "⌉", "SP": "♠",
    "CL": "♣", "HE": "♥", "DI": "♦",
}  # fmt: skip
_GREEK: Final = dict(zip("abgdezyhiklmncoprstufxqw", "αβγδεζηθικλμνξοπρστυφχψω", strict=True))
_SINGLE: Final = {
    "-": "-", "e": "\\", "\\": "\\", " ": " ", "~": " ", "0": " ", "'": "'", "`": "`", ".": ".", "t": " ",
    "_": "_",
}  # fmt: skip
_NO_TEXT: Final = "&|^/,%:c)?{}dupraz!E"

_ESCAPE = re.compile(
    r"""\\(?:["\#].*
    |\((?P<two>..)
    |\[(?P<name>[^\]\n]{0,60})\]
    |\*(?:\((?P<string_two>..)|\[(?P<string_name>[^\]\n]{0,60})\]|(?P<string_one>.))
    |[fFkgmMnVYO][+-]?(?:\(..|\[[^\]\n]{0,60}\]|.)
    |s(?:[+-]?(?:\(..|\[[^\]\n]{0,60}\]|'[^'\n]{0,60}'|[0-3]\d|\d)|\([+-]\d\d)
    |C'(?P<quoted_name>[^'\n]{0,60})'
    |N'(?P<code>\d{1,7})'
    |o'(?P<over>[^'\n]{0,60})'
    |[hvwlLXDbxZRABSH]'[^'\n]{0,400}'
    |[hvwlLXDbxZRABSH]"[^"\n]{0,400}"
    |(?P<single>.)
    |$)""",
    re.VERBOSE,
)


def plain_text(line: str, strings: dict[str, str]) -> str:
    """A line of roff without its escapes. `strings` are those that the document has defined.

    A string is put in as it is: what it holds was without escapes when it was defined.
    """
    if "\\" not in line:
        return line
    return _ESCAPE.sub(lambda match: _meaning(match, strings), line)


def _meaning(match: re.Match[str], strings: dict[str, str]) -> str:
    kind, value = match.lastgroup, match[match.lastgroup] if match.lastgroup else ""
    if kind == "single":
        return "" if value in _NO_TEXT else _SINGLE.get(value, value)
    if kind in ("two", "name", "quoted_name"):
        return character(value)
    if kind in ("string_two", "string_name", "string_one"):
        return strings.get(value, "")
    if kind == "code":
        return chr(int(value)) if 31 < int(value) < 0x110000 else ""
    return value if kind == "over" else ""


def character(name: str) -> str:
    """The character that groff_char(7) knows by this name, '' for one it does not know."""
    known = _NAMED.get(name)
    if known is not None:
        return known
    if len(name) == 2:
        if name[0] == "*":
            letter = _GREEK.get(name[1].lower(), "")
            return letter.upper() if name[1].isupper() else letter
        if name[0] in _MARKS and name[1].isalpha():
            return unicodedata.normalize("NFC", name[1] + _MARKS[name[0]])
    if re.fullmatch(r"u[0-9A-F]{4,6}(?:_[0-9A-F]{4,6}){0,5}", name):
        codes = [int(code, 16) for code in name[1:].split("_")]
        return "".join(chr(code) for code in codes if code < 0x110000)
    if re.fullmatch(r"char\d{1,3}", name):
        return chr(int(name[4:]))
    return name if len(name) == 1 else ""
