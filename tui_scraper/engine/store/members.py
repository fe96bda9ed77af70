"""Members: documents inside a container, registered together when the container has been read.

A member is a document with a `parent`. Its path is the container's path, `!/`, and its name inside, so
that everything that shows, sorts or looks for paths needs to know nothing of containers. A member lives
as long as the version of its container does: when that ends, or when the container no longer yields it,
the member leaves the head and stays in history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.counters import FOUND, FOUND_ALL, FOUND_INSIDE, add_count
from tui_scraper.engine.store.epochs import open_scan
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER, STATUS_NUMBER, Head
from tui_scraper.engine.store.writer import Transaction
from tui_scraper.engine.wire import Member

SEPARATOR = b"!/"
MAX_INSIDE = 50_000
"""Documents under one file, through all containers inside it: archives of archives multiply."""

_LIST = msgspec.msgpack.Decoder(list[Member])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document is: in `file` (a path relative to the source), or inside it under these names.

    `root` is the document of that file; `parents` are the paths of all containers around it, outermost first.
    """

    file: bytes
    inside: tuple[bytes, ...]
    root: int
    parents: tuple[bytes, ...]


class Places:
    """Finds the way to documents, remembering their containers."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[int, Place] = {}

    def of(self, document: int, path: bytes, parent: int) -> Place:
        """Where a document with this path and parent is."""
        if not parent:
            return Place(path, (), document, ())
        around = self._known.get(parent)
        if around is None:
            row: Any = self._connection.execute(
                "SELECT path, parent FROM document WHERE id = ?", (parent,)
            ).fetchone()
            around = self._known[parent] = self.of(parent, row[0], row[1])
        container = path_of(around)
        name = path[len(container) + len(SEPARATOR) :]
        return Place(around.file, (*around.inside, name), around.root, (*around.parents, container))


def path_of(place: Place) -> bytes:
    """The whole path of what is at a place."""
    return SEPARATOR.join((place.file, *place.inside))


def document_uid(path: bytes, parents: Sequence[bytes] = ()) -> bytes:
    """8 bytes that identify a document by its path and its containers' paths."""
    return digest(b"\0".join([*parents, path]))[:8]


def pack_members(members: Sequence[Member]) -> bytes:
    """The `data` of a container's clean artifact."""
    return msgspec.msgpack.encode(members)


def unpack_members(data: bytes | None) -> list[Member] | None:
    """The members that a clean artifact tells of, None where it is not a container's."""
    return None if data is None else _LIST.decode(data)


def keep_members(
    transaction: Transaction, head: Head, place: Place, document: int, members: Iterable[Member]
) -> list[int]:
    """Make the live members of a container exactly these. Returns the versions that ended.

    `head` is that of `open_scan`, as everywhere here: documents come and go.

    A member that is there already, with the same size and time, keeps its version and all its results. One
    that comes back to a container that has not changed since gets a new version with the content it had,
    so that everything made of it is found again.
    """
    state = transaction.state
    path = path_of(place)
    known = _known_members(state, head, document)
    new: list[tuple[int, bytes, int, bytes]] = []
    versions: list[tuple[int, int, int, int, int, bytes | None, str | None]] = []
    ended: list[int] = []
    for member in members:
        whole = path + SEPARATOR + member.name
        before = known.pop(whole, None)
        content = media_type = None
        if before is None:
            identifier = transaction.next_document()
            new.append((identifier, whole, document, document_uid(whole, (*place.parents, path))))
        else:
            if before.elsewhere or before.same_as(member):
                continue
            identifier = before.document
            if before.version is not None:
                ended.append(before.version)
            else:
                content, media_type = _content_before(state, head, document, identifier, member)
        versions.append(
            (
                transaction.next_version(),
                identifier,
                head.scan,
                member.size_bytes,
                member.mtime_ns,
                content,
                media_type,
            )
        )
    ended += _at_head(known.values())
    ended = end_versions(state, head, ended)
    state.executemany("INSERT INTO document(id, path, parent, uid) VALUES(?, ?, ?, ?)", new)
    state.executemany(
        """INSERT INTO version(id, document, scan_from, size_bytes, mtime_ns, content, media_type)
        VALUES(?, ?, ?, ?, ?, ?, ?)""",
        versions,
    )
    if versions:
        size_bytes = sum(row[3] for row in versions)
        for status in (FOUND_ALL, FOUND_INSIDE):
            add_count(state, head.branch, FOUND, status, len(versions), size_bytes)
    changes = len(versions) + len(ended)
    if changes:
        state.execute("UPDATE scan SET changes = changes + ? WHERE id = ?", (changes, head.scan))
    return ended


