"""Texinfo: the text of a manual, its commands as structure, what is meant for a printer left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.markup.latex_characters import ACCENTS, LETTERS, accented
from tui_scraper.engine.extract.markup.structure import Structure
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.settings import CleanSettings

_COMMAND_LINE = re.compile(r"[ \t]*@([a-zA-Z]+)(?:[ \t]+([^\n]*)|[ \t]*$)")
_INLINE = re.compile(r"@([a-zA-Z]+)\{|@([a-zA-Z]+)|@([^a-zA-Z])|[{}]|---|``|''")
_ARGUMENT = re.compile(r"@[{}@]|[{}]")
_HEADINGS: Final = {
    "settitle": 1, "top": 1, "majorheading": 1, "chapheading": 2, "chapter": 2, "unnumbered": 2,
    "appendix": 2, "centerchap": 2, "part": 1, "section": 3, "unnumberedsec": 3, "appendixsec": 3,
    "appendixsection": 3, "heading": 3, "subsection": 4, "unnumberedsubsec": 4, "appendixsubsec": 4,
    "subheading": 4, "subsubsection": 5, "unnumberedsubsubsec": 5, "appendixsubsubsec": 5,
    "subsubheading": 5,
}  # fmt: skip
_CODE: Final = frozenset(
    {
        "example", "smallexample", "lisp", "smalllisp", "display", "smalldisplay", "format",
        "smallformat", "verbatim",
    }
)  # fmt: skip
_UNREAD: Final = frozenset(
    {
        "ignore", "tex", "iftex", "ifhtml", "html", "ifdocbook", "docbook", "ifxml", "xml", "iflatex",
        "latex", "menu", "direntry", "detailmenu", "macro", "rmacro", "titlepage", "documentdescription",
    }
)  # fmt: skip
_LISTS: Final = {"itemize": "ul", "enumerate": "ol", "table": "dl", "ftable": "dl", "vtable": "dl"}
_SILENT: Final = frozenset(
    {
        "node", "c", "comment", "cindex", "findex", "vindex", "kindex", "pindex", "tindex", "setfilename",
        "documentencoding", "documentlanguage", "setchapternewpage", "syncodeindex", "synindex",
        "dircategory", "paragraphindent", "firstparagraphindent", "exampleindent", "printindex",
        "contents", "shortcontents", "summarycontents", "finalout", "page", "need", "vskip", "sp",
        "headings", "footnotestyle", "bye", "smallbook", "afourpaper", "pagesizes", "kbdinputstyle",
        "set", "clear", "defindex", "defcodeindex", "everyheading", "everyfooting", "everyheadingmarks",
        "evenheading", "oddheading", "evenfooting", "oddfooting", "raisesections", "lowersections",
        "noindent", "indent", "refill", "iftex", "group", "cartouche", "insertcopying", "frenchspacing",
        "urefbreakstyle", "xrefautomaticsectiontitle", "codequoteundirected", "codequotebacktick",
        "allowcodebreaks", "clickstyle", "microtype", "anchor", "validatemenus", "novalidate", "alias",
        "definfoenclose", "unmacro", "columnfractions", "shorttitlepage", "subtitle", "author", "image",
    }
)  # fmt: skip
_ASIDE: Final = frozenset(["anchor", "image", "hyphenation", "sortas", "seeentry", "seealso", "cindex"])
_REFERENCES: Final = frozenset(["xref", "ref", "pxref", "inforef", "link"])
_SIGNS: Final = {
    "dots": "…", "enddots": "…", "bullet": "•", "copyright": "©", "registeredsymbol": "®", "minus": "−",
    "equiv": "≡", "error": "error-->", "expansion": "→", "point": "∗", "print": "-|", "result": "⇒",
    "arrow": "→", "geq": "≥", "leq": "≤", "euro": "€", "pounds": "£", "textdegree": "°", "comma": ",",
    "atchar": "@", "lbracechar": "{", "rbracechar": "}", "backslashchar": "\\", "hashchar": "#", "tie": " ",
    "today": "", "quotedblleft": "“", "quotedblright": "”", "quoteleft": "‘", "quoteright": "’",
    "guillemetleft": "«", "guillemetright": "»", "exclamdown": "¡", "questiondown": "¿", "ordf": "ª",
    "ordm": "º", "click": "→", "TeX": "TeX", "LaTeX": "LaTeX", "quotedblbase": "„", "quotesinglbase": "‚",
}  # fmt: skip
_MARKS: Final = {"``": "“", "''": "”", "---": "—"}
_MAX_OPEN: Final = 200
_MAX_VALUES: Final = 1_000
_MAX_VALUE_CHARS: Final = 200


def extract_texinfo(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of a Texinfo manual."""
    source = decode(data).replace("\r\n", "\n")
    found = _Reader(Structure(settings.max_chars)).read(source)
    return found if found.text.strip() else extract_plain(data, media_type, settings)


