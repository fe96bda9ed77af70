"""The engine's side of the workers: hands out batches, watches deadlines, assigns blame.

What concurrent.futures and its kin do not do is why this exists: when a worker dies or hangs, the
one document it had in hand is to blame (a shared page names it), the rest of its batch is given
to another worker, and what it had sent before counts.

A document that ends a worker, by a crash or at its deadline, is tried once more, by the safe reader of its
format where there is one; if that ends a worker too it is quarantined. The deadline holds for the
document, not for the attempt: a fast reader that has a safe one behind it gets a part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import mmap
import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tui_scraper.engine.errors import TuiScraperError, timeout_sentence
from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.wire import DocumentReply, WorkItem
from tui_scraper.engine.workers import launch
from tui_scraper.engine.workers.frames import (
    HEARTBEAT,
    LENGTH,
    MAX_FRAME_BYTES,
    MOST_TURNS,
    SANDBOX_LOST,
    Batch,
    Exited,
    FromZygote,
    Kill,
    Measure,
    Ready,
    Replies,
    Spawn,
    Spawned,
    ZygoteSettings,
)
from tui_scraper.engine.workers.soundness import is_sound

_WATCH_EVERY_S = 0.25
_STALL_S = 2.0
_BETWEEN_NS = 5_000_000_000
"""A worker that says it has no document in hand is starting, sending or tidying up: that much longer."""
_RECYCLE_BYTES = 240_000_000
"""Of a new worker 190 MB are resident, most of them shared: this one keeps what it no longer needs."""
_RECYCLE_DOCUMENTS = 20_000
_START_TIMEOUT_S = 60.0
_CLOSE_S = 0.5
_MAX_SIZE = 256

Deliver = Callable[[Sequence[DocumentReply]], None]


@dataclass
class _Group:
    """Documents handed over together. Those in `answered` have come back."""

    items: Sequence[WorkItem]
    answered: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.asked = {item.version for item in self.items}


@dataclass(eq=False)
class _Worker:
    """One worker process as the engine sees it.

    `group` is its batch, `begun` which documents of that it was seen to have in hand and for which time,
    `since_ns` when the last of these began. Its `page` is only a worker's word, and `looked_ns` is when that
    was last asked. `visit` is the document, and its time, that is counted now, `spent` what documents of the
    batch have had in the times before. `blamed` is the document (0: unknown) for which it is being ended,
    None while it is not.
    """

    slot: int
    pid: int
    page: mmap.mmap
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    exited: asyncio.Future[int]
    documents: int = 0
    group: _Group | None = None
    begun: set[tuple[int, int]] = field(default_factory=set)
    visit: tuple[int, int] | None = None
    spent: dict[int, int] = field(default_factory=dict)
    since_ns: int = 0
    looked_ns: int = 0
    blamed: int | None = None
    overdue: bool = False
    broke_protocol: bool = False


class Pool:
    """A number of workers. `run` may be called by any number of tasks; they wait for a free worker.

    Workers can read what lies below the folders in `readable`. `allow_programs` lets them start the
    system's programs. `expected` is the folder of documents and the workspace, for a guess how much there is
    to do. With `signs` each new text comes with its signature, if it is not long. Once started, `measures`
    says what keeps them in, and `sandbox` the same in short.
    """

    def __init__(
        self,
        size: int,
        settings: Settings,
        until: PhaseName,
        warn: Callable[[str], None] = lambda _sentence: None,
        *,
        readable: Sequence[bytes] = (),
        allow_programs: bool = False,
        expected: tuple[Path, ...] = (),
        signs: bool = False,
    ) -> None:
        self.size = size
        self._expected = expected
        self.sandbox = ""
        self.measures: tuple[Measure, ...] = ()
        self._settings = settings
        self._start = ZygoteSettings(
            settings.model_dump_json(),
            until,
            settings.clean.worker_memory,
            settings.clean.cpu_s,
            tuple(map(os.path.abspath, readable)),
            allow_programs,
            signs,
        )
        self._warn = warn
        self._spent_ns: dict[int, int] = {}
        self._idle: asyncio.Queue[_Worker | int] = asyncio.Queue()
        self._slots = 0
        self._surplus = 0
        self._workers: dict[int, _Worker] = {}
        self._spawning: dict[int, asyncio.Future[int]] = {}
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Replies)
        self._lost_ns = 0
        self._zygote: subprocess.Popen[bytes] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    @property
    def pids(self) -> list[int]:
        """Every process of the pool."""
        if self._zygote is None:
            return []
        return [self._zygote.pid, *(worker.pid for worker in self._workers.values())]

    async def start(self) -> None:
        """Start the zygote and wait until it is warm. Workers follow when there is work.

        Raises TuiScraperError where it cannot be started.
        """
        if self.size > _MAX_SIZE:
            raise TuiScraperError(f"engine.workers: at most {_MAX_SIZE} are possible.")
        try:
            zygote = launch.take(*self._expected)
        except OSError as error:
            raise TuiScraperError(f"No worker process can be started ({error.strerror}).") from None
        zygote.control.setblocking(False)
        self._control = zygote.control
        self._zygote = zygote.process
        self._ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        with contextlib.suppress(OSError):  # it has ended already: listening will say so
            await asyncio.get_running_loop().sock_sendall(self._control, msgspec.json.encode(self._start))
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]
        try:
            ready = await asyncio.wait_for(asyncio.shield(self._ready), _START_TIMEOUT_S)
        except TimeoutError:
            raise TuiScraperError("The worker processes did not start within a minute.") from None
        self.sandbox, self.measures = ready.sandbox, ready.measures
        self._slots = self.size
        for slot in range(self.size):
            self._idle.put_nowait(slot)

    def resize(self, size: int) -> None:
        """Have another number of workers: more as there is work, fewer as batches are finished."""
        more, self.size = size - self.size, size
        if not self._slots or self._closing:  # it is only starting, or ending
            return
        back = min(max(more, 0), self._surplus)
        self._surplus += max(-more, 0) - back
        for _ in range(more - back):
            self._idle.put_nowait(self._slots)
            self._slots += 1
        idle = [self._idle.get_nowait() for _ in range(self._idle.qsize())]
        idle.sort(key=lambda taken: isinstance(taken, _Worker))  # first what is no process yet
        for taken in idle:
            self._give_back(taken)

    def _give_back(self, taken: _Worker | int) -> None:
        """A worker, or a slot for one, is idle; it ends where there are too many."""
        if not self._surplus:
            self._idle.put_nowait(taken)
            return
        self._surplus -= 1
        if isinstance(taken, _Worker):
            self._forget(taken)  # it sees its socket close and ends

    async def run(self, items: Sequence[WorkItem], deliver: Deliver) -> float:
        """Have some documents processed. `deliver` is called with each reply once, in pieces.

        Every item gets exactly one reply, whatever happens to the workers. Returns the seconds that they
        took, without those that went by before a worker was free.
        """
        waiting, seconds = deque([_Group(items)]), 0.0
        while waiting:
            group = waiting.popleft()
            worker = await self._take()
            began = time.monotonic()
            blamed = await self._converse(worker, group, deliver)
            seconds += time.monotonic() - began
            rest = [item for item in group.items if item.version not in group.answered]
            if blamed is None:
                if rest:
                    waiting.appendleft(_Group(rest))
                continue
            culprit = next((item for item in rest if item.version == blamed.version), None)
            if not blamed.version and len(rest) == 1:
                culprit = rest[0]  # it died after the document, not in it, and there is no other
            if culprit is not None:
                rest.remove(culprit)
                if culprit.ended_by is not None:
                    self._spent_ns.pop(culprit.version, None)
                    deliver([_refused(culprit, blamed)])
                else:
                    self._spent_ns[culprit.version] = blamed.spent_ns
                    again = msgspec.structs.replace(culprit, ended_by=blamed.cause)
                    waiting.append(_Group([again]))
            if rest and not blamed.version:  # who is to blame shows when each goes alone
                waiting.extendleft(_Group([item]) for item in reversed(rest))
            elif rest:
                waiting.appendleft(_Group(rest))
        return seconds

    async def close(self) -> None:
        """End every process. Work in hand is lost; its documents stay pending."""
        if self._closing or self._zygote is None:
            return
        self._closing = True
        for task in self._tasks:
            task.cancel()
        self._control.close()  # the zygote sees it and ends all workers with all that they started
        if self.sandbox:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._zygote.wait, _CLOSE_S)
        self._zygote.kill()
        await asyncio.to_thread(self._zygote.wait)
        for worker in self._workers.values():
            worker.writer.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)  # its parent's end has killed it already

    async def _take(self) -> _Worker:
        taken = await self._idle.get()
        if isinstance(taken, _Worker):
            if not taken.exited.done():
                return taken
            self._forget(taken)
            taken = taken.slot
        try:
            return await self._spawn(taken)
        except BaseException:
            self._give_back(taken)
            raise

    async def _spawn(self, slot: int) -> _Worker:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        answer: asyncio.Future[int] = loop.create_future()
        self._spawning[slot] = answer
        message = msgspec.json.encode(Spawn(slot))
        descriptor, page = _heartbeat_page()
        try:
            socket.send_fds(self._control, [message], [theirs.fileno(), descriptor])
        except OSError:
            ours.close()
            raise TuiScraperError("The process that starts workers has ended unexpectedly.") from None
        finally:
            theirs.close()
            os.close(descriptor)
        try:
            pid = await answer
        except BaseException:
            ours.close()  # the worker, if there is one, sees it and ends
            raise
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=1 << 20)
        worker = _Worker(slot, pid, page, reader, writer, self._exits[pid])
        self._workers[slot] = worker
        return worker

    def _forget(self, worker: _Worker) -> None:
        worker.writer.close()
        worker.page.close()
        self._exits.pop(worker.pid, None)
        if self._workers.get(worker.slot) is worker:
            del self._workers[worker.slot]

    async def _converse(self, worker: _Worker, group: _Group, deliver: Deliver) -> _Blame | None:
        """Give a worker its batch and collect the replies. Returns whom to blame if it ended."""
        worker.group, worker.begun, worker.visit, worker.spent = group, set(), None, {}
        worker.since_ns = worker.looked_ns = time.monotonic_ns()
        try:
            payload = self._encoder.encode(Batch(list(group.items)))
            worker.writer.write(LENGTH.pack(len(payload)))
            worker.writer.write(payload)
            await worker.writer.drain()
            while True:
                replies = await self._receive(worker)
                versions = [reply.version for reply in replies.replies]
                fresh = set(versions)
                if len(fresh) != len(versions) or not fresh <= group.asked - group.answered:
                    raise _ProtocolError
                if not all(is_sound(reply, self._start.until) for reply in replies.replies):
                    raise _ProtocolError
                group.answered |= fresh
                for version in fresh & self._spent_ns.keys():
                    del self._spent_ns[version]
                worker.documents += len(versions)
                deliver(replies.replies)
                if replies.last:
                    if group.answered != group.asked and not (replies.worn and group.answered):
                        raise _ProtocolError
                    break
        except _ProtocolError:
            worker.broke_protocol = True
            worker.blamed, _allowed_ns = self._look_at(worker, time.monotonic_ns())
            self._kill(worker)
            return await self._bury(worker)
        except (OSError, asyncio.IncompleteReadError):
            return await self._bury(worker)
        except BaseException:  # the run is being stopped: the worker must not answer a later batch
            self._kill(worker)
            raise
        worker.group = None
        if replies.worn or replies.memory_bytes > _RECYCLE_BYTES or worker.documents > _RECYCLE_DOCUMENTS:
            self._forget(worker)  # the worker sees its socket close and ends
            self._give_back(worker.slot)
        else:
            self._give_back(worker)
        return None

    async def _receive(self, worker: _Worker) -> Replies:
        (length,) = LENGTH.unpack(await worker.reader.readexactly(LENGTH.size))
        if length > MAX_FRAME_BYTES:
            raise _ProtocolError
        data = await worker.reader.readexactly(length)
        try:
            return self._decoder.decode(data)
        except msgspec.MsgspecError:
            raise _ProtocolError from None

    async def _bury(self, worker: _Worker) -> _Blame:
        """Wait for a worker's end and say which document it had in hand, and what ended it."""
        status = await worker.exited
        version, _allowed_ns = self._look_at(worker, time.monotonic_ns())
        if worker.blamed is not None:
            version = worker.blamed  # it may have gone on to the next one before it was ended
        spent_ns = time.monotonic_ns() - max(worker.since_ns, self._lost_ns) + worker.spent.get(version, 0)
        self._forget(worker)
        self._give_back(worker.slot)
        if status == SANDBOX_LOST:
            raise TuiScraperError(
                "A worker process could not be closed in as it was possible at the start; `doctor` says what "
                "is missing."
            )
        if worker.overdue or status == -signal.SIGXCPU:
            return _Blame(version, Cause.TIMEOUT, timeout_sentence(self._settings.clean), spent_ns)
        how = "sent what it must not send" if worker.broke_protocol else _ending(status)
        self._warn(f"A worker {how}; its other documents go to another worker.")
        return _Blame(
            version,
            Cause.CRASHED,
            f"The reader {how} on this file, twice. The file is left out; the others are not affected.",
            spent_ns,
        )

    def _look_at(self, worker: _Worker, now: int) -> tuple[int, int]:
        """Which document of its batch a worker says it has in hand, and when to end it if that is earlier.

        (0, 0) for none, or what cannot be true. A document is taken up once for each step, and not before it
        was last looked.
        """
        version, since, allowed_ns, turn = HEARTBEAT.unpack_from(worker.page)
        looked_ns, worker.looked_ns = worker.looked_ns, now
        visit = version, turn
        if worker.visit is not None and worker.visit != visit:  # it was last seen when that was last asked
            seen_ns = looked_ns - max(worker.since_ns, self._lost_ns)
            worker.spent[worker.visit[0]] = worker.spent.get(worker.visit[0], 0) + max(0, seen_ns)
            worker.visit = None
        if worker.group is None or version not in worker.group.asked - worker.group.answered:
            return 0, 0
        if not 0 <= turn < MOST_TURNS:
            return 0, 0
        if visit not in worker.begun:
            worker.begun.add(visit)
            worker.visit = visit
            worker.since_ns = min(max(since, looked_ns), now)
        return version, allowed_ns

    def _kill(self, worker: _Worker) -> None:
        with contextlib.suppress(OSError):
            self._control.send(msgspec.json.encode(Kill(worker.pid)))

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        decoder = msgspec.json.Decoder(FromZygote)
        while data := await self._control_message():
            match decoder.decode(data):
                case Ready() as ready:
                    for problem in ready.problems:
                        self._warn(problem)
                    self._ready.set_result(ready)
                case Spawned(slot=slot, pid=pid):
                    self._exits[pid] = loop.create_future()
                    asked = self._spawning.pop(slot)
                    if not asked.done():  # else the run is being stopped
                        asked.set_result(pid)
                case Exited(pid=pid, status=status):
                    ended = self._exits.get(pid)
                    if ended is not None and not ended.done():
                        ended.set_result(status)
                    self._hang_up(pid)
        if not self._closing:
            self._zygote_ended()

    async def _control_message(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._control, 65536)
        except OSError:  # it ended before it had read what was sent to it
            return b""

    def _hang_up(self, pid: int) -> None:
        """End the connection of a dead worker, which something that it started may hold open.

        What it had sent is still read.
        """
        for worker in self._workers.values():
            if worker.pid == pid and not worker.writer.is_closing():
                with contextlib.suppress(OSError):
                    worker.writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def _zygote_ended(self) -> None:
        gone = TuiScraperError("The process that starts workers has ended unexpectedly.")
        if not self._ready.done():
            self._ready.set_exception(gone)
        for spawning in self._spawning.values():
            if not spawning.done():
                spawning.set_exception(gone)
        for ended in self._exits.values():
            if not ended.done():
                ended.set_result(-signal.SIGKILL)

    async def _watch(self) -> None:
        """End workers whose document is past its deadline.

        Each document is taken up once for each step, and what it was seen to take in the steps before counts,
        so a worker cannot put its end off by what it says of itself. When this
        loop itself stood still (ctrl+z, a machine asleep), that time counts against no document.
        """
        limit_ns = int(self._settings.clean.timeout_s * 1e9)
        before = time.monotonic_ns()
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            now = time.monotonic_ns()
            if now - before > _STALL_S * 1e9:
                self._lost_ns = now
            before = now
            for worker in self._workers.values():
                if worker.group is None or worker.blamed is not None:
                    continue
                version, allowed_ns = self._look_at(worker, now)
                left_ns = limit_ns + _BETWEEN_NS
                if version:
                    left_ns = limit_ns - self._spent_ns.get(version, 0) - worker.spent.get(version, 0)
                if 0 < allowed_ns < left_ns:
                    left_ns = allowed_ns
                if now - max(worker.since_ns, self._lost_ns) > left_ns:
                    worker.blamed, worker.overdue = version, True
                    self._kill(worker)


def _heartbeat_page() -> tuple[int, mmap.mmap]:
    """A page to share with one worker, which can neither shrink nor grow it: its descriptor, and our view."""
    descriptor = os.memfd_create("tui-scraper-heartbeat", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, mmap.PAGESIZE)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor, mmap.mmap(descriptor, mmap.PAGESIZE)


@dataclass(frozen=True, slots=True)
class _Blame:
    """The document a dead worker had in hand (0: none), and the time it had had so far."""

    version: int
    cause: Cause
    message: str
    spent_ns: int


class _ProtocolError(Exception):
    """A worker sent what no sound worker sends."""


def _refused(item: WorkItem, blame: _Blame) -> DocumentReply:
    return DocumentReply(
        version=item.version, status=Status.FAILED, phase=item.start, cause=blame.cause, message=blame.message
    )


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended by itself (exit code {status})"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
