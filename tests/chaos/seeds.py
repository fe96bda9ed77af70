"""The files that fuzzing starts from: a small sound one of every format, made here, or those of a folder."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import tarfile
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from tests.chaos.killing import WORDS
from tests.chaos.mutations import MAX_BYTES, mutate
from tests.extract import files
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.media_types import SOURCE

_ODD_ENDINGS = ("", ".txt", ".pdf", ".docx", ".html", ".csv", ".json", ".zip", ".eml", ".xml", ".bin", ".doc")


@dataclass(frozen=True, slots=True)
class Seed:
    """A file to start from. `kind` is its media type, one for all source code."""

    name: str
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Input:
    """A file to be read: what it was made from, how, and the name it goes by."""

    number: int
    name: str
    origin: Seed
    how: tuple[str, ...]
    data: bytes


class Corpus:
    """Seeds, and the endless series of inputs that follows from them and a number."""

    def __init__(self, seeds: list[Seed], seed: int) -> None:
        self.seeds = seeds
        self._seed = seed
        self._kinds: dict[str, list[Seed]] = defaultdict(list)
        for one in seeds:
            self._kinds[one.kind].append(one)

    def make(self, number: int) -> Input:
        """The input of this number: the same for the same seeds and seed, whatever was made before it.

        Half of the inputs are shared out evenly between the formats, half between the files.
        """
        rng = random.Random(f"{self._seed}:{number}")
        family = self._kinds[rng.choice(list(self._kinds))]
        origin = rng.choice(family if rng.random() < 0.5 else self.seeds)
        others = [one.data for one in rng.sample(family, min(3, len(family))) if one is not origin]
        data, how = mutate(origin.data, rng, others)
        ending = os.path.splitext(origin.name)[1]
        if rng.random() < 0.12:
            ending, how = rng.choice(_ODD_ENDINGS), (*how, "another ending")
        return Input(number, f"{number:06d}{ending}", origin, how, data)


def seeds_of(folder: Path, max_bytes: int = MAX_BYTES) -> list[Seed]:
    """Every file of a folder that is not too large."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= max_bytes:
            found.append(_seed(str(path.relative_to(folder)), path.read_bytes()))
    return found


def made_seeds() -> list[Seed]:
    """Small sound files of every format that the standard library or a few lines can write."""
    rng = random.Random(5)

    def prose(words: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(words)).capitalize() + "."

    text = "\n\n".join(prose(40) for _ in range(6))
    documents: dict[str, bytes | str] = {
        "notes.txt": text.encode(),
        "latin.txt": f"Grüße aus Köln. {prose(30)}".encode("latin-1"),
        "wide.txt": f"Wide text. {prose(30)}".encode("utf-16"),
        "guide.md": f"---\ntitle: Guide\n---\n# Guide\n\n{text}\n\n| a |\n|---|\n| 1 |\n".encode(),
        "manual.rst": f"Manual\n======\n\n.. note:: {prose(9)}\n\n{text}\n".encode(),
        "tool.py": f'"""{prose(12)}"""\n\n\ndef main() -> None:\n    print("{prose(4)}")\n'.encode(),
        "page.html": _html(text).encode(),
        "table.csv": b"name;amount\n" + b"".join(b'"row, %d";%d\n' % (n, n * n) for n in range(40)),
        "table.tsv": b"name\tamount\n" + b"".join(b"row %d\t%d\n" % (n, n * n) for n in range(40)),
        "data.json": json.dumps(
            {"text": text, "list": [{"n": n, "deep": [[n]]} for n in range(20)]}
        ).encode(),
        "rows.jsonl": b"".join(json.dumps({"n": n, "text": prose(8)}).encode() + b"\n" for n in range(20)),
        "book.ipynb": _notebook(text).encode(),
        "feed.xml": f'<?xml version="1.0"?><rss><item a="1"><title>{prose(5)}</title>{text}</item></rss>',
        "drawing.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><text x="1">{prose(9)}</text></svg>',
        "paper.pdf": files.pdf(*(text.split("\n\n")[n::3] for n in range(3)), title="Paper"),
        "letter.docx": files.docx(
            "".join(files.paragraph(part) for part in text.split("\n\n")), title="Letter"
        ),
        "sheet.xlsx": _xlsx(prose),
        "talk.pptx": _pptx(prose),
        "text.odt": _opendocument("text", f"<office:text><text:p>{text}</text:p></office:text>"),
        "sheet.ods": _opendocument("spreadsheet", _ODS_TABLE),
        "book.epub": _epub(text),
        "letter.rtf": _rtf(text).encode("latin-1"),
        "mail.eml": _mail(text),
        "list.mbox": b"".join(
            b"From a@b.example Thu Jan  1 00:00:00 1970\n" + _mail(prose(9)) for _ in range(3)
        ),
        "subtitles.srt": f"1\n00:00:01,000 --> 00:00:02,000\n{prose(6)}\n\n".encode() * 5,
        "cards.vcf": f"BEGIN:VCARD\nVERSION:3.0\nFN:{prose(2)}\nNOTE:{prose(6)}\nEND:VCARD\n".encode(),
        "days.ics": f"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:{prose(4)}\nEND:VEVENT\nEND:VCALENDAR\n",
        "page.tex": f"\\documentclass{{article}}\\begin{{document}}\\section{{A}} {text}\\end{{document}}",
        "picture.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + rng.randbytes(300),
        "ole.doc": _ole_start(rng),
    }
    plain = {name: data.encode() if isinstance(data, str) else data for name, data in documents.items()}
    inner = [("notes.txt", plain["notes.txt"]), ("sub/page.html", plain["page.html"])]
    containers = {
        "some.zip": _zip([*inner, ("in.zip", _zip(inner))]),
        "some.tar": _tar(inner),
        "some.tar.gz": gzip.compress(_tar(inner), mtime=0),
        "some.txt.gz": gzip.compress(text.encode(), mtime=0),
        "some.tar.bz2": bz2.compress(_tar(inner)),
        "some.txt.xz": lzma.compress(text.encode()),
    }
    return [_seed(name, data) for name, data in (plain | containers).items()]


