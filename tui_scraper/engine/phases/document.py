"""What a worker does to documents: read, detect, clean, chunk, label.

A document stays in one process, so that its text crosses no process boundary between the phases; each leaves
its own result, keyed and stored apart by the engine. Small documents go through some at a time, phase by
phase: a phase's tables and code stay near the processor then, and what it does for many at once costs less
than for each. That takes a third less time than one document after the other.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, ClassVar

import msgspec

from tui_scraper.engine import tokens
from tui_scraper.engine.duplicates.signature import signature, signatures
from tui_scraper.engine.errors import DocumentError, UnreadFormatError, timeout_sentence
from tui_scraper.engine.extract.base import Extractor, Format
from tui_scraper.engine.extract.containers import expand, listing
from tui_scraper.engine.extract.detect import detect, may_be_streamed, streamed_type
from tui_scraper.engine.extract.limits import MAX_CONTAINER_BYTES, MAX_DEPTH
from tui_scraper.engine.extract.media_types import STREAMED, unread
from tui_scraper.engine.extract.reading import OpenFile, check_size, explained, open_file, refuse_unread
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.labels.digest import Digest
from tui_scraper.engine.models import WORKER_PHASES, Cause, PhaseName, Status
from tui_scraper.engine.phases import chunk as chunk_phase
from tui_scraper.engine.phases import clean as clean_phase
from tui_scraper.engine.phases import local_vectors
from tui_scraper.engine.phases.classify import Classifier
from tui_scraper.engine.phases.clean import Said
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
    in_groups,
)

_STATUS = {
    Cause.NEEDS_OCR: Status.EMPTY,
    Cause.NO_TEXT: Status.EMPTY,
}
_TOGETHER = 64
_TOGETHER_BYTES = 512_000
"""Documents of that many bytes at most go through the phases together."""
_HELD_CHARS = 1_000_000
"""Some that turn out to hold more (a small archive can) go on alone, before the next ones are read."""
_SIGNED_CHARS = 100_000
"""A longer text is not held until those that came with it are signed together: who compares it signs it."""

_FAST_SHARE = 0.6
"""The part of a document's deadline that a fast reader gets where a safe one stands behind it."""

_NO_TEXT = CleanText("")
_HUGE = f"The archive has more than the {MAX_CONTAINER_BYTES:,} bytes that this program takes on."
_TOO_DEEP = f"Archives are inside one another here more than {MAX_DEPTH} deep; this one is not opened."

Allow = Callable[[float], None]
"""Told the seconds after which the worker may be ended before the document's deadline; 0 takes it back."""

_MEMORY = "Reading this file takes more memory than a worker may use (clean.worker_memory)."


class Watch:
    """What is told of the documents in hand, for whoever ends workers that take too long: here, nobody."""

    def begin(self, version: int, turn: int) -> None:
        """A document is in hand, for the step of that number."""

    def allow(self, seconds: float) -> None:
        """See `Allow`."""

    def end(self) -> None:
        """No document is in hand."""

    def may_go_on(self) -> bool:
        """Whether the document that was in hand has left the process fit for others."""
        return True

    def may_begin(self) -> bool:
        """Whether the process is fit for more documents, while none is open."""
        return True


class Step:
    """One phase's work, or a part of it, inside a worker. Made once with the settings, used for many.

    `make` reads what earlier steps left in `document` and leaves its own there. `restore` is called
    in its place where an earlier run's result came along with the work item. What is wrong with a
    document is raised as a DocumentError.
    """

    phase: ClassVar[PhaseName]
    strains: ClassVar[bool] = False
    """Whether a document may leave the process unfit for others here: what is asked then costs some time."""
    is_whole: ClassVar[bool] = False
    """Whether `prepare` is all there is to it."""

    def prepare(self, documents: Sequence[InHand]) -> None:
        """Do for some documents at once what makes `make` cheaper. Where it fails `make` does without."""

    def make(self, document: InHand) -> None:
        """Do the phase's work."""
        raise NotImplementedError

    def restore(self, document: InHand) -> bool:
        """Take over a stored result. Returns False where there is none, so that it must be made."""
        del document
        return False

    def release(self) -> None:
        """Let go of what is only kept from one document of a batch to the next."""


class _Read(Step):
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
        with open_file(path, self._settings.follow_symlinks) as file:
            head = file.head(self._settings.max_file_size)
            refuse_unread(head, readers.__contains__)
            if media_type := self._streamed_type(file, head, path):
                if file.size_bytes > MAX_CONTAINER_BYTES:
                    raise DocumentError(Cause.TOO_LARGE, _HUGE)
                document.content, document.media_type = file.digest(), media_type
                document.stream = document.opened.enter_context(file.stream())
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


