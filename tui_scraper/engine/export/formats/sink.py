"""A file of an export under way: hashed while it is written, made durable, and hashed again from the disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

READ_BYTES = 1_048_576
"""Read at once. More is slower: it no longer stays in the processor's cache until it is hashed."""
WRITE_BYTES = 4_000_000
"""Handed over at once."""
_SYNC_BYTES = 8_000_000
"""The disk is asked to take what has been written this often, so that little is left for the end."""


class Sink:
    """Makes a file: hashes and writes what is put into it, beside whoever makes that and beside the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115
        self._threads = ThreadPoolExecutor(2, "export-file")
        self._writing: Future[None] | None = None
        self._syncing: Future[None] | None = None
        self._hashed = hashlib.sha256()
        self._size_bytes = self._synced_bytes = 0

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

    def sync(self) -> None:
        """Wait until the disk has everything."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file; what is being written is written first."""
        self._threads.shutdown()
        self._file.close()

    def _write(self, data: bytearray) -> None:
        self._hashed.update(data)
        with memoryview(data) as view:
            written = 0
            while written < len(view):
                written += self._file.write(view[written:])
        self._size_bytes += len(data)


def hash_file(path: Path, proceed: Callable[[], None]) -> tuple[int, str]:
    """The bytes of a file and their SHA-256, as the disk gives them back."""
    hashed = hashlib.sha256()
    size_bytes = 0
    buffer = memoryview(bytearray(READ_BYTES))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hashed.update(buffer[:count])
            size_bytes += count
            proceed()
    return size_bytes, hashed.hexdigest()
