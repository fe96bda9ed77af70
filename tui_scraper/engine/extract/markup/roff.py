"""Manual pages (man and mdoc) and other roff: read as text, never run.

roff is a programming language; what makes a page readable is a small part of it. Macros of the man and
mdoc packages become headings, lists, tables and code. Definitions, loops and arithmetic are left out,
of a condition the branch for terminals is taken, and strings are replaced one level deep, so that
a page costs time in proportion to its length whatever it asks for.
"""

from __future__ import annotations

import re
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.markup.roff_characters import plain_text
from tui_scraper.engine.extract.markup.roff_mdoc import MDOC_MACROS, Mdoc
from tui_scraper.engine.extract.markup.roff_requests import Requests, arguments
from tui_scraper.engine.extract.markup.structure import Structure
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.settings import CleanSettings

_IS_MDOC = re.compile(r"^\.[ \t]*(?:Dd|Dt|Sh)\b", re.MULTILINE)
_IS_MAN = re.compile(r"^[.'][ \t]*(?:TH|SH|TL)\b", re.MULTILINE)
_TABLE_TAB = re.compile(r"\btab[ \t]*\((.)\)")
_NUMBERED = re.compile(r"\(?[0-9a-zA-Z]{1,2}[.)]")
_MAX_INDENTS: Final = 100

_FONTS: Final = frozenset(("B", "I", "R", "SM", "SB", "CW", "C", "L"))
_ALTERNATING: Final = frozenset(("BI", "BR", "IB", "IR", "RB", "RI", "CB", "BC", "CI", "IC", "LR", "RL"))
_PARAGRAPHS: Final = frozenset(("PP", "P", "LP", "sp", "Sp", "HP", "bp", "QP", "XP", "pp", "lp"))
_STARTS_CODE: Final = frozenset(("nf", "EX", "Vb", "CS", "DS", "EQ", "Ds"))
_ENDS_CODE: Final = frozenset(("fi", "EE", "Ve", "CE", "DE", "EN", "De"))
_LINKS: Final = {"UR": "", "MT": "mailto:", "URL": ""}
_SILENT: Final = frozenset(
    {
        "AT", "BS", "BE", "DT", "IX", "IN", "PD", "PM", "PS", "PE", "UC", "UE", "ME", "YS", "TA", "TE",
        "VS", "VE", "ad", "af", "am", "as", "bd", "brp", "ce", "cc", "cs", "cu", "da", "di", "do", "ds",
        "ec", "el", "em", "eo", "ev", "ex", "fc", "fl", "fp", "ft", "fz", "hc", "hw", "hy", "in", "it",
        "lc", "lg", "ll", "ls", "lt", "mc", "mk", "na", "ne", "nh", "nm", "nn", "nr", "ns", "nx", "os",
        "pc", "pi", "pl", "pm", "pn", "po", "ps", "rd", "rj", "rm", "rn", "rr", "rs", "rt", "so", "ss",
        "sv", "ta", "tc", "ti", "tl", "tm", "tr", "uf", "ul", "vs", "wh", "zY", "zZ", "hla", "hlm",
        "hcode", "hpf", "kern", "warn", "ASCII", "color", "defcolor", "fam", "ftr", "psbb", "RP", "ND",
        "OH", "EH", "OF", "EF", "P1", "P2", "1C", "2C", "AB", "AE", "KS", "KE", "KF", "FS", "FE",
    }
)  # fmt: skip

_OTHERS: Final = frozenset(
    {
        "SH", "SS", "NH", "TH", "TL", "sh", "TP", "TQ", "IP", "bP", "RS", "RE", "TS", "OP", "SY", "AP", "so",
        "br",
    }
)  # fmt: skip
_MACROS: Final = (
    _FONTS | _ALTERNATING | _PARAGRAPHS | _STARTS_CODE | _ENDS_CODE | _SILENT | _OTHERS | set(_LINKS)
)


