"""What a pass over the source folder writes: new, changed and vanished documents."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from tui_scraper.engine.store import epochs
from tui_scraper.engine.store.counters import FOUND, FOUND_ALL, add_count
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.members import document_uid, end_versions
from tui_scraper.engine.store.writer import Transaction

_TWINS_LOOKED_AT = 16
"""Known files with the size and time stamp of a new one. Mostly there is one: stamps have nanoseconds."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as its directory entry shows it. `path` is relative to the source folder.

    `ctime_ns` is when anything about it was last changed, by the clock of its file system. `content` and
    `media_type` are known of one that was moved or copied.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int
    ctime_ns: int = 0
    content: bytes | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the store knows of a path: its document and live version. `ctime_ns`: None where none was kept."""

    document: int
    version: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int | None
    content: bytes | None


def begin_scan(transaction: Transaction) -> int:
    """Start a scan, which becomes the head's. Returns its number."""
    return epochs.begin(transaction.state).scan


def known_files(connection: apsw.Connection, paths: Sequence[bytes]) -> dict[bytes, KnownFile]:
    """Look up the live versions of up to some thousand paths."""
    marks = ",".join("?" * len(paths))
    rows = connection.execute(
        f"""SELECT d.path, d.id, v.id, v.size_bytes, v.mtime_ns, v.ctime_ns, v.content
        FROM document d JOIN version v ON v.document = d.id AND v.scan_to IS NULL
        WHERE d.parent = 0 AND d.path IN ({marks})""",  # noqa: S608
        tuple(paths),
    )
    return {row[0]: KnownFile(*row[1:]) for row in rows}


def register(
    new: Sequence[FoundFile],
    changed: Sequence[tuple[FoundFile, KnownFile]],
    touched: Sequence[tuple[FoundFile, KnownFile]],
) -> Callable[[Transaction], list[int]]:
    """Record a batch of a scan.

    `changed` files have other content than before, `touched` ones only other time stamps. The
    operation returns the version ids now live for `new` and `changed`, in that order.
    """

    def operation(transaction: Transaction) -> list[int]:
        state = transaction.state
        head = epochs.open_scan(state)
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
            rows.append((version, document, head.scan, *_stored(file)))
        if changed:
            end_versions(state, head, [before.version for _file, before in changed])
        for file, before in changed:
            version = transaction.next_version()
            versions.append(version)
            rows.append((version, before.document, head.scan, *_stored(file)))
        state.executemany("INSERT INTO document(id, path, uid) VALUES(?, ?, ?)", documents)
        state.executemany(
            """INSERT INTO version(
                id, document, scan_from, size_bytes, mtime_ns, ctime_ns, content, media_type
            ) VALUES(?, ?, ?, ?, ?, ?, ?, ?)""",
            rows,
        )
        state.executemany(
            "UPDATE version SET mtime_ns = ?, ctime_ns = ? WHERE id = ?",
            [(file.mtime_ns, file.ctime_ns, before.version) for file, before in touched],
        )
        if rows:
            add_count(state, head.branch, FOUND, FOUND_ALL, len(rows), sum(row[3] for row in rows))
        changes = len(rows) + sum(file.mtime_ns != before.mtime_ns for file, before in touched)
        if changes:  # a time stamp is exported, so it makes an earlier export outdated
            state.execute("UPDATE scan SET changes = changes + ? WHERE id = ?", (changes, head.scan))
        return versions

    return operation


def _stored(file: FoundFile) -> tuple[int, int, int, bytes | None, str | None]:
    return file.size_bytes, file.mtime_ns, file.ctime_ns, file.content, file.media_type


def _known_documents(connection: apsw.Connection, paths: Sequence[bytes]) -> dict[bytes, int]:
    if not paths:
        return {}
    marks = ",".join("?" * len(paths))
    rows: Any = connection.execute(
        f"SELECT path, id FROM document WHERE parent = 0 AND path IN ({marks})",  # noqa: S608
        tuple(paths),
    )
    return dict(rows)


def vanish(versions: Sequence[int]) -> Callable[[Transaction], None]:
    """Record that the files of these versions are gone. They leave the head, not the history."""

    def operation(transaction: Transaction) -> None:
        head = epochs.open_scan(transaction.state)
        end_versions(transaction.state, head, versions)
        transaction.state.execute(
            "UPDATE scan SET changes = changes + ? WHERE id = ?", (len(versions), head.scan)
        )

    return operation


def end_scan(ignored: dict[str, int]) -> Callable[[Transaction], None]:
    """Record that the scan saw the whole folder, and what it passed over by reason."""

    def operation(transaction: Transaction) -> None:
        scan = read_head(transaction.state).scan
        transaction.state.execute(
            "UPDATE scan SET ended = ?, ignored = ? WHERE id = ?", (time.time(), json.dumps(ignored), scan)
        )

    return operation


def moved_files(
    connection: apsw.Connection, files: Sequence[FoundFile]
) -> dict[bytes, list[tuple[bytes, str, bytes]]]:
    """What new files may be under another name: known ones with the same size and time stamp.

    Returns path -> (content, media type, known path) of each.
    """
    found: dict[bytes, list[tuple[bytes, str, bytes]]] = {}
    for file in files:
        rows: Any = connection.execute(
            """SELECT DISTINCT v.content, v.media_type, d.path
            FROM version v INDEXED BY version_moved JOIN document d ON d.id = v.document
            WHERE v.mtime_ns = ? AND v.size_bytes = ? AND v.content IS NOT NULL AND v.media_type IS NOT NULL
                AND d.parent = 0 LIMIT ?""",
            (file.mtime_ns, file.size_bytes, _TWINS_LOOKED_AT),
        ).fetchall()
        if rows:
            found[file.path] = rows
    return found
