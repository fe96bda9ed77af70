"""The directory that holds everything known about one corpus, and who may write to it.

One process at a time: the lock is an advisory lock of the operating system on an open file, so it
ends with the process that holds it, however that process ends. What the file says (process,
host, boot) is there for the sentence that a second process shows.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from tui_scraper.engine import disk
from tui_scraper.engine.errors import StoreError, UsageError, WorkspaceLockedError
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.search.segments import INDEX_DIR, index_mark
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE, explained, nothing_yet, open_state
from tui_scraper.engine.store.seal import SEAL_FILE

if TYPE_CHECKING:
    from tui_scraper.engine.store.writer import Transaction

ENVIRONMENT = "TUI_SCRAPER_WORKSPACE"
_LOCK_FILE = "lock"
_INSTANT_S, _BRIEF_S = 0.1, 10.0
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"}
)
"""File systems whose locks or shared memory SQLite's write-ahead log cannot rely on
(https://www.sqlite.org/wal.html: all processes must be on the same host)."""


def default_directory(source: Path) -> Path:
    """The workspace of a folder that is used when nobody chose another."""
    resolved = os.fsencode(os.path.realpath(source))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", show_path(os.path.basename(resolved)))[:40].strip("-.") or "root"
    return state_home() / f"{name}-{digest(resolved).hex()[:8]}"


def state_home() -> Path:
    """Where the default workspaces live (the XDG state directory)."""
    return platformdirs.user_state_path("tui-scraper", appauthor=False)


def choose_directory(source: Path | None, workspace: Path | None) -> Path:
    """The workspace to use: the one that was named, the one of the environment, or the default one.

    Raises UsageError where neither a folder nor a workspace is known.
    """
    if workspace is not None:
        return Path(os.path.abspath(workspace))
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(os.path.abspath(named))
    if source is None:
        raise UsageError(f"Name the folder, or its workspace with -w (or {ENVIRONMENT}).")
    return source if is_workspace(source) else default_directory(source)


def is_workspace(directory: Path) -> bool:
    """Whether a directory holds a workspace, or what is left of one."""
    left = (directory / BLOB_FILE, directory / SEAL_FILE)
    return os.path.isfile(directory / STATE_FILE) or all(map(os.path.isfile, left))


def completed_since(source: Path, workspace: Path | None) -> float | None:
    """When the last run over a folder began, if it came to its end, as told without opening much.

    None where it did not, or there was none.
    """
    directory = choose_directory(source, workspace)
    if not is_workspace(directory):
        return None
    try:
        with explained(directory), contextlib.closing(open_state(directory, read_only=True)) as state:
            row: Any = state.execute("SELECT state, started FROM run ORDER BY id DESC LIMIT 1").fetchone()
    except StoreError:  # the run itself will say what is wrong
        return None
    return float(row[1]) if row is not None and row[0] == "complete" else None


def find_directory(named: Path | None) -> Path:
    """The workspace that a command without a folder is about.

    In this order: the one that was named (itself, or the folder it was made for), the one of the
    environment, the one of the current folder.

    Raises UsageError where there is none.
    """
    chosen = named or os.environ.get(ENVIRONMENT) or Path()
    for candidate in (Path(chosen), default_directory(Path(chosen))):
        if is_workspace(candidate):
            return Path(os.path.abspath(candidate))
    shown = safe_text(str(named or os.environ.get(ENVIRONMENT) or "the current folder"))
    raise UsageError(
        f"{shown}: there is no workspace of this name or for this folder. Name one with -w "
        "(or the folder it was made for); `tui-scraper run PATH` makes one."
    )


def reopen(directory: Path, *, brief: bool = False) -> Workspace:
    """Open an existing workspace to change it, whether or not its folder is in reach.

    Raises what `Workspace` raises, and StoreError where no run has said yet what folder it is for.
    """
    source = source_of(directory)
    if source is None:
        raise nothing_yet(directory)
    return Workspace(directory, source, folder_needed=False, brief=brief)


def source_of(directory: Path) -> Path | None:
    """The folder a workspace was made for; None where it has not run."""
    connection = open_state(directory, read_only=True)
    try:
        source = connection.execute("SELECT value FROM meta WHERE key = 'source'").get
    finally:
        connection.close()
    return Path(os.fsdecode(source)) if source else None


def holder(directory: Path) -> str | None:
    """Who works in a workspace right now, as 'process 12 on host'; None where nobody does."""
    try:
        descriptor = os.open(directory / _LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(os.read(descriptor, 4096))
    finally:
        os.close(descriptor)
    return None


def _describe(text: bytes) -> str:
    try:
        said = json.loads(text)
        return f"process {int(said['pid'])} on {safe_text(str(said['host']), limit=100)}"
    except (ValueError, KeyError, TypeError):
        return "another process"


class Workspace:
    """An open workspace: locked, with its writer. Close it to let others in."""

    def __init__(
        self, directory: Path, source: Path, *, folder_needed: bool = True, brief: bool = False
    ) -> None:
        """Open or create. Without `folder_needed` the documents themselves may be out of reach.

        `brief`: it is closed again in a few seconds, and who comes meanwhile waits for that.

        Raises WorkspaceLockedError where another process holds it, UsageError where it belongs to
        another folder or cannot be made, StoreError or StoreBlockedError where the store cannot be
        opened.
        """
        self.directory = directory
        self.source = Path(os.path.realpath(source))
        if folder_needed and not self.source.is_dir():
            raise UsageError(f"{safe_text(str(source))}: {_no_folder(source)}")
        if os.path.realpath(directory) == str(self.source):
            raise UsageError(
                f"{safe_text(str(source))}: the workspace cannot be the folder of documents itself, which is "
                "never written to. Choose another with -w."
            )
        _refuse_network(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _cannot_make(directory, error) from None
        from tui_scraper.engine.store.writer import Writer  # who only looks for a workspace needs none

        self._lock = _take_lock(directory, brief=brief)
        try:
            with explained(directory):
                self.writer = Writer(directory)
            try:
                self.writer.call(self._claim)
            except BaseException:
                self.writer.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise

    def _claim(self, transaction: Transaction) -> None:
        state = transaction.state
        ours = os.fsencode(self.source)
        known = state.execute("SELECT value FROM meta WHERE key = 'source'").get
        if known is None:
            state.execute("INSERT INTO meta VALUES('source', ?)", (ours,))
        elif known != ours:
            raise UsageError(
                f"{safe_text(str(self.directory))}: this workspace belongs to "
                f"{safe_text(show_path(known))}; choose another with -w."
            )

    def close(self) -> None:
        """Write what is queued and release the lock."""
        self.writer.close(index_mark(self.directory / INDEX_DIR))
        os.close(self._lock)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep every other process out of an existing workspace, without opening it.

    Raises WorkspaceLockedError where another process holds it.
    """
    descriptor = _take_lock(directory)
    try:
        yield
    finally:
        os.close(descriptor)


def _take_lock(directory: Path, *, brief: bool = False) -> int:
    """Lock a workspace and say in the file who has it. The descriptor that is returned holds the lock.

    One who has it `brief`ly is waited for.

    On a disk that can only be read nobody is told, but whoever can write to it elsewhere is respected.
    """
    only_read = disk.is_read_only(directory)
    path, flags = directory / _LOCK_FILE, _LOCK_FLAGS
    if only_read:
        path = path if path.exists() else directory  # a copy may have been made without it
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise _cannot_make(directory, error) from None
    try:
        try:
            _lock(descriptor)
        except BlockingIOError:
            who = _describe(os.pread(descriptor, 4096, 0))
            raise WorkspaceLockedError(
                f"{safe_text(str(directory))}: {who} is working in this workspace, or has it open. "
                "`tui-scraper stop` ends a run, q leaves a TUI; or use another workspace with -w."
            ) from None
        if only_read:
            return descriptor
        said = {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot_id(), "brief": brief}
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(said).encode(), 0)
        except OSError as error:
            raise _cannot_make(directory, error) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int) -> None:
    """Take the lock. A command that only asks who holds it has it for an instant: try a few times.

    One that says that it will not be long is waited for as long as it may take.
    """
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited_s = time.monotonic() - began
            if waited_s > (_BRIEF_S if _is_brief(descriptor) else _INSTANT_S):
                raise
            time.sleep(0.02)
        else:
            return


def _is_brief(descriptor: int) -> bool:
    try:
        return bool(json.loads(os.pread(descriptor, 4096, 0))["brief"])
    except (ValueError, KeyError, TypeError):
        return False


def _no_folder(source: Path) -> str:
    if source.exists():
        return "this is not a folder."
    return "there is no such folder."


def _cannot_make(directory: Path, error: OSError) -> StoreError | UsageError:
    if error.errno in disk.REFUSALS:
        return disk.refusal(directory, error.errno)
    where = safe_text(str(directory))
    return UsageError(f"{where}: the workspace cannot be written ({error.strerror}). Choose another with -w.")


def network_file_system(directory: Path) -> str:
    """The kind of network file system a path lies on; '' where it is local."""
    import psutil  # a tenth of a short command's start, and only those that write need it

    resolved = os.path.realpath(directory)
    best, kind = "", ""
    for partition in psutil.disk_partitions(all=True):
        mount = partition.mountpoint
        inside = resolved == mount or resolved.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, partition.fstype
    return kind if kind in _NETWORK_FILE_SYSTEMS else ""


def _refuse_network(directory: Path) -> None:
    kind = network_file_system(directory)
    if kind:
        raise UsageError(
            f"{safe_text(str(directory))}: the workspace would lie on a network file system ({kind}), "
            "where a database is not safe. Choose a local directory with -w."
        )


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
