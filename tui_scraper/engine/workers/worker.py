"""A worker: takes batches from its socket, puts what became of each document back.

It stands between hostile bytes and everything else, so it expects to die at any moment: it says in
a shared page which document it has in hand, it sends results as they come, and it keeps nothing.
"""

from __future__ import annotations

import gc
import mmap
import resource
import signal
import socket
import time

import msgspec

from tui_scraper.engine.phases.document import Processor
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


def work(connection: socket.socket, page: mmap.mmap, slot: int, start: ZygoteSettings) -> None:
    """Serve batches until the engine closes the socket."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    gc.disable()  # what a document leaves behind is collected between batches, not in the middle of one
    sandbox.limit(start.worker_memory)
    allowance = sandbox.CpuAllowance(start.cpu_s)
    at = slot * HEARTBEAT.size

    def allow(seconds: float) -> None:
        version, since, _allowed = HEARTBEAT.unpack_from(page, at)
        until = time.monotonic_ns() - since + int(seconds * 1e9) if seconds else 0
        HEARTBEAT.pack_into(page, at, version, since, until)

    processor = Processor(Settings.model_validate_json(start.settings), start.until, allow=allow)
    decoder = msgspec.msgpack.Decoder(Batch)
    encoder = msgspec.msgpack.Encoder()
    collect_at = time.monotonic() + _COLLECT_EVERY_S
    while (frame := receive_frame(connection)) is not None:
        done: list[DocumentReply] = []
        size = 0
        for item in decoder.decode(frame).items:
            allowance.renew(time.process_time())
            HEARTBEAT.pack_into(page, at, item.version, time.monotonic_ns(), 0)
            reply = processor.process(item)
            HEARTBEAT.pack_into(page, at, 0, 0, 0)
            done.append(reply)
            size += _size(reply)
            if size > FLUSH_BYTES:
                send_frame(connection, encoder.encode(Replies(done, False, 0)))
                done, size = [], 0
        processor.release()
        if time.monotonic() > collect_at:
            gc.collect()
            collect_at = time.monotonic() + _COLLECT_EVERY_S
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        send_frame(connection, encoder.encode(Replies(done, True, peak)))


def _size(reply: DocumentReply) -> int:
    clean = len(reply.clean.payload) if reply.clean else 0
    chunks = len(reply.chunk.payload) if reply.chunk else 0
    return clean + chunks + 200
