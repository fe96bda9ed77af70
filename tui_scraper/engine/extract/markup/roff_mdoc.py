"""Manual pages in mdoc, the macro package of the BSDs: macros that say what a word is, not how it looks.

A line is one macro and its words, and among the words are macros again. They are read from left to right
into words and the spaces between them.
"""

from __future__ import annotations

import re
from typing import Final

from tui_scraper.engine.extract.markup.roff_characters import plain_text
from tui_scraper.engine.extract.markup.roff_requests import Requests, arguments
from tui_scraper.engine.extract.markup.structure import Structure

_WORDS: Final = frozenset(
    {
        "Ad", "An", "Ar", "Cd", "Cm", "Dv", "Em", "Er", "Ev", "Fa", "Fr", "Ft", "Hf", "Ic", "Li", "Lb",
        "Ms", "No", "Pa", "St", "Sx", "Sy", "Tn", "Va", "Vt", "Ux", "Bx", "Fx", "Nx", "Ox", "Dx", "Bsx",
        "At", "Xo", "Xc", "Bk", "Ek", "Bt", "Ud", "Es", "En", "Ef", "Bf", "Sm", "Tg", "Db", "Fd",
    }
)  # fmt: skip
_SYSTEMS: Final = {
    "Ux": "UNIX", "Bx": "BSD", "Fx": "FreeBSD", "Nx": "NetBSD", "Ox": "OpenBSD", "Dx": "DragonFly",
    "Bsx": "BSD/OS", "At": "AT&T UNIX",
}  # fmt: skip
_PAIRS: Final = {
    "Op": "[]", "Aq": "<>", "Bq": "[]", "Brq": "{}", "Pq": "()", "Dq": "“”", "Sq": "‘’", "Qq": '""',
    "Ql": "‘’",
}  # fmt: skip
_OPENS: Final = {
    "Oo": "[", "Ao": "<", "Bo": "[", "Bro": "{", "Po": "(", "Do": "“", "So": "‘", "Qo": '"', "Eo": "",
}  # fmt: skip
_CLOSES: Final = {
    "Oc": "]", "Ac": ">", "Bc": "]", "Brc": "}", "Pc": ")", "Dc": "”", "Sc": "’", "Qc": '"', "Ec": "",
}  # fmt: skip
_SILENT: Final = frozenset(("Bf", "Ef", "Bk", "Ek", "Sm", "Xo", "Xc", "Tg", "Db", "Es"))
_CALLABLE: Final = (
    _WORDS
    | set(_PAIRS)
    | set(_OPENS)
    | set(_CLOSES)
    | {"Fl", "Nm", "Xr", "Fn", "In", "Lk", "Mt", "Pf", "Ns", "Ap", "Ta"}
)
MDOC_MACROS: Final = _CALLABLE | frozenset(
    {
        "Sh", "Ss", "Dd", "Dt", "Os", "Pp", "Bl", "It", "El", "Bd", "Ed", "Dl", "D1", "Nd", "Rs", "Re",
        "Fo", "Fc",
    }
)  # fmt: skip
_CLOSING: Final = frozenset((".", ",", ":", ";", ")", "]", "?", "!"))
_OPENING: Final = frozenset(("(", "["))
_LISTS: Final = {
    "-bullet": "ul", "-dash": "ul", "-hyphen": "ul", "-enum": "ol", "-tag": "dl", "-hang": "dl",
    "-ohang": "dl", "-inset": "dl", "-diag": "dl", "-column": "table", "-item": "p",
}  # fmt: skip
_EXIT_STATUS: Final = "The {} utility exits 0 on success, and >0 if an error occurs."
_MAX_NESTED: Final = 100


class _Words:
    """Words with the spaces that mdoc puts between them; `spaced` is False after '.Sm off'."""

    def __init__(self, spaced: bool) -> None:
        self._pieces: list[str] = []
        self._spaced = spaced
        self.glued = False  # the next word follows without a space

    def add(self, word: str) -> None:
        if self._pieces and self._spaced and not self.glued:
            self._pieces.append(" ")
        self._pieces.append(word)
        self.glued = False

    def close(self, mark: str) -> None:
        """Add what stands close to the word before."""
        self._pieces.append(mark)
        self.glued = False

    def open(self, mark: str) -> None:
        """Add what stands close to the word after."""
        self.add(mark)
        self.glued = True

    def text(self) -> str:
        return "".join(self._pieces)


