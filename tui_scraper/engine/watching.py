"""When the folder of documents has changed, so that another pass is due.

Only the folders that the walk goes into are watched, each for itself. Watching them as a tree would follow
every link to a folder (one to / means the whole machine), spend the system's watches on what the walk leaves
out, and tell of our own workspace where that lies inside. What is told is judged by the walk's rules.

Nothing is lost, because `listen` comes before the scan of every pass: what changes before it is found by that
scan, what changes after it is told. It lists the folders once more after it began to listen to them, so that
none comes into being between the two. inotify itself does not tell everything (writes through a memory map,
what other machines write to a network file system, what overflows its queue), so the folder is also looked at
without being told: seldom where that is all, often where a part of it cannot be watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from tui_scraper.engine.errors import FolderUnreachableError
from tui_scraper.engine.phases.input import Folder, Walk, folder_identity, identities, is_utf8
from tui_scraper.engine.phases.output import places_written
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import InputSettings
from tui_scraper.engine.threads import in_thread
from tui_scraper.engine.workspace import Workspace, network_file_system

QUIET_S = 1.0
"""Changes less than this apart lead to one pass: a copy of many files, a program that saves in steps."""
MOST_S = 5.0
"""Changes that never stop are taken up after this."""
LOOK_AGAIN_S = 60.0
"""Without being told, where something cannot be watched."""
ANYWAY_S = 900.0
"""Without being told, where everything can be watched."""
PRESENCE_S = 2.0
"""How often to see whether the folder is still the same: nobody tells of a disk that is unmounted."""

_GROUP_MS, _STEP_MS = 200, 50
"""How long the system's reports are put together: far less than `QUIET_S`, or rest is seen where none is."""
_TRIES = 5


class Watching:
    """Watches the folder of one workspace. All methods are called in the engine's event loop."""

    def __init__(self, workspace: Workspace, request: RunRequest) -> None:
        self._workspace = workspace
        self._written = places_written(workspace.directory, request)
        self._own = frozenset(os.path.realpath(os.fsencode(folder)) for folder in self._written)
        self._source = os.fsencode(workspace.source)
        self._shown = safe_text(str(workspace.source))
        self._listener: _Listener | None = None
        self._place: tuple[int, int] | None = None
        self._listening = False
        self._renew = False
        self._changed = asyncio.Event()
        self._abandoned = threading.Event()
        self.limited = ""
        """Why changes may be seen only some time later, and what to do; '' where all of them are told."""

    async def listen(self, settings: InputSettings, *, known: bool) -> None:
        """Be told of every change from now on. Call it before the scan of each pass.

        Raises FolderUnreachableError where there is no folder to listen to, or an empty one although
        documents are `known`: an unmounted disk looks like that. `changed` then returns once it is back.
        """
        loop = asyncio.get_running_loop()

        def tell(renew: bool) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
                loop.call_soon_threadsafe(self._tell, renew)

        self._abandoned.clear()
        self._changed.clear()  # whatever it was, the scan that follows sees it
        renew = self._renew or not self._listening
        self._renew = self._listening = False
        self._place = await in_thread(self._look, self._abandoned.set)
        try:
            if self._place is None and (known or folder_identity(self._source) is None):
                raise FolderUnreachableError(self._why_unreachable())
            self._listening = await in_thread(
                lambda: self._listen(settings, tell, renew), self._abandoned.set
            )
        except FolderUnreachableError:
            self._place = None
            raise

    async def changed(self, at_latest_s: float = math.inf) -> None:
        """Return once something has changed and has come to rest, or when it is time to look anyway."""
        until = time.monotonic() + min(at_latest_s, LOOK_AGAIN_S if self.limited else ANYWAY_S)
        while not self._changed.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, PRESENCE_S)):  # `wait_for` may lose a cancellation
                    await self._changed.wait()
            if await in_thread(self._look, self._abandoned.set) != self._place:
                self._tell(renew=True)
        until = time.monotonic() + MOST_S
        with contextlib.suppress(TimeoutError):
            while (left := until - time.monotonic()) > 0:
                self._changed.clear()
                async with asyncio.timeout(min(left, QUIET_S)):
                    await self._changed.wait()

    def abandon(self) -> None:
        """Nobody waits any longer for the folders to be listed."""
        self._abandoned.set()

    async def close(self) -> None:
        """Listen no longer."""
        if self._listener is not None:
            await in_thread(self._listener.close, self._abandoned.set)

    def _tell(self, renew: bool) -> None:
        self._renew |= renew
        self._changed.set()

    def _look(self) -> tuple[int, int] | None:
        """Which folder the documents are in; None where there is none, or nothing in it."""
        try:
            with os.scandir(self._source) as entries:
                there = any(not entry.name.startswith(b".") for entry in entries)
        except OSError:
            return None
        return folder_identity(self._source) if there else None

    def _why_unreachable(self) -> str:
        if folder_identity(self._source) is None:
            what = "this folder is not there any more"
        elif os.access(self._source, os.R_OK | os.X_OK):
            what = "this folder is empty now"
        else:
            what = "this folder cannot be read any more"
        return (
            f"{self._shown}: {what}. Nothing is marked as gone, because a disk that is not mounted looks the "
            "same; it goes on by itself when there are files again."
        )

    def _listen(self, settings: InputSettings, tell: Callable[[bool], None], renew: bool) -> bool:
        """Listen to the folders that there are now, by a new listener where `renew`, or where others are.

        Blocks while they are listed. Returns whether all of them are listened to.
        """
        walk = Walk(self._source, settings, identities(self._written))
        for _ in range(_TRIES):
            folders: list[Folder] = []
            for folder in walk.folders():
                if self._abandoned.is_set():
                    return False
                folders.append(folder)
            before = self._listener
            if before is not None and not renew and before.takes(walk, folders):
                self.limited = self._limits("")
                return True
            try:
                self._listener = _Listener(walk, folders, self._own, tell)
                renew = False
            except FileNotFoundError:  # a folder went away after it was listed
                continue
            except (OSError, RuntimeError) as error:
                self._listener, renew = None, True  # what the one before takes of a limit may be all there is
                if before is None:
                    self.limited = self._limits(_why_not(error, len(folders)))
                    return False
            if before is not None:
                before.close()
        tell(True)  # folders come and go faster than they can be listed
        return False

    def _limits(self, failed: str) -> str:
        kind = network_file_system(self._workspace.source)
        odd = self._listener.odd if self._listener is not None else 0
        if failed:
            reason = failed
        elif kind:
            reason = f"On a network file system ({kind}) the system does not tell what other machines change."
        elif odd:
            which = "1 folder has" if odd == 1 else f"{odd:,} folders have"
            reason = f"{which} names that are not UTF-8; changes there are not seen at once."
        else:
            return ""
        return f"{self._shown}: {reason} It is looked at every {LOOK_AGAIN_S:g} s."


