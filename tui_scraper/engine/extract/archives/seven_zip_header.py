"""The header of a 7z archive: which files it holds, in which packed streams, behind which coders.

The format is that of DOC/7zFormat.txt in the LZMA SDK. A *folder* is a stream of several files one after the
other; *coders* (a compressor, filters before it) turned it into what is packed. Every number in a header is
a claim: what is counted in it must be there, in bytes, before anything is made of it.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.limits import MAX_ENTRIES
from tui_scraper.engine.models import Cause

START_BYTES: Final = 32
"""What stands before the packed streams, whose places are counted from there."""

_MAX_FILES = 10 * MAX_ENTRIES  # directories among them
_MAX_CODERS = 8
HEADER, PACKED_HEADER = 1, 23
_END = 0
_ARCHIVE_PROPERTIES, _MORE_STREAMS, _STREAMS, _FILES = 2, 3, 4, 5
_PACK_INFO, _UNPACK_INFO, _SUBSTREAMS = 6, 7, 8
_SIZE, _CRC, _FOLDERS, _UNPACK_SIZES, _STREAM_COUNTS = 9, 10, 11, 12, 13
_EMPTY_STREAM, _EMPTY_FILE, _NAMES, _MTIME, _ATTRIBUTES, _FILLING = 14, 15, 17, 20, 21, 25

COPY, LZMA, LZMA2 = b"\x00", b"\x03\x01\x01", b"\x21"
BZIP2, DEFLATE, ZSTD = b"\x04\x02\x02", b"\x04\x01\x08", b"\x04\xf7\x11\x01"
DELTA, AES = b"\x03", b"\x06\xf1\x07\x01"
BRANCHES = {
    b"\x04": lzma.FILTER_X86,
    b"\x03\x03\x01\x03": lzma.FILTER_X86,
    b"\x05": lzma.FILTER_POWERPC,
    b"\x03\x03\x02\x05": lzma.FILTER_POWERPC,
    b"\x06": lzma.FILTER_IA64,
    b"\x03\x03\x04\x01": lzma.FILTER_IA64,
    b"\x07": lzma.FILTER_ARM,
    b"\x03\x03\x05\x01": lzma.FILTER_ARM,
    b"\x08": lzma.FILTER_ARMTHUMB,
    b"\x03\x03\x07\x01": lzma.FILTER_ARMTHUMB,
    b"\x09": lzma.FILTER_SPARC,
    b"\x03\x03\x08\x05": lzma.FILTER_SPARC,
}
_UNREAD = {
    b"\x03\x04\x01": "PPMd",
    b"\x03\x03\x01\x1b": "BCJ2",
    b"\x04\x01\x09": "Deflate64",
    b"\x0a": "ARM64",
    b"\x0b": "RISC-V",
}

_DIRECTORY, _REPARSE_POINT = 0x10, 0x400
_UNIX_MODE = 0x8000
_KIND, _REGULAR = 0o170000, 0o100000
_EPOCH_DIFFERENCE = 116_444_736_000_000_000  # 1601 to 1970, in units of 100 ns

_READABLE = frozenset((COPY, LZMA, LZMA2, BZIP2, DEFLATE, ZSTD, DELTA, AES, *BRANCHES))


@dataclass(slots=True)
class Coder:
    """One step of packing: a method with its properties."""

    method: bytes
    properties: bytes = b""
    size: int = 0  # of what comes out of it


@dataclass(slots=True)
class Part:
    """A file in a folder: where it begins in what is unpacked."""

    start: int
    size: int
    crc: int | None


@dataclass(slots=True)
class Folder:
    """A stream of files and its coders, in the `order` of unpacking.

    `unread` says why it cannot be unpacked, if so. Of its packed streams (more than one only where it
    cannot) the first has the size `packed`; `last` is the output that nothing else takes in.
    """

    coders: list[Coder]
    order: list[int]
    unread: str = ""
    streams: int = 1
    outputs: int = 1
    last: int = 0
    size: int = 0
    crc: int | None = None
    start: int = 0
    packed: int = 0
    parts: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class File:
    """A file or directory, as the list of contents has it. `empty`: without content, or a directory."""

    name: str | None
    empty: bool = False
    is_file: bool = True
    mtime_ns: int = 0


@dataclass(slots=True)
class Archive:
    """What a header tells."""

    folders: list[Folder] = field(default_factory=list)
    files: list[File] = field(default_factory=list)


class Header:
    """The fields of a header. Raises IndexError or ValueError where they do not fit."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """So many bytes."""
        end = self._at + size
        if end > len(self._data):
            raise IndexError(end)
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self) -> int:
        """A number; the leading bits of its first byte tell how many bytes follow."""
        first = self.take(1)[0]
        length, mask = 0, 0x80
        while first & mask:
            length, mask = length + 1, mask >> 1
        low = int.from_bytes(self.take(length), "little")
        return low | (first & mask - 1) << 8 * length if mask else low

    def count(self) -> int:
        """A number of things, of which nobody needs so many."""
        found = self.number()
        if found > _MAX_FILES:
            raise too_many()
        return found

    def expect(self, wanted: int) -> None:
        """The next field must be this one."""
        if self.number() != wanted:
            raise ValueError(wanted)

    def bits(self, count: int) -> list[bool]:
        """A truth value for each of so many things."""
        packed = int.from_bytes(self.take((count + 7) // 8), "big")
        text = f"{packed:0{(count + 7) // 8 * 8}b}"
        return [bit == "1" for bit in text[:count]]

    def some(self, count: int) -> list[bool]:
        """The same, unless a first byte says 'all of them'."""
        return [True] * count if self.take(1)[0] else self.bits(count)

    def checksums(self, count: int) -> list[int | None]:
        """A CRC for each of so many things, None for those without."""
        return [int.from_bytes(self.take(4), "little") if known else None for known in self.some(count)]

    def _sections(self) -> Iterator[int]:
        """The kinds of the sections that follow: each comes once, in the order of their numbers."""
        last = _END
        while (kind := self.number()) != _END:
            if kind <= last:
                raise ValueError(kind)
            yield (last := kind)

    def archive(self) -> Archive:
        """The main header."""
        found = Archive()
        for kind in self._sections():
            if kind == _ARCHIVE_PROPERTIES:
                while self.number() != _END:
                    self.take(self.number())
            elif kind == _MORE_STREAMS:
                self.streams()
            elif kind == _STREAMS:
                found.folders = self.streams()
            elif kind == _FILES:
                found.files = self._files()
            else:
                raise ValueError(kind)
        return found

    def streams(self) -> list[Folder]:
        """Where the packed streams are, what they went through, and which files are in each."""
        start, sizes = 0, list[int]()
        folders: list[Folder] = []
        divided = False
        for kind in self._sections():
            if kind == _PACK_INFO:
                start, sizes = self._pack_info()
            elif kind == _UNPACK_INFO:
                folders = self._folders()
            elif kind == _SUBSTREAMS:
                self._substreams(folders)
                divided = True
            else:
                raise ValueError(kind)
        position, at = START_BYTES + start, 0
        for folder in folders:
            folder.start, folder.packed = position, sizes[at]
            position += sum(sizes[at : at + folder.streams])
            at += folder.streams
            if not divided:
                folder.parts = [Part(0, folder.size, folder.crc)]
        return folders

    def _pack_info(self) -> tuple[int, list[int]]:
        start, count = self.number(), self.count()
        sizes: list[int] = []
        for kind in self._sections():
            if kind == _SIZE:
                sizes = [self.number() for _ in range(count)]
            elif kind == _CRC:
                self.checksums(count)
            else:
                raise ValueError(kind)
        return start, sizes

    def _folders(self) -> list[Folder]:
        self.expect(_FOLDERS)
        count = self.count()
        if self.take(1)[0]:
            raise ValueError("external")
        folders = [self._folder() for _ in range(count)]
        self.expect(_UNPACK_SIZES)
        for folder in folders:
            sizes = [self.number() for _ in range(folder.outputs)]
            folder.size = sizes[folder.last]
            for coder, size in zip(folder.coders, sizes, strict=False):
                coder.size = size
            folder.coders = [folder.coders[number] for number in folder.order]
        for kind in self._sections():
            if kind != _CRC:
                raise ValueError(kind)
            for folder, crc in zip(folders, self.checksums(count), strict=True):
                folder.crc = crc
        return folders

    def _folder(self) -> Folder:
        """The coders of a folder, and how they are put together."""
        coders: list[Coder] = []
        inputs = outputs = 0
        for _ in range(self._few()):
            flags = self.take(1)[0]
            method = self.take(flags & 15)
            more = (self._few(), self._few()) if flags & 0x10 else (1, 1)
            coders.append(Coder(method, self.take(self.number()) if flags & 0x20 else b""))
            inputs, outputs = inputs + more[0], outputs + more[1]
        feeds = {self.number(): self.number() for _ in range(outputs - 1)}
        streams = inputs - len(feeds)
        packed = [self.number() for _ in range(streams)] if streams > 1 else list[int]()
        last = next(number for number in range(outputs) if number not in feeds.values())
        folder = Folder(coders, [], _why_unread(coders), max(1, streams), outputs, last)
        if inputs != len(coders) or outputs != len(coders) or packed:
            folder.unread = folder.unread or _unsupported("of several streams")
            folder.order = list(range(len(coders)))
        else:
            folder.order = _chain(feeds, len(coders), last)
        return folder

    def _few(self) -> int:
        found = self.number()
        if not 1 <= found <= _MAX_CODERS:
            raise ValueError(found)
        return found

    def _substreams(self, folders: list[Folder]) -> None:
        """Which files each folder is divided into."""
        counts = [1] * len(folders)
        kind = self.number()
        if kind == _STREAM_COUNTS:
            counts = [self.count() for _folder in folders]
            kind = self.number()
        if sum(counts) > _MAX_FILES:
            raise too_many()
        sized = kind == _SIZE
        for folder, count in zip(folders, counts, strict=True):
            start = 0
            for _ in range(count - 1):
                if not sized:
                    raise ValueError(kind)
                size = self.number()
                folder.parts.append(Part(start, size, None))
                start += size
            if count:
                if start > folder.size:
                    raise ValueError(start)
                folder.parts.append(Part(start, folder.size - start, folder.crc if count == 1 else None))
        if sized:
            kind = self.number()
        if kind == _CRC:
            unknown = [part for folder in folders for part in folder.parts if part.crc is None]
            for part, crc in zip(unknown, self.checksums(len(unknown)), strict=True):
                part.crc = crc
            kind = self.number()
        if kind != _END:
            raise ValueError(kind)

    def _files(self) -> list[File]:
        """Names and attributes of all files and directories."""
        count = self.count()
        names: list[str | None] = [None] * count
        empty = [False] * count
        empty_files: list[bool] = []
        times, attributes = [0] * count, [0] * count
        seen = set[int]()
        while (kind := self.number()) != _END:
            body = Header(self.take(self.number()))
            if kind in seen:
                raise ValueError(kind)
            if kind != _FILLING:
                seen.add(kind)
            if kind == _NAMES:
                names = list(body.names(count))
            elif kind == _EMPTY_STREAM:
                empty = body.bits(count)
            elif kind == _EMPTY_FILE:
                empty_files = body.bits(sum(empty))
            elif kind == _MTIME:
                times = body.values(count, 8)
            elif kind == _ATTRIBUTES:
                attributes = body.values(count, 4)
        which = iter(empty_files)
        return [
            File(name, no_stream, next(which, False) if no_stream else _is_file(attribute), _unix_ns(time))
            for name, no_stream, attribute, time in zip(names, empty, attributes, times, strict=True)
        ]

    def names(self, count: int) -> list[str]:
        """Names in UTF-16, each ended by a zero."""
        if self.take(1)[0]:
            raise ValueError("external")
        found = self._data[self._at :].decode("utf-16-le", "replace").split("\0")
        if len(found) < count:
            raise ValueError(count)
        return found[:count]

    def values(self, count: int, size: int) -> list[int]:
        """A value of so many bytes for each of so many things, 0 for those without."""
        known = self.some(count)
        if self.take(1)[0]:
            raise ValueError("external")
        return [int.from_bytes(self.take(size), "little") if one else 0 for one in known]


def _chain(feeds: dict[int, int], count: int, last: int) -> list[int]:
    """The coders in the order of unpacking, where each feeds the next: `feeds` maps input to output."""
    order = [last]
    while order[-1] in feeds and len(order) <= count:
        order.append(feeds[order[-1]])
    if sorted(order) != list(range(count)):
        raise ValueError("the coders do not form a chain")
    return order[::-1]


def _why_unread(coders: list[Coder]) -> str:
    for coder in coders:
        if coder.method not in _READABLE:
            return _unsupported(_UNREAD.get(coder.method, coder.method.hex()))
    return ""


def _unsupported(method: str) -> str:
    return (
        f"The 7z archive uses the compression method {method}, which is not supported; "
        "unpack it with the program that made it."
    )


def _is_file(attributes: int) -> bool:
    """Whether the attributes of a file with content are not those of a directory, link or device."""
    if attributes & _UNIX_MODE:
        return (attributes >> 16) & _KIND in (0, _REGULAR)
    return not attributes & (_DIRECTORY | _REPARSE_POINT)


def _unix_ns(time: int) -> int:
    """From units of 100 ns since 1601; 0 for what cannot be meant."""
    since = time - _EPOCH_DIFFERENCE
    return since * 100 if 0 < since < 1 << 56 else 0


def too_many() -> DocumentError:
    """The error of an archive with more files than anybody needs."""
    return DocumentError(Cause.TOO_LARGE, "The 7z archive holds more files than this program takes on.")
