"""`verify --repair`: copies first, then mends what can be mended, then looks again.

    set foreign logs aside -> rebuild what cannot be read -> mend rows -> empty what is derived -> seal anew

Each step leaves the workspace so that the whole can be begun again: a new database replaces a damaged one
only when it is complete, and rows are mended in one transaction.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tui_scraper.engine import disk
from tui_scraper.engine.errors import StoreError, StoreFullError
from tui_scraper.engine.export.manifest import read_manifest
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.search.segments import INDEX_DIR, VECTORS_FOLDER, index_mark
from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE, connect, explained
from tui_scraper.engine.store.seal import Seal, Sealing, read_seal, write_seal
from tui_scraper.engine.store.vectors import none_held
from tui_scraper.engine.verify.checking import Progress, look_at
from tui_scraper.engine.verify.databases import PAGE_BYTES, is_folded_elsewhere
from tui_scraper.engine.verify.look import Found, Look
from tui_scraper.engine.verify.mending import mend
from tui_scraper.engine.verify.report import Report
from tui_scraper.engine.verify.salvage import NEW, lay_out_anew, replace_databases, salvage
from tui_scraper.engine.workspace import locked

_ENDINGS = ("", "-wal")
_ROOM_BYTES = 50_000_000
"""Free space that must remain besides the copies and the new databases."""

_ROUNDS = 4
"""What is mended may bring to light what it hid: then once more. Each round mends at least what it saw."""

_DERIVED = frozenset({"index", "vector files", "exports"})
_FICLONE = 0x40049409


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair found, did and left. `copies` are the files made before anything was changed."""

    before: Report
    after: Report
    copies: tuple[str, ...]
    done: tuple[str, ...]


def repair(directory: Path, progress: Progress = lambda _name, _count: None) -> Repaired:
    """Look at a workspace and mend what is found, after copying both databases beside themselves.

    Raises WorkspaceLockedError, StoreFullError where there is no room for the copies, StoreError where
    something stands in the way.
    """
    with explained(directory), locked(directory):
        _finish_replacing(directory)
        first, found = look_at(directory, progress)
        if first.sound:
            return Repaired(first, first, (), ())
        copies = _copy(directory, found)
        done: list[str] = []
        report = first
        for _round in range(_ROUNDS):
            _set_logs_aside(directory, found)
            if found.logs:
                done += [f"the write-ahead log of {name} set aside" for name in found.logs]
                report, found = look_at(directory, progress)
                if report.sound:
                    break
            done += _rebuild(directory, found, progress)
            done += _mend(directory, report, found, progress)
            report, found = look_at(directory, progress)
            if report.sound:
                break
        return Repaired(first, report, copies, tuple(done))


# --- copies ---------------------------------------------------------------------------------------


def _copy(directory: Path, found: Found) -> tuple[str, ...]:
    """Copy both databases with their logs, byte by byte: SQLite may not be able to read them."""
    files = [
        directory / f"{name}{ending}"
        for name in (STATE_FILE, BLOB_FILE)
        for ending in _ENDINGS
        if (directory / f"{name}{ending}").exists()
    ]
    sizes = {file: file.stat().st_size for file in files}
    wanted = sum(sizes.values()) + _ROOM_BYTES
    wanted += sum(size for file, size in sizes.items() if file.name.removesuffix("-wal") in found.structure)
    free = shutil.disk_usage(directory).free
    if free < wanted:
        raise StoreFullError(
            f"{safe_text(str(directory))}: a repair copies the databases first, which needs "
            f"{wanted // 1_000_000:,} MB, and {free // 1_000_000:,} MB are free. Nothing was changed."
        )
    moment = time.strftime("%Y%m%d-%H%M%S")
    copies = []
    for file in files:
        stem, ending = file.name.split(".", 1)
        copy = _unused(directory, f"{stem}-before-repair-{moment}", f".{ending}")
        _copy_file(file, copy)
        if not file.name.endswith("-wal"):
            copies.append(safe_text(str(copy)))
    return tuple(copies)


def _unused(directory: Path, stem: str, ending: str) -> Path:
    copy, number = directory / f"{stem}{ending}", 1
    while copy.exists():
        number += 1
        copy = directory / f"{stem}-{number}{ending}"
    return copy


