"""Exporting a corpus: from one snapshot of the store to a validated folder in its place."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import msgspec

from tui_scraper import __version__
from tui_scraper.engine.errors import StoreError, TuiScraperError
from tui_scraper.engine.export.base import Base, UnfitBaseError, open_base
from tui_scraper.engine.export.folder import Staging, check_target, delete_contents, explained
from tui_scraper.engine.export.formats import DEFAULT_FORMATS, Format, chosen
from tui_scraper.engine.export.formats.card import CARD_FILE, CARD_FORMAT, card
from tui_scraper.engine.export.formats.port import Line, Tally
from tui_scraper.engine.export.lines import read_lines
from tui_scraper.engine.export.manifest import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST_FILE,
    ExportedFile,
    Manifest,
    read_manifest,
)
from tui_scraper.engine.export.record import ExportReport
from tui_scraper.engine.models import Counts
from tui_scraper.engine.settings import ALIKE
from tui_scraper.engine.store.connection import explained as store_explained
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.fingerprint import read_fingerprint
from tui_scraper.engine.store.head import Head, config_of, read_head, settings_hash

if TYPE_CHECKING:
    from tui_scraper.engine.duplicates.model import Duplicates
    from tui_scraper.engine.duplicates.reading import Signed


_PROCEED_ROWS, _PROCEED_CHARS = 200, 4_000_000
"""An export says how far it is, and hears that it shall stop, after so much."""


class ExportCancelledError(TuiScraperError):
    """The export was asked to stop. The one before is unchanged."""

    exit_code = 4


def export(
    directory: Path,
    target: Path,
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    sample_versions: Collection[int] | None = None,
    alike: float = ALIKE,
    signed: Iterable[Signed] = (),
    progress: Callable[[int], None] | None = None,
    comparing: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ExportReport:
    """Export every document that the workspace `directory` has now into the folder `target`.

    With `sample_versions` only those are exported. Texts are near-duplicates from the similarity `alike` on;
    with 0 none are looked for; `signed` are signatures that have been made already. `comparing` is
    told how many of how many new texts have been signed, then how many of all have been compared. `progress`
    is called with the documents written so far, also while they are read back, and `cancelled` is asked as
    often as either. Runs in any one thread; holds read snapshots of the store open, so that writers go on but
    the write-ahead log grows meanwhile.

    Raises UsageError where `target` is not ours to replace or cannot be written, StoreBlockedError,
    StoreError, or ExportCancelledError. In each case the target is as it was.
    """
    started = time.perf_counter()
    wanted = chosen(formats)
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
        fingerprint = read_fingerprint(state, head, sample_versions, alike)
        proceed(0)

        def compare(texts: int, of: int) -> None:
            proceed(0)
            if comparing is not None:
                comparing(texts, of)

        duplicates: Duplicates | None = None
        if alike:
            from tui_scraper.engine.duplicates.kept import find_kept
            from tui_scraper.engine.duplicates.reading import Finder
        if alike and sample_versions is not None:
            duplicates, _signed = Finder(state, blobs, head).find(alike, None, compare, sample_versions)
        elif alike:
            duplicates = find_kept(directory, state, blobs, head, alike, compare, made=signed)
        with explained(staging.target):

            def write(base: Base | None) -> tuple[list[ExportedFile], Tally]:
                def check_total(total: Tally) -> None:
                    _check_found(state, head, sample_versions, total)

                lines = read_lines(state, blobs, head, sample_versions, base, duplicates)
                return _write(wanted, staging, map(Line, lines), base, check_total, proceed)

            base = open_base(state, head, staging.target, fingerprint)
            try:
                files, total = write(base)
            except UnfitBaseError:
                delete_contents(staging.directory)
                base = None
                files, total = write(None)
            counts = dict(sorted(total.counts.items()))
            manifest = Manifest(
                format=FORMAT,
                format_version=FORMAT_VERSION,
                program_version=__version__,
                documents=total.rows,
                counts=counts,
                chunks=total.chunks,
                settings=_settings_hashes(state, head),
                files=[*files, _write_card(staging.directory, wanted, total.rows)],
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
            files=manifest.files,
            seconds=time.perf_counter() - started,
            fingerprint=fingerprint,
            manifest_sha256=read_back[1],
            carried=base.carried.rows if base is not None else 0,
        )


def _write(
    formats: Sequence[Format],
    staging: Staging,
    lines: Iterator[Line],
    base: Base | None,
    check_total: Callable[[Tally], None],
    proceed: Callable[[int], None],
) -> tuple[list[ExportedFile], Tally]:
    """Write the files of all formats in one pass, make them durable and read them back."""
    new = Tally()
    number = chars = 0
    with ExitStack() as open_files:
        writers = []
        for format_ in formats:
            writers.append(format_.writer(staging.directory, staging.target))
            open_files.callback(writers[-1].close)
        try:
            for number, line in enumerate(lines, 1):
                if line.carried is None:
                    new.add(line.row.status, len(line.row.chunks))
                    chars += len(line.row.text or "")
                else:
                    chars += len(line.carried)
                for writer in writers:
                    writer.add(line)
                if number % _PROCEED_ROWS == 0 or chars >= _PROCEED_CHARS:
                    chars = 0
                    proceed(number)
        except (msgspec.MsgspecError, ValueError) as error:
            if base is None:
                raise
            raise UnfitBaseError(str(error)) from error  # a line carried over is none
        files = [writer.finish() for writer in writers]
        proceed(number)
        if base is not None:
            base.finish()
        total = new if base is None else new + base.carried
        check_total(total)
        with ThreadPoolExecutor(1, "export-disk") as disk:
            durable = [disk.submit(writer.sync) for writer in writers]
            for writer in writers:
                writer.check(total, lambda: proceed(0))
            for one in durable:
                one.result()
    return files, total


def _write_card(directory: Path, formats: Sequence[Format], documents: int) -> ExportedFile:
    """Write `README.md`."""
    data = card([format_.name for format_ in formats], documents)
    _write_durably(directory / CARD_FILE, data)
    return ExportedFile(CARD_FILE, CARD_FORMAT, documents, len(data), hashlib.sha256(data).hexdigest())


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
