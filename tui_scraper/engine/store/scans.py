"""What a pass over the source folder writes: new, changed and vanished documents."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from tui_scraper.engine.store.head import (
    FOUND,
    FOUND_ALL,
    add_count,
    read_head,
    recount,
    recount_found,
)
from tui_scraper.engine.store.members import document_uid, end_versions
from tui_scraper.engine.store.writer import Transaction


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as its directory entry shows it. `path` is relative to the source folder."""

    path: bytes
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the store knows of a path: its document and live version."""

    document: int
    version: int
    size_bytes: int
    mtime_ns: int
    content: bytes | None


def begin_scan(transaction: Transaction) -> int:
    """Start a scan, which becomes the head's. Returns its number."""
    state = transaction.state
    newest = state.execute("SELECT coalesce(max(id), 0) FROM scan").get
    state.execute("INSERT INTO scan(started) VALUES(?)", (time.time(),))
    scan = state.last_insert_rowid()
    rolled_back = read_head(state).scan < newest
    state.execute("UPDATE head SET scan = ?", (scan,))
    if rolled_back:  # what came and went since the head's scan is seen, or no longer seen, at once
        head = read_head(state)
        recount_found(state, head)
        for phase in head.lineages:
            recount(state, head, phase)
    return scan


def known_files(connection: apsw.Connection, paths: Sequence[bytes]) -> dict[bytes, KnownFile]:
    """Look up the live versions of up to some thousand paths."""
    marks = ",".join("?" * len(paths))
    rows = connection.execute(
        f"""SELECT d.path, d.id, v.id, v.size_bytes, v.mtime_ns, v.content
        FROM document d JOIN version v ON v.document = d.id AND v.scan_to IS NULL
        WHERE d.parent = 0 AND d.path IN ({marks})""",  # noqa: S608
        tuple(paths),
    )
    return {row[0]: KnownFile(row[1], row[2], row[3], row[4], row[5]) for row in rows}


def register(
    scan: int,
    new: Sequence[FoundFile],
    changed: Sequence[tuple[FoundFile, KnownFile]],
    touched: Sequence[tuple[FoundFile, KnownFile]],
) -> Callable[[Transaction], list[int]]:
    """Record a batch of a scan.

    `changed` files have other content than before, `touched` ones only another time stamp. The
    operation returns the version ids now live for `new` and `changed`, in that order.
    """

    def operation(transaction: Transaction) -> list[int]:
        state = transaction.state
        head = read_head(state)
        versions: list[int] = []
        known = _known_documents(state, [file.path for file in new])
        documents, rows = [], []
        for file in new:
            document = known.get(file.path)
            if document is None:
                document = transaction.next_document()
                documents.append((document, file.path, document_uid(file.path)))
            version = transaction.next_version()
            versions.append(version)
            rows.append((version, document, scan, file.size_bytes, file.mtime_ns))
        if changed:
            end_versions(state, head, scan, [before.version for _file, before in changed])
        for file, before in changed:
            version = transaction.next_version()
            versions.append(version)
            rows.append((version, before.document, scan, file.size_bytes, file.mtime_ns))
        state.executemany("INSERT INTO document(id, path, uid) VALUES(?, ?, ?)", documents)
        state.executemany(
            "INSERT INTO version(id, document, scan_from, size_bytes, mtime_ns) VALUES(?, ?, ?, ?, ?)", rows
        )
        state.executemany(
            "UPDATE version SET mtime_ns = ? WHERE id = ?",
            [(file.mtime_ns, before.version) for file, before in touched],
        )
        if rows:
            add_count(state, head.branch, FOUND, FOUND_ALL, len(rows), sum(row[3] for row in rows))
        if rows or touched:  # a time stamp is exported, so it makes an earlier export outdated
            changes = len(rows) + len(touched)
            state.execute("UPDATE scan SET changes = changes + ? WHERE id = ?", (changes, scan))
        return versions

    return operation


def _known_documents(connection: apsw.Connection, paths: Sequence[bytes]) -> dict[bytes, int]:
    if not paths:
        return {}
    marks = ",".join("?" * len(paths))
    rows: Any = connection.execute(
        f"SELECT path, id FROM document WHERE parent = 0 AND path IN ({marks})",  # noqa: S608
        tuple(paths),
    )
    return dict(rows)


def vanish(scan: int, versions: Sequence[int]) -> Callable[[Transaction], None]:
    """Record that the files of these versions are gone. They leave the head, not the history."""

    def operation(transaction: Transaction) -> None:
        head = read_head(transaction.state)
        end_versions(transaction.state, head, scan, versions)
        transaction.state.execute("UPDATE scan SET changes = changes + ? WHERE id = ?", (len(versions), scan))

    return operation


def end_scan(scan: int, ignored: dict[str, int]) -> Callable[[Transaction], None]:
    """Record that a scan saw the whole folder, and what it passed over by reason."""

    def operation(transaction: Transaction) -> None:
        transaction.state.execute(
            "UPDATE scan SET ended = ?, ignored = ? WHERE id = ?", (time.time(), json.dumps(ignored), scan)
        )

    return operation
