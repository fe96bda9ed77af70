"""reStructuredText: titles as Markdown headings, code fenced, directives and roles as the words they hold.

Only what is sure is changed. A table, a list or a line that no rule here is certain about stays as it is
written, which reads well enough.
"""

from __future__ import annotations

import re
import textwrap
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.markup.fences import fenced
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.settings import CleanSettings

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}[ \t]*$")
_EXPLICIT = re.compile(r"[ \t]*\.\.(?:[ \t]+(.*)|[ \t]*$)")
_DIRECTIVE = re.compile(r"(?:\|[^|\n]{1,200}\|[ \t]+)?([\w+:.-]{1,60})::(?:[ \t]+(.*)|$)")
_TARGET = re.compile(r"_(?:`[^`\n]{1,300}`|[^:`\n]{1,300}):(?:[ \t]+(.*)|$)")
_FOOTNOTE = re.compile(r"\[([#*\w.-]{1,60})\](?:[ \t]+|$)")
_FIELD = re.compile(r"([ \t]*):([^:\s`][^:\n`]{0,100}):(?:[ \t]+(.*)|$)")
_ROLE = re.compile(r"(?<![\w`]):(?:[a-zA-Z][\w.+-]{0,40}:){1,4}`([^`\n]{1,500})`")
_LITERAL = re.compile(r"``([^`\n]|[^`\n][^\n]{0,500}?[^`\n])``(?!`)")
_REFERENCE = re.compile(r"`([^`<>\n]{0,300}?)[ \t]*<([^`<>\n]{1,2000})>`__?|`([^`\n]{1,300})`__?")
_TABLE_BORDER = re.compile(r"[ \t]*=+(?: +=+)+[ \t]*$")
_ESCAPED = re.compile(r"\\([^\w\s])|\\ ")
_URL = re.compile(r"(?:https?|ftp|mailto):")
_CODE: Final = frozenset(
    {
        "code", "code-block", "sourcecode", "literalinclude", "parsed-literal", "highlight-code",
        "prompt", "doctest", "testcode", "testoutput", "testsetup", "productionlist", "ipython",
        "console", "mermaid", "graphviz", "digraph", "plantuml", "jupyter-execute", "command-output",
        "program-output", "math",
    }
)  # fmt: skip
_NOTES: Final = frozenset(
    {
        "note", "warning", "tip", "important", "caution", "danger", "error", "hint", "attention",
        "seealso", "todo", "deprecated",
    }
) | {"versionadded", "versionchanged", "version-added", "version-changed"}  # fmt: skip
_SILENT: Final = frozenset(
    {
        "contents", "sectnum", "section-numbering", "index", "highlight", "default-role", "role",
        "currentmodule", "meta", "target-notes", "tabularcolumns", "raw", "header", "footer", "include",
        "image", "title", "default-domain", "rst-class", "class-name", "acks",
    }
)  # fmt: skip
_FILES: Final = {"include": "include", "literalinclude": "include", "image": "image", "figure": "image"}
_MAX_NESTED: Final = 20