def extract_roff(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """A manual page as text with headings, lists, tables and code."""
    text = decode(data).replace("\r\n", "\n")
    if (
        not _IS_MDOC.search(text)
        and not _IS_MAN.search(text)
        and not text.startswith((".so ", "'\\\"", '.\\"'))
    ):
        return extract_plain(data, media_type, settings)
    structure = Structure(settings.max_chars)
    text = text.replace("\\\n", "")
    if _IS_MDOC.search(text):
        requests = Requests(text, MDOC_MACROS)
        Mdoc(structure, requests.strings).run(requests)
    else:
        requests = Requests(text, _MACROS)
        _Man(structure, requests.strings).run(requests)
    return structure.extracted()


class _Man:
    """Macros of the man package (and the simple ones of ms) as structure."""

    def __init__(self, structure: Structure, strings: dict[str, str]) -> None:
        self._out = structure
        self._strings = strings
        self._lists: list[str] = [""]  # the open list ('ul', 'ol' or 'dl') of each level of indentation
        self._code: list[str] | None = None
        self._expects = ""  # 'term' or a heading: what the next line of text is for
        self._sections = 2
        self._table: list[str] | None = None

    def run(self, requests: Requests) -> None:
        """Read the whole document."""
        for name, rest in requests:
            if self._table is not None:
                self._table_line(name, rest)
            elif name:
                self._macro(name, rest)
            else:
                self._line(rest)
            if self._out.is_full:
                break
        if self._table is not None:
            self._end_table()
        self._end_code()

    def _plain(self, text: str) -> str:
        return plain_text(text, self._strings)

    def _words(self, rest: str) -> list[str]:
        return [self._plain(word) for word in arguments(rest)]

    def _line(self, line: str) -> None:
        text = self._plain(line)
        if self._code is not None:
            self._code.append(text)
            return
        if not text.strip():
            if not line.strip() and not self._expects:
                self._out.paragraph()
            return
        bare = text.strip()
        if line.endswith("\\c") and (bare in ("•", "·", "o", "-") or _NUMBERED.fullmatch(bare)):
            self._item(bare)  # how DocBook's stylesheets write a list for terminals
            return
        if line[:1] in (" ", "\t") and not self._expects:
            self._out.line_break()
        self._put(text, "" if line.endswith("\\c") else " ")

    def _put(self, text: str, end: str = " ") -> None:
        """Add text to what is being read: a term, a heading or a paragraph."""
        if self._code is not None:
            self._code.append(text)
            return
        self._out.text(text + end)
        if self._expects == "term" and end:
            self._out.end("dt")
            self._out.start("dd")
            self._expects = ""
        elif self._expects and self._expects != "term":
            self._out.end(self._expects)
            self._expects = ""

    def _macro(self, name: str, rest: str) -> None:
        if name in _FONTS:
            self._put(" ".join(self._words(rest)) if rest else "", " ") if rest else None
        elif name in _ALTERNATING:
            self._put("".join(self._words(rest)))
        elif name in _PARAGRAPHS:
            self._paragraph(name)
        elif name == "br":
            self._out.line_break() if self._code is None else None
        elif name in ("SH", "SS", "NH", "TH", "TL", "sh"):
            self._heading(name, rest)
        elif name in ("TP", "TQ", "IP"):
            self._end_code()
            self._labelled(name, self._words(rest))
        elif name in ("bP", "BP", "BU", "Bu"):
            self._item("•")
        elif name in ("RS", "RE"):
            self._end_code()
            self._indent(name)
        elif name in _STARTS_CODE:
            self._end_code()
            self._code = []
        elif name in _ENDS_CODE:
            self._end_code()
        elif name == "TS":
            self._end_code()
            self._table = []
        elif name in _LINKS or name == "so":
            self._link(name, self._words(rest))
        elif name == "OP":
            self._put(f"[{' '.join(self._words(rest))}]")
        elif name == "SY":
            self._out.line_break()
            self._put(" ".join(self._words(rest)))
        elif name == "AP":  # of Tcl's manual: type, name, direction
            self._list("dl")
            self._out.start("dt")
            self._expects = "term"
            self._put(" ".join(self._words(rest)))
        elif name not in _SILENT and rest:
            self._put(" ".join(self._words(rest)))

    def _paragraph(self, name: str) -> None:
        if self._code is not None:
            self._code.append("")
            return
        if name not in ("sp", "Sp", "bp"):
            self._list("")
        self._out.paragraph()

    def _heading(self, name: str, rest: str) -> None:
        self._end_code()
        while len(self._lists) > 1:
            self._indent("RE")
        self._list("")
        self._end_term()
        words = self._words(rest)
        if name == "TH":
            self._out.title = f"{words[0]}({words[1]})" if len(words) > 1 else " ".join(words)
            self._out.heading(1, self._out.title)
            return
        level = {"SH": 2, "SS": 3, "TL": 1}.get(name, 2)
        if name in ("NH", "sh"):
            level = int(words[0]) + 1 if words and words[0].isdecimal() and len(words[0]) == 1 else 2
            words = words[1:] if name == "sh" else []
        if words:
            self._out.heading(level, " ".join(words))
        else:
            self._expects = f"h{min(level, 6)}"
            self._out.start(self._expects)

    def _labelled(self, name: str, words: list[str]) -> None:
        """A paragraph with a label: a term, a bullet or a number."""
        if name != "IP":
            self._end_term()
            self._list("dl")
            self._out.start("dt")
            self._expects = "term"
            return
        label = words[0].strip() if words else ""
        if not label:
            self._out.paragraph()
        elif label in ("•", "·", "o", "*", "-", "—", "–", "□", "○", "+") or _NUMBERED.fullmatch(label):
            self._item(label)
        else:
            self._list("dl")
            self._out.start("dt")
            self._out.text(label)
            self._out.end("dt")
            self._out.start("dd")

    def _item(self, label: str) -> None:
        number = label.strip("().")
        if number.isdecimal():
            self._list("ol", f' start="{number}"')
        else:
            self._list("ul")
        self._out.start("li")
        if number.isalpha() and number not in ("o", "•"):
            self._out.text(label + " ")

    def _list(self, kind: str, attributes: str = "") -> None:
        """Have a list of this kind open at this level of indentation; '' for none."""
        if self._lists[-1] == kind:
            return
        if self._lists[-1]:
            self._out.end(self._lists[-1])
        self._lists[-1] = kind
        if kind:
            self._out.start(kind, attributes)

    def _indent(self, name: str) -> None:
        self._end_term()
        if name == "RS":
            if len(self._lists) < _MAX_INDENTS:
                self._lists.append("")
        elif len(self._lists) > 1:
            self._list("")
            self._lists.pop()
        self._out.paragraph()

    def _end_term(self) -> None:
        if self._expects:
            self._out.end("dt" if self._expects == "term" else self._expects)
            self._expects = ""

    def _end_code(self) -> None:
        if self._code is None:
            return
        lines, self._code = self._code, None
        self._end_term()
        self._out.code("\n".join(lines))

    def _link(self, name: str, words: list[str]) -> None:
        if not words:
            return
        if name == "so":
            self._out.links.add(words[0], "include")
            return
        self._out.links.add(_LINKS[name] + words[0], "hyperlink")
        self._put(" ".join(words))

    def _table_line(self, name: str, rest: str) -> None:
        if name == "TE":
            self._end_table()
        elif self._table is not None:
            if not name:
                self._table.append(rest)
            elif name == "T&":
                self._table.append(".T&")
            elif name in _FONTS:
                self._table.append(" ".join(self._words(rest)))
            elif name in _ALTERNATING:
                self._table.append("".join(self._words(rest)))
            elif name in ("br", "sp", "PP", "IP"):
                self._table.append(" ")

    def _end_table(self) -> None:
        rows, self._table = table_rows(self._table or [], self._strings), None
        if rows:
            self._out.table(rows)


def table_rows(lines: list[str], strings: dict[str, str]) -> list[list[str]]:
    """The cells of a table as tbl(1) reads it, without its rules and its columns' formats."""
    tab = "\t"
    if lines and lines[0].rstrip().endswith(";"):
        found = _TABLE_TAB.search(lines[0])
        tab = found[1] if found else tab
        lines = lines[1:]
    rows: list[list[str]] = []
    block: list[str] | None = None  # the lines of a T{ ... T} cell
    row: list[str] = []
    in_format = True
    for line in lines:
        if in_format:
            in_format = not line.rstrip().endswith(".")
            continue
        if block is None and line == ".T&":
            in_format = True
            continue
        rest = line
        if block is not None:
            if not line.startswith("T}"):
                block.append(line)
                continue
            row.append(" ".join(block))
            block = None
            rest = line[2:].removeprefix(tab)
            if not line[2:].startswith(tab):
                rest = ""
                rows.append(row)
                row = []
                continue
        cells = rest.split(tab)
        if cells[-1].strip() == "T{":
            row.extend(cells[:-1])
            block = []
            continue
        row.extend(cells)
        rows.append(row)
        row = []
    rows.extend([row] if row else [])
    clean = [[_cell(cell, strings) for cell in row] for row in rows]
    return [row for row in clean if any(row)]


def _cell(cell: str, strings: dict[str, str]) -> str:
    bare = cell.strip()
    if bare in ("_", "=", "\\_", "\\=", "\\^"):
        return ""
    return " ".join(plain_text(bare, strings).split())


FORMATS = (Format("manual pages", (mt.ROFF,), extract_roff, fallback=extract_plain),)
