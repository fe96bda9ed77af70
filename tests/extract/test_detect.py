from __future__ import annotations

import random

import pytest

from tests.extract.files import archive, docx, paragraph, pdf
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.detect import detect, ending
from tui_scraper.engine.extract.media_types import name_of
from tui_scraper.engine.extract.registry import registry

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def wide(name: str) -> bytes:
    return name.encode("utf-16-le")


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"hello", "text/plain"),
        ("README", b"hello", "text/plain"),
        ("a.unheard-of", b"hello", "text/plain"),
        ("a.MD", b"# hello", "text/markdown"),
        ("a.rst", b"hello\n=====", "text/x-rst"),
        ("a.html", b"<p>hello", "text/html"),
        ("a.xhtml", b"<?xml version='1.0'?><html xmlns='x'>", "text/html"),
        ("page", b"<!DOCTYPE html><title>x</title>", "text/html"),
        ("page.txt", b"\xef\xbb\xbf <!-- made by x -->\n<HTML><body>", "text/html"),
        ("a.csv", b"a,b\n1,2", "text/csv"),
        ("a.tsv", b"a\tb", "text/tab-separated-values"),
        ("a.json", b'{"a": 1}', "application/json"),
        ("noending", b'{"a": 1}\n', "application/json"),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}', "application/x-ndjson"),
        ("a.ipynb", b'{"cells": []}', "application/x-ipynb+json"),
        ("a.py", b"import os", "text/x-python"),
        ("tool", b"#!/usr/bin/env python3\n", "text/x-python"),
        ("tool", b"#!/bin/sh -e\n", "text/x-shellscript"),
        ("a.toml", b"a = 1", "text/x-toml"),
        ("a.sql", b"select 1", "text/x-sql"),
        ("a.css", b"a {}", "text/css"),
        ("a.pdf", pdf(["hello"]), "application/pdf"),
        ("no-ending", pdf(["hello"]), "application/pdf"),
        ("a.docx", docx(paragraph("x")), mt.DOCX),
        ("a.xlsx", archive("[Content_Types].xml", "xl/workbook.xml"), mt.XLSX),
        ("a.pptx", archive("[Content_Types].xml", "ppt/presentation.xml"), mt.PPTX),
        ("a.jar", archive("META-INF/MANIFEST.MF"), "application/java-archive"),
        ("a.zip", archive("x.txt"), "application/zip"),
        ("a.zip", archive(), "application/zip"),
        (
            "a.odt",
            archive(stored_first=("mimetype", "application/vnd.oasis.opendocument.text")),
            "application/vnd.oasis.opendocument.text",
        ),
        ("a.epub", archive(stored_first=("mimetype", "application/epub+zip")), "application/epub+zip"),
        ("a.doc", OLE + wide("WordDocument"), "application/msword"),
        ("a.xls", OLE + wide("Workbook"), "application/vnd.ms-excel"),
        ("a.xls", OLE + wide("WordDocument") + wide("Workbook"), "application/vnd.ms-excel"),
        ("a.msg", OLE + wide("__substg1.0_0037001F"), "application/vnd.ms-outlook"),
        ("a.docx", OLE + wide("EncryptedPackage"), mt.DOCX),
        ("a.xlsx", OLE + wide("EncryptedPackage"), mt.XLSX),
        ("a", OLE, "application/x-ole-storage"),
        ("changelog.Debian.gz", b"\x1f\x8b\x08\0", "application/gzip"),
        ("a.tar", bytes(257) + b"ustar\0", "application/x-tar"),
        ("a.mp4", b"\0\0\0\x18ftypmp42", "video/mp4"),
        ("a.heic", b"\0\0\0\x18ftypheic", "image/heic"),
        ("a.webp", b"RIFF\0\0\0\0WEBP", "image/webp"),
        ("a.rtf", b"{\\rtf1 hello}", "application/rtf"),
        ("a.ps", b"%!PS-Adobe-3.0", "application/postscript"),
        ("a.svg", b"<svg xmlns='x'/>", "image/svg+xml"),
        ("a.xml", b"<?xml version='1.0'?><!-- <html> --><svg xmlns='x'/>", "image/svg+xml"),
        ("a.xml", b"<!DOCTYPE html PUBLIC 'x'>\n<html>", "text/html"),
        ("a.xml", b"<?xml version='1.0'?>\n<!DOCTYPE x [<!ENTITY a 'b'>]>\n<html xmlns='x'>", "text/html"),
        (
            "a.xml",
            b"<?xml version='1.0'?><rss><d>&lt;html> <![CDATA[<html><svg>]]></d></rss>",
            "application/xml",
        ),
        ("a.html", b"<?xml version='1.0'?><rss version='2.0'/>", "application/xml"),
        ("a.xls", b"<?xml version='1.0'?><Workbook xmlns='x'/>", "application/xml"),
        ("a.doc", b"<html xmlns:o='x'><body>", "text/html"),
        ("a.xml", "<?xml version='1.0'?><a/>".encode("utf-16"), "application/xml"),
        ("noending", "<?xml version='1.0'?><a/>".encode("utf-16"), "application/xml"),
        ("page.php", b"<!DOCTYPE html><title>x</title>", "text/html"),
        ("page.php", b"<html><?php echo 1 ?>", "text/x-php"),
        ("a.bib", b"@book{x,", "text/x-bibtex"),
        ("a.sty", b"\\def\\x{y}", "text/x-tex-macros"),
        ("a.info", b"This is x\n\x1f\nFile: x,  Node: Top\n\0\x08[index\0\x08]", "text/x-info"),
        ("a.xml", b"<?xml version='1.0'?><a/>", "application/xml"),
        ("a.eml", b"From: x\nTo: y\nSubject: z\n\nhello", "message/rfc822"),
        ("1712.mail42", b"Received: x\n by y\nFrom: x\nSubject: z\n\nhello", "message/rfc822"),
        ("a.bin", bytes(range(256)) * 4, "application/octet-stream"),
    ],
)
def test_types(name: str, data: bytes, expected: str) -> None:
    assert detect(data, b"/some/where/" + name.encode()) == expected


