"""Running heads and page numbers: what repeats at the edge of page after page of a PDF.

They cut sentences in two and make every page match a search for the book's title. A line goes only where
its place and what it says prove it: it is the outermost on its page, or one of few that are parted from the
rest by a gap, it stands at the same height on three pages or more that follow one another, and it says the
same on all of them or counts them. Without a gap, it must be nothing but a number that counts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from tui_scraper.engine.extract.pdf.layout import Page, character_width, title_keys

_LINES: Final = 4
_CHARS: Final = 150
_SHORT: Final = 40
_REPEATS: Final = 3
_MORE_REPEATS: Final = 4
_MANY_PAGES: Final = 8
_COUNTED_GAP: Final = 3
_REPEATED_GAP: Final = 2
"""Left and right pages have heads of their own, and the first page of a chapter often has no number."""
_MOST: Final = 0.4
"""The share of a page that may be left out; where more repeats, pages are copies of one another."""
_FEW_CHARS: Final = 40
_WIDE: Final = 1.4
"""How much wider than others a line's characters seem where there is a gap between a title and a number."""

_GAP: Final = 1.35
"""How much wider than between lines the gap between running heads and the text is, at least."""
_MIN_GAP: Final = 2.6
"""The same in widths of a character: a little more than a line."""

_NUMBER = re.compile(r"(?<![\d.,])\d{1,5}(?![\d.,])|\b[ivxlc]{1,7}\b")
_TOTAL = re.compile(r"(?i)(?<=\d)\s*(?:/|\||of|von|de|sur|di|из|av|van)\s*\d{1,5}\b")
_PAGE_WORD: Final = (
    r"pages?|pp?|pg|seiten?|s|p[áa]g(?:ina)?|sid(?:a|e|or)|sivu|stron[ay]|str|стр(?:аница)?|oldal|blz|"
    r"of|von|de|sur|di|из"
)
_ONLY_NUMBERS = re.compile(rf"(?i)(?:\d+|\b[ivxlc]{{1,7}}\b|\b(?:{_PAGE_WORD})\b|[第页頁쪽]|ページ|[\W_])*\Z")
_LAST_NUMBER = re.compile(
    r"(?i)(?P<rest>.+?)(?P<mark>\s*[|/•·–—-]|\s(?:page|p\.|pg\.?|seite|s\.|página|pág\.))?\s*"
    r"(?<![\w.,])(?P<number>\d{1,5}|[ivxlc]{1,7})\Z"
)
_FIRST_NUMBER = re.compile(r"(?i)(?P<number>\d{1,5}|[ivxlc]{1,7})(?P<mark>\s*[|/•·:–—-])?\s+(?P<rest>.+)\Z")
_SEPARATORS: Final = " |/•·–—-\t.,"
_ROMAN: Final = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


class _Edge(NamedTuple):
    """The height of a line, and whether a gap parts it from the rest of the page."""

    height: int
    parted: bool


Offset = tuple[int, bool, int]
"""(height, whether the number is decimal, number less the page's index): the same on pages that count on."""


def running_lines(pages: Sequence[Page]) -> list[dict[int, str]]:
    """For each page, the lines that are running heads or page numbers, and what is kept of them, mostly ''.

    What a head says is kept where it is met first, unless the page says it anyway.
    """
    left_out: list[dict[int, str]] = [{} for _ in pages]
    if len(pages) < _REPEATS:
        return left_out
    edges = [_edges(page) if page.y0 else {} for page in pages]
    repeated: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
    counting: dict[Offset, list[int]] = defaultdict(list)
    for number, page in enumerate(pages):
        for i, (height, parted) in edges[number].items():
            text = page.texts[i]
            if parted and len(text) > 1:
                repeated[height, text][number] = i
            if not (len(text) < _SHORT or text[0].isdigit() or text[-1].isdigit()):
                continue
            for token in set(_NUMBER.findall(text)):
                counting[height, token.isdecimal(), _value(token) - number].append(number)
    repeats = _REPEATS if len(pages) <= _MANY_PAGES else _MORE_REPEATS
    for places in repeated.values():
        if len(places) >= repeats:
            for number in _in_series(list(places), repeats, _REPEATED_GAP):
                if number != min(places):
                    left_out[number][places[number]] = ""
    counted: dict[int, list[Offset]] = defaultdict(list)
    for offset, numbers in counting.items():
        if len(numbers) >= _REPEATS:
            for number in _in_series(numbers, _REPEATS, _COUNTED_GAP):
                counted[number].append(offset)
    _leave_out_numbered(pages, edges, counted, left_out)
    for page, lines in zip(pages, left_out, strict=True):
        if lines:
            gone = sum(len(page.texts[i]) for i in lines)
            if len(lines) == len(page.texts) or gone > max(_FEW_CHARS, _MOST * sum(map(len, page.texts))):
                lines.clear()
    return left_out


