"""Giving space that a database file no longer needs back to the file system.

SQLite keeps freed pages for later. Where they are a good part of a file, `VACUUM` writes it anew without
them: into a temporary file, and from there through the write-ahead log, so that readers go on and a process
that is killed meanwhile has changed nothing. That takes the room of what remains, in both places.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw

from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.connection import (
    BLOB_FILE,
    STATE_FILE,
    explained,
    open_blobs,
    open_state,
)

_WORTH = 0.25
"""The part of a file that must be free to make writing all of it anew worth while."""

_SPARE_BYTES = 16_000_000
_WAIT_MS = 1_000

_OPEN: dict[str, Callable[[Path], apsw.Connection]] = {STATE_FILE: open_state, BLOB_FILE: open_blobs}


def shrink(directory: Path) -> list[str]:
    """Make the database files of a workspace smaller where much of them is free. Nobody may write meanwhile.

    Returns a sentence for each that should have become smaller and has not. Raises StoreError.
    """
    sentences = []
    for name, open_file in _OPEN.items():
        path = directory / name
        with explained(path):
            connection = open_file(directory)
            try:
                sentence = _shrink(connection, path)
            except apsw.FullError:
                sentence = "the disk became full, so it was left as it was."
            finally:
                connection.close()
        if sentence is not None:
            sentences.append(f"{safe_text(str(path))}: {sentence}")
    return sentences


def _shrink(connection: apsw.Connection, path: Path) -> str | None:
    free = connection.execute("PRAGMA freelist_count").get
    pages = connection.execute("PRAGMA page_count").get
    if free <= pages * _WORTH:
        return None
    need_bytes = (pages - free) * connection.execute("PRAGMA page_size").get
    place = _without_room(path.parent, need_bytes)
    if place is not None:
        return (
            f"much of it is free, but making it smaller takes {need_bytes / 1e6:,.0f} MB for a while, which "
            f"{safe_text(str(place))} does not have."
        )
    connection.execute("PRAGMA temp_store=FILE")  # a temporary file of the size of all payloads, not memory
    connection.execute("VACUUM")
    connection.set_busy_timeout(_WAIT_MS)
    busy, *_pages = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get
    return "it becomes smaller when what reads it now has ended." if busy else None


def _without_room(workspace: Path, need_bytes: int) -> Path | None:
    """Which of the two places has no room for that many bytes, if any."""
    need_bytes += _SPARE_BYTES
    temporary = _temporary_directory()
    if os.stat(temporary).st_dev == os.stat(workspace).st_dev:
        return workspace if shutil.disk_usage(workspace).free < 2 * need_bytes else None
    for place in (workspace, temporary):
        if shutil.disk_usage(place).free < need_bytes:
            return place
    return None


def _temporary_directory() -> Path:
    """Where SQLite puts temporary files (https://www.sqlite.org/tempfiles.html)."""
    named = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    for place in (*named, "/var/tmp", "/usr/tmp", "/tmp"):  # noqa: S108
        if place and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            return Path(place)
    return Path()
