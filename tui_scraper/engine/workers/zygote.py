"""A warm process that forks workers: everything is loaded once, so a new worker costs milliseconds.

It never reads a document. It runs in a session of its own, so that no key typed at the terminal
and no hang-up reaches the workers; it holds no key of any provider; and when the engine goes away,
however it goes, its socket closes and everything here ends.

Started by `launch` as `python -m tui_scraper.engine.workers.zygote FD`.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import selectors
import signal
import socket
import sys

import msgspec

from tui_scraper.engine import labels, tokens
from tui_scraper.engine.extract import registry
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.workers import sandbox, worker
from tui_scraper.engine.workers.frames import (
    Exited,
    FromZygote,
    Kill,
    Ready,
    Spawn,
    Spawned,
    ToZygote,
    ZygoteSettings,
)

_MAX_MESSAGE = 1_000_000


def main(descriptor: int) -> None:
    """Serve until the engine closes its end."""
    control = socket.socket(fileno=descriptor)
    network_left = sandbox.leave_network()
    sandbox.adopt_orphans()
    _preload()
    data = control.recv(_MAX_MESSAGE)
    if not data:  # nobody needed workers after all
        return
    start = msgspec.json.decode(data, type=ZygoteSettings)
    tokens.preload(Settings.model_validate_json(start.settings).chunk.tokenizer)
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the pages that workers share
    _Zygote(control, start).serve(sandbox.describe(network_left))


def _preload() -> None:
    registry.preload()
    tokens.preload()
    labels.preload()


class _Zygote:
    def __init__(self, control: socket.socket, start: ZygoteSettings) -> None:
        self._control = control
        self._start = start
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, int] = {}
        self._decoder = msgspec.json.Decoder(ToZygote)

    def serve(self, sandbox_level: str) -> None:
        self._selector.register(self._control, selectors.EVENT_READ)
        self._tell(Ready(sandbox_level, registry.registry().problems))
        while True:
            for key, _events in self._selector.select():
                if key.fileobj is not self._control:
                    self._reap(key.data)
                elif not self._listen():
                    self._end_all()
                    return

    def _tell(self, message: FromZygote) -> None:
        with contextlib.suppress(OSError):  # the engine has gone; the next select says so
            self._control.send(msgspec.json.encode(message))

    def _listen(self) -> bool:
        try:
            data, descriptors, _flags, _address = socket.recv_fds(self._control, _MAX_MESSAGE, 2)
        except OSError:
            return False
        if not data:
            return False
        message = self._decoder.decode(data)
        match message:
            case Spawn():
                self._spawn(message.slot, *descriptors)
            case Kill() if message.pid in self._children:
                _end(message.pid)
            case Kill():
                pass  # it has ended by itself
        return True

    def _spawn(self, slot: int, connection: int, page: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_worker(slot, connection, page)
        os.close(connection)
        os.close(page)
        waiter = os.pidfd_open(pid)
        self._children[pid] = waiter
        self._selector.register(waiter, selectors.EVENT_READ, pid)
        self._tell(Spawned(slot, pid))

    def _become_worker(self, slot: int, connection: int, page: int) -> None:
        status = 1
        try:
            sandbox.die_with_parent()
            os.setpgid(0, 0)  # a parser's own children are ended with it
            self._selector.close()
            self._control.close()
            for waiter in self._children.values():
                os.close(waiter)
            shared = mmap.mmap(page, mmap.PAGESIZE)
            os.close(page)
            worker.work(socket.socket(fileno=connection), shared, slot, self._start)
            status = 0
        finally:
            os._exit(status)  # nothing of the zygote's may run in a worker

    def _reap(self, pid: int) -> None:
        waiter = self._children.pop(pid)
        self._selector.unregister(waiter)
        os.close(waiter)
        _end(pid)  # what it started and left behind, before its number can be another's
        _pid, status = os.waitpid(pid, 0)
        self._end_strays()
        self._tell(Exited(pid, os.waitstatus_to_exitcode(status)))

    def _end_all(self) -> None:
        for pid in self._children:
            _end(pid)
        for pid in self._children:
            os.waitpid(pid, 0)
        self._children.clear()
        self._end_strays()

    def _end_strays(self) -> None:
        """Kill what dead workers had started and taken out of their group: it is ours by now."""
        with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", "rb") as listed:
            for pid in set(map(int, listed.read().split())) - self._children.keys():
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _end(pid: int) -> None:
    """Kill a worker and everything in its process group."""
    for kill in (os.killpg, os.kill):  # the group exists only once the worker has made it
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
