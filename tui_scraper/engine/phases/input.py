"""Input: which files of the source folder are documents.

A walk reads directory entries only, never a file. It is sorted within each folder, so that two
walks of an unchanged folder meet the same files in the same order, and it holds one folder at a
time. What is passed over is counted by reason: nothing disappears without being mentioned.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from tui_scraper.engine.errors import FolderUnreachableError, StoreError, UsageError
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.settings import InputSettings, Settings
from tui_scraper.engine.store.scans import FoundFile

VERSION = 1


def relevant(settings: Settings) -> dict[str, object]:
    """The settings that decide whether a found file may be read."""
    return {"max_file_size": settings.input.max_file_size, "follow_symlinks": settings.input.follow_symlinks}


_ASK_EVERY = 256
_MOST_NAMED = 20
"""Entries that cannot be looked at are named in the log up to this many; all are counted."""

_LAST_TIME_NS = 2**63 - 1

Rules = tuple[tuple[bytes, GitIgnoreSpec], ...]
"""The .gitignore files that hold in a folder, with the folder of each; the innermost is the last."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that documents are looked for in, with the rules that hold there.

    `path` is relative and ends in '/'; that of the source folder itself is b''. It is `odd` where its path or
    a name in it is not UTF-8.
    """

    path: bytes
    rules: Rules
    odd: bool


@dataclass
class _Listing:
    """A folder that is gone into. Who looks at its entries puts the folders to go on with into `below`."""

    folder: bytes
    entries: list[os.DirEntry[bytes]]
    rules: Rules
    below: list[tuple[bytes, Rules]] = field(default_factory=list)


@dataclass
class Walk:
    """One pass over a folder. Iterate `files`; then `ignored` and `unreadable` are complete.

    `ignored` counts entries by reason. `unreadable` lists what could not be looked at (relative paths;
    of a folder with a trailing '/'): what was known of it is not gone, only unseen.
    `leave_out` holds (device, inode) of folders of our own, such as a workspace inside the source.
    `enough` is asked now and then: once it says so `files` ends, and `cut_short` says that there was more.
    """

    source: bytes
    settings: InputSettings
    leave_out: frozenset[tuple[int, int]] = frozenset()
    warn: Callable[[str], None] = lambda _sentence: None
    enough: Callable[[], bool] = lambda: False
    cut_short: bool = False
    ignored: Counter[str] = field(default_factory=Counter)
    unreadable: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._include = _spec(self.settings.include, "include")
        self._exclude = _spec(self.settings.exclude, "exclude")
        self._root = os.path.realpath(self.source)

    def files(self) -> Iterator[FoundFile]:
        """Every document of the folder.

        Raises FolderUnreachableError where the folder itself cannot be listed.
        """
        for listing in self._listings():
            for number, entry in enumerate(listing.entries):
                if number and number % _ASK_EVERY == 0 and self.enough():
                    self.cut_short = True
                    return
                found = self._judge(entry, listing.folder + entry.name, listing.rules, listing.below)
                if found is not None:
                    yield found

    def folders(self) -> Iterator[Folder]:
        """Every folder that documents are looked for in. Looks at no file.

        Raises FolderUnreachableError as `files` does.
        """
        for listing in self._listings():
            for entry in listing.entries:
                with contextlib.suppress(OSError):  # it went away, or may not be looked at
                    if not entry.name.startswith(b".") and entry.is_dir(follow_symlinks=False):
                        self._folder(entry, listing.folder + entry.name, listing.rules, listing.below)
            names = (listing.folder, *(entry.name for entry in listing.entries))
            yield Folder(listing.folder, listing.rules, odd=not all(map(is_utf8, names)))

    def may_matter(self, path: bytes, rules: Rules) -> bool:
        """Whether a file or folder that has come, changed or gone may make a difference to the walk.

        `rules` are those of the folder it is in. What has gone is judged as a file.
        """
        name = os.path.basename(path)
        if name.startswith(b"."):
            return self.settings.gitignore and name == b".gitignore"
        try:
            status = os.lstat(os.path.join(self.source, path))
        except OSError:
            return self._wanted(path, rules)
        if stat.S_ISDIR(status.st_mode):
            return not self._left_out(path, status, rules)
        return self._wanted(path, rules)

    def _listings(self) -> Iterator[_Listing]:
        stack: list[tuple[bytes, Rules]] = [(b"", ())]
        while stack:
            if self.enough():
                self.cut_short = True
                return
            folder, rules = stack.pop()
            absolute = os.path.join(self.source, folder) if folder else self.source
            try:
                with os.scandir(absolute) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                if not folder:
                    raise FolderUnreachableError(
                        f"{safe_text(show_path(self.source))}: this folder cannot be read ({error.strerror})."
                    ) from None
                self._cannot_list(folder, error)
                continue
            ours = _is_ours(listed, absolute) if folder else ""
            if ours:
                self.ignored[ours] += 1
                continue
            if self.settings.gitignore:
                rules = (*rules, *_gitignore(listed, folder))
            listing = _Listing(folder, listed, rules)
            yield listing
            stack.extend(reversed(listing.below))

    def _judge(
        self, entry: os.DirEntry[bytes], path: bytes, rules: Rules, below: list[tuple[bytes, Rules]]
    ) -> FoundFile | None:
        if entry.name.startswith(b"."):
            self.ignored["hidden"] += 1
            return None
        try:
            if entry.is_symlink():
                return self._link(entry, path, rules)
            if entry.is_dir(follow_symlinks=False):
                self._folder(entry, path, rules, below)
                return None
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # it went away between listing and looking
            return None
        except (
            OSError
        ) as error:  # a folder that may be listed but not entered, a path too long to be asked about
            self.ignored["unreadable"] += 1
            self._cannot_look(path, error)
            return None
        if not stat.S_ISREG(status.st_mode):
            self.ignored["special file"] += 1
            return None
        if not self._wanted(path, rules):
            return None
        return _found(path, status)

    def _folder(
        self, entry: os.DirEntry[bytes], path: bytes, rules: Rules, below: list[tuple[bytes, Rules]]
    ) -> None:
        reason = self._left_out(path, entry.stat(follow_symlinks=False) if self.leave_out else None, rules)
        if reason:
            self.ignored[reason] += 1
        else:
            below.append((path + b"/", rules))

    def _left_out(self, path: bytes, status: os.stat_result | None, rules: Rules) -> str:
        """Why a folder is not gone into; '' where it is. `status` is needed only where some are left out."""
        if status is not None and (status.st_dev, status.st_ino) in self.leave_out:
            return "workspace"
        if self._exclude is not None and self._exclude.match_file(_text(path) + "/"):
            return "excluded folder"
        return "gitignore" if _ignored_by(rules, path + b"/") else ""

    def _link(self, entry: os.DirEntry[bytes], path: bytes, rules: Rules) -> FoundFile | None:
        if self.settings.follow_symlinks:
            target = os.path.realpath(entry.path)
            inside = target.startswith(self._root.rstrip(b"/") + b"/")
            if inside and entry.is_file():
                if not self._wanted(path, rules):
                    return None
                status = entry.stat()
                return _found(path, status)
        self.ignored["symlink"] += 1
        return None

    def _wanted(self, path: bytes, rules: Rules) -> bool:
        if self._include is not None and not self._include.match_file(_text(path)):
            self.ignored["not included"] += 1
            return False
        if self._exclude is not None and self._exclude.match_file(_text(path)):
            self.ignored["excluded"] += 1
            return False
        if rules and _ignored_by(rules, path):
            self.ignored["gitignore"] += 1
            return False
        return True

    def _cannot_look(self, path: bytes, error: OSError) -> None:
        if len(self.unreadable) < _MOST_NAMED:
            self.warn(f"{safe_text(show_path(path))}: this cannot be looked at ({error.strerror}).")
        self.unreadable.append(path)

    def _cannot_list(self, folder: bytes, error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return
        self.ignored["unreadable folder"] += 1
        self.unreadable.append(folder)
        self.warn(f"{safe_text(show_path(folder))}: this folder cannot be listed ({error.strerror}).")


def _found(path: bytes, status: os.stat_result) -> FoundFile:
    """A file as it is recorded: a time that the store cannot hold (from 2262 on) is the last it can."""
    return FoundFile(path, status.st_size, _storable(status.st_mtime_ns), _storable(status.st_ctime_ns))


def _storable(time_ns: int) -> int:
    return max(min(time_ns, _LAST_TIME_NS), -_LAST_TIME_NS)


def folder_identity(folder: bytes) -> tuple[int, int] | None:
    """Which folder is at a path: another one once a disk is mounted there. None where there is none."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def identities(folders: Iterable[Path]) -> frozenset[tuple[int, int]]:
    """The identities of the folders that there are, to leave them out."""
    found = (folder_identity(os.fsencode(folder)) for folder in folders)
    return frozenset(identity for identity in found if identity is not None)


