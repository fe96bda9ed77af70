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
from collections.abc import Sequence

import msgspec

from tui_scraper.engine import tokens
from tui_scraper.engine.duplicates.signature import signatures
from tui_scraper.engine.phases.document import Processor
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.wire import CleanText, DocumentReply
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
_SIGNED_CHARS = 100_000
"""A longer text is not held until those that came with it are signed together."""
_MOST_DESCRIPTORS = 64
"""Of the 256 that a worker may have. A new one has five."""


def work(connection: socket.socket, heartbeat: mmap.mmap, start: ZygoteSettings) -> None:
    """Serve batches until the engine closes the socket."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    gc.disable()  # what a document leaves behind is collected between batches, not in the middle of one
    allowance = CpuAllowance(start.cpu_s)

    def allow(seconds: float) -> None:
        version, since, _allowed = HEARTBEAT.unpack_from(heartbeat)
        until = time.monotonic_ns() - since + int(seconds * 1e9) if seconds else 0
        HEARTBEAT.pack_into(heartbeat, 0, version, since, until)

    settings = Settings.model_validate_json(start.settings)
    processor, vocabulary = Processor(settings, start.until, allow=allow), settings.chunk.tokenizer
    decoder = msgspec.msgpack.Decoder(Batch)
    encoder = msgspec.msgpack.Encoder()
    collect_at = time.monotonic() + _COLLECT_EVERY_S
    while (frame := receive_frame(connection)) is not None:
        done: list[DocumentReply] = []
        texts: list[str | None] = []
        size = 0
        for item in decoder.decode(frame).items:
            allowance.renew(time.process_time())
            HEARTBEAT.pack_into(heartbeat, 0, item.version, time.monotonic_ns(), 0)
            reply = processor.process(item)
            HEARTBEAT.pack_into(heartbeat, 0, 0, 0, 0)
            done.append(reply)
            if start.signs:
                texts.append(to_sign(processor.text))
            size += _size(reply)
            if size > FLUSH_BYTES:
                send_frame(connection, encoder.encode(Replies(signed(done, texts), False, 0)))
                done, texts, size = [], [], 0
            worn = _is_worn(connection) or tokens.is_overtaxed(vocabulary)
            if worn or (start.allow_programs and sandbox.has_children()):
                send_frame(connection, encoder.encode(Replies(signed(done, texts), True, 0, worn=True)))
                return
        processor.release()
        if time.monotonic() > collect_at:
            gc.collect()
            collect_at = time.monotonic() + _COLLECT_EVERY_S
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        send_frame(connection, encoder.encode(Replies(signed(done, texts), True, peak)))


def to_sign(made: CleanText | None) -> str | None:
    """What is signed of a document here. Long texts are not held for that: who compares them signs them."""
    if made is None or len(made.text) > _SIGNED_CHARS:
        return None
    return "" if made.is_listing else made.text


def signed(replies: list[DocumentReply], texts: Sequence[str | None]) -> list[DocumentReply]:
    """Replies with the signatures of their texts, where there are any: of many at once, which is faster."""
    short = {at: text for at, text in enumerate(texts) if text is not None}
    if not short:
        return replies
    try:
        made = signatures(list(short.values()))
    except Exception:  # no document shall end for that: who compares them signs them, or says what is wrong
        return replies
    with_it = list(replies)
    for at, row in zip(short, made, strict=True):
        clean = replies[at].clean
        if clean is not None:
            clean = msgspec.structs.replace(clean, signature=row.astype("<u2").tobytes())
            with_it[at] = msgspec.structs.replace(replies[at], clean=clean)
    return with_it


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
    come closer by a second, because most documents take less than a millisecond.
    """

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._granted = 0.0
        self.renew(0.0)

    def renew(self, used_s: float) -> None:
        """Allow `seconds` more from now; `used_s` is the CPU time of the process so far."""
        if self._granted and used_s - self._granted < 1.0:
            return
        self._granted = max(used_s, 0.001)
        soft, hard = int(used_s) + self._seconds + 1, resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(
            resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
        )
