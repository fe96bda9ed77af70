"""`documents.jsonl`: written while it is hashed, then read back and checked.

The hash is taken twice: of what was meant to be written, and of what the file gives back. New lines are
decoded with the types they were written from, and every chunk must be the slice of the text that its
offsets say. Lines carried over from an export before went through that when they were new, and come from
a file whose hash was the recorded one; for them the hash must do.
"""

from __future__ import annotations

import hashlib
import io
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.export.row import Row

READ_BYTES = 1_048_576
"""Read at once. More is slower: it no longer stays in the processor's cache until it is hashed."""
_WRITE_BYTES = 4_000_000
_PROCEED_ROWS = 500
_SYNC_BYTES = 8_000_000
"""The disk is asked to take what has been written this often, so that little is left for the end."""


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


def write_jsonl(file: io.FileIO, lines: Iterable[Row | bytes], proceed: Callable[[int], None]) -> Written:
    """Write rows, and lines carried over as they are.

    `proceed` is called with the number of lines now and then; what it raises ends the writing.
    """
    encode = msgspec.json.Encoder().encode_into
    buffer = bytearray()
    new = Tally()
    spans = array("q")
    number = flushed = 0
    with _Sink(file) as sink:
        for line in lines:
            number += 1
            if isinstance(line, bytes):
                buffer += line
            else:
                start = flushed + len(buffer)
                encode(line, buffer, len(buffer))
                buffer += b"\n"
                new.add(line.status, len(line.chunks))
                if spans and spans[-1] == start:
                    spans.pop()
                else:
                    spans.append(start)
                spans.append(flushed + len(buffer))
            if len(buffer) >= _WRITE_BYTES:
                flushed += len(buffer)
                sink.put(buffer)
                buffer = bytearray()
                proceed(number)
        sink.put(buffer)
        proceed(number)
        size_bytes, sha256 = sink.finish()
    return Written(new, spans, size_bytes, sha256)


class _Sink:
    """Hashes and writes what is put into it, beside whoever makes it, and has the disk take it meanwhile."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._threads = ThreadPoolExecutor(2, "export-file")
        self._writing: Future[None] | None = None
        self._syncing: Future[None] | None = None
        self._hashed = hashlib.sha256()
        self._size_bytes = self._synced_bytes = 0

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown()

    def put(self, data: bytearray) -> None:
        """Take over some data. Raises what writing the data before raised."""
        if self._writing is not None:
            self._writing.result()
        if self._size_bytes - self._synced_bytes >= _SYNC_BYTES and (
            self._syncing is None or self._syncing.done()
        ):
            self._synced_bytes = self._size_bytes
            self._syncing = self._threads.submit(os.fdatasync, self._file.fileno())
        self._writing = self._threads.submit(self._write, data)

    def finish(self) -> tuple[int, str]:
        """The bytes written and their hash. What the disk has not taken yet is not waited for."""
        if self._writing is not None:
            self._writing.result()
        return self._size_bytes, self._hashed.hexdigest()

    def _write(self, data: bytearray) -> None:
        self._hashed.update(data)
        with memoryview(data) as view:
            written = 0
            while written < len(view):
                written += self._file.write(view[written:])
        self._size_bytes += len(data)


def check_jsonl(path: Path, expected: Written, proceed: Callable[[], None]) -> None:
    """Read a file back. Raises StoreError where it is not what was written, or not sound.

    `proceed` is called now and then; what it raises ends the reading.
    """
    new = _check_new(path, expected.spans, proceed)
    size_bytes, sha256 = _hash(path, proceed)
    if (new, size_bytes, sha256) != (expected.new, expected.size_bytes, expected.sha256):
        raise StoreError(
            f"{path.name}: reading the export back gave {new.rows} new rows and {size_bytes} bytes, "
            f"not the {expected.new.rows} and {expected.size_bytes} that were written, or other contents. "
            "The disk may be failing; the export before is unchanged."
        )


def _check_new(path: Path, spans: array[int], proceed: Callable[[], None]) -> Tally:
    """Look at the new lines, in the order of the file."""
    new = Tally()
    decode = msgspec.json.Decoder(Row).decode
    before = b""
    with open(path, "rb", buffering=READ_BYTES) as file:
        for start, end in zip(spans[::2], spans[1::2], strict=True):
            file.seek(start)
            while file.tell() < end:
                number = new.rows + 1
                try:
                    row = decode(file.readline())
                except msgspec.MsgspecError as error:
                    raise StoreError(
                        f"{path.name}: new line {number} of the export is not valid ({error})."
                    ) from error
                text = row.text or ""
                for chunk in row.chunks:
                    if text[chunk.start : chunk.end] != chunk.text:
                        raise StoreError(
                            f"{path.name}: new line {number}: chunk {chunk.ordinal} is not what its "
                            "offsets say."
                        )
                key = row.path.encode()
                if row.path_bytes is msgspec.UNSET:
                    if key < before:
                        raise StoreError(f"{path.name}: new line {number} of the export is out of order.")
                    before = key
                new.add(row.status, len(row.chunks))
                if number % _PROCEED_ROWS == 0:
                    proceed()
    return new


def _hash(path: Path, proceed: Callable[[], None]) -> tuple[int, str]:
    hashed = hashlib.sha256()
    size_bytes = 0
    buffer = memoryview(bytearray(READ_BYTES))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hashed.update(buffer[:count])
            size_bytes += count
            proceed()
    return size_bytes, hashed.hexdigest()
