"""Texts with marked words, broken into lines: what a search found, on a screen and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tui_scraper.formatting import Line, Role, Span, wrap

_BOLD, _PLAIN = "\x1b[1m", "\x1b[22m"

Marks = Sequence[tuple[int, int]]
"""Where words begin and end, in characters, in order."""


def wrap_marked(text: str, marks: Marks, width: int, role: Role = "strong") -> Iterator[Line]:
    """Lines of at most `width` cells, with the marked characters in a role of their own."""
    at = 0
    for line in wrap(text, width):
        start = text.index(line, at)
        at = start + len(line)
        yield _spans(line, start, marks, role)


def bold(line: Line) -> str:
    """A line for a terminal, with what has a role in bold."""
    return "".join(f"{_BOLD}{span.text}{_PLAIN}" if span.role else span.text for span in line)


def _spans(line: str, start: int, marks: Marks, role: Role) -> Line:
    """A line that begins at `start` of the marked text."""
    spans: list[Span] = []
    done = 0
    for first, after in marks:
        begins, ends = max(first - start, done), min(after - start, len(line))
        if begins < ends:
            spans += [Span(line[done:begins]), Span(line[begins:ends], role)]
            done = ends
    spans.append(Span(line[done:]))
    return tuple(span for span in spans if span.text)
