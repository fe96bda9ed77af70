"""A small folder with something of everything, and what ought to become of it."""

from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path

from tests.chaos.killing import WORDS

ODD_NAMES = (b"line\nbreak.txt", b"esc\x1b]52;c;aGk=\x07.txt", b"latin-\xe9.txt", "報告書.md".encode())

STATUSES = {
    b"notes.txt": "done",
    b"guide.md": "done",
    b"page.html": "done",
    b"table.csv": "done",
    b"data.json": "done",
    b"tool.py": "done",
    b"latin.txt": "done",
    b"letter.docx": "done",
    b"sub/deep/copy.txt": "done",
    b"empty.txt": "empty",
    b"picture.psd": "skipped",
    b"broken.pdf": "failed",
    **dict.fromkeys(ODD_NAMES, "done"),
}
"""Path -> status at the end of a run, of the documents that are not filling."""


def prose(rng: random.Random, words: int) -> str:
    """Some words that look like a sentence."""
    return " ".join(rng.choice(WORDS) for _ in range(words)).capitalize() + "."


def write_corpus(folder: Path, filling: int = 20, seed: int = 1) -> dict[bytes, str]:
    """Write the folder. Returns path -> expected status of every document in it."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    expected = dict(STATUSES)
    paragraphs = "\n\n".join(prose(rng, 60) for _ in range(20))
    files: dict[bytes, bytes] = {
        b"notes.txt": b"Alpha zebra notes about invoices and payments.\n\n" + paragraphs.encode(),
        b"guide.md": b"# Guide\n\nHow to read this.\n\n## Second part\n\n" + prose(rng, 90).encode(),
        b"page.html": b"<html><title>A page</title><h1>Head</h1><p>caf\xc3\xa9 society</p></html>",
        b"table.csv": b"name,amount\n" + b"".join(b"row %d,%d\n" % (n, n * n) for n in range(50)),
        b"data.json": b'{"name": "value", "list": [1, 2, {"deep": "quokka"}]}',
        b"tool.py": b'"""A tool."""\n\ndef main() -> None:\n    print("hello")\n',
        b"latin.txt": "Ein Gr\u00fc\u00df aus M\u00fcnchen an alle \u00c4rzte.".encode("latin-1"),
        b"letter.docx": docx(["Dear reader,", "this letter mentions an axolotl."]),
        b"sub/deep/copy.txt": b"The same content as another document has.",
        b"empty.txt": b"",
        b"picture.psd": b"8BPS\0\1" + bytes(200),
        b"broken.pdf": b"%PDF-1.4 broken",
    }
    for name in ODD_NAMES:
        files[name] = b"A document with an odd name: " + prose(rng, 12).encode()
    for number in range(filling):
        name = b"fill/%03d.txt" % number
        files[name] = f"Filling {number}. {prose(rng, rng.randrange(10, 200))}".encode()
        expected[name] = "done"
    for name, data in files.items():
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    return expected


def docx(paragraphs: list[str]) -> bytes:
    """A minimal Word document."""
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    content_types = (
        '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'wordprocessingml.document.main+xml"/></Types>'
    )
    relations = (
        '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
        'officeDocument" Target="word/document.xml"/></Relationships>'
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", content_types)
        archive.writestr("_rels/.rels", relations)
        archive.writestr(
            "word/document.xml",
            f'<?xml version="1.0"?><w:document {namespace}><w:body>{body}</w:body></w:document>',
        )
    return buffer.getvalue()
