"""The files of the search index as they lie on the disk: which make it up, and whether they are whole.

Tantivy ends every file of a segment with a footer: JSON with the CRC-32 of all that comes before, the length
of that JSON, and a magic number (https://docs.rs/tantivy, `directory::footer`). It does not look at the
checksum when it opens a segment. `meta.json` lists the segments and has none. Nothing here loads the library.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.store.codec import digest

INDEX_DIR = "index"
VECTORS_FOLDER = "vectors"
META_FILE = "meta.json"
_PARTS = ("term", "idx", "pos", "fast", "fieldnorm", "store")
_MAGIC = 1337
_TAIL_BYTES = 512
_BLOCK_BYTES = 1 << 20


class DamagedVectorsError(StoreError):
    """The files cannot be read. They are derived data: the next run makes them again, without paying."""


def segment_files(directory: Path) -> list[Path]:
    """The files that an index consists of besides `meta.json`, whether or not they are there.

    Raises ValueError where `meta.json` cannot be understood, OSError where it cannot be read.
    """
    meta: Any = json.loads((directory / META_FILE).read_bytes())
    try:
        files = []
        for segment in meta["segments"]:
            name = segment["segment_id"].replace("-", "")
            files += [directory / f"{name}.{part}" for part in _PARTS]
            if segment["deletes"] is not None:
                files.append(directory / f"{name}.{segment['deletes']['opstamp']}.del")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{META_FILE} is not as it is written") from error
    return files


def index_mark(directory: Path) -> str:
    """As `read_mark`; '' where there is no index or it cannot be read."""
    try:
        return read_mark(directory)
    except (OSError, ValueError):
        return ""


def read_mark(directory: Path) -> str:
    """What tells this state of an index from any other.

    The files of segments never change, so their sizes and ends stand for them. Raises as `segment_files`.
    """
    parts = [(directory / META_FILE).read_bytes()]
    for path in segment_files(directory):
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            parts.append(b"%s %d %s" % (os.fsencode(path.name), size, file.read()))
    return digest(b"\0".join(parts)).hex()


def damaged_files(directory: Path, proceed: Callable[[int], None]) -> Iterator[tuple[str, str]]:
    """Read the whole index. Yields the name of each file that is not whole, with what is wrong.

    `proceed` is called with the bytes read each time.
    """
    try:
        files = segment_files(directory)
    except (OSError, ValueError) as error:
        yield META_FILE, f"it cannot be read ({error})"
        return
    for path in files:
        wrong = _wrong(path, proceed)
        if wrong:
            yield path.name, wrong


def _wrong(path: Path, proceed: Callable[[int], None]) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            footer = _footer(file.read())
            if footer is None:
                return "its end is missing or damaged"
            length, wanted = footer
            file.seek(0)
            left, found = size - length, 0
            while left > 0:
                block = file.read(min(_BLOCK_BYTES, left))
                if not block:
                    break
                found = zlib.crc32(block, found)
                left -= len(block)
                proceed(len(block))
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "" if found == wanted else "its checksum does not match"


def _footer(tail: bytes) -> tuple[int, int] | None:
    """(Bytes of the footer with its length and magic number, checksum of what is before it)."""
    if int.from_bytes(tail[-4:], "little") != _MAGIC:
        return None
    length = int.from_bytes(tail[-8:-4], "little")
    try:
        crc = json.loads(tail[-8 - length : -8])["crc"]
    except (ValueError, TypeError, KeyError):
        return None
    return (length + 8, crc) if isinstance(crc, int) else None
