"""What a worker does to one document: read, detect, clean, chunk, label.

The phases run back to back on one document, in one process, so that its text crosses no process
boundary between them; each leaves its own result, keyed and stored apart by the engine.
"""

from __future__ import annotations

import time

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.reading import read_file
from tui_scraper.engine.models import WORKER_PHASES, Cause, PhaseName, Status
from tui_scraper.engine.phases import chunk as chunk_phase
from tui_scraper.engine.phases import clean as clean_phase
from tui_scraper.engine.phases.classify import Classifier
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.codec import digest, pack, unpack
from tui_scraper.engine.wire import (
    Chunk,
    ChunkResult,
    CleanResult,
    CleanText,
    DocumentReply,
    LabelResult,
    WorkItem,
)

_STATUS = {
    Cause.UNSUPPORTED: Status.SKIPPED,
    Cause.NEEDS_OCR: Status.EMPTY,
    Cause.NO_TEXT: Status.EMPTY,
}
_TIMED_EVERY = 16
"""Asking for a thread's CPU time is a system call of up to 20 us, five times a document: a tenth of
the whole work on small text. One document of 16 is measured and counts for all of them."""

_MEMORY = "Reading this file takes more memory than a worker may use (clean.worker_memory)."
_LAST = {PhaseName.CLEAN: 0, PhaseName.CHUNK: 1, PhaseName.CLASSIFY: 2}


class Processor:
    """Runs the worker-side phases with one set of settings, through `until` at most."""

    def __init__(self, settings: Settings, until: PhaseName = PhaseName.CLASSIFY) -> None:
        self._settings = settings
        self._last = _LAST.get(until, 2)
        self._classifier = Classifier(settings.classify) if self._last == 2 else None
        self._count = 0

    def process(self, item: WorkItem) -> DocumentReply:
        """Take one document through its phases. A document's own faults become a reply.

        So does everything that a parser raises: a panic of a compiled library is no `Exception`.
        """
        self._count += 1
        run = _Run(item, timed=self._count % _TIMED_EVERY == 1)
        try:
            self._phases(item, run)
        except DocumentError as error:
            if error.cause is Cause.UNSUPPORTED:
                run.phase = (
                    PhaseName.CLEAN
                )  # some formats are known by their first bytes, before the rest is read
            return run.reply(_STATUS.get(error.cause, Status.FAILED), error.cause, error.message)
        except MemoryError:
            return run.reply(Status.FAILED, Cause.TOO_LARGE, _MEMORY)
        except RecursionError:
            return run.reply(Status.FAILED, Cause.CORRUPT, "The file is nested too deeply to be read.")
        except BaseException as error:
            what = safe_text(f"{type(error).__name__}: {error}", limit=200)
            return run.reply(Status.FAILED, Cause.CRASHED, f"The reader of this format failed ({what}).")
        return run.reply(Status.DONE)

    def _phases(self, item: WorkItem, run: _Run) -> None:
        settings = self._settings
        if item.start is PhaseName.CLEAN or item.clean is None:
            run.enter(PhaseName.INPUT)
            content = read_file(item.path, settings.input.max_file_size, settings.input.follow_symlinks)
            run.content = digest(content.data)
            run.size_bytes, run.mtime_ns = content.size_bytes, content.mtime_ns
            if not content.data:
                run.enter(PhaseName.CLEAN)
                raise DocumentError(Cause.NO_TEXT, "The file is empty (0 bytes).")
            run.media_type = detect(content.data, item.path)
            run.enter(PhaseName.CLEAN)
            text = clean_phase.clean(content.data, run.media_type, settings.clean)
            payload, output = pack(text)
            run.clean = CleanResult(payload, output, len(text.text), text.truncated)
        else:
            text = unpack(item.clean, CleanText)
        if self._last < 1:
            return
        if item.start is PhaseName.CLASSIFY and item.chunks is not None:
            chunks = unpack(item.chunks, list[Chunk])
        else:
            run.enter(PhaseName.CHUNK)
            chunks = chunk_phase.chunk(text, settings.chunk)
            payload, output = pack(chunks)
            run.chunk = ChunkResult(payload, output, len(chunks), sum(part.tokens for part in chunks))
        if self._classifier is None:
            return
        run.enter(PhaseName.CLASSIFY)
        run.label = self._classifier.classify(text, chunks, run.media_type)


class _Run:
    """The results of one document so far, and the CPU time of each phase."""

    def __init__(self, item: WorkItem, *, timed: bool) -> None:
        self.version = item.version
        self.phase = item.start
        self.content = b""
        self.media_type = item.media_type
        self.size_bytes = item.size_bytes
        self.mtime_ns = 0
        self.clean: CleanResult | None = None
        self.chunk: ChunkResult | None = None
        self.label: LabelResult | None = None
        self._cpu_ns = [0, 0, 0, 0]
        self._slot = 0
        self._timed = timed
        self._mark = time.thread_time_ns() if timed else 0

    def enter(self, phase: PhaseName) -> None:
        self._charge()
        self.phase = phase
        self._slot = WORKER_PHASES.index(phase)

    def _charge(self) -> None:
        if not self._timed:
            return
        now = time.thread_time_ns()
        self._cpu_ns[self._slot] += (now - self._mark) * _TIMED_EVERY
        self._mark = now

    def reply(self, status: Status, cause: Cause | None = None, message: str = "") -> DocumentReply:
        self._charge()
        return DocumentReply(
            version=self.version,
            status=status,
            phase=self.phase,
            cause=cause,
            message=message,
            content=self.content,
            media_type=self.media_type,
            size_bytes=self.size_bytes,
            mtime_ns=self.mtime_ns,
            clean=self.clean,
            chunk=self.chunk,
            label=self.label,
            cpu_ns=(self._cpu_ns[0], self._cpu_ns[1], self._cpu_ns[2], self._cpu_ns[3]),
        )
