"""Behaviours that lie below what an answer says: waits, broken connections, broken HTTP, bombs."""

from __future__ import annotations

import gzip
import zlib

from tests.llm.behaviours import Bill, Client, Exchange, behaviour

DRIP_S = 0.05
DRIP_BYTES = 1_000_000
HUGE_BYTES = 64 << 20
BOMB_BYTES = 1 << 30
_MIB = 1 << 20

ACCEPT, MAY_ACCEPT, RETRY = Client.ACCEPT, Client.MAY_ACCEPT, Client.RETRY
ANSWER = Bill.ANSWER


# --- waits and broken connections -----------------------------------------------------------------


@behaviour(ACCEPT, ANSWER)
async def slow_under_deadline(x: Exchange) -> None:
    """A good answer whose first byte comes just before the deadline."""
    await x.wire.wait(0.8 * x.deadline_s)
    await x.say(x.answer.body())


@behaviour(RETRY, ANSWER)
async def slow_over_deadline(x: Exchange) -> None:
    """A good answer whose first byte comes just after the deadline."""
    await x.wire.wait(1.2 * x.deadline_s)
    await x.say(x.answer.body())


@behaviour(RETRY, ANSWER)
async def slow_drip(x: Exchange) -> None:
    """A byte every 50 ms, for hours: each read succeeds, the answer never comes."""
    await x.wire.write(x.wire.head(200, DRIP_BYTES))
    for _ in range(DRIP_BYTES):
        await x.wire.write(b" ")
        await x.wire.wait(DRIP_S)


@behaviour(RETRY, status=0)
async def slow_headers(x: Exchange) -> None:
    """A head that never ends, a line every 50 ms."""
    await x.wire.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(DRIP_BYTES):
        await x.wire.write(b"x-%d: y\r\n" % number)
        await x.wire.wait(DRIP_S)


@behaviour(RETRY, status=0)
async def never_answers(x: Exchange) -> None:
    """Take the request and say nothing."""
    await x.wire.until_gone()


@behaviour(RETRY, status=0)
async def closes_unanswered(x: Exchange) -> None:
    """Close in good order instead of an answer, as at the end of a keep-alive."""
    x.wire.close()