class Mdoc:
    """Macros of mdoc as structure."""

    def __init__(self, structure: Structure, strings: dict[str, str]) -> None:
        self._out = structure
        self._strings = strings
        self._name = ""
        self._lists: list[str] = []
        self._code: list[str] | None = None
        self._function: list[str] | None = None
        self._reference: list[str] | None = None
        self._glue_next = False
        self._in_synopsis = False
        self._spaced = True

    def run(self, requests: Requests) -> None:
        """Read the whole document."""
        for name, rest in requests:
            if name:
                self._macro(name, rest)
            else:
                self._line(rest)
            if self._out.is_full:
                break
        self._end_code()
        while self._lists:
            self._end_list()

    def _plain(self, text: str) -> str:
        return plain_text(text, self._strings)

    def _line(self, line: str) -> None:
        text = self._plain(line)
        if self._code is not None:
            self._code.append(text)
        elif text.strip():
            self._put(text)
        else:
            self._out.paragraph()

    def _put(self, text: str) -> None:
        if not text:
            return
        if self._code is not None:
            self._code.append(text)
            return
        glued, self._glue_next = self._glue_next, False
        self._out.text(text if glued or not self._spaced or text[:1] in _CLOSING else f" {text}")

    def _macro(self, name: str, rest: str) -> None:
        if name in ("Sh", "Ss"):
            self._end_code()
            while self._lists:
                self._end_list()
            heading = self._inline(arguments(rest))
            self._in_synopsis = heading.upper() == "SYNOPSIS"
            self._out.heading(2 if name == "Sh" else 3, heading)
        elif name == "Dt":
            words = [self._plain(word) for word in arguments(rest)]
            if words:
                self._out.title = f"{words[0].lower()}({words[1]})" if len(words) > 1 else words[0]
                self._out.heading(1, self._out.title)
        elif name in ("Pp", "Lp", "sp"):
            self._code.append("") if self._code is not None else self._out.paragraph()
        elif name == "br":
            self._out.line_break()
        elif name == "Bl":
            self._start_list(rest)
        elif name == "It":
            self._item(rest)
        elif name == "El":
            self._end_code()
            self._end_list()
        elif name == "Bd":
            self._end_code()
            if "-literal" in rest or "-unfilled" in rest:
                self._code = []
            else:
                self._out.paragraph()
        elif name == "Ed":
            self._end_code()
        elif name in ("Dl", "D1"):
            self._out.code(self._inline(arguments(rest)))
        elif name == "Sm":
            self._spaced = rest.strip() == "on" or (not rest.strip() and not self._spaced)
            self._glue_next = False
            self._out.text(" ")
        elif name == "Nd":
            self._put("– " + self._inline(arguments(rest)))
        elif name in ("Ex", "Rv"):
            self._put(_EXIT_STATUS.format(self._name) if name == "Ex" else "")
        elif name in ("Rs", "Re", "Fo", "Fc") or name.startswith("%"):
            self._collect(name, rest)
        elif name == "Fa" and self._function is not None:
            self._function.extend(self._plain(word) for word in arguments(rest))
        elif name in _CALLABLE:
            self._inline_macro(name, rest)

    def _inline_macro(self, name: str, rest: str) -> None:
        words = [name, *arguments(rest)]
        if self._in_synopsis and name in ("Nm", "Ft", "In", "Fd", "Vt") and self._code is None:
            self._out.line_break()
        if name == "Ns":
            self._glue_next = True
            words = words[1:]
        self._put(self._inline(words))

    def _collect(self, name: str, rest: str) -> None:
        """References (.Rs to .Re) and functions (.Fo to .Fc), whose parts come a line each."""
        words = self._inline(arguments(rest))
        if name == "Rs":
            self._reference = []
        elif name == "Re":
            self._put(", ".join(self._reference or ()) + ".")
            self._reference = None
        elif name.startswith("%"):
            if self._reference is None:
                self._put(words)
            else:
                self._reference.append(words)
        elif name == "Fo":
            self._function = [words]
        elif self._function is not None:
            self._put(f"{self._function[0]}({', '.join(self._function[1:])})")
            self._function = None

    def _start_list(self, rest: str) -> None:
        self._end_code()
        kind = next((found for option, found in _LISTS.items() if option in rest.split()), "dl")
        if len(self._lists) >= _MAX_NESTED:
            kind = "p"
        self._lists.append(kind)
        self._out.start(kind)

    def _end_list(self) -> None:
        if self._lists:
            self._out.end(self._lists.pop())

    def _item(self, rest: str) -> None:
        self._end_code()
        kind = self._lists[-1] if self._lists else "p"
        if kind in ("ul", "ol"):
            self._out.start("li")
            self._put(self._inline(arguments(rest)))
        elif kind == "dl":
            self._out.start("dt")
            self._put(self._inline(arguments(rest)))
            self._out.end("dt")
            self._out.start("dd")
        elif kind == "table":
            self._out.start("tr")
            cells = rest.split("\t") if "\t" in rest else re.split(r"[ \t]Ta(?:[ \t]|$)", rest)
            for cell in cells:
                self._out.start("td")
                self._put(self._inline(arguments(cell)))
            # What follows on later lines belongs to the last cell.
        else:
            self._out.paragraph()
            self._put(self._inline(arguments(rest)))

    def _end_code(self) -> None:
        if self._code is not None:
            lines, self._code = self._code, None
            self._out.code("\n".join(lines))

    def _inline(self, words: list[str]) -> str:
        """The words of a line, with the macros among them carried out."""
        line = _Words(self._spaced)
        pending: list[str] = []  # marks that end with the line
        position = 0
        while position < len(words):
            word = words[position]
            position += 1
            if word in _PAIRS:
                line.open(_PAIRS[word][0])
                pending.append(_PAIRS[word][1])
            elif word in _OPENS:
                line.open(_OPENS[word])
            elif word in _CLOSES:
                line.close(_CLOSES[word])
            elif word in ("Ns", "Ap"):
                if word == "Ap":
                    line.close("'")
                line.glued = True
            elif word == "Pf":
                line.open(self._plain(words[position]) if position < len(words) else "")
                position += 1
            elif word in _CALLABLE and word not in _SILENT:
                position = self._call(word, words, position, line)
            elif word not in _SILENT:
                self._word(word, line, pending if position == len(words) else [])
        for mark in reversed(pending):
            line.close(mark)
        return line.text()

    def _word(self, word: str, line: _Words, pending: list[str]) -> None:
        if word in _CLOSING:
            while pending:  # the last point stands outside the quotes
                line.close(pending.pop())
            line.close(word)
        elif word in _OPENING:
            line.open(word)
        else:
            line.add(self._plain(word))

    def _call(self, name: str, words: list[str], position: int, line: _Words) -> int:
        """Carry out one macro and the words that belong to it; returns where the next one stands."""
        own: list[str] = []
        while position < len(words) and words[position] not in _CALLABLE and words[position] not in _CLOSING:
            own.append(self._plain(words[position]))
            position += 1
        if name == "Fl":
            for word in own or [""]:
                line.add("-" + word)
            line.glued = not own
        elif name == "Nm":
            self._name = self._name or " ".join(own)
            line.add(" ".join(own) or self._name)
        elif name == "Ar":
            line.add(" ".join(own) or "file ...")
        elif name == "Xr":
            line.add(f"{own[0]}({own[1]})" if len(own) > 1 else " ".join(own))
        elif name == "Fn":
            line.add(f"{own[0]}({', '.join(own[1:])})" if own else "")
        elif name == "In":
            line.add(f"<{' '.join(own)}>")
        elif name in ("Lk", "Mt"):
            self._out.links.add(("mailto:" if name == "Mt" else "") + own[0] if own else "", "hyperlink")
            line.add(" ".join([*own[1:], *own[:1]]))
        elif name in _SYSTEMS:
            line.add(" ".join([_SYSTEMS[name], *own]))
        elif name == "An":
            line.add(" ".join(word for word in own if word not in ("-split", "-nosplit")))
        elif own:
            line.add(" ".join(own))
        return position
