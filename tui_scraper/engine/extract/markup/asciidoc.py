"""AsciiDoc: titles, lists, code and tables as Markdown; what only a processor reads left out."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.markup.fences import fenced
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.extract.tables import markdown_table
from tui_scraper.engine.settings import CleanSettings

_TITLE = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*?)(?:[ \t]+\1)?[ \t]*$")
_UNDERLINE = re.compile(r"([=\-~^+])\1{2,}[ \t]*$")
_ATTRIBUTE = re.compile(r":!?([\w][\w-]{0,60})!?:(?:[ \t]+(.*)|$)")
_ATTRIBUTE_LIST = re.compile(r"\[[^\]\n]*\][ \t]*$")
_SOURCE = re.compile(r"\[(?:source|listing)?%?[\w-]*,[ \t]*([\w+#-]{1,20})")
_DELIMITER = re.compile(r"(?:-{4,}|\.{4,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|--|```\w*|~{4,})[ \t]*$")
_MACRO = re.compile(
    r"(image|include|video|audio|ifdef|ifndef|ifeval|endif|toc)::?([^\[\s]{0,900})\[([^\]\n]{0,900})\][ \t]*$"
)
_ITEM = re.compile(r"[ \t]*(\*{1,6}|-|\.{1,6})[ \t]+(\S.*)")
_TERM = re.compile(r"[ \t]*(\S.{0,400}?)(?:::{1,3}|;;)(?:[ \t]+(\S.*)|[ \t]*$)")
_BLOCK_TITLE = re.compile(r"\.(?=[^\s.])(.*)")
_TABLE = re.compile(r"([|,:!])={3,}[ \t]*$")
_LINK = re.compile(
    r"(?:link:)?((?:https?|ftp|irc|mailto):[^\s\[\]<>]{1,1000})(?:\[([^\]\n]{0,500})\])?|link:([^\s\[\]]{1,1000})\[([^\]\n]{0,500})\]"
)
_REFERENCE = re.compile(
    r"<<([^<>,\n]{1,200})(?:,([^<>\n]{1,300}))?>>|xref:([^\s\[\]]{1,300})\[([^\]\n]{0,300})\]"
)
_ANCHOR = re.compile(
    r"\[\[[^\]\n]{0,200}\]\]|\[#[\w-]{1,100}\]|(?:indexterm2?|anchor):[^\[\s]{0,100}\[[^\]\n]{0,200}\]"
)
_INLINE_IMAGE = re.compile(r"image:([^:\s\[\]]{1,500})\[([^\]\n]{0,300})\]")
_FORMATTED = re.compile(
    r"(?<![\w*_`#])(\*\*|__|``|\+\+)(?=\S)([^*_`+\n]{1,500}?)\1|\[\.?[\w. -]{1,60}\]#([^#\n]{1,300})#"
)
_CELL = re.compile(r"(?:^|(?<=\s))(?:(?:\d+\*)|(?:\d*\.?\d+\+))?[<^>]?(?:\.[<^>])?[adehlmsv]?\|")
_SOURCE_DELIMITERS: Final = ("-", ".", "`", "~", "+")
_SECTION_MARKS: Final = "=-~^+"


def extract_asciidoc(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an AsciiDoc document."""
    lines = decode(data).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    reader = _Reader(lines)
    reader.read()
    found = Extracted(text="\n".join(reader.out), title=reader.title or None, links=reader.links.as_list())
    return found if found.text.strip() else extract_plain(data, media_type, settings)


