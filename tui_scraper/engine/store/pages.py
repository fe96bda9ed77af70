"""Database files read page by page, without SQLite: for what SQLite itself can no longer read.

Follows the description of the file format (https://sqlite.org/fileformat2.html) as far as our databases use
it: tables and WITHOUT ROWID tables, overflow chains, the write-ahead log, and page checksums as cksumvfs has
them. A page whose checksum does not match counts as not there. It is slow (some 100,000 rows a second) and
believes nothing that it reads. Pages get their checksum on the way into the database file; those in the log
have the log's.
"""

from __future__ import annotations

import functools
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Value = int | float | str | bytes | None

_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_CHECKSUM_BYTES = 8
_WAL_HEADER, _WAL_FRAME = 32, 24
_HEADER_BYTES = 100
_SCAN_BYTES = 4_000_000


class Unreadable(Exception):  # noqa: N818  (a page or a row, not a decision that a caller takes)
    """Something in a page is not as SQLite would have written it."""


@dataclass
class Trees:
    """Which page belongs to which table or index.

    `roots` maps a root page to (name, whether it is a table with rowids). `owner` maps every page that a tree
    reaches to its root, also pages that cannot be read; `leaves` are those of tables with rowids, by root.
    """

    roots: dict[int, tuple[str, bool]] = field(default_factory=dict)
    owner: dict[int, int] = field(default_factory=dict)
    leaves: dict[int, list[int]] = field(default_factory=dict)

    def name(self, page: int) -> str:
        """The table or index that a page belongs to; '' where no tree reaches it."""
        root = self.owner.get(page, 0)
        return self.roots[root][0] if root in self.roots else ""


