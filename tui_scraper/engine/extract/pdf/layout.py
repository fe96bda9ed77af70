"""From the lines of PDF pages to text as a person would have typed it, by where the lines stand.

PDFium gives lines in the order in which a page was written, which nearly always is the order in which it
is read; that order is never changed here. What is done: lines that were only wrapped become paragraphs
again, gaps become blank lines, titles of the outline become headings, and running heads are left out
(`pdf_running` finds them).

Each of these is done where the positions prove it and not done where they leave a doubt: code, tables,
verse and addresses keep their lines. Every step is linear in the number of lines and takes microseconds
a line, because a page of text takes PDFium itself but a millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

_PDFIUM_HYPHENS: Final = "\x02\ufffe"
"""What PDFium writes for a hyphen at the end of a line, mostly leaving the line end out."""
_HYPHENS: Final = "-\u2010\u00ad" + _PDFIUM_HYPHENS
_LIGATURES: Final = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
    0xF0A7: "▪", 0xF0A8: "▫", 0xF0B7: "•", 0xF0D8: "➢", 0xF0FC: "✓",
}  # fmt: skip
"""Ligatures, and the bullets that word processors take from symbol fonts."""

_LIST_ITEM = re.compile(
    r"[-–—•‣◦▪▫■□●○✓➢►*·§]\s|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]\s|\[\d{1,3}\]|(?:[-–—•‣◦▪▫■□●○✓➢►]|\d{1,3}\.)\Z"
)
_CJK = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_SMALL_LETTER = re.compile(r"[^\W\d_]")
_NUMBERING = re.compile(
    r"(?:(?:chapter|appendix|part|section|kapitel|anhang|abschnitt|chapitre|annexe|capítulo)\s+)?"
    r"(?:\d{1,3}|[a-z]|[ivxlc]{1,6})(?:\.\d{1,3}){0,6}[.):]?\s+",
    re.IGNORECASE,
)
MAX_HEADING_CHARS: Final = 200

_SAME_GAP: Final = 1.15
"""How much wider than the next one the gap between two lines must be to part two paragraphs."""
_FULL_SHARE: Final = 0.6
"""The share of lines that reach the margin from which lines are prose: in code and verse few do."""
_PROSE_CHARS: Final = 25
_PROSE_CJK_CHARS: Final = 12
_LONGEST_WORD: Final = 8
_SAMPLED_LINES: Final = 12
_STRETCHED: Final = 1.4
"""How much wider than others the characters of a line seem where it has gaps inside, as rows of tables."""


@dataclass(slots=True)
class Page:
    """The lines of a page in the order of its content: what they say, where they begin and where they end.

    `x0, y0` and `x1, y1` are the origins of the first and the last character, with y growing upwards.
    They are turned so that lines run from left to right and follow each other downwards, whatever the
    direction of the script or the rotation of the page. Empty where positions are not known.
    """

    texts: list[str]
    x0: list[float] = field(default_factory=list)
    y0: list[float] = field(default_factory=list)
    x1: list[float] = field(default_factory=list)
    y1: list[float] = field(default_factory=list)

    def turn(self) -> None:
        """Turn the positions of lines that run in another direction than from left to right."""
        across, down = sum(self.x1) - sum(self.x0), sum(self.y1) - sum(self.y0)
        if across > abs(down):
            return
        x0, y0, x1, y1 = self.x0, self.y0, self.x1, self.y1
        if abs(down) > abs(across):
            sign = -1 if down < 0 else 1
            self.x0, self.x1 = [sign * y for y in y0], [sign * y for y in y1]
            self.y0, self.y1 = [-sign * x for x in x0], [-sign * x for x in x1]
        elif across < 0:
            self.x0, self.x1 = [-x for x in x0], [-x for x in x1]
            if y0[0] < y0[-1]:  # upside down, not from right to left
                self.y0, self.y1 = [-y for y in y0], [-y for y in y1]

    def baselines(self, size: float) -> None:
        """Bring a raised first or last character (the mark of a footnote) down to its line."""
        for i, (first, last) in enumerate(zip(self.y0, self.y1, strict=True)):
            if first != last and abs(first - last) < size:
                self.y0[i] = self.y1[i] = min(first, last)


def characters(lines: list[str]) -> list[str]:
    """Ligatures as letters and bullets as bullets."""
    return [line.translate(_LIGATURES) for line in lines]


def render(page: Page, left_out: dict[int, str], outline: dict[str, int]) -> str:
    """The text of a page, which is changed on the way.

    `left_out` maps the lines that are running heads to what is kept of them, mostly ''. `outline` maps
    the titles that the document's outline has for this page, squashed, to their levels.
    """
    if left_out:
        _leave_out(page, left_out)
    texts = page.texts
    if not texts:
        return ""
    width = character_width(page)
    separators = ["\n"] * len(texts) if width <= 0 else _separators(page, width)
    if outline:
        _mark_headings(texts, separators, outline)
    _join_words(texts, separators)
    pieces = [""] * (2 * len(texts))
    pieces[0::2], pieces[1::2] = texts, separators
    return _inner_hyphens("".join(pieces))


def _leave_out(page: Page, lines: dict[int, str]) -> None:
    for i in sorted(lines, reverse=True):
        if lines[i]:
            page.texts[i] = lines[i]
        else:
            del page.texts[i], page.x0[i], page.y0[i], page.x1[i], page.y1[i]


def _join_words(texts: list[str], separators: list[str]) -> None:
    """Make words whole that are hyphenated at the end of a line."""
    separators[-1] = ""
    for i in [i for i, text in enumerate(texts) if text[-1] in _HYPHENS]:
        text, following = texts[i], texts[i + 1] if i + 1 < len(texts) else ""
        if len(text) > 1 and text[-2].isalnum() and _SMALL_LETTER.match(following):
            texts[i] = text[:-1] if following[0].islower() else text[:-1] + "-"
            separators[i] = ""


def _inner_hyphens(text: str) -> str:
    """Where PDFium joined two lines at a hyphen: 'encyclo-' + 'pedia', but 'North-' + 'American'."""
    for hyphen in _PDFIUM_HYPHENS:
        if hyphen in text:
            first, *others = text.split(hyphen)
            pieces = [first]
            for before, after in zip((first, *others), others, strict=False):
                joined = before[-1:].isalnum() and after[:1].isalpha() and after[0].islower()
                pieces += ("" if joined else "-", after)
            text = "".join(pieces)
    return text


def character_width(page: Page) -> float:
    """The usual width of a character, or 0 where no line is long enough to tell."""
    step = max(1, len(page.texts) // _SAMPLED_LINES)
    found = sorted(
        [
            (right - left) / (len(text) - 1)
            for text, left, right in zip(page.texts[::step], page.x0[::step], page.x1[::step], strict=True)
            if len(text) > 9 and right > left
        ]
    )
    return found[len(found) // 2] if found else 0.0


def _separators(page: Page, width: float) -> list[str]:
    """What comes after each line: a line end, a blank line, or a space where a line was only wrapped."""
    texts, x0, x1 = page.texts, page.x0, page.x1
    count = len(texts)
    size = width * (1.05 if _CJK.match(texts[count // 2]) else 2.0)
    if page.y0 != page.y1:
        page.baselines(size * 0.6)
    smallest, widest = size * 0.6, size * 2.8
    gaps = [above - below for above, below in zip(page.y1, page.y0[1:], strict=False)]
    regular = [gap if smallest < gap < widest else 0.0 for gap in gaps]
    separators = ["\n"] * count
    runs: list[tuple[int, int]] = []
    begin = 0
    for i in _breaks(regular, x0, 12 * width):
        if regular[i]:
            if _is_wide(regular, i):
                separators[i] = "\n\n"
        elif not -smallest < gaps[i] < smallest:
            separators[i] = "\n\n"
        elif -width < x0[i + 1] - x1[i] < width * 3 and len(texts[i]) > 1:
            separators[i] = " "  # the same line, broken by a mark in another font
            continue
        if i > begin:
            runs.append((begin, i))
        begin = i + 1
    if count - 1 > begin:
        runs.append((begin, count - 1))
    _unwrap(page, runs, separators, width)
    return separators


def _breaks(gaps: list[float], x0: list[float], widest_shift: float) -> list[int]:
    """Where the distance to the next line is greater than those around it, or its beginning far off."""
    shifts = [following - x for x, following in pairwise(x0)]
    around = zip([0.0, *gaps], gaps, [*gaps[1:], 0.0], shifts, strict=False)
    return [
        i
        for i, (before, gap, after, shift) in enumerate(around)
        if not gap
        or not -widest_shift < shift < widest_shift
        or gap > _SAME_GAP * (min(before, after) or before or after or gap)
    ]


def _is_wide(gaps: list[float], i: int) -> bool:
    around = [gap for gap in (*gaps[max(0, i - 1) : i], *gaps[i + 1 : i + 2]) if gap]
    return gaps[i] > _SAME_GAP * min(around, default=gaps[i])


def _unwrap(page: Page, runs: list[tuple[int, int]], separators: list[str], width: float) -> None:
    """Join the lines of those runs that are prose."""
    columns: list[tuple[float, float]] = []
    short: list[tuple[int, int]] = []
    for first, last in runs:
        lines = last - first
        if lines >= 2:
            right = max(page.x1[first : last + 1])
            full = _full_lines(page, first, last, right, width)
            if sum(full) >= _FULL_SHARE * lines:
                wanted = _PROSE_CJK_CHARS if _CJK.match(page.texts[first]) else _PROSE_CHARS
                if sum(map(len, page.texts[first : last + 1])) >= wanted * (lines + 1):
                    columns.append((min(page.x0[first : last + 1]), right))
                    _unwrap_run(page, first, full, separators, width)
                    continue
        if lines <= 3:
            short.append((first, last))
    for first, last in short if columns else ():
        for left, right in columns:
            if abs(page.x0[last] - left) < width * 3 and max(page.x1[first:last]) < right + width * 2:
                full = _full_lines(page, first, last, right, width)
                if all(full):
                    _unwrap_run(page, first, full, separators, width)
                break


def _full_lines(page: Page, first: int, last: int, right: float, width: float) -> list[bool]:
    """Whether the next line's first word would not have fitted into each line but the last."""
    limit = right - 1.5 * width
    return [
        end + width * (word if 0 < (word := text.find(" ")) <= _LONGEST_WORD else _first_word(text)) > limit
        for end, text in zip(page.x1[first:last], page.texts[first + 1 : last + 1], strict=True)
    ]


