"""What a worker does to one document: read, detect, clean, chunk, label.

The phases run back to back on one document, in one process, so that its text crosses no process
boundary between them; each leaves its own result, keyed and stored apart by the engine.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

from tui_scraper.engine.duplicates.signature import signature
from tui_scraper.engine.errors import DocumentError, UnreadFormatError, timeout_sentence
from tui_scraper.engine.extract.base import Extractor, Format
from tui_scraper.engine.extract.containers import expand, listing
from tui_scraper.engine.extract.detect import detect, may_be_streamed, streamed_type
from tui_scraper.engine.extract.limits import MAX_CONTAINER_BYTES, MAX_DEPTH
from tui_scraper.engine.extract.media_types import STREAMED, unread
from tui_scraper.engine.extract.reading import OpenFile, check_size, explained, open_file, refuse_unread
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import WORKER_PHASES, Cause, PhaseName, Status
from tui_scraper.engine.phases import chunk as chunk_phase
from tui_scraper.engine.phases import clean as clean_phase
from tui_scraper.engine.phases import local_vectors
from tui_scraper.engine.phases.classify import Classifier
from tui_scraper.engine.phases.inside import Inside
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.codec import digest, pack, unpack
from tui_scraper.engine.wire import (
    Chunk,
    ChunkResult,
    CleanResult,
    CleanText,
    DigestText,
    DocumentReply,
    LabelResult,
    Member,
    WorkItem,
)

_STATUS = {
    Cause.NEEDS_OCR: Status.EMPTY,
    Cause.NO_TEXT: Status.EMPTY,
}
_TIMED_EVERY = 16
"""Asking for a thread's CPU time is a system call of up to 20 us, five times a document: a tenth of
the whole work on small text. One document of 16 is measured and counts for all of them."""

_FAST_SHARE = 0.6
"""The part of a document's deadline that a fast reader gets where a safe one stands behind it."""

_NO_TEXT = CleanText("")
_HUGE = f"The archive has more than the {MAX_CONTAINER_BYTES:,} bytes that this program takes on."
_TOO_DEEP = f"Archives are inside one another here more than {MAX_DEPTH} deep; this one is not opened."

Allow = Callable[[float], None]
"""Told the seconds after which the worker may be ended before the document's deadline; 0 takes it back."""

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

    def release(self) -> None:
        """Let go of what is only kept from one document of a batch to the next."""
        ...


class _Read:
    """Input: the bytes of the file or of the member, and what they are. Large containers stay streams."""

    phase = PhaseName.INPUT

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del allow
        self._settings = settings.input
        self._inside = Inside(settings)

    def make(self, document: InHand) -> None:
        if document.item.inside:
            self._take(document, self._inside.read(document.item.path, document.item.inside))
            return
        path, readers = document.item.path, registry().readers
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open_file(path, self._settings.follow_symlinks))
            head = file.head(self._settings.max_file_size)
            refuse_unread(head, readers.__contains__)
            if media_type := self._streamed_type(file, head, path):
                if file.size_bytes > MAX_CONTAINER_BYTES:
                    raise DocumentError(Cause.TOO_LARGE, _HUGE)
                document.content, document.media_type = file.digest(), media_type
                document.stream = stack.enter_context(file.stream())
                document.opened = stack.pop_all()
                return
            check_size(file.size_bytes, self._settings.max_file_size)
            data = file.whole(head)
        self._take(document, data)

    def _streamed_type(self, file: OpenFile, head: bytes, path: bytes) -> str:
        if not may_be_streamed(head):
            return ""
        with file.stream() as stream:
            return streamed_type(stream, head, file.size_bytes, path)

    def _take(self, document: InHand, data: bytes) -> None:
        document.content = digest(data)
        if data:
            document.media_type = detect(data, document.name)
        if document.media_type not in STREAMED:
            check_size(len(data), self._settings.max_file_size)
        document.data = data

    def restore(self, document: InHand) -> bool:
        return document.item.clean is not None  # the text came along: the file need not be read

    def release(self) -> None:
        self._inside.close()


