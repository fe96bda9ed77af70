"""Exporting a corpus: from one snapshot of the store to a validated folder in its place."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import apsw

from tui_scraper import __version__
from tui_scraper.engine.errors import StoreError, TuiScraperError, UsageError
from tui_scraper.engine.export.base import Base, UnfitBaseError, open_base
from tui_scraper.engine.export.folder import DOCUMENTS_FILE, Staging, check_target, explained
from tui_scraper.engine.export.jsonl import Tally, Written, check_jsonl, write_jsonl
from tui_scraper.engine.export.lines import read_lines
from tui_scraper.engine.export.manifest import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST_FILE,
    ExportedFile,
    Manifest,
    read_manifest,
)
from tui_scraper.engine.export.record import ExportReport, read_fingerprint
from tui_scraper.engine.export.row import Row
from tui_scraper.engine.models import Counts
from tui_scraper.engine.store.connection import explained as store_explained
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.head import Head, config_of, read_head, settings_hash

FORMATS = ("jsonl",)


class ExportCancelledError(TuiScraperError):
    """The export was asked to stop. The one before is unchanged."""

    exit_code = 4


def export(
    directory: Path,
    target: Path,
    *,
    formats: Sequence[str] = FORMATS,
    sample_versions: Collection[int] | None = None,
    progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ExportReport:
    """Export every document that the workspace `directory` has now into the folder `target`.

    With `sample_versions` only those are exported. `progress` is called with the documents written so
    far, also while they are read back, and `cancelled` is asked with each megabyte. Runs in any one
    thread; holds read snapshots of the store open, so that writers go on but the write-ahead log
    grows meanwhile.

    Raises UsageError where `target` is not ours to replace or cannot be written, StoreBlockedError,
    StoreError, or ExportCancelledError. In each case the target is as it was.
    """
    started = time.perf_counter()
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(f"There is no export format '{', '.join(unknown)}'; this version writes: jsonl.")
    check_target(target)

    done = 0

    def proceed(rows: int) -> None:
        nonlocal done
        if cancelled is not None and cancelled():
            raise ExportCancelledError("The export was stopped; the one before is unchanged.")
        done = rows or done
        if progress is not None:
            progress(done)

    with _snapshot(directory) as (state, blobs), Staging(target) as staging:
        head = read_head(state)
        fingerprint = read_fingerprint(state, head, sample_versions)
        proceed(0)
        path = staging.directory / DOCUMENTS_FILE
        with explained(staging.target):

            def write(base: Base | None) -> tuple[Written, Tally]:
                lines = read_lines(state, blobs, head, sample_versions, base)
                written = _write(path, lines, base, proceed)
                carried = base.carried if base is not None else Tally()
                _check_found(state, head, sample_versions, written.new + carried)
                return written, carried

            try:
                written, carried = write(open_base(state, head, staging.target, fingerprint))
            except UnfitBaseError:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                written, carried = write(None)
            total = written.new + carried
            counts = dict(sorted(total.counts.items()))
            file = ExportedFile(DOCUMENTS_FILE, "jsonl", total.rows, written.size_bytes, written.sha256)
            manifest = Manifest(
                format=FORMAT,
                format_version=FORMAT_VERSION,
                program_version=__version__,
                documents=total.rows,
                counts=counts,
                chunks=total.chunks,
                settings=_settings_hashes(state, head),
                files=[file],
            )
            _write_durably(staging.directory / MANIFEST_FILE, manifest.encode())
            read_back = read_manifest(staging.directory)
            if read_back is None or read_back[0] != manifest:
                raise StoreError(f"{staging.target}: the manifest could not be read back.")
            proceed(0)
        staging.put_in_place()
        return ExportReport(
            directory=staging.target,
            documents=total.rows,
            chunks=total.chunks,
            counts=Counts(found=total.rows, **counts),
            sha256=written.sha256,
            size_bytes=written.size_bytes,
            seconds=time.perf_counter() - started,
            fingerprint=fingerprint,
            manifest_sha256=read_back[1],
            carried=carried.rows,
        )


def _write(
    path: Path, lines: Iterator[Row | bytes], base: Base | None, proceed: Callable[[int], None]
) -> Written:
    """Write the file, make it durable and read it back."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb", buffering=0) as file, ThreadPoolExecutor(1, "export-disk") as disk:
        written = write_jsonl(file, lines, proceed)
        if base is not None:
            base.finish()
        durable = disk.submit(os.fsync, descriptor)
        check_jsonl(path, written, lambda: proceed(0))
        durable.result()
    return written


@contextmanager
def _snapshot(directory: Path) -> Iterator[tuple[apsw.Connection, apsw.Connection]]:
    """Both files at one moment: `state.db` first, because rows there refer to payloads committed before."""
    with store_explained(directory):
        state = open_state(directory, read_only=True)
        try:
            state.execute("BEGIN")
            state.execute("SELECT one FROM head").fetchall()
            blobs = open_blobs(directory, read_only=True)
            try:
                blobs.execute("BEGIN")
                blobs.execute("SELECT 1 FROM blob LIMIT 1").fetchall()
                yield state, blobs
            finally:
                blobs.close()
        finally:
            state.close()


def _check_found(state: apsw.Connection, head: Head, sample: Collection[int] | None, total: Tally) -> None:
    if sample is not None:
        return
    found = state.execute(f"SELECT count(*) FROM version v WHERE {head.live()}").get  # noqa: S608
    if found != total.rows:
        raise StoreError(
            f"The export has {total.rows} rows where {found} documents were found; it was not kept."
        )


def _settings_hashes(state: apsw.Connection, head: Head) -> dict[str, str]:
    return {
        str(phase): settings_hash(phase, *config_of(state, lineage)).hex()
        for phase, lineage in head.lineages.items()
    }


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
