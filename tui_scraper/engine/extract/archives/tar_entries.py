"""Files in a tar archive, read from the front to the back.

The standard library's reader believes the sizes that a header claims (it asks for that much memory, and
some versions follow a negative size in circles), and keeps every header it has seen. This one holds one
header at a time. It knows the old format, ustar, and what GNU tar and pax put before a header to say what
does not fit into it: long names, large sizes, other encodings, the holes of sparse files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.archives.unpacking import Source, damaged
from tui_scraper.engine.extract.base import Entry
from tui_scraper.engine.extract.decoding import decode_name
from tui_scraper.engine.extract.detect import is_tar_header
from tui_scraper.engine.extract.limits import MAX_ENTRIES, MAX_RATIO, PIECE_BYTES, RATIO_FREE_BYTES, Allowance
from tui_scraper.engine.models import Cause

NAME: Final = "tar archive"
BLOCK: Final = 512
MAX_HEADERS: Final = 10 * MAX_ENTRIES
"""Headers of all kinds: directories and links count as well, because passing over them takes time."""

_MAX_METADATA_BYTES = 1 << 20  # a long name, or the records of one pax header
_MAX_DIGITS = 40
_MAX_TIME_S = 1 << 33
_RECORDS = frozenset(
    (
        b"path",
        b"size",
        b"mtime",
        b"GNU.sparse.name",
        b"GNU.sparse.realsize",
        b"GNU.sparse.size",
        b"GNU.sparse.map",
    )
)
_ZERO_BLOCK = bytes(BLOCK)
_ZEROS = bytes(1 << 16)
_MAX_HOLES = 1 << 16
_NO_FILES = b"123456ADMNV"  # links, devices, directories, and lists and labels of GNU and Solaris
_WITHOUT_DATA = b"123456"  # though some writers give them a size
_HARD_LINK = b"1"


class Tape(Protocol):
    """What a tar archive is read from: forward only."""

    def read(self, size: int) -> bytes:
        """So many bytes, less only at the end."""
        ...

    def skip(self, size: int) -> None:
        """Pass over so many bytes. Raises DocumentError where the end comes first."""
        ...


class FileTape:
    """A tar archive in a file: what is not wanted is not read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, os.SEEK_END)
        self._position = 0

    def read(self, size: int) -> bytes:
        """So many bytes, less only at the end."""
        self._stream.seek(self._position)
        data = self._stream.read(min(size, self._size - self._position))
        self._position += len(data)
        return data

    def skip(self, size: int) -> None:
        """Pass over so many bytes."""
        if size > self._size - self._position:
            raise damaged(NAME, "its end is missing")
        self._position += size