def _leave_out_numbered(
    pages: Sequence[Page],
    edges: list[dict[int, _Edge]],
    counted: dict[int, list[Offset]],
    left_out: list[dict[int, str]],
) -> None:
    seen: set[str] = set()
    for number in sorted(counted):
        page = pages[number]
        for i, (height, parted) in edges[number].items():
            numbers = {(decimal, number + offset) for at, decimal, offset in counted[number] if at == height}
            if not numbers or i in left_out[number]:
                continue
            rest = _without_number(page, i, numbers)
            if rest is not None and (parted or not rest):
                around = pages[max(0, number - 1) : number + 1]
                known = not rest or rest in seen or _is_said(rest, around, height)
                seen.add(rest)
                left_out[number][i] = "" if known else rest


def _edges(page: Page) -> dict[int, _Edge]:
    """The outermost lines of a page, above and below."""
    heights = page.y0
    order = sorted(range(len(heights)), key=heights.__getitem__)
    rising = [heights[i] for i in order]
    between = sorted([upper - lower for lower, upper in pairwise(rising) if upper - lower > 2])
    gap = max(_MIN_GAP * character_width(page), _GAP * between[len(between) // 3] if between else 0.0)
    chosen: dict[int, _Edge] = {}
    for outermost_first in (order[: _LINES + 1], order[: -_LINES - 2 : -1]):
        parted = 0
        for count, (i, inner) in enumerate(pairwise(outermost_first), 1):
            if not -gap < heights[i] - heights[inner] < gap:
                parted = count if 2 * count < len(order) else 0
                break
        for i in outermost_first[: parted or 1]:
            if len(page.texts[i]) <= _CHARS:
                chosen[i] = _Edge(round(heights[i]), parted > 0)
    return chosen


def _in_series(numbers: list[int], repeats: int, widest_gap: int) -> list[int]:
    """Those of the page numbers, in order, that belong to a row of enough of them."""
    found: list[int] = []
    row: list[int] = []
    for number in [*numbers, 1 << 60]:
        if row and number - row[-1] > widest_gap:
            if len(row) >= repeats:
                found += row
            row = []
        row.append(number)
    return found


def _value(token: str) -> int:
    """The value of a decimal or roman number."""
    if token.isdecimal():
        return int(token)
    digits = [_ROMAN[letter] for letter in token]
    return sum(
        -digit if digit < after else digit for digit, after in zip(digits, [*digits[1:], 0], strict=True)
    )


def _without_number(page: Page, i: int, numbers: set[tuple[bool, int]]) -> str | None:
    """What a line says beside the page's number; None where the number may belong to what it says.

    It is the page's own where nothing else stands in the line, or where it stands at an end, behind a
    rule, a word for page, or a wide gap.
    """
    text = page.texts[i]
    if _ONLY_NUMBERS.match(text):
        return _NUMBER.sub("", text).strip(_SEPARATORS)
    text = _TOTAL.sub("", text)
    for pattern in (_LAST_NUMBER, _FIRST_NUMBER):
        found = pattern.match(text)
        if found and (found["number"].isdecimal(), _value(found["number"].lower())) in numbers:
            if _is_wide(page, i):
                before, after = ("", found["mark"]) if pattern is _LAST_NUMBER else (found["mark"], "")
                return f"{before or ''}{found['rest']}{after or ''}".strip(_SEPARATORS)
            if found["mark"]:
                return found["rest"].strip(_SEPARATORS)
    return None


def _is_wide(page: Page, i: int) -> bool:
    """Whether there is a gap in a line."""
    usual = character_width(page) * (len(page.texts[i]) - 1)
    return page.x1[i] - page.x0[i] > _WIDE * usual > 0


def _is_said(rest: str, pages: Sequence[Page], height: int) -> bool:
    """Whether one of the pages says this in a line elsewhere, as the heading does that it repeats."""
    keys = set(title_keys(rest))
    end = rest[-6:].casefold()
    return any(
        end in text.casefold() and not keys.isdisjoint(title_keys(text))
        for page in pages
        for text, y in zip(page.texts, page.y0, strict=True)
        if len(text) < len(rest) + 20 and round(y) != height
    )
