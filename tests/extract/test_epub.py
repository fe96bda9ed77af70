"""EPUB: the chapters of a book in reading order, however carelessly it was put together."""

from __future__ import annotations

import pytest

from tests.extract.books import CONTAINER, XHTML, chapter, epub, opf, package
from tests.extract.files import PROSE, read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.books.epub import extract_epub, extract_epub_linear
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

TITLE = "\n\ntitle: A Book & More"


def text(data: bytes) -> str:
    return read(data, "a.epub").text.removesuffix(TITLE)


def p(words: str) -> str:
    return chapter(f"<p>{words}</p>")


def test_chapters_come_in_the_order_of_the_spine() -> None:
    chapters = {
        "b.xhtml": chapter("<h1>One</h1><p>First</p>"),
        "a.xhtml": chapter("<h2>Two</h2><ul><li>x</li></ul>"),
    }
    items = [("two", "a.xhtml", XHTML), ("one", "b.xhtml", XHTML), ("css", "s.css", "text/css")]
    found = read(epub(chapters, package_document=opf(items, ["one", "two", "one", "gone"])), "a.epub")
    assert found.text == "# One\n\nFirst\n\n## Two\n\n- x" + TITLE
    assert found.title == "A Book & More"


def test_what_the_package_says_follows_the_text() -> None:
    more = (
        "<dc:creator>Ann Other</dc:creator><dc:identifier>x-1</dc:identifier>"
        "<dc:description>&lt;p&gt;About &lt;b&gt;it&lt;/b&gt;.&lt;/p&gt;</dc:description>"
    )
    document = opf([("a", "a.xhtml", XHTML)], ["a"], more=more)
    found = read(epub({"a.xhtml": p("Text")}, package_document=document), "a.epub")
    assert found.text == f"Text{TITLE}\ncreator: Ann Other\ndescription: About it ."


def test_tables_of_contents_are_left_out_unless_there_is_nothing_else() -> None:
    chapters = {
        "nav.xhtml": chapter("<nav><a href='a'>Go</a></nav>"),
        "toc.html": p("Contents"),
        "a.xhtml": p("Text"),
    }
    items = [
        ("n", "nav.xhtml", f'{XHTML}" properties="nav'),
        ("t", "toc.html", XHTML),
        ("a", "a.xhtml", XHTML),
    ]
    guide = '<guide><reference type="toc" href="toc.html"/></guide>'
    assert text(epub(chapters, package_document=opf(items, ["n", "t", "a"], extra=guide))) == "Text"
    assert text(epub({"nav.xhtml": p("Only this")}, package_document=opf(items[:1], ["n"]))) == "Only this"


def test_xhtml_is_not_read_as_careless_html() -> None:
    body = '<p id="a"/><a id="b"/><div/><p>One<br/>two <span/>three</p><script src="x"/><p>four</p>'
    assert text(epub({"a.xhtml": chapter(body, "<title/><style/>")})) == "One\ntwo three\n\nfour"


@pytest.mark.parametrize(
    "href",
    [
        "Text/Chapter%201.xhtml",
        "Text/Chapter 1.xhtml",
        "text/chapter%201.XHTML",
        "./Text/../Text/Chapter%201.xhtml",
    ],
)
def test_references_lead_to_their_part_however_they_are_written(href: str) -> None:
    document = opf([("a", href, XHTML)], ["a"])
    assert text(epub({"Text/Chapter 1.xhtml": p("Found")}, package_document=document)) == "Found"


def test_a_book_without_order_is_read_in_the_order_of_names() -> None:
    chapters = {"b.html": p("second"), "a.xhtml": p("first")}
    for book in (
        epub(chapters, container="", package_document=""),
        epub(chapters, package_document="<package"),
        epub(chapters, package_document=opf([("x", "gone.xhtml", XHTML)], ["x"])),
        epub(chapters, container=CONTAINER.replace("book.opf", "wrong.opf"), package_document=opf([], [])),
        epub(chapters, container="<broken", mimetype="", package_document=opf([], [])),
    ):
        assert text(book) == "first\n\nsecond"


def test_a_missing_spine_gives_what_the_manifest_lists() -> None:
    chapters = {"b.xhtml": p("one"), "a.xhtml": p("two")}
    items = [("1", "b.xhtml", XHTML), ("2", "a.xhtml", XHTML)]
    assert text(epub(chapters, package_document=opf(items, []))) == "one\n\ntwo"


