"""A worker: takes batches from its socket, puts what became of each document back.

It stands between hostile bytes and everything else, so it expects to die at any moment: it says in
a shared page which document it has in hand, it sends results as they come, and it keeps nothing.
"""

from __future__ import annotations

import gc
import mmap
import os
import resource
import signal
import socket
import time

import msgspec

from tui_scraper.engine import tokens
from tui_scraper.engine.phases.document import Processor, Watch
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.wire import DocumentReply
from tui_scraper.engine.workers import sandbox
from tui_scraper.engine.workers.frames import (
    FLUSH_BYTES,
    HEARTBEAT,
    Batch,
    Replies,
    ZygoteSettings,
    receive_frame,
    send_frame,
)

_COLLECT_EVERY_S = 2.0
_RENEW_EVERY_S = 0.2
_MOST_DESCRIPTORS = 64
"""Of the 256 that a worker may have. A new one has five."""


def work(connection: socket.socket, heartbeat: mmap.mmap, start: ZygoteSettings) -> None:
    """Serve batches until the engine closes the socket."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    gc.disable()  # what a document leaves behind is collected between batches, not in the middle of one
    settings = Settings.model_validate_json(start.settings)
    watched = _Watched(connection, heartbeat, settings, start)
    processor = Processor(settings, start.until, watch=watched, signs=start.signs)
    decoder = msgspec.msgpack.Decoder(Batch)
    encoder = msgspec.msgpack.Encoder()
    collect_at = time.monotonic() + _COLLECT_EVERY_S
    while (frame := receive_frame(connection)) is not None:
        done: list[DocumentReply] = []
        size = 0
        for replies in processor.process_all(decoder.decode(frame).items):
            if size > FLUSH_BYTES:
                send_frame(connection, encoder.encode(Replies(done, False, 0)))
                done, size = [], 0
            done += replies
            size += sum(map(_size, replies))
        if processor.ends:
            send_frame(connection, encoder.encode(Replies(done, True, 0, worn=True)))
            return
        processor.release()
        if time.monotonic() > collect_at:
            gc.collect()
            collect_at = time.monotonic() + _COLLECT_EVERY_S
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        send_frame(connection, encoder.encode(Replies(done, True, peak)))


class _Watched(Watch):
    """Says on the shared page which document is in hand, for which step and since when."""

    def __init__(
        self, connection: socket.socket, page: mmap.mmap, settings: Settings, start: ZygoteSettings
    ) -> None:
        self._connection = connection
        self._page = page
        self._vocabulary = settings.chunk.tokenizer
        self._programs = start.allow_programs
        self._allowance = CpuAllowance(start.cpu_s)

    def begin(self, version: int, turn: int) -> None:
        """See `Watch`."""
        self._allowance.renew()
        HEARTBEAT.pack_into(self._page, 0, version, time.monotonic_ns(), 0, turn)

    def allow(self, seconds: float) -> None:
        """See `Allow`."""
        version, since_ns, _allowed_ns, turn = HEARTBEAT.unpack_from(self._page)
        allowed_ns = time.monotonic_ns() - since_ns + int(seconds * 1e9) if seconds else 0
        HEARTBEAT.pack_into(self._page, 0, version, since_ns, allowed_ns, turn)

    def end(self) -> None:
        """See `Watch`."""
        HEARTBEAT.pack_into(self._page, 0, 0, 0, 0, 0)

    def may_go_on(self) -> bool:
        """See `Watch`: not where a program that a document had started is still there."""
        return not (tokens.is_overtaxed(self._vocabulary) or (self._programs and sandbox.has_children()))

    def may_begin(self) -> bool:
        """See `Watch`: nor where parsers have left many files open."""
        return self.may_go_on() and not _is_worn(self._connection)


def _is_worn(connection: socket.socket) -> bool:
    """Whether parsers have left so many descriptors open that later documents might not be opened for it."""
    try:
        lowest_free = os.dup(connection.fileno())
    except OSError:
        return True
    os.close(lowest_free)
    return lowest_free > _MOST_DESCRIPTORS


def _size(reply: DocumentReply) -> int:
    clean = len(reply.clean.payload) if reply.clean else 0
    chunks = len(reply.chunk.payload) if reply.chunk else 0
    return clean + chunks + 200


class CpuAllowance:
    """Gives each document its CPU seconds: the kernel ends the process (SIGXCPU) that uses them up.

    RLIMIT_CPU counts from the start of the process, so the limit is moved along; only once it has
    come closer by a second, because most documents take less than a millisecond. To ask for the time used
    so far takes 20 us, so that is done a few times a second at most.
    """

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._granted = 0.0
        self._due = 0.0
        self.renew()

    def renew(self) -> None:
        """Allow `seconds` more from now, give or take one."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _RENEW_EVERY_S
        used_s = time.process_time()
        if self._granted and used_s - self._granted < 1.0:
            return
        self._granted = max(used_s, 0.001)
        soft, hard = int(used_s) + self._seconds + 1, resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(
            resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
        )
