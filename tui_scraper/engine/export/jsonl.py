"""`documents.jsonl`: written while it is hashed, then read back and checked line by line.

The hash is taken twice: of what was meant to be written, and of what the file gives back. The lines
are decoded with the types they were written from, and every chunk must be the slice of the text that
its offsets say.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.export.rows import Row

_FLUSH_BYTES = 1_000_000
_READ_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Written:
    """What a file holds. `counts` is rows by status."""

    rows: int
    chunks: int
    counts: dict[str, int]
    size_bytes: int
    sha256: str


def write_jsonl(path: Path, rows: Iterable[Row], proceed: Callable[[int], None]) -> Written:
    """Write rows to a new file and make it durable.

    `proceed` is called with the number of rows now and then; what it raises ends the writing.
    """
    hashed = hashlib.sha256()
    counts: Counter[str] = Counter()
    encode = msgspec.json.Encoder().encode_into
    buffer = bytearray()
    number = chunks = size_bytes = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb", buffering=0) as file:

        def flush() -> None:
            nonlocal size_bytes
            hashed.update(buffer)
            size_bytes += len(buffer)
            with memoryview(buffer) as view:
                written = 0
                while written < len(view):
                    written += file.write(view[written:])
            buffer.clear()
            proceed(number)

        for row in rows:
            encode(row, buffer, len(buffer))
            buffer += b"\n"
            counts[row.status] += 1
            chunks += len(row.chunks)
            number += 1
            if len(buffer) >= _FLUSH_BYTES:
                flush()
        flush()
        os.fsync(descriptor)
    return Written(number, chunks, dict(sorted(counts.items())), size_bytes, hashed.hexdigest())


def check_jsonl(path: Path, expected: Written, proceed: Callable[[int], None]) -> None:
    """Read a file back. Raises StoreError where it is not what was written, or not sound."""
    hashed = hashlib.sha256()
    counts: Counter[str] = Counter()
    decode = msgspec.json.Decoder(Row).decode
    number = chunks = size_bytes = 0
    before = b""
    for block in _blocks(path):
        hashed.update(block)
        size_bytes += len(block)
        for line in block.splitlines():
            number += 1
            try:
                row = decode(line)
            except msgspec.MsgspecError as error:
                raise StoreError(
                    f"{path.name}: line {number} of the export is not valid ({error})."
                ) from error
            text = row.text or ""
            for chunk in row.chunks:
                if text[chunk.start : chunk.end] != chunk.text:
                    raise StoreError(
                        f"{path.name}: line {number}: chunk {chunk.ordinal} is not what its offsets say."
                    )
            key = row.path.encode()
            if row.path_bytes is msgspec.UNSET:
                if key < before:
                    raise StoreError(f"{path.name}: line {number} of the export is out of order.")
                before = key
            counts[row.status] += 1
            chunks += len(row.chunks)
        proceed(number)
    found = Written(number, chunks, dict(sorted(counts.items())), size_bytes, hashed.hexdigest())
    if found != expected:
        raise StoreError(
            f"{path.name}: reading the export back gave {found.rows} rows and {found.size_bytes} bytes, "
            f"not the {expected.rows} and {expected.size_bytes} that were written, or other contents. "
            "The disk may be failing; the export before is unchanged."
        )


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in pieces that end with a line."""
    with open(path, "rb", buffering=0) as file:
        rest: list[bytes] = []
        while data := file.read(_READ_BYTES):
            cut = data.rfind(b"\n") + 1
            if not cut:
                rest.append(data)
                continue
            yield b"".join([*rest, data[:cut]]) if rest else data[:cut]
            rest = [data[cut:]] if cut < len(data) else []
        if rest:
            yield b"".join(rest)
