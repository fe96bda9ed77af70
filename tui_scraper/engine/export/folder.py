"""Putting a finished export in place of the one before, so that a reader never sees half of one.

The new export is built in a hidden directory beside the target and then swapped in: exchanged in one
step where the kernel can (renameat2), else the old one is renamed away and the new one in. Whatever
interrupts this, the target is the old export, the new one, or (between those two renames) absent
with both of them beside it, and the next export puts that right. Hidden directories hold a lock
while in use, so that what a crash left behind can be told from what another process is writing.

A directory that is not one of our exports is never replaced, and of our own nothing is deleted that
an export did not write.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tui_scraper.engine import disk
from tui_scraper.engine.errors import StoreError, UsageError
from tui_scraper.engine.export.formats import FORMATS
from tui_scraper.engine.export.formats.card import CARD_FILE
from tui_scraper.engine.export.manifest import MANIFEST_FILE, Manifest, read_manifest
from tui_scraper.engine.safe_text import safe_text

OUR_FILES = frozenset({*(format_.file for format_ in FORMATS.values()), CARD_FILE, MANIFEST_FILE})

_DENIED = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EBUSY,
    errno.EXDEV,
    errno.EEXIST,
    errno.ENOENT,
    errno.EINVAL,
}


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn the system's errors into sentences."""
    try:
        yield
    except OSError as error:
        shown = safe_text(str(target))
        if error.errno in disk.REFUSALS:
            raise disk.refusal(target, error.errno) from error
        if error.errno in _DENIED:
            raise UsageError(
                f"{shown}: the export cannot be written there ({error.strerror}). It needs a folder in which "
                "a new one can be made beside it; choose another."
            ) from error
        raise StoreError(f"{shown}: writing the export failed ({error.strerror}).") from error


def check_target(target: Path) -> None:
    """Refuse what is not ours to replace. Raises UsageError with a sentence."""
    shown = safe_text(str(target))
    with explained(target):
        if not os.path.lexists(target):
            return
        if not target.is_dir():
            raise UsageError(f"{shown}: this is not a folder; choose another place for the export.")
        names = set(os.listdir(target))
    if not names:
        return
    found = read_manifest(target)
    if found is None:
        raise UsageError(
            f"{shown}: this folder holds files and is not an export of tui-scraper; it was left as it is. "
            "Choose an empty or a new folder."
        )
    with explained(target):
        other = _foreign(target, names, found[0])
    if other:
        raise UsageError(
            f"{shown}: besides the export this folder holds {safe_text(other, limit=200)}, which a new "
            "export would delete. Move it away, or choose another folder."
        )


def _foreign(target: Path, names: set[str], manifest: Manifest) -> str:
    """Something in an export that its manifest does not have; empty for nothing."""
    written = [(FORMATS[file.format], file) for file in manifest.files if file.format in FORMATS]
    ours = {MANIFEST_FILE, *(file.name for file in manifest.files if file.name in OUR_FILES)}
    others = sorted(names - ours - {format_.folder for format_, _file in written})
    if others:
        return others[0]
    return next((other for format_, file in written if (other := format_.foreign(target, file))), "")


class Staging:
    """A hidden directory beside the target, in which an export is built. Use it with `with`.

    Leaving the block without `put_in_place` deletes what was built.
    """

    def __init__(self, target: Path) -> None:
        self.target = Path(os.path.realpath(target))
        self.directory = self.target.parent / f"{_prefix(self.target)}new-{secrets.token_hex(6)}"
        self._lock = -1

    def __enter__(self) -> Staging:
        with explained(self.target):
            os.makedirs(self.target.parent, exist_ok=True)
            self._clear_leftovers()
        check_target(self.target)
        with explained(self.target):
            os.mkdir(self.directory)
            self._lock = _lock_directory(self.directory)
        return self

    def __exit__(self, *_error: object) -> None:
        _delete(self.directory)
        if self._lock >= 0:
            os.close(self._lock)

    def put_in_place(self) -> None:
        """Make the target the new export. Everything in the directory is made durable first."""
        with explained(self.target):
            _sync(self.directory)
            check_target(self.target)
            if not self.target.exists():
                os.rename(self.directory, self.target)
            else:
                os.chmod(self.directory, self.target.stat().st_mode & 0o7777)
                if not _exchange(self.directory, self.target):
                    self._swap_in_two_steps()
            _sync(self.target.parent)

    def _swap_in_two_steps(self) -> None:
        old = self.target.parent / f"{_prefix(self.target)}old-{secrets.token_hex(6)}"
        os.rename(self.target, old)
        try:
            os.rename(self.directory, self.target)
        except OSError:
            os.rename(old, self.target)
            raise
        _delete(old)

    def _clear_leftovers(self) -> None:
        """Undo an interrupted swap, and delete what interrupted exports left beside the target."""
        for leftover in _leftovers(self.target):
            if _is_the_export(leftover, self.target):
                os.rename(leftover, self.target)
            else:
                _delete(leftover)


def clear_leftovers(target: Path, *, dry_run: bool = False) -> tuple[int, int]:
    """Delete what interrupted exports left beside `target`. Returns how many files, with how many bytes.

    What is the only export left, because a swap was interrupted, stays: the next export puts it back.
    """
    files = size_bytes = 0
    for leftover in _leftovers(target):
        if _is_the_export(leftover, target):
            continue
        for name in OUR_FILES:
            with contextlib.suppress(FileNotFoundError):
                size_bytes += os.stat(leftover / name, follow_symlinks=False).st_size
                files += 1
        for format_ in FORMATS.values():
            more, more_bytes = format_.weigh(leftover)
            files, size_bytes = files + more, size_bytes + more_bytes
        if not dry_run:
            _delete(leftover)
    return files, size_bytes


def _leftovers(target: Path) -> Iterator[Path]:
    """Hidden directories of exports beside a target that no process is using, each locked while it is out."""
    prefix = _prefix(target)
    for name in sorted(os.listdir(target.parent)):
        leftover = target.parent / name
        if not name.startswith(prefix) or leftover.is_symlink() or not leftover.is_dir():
            continue
        lock = _lock_directory(leftover)
        if lock < 0:
            continue  # another process is writing it
        try:
            yield leftover
        finally:
            os.close(lock)


def _is_the_export(leftover: Path, target: Path) -> bool:
    """Whether this is what was renamed away from a target that nothing has taken the place of."""
    return leftover.name.startswith(f"{_prefix(target)}old-") and not os.path.lexists(target)


def _prefix(target: Path) -> str:
    return f".{target.name}.export-"


def _lock_directory(directory: Path) -> int:
    """A descriptor that holds an exclusive lock, or -1 where another process or person has it."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor


def _delete(directory: Path) -> None:
    """Delete an export: the files that one writes, then the directory unless something else is in it."""
    delete_contents(directory)
    with contextlib.suppress(OSError):
        os.rmdir(directory)


def delete_contents(directory: Path) -> None:
    """Delete the files that an export writes."""
    for format_ in FORMATS.values():
        format_.clear(directory)
    for name in OUR_FILES:
        with contextlib.suppress(OSError):  # not there, or no longer ours to delete: the directory then stays
            os.unlink(directory / name)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@functools.cache
def _renameat2() -> ctypes._NamedFuncPointer | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # not Linux, or a C library from before 2.28
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    function.restype = ctypes.c_int
    return function


def _exchange(first: Path, second: Path) -> bool:
    """Swap two directories in one step. False where this system or file system cannot."""
    function = _renameat2()
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), os.fspath(second))