def extract_rst(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of a reStructuredText document."""
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    reader = _Reader()
    reader.read(text.expandtabs(8).split("\n"), 0)
    found = Extracted(text="\n".join(reader.out), title=reader.title or None, links=reader.links.as_list())
    return found if found.text.strip() else extract_plain(data, media_type, settings)


class _Reader:
    """Reads lines; the bodies of directives are read the same way, a level deeper."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.title = ""
        self.links = Links()
        self._no_more_tables = False
        self._styles: list[str] = []  # the adornments met so far: the first is the highest level

    def read(self, lines: list[str], depth: int) -> None:
        """Read these lines."""
        position = 0
        while position < len(lines):
            line = lines[position]
            position += 1
            if not line.strip():
                self.out.append("")
                continue
            taken = self._title(lines, position - 1, depth) or self._table(lines, position - 1)
            if taken:
                position += taken - 1
            elif line.startswith("__ "):
                self.links.add(line[3:], "hyperlink")
            elif explicit := _EXPLICIT.match(line):
                end = _end_of_block(lines, position, _indent(line))
                self._explicit(explicit[1] or "", lines[position:end], depth)
                position = end
            elif line.rstrip().endswith("::"):
                position = self._literal(line, lines, position)
            else:
                self.out.append(self._line(line))

    def _title(self, lines: list[str], at: int, depth: int) -> int:
        """How many lines from here are a section's title; 0 for none."""
        if depth:
            return 0
        line = lines[at]
        below = lines[at + 1] if at + 1 < len(lines) else ""
        if _ADORNMENT.match(line):
            last = lines[at + 2] if at + 2 < len(lines) else ""
            mark = line.rstrip()
            if below.strip() and last.rstrip() == mark and not _ADORNMENT.match(below):
                if len(below.rstrip()) <= len(mark) + 2:
                    self._heading(mark[0] + mark[0], below.strip())
                    return 3
            elif not below.strip() and len(mark) > 3 and (at == 0 or not lines[at - 1].strip()):
                self.out.append("")  # a transition
                return 1
            return 0
        if line[0] == " " or not _ADORNMENT.match(below) or (at and lines[at - 1].strip()):
            return 0
        mark = below.rstrip()
        if len(mark) < 4 and len(mark) < len(line.rstrip()):
            return 0
        self._heading(mark[0], line.strip())
        return 2

    def _table(self, lines: list[str], at: int) -> int:
        """How many lines from here are a simple table, which stays as it is written; 0 for none."""
        if self._no_more_tables or not _TABLE_BORDER.match(lines[at]):
            return 0
        for end in range(at + 1, len(lines)):
            below = lines[end + 1].strip() if end + 1 < len(lines) else ""
            if not below and _TABLE_BORDER.match(lines[end]):
                self.out.extend(lines[at : end + 1])
                return end + 1 - at
        self._no_more_tables = True
        return 0

    def _heading(self, style: str, words: str) -> None:
        if style not in self._styles:
            self._styles.append(style)
        words = self._line(words)
        self.title = self.title or words
        self.out.extend(("", f"{'#' * min(self._styles.index(style) + 1, 6)} {words}", ""))

    def _literal(self, line: str, lines: list[str], position: int) -> int:
        """A paragraph's last line that announces a literal block, and the block."""
        end = _end_of_block(lines, position, _indent(line))
        body = _dedent(lines[position:end])
        bare = line.rstrip()
        if bare.strip() != "::":
            self.out.append(self._line(bare[:-1] if bare[-3] != " " else bare[:-3]))
        if not body:
            return position
        self.out.extend(("", fenced("\n".join(body)), ""))
        return end

    def _explicit(self, words: str, body: list[str], depth: int) -> None:
        """What begins with two points: a directive, a target, a footnote or a comment."""
        directive = _DIRECTIVE.match(words)
        if directive:
            self._directive(directive[1].lower(), directive[2] or "", body, depth)
            return
        target = _TARGET.match(words)
        if target or words.startswith("__"):
            address = (target[1] or "") if target else words[2:].lstrip(": ")
            if not address and body:
                address = "".join(line.strip() for line in body)
            if _URL.match(address) or "/" in address:
                self.links.add(address, "hyperlink")
            return
        footnote = _FOOTNOTE.match(words)
        if footnote:
            self.out.append(f"[{footnote[1]}] {self._line(words[footnote.end() :])}")
            self._body(body, depth)

    def _directive(self, name: str, argument: str, body: list[str], depth: int) -> None:
        if name in _FILES:
            self.links.add(argument, _FILES[name])
        options, body = _without_options(body)
        self.out.append("")
        if name in _CODE:
            code = _dedent(body)
            if name == "math" and argument:
                code = [argument, *code]
            if code:
                self.out.extend(
                    (
                        fenced("\n".join(code), argument if re.fullmatch(r"[\w+#-]{1,20}", argument) else ""),
                        "",
                    )
                )
            return
        if name in ("image", "figure"):
            self.out.extend(value for key, value in options if key == "alt" and " " in value)
        if name in _SILENT:
            return
        if name == "toctree":
            for line in _dedent(body):
                self.links.add(line.strip(), "include")
        if name == "class" and "-" in argument and "(" not in argument:
            argument = ""  # a style, not the class that a manual describes
        lead = f"{name.capitalize()}: " if name in _NOTES else ""
        if name != "figure" and (argument or lead):
            self.out.append(lead + self._line(argument))
            if not lead:
                self.out.append("")
        self._body(body, depth)

    def _body(self, body: list[str], depth: int) -> None:
        if depth >= _MAX_NESTED:
            self.out.extend(body)
        elif body:
            self.read(_dedent(body), depth + 1)
            self.out.append("")

    def _line(self, line: str) -> str:
        """Running text without its roles, and with its links noted."""
        field = _FIELD.match(line) if ":" in line[:120] else None
        if field and line[field.end(2) + 1 : field.end(2) + 2] != "`":
            line = f"{field[1]}{field[2]}: {field[3] or ''}".rstrip()
        if "\\" in line and "``" not in line and "<" not in line:
            line = _ESCAPED.sub(r"\1", line)
        if "`" not in line:
            return line
        line = _ROLE.sub(_role, line)
        line = _REFERENCE.sub(self._reference, line)
        return _LITERAL.sub(r"`\1`", line)

    def _reference(self, match: re.Match[str]) -> str:
        if match[3] is not None:
            return match[3]
        target = match[2]
        if match[1].endswith("\\"):  # the bracket is meant as it stands
            return f"{match[1][:-1]}<{target}>"
        if _URL.match(target):
            self.links.add(target, "hyperlink")
        return match[1] or target


def _role(match: re.Match[str]) -> str:
    words = match[1]
    if words.endswith(">") and "<" in words:
        return words[: words.rindex("<")].rstrip() or words
    if words.startswith("~"):
        return words.rpartition(".")[2] or words
    return words.lstrip("!")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _end_of_block(lines: list[str], position: int, indent: int) -> int:
    """Where the lines that are indented deeper than `indent` end, without the empty lines after them."""
    end = position
    for at in range(position, len(lines)):
        line = lines[at]
        if line.strip():
            if _indent(line) <= indent:
                break
            end = at + 1
    return end


def _dedent(lines: list[str]) -> list[str]:
    first = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
    return textwrap.dedent("\n".join(lines[first:])).split("\n") if first < len(lines) else []


def _without_options(body: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The options that a directive begins with, and what comes after them."""
    options: list[tuple[str, str]] = []
    at = 0
    while at < len(body) and (field := _FIELD.match(body[at])):
        options.append((field[2], field[3] or ""))
        at += 1
    return options, body[at:]


FORMATS = (Format("reStructuredText", (mt.RST,), extract_rst, fallback=extract_plain),)
