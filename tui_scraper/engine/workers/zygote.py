"""A warm process that forks workers: everything is loaded once, so a new worker costs milliseconds.

It never reads a document. It runs in a session of its own, so that no key typed at the terminal
and no hang-up reaches the workers; it holds no key of any provider; and when the engine goes away,
however it goes, its socket closes and everything here ends.

Started by `expecting`, in the process that `launch` has made.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import selectors
import signal
import socket
from collections.abc import Callable

import msgspec

from tui_scraper.engine import labels, tokens
from tui_scraper.engine.duplicates.signature import signatures
from tui_scraper.engine.extract import registry
from tui_scraper.engine.phases.document import Processor
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.workers import sandbox, worker
from tui_scraper.engine.workers.frames import (
    SANDBOX_LOST,
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
_STRAY_ROUNDS = 100


def main(descriptor: int, *, few: Callable[[], bool] = lambda: False) -> None:
    """Serve until the engine closes its end. Where `few` documents are expected not all is loaded at once."""
    control = socket.socket(fileno=descriptor)
    network = sandbox.leave_network()
    sandbox.adopt_orphans()
    little = few()
    _preload(few=little)
    data = control.recv(_MAX_MESSAGE)
    if not data:  # nobody needed workers after all
        return
    start = msgspec.json.decode(data, type=ZygoteSettings)
    little = little and tokens.expect_little(_vocabulary(start))
    if not little:
        tokens.preload(_vocabulary(start))
    Processor(Settings.model_validate_json(start.settings), start.until)  # what it has learnt, workers share
    if start.signs:
        signatures(["what this imports and works out"])
    _freeze()
    box = sandbox.Sandbox(start, network)
    box.try_out()
    _Zygote(control, start, box, few=little).serve()


def _preload(*, few: bool = False) -> None:
    registry.preload(parsers=not few)
    tokens.expect_little() if few else tokens.preload()
    labels.preload()


def _vocabulary(start: ZygoteSettings) -> str:
    return Settings.model_validate_json(start.settings).chunk.tokenizer


def _freeze() -> None:
    """Keep the collector from touching, and so copying, the pages that workers share."""
    gc.collect()
    gc.freeze()


class _Zygote:
    """`few`: not everything is loaded; a second worker for the same slot needs the rest."""

    def __init__(
        self, control: socket.socket, start: ZygoteSettings, box: sandbox.Sandbox, *, few: bool
    ) -> None:
        self._control = control
        self._start = start
        self._box = box
        self._few = few
        self._slots: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, int] = {}
        self._decoder = msgspec.json.Decoder(ToZygote)

    def serve(self) -> None:
        self._selector.register(self._control, selectors.EVENT_READ)
        level, problems = sandbox.describe(self._box.measures), registry.registry().problems
        self._tell(Ready(level, problems, self._box.measures))
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
        if self._few and slot in self._slots:  # the first one there had more to do than was expected
            self._few = False
            registry.preload()
            tokens.preload(_vocabulary(self._start))
            _freeze()
        self._slots.add(slot)
        pid = os.fork()
        if pid == 0:
            self._become_worker(connection, page)
        os.close(connection)
        os.close(page)
        waiter = os.pidfd_open(pid)
        self._children[pid] = waiter
        self._selector.register(waiter, selectors.EVENT_READ, pid)
        self._tell(Spawned(slot, pid))

    def _become_worker(self, connection: int, page: int) -> None:
        status = 1
        try:
            sandbox.die_with_parent()
            with contextlib.suppress(OSError):  # the terminal and the engine take a core at once
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            os.setpgid(0, 0)  # a parser's own children are ended with it
            self._selector.close()
            self._control.close()
            for waiter in self._children.values():
                os.close(waiter)
            heartbeat = mmap.mmap(page, mmap.PAGESIZE)
            os.close(page)
            try:
                self._box.enter()
            except (OSError, ValueError):
                os._exit(SANDBOX_LOST)
            worker.work(socket.socket(fileno=connection), heartbeat, self._start)
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
        code = os.waitstatus_to_exitcode(status)
        if code == SANDBOX_LOST and self._box.still_holds():
            code = 1  # said by a parser, not by the sandbox
        self._tell(Exited(pid, code))

    def _end_all(self) -> None:
        for pid in self._children:
            _end(pid)
        for pid in self._children:
            os.waitpid(pid, 0)
        self._children.clear()
        self._end_strays()

    def _end_strays(self) -> None:
        """Kill what dead workers had started and taken out of their group: it is ours by now.

        All of it is stopped before any is killed, since what is killed makes room for another fork.
        """
        for _round in range(_STRAY_ROUNDS):
            found: set[int] = set()
            while fresh := self._strays() - found:
                found |= fresh
                for pid in fresh:
                    _signal_below(found, pid, signal.SIGSTOP)
            if not found:
                return
            killed = [pid for pid in found if _signal_below(found, pid, signal.SIGKILL)]
            for pid in killed:
                with contextlib.suppress(ChildProcessError):  # its parent is not dead yet
                    os.waitpid(pid, 0)

    def _strays(self) -> set[int]:
        """Everything below this process that is neither a worker nor below one."""
        found: set[int] = set()
        waiting = [os.getpid()]
        while waiting:
            new = set(sandbox.children(waiting.pop())) - self._children.keys()
            found |= new
            waiting += new
        return found


def _signal_below(found: set[int], pid: int, number: int) -> bool:
    """Signal a process found below this one, unless it has ended and its number is another's by now."""
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            with open(f"/proc/{pid}/stat", "rb") as status:
                parent = int(status.read().rpartition(b")")[2].split()[1])
            if parent == os.getpid() or parent in found:
                signal.pidfd_send_signal(process, number)
                return True
        finally:
            os.close(process)
    return False


def _end(pid: int) -> None:
    """Kill a worker and everything in its process group."""
    for kill in (os.killpg, os.kill):  # the group exists only once the worker has made it
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
