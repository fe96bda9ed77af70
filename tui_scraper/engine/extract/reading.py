"""Reading one file: untrusted, perhaps huge, perhaps changing under our hands.

The bytes that are hashed are the bytes that are parsed, so a file is read once, whole, from one
descriptor, and the descriptor is looked at before and after. Opening never follows a link that
was not asked for and never waits for a pipe. Formats that nobody reads are recognised by their
first bytes, so that a film costs one small read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from blake3 import blake3 as hasher

from tui_scraper.engine.errors import DocumentError, too_large_sentence
from tui_scraper.engine.extract.detect import HEAD_BYTES, proven_format
from tui_scraper.engine.extract.media_types import unread
from tui_scraper.engine.models import Cause

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_PIECE_BYTES = 1 << 20
_ONE_READ_BYTES = 65_536  # up to here reading all costs no more than reading the head


@dataclass(frozen=True, slots=True)
class FileContent:
    """The content of a file, with its size and modification time as the open file had them."""

    data: bytes
    size_bytes: int
    mtime_ns: int


class OpenFile:
    """A regular file that is open for reading. What goes wrong is a DocumentError with a sentence."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError(Cause.READ_ERROR, f"This is {_kind(status.st_mode)}, not a regular file.")
        self.size_bytes = status.st_size
        self.mtime_ns = status.st_mtime_ns

    def head(self, max_size: int) -> bytes:
        """The first bytes: enough to know a format by, or all of a small file."""
        whole = self.size_bytes <= min(_ONE_READ_BYTES, max_size)
        return os.read(self.descriptor, self.size_bytes if whole else HEAD_BYTES)

    def whole(self, head: bytes) -> bytes:
        """Everything, after the head has been read."""
        os.lseek(self.descriptor, len(head), os.SEEK_SET)  # a look into `stream` has moved it
        data = head if len(head) >= self.size_bytes else _rest(self.descriptor, head, self.size_bytes)
        self.check_unchanged(len(data))
        return data

    def digest(self) -> bytes:
        """The hash of the whole file, read in pieces."""
        hashed = hasher()
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        size = 0
        while piece := os.read(self.descriptor, _PIECE_BYTES):
            hashed.update(piece)
            size += len(piece)
        self.check_unchanged(size)
        return hashed.digest(length=16)

    def stream(self) -> BinaryIO:
        """The file as a stream from its beginning, to be closed by the caller."""
        stream = os.fdopen(os.dup(self.descriptor), "rb")
        stream.seek(0)
        return stream

    def check_unchanged(self, size_read: int) -> None:
        """Raise DocumentError(CHANGED) where another program has written to the file meanwhile."""
        after = os.fstat(self.descriptor)
        if (size_read, after.st_size, after.st_mtime_ns) != (self.size_bytes, self.size_bytes, self.mtime_ns):
            raise DocumentError(Cause.CHANGED, "The file was changed by another program while it was read.")


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the system says into a DocumentError with a sentence: NO_PERMISSION, VANISHED, READ_ERROR."""
    try:
        yield
    except OSError as error:
        raise _explain(error) from None


@contextmanager
def open_file(path: bytes, follow_symlinks: bool) -> Iterator[OpenFile]:
    """Open a regular file. Errors of the system inside the block are explained, too.

    Raises DocumentError: NO_PERMISSION, VANISHED or READ_ERROR.
    """
    with explained():
        descriptor = os.open(path, _FLAGS if follow_symlinks else _FLAGS | os.O_NOFOLLOW)
        try:
            yield OpenFile(descriptor)
        finally:
            os.close(descriptor)


def read_file(
    path: bytes, max_size: int, follow_symlinks: bool, is_read: Callable[[str], bool]
) -> FileContent:
    """Read a regular file whole. `is_read` says whether anybody reads a media type.

    Raises DocumentError: NO_PERMISSION, VANISHED, TOO_LARGE, CHANGED, READ_ERROR, or UNSUPPORTED
    for a format that its first bytes show to be one that is not read.
    """
    with open_file(path, follow_symlinks) as file:
        head = file.head(max_size)
        refuse_unread(head, is_read)
        check_size(file.size_bytes, max_size)
        return FileContent(file.whole(head), file.size_bytes, file.mtime_ns)


def refuse_unread(head: bytes, is_read: Callable[[str], bool]) -> None:
    """Raise UnreadFormatError where the first bytes prove a format that nobody reads."""
    media_type = proven_format(head)
    if media_type is not None and not is_read(media_type):
        raise unread(media_type)


def check_size(size_bytes: int, limit_bytes: int) -> None:
    """Raise DocumentError(TOO_LARGE) for what is larger than the settings allow."""
    if size_bytes > limit_bytes:
        raise DocumentError(Cause.TOO_LARGE, too_large_sentence(size_bytes, limit_bytes))


def _rest(descriptor: int, head: bytes, size: int) -> bytes:
    pieces, missing = [head], size - len(head)
    while missing > 0:
        piece = os.read(descriptor, missing)
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a directory"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    return "a special file"


def _explain(error: OSError) -> DocumentError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
        return DocumentError(Cause.VANISHED, "The file is no longer there.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return DocumentError(
            Cause.NO_PERMISSION, "The file may not be read by this user (permission denied)."
        )
    if error.errno == errno.ELOOP:
        return DocumentError(Cause.READ_ERROR, "This is a symbolic link, and input.follow_symlinks is off.")
    if error.errno == errno.ENXIO:
        return DocumentError(Cause.READ_ERROR, "This is a socket or a pipe, not a regular file.")
    reason = os.strerror(error.errno) if error.errno else "unknown reason"
    return DocumentError(Cause.READ_ERROR, f"The file could not be read: {reason}.")
