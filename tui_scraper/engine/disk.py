"""What it means for a run when the disk refuses, and the sentence that says so.

A disk that is full or can only be read is a matter of time: the run pauses, and the same command goes on.
One that reports errors ends it. Either way what is committed is safe, and every sentence says so.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from tui_scraper.engine.errors import StoreBlockedError, StoreError, StoreFullError
from tui_scraper.engine.safe_text import safe_text

REFUSALS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
)
"""Errors that say something of the disk or the system, whatever was asked of it."""

_TRIED_BYTES = 65_536
_GO_ON = "and start again; everything finished so far is saved."


def refusal(where: Path | str, number: int) -> StoreError:
    """The exception to raise where the system refused something on `where` with this error number."""
    shown = safe_text(str(where))
    match number:
        case errno.ENOSPC if _has_no_inodes(where):
            return StoreFullError(
                f"{shown}: the disk is full: there is space, but no place for another file (its inodes are "
                f"used up). Free some by deleting files {_GO_ON}"
            )
        case errno.ENOSPC:
            return StoreFullError(f"{shown}: the disk is full. Free some space {_GO_ON}")
        case errno.EDQUOT:
            return StoreFullError(
                f"{shown}: the disk is full for you: your quota is used up. Free some space, or have the "
                f"quota raised, {_GO_ON}"
            )
        case errno.EFBIG:
            return StoreFullError(
                f"{shown}: no file as large as this one is allowed, by the disk or by a limit (`ulimit -f`). "
                f"Raise it, or take another place, {_GO_ON}"
            )
        case errno.EMFILE | errno.ENFILE:
            return StoreError(f"{shown}: too many open files. Raise the limit (`ulimit -n`) {_GO_ON}")
        case errno.EROFS:
            return StoreBlockedError(
                f"{shown}: the disk is read-only now. Make it writable (the system's log says why it is not) "
                f"{_GO_ON}"
            )
        case errno.EACCES | errno.EPERM:
            return StoreError(
                f"{shown}: this may not be written ({os.strerror(number)}). Give this account the right to, "
                f"{_GO_ON}"
            )
    return StoreError(
        f"{shown}: the disk reported an error ({os.strerror(number)}). Everything finished so far is saved; "
        "look at the disk and the system's log before you start again."
    )


def state_of(path: Path) -> int:
    """Try whether the folder of `path` takes a file. The error number if its disk refuses, else 0.

    For libraries that say that something failed, but not why.
    """
    try:
        with tempfile.TemporaryFile(dir=path if path.is_dir() else path.parent) as file:
            file.write(bytes(_TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno if error.errno in REFUSALS else 0
    return 0


def is_read_only(path: Path) -> bool:
    """Whether the disk of a file or folder can only be read. Not so of one that cannot be asked."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _has_no_inodes(path: Path | str) -> bool:
    try:
        status = os.statvfs(path if os.path.lexists(path) else os.path.dirname(path))
    except OSError:
        return False
    return status.f_files > 0 and not status.f_favail and status.f_bavail > 0