class _Clean:
    """Clean: text out of the bytes, and what else is in them.

    The ladder of a format: its fast reader, then, where that failed in any way but a verdict on the
    document, its safe one; here if it only raised, in another process if it took this one along.
    """

    phase = PhaseName.CLEAN

    def __init__(self, settings: Settings, allow: Allow) -> None:
        self._settings = settings.clean
        self._archives = settings.input.archives
        self._allow = allow

    def make(self, document: InHand) -> None:
        if not document.data and document.stream is None:
            raise DocumentError(Cause.NO_TEXT, "The file is empty (0 bytes).")
        chosen = registry().readers.get(document.media_type)
        if chosen is None:
            raise unread(document.media_type)
        without = None
        if chosen.extract is not None:
            try:
                document.text = self._text(document, chosen, chosen.extract)
            except DocumentError as error:
                if error.cause is not Cause.NO_TEXT or chosen.entries is None:
                    raise
                without = error  # what is inside may be worth something
        elif not self._archives:
            raise UnreadFormatError(
                Cause.UNSUPPORTED, "Archives are not opened here: input.archives is off in the settings."
            )
        if chosen.entries is not None and self._archives:
            self._expand(document, chosen)
        if not document.text.text and without is not None and not document.members:
            raise without
        document.data = b""
        payload, output = pack(document.text)
        document.clean = CleanResult(payload, output, len(document.text.text))

    def _text(self, document: InHand, chosen: Format, fast: Extractor) -> CleanText:
        data, media_type, settings = document.data, document.media_type, self._settings
        ended_by, safe = document.item.ended_by, chosen.fallback
        if ended_by is None or (safe is None and ended_by is not Cause.TIMEOUT):
            if safe is None:
                return clean_phase.clean(data, media_type, settings, fast)
            self._allow(settings.timeout_s * _FAST_SHARE)
            try:
                return clean_phase.clean(data, media_type, settings, fast)
            except DocumentError:
                raise
            except BaseException:  # a panic of a compiled library is no Exception
                document.tried_safe = True
            finally:
                self._allow(0)
        if safe is None:
            raise DocumentError(Cause.TIMEOUT, timeout_sentence(settings))
        return clean_phase.clean(data, media_type, settings, safe)

    def _expand(self, document: InHand, chosen: Format) -> None:
        if len(document.item.inside) >= MAX_DEPTH:
            raise DocumentError(Cause.TOO_LARGE, _TOO_DEEP)
        stream = document.stream or io.BytesIO(document.data)
        size_bytes = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        name = document.name.rpartition(b"/")[2]
        with explained():
            expansion = expand(chosen, stream, size_bytes, document.media_type, self._settings, name)
        document.members = expansion.members
        if expansion.problem is not None:
            raise expansion.problem
        if chosen.extract is None:
            document.text = CleanText(listing(expansion.members, self._settings.max_chars))

    def restore(self, document: InHand) -> bool:
        if document.item.clean is None:
            return False
        document.text = unpack(document.item.clean, CleanText)
        return True

    def release(self) -> None:
        pass


class _Chunk:
    """Chunk: pieces of the text, counted."""

    phase = PhaseName.CHUNK

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del allow
        self._settings = settings.chunk
        # A document that waits for a model's label goes to the index by way of the store.
        self._vectors = settings.index.embeddings == "local" and settings.classify.backend != "openai"

    def make(self, document: InHand) -> None:
        document.chunks = chunk_phase.chunk(document.text, self._settings)
        payload, output = pack(document.chunks)
        tokens = sum(part.tokens for part in document.chunks)
        vectors = local_vectors.vectors_of(document.text, document.chunks) if self._vectors else b""
        document.chunk = ChunkResult(payload, output, len(document.chunks), tokens, vectors)

    def restore(self, document: InHand) -> bool:
        if document.item.chunks is None:
            return False
        document.chunks = unpack(document.item.chunks, list[Chunk])
        return True

    def release(self) -> None:
        pass


class _Classify:
    """Classify: a label from a digest of the text, without any network.

    Where a model is to be asked, that happens in the engine: the digest goes there, with a label to stand in.
    """

    phase = PhaseName.CLASSIFY

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del allow
        self._classifier = Classifier(settings.classify)
        self._for_a_model = settings.classify.backend == "openai"
        self._near_duplicates = settings.classify.near_duplicates

    def make(self, document: InHand) -> None:
        digest = self._classifier.digest(document.text, document.chunks, document.media_type)
        document.label = self._classifier.label(digest)
        if self._for_a_model:
            near = signature(document.text.text) if self._near_duplicates else b""
            document.to_ask = DigestText(digest.text, digest.hint, near)

    def restore(self, document: InHand) -> bool:
        del document
        return False

    def release(self) -> None:
        pass


STEPS: tuple[Callable[[Settings, Allow], Step], ...] = (_Read, _Clean, _Chunk, _Classify)
"""What a worker does to a document, in order."""


class Processor:
    """Runs the worker-side phases with one set of settings, through `until` at most."""

    def __init__(
        self,
        settings: Settings,
        until: PhaseName = PhaseName.CLASSIFY,
        steps: Sequence[Callable[[Settings, Allow], Step]] = STEPS,
        *,
        allow: Allow = lambda _seconds: None,
    ) -> None:
        wanted = WORKER_PHASES[: WORKER_PHASES.index(until) + 1]
        self._steps = [step(settings, allow) for step in steps[: len(wanted)]]
        self._count = 0
        self.text: CleanText | None = None
        """The text that was made of the last document."""

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
        finally:
            document.opened.close()
            self.text = document.text if document.clean is not None else None
        return document.reply(Status.DONE)

    def release(self) -> None:
        """A batch is over: containers that were open for the next member are closed."""
        for step in self._steps:
            step.release()


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
        self.to_ask: DigestText | None = None
        self.stream: BinaryIO | None = None
        self.opened = contextlib.ExitStack()
        self.members: list[Member] | None = None
        self.tried_safe = False
        self._cpu_ns = [0, 0, 0, 0]
        self._slot = 0
        self._timed = timed
        self._mark = time.thread_time_ns() if timed else 0

    @property
    def name(self) -> bytes:
        """The path that the document's type may be guessed by: in its container, if it is in one."""
        return self.item.inside[-1] if self.item.inside else self.item.path

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
            members=self.members,
            to_ask=self.to_ask,
            cpu_ns=(self._cpu_ns[0], self._cpu_ns[1], self._cpu_ns[2], self._cpu_ns[3]),
        )
