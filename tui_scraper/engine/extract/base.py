"""What a reader of a format is: plain functions from bytes to text, with no knowledge of phases or the store.

A `Format` says which media types it reads and how. One that holds other files (an archive, a mail) also
yields them as `Entry` objects; they become documents of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO

import pluggy

from tui_scraper.engine.extract.limits import MAX_ENTRIES, MAX_LINK_CHARS, MAX_LINKS
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
"""(the bytes, their media type, the settings of the clean phase) -> the text.

Raises DocumentError for what is wrong with the document. Anything else it raises is a failure of the
extractor itself: the format's `fallback` is tried then.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file inside a container.

    `name` is the path that the container gives it (any separators, any tricks: it is made safe later),
    None where it has none. `size_bytes` and `mtime_ns` are the container's claims; -1 and 0 where it
    makes none. `pieces` gives the content once, in pieces of at most a megabyte, and only until the
    next entry is taken; it raises DocumentError where this entry alone cannot be read.
    """

    name: str | None
    pieces: Callable[[], Iterator[bytes]]
    size_bytes: int = -1
    mtime_ns: int = 0


EntryReader = Callable[[BinaryIO, str, CleanSettings], Iterator[Entry]]
"""(the open, seekable container, its media type, the settings) -> its files, in a fixed order.

Directories, links and devices are left out. Raises DocumentError where the container cannot be read, at
once or where the damage begins.
"""


@dataclass(frozen=True)
class Format:
    """A format that is read.

    `name` is what people call it ('Word (.docx)'). `extract` gives its text; None for an archive, which
    has none of its own. `fallback` is a slower and safer way to the text, tried when `extract` crashes,
    hangs or raises anything but a DocumentError. `entries` gives the files inside. `streamed` containers
    are never held in memory whole and may be larger than other files (limits.MAX_CONTAINER_BYTES); one
    with more than `max_entries` is refused.

    `endings` (without the dot) and `magic` (offset, bytes) tell `detect` of a media type that it does not
    know yet; they belong to the first of `media_types`. `needs` says in one sentence why the format
    cannot be read here, '' where it can. `modules` are imported once, before workers are forked.
    """

    name: str
    media_types: tuple[str, ...]
    extract: Extractor | None = None
    fallback: Extractor | None = None
    entries: EntryReader | None = None
    streamed: bool = False
    max_entries: int = MAX_ENTRIES
    endings: tuple[str, ...] = ()
    magic: tuple[tuple[int, bytes], ...] = ()
    needs: Callable[[CleanSettings], str] = lambda _settings: ""
    modules: tuple[str, ...] = ()


PLUGIN_GROUP = "tui_scraper"
"""The name of the hook's project, and of the entry points that plugins are found by."""

hookspec = pluggy.HookspecMarker(PLUGIN_GROUP)
hookimpl = pluggy.HookimplMarker(PLUGIN_GROUP)


class Hooks:
    """What a plugin may implement."""

    @hookspec
    def tui_scraper_formats(self) -> Iterable[Format]:
        """The formats that a plugin reads. Called once in each process that reads documents."""
        raise NotImplementedError


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