class Inside:
    """How many documents there are under each file, counted once in an operation however many it brings."""

    def __init__(self, state: apsw.Connection) -> None:
        self._state = state
        self._under: dict[bytes, int] = {}

    def admit(self, head: Head, place: Place, document: int, members: Sequence[Member]) -> bool:
        """Count these as the members of a container, if as many may be registered. Whether they may."""
        if not place.inside:  # what a file holds itself is bounded where it is read
            self.changed(place)
            return True
        if place.file not in self._under:
            start, end = place.file + SEPARATOR, place.file + b"!0"  # '0' comes after '/'
            self._under[place.file] = self._count(
                head, "d.path >= ? AND d.path < ? AND d.parent > 0", start, end
            )
        own = self._count(head, "d.parent = ? AND d.parent > 0", document)  # the index has those alone
        if self._under[place.file] - own + len(members) > MAX_INSIDE:
            return False
        self._under[place.file] += len(members) - own
        return True

    def changed(self, place: Place) -> None:
        """What is under a file has become other than was said here, and is counted anew."""
        self._under.pop(place.file, None)

    def _count(self, head: Head, where: str, *values: object) -> int:
        return int(
            self._state.execute(
                f"""SELECT count(*) FROM document d JOIN version v ON v.document = d.id
                WHERE {where} AND {head.live()}""",  # noqa: S608
                values,
            ).get
        )


def end_members(transaction: Transaction, head: Head, document: int) -> list[int]:
    """Let the members of a container leave the head: it cannot be read, or not any more.

    Returns the versions that ended.
    """
    versions = _at_head(_known_members(transaction.state, head, document).values())
    ended = end_versions(transaction.state, head, versions)
    if ended:
        transaction.state.execute(
            "UPDATE scan SET changes = changes + ? WHERE id = ?", (len(ended), head.scan)
        )
    return ended


@dataclass(frozen=True, slots=True)
class _Known:
    """A document that was a member before. `version` is the one that the head sees, None for none.

    `elsewhere`: there is a version, of a later scan than the head's. It is left alone.
    """

    document: int
    version: int | None
    size_bytes: int
    mtime_ns: int
    elsewhere: bool

    def same_as(self, member: Member) -> bool:
        found = (self.size_bytes, self.mtime_ns) == (member.size_bytes, member.mtime_ns)
        return self.version is not None and found


def _at_head(known: Iterable[_Known]) -> list[int]:
    return [one.version for one in known if one.version is not None]


def _known_members(state: apsw.Connection, head: Head, document: int) -> dict[bytes, _Known]:
    rows: Any = state.execute(
        f"""SELECT d.path, d.id, v.id, v.size_bytes, v.mtime_ns, {head.live()} FROM document d
        LEFT JOIN version v ON v.document = d.id AND (v.scan_to IS NULL OR {head.live()})
        WHERE d.parent = ? AND d.parent > 0""",  # noqa: S608
        (document,),
    )
    known: dict[bytes, _Known] = {}
    for path, identifier, version, size_bytes, mtime_ns, live in rows:
        if live:
            known[path] = _Known(identifier, version, size_bytes, mtime_ns, False)
        elif path not in known:
            known[path] = _Known(identifier, None, 0, 0, version is not None)
    return known


def _content_before(
    state: apsw.Connection, head: Head, container: int, document: int, member: Member
) -> tuple[bytes | None, str | None]:
    """The content that a member had when it was last seen, if its container has the same content still."""
    row: Any = state.execute(
        f"""SELECT m.content, m.media_type FROM version m, version v
        WHERE m.document = ? AND m.size_bytes = ? AND m.mtime_ns = ? AND m.content IS NOT NULL
            AND v.document = ? AND {head.live()} AND v.scan_from <= m.scan_from
        ORDER BY m.id DESC LIMIT 1""",  # noqa: S608
        (document, member.size_bytes, member.mtime_ns, container),
    ).fetchone()
    return row or (None, None)


