"""Archives and compressed files: ZIP, tar, 7z, and what gzip, bzip2, xz, LZMA and Zstandard compress.

They have no text of their own; what they hold become documents. A compressed tar archive is not a
container in a container: `detect` says what compresses it, and the reader of that looks whether it is a
tar archive that comes out, so that its members are those of the one file that people see.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import BinaryIO, Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.archives import seven_zip, tar_entries, zip_entries
from tui_scraper.engine.extract.archives.tar_entries import MAX_HEADERS, FileTape, PackedTape
from tui_scraper.engine.extract.archives.unpacking import (
    Source,
    Unpacked,
    Window,
    unpacked_bzip2,
    unpacked_gzip,
    unpacked_lzma_file,
    unpacked_xz,
    unpacked_zstd,
)
from tui_scraper.engine.extract.base import Entry, EntryReader, Format
from tui_scraper.engine.extract.decoding import decode_name
from tui_scraper.engine.extract.detect import is_tar_header
from tui_scraper.engine.extract.limits import PIECE_BYTES, Allowance
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_GZIP_HEAD_BYTES: Final = 4096
_GZIP_EXTRA, _GZIP_NAME = 4, 8
_RESOURCE_FORK = b"\x00\x05\x16\x07"  # AppleDouble: what macOS keeps beside a file


def zip_files(stream: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
    """The files of a ZIP archive."""
    del media_type, settings
    return _without_resource_forks(zip_entries.zip_entries(stream))


def seven_zip_files(stream: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
    """The files of a 7z archive."""
    del media_type, settings
    return _without_resource_forks(seven_zip.seven_zip_entries(stream))


def tar_files(stream: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
    """The files of a tar archive."""
    del media_type, settings
    size_bytes = stream.seek(0, io.SEEK_END)
    allowance = Allowance(tar_entries.NAME, size_bytes, MAX_HEADERS)
    return _without_resource_forks(tar_entries.tar_entries(FileTape(stream), allowance))


def _compressed(name: str, unpack: Callable[[Source, str], Unpacked]) -> EntryReader:
    """A reader of a compressed file: its one content, or the files of the tar archive that it is."""

    def read(stream: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
        del settings
        size_bytes = stream.seek(0, io.SEEK_END)

        def content() -> Unpacked:
            return unpack(Window(stream, 0, size_bytes), name)

        allowance = Allowance(tar_entries.NAME, size_bytes, MAX_HEADERS)
        if _is_tar(content()):
            tape = PackedTape(content(), allowance)
            return _without_resource_forks(tar_entries.tar_entries(tape, allowance))
        known, mtime_ns = _gzip_name(stream) if media_type == mt.GZIP else (None, 0)
        return iter((Entry(known, lambda: _pieces(content()), -1, mtime_ns),))

    return read


def _is_tar(source: Source) -> bool:
    head = b""
    try:
        while len(head) < tar_entries.BLOCK and (piece := source.read(tar_entries.BLOCK)):
            head += piece
    except DocumentError as error:
        if error.cause is not Cause.CORRUPT:
            raise
    return is_tar_header(head[: tar_entries.BLOCK])


def _pieces(source: Source) -> Iterator[bytes]:
    while piece := source.read(PIECE_BYTES):
        yield piece


def _gzip_name(stream: BinaryIO) -> tuple[str | None, int]:
    """The name and the time that a gzip file gives to what is in it (RFC 1952)."""
    stream.seek(0)
    head = stream.read(_GZIP_HEAD_BYTES)
    flags, at = head[3] if len(head) > 3 else 0, 10
    if flags & _GZIP_EXTRA:
        at += 2 + int.from_bytes(head[10:12], "little")
    end = head.find(b"\0", at)
    named = flags & _GZIP_NAME and end > at
    return (
        decode_name(head[at:end]) if named else None,
        int.from_bytes(head[4:8], "little") * 10**9,
    )


def _without_resource_forks(entries: Iterator[Entry]) -> Iterator[Entry]:
    """Leave out what macOS keeps beside each file; a real file of such a name stays."""
    for entry in entries:
        if not (entry.name or "").replace("\\", "/").rpartition("/")[2].startswith("._"):
            yield entry
            continue
        try:
            pieces = entry.pieces()
            first = next(pieces, b"")
        except DocumentError:
            yield entry  # reading it fails again
            continue
        if not first.startswith(_RESOURCE_FORK):
            yield replace(entry, pieces=partial(chain, (first,), pieces))


FORMATS = (
    Format("ZIP archive", (mt.ZIP,), entries=zip_files, streamed=True),
    Format("tar archive", (mt.TAR,), entries=tar_files, streamed=True),
    Format("7z archive", (mt.SEVEN_ZIP,), entries=seven_zip_files, streamed=True),
    Format("gzip file", (mt.GZIP,), entries=_compressed("gzip file", unpacked_gzip), streamed=True),
    Format("bzip2 file", (mt.BZIP2,), entries=_compressed("bzip2 file", unpacked_bzip2), streamed=True),
    Format("xz file", (mt.XZ,), entries=_compressed("xz file", unpacked_xz), streamed=True),
    Format("LZMA file", (mt.LZMA,), entries=_compressed("LZMA file", unpacked_lzma_file), streamed=True),
    Format(
        "Zstandard file",
        (mt.ZSTD,),
        entries=_compressed("Zstandard file", unpacked_zstd),
        streamed=True,
        modules=("zstandard",),
    ),
)
