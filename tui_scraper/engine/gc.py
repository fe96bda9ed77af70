"""`gc`: frees what nothing can need any more, in the databases, in the index and beside them.

The order is that of the store (`store/gc.py`), then the index, because a chunk that the index still holds and
nothing else is never found, then files. A dry run counts the same marks and opens nothing for writing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine.errors import WorkspaceLockedError
from tui_scraper.engine.export.folder import clear_leftovers
from tui_scraper.engine.phases.output import FOLDER
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.search.segments import VECTORS_FOLDER
from tui_scraper.engine.search.text_index import remove
from tui_scraper.engine.store.connection import (
    BLOB_FILE,
    STATE_FILE,
    explained,
    open_blobs,
    open_state,
    snapshot,
)
from tui_scraper.engine.store.garbage import Freed, Garbage, existing, left_in_index
from tui_scraper.engine.store.gc import forget_indexed, pages, sweep
from tui_scraper.engine.store.shrink import shrink
from tui_scraper.engine.store.vectors import held_by
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.workspace import holder, reopen

_COPIES = ("state-schema-*.db", "*-before-repair-*")
"""What a migration and a repair leave beside the databases, in case that they went wrong."""

_COPY_KEPT_S = 7 * 86_400
_INDEX_PAGE = 20_000


@dataclass(frozen=True)
class Collected:
    """What was freed, or would be.

    `files` are what interrupted exports left, and copies of a database that a repair or a migration made more
    than a week ago.
    `disk_bytes` is by how much the databases and those files take less of the disk now; None for a dry run.
    `notes` are sentences about what could not be done.
    """

    dry_run: bool
    keep: int | None
    freed: Freed
    files: int
    file_bytes: int
    disk_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether there was anything to free."""
        return self.freed != Freed() or self.files > 0


def collect(directory: Path, *, keep: int | None = None, dry_run: bool = False) -> Collected:
    """Free what nothing in a workspace can need any more.

    With `keep`, history is forgotten but for the head, what has a name or a note, the newest `keep`
    checkpoints and what the last `keep` moves of the head can be taken back to. What cost money or was set by
    a person stays, always. A dry run changes nothing.

    Raises WorkspaceLockedError where another process works in it, StoreBlockedError or StoreError.
    """
    with explained(directory):
        return _collect(directory, keep, dry_run=dry_run)


def _collect(directory: Path, keep: int | None, *, dry_run: bool) -> Collected:
    if dry_run:
        who = holder(directory)
        if who is not None:
            raise WorkspaceLockedError(
                f"{safe_text(str(directory))}: {who} is working in this workspace, so what can be freed "
                "changes all the time. `tui-scraper stop` ends a run, q leaves a TUI."
            )
        with _reading(directory) as (state, blobs), snapshot(state, directory), snapshot(blobs, directory):
            freed = Garbage(state, blobs, keep).count()
            files, file_bytes, notes = _clear_files(directory, state, dry_run=True)
        return Collected(True, keep, freed, files, file_bytes, notes=notes)
    before = _size(directory)
    workspace = reopen(directory)
    try:
        with _reading(directory) as (state, blobs), explained(directory):
            freed = sweep(directory, workspace.writer, Garbage(state, blobs, keep))
            freed = dataclasses.replace(freed, index_entries=_clear_index(directory, workspace.writer, state))
            files, file_bytes, notes = _clear_files(directory, state, dry_run=False)
        notes += tuple(shrink(directory))
    finally:
        workspace.close()
    disk_bytes = max(0, before - _size(directory)) + file_bytes
    return Collected(False, keep, freed, files, file_bytes, disk_bytes, notes)


@contextmanager
def _reading(directory: Path) -> Iterator[tuple[apsw.Connection, apsw.Connection]]:
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(contextlib.closing(open_state(directory, read_only=True)))
        yield state, stack.enter_context(contextlib.closing(open_blobs(directory, read_only=True)))


def _clear_index(directory: Path, writer: Writer, state: apsw.Connection) -> int:
    """Take what is gone out of the index. Returns how many chunk artifacts that were."""
    removed = 0
    for page in remove(directory, pages(left_in_index(state), _INDEX_PAGE)):
        writer.call(forget_indexed(page))
        removed += len(page)
    if (directory / VECTORS_FOLDER).is_dir():
        from tui_scraper.engine.search.vector_files import compact

        compact(directory, lambda artifacts: existing(state, artifacts), held_by(writer))
    return removed


def _clear_files(
    directory: Path, state: apsw.Connection, *, dry_run: bool
) -> tuple[int, int, tuple[str, ...]]:
    """Delete what interrupted exports left, and old copies. Returns (files, bytes, sentences)."""
    files = size_bytes = 0
    notes = []
    recorded: Any = state.execute("SELECT DISTINCT dir FROM export").fetchall()
    for target in sorted({directory / FOLDER, *(Path(row[0]) for row in recorded)}):
        try:
            found, found_bytes = clear_leftovers(Path(os.path.realpath(target)), dry_run=dry_run)
        except (FileNotFoundError, NotADirectoryError):
            continue  # the folder that an export was in has gone
        except OSError as error:
            notes.append(f"{safe_text(str(target))}: what is beside it cannot be seen ({error.strerror}).")
            continue
        files, size_bytes = files + found, size_bytes + found_bytes
    for path in sorted({path for pattern in _COPIES for path in directory.glob(pattern)}):
        if path.is_symlink() or not path.is_file():
            continue
        status = path.stat()
        if time.time() - status.st_mtime > _COPY_KEPT_S:
            files, size_bytes = files + 1, size_bytes + status.st_size
            if not dry_run:
                path.unlink()
    return files, size_bytes, tuple(notes)


def _size(directory: Path) -> int:
    """Bytes of the databases with their write-ahead logs."""
    total = 0
    for name in (STATE_FILE, BLOB_FILE):
        for path in (directory / name, directory / f"{name}-wal"):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
    return total