class _Reader:
    """One pass over the lines of a document."""

    def __init__(self, lines: list[str]) -> None:
        self.out: list[str] = []
        self.title = ""
        self.links = Links()
        self._lines = lines
        self._position = 0
        self._language = ""
        self._seen = Counter(line.rstrip() for line in lines if _DELIMITER.match(line))
        self._last = {line.rstrip(): number for number, line in enumerate(lines) if _DELIMITER.match(line)}
        self._last.update({line.rstrip(): number for number, line in enumerate(lines) if _TABLE.match(line)})
        self._numbers = [0] * 7

    def read(self) -> None:
        """Read all lines."""
        while self._position < len(self._lines):
            line = self._lines[self._position]
            self._position += 1
            if not line.strip():
                self.out.append("")
            elif not self._block(line) and not self._silent(line) and not self._titles(line):
                self._text(line)

    def _silent(self, line: str) -> bool:
        """What a reader does not see: comments, attributes, conditions, anchors."""
        first = line[0]
        if first == "/" and line.startswith("//"):
            return True
        if first == ":":
            return _ATTRIBUTE.match(line) is not None
        if first == "[":
            if _ATTRIBUTE_LIST.match(line) is None:
                return False
            source = _SOURCE.match(line)
            self._language = source[1] if source else ""
            return True
        macro = _MACRO.match(line)
        if macro:
            self._macro(macro)
            return True
        bare = line.rstrip()
        return bare in ("+", "<<<", "---", "***") or (len(bare) > 2 and bare == "'" * len(bare))

    def _macro(self, macro: re.Match[str]) -> None:
        name, target, words = macro[1], macro[2], macro[3]
        if name in ("image", "include", "video", "audio"):
            self.links.add(target, "image" if name == "image" else "include")
        if name == "image":
            alternative = words.partition(",")[0].strip().strip('"')
            if " " in alternative:
                self.out.append(alternative)
        elif name.startswith("if") and words:
            self.out.append(self._inline(words))

    def _titles(self, line: str) -> bool:
        """A section's title, on one line or underlined, or the title of a block."""
        found = _TITLE.match(line) if line[0] in "=#" else None
        if found:
            self._heading(len(found[1]), found[2])
            return True
        below = self._lines[self._position] if self._position < len(self._lines) else ""
        before = self.out[-1] if self.out else ""
        if not before and _UNDERLINE.match(below) and line[0].isalnum():
            mark = below.rstrip()
            if abs(len(mark) - len(line.rstrip())) <= 1:
                self._position += 1
                self._heading(_SECTION_MARKS.index(mark[0]) + 1, line.strip())
                return True
        found = _BLOCK_TITLE.match(line)
        if found:
            self.out.extend((self._inline(found[1]), ""))
            return True
        return False

    def _heading(self, level: int, words: str) -> None:
        words = self._inline(words)
        self.title = self.title or words
        self.out.extend(("", f"{'#' * level} {words}", ""))

    def _block(self, line: str) -> bool:
        """A block between two lines of the same marks. One that does not end is ordinary text."""
        mark = line.rstrip()
        if _TABLE.match(mark):
            if self._last.get(mark, -1) >= self._position:
                self._table(mark)
                return True
            return False
        if not _DELIMITER.match(mark):
            return False
        if mark[0] in "=*_" or mark == "--":
            if self._seen[mark] < 2:
                return False
            self.out.append("")  # the marks of an example, a quote or an aside; what is in it is read on
            return True
        end = "```" if mark.startswith("```") else mark
        if self._last.get(end, -1) < self._position:
            return False
        if mark[0] in _SOURCE_DELIMITERS:
            body = self._up_to(end)
            self.out.extend(("", fenced("\n".join(body), self._language or mark.strip("`-.~+")), ""))
        else:
            self._up_to(end)
        self._language = ""
        return True

    def _up_to(self, end: str) -> list[str]:
        start = self._position
        while self._position < len(self._lines) and self._lines[self._position].rstrip() != end:
            self._position += 1
        self._position += 1
        return self._lines[start : self._position - 1]

    def _table(self, mark: str) -> None:
        lines = self._up_to(mark)
        if mark[0] != "|":
            separator = "," if mark[0] == "," else ":"
            rows = [
                [self._inline(cell.strip()) for cell in line.split(separator)]
                for line in lines
                if line.strip()
            ]
        else:
            rows = self._rows(lines)
        if rows:
            self.out.extend(("", markdown_table(rows), ""))

    def _rows(self, lines: list[str]) -> list[list[str]]:
        """Rows of cells: as many cells a row as stand on the first line that has any."""
        cells: list[str] = []
        columns = 0
        for line in lines:
            pieces = _CELL.split(line.replace("\\|", "\0"))
            if pieces[0].strip() and cells:
                cells[-1] += " " + pieces[0].strip()
            if len(pieces) > 1:
                columns = columns or len(pieces) - 1
                cells.extend(piece.strip() for piece in pieces[1:])
        cells = [self._inline(cell.replace("\0", "|")) for cell in cells]
        return [cells[at : at + columns] for at in range(0, len(cells), columns)] if columns else []

    def _text(self, line: str) -> None:
        item = _ITEM.match(line)
        if item:
            mark = item[1]
            level = len(mark) if mark[0] in "*." else 1
            if mark[0] == ".":
                self._numbers[level] += 1
                self._numbers[level + 1 :] = [0] * (6 - level)
                lead = f"{self._numbers[level]}. "
            else:
                lead = "- "
            self.out.append("  " * (level - 1) + lead + self._inline(item[2]))
            return
        if line[0] not in " \t":
            self._numbers = self._numbers if self.out and self.out[-1] else [0] * 7
        term = _TERM.match(line)
        if term and "://" not in term[1]:
            self.out.append(self._inline(term[1]))
            if term[2]:
                self.out.append(": " + self._inline(term[2]))
            return
        self.out.append(self._inline(line).removesuffix(" +"))

    def _inline(self, text: str) -> str:
        if "[" in text or "://" in text or "<<" in text:
            text = _INLINE_IMAGE.sub(self._image, text)
            text = _LINK.sub(self._link, text)
            text = _REFERENCE.sub(_reference, text)
            text = _ANCHOR.sub("", text)
        if "**" in text or "__" in text or "``" in text or "++" in text or "]#" in text:
            text = _FORMATTED.sub(lambda found: found[2] or found[3] or "", text)
        return text

    def _image(self, match: re.Match[str]) -> str:
        self.links.add(match[1], "image")
        return match[2].partition(",")[0]

    def _link(self, match: re.Match[str]) -> str:
        target = match[1] or match[3]
        label = (match[2] or match[4] or "").strip().strip('"').removesuffix("^")
        if match[2] is None and match[4] is None:
            bare = target.rstrip(".,;:!?)")
            self.links.add(bare, "hyperlink")
            return match[0]
        self.links.add(target, "hyperlink")
        return label.partition(",")[0] if "=" in label else label or target.removeprefix("mailto:")


def _reference(match: re.Match[str]) -> str:
    return (match[2] or match[4] or match[1] or match[3] or "").strip()


FORMATS = (Format("AsciiDoc", (mt.ASCIIDOC,), extract_asciidoc, fallback=extract_plain),)
