"""The lines of a roff document: which of them count, and what their macros' arguments are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tui_scraper.engine.extract.markup.roff_characters import plain_text

_ARGUMENT = re.compile(r'"((?:[^"]|"")*)"?|((?:\\.|[^\s\\]|\\$)+)')
_MAX_STRING: Final = 200
_MAX_STRINGS: Final = 1_000
_MAX_REQUEST_CHARS: Final = 10_000
_MAX_BRANCHES: Final = 100
_MAX_BODY_LINES: Final = 500
_MAX_MACRO_DEPTH: Final = 10
_MAX_EXPANDED_LINES: Final = 20_000
_MAX_EXPANDED_CHARS: Final = 10_000
_MACRO_ARGUMENT = re.compile(r"\\\$[\d*@]")


def arguments(rest: str) -> list[str]:
    """The arguments of a macro, quotes removed."""
    if '"' not in rest and "\\" not in rest:
        return rest.split()
    return [
        match[1].replace('""', '"') if match[1] is not None else match[2]
        for match in _ARGUMENT.finditer(rest)
    ]


class Requests:
    """The lines of a document as (macro, rest) pairs, ('', line) for text.

    Comments and branches that are not for terminals are left out. Macros that the document defines are
    replaced by what they stand for, unless they are `known` to the reader, and within limits.
    `strings` fills while the lines are read.
    """

    def __init__(self, text: str, known: frozenset[str]) -> None:
        self.strings: dict[str, str] = {"R": "®", "Tm": "™", "lq": "“", "rq": "”", "Aq": "'", "S": ""}
        self._known = known
        self._bodies: dict[str, list[str]] = {}
        self._left = _MAX_EXPANDED_LINES
        self._sources: list[Iterator[str]] = [iter(text.split("\n"))]
        self._else_branch: list[bool] = []

    def __iter__(self) -> Iterator[tuple[str, str]]:
        while (line := self._next_line()) is not None:
            yield from self._read(line)

    def _next_line(self) -> str | None:
        """The next line, of the macro that is being replaced if there is one."""
        while self._sources:
            line = next(self._sources[-1], None)
            if line is not None:
                return line
            self._sources.pop()
        return None

    def _expand(self, name: str, rest: str) -> None:
        body = self._bodies[name]
        if len(self._sources) > _MAX_MACRO_DEPTH or self._left < len(body):
            return
        self._left -= len(body)
        words = arguments(rest)

        def argument(match: re.Match[str]) -> str:
            if match[0][-1] in "*@":
                return " ".join(words)
            number = int(match[0][-1])
            return words[number - 1] if 0 < number <= len(words) else ""

        lines = [_MACRO_ARGUMENT.sub(argument, line)[:_MAX_EXPANDED_CHARS] for line in body]
        self._sources.append(iter(lines))

    def _read(self, line: str) -> Iterator[tuple[str, str]]:
        while True:
            if line[:1] not in (".", "'"):
                if "\\}" in line or "\\{" in line:
                    line = line.replace("\\}", "").replace("\\{", "")
                yield "", line
                return
            name, rest = _macro(line[:_MAX_REQUEST_CHARS])
            if name in ("if", "ie", "while"):
                taken, rest = self._condition(rest)
                if name == "ie":
                    self._else_branch = [*self._else_branch[-_MAX_BRANCHES:], not taken]
            elif name == "el":
                taken = self._else_branch.pop() if self._else_branch else False
            else:
                yield from self._request(name, rest)
                return
            if not taken:
                self._skip_branch(rest)
                return
            line = rest.removeprefix("\\{").lstrip(" \t")
            if not line or line == "\\":
                return

    def _request(self, name: str, rest: str) -> Iterator[tuple[str, str]]:
        if name in ("de", "de1", "dei", "am", "ig"):
            words = rest.split()
            end = words[1] if len(words) > 1 and name != "ig" else words[0] if words and name == "ig" else "."
            body: list[str] = []
            if words and name in ("de", "de1") and words[0] not in self._known:
                self._bodies[words[0]] = body
            while (line := self._next_line()) is not None:
                if line[:1] == "." and line[1:].strip() == end:
                    return
                if len(body) < _MAX_BODY_LINES:
                    body.append(line.replace("\\\\", "\\"))
        elif name in ("ds", "as", "ds1"):
            word, _, value = rest.lstrip().partition(" ")
            value = plain_text(value.lstrip(" \t").removeprefix('"')[:_MAX_STRING], {})
            if len(self.strings) < _MAX_STRINGS:
                self.strings[word] = (self.strings.get(word, "") + value if name == "as" else value)[
                    :_MAX_STRING
                ]
        elif name in self._bodies:
            self._expand(name, rest)
        elif name and not name.startswith(("\\", "}")):
            yield name, rest

    def _condition(self, rest: str) -> tuple[bool, str]:
        """Whether a condition holds on a terminal, and what follows it. One that is not known does not."""
        rest = rest.lstrip()
        negated = rest.startswith("!")
        rest = rest.removeprefix("!").lstrip()
        if rest[:1] in ("n", "t", "o", "e", "v") and not rest[1:2].isalnum():
            return (rest[0] in "no") is not negated, rest[1:].lstrip()
        if rest[:1] in ("'", '"'):
            parts = rest.split(rest[0], 3)
            if len(parts) == 4:
                return (parts[1] == parts[2]) is not negated, parts[3].lstrip()
        match = re.match(r"(?:[drmFcS][ \t]+)?(?:\\.|[^\s\\])+", rest)
        return negated, (rest[match.end() :] if match else "").lstrip()

    def _skip_branch(self, rest: str) -> None:
        depth = rest.count("\\{") - rest.count("\\}")
        while depth > 0:
            line = self._next_line()
            if line is None:
                return
            depth += line.count("\\{") - line.count("\\}")


def _macro(line: str) -> tuple[str, str]:
    body = line[1:].lstrip(" \t")
    if body.startswith(('\\"', "\\#")):
        return "", ""
    comment = body.find('\\"')
    if comment > 0 and body[comment - 1] != "\\":
        body = body[:comment].rstrip()
    match = re.match(r"[^\s\\]+", body)
    if match is None:
        return "", ""
    return match[0], body[match.end() :].lstrip(" \t")
