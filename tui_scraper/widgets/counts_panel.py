"""What became of the documents, and what the run uses: two lines and one, or a column of its own.

The words here are the legend of the signs everywhere else.
"""

from __future__ import annotations

from tui_scraper.engine.models import RunSnapshot, Status
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import STATUS_SIGNS, Line, Span, cut, inside, number, rule, size, width_of
from tui_scraper.widgets.lines import Lines

_LEFT, _MODEL = 25, 20
_UNKNOWN = "–"
_ORDER = (Status.DONE, Status.FAILED, Status.SKIPPED, Status.EMPTY, Status.PENDING)


def counts_lines(snapshot: RunSnapshot, width: int, *, tight: bool = False) -> list[Line]:
    """Four lines for a narrow screen; `tight`: two, the counts alone."""
    counts = snapshot.counts
    first = _digits(counts.found, snapshot.ignored)
    second = _digits(counts.done, counts.failed)
    third = _digits(counts.pending, counts.skipped)
    upper = (
        _pair("found  ", number(counts.found), first),
        _status(snapshot, Status.DONE, second, 6),
        _status(snapshot, Status.PENDING, third, 7),
    )
    lower = (
        _pair("ignored", number(snapshot.ignored), first),
        _status(snapshot, Status.FAILED, second, 6),
        _status(snapshot, Status.SKIPPED, third, 7),
        _status(snapshot, Status.EMPTY, 1, 5),
    )
    rows: list[Line] = []
    for row in (upper, lower):
        gap = "   " if sum(map(width_of, row)) + 3 * len(row) <= width else " "
        spans: list[Span] = []
        for cell in row:
            spans += [Span(gap if spans else " "), *cell]
        rows.append(tuple(spans))
    if tight:
        return rows
    return [rule("Documents", width, inside(counts)), *rows, _resources(snapshot, width)]


def _digits(*values: int) -> int:
    return max(6, *(len(number(value)) for value in values))


def counts_column(snapshot: RunSnapshot, width: int) -> list[Line]:
    """A column for a wide screen, as high as the Phases panel and more."""
    counts = snapshot.counts
    digits = max(9, len(number(counts.found)))
    entries: list[tuple[str, str]] = [
        ("tokens", number(snapshot.tokens_counted)),
        ("labels", _labels(snapshot)),
        ("memory", size(snapshot.memory_bytes) if snapshot.memory_bytes else _UNKNOWN),
        ("workers", _workers(snapshot) or _UNKNOWN),
        ("sandbox", safe_text(snapshot.sandbox) or _UNKNOWN),
        ("checkpoint", number(snapshot.checkpoint) if snapshot.checkpoint else _UNKNOWN),
    ]
    left = [_pair("  found  ", number(counts.found), digits)]
    left += [_status(snapshot, status, digits, 7) for status in _ORDER]
    right = [(Span(f"{name:<10} ", "dim"), Span(value)) for name, value in entries]
    aside = [inside(counts), f"ignored {number(snapshot.ignored)}" if snapshot.ignored else ""]
    lines: list[Line] = [rule("Documents", width, " · ".join(filter(None, aside)))]
    for one, other in zip(left, right, strict=True):
        gap = max(2, _LEFT - width_of(one))
        lines.append((Span(" "), *one, Span(" " * gap), *other))
    return lines


def _pair(word: str, value: str, digits: int) -> Line:
    return Span(f"{word} ", "dim"), Span(f"{value:>{digits}}", "strong")


def _status(snapshot: RunSnapshot, status: Status, digits: int, word_width: int = 0) -> Line:
    sign, role = STATUS_SIGNS[status]
    count: int = getattr(snapshot.counts, status.value)
    shown = role if count or status is Status.DONE else "dim"
    return (
        Span(f"{sign} ", shown),
        Span(f"{status.value:<{word_width}} ", "dim"),
        Span(f"{number(count):>{digits}}", "" if count else "dim"),
    )


def _labels(snapshot: RunSnapshot) -> str:
    """Who labels, and which model where one does."""
    if snapshot.spend is None:
        return snapshot.method or "none yet"
    return f"{snapshot.method} {cut(safe_text(snapshot.spend.model), _MODEL)}"


def _workers(snapshot: RunSnapshot) -> str:
    """How many were started; '' for none. Each run says what keeps its workers in once they are there."""
    return number(snapshot.workers) if snapshot.workers and snapshot.sandbox else ""


def _resources(snapshot: RunSnapshot, width: int) -> Line:
    parts = [("tokens", number(snapshot.tokens_counted)), ("labels", _labels(snapshot))]
    if snapshot.memory_bytes:
        parts.append(("memory", size(snapshot.memory_bytes)))
    if _workers(snapshot):
        parts.append(("workers", _workers(snapshot)))
    if snapshot.checkpoint:
        parts.append(("checkpoint", number(snapshot.checkpoint)))
    spans: list[Span] = []
    for word, value in parts:
        more = [Span("   " if spans else " "), Span(f"{word} ", "dim"), Span(value)]
        if width_of(spans) + width_of(more) > width:
            break
        spans += more
    return tuple(spans)


class CountsPanel(Lines):
    """The Documents panel, in one of its two shapes."""

    def paint(self, snapshot: RunSnapshot, *, column: bool, tight: bool = False) -> None:
        """Show a snapshot."""
        width = self.size.width
        self.show(counts_column(snapshot, width) if column else counts_lines(snapshot, width, tight=tight))