class _Clean(Step):
    """Clean: text out of the bytes, and what else is in them.

    The ladder of a format: its fast reader, then, where that failed in any way but a verdict on the
    document, its safe one; here if it only raised, in another process if it took this one along.
    """

    phase = PhaseName.CLEAN
    strains = True

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
                document.text, document.said = self._text(document, chosen, chosen.extract)
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
        document.opened.close()

    def _text(self, document: InHand, chosen: Format, fast: Extractor) -> tuple[CleanText, Said]:
        data, media_type, settings = document.data, document.media_type, self._settings
        ended_by, safe = document.item.ended_by, chosen.fallback
        if ended_by is None or (safe is None and ended_by is not Cause.TIMEOUT):
            if safe is None:
                return clean_phase.clean_without_language(data, media_type, settings, fast)
            self._allow(settings.timeout_s * _FAST_SHARE)
            try:
                return clean_phase.clean_without_language(data, media_type, settings, fast)
            except DocumentError:
                raise
            except BaseException:  # noqa: S110 - a panic of a compiled library is no Exception
                pass
            finally:
                self._allow(0)
        if safe is None:
            raise DocumentError(Cause.TIMEOUT, timeout_sentence(settings))
        return clean_phase.clean_without_language(data, media_type, settings, safe)

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


class _Settle(Step):
    """The language of a text that is new, and its payload."""

    phase = PhaseName.CLEAN

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del settings, allow

    def prepare(self, documents: Sequence[InHand]) -> None:
        new = [document for document in documents if document.item.clean is None]
        for document in new:
            self._name_language(document)
        for document in new:
            self._pack(document)

    def make(self, document: InHand) -> None:
        if document.clean is None:
            self._name_language(document)
            self._pack(document)

    def restore(self, document: InHand) -> bool:
        return document.item.clean is not None

    def _name_language(self, document: InHand) -> None:
        if document.said is not None:
            document.text, document.said = clean_phase.with_language(document.text, document.said), None

    def _pack(self, document: InHand) -> None:
        payload, output = pack(document.text)
        document.clean = CleanResult(payload, output, len(document.text.text))


class _Chunk(Step):
    """Chunk: pieces of the text, counted."""

    phase = PhaseName.CHUNK
    strains = True

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del allow
        self._settings = settings.chunk

    def prepare(self, documents: Sequence[InHand]) -> None:
        new = [document for document in documents if document.item.chunks is None]
        found = tokens.lengths_of([document.text.text for document in new], self._settings.tokenizer)
        for document, lengths in zip(new, found, strict=True):
            document.lengths = lengths

    def make(self, document: InHand) -> None:
        document.chunks = chunk_phase.chunk(document.text, self._settings, document.lengths)
        document.lengths = None
        payload, output = pack(document.chunks)
        amount = sum(part.tokens for part in document.chunks)
        document.chunk = ChunkResult(payload, output, len(document.chunks), amount)

    def restore(self, document: InHand) -> bool:
        if document.item.chunks is None:
            return False
        document.chunks = unpack(document.item.chunks, list[Chunk])
        return True


class _Embed(Step):
    """The vectors of chunks that are new, where they are made on this machine."""

    phase = PhaseName.CHUNK

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del allow
        # A document that waits for a model's label goes to the index by way of the store.
        self._wanted = settings.index.embeddings == "local" and settings.classify.backend != "openai"

    def prepare(self, documents: Sequence[InHand]) -> None:
        if self._wanted:
            new = [document for document in documents if document.chunk is not None]
            made = local_vectors.vectors_of_all([(document.text, document.chunks) for document in new])
            for document, vectors in zip(new, made, strict=True):
                document.vectors = vectors

    def make(self, document: InHand) -> None:
        if self._wanted and document.chunk is not None:
            vectors = document.vectors or local_vectors.vectors_of(document.text, document.chunks)
            document.chunk = msgspec.structs.replace(document.chunk, vectors=vectors)


