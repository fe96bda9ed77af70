"""What an extractor is: a function from bytes to `Extracted`, with no knowledge of phases or the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from tui_scraper.engine.extract.limits import MAX_LINK_CHARS, MAX_LINKS
from tui_scraper.engine.settings import CleanSettings


class Prose(Enum):
    """How much of a text is natural language, which decides whether its language is looked for."""

    PROSE = "prose"
    DATA = "data"
    CODE = "code"


@dataclass(slots=True)
class Extracted:
    """The text of a document before it is tidied, with what its format says about it.

    `pages` holds the text page by page for formats that have pages; `text` is then empty.
    `declared_language` is what the document claims, as a BCP 47 tag, '' where it claims nothing.
    """

    text: str = ""
    title: str | None = None
    pages: list[str] | None = None
    links: list[tuple[str, str]] = field(default_factory=list)
    truncated: bool = False
    prose: Prose = Prose.PROSE
    declared_language: str = ""


Extractor = Callable[[bytes, str, CleanSettings], Extracted]


class Links:
    """Collects links in order, without repeats and within limits. Fragments and scripts are no links."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], None] = {}

    def add(self, target: str, kind: str) -> None:
        """Keep a link unless it leads nowhere or the limit is reached."""
        target = "".join(target.split()) if " " in target or "\n" in target or "\t" in target else target
        if not target or target[0] == "#" or len(target) > MAX_LINK_CHARS or len(self._seen) >= MAX_LINKS:
            return
        if target[:11].lower() == "javascript:" or target[:5].lower() == "data:":
            return
        self._seen[(target, kind)] = None

    def as_list(self) -> list[tuple[str, str]]:
        """The links, in the order they were met."""
        return list(self._seen)