class PageFile:
    """One database file with its write-ahead log. Use it with `open_pages`.

    `page_size` and `checksums` are those the file should have: a damaged header is not asked.
    """

    def __init__(self, data: Any, log: Any, page_size: int, checksums: bool) -> None:
        self._data = data
        self._log = log
        self.page_size = page_size
        self._checksums = checksums
        self._usable = page_size - (_CHECKSUM_BYTES if checksums else 0)
        self._in_log, self.count = self._read_log(len(data) // page_size)

    def raw(self, number: int) -> bytes:
        """The bytes of a page, whatever they are; b'' where it lies beyond the end."""
        at = self._in_log.get(number)
        if at is not None:
            return bytes(self._log[at : at + self.page_size])
        start = (number - 1) * self.page_size
        page = bytes(self._data[start : start + self.page_size])
        return page if len(page) == self.page_size else b""

    def page(self, number: int) -> bytes:
        """A sound page. Raises Unreadable."""
        page = self.raw(number) if 1 <= number <= self.count else b""
        if not page:
            raise Unreadable(f"page {number} is not there")
        if self._checksums and number not in self._in_log and not _sound(page):
            raise Unreadable(f"page {number} does not have its checksum")
        return page

    def damaged(self) -> Iterator[int]:
        """The pages whose checksum does not match, in order. Reads all of the file."""
        if not self._checksums:
            return
        step = max(1, _SCAN_BYTES // self.page_size)
        for first in range(1, self.count + 1, step):
            numbers = range(first, min(first + step, self.count + 1))
            block = b"".join(self.raw(number).ljust(self.page_size, b"\0") for number in numbers)
            right = _sound_pages(np.frombuffer(block, dtype="<u4").reshape(len(numbers), -1))
            for number, ok in zip(numbers, right, strict=True):
                if number not in self._in_log and not (ok and self.raw(number)):
                    yield number

    def trees(self) -> Trees:
        """Follow every table and index from its root. Without a readable schema there are none."""
        found = Trees(roots={1: ("sqlite_master", True)})
        with suppress(Unreadable):
            for _rowid, row in self._schema_rows(found):
                kind, name, _table, root, sql = (*row, None, None, None, None, None)[:5]
                if isinstance(root, int) and root > 1 and isinstance(name, str):
                    without = isinstance(sql, str) and sql.rstrip().upper().endswith("WITHOUT ROWID")
                    found.roots[root] = (name, kind == "table" and not without)
        for root in found.roots:
            self._follow(root, found)
        return found

    def _schema_rows(self, found: Trees) -> Iterator[tuple[int, list[Value]]]:
        self._follow(1, found)
        leaves = found.leaves.pop(1, [])
        found.owner.clear()
        if not self.kind(1):  # then its rows are somewhere, on pages that nothing leads to
            leaves = [page for page in range(2, self.count + 1) if self._holds_schema(page)]
        for leaf in leaves:
            yield from self.rows(leaf)

    def _holds_schema(self, number: int) -> bool:
        if not self.is_table_leaf(number):
            return False
        rows = [row for _rowid, row in self.rows(number)]
        return bool(rows) and all(
            len(row) == 5 and row[0] in ("table", "index") and isinstance(row[3], int) for row in rows
        )

    def _follow(self, root: int, found: Trees) -> None:
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in found.owner or not 1 <= number <= self.count:
                continue
            found.owner[number] = root
            with suppress(Unreadable):
                page = self.page(number)
                kind = page[_start(number)]
                if kind in (_TABLE_INTERIOR, _INDEX_INTERIOR):
                    waiting += reversed(self.children(number, page))
                elif kind == _TABLE_LEAF:
                    found.leaves.setdefault(root, []).append(number)

    def free_pages(self) -> set[int]:
        """The pages on the free list, as far as it can be read: what they hold was deleted."""
        free: set[int] = set()
        with suppress(Unreadable):
            trunk = int.from_bytes(self.page(1)[32:36], "big")
            while trunk and trunk not in free:
                free.add(trunk)
                page = self.page(trunk)
                following, count = struct.unpack(">II", page[:8])
                count = min(count, (self._usable - 8) // 4)
                free.update(struct.unpack(f">{count}I", page[8 : 8 + 4 * count]))
                trunk = following
        return free

    def kind(self, number: int) -> int:
        """The kind of a sound page, as its first byte says; 0 for what cannot be read."""
        try:
            return self.page(number)[_start(number)]
        except Unreadable:
            return 0

    def is_table_leaf(self, number: int) -> bool:
        """Whether a page is sound and holds rows of a table."""
        return self.kind(number) == _TABLE_LEAF

    def children(self, number: int, page: bytes | None = None) -> list[int]:
        """The pages that an interior page leads to. Raises Unreadable."""
        page = self.page(number) if page is None else page
        start = _start(number)
        last = int.from_bytes(page[start + 8 : start + 12], "big")
        pointers = self._cells(page, start, start + 12)
        return [*(int.from_bytes(page[at : at + 4], "big") for at in pointers), last]

    def rows(self, number: int) -> Iterator[tuple[int, list[Value]]]:
        """(rowid, columns) of every row of a table leaf that can be read whole.

        Raises Unreadable where the page is none.
        """
        page = self.page(number)
        start = _start(number)
        if page[start] != _TABLE_LEAF:
            raise Unreadable(f"page {number} is no leaf of a table")
        for cell in self._cells(page, start, start + 8):
            with suppress(Unreadable, IndexError, struct.error, UnicodeDecodeError):
                length, at = _varint(page, cell)
                rowid, at = _varint(page, at)
                yield _signed(rowid), _record(self._payload(page, at, length))

    def keyed_rows(self, number: int) -> Iterator[list[Value]]:
        """The columns of every row of a page of a table WITHOUT ROWID.

        Raises Unreadable where the page is none.
        """
        page = self.page(number)
        start = _start(number)
        skipped = {_INDEX_LEAF: 0, _INDEX_INTERIOR: 4}.get(page[start])
        if skipped is None:
            raise Unreadable(f"page {number} is not of a table without rowids")
        for cell in self._cells(page, start, start + 8 + skipped):
            with suppress(Unreadable, IndexError, struct.error, UnicodeDecodeError):
                length, at = _varint(page, cell + skipped)
                yield _record(self._payload(page, at, length, keyed=True))

    def _cells(self, page: bytes, start: int, array: int) -> list[int]:
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        if array + 2 * count > self._usable:
            raise Unreadable("more cells than a page has room for")
        return list(struct.unpack(f">{count}H", page[array : array + 2 * count]))

    def _payload(self, page: bytes, at: int, length: int, *, keyed: bool = False) -> bytes:
        """A row's bytes, also those on overflow pages."""
        if length > self.count * self._usable:
            raise Unreadable("a row longer than the file")
        local = self._local(length, keyed)
        parts = [page[at : at + local]]
        if local < length:
            following = int.from_bytes(page[at + local : at + local + 4], "big")
            left = length - local
            while left > 0:
                overflow = self.page(following)
                parts.append(overflow[4 : 4 + min(left, self._usable - 4)])
                following = int.from_bytes(overflow[:4], "big")
                left -= self._usable - 4
        payload = b"".join(parts)
        if len(payload) != length:
            raise Unreadable("a row that is cut short")
        return payload

    def _local(self, length: int, keyed: bool) -> int:
        """How much of a row lies on its page (section 1.6 of the file format)."""
        most = (self._usable - 12) * 64 // 255 - 23 if keyed else self._usable - 35
        if length <= most:
            return length
        least = (self._usable - 12) * 32 // 255 - 23
        kept = least + (length - least) % (self._usable - 4)
        return kept if kept <= most else least

    def _read_log(self, pages: int) -> tuple[dict[int, int], int]:
        """Where the log holds the newest committed content of which pages, and how many pages there are."""
        log = self._log
        if log is None or len(log) < _WAL_HEADER:
            return {}, pages
        magic, _version, size, _sequence, salt1, salt2, *_ = struct.unpack(">8I", log[:_WAL_HEADER])
        if magic not in (0x377F0682, 0x377F0683) or size != self.page_size:
            return {}, pages
        order = ">u4" if magic & 1 else "<u4"
        sums = _log_sum(np.frombuffer(bytes(log[:24]), dtype=order), (0, 0))
        if sums != struct.unpack(">2I", log[24:32]):
            return {}, pages
        committed: dict[int, int] = {}
        waiting: dict[int, int] = {}
        at = _WAL_HEADER
        while at + _WAL_FRAME + size <= len(log):
            head = bytes(log[at : at + _WAL_FRAME])
            number, commit, frame1, frame2, sum1, sum2 = struct.unpack(">6I", head)
            if (frame1, frame2) != (salt1, salt2):
                break
            sums = _log_sum(np.frombuffer(head[:8], dtype=order), sums)
            content = bytes(log[at + _WAL_FRAME : at + _WAL_FRAME + size])
            sums = _log_sum(np.frombuffer(content, dtype=order), sums)
            if sums != (sum1, sum2):
                break
            waiting[number] = at + _WAL_FRAME
            if commit:
                committed.update(waiting)
                waiting.clear()
                pages = commit
            at += _WAL_FRAME + size
        return committed, pages


@contextmanager
def open_pages(path: Path, page_size: int, *, checksums: bool) -> Iterator[PageFile]:
    """Open a database file for as long as the block lasts; it must not be written meanwhile.

    Raises OSError where it cannot be read.
    """
    with open(path, "rb") as file:
        data = _mapped(file)
        try:
            with open(f"{path}-wal", "rb") as log_file:
                log = _mapped(log_file)
        except FileNotFoundError:
            log = None
        yield PageFile(data, log, page_size, checksums)


def _mapped(file: Any) -> Any:
    size = os.fstat(file.fileno()).st_size
    return mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) if size else b""


def _start(number: int) -> int:
    """Where the b-tree begins in a page: the first one has the file's header before it."""
    return _HEADER_BYTES if number == 1 else 0


@functools.cache
def _weights(words: int) -> tuple[Any, Any]:
    """What each word counts for in the two halves of a checksum, modulo 2^32.

    Both sums (pages and log frames) step through pairs of words by `a += x + b; b += y + a`. That is linear,
    so the sums of many pages are products with the same two vectors.
    """
    first, second = np.zeros(words, dtype=np.uint32), np.zeros(words, dtype=np.uint32)
    a_of_a, a_of_b, b_of_a, b_of_b = 1, 0, 0, 1  # what a and b at this place count for at the end
    for pair in range(words // 2 - 1, -1, -1):
        first[2 * pair], second[2 * pair] = a_of_a + a_of_b & _WORD, b_of_a + b_of_b & _WORD
        first[2 * pair + 1], second[2 * pair + 1] = a_of_b, b_of_b
        a_of_a, a_of_b = a_of_a + a_of_b & _WORD, a_of_a + 2 * a_of_b & _WORD
        b_of_a, b_of_b = b_of_a + b_of_b & _WORD, b_of_a + 2 * b_of_b & _WORD
    return first, second


_WORD = 0xFFFFFFFF


def _sound_pages(pages: Any) -> list[bool]:
    """Which of some pages (rows of little-endian words) have the checksum at their end."""
    words = pages.shape[1] - 2
    first, second = _weights(words)
    body = pages[:, :words]
    right = (body * first).sum(axis=1, dtype=np.uint32) == pages[:, words]
    right &= (body * second).sum(axis=1, dtype=np.uint32) == pages[:, words + 1]
    return [bool(one) for one in right]


def _sound(page: bytes) -> bool:
    return _sound_pages(np.frombuffer(page, dtype="<u4").reshape(1, -1))[0]


def _log_sum(words: Any, before: tuple[int, int]) -> tuple[int, int]:
    first, second = _weights(len(words) + 2)  # the sums so far are like a pair of words that came before
    a, b = before
    values = words.astype(np.uint32)
    # a pair (x, y) gives a = x, b = y + x from nothing: so (a, b) is the pair (a, b - a)
    lead = (a, (b - a) & _WORD)
    sums = []
    for weights in (first, second):
        total = int((values * weights[2:]).sum(dtype=np.uint32))
        sums.append((total + int(weights[0]) * lead[0] + int(weights[1]) * lead[1]) & _WORD)
    return sums[0], sums[1]


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(9):
        byte = page[at + place]
        if place == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    raise Unreadable("a number without an end")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def _record(payload: bytes) -> list[Value]:
    """The columns of a row (section 2.1 of the file format)."""
    head, at = _varint(payload, 0)
    body = head
    values: list[Value] = []
    while at < head:
        kind, at = _varint(payload, at)
        value: Value
        length = 0
        if kind == 0:
            value = None
        elif kind in _INTEGER_BYTES:
            length = _INTEGER_BYTES[kind]
            value = int.from_bytes(payload[body : body + length], "big", signed=True)
        elif kind == 7:
            length = 8
            (value,) = struct.unpack(">d", payload[body : body + 8])
        elif kind in (8, 9):
            value = kind - 8
        elif kind >= 12:
            length = (kind - 12) // 2
            data = payload[body : body + length]
            value = data if kind % 2 == 0 else data.decode("utf-8")
        else:
            raise Unreadable("a kind of value that there is not")
        body += length
        values.append(value)
    if body != len(payload):
        raise Unreadable("a row of another length than its head says")
    return values