@behaviour(RETRY, ANSWER)
async def half_body(x: Exchange) -> None:
    """Half of the body, then the end."""
    body = x.answer.body()
    await x.wire.write(x.wire.head(200, len(body)) + body[: len(body) // 2])
    x.wire.close()


@behaviour(RETRY, status=0)
async def reset_at_once(x: Exchange) -> None:
    """RST instead of an answer."""
    x.wire.reset()


@behaviour(RETRY, ANSWER, status=0)
async def reset_in_head(x: Exchange) -> None:
    """RST in the middle of a header."""
    await x.wire.write(x.wire.head(200, 1000)[:-12])
    x.wire.reset()


@behaviour(RETRY, ANSWER)
async def reset_in_body(x: Exchange) -> None:
    """RST in the middle of the body."""
    body = x.answer.body()
    await x.wire.write(x.wire.head(200, len(body)) + body[: len(body) // 2])
    x.wire.reset()


# --- HTTP -----------------------------------------------------------------------------------------


@behaviour(RETRY, status=0)
async def not_http(x: Exchange) -> None:
    """Bytes that are no HTTP."""
    await x.wire.write(b"SSH-2.0-OpenSSH_9.6\r\n\x00\xff\xfe")
    x.wire.close()


@behaviour(ACCEPT, ANSWER)
async def informational_first(x: Exchange) -> None:
    """Two 1xx responses before a good answer."""
    await x.wire.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
    await x.say(x.answer.body())


@behaviour(ACCEPT, ANSWER)
async def chunked(x: Exchange) -> None:
    """A good answer in chunks of 7 bytes."""
    await x.wire.write(x.wire.head(200, None, b"transfer-encoding: chunked\r\n"))
    body = x.answer.body()
    for start in range(0, len(body), 7):
        await x.wire.chunk(body[start : start + 7])
    await x.wire.chunk(b"")
    x.wire.whole = True


@behaviour(RETRY, ANSWER)
async def chunked_garbage(x: Exchange) -> None:
    """A chunk, then something that is the size of none."""
    await x.wire.write(x.wire.head(200, None, b"transfer-encoding: chunked\r\n"))
    await x.wire.chunk(b'{"id": ')
    await x.wire.write(b"zz\r\n" + x.answer.body())
    x.wire.close()


@behaviour(RETRY, ANSWER)
async def chunked_cut(x: Exchange) -> None:
    """All of the body in a chunk, and no last one: whether it is whole, nobody can know."""
    await x.wire.write(x.wire.head(200, None, b"transfer-encoding: chunked\r\n"))
    await x.wire.chunk(x.answer.body())
    x.wire.close()


@behaviour(ACCEPT, ANSWER)
async def until_close(x: Exchange) -> None:
    """A good answer without a length, that ends with the connection."""
    x.wire.close()
    await x.wire.write(x.wire.head(200, None) + x.answer.body())
    x.wire.whole = True


@behaviour(RETRY, ANSWER)
async def length_too_small(x: Exchange) -> None:
    """A Content-Length of half of what comes."""
    body = x.answer.body()
    await x.wire.write(x.wire.head(200, len(body) // 2) + body)
    x.wire.close()


@behaviour(RETRY, ANSWER)
async def length_too_large(x: Exchange) -> None:
    """A Content-Length of twice what comes before the end."""
    body = x.answer.body()
    await x.wire.write(x.wire.head(200, len(body) * 2) + body)
    x.wire.close()


@behaviour(RETRY, ANSWER)
async def two_lengths(x: Exchange) -> None:
    """Two lengths that contradict each other."""
    body = x.answer.body()
    await x.wire.write(x.wire.head(200, len(body), b"content-length: 7\r\n") + body)
    x.wire.close()


@behaviour(ACCEPT, ANSWER, fatal=True)
async def answer_sent_twice(x: Exchange) -> None:
    """A good answer, and it again at once: who reads on takes it for that of the next request."""
    body = x.answer.body()
    await x.say(body)
    await x.wire.write(x.wire.head(200, len(body)) + body)


@behaviour(MAY_ACCEPT, ANSWER)
async def headers_10000(x: Exchange) -> None:
    """A good answer after 10,000 headers."""
    await x.say(x.answer.body(), headers=b"".join(b"x-%d: y\r\n" % number for number in range(10_000)))


@behaviour(MAY_ACCEPT, ANSWER)
async def header_1mb(x: Exchange) -> None:
    """A good answer after a header of 1 MB."""
    await x.say(x.answer.body(), headers=b"x-long: " + b"y" * _MIB + b"\r\n")


async def _redirect(x: Exchange, status: int) -> None:
    place = f"location: {x.elsewhere}{x.request.path}\r\n".encode()
    await x.say(b"", status, place)


@behaviour(RETRY, status=307)
async def redirect_307(x: Exchange) -> None:
    """307 to another host, which must not get to see the key."""
    await _redirect(x, 307)


@behaviour(RETRY, status=302)
async def redirect_302(x: Exchange) -> None:
    """302 to another host, which must not get to see the key."""
    await _redirect(x, 302)


@behaviour(RETRY, status=307)
async def redirect_loop(x: Exchange) -> None:
    """307 to where it already is: who follows asks again, and no loop of its own counts how often."""
    await x.say(b"", 307, f"location: {x.request.path}\r\n".encode())


# --- sizes ----------------------------------------------------------------------------------------


@behaviour(RETRY, ANSWER)
async def huge_body(x: Exchange) -> None:
    """64 MB of spaces before a good answer."""
    body = x.answer.body()
    await x.wire.write(x.wire.head(200, HUGE_BYTES + len(body)))
    for _ in range(HUGE_BYTES // _MIB):
        await x.wire.write(b" " * _MIB)
    await x.wire.write(body)
    x.wire.whole = True


@behaviour(RETRY, ANSWER)
async def gzip_bomb(x: Exchange) -> None:
    """A gzip stream of 1 MB that is 1 GB of spaces, each piece of 1 KB a thousand times as large."""
    await x.wire.write(x.wire.head(200, None, b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n"))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    spaces = b" " * _MIB
    # A block that refers to nothing before it can be sent over and over.
    piece = packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    await x.wire.chunk(b"\x1f\x8b\x08" + bytes(6) + b"\xff")
    for _ in range(BOMB_BYTES // _MIB):
        await x.wire.chunk(piece)
        checksum = zlib.crc32(spaces, checksum)
    end = packer.flush() + checksum.to_bytes(4, "little") + (BOMB_BYTES % 2**32).to_bytes(4, "little")
    await x.wire.chunk(end)
    await x.wire.chunk(b"")
    x.wire.whole = True


@behaviour(MAY_ACCEPT, ANSWER)
async def gzip_unasked(x: Exchange) -> None:
    """A good answer in gzip, whatever the client said that it takes."""
    await x.say(gzip.compress(x.answer.body(), mtime=0), headers=b"content-encoding: gzip\r\n")


@behaviour(RETRY, ANSWER)
async def gzip_broken(x: Exchange) -> None:
    """A body that is said to be gzip and is not."""
    await x.say(x.answer.body(), headers=b"content-encoding: gzip\r\n")
