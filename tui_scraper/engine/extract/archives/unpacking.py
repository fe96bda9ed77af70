"""Compressed data, unpacked piece by piece as it is asked for.

The decompressors of the standard library are fed by hand rather than through their file objects: a
piece never grows beyond what was asked for, what comes before the damage is kept, and what follows a
complete stream (padding, a signature, rubbish) does no harm.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Final, Protocol

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.models import Cause

MAX_DICTIONARY_BYTES: Final = 256 << 20
"""Memory that a decompressor may take for what it looks back on; `xz -9` and `7z -mx=9` use 64 MB."""

_READ_BYTES = 1 << 14
_ZSTD_FEED_BYTES = 1 << 10
_ZSTD_WINDOW_BYTES = 128 << 20  # what the zstd program itself accepts without --long
_LZMA2_CHUNK = 1 << 16

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)  # what decompressors raise


class Source(Protocol):
    """Bytes from the front to the back: at most `size` of them at a time, b'' at the end."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        ...


class Seekable(Source, Protocol):
    """A file, open for reading."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset."""
        ...


class Decompressor(Protocol):
    """The common face of the standard library's decompressors (`bz2`, `lzma`)."""

    @property
    def eof(self) -> bool: ...  # noqa: D102

    @property
    def needs_input(self) -> bool: ...  # noqa: D102

    @property
    def unused_data(self) -> bytes: ...  # noqa: D102

    def decompress(self, data: bytes, max_length: int) -> bytes: ...  # noqa: D102


class Window:
    """A stretch of a file as a source of its own. Several may take turns on one file."""

    def __init__(self, stream: Seekable, start: int, size: int) -> None:
        self._stream = stream
        self.position = start
        self._end = start + size

    def read(self, size: int, /) -> bytes:
        """The next bytes of the stretch."""
        size = min(size, self._end - self.position)
        if size <= 0:
            return b""
        self._stream.seek(self.position)
        piece = self._stream.read(size)
        self.position += len(piece)
        return piece


class Inflate:
    """zlib behind the face of the other decompressors. `wbits` is 31 for gzip, -15 for bare deflate."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Whether the stream is complete."""
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        """Whether nothing of the input is left."""
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What follows the stream."""
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes out of the data and of what was left before."""
        tail = self._inner.unconsumed_tail
        return self._inner.decompress(tail + data if tail else data, max_length)


class Unpacked:
    """A source of unpacked bytes. `name` is what people call what is unpacked ('gzip file').

    What begins with `more` behind a complete stream is another one, of the same whole. `endless` streams
    do not mark their end: it is where the input ends, or where `size` bytes are out. An error is raised
    again at every further reading.

    Raises DocumentError: CORRUPT or TOO_LARGE.
    """

    def __init__(
        self,
        source: Source,
        start: Callable[[], Decompressor],
        name: str,
        *,
        more: tuple[bytes, ...] = (),
        endless: bool = False,
        size: int = -1,
    ) -> None:
        self._source = source
        self._start = start
        self._name = name
        self._more = more
        self._endless = endless
        self._left = size
        self._decompressor: Decompressor | None = None
        self._rest = b""
        self._ended = False
        self._error: DocumentError | None = None

    def read(self, size: int, /) -> bytes:
        """The next unpacked bytes."""
        if self._error is not None:
            raise self._error
        try:
            return self._read(size)
        except DocumentError as error:
            self._error = error
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno:
                raise  # the disk's, not the decompressor's
            self._error = _explain(error, self._name)
        raise self._error

    @property
    def unused(self) -> bytes:
        """What was read behind the end of the stream."""
        return self._rest

    def _read(self, size: int) -> bytes:
        if self._left >= 0:
            size = min(size, self._left)
        while size and not self._ended:
            if self._decompressor is None:
                self._decompressor = self._start()
            data = b""
            if self._decompressor.needs_input:
                data, self._rest = self._rest or self._source.read(_READ_BYTES), b""
                if not data:
                    self._ended = True
                    if self._endless:
                        break
                    raise damaged(self._name, "its end is missing")
            piece = self._decompressor.decompress(data, size)
            if self._decompressor.eof:
                self._finish(self._decompressor.unused_data)
            if piece:
                self._left -= len(piece) if self._left >= 0 else 0
                return piece
        return b""

    def _finish(self, unused: bytes) -> None:
        self._decompressor = None
        self._rest = unused if len(unused) > _READ_BYTES // 2 else unused + self._source.read(_READ_BYTES)
        next_one = self._rest.lstrip(b"\0") if self._more else b""  # zeros fill up blocks
        self._ended = not next_one.startswith(self._more)
        if not self._ended:
            self._rest = next_one


