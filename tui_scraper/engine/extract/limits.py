"""Limits on what one document may cost, and the counting of a container against them.

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
"""Unpacked size of one container, where that is more than its own: what is not packed is not a bomb."""
MAX_ENTRY_BYTES: Final = 256_000_000
"""Unpacked size of one entry."""
MAX_MESSAGES: Final = 500_000
"""Messages of one mailbox, which is not compressed: they cannot be more than its size makes them."""
MAX_NAME_BYTES: Final = 1_024
"""The name of an entry, as part of its document's path."""
MAX_TIME_NS: Final = 2**62
"""Of a member, from 1970: some 146 years."""
MAX_DEPTH: Final = 5
"""Containers inside one another."""
MAX_CONTAINER_BYTES: Final = 2_000_000_000
"""Size of a container that is read as a stream."""
MAX_RATIO: Final = 200
"""Unpacked to packed size of one entry and of a container, once it is over `RATIO_FREE_BYTES`."""
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

PIECE_BYTES: Final = 1 << 20
"""What is unpacked at a time."""

_WORTH_COUNTING = 64_000  # packed bytes: less than that cannot unpack into more than 66 MB
_UNBOUNDED_METHODS = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 93)  # 93: Zstandard, since Python 3.14


class Allowance:
    """What one container may unpack into, counted while it happens: the sizes it declares are claims.

    `name` is what people call the format, such as "ZIP archive"; `packed_bytes` is the size of the whole
    container, so that entries which share the same packed bytes do not escape the ratio.
    """

    def __init__(self, name: str, packed_bytes: int, max_entries: int = MAX_ENTRIES) -> None:
        self._name = name
        self._packed_bytes = packed_bytes
        self._max_entries = max_entries
        self._entries = 0
        self._total = 0
        self._entry = 0
        self._entry_packed = packed_bytes

    def begin(self, packed_bytes: int | None = None) -> None:
        """An entry begins; `packed_bytes` is its packed size where that is known for sure."""
        self._entries += 1
        self._entry = 0
        self._entry_packed = self._packed_bytes if packed_bytes is None else packed_bytes
        if self._entries > self._max_entries:
            raise DocumentError(
                Cause.TOO_LARGE,
                f"The {self._name} holds more than {self._max_entries:,} files, "
                "more than this program takes on.",
            )

    def add(self, size_bytes: int) -> None:
        """So many bytes of the entry more. Raises DocumentError with the cause TOO_LARGE."""
        self._entry += size_bytes
        self._check(self._entry, self._entry_packed, MAX_ENTRY_BYTES)
        self.pass_over(size_bytes)

    def pass_over(self, size_bytes: int) -> None:
        """So many bytes more that belong to no entry in particular, or to one that is not wanted."""
        self._total += size_bytes
        self._check(self._total, self._packed_bytes, max(MAX_UNPACKED_BYTES, self._packed_bytes))

    def _check(self, size_bytes: int, packed_bytes: int, most: int) -> None:
        if size_bytes > most:
            raise DocumentError(
                Cause.TOO_LARGE, f"The {self._name} unpacks into more than this program takes on."
            )
        if size_bytes > RATIO_FREE_BYTES and size_bytes > packed_bytes * MAX_RATIO:
            raise DocumentError(
                Cause.TOO_LARGE,
                f"The {self._name} unpacks to more than {MAX_RATIO} times its size, as a zip bomb does.",
            )


def open_container(data: bytes, name: str, *, count: bool = True) -> zipfile.ZipFile:
    """Open a zip container after checking it against the limits.

    Large entries are unpacked once, counted and thrown away: the sizes a container declares are
    claims, not facts. A reader that counts what it unpacks against an allowance need not `count`.
    `name` is what people call the format, such as "Word document".

    Raises DocumentError: CORRUPT, ENCRYPTED, UNSUPPORTED or TOO_LARGE.
    """
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except UNREADABLE_PART:
        raise DocumentError(
            Cause.CORRUPT, f"The {name} is damaged: its container cannot be opened."
        ) from None
    allowance = Allowance(name, len(data))
    for entry in container.infolist():
        if entry.flag_bits & 1:
            raise DocumentError(Cause.ENCRYPTED, f"The {name} is encrypted: it needs a password.")
        if entry.compress_type in _UNBOUNDED_METHODS:
            # zipfile unpacks these in one go: a kilobyte of bzip2 can ask for a gigabyte of memory.
            raise DocumentError(
                Cause.UNSUPPORTED, f"A part of the {name} has a compression method that is not supported."
            )
        allowance.begin(entry.compress_size)
        if count and entry.compress_size > _WORTH_COUNTING and entry.compress_type == zipfile.ZIP_DEFLATED:
            _count(container, entry, allowance, name)
        else:
            allowance.add(entry.file_size)
    return container


def _count(container: zipfile.ZipFile, entry: zipfile.ZipInfo, allowance: Allowance, name: str) -> None:
    try:
        with container.open(entry) as stream:
            while piece := stream.read(PIECE_BYTES):
                allowance.add(len(piece))
    except UNREADABLE_PART:
        raise DocumentError(
            Cause.CORRUPT, f"The {name} is damaged: a part of it cannot be unpacked."
        ) from None
