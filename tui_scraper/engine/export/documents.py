"""The documents found, in the order of an export, with what the state tables say of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import apsw

from tui_scraper.engine.store.head import Head

if TYPE_CHECKING:
    from tui_scraper.engine.duplicates.model import Duplicates


@dataclass(slots=True)
class Document:
    """One document at the head. `since` is the scan from which on its version is valid."""

    version: int
    since: int
    path: bytes
    uid: bytes
    size_bytes: int
    mtime_ns: int
    content: bytes | None
    media_type: str | None
    parent_uid: bytes | None
    members: int
    results: dict[int, tuple[int, int | None, int]] = field(default_factory=dict)
    """Phase -> (status, artifact, seq), the latest that the head can see."""


def read_documents(
    state: apsw.Connection, head: Head, versions: Collection[int] | None = None
) -> Iterator[Document]:
    """Every document found, in the order of path bytes; only those of `versions` where given.

    The connection must be inside a read transaction for as long as the iterator runs. Results are not
    read here.
    """
    wanted = None if versions is None else frozenset(versions)
    newest = head.scan == state.execute("SELECT coalesce(max(id), 0) FROM scan").get
    # The first has an index of its own. Either way nothing is sorted and no table scanned for each document.
    live, inside = ("v.scan_to IS NULL", "w.scan_to IS NULL") if newest else (head.live(), head.live("w"))
    rows = state.execute(
        f"""SELECT v.id, v.scan_from, d.path, d.uid, v.size_bytes, v.mtime_ns, v.content, v.media_type,
            (SELECT p.uid FROM document p WHERE p.id = d.parent),
            (SELECT count(*) FROM document m CROSS JOIN version w ON w.document = m.id
                WHERE m.parent = d.id AND m.parent > 0 AND {inside})
        FROM document d CROSS JOIN version v ON v.document = d.id
        WHERE {live} ORDER BY d.path, d.parent"""  # noqa: S608
    )
    for row in rows:
        if wanted is None or row[0] in wanted:
            yield Document(*row)


class Copy(NamedTuple):
    """What a document is a copy of, as ids: `of` has the same bytes, `nearly_of` nearly the same text."""

    of: str | None = None
    nearly_of: str | None = None


class Copies:
    """Knows what each document is a copy of. Ask for every document once, in the order of the file.

    Near-duplicates are those of `duplicates`, if any.
    """

    def __init__(
        self,
        state: apsw.Connection,
        head: Head,
        versions: Collection[int] | None = None,
        duplicates: Duplicates | None = None,
    ) -> None:
        self._repeated = _repeated_contents(state, head, versions)
        self._first: dict[bytes, str] = {}
        self._duplicates = duplicates
        if duplicates is not None:
            self._versions, self._near = duplicates.versions.data, duplicates.near.data  # read one by one
        self._next = 0

    def of(self, document: Document) -> Copy:
        """What a document is a copy of."""
        return Copy(self.first(document), self._nearly(document.version))

    def _nearly(self, version: int) -> str | None:
        if self._duplicates is None:
            return None
        place = self._next  # both are in path order
        if place == len(self._versions) or self._versions[place] != version:
            elsewhere = self._duplicates.place(version)
            if elsewhere is None:
                return None
            place = elsewhere
        self._next = place + 1
        return self._duplicates.near_duplicate_of(place) if self._near[place] != place else None

    def first(self, document: Document) -> str | None:
        """The id of the first document with exactly the same bytes; None where that is this one."""
        content = document.content
        if content is None or content not in self._repeated:
            return None
        own = document.uid.hex()
        first = self._first.setdefault(content, own)
        return first if first != own else None


def _repeated_contents(
    state: apsw.Connection, head: Head, versions: Collection[int] | None
) -> frozenset[bytes]:
    """The contents that more than one document has: all that need remembering."""
    rows = state.execute(
        f"SELECT content, id FROM version v WHERE {head.live()} AND content IS NOT NULL"  # noqa: S608
        if versions is not None
        else f"""SELECT content, 0 FROM version v WHERE {head.live()} AND content IS NOT NULL
            GROUP BY content HAVING count(*) > 1"""  # noqa: S608
    )
    if versions is None:
        return frozenset(content for content, _version in rows)
    wanted = frozenset(versions)
    seen: set[bytes] = set()
    repeated: set[bytes] = set()
    for content, version in rows:
        if version in wanted:
            (repeated if content in seen else seen).add(content)
    return frozenset(repeated)
