"""FictionBook: the whole book from one XML file, even one that was written by hand."""

from __future__ import annotations

import time

import pytest

from tests.extract.books import package
from tests.extract.files import PROSE, read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.books.fb2 import extract_fb2
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

DESCRIPTION = (
    "<description><title-info><genre>prose</genre><author><first-name>Ann</first-name><last-name>Other</last-name>"
    "</author><book-title>The Book</book-title><annotation><p>About it.</p></annotation><lang>de</lang>"
    '<coverpage><image l:href="#c"/></coverpage></title-info><document-info><id>4-2</id></document-info>'
    "</description>"
)


def fb2(body: str, description: str = "", encoding: str = "utf-8") -> bytes:
    return (
        f'<?xml version="1.0" encoding="{encoding}"?><FictionBook '
        'xmlns="http://www.gribuser.ru/xml/fictionbook/2.0" xmlns:l="http://www.w3.org/1999/xlink">'
        f"{description}{body}</FictionBook>"
    ).encode(encoding)


def text(body: str) -> str:
    return read(fb2(f"<body>{body}</body>"), "a.fb2").text


def test_titles_are_headings_by_depth() -> None:
    body = (
        "<title><p>Book</p></title><section><title><p>Part</p><p>One</p></title><section><title><p>Chapter</p></title>"
        "<subtitle>Later</subtitle><p>Text <emphasis>here</emphasis>.</p></section></section>"
    )
    assert text(body) == "# Book\n\n## Part One\n\n### Chapter\n\n#### Later\n\nText here."


def test_poems_keep_their_lines_and_tables_their_cells() -> None:
    poem = "<poem><stanza><v>One</v><v>two</v></stanza><stanza><v>three</v></stanza></poem>"
    table = "<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>"
    body = f"<section>{poem}<cite><p>Said</p><text-author>X</text-author></cite>{table}</section>"
    assert text(body) == "One\ntwo\n\nthree\n\nSaid\n\nX\n\n| A | B |\n| --- | --- |\n| 1 | 2 |"


def test_notes_have_their_numbers() -> None:
    mark, link = '<a l:href="#n1" type="note">[1]</a>', '<a l:href="http://x.org">see</a>'
    body = f"<body><section><p>A claim{mark}, {link}.</p></section></body>"
    note = '<section id="n1"><title><p>1</p></title><p>So.</p></section>'
    notes = f'<body name="notes"><title><p>Notes</p></title>{note}</body>'
    found = read(fb2(body + notes), "a.fb2")
    assert found.text == "A claim[1], see.\n\n# Notes\n\n[1] So."
    assert found.links == [("http://x.org", "hyperlink")]


def test_the_description_follows_the_text() -> None:
    found = read(fb2("<body><p>Kurz.</p></body>", DESCRIPTION), "a.fb2")
    assert (
        found.text == "About it.\n\nKurz.\n\ngenre: prose\nauthor: Ann Other\nbook title: The Book\nlang: de"
    )
    assert (found.title, found.language) == ("The Book", "de")


def test_a_book_without_text_has_none_whatever_its_description_says() -> None:
    description = "<description><title-info><genre>prose</genre></title-info></description>"
    with pytest.raises(DocumentError, match="no text"):
        read(fb2("<body><section/></body>", description), "a.fb2")
    with pytest.raises(DocumentError, match="text recognition") as failed:
        read(fb2('<body><image l:href="#c"/></body><binary id="c">aGk=</binary>', description), "a.fb2")
    assert failed.value.cause is Cause.NEEDS_OCR


def test_old_encodings_are_read() -> None:
    assert read(fb2("<body><p>Съешь ещё</p></body>", encoding="windows-1251"), "a.fb2").text == "Съешь ещё"
    assert read(fb2("<body><p>Съешь ещё</p></body>", encoding="koi8-r"), "a.fb2").text == "Съешь ещё"


def test_what_is_no_xml_any_more_is_read_all_the_same() -> None:
    broken = fb2(
        "<body><title><p>Book</p></title><p>Salt & pepper <b>bold</p><poem><v>a line</v></poem>"
        '<p>The end.</p></body><binary id="x">AAAABBBB</binary>'
    )
    assert read(broken, "a.fb2").text == "## Book\n\nSalt & pepper bold\n\na line\n\nThe end."
    cut = fb2(f"<body><p>{PROSE}</p><p>{PROSE}</p></body>")[:-60]
    assert read(cut, "a.fb2").text.startswith(PROSE.strip())
    unbound = fb2('<body><p>x<a xlink:href="#1">1</a></p></body>')
    assert read(unbound, "a.fb2").text == "x1"


def test_books_in_a_zip_are_read_and_detected() -> None:
    book = fb2("<body><p>Packed.</p></body>")
    assert detect(book, b"a.fb2") == detect(book, b"a.xml") == detect(book, b"a") == mt.FB2
    zipped = package({"Book One.fb2": book})
    assert detect(zipped, b"a.fb2.zip") == detect(zipped, b"a") == mt.FB2_ZIP
    assert detect(package({"a.fb2": book, "b.fb2": book}), b"a.zip") == mt.ZIP
    assert read(zipped, "a.fb2.zip").text == "Packed."
    with pytest.raises(DocumentError, match="damaged"):
        read(package({"a.txt": "x"}), "a.fbz")


def test_what_is_no_book_is_not_called_so() -> None:
    for data in (b"plain words", b"<?xml version='1.0'?><other/>"):
        with pytest.raises(DocumentError, match="damaged") as failed:
            extract_fb2(data, mt.FB2, CleanSettings())
        assert failed.value.cause is Cause.CORRUPT


TOKENS = [
    "<section>",
    "<p>x</p>",
    "<v>x</v>",
    "<binary>x</binary>",
    "<p>x & y</p>",
    "<title><p>",
    "<binary",
    "&amp;",
]


@pytest.mark.parametrize("token", TOKENS)
def test_time_is_linear_whatever_is_repeated(token: str) -> None:
    data = fb2(f"<body>{token * (300_000 // len(token))}</body>")
    began = time.process_time()
    try:
        extract_fb2(data, mt.FB2, CleanSettings())
    except DocumentError as error:
        assert error.cause in (Cause.TOO_LARGE, Cause.NEEDS_OCR)
    assert time.process_time() - began < 20
