"""Files in a 7z archive.

py7zr reads more (PPMd, BCJ2), but it is LGPL with five more LGPL and large libraries below it, pushes
whole files out instead of giving pieces, and believes the sizes and dictionaries that a header claims.
Here the methods that 7-Zip uses by itself are put together from the standard library: LZMA, LZMA2, bzip2,
deflate, Zstandard and plain copies, behind the filters Delta and BCJ. What needs others is a program
(BCJ2) or was packed with an option (PPMd); only the files that were packed so cannot be read.
"""

from __future__ import annotations

import lzma
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.archives.seven_zip_header import (
    AES,
    BRANCHES,
    BZIP2,
    COPY,
    DEFLATE,
    DELTA,
    HEADER,
    LZMA,
    LZMA2,
    PACKED_HEADER,
    START_BYTES,
    ZSTD,
    Archive,
    Coder,
    Folder,
    Header,
    Part,
    too_many,
)
from tui_scraper.engine.extract.archives.unpacking import (
    Filtered,
    Inflate,
    Source,
    Unpacked,
    Window,
    damaged,
    unpacked_bzip2,
    unpacked_lzma,
    unpacked_lzma2,
    unpacked_zstd,
)
from tui_scraper.engine.extract.base import Entry
from tui_scraper.engine.extract.limits import PIECE_BYTES, Allowance
from tui_scraper.engine.models import Cause

NAME: Final = "7z archive"
_MAX_HEADER_BYTES = 32 << 20


def seven_zip_entries(stream: BinaryIO) -> Iterator[Entry]:
    """The files of a 7z archive, in its order. Raises DocumentError: ENCRYPTED, CORRUPT, TOO_LARGE."""
    archive = _open(stream)
    if any(coder.method == AES for folder in archive.folders for coder in folder.coders):
        raise _encrypted()
    reader = _FolderReader(stream)
    parts = ((folder, part) for folder in archive.folders for part in folder.parts)
    for file in archive.files:
        if file.empty:
            if file.is_file:
                yield Entry(file.name, lambda: iter(()), 0, file.mtime_ns)
            continue
        folder, part = next(parts, (None, None))
        if folder is None or part is None:
            raise damaged(NAME, "its list of contents names more files than there are")
        if file.is_file:
            yield Entry(
                file.name,
                lambda folder=folder, part=part: reader.pieces(folder, part),  # type: ignore[misc]
                part.size,
                file.mtime_ns,
            )


def _encrypted() -> DocumentError:
    return DocumentError(Cause.ENCRYPTED, "The 7z archive is encrypted: it needs a password.")


class _FolderReader:
    """Unpacks folders from the front to the back, and the files in them likewise.

    A file that nobody asks for costs nothing unless one behind it in its folder is wanted.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._end = stream.seek(0, os.SEEK_END)
        self._allowance = Allowance(NAME, self._end)
        self._folder: Folder | None = None
        self._source: Source | None = None
        self._position = 0

    def pieces(self, folder: Folder, part: Part) -> Iterator[bytes]:
        """The content of one file. Raises DocumentError: CORRUPT, UNSUPPORTED or TOO_LARGE."""
        if folder is not self._folder or part.start < self._position or self._source is None:
            self._source = self._open(folder)
            self._folder, self._position = folder, 0
        while self._position < part.start:
            self._take(part.start - self._position)
        crc, left = 0, part.size
        while left:
            piece = self._take(left)
            left -= len(piece)
            crc = zlib.crc32(piece, crc)
            yield piece
        if part.crc is not None and crc != part.crc:
            raise damaged("file in the 7z archive", "its checksum is wrong")

    def _open(self, folder: Folder) -> Source:
        if folder.unread:
            raise DocumentError(Cause.UNSUPPORTED, folder.unread)
        if folder.start + folder.packed > self._end:
            raise damaged(NAME, "a stream in it ends too soon")
        source: Source = Window(self._stream, folder.start, folder.packed)
        for coder in folder.coders:
            source = _decoded(source, coder)
        return source

    def _take(self, size: int) -> bytes:
        piece = self._source.read(min(size, PIECE_BYTES)) if self._source is not None else b""
        if not piece:
            raise damaged(NAME, "a stream in it ends too soon")
        self._position += len(piece)
        self._allowance.pass_over(len(piece))
        return piece


def _decoded(source: Source, coder: Coder) -> Source:
    method, properties = coder.method, coder.properties
    if method == COPY:
        return source
    if method == LZMA:
        return unpacked_lzma(source, properties, coder.size, NAME)
    if method == LZMA2:
        return unpacked_lzma2(source, properties, coder.size, NAME)
    if method == BZIP2:
        return unpacked_bzip2(source, NAME)
    if method == DEFLATE:
        return Unpacked(source, lambda: Inflate(-15), NAME)
    if method == ZSTD:
        return unpacked_zstd(source, NAME)
    if method == DELTA:
        return Filtered(source, {"id": lzma.FILTER_DELTA, "dist": (properties[0] if properties else 0) + 1})
    return Filtered(source, {"id": BRANCHES[method]})


def _open(stream: BinaryIO) -> Archive:
    """Find the header, unpack it, and read it."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    start = stream.read(START_BYTES)
    if len(start) < START_BYTES or zlib.crc32(start[12:32]) != int.from_bytes(start[8:12], "little"):
        raise damaged(NAME, "its beginning is not what it should be")
    offset = START_BYTES + int.from_bytes(start[12:20], "little")
    size = int.from_bytes(start[20:28], "little")
    if not size:
        return Archive()
    if offset + size > end:
        raise damaged(NAME, "its end, with the list of contents, is missing")
    if size > _MAX_HEADER_BYTES:
        raise too_many()
    stream.seek(offset)
    header = stream.read(size)
    if zlib.crc32(header) != int.from_bytes(start[28:32], "little"):
        raise damaged(NAME, "its list of contents is not what it should be")
    try:
        for _level in range(4):  # a packed header may hold a packed header
            reader = Header(header)
            kind = reader.number()
            if kind == HEADER:
                return reader.archive()
            if kind != PACKED_HEADER:
                break
            header = _unpack_header(stream, reader.streams())
    except (IndexError, ValueError, OverflowError):
        pass
    raise damaged(NAME, "its list of contents is not what it should be")


def _unpack_header(stream: BinaryIO, folders: list[Folder]) -> bytes:
    folder = folders[0]
    if any(coder.method == AES for coder in folder.coders):
        raise _encrypted()
    if folder.size > _MAX_HEADER_BYTES:
        raise too_many()
    return b"".join(_FolderReader(stream).pieces(folder, Part(0, folder.size, folder.crc)))
