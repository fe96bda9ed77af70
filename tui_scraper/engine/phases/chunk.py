"""Cuts clean text into chunks along its structure, never above a limit of tokens.

One pass from left to right. From the start of a chunk the ruler tells how far `max_tokens` reach; of
the places to cut before that, the best kind wins: a heading, a blank line, a list item or table row,
the end of a sentence, a line, a word, a punctuation mark, and at last a character. Nothing is planned
for the document as a whole and every search stays within the span of one chunk, so that the time grows
with the length of the text and not with its shape, which comes from outside.

What serves retrieval decides the rest. A chunk does not reach from one sizeable section into the next;
sections too small to say much on their own share a chunk; a last piece that would be too small gets its
share of the one before. "Sizeable" means a quarter of `max_tokens`.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from tui_scraper.engine.settings import ChunkSettings, Settings
from tui_scraper.engine.wire import Chunk, CleanText

if TYPE_CHECKING:
    from tui_scraper.engine.tokens import Lengths

VERSION: int = 1

_TITLE_CHARS = 80
_VIRAMA = 9  # a canonical combining class
_OVERLAP_TRIES = 8  # words to leave out where the count shows a few tokens too many
_TAIL_CHARS = 400  # where most cuts are found: searched before the rest of a chunk

# Scanned with a line feed put before the text: a literal first character makes `re` ten times as fast.
_HEADING = re.compile(r"\n {0,3}(#{1,6})[ \t]+(\S[^\n]{0,199})(?=\n|\Z)")
_FENCE = re.compile(r"\n {0,3}(`{3,}|~{3,})([^\n]*)")
_NOT_WHITE = re.compile(r"\S")
_WHITE = re.compile(r"\s")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
# A line that starts with a mark, a number or an indent is an entry of its own (item, row, code, log);
# one that starts with a letter may be the middle of a wrapped sentence.
_ENTRY_START = r"(?=[^\S\n]{0,16}(?:\d|[^\w\s(\"'“‘«])|[^\S\n]{4}|\t)"
_ENTRY = re.compile(rf"\n{_ENTRY_START}")
# After the mark: CJK sentences end there; others where white space and no small letter follow, unless
# an initial or a common abbreviation stands before. Patterns begin with one set of characters, so that
# `re` skips to them.
_SENTENCE_END = (
    r"(?:(?<=[。！？｡])[”’»）」』】]{0,4}"
    r"|(?<![\s.(][A-Za-z]\.)(?<!\b[DM]r\.)(?<!\bMrs\.)(?<!\bvs\.)(?<!\bNo\.)(?<!\bFig\.)"
    r"[\"'”’»)\]]{0,4}(?=\s{1,8}[^\sa-z]))"
)
_SENTENCE = re.compile(rf"[.!?…。！？｡]{_SENTENCE_END}")
_RESTART = re.compile(rf"[.!?…。！？｡\n](?:(?<=\n)(?:[^\S\n]*\n|{_ENTRY_START})|(?<!\n){_SENTENCE_END})")
_PUNCTUATION = re.compile(r"[,;:)\]}>/&|、，；：）」』】]")
_SPACES = re.compile(r"\s+")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_EMPHASIS = re.compile(r"[*`~]+|(?<!\w)_+|_+(?!\w)")
_CLOSING_HASHES = re.compile(r"(?:^|[ \t])#+[ \t]*$")


def relevant(settings: Settings) -> dict[str, object]:
    """The settings that decide what the chunks of a text are."""
    section = settings.chunk
    return {
        "max_tokens": section.max_tokens,
        "overlap": section.overlap,
        "tokenizer": section.tokenizer,
    }


def chunk(text: CleanText, settings: ChunkSettings, lengths: Lengths | None = None) -> list[Chunk]:
    """Cut a text into chunks of at most `max_tokens` tokens each, in order.

    Every character that is not white space is in at least one of them; each starts and ends with such
    a character. Starts strictly increase. A text of nothing but white space has no chunks.

    `heading` names the section in which the chunk starts, its own first line included. `lengths` are those of
    the text's tokens, where they are known (`tokens.lengths_of`).
    """
    body = text.text
    first = _NOT_WHITE.search(body)
    if first is None:
        return []
    start, end = first.start(), len(body.rstrip())
    outline = Outline(body, end)
    if end - start <= 4 * settings.max_tokens and not outline.starts:
        from tui_scraper.engine.tokens import count  # with numpy, so only where there is work: in workers

        if lengths is not None and end - start == len(body):
            tokens = len(lengths)
        else:
            tokens = count(body[start:end], settings.tokenizer)
        if tokens <= settings.max_tokens:
            return [Chunk(start, end, tokens)]
    return _Cutter(body, end, outline, settings, lengths).cut(start)


class Outline:
    """The headings of a text in order, and its fenced blocks.

    In arrays of numbers, because 10 M characters can hold 3 M headings. `starts` and `ends` bound a
    section with its subsections. `main_starts` are the headings of the main sections: those at the
    first level that has more than one heading (a lone title is not a section), and above.
    """

    def __init__(self, text: str, end: int) -> None:
        self._text = text
        self.starts = array("q")
        self.ends = array("q")
        self.main_starts = array("q")
        self.fence_starts = array("q")
        self.fence_ends = array("q")
        self._parents = array("q")
        self._levels = array("b")
        self.main_level = 0
        # One character is found ten times as fast as three.
        if ("`" in text and "```" in text) or ("~" in text and "~~~" in text):
            self._find_fences()
        if "#" in text:
            self._find_headings(end)

    def _find_fences(self) -> None:
        """Blocks between a fence and the next that closes it. One that nothing closes is plain text."""
        opening, opened_at = "", 0
        for match in _FENCE.finditer("\n" + self._text):
            fence, rest = match[1], match[2]
            if not opening:
                if "`" not in rest:
                    opening, opened_at = fence, match.start()
            elif fence.startswith(opening) and not rest.strip():
                self.fence_starts.append(opened_at)
                self.fence_ends.append(match.end() - 1)
                opening = ""

    def _find_headings(self, end: int) -> None:
        starts, levels, line_ends = array("q"), array("b"), array("q")
        for match in _HEADING.finditer("\n" + self._text):
            if not self.in_fence(match.start()):
                starts.append(match.start())
                levels.append(len(match[1]))
                line_ends.append(match.end() - 1)
        open_sections: list[int] = []
        for index, (start, level) in enumerate(zip(starts, levels, strict=True)):
            # Lines with # directly above or below one another are a block of comments.
            above = index > 0 and line_ends[index - 1] + 1 == start and levels[index - 1] == level
            if above or (
                index + 1 < len(starts)
                and line_ends[index] + 1 == starts[index + 1]
                and levels[index + 1] == level
            ):
                continue
            while open_sections and self._levels[open_sections[-1]] >= level:
                self.ends[open_sections.pop()] = start
            self._parents.append(open_sections[-1] if open_sections else -1)
            open_sections.append(len(self.starts))
            self.starts.append(start)
            self._levels.append(level)
            self.ends.append(end)
        counts = [self._levels.count(level) for level in range(1, 7)]
        self.main_level = next((level for level in range(1, 7) if counts[level - 1] > 1), 1)
        self.main_starts.extend(
            start for start, level in zip(self.starts, self._levels, strict=True) if level <= self.main_level
        )

    def in_fence(self, at: int) -> bool:
        """Whether the offset is inside a fenced block."""
        index = bisect_right(self.fence_starts, at) - 1
        return index >= 0 and at < self.fence_ends[index]

    def fence_around(self, at: int) -> tuple[int, int] | None:
        """Start and end of the fenced block that a cut at this offset would tear apart."""
        index = bisect_left(self.fence_starts, at) - 1
        if index < 0 or at >= self.fence_ends[index]:
            return None
        return self.fence_starts[index], self.fence_ends[index]

    def opens_fence(self, at: int) -> bool:
        """Whether a fenced block starts at this offset."""
        index = bisect_left(self.fence_starts, at)
        return index < len(self.fence_starts) and self.fence_starts[index] == at

    def section(self, at: int) -> int:
        """The index of the last heading at or before an offset, or -1."""
        return bisect_right(self.starts, at) - 1

    def is_main(self, index: int) -> bool:
        """Whether a heading opens a main section."""
        return self._levels[index] <= self.main_level

    def path(self, index: int) -> str:
        """The titles of a heading and of those above it, outermost first, without their markup."""
        titles: list[str] = []
        while index >= 0:
            match = _HEADING.match("\n" + self._text[self.starts[index] : self.starts[index] + 224])
            title = _clean_title(match[2]) if match else ""
            if title:
                titles.append(title)
            index = self._parents[index]
        return " > ".join(reversed(titles))

    def before_bare_headings(self, at: int) -> int:
        """Move a cut up over the headings that would be left without what they stand above.

        That is a heading right above the cut, and further up each that holds nothing but the next one.
        """
        index = bisect_left(self.starts, at) - 1
        below = index + 1 if index + 1 < len(self.starts) and self.starts[index + 1] == at else -1
        while index >= 0 and (below == -1 or self._parents[below] == index):
            line_end = self._text.find("\n", self.starts[index], at)
            if line_end != -1 and _NOT_WHITE.search(self._text, line_end, at) is not None:
                break
            at = self.starts[index]
            below = index
            index -= 1
        return at


def _clean_title(title: str) -> str:
    title = _LINK.sub(r"\1", _CLOSING_HASHES.sub("", title))
    title = _SPACES.sub(" ", _EMPHASIS.sub("", title)).strip()
    return title if len(title) <= _TITLE_CHARS else title[: _TITLE_CHARS - 1].rstrip() + "…"


class _Cutter:
    """Cuts one text. `end` is the offset after its last visible character."""

    def __init__(
        self, text: str, end: int, outline: Outline, settings: ChunkSettings, lengths: Lengths | None
    ) -> None:
        self._text = text
        self._end = end
        self._outline = outline
        self._limit = settings.max_tokens
        self._overlap = settings.overlap
        self._sizeable = settings.max_tokens // 4
        from tui_scraper.engine.tokens import Ruler

        self._ruler = Ruler(text, settings.tokenizer, lengths)

    def cut(self, start: int) -> list[Chunk]:
        chunks: list[Chunk] = []
        section, heading = -1, ""
        fresh: int = start  # where text begins that no chunk holds yet
        while True:
            start = self._overlap_start(chunks[-1], fresh) if chunks and self._overlap else fresh
            start, end, tokens = self._fit(start, fresh)
            if (here := self._outline.section(start)) != section:
                section, heading = here, self._outline.path(here)
            chunks.append(Chunk(start, end, tokens, heading))
            following = _NOT_WHITE.search(self._text, end, self._end)
            if following is None:
                return chunks
            fresh = following.start()
            self._ruler.forget(start)

    def _fit(self, start: int, fresh: int) -> tuple[int, int, int]:
        """The best chunk from `start` that goes beyond `fresh`: its start, end and tokens.

        How far tokens reach is known to a token or two where words are cut, hence the count at the end,
        and another try with less. Overlap is given up rather than a character torn apart.
        """
        ruler, text, limit = self._ruler, self._text, self._limit
        budget = limit
        while budget > 0 and (farthest := min(ruler.reach(start, budget), self._end)) > fresh:
            end = self._best_cut(fresh, farthest)
            if start < fresh and _joined(text, end, fresh):
                break
            end = fresh + len(text[fresh:end].rstrip())
            tokens = ruler.count(start, end)
            if tokens <= limit:
                return start, end, tokens
            budget = min(budget - (tokens - limit), budget - budget // 8)
        if start < fresh:
            return self._fit(fresh, fresh)
        return fresh, fresh + 1, ruler.count(fresh, fresh + 1)

    def _best_cut(self, start: int, farthest: int) -> int:
        """Where a chunk with new text from `start` should end; after `start`, not after `farthest`."""
        at = self._heading_cut(start, farthest)
        if at is not None:
            return at
        if farthest == self._end:
            return farthest
        full = farthest
        farthest = self._spare_the_rest(start, full)
        ruler, text = self._ruler, self._text
        fence = self._outline.fence_around(farthest)
        if fence is not None:
            if fence[0] <= start and fence[1] <= full:
                return fence[1]
            at = self._outline.before_bare_headings(fence[0])
            if at > start and ruler.distance(at, fence[1], self._limit + 1) <= self._limit:
                return at
        at = self._blank_line_cut(start, ruler.reach(start, self._sizeable), farthest)
        if at is not None:
            return at
        tokens = ruler.distance(start, farthest, self._limit)
        low = max(start + 1, ruler.reach(start, tokens // 2))
        line = text.rfind("\n", low, farthest + 1)
        at = line if fence is not None else -1
        if at == -1:
            at = self._last(_ENTRY, low, farthest)
        if at == -1:
            at = self._last(_SENTENCE, low, farthest)
        if at == -1:
            at = line
        if at == -1:
            at = _last_word(text, low, farthest)
        if at == -1:
            at = self._last(_PUNCTUATION, low, farthest)
        return _between_graphemes(text, start, farthest if at == -1 else at)

    def _heading_cut(self, start: int, farthest: int) -> int | None:
        """The first heading to cut before: of a sizeable main section, or of one that does not fit."""
        outline, ruler, sizeable = self._outline, self._ruler, self._sizeable
        starts = outline.starts
        if not starts or starts[-1] <= start:
            return None
        low = max(start + 1, ruler.reach(start, sizeable))
        for index in range(bisect_left(starts, low), bisect_right(starts, farthest)):
            at, section_end = starts[index], outline.ends[index]
            if section_end > farthest or (
                outline.is_main(index) and ruler.distance(at, section_end, sizeable) >= sizeable
            ):
                at = outline.before_bare_headings(at)
                if at > start:
                    return at
        return None

    def _spare_the_rest(self, start: int, farthest: int) -> int:
        """Stop earlier where the main section would otherwise end in a piece that is too small."""
        ruler, sizeable, main_starts = self._ruler, self._sizeable, self._outline.main_starts
        index = bisect_right(main_starts, farthest)
        stop = main_starts[index] if index < len(main_starts) else self._end
        rest = ruler.distance(farthest, stop, sizeable)
        if rest >= sizeable:
            return farthest
        tokens = ruler.distance(start, farthest, self._limit) - (sizeable - rest)
        return max(start + 1, ruler.reach(start, tokens)) if tokens > 0 else farthest

    def _blank_line_cut(self, start: int, low: int, farthest: int) -> int | None:
        text, outline, limit = self._text, self._outline, self._limit
        low, stop = max(low, start + 1), farthest + 2
        while (at := text.rfind("\n\n", low, stop)) != -1 or (
            at := self._last(_BLANK_LINE, low, stop - 2)
        ) != -1:
            fence = outline.fence_around(at)
            keep = fence and fence[0] > start and self._ruler.distance(*fence, limit + 1) <= limit
            better = outline.before_bare_headings(fence[0] if fence and keep else at)
            if better > start:
                above = text.rfind("\n\n", low, max(low, better - 1))
                return above if above >= 0 and _is_title(text[above:better]) else better
            stop = at + 1
        return None

    def _last(self, pattern: re.Pattern[str], low: int, farthest: int) -> int:
        """The last place between two offsets to cut by a pattern: after it, but before line feeds."""
        near = max(low, farthest - _TAIL_CHARS)
        for begin in (near, low) if near > low else (near,):
            at = -1
            for match in pattern.finditer(self._text, begin, farthest + 18):
                end = match.start() if self._text[match.start()] == "\n" else match.end()
                if end > farthest:
                    break
                at = end
            if at != -1:
                return at
        return -1

    def _overlap_start(self, before: Chunk, fresh: int) -> int:
        """Where a chunk starts that repeats the end of the one before; `fresh` where nothing is repeated.

        At the start of a sentence, a paragraph or an entry, else of a word, within the section.
        """
        text, ruler, outline = self._text, self._ruler, self._outline
        section = outline.section(fresh)
        section_start = outline.starts[section] if section >= 0 else 0
        if section_start == fresh or outline.opens_fence(fresh):
            return fresh
        low = max(ruler.reach_back(before.end, self._overlap), before.start + 1, section_start)
        if low < before.end and low == section_start:
            candidate = low
        else:
            candidate = self._restart(_RESTART, low, before.end)
            if candidate == -1:
                candidate = self._restart(_WHITE, low, before.end)
        for _ in range(_OVERLAP_TRIES):
            if candidate == -1:
                break
            if (
                not _joined(text, candidate, before.start)
                and ruler.count(candidate, before.end) <= self._overlap
            ):
                return candidate
            candidate = self._restart(_WHITE, candidate + 1, before.end)
        return fresh

    def _restart(self, pattern: re.Pattern[str], low: int, high: int) -> int:
        """The first visible character, of those at or after `low`, that follows a match."""
        for match in pattern.finditer(self._text, max(0, low - 6), high):
            visible = _NOT_WHITE.search(self._text, match.end(), high)
            if visible is None:
                return -1
            if visible.start() >= low:
                return visible.start()
        return -1


def _is_title(paragraph: str) -> bool:
    """Whether a paragraph looks like the title, in a text without markup, of what follows it."""
    return len(paragraph) <= _TITLE_CHARS and "\n" not in paragraph.strip()


def _last_word(text: str, low: int, farthest: int) -> int:
    """The end of the last whole word between two offsets, or -1."""
    span = text[low : farthest + 1]
    if span[-1:].isspace():
        return farthest
    parts = span.rsplit(None, 1)
    return farthest + 1 - len(parts[1]) if len(parts) == 2 else -1


def _between_graphemes(text: str, start: int, at: int) -> int:
    """Move a cut back to where it tears no user-perceived character apart, if that is after `start`."""
    whole = at
    while whole > start and _joined(text, whole, start):
        whole -= 1
    return whole if whole > start else at


def _joined(text: str, at: int, start: int) -> bool:
    """Whether the characters around an offset belong to one grapheme (UAX #29, without its rarities).

    `start` is known to be between graphemes: nothing before it is looked at.
    """
    if at >= len(text):
        return False
    here, before = text[at], text[at - 1]
    if here < "\u0300":
        return here == "\n" and before == "\r"
    if before in "\r\n":
        return False
    if before == "\u200d" or here in "\u200d\u200c" or "\U0001f3fb" <= here <= "\U0001f3ff":
        return True
    if "\U0001f1e6" <= here <= "\U0001f1ff":  # regional indicators pair up from the left
        first = at
        while first > start and "\U0001f1e6" <= text[first - 1] <= "\U0001f1ff":
            first -= 1
        return (at - first) % 2 == 1
    if "\u1160" <= here <= "\u11ff":  # Hangul vowels and finals after their initials
        return "\u1100" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3"
    if unicodedata.combining(before) == _VIRAMA and here.isalpha():  # conjuncts of Indic scripts
        return True
    return unicodedata.category(here) in ("Mn", "Me", "Mc") or "\U000e0020" <= here <= "\U000e007f"
