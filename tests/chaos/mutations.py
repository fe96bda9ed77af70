"""Ways to damage a file: pure functions of its bytes, a random source and other files of its format.

Blind damage (bits, blocks, lengths) dies early in most parsers, at a checksum or a compressed stream. So
half of the ways know a little of the container: they open a zip, a gzip, a tar, a stream of a PDF or a
sector of an OLE file, damage what is inside, and close it again so that checksums hold.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence

MAX_BYTES = 3_000_000
"""No mutation makes a file larger than this."""

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes | None]
"""(the bytes, the random source, other files of the format) -> other bytes; None where it does not apply."""

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_NUMBERS = (b"0", b"-1", b"1", b"65535", b"65536", b"2147483647", b"4294967296", b"99999999999999999999")
_TOKENS = (
    *(b"[", b"(", b"{", b"<", b">", b"*", b"_", b"`", b"|", b"#", b"&", b'"', b"'", b",", b"\\", b"\t", b" "),
    *(b"\n", b"\r", b"\r\n", b"\0", b"-", b"=", b":", b"/", b"%", b"$", b"~", b"!", b"^", b"\x1b[", b"\xff"),
    *(
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<b>",
        b"</",
        b"<?",
        b"&#0;",
        b"&#x110000;",
        b"&x;",
        b"<table>",
    ),
    *(b"![](", b"[^1]: ", b"```\n", b"> ", b"- ", b"1. ", b"| a ", b":::", b".. include:: /etc/passwd\n"),
    *(b"<plaintext>", b"<script>", b"<svg><style>", b"<select><option>", b"<template>", b"<frameset>"),
    *(b"{\\rtf1 ", b"\\bin99999999 ", b"\\u-1 ", b"\\'e", b"\\par", b"{\\*\\objdata ", b"\\ansicpg99999 "),
    *(b"stream\n", b"endstream", b"endobj", b"obj\n", b"<<", b"/Filter /FlateDecode ", b"/Encrypt 9 0 R "),
    *(
        b"/Length 2147483647 ",
        b"/Kids [2 0 R] ",
        b"trailer",
        b"startxref\n0\n",
        b"/ObjStm ",
        b"/Parent 2 0 R ",
    ),
    *(
        b"Content-Transfer-Encoding: base64\n",
        b"Content-Type: multipart/mixed; boundary=\n",
        b"=?utf-8?b?!!?=",
    ),
    *(
        b"Content-Type: text/plain; charset=utf-7\n",
        b"Content-Type: message/rfc822\n\n",
        b"\nFrom a b\n",
        b"--",
    ),
    *(b'Content-Type: multipart/mixed; boundary="x"\n\n--x\n', b"begin 644 a.txt\n", b"=3D=\n", b"=?x?q?a?="),
    *(
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"PK\x01\x02",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xc3\x28",
    ),
    *(
        "\u202e\u0301\u0301".encode(),
        "\u200d".encode(),
        "\ufffe".encode(),
        b'{"a":',
        b"[[[",
        b"1e999",
        b"NaN",
    ),
)
_XML_TOKENS = (
    *(
        b"&undefined;",
        b"&#0;",
        b"&#xFFFFFFFF;",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<?x",
        b"\0",
        b"\xff",
    ),
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]>',
    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>&b;',
    b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>',
)
_XML_SPAN = 400_000  # of large parts only the beginning is looked at
_FOREIGN = ("utf-16", "utf-16-be", "utf-32", "utf-7", "cp037", "shift_jis", "latin-1")


def mutate(data: bytes, rng: random.Random, others: Sequence[bytes]) -> tuple[bytes, tuple[str, ...]]:
    """One to three mutations of a file. Returns it with the names of what was done."""
    done: list[str] = []
    for _round in range(rng.choice((1, 1, 1, 2, 3))):
        for _try in range(8):
            chosen = rng.choice(INFORMED if rng.random() < 0.6 else BLIND)
            changed = chosen(data, rng, others)
            if changed is not None and changed != data:
                data = changed[:MAX_BYTES]
                done.append(chosen.__name__)
                break
    return data, tuple(done)


def flip_bits(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Turn over some bits anywhere."""
    if not data:
        return None
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def overwrite(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Write noise, zeros or ones over a block."""
    if not data:
        return None
    at, size = _block(data, rng)
    noise = (rng.randbytes(size), bytes(size), b"\xff" * size)
    return data[:at] + rng.choice(noise) + data[at + size :]


def truncate(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Leave out the end, or sometimes the beginning."""
    if len(data) < 2:
        return None
    at = rng.choice((rng.randrange(1, len(data)), len(data) - rng.randrange(1, min(len(data), 200))))
    return data[at:] if rng.random() < 0.1 else data[:at]


def cut(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Leave out a block."""
    if len(data) < 2:
        return None
    at, size = _block(data, rng)
    return data[:at] + data[at + size :]


def repeat(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Say a block again, often."""
    if not data:
        return None
    at, size = _block(data, rng)
    block = data[at : at + size]
    times = min(rng.choice((1, 2, 10, 1000, 20_000)), max(1, 400_000 // size))
    return data[:at] + block * times + data[at:]


def swap(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Let two blocks change places."""
    if len(data) < 4:
        return None
    a, b, c, d = sorted(rng.randrange(len(data) + 1) for _ in range(4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def splice(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes | None:
    """The beginning of this file and the end of another of its format."""
    if not others or not data:
        return None
    other = rng.choice(others)
    if rng.random() < 0.5:
        return data[: rng.randrange(len(data))] + other[rng.randrange(len(other) or 1) :]
    at = rng.randrange(min(len(data), len(other)) or 1)
    return data[:at] + other[at:]


def edit_length(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Write a telling number where one may stand: at an even place, rather near the beginning."""
    if len(data) < 16:
        return None
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 3))):
        size, order = rng.choice((2, 4, 4, 8)), rng.choice(("little", "little", "big"))
        span = rng.choice((64, 600, 4096, len(out)))
        at = rng.randrange(max(1, min(span, len(out)) - size)) // 2 * 2
        was = int.from_bytes(out[at : at + size], order)  # type: ignore[arg-type]
        value = rng.choice((*_EXTREMES, len(data), was + 1, was - 1, was * 2)) % (1 << 8 * size)
        out[at : at + size] = value.to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(out)


def edit_number(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Replace a number that is written in digits; mostly by one of as many, so that offsets hold."""
    start = rng.randrange(len(data) or 1)
    found = re.compile(rb"(?<!\d)\d{1,12}(?!\d)").search(data, start)
    if found is None:
        return None
    width = len(found[0])
    same = (b"9" * width, b"0" * width, b"%0*d" % (width, rng.randrange(10**width)))
    number = rng.choice(same if rng.random() < 0.7 else _NUMBERS)
    return data[: found.start()] + number + data[found.end() :]


def insert_token(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Insert what means something to some parser: once, or tens of thousands of times."""
    token = rng.choice(_TOKENS)
    times = min(rng.choice((1, 1, 3, 200, 100_000)), 300_000 // len(token))
    at = rng.choice((0, len(data), rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:at] + token * times + data[at:]


def text_lines(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes | None:
    """Shuffle, repeat, join or leave out lines, or take some of another file."""
    lines = data.split(b"\n")
    if len(lines) < 3:
        return None
    at = rng.randrange(len(lines))
    upto = min(len(lines), at + rng.choice((1, 2, 10, 100)))
    some = lines[at:upto]
    match rng.randrange(6):
        case 0:
            del lines[at:upto]
        case 1:
            lines[at:at] = some * min(rng.choice((1, 5, 500)), 300_000 // (sum(map(len, some)) + 1) + 1)
        case 2:
            rng.shuffle(some)
            lines[at:upto] = some
        case 3:
            lines[at:upto] = [b"".join(some)]
        case 4:
            lines[at:upto] = [
                rng.choice((b" ", b"\t", b"> ", b"\r")) * rng.randrange(1, 60) + one for one in some
            ]
        case _:
            other = rng.choice(others).split(b"\n") if others else lines
            lines[at:upto] = other[: rng.randrange(1, 50)]
    return b"\n".join(lines)


def text_encoding(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Write a text, or a part of it, in another encoding."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    at = rng.choice((0, 0, rng.randrange(len(text) + 1)))
    return text[:at].encode() + text[at:].encode(rng.choice(_FOREIGN), "replace")


def xml_tags(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Damage markup: tags lost, repeated, nested deeply, values changed, things that XML forbids."""
    tags = list(re.compile(rb"<[^<>]{1,1000}>").finditer(data, 0, _XML_SPAN))
    if len(tags) < 3:
        return None
    first, second = sorted(rng.sample(range(len(tags)), 2))
    tag, other = tags[first], tags[second]
    head, tail = data[: tag.start()], data[tag.end() :]
    match rng.randrange(8):
        case 0:
            return head + tail
        case 1:
            return data[: other.start()] + data[tag.start() :]
        case 2:
            return head + tag[0] * min(rng.choice((2, 150, 5_000, 50_000)), 600_000 // len(tag[0])) + tail
        case 3:
            return head + other[0] + data[tag.end() : other.start()] + tag[0] + data[other.end() :]
        case 4:
            return head + _edit_attribute(tag[0], rng) + tail
        case 5:
            return data[: tag.end()] + rng.choice(_XML_TOKENS) + tail
        case 6:
            return head + re.sub(rb"[A-Za-z]+", b"x" * rng.choice((1, 70_000)), tag[0], count=1) + tail
        case _:
            return data[: tag.end()] + data[other.start() :]


def _edit_attribute(tag: bytes, rng: random.Random) -> bytes:
    values = list(re.finditer(rb'="([^"]*)"', tag))
    if not values:
        return tag
    value = rng.choice(values)
    new = rng.choice((*_NUMBERS, b"", b"A" * 100_000, b"../../../etc/passwd", b"\xff\xfe", b"&x;", b"rId1"))
    return tag[: value.start(1)] + new + tag[value.end(1) :]


def inside_zip(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes | None:
    """Damage one member of a zip, or its list, and write the archive anew with the right checksums."""
    members = _unzip(data)
    if not members:
        return None
    position = rng.randrange(len(members))
    name, method, part = members[position]
    match rng.randrange(10):
        case 0:
            del members[position]
        case 1:
            members[position] = (rng.choice(members)[0], method, part)
        case 2:
            members[position] = (
                rng.choice(("../../x", "/etc/x", "a\\..\\b", name.upper(), "é" * 300)),
                method,
                part,
            )
        case 3:
            members[position] = (name, method, rng.choice(members)[2])
        case 4:
            strangers = _unzip(rng.choice(others)) if others else []
            if not strangers:
                return None
            members[position] = (name, method, rng.choice(strangers)[2])
        case 5:
            members.append((name, method, part))
        case _:
            chosen = rng.choice((xml_tags, xml_tags, text_lines, insert_token, *BLIND))
            changed = chosen(part, rng, [])
            if changed is None:
                return None
            members[position] = (name, method, changed[:MAX_BYTES])
    return _zip(members)


def _unzip(data: bytes) -> list[tuple[str, int, bytes]]:
    """Name, compression and content of the members of a small, sound zip; [] of anything else."""
    if not data.startswith(b"PK"):
        return []
    members = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > 500 or sum(entry.file_size for entry in entries) > 20_000_000:
                return []
            for entry in entries:
                members.append((entry.filename, entry.compress_type, archive.read(entry)))
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError):
        return []
    except (struct.error, lzma.LZMAError, IndexError):
        return []
    return members


def _zip(members: Sequence[tuple[str, int, bytes]]) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
        warnings.simplefilter("ignore")  # of names that come twice: that is the point
        for name, method, part in members:
            known = method if method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), part, known)
    return out.getvalue()


_COMPRESSED: tuple[tuple[bytes, Callable[[bytes], bytes], Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", gzip.decompress, lambda raw: gzip.compress(raw, 1, mtime=0)),
    (b"BZh", bz2.decompress, lambda raw: bz2.compress(raw, 1)),
    (b"\xfd7zXZ", lzma.decompress, lambda raw: lzma.compress(raw, preset=0)),
)


def inside_compressed(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes | None:
    """Damage what is compressed with gzip, bzip2 or xz."""
    for magic, unpack, pack in _COMPRESSED:
        if data.startswith(magic) and len(data) < 1_000_000:
            try:
                raw = unpack(data)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return None
            if len(raw) > 2 * MAX_BYTES:
                return None
            changed = rng.choice((tar_header, tar_header, text_lines, *BLIND))(raw, rng, [])
            return None if changed is None else pack(changed)
    return None


def tar_header(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Change a field of a tar header, and its checksum with it."""
    if data[257:262] != b"ustar" or len(data) < 512:
        return None
    starts = [
        at for at in range(0, min(len(data), 2_000_000) - 511, 512) if data[at + 257 : at + 262] == b"ustar"
    ]
    at = rng.choice(starts)
    header = bytearray(data[at : at + 512])
    start, size = rng.choice(
        ((0, 100), (100, 8), (124, 12), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155))
    )
    values = (
        b"77777777777\0",
        b"\x80" + b"\xff" * 11,
        b"-0000000001\0",
        b"../../../x",
        b"g",
        b"S",
        b"2",
        b"L",
        b"",
    )
    header[start : start + size] = rng.choice(values)[:size].ljust(size, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]


def inside_pdf_stream(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Damage a compressed stream of a PDF and compress it again."""
    if b"%PDF-" not in data[:1024]:
        return None
    streams = list(re.compile(rb"stream\r?\n").finditer(data))
    rng.shuffle(streams)
    for found in streams[:5]:
        unpacker = zlib.decompressobj()
        try:
            raw = unpacker.decompress(data[found.end() :], MAX_BYTES)
        except zlib.error:
            continue
        changed = rng.choice((edit_number, text_lines, insert_token, *BLIND))(raw, rng, [])
        if changed is None:
            continue
        end = len(data) - len(unpacker.unused_data)
        packed = zlib.compress(changed[:MAX_BYTES], 1)
        head = data[: found.start()]
        at = head.rfind(b"/Length", max(0, len(head) - 300))
        if at >= 0:  # a number that follows directly; a reference to one ends the pattern with ' 0 R'
            head = head[:at] + re.sub(
                rb"^/Length\s+\d+(?!\s+\d+\s+R)", b"/Length %d" % len(packed), head[at:]
            )
        return head + found[0] + packed + data[end:]
    return None


def ole_sector(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes | None:
    """Change numbers of an OLE file's header, of its tables of sectors and of its directory."""
    if not data.startswith(b"\xd0\xcf\x11\xe0") or len(data) < 1024:
        return None
    out = bytearray(data)
    sectors = len(out) // 512
    for _ in range(rng.choice((1, 2, 5))):
        entry = out.find("R\0o\0o\0t\0".encode("latin-1"))
        directory = (
            entry + 128 * rng.randrange(8) + rng.choice((64, 66, 68, 72, 76, 116, 120)) if entry > 0 else 24
        )
        at = rng.choice(
            (24 + 2 * rng.randrange(240), directory, 512 * rng.randrange(1, sectors) + 4 * rng.randrange(128))
        )
        value = rng.choice((*_EXTREMES, 0xFFFFFFFE, 0xFFFFFFFD, rng.randrange(sectors), sectors)) & 0xFFFFFFFF
        if at + 4 <= len(out):
            out[at : at + 4] = value.to_bytes(4, "little")
    return bytes(out)


def _block(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Where a block begins, and its size: mostly small."""
    size = min(len(data), rng.choice((1, 2, 4, 16, 100, 512, 4096, max(1, len(data) // 4))))
    return rng.randrange(len(data) - size + 1), size


BLIND: tuple[Mutation, ...] = (
    flip_bits,
    overwrite,
    truncate,
    cut,
    repeat,
    swap,
    splice,
    edit_length,
    edit_number,
)
INFORMED: tuple[Mutation, ...] = (
    *(inside_zip, inside_zip, inside_zip, inside_compressed, tar_header, inside_pdf_stream, ole_sector),
    *(xml_tags, insert_token, text_lines, text_encoding),
)
