"""Documents that are a zip of parts (OpenDocument, EPUB): one part at a time, within limits.

Only the parts that hold text are unpacked, and counted while they are: a damaged or huge picture costs a
book nothing. Names are found whatever their case, for books made on systems that have none.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from typing import IO, Final
from urllib.parse import unquote

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.limits import (
    MAX_ENTRIES,
    MAX_ENTRY_BYTES,
    MAX_RATIO,
    MAX_UNPACKED_BYTES,
    RATIO_FREE_BYTES,
    UNREADABLE_PART,
)
from tui_scraper.engine.models import Cause

_PIECE_BYTES: Final = 1 << 20
_ENTRY_SIGNATURE = b"PK\x01\x02"
_MAX_SIGNATURES: Final = 20 * MAX_ENTRIES  # zips that are parts have some, too
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks the others without bounds


class Package:
    """An open package. `name` is what people call the format, such as "EPUB book".

    Raises DocumentError: CORRUPT where it is no zip, TOO_LARGE where it has too many parts.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._unpacked = 0
        too_many = DocumentError(Cause.TOO_LARGE, f"The {name} has more than {MAX_ENTRIES:,} parts.")
        if data.count(_ENTRY_SIGNATURE) > _MAX_SIGNATURES:
            raise too_many
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except UNREADABLE_PART:
            raise self.damaged("its container cannot be opened") from None
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise too_many
        self._parts: dict[str, zipfile.ZipInfo] = {}
        self._folded: dict[str, str] = {}
        for entry in entries:
            path = entry.filename.replace("\\", "/").removeprefix("./").lstrip("/")
            if path and not path.endswith("/"):
                self._parts.setdefault(path, entry)
                self._folded.setdefault(path.casefold(), path)

    def damaged(self, how: str) -> DocumentError:
        """The error that says how the package is damaged."""
        return DocumentError(Cause.CORRUPT, f"The {self.name} is damaged: {how}.")

    @property
    def names(self) -> list[str]:
        """The paths of all parts, in the order of the package."""
        return list(self._parts)

    def find(self, path: str, base: str = "") -> str | None:
        """The part that a reference leads to, from the folder `base`; None where there is no such part."""
        path = path.partition("#")[0].replace("\\", "/")
        for candidate in (unquote(path), path):
            joined = posixpath.normpath(posixpath.join(base, candidate)).lstrip("/")
            joined = joined.removeprefix("../") if joined not in self._parts else joined
            found = joined if joined in self._parts else self._folded.get(joined.casefold())
            if found is not None:
                return found
        return None

    def read(self, path: str) -> bytes:
        """A whole part, which exists. Raises DocumentError as `open` and `Part.read` do."""
        part = self.open(path)
        return b"".join(iter(lambda: part.read(_PIECE_BYTES), b""))

    def read_if_there(self, path: str) -> bytes:
        """A part that may be missing or damaged: b'' then. Still raises for a bomb."""
        found = self.find(path)
        if found is None:
            return b""
        try:
            return self.read(found)
        except DocumentError as error:
            if error.cause is Cause.CORRUPT:
                return b""
            raise

    def open(self, path: str) -> Part:
        """A part, which exists, as a stream. Raises DocumentError: ENCRYPTED, UNSUPPORTED or CORRUPT."""
        entry = self._parts[path]
        if entry.flag_bits & 1:
            raise DocumentError(Cause.ENCRYPTED, f"The {self.name} is encrypted: it needs a password.")
        if entry.compress_type not in _METHODS:
            raise DocumentError(
                Cause.UNSUPPORTED, f"The {self.name} is packed by a method that this program does not unpack."
            )
        try:
            return Part(self, self._zip.open(entry), entry.compress_size)
        except UNREADABLE_PART:
            raise self.damaged("a part of it cannot be unpacked") from None

    def count(self, size: int, part_size: int, packed: int) -> None:
        """Count what was unpacked. Raises DocumentError (TOO_LARGE)."""
        self._unpacked += size
        if part_size > MAX_ENTRY_BYTES or self._unpacked > MAX_UNPACKED_BYTES:
            raise DocumentError(
                Cause.TOO_LARGE, f"The {self.name} unpacks into more than this program takes on."
            )
        if part_size > RATIO_FREE_BYTES and part_size > packed * MAX_RATIO:
            raise DocumentError(
                Cause.TOO_LARGE,
                f"The {self.name} unpacks to more than {MAX_RATIO} times its size, as a zip bomb does.",
            )


class Part:
    """A part that is being read."""

    def __init__(self, package: Package, stream: IO[bytes], packed: int) -> None:
        self._package = package
        self._stream = stream
        self._packed = packed
        self._size = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes more. Raises DocumentError: TOO_LARGE, or CORRUPT where the damage begins."""
        try:
            piece = self._stream.read(size)
        except UNREADABLE_PART:
            raise self._package.damaged("a part of it cannot be unpacked") from None
        self._size += len(piece)
        self._package.count(len(piece), self._size, self._packed)
        return piece