class _Reader:
    """One pass over the lines of a manual."""

    def __init__(self, structure: Structure) -> None:
        self._out = structure
        self._open: list[tuple[str, str]] = []  # (command, element) of the environments that are open
        self._values: dict[str, str] = {}
        self._code: list[str] = []

    def read(self, source: str) -> Extracted:
        """Read a whole manual."""
        lines = iter(source.split("\n"))
        for line in lines:
            if line.startswith("\\input"):
                continue
            command = _COMMAND_LINE.match(line)
            name = command[1] if command else ""
            rest = (command[2] or "").strip() if command else ""
            if name in _UNREAD:
                for skipped in lines:
                    if skipped.lstrip().startswith(f"@end {name}"):
                        break
            elif name == "verbatim":
                self._out.code("\n".join(_up_to(lines, "@end verbatim")))
            elif self._in_code():
                self._code_line(line, name, rest)
            elif name == "bye":
                break
            elif not self._line_command(name, rest):
                self._text_line(line)
            if self._out.is_full:
                break
        while self._open:
            self._close(self._open[-1][0])
        return self._out.extracted()

    def _in_code(self) -> bool:
        return bool(self._open) and self._open[-1][1] == "pre"

    def _code_line(self, line: str, name: str, rest: str) -> None:
        if name == "end":
            self._close(rest)
        elif name not in _SILENT:
            self._code.append(self._plain(line))

    def _text_line(self, line: str) -> None:
        if line.strip():
            self._out.text(self._plain(line) + "\n")
        else:
            self._out.paragraph()

    def _line_command(self, name: str, rest: str) -> bool:
        """Carry out a command that has a line of its own. False for one that stands in running text."""
        if not name:
            return False
        if name in _HEADINGS:
            self._heading(name, rest)
        elif name == "end":
            self._close(rest)
        elif name in _CODE or name in _LISTS or name in ("multitable", "quotation", "smallquotation"):
            self._begin(name, rest)
        elif name in ("item", "itemx"):
            self._item(name, rest)
        elif name in ("headitem", "tab"):
            self._cell(name, rest)
        elif name.startswith("def") and name not in ("defindex", "defcodeindex", "definfoenclose"):
            self._definition(name, rest)
        elif name in ("include", "verbatiminclude"):
            self._out.links.add(rest, "include")
        elif name == "set":
            word, _, value = rest.partition(" ")
            if len(self._values) < _MAX_VALUES:
                self._values[word] = self._plain(value)[:_MAX_VALUE_CHARS]
        elif name in ("center", "exdent", "title"):
            self._out.paragraph(self._plain(rest))
        else:
            return name in _SILENT or name.startswith(("if", "copying"))
        return True

    def _heading(self, name: str, rest: str) -> None:
        words = " ".join(self._plain(rest).split())
        if name in ("settitle", "top"):
            if name == "settitle" or not self._out.title:
                self._out.title = words
            if name == "top":
                return
        self._out.heading(_HEADINGS[name], words)

    def _begin(self, name: str, rest: str) -> None:
        if len(self._open) >= _MAX_OPEN:
            return
        element = (
            "pre" if name in _CODE else "table" if name == "multitable" else _LISTS.get(name, "blockquote")
        )
        self._open.append((name, element))
        if element == "pre":
            self._code = []
        else:
            start = f' start="{rest}"' if name == "enumerate" and rest.isdecimal() else ""
            self._out.start(element, start)

    def _close(self, name: str) -> None:
        if name not in [command for command, _ in self._open]:
            return
        while self._open:
            command, element = self._open.pop()
            if element == "pre":
                self._out.code("\n".join(self._code))
            else:
                self._out.end(element)
            if command == name:
                return

    def _item(self, name: str, rest: str) -> None:
        element = self._open[-1][1] if self._open else "ul"
        if element == "dl":
            self._out.start("dt")
            self._out.text(self._plain(rest))
            self._out.end("dt")
            self._out.start("dd")
        elif element == "table":
            self._cell(name, rest)
        else:
            self._out.start("li")
            self._out.text(self._plain(rest) + "\n")

    def _cell(self, name: str, rest: str) -> None:
        cells = re.split(r"@tab(?![a-zA-Z])", rest)
        if name != "tab":
            self._out.end("tr")
            self._out.start("tr")
        for cell in cells:
            self._out.start("td")
            self._out.text(self._plain(cell) + "\n")

    def _definition(self, name: str, rest: str) -> None:
        """A function, variable or the like that is defined: a term, and what follows its definition."""
        words = self._plain(rest.replace("{", "@w{")).strip()
        if not name.endswith("x"):
            if len(self._open) >= _MAX_OPEN:
                return
            self._open.append((name, "dl"))
            self._out.start("dl")
        self._out.start("dt")
        self._out.text(words)
        self._out.end("dt")
        self._out.start("dd")

    def _plain(self, text: str) -> str:
        """Running text without its commands."""
        if "@" not in text and "---" not in text and "``" not in text and "''" not in text:
            return text
        in_code = self._in_code()
        pieces: list[str] = []
        position = 0
        while found := _INLINE.search(text, position):
            pieces.append(text[position : found.start()])
            position = found.end()
            if found[1]:
                position = self._braced(found[1], text, position, pieces)
            elif found[2]:
                name = found[2]
                if name in ("c", "comment"):
                    position = len(text)
                elif name in ACCENTS and len(name) == 1 and position < len(text):
                    pieces.append(accented(name, text[position : position + 1].strip()))
                    position += 1
            elif found[3]:
                sign = found[3]
                if sign in ACCENTS and text[position : position + 1].isalpha():
                    pieces.append(accented(sign, text[position]))
                    position += 1
                elif sign in ACCENTS and re.compile(r"\{\w\}").match(text, position):
                    pieces.append(accented(sign, text[position + 1]))
                    position += 3
                else:
                    pieces.append("" if sign in "/-:*" else sign)
            else:
                pieces.append(found[0] if in_code and found[0] in _MARKS else _MARKS.get(found[0], ""))
        pieces.append(text[position:])
        return "".join(pieces)

    def _braced(self, name: str, text: str, position: int, pieces: list[str]) -> int:
        """Carry out a command whose argument begins here; returns where reading goes on."""
        if name in _SIGNS or (name in LETTERS and text[position : position + 1] == "}"):
            pieces.append(_SIGNS.get(name, LETTERS.get(name, "")))
            return position
        if name in ACCENTS and text[position + 1 : position + 2] == "}":
            pieces.append(accented(name, text[position]))
            return position + 2
        if name == "footnote":
            pieces.append(" Footnote: ")
            return position
        if (
            name not in _ASIDE
            and name not in _REFERENCES
            and name not in ("uref", "url", "email", "U", "value")
        ):
            return position  # what is in the braces is text, read on
        raw, end = _argument(text, position)
        if name in _REFERENCES:
            parts = [part.strip() for part in raw.split(",")]
            shown = next((part for part in (parts[2:3] or [""]) + (parts[1:2] or [""]) if part), parts[0])
            manual = parts[3] if len(parts) > 3 else ""
            lead = {"xref": "See ", "pxref": "see "}.get(name, "")
            pieces.append(f"{lead}{_bare(shown)}{f' ({_bare(manual)})' if manual else ''}")
        elif name in ("uref", "url", "email"):
            parts = [_bare(part.strip()) for part in raw.split(",")]
            target = parts[0]
            self._out.links.add(f"mailto:{target}" if name == "email" else target, "hyperlink")
            shown = next((part for part in parts[2:3] + parts[1:2] if part), "")
            pieces.append(f"{shown} ({target})" if shown and len(parts) < 3 else shown or target)
        elif name == "value":
            pieces.append(self._values.get(raw.strip(), ""))
        elif name == "U" and re.fullmatch(r"[0-9a-fA-F]{1,6}", raw) and int(raw, 16) < 0xD800:
            pieces.append(chr(int(raw, 16)))
        return end


def _argument(text: str, position: int) -> tuple[str, int]:
    """What stands in the braces that are open here, and where it ends."""
    depth = 1
    for found in _ARGUMENT.finditer(text, position):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return text[position : found.start()], found.end()
    return text[position:], len(text)


def _bare(text: str) -> str:
    """An argument of a few words without the commands in it."""
    return re.sub(
        r"@([a-zA-Z]+\{|.)|[{}]", lambda found: found[1] if found[1] and len(found[1]) == 1 else "", text
    )


def _up_to(lines: Iterator[str], end: str) -> list[str]:
    found: list[str] = []
    for line in lines:
        if line.startswith(end):
            break
        found.append(line)
    return found


FORMATS = (Format("Texinfo", (mt.TEXINFO,), extract_texinfo, fallback=extract_plain),)
