"""What the engine and its workers speak: length-prefixed MessagePack frames over a socket.

The length is checked before anything is read, the content is decoded against the types of `wire`:
nothing a worker sends is believed before that.
"""

from __future__ import annotations

import socket
import struct

import msgspec

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.wire import DocumentReply, WorkItem

LENGTH = struct.Struct("<I")
HEARTBEAT = struct.Struct("<qqqq")
"""On the page that a worker shares with the engine: (version in hand or 0, CLOCK_MONOTONIC nanoseconds when
it was taken up, nanoseconds from there after which to end the worker earlier than at the deadline, 0 for
none, which time it is in hand)."""
MOST_TURNS = 8
"""A document is in hand once for each step of the worker."""

MAX_FRAME_BYTES = 192_000_000
"""Above a clean text of 10 M characters with its chunks, both badly compressible, and a batch's rest."""

FLUSH_BYTES = 256_000
"""A worker sends what it has when it has this much, so that large results do not pile up in it."""


class Batch(msgspec.Struct, array_like=True, frozen=True):
    """Documents for a worker, in order."""

    items: list[WorkItem]


class Replies(msgspec.Struct, array_like=True, frozen=True):
    """Some of a batch's documents. `last` marks its end; `memory_bytes` is the worker's peak RSS.

    A worker that is `worn` ends with this; what it has not answered of the batch is for another one.
    """

    replies: list[DocumentReply]
    last: bool
    memory_bytes: int
    worn: bool = False


class ZygoteSettings(msgspec.Struct, frozen=True):
    """What a zygote is started with: the settings of the run as JSON, and the last phase to run.

    Workers can read what lies below the folders in `readable` (absolute paths), Python and the system's
    own files, and nothing else. `allow_programs` lets readers start the programs of the system and of
    PATH, which are closed in the same way. `signs`: texts get their signatures along.
    """

    settings: str
    until: PhaseName
    worker_memory: int
    cpu_s: int
    readable: tuple[bytes, ...] = ()
    allow_programs: bool = False
    signs: bool = False


class Spawn(msgspec.Struct, tag=True, frozen=True):
    """Engine to zygote: fork a worker for this slot. Its socket and a page to share come along."""

    slot: int


class Kill(msgspec.Struct, tag=True, frozen=True):
    """Engine to zygote: end this worker, whatever it is doing."""

    pid: int


class Spawned(msgspec.Struct, tag=True, frozen=True):
    """Zygote to engine: the worker of this slot runs as this process."""

    slot: int
    pid: int


SANDBOX_LOST = 71
"""Exit code of a worker that could not be closed in as the zygote had found possible."""


class Exited(msgspec.Struct, tag=True, frozen=True):
    """Zygote to engine: a worker ended. `status` is its exit code, or minus the signal."""

    pid: int
    status: int


class Measure(msgspec.Struct, array_like=True, frozen=True):
    """One thing that keeps workers in, and whether it could be reached here.

    `detail` says what holds then, or why it does not and what the person can do.
    """

    name: str
    reached: bool
    detail: str


class Ready(msgspec.Struct, tag=True, frozen=True):
    """Zygote to engine: everything is loaded. `sandbox` says in a few words what keeps workers in.

    `problems` are sentences about plugins that could not be loaded.
    """

    sandbox: str
    problems: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()


ToZygote = Spawn | Kill
FromZygote = Spawned | Exited | Ready


def send_frame(connection: socket.socket, payload: bytes) -> None:
    """Send one frame, blocking. The payload is not copied to be prefixed when it is large."""
    if len(payload) < 65536:
        connection.sendall(LENGTH.pack(len(payload)) + payload)
    else:
        connection.sendall(LENGTH.pack(len(payload)))
        connection.sendall(payload)


def receive_frame(connection: socket.socket) -> bytes | None:
    """Receive one frame, blocking; None when the other side has closed."""
    header = _exactly(connection, LENGTH.size)
    if header is None:
        return None
    return _exactly(connection, LENGTH.unpack(header)[0])


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    buffer = bytearray(size)
    view, at = memoryview(buffer), 0
    while at < size:
        count = connection.recv_into(view[at:])
        if not count:
            return None
        at += count
    return bytes(buffer)
