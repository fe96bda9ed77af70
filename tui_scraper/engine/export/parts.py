"""Reads what is stored of documents: their results, texts, chunks and labels.

Many documents cost one query for each phase, not one for each document, and their payloads are fetched
together as long as they are small: memory stays at some megabytes however large the corpus. Everything
comes from one read snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.export.documents import Document
from tui_scraper.engine.export.row import CHUNK, CLASSIFY, CLEAN, DONE, Parts, error_of
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER, Head
from tui_scraper.engine.store.human import human_labels
from tui_scraper.engine.wire import Chunk, CleanText

_BATCH_CHARS = 2_000_000
"""Clean text fetched at once; a single document may be larger."""
_MISSING = (None, None, 0)


class PartsReader:
    """Reads what belongs to some hundred documents at a time.

    Both connections must be inside a read transaction.
    """

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection, head: Head) -> None:
        self._state = state
        self._blobs = blobs
        self._head = head
        self._decode = _Decoders()

    def read(self, documents: Sequence[Document]) -> Iterator[Parts]:
        """What is stored of each of these documents; their `results` are filled in before.

        Raises StoreError where a payload is missing or damaged.
        """
        self._read_results(documents)
        artifacts = self._read_artifacts(documents)
        errors = self._read_errors(documents)
        batch: list[Document] = []
        chars = 0
        for document in documents:
            batch.append(document)
            clean = _artifact(document, CLEAN)
            chars += artifacts.get(clean, _MISSING)[2] if clean is not None else 0
            if chars >= _BATCH_CHARS:
                yield from self._read_batch(batch, artifacts, errors)
                batch, chars = [], 0
        yield from self._read_batch(batch, artifacts, errors)

    def _read_results(self, documents: Sequence[Document]) -> None:
        by_version = {document.version: document for document in documents}
        marks = ",".join("?" * len(by_version))
        for phase in DOCUMENT_PHASES:
            lineage = self._head.lineages.get(phase)
            if lineage is None:
                continue
            number = PHASE_NUMBER[phase]
            rows = self._state.execute(
                f"""SELECT r.version, r.status, r.artifact, max(r.seq) FROM result r
                WHERE r.lineage = ? AND r.version IN ({marks}) AND {self._head.visible()}
                GROUP BY r.version""",  # noqa: S608
                (lineage, *by_version),
            )
            for version, status, artifact, seq in rows:
                by_version[version].results[number] = (status, artifact, seq)

    def _read_artifacts(
        self, documents: Sequence[Document]
    ) -> dict[int, tuple[int | None, bytes | None, int]]:
        """Artifact -> (blob, data, amount)."""
        wanted = {
            artifact
            for document in documents
            for phase in (CLEAN, CHUNK, CLASSIFY)
            if (artifact := _artifact(document, phase)) is not None
        }
        marks = ",".join("?" * len(wanted))
        rows = self._state.execute(
            f"SELECT id, blob, data, amount FROM artifact WHERE id IN ({marks})",  # noqa: S608
            tuple(wanted),
        )
        return {artifact: (blob, data, amount) for artifact, blob, data, amount in rows}

    def _read_errors(self, documents: Sequence[Document]) -> dict[int, tuple[str, str]]:
        """Seq -> (cause, message)."""
        seqs = [
            seq
            for document in documents
            for status, _artifact, seq in document.results.values()
            if status > DONE
        ]
        if not seqs:
            return {}
        marks = ",".join("?" * len(seqs))
        rows = self._state.execute(
            f"SELECT seq, cause, message FROM failure WHERE seq IN ({marks})",  # noqa: S608
            tuple(seqs),
        )
        return {seq: (cause, message) for seq, cause, message in rows}

    def _read_batch(
        self,
        batch: list[Document],
        artifacts: dict[int, tuple[int | None, bytes | None, int]],
        errors: dict[int, tuple[str, str]],
    ) -> Iterator[Parts]:
        wanted = {
            blob
            for document in batch
            for phase in (CLEAN, CHUNK)
            if (artifact := _artifact(document, phase)) is not None
            and (blob := artifacts.get(artifact, _MISSING)[0]) is not None
        }
        marks = ",".join("?" * len(wanted))
        payloads: dict[int | None, Any] = {}
        for blob, data in self._blobs.execute(
            f"SELECT id, data FROM blob WHERE id IN ({marks})",  # noqa: S608
            tuple(wanted),
        ):
            payloads[blob] = data
        given = human_labels(self._state, {one.content for one in batch if one.content is not None})
        for document in batch:
            clean: CleanText | None = None
            chunks: list[Chunk] = []
            label: StoredLabel | None = None
            artifact = _artifact(document, CLEAN)
            if artifact is not None:
                clean = self._decode.clean(document, payloads.get(artifacts.get(artifact, _MISSING)[0]))
            artifact = _artifact(document, CHUNK)
            if artifact is not None:
                chunks = self._decode.chunks(document, payloads.get(artifacts.get(artifact, _MISSING)[0]))
            artifact = _artifact(document, CLASSIFY)
            if artifact is not None:
                label = self._decode.label(document, artifacts.get(artifact, _MISSING)[1])
            error = error_of(document, errors)
            if document.content in given and (error is None or error.phase != PhaseName.INPUT):
                label = given[document.content]
            yield Parts(clean, chunks, label, error)


class _Decoders:
    """Decodes what is stored of documents, in one thread; damage becomes a sentence that names the file."""

    def __init__(self) -> None:
        self._clean = Unpacker(CleanText)
        self._chunks = Unpacker(list[Chunk])
        self._label = msgspec.msgpack.Decoder(StoredLabel)

    def clean(self, document: Document, payload: bytes | None) -> CleanText:
        try:
            return self._clean(payload or b"")
        except ValueError as error:
            raise _unreadable(document, error) from error

    def chunks(self, document: Document, payload: bytes | None) -> list[Chunk]:
        try:
            return self._chunks(payload or b"")
        except ValueError as error:
            raise _unreadable(document, error) from error

    def label(self, document: Document, data: bytes | None) -> StoredLabel:
        try:
            return self._label.decode(data or b"")
        except msgspec.MsgspecError as error:
            raise _unreadable(document, error) from error


def _unreadable(document: Document, error: Exception) -> StoreError:
    return StoreError(
        f"{safe_text(show_path(document.path))}: what is stored of it cannot be read ({error}). "
        "Copy the workspace before doing anything else."
    )


def _artifact(document: Document, phase: int) -> int | None:
    """The artifact of a phase that counts: done, and so is every phase it was made from."""
    for earlier in range(CLEAN, phase + 1):
        if earlier not in document.results or document.results[earlier][0] != DONE:
            return None
    return document.results[phase][1]