def _seed(name: str, data: bytes) -> Seed:
    media_type = detect(data, os.fsencode(name))
    return Seed(name, "source code" if media_type in SOURCE else media_type, data)


def _html(text: str) -> str:
    parts = "".join(f"<p>{part}</p>" for part in text.split("\n\n"))
    return f'<!doctype html><html lang="en"><title>A page</title><nav><a href="/x">x</a></nav>{parts}</html>'


def _notebook(text: str) -> str:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": [text]},
        {"cell_type": "code", "metadata": {}, "source": "print(1)", "outputs": [], "execution_count": 1},
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def _zip(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, (name, data) in enumerate(members):
            stored = not number and name == "mimetype"
            method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def _tar(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _mail(text: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@b.example", "c@d.example", "Grüße from the forest"
    message["Date"], message["Message-ID"] = "Thu, 01 Jan 1970 00:00:00 +0000", "<1@b.example>"
    message.set_content(text)
    message.add_alternative(_html(text), subtype="html")
    message.add_attachment(text.encode(), maintype="text", subtype="plain", filename="notes.txt")
    message.set_boundary("=-outer")
    for part in message.iter_parts():
        if part.is_multipart():
            part.set_boundary("=-inner")  # else it is drawn by chance
    return message.as_bytes()


def _rtf(text: str) -> str:
    body = "\\par ".join(text.split("\n\n"))
    head = r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title Letter}}\f0 "
    return f"{head}{body} \\'e9\\u8364?}}"


_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DRAW = "http://schemas.openxmlformats.org/drawingml/2006/main"
_SHOW = "http://schemas.openxmlformats.org/presentationml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def _package(main: str, content_type: str, related: list[tuple[str, str]], parts: dict[str, str]) -> bytes:
    """An Office Open XML package: `main` refers to `related` (kind, target) as rId1, rId2, …"""
    folder, _, name = main.partition("/")
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_REL}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(related, 1)
    )
    everything = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        f'ContentType="application/xml"/><Override PartName="/{main}" ContentType="{content_type}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_REL}/officeDocument" Target="{main}"/></Relationships>',
        f"{folder}/_rels/{name}.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}'
        "</Relationships>",
        **parts,
    }
    return _zip([(name, ('<?xml version="1.0"?>' + part).encode()) for name, part in everything.items()])