class _Listener:
    """Listens to a fixed set of folders, in a thread of its own, from its making until `close`.

    `tell` is called in that thread when something has changed that matters to the walk; with True where
    folders have come or gone, or the listening has ended, so that another listener is needed.
    """

    def __init__(
        self,
        walk: Walk,
        folders: list[Folder],
        own: frozenset[bytes],
        tell: Callable[[bool], None],
    ) -> None:
        """Raises FileNotFoundError where one has gone, OSError or RuntimeError where it is not possible."""
        self._walk = walk
        self._own = own
        self._tell = tell
        self._root = walk.source.rstrip(b"/") + b"/"
        self._folders = {folder.path: folder for folder in folders}
        # A name that is not UTF-8 ends the listening, even if its file is only read, as the next pass does.
        plain = [] if not is_utf8(self._root) else [folder.path for folder in folders if not folder.odd]
        names = [os.fsdecode(self._root + path) for path in plain]
        self.odd = len(folders) - len(names)
        # Each for itself. To be told of what is not permitted is the only way to be told of a limit.
        self._notify = RustNotify(names, False, False, 0, False, False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="watch", daemon=True)
        self._thread.start()

    def takes(self, walk: Walk, folders: list[Folder]) -> bool:
        """Judge by the rules of another walk from now on. False where that went through other folders."""
        now = {folder.path: folder for folder in folders}
        if now.keys() != self._folders.keys():
            return False
        if any(folder.odd != self._folders[path].odd for path, folder in now.items()):
            return False
        self._walk, self._folders = walk, now
        return True

    def close(self) -> None:
        """Listen no longer. Waits for the thread, a fraction of a second."""
        self._stop.set()
        self._thread.join()
        self._notify.close()

    def _listen(self) -> None:
        while True:
            try:
                found = self._notify.watch(_GROUP_MS, _STEP_MS, 0, self._stop)
            except (OSError, WatchfilesRustInternalError):
                # A name that is not UTF-8 has come, or something is wrong: nothing further would be told.
                self._tell(True)
                return
            if isinstance(found, str):  # 'stop'
                return
            self._judge(found)

    def _judge(self, found: set[tuple[int, str]]) -> None:
        matters = renew = False
        for change, name in found:
            path = os.fsencode(name)
            relative = path[len(self._root) :]
            is_folder = not relative or relative + b"/" in self._folders
            if path in self._own:
                continue
            folder = self._folders.get(relative[: relative.rfind(b"/") + 1])
            if not is_folder and (folder is None or not self._walk.may_matter(relative, folder.rules)):
                continue
            matters = True
            if change != Change.modified and (is_folder or os.path.isdir(path)):
                renew = True
        if matters:
            self._tell(renew)


def _why_not(error: Exception, folders: int) -> str:
    said = str(error)
    if "limit reached" in said or "os error 28" in said:  # ENOSPC
        why, limit = f"{folders:,} folders are more than the system lets us watch", "max_user_watches"
    elif "os error 24" in said:  # EMFILE
        why, limit = "Too many programs of this account watch something already", "max_user_instances"
    else:
        return f"The system cannot watch this folder ({safe_text(said, limit=200)})."
    return f"{why}; raise fs.inotify.{limit} with sysctl{_now(limit)} to have changes seen at once."


def _now(limit: str) -> str:
    with contextlib.suppress(OSError):
        return f", now {int(Path(f'/proc/sys/fs/inotify/{limit}').read_text(encoding='ascii')):,}"
    return ""
