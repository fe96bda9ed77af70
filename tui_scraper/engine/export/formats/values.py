"""What formats without JSON say of a document: everything but its text, chunks and links."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tui_scraper.engine.export.row import Row

Value = str | int | float | bool | None | list[str] | dict[str, str]


def about(row: Row) -> dict[str, Value]:
    """The fields of a row in the order of the file, with numbers in place of its chunks and links."""
    error = row.error
    return {
        "path": row.path,
        "path_bytes": None if row.path_bytes is msgspec.UNSET else row.path_bytes,
        "parent": row.parent,
        "id": row.id,
        "content_hash": row.content_hash,
        "media_type": row.media_type,
        "size": row.size,
        "modified": row.modified,
        "status": row.status,
        "error": None
        if error is None
        else {"phase": error.phase, "cause": error.cause, "message": error.message},
        "title": row.title,
        "language": row.language,
        "chunk_count": len(row.chunks),
        "label": row.label,
        "labels": row.labels,
        "confidence": row.confidence,
        "method": row.method,
        "model": row.model,
        "tokens_in": row.tokens_in,
        "tokens_out": row.tokens_out,
        "cost_usd": row.cost_usd,
        "duplicate_of": row.duplicate_of,
        "near_duplicate_of": row.near_duplicate_of,
        "link_count": len(row.links),
        "truncated": row.truncated,
        "members": row.members,
    }


def decimal(value: float) -> str:
    """A number exactly and without an exponent, which YAML 1.1 and spreadsheets may not read as one."""
    return format(Decimal(repr(value)), "f")
