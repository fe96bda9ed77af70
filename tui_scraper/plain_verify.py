"""What `verify` prints: the JSON objects, and lines for people."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from tui_scraper import formatting
from tui_scraper.engine.verify import Check, Repaired, Report

_PROGRESS_S = 0.25


def verify_records(report: Report) -> Iterator[dict[str, object]]:
    """`verify --json`: an object for each check, and one for all of them."""
    for check in report.checks:
        yield {
            "check": check.name,
            "ok": check.sound,
            "looked_at": check.looked_at,
            "unit": check.unit,
            "seconds": round(check.seconds, 3),
            "damages": [
                {
                    "what": damage.what,
                    "where": damage.where,
                    "documents": list(damage.documents),
                    "document_count": damage.document_count,
                    "repair": damage.repair,
                }
                for damage in check.damages
            ],
            "notes": [note.text for note in check.notes],
        }
    yield {"workspace": report.workspace, "ok": report.sound, "damages": len(report.damages)}


def verify_lines(report: Report) -> Iterator[str]:
    """`verify`, for a person."""
    for check in report.checks:
        yield from _check_lines(check)
    if report.sound:
        yield f"Sound: everything is what was written ({report.seconds:.1f} s)."
    else:
        damages = "1 damage" if len(report.damages) == 1 else f"{len(report.damages):,} damages"
        yield f"{damages} found. --repair copies the databases and then mends this."


def _check_lines(check: Check) -> Iterator[str]:
    sign = "✓" if check.sound else "✗"
    unit = check.unit.removesuffix("s") if check.looked_at == 1 else check.unit
    yield f"{sign} {check.name:10}{check.looked_at:>12,} {unit}"
    for damage in check.damages:
        yield from (f"    {line}" for line in formatting.wrap(damage.what, 100))
        if damage.documents:
            more = damage.document_count - len(damage.documents)
            named = ", ".join(damage.documents) + (f" and {more:,} more" if more > 0 else "")
            yield from (f"      {line}" for line in formatting.wrap(named, 100))
        yield from (f"      → {line}" for line in formatting.wrap(damage.repair, 98))
    for note in check.notes:
        yield from (f"    {line}" for line in formatting.wrap(note.text, 100))


def repair_records(repaired: Repaired) -> Iterator[dict[str, object]]:
    """`verify --repair --json`: what was found, what was done, and what is found afterwards."""
    yield from verify_records(repaired.before)
    yield {"copies": list(repaired.copies), "done": list(repaired.done)}
    if repaired.after is not repaired.before:
        yield from verify_records(repaired.after)


def repair_lines(repaired: Repaired) -> Iterator[str]:
    """`verify --repair`, for a person."""
    if repaired.before.sound:
        yield from verify_lines(repaired.before)
        return
    for check in repaired.before.checks:
        yield from _check_lines(check)
    yield ""
    yield from (f"copied      {copy}" for copy in repaired.copies)
    yield from (f"repaired    {line}" for line in repaired.done)
    yield ""
    if repaired.after.sound:
        yield "Sound again. `tui-scraper run` makes anew what is pending."
    else:
        yield "This remains:"
        for check in repaired.after.checks:
            if not check.sound:
                yield from _check_lines(check)


class Progress:
    """A line on a terminal that is written over again and again. Use it with `with`."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._next = time.monotonic() + _PROGRESS_S

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, what: str, count: int) -> None:
        """Say what is being done and how far it has come, at most a few times a second."""
        now = time.monotonic()
        if self._shown and now >= self._next:
            self._next = now + _PROGRESS_S
            sys.stderr.write(f"\r\x1b[K{what} {count:,}")
            sys.stderr.flush()
