"""Starting the zygote: at once, before the rest of the program is even imported.

Loading what workers need takes most of a second on a core that would otherwise idle, so a command
that may need workers calls `prewarm` first thing; the pool takes what is there. Whether it loads before it
is asked to is its own decision (`expecting`). A zygote that nobody takes ends with this process, when its
socket closes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
_SET_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "MALLOC_ARENA_MAX": "2",  # each thread's own would reserve 64 MB of the address space, for good
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True, slots=True)
class Zygote:
    """A started zygote and our end of its control socket (blocking, one message a packet)."""

    process: subprocess.Popen[bytes]
    control: socket.socket


_warm: list[Zygote] = []


def prewarm(path: Path, workspace: Path | None) -> None:
    """Start a zygote for the pool that may be made soon, for a run over a folder.

    Raises OSError where no process can be made.
    """
    if not _warm:
        _warm.append(_launch(path, *([workspace] if workspace is not None else [])))


def take(*expected: Path) -> Zygote:
    """The prewarmed zygote, or a new one. Raises OSError where no process can be made.

    `expected`: the folder that there is work in, and the workspace.
    """
    while _warm:
        zygote = _warm.pop()
        if zygote.process.poll() is None:
            return zygote
        zygote.control.close()
    return _launch(*expected)


def release() -> None:
    """End a prewarmed zygote that nobody has taken, for a process that stays and would keep its memory."""
    while _warm:
        zygote = _warm.pop()
        zygote.control.close()
        zygote.process.kill()
        zygote.process.wait()


def _launch(*expected: Path) -> Zygote:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        module = "tui_scraper.engine.workers.expecting"
        command = [sys.executable, "-P", "-m", module, str(theirs.fileno()), *map(os.path.abspath, expected)]
        # -P: modules are never taken from the folder that the program was started in.
        process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment | _SET_ENVIRONMENT,
            start_new_session=True,
        )
    return Zygote(process, ours)
