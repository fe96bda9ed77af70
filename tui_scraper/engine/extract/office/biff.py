"""BIFF, the records of old Excel workbooks: how they follow one another, and what stands in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

ERRORS: Final = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
}
"""What a cell with an error shows, by its code."""

Record = tuple[int, bytes, int]
"""(kind, content, offset in the stream)"""

_CODE_PAGES: Final = {
    1200: "utf-16-le",
    10000: "mac-roman",
    32768: "mac-roman",
    32769: "cp1252",
    367: "ascii",
}


def records(stream: bytes) -> Iterator[Record]:
    """The records, up to one that is cut off."""
    offset, end = 0, len(stream)
    header = struct.Struct("<HH")
    while offset + 4 <= end:
        kind, length = header.unpack_from(stream, offset)
        if offset + 4 + length > end:
            return
        yield kind, stream[offset + 4 : offset + 4 + length], offset
        offset += 4 + length


class ContinuedStrings:
    """Strings that run over the borders of records: the shared strings, and texts of shapes."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._piece = pieces[0] if pieces else b""
        self._number = 0
        self._offset = 0

    def _next(self) -> bool:
        if self._number + 1 >= len(self._pieces):
            return False
        self._number += 1
        self._piece = self._pieces[self._number]
        self._offset = 0
        return True

    def skip(self, size: int) -> None:
        """Pass over bytes that are no characters."""
        while size > 0:
            here = len(self._piece) - self._offset
            if size <= here:
                self._offset += size
                return
            size -= here
            if not self._next():
                self._offset = len(self._piece)
                return

    def take(self, size: int) -> bytes | None:
        """The next bytes, None at the end."""
        while self._offset >= len(self._piece):
            if not self._next():
                return None
        found = self._piece[self._offset : self._offset + size]
        self._offset += len(found)
        while len(found) < size:
            if not self._next():
                return None
            more = self._piece[: size - len(found)]
            self._offset = len(more)
            found += more
        return found

    def characters(self, count: int, is_wide: bool) -> str:
        """Characters. Where they go on in another record, that says anew how wide they are."""
        pieces: list[str] = []
        while count > 0:
            width = 2 if is_wide else 1
            raw = self._piece[self._offset : self._offset + count * width]
            got = len(raw) // width
            pieces.append(decoded(raw[: got * width], is_wide))
            self._offset += len(raw)
            count -= got
            if count > 0:
                if not self._next() or not self._piece:
                    break
                is_wide = bool(self._piece[0] & 1)
                self._offset = 1
        return "".join(pieces)

    def shared(self) -> str | None:
        """The next shared string, None where there are no more."""
        head = self.take(3)
        if head is None:
            return None
        count, flags = struct.unpack("<HB", head)
        runs = phonetics = 0
        if flags & 8:
            raw = self.take(2)
            runs = struct.unpack("<H", raw)[0] if raw else 0
        if flags & 4:
            raw = self.take(4)
            phonetics = struct.unpack("<I", raw)[0] if raw else 0
        text = self.characters(count, bool(flags & 1))
        self.skip(4 * runs + phonetics)
        return text


def decoded(raw: bytes, is_wide: bool) -> str:
    """Characters of two bytes each, or of one, which is then the lower one."""
    return raw.decode("utf-16-le", "replace") if is_wide else raw.decode("latin-1")


def unpacked_number(packed: int) -> float:
    """A number of four bytes ('RK'): the upper half of a double or a whole number, perhaps times 100."""
    if packed & 2:
        whole = packed >> 2
        found = float(whole - (1 << 30) if whole & (1 << 29) else whole)
    else:
        found = float(struct.unpack("<d", struct.pack("<II", 0, packed & 0xFFFFFFFC))[0])
    return found / 100 if packed & 1 else found


def switch_text(code: int, is_error: bool) -> str:
    """What a cell with a truth value or an error shows."""
    if is_error:
        return ERRORS.get(code, "")
    return "TRUE" if code else "FALSE"


def code_page(page: int) -> str:
    """The encoding of a code page by its number; that of Western Windows for unknown ones."""
    if page in _CODE_PAGES:
        return _CODE_PAGES[page]
    try:
        b"".decode(f"cp{page}")
    except LookupError:
        return "cp1252"
    return f"cp{page}"