def match_members(transaction: Transaction) -> None:
    """After other settings of clean came into force: let the members be those that the containers yield now.

    A container that failed under these settings is read again, because what was readable in it is not known.
    In one that may not be read there is nothing.
    """
    state = transaction.state
    head = open_scan(state)
    lineage, clean = head.lineages[PhaseName.CLEAN], PHASE_NUMBER[PhaseName.CLEAN]
    containers: Any = state.execute(
        "SELECT DISTINCT parent FROM document WHERE parent > 0 ORDER BY parent"
    ).fetchall()
    places = Places(state)
    for (document,) in containers:
        if _is_refused(state, head, document):
            end_members(transaction, head, document)
            continue
        row: Any = state.execute(
            f"""SELECT v.id, v.size_bytes, d.path, d.parent, r.status, r.attempt, a.data,
                coalesce(f.cause, ''), max(r.seq)
            FROM document d JOIN version v ON v.document = d.id JOIN result r ON r.version = v.id
                LEFT JOIN artifact a ON a.id = r.artifact LEFT JOIN failure f ON f.seq = r.seq
            WHERE d.id = ? AND {head.live()} AND r.lineage = ? AND {head.visible()}
            GROUP BY v.id""",  # noqa: S608
            (document, lineage),
        ).fetchone()
        if row is None or row[4] == STATUS_NUMBER[Status.PENDING]:
            continue
        version, size_bytes, path, parent, status, attempt, data, cause, _seq = row
        members = unpack_members(data)
        if members is not None:
            keep_members(transaction, head, places.of(document, path, parent), document, members)
        else:
            end_members(transaction, head, document)
        if status == STATUS_NUMBER[Status.FAILED]:
            state.execute(
                "INSERT INTO result VALUES(?, ?, ?, ?, ?, ?, NULL, ?)",
                (transaction.next_seq(), head.branch, clean, lineage, version, 0, attempt),
            )
            add_count(state, head.branch, lineage, status, -1, -size_bytes, cause=cause)
            state.execute("UPDATE head SET settled = 0")


def _is_refused(state: apsw.Connection, head: Head, document: int) -> bool:
    """Whether the input phase has refused a document."""
    status = state.execute(
        f"""SELECT r.status FROM version v JOIN result r ON r.version = v.id
        WHERE v.document = ? AND {head.live()} AND r.lineage = ? AND {head.visible()}
        ORDER BY r.seq DESC LIMIT 1""",  # noqa: S608
        (document, head.lineages[PhaseName.INPUT]),
    ).get
    return status is not None and status != STATUS_NUMBER[Status.PENDING]


def end_versions(state: apsw.Connection, head: Head, versions: Iterable[int]) -> list[int]:
    """End live versions, and those of what is inside them, and take them out of every counter of the head.

    Returns all that ended.
    """
    waiting, ended = list(versions), []
    while waiting:
        version = waiting.pop()
        ended.append(version)
        size_bytes, document, parent = state.execute(
            """SELECT v.size_bytes, v.document, d.parent FROM version v JOIN document d ON d.id = v.document
            WHERE v.id = ?""",
            (version,),
        ).get
        state.execute("UPDATE version SET scan_to = ? WHERE id = ?", (head.scan, version))
        add_count(state, head.branch, FOUND, FOUND_ALL, -1, -size_bytes)
        if parent:
            add_count(state, head.branch, FOUND, FOUND_INSIDE, -1, -size_bytes)
        for phase in DOCUMENT_PHASES:
            lineage = head.lineages.get(phase)
            if lineage is None:
                continue
            row = state.execute(
                f"""SELECT r.status, iif(a.phase > 1, a.amount, 0), coalesce(f.cause, ''),
                    coalesce(a.cost_nano_usd, 0)
                FROM result r LEFT JOIN artifact a ON a.id = r.artifact
                    LEFT JOIN failure f ON f.seq = r.seq
                WHERE r.lineage = ? AND r.version = ? AND {head.visible()}
                ORDER BY r.seq DESC LIMIT 1""",  # noqa: S608
                (lineage, version),
            ).fetchone()
            if row is not None and row[0] != STATUS_NUMBER[Status.PENDING]:
                status, tokens, cause, cost = row
                add_count(
                    state,
                    head.branch,
                    lineage,
                    status,
                    -1,
                    -size_bytes,
                    -(tokens or 0),
                    cause=cause,
                    cost_nano_usd=-cost,
                )
        waiting += _at_head(_known_members(state, head, document).values())
    return ended
