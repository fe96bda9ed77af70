"""One row for each found document, read from the store in the order of path bytes.

A page of documents costs one query for each phase, not one for each document, and its payloads are
fetched together as long as they are small: memory stays at some megabytes however large the corpus.
Everything comes from one read snapshot; nothing in a row depends on row ids or on when it was made.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import PHASES, PhaseName, Status
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER, STATUS_NUMBER, STATUSES, Head
from tui_scraper.engine.wire import Chunk, CleanText

_PAGE = 500
_BATCH_CHARS = 2_000_000
"""Clean text fetched at once; a single document may be larger."""

_DONE = STATUS_NUMBER[Status.DONE]
_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]


class RowError(msgspec.Struct, frozen=True, gc=False):
    """Why a document is failed, skipped or empty."""

    phase: str
    cause: str
    message: str


class RowChunk(msgspec.Struct, frozen=True, gc=False):
    """A chunk with its text; `start` and `end` are offsets into the row's `text`, in characters."""

    ordinal: int
    start: int
    end: int
    tokens: int
    heading: str
    text: str


class RowLink(msgspec.Struct, frozen=True, gc=False):
    """A link that the document holds."""

    target: str
    kind: str


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document as it is exported, with the fields in the order of the file.

    `path_bytes` is there only for a name that is not UTF-8 (base64). `parent` is the `id` of the
    container and null for a file. `modified` is RFC 3339 in UTC with microseconds, null where the
    file system gave a time outside the years 1-9999. `duplicate_of` is the `id` of the first document,
    by path, with exactly the same bytes. `members` counts the documents directly inside this one. What a
    document has not reached is null, 0 or empty.
    """

    path: str
    path_bytes: str | msgspec.UnsetType = msgspec.UNSET
    parent: str | None
    id: str
    content_hash: str | None
    media_type: str | None
    size: int
    modified: str | None
    status: str
    error: RowError | None
    title: str | None
    language: str | None
    text: str | None
    chunks: list[RowChunk]
    label: str | None
    labels: list[str]
    confidence: float | None
    method: str | None
    model: str | None
    tokens_in: int
    tokens_out: int
    cost_usd: float
    duplicate_of: str | None
    links: list[RowLink]
    truncated: bool
    members: int


@dataclass(slots=True)
class _Document:
    """What the state tables say of one document."""

    version: int
    path: bytes
    uid: bytes
    size_bytes: int
    mtime_ns: int
    content: bytes | None
    media_type: str | None
    parent_uid: bytes | None
    members: int
    results: dict[int, tuple[int, int | None, int]] = field(default_factory=dict)
    """Phase -> (status, artifact, seq), the latest that the head can see."""


def read_rows(
    state: apsw.Connection, blobs: apsw.Connection, head: Head, versions: Collection[int] | None = None
) -> Iterator[Row]:
    """Every document found, in the order of path bytes; only those of `versions` where given.

    Both connections must be inside a read transaction for as long as the iterator runs. Raises
    StoreError where a payload is missing or damaged.
    """
    repeated = _repeated_contents(state, head, versions)
    first_with: dict[bytes, str] = {}
    reader = _Page(state, blobs, head)
    for page in _pages(state, head, versions):
        for document, clean, chunks, label, error in reader.read(page):
            row = _row(document, clean, chunks, label, error)
            content = document.content
            if content in repeated and content is not None:
                first = first_with.setdefault(content, row.id)
                if first != row.id:
                    row = msgspec.structs.replace(row, duplicate_of=first if row.content_hash else None)
            yield row


def _repeated_contents(
    state: apsw.Connection, head: Head, versions: Collection[int] | None
) -> frozenset[bytes]:
    """The contents that more than one document has: all that need remembering for `duplicate_of`."""
    rows = state.execute(
        f"SELECT content, id FROM version v WHERE {head.live()} AND content IS NOT NULL"  # noqa: S608
        if versions is not None
        else f"""SELECT content, 0 FROM version v WHERE {head.live()} AND content IS NOT NULL
            GROUP BY content HAVING count(*) > 1"""  # noqa: S608
    )
    if versions is None:
        return frozenset(content for content, _version in rows)
    wanted = frozenset(versions)
    seen: set[bytes] = set()
    repeated: set[bytes] = set()
    for content, version in rows:
        if version in wanted:
            (repeated if content in seen else seen).add(content)
    return frozenset(repeated)


def _pages(state: apsw.Connection, head: Head, versions: Collection[int] | None) -> Iterator[list[_Document]]:
    wanted = None if versions is None else frozenset(versions)
    newest = head.scan == state.execute("SELECT coalesce(max(id), 0) FROM scan").get
    # The first has an index, so that nothing is sorted and no table scanned for each document.
    live, inside = ("v.scan_to IS NULL", "w.scan_to IS NULL") if newest else (head.live(), head.live("w"))
    rows = state.execute(
        f"""SELECT v.id, d.path, d.uid, v.size_bytes, v.mtime_ns, v.content, v.media_type,
            (SELECT p.uid FROM document p WHERE p.id = d.parent),
            (SELECT count(*) FROM document m CROSS JOIN version w ON w.document = m.id
                WHERE m.parent = d.id AND m.parent > 0 AND {inside})
        FROM document d {"CROSS" if newest else ""} JOIN version v ON v.document = d.id
        WHERE {live} ORDER BY d.path, d.parent"""  # noqa: S608
    )
    page: list[_Document] = []
    for row in rows:
        if wanted is not None and row[0] not in wanted:
            continue
        page.append(_Document(*row))
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


_Parts = tuple[_Document, CleanText | None, list[Chunk], StoredLabel | None, RowError | None]


class _Page:
    """Reads what belongs to a page of documents."""

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection, head: Head) -> None:
        self._state = state
        self._blobs = blobs
        self._head = head
        self._decode = _Decoders()

    def read(self, page: list[_Document]) -> Iterator[_Parts]:
        self._read_results(page)
        artifacts = self._read_artifacts(page)
        errors = self._read_errors(page)
        batch: list[_Document] = []
        chars = 0
        for document in page:
            batch.append(document)
            clean = _artifact(document, _CLEAN)
            chars += artifacts[clean][2] if clean is not None else 0
            if chars >= _BATCH_CHARS:
                yield from self._read_batch(batch, artifacts, errors)
                batch, chars = [], 0
        yield from self._read_batch(batch, artifacts, errors)

    def _read_results(self, page: list[_Document]) -> None:
        by_version = {document.version: document for document in page}
        marks = ",".join("?" * len(page))
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

    def _read_artifacts(self, page: list[_Document]) -> dict[int, tuple[int | None, bytes | None, int]]:
        """Artifact -> (blob, data, amount)."""
        wanted = {
            artifact
            for document in page
            for phase in (_CLEAN, _CHUNK, _CLASSIFY)
            if (artifact := _artifact(document, phase)) is not None
        }
        marks = ",".join("?" * len(wanted))
        rows = self._state.execute(
            f"SELECT id, blob, data, amount FROM artifact WHERE id IN ({marks})",  # noqa: S608
            tuple(wanted),
        )
        return {artifact: (blob, data, amount) for artifact, blob, data, amount in rows}

    def _read_errors(self, page: list[_Document]) -> dict[int, tuple[str, str]]:
        """Seq -> (cause, message)."""
        seqs = [
            seq for document in page for status, _artifact, seq in document.results.values() if status > _DONE
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
        batch: list[_Document],
        artifacts: dict[int, tuple[int | None, bytes | None, int]],
        errors: dict[int, tuple[str, str]],
    ) -> Iterator[_Parts]:
        wanted = {
            blob
            for document in batch
            for phase in (_CLEAN, _CHUNK)
            if (artifact := _artifact(document, phase)) is not None
            and (blob := artifacts[artifact][0]) is not None
        }
        marks = ",".join("?" * len(wanted))
        payloads: dict[int | None, Any] = {}
        for blob, data in self._blobs.execute(
            f"SELECT id, data FROM blob WHERE id IN ({marks})",  # noqa: S608
            tuple(wanted),
        ):
            payloads[blob] = data
        for document in batch:
            clean: CleanText | None = None
            chunks: list[Chunk] = []
            label: StoredLabel | None = None
            artifact = _artifact(document, _CLEAN)
            if artifact is not None:
                clean = self._decode.clean(document, payloads.get(artifacts[artifact][0]))
            artifact = _artifact(document, _CHUNK)
            if artifact is not None:
                chunks = self._decode.chunks(document, payloads.get(artifacts[artifact][0]))
            artifact = _artifact(document, _CLASSIFY)
            if artifact is not None:
                label = self._decode.label(document, artifacts[artifact][1])
            yield document, clean, chunks, label, _error(document, errors)


class _Decoders:
    """Decodes what is stored of documents, in one thread; damage becomes a sentence that names the file."""

    def __init__(self) -> None:
        self._clean = Unpacker(CleanText)
        self._chunks = Unpacker(list[Chunk])
        self._label = msgspec.msgpack.Decoder(StoredLabel)

    def clean(self, document: _Document, payload: bytes | None) -> CleanText:
        try:
            return self._clean(payload or b"")
        except ValueError as error:
            raise _unreadable(document, error) from error

    def chunks(self, document: _Document, payload: bytes | None) -> list[Chunk]:
        try:
            return self._chunks(payload or b"")
        except ValueError as error:
            raise _unreadable(document, error) from error

    def label(self, document: _Document, data: bytes | None) -> StoredLabel:
        try:
            return self._label.decode(data or b"")
        except msgspec.MsgspecError as error:
            raise _unreadable(document, error) from error


def _unreadable(document: _Document, error: Exception) -> StoreError:
    return StoreError(
        f"{safe_text(show_path(document.path))}: what is stored of it cannot be read ({error}). "
        "Copy the workspace before doing anything else."
    )


def _artifact(document: _Document, phase: int) -> int | None:
    """The artifact of a phase that counts: done, and so is every phase it was made from."""
    for earlier in range(_CLEAN, phase + 1):
        if earlier not in document.results or document.results[earlier][0] != _DONE:
            return None
    return document.results[phase][1]


def _error(document: _Document, errors: dict[int, tuple[str, str]]) -> RowError | None:
    for phase in sorted(document.results):
        status, _artifact, seq = document.results[phase]
        if status > _DONE:
            cause, message = errors.get(seq, ("read error", "The reason was not recorded."))
            return RowError(str(PHASES[phase]), cause, message)
    return None


def _status(document: _Document) -> Status:
    for phase in sorted(document.results):
        if document.results[phase][0] > _DONE:
            return STATUSES[document.results[phase][0]]
    complete = all(
        phase in document.results and document.results[phase][0] == _DONE
        for phase in range(_CLEAN, _INDEX + 1)
    )
    return Status.DONE if complete else Status.PENDING


def _modified(mtime_ns: int) -> str | None:
    seconds, rest_ns = divmod(mtime_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment.replace(tzinfo=None).isoformat()}.{rest_ns // 1000:06d}Z"


def _row(
    document: _Document,
    clean: CleanText | None,
    chunks: list[Chunk],
    label: StoredLabel | None,
    error: RowError | None,
) -> Row:
    text = clean.text if clean is not None else ""
    # What may not be read now may have been read once, with other settings; the row is that of a first run.
    unread = error is not None and error.phase == PhaseName.INPUT
    try:
        path = document.path.decode()
        path_bytes: str | msgspec.UnsetType = msgspec.UNSET
    except UnicodeDecodeError:
        path = show_path(document.path)
        path_bytes = base64.b64encode(document.path).decode()
    return Row(
        path=path,
        path_bytes=path_bytes,
        parent=document.parent_uid.hex() if document.parent_uid is not None else None,
        id=document.uid.hex(),
        content_hash=document.content.hex() if document.content is not None and not unread else None,
        media_type=None if unread else document.media_type or None,
        size=document.size_bytes,
        modified=_modified(document.mtime_ns),
        status=str(_status(document)),
        error=error,
        title=clean.title if clean is not None else None,
        language=(clean.language or None) if clean is not None else None,
        text=clean.text if clean is not None else None,
        chunks=[
            RowChunk(ordinal, part.start, part.end, part.tokens, part.heading, text[part.start : part.end])
            for ordinal, part in enumerate(chunks)
        ],
        label=label.labels[0] if label is not None and label.labels else None,
        labels=label.labels if label is not None else [],
        confidence=label.confidence if label is not None else None,
        method=label.method if label is not None else None,
        model=(label.model or None) if label is not None else None,
        tokens_in=label.tokens_in if label is not None else 0,
        tokens_out=label.tokens_out if label is not None else 0,
        cost_usd=label.cost_nano_usd / 1e9 if label is not None else 0.0,
        duplicate_of=None,
        links=[RowLink(target, kind) for target, kind in clean.links] if clean is not None else [],
        truncated=clean.truncated if clean is not None else False,
        members=document.members,
    )
