"""Where the list of contents of a zip container is, and what it says.

It stands at the end, but not always where it claims: programs put something before the container (to
unpack itself) or behind it, and round numbers wrong. Only this list is read here, within a bound, so it
also serves to tell a plain ZIP archive from the many formats that are zip containers, however large.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from tui_scraper.engine.extract.archives.unpacking import Seekable

LOCAL: Final = b"PK\x03\x04"
LISTED: Final = b"PK\x01\x02"
END: Final = b"PK\x05\x06"
MAX_DIRECTORY_BYTES: Final = 32 << 20
"""10,000 entries with 3 KB for the name and the comment of each."""

MAX_OFFSET: Final = 1 << 62
"""No file is so long; more than that cannot be asked of the system."""

_END64 = b"PK\x06\x06"
_LOCATOR64 = b"PK\x06\x07"
_TAIL_BYTES = (1 << 16) + 22 + 20 + 56 + 4096  # the longest comment, and some rubbish behind it
_RECORD = struct.Struct("<4x2s2xHHHHIIIHHHH2xII")
_ANYWHERE = 0xFFFFFFFF


class Directory(NamedTuple):
    """Where the list is. `shift` is what must be added to the offsets in it; `disks` is 1 but for parts."""

    start: int
    size: int
    shift: int
    entries: int
    disks: int


class Record(NamedTuple):
    """One line of the list. `attributes` are those of the system it was made on (3 is Unix)."""

    system: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    disk: int
    attributes: int
    offset: int
    name: bytes
    extra: bytes


def find_directory(stream: Seekable, size: int) -> Directory | None:
    """Find the list of contents of a container of so many bytes. None: there is none that can be used."""
    begin = max(0, size - _TAIL_BYTES)
    stream.seek(begin)
    tail = stream.read(size - begin)
    at = len(tail)
    for _attempt in range(4):  # a comment may hold the mark of the end as well
        at = tail.rfind(END, 0, at)
        if at < 0:
            return None
        if at + 22 <= len(tail) and (found := _directory_at(stream, tail, at, begin)) is not None:
            return found
    return None


def _directory_at(stream: Seekable, tail: bytes, at: int, begin: int) -> Directory | None:
    disk, _first, _here, entries, length, offset, comment = struct.unpack_from("<4xHHHHIIH", tail, at)
    end = begin + at
    if tail[at - 20 : at - 16] == _LOCATOR64 and at >= 20:
        where = int.from_bytes(tail[at - 12 : at - 4], "little")
        for start in (where, end - 20 - 56):
            record = _read(stream, start, 56)
            if record[:4] == _END64 and len(record) == 56:
                disk, _first, _here, entries, length, offset = struct.unpack_from("<16xIIQQQQ", record)
                end = start
                break
    if not entries and not length:
        return Directory(end, 0, 0, 0, disk + 1)
    for start in (end - length, offset):  # the first is right whatever stands before the container
        if 0 <= start < end and _read(stream, start, 4) == LISTED:
            return Directory(start, end - start, start - offset, entries, disk + 1)
    in_parts = disk and at + 22 + comment == len(tail)
    return Directory(0, 0, 0, entries, disk + 1) if in_parts else None


def read_directory(stream: Seekable, directory: Directory, limit: int = MAX_DIRECTORY_BYTES) -> bytes:
    """The list itself, at most so many bytes of it."""
    return _read(stream, directory.start, min(directory.size, limit))


def records(listing: bytes) -> Iterator[Record]:
    """The lines of a list, up to the first that is none."""
    at = 0
    while listing.startswith(LISTED, at) and at + 46 <= len(listing):
        fields = _RECORD.unpack_from(listing, at)
        (
            made_by,
            flags,
            method,
            time,
            date,
            crc,
            packed,
            size,
            name,
            extra,
            comment,
            disk,
            attributes,
            offset,
        ) = fields
        start, middle = at + 46, at + 46 + name
        at = middle + extra + comment
        if at > len(listing):
            return
        record = Record(
            made_by[1], flags, method, time, date, crc, packed, size, disk, attributes, offset,
            listing[start:middle], listing[middle : middle + extra],
        )  # fmt: skip
        yield _wide(record) if _ANYWHERE in (packed, size, offset) else record


def extra_field(extra: bytes, wanted: int) -> bytes:
    """One of the extra fields of an entry, b'' where it is not there."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def _wide(record: Record) -> Record:
    """Put the 64-bit numbers of ZIP64 in the place of those that did not fit."""
    field = extra_field(record.extra, 1)
    numbers = list(struct.unpack_from(f"<{len(field) // 8}Q", field))
    found = {
        name: numbers.pop(0)
        for name in ("size", "packed", "offset")
        if getattr(record, name) == _ANYWHERE and numbers
    }
    return record._replace(**found)


def _read(stream: Seekable, start: int, size: int) -> bytes:
    if not 0 <= start < MAX_OFFSET:
        return b""
    stream.seek(start)
    return stream.read(size)
