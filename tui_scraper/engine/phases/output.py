"""Output: the exported folder, written when everything else is done, and only if it would differ."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tui_scraper.engine.duplicates.spool import Spool
from tui_scraper.engine.export import (
    DEFAULT_FORMATS,
    ExportCancelledError,
    chosen,
    export,
    is_current,
    record_export,
)
from tui_scraper.engine.progress import Activity
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.runlog import RunLog
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import ALIKE
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.counters import counts_of, read_totals
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.moment import MomentReader
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.threads import in_thread

FOLDER = "export"
_MANY_TEXTS, _EVERY_S = 5_000, 3.0
"""Comparing so many texts takes long enough to be told of, every few seconds."""


def export_folder(workspace: Path, request: RunRequest) -> Path | None:
    """Where a run exports to; None where the settings ask for no export."""
    if request.export_dir is not None:
        return request.export_dir.absolute()
    output = request.settings.output
    if not output.formats:
        return None
    return Path(output.dir).expanduser().absolute() if output.dir else workspace / FOLDER


def export_formats(request: RunRequest) -> tuple[str, ...]:
    """The formats that a run exports; those of the settings, or the default where only a folder is named."""
    return tuple(request.settings.output.formats) or DEFAULT_FORMATS


def check_formats(workspace: Path, request: RunRequest) -> None:
    """Raise UsageError where a run could not export in the end what it is asked to."""
    if export_folder(workspace, request) is not None:
        chosen(export_formats(request))


def places_written(workspace: Path, request: RunRequest) -> tuple[Path, ...]:
    """The folders that a run writes to. They may lie inside the source folder; none has documents."""
    export = export_folder(workspace, request)
    return (workspace,) if export is None else (workspace, export)


class Output:
    """The last phase of one pass."""

    def __init__(
        self,
        workspace: Path,
        request: RunRequest,
        writer: Writer,
        activity: Activity,
        log: RunLog,
        spool: Spool | None,
    ) -> None:
        self._workspace = workspace
        self._request = request
        self._writer = writer
        self._activity = activity
        self._log = log
        self._spool = spool
        self._next_line = 0.0
        self._abandoned = threading.Event()

    async def compare(self, stopping: Callable[[], bool]) -> None:
        """Look for near-duplicates before the export asks for them, beside what is ended meanwhile.

        They are kept, so it finds them. What goes wrong here goes wrong there, and is said there.
        """
        alike = self._request.settings.output.near_duplicates
        if self._spool is None or export_folder(self._workspace, self._request) is None or not alike:
            return
        signed = self._spool.read()

        def comparing() -> None:
            from tui_scraper.engine.duplicates.kept import find_kept

            def told(texts: int, of: int) -> None:
                if stopping() or self._abandoned.is_set():
                    raise ExportCancelledError
                self._tell(texts, of)

            with MomentReader(self._workspace) as now:
                find_kept(now.directory, now.state, now.blobs, now.head, alike, told, made=signed)

        with contextlib.suppress(Exception):  # of whatever kind: the index is being ended beside it
            await in_thread(comparing, self._abandoned.set)

    async def run(self, stopping: Callable[[], bool]) -> bool:
        """Export. Returns whether anything was written.

        Raises UsageError, StoreBlockedError or StoreError; the export before stays as it was.
        """
        target = export_folder(self._workspace, self._request)
        if target is None:
            return False
        formats = export_formats(self._request)
        alike = self._request.settings.output.near_duplicates
        self._activity.export_dir = safe_text(str(target))
        found = await asyncio.to_thread(current_export, self._workspace, target, formats, alike)
        if found is not None:
            self._activity.output_done = self._activity.output_total = found
            self._log.info("The export is up to date.")
            return False

        def cancelled() -> bool:
            return stopping() or self._abandoned.is_set()

        def progress(rows: int) -> None:
            self._activity.output_done = rows
            self._activity.last_commit = time.monotonic()  # a row is a sign of life

        try:
            report = await in_thread(
                lambda: export(
                    self._workspace,
                    target,
                    formats=formats,
                    alike=alike,
                    signed=self._spool.read() if self._spool is not None else (),
                    progress=progress,
                    comparing=self._tell,
                    cancelled=cancelled,
                ),
                self._abandoned.set,
            )
        except ExportCancelledError:
            return False
        self._activity.output_done = self._activity.output_total = report.documents
        await self._writer.submit(record_export(report))
        self._log.info(f"Exported {report.documents:,} documents to {self._activity.export_dir}.")
        return True

    def _tell(self, texts: int, of: int) -> None:
        now = self._activity.last_commit = time.monotonic()
        if now >= self._next_line and of >= _MANY_TEXTS:
            self._next_line = now + _EVERY_S
            self._log.info(f"Comparing texts for near-duplicates: {texts:,} of {of:,}.")


def current_export(workspace: Path, target: Path, formats: Sequence[str], alike: float = ALIKE) -> int | None:
    """The number of documents in a folder that holds what exporting now would write, else None."""
    connection = open_state(workspace, read_only=True)
    try:
        head = read_head(connection)
        found = counts_of(read_totals(connection, head)).found
        return found if is_current(connection, head, target, formats=formats, alike=alike) else None
    finally:
        connection.close()
