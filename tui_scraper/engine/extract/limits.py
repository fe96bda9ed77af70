"""Limits on what one document may cost, and the check of a container against them.

The figures are those of docs/architecture.md. Wall-clock time, CPU time and memory are limited from
outside, by the process that owns the worker; what is here stops a document before it gets that far.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.models import Cause

MAX_ENTRIES: Final = 10_000
"""Entries of one container."""
MAX_UNPACKED_BYTES: Final = 1_000_000_000
"""Unpacked size of one container."""
MAX_ENTRY_BYTES: Final = 256_000_000
"""Unpacked size of one entry."""
MAX_NAME_BYTES: Final = 1_024
"""The name of an entry, as part of its document's path."""
MAX_DEPTH: Final = 5
"""Containers inside one another."""
MAX_CONTAINER_BYTES: Final = 2_000_000_000
"""Size of a container that is read as a stream."""
MAX_RATIO: Final = 200
"""Unpacked to packed size of one entry, once it is over `RATIO_FREE_BYTES`."""
RATIO_FREE_BYTES: Final = 1_000_000
MAX_LINKS: Final = 10_000
"""Links kept of one document."""
MAX_LINK_CHARS: Final = 2_000
MAX_TITLE_CHARS: Final = 300
MAX_JSON_DEPTH: Final = 200
"""Levels of JSON that are laid out as text; a deeper document is kept as it is written."""

UNREADABLE_PART = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
)
"""What zipfile raises for a part that is missing, encrypted, damaged or said to begin before the file."""

_PIECE = 1 << 20
_WORTH_COUNTING = 64_000  # packed bytes: less than that cannot unpack into more than 66 MB


def open_container(data: bytes, name: str) -> zipfile.ZipFile:
    """Open a zip container after checking it against the limits.

    Large entries are unpacked once, counted and thrown away: the sizes a container declares are
    claims, not facts. `name` is what people call the format, such as "Word document".

    Raises DocumentError: CORRUPT, ENCRYPTED or TOO_LARGE.
    """
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except UNREADABLE_PART:
        raise DocumentError(
            Cause.CORRUPT, f"The {name} is damaged: its container cannot be opened."
        ) from None
    entries = container.infolist()
    if len(entries) > MAX_ENTRIES:
        raise DocumentError(Cause.TOO_LARGE, f"The {name} has more than {MAX_ENTRIES:,} parts.")
    total = 0
    for entry in entries:
        if entry.flag_bits & 1:
            raise DocumentError(Cause.ENCRYPTED, f"The {name} is encrypted: it needs a password.")
        total += entry.file_size
        _check_size(entry.file_size, entry.compress_size, total, name)
        if entry.compress_size > _WORTH_COUNTING and entry.compress_type == zipfile.ZIP_DEFLATED:
            _count(container, entry, name)
    return container


def _check_size(size: int, packed: int, total: int, name: str) -> None:
    if size > MAX_ENTRY_BYTES or total > MAX_UNPACKED_BYTES:
        raise DocumentError(Cause.TOO_LARGE, f"The {name} unpacks into more than this program takes on.")
    if size > RATIO_FREE_BYTES and size > packed * MAX_RATIO:
        raise DocumentError(
            Cause.TOO_LARGE,
            f"The {name} unpacks to more than {MAX_RATIO} times its size, as a zip bomb does.",
        )


def _count(container: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> None:
    size = 0
    try:
        with container.open(entry) as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                _check_size(size, entry.compress_size, size, name)
    except UNREADABLE_PART:
        raise DocumentError(
            Cause.CORRUPT, f"The {name} is damaged: a part of it cannot be unpacked."
        ) from None