class PackedTape:
    """A compressed tar archive: everything is unpacked on the way, and counted."""

    def __init__(self, source: Source, allowance: Allowance) -> None:
        self._source = source
        self._allowance = allowance
        self._held = b""
        self._given = 0

    def read(self, size: int) -> bytes:
        """So many bytes, less only at the end."""
        piece = self._take(size)
        if len(piece) == size:
            return piece
        pieces = [piece]
        missing = size - len(piece)
        while missing and (piece := self._take(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def skip(self, size: int) -> None:
        """Pass over so many bytes."""
        while size:
            piece = self._take(size)
            if not piece:
                raise damaged(NAME, "its end is missing")
            size -= len(piece)

    def _take(self, size: int) -> bytes:
        if self._given == len(self._held):
            self._held, self._given = self._source.read(PIECE_BYTES), 0
            self._allowance.pass_over(len(self._held))
        piece = self._held[self._given : self._given + size]
        self._given += len(piece)
        return piece


@dataclass(slots=True)
class _Header:
    """What a header says, and the ones before it that belong to it."""

    kind: bytes
    name: bytes
    size: int
    mtime_ns: int
    block: bytes
    real_size: int | None = None
    holes: list[int] | None = None


def tar_entries(tape: Tape, allowance: Allowance) -> Iterator[Entry]:
    """The files of a tar archive. Hard links are left out: the file they lead to is there already.

    Raises DocumentError: CORRUPT where the damage begins, TOO_LARGE.
    """
    reader = _Reader(tape, allowance)
    while (header := reader.next_header()) is not None:
        if header.kind not in _NO_FILES and (header.size or not header.name.endswith(b"/")):
            yield Entry(
                decode_name(header.name),
                lambda header=header: reader.pieces(header),  # type: ignore[misc]
                header.size if header.real_size is None else header.real_size,
                header.mtime_ns,
            )


class _Reader:
    def __init__(self, tape: Tape, allowance: Allowance) -> None:
        self._tape = tape
        self._allowance = allowance
        self._common: dict[bytes, bytes] = {}
        self._left = 0  # bytes of the entry in hand that were not taken
        self._padding = 0
        self._ahead = b""
        self._ended = False

    def next_header(self) -> _Header | None:
        """The next header of anything but metadata; None at the end."""
        self._pass()
        records: dict[bytes, bytes] = {}
        long_name: bytes | None = None
        while (block := self._next_block()) is not None:
            header = _parse(block)
            if header.kind in b"xX":
                records = _pax_records(self._metadata(header.size))
            elif header.kind == b"g":
                self._common.update(_pax_records(self._metadata(header.size)))
            elif header.kind == b"L":
                long_name = self._metadata(header.size).partition(b"\0")[0]
            elif header.kind == b"K":
                self._metadata(header.size)  # where a link leads to
            else:
                if long_name is not None:
                    header.name = long_name
                self._apply({**self._common, **records} if self._common else records, header)
                self._open(header)
                return header
        return None

    def pieces(self, header: _Header) -> Iterator[bytes]:
        """The content of the file whose header came last."""
        if header.holes is None:
            return self._data(header.size)
        real_size = header.real_size or 0
        if real_size > max(RATIO_FREE_BYTES, header.size * MAX_RATIO):
            raise DocumentError(
                Cause.UNSUPPORTED,
                "This file is sparse and consists of holes for the most part: it is not unpacked.",
            )
        return self._with_holes(header.holes, header.size, real_size)

    def _pass(self) -> None:
        """Pass over what is left of the entry before."""
        left, padding, self._left, self._padding = self._left, self._padding, 0, 0
        if left:
            self._tape.skip(left)
        if padding:
            self._tape.read(padding)  # which may be missing at the end

    def _next_block(self) -> bytes | None:
        while True:
            block, self._ahead = self._ahead or self._tape.read(BLOCK), b""
            if block == _ZERO_BLOCK:
                self._ended = True  # though another archive may have been appended
                continue
            if not block.strip(b"\0"):
                return None
            if not is_tar_header(block):
                if self._ended:
                    return None  # rubbish behind the end
                raise damaged(NAME, "a header in it is not what it should be")
            self._ended = False
            self._allowance.begin()
            return block

    def _metadata(self, size: int) -> bytes:
        if size > _MAX_METADATA_BYTES:
            raise damaged(NAME, "a header in it is not what it should be")
        data = self._tape.read(size + -size % BLOCK)
        if len(data) < size:
            raise damaged(NAME, "its end is missing")
        return data[:size]

    def _apply(self, records: dict[bytes, bytes], header: _Header) -> None:
        """What pax records say goes before what the header has room for."""
        if header.kind == b"S":
            self._gnu_sparse(header)
        if not records:
            return
        header.name = records.get(b"GNU.sparse.name") or records.get(b"path") or header.name
        if b"size" in records:
            header.size = _decimal(records[b"size"])
        if b"mtime" in records:
            header.mtime_ns = _time_ns(records[b"mtime"])
        real_size = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
        if real_size is not None:
            header.real_size = _decimal(real_size)
            header.holes = _numbers(records.get(b"GNU.sparse.map", b""))

    def _gnu_sparse(self, header: _Header) -> None:
        """The map of GNU's older format: four stretches in the header, 21 in each block that follows."""
        header.real_size = _number(header.block[483:495])
        header.holes = []
        block, start, count, more = header.block, 386, 4, header.block[482]
        while True:
            for at in range(start, start + 24 * count, 24):
                if block[at]:
                    header.holes += (_number(block[at : at + 12]), _number(block[at + 12 : at + 24]))
            if not more:
                break
            block, start, count = self._tape.read(BLOCK), 0, 21
            if len(block) < BLOCK or len(header.holes) > 2 * _MAX_HOLES:
                raise damaged(NAME, "the map of a sparse file in it is cut")
            more = block[504]

    def _open(self, header: _Header) -> None:
        if header.kind in _WITHOUT_DATA:
            if header.kind == _HARD_LINK and header.size:
                self._ahead = self._tape.read(BLOCK)
                if self._ahead == _ZERO_BLOCK or is_tar_header(self._ahead):
                    header.size = 0
                else:  # pax may repeat the content for a link
                    self._left, self._padding = max(0, header.size - BLOCK), -header.size % BLOCK
                    self._ahead = b""
            return
        self._left, self._padding = header.size, -header.size % BLOCK
        if header.holes == [] and header.kind != b"S":
            self._sparse_map_before_data(header)

    def _sparse_map_before_data(self, header: _Header) -> None:
        """The map of pax format 1.0: decimal numbers, a line each, in whole blocks before the data."""
        lines: list[bytes] = []
        rest, count = b"", 0
        while not lines or len(lines) < 1 + 2 * count:
            block = self._tape.read(min(BLOCK, self._left))
            self._left -= len(block)
            *whole, rest = (rest + block).split(b"\n")
            lines += whole
            count = _decimal(lines[0]) if lines else 0
            if not block or count > _MAX_HOLES:
                raise damaged(NAME, "the map of a sparse file in it is cut")
        header.holes = [_decimal(line) for line in lines[1 : 1 + 2 * count]]
        header.size = self._left

    def _data(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._tape.read(min(size, PIECE_BYTES))
            self._left -= len(piece)
            size -= len(piece)
            if not piece:
                raise damaged("file", "its end is missing in the tar archive")
            yield piece

    def _with_holes(self, holes: list[int], size: int, real_size: int) -> Iterator[bytes]:
        position = 0
        for start, length in zip(holes[::2], holes[1::2], strict=False):
            if start < position or length > size:
                raise damaged("file", "its parts overlap in the tar archive")
            yield from _zeros(start - position)
            yield from self._data(length)
            position = start + length
            size -= length
        yield from _zeros(real_size - position)


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        piece = _ZEROS[:size]
        size -= len(piece)
        yield piece


def _parse(block: bytes) -> _Header:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0]
    if prefix and block[257:263] == b"ustar\0":
        name = prefix + b"/" + name
    size = _number(block[124:136])
    try:
        mtime_s = _number(block[136:148])
    except DocumentError:
        mtime_s = 0
    return _Header(block[156:157], name, size, mtime_s * 10**9 if mtime_s < _MAX_TIME_S else 0, block)


def _number(field: bytes) -> int:
    """An octal number, or GNU's binary one, whose first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ").partition(b"\0")[0].strip()
    if digits and (not digits.isdigit() or b"8" in digits or b"9" in digits):
        raise damaged(NAME, "a header in it is not what it should be")
    return int(digits, 8) if digits else 0


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise damaged(NAME, "a header in it is not what it should be")
    return int(digits)


def _numbers(listed: bytes) -> list[int]:
    return [_decimal(digits) for digits in listed.split(b",")] if listed else []


def _time_ns(seconds: bytes) -> int:
    try:
        value = float(seconds)
    except ValueError:
        return 0
    return int(value * 1e9) if 0 <= value < _MAX_TIME_S else 0


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """Records of the form 'length key=value', each ended by a line's end."""
    records: dict[bytes, bytes] = {}
    holes: list[bytes] = []
    position = 0
    while position < len(data) and data[position]:
        space = data.find(b" ", position, position + 20)
        length = _decimal(data[position:space]) if space > 0 else 0
        key, equals, value = data[space + 1 : position + length - 1].partition(b"=")
        if length < 5 or not equals or position + length > len(data):
            raise DocumentError(Cause.CORRUPT, "The tar archive is damaged: a pax header in it is cut.")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):  # format 0.0 repeats them
            holes.append(value)
        if key in _RECORDS:
            records[key] = value
        position += length
    if holes:
        records[b"GNU.sparse.map"] = b",".join(holes)
    return records
