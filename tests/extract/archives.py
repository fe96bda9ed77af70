"""Archives made byte by byte, so that they can lie."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence

from tests.extract.files import PROSE

BLOCK = 512
TEXT = PROSE.encode() * 3


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive as the standard library makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as container:
        for name, data in files.items():
            container.writestr(name, data)
    return out.getvalue()


def deflated(data: bytes) -> bytes:
    """Bare deflate data."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def local(name: bytes, packed: bytes, **fields: int) -> bytes:
    """A local header of a ZIP archive with its data: method, flags, crc, size, packed_size."""
    method, flags, crc = fields.get("method", 8), fields.get("flags", 0), fields.get("crc", 0)
    sizes = (fields.get("packed_size", len(packed)), fields.get("size", 0))
    head = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, flags, method, 0, 33, crc, *sizes, len(name), 0)
    return head + name + packed


def listed(name: bytes, offset: int, packed_size: int, size: int, crc: int, **fields: int) -> bytes:
    """A line of a ZIP archive's list of contents: method, flags, system, attributes."""
    made_by = fields.get("system", 0) << 8 | 20
    return (
        struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\1\2",
            made_by,
            20,
            fields.get("flags", 0),
            fields.get("method", 8),
            0,
            33,
            crc,
            packed_size,
            size,
            len(name),
            0,
            0,
            fields.get("disk", 0),
            0,
            fields.get("attributes", 0),
            offset,
        )
        + name
    )


def end(entries: int, size: int, offset: int, disk: int = 0) -> bytes:
    """The end of a ZIP archive."""
    return struct.pack("<4sHHHHIIH", b"PK\5\6", disk, disk, entries, entries, size, offset, 0)


def zip_of(entries: Sequence[tuple[bytes, bytes]], **fields: int) -> bytes:
    """A ZIP archive of (name, data) with the same odd fields for each entry."""
    body, lines = b"", b""
    for name, data in entries:
        packed = deflated(data) if fields.get("method", 8) == 8 else data
        crc = zlib.crc32(data)
        lines += listed(name, len(body), len(packed), len(data), crc, **fields)
        odd = {key: value for key, value in fields.items() if key in ("method", "flags")}
        body += local(name, packed, crc=crc, size=len(data), **odd)
    return body + lines + end(len(entries), len(lines), len(body))


def tar_header(name: bytes, size: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A header of a tar archive; fields: raw_size, link, magic, prefix."""
    block = bytearray(BLOCK)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = fields.get("raw_size", b"%011o\0" % size)
    block[136:148] = b"14000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    link = fields.get("link", b"")
    block[157 : 157 + len(link)] = link
    block[257:265] = fields.get("magic", b"ustar\x0000")
    prefix = fields.get("prefix", b"")
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_entry(name: bytes, data: bytes, kind: bytes = b"0", **fields: bytes) -> bytes:
    """An entry of a tar archive."""
    return tar_header(name, len(data), kind, **fields) + data + bytes(-len(data) % BLOCK)


def pax(**records: bytes) -> bytes:
    """A pax header; '.' in keys is written '__'."""
    body = b""
    for key, value in records.items():
        line = b" %s=%s\n" % (key.replace("__", ".").encode(), value)
        length = len(line) + 1
        while len(b"%d" % length) + len(line) != length:
            length += 1
        body += b"%d" % length + line
    return tar_entry(b"PaxHeaders/x", body, b"x")


TAR_END = bytes(2 * BLOCK)


def _number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else b"\xff" + value.to_bytes(8, "little")


COPY = b"\x01\x00"
BZIP2 = b"\x03\x04\x02\x02"
DEFLATE = b"\x03\x04\x01\x08"
LZMA2 = b"\x21\x21\x01\x10"
AES = b"\x04\x06\xf1\x07\x01"
PPMD = b"\x03\x03\x04\x01"
DELTA = b"\x21\x03\x01\x00"
X86 = b"\x04\x03\x03\x01\x03"


def lzma1(dictionary: int = 1 << 16) -> bytes:
    """The coder LZMA with its properties."""
    return b"\x23\x03\x01\x01\x05\x5d" + dictionary.to_bytes(4, "little")


def lzma_packed(data: bytes, *filters: dict[str, int]) -> bytes:
    """Bare LZMA2 (or whatever the filters say)."""
    chosen = list(filters) or [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    return lzma.compress(data, lzma.FORMAT_RAW, filters=chosen)


def seven_zip(
    files: Mapping[str, bytes],
    packed: bytes | None = None,
    coders: Sequence[bytes] = (COPY,),
    **claims: int,
) -> bytes:
    """A 7z archive of one folder. Coders are in the order of packing, each feeding the next.

    claims: size (of the whole folder), count (of files), packed_size; links (how many of the first files
    are links).
    """
    content = b"".join(files.values())
    packed = content if packed is None else packed
    size = claims.get("size", len(content))
    chain = b"".join(_number(number) + _number(number + 1) for number in range(len(coders) - 1))
    sizes = [len(data) for data in files.values() if data][:-1]
    folder = _number(len(coders)) + b"".join(coders) + chain
    streams = b"\x06\x00\x01\x09" + _number(claims.get("packed_size", len(packed))) + b"\x00"
    streams += b"\x07\x0b\x01\x00" + folder + b"\x0c" + _number(size) * len(coders) + b"\x00"
    streams += b"\x08\x0d" + _number(len(sizes) + 1)
    streams += (b"\x09" + b"".join(map(_number, sizes)) if sizes else b"") + b"\x0a\x01"
    streams += b"".join(struct.pack("<I", zlib.crc32(data)) for data in files.values() if data) + b"\x00\x00"
    names = b"\x00" + b"".join(name.encode("utf-16-le", "surrogatepass") + b"\0\0" for name in files)
    listing = b"\x05" + _number(claims.get("count", len(files)))
    if any(not data for data in files.values()):
        bits = "".join("0" if data else "1" for data in files.values())
        none = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
        count = sum(not data for data in files.values())
        listing += b"\x0e" + _number(len(none)) + none
        listing += b"\x0f" + _number(-(-count // 8)) + b"\xff" * (-(-count // 8))
    listing += b"\x11" + _number(len(names)) + names
    if "links" in claims:
        modes = [0o120777 if number < claims["links"] else 0o100644 for number in range(len(files))]
        attributes = b"\x01\x00" + b"".join(struct.pack("<I", mode << 16 | 0x8000) for mode in modes)
        listing += b"\x15" + _number(len(attributes)) + attributes
    listing += b"\x00"
    return around_header(packed, b"\x01\x04" + streams + listing + b"\x00")


def around_header(packed: bytes, header: bytes) -> bytes:
    """A 7z archive of packed streams and a header."""
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start + packed + header
