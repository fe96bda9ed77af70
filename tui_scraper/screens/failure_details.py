"""The details of the Failed screen: one document, or one cause and what a person can do about it."""

from __future__ import annotations

from datetime import datetime

from tui_scraper.engine.causes import WHAT_TO_DO
from tui_scraper.engine.models import FailureRow
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import STATUS_SIGNS, Line, Span, number, rule, size, wrap
from tui_scraper.screens.failure_rows import Key


def document_lines(row: FailureRow, preview: str | None, width: int) -> list[Line]:
    """The details of one document. `preview` None: not read yet."""
    sign, role = STATUS_SIGNS[row.status]
    lines: list[Line] = [(Span(" "), Span(part, "strong")) for part in wrap(safe_text(row.path), width)]
    lines.append((Span(f" {sign} {row.status}", role), Span(f" in {row.phase} · {row.cause}")))
    lines.append(())
    lines += [(Span(" "), Span(part)) for part in wrap(safe_text(row.message), width)]
    lines.append(())
    when = datetime.fromtimestamp(row.time).strftime("%Y-%m-%d %H:%M:%S")
    for word, value in (("size", size(row.size_bytes)), ("attempts", number(row.attempts)), ("time", when)):
        lines.append((Span(f" {word:<9}", "dim"), Span(value)))
    lines += [(), rule("Text", width + 1)]
    if preview is None:
        lines.append((Span(" reading …", "dim"),))
    elif not preview.strip():
        lines.append((Span(" No text was extracted.", "dim"),))
    else:
        lines += [(Span(" "), Span(part)) for part in wrap(preview, width)]
    return lines


def cause_lines(key: Key, count: int, width: int) -> list[Line]:
    """The details of a heading: what the group is and what can be done with it."""
    phase, status, cause = key
    sign, role = STATUS_SIGNS[status]
    return [
        (Span(f" {cause}", "strong"),),
        (Span(f" {sign} {status}", role), Span(f" in {phase}")),
        (),
        *[(Span(" "), Span(part)) for part in wrap(WHAT_TO_DO[cause], width)],
        (),
        (
            Span(" R", "key"),
            Span(f" retry all {number(count)}   "),
            Span("enter", "key"),
            Span(" fold or unfold"),
        ),
    ]
