"""Commands of TeX that stand for characters: accents, letters and signs."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

ACCENTS: Final = {
    '"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "=": "\u0304",
    ".": "\u0307", "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328",
    "r": "\u030a", "d": "\u0323", "b": "\u0331", "t": "\u0361",
}  # fmt: skip
"""Commands that put a mark on the letter after them, as combining characters."""

LETTERS: Final = {
    "ss": "ß", "SS": "ẞ", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å",
    "AA": "Å", "l": "ł", "L": "Ł", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ",
    "dj": "đ", "DJ": "Đ", "ng": "ŋ", "NG": "Ŋ", "P": "¶", "S": "§", "pounds": "£", "copyright": "©",
    "dag": "†", "ddag": "‡", "ldots": "…", "dots": "…", "textellipsis": "…", "textendash": "–",
    "textemdash": "—", "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^",
    "textbar": "|", "textless": "<", "textgreater": ">", "textbraceleft": "{", "textbraceright": "}",
    "textdollar": "$", "textunderscore": "_", "textquotedbl": '"', "textquotesingle": "'",
    "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“", "textquotedblright": "”",
    "quotedblbase": "„", "quotesinglbase": "‚", "guillemotleft": "«", "guillemotright": "»",
    "guilsinglleft": "‹", "guilsinglright": "›", "textbullet": "•", "textperiodcentered": "·",
    "textdegree": "°", "degree": "°", "celsius": "°C", "texteuro": "€", "euro": "€", "EUR": "€",
    "textsterling": "£", "textyen": "¥", "textcent": "¢", "texttrademark": "™", "textregistered": "®",
    "textcopyright": "©", "textsection": "§", "textparagraph": "¶", "textordfeminine": "ª",
    "textordmasculine": "º", "textmu": "µ", "textonehalf": "½", "textonequarter": "¼",
    "textthreequarters": "¾", "texttimes": "×", "textpm": "±", "textrightarrow": "→",
    "textleftarrow": "←", "textvisiblespace": "␣", "exclamdown": "¡", "questiondown": "¿", "TeX": "TeX",
    "LaTeX": "LaTeX", "LaTeXe": "LaTeX2e", "BibTeX": "BibTeX", "XeTeX": "XeTeX", "today": "",
    "slash": "/", "quad": " ", "qquad": " ", "enspace": " ", "thinspace": " ", "space": " ",
    "nobreakspace": " ", "lbrace": "{", "rbrace": "}", "lq": "‘", "rq": "’", "checkmark": "✓",
    "textnumero": "№",
}  # fmt: skip
"""Commands that are a character, or a few."""

SIGNS: Final = {
    "&": "&", "%": "%", "$": "$", "#": "#", "_": "_", "{": "{", "}": "}", " ": " ", "\n": " ", ",": " ",
    ";": " ", ":": " ", "!": "", "/": "", "-": "", "@": "", "|": "‖", "*": "", ">": " ",
}  # fmt: skip
"""Commands of one character that is no letter."""


def accented(accent: str, letter: str) -> str:
    """A letter with the mark of this accent; of several letters, the first has it."""
    letter = {"ı": "i", "ȷ": "j"}.get(letter[:1], letter[:1]) + letter[1:]
    if not letter:
        return ""
    return unicodedata.normalize("NFC", letter[0] + ACCENTS[accent]) + letter[1:]


_ACCENT = re.compile(
    r"""\\(?:(["'`^~=.])|([uvHckrdbt])(?![a-zA-Z]))[ \t]*
    (?:\{[ \t]*(?:\\([ij])(?![a-zA-Z])|([^\W\d_]\w{0,20})?)[ \t]*\}|\\([ij])(?![a-zA-Z])|([^\W\d_]))""",
    re.VERBOSE,
)
_LETTER = re.compile(
    r"\\((?:ss|SS|ae|AE|oe|OE|o|O|aa|AA|l|L|i|j|dh|DH|th|TH|dj|DJ|ng|NG))(?![a-zA-Z])(?:\{\}|[ \t]+)?"
)
_COMMAND = re.compile(r"\\(?:([a-zA-Z]+)\*?(?:\{\})?|([^a-zA-Z]))|[{}]|``|''|---?|(?<!\\)~")
_MARKS: Final = {"``": "“", "''": "”", "--": "–", "---": "—", "~": " ", "{": "", "}": ""}


def match_accent(text: str, position: int) -> tuple[str, int] | None:
    """The accented letter whose command begins here, and where it ends."""
    found = _ACCENT.match(text, position)
    if found is None:
        return None
    return _letter(found), found.end()


def _letter(found: re.Match[str]) -> str:
    return accented(found[1] or found[2], found[3] or found[4] or found[5] or found[6] or "")


def plain_latex(text: str) -> str:
    """A short text (a title, a name) without its commands; formulas keep their dollar signs."""
    text = _ACCENT.sub(_letter, text)
    text = _LETTER.sub(lambda found: LETTERS[found[1]], text)
    return " ".join(_COMMAND.sub(_plain, text).split())


def _plain(found: re.Match[str]) -> str:
    if found[1]:
        return LETTERS.get(found[1], "")
    if found[2]:
        return " " if found[2] == "\\" else SIGNS.get(found[2], found[2])
    return _MARKS[found[0]]