def _copy_file(file: Path, copy: Path) -> None:
    part = copy.with_name(copy.name + ".part")
    try:
        with file.open("rb") as source, part.open("wb") as target:
            try:
                fcntl.ioctl(
                    target, _FICLONE, source.fileno()
                )  # shared blocks, where the file system has them
            except OSError:
                shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        os.replace(part, copy)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if error.errno in disk.REFUSALS:
            raise disk.refusal(file, error.errno) from error
        raise StoreError(
            f"{safe_text(str(file))}: the copy before the repair failed ({error.strerror}). "
            "Nothing was changed."
        ) from error


# --- files ----------------------------------------------------------------------------------------


def _set_logs_aside(directory: Path, found: Found) -> None:
    """A log of another time is in the copies; beside the database it would be taken for its newest pages."""
    for name in found.logs:
        for ending in ("-wal", "-shm"):
            Path(f"{directory / name}{ending}").unlink(missing_ok=True)


def _rebuild(directory: Path, found: Found, progress: Progress) -> Iterator[str]:
    """Put what can be read of a damaged database into a new one, and that in its place."""
    names = [name for name in (STATE_FILE, BLOB_FILE) if name in found.structure]
    if not names:
        return
    seal = _readable_seal(directory)
    for name in names:
        if is_folded_elsewhere(directory, name, seal):
            lay_out_anew(directory, name)
            yield f"{name} laid out anew with checksums"
            continue
        if not (directory / name).exists():
            (directory / name).touch()
        saved = salvage(directory, name, seal, functools.partial(progress, f"saving {name}"))
        yield f"{sum(saved.values()):,} rows of {name} saved into a new file"
    marked = msgspec.structs.replace(seal or Seal(1), replacing=names)
    write_seal(directory, marked)
    _finish_replacing(directory)


def _readable_seal(directory: Path) -> Seal | None:
    try:
        return read_seal(directory)
    except StoreError as error:
        if isinstance(error.__cause__, OSError):
            raise
        return None


def _finish_replacing(directory: Path) -> None:
    """Put new databases in place that are complete, also those of a repair that was interrupted."""
    seal = _readable_seal(directory)
    if seal is None or not seal.replacing:
        for name in (STATE_FILE, BLOB_FILE):  # of a repair that did not come to replacing anything
            for ending in ("", "-wal", "-shm"):
                (directory / f"{name}{NEW}{ending}").unlink(missing_ok=True)
        return
    replace_databases(directory, seal.replacing)
    write_seal(directory, msgspec.structs.replace(seal, replacing=[]))


# --- rows -----------------------------------------------------------------------------------------


def _mend(directory: Path, report: Report, found: Found, progress: Progress) -> list[str]:
    only_derived = all(check.sound or check.name in _DERIVED for check in report.checks)
    with explained(directory):
        state = connect(directory / STATE_FILE)
        blobs = connect(directory / BLOB_FILE, page_size=PAGE_BYTES[BLOB_FILE])
        try:
            seal = _readable_seal(directory)
            look = Look(directory, state, blobs, seal, lambda count: progress("mending", count), found=found)
            sealing = Sealing(directory, trusting=True)
            sealing.begin(state, blobs)
            done = mend(look, only_index=only_derived)
            if found.index:
                shutil.rmtree(directory / INDEX_DIR, ignore_errors=True)
            for space in found.spaces:
                shutil.rmtree(directory / VECTORS_FOLDER / space.hex(), ignore_errors=True)
                none_held(state, space)
                done.append("files of vectors removed; the next run makes them again, without paying")
            done += _forget_exports(state, found.exports)
            sealing.note(state, blobs)
            for connection in (blobs, state):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            blobs.close()
            state.close()
    sealing.end(index_mark(directory / INDEX_DIR))
    return done


def _forget_exports(state: object, names: Sequence[str]) -> list[str]:
    """Let the next run export anew. What is no export any more is moved out of its way."""
    done = []
    for name in names:
        state.execute("UPDATE export SET manifest = x'' WHERE dir = ?", (name,))  # type: ignore[attr-defined]
        done.append(f"the export {safe_text(name)} forgotten; the next run writes it anew")
        directory = Path(name)
        if directory.is_dir() and read_manifest(directory) is None:
            aside = _unused(
                directory.parent, f"{directory.name}-damaged-{time.strftime('%Y%m%d-%H%M%S')}", ""
            )
            with contextlib.suppress(OSError):  # the next run says why it cannot write there
                os.rename(directory, aside)
                done.append(f"what lay there moved to {safe_text(str(aside))}")
    return done