class _Classify(Step):
    """Classify: a label from a digest of the text, without any network.

    Where a model is to be asked, that happens in the engine: the digest goes there, with a label to stand in.
    """

    phase = PhaseName.CLASSIFY

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del allow
        self._classifier = Classifier(settings.classify)
        self._for_a_model = settings.classify.backend == "openai"
        self._near_duplicates = settings.classify.near_duplicates

    def prepare(self, documents: Sequence[InHand]) -> None:
        digests = [self._digest(document) for document in documents]
        labels = self._classifier.labels(digests)
        for document, read, label in zip(documents, digests, labels, strict=True):
            document.read = read, label

    def make(self, document: InHand) -> None:
        if document.read is not None:
            read, document.label = document.read
        else:
            read = self._digest(document)
            document.label = self._classifier.label(read)
        if self._for_a_model:
            near = signature(document.text.text) if self._near_duplicates else b""
            document.to_ask = DigestText(read.text, read.hint, near)

    def _digest(self, document: InHand) -> Digest:
        return self._classifier.digest(document.text, document.chunks, document.media_type)


class _Sign(Step):
    """Signatures of new texts, by which they are compared.

    No document ends for want of one: who compares the texts signs them then, or says what is wrong.
    """

    phase = PhaseName.CLEAN
    is_whole = True

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del settings, allow

    def prepare(self, documents: Sequence[InHand]) -> None:
        short = [
            document
            for document in documents
            if document.clean is not None and len(document.text.text) <= _SIGNED_CHARS
        ]
        rows = signatures(["" if document.text.is_listing else document.text.text for document in short])
        for document, row in zip(short, rows, strict=True):
            assert document.clean is not None
            document.clean = msgspec.structs.replace(document.clean, signature=row.astype("<u2").tobytes())


STEPS: tuple[Callable[[Settings, Allow], Step], ...] = (_Read, _Clean, _Settle, _Chunk, _Embed, _Classify)
"""What a worker does to a document, in order."""


class Processor:
    """Runs the worker-side phases with one set of settings, through `until` at most.

    With `signs` new texts that are not long come with their signatures.
    """

    def __init__(
        self,
        settings: Settings,
        until: PhaseName = PhaseName.CLASSIFY,
        steps: Sequence[Callable[[Settings, Allow], Step]] = STEPS,
        *,
        watch: Watch | None = None,
        signs: bool = False,
    ) -> None:
        self._watch = watch or Watch()
        wanted = WORKER_PHASES[: WORKER_PHASES.index(until) + 1]
        made = [step(settings, self._watch.allow) for step in steps]
        if signs:
            made.append(_Sign(settings, self._watch.allow))
            made.sort(key=lambda step: WORKER_PHASES.index(step.phase))
        self._steps = [step for step in made if step.phase in wanted]
        self.ends = False
        """Whether another process is to go on with what has no reply yet."""

    def process(self, item: WorkItem) -> DocumentReply:
        """Take one document through its phases. A document's own faults become a reply.

        So does everything that a parser raises: a panic of a compiled library is no `Exception`.
        """
        return next(self.process_all([item]))[0]

    def process_all(self, items: Sequence[WorkItem]) -> Iterator[list[DocumentReply]]:
        """As `process` for many, in order, some at a time. Where `Watch` says so it `ends`, perhaps early."""
        self.ends = False
        for group in in_groups(items, _TOGETHER, _TOGETHER_BYTES):
            yield from self._take_on([InHand(item) for item in group], 0)
            self.ends = self.ends or not self._watch.may_begin()
            if self.ends:
                return

    def release(self) -> None:
        """A batch is over: containers that were open for the next member are closed."""
        for step in self._steps:
            step.release()

    def _take_on(self, documents: Sequence[InHand], turn: int) -> Iterator[list[DocumentReply]]:
        """Take documents through the steps from that one on; those that hold much, ahead of the others.

        They hold nothing any more when their replies are there: those that come after them need the memory.
        """
        if turn == len(self._steps):
            replies = [document.reply() for document in documents]
            for document in documents:
                document.let_go()
            yield replies
            return
        step, ended = self._steps[turn], self.ends
        ready: list[InHand] = []
        held, mark = 0, time.thread_time_ns()
        with contextlib.suppress(BaseException):  # `make` comes to the same, and knows whose fault it is
            step.prepare([document for document in documents if document.status is None])
        if step.is_whole:
            _charge(documents, step.phase, mark)
            yield from self._take_on(documents, turn + 1)
            return
        for number, document in enumerate(documents, 1):
            fit = document.status is not None or self._make(step, turn, document)
            ready.append(document)
            held += len(document.data) + len(document.text.text)
            self.ends = self.ends or not fit
            if not fit or held > _HELD_CHARS:
                _charge(ready, step.phase, mark)
                yield from self._take_on(ready, turn + 1)
                if self.ends and not ended:
                    for left in documents[number:]:
                        left.let_go()
                    return
                ready, held, mark = [], 0, time.thread_time_ns()
        if ready:
            _charge(ready, step.phase, mark)
            yield from self._take_on(ready, turn + 1)

    def _make(self, step: Step, turn: int, document: InHand) -> bool:
        """Do a step's work for a document. Returns whether the process is fit for another.

        Once it is not, those that it has begun with are taken to their end.
        """
        self._watch.begin(document.item.version, turn)
        try:
            if not step.restore(document):
                document.phase = step.phase
                step.make(document)
        except DocumentError as error:
            if isinstance(error, UnreadFormatError):
                document.phase = PhaseName.CLEAN  # also where the first bytes were enough to know the format
                document.end(Status.SKIPPED, error.cause, error.message)
            else:
                document.end(_STATUS.get(error.cause, Status.FAILED), error.cause, error.message)
        except MemoryError:
            document.end(Status.FAILED, Cause.TOO_LARGE, _MEMORY)
        except RecursionError:
            document.end(Status.FAILED, Cause.CORRUPT, "The file is nested too deeply to be read.")
        except BaseException as error:
            what = safe_text(f"{type(error).__name__}: {error}", limit=200)
            document.end(Status.FAILED, Cause.CRASHED, f"The reader of this format failed ({what}).")
        finally:
            self._watch.end()
        return not step.strains or self.ends or self._watch.may_go_on()


