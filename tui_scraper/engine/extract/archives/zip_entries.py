"""Files in a ZIP archive.

The standard library's `zipfile` makes objects of the whole list of contents before one can look at it,
unpacks bzip2 and LZMA without a bound, and gives up where the list is missing. Here the list is read
within bounds, what is unpacked stays small, more methods are known (xz, Zstandard), and of an archive that
was cut the entries are found one after the other.
"""

from __future__ import annotations

import datetime
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.archives.unpacking import (
    Inflate,
    Source,
    Unpacked,
    Window,
    damaged,
    unpacked_bzip2,
    unpacked_lzma,
    unpacked_xz,
    unpacked_zstd,
)
from tui_scraper.engine.extract.archives.zip_directory import (
    LISTED,
    LOCAL,
    MAX_DIRECTORY_BYTES,
    MAX_OFFSET,
    Record,
    extra_field,
    find_directory,
    read_directory,
    records,
)
from tui_scraper.engine.extract.base import Entry
from tui_scraper.engine.extract.decoding import decode_name, name_encoding
from tui_scraper.engine.extract.limits import MAX_ENTRIES, PIECE_BYTES, Allowance
from tui_scraper.engine.models import Cause

NAME: Final = "ZIP archive"

_MAX_LISTED = 10 * MAX_ENTRIES  # directories and links among them
_DEFLATE = 8
_METHODS = {
    1: "Shrink",
    2: "Reduce",
    3: "Reduce",
    4: "Reduce",
    5: "Reduce",
    6: "Implode",
    9: "Deflate64",
    18: "IBM TERSE",
    19: "IBM LZ77",
    94: "MP3",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}
_ENCODING = "cp437"  # of the IBM PC, which APPNOTE names for what is not UTF-8
_NAME_SAMPLE_BYTES = 4096
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 0x1, 0x8, 0x800
_UNIX, _MAC = 3, 19
_DOS_DIRECTORY = 0x10
_DESCRIPTOR = b"PK\x07\x08"
_UNICODE_PATH = 0x7075
_UNIX_TIME = 0x5455


def zip_entries(stream: BinaryIO) -> Iterator[Entry]:
    """The files of a ZIP archive, in the order of its list of contents.

    Raises DocumentError: ENCRYPTED where any of them is, before the first; CORRUPT where the list is
    damaged; UNSUPPORTED for one part of several; TOO_LARGE.
    """
    size = stream.seek(0, os.SEEK_END)
    directory = find_directory(stream, size)
    if directory is None:
        yield from _Recovery(stream, size).entries()
        return
    if directory.disks > 1:
        raise DocumentError(
            Cause.UNSUPPORTED,
            "The ZIP archive is one part of several, and archives in parts are not supported.",
        )
    if directory.size > MAX_DIRECTORY_BYTES:
        raise _too_many()
    listing = read_directory(stream, directory)
    listed: list[Record] = []
    foreign = b""
    for record in records(listing):  # a look at all of them before the first is given
        listed.append(record)
        if len(foreign) < _NAME_SAMPLE_BYTES and not (record.name.isascii() or record.flags & _UTF8):
            foreign += record.name + b"/"
        if record.flags & _ENCRYPTED:
            raise encrypted()
        if len(listed) > _MAX_LISTED:
            raise _too_many()
    encoding = name_encoding(foreign, _ENCODING)
    for record in listed:
        if _is_file(record):
            yield _entry(stream, record, directory.shift, encoding)
    if len(listed) < directory.entries:
        raise damaged(NAME, "its list of contents is cut")


def encrypted() -> DocumentError:
    """The error of an archive that is encrypted, if only in part."""
    return DocumentError(Cause.ENCRYPTED, "The ZIP archive is encrypted: it needs a password.")


def _too_many() -> DocumentError:
    return DocumentError(Cause.TOO_LARGE, "The ZIP archive holds more files than this program takes on.")


def _is_file(record: Record) -> bool:
    """Whether this is a file: no directory, link or device."""
    kind = stat.S_IFMT(record.attributes >> 16) if record.system in (_UNIX, _MAC) else 0
    if kind and kind != stat.S_IFREG:
        return False
    named_so = record.name.endswith((b"/", b"\\")) or record.attributes & _DOS_DIRECTORY
    return bool(record.size or not named_so)


def _entry(stream: BinaryIO, record: Record, shift: int, encoding: str) -> Entry:
    name = _name(record, encoding)
    return Entry(name, lambda: _pieces(stream, record, shift), record.size, _mtime_ns(record))


def _name(record: Record, encoding: str) -> str:
    """The name in UTF-8 if the archive has it, else as well as it can be known."""
    if record.flags & _UTF8:
        return record.name.decode("utf-8", "replace")
    unicode_path = extra_field(record.extra, _UNICODE_PATH)
    if unicode_path[:1] == b"\x01" and unicode_path[1:5] == zlib.crc32(record.name).to_bytes(4, "little"):
        return unicode_path[5:].decode("utf-8", "replace")
    return decode_name(record.name, encoding)