def _xlsx(prose) -> bytes:  # type: ignore[no-untyped-def]
    shared = "".join(f"<si><t>{prose(6)}</t></si>" for _ in range(10))
    cells = "".join(
        f'<row r="{row}"><c r="A{row}" t="s"><v>{row - 1}</v></c><c r="B{row}"><v>{row * 7}</v></c></row>'
        for row in range(1, 11)
    )
    return _package(
        "xl/workbook.xml",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
        [("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml")],
        {
            "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_REL}"><sheets><sheet name="One" '
            'sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_SHEET}"><sheetData>{cells}</sheetData>'
            "</worksheet>",
            "xl/sharedStrings.xml": f'<sst xmlns="{_SHEET}" count="10" uniqueCount="10">{shared}</sst>',
        },
    )


def _pptx(prose) -> bytes:  # type: ignore[no-untyped-def]
    body = "".join(f"<a:p><a:r><a:t>{prose(8)}</a:t></a:r></a:p>" for _ in range(4))
    slide = (
        f'<p:sld xmlns:p="{_SHOW}" xmlns:a="{_DRAW}"><p:cSld><p:spTree><p:sp><p:txBody>{body}</p:txBody>'
        "</p:sp></p:spTree></p:cSld></p:sld>"
    )
    return _package(
        "ppt/presentation.xml",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml",
        [("slide", "slides/slide1.xml"), ("slide", "slides/slide2.xml")],
        {
            "ppt/presentation.xml": f'<p:presentation xmlns:p="{_SHOW}" xmlns:r="{_REL}"><p:sldIdLst>'
            '<p:sldId id="256" r:id="rId1"/><p:sldId id="257" r:id="rId2"/></p:sldIdLst></p:presentation>',
            "ppt/slides/slide1.xml": slide,
            "ppt/slides/slide2.xml": slide,
        },
    )


_ODS_TABLE = (
    '<office:spreadsheet><table:table table:name="One">'
    + "<table:table-row><table:table-cell><text:p>forest</text:p></table:table-cell><table:table-cell "
    'table:number-columns-repeated="3"><text:p>7</text:p></table:table-cell></table:table-row>'
    * 5
    + "</table:table></office:spreadsheet>"
)
_OASIS = "urn:oasis:names:tc:opendocument:xmlns"


def _opendocument(kind: str, body: str) -> bytes:
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    content = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{_OASIS}:office:1.0" '
        f'xmlns:text="{_OASIS}:text:1.0" xmlns:table="{_OASIS}:table:1.0"><office:body>{body}</office:body>'
        "</office:document-content>"
    )
    manifest = (
        f'<manifest:manifest xmlns:manifest="{_OASIS}:manifest:1.0"><manifest:file-entry '
        f'manifest:full-path="/" manifest:media-type="{media_type}"/></manifest:manifest>'
    )
    return _zip(
        [
            ("mimetype", media_type.encode()),
            ("content.xml", content.encode()),
            ("META-INF/manifest.xml", manifest.encode()),
        ]
    )


def _epub(text: str) -> bytes:
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
        '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/'
        'elements/1.1/"><dc:title>A book</dc:title></metadata><manifest><item id="a" href="a.xhtml" '
        'media-type="application/xhtml+xml"/><item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>'
        '</manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    chapter = f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>Chapter</h1><p>{text}</p></body></html>'
    return _zip(
        [
            ("mimetype", b"application/epub+zip"),
            ("META-INF/container.xml", container.encode()),
            ("book.opf", package.encode()),
            ("a.xhtml", chapter.encode()),
            ("b.xhtml", chapter.encode()),
        ]
    )


def _ole_start(rng: random.Random) -> bytes:
    """An OLE file without a stream: its header, one table of sectors and a directory with a root."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header[24:34] = b"\x3e\0\x03\0\xfe\xff\x09\0\x06\0"
    header[44:48], header[48:52] = (1).to_bytes(4, "little"), (1).to_bytes(4, "little")
    header[56:60] = (4096).to_bytes(4, "little")
    header[60:64] = header[68:72] = b"\xfe\xff\xff\xff"
    header[76:512] = b"\0\0\0\0" + b"\xff" * 432
    table = b"\xfd\xff\xff\xff\xfe\xff\xff\xff".ljust(512, b"\xff")
    root = bytearray(128)
    root[:20] = "Root Entry".encode("utf-16-le")
    root[64:68] = b"\x16\0\x05\1"
    root[68:80] = b"\xff" * 12
    root[116:120] = b"\xfe\xff\xff\xff"
    named = bytearray(root)
    named[:24] = "WordDocument".encode("utf-16-le")
    named[64:67] = b"\x1a\0\x02"
    return bytes(header) + table + bytes(root) + bytes(named) + bytes(256) + rng.randbytes(512)
