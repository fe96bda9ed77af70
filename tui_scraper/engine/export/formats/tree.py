"""A tree of one file for each document, and its listing in the form of `sha256sum`.

The listing is what the manifest names, so that a manifest stays small for a million documents, and
`sha256sum -c` checks the tree without this program.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tui_scraper.engine.export.formats.filenames import FILE_NAME

_LINE = re.compile(rb"([0-9a-f]{64})  ([^\n]+)\n")
_LONGEST_LINE_BYTES = 10_000


def read_listing(path: Path) -> Iterator[tuple[str, str]]:
    """(SHA-256, path inside the export) of every file. Raises ValueError where it is not one of ours."""
    with open(path, "rb") as lines:
        while line := lines.readline(_LONGEST_LINE_BYTES):
            found = _LINE.fullmatch(line)
            if found is None:
                raise ValueError("a line of the listing is not one")
            name = found[2].decode()
            parts = name.split("/")
            if len(parts) != 3 or {"", ".", ".."} & set(parts):
                raise ValueError("the listing names a file outside its tree")
            yield found[1].decode(), name


def _names(path: Path) -> Iterator[str]:
    return (name for _sha256, name in read_listing(path))


def read_file(path: Path | str) -> bytes:
    """A file of the tree, and nothing else that may lie there under its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return file.read()


def wrong_files(directory: Path, listing: str, proceed: Callable[[], None]) -> str:
    """The first file that is not what the listing says, and how many there are; empty for none."""
    wrong, first = 0, ""
    for sha256, name in read_listing(directory / listing):
        try:
            found = hashlib.sha256(read_file(directory / name)).hexdigest()
            reason = "" if found == sha256 else "is not what the listing says (SHA-256)"
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        if reason:
            wrong += 1
            first = first or f"{name} {reason}"
        proceed()
    return first if wrong < 2 else f"{first}, and {wrong - 1:,} more"


def foreign_file(directory: Path, folder: str, listing: str | None) -> str:
    """A file or folder in the tree that is not in its listing, or without one not called so; empty for none.

    Eight bytes are kept of each name, so that a tree of a million files takes as many megabytes.
    """
    import numpy as np

    names = _names(directory / listing) if listing is not None else ()
    known = np.sort(np.fromiter(map(_hash, names), np.uint64))
    for entry in _entries(directory / folder):
        name = os.path.relpath(entry.path, directory)
        depth = name.count(os.sep)
        if depth == 1 and entry.is_dir(follow_symlinks=False):
            continue
        if depth == 2 and entry.is_file(follow_symlinks=False):
            if listing is None and FILE_NAME.fullmatch(entry.name):
                continue
            wanted = _hash(name)
            at = int(np.searchsorted(known, np.uint64(wanted)))
            if at < len(known) and int(known[at]) == wanted:
                continue
        return name
    return ""


def clear(top: Path) -> None:
    """Delete a tree: what is called as its files are, and the folders that are empty then."""
    for entry in _files(top):
        with contextlib.suppress(OSError):
            os.unlink(entry.path)
    for folder in [*_folders(top), top]:
        with contextlib.suppress(OSError):  # something else is in it
            os.rmdir(folder)


def weigh(top: Path) -> tuple[int, int]:
    """How many files `clear` would delete, and their bytes."""
    files = size_bytes = 0
    for entry in _files(top):
        with contextlib.suppress(FileNotFoundError):
            size_bytes += entry.stat(follow_symlinks=False).st_size
            files += 1
    return files, size_bytes


def sync_all(directory: Path) -> None:
    """Make all of the file system of `directory` durable: for many small files one call, not one each."""
    function = _syncfs()
    if function is None:
        os.sync()
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if function(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), os.fspath(directory))
    finally:
        os.close(descriptor)


@functools.cache
def _syncfs() -> ctypes._NamedFuncPointer | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):  # not Linux
        return None
    function.argtypes = [ctypes.c_int]
    function.restype = ctypes.c_int
    return function


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "big")


def _folders(top: Path) -> list[Path]:
    """The folders in a tree. Links are not followed."""
    try:
        with os.scandir(top) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(top: Path) -> Iterator[os.DirEntry[str]]:
    for folder in _folders(top):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if FILE_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    yield entry


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder that there may be."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))