def _mtime_ns(record: Record) -> int:
    """The time of the file; the one without a zone, which DOS had, is taken for UTC."""
    exact = extra_field(record.extra, _UNIX_TIME)
    if len(exact) >= 5 and exact[0] & 1:
        return int.from_bytes(exact[1:5], "little") * 10**9
    try:
        moment = datetime.datetime(
            1980 + (record.date >> 9),
            record.date >> 5 & 15,
            record.date & 31,
            record.time >> 11,
            record.time >> 5 & 63,
            (record.time & 31) * 2,
            tzinfo=datetime.UTC,
        )
    except ValueError:
        return 0
    return int(moment.timestamp()) * 10**9


def _pieces(stream: BinaryIO, record: Record, shift: int) -> Iterator[bytes]:
    data = _data_offset(stream, record, shift)
    source = _unpacked(Window(stream, data, record.packed), record.method, record.size)
    return _checked(source, record.crc)


def _data_offset(stream: BinaryIO, record: Record, shift: int) -> int:
    for offset in (record.offset + shift, record.offset):
        if not 0 <= offset < MAX_OFFSET:
            continue
        stream.seek(offset)
        header = stream.read(30)
        if header.startswith(LOCAL) and len(header) == 30:
            if header[6] & _ENCRYPTED:
                raise encrypted()
            name, extra = header[26:28], header[28:30]
            return offset + 30 + int.from_bytes(name, "little") + int.from_bytes(extra, "little")
    raise _broken("it is not where the list of contents says")


def _unpacked(source: Source, method: int, size: int) -> Source:
    name = "file in the ZIP archive"
    if method == 0:
        return source
    if method == _DEFLATE:
        return Unpacked(source, lambda: Inflate(-15), name)
    if method == 12:
        return unpacked_bzip2(source, name)
    if method == 14:
        head = source.read(4)
        properties = source.read(min(int.from_bytes(head[2:4], "little"), 64))
        return unpacked_lzma(source, properties, size, name)
    if method in (20, 93):
        return unpacked_zstd(source, name)
    if method == 95:
        return unpacked_xz(source, name)
    raise DocumentError(
        Cause.UNSUPPORTED,
        f"The ZIP archive uses the compression method {_METHODS.get(method, method)}, "
        "which is not supported; unpack it with the program that made it.",
    )


def _checked(source: Source, crc: int) -> Iterator[bytes]:
    """The pieces of a source; in the end the checksum must be right."""
    found = 0
    while piece := source.read(PIECE_BYTES):
        found = zlib.crc32(piece, found)
        yield piece
    if found != crc:
        raise _broken("its checksum is wrong")


def _broken(how: str) -> DocumentError:
    return damaged("file in the ZIP archive", how)


class _Recovery:
    """Finds the entries of an archive that has no list of contents, by the header before each of them."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._allowance = Allowance(NAME, size, _MAX_LISTED)

    def entries(self) -> Iterator[Entry]:
        """Every entry up to the damage, which is then raised: there is none that ends well."""
        position = self._first()
        while position is not None:
            self._stream.seek(position)
            header = self._stream.read(30)
            if not header.startswith(LOCAL) or len(header) < 30:
                break
            _version, flags, method, time, date, crc, packed, size, name_size, extra_size = struct.unpack(
                "<4xHHHHHIIIHH", header
            )
            if flags & _ENCRYPTED:
                raise encrypted()
            self._allowance.begin()
            name = self._stream.read(name_size)
            extra = self._stream.read(extra_size)
            data = position + 30 + name_size + extra_size
            record = Record(0, flags, method, time, date, crc, packed, size, 0, 0, position, name, extra)
            if flags & _SIZES_FOLLOW and not packed:
                position = self._end_of(data, method)
                ended = position is not None
                record = self._measured(record, data, position or self._size)
            else:
                position = data + packed
                ended = position <= self._size
            if record.size or not name.endswith((b"/", b"\\")):
                yield _entry(self._stream, record, 0, _ENCODING)
            if not ended:
                break
        raise damaged(NAME, "its list of contents is missing, perhaps because the file was cut")

    def _first(self) -> int | None:
        self._stream.seek(0)
        at = self._stream.read(PIECE_BYTES).find(LOCAL)
        return at if at >= 0 else None

    def _end_of(self, data: int, method: int) -> int | None:
        """Where the entry after this one begins; its own end is known only by unpacking it."""
        if method != _DEFLATE:
            return None
        window = Window(self._stream, data, self._size - data)
        unpacked = Unpacked(window, lambda: Inflate(-15), NAME)
        try:
            while piece := unpacked.read(PIECE_BYTES):
                self._allowance.add(len(piece))
        except DocumentError as error:
            if error.cause is Cause.TOO_LARGE:
                raise
            return None
        end = window.position - len(unpacked.unused)
        self._stream.seek(end)
        after = self._stream.read(28)
        found = [at for at in (after.find(LOCAL), after.find(LISTED)) if at >= 0]
        return end + min(found) if found else None

    def _measured(self, record: Record, data: int, end: int) -> Record:
        """The entry with what its descriptor says, which stands between its data and the next entry."""
        self._stream.seek(max(data, end - 24))
        descriptor = self._stream.read(max(0, min(24, end - data)))  # names claim to be longer than the file
        for length, numbers in ((12, "<III"), (20, "<IQQ")):
            if len(descriptor) >= length:
                crc, packed, size = struct.unpack(numbers, descriptor[-length:])
                if data + packed in (end - length, end - length - len(_DESCRIPTOR)):
                    return record._replace(crc=crc, packed=packed, size=size)
        return record._replace(packed=max(0, end - data), crc=-1)  # which no content has