def _charge(documents: Sequence[InHand], phase: PhaseName, mark: int) -> None:
    """Have documents share the CPU time that this thread has used since the mark."""
    spent_ns, slot = time.thread_time_ns() - mark, WORKER_PHASES.index(phase)
    for document in documents:
        document.cpu_ns[slot] += spent_ns // len(documents)


class InHand:
    """A document in a worker's hand: what the steps have made of it so far, and what that took.

    `status` is None until it fails, `cpu_ns` its CPU time in each phase.
    """

    def __init__(self, item: WorkItem) -> None:
        self.item = item
        self.phase = item.start
        self.status: Status | None = None
        self.data = b""
        self.text = _NO_TEXT
        self.lengths: tokens.Lengths | None = None
        self.chunks: list[Chunk] = []
        self.content = b""
        self.media_type = item.media_type
        self.said: Said | None = None
        self.clean: CleanResult | None = None
        self.chunk: ChunkResult | None = None
        self.vectors = b""
        self.read: tuple[Digest, LabelResult] | None = None
        self.label: LabelResult | None = None
        self.to_ask: DigestText | None = None
        self.stream: BinaryIO | None = None
        self.opened = contextlib.ExitStack()
        self.members: list[Member] | None = None
        self.cpu_ns = [0, 0, 0, 0]
        self._cause: Cause | None = None
        self._message = ""

    @property
    def name(self) -> bytes:
        """The path that the document's type may be guessed by: in its container, if it is in one."""
        return self.item.inside[-1] if self.item.inside else self.item.path

    def end(self, status: Status, cause: Cause, message: str) -> None:
        """It does not get through the phase that it is in, and nothing of that phase remains."""
        self.status, self._cause, self._message = status, cause, message
        results, phase = (self.clean, self.chunk, self.label), WORKER_PHASES.index(self.phase)
        self.let_go()
        if phase > WORKER_PHASES.index(PhaseName.CLEAN):
            self.clean = results[0]
        if phase > WORKER_PHASES.index(PhaseName.CHUNK):
            self.chunk = results[1]

    def let_go(self) -> None:
        """Hold nothing that takes memory."""
        self.opened.close()
        self.data, self.text, self.chunks, self.lengths = b"", _NO_TEXT, [], None
        self.clean, self.chunk, self.label, self.to_ask = None, None, None, None
        self.said, self.read, self.vectors, self.stream = None, None, b"", None

    def reply(self) -> DocumentReply:
        """What goes back to the engine."""
        return DocumentReply(
            version=self.item.version,
            status=self.status or Status.DONE,
            phase=self.phase,
            cause=self._cause,
            message=self._message,
            content=self.content,
            media_type=self.media_type,
            clean=self.clean,
            chunk=self.chunk,
            label=self.label,
            members=self.members,
            to_ask=self.to_ask,
            cpu_ns=(self.cpu_ns[0], self.cpu_ns[1], self.cpu_ns[2], self.cpu_ns[3]),
        )
