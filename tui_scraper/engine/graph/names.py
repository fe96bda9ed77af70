"""Whose name something is: an inverted index of paths, ends of paths, manual pages, RFCs, DOIs and mails.

Every lookup costs the same however many documents share a name. A path, or the end of one, means a document
only where exactly one has it; other names may be shared by up to `MOST_SHARING`, and mean all of these.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from tui_scraper.engine.graph.paths import Place, normalized

MOST_SHARING = 8
"""A name that more documents have than this says nothing about any of them."""
AMBIGUOUS = -1
"""Instead of a document: more than one has the name."""
INDEX_PAGES = (b"index.html", b"index.htm", b"README.md")
"""What a link to a folder leads to, the first that is there."""

_RFC_FILE = re.compile(rb"rfc[-_ ]?0*(\d{1,5})(?:\.[A-Za-z0-9.]{1,20})?", re.IGNORECASE)
_RFC_TITLE = re.compile(r"\s*RFC[ -]?0*(\d{1,5})\b", re.IGNORECASE)
_DOI_FILE = re.compile(rb"(10\.\d{4,9})(?:[_@-]|%2[Ff])([^/]{1,200}?)(?:\.[A-Za-z]{1,5})?")
_PAGE = re.compile(rb"[^/]{1,200}\.[0-9n][a-z]{0,8}")

Key = TypeVar("Key", bound=Hashable)


class Shared(Generic[Key]):
    """Names that several documents may have."""

    def __init__(self) -> None:
        self._known: dict[Key, int | list[int]] = {}

    def add(self, name: Key, document: int) -> None:
        """A document has this name."""
        before = self._known.get(name)
        if before is None:
            self._known[name] = document
        elif isinstance(before, int):
            if before != document:
                self._known[name] = [before, document]
        elif len(before) <= MOST_SHARING and document not in before:
            before.append(document)

    def of(self, name: Key) -> Sequence[int] | None:
        """The documents with this name: none, up to `MOST_SHARING`, or None where more have it."""
        found = self._known.get(name)
        if found is None:
            return ()
        if isinstance(found, int):
            return (found,)
        return found if len(found) <= MOST_SHARING else None


class Names:
    """The names of all documents. Add every document, `close` it, then ask.

    `paths` are those of the documents, sorted: looking there costs little and takes no memory.
    """

    def __init__(self, paths: Sequence[bytes]) -> None:
        self._paths = paths
        self._written: dict[bytes, int] = {}
        self._folders: set[bytes] = set()
        self._ends: list[tuple[bytes, int]] = []
        self._scopes: dict[bytes, int] = {}
        self._pages: dict[bytes, int] = {}
        self.selves: Shared[str] = Shared()
        self.rfcs: Shared[int] = Shared()
        self.dois: Shared[str] = Shared()

    def add(self, document: int, place: Place, *, source: bool, manual: bool) -> None:
        """A document at a place. `source`: it may be included or imported by the end of its path."""
        path = place.path
        if (written := _as_written(path)) != path:
            _add(self._written, written, document)
        self._add_folders(place)
        base = path.rpartition(b"/")[2]
        if source:
            self._ends.append((self._end_key(place.scope, place.inner), document))
        if manual and _PAGE.fullmatch(base):
            for key in (base, _manual(place) + b"\0" + base):
                _add(self._pages, key, document)
        if rfc := _RFC_FILE.fullmatch(base):
            self.rfcs.add(int(rfc[1]), document)
        if doi := _DOI_FILE.fullmatch(base):
            self.dois.add(b"/".join(doi.groups()).decode("utf-8", "replace").lower(), document)

    def call(self, document: int, title: str) -> None:
        """A document has a title, which may make it an RFC."""
        if rfc := _RFC_TITLE.match(title):
            self.rfcs.add(int(rfc[1]), document)

    def close(self) -> None:
        """All documents have been added."""
        self._ends.sort()

    def _add_folders(self, place: Place) -> None:
        folder = place.scope + place.folder
        while len(folder) > len(place.scope) and folder not in self._folders:
            self._folders.add(folder)
            folder = folder.rpartition(b"/")[0]
        self._folders.add(place.scope)

    def path(self, place: Place, name: bytes) -> int | None:
        """The document that a path means, seen from a place; AMBIGUOUS, or None where there is none."""
        inner = normalized(place.folder, name)
        return self._at(place.scope + inner) if inner is not None else None

    def exact(self, path: bytes) -> int | None:
        """The document with this very path, or AMBIGUOUS, or None."""
        at = bisect_left(self._paths, path)
        if at == len(self._paths) or self._paths[at] != path:
            return None
        return at if at + 1 == len(self._paths) or self._paths[at + 1] != path else AMBIGUOUS

    def _at(self, path: bytes) -> int | None:
        found = self.exact(path)
        return found if found is not None or not self._written else self._written.get(_as_written(path))

    def index(self, place: Place, name: bytes) -> tuple[bool, int | None]:
        """Whether a path means a folder, and the page that stands for it."""
        inner = normalized(place.folder, name)
        if inner is None:
            return False, None
        folder = place.scope + inner
        if folder not in self._folders:
            return False, None
        before = folder + b"/" if inner else folder
        found = (self._at(before + page) for page in INDEX_PAGES)
        return True, next((one for one in found if one is not None), None)

    def ending(self, scope: bytes, end: bytes) -> int | None:
        """The only source file of a scope whose path is `end` or ends with '/' and it; AMBIGUOUS, or None."""
        if scope not in self._scopes:
            return None
        key = self._end_key(scope, end)
        at = bisect_left(self._ends, (key, -1))
        if at == len(self._ends) or not self._ends[at][0].startswith(key):
            return None
        is_last = at + 1 == len(self._ends) or not self._ends[at + 1][0].startswith(key)
        return self._ends[at][1] if is_last else AMBIGUOUS

    def _end_key(self, scope: bytes, path: bytes) -> bytes:
        number = self._scopes.setdefault(scope, len(self._scopes))
        return b"%d\0" % number + (b"/" + path)[::-1]

    def page(self, place: Place, name: bytes) -> int | None:
        """A manual page such as `printf.3`: that of the same manual, else the only one of this name."""
        found = self._pages.get(_manual(place) + b"\0" + name)
        return found if found is not None else self._pages.get(name)


def _add(names: dict[bytes, int], name: bytes, document: int) -> None:
    names[name] = document if names.get(name, document) == document else AMBIGUOUS


def _manual(place: Place) -> bytes:
    """The manual that a page belongs to: the folder around those of its sections."""
    return place.scope + place.folder.rpartition(b"/")[0]


def _as_written(path: bytes) -> bytes:
    """A path as links keep it: in NFC, and without white space."""
    if path.isascii():
        return b"".join(path.split())
    try:
        return "".join(unicodedata.normalize("NFC", path.decode()).split()).encode()
    except UnicodeDecodeError:
        return path