def test_a_place_that_cannot_be_read_has_a_fallback() -> None:
    items = [("pdf", "a.pdf", 'application/pdf" fallback="x'), ("x", "a.xhtml", XHTML)]
    assert text(epub({"a.xhtml": p("instead")}, package_document=opf(items, ["pdf"]))) == "instead"


ENCRYPTION = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
    'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:EncryptionMethod Algorithm="%s"/>'
    '<enc:CipherData><enc:CipherReference URI="%s"/></enc:CipherData></enc:EncryptedData></encryption>'
)
AES = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"


def test_protected_books_say_so_and_scrambled_fonts_do_not_matter() -> None:
    locked = {"META-INF/encryption.xml": ENCRYPTION % (AES, "OEBPS/a.xhtml")}
    with pytest.raises(DocumentError, match="encrypted") as failed:
        text(epub({"a.xhtml": b"\x13\x99" * 100}, parts=locked))
    assert failed.value.cause is Cause.ENCRYPTED
    for method, part in (("http://www.idpf.org/2008/embedding", "OEBPS/a.xhtml"), (AES, "OEBPS/f.otf")):
        parts = {"META-INF/encryption.xml": ENCRYPTION % (method, part), "OEBPS/f.otf": b"\0\1"}
        assert text(epub({"a.xhtml": p("Open")}, parts=parts)) == "Open"


def test_one_damaged_chapter_does_not_cost_the_book() -> None:
    whole = epub({"a.xhtml": p("before"), "b.xhtml": p("x" * 500), "c.xhtml": p("after")})
    at = whole.index(b"OEBPS/b.xhtml") + len(b"OEBPS/b.xhtml") + 5
    found = read(whole[:at] + bytes(20) + whole[at + 20 :], "a.epub")
    assert found.text == "before\n\nafter" + TITLE
    assert found.truncated


def test_damaged_books_say_so() -> None:
    for data in (b"no zip", b"PK\x03\x04 no zip", epub({"a.xhtml": p(PROSE)})[:-300]):
        with pytest.raises(DocumentError, match="damaged") as failed:
            text(data)
        assert failed.value.cause is Cause.CORRUPT


def test_books_of_pictures_need_text_recognition() -> None:
    with pytest.raises(DocumentError, match="text recognition") as failed:
        text(epub({"a.xhtml": chapter('<img src="1.jpg"/>')}))
    assert failed.value.cause is Cause.NEEDS_OCR
    with pytest.raises(DocumentError, match="no text"):
        text(epub({"a.xhtml": chapter("")}))


def test_long_books_are_cut_and_bombs_refused() -> None:
    found = read(epub({f"{n}.xhtml": p(f"{n} {PROSE}") for n in range(100)}), "a.epub", max_chars=1_000)
    assert found.truncated
    assert 800 < len(found.text) <= 1_000
    with pytest.raises(DocumentError, match="zip bomb"):
        text(epub({"a.xhtml": p(" " * 3_000_000)}))


def test_a_chapter_is_read_once_however_often_it_is_listed() -> None:
    document = opf([("a", "a.xhtml", XHTML)], ["a"] * 20_000)
    assert text(epub({"a.xhtml": p("once")}, package_document=document)) == "once"


def test_the_linear_reader_reads_the_same_words() -> None:
    book = epub({"a.xhtml": chapter("<h1>One</h1><p>Two <b>three</b></p>")})
    assert extract_epub_linear(book, mt.EPUB, CleanSettings()).text == "# One\n\nTwo three" + TITLE


def test_books_are_detected() -> None:
    chapters = {"a.xhtml": p("x")}
    assert detect(epub(chapters), b"a.zip") == mt.EPUB
    assert detect(epub(chapters, mimetype=""), b"a") == mt.EPUB
    assert detect(epub(chapters, mimetype="", container=""), b"a.epub") == mt.EPUB
    assert detect(epub(chapters, mimetype="application/x-ibooks+zip"), b"a") == mt.IBOOKS
    assert detect(package({"a.txt": "x"}), b"a.zip") == mt.ZIP


def test_flipped_bytes_never_break_the_reader() -> None:
    whole = epub({"a.xhtml": p("one"), "b.xhtml": p("two")})
    for position in range(0, len(whole), 5):
        broken = bytearray(whole)
        broken[position] ^= 1 << position % 8
        try:
            extract_epub(bytes(broken), mt.EPUB, CleanSettings())
        except DocumentError as error:
            assert error.cause is not Cause.NO_TEXT