def _is_ours(listed: list[os.DirEntry[bytes]], folder: bytes) -> str:
    """What an earlier run, or `export`, has made of a folder: 'workspace', 'export', or '' for neither."""
    names = {entry.name for entry in listed}
    if {b"state.db", b"blob.db", b"seal.json"} <= names:
        return "workspace"
    if b"manifest.json" not in names:
        return ""
    from tui_scraper.engine.export.manifest import read_manifest

    try:
        return "export" if read_manifest(Path(os.fsdecode(folder))) is not None else ""
    except StoreError:  # what cannot be read here is told of the files in it
        return ""


def is_utf8(name: bytes) -> bool:
    """Whether a name is text, as most are."""
    if name.isascii():
        return True
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _spec(patterns: list[str], key: str) -> GitIgnoreSpec | None:
    if not patterns:
        return None
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise UsageError(f"the settings: input.{key}: a pattern is not valid: {error}.") from None


def _gitignore(listed: list[os.DirEntry[bytes]], folder: bytes) -> Rules:
    for entry in listed:
        if entry.name == b".gitignore":
            try:
                with open(entry.path, encoding="utf-8", errors="surrogateescape") as lines:
                    return ((folder, GitIgnoreSpec.from_lines(lines)),)
            except (OSError, ValueError):
                return ()
    return ()


def _ignored_by(rules: Rules, path: bytes) -> bool:
    """The innermost .gitignore that says anything about a path decides."""
    for folder, spec in reversed(rules):
        verdict = spec.check_file(_text(path[len(folder) :])).include
        if verdict is not None:
            return bool(verdict)
    return False