def _first_word(text: str) -> int:
    """The length of the first word, in scripts without blanks that of the first character."""
    length = text.find(" ")
    if length < 0:
        length = len(text)
    return 1 if length > _LONGEST_WORD and _CJK.match(text) else length


def _unwrap_run(page: Page, first: int, full: list[bool], separators: list[str], width: float) -> None:
    texts, x0, x1, y0, y1 = page.texts, page.x0, page.x1, page.y0, page.y1
    opening = True  # whether this line is the first of its paragraph, which may be indented or hang out
    indent = width * 1.5
    for i, is_full in enumerate(full, first):
        text = texts[i + 1]
        start = text[0]
        shift = x0[i + 1] - x0[i]
        above = texts[i]
        usual = is_full and -indent < shift < indent and "a" <= start <= "z" and separators[i] == "\n"
        if usual and above[-1].isalpha() and text[1:2] not in (".", ")"):
            separators[i] = " "
            opening = False
            continue
        if separators[i] != "\n":
            opening = opening and separators[i] == " "
            continue
        if not start.isalpha() and _LIST_ITEM.match(text):
            opening = True
            continue
        if (above[-1].isdigit() and not start.islower()) or _is_row(
            above, x1[i] - x0[i], width, y0[i] - y1[i]
        ):
            opening = True  # perhaps a row of a table, or a line of a table of contents
            continue
        hanging = shift > indent and is_full and opening and _LIST_ITEM.match(above)
        opening = not hanging and (not is_full or shift > indent or (shift < -indent and not opening))
        if opening:
            separators[i] = "\n\n"
        else:
            separators[i] = "" if start > "\u2e7f" and _CJK.match(start) and _CJK.match(above[-1]) else " "


