"""What the zygote's process begins with: a guess whether there will be work, before anything is loaded.

Loading takes longer than all the rest of a run that has little to do, so it cannot wait until the scan has
found something; but where nothing has changed it would be for nothing. So this process looks at the time
stamps of the source, beside the engine that is still starting. It loads at once where a file seems to have
come or changed since the last complete run, or where there was none, and else when the engine asks. Where
little has changed, only what that needs is loaded at first.

Started by `launch` as `python -m tui_scraper.engine.workers.expecting FD [PATH [WORKSPACE]]`.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_LITTLE_BYTES = 200_000
_MOST_LOOKED_AT = 50_000
_ASK_EVERY = 256
_LOOK_S = 0.1
"""How long it may look around when the engine waits already."""


def main(descriptor: int, path: Path | None = None, workspace: Path | None = None) -> None:
    """Become the zygote as soon as there is reason to; end where the engine has gone."""
    control = socket.socket(fileno=descriptor)

    def is_asked() -> bool:
        return bool(select.select([control], [], [], 0)[0])

    began = time.monotonic()

    def is_waited_for() -> bool:
        return time.monotonic() - began > _LOOK_S and is_asked()

    last = None if path is None else last_complete(path, workspace)
    changed: Iterator[int] = iter(())
    if path is not None:
        since = last or LastComplete(path, 0)
        changed = changed_after(os.fsencode(since.source), since.time, is_waited_for)
    first = next(changed, None)
    if last is not None and first is None:
        select.select([control], [], [])
    if is_asked() and not control.recv(1, socket.MSG_PEEK):
        return
    from tui_scraper.engine.workers import zygote

    zygote.main(control.detach(), few=lambda: first is not None and is_little(first, changed))


def is_little(first: int, more: Iterable[int]) -> bool:
    """Whether some files, by their sizes in bytes, are less than what it takes to load everything for.

    What could not be looked through soon is not little. `more` stands for files that have not changed by 0.
    """
    size_bytes = first
    for looked_at, more_bytes in enumerate(more):
        size_bytes += more_bytes
        if size_bytes > _LITTLE_BYTES or looked_at > _MOST_LOOKED_AT:
            return False
    return size_bytes <= _LITTLE_BYTES


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
    began = completed_since(path, workspace) if source is not None else None
    return LastComplete(source, began) if source is not None and began is not None else None


def changed_after(folder: bytes, since: float, is_asked: Callable[[], bool] = lambda: False) -> Iterator[int]:
    """The sizes of the files below a folder that have come, moved or changed after a moment (a Unix time).

    From the first of them on, those that have not are 0 each. Before it the look around ends when `is_asked`.
    The kernel sets the time that is looked at, whatever time stamp a copy was given. Hidden files and
    folders, links, and what cannot be looked at are passed over.
    """
    waiting, found = [folder], False
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for number, entry in enumerate(entries):
                    if number % _ASK_EVERY == 0 and not found and is_asked():
                        return
                    if entry.name.startswith(b".") or entry.is_symlink():
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                    changed = status.st_ctime >= since
                    found = found or changed
                    if found:
                        yield status.st_size if changed else 0
        except OSError:  # the scan says so
            continue


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(Path, sys.argv[2:4]))
