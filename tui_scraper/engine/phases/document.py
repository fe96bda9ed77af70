"""What a worker does to one document: read, detect, clean, chunk, label.

The phases run back to back on one document, in one process, so that its text crosses no process
boundary between them; each leaves its own result, keyed and stored apart by the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tui_scraper.engine.errors import DocumentError, UnreadFormatError
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.reading import read_file
from tui_scraper.engine.extract.registry import registry
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
    Cause.NEEDS_OCR: Status.EMPTY,
    Cause.NO_TEXT: Status.EMPTY,
}
_TIMED_EVERY = 16
"""Asking for a thread's CPU time is a system call of up to 20 us, five times a document: a tenth of
the whole work on small text. One document of 16 is measured and counts for all of them."""

_NO_TEXT = CleanText("")
_MEMORY = "Reading this file takes more memory than a worker may use (clean.worker_memory)."


class Step(Protocol):
    """One phase's work on one document, inside a worker. Made once with the settings, used for many.

    `make` reads what earlier steps left in `document` and leaves its own there. `restore` is called
    in its place where an earlier run's result came along with the work item. What is wrong with a
    document is raised as a DocumentError.
    """

    phase: PhaseName

    def make(self, document: InHand) -> None:
        """Do the phase's work."""
        ...

    def restore(self, document: InHand) -> bool:
        """Take over a stored result. Returns False where there is none, so that it must be made."""
        ...


class _Read:
    """Input: the bytes of the file, and what they are."""

    phase = PhaseName.INPUT

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.input

    def make(self, document: InHand) -> None:
        path = document.item.path
        content = read_file(
            path,
            self._settings.max_file_size,
            self._settings.follow_symlinks,
            registry().readers.__contains__,
        )
        document.data = content.data
        document.content = digest(content.data)
        if content.data:
            document.media_type = detect(content.data, path)

    def restore(self, document: InHand) -> bool:
        return document.item.clean is not None  # the text came along: the file need not be read


class _Clean:
    """Clean: text out of the bytes."""

    phase = PhaseName.CLEAN

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.clean

    def make(self, document: InHand) -> None:
        if not document.data:
            raise DocumentError(Cause.NO_TEXT, "The file is empty (0 bytes).")
        document.text = clean_phase.clean(document.data, document.media_type, self._settings)
        document.data = b""
        payload, output = pack(document.text)
        document.clean = CleanResult(payload, output, len(document.text.text))

    def restore(self, document: InHand) -> bool:
        if document.item.clean is None:
            return False
        document.text = unpack(document.item.clean, CleanText)
        return True


class _Chunk:
    """Chunk: pieces of the text, counted."""

    phase = PhaseName.CHUNK

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.chunk

    def make(self, document: InHand) -> None:
        document.chunks = chunk_phase.chunk(document.text, self._settings)
        payload, output = pack(document.chunks)
        tokens = sum(part.tokens for part in document.chunks)
        document.chunk = ChunkResult(payload, output, len(document.chunks), tokens)

    def restore(self, document: InHand) -> bool:
        if document.item.chunks is None:
            return False
        document.chunks = unpack(document.item.chunks, list[Chunk])
        return True


class _Classify:
    """Classify: a label from a digest of the text, without any network."""

    phase = PhaseName.CLASSIFY

    def __init__(self, settings: Settings) -> None:
        self._classifier = Classifier(settings.classify)

    def make(self, document: InHand) -> None:
        document.label = self._classifier.classify(document.text, document.chunks, document.media_type)

    def restore(self, document: InHand) -> bool:
        del document
        return False


STEPS: tuple[Callable[[Settings], Step], ...] = (_Read, _Clean, _Chunk, _Classify)
"""What a worker does to a document, in order."""


class Processor:
    """Runs the worker-side phases with one set of settings, through `until` at most."""

    def __init__(
        self,
        settings: Settings,
        until: PhaseName = PhaseName.CLASSIFY,
        steps: Sequence[Callable[[Settings], Step]] = STEPS,
    ) -> None:
        wanted = WORKER_PHASES[: WORKER_PHASES.index(until) + 1]
        self._steps = [step(settings) for step in steps[: len(wanted)]]
        self._count = 0

    def process(self, item: WorkItem) -> DocumentReply:
        """Take one document through its phases. A document's own faults become a reply.

        So does everything that a parser raises: a panic of a compiled library is no `Exception`.
        """
        self._count += 1
        document = InHand(item, timed=self._count % _TIMED_EVERY == 1)
        try:
            for step in self._steps:
                if not step.restore(document):
                    document.enter(step.phase)
                    step.make(document)
        except DocumentError as error:
            if isinstance(error, UnreadFormatError):
                document.phase = PhaseName.CLEAN  # also where the first bytes were enough to know the format
                return document.reply(Status.SKIPPED, error.cause, error.message)
            return document.reply(_STATUS.get(error.cause, Status.FAILED), error.cause, error.message)
        except MemoryError:
            return document.reply(Status.FAILED, Cause.TOO_LARGE, _MEMORY)
        except RecursionError:
            return document.reply(Status.FAILED, Cause.CORRUPT, "The file is nested too deeply to be read.")
        except BaseException as error:
            what = safe_text(f"{type(error).__name__}: {error}", limit=200)
            return document.reply(Status.FAILED, Cause.CRASHED, f"The reader of this format failed ({what}).")
        return document.reply(Status.DONE)


class InHand:
    """A document in a worker's hand: what the steps have made of it so far, and the CPU time of each."""

    def __init__(self, item: WorkItem, *, timed: bool) -> None:
        self.item = item
        self.phase = item.start
        self.data = b""
        self.text = _NO_TEXT
        self.chunks: list[Chunk] = []
        self.content = b""
        self.media_type = item.media_type
        self.clean: CleanResult | None = None
        self.chunk: ChunkResult | None = None
        self.label: LabelResult | None = None
        self._cpu_ns = [0, 0, 0, 0]
        self._slot = 0
        self._timed = timed
        self._mark = time.thread_time_ns() if timed else 0

    def enter(self, phase: PhaseName) -> None:
        """A step begins: what follows is charged to its phase, and blamed on it."""
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
        """What goes back to the engine."""
        self._charge()
        return DocumentReply(
            version=self.item.version,
            status=status,
            phase=self.phase,
            cause=cause,
            message=message,
            content=self.content,
            media_type=self.media_type,
            clean=self.clean,
            chunk=self.chunk,
            label=self.label,
            cpu_ns=(self._cpu_ns[0], self._cpu_ns[1], self._cpu_ns[2], self._cpu_ns[3]),
        )
