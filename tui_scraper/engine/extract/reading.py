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
from collections.abc import Callable
from dataclasses import dataclass

from tui_scraper.engine.errors import DocumentError, too_large_sentence
from tui_scraper.engine.extract.detect import HEAD_BYTES, proven_format
from tui_scraper.engine.extract.media_types import unread
from tui_scraper.engine.models import Cause

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_ONE_READ_BYTES = 65_536  # up to here reading all costs no more than reading the head


@dataclass(frozen=True, slots=True)
class FileContent:
    """The content of a file, with its size and modification time as the open file had them."""

    data: bytes
    size_bytes: int
    mtime_ns: int


def read_file(
    path: bytes, max_size: int, follow_symlinks: bool, is_read: Callable[[str], bool]
) -> FileContent:
    """Read a regular file whole. `is_read` says whether anybody reads a media type.

    Raises DocumentError: NO_PERMISSION, VANISHED, TOO_LARGE, CHANGED, READ_ERROR, or UNSUPPORTED
    for a format that its first bytes show to be one that is not read.
    """
    try:
        descriptor = os.open(path, _FLAGS if follow_symlinks else _FLAGS | os.O_NOFOLLOW)
    except OSError as error:
        raise _explain(error) from None
    try:
        return _read(descriptor, max_size, is_read)
    except OSError as error:
        raise _explain(error) from None
    finally:
        os.close(descriptor)


def _read(descriptor: int, max_size: int, is_read: Callable[[str], bool]) -> FileContent:
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise DocumentError(Cause.READ_ERROR, f"This is {_kind(before.st_mode)}, not a regular file.")
    size = before.st_size
    data = os.read(descriptor, size if size <= _ONE_READ_BYTES and size <= max_size else HEAD_BYTES)
    media_type = proven_format(data)
    if media_type is not None and not is_read(media_type):
        raise unread(media_type)
    if size > max_size:
        raise DocumentError(Cause.TOO_LARGE, too_large_sentence(size, max_size))
    if len(data) < size:
        data = _rest(descriptor, data, size)
    after = os.fstat(descriptor)
    if len(data) != size or after.st_size != size or after.st_mtime_ns != before.st_mtime_ns:
        raise DocumentError(Cause.CHANGED, "The file was changed by another program while it was read.")
    return FileContent(data, size, before.st_mtime_ns)


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
