"""`documents.parquet`: the columns of `documents.jsonl` with their types, in row groups of a bounded size.

Written through pyarrow (the extra `parquet`) with fixed settings, so that one version of it gives the same
bytes for the same rows. Pages have checksums, which readers may check. What was meant to be written is
hashed value by value for each row group, and compared with the values that the file gives back.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.export.formats.port import Format, Line, Tally, Writer, mismatch
from tui_scraper.engine.export.formats.sink import WRITE_BYTES, Sink, hash_file
from tui_scraper.engine.export.manifest import ExportedFile
from tui_scraper.engine.export.row import Row

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS = 10_000
_GROUP_CHARS = 16_000_000
"""Of text in a row group, with its chunks; a single document may have more. Memory is a few times that."""
_ROW_CHARS = 400
"""What a row counts for beside its text."""
_REPEATED = ("media_type", "status", "language", "label", "method", "model", "labels.list.element")
"""Columns with few different values."""
_WITH_STATISTICS = ("path", "id", "size", "modified", "status", "media_type", "language", "label")
"""Columns one filters by: readers skip row groups without reading them."""


class Parquet(Format):
    """Apache Parquet."""

    name = "parquet"
    file = "documents.parquet"

    def refusal(self) -> str:
        """Whether pyarrow is missing."""
        if importlib.util.find_spec("pyarrow") is not None:
            return ""
        return (
            "Parquet files are written with pyarrow, which is not installed: "
            "pip install 'tui-scraper[parquet]'."
        )

    def writer(self, directory: Path, before: Path) -> ParquetWriter:
        """A writer; the whole file is made anew."""
        return ParquetWriter(directory / self.file)

    def tally(self, directory: Path, proceed: Callable[[], None]) -> Tally:
        """Count the rows of a finished file."""
        tally = Tally()
        for batch in _row_groups(directory / self.file, ["status", "chunks.list.element.ordinal"]):
            tally += _tally(batch)
            proceed()
        return tally


class ParquetWriter(Writer):
    """Gathers rows and writes them a row group at a time."""

    def __init__(self, path: Path) -> None:
        from pyarrow.parquet import ParquetWriter as Writing

        self._rows: list[Row] = []
        self._chars = self._count = 0
        self._groups: list[bytes] = []
        self._sink = Sink(path)
        self._out = _Out(self._sink)
        self._writing: Any = Writing(
            self._out,
            _schema(),
            version="2.6",
            compression="zstd",
            compression_level=3,
            use_dictionary=list(_REPEATED),
            write_statistics=list(_WITH_STATISTICS),
            write_page_checksum=True,
        )
        self._written: ExportedFile | None = None

    def add(self, line: Line) -> None:
        """Take a row."""
        row = line.row
        self._rows.append(row)
        self._chars += _ROW_CHARS + 2 * len(row.text or "")
        if len(self._rows) >= _GROUP_ROWS or self._chars >= _GROUP_CHARS:
            self._flush()

    def finish(self) -> ExportedFile:
        """Write the last row group and the footer."""
        self._flush()
        self._writing.close()
        self._out.flush()
        size_bytes, sha256 = self._sink.finish()
        self._written = ExportedFile(self._sink.path.name, "parquet", self._count, size_bytes, sha256)
        return self._written

    def sync(self) -> None:
        """Make it durable."""
        self._sink.sync()

    def check(self, total: Tally, proceed: Callable[[], None]) -> None:
        """Read every value back."""
        assert self._written is not None
        path = self._sink.path
        found = Tally()
        groups: list[bytes] = []
        try:
            for batch in _row_groups(path):
                found += _tally(batch)
                groups.append(_digest(batch))
                proceed()
        except ValueError as error:
            raise StoreError(
                f"{path.name}: row group {len(groups) + 1} of the export is not valid ({error})."
            ) from error
        same_values = (found, groups) == (total, self._groups)
        if not same_values or hash_file(path, proceed) != (self._written.size_bytes, self._written.sha256):
            raise StoreError(mismatch(path.name, f"{found.rows} rows", f"{total.rows}"))

    def close(self) -> None:
        """Let go of the file."""
        if self._writing.is_open:  # what was begun is given up, so its footer goes nowhere
            self._out.drop()
            self._writing.close()
        self._sink.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        batch = _batch(self._rows)
        self._groups.append(_digest(batch))
        self._count += len(self._rows)
        self._rows, self._chars = [], 0
        self._writing.write_batch(batch, row_group_size=max(1, len(batch)))


class _Out:
    """What pyarrow takes for a file."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._dropped = False

    def write(self, data: bytes) -> int:
        if not self._dropped:
            self._buffer += data
            if len(self._buffer) >= WRITE_BYTES:
                self.flush()
        return len(data)

    def flush(self) -> None:
        if not self._dropped:
            self._sink.put(self._buffer)
            self._buffer = bytearray()

    def drop(self) -> None:
        self._dropped = True

    def close(self) -> None:
        """The file is closed by its owner."""


