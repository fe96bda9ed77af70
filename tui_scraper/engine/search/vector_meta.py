"""What the files of vectors are and how much of them counts: `meta.json`, and nothing that needs numpy."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tui_scraper.engine import disk
from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.search.segments import VECTORS_FOLDER as FOLDER
from tui_scraper.engine.search.segments import DamagedVectorsError

META_FILE = "meta.json"
NAMES = ("signs", "values", "rows")
_ROW_BYTES = 16
_WORD_BITS = 64


class Meta(msgspec.Struct, frozen=True):
    """What `meta.json` says. `part` is the ending of the files that count, `sums` the CRC-32 of each."""

    dimensions: int
    rows: int
    part: int
    sums: tuple[int, int, int]


def folder_of(workspace: Path, space: bytes) -> Path:
    """Where the vectors of a space are."""
    return workspace / FOLDER / space.hex()


def rows_in(workspace: Path, space: bytes) -> int:
    """How many vectors the files of a space have; 0 where there are none or they are damaged."""
    directory = folder_of(workspace, space)
    try:
        meta = read_meta(directory)
        return meta.rows if meta is not None and are_whole(directory, meta) else 0
    except DamagedVectorsError:
        return 0


def words_of(dimensions: int) -> int:
    """64-bit words that the signs of a vector take."""
    return -(-dimensions // _WORD_BITS)


def sizes_of(meta: Meta) -> tuple[int, int, int]:
    """Bytes of the three files that count."""
    return meta.rows * words_of(meta.dimensions) * 8, meta.rows * meta.dimensions, meta.rows * _ROW_BYTES


def read_meta(directory: Path) -> Meta | None:
    """What is written there; None where nothing is. Raises DamagedVectorsError."""
    try:
        meta = msgspec.json.decode((directory / META_FILE).read_bytes(), type=Meta)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeError, OSError) as error:
        raise DamagedVectorsError(
            f"{directory / META_FILE}: this file cannot be read. The next run makes the files of the vectors "
            "again, without paying."
        ) from error
    if meta.rows < 0 or not 0 < meta.dimensions <= 1 << 16:
        raise DamagedVectorsError(f"{directory / META_FILE}: this is not what was written there.")
    return meta


def write_meta(directory: Path, meta: Meta) -> None:
    """Write it so that it is there whole or not at all, and durable."""
    path, new = directory / META_FILE, directory / f"{META_FILE}.new"
    with new.open("wb") as file:
        file.write(msgspec.json.encode(meta))
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    for folder in (directory, directory.parent, directory.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def are_whole(directory: Path, meta: Meta) -> bool:
    """Whether the files are there, as long as they must be at least."""
    try:
        return all(
            (directory / f"{name}.{meta.part}").stat().st_size >= size
            for name, size in zip(NAMES, sizes_of(meta), strict=True)
        )
    except OSError:
        return False


@contextlib.contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in disk.REFUSALS:
            raise disk.refusal(directory, error.errno) from error
        raise StoreError(f"{directory}: the vectors cannot be read or written ({error.strerror}).") from error
