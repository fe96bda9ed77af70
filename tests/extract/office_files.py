"""Office documents made by the tests themselves, down to the bytes of the old formats."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape

TRANSITIONAL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT = "http://purl.oclc.org/ooxml/officeDocument/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
MAIN_TYPES = {
    "word": "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
    "xl": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
    "ppt": "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml",
    "xlsb": "application/vnd.ms-excel.sheet.binary.macroEnabled.main",
}

Relations = Mapping[str, Iterable[tuple[str, str, str]]]
"""part -> (id, kind, target); targets with '://' lie outside."""


def package(parts: Mapping[str, str | bytes], relations: Relations, *, base: str = TRANSITIONAL) -> bytes:
    """A package of these parts and relations; those of '' are the package's own."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in parts.items():
            container.writestr(name, content)
        for part, listed in relations.items():
            folder, _, file = part.rpartition("/")
            entries = "".join(
                f'<Relationship Id="{identity}" Type="{base}/{kind}"'
                f' Target="{escape(target)}"{_mode(target)}/>'
                for identity, kind, target in listed
            )
            name = f"{folder}/_rels/{file}.rels".lstrip("/")
            container.writestr(name, f'<Relationships xmlns="{_RELATIONS}">{entries}</Relationships>')
    return out.getvalue()


def _mode(target: str) -> str:
    return ' TargetMode="External"' if "://" in target else ""


def content_types(kind: str, main: str) -> str:
    """The list of content types of a package with this main part."""
    return (
        f'<?xml version="1.0"?><Types xmlns="{_TYPES}">'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/{main}" ContentType="{MAIN_TYPES[kind]}"/></Types>'
    )


def xlsx(
    sheets: Mapping[str, str],
    *,
    strings: Iterable[str] = (),
    styles: str = "",
    extra: Mapping[str, str | bytes] | None = None,
    relations: Mapping[str, Iterable[tuple[str, str, str]]] | None = None,
    properties: str = "",
) -> bytes:
    """A workbook: what stands inside <worksheet> for each sheet, and inside <styleSheet>."""
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{number}" r:id="s{number}"/>'
        for number, name in enumerate(sheets, 1)
    )
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": content_types("xl", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns:r="{TRANSITIONAL}">{properties}'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/sharedStrings.xml": f"<sst>{''.join(f'<si><t>{escape(one)}</t></si>' for one in strings)}</sst>",
        "xl/styles.xml": f"<styleSheet>{styles}</styleSheet>",
    }
    book = [("strings", "sharedStrings", "sharedStrings.xml"), ("styles", "styles", "styles.xml")]
    for number, inside in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{number}.xml"] = f"<worksheet>{inside}</worksheet>"
        book.append((f"s{number}", "worksheet", f"worksheets/sheet{number}.xml"))
    return package(
        {**parts, **(extra or {})},
        {"": [("main", "officeDocument", "xl/workbook.xml")], "xl/workbook.xml": book, **(relations or {})},
    )


def pptx(
    slides: Iterable[str],
    *,
    extra: Mapping[str, str | bytes] | None = None,
    relations: Mapping[str, Iterable[tuple[str, str, str]]] | None = None,
) -> bytes:
    """A presentation: what stands inside the shape tree of each slide. They are shown last to first."""
    found = list(slides)
    numbers = range(1, len(found) + 1)
    order = "".join(f'<p:sldId id="{255 + n}" r:id="s{n}"/>' for n in reversed(numbers))
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": content_types("ppt", "ppt/presentation.xml"),
        "ppt/presentation.xml": f'<p:presentation xmlns:p="p" xmlns:r="{TRANSITIONAL}"><p:sldIdLst>{order}'
        "</p:sldIdLst></p:presentation>",
    }
    for n, inside in zip(numbers, found, strict=True):
        parts[f"ppt/slides/slide{n}.xml"] = (
            f'<p:sld xmlns:p="p" xmlns:a="a" xmlns:mc="mc"><p:cSld><p:spTree>{inside}'
            "</p:spTree></p:cSld></p:sld>"
        )
    return package(
        {**parts, **(extra or {})},
        {
            "": [("main", "officeDocument", "ppt/presentation.xml")],
            "ppt/presentation.xml": [(f"s{n}", "slide", f"slides/slide{n}.xml") for n in numbers],
            **(relations or {}),
        },
    )


def shape(*lines: str, role: str = "") -> str:
    """A shape with these paragraphs, perhaps a placeholder."""
    placeholder = f'<p:ph type="{role}"/>' if role else ""
    paragraphs = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
    return (
        f"<p:sp><p:nvSpPr><p:nvPr>{placeholder}</p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"
    )