@functools.cache
def _schema() -> pa.Schema:
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    error = pa.struct([("phase", text), ("cause", text), ("message", text)])
    chunk = pa.struct(
        [
            ("ordinal", pa.int32()),
            ("start", number),
            ("end", number),
            ("tokens", pa.int32()),
            ("heading", text),
            ("text", text),
        ]
    )
    link = pa.struct([("target", text), ("kind", text)])
    return pa.schema(
        [
            ("path", text),
            ("path_bytes", text),
            ("parent", text),
            ("id", text),
            ("content_hash", text),
            ("media_type", text),
            ("size", number),
            ("modified", pa.timestamp("us", tz="UTC")),
            ("status", text),
            ("error", error),
            ("title", text),
            ("language", text),
            ("text", text),
            ("chunks", pa.list_(chunk)),
            ("label", text),
            ("labels", pa.list_(text)),
            ("confidence", pa.float64()),
            ("method", text),
            ("model", text),
            ("tokens_in", number),
            ("tokens_out", number),
            ("cost_usd", pa.float64()),
            ("duplicate_of", text),
            ("near_duplicate_of", text),
            ("links", pa.list_(link)),
            ("truncated", pa.bool_()),
            ("members", number),
        ]
    )


def _batch(rows: Sequence[Row]) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [_column([getattr(row, field.name) for row in rows], field.type) for field in _schema()]
    return pa.RecordBatch.from_arrays(columns, schema=_schema())


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An array of some type. Structures are taken apart here, much faster than pyarrow takes them."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        offsets = pa.array(accumulate(map(len, values), initial=0), pa.int32())
        flat = _column([one for value in values for one in value], kind.value_type)
        return pa.ListArray.from_arrays(offsets, flat, type=kind)
    if pa.types.is_struct(kind):
        parts = [
            _column([None if value is None else getattr(value, field.name) for value in values], field.type)
            for field in kind
        ]
        mask = pa.array([value is None for value in values], pa.bool_())
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=mask)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array([None if value is msgspec.UNSET else value for value in values], kind)


def _row_groups(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The row groups of a file, one at a time. Raises ValueError where it is damaged."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path, page_checksum_verification=True, memory_map=False) as file:
            if file.schema_arrow != _schema():
                raise ValueError("it has other columns")
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=columns, use_threads=False)
                yield from table.combine_chunks().to_batches()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(str(error)) from error


def _tally(batch: pa.RecordBatch) -> Tally:
    tally = Tally(len(batch), len(batch.column("chunks").flatten()))
    for one in batch.column("status").value_counts().to_pylist():
        tally.counts[one["values"]] += one["counts"]
    return tally


def _digest(batch: pa.RecordBatch) -> bytes:
    """A hash of all values, whatever buffers they are in."""
    hashed = hashlib.sha256()
    for column in batch.columns:
        _hash_values(hashed.update, column)
    return hashed.digest()


def _hash_values(update: Callable[[Any], None], array: pa.Array) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    def put(numbers: pa.Array) -> None:
        update(np.ascontiguousarray(numbers.to_numpy(zero_copy_only=False)))

    update(len(array).to_bytes(8, "big"))
    put(array.is_valid())
    kind = array.type
    if pa.types.is_list(kind):
        put(pc.list_value_length(array).fill_null(-1))
        _hash_values(update, cast("pa.ListArray", array).flatten())
    elif pa.types.is_struct(kind):
        for part in cast("pa.StructArray", array).flatten():
            _hash_values(update, part)
    elif pa.types.is_string(kind):
        put(pc.binary_length(array).fill_null(-1))
        _validity, offsets, data = array.buffers()
        if data is not None and len(array):
            bounds = np.frombuffer(offsets, np.int32, len(array) + 1, 4 * array.offset)
            update(memoryview(data)[bounds[0] : bounds[-1]])
    elif pa.types.is_timestamp(kind):
        put(array.cast(pa.int64()).fill_null(0))
    elif pa.types.is_boolean(kind):
        put(array.fill_null(False))
    else:
        put(array.fill_null(0))


PARQUET = Parquet()
