"""The steps of the work on a document in a worker, each a phase or a part of one."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

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
from tui_scraper.engine.models import Cause, PhaseName
from tui_scraper.engine.phases import chunk as chunk_phase
from tui_scraper.engine.phases import clean as clean_phase
from tui_scraper.engine.phases import local_vectors
from tui_scraper.engine.phases.classify import Classifier
from tui_scraper.engine.phases.clean import Said
from tui_scraper.engine.phases.in_hand import InHand, Step
from tui_scraper.engine.phases.inside import Inside
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.codec import digest, pack, unpack
from tui_scraper.engine.wire import Chunk, ChunkResult, CleanResult, CleanText, DigestText

_SIGNED_CHARS = 100_000
"""A longer text is not held until those that came with it are signed together: who compares it signs it."""

_FAST_SHARE = 0.6
"""The part of a document's deadline that a fast reader gets where a safe one stands behind it."""

_HUGE = f"The archive has more than the {MAX_CONTAINER_BYTES:,} bytes that this program takes on."
_TOO_DEEP = f"Archives are inside one another here more than {MAX_DEPTH} deep; this one is not opened."

Allow = Callable[[float], None]
"""Told the seconds after which the worker may be ended before the document's deadline; 0 takes it back."""


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


class Sign(Step):
    """Signatures of new texts, by which they are compared.

    No document ends for want of one: who compares the texts signs them then, or says what is wrong.
    """

    phase = PhaseName.CLEAN
    is_whole = True

    def __init__(self, settings: Settings, allow: Allow) -> None:
        del settings, allow

    def prepare(self, documents: Sequence[InHand]) -> None:
        """Make them. See `Step`."""
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
