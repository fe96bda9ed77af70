"""Compound files (OLE2): the file system inside old Office documents and Outlook messages.

Only what reading needs: the directory, and streams by name. Chains of sectors are followed no further than
the file has sectors, so that loops end; what lies outside of the file is missing rather than an error.
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_LAST_SECTOR: Final = 0xFFFFFFFA  # numbers above it are marks, such as the end of a chain
_NOTHING: Final = 0xFFFFFFFF
_HEADER_BYTES: Final = 512
_ENTRY_BYTES: Final = 128
_MAX_ENTRIES: Final = 100_000
_STREAM, _ROOT = 2, 5
_CODE_PAGE, _TITLE = 1, 2
_STRING, _WIDE_STRING = 30, 31
_MAX_PROPERTIES: Final = 100
_MAX_TITLE_BYTES: Final = 4_000

NO_TITLES: Final = frozenset(
    (
        "powerpoint presentation",
        "powerpoint-präsentation",
        "présentation powerpoint",
        "slide 1",
        "no slide title",
    )
)
"""Titles that the programs give by themselves, in lower case."""


class DamagedFileError(Exception):
    """The compound file cannot be read."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    kind: int
    left: int
    right: int
    child: int
    start: int
    size: int


class CompoundFile:
    """An opened compound file.

    Raises DamagedFileError where its directory cannot be read.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER_BYTES or not data.startswith(MAGIC):
            raise DamagedFileError
        self._data = data
        shift, mini_shift = struct.unpack_from("<HH", data, 30)
        if not 7 <= shift <= 16 or not 2 <= mini_shift < shift:
            raise DamagedFileError
        self._size, self._mini_size = 1 << shift, 1 << mini_shift
        self._sectors = -(-len(data) // self._size)
        directory, self._cutoff = struct.unpack_from("<I4xI", data, 48)
        mini_table, mini_count = struct.unpack_from("<II", data, 60)
        self._table = self._read_table()
        self._entries = self._read_directory(directory)
        self._mini_table = _numbers(self._chain(mini_table, mini_count * self._size))
        root = next((entry for entry in self._entries if entry.kind == _ROOT), None)
        if root is None:
            raise DamagedFileError
        self._root = root
        self._mini_stream: bytes | None = None
        self._streams = self._streams_of(root)

    @property
    def names(self) -> list[str]:
        """The names of the streams and storages at the top."""
        return [entry.name for entry in self._inside(self._root)]

    def read(self, name: str, storage: str = "") -> bytes | None:
        """A stream at the top or in a storage at the top, as much of it as there is; None where it is not.

        Case does not matter (MS-CFB 2.6.4).
        """
        streams = self._streams
        if storage:
            inside = (entry for entry in self._inside(self._root) if entry.name == storage)
            streams = {name: one for entry in inside for name, one in self._streams_of(entry).items()}
        entry = streams.get(name.lower())
        if entry is None:
            return None
        if entry.size >= self._cutoff:
            return self._chain(entry.start, entry.size)
        if self._mini_stream is None:
            self._mini_stream = self._chain(self._root.start, self._root.size)
        return self._mini_chain(self._mini_stream, entry.start, entry.size)

    def title(self) -> str | None:
        """The title among the properties of the document, None where it has none."""
        try:
            return _title(self.read("\x05SummaryInformation") or b"")
        except (struct.error, LookupError):
            return None  # a document without properties is whole

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self._size
        return self._data[start : start + self._size]

    def _read_table(self) -> array[int]:
        """The table that names for every sector the next one of its chain."""
        wanted = list(_numbers(self._data[76:_HEADER_BYTES]))
        following, count = struct.unpack_from("<II", self._data, 68)
        for _ in range(min(count, self._sectors)):
            if following > _LAST_SECTOR:
                break
            listed = _numbers(self._sector(following))
            if not listed:
                break
            wanted.extend(listed[:-1])
            following = listed[-1]
        pieces: list[bytes] = []
        most = -(-self._sectors * 4 // self._size) + 1
        for number in wanted:
            if number <= _LAST_SECTOR and len(pieces) < most:
                pieces.append(self._sector(number))
        return _numbers(b"".join(pieces))

    def _chain(self, start: int, size: int) -> bytes:
        pieces: list[bytes] = []
        number, left = start, min(size, len(self._data))
        while left > 0 and number < len(self._table) and len(pieces) <= self._sectors:
            pieces.append(self._sector(number))
            left -= self._size
            number = self._table[number]
        return b"".join(pieces)[:size]

    def _mini_chain(self, stream: bytes, start: int, size: int) -> bytes:
        pieces: list[bytes] = []
        number, left = start, size
        while left > 0 and number < len(self._mini_table) and len(pieces) <= len(self._mini_table):
            pieces.append(stream[number * self._mini_size : (number + 1) * self._mini_size])
            left -= self._mini_size
            number = self._mini_table[number]
        return b"".join(pieces)[:size]

    def _read_directory(self, start: int) -> list[_Entry]:
        raw = self._chain(start, len(self._data))
        entries: list[_Entry] = []
        for offset in range(0, min(len(raw), _MAX_ENTRIES * _ENTRY_BYTES) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            length, kind, left, right, child = struct.unpack_from("<HBxIII", raw, offset + 64)
            first, size = struct.unpack_from("<II", raw, offset + 116)
            name = raw[offset : offset + max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
            entries.append(_Entry(name, kind, left, right, child, first, size))
        return entries

    def _streams_of(self, storage: _Entry) -> dict[str, _Entry]:
        return {entry.name.lower(): entry for entry in self._inside(storage) if entry.kind == _STREAM}

    def _inside(self, storage: _Entry) -> list[_Entry]:
        """The entries of a storage, which form a binary tree."""
        found: list[_Entry] = []
        seen: set[int] = set()
        waiting = [storage.child]
        while waiting:
            number = waiting.pop()
            if number == _NOTHING or number >= len(self._entries) or number in seen:
                continue
            seen.add(number)
            entry = self._entries[number]
            found.append(entry)
            waiting += (entry.left, entry.right)
        return found


def _numbers(raw: bytes) -> array[int]:
    found = array("I", raw[: len(raw) // 4 * 4])
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _title(properties: bytes) -> str | None:
    """The second property of the first set, in the code page that the first one names (MS-OLEPS 2.21)."""
    (offset,) = struct.unpack_from("<I", properties, 44)
    (count,) = struct.unpack_from("<I", properties, offset + 4)
    places = {}
    for number in range(min(count, _MAX_PROPERTIES)):
        identity, place = struct.unpack_from("<II", properties, offset + 8 + 8 * number)
        places[identity] = offset + place
    if _TITLE not in places:
        return None
    encoding = "cp1252"
    if _CODE_PAGE in places:
        (page,) = struct.unpack_from("<H", properties, places[_CODE_PAGE] + 4)
        encoding = {1200: "utf-16-le", 65001: "utf-8", 10000: "mac-roman"}.get(page, f"cp{page}")
    kind, size = struct.unpack_from("<HxxI", properties, places[_TITLE])
    raw = properties[places[_TITLE] + 8 :][
        : min(size * 2 if kind == _WIDE_STRING else size, _MAX_TITLE_BYTES)
    ]
    if kind not in (_STRING, _WIDE_STRING):
        return None
    text = raw.decode("utf-16-le" if kind == _WIDE_STRING else encoding, "replace").partition("\0")[0]
    title = " ".join(text.split())
    return None if title.lower() in NO_TITLES else title or None


def top_names(data: bytes) -> list[str]:
    """The names at the top of a compound file, none where its directory cannot be read."""
    try:
        return CompoundFile(data).names
    except DamagedFileError:
        return []
