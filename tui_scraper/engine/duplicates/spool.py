"""Signatures that workers make along with texts, until a pass has all documents and compares them."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tui_scraper.engine.wire import SIGNATURE_BYTES

if TYPE_CHECKING:
    from tui_scraper.engine.duplicates.reading import Signed

_KEY_BYTES = 8
_ROW_BYTES = _KEY_BYTES + SIGNATURE_BYTES
_HELD_BYTES = 1_000_000
_BLOCK_ROWS = 20_000


class Spool:
    """They go into a file without a name, so that memory does not grow with them and none is left behind.

    Where the disk refuses it, what is not in it is signed when it is compared. Filled in one event loop.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held = bytearray()
        self._file: BinaryIO | None = None
        self._refused = False
        self._writing = asyncio.Lock()

    async def add(self, signed: Iterable[tuple[bytes, bytes]]) -> None:
        """Take texts, as their hashes, with their signatures."""
        for output, signature in signed:
            if len(signature) == SIGNATURE_BYTES and len(output) >= _KEY_BYTES:  # it is a worker's word
                self._held += output[:_KEY_BYTES] + signature
        if len(self._held) > _HELD_BYTES:
            held, self._held = self._held, bytearray()
            async with self._writing:
                await asyncio.to_thread(self._write, held)

    def read(self) -> Iterator[Signed]:
        """All of them, some at a time; in any thread, once no more are added."""
        if self._file is not None:
            try:
                self._file.seek(0)
                while data := self._file.read(_BLOCK_ROWS * _ROW_BYTES):
                    yield _signed(data)
            except OSError:
                pass  # what is missing is signed anew
        if self._held:
            yield _signed(self._held)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _write(self, held: bytearray) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115
            if not self._refused:
                self._file.write(held)
        except OSError:
            self._refused = True  # the last row may be cut short, so that none may follow


def _signed(data: bytes | bytearray) -> Signed:
    """Whole rows only."""
    import numpy as np

    from tui_scraper.engine.duplicates.reading import Signed

    rows = np.frombuffer(data, np.uint8, len(data) // _ROW_BYTES * _ROW_BYTES).reshape(-1, _ROW_BYTES)
    keys, matrix = rows[:, :_KEY_BYTES], rows[:, _KEY_BYTES:]
    return Signed(
        np.ascontiguousarray(keys).view(">u8").reshape(-1).astype(np.uint64),
        np.ascontiguousarray(matrix).view("<u2"),
    )
