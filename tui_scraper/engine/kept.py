"""Files of a workspace that hold, in columns of numbers, what takes long to work out from its documents.

They are derived: one is used only where its hash is that of its content and it was made from exactly what is
wanted now, by this version of the program unless any will do. Anything else is as if there were none.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import apsw
import msgspec
import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from tui_scraper import __version__
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.fingerprint import read_fingerprint
from tui_scraper.engine.store.head import Head

T = TypeVar("T")
Columns = dict[str, NDArray[Any]]

_UNFINISHED_KEPT_S = 86_400
_FORMAT = 2
_HASH_BYTES = 32
_SIZE = struct.Struct("<Q")
_LARGEST_BYTES = 4_000_000_000
_LARGEST_START_BYTES = 1_000_000


class _Start(msgspec.Struct, array_like=True):
    """What a file begins with below the hash. The columns follow, of `sizes_bytes`."""

    made_from: str
    sizes_bytes: list[int]


def made_from(**what: object) -> str:
    """What something was made from, as it is compared: with the version of the program that made it."""
    return made_by_any(program=__version__, **what)


def made_by_any(**what: object) -> str:
    """The same for what every version of the program makes alike, or says by a version of its own."""
    return msgspec.json.encode({"format": _FORMAT} | what, order="sorted").decode()


def documents_at(state: apsw.Connection, head: Head) -> dict[str, object]:
    """The part of `made_from` that says which documents, with which texts, the head holds.

    Chunks, labels and an index change none of them.
    """
    return asdict(read_fingerprint(state, head, through=PhaseName.CLEAN))


class KeptFile(Generic[T]):
    """One such file: its name, the columns with their types in order, and what is made of them.

    The last one that was read stays in memory, for who asks again and again.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Any],
        decode: Callable[[Columns], T],
        *,
        remembered: bool = True,
    ) -> None:
        self.name = name
        self.columns = columns
        self._decode = decode
        self._remembered = remembered
        self._magic = f"tui-scraper {name}\n".encode()
        self._unfinished = f".{name.partition('.')[0]}-"
        self._last: tuple[tuple[int, ...], str, T] | None = None

    def read(self, directory: Path, wanted: str) -> T | None:
        """What is kept, if it was made from what is `wanted`. Takes a second for 150 MB."""
        try:
            descriptor = os.open(
                directory / self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
            with open(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_BYTES:
                    return None
                mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
                last = self._last
                if last is not None and last[:2] == (mark, wanted):
                    return last[2]
                if not self._is_from(file, wanted):  # before hundreds of megabytes are read for nothing
                    return None
                data = file.read()
        except OSError:
            return None
        columns = self._unpacked(data)
        if columns is None:
            return None
        found = self._decode(columns)
        if self._remembered:
            self._last = (mark, wanted, found)
        return found

    def forget(self) -> None:
        """Let go of the one in memory."""
        self._last = None

    def _is_from(self, file: BinaryIO, wanted: str) -> bool:
        """Whether a file says that it was made from what is wanted. It is left at its beginning."""
        magic = file.read(len(self._magic) + _HASH_BYTES)
        begin = file.read(_SIZE.size)
        if not magic.startswith(self._magic) or len(begin) < _SIZE.size:
            return False
        (size,) = _SIZE.unpack(begin)
        if size > _LARGEST_START_BYTES:
            return False
        try:
            start = msgspec.msgpack.decode(file.read(size), type=_Start)
        except msgspec.MsgspecError:
            return False
        file.seek(0)
        return start.made_from == wanted

    def _unpacked(self, data: bytes) -> Columns | None:
        at = len(self._magic) + _HASH_BYTES
        body = memoryview(data)[at:]
        if not data.startswith(self._magic) or blake3(body).digest() != data[len(self._magic) : at]:
            return None
        try:
            (size,) = _SIZE.unpack_from(body)
            start = msgspec.msgpack.decode(body[_SIZE.size : _SIZE.size + size], type=_Start)
            ends = list(itertools.accumulate(start.sizes_bytes, initial=_SIZE.size + size))
            parts = [body[begin:end] for begin, end in itertools.pairwise(ends)]
            return {
                name: np.frombuffer(part, kind)
                for (name, kind), part in zip(self.columns.items(), parts, strict=True)
            }
        except (msgspec.MsgspecError, struct.error, ValueError):
            return None

    def keep(self, directory: Path, made: str, columns: Mapping[str, NDArray[Any]]) -> None:
        """Put the file in place at once and whole; readable for its owner alone. Raises OSError.

        What is larger than could be read again is not kept.
        """
        parts = [
            np.ascontiguousarray(columns[name], kind).reshape(-1).view(np.uint8).data
            for name, kind in self.columns.items()
        ]
        sizes = [part.nbytes for part in parts]
        if sum(sizes) >= _LARGEST_BYTES:
            return
        start = msgspec.msgpack.encode(_Start(made, sizes))
        pieces: list[bytes | memoryview] = [_SIZE.pack(len(start)), start, *parts]
        hashed = blake3()
        for piece in pieces:
            hashed.update(piece)
        self._clear_unfinished(directory)
        descriptor, name = tempfile.mkstemp(prefix=self._unfinished, dir=directory)  # mode 0600
        try:
            with open(descriptor, "wb") as file:
                for piece in (self._magic, hashed.digest(), *pieces):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, directory / self.name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def _clear_unfinished(self, directory: Path) -> None:
        """Take away what a program that was killed has left."""
        for path in directory.glob(f"{self._unfinished}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_mtime > _UNFINISHED_KEPT_S:
                    path.unlink()
