"""What is written of one document, and how it is made from what is stored.

Nothing in a row depends on row ids or on when it was made.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import msgspec

from tui_scraper.engine.export.documents import Copy, Document
from tui_scraper.engine.models import PHASES, PhaseName, Status
from tui_scraper.engine.safe_text import show_path
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.head import PHASE_NUMBER, STATUS_NUMBER, STATUSES
from tui_scraper.engine.wire import Chunk, CleanText

DONE = STATUS_NUMBER[Status.DONE]
CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]

_DAY_OF_1970 = date(1970, 1, 1).toordinal()


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
    by path, with exactly the same bytes, `near_duplicate_of` that of the first of those with nearly the same
    text, where it has other bytes. `members` counts the documents directly inside this one. What a
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
    near_duplicate_of: str | None
    links: list[RowLink]
    truncated: bool
    members: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What is stored of a document beside its results. `error` is why it is failed, skipped or empty."""

    clean: CleanText | None = None
    chunks: list[Chunk] = field(default_factory=list)
    label: StoredLabel | None = None
    error: RowError | None = None


def make_row(document: Document, parts: Parts, copy: Copy) -> Row:
    """The row of a document that is a `copy`."""
    clean, label, error = parts.clean, parts.label, parts.error
    text = clean.text if clean is not None else ""
    # What may not be read now may have been read once, with other settings; the row is that of a first run.
    unread = error is not None and error.phase == PhaseName.INPUT
    path, path_bytes = _shown_path(document.path)
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
            for ordinal, part in enumerate(parts.chunks)
        ],
        label=label.labels[0] if label is not None and label.labels else None,
        labels=label.labels if label is not None else [],
        confidence=label.confidence if label is not None else None,
        method=label.method if label is not None else None,
        model=(label.model or None) if label is not None else None,
        tokens_in=label.tokens_in if label is not None else 0,
        tokens_out=label.tokens_out if label is not None else 0,
        cost_usd=label.cost_nano_usd / 1e9 if label is not None else 0.0,
        duplicate_of=copy.of if document.content is not None and not unread else None,
        near_duplicate_of=copy.nearly_of,
        links=[RowLink(target, kind) for target, kind in clean.links] if clean is not None else [],
        truncated=clean.truncated if clean is not None else False,
        members=document.members,
    )


def error_of(document: Document, errors: dict[int, tuple[str, str]]) -> RowError | None:
    """Why a document is failed, skipped or empty; `errors` maps a seq to cause and message."""
    for phase in sorted(document.results):
        status, _artifact, seq = document.results[phase]
        if status > DONE:
            cause, message = errors.get(seq, ("read error", "The reason was not recorded."))
            return RowError(str(PHASES[phase]), cause, message)
    return None


class _Beginning(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The first fields of a `Row`: those that the state tables have without its results."""

    path: str
    path_bytes: str | msgspec.UnsetType = msgspec.UNSET
    parent: str | None
    id: str
    content_hash: str | None
    media_type: str | None
    size: int
    modified: str | None


_encode = msgspec.json.Encoder().encode


def beginning(document: Document) -> bytes:
    """The bytes that the line of a document begins with, up to its status.

    One that was read once and may not be read now begins otherwise: that is said by its results.
    """
    path, path_bytes = _shown_path(document.path)
    first = _Beginning(
        path=path,
        path_bytes=path_bytes,
        parent=document.parent_uid.hex() if document.parent_uid is not None else None,
        id=document.uid.hex(),
        content_hash=document.content.hex() if document.content is not None else None,
        media_type=document.media_type or None,
        size=document.size_bytes,
        modified=_modified(document.mtime_ns),
    )
    return _encode(first)[:-1] + b',"status":"'


def _shown_path(path: bytes) -> tuple[str, str | msgspec.UnsetType]:
    try:
        return path.decode(), msgspec.UNSET
    except UnicodeDecodeError:
        return show_path(path), base64.b64encode(path).decode()


def _status(document: Document) -> Status:
    for phase in sorted(document.results):
        if document.results[phase][0] > DONE:
            return STATUSES[document.results[phase][0]]
    complete = all(
        phase in document.results and document.results[phase][0] == DONE for phase in range(CLEAN, _INDEX + 1)
    )
    return Status.DONE if complete else Status.PENDING


def _modified(mtime_ns: int) -> str | None:
    seconds, rest_ns = divmod(mtime_ns, 1_000_000_000)
    days, second = divmod(seconds, 86_400)
    day = _day(days)
    if day is None:
        return None
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{day}T{hour:02}:{minute:02}:{second:02}.{rest_ns // 1000:06}Z"


@lru_cache(1024)
def _day(days: int) -> str | None:
    """The day that begins so many days after 1970-01-01; None outside the years 1-9999."""
    try:
        return date.fromordinal(_DAY_OF_1970 + days).isoformat()
    except (ValueError, OverflowError):
        return None
