"""Spans of time as people type them: 2024, 2024-03, 2024-03-05, >2024-01-15, <=2023, 2023..2024."""

from __future__ import annotations

import datetime
import re

Span = tuple[float, float]
"""From (included) to (not included), Unix time."""

_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?")
_COMPARED = re.compile(r"(>=|<=|>|<|=|)(.*)", re.DOTALL)
_EVER = float("inf")


def read_span(text: str) -> Span | None:
    """The time that is meant, by this machine's clock; None where none is. A date means all of it."""
    if ".." in text:
        first, _dots, last = text.partition("..")
        begin = _period(first) if first else (-_EVER, -_EVER)
        end = _period(last.lstrip(".")) if last.lstrip(".") else (_EVER, _EVER)
        return (begin[0], end[1]) if begin and end and (first or last) else None
    compared = _COMPARED.fullmatch(text)
    period = _period(compared[2]) if compared else None
    if compared is None or period is None:
        return None
    begins, ends = period
    return {">": (ends, _EVER), ">=": (begins, _EVER), "<": (-_EVER, begins), "<=": (-_EVER, ends)}.get(
        compared[1], (begins, ends)
    )


def _period(text: str) -> Span | None:
    """From the first moment of a year, month or day to that after its last."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    assert year is not None
    try:
        first = datetime.datetime(year, month or 1, day or 1)
        if day is not None:
            after = first + datetime.timedelta(days=1)
        elif month is not None:
            after = first.replace(year=year + month // 12, month=month % 12 + 1)
        else:
            after = first.replace(year=year + 1)
        return first.timestamp(), after.timestamp()
    except (ValueError, OverflowError):
        return None
