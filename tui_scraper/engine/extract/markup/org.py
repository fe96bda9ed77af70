"""Org-mode: headings, code and tables as Markdown; what only Emacs reads left out."""

from __future__ import annotations

import re
import textwrap
from bisect import bisect_left
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.markup.fences import fenced
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.extract.tables import markdown_table
from tui_scraper.engine.settings import CleanSettings

_HEADING = re.compile(r"(\*+)[ \t]+(\S.*)")
_BLOCK = re.compile(r"[ \t]*#\+begin_(\w+)(?:[ \t]+([\w+#-]+))?", re.IGNORECASE)
_KEYWORD = re.compile(r"[ \t]*#\+(\w+)(?:\[[^\]]{0,200}\])?:[ \t]*(.*)")
_DRAWER = re.compile(r"[ \t]*:[\w-]{1,60}:[ \t]*$")
_DRAWER_END = re.compile(r"[ \t]*:end:[ \t]*$", re.IGNORECASE)
_COMMENT = re.compile(r"[ \t]*#(?:[ \t]|$)")
_FIXED = re.compile(r"[ \t]*:(?: (.*)|$)")
_LINE = re.compile(r"-{5,}[ \t]*$")
_RULE = re.compile(r"[ \t]*\|-")
_LINK = re.compile(r"\[\[([^\[\]\n]{1,2000})\](?:\[([^\[\]\n]{1,2000})\])?\]")
_TARGET = re.compile(r"<<<?[^<>\n]{1,200}>>>?")
_URL = re.compile(r"(?:https?|ftp|mailto|file|id|doi):|[./~]")
_KEPT_KEYWORDS: Final = frozenset(("author", "date", "subtitle", "caption", "description"))
_CODE: Final = frozenset(("src", "example", "export", "verse", "latex", "html", "ascii"))
_MAX_DRAWER_LINES: Final = 500


def extract_org(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an Org file."""
    lines = decode(data).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    reader = _Reader(lines)
    reader.read()
    found = Extracted(
        text="\n".join(reader.out),
        title=reader.title or reader.first_heading or None,
        links=reader.links.as_list(),
    )
    return found if found.text.strip() else extract_plain(data, media_type, settings)


class _Reader:
    """One pass over the lines of a file."""

    def __init__(self, lines: list[str]) -> None:
        self.out: list[str] = []
        self.title = ""
        self.first_heading = ""
        self.links = Links()
        self._lines = lines
        self._position = 0
        self._last_end = _last_lines(lines)
        self._drawer_ends = [number for number, line in enumerate(lines) if _DRAWER_END.match(line)]

    def read(self) -> None:
        """Read all lines."""
        while self._position < len(self._lines):
            line = self._lines[self._position]
            self._position += 1
            if line[:1] == "*" and (heading := _HEADING.match(line)):
                level = min(len(heading[1]) + bool(self.title), 6)
                words = self._inline(heading[2])
                self.first_heading = self.first_heading or words
                self.out.extend(("", f"{'#' * level} {words}", ""))
                continue
            bare = line.lstrip()
            if bare[:2] == "#+":
                self._keyword(line)
            elif (bare[:1] == "#" and _COMMENT.match(line)) or (bare[:1] == ":" and self._colon(line)):
                continue
            elif bare[:1] == "|":
                self._table()
            elif not bare.startswith("CLOCK:") and not _LINE.match(bare):
                self.out.append(self._inline(line).removesuffix("\\\\"))

    def _keyword(self, line: str) -> None:
        block = _BLOCK.match(line)
        if block:
            self._block(block[1].lower(), block[2] or "")
            return
        keyword = _KEYWORD.match(line)
        if keyword is None:
            self.out.append("")  # the end of a quotation
            return
        name, value = keyword[1].lower(), keyword[2].strip()
        if name == "title" and value:
            self.out.extend((f"# {self._inline(value)}", ""))
            self.title = self.title or self._inline(value)
        elif name == "include":
            self.links.add(value.partition(" ")[0].strip('"'), "include")
        elif name in _KEPT_KEYWORDS and value:
            self.out.extend((self._inline(value), ""))

    def _block(self, kind: str, language: str) -> None:
        """A block up to its end; one without an end is ordinary text."""
        end = f"#+end_{kind}"
        if kind not in _CODE and kind != "comment":
            self.out.append("")  # a quotation, or text that is centred: what is in it is read on
            return
        if self._last_end.get(end, -1) < self._position:
            return
        start = self._position
        while self._lines[self._position].strip().lower() != end:
            self._position += 1
        body = self._lines[start : self._position]
        self._position += 1
        if kind != "comment":
            code = textwrap.dedent("\n".join(body))
            self.out.extend(("", fenced(code, language if kind == "src" else ""), ""))

    def _colon(self, line: str) -> bool:
        """A drawer, which is left out, or a line that is kept as it is written."""
        if _DRAWER.match(line):
            end = bisect_left(self._drawer_ends, self._position)
            at = self._drawer_ends[end] if end < len(self._drawer_ends) else len(self._lines)
            if at - self._position < _MAX_DRAWER_LINES and at < len(self._lines):
                self._position = at + 1
                return True
        fixed = _FIXED.match(line)
        if fixed is None:
            return False
        body = [fixed[1] or ""]
        while self._position < len(self._lines):
            fixed = _FIXED.match(self._lines[self._position])
            if fixed is None:
                break
            body.append(fixed[1] or "")
            self._position += 1
        self.out.extend(("", fenced("\n".join(body)), ""))
        return True

    def _table(self) -> None:
        self._position -= 1
        rows: list[list[str]] = []
        while self._position < len(self._lines):
            line = self._lines[self._position].strip()
            if line[:1] != "|":
                break
            self._position += 1
            if not _RULE.match(line):
                cells = line.strip("|").split("|")
                rows.append([self._inline(cell.strip()) for cell in cells])
        if rows:
            self.out.extend(("", markdown_table(rows), ""))

    def _inline(self, line: str) -> str:
        if "[[" in line:
            line = _LINK.sub(self._link, line)
        if "<<" in line:
            line = _TARGET.sub("", line)
        return line

    def _link(self, match: re.Match[str]) -> str:
        target, label = match[1], match[2]
        if _URL.match(target):
            kind = (
                "image"
                if label is None and re.search(r"\.(?:png|jpe?g|gif|svg|webp)$", target)
                else "hyperlink"
            )
            self.links.add(target.removeprefix("file:"), kind)
        return label or target.removeprefix("file:")


def _last_lines(lines: list[str]) -> dict[str, int]:
    """Where the last end of each kind of block stands."""
    return {line.strip().lower(): number for number, line in enumerate(lines) if "#+" in line}


FORMATS = (Format("Org-mode", (mt.ORG,), extract_org, fallback=extract_plain),)