def ole(streams: Mapping[str, bytes]) -> bytes:
    """A compound file with these streams at the top; small ones share the mini stream, as the format asks."""
    sector, mini = 512, 64
    last, free, table_mark = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
    sectors: list[bytes] = []
    table: list[int] = []

    def store(data: bytes) -> int:
        if not data:
            return last
        first = len(sectors)
        for offset in range(0, len(data), sector):
            sectors.append(data[offset : offset + sector].ljust(sector, b"\0"))
            table.append(len(sectors))
        table[-1] = last
        return first

    small, mini_table, places = b"", list[int](), dict[str, int]()
    for name, data in streams.items():
        if len(data) >= 4096:
            places[name] = store(data)
            continue
        first = len(mini_table)
        count = -(-len(data) // mini)
        mini_table += [*range(first + 1, first + count), last][:count]
        small += data.ljust(count * mini, b"\0")
        places[name] = first if count else last
    mini_start = store(small)
    mini_table_start = store(struct.pack(f"<{len(mini_table)}I", *mini_table))
    entries = [_entry("Root Entry", 5, 1 if streams else free, free, mini_start, len(small))]
    for number, (name, data) in enumerate(streams.items(), 1):
        right = number + 1 if number < len(streams) else free
        entries.append(_entry(name, 2, free, right, places[name], len(data)))
    directory = store(b"".join(entries))
    table_sectors = 1
    while (len(table) + table_sectors) * 4 > table_sectors * sector:
        table_sectors += 1
    first_table = len(sectors)
    table += [table_mark] * table_sectors
    packed = struct.pack(f"<{len(table)}I", *table).ljust(table_sectors * sector, b"\xff")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6xIIIIIIIIII", 62, 3, 0xFFFE, 9, 6, 0, table_sectors, directory, 0, 4096,
                          mini_table_start, -(-len(mini_table) * 4 // sector), last, 0,
                          first_table)  # fmt: skip
    listed = struct.pack("<108I", *[n if n < first_table + table_sectors else free
                                    for n in range(first_table + 1, first_table + 109)])  # fmt: skip
    return header + listed + b"".join(sectors) + packed


def _entry(name: str, kind: int, child: int, right: int, start: int, size: int) -> bytes:
    raw = name.encode("utf-16-le") + b"\0\0"
    free = 0xFFFFFFFF
    return raw.ljust(64, b"\0") + struct.pack(
        "<HBBIII16x4x16xIII", len(raw), kind, 1, free, right, child, start, size, 0
    )


def summary(title: str) -> bytes:
    """A set of properties that holds a title."""
    raw = title.encode("utf-8") + b"\0"
    raw = raw.ljust(-(-len(raw) // 4) * 4, b"\0")
    values = struct.pack("<IHH", 2, 65001, 0) + struct.pack("<II", 30, len(raw)) + raw
    body = struct.pack("<II", 8 + 16 + len(values), 2) + struct.pack("<4I", 1, 24, 2, 32) + values
    return struct.pack("<HHI16xI16xI", 0xFFFE, 0, 0, 1, 48) + body


def record(kind: int, content: bytes = b"") -> bytes:
    """A record of an Excel workbook."""
    return struct.pack("<HH", kind, len(content)) + content


def biff(
    sheets: Mapping[str, bytes], *, shared: Iterable[bytes] = (), first: bytes = b"", version: int = 0x0600
) -> bytes:
    """The stream of a workbook: the records of each sheet, and the payloads of SST and CONTINUE records."""
    start = record(0x0809, struct.pack("<HHHHII", version, 5, 0, 0, 0, 0)) + first
    strings = b"".join(record(0xFC if n == 0 else 0x3C, payload) for n, payload in enumerate(shared))
    end = record(0x0A)
    bounds = [name.encode("latin-1") for name in sheets]
    flags = b"\0" if version == 0x0600 else b""
    size = sum(4 + 7 + len(flags) + len(name) for name in bounds)
    offset = len(start) + size + len(strings) + len(end)
    listed, bodies = b"", b""
    for name, inside in zip(bounds, sheets.values(), strict=True):
        listed += record(0x85, struct.pack("<IHB", offset + len(bodies), 0, len(name)) + flags + name)
        bodies += record(0x0809, struct.pack("<HHHHII", version, 0x10, 0, 0, 0, 0)) + inside + end
    return start + listed + strings + end + bodies


def xls(
    sheets: Mapping[str, bytes], *, shared: Iterable[bytes] = (), first: bytes = b"", title: str = ""
) -> bytes:
    """A workbook of Excel 97."""
    streams = {"Workbook": biff(sheets, shared=shared, first=first)}
    if title:
        streams["\x05SummaryInformation"] = summary(title)
    return ole(streams)


def flagged(text: str) -> bytes:
    """A string of Excel 97 with a length of two bytes."""
    return struct.pack("<HB", len(text), 1) + text.encode("utf-16-le")


def atom(kind: int, content: bytes = b"", instance: int = 0) -> bytes:
    """A record of a PowerPoint stream that holds data."""
    return struct.pack("<HHI", instance << 4, kind, len(content)) + content


def container(kind: int, *inside: bytes, instance: int = 0) -> bytes:
    """A record of a PowerPoint stream that holds other records."""
    content = b"".join(inside)
    return struct.pack("<HHI", instance << 4 | 0xF, kind, len(content)) + content


def ppt_text(role: int, text: str) -> bytes:
    """A text of a PowerPoint shape or outline."""
    return atom(3999, struct.pack("<I", role)) + atom(4000, text.replace("\n", "\r").encode("utf-16-le"))


def ppt(
    slides: Iterable[tuple[bytes, bytes]],
    *,
    notes: Iterable[bytes] = (),
    document: bytes = b"",
    encrypted: bool = False,
    title: str = "",
) -> bytes:
    """A presentation: for each slide its texts in the outline, and what its container holds."""
    pages, said = list(slides), list(notes)
    outline = b"".join(
        atom(1011, struct.pack("<IIIII", number + 2, 0, 0, 256 + number, 0)) + texts
        for number, (texts, _inside) in enumerate(pages)
    )
    listed = b"".join(
        atom(1011, struct.pack("<IIIII", len(pages) + number + 2, 0, 0, 512 + number, 0))
        for number in range(len(said))
    )
    objects = [
        container(1000, container(4080, outline), container(4080, listed, instance=2), document),
        *(container(1006, inside) for _texts, inside in pages),
        *(container(1008, inside) for inside in said),
    ]
    offsets, stream = [], b""
    for one in objects:
        offsets.append(len(stream))
        stream += one
    directory = len(stream)
    stream += atom(6002, struct.pack(f"<I{len(offsets)}I", 1 | len(offsets) << 20, *offsets))
    edit = len(stream)
    stream += atom(4085, struct.pack("<IIIIIII", 0, 0, 0, directory, 1, 0, 0))
    token = 0xF3D1C4DF if encrypted else 0xE391C05F
    current = atom(4086, struct.pack("<III", 20, token, edit) + bytes(8))
    streams = {"PowerPoint Document": stream, "Current User": current}
    if title:
        streams["\x05SummaryInformation"] = summary(title)
    return ole(streams)


def doc(text: str, *, encrypted: bool = False, title: str = "") -> bytes:
    """A document of Word 97 whose text lies in one piece."""
    raw = text.encode("utf-16-le")
    head = bytearray(2048)
    flags = 0x0200 | (0x0100 if encrypted else 0)
    struct.pack_into("<HHHHHH", head, 0, 0xA5EC, 0xC1, 0, 0x409, 0, flags)
    struct.pack_into("<II", head, 24, 2048, 2048 + len(raw))
    struct.pack_into("<H", head, 32, 14)
    struct.pack_into("<H", head, 62, 22)
    struct.pack_into("<I", head, 0x4C, len(text))
    struct.pack_into("<H", head, 0x98, 0x5D)
    pieces = struct.pack("<II", 0, len(text)) + struct.pack("<HIH", 0, 2048, 0)
    table = b"\x02" + struct.pack("<I", len(pieces)) + pieces
    struct.pack_into("<II", head, 0x1A2, 0, len(table))
    streams = {"WordDocument": (bytes(head) + raw).ljust(4096, b"\0"), "1Table": table}
    if title:
        streams["\x05SummaryInformation"] = summary(title)
    return ole(streams)


def xlsb_record(kind: int, content: bytes = b"") -> bytes:
    """A record of a binary workbook."""
    head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, length = b"", len(content)
    while length >= 128:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + size + bytes([length]) + content


def wide(text: str) -> bytes:
    """A string of a binary workbook."""
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def xlsb(sheet: bytes, *, strings: Iterable[str] = (), formats: Iterable[int] = (0,)) -> bytes:
    """A binary workbook with one sheet, 'Data'."""
    styles = b"".join(xlsb_record(47, struct.pack("<HH12x", 0, number)) for number in formats)
    return package(
        {
            "[Content_Types].xml": content_types("xlsb", "xl/workbook.bin"),
            "xl/workbook.bin": xlsb_record(156, struct.pack("<II", 0, 1) + wide("s1") + wide("Data")),
            "xl/worksheets/sheet1.bin": sheet,
            "xl/sharedStrings.bin": b"".join(xlsb_record(19, b"\0" + wide(text)) for text in strings),
            "xl/styles.bin": xlsb_record(617) + styles + xlsb_record(618),
        },
        {
            "": [("main", "officeDocument", "xl/workbook.bin")],
            "xl/workbook.bin": [
                ("s1", "worksheet", "worksheets/sheet1.bin"),
                ("t", "sharedStrings", "sharedStrings.bin"),
                ("y", "styles", "styles.bin"),
            ],
        },
    )
