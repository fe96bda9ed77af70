"""Mails, mailboxes and Outlook items made by the tests themselves."""

from __future__ import annotations

import base64
import io
import itertools
import struct
from collections.abc import Mapping

from tests.extract.files import read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

HEADER = "From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: Plans\nMIME-Version: 1.0\n"
SHOWN = "From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: Plans"


def mail(body: str | bytes, header: str = HEADER, charset: str = "utf-8") -> bytes:
    """A mail with this body, whose own header fields come first and end with an empty line."""
    raw = body if isinstance(body, bytes) else body.encode(charset)
    return header.encode(charset) + raw


def multipart(kind: str, *parts: str, header: str = HEADER) -> bytes:
    """A mail of several parts, each with its header fields."""
    joined = "".join(f"--=_b\n{part}\n" for part in parts)
    return mail(f'Content-Type: multipart/{kind}; boundary="=_b"\n\n{joined}--=_b--\n', header)


def body_of(data: bytes, name: str = "a.eml") -> str:
    """The text of a mail below its header block."""
    return read(data, name).text.partition("\n\n")[2]


def members(data: bytes, name: str = "a.eml") -> list[tuple[str | None, bytes]]:
    """The files inside, as the pipeline is given them."""
    media_type = detect(data, name.encode())
    reader = registry().readers[media_type].entries
    assert reader is not None
    found = reader(io.BytesIO(data), media_type, CleanSettings())
    return [(entry.name, b"".join(entry.pieces())) for entry in found]


def why(data: bytes, name: str = "a.eml") -> Cause:
    """Why a document cannot be read."""
    try:
        read(data, name)
    except DocumentError as error:
        assert error.message.isprintable()
        assert 15 < len(error.message) <= 500
        return error.cause
    raise AssertionError("it was read")


def b64(content: bytes) -> str:
    """Base64 as mail has it."""
    return base64.encodebytes(content).decode("ascii")


Tree = Mapping[str, "bytes | Tree"]

