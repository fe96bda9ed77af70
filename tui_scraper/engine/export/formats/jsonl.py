"""`documents.jsonl`: one JSON object for each document.

The hash is taken twice: of what was meant to be written, and of what the file gives back. New lines are
decoded with the types they were written from, and every chunk must be the slice of the text that its
offsets say. Lines carried over from an export before went through that when they were new, and come from
a file whose hash was the recorded one; for them the hash must do.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.export.formats.port import Format, Line, Tally, Writer, mismatch
from tui_scraper.engine.export.formats.sink import READ_BYTES, WRITE_BYTES, Sink, hash_file
from tui_scraper.engine.export.manifest import ExportedFile
from tui_scraper.engine.export.row import Row

_PROCEED_ROWS = 500


class _Counted(msgspec.Struct):
    status: str
    chunks: list[msgspec.Raw] = []


class Jsonl(Format):
    """JSON lines."""

    name = "jsonl"
    file = "documents.jsonl"

    def writer(self, directory: Path, before: Path) -> JsonlWriter:
        """A writer; what may be carried over comes with the lines."""
        return JsonlWriter(directory / self.file)

    def tally(self, directory: Path, proceed: Callable[[], None]) -> Tally:
        """Count the rows of a finished file."""
        decode = msgspec.json.Decoder(_Counted).decode
        tally = Tally()
        with open(directory / self.file, "rb") as lines:
            for line in lines:
                row = decode(line)
                tally.add(row.status, len(row.chunks))
                proceed()
        return tally


class JsonlWriter(Writer):
    """Writes rows, and lines carried over as they are.

    `_new` is about the rows made anew, the rest about the whole file. `_spans` says where they are: offsets
    of the start and the end, in turn.
    """

    def __init__(self, path: Path) -> None:
        self._encode = msgspec.json.Encoder().encode_into
        self._buffer = bytearray()
        self._flushed = self._rows = 0
        self._new = Tally()
        self._spans = array("q")
        self._sink = Sink(path)
        self._written: ExportedFile | None = None

    def add(self, line: Line) -> None:
        """Write a line."""
        self._rows += 1
        buffer = self._buffer
        if line.carried is not None:
            buffer += line.carried
        else:
            row, spans = line.row, self._spans
            start = self._flushed + len(buffer)
            self._encode(row, buffer, len(buffer))
            buffer += b"\n"
            self._new.add(row.status, len(row.chunks))
            if spans and spans[-1] == start:
                spans.pop()
            else:
                spans.append(start)
            spans.append(self._flushed + len(buffer))
        if len(buffer) >= WRITE_BYTES:
            self._flush()

    def finish(self) -> ExportedFile:
        """End the file."""
        self._flush()
        size_bytes, sha256 = self._sink.finish()
        self._written = ExportedFile(self._sink.path.name, "jsonl", self._rows, size_bytes, sha256)
        return self._written

    def sync(self) -> None:
        """Make it durable."""
        self._sink.sync()

    def check(self, total: Tally, proceed: Callable[[], None]) -> None:
        """Read the file back."""
        assert self._written is not None
        expected, path = self._written, self._sink.path
        new = self._check_new(proceed)
        size_bytes, sha256 = hash_file(path, proceed)
        if (new, size_bytes, sha256, total.rows) != (
            self._new,
            expected.size_bytes,
            expected.sha256,
            self._rows,
        ):
            raise StoreError(
                mismatch(
                    path.name,
                    f"{new.rows} new rows and {size_bytes} bytes",
                    f"{self._new.rows} and {expected.size_bytes}",
                )
            )

    def close(self) -> None:
        """Let go of the file."""
        self._sink.close()

    def _flush(self) -> None:
        self._flushed += len(self._buffer)
        self._sink.put(self._buffer)
        self._buffer = bytearray()

    def _check_new(self, proceed: Callable[[], None]) -> Tally:
        """Look at the new lines, in the order of the file."""
        new = Tally()
        decode = msgspec.json.Decoder(Row).decode
        before = b""
        name = self._sink.path.name
        with open(self._sink.path, "rb", buffering=READ_BYTES) as file:
            for start, end in zip(self._spans[::2], self._spans[1::2], strict=True):
                file.seek(start)
                while file.tell() < end:
                    number = new.rows + 1
                    try:
                        row = decode(file.readline())
                    except msgspec.MsgspecError as error:
                        raise StoreError(
                            f"{name}: new line {number} of the export is not valid ({error})."
                        ) from error
                    text = row.text or ""
                    for chunk in row.chunks:
                        if text[chunk.start : chunk.end] != chunk.text:
                            raise StoreError(
                                f"{name}: new line {number}: chunk {chunk.ordinal} is not what its "
                                "offsets say."
                            )
                    key = row.path.encode()
                    if row.path_bytes is msgspec.UNSET:
                        if key < before:
                            raise StoreError(f"{name}: new line {number} of the export is out of order.")
                        before = key
                    new.add(row.status, len(row.chunks))
                    if number % _PROCEED_ROWS == 0:
                        proceed()
        return new


JSONL = Jsonl()
