"""What the zygote's process begins with: a guess whether there will be work, before anything is loaded.

Loading takes longer than all the rest of a run that has little to do, so it cannot wait until the scan has
found something; but where nothing has changed it would be for nothing. So this process looks at the time
stamps of the source, beside the engine that is still starting. It loads at once where a file seems to have
come or changed since the last complete run, or where there was none, and else when the engine asks. After a
complete run little is expected, and only what that needs is loaded at first.

Started by `launch` as `python -m tui_scraper.engine.workers.expecting FD [PATH [WORKSPACE]]`.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def main(descriptor: int, path: Path | None = None, workspace: Path | None = None) -> None:
    """Become the zygote as soon as there is reason to; end where the engine has gone."""
    control = socket.socket(fileno=descriptor)

    def is_asked() -> bool:
        return bool(select.select([control], [], [], 0)[0])

    since = None if path is None else last_complete(path, workspace)
    if since is not None and not changed_after(os.fsencode(since.source), since.time, is_asked):
        select.select([control], [], [])
    if is_asked() and not control.recv(1, socket.MSG_PEEK):
        return
    from tui_scraper.engine.workers import zygote

    zygote.main(control.detach(), few=since is not None)


@dataclass(frozen=True, slots=True)
class LastComplete:
    """When the last run over a folder began that came to its end."""

    source: Path
    time: float


def last_complete(path: Path, workspace: Path | None) -> LastComplete | None:
    """The last run over a folder, or of the workspace `path`; None where there is none that was complete."""
    from tui_scraper.engine.workspace import completed_since, is_workspace, source_of

    source: Path | None = path
    if workspace is None and is_workspace(path):
        workspace, source = path, source_of(path)
    time = completed_since(path, workspace) if source is not None else None
    return LastComplete(source, time) if source is not None and time is not None else None


def changed_after(folder: bytes, since: float, is_asked: Callable[[], bool] = lambda: False) -> bool:
    """Whether any file below a folder has come, moved or changed after a moment (a Unix time).

    The kernel sets the time that is looked at, whatever time stamp a copy was given. Hidden files and
    folders, links, and what cannot be looked at are passed over.
    """
    waiting = [folder]
    while waiting and not is_asked():
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith(b".") or entry.is_symlink():
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.stat(follow_symlinks=False).st_ctime >= since:
                        return True
        except OSError:  # the scan says so
            continue
    return False


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(Path, sys.argv[2:4]))
