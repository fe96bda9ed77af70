"""The piece of a chunk that shows why it was found, and where in it the words are."""

from __future__ import annotations

from collections.abc import Callable

from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.search.terms import WORD

SNIPPET_CHARS = 200
_LOOKED_AT = 100_000
"""Characters of a chunk that are searched for the best place; a chunk is a few thousand long."""

Marks = tuple[tuple[int, int], ...]
"""Where found words begin and end, in characters."""


def snippet(text: str, terms: frozenset[str], analyze: Callable[[str], list[str]]) -> str:
    """About 200 characters of `text` around the place with the most different terms, on one line.

    Harmless for a terminal. Cuts are made between words and marked with '…'. Where no term occurs
    (the title or heading matched) it is the beginning of the text.
    """
    start = _best_start(text, _places(text[:_LOOKED_AT], terms, analyze))
    end = min(len(text), start + SNIPPET_CHARS)
    if end < len(text):
        least = start + SNIPPET_CHARS // 2
        space = max(text.rfind(" ", least, end), text.rfind("\n", least, end))
        end = space if space > 0 else end
    line = " ".join(safe_text(text[start:end], newlines=True).split())
    return ("…" if start > 0 else "") + line + ("…" if end < len(text) else "")


def marks(text: str, terms: frozenset[str], analyze: Callable[[str], list[str]]) -> Marks:
    """Where the terms are in a text as it is shown; those that touch are one."""
    found: list[tuple[int, int]] = []
    for start, end, _term in _places(text[:_LOOKED_AT], terms, analyze):
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return tuple(found)


def _places(
    text: str, terms: frozenset[str], analyze: Callable[[str], list[str]]
) -> list[tuple[int, int, str]]:
    """Where the terms occur: (start, end, term)."""
    known: dict[str, str | None] = {}
    places = []
    for match in WORD.finditer(text):
        word = match[0]
        if word not in known:
            known[word] = next((term for term in analyze(word) if term in terms), None)
        term = known[word]
        if term is not None:
            places.append((match.start(), match.end(), term))
    return places


def _best_start(text: str, places: list[tuple[int, int, str]]) -> int:
    """Where the window with the most different terms, then the most of them, begins."""
    best, best_first, best_last = (0, 0), 0, 0
    counts: dict[str, int] = {}
    first = 0
    for last, (_start, end, term) in enumerate(places):
        counts[term] = counts.get(term, 0) + 1
        while end - places[first][0] > SNIPPET_CHARS - 20 and first < last:
            left = places[first][2]
            counts[left] -= 1
            if not counts[left]:
                del counts[left]
            first += 1
        score = (len(counts), last - first + 1)
        if score > best:
            best, best_first, best_last = score, first, last
    if not places or places[best_last][1] <= SNIPPET_CHARS - 20:
        return 0
    spare = SNIPPET_CHARS - (places[best_last][1] - places[best_first][0])
    wanted = max(0, places[best_first][0] - max(0, spare) // 3)
    for at in range(wanted, places[best_first][0]):
        if at == 0 or text[at - 1].isspace():
            return at
    return wanted if spare > 0 else places[best_first][0]
