"""Numbers, durations, names and bars as text of a known width in terminal cells.

Pure functions, so that what a screen says can be tested without a screen. Everything here returns
plain text or `Line`s: pieces of text with the role they play. A role becomes a colour in the theme;
no markup is parsed anywhere, so a file named `report [/final].pdf` is just a name. Signs are
Unicode here; `theming.AsciiFilter` turns them into ASCII where the locale has nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from rich.cells import cell_len, get_character_cell_size

from tui_scraper.engine.models import Counts, RunState, Status

Role = Literal[
    "",
    "dim",
    "strong",
    "accent",
    "ok",
    "bad",
    "warn",
    "bar",
    "track",
    "meter",
    "line",
    "key",
    "cursor",
    "title",
]
"""What a piece of text means; '' is ordinary text."""

ROLES: tuple[Role, ...] = (
    "", "dim", "strong", "accent", "ok", "bad", "warn", "bar", "track", "meter", "line", "key", "cursor",
    "title",
)  # fmt: skip


class Span(NamedTuple):
    """A piece of a line and its role."""

    text: str
    role: Role = ""


Line = tuple[Span, ...]

STATE_SIGNS: dict[RunState, tuple[str, Role]] = {
    RunState.IDLE: ("·", "dim"),
    RunState.SCANNING: ("▶", "accent"),
    RunState.RUNNING: ("▶", "accent"),
    RunState.PAUSED: ("‖", "warn"),
    RunState.STOPPING: ("■", "warn"),
    RunState.COMPLETE: ("✓", "ok"),
    RunState.WATCHING: ("✓", "ok"),
    RunState.STOPPED: ("■", "warn"),
    RunState.FAILED: ("✗", "bad"),
}

STATUS_SIGNS: dict[Status, tuple[str, Role]] = {
    Status.PENDING: ("·", "dim"),
    Status.DONE: ("✓", "ok"),
    Status.FAILED: ("✗", "bad"),
    Status.SKIPPED: ("»", "warn"),
    Status.EMPTY: ("○", "warn"),
}

_EIGHTHS = " ▏▎▍▌▋▊▉"
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def number(value: int) -> str:
    """`10,431`."""
    return f"{value:,}"


def compact(value: int) -> str:
    """`987`, `12k`, `3.4M`: four cells at most, for where the full number has no room."""
    if value < 1000:
        return str(value)
    for unit in "kMG":
        scaled = value / 1000
        if scaled < 999.5 or unit == "G":
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
        value = round(scaled)
    raise AssertionError("the last unit takes any value")


def rate(per_s: float | None) -> str:
    """Documents a second: `1,912/s`, `3.4/s`, `0.08/s`; '' while unknown."""
    if per_s is None:
        return ""
    if per_s >= 10 or per_s == 0:
        return f"{per_s:,.0f}/s"
    return f"{per_s:.1f}/s" if per_s >= 1 else f"{per_s:.2f}/s"


def size(size_bytes: int) -> str:
    """`812 MB`, `1.4 GB`: decimal units, three digits at most."""
    value = float(size_bytes)
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            shown = f"{value:.1f}" if unit != "B" and value < 9.95 else f"{value:.0f}"
            return f"{shown} {unit}"
        value /= 1000
    raise AssertionError("the last unit takes any value")


def usd(nano_usd: int) -> str:
    """Money: to the cent, and below a cent to the digits that count: `$0.42`, `$0.000014`, `$0.00`."""
    dollars = nano_usd / 1e9
    if dollars >= 0.01 or not nano_usd:
        return f"${dollars:,.2f}"
    return f"${Decimal(f'{dollars:.2g}'):f}"


def usd_range(low: float, expected: float, high: float) -> str:
    """Nano-dollars that are not known exactly: `$0.48 ($0.40 – $0.60)`."""
    return f"{usd(round(expected))} ({usd(round(low))} – {usd(round(high))})"


def documents(count: int) -> str:
    """`1 document`, `1,234 documents`."""
    return "1 document" if count == 1 else f"{count:,} documents"


def label_words(labels: Sequence[str], confidence: float | None, method: str) -> str:
    """`tax 87%`, `tax, law 61%`, `tax by hand`; '' without a label."""
    if not labels:
        return ""
    words = ", ".join(labels)
    if method == "human":
        return f"{words} by hand"
    return words if confidence is None else f"{words} {percent(confidence)}"


def percent(share: float) -> str:
    """`87%`; never 100 where something is missing to it."""
    return f"{min(99, round(share * 100)) if share < 1 else 100}%"


def rewritten(line: str, descriptor: int) -> str:
    """What puts a line in the place of the one before on a terminal, cut to its width."""
    return f"\r\x1b[K{cut(line, os.get_terminal_size(descriptor).columns - 1)}"


def clock(seconds: float) -> str:
    """Time gone by, `00:03:12`; hours grow as they must."""
    whole = max(0, int(seconds))
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def duration(seconds: float, *, spaced: bool = False) -> str:
    """Time to come: `1s`, `2m43s`, `3h05m`, `4d02h`. Never 0s: work is left, so it takes a second."""
    whole = max(1, round(seconds))
    gap = " " if spaced else ""
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{gap}{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{gap}{whole // 60 % 60:02}m"
    return f"{whole // 86_400}d{gap}{whole // 3600 % 24:02}h"


def ago(seconds: float) -> str:
    """How long ago: `just now`, `5m ago`, `3h ago`, `12d ago`; eight cells at most."""
    if seconds < 60:
        return "just now"
    for unit, size_s, most in (("m", 60, 60), ("h", 3600, 48), ("d", 86_400, 1_000)):
        if seconds < size_s * most:
            return f"{int(seconds / size_s)}{unit} ago"
    return f"{int(seconds / 31_557_600)}y ago"


def eta(eta_s: float | None, low_s: float | None, high_s: float | None) -> str:
    """`~2m 45s (2m 10s – 3m 30s)`; '' while unknown. The range is what makes it honest."""
    if eta_s is None:
        return ""
    middle = f"~{duration(eta_s, spaced=True)}"
    if low_s is None or high_s is None:
        return middle
    low, high = duration(low_s, spaced=True), duration(high_s, spaced=True)
    return middle if low == high else f"{middle} ({low} – {high})"


def bar(done: int, total: int, width: int) -> tuple[str, str]:
    """A bar as (filled, rest), together `width` cells.

    The filled part ends in an eighth of a cell. It is full only when all is done, and shows a
    sliver as soon as anything is.
    """
    if width <= 0:
        return "", ""
    if total <= 0:
        return "", " " * width
    eighths = min(done, total) * width * 8 // total
    if done > 0:
        eighths = max(1, eighths)
    if done < total:
        eighths = min(eighths, width * 8 - 1)
    full, part = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[part] if part else "")
    return filled, " " * (width - len(filled))


def cells(text: str) -> int:
    """Terminal cells a text takes (CJK and emoji take two)."""
    return cell_len(text)


def cut(text: str, width: int) -> str:
    """The beginning of a text, at most `width` cells, '…' where something is missing."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    kept, room = [], width - 1
    for char in text:
        room -= get_character_cell_size(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def cut_left(text: str, width: int) -> str:
    """The end of a text, at most `width` cells: of a path, the name is what people look for."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    kept, room = [], width - 1
    for char in reversed(text):
        room -= get_character_cell_size(char)
        if room < 0:
            break
        kept.append(char)
    return "…" + "".join(reversed(kept))


def pad(text: str, width: int) -> str:
    """Cut and filled with spaces on the right to exactly `width` cells."""
    text = cut(text, width)
    return text + " " * (width - cell_len(text))


def width_of(line: Iterable[Span]) -> int:
    """Cells of a line."""
    return sum(cell_len(span.text) for span in line)


def with_inside(counts: Counts) -> str:
    """' (10,431 + 212 inside)' where some of the documents found are inside others, else ''."""
    return f" ({inside(counts)})" if counts.inside else ""


def inside(counts: Counts) -> str:
    """'10,431 + 212 inside': files, and the documents inside archives and mails among what was found."""
    return f"{counts.found - counts.inside:,} + {counts.inside:,} inside" if counts.inside else ""


def rule(title: str, width: int, right: str = "") -> Line:
    """`─ Phases ───────── right ─`: the heading of a panel."""
    left = f" {title} "
    end = f" {right} " if right else ""
    room = width - cell_len(left) - cell_len(end) - 2
    if room < 1:
        end, room = "", max(0, width - cell_len(left) - 2)
    return (
        Span("─", "line"),
        Span(left, "title"),
        Span("─" * room, "line"),
        Span(end, "dim"),
        Span("─", "line"),
    )


def spread(left: Line, right: Line, width: int) -> Line:
    """Two ends of one line. The right end is left out where it does not fit."""
    gap = width - width_of(left) - width_of(right)
    return left if gap < 1 else (*left, Span(" " * gap), *right)


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` cells, at spaces where there are any."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines.extend(_wrap_paragraph(paragraph, max(2, width)))
    return lines


def _wrap_paragraph(paragraph: str, width: int) -> list[str]:
    lines: list[str] = []
    current, used = "", 0
    for word in re.findall(r"\s+|\S+", paragraph):
        length = cell_len(word)
        if used + length <= width:
            current, used = current + word, used + length
            continue
        if word.isspace():
            lines.append(current)
            current, used = "", 0
            continue
        if current.strip():
            lines.append(current.rstrip())
            current, used = "", 0
        while cell_len(word) > width:
            head = _head(word, width)
            lines.append(head)
            word = word[len(head) :]  # noqa: PLW2901
        current, used = word, cell_len(word)
    return [*lines, current.rstrip()] if current.strip() or not lines else lines


def _head(word: str, width: int) -> str:
    used = 0
    for index, char in enumerate(word):
        used += get_character_cell_size(char)
        if used > width:
            return word[: max(1, index)]
    return word