@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a.docx", "a.html", "a.py", "a"])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PNG, "image/png"),
        (pdf(["x"]), "application/pdf"),
        (docx(paragraph("x")), mt.DOCX),
        (b"PAR1", "application/vnd.apache.parquet"),
    ],
)
def test_a_lying_ending_never_beats_strong_magic(name: str, data: bytes, expected: str) -> None:
    assert detect(data, name.encode()) == expected


def test_a_claimed_document_that_is_garbage_keeps_its_claim_so_that_it_fails_as_corrupt() -> None:
    noise = random.Random(1).randbytes(5_000)
    noise = b"\x07" + noise
    assert detect(noise, b"a.pdf") == "application/pdf"
    assert detect(noise, b"a.docx") == mt.DOCX
    assert detect(noise, b"a.txt") == "application/octet-stream"
    assert detect(docx(paragraph("x"))[:200], b"a.docx") == mt.DOCX
    assert detect(b"not a pdf at all", b"a.pdf") == "application/pdf"


def test_a_text_that_mentions_a_magic_number_stays_text() -> None:
    assert detect(b"A PDF begins with %PDF-1.4 and ends with %%EOF.", b"a.txt") == "text/plain"
    assert detect(b"BM is the mark of a bitmap", b"a.txt") == "text/plain"
    assert detect(b"<b>bold</b> is how <html> makes it", b"a.txt") == "text/plain"
    assert detect(b"From: nobody\nhello", b"a") == "text/plain"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_wide_encodings_are_text(encoding: str) -> None:
    assert detect("Plain words, and then some more of them.\n".encode(encoding), b"a.txt") == "text/plain"


def test_detection_depends_on_the_bytes_and_the_ending_alone() -> None:
    data = b"x = 1\n"
    assert detect(data, b"/a/b/c.py") == detect(data, b"c.PY") == detect(data, b"/py.d/other.py")
    assert ending(b"/a.b/c") == b""
    assert ending(b".bashrc") == b""
    assert ending(b"a.tar.GZ") == b"gz"


def test_every_type_has_a_name_for_people() -> None:
    for _, _, media_type in mt.MAGIC:
        name = name_of(media_type)
        assert name.isprintable()
        assert name.endswith("s") or media_type in registry().readers
    assert name_of("image/png") == "PNG images"
    assert name_of("application/x-novel") == "files of the type application/x-novel"


def test_every_format_of_this_version_has_an_extractor() -> None:
    for media_type in (
        mt.PLAIN,
        mt.MARKDOWN,
        mt.RST,
        mt.HTML,
        mt.PDF,
        mt.DOCX,
        mt.CSV,
        mt.TSV,
        mt.JSON,
        mt.NDJSON,
    ):
        assert media_type in registry().readers
    assert len(registry().readers) > 60
    assert "PDF" in [chosen.name for chosen in registry().formats]
