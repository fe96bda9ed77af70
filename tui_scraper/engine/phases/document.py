"""What a worker does to one document: read, detect, clean, chunk, label.

The phases run back to back on one document, in one process, so that its text crosses no process
boundary between them; each leaves its own result, keyed and stored apart by the engine.
"""

from __future__ import annotations

import time

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.reading import read_file
from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.phases import chunk as chunk_phase
from tui_scraper.engine.phases import clean as clean_phase
from tui_scraper.engine.phases.classify import Classifier
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
_LAST = {PhaseName.CLEAN: 0, PhaseName.CHUNK: 1, PhaseName.CLASSIFY: 2}


class Processor:
    """Runs the worker-side phases with one set of settings, through `until` at most."""

    def __init__(self, settings: Settings, until: PhaseName = PhaseName.CLASSIFY) -> None:
        self._settings = settings
        self._last = _LAST.get(until, 2)
        self._classifier = Classifier(settings.classify) if self._last == 2 else None

    def process(self, item: WorkItem) -> DocumentReply:
        """Take one document through its phases. A document's own faults become a reply."""
        run = _Run(item)
        try:
            self._phases(item, run)
        except DocumentError as error:
            return run.reply(_STATUS.get(error.cause, Status.FAILED), error.cause, error.message)
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

    def __init__(self, item: WorkItem) -> None:
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
        self._mark = time.thread_time_ns()

    def enter(self, phase: PhaseName) -> None:
        self._charge()
        self.phase = phase
        self._slot = (PhaseName.INPUT, PhaseName.CLEAN, PhaseName.CHUNK, PhaseName.CLASSIFY).index(phase)

    def _charge(self) -> None:
        now = time.thread_time_ns()
        self._cpu_ns[self._slot] += now - self._mark
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