def _is_row(text: str, length: float, width: float, drop: float) -> bool:
    """Whether there are gaps inside a line, or leaders."""
    stretched = length > width * _STRETCHED * (len(text) - 1) and len(text) > 9 and not drop
    return stretched or "....." in text or ". . ." in text


def squash(title: str) -> str:
    """A title as it is looked for among lines: letters and digits only."""
    return "".join(filter(str.isalnum, title)).casefold()


def title_keys(title: str) -> Iterator[str]:
    """The ways in which a title of the outline may stand on its page: with its number and without."""
    key = squash(title)
    if len(key) > 1:
        yield key
    numbering = _NUMBERING.match(title)
    if numbering and len(bare := squash(title[numbering.end() :])) > 1:
        yield bare


def _mark_headings(texts: list[str], separators: list[str], outline: dict[str, int]) -> None:
    wanted = dict(outline)
    longest = 1.4 * max(map(len, wanted)) + 12  # blanks, and a number that the outline leaves out
    for i, text in enumerate(texts):
        if len(text) > longest or (i and separators[i - 1] != "\n\n") or not wanted:
            continue
        key = squash(text)
        lines = 1
        found = _find_title(text, key, wanted)
        if not found and i + 1 < len(texts) and len(text) + len(texts[i + 1]) <= longest:
            both = f"{text} {texts[i + 1]}"
            found, lines = _find_title(both, squash(both), wanted), 2
        if not found:
            continue
        level = wanted.pop(found)
        texts[i] = "#" * min(level, 6) + " " + text
        if lines == 2:
            separators[i] = " "
        separators[i + lines - 1] = "\n\n"


def _find_title(text: str, key: str, wanted: dict[str, int]) -> str:
    if key in wanted:
        return key
    bare = squash(_NUMBERING.sub("", text, count=1))
    return bare if bare != key and bare in wanted else ""