_FREE, _END, _FAT_SECTOR = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def ole(tree: Tree) -> bytes:
    """An OLE container (MS-CFB) with these storages and streams."""
    entries: list[list[object]] = [["Root Entry", 5, _FREE, b""]]
    _add(tree, 0, entries)
    mini, mini_fat = bytearray(), []
    sectors, fat = bytearray(), []

    def chain(table: list[int], count: int) -> int:
        first = len(table)
        table.extend([*range(first + 1, first + count), _END] if count else [])
        return first if count else _END

    places: list[tuple[int, int]] = []
    for _name, kind, _child, content in entries:
        data = content if isinstance(content, bytes) else b""
        if kind != 2 or not data:
            places.append((_END if kind == 2 else 0, 0))
        elif len(data) < 4096:
            places.append((chain(mini_fat, -(-len(data) // 64)), len(data)))
            mini += data.ljust(-(-len(data) // 64) * 64, b"\0")
        else:
            places.append((chain(fat, -(-len(data) // 512)), len(data)))
            sectors += data.ljust(-(-len(data) // 512) * 512, b"\0")
    places[0] = (chain(fat, -(-len(mini) // 512)), len(mini))
    sectors += bytes(mini).ljust(-(-len(mini) // 512) * 512, b"\0")
    packed = struct.pack(f"<{len(mini_fat)}I", *mini_fat)
    packed = packed.ljust(-(-len(packed) // 512) * 512, b"\xff")
    mini_fat_start = chain(fat, len(packed) // 512)
    sectors += packed
    directory = b"".join(
        _directory_entry(entry, place, siblings)
        for entry, place, siblings in zip(entries, places, _siblings(entries), strict=True)
    )
    directory = directory.ljust(-(-len(directory) // 512) * 512, b"\0")
    directory_start = chain(fat, len(directory) // 512)
    sectors += directory
    count = 1
    while (len(fat) + count) * 4 > count * 512:
        count += 1
    fat_start = len(fat)
    fat += [_FAT_SECTOR] * count
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(count * 512, b"\xff")
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3, 0xFFFE, 9, 6,
        bytes(6), 0, count, directory_start, 0, 4096, mini_fat_start, len(packed) // 512, _END, 0,
    )  # fmt: skip
    listed = struct.pack(f"<{count}I", *range(fat_start, fat_start + count))
    return header + listed.ljust(436, b"\xff") + bytes(sectors) + table


def _add(tree: Tree, parent: int, entries: list[list[object]]) -> None:
    for name, content in tree.items():
        is_stream = isinstance(content, bytes)
        entries.append([name, 2 if is_stream else 1, parent, content if is_stream else b""])
        if not isinstance(content, bytes):
            _add(content, len(entries) - 1, entries)


def _siblings(entries: list[list[object]]) -> list[tuple[int, int]]:
    """(right neighbour, first child) of each entry; neighbours form a list, sorted as the format wants."""
    right, child = [_FREE] * len(entries), [_FREE] * len(entries)
    for parent in range(len(entries)):
        kids = [n for n, entry in enumerate(entries) if n and entry[2] == parent]
        kids.sort(key=lambda n: (len(str(entries[n][0])), str(entries[n][0]).upper()))
        for before, after in itertools.pairwise(kids):
            right[before] = after
        if kids:
            child[parent] = kids[0]
    return list(zip(right, child, strict=True))


def _directory_entry(entry: list[object], place: tuple[int, int], siblings: tuple[int, int]) -> bytes:
    name = str(entry[0]).encode("utf-16-le") + b"\0\0"
    return struct.pack(
        "<64sHBBIII16sIQQIQ", name.ljust(64, b"\0"), len(name), int(str(entry[1])), 1,
        _FREE, siblings[0], siblings[1], bytes(16), 0, 0, 0, *place,
    )  # fmt: skip


def fixed(header_bytes: int, *values: tuple[int, int, int]) -> bytes:
    """A property stream: (number, type, value) of each property that has a fixed length."""
    packed = (struct.pack("<HHIQ", kind, number, 6, value) for number, kind, value in values)
    return bytes(header_bytes) + b"".join(packed)


def strings(**values: str | bytes) -> dict[str, bytes]:
    """Property streams by number: p0037='Unicode', p1013=b'binary'; n0037=b'8-bit'."""
    found = {}
    for name, value in values.items():
        number = name[1:].upper()
        if isinstance(value, str):
            found[f"__substg1.0_{number}001F"] = value.encode("utf-16-le")
        else:
            found[f"__substg1.0_{number}{'001E' if name[0] == 'n' else '0102'}"] = value
    return found


def outlook(*extra: Tree, times: tuple[tuple[int, int, int], ...] = (), **values: str | bytes) -> bytes:
    """An Outlook item with these properties, recipients and attachments."""
    tree: dict[str, bytes | Tree] = {"__properties_version1.0": fixed(32, *times), **strings(**values)}
    for storages in extra:
        tree.update(storages)
    return ole(tree)


def recipient(number: int, name: str, address: str, kind: int = 1) -> Tree:
    """A recipient: 1 is To, 2 Cc, 3 Bcc."""
    streams = strings(p3001=name, p39FE=address)
    return {
        f"__recip_version1.0_#{number:08X}": {
            "__properties_version1.0": fixed(8, (0x0C15, 3, kind)),
            **streams,
        }
    }


def attachment(number: int, name: str, content: bytes | Tree, **values: str | bytes) -> Tree:
    """An attachment: bytes, or the properties of an item."""
    streams: dict[str, bytes | Tree] = dict(strings(p3707=name, **values))
    if isinstance(content, bytes):
        streams["__substg1.0_37010102"] = content
        streams["__properties_version1.0"] = fixed(8, (0x3705, 3, 1))
    else:
        streams["__substg1.0_3701000D"] = {"__properties_version1.0": bytes(24), **content}
        streams["__properties_version1.0"] = fixed(8, (0x3705, 3, 5))
    return {f"__attach_version1.0_#{number:08X}": streams}


def tnef(*attributes: tuple[int, bytes], level: int = 2) -> bytes:
    """A winmail.dat with these attributes."""
    packed = (
        struct.pack("<BII", level, number, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)
        for number, value in attributes
    )
    return b"\x78\x9f\x3e\x22\x01\x00" + b"".join(packed)
