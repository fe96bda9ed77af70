"""`documents.jsonl`: written while it is hashed, then read back and checked.

The hash is taken twice: of what was meant to be written, and of what the file gives back. New lines are
decoded with the types they were written from, and every chunk must be the slice of the text that its
offsets say. Lines carried over from an export before went through that when they were new, and come from
a file whose hash was the recorded one; for them the hash must do.
"""

from __future__ import annotations

import hashlib
import io
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.export.row import Row

_FLUSH_BYTES = 1_000_000
_READ_BYTES = 4_000_000
_LONGEST_LINE_BYTES = 1_000_000_000


@dataclass(slots=True)
class Tally:
    """What some lines hold, in numbers. `counts` is rows by status."""

    rows: int = 0
    chunks: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, chunks: int) -> None:
        """Count one row."""
        self.rows += 1
        self.chunks += chunks
        self.counts[status] += 1

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, self.chunks + other.chunks, self.counts + other.counts)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.rows - other.rows, self.chunks - other.chunks, self.counts - other.counts)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. `new` is about the lines made anew, the rest about the whole file.

    `spans` says where the new lines are: offsets of the start and the end, in turn.
    """

    new: Tally
    spans: array[int]
    size_bytes: int
    sha256: str


def write_jsonl(file: io.RawIOBase, lines: Iterable[Row | bytes], proceed: Callable[[int], None]) -> Written:
    """Write rows, and lines carried over as they are.

    `proceed` is called with the number of lines now and then; what it raises ends the writing.
    """
    hashed = hashlib.sha256()
    encode = msgspec.json.Encoder().encode_into
    buffer = bytearray()
    new = Tally()
    spans = array("q")
    number = size_bytes = 0

    def flush() -> None:
        nonlocal size_bytes
        hashed.update(buffer)
        size_bytes += len(buffer)
        with memoryview(buffer) as view:
            written = 0
            while written < len(view):
                written += file.write(view[written:]) or 0
        buffer.clear()
        proceed(number)

    for line in lines:
        number += 1
        if isinstance(line, bytes):
            buffer += line
        else:
            start = size_bytes + len(buffer)
            encode(line, buffer, len(buffer))
            buffer += b"\n"
            new.add(line.status, len(line.chunks))
            if spans and spans[-1] == start:
                spans.pop()
            else:
                spans.append(start)
            spans.append(size_bytes + len(buffer))
        if len(buffer) >= _FLUSH_BYTES:
            flush()
    flush()
    return Written(new, spans, size_bytes, hashed.hexdigest())


def check_jsonl(path: Path, expected: Written, proceed: Callable[[int], None]) -> None:
    """Read a file back. Raises StoreError where it is not what was written, or not sound."""
    hashed = hashlib.sha256()
    check = _Check(path.name)
    size_bytes = 0
    for block in blocks(path):
        hashed.update(block)
        for line in _inside(expected.spans, block, size_bytes):
            check.line(line)
        size_bytes += len(block)
        proceed(check.new.rows)
    found = (check.new, size_bytes, hashed.hexdigest())
    if found != (expected.new, expected.size_bytes, expected.sha256):
        raise StoreError(
            f"{path.name}: reading the export back gave {check.new.rows} new rows and {size_bytes} bytes, "
            f"not the {expected.new.rows} and {expected.size_bytes} that were written, or other contents. "
            "The disk may be failing; the export before is unchanged."
        )


class _Check:
    """Looks at new lines, in the order of the file."""

    def __init__(self, name: str) -> None:
        self.new = Tally()
        self._name = name
        self._decode = msgspec.json.Decoder(Row).decode
        self._before = b""

    def line(self, line: bytes) -> None:
        number = self.new.rows + 1
        try:
            row = self._decode(line)
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self._name}: new line {number} of the export is not valid ({error})."
            ) from error
        text = row.text or ""
        for chunk in row.chunks:
            if text[chunk.start : chunk.end] != chunk.text:
                raise StoreError(
                    f"{self._name}: new line {number}: chunk {chunk.ordinal} is not what its offsets say."
                )
        key = row.path.encode()
        if row.path_bytes is msgspec.UNSET:
            if key < self._before:
                raise StoreError(f"{self._name}: new line {number} of the export is out of order.")
            self._before = key
        self.new.add(row.status, len(row.chunks))


def _inside(spans: array[int], block: bytes, at: int) -> Iterator[bytes]:
    """The lines of a block that lie in the spans. The block is at this offset in its file."""
    end = at + len(block)
    number = bisect_right(spans, at) & ~1
    while number < len(spans) and spans[number] < end:
        first, last = max(spans[number], at), min(spans[number + 1], end)
        yield from block[first - at : last - at].splitlines()
        number += 2


def blocks(path: Path) -> Iterator[bytes]:
    """The file in pieces that end with a line."""
    with open(path, "rb", buffering=0) as file:
        yield from whole_lines(file)


def whole_lines(file: io.RawIOBase) -> Iterator[bytes]:
    """What is left of a file, in pieces that end with a line; the last one may not.

    Raises ValueError where a line is longer than any that an export can have.
    """
    rest: list[bytes] = []
    while data := file.read(_READ_BYTES):
        cut = data.rfind(b"\n") + 1
        if not cut:
            rest.append(data)
            if len(rest) * _READ_BYTES > _LONGEST_LINE_BYTES:
                raise ValueError("a line has no end")
            continue
        yield b"".join([*rest, data[:cut]]) if rest else data[:cut]
        rest = [data[cut:]] if cut < len(data) else []
    if rest:
        yield b"".join(rest)