class Zstd:
    """Zstandard behind the face of the other decompressors.

    The library has no bound on what comes out, four bytes may ask for 128 KB: it is fed a little at a time
    and what it gives is held here.
    """

    def __init__(self) -> None:
        import zstandard

        self._broken = zstandard.ZstdError
        self._inner = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
        self._input = b""
        self._fed = 0
        self._held = b""
        self._given = 0

    @property
    def eof(self) -> bool:
        """Whether the frame is complete."""
        return self._inner.eof and self._given == len(self._held)

    @property
    def needs_input(self) -> bool:
        """Whether nothing of the input is left."""
        return self._given == len(self._held) and self._fed >= len(self._input)

    @property
    def unused_data(self) -> bytes:
        """What follows the frame."""
        return self._inner.unused_data + self._input[self._fed :]

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes out of the data and of what was left before."""
        if data:
            self._input, self._fed = data, 0
        if self._given == len(self._held):
            taken = self._input[self._fed : self._fed + _ZSTD_FEED_BYTES]
            self._fed += len(taken)
            try:
                self._held, self._given = self._inner.decompress(taken), 0
            except self._broken as error:
                raise ValueError(str(error)) from None
        piece = self._held[self._given : self._given + max_length]
        self._given += len(piece)
        return piece


class Filtered:
    """Bytes changed back by a filter of liblzma (Delta, or BCJ for branches in machine code).

    liblzma applies filters only in front of a compressor. So what comes in is laid into chunks of LZMA2
    that hold it as it is, which costs three bytes in 65,536 and hardly any time.
    """

    def __init__(self, source: Source, chosen: dict[str, int]) -> None:
        self._source = source
        self._decoder = lzma.LZMADecompressor(
            lzma.FORMAT_RAW, filters=[chosen, {"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
        )
        self._mark = b"\x01"  # a chunk as it is, that starts anew; the others (2) go on

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        while not self._decoder.eof:
            if changed := self._decoder.decompress(self._chunk() if self._decoder.needs_input else b"", size):
                return changed
        return b""

    def _chunk(self) -> bytes:
        piece = self._source.read(_LZMA2_CHUNK)
        if not piece:
            return b"\x00"
        mark, self._mark = self._mark, b"\x02"
        return mark + (len(piece) - 1).to_bytes(2, "big") + piece


def unpacked_gzip(source: Source, name: str) -> Unpacked:
    """The content of a gzip file, of all its members."""
    return Unpacked(source, lambda: Inflate(31), name, more=(b"\x1f\x8b\x08",))


def unpacked_bzip2(source: Source, name: str) -> Unpacked:
    """The content of a bzip2 file, of all its streams."""
    return Unpacked(source, bz2.BZ2Decompressor, name, more=(b"BZh",))


def unpacked_xz(source: Source, name: str) -> Unpacked:
    """The content of an xz file, of all its streams."""
    return Unpacked(source, lambda: _lzma(lzma.FORMAT_XZ), name, more=(b"\xfd7zXZ\0",))


def unpacked_zstd(source: Source, name: str) -> Unpacked:
    """The content of a Zstandard file, of all its frames."""
    return Unpacked(source, Zstd, name, more=(b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"))


def unpacked_lzma_file(source: Source, name: str) -> Unpacked:
    """The content of a .lzma file."""
    return Unpacked(source, lambda: _lzma(lzma.FORMAT_ALONE), name)


def unpacked_lzma(source: Source, properties: bytes, size: int, name: str) -> Unpacked:
    """Bare LZMA data with five bytes of properties, which says nothing of its end: `size` bytes come out."""
    first = properties[0] if len(properties) >= 5 else 255
    if first >= 9 * 5 * 5:
        raise damaged(name, "what is packed in it cannot be unpacked")
    chosen = {
        "id": lzma.FILTER_LZMA1,
        "lc": first % 9,
        "lp": first // 9 % 5,
        "pb": first // 45,
        "dict_size": _dictionary(int.from_bytes(properties[1:5], "little"), size, name),
    }
    return Unpacked(source, lambda: _raw(chosen), name, endless=True, size=size)


def unpacked_lzma2(source: Source, properties: bytes, size: int, name: str) -> Unpacked:
    """Bare LZMA2 data with its one byte of properties. `size` is said to come out."""
    power = properties[0] if properties else 255
    if power > 40:
        raise damaged(name, "what is packed in it cannot be unpacked")
    wanted = (1 << 32) - 1 if power == 40 else (2 | power & 1) << (power // 2 + 11)
    chosen = {"id": lzma.FILTER_LZMA2, "dict_size": _dictionary(wanted, size, name)}
    return Unpacked(source, lambda: _raw(chosen), name)


def _dictionary(wanted: int, size: int, name: str) -> int:
    """Nobody looks back further than to the beginning, whatever size is declared."""
    needed = max(4096, min(wanted, size))
    if needed > MAX_DICTIONARY_BYTES:
        raise _too_hungry(name)
    return needed


def _lzma(container: int) -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(container, memlimit=MAX_DICTIONARY_BYTES + (1 << 20))


def _raw(chosen: dict[str, int]) -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chosen])


def _explain(error: Exception, name: str) -> DocumentError:
    reason = str(error).lower()
    if "limit" in reason or "too much memory" in reason:  # the words of liblzma and of Zstandard
        return _too_hungry(name)
    return damaged(name, "what is packed in it cannot be unpacked")


def _too_hungry(name: str) -> DocumentError:
    return DocumentError(
        Cause.TOO_LARGE, f"Unpacking the {name} takes more memory than this program gives to it."
    )


def damaged(name: str, how: str) -> DocumentError:
    """The error of something that is damaged: 'The gzip file is damaged: its end is missing.'."""
    return DocumentError(Cause.CORRUPT, f"The {name} is damaged: {how}.")
