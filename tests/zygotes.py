"""Forks zygotes from a process that has loaded what they load, for tests that run the engine.

Loading takes a second and a half of a processor each time, more than all else that such a test does. What is
forked is the program's own zygote, with its sandbox and its workers; only that it was loaded before. Tests of
the command line, of terminals and of the workers start theirs as a person does.

Started as `python -m tests.zygotes FD`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui_scraper.engine.workers import launch

_REQUEST_BYTES = 65_536


class Zygotes:
    """Whom to ask for a zygote. Call it as `launch` does what starts one."""

    def __init__(self, asking: socket.socket) -> None:
        self._asking = asking
        self._path = os.environ.get("PYTHONPATH")
        self._launch = launch._launch

    def __call__(self, *expected: Path) -> launch.Zygote:
        """A zygote that has everything loaded; one of its own where there are other modules to find."""
        if os.environ.get("PYTHONPATH") != self._path:
            return self._launch(*expected)
        environment = {name: os.environ[name] for name in launch._KEPT_ENVIRONMENT if name in os.environ}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            request = json.dumps(environment | launch._SET_ENVIRONMENT).encode()
            socket.send_fds(self._asking, [request], [theirs.fileno()])
        process: Any = _Process(int(self._asking.recv(_REQUEST_BYTES)))
        return launch.Zygote(process, ours)


class _Process:
    """A process that is another one's child: the part of `Popen` that the program uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def __del__(self) -> None:
        os.close(self._descriptor)

    def poll(self) -> int | None:
        return 0 if select.select([self._descriptor], [], [], 0)[0] else None

    def wait(self, timeout: float | None = None) -> int:
        if not select.select([self._descriptor], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("zygote", timeout or 0)
        return 0

    def kill(self) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)


@contextmanager
def started() -> Iterator[Zygotes]:
    """Start the process that forks zygotes; it ends with the block, or with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", __name__, str(theirs.fileno())]
    with (
        ours,
        subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=Path(__file__).parents[1]) as process,
    ):
        theirs.close()
        try:
            yield Zygotes(ours)
        finally:
            ours.close()
            process.wait()


def main(descriptor: int) -> None:
    """Fork until nobody asks any more."""
    asked = socket.socket(fileno=descriptor)
    from tui_scraper.engine.workers import worker, zygote  # noqa: F401

    zygote._preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while True:
        request, descriptors, *_ = socket.recv_fds(asked, _REQUEST_BYTES, 1)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            try:
                asked.close()
                _become_zygote(descriptors[0], json.loads(request))
            finally:
                os._exit(0)
        os.close(descriptors[0])
        asked.send(str(pid).encode())


def _become_zygote(descriptor: int, environment: dict[str, str]) -> None:
    from tui_scraper.engine.workers import zygote

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for place in range(3):
        os.dup2(nothing, place)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(environment)
    zygote.main(descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]))
