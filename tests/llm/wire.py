"""HTTP/1.1 as far as the model server needs it, written by hand: a library would refuse to misbehave.

Requests are read leanly, for the server measures throughput, too. Answers are whole where `send` wrote them;
whatever breaks the protocol goes through `write`, byte by byte if it must.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from http import HTTPStatus

LIMIT_BYTES = 1 << 20
"""Of a request's head, and of what is read ahead of its body."""

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {529: "Site is overloaded"}
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class GoneError(Exception):
    """The client has closed the connection: what would be written now reaches nobody."""


@dataclass(slots=True)
class Request:
    """One request. Names of headers are in lower case; `path` is without the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def credential(self) -> str | None:
        """The key that came along, in either of the headers that providers take."""
        authorization = self.headers.get("authorization")
        if authorization is not None:
            return authorization.removeprefix("Bearer ")
        return self.headers.get("api-key")


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None where it has ended, or does not speak HTTP."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head[:-4].decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {}
        for field in fields:
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        body = await reader.readexactly(length) if length else b""
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        return None
    return Request(method, target.partition("?")[0], headers, body)


class Wire:
    """One connection, from the server's side.

    `keep`: whether another request may follow. `whole`: whether all of the last answer went out, to a client
    that was still there. `headers`: what every whole answer to the current request carries besides its own.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.keep = True
        self.whole = False
        self.headers = b""
        # So that `drain` comes back when the kernel has everything, not when most of it has gone.
        writer.transport.set_write_buffer_limits(high=0)

    def begin(self, request: Request, headers: bytes) -> None:
        """Another request: nothing of its answer is written."""
        self.keep = request.headers.get("connection", "").lower() != "close"
        self.whole = False
        self.headers = headers

    def head(self, status: int, length: int | None, headers: bytes = b"", kind: str = "") -> bytes:
        """The head of an answer. Without a length it says nothing of how its body ends."""
        lines = b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\n" % (
            status,
            _REASONS[status].encode(),
            (kind or "application/json").encode(),
        )
        if length is not None:
            lines += b"content-length: %d\r\n" % length
        if not self.keep:
            lines += b"connection: close\r\n"
        return lines + self.headers + headers + b"\r\n"

    async def send(self, status: int, body: bytes, headers: bytes = b"", kind: str = "") -> None:
        """A whole answer."""
        await self.write(self.head(status, len(body), headers, kind) + body)
        self.whole = True

    async def write(self, data: bytes) -> None:
        """These bytes, and wait until the kernel has them. Raises GoneError."""
        if self.reader.at_eof() or self.writer.is_closing():
            raise GoneError
        self.writer.write(data)
        try:
            await self.writer.drain()
        except ConnectionError:
            raise GoneError from None

    async def chunk(self, data: bytes) -> None:
        """One chunk of a chunked body; an empty one ends it."""
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def wait(self, seconds: float) -> None:
        """Let time pass. Raises GoneError if the client has gone in it."""
        await asyncio.sleep(seconds)
        if self.reader.at_eof() or self.writer.is_closing():
            raise GoneError

    async def until_gone(self) -> None:
        """Read and answer nothing until the client goes."""
        while await self.reader.read(1 << 16):
            pass
        raise GoneError

    def close(self) -> None:
        """An orderly end after this answer, whatever was promised."""
        self.keep = False

    def reset(self) -> None:
        """End the connection with RST instead of FIN, now."""
        self.keep = False
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.writer.transport.abort()
