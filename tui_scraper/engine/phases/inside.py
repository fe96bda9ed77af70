"""Reading members: the way from a file into its containers, kept open from one member to the next.

The members of a container come to a worker together and in order, so the container that gave the last
one usually gives the next one as well; a compressed stream then only goes forward.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import BinaryIO

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Format
from tui_scraper.engine.extract.containers import ContainerReader
from tui_scraper.engine.extract.detect import HEAD_BYTES, detect, streamed_type
from tui_scraper.engine.extract.reading import explained, open_file
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import Settings

_OTHER = "The file around this one was changed since it was opened; the next run takes up what is in it now."


class Inside:
    """Gives members of containers to one worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: list[tuple[bytes, ContainerReader]] = []
        self._closing = contextlib.ExitStack()

    def read(self, path: bytes, inside: list[bytes]) -> bytes:
        """The bytes of the member that `inside` leads to, from the file at `path`.

        Raises DocumentError where it cannot be read, with CHANGED where it is not there any more.
        """
        names = [path, *inside[:-1]]
        with explained():
            if [name for name, _reader in self._open] != names:
                self._reopen(names)
            return self._open[-1][1].read(inside[-1])

    def close(self) -> None:
        """Let go of everything."""
        self._open.clear()
        self._closing.close()

    def _reopen(self, names: list[bytes]) -> None:
        kept = 0
        while kept < min(len(names), len(self._open)) and self._open[kept][0] == names[kept]:
            kept += 1
        if not kept:
            self.close()
            stream = self._closing.enter_context(self._file(names[0]))
            self._open.append((names[0], self._container(stream, names[0])))
            kept = 1
        del self._open[kept:]
        for name in names[kept:]:
            data = self._open[-1][1].read(name)
            self._open.append((name, self._container(io.BytesIO(data), name)))

    @contextlib.contextmanager
    def _file(self, path: bytes) -> Iterator[BinaryIO]:
        with open_file(path, self._settings.input.follow_symlinks) as file, file.stream() as stream:
            yield stream

    def _container(self, stream: BinaryIO, name: bytes) -> ContainerReader:
        size_bytes = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        head = stream.read(HEAD_BYTES)
        media_type = streamed_type(stream, head, size_bytes, name)
        if not media_type:
            stream.seek(0)
            media_type = detect(stream.read(self._settings.input.max_file_size), name)
        chosen: Format | None = registry().readers.get(media_type)
        if chosen is None or chosen.entries is None:
            raise DocumentError(Cause.CHANGED, _OTHER)
        stream.seek(0)
        base = name.rpartition(b"/")[2]
        return ContainerReader(chosen, stream, size_bytes, media_type, self._settings.clean, base)
