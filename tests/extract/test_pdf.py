from __future__ import annotations

import pytest

from tests.extract.files import PROSE, pdf, read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.models import Cause


def refusal(data: bytes) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(data, "a.pdf")
    return caught.value


def test_pages_come_in_order_with_their_offsets() -> None:
    result = read(pdf([PROSE, "second line"], [], ["page three"]), "a.pdf")
    assert len(result.pages) == 3
    assert result.text[result.pages[0] :].startswith("The quick")
    assert result.text[result.pages[2] :] == "page three"
    assert "second line\n\npage three" in result.text
    assert result.language == "en"
    assert not result.truncated


def test_hyphens_at_line_ends_are_joined() -> None:
    text = read(pdf(["an encyclo-", "pedia of North-", "American birds"]), "a.pdf").text
    assert "encyclopedia" in text
    assert "North-American" in text


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("A Study", "A Study"),
        ("Microsoft Word - report.doc", None),
        ("untitled", None),
        ("paper.tex", None),
        ("", None),
    ],
)
def test_a_title_only_where_it_is_one(title: str, expected: str | None) -> None:
    assert read(pdf(["hello"], title=title), "a.pdf").title == expected


def test_links_are_kept() -> None:
    assert read(pdf(["hello"], link="http://a.b/c"), "a.pdf").links == [("http://a.b/c", "hyperlink")]


def test_the_page_limit_marks_the_document() -> None:
    result = read(pdf(["one"], ["two"], ["three"]), "a.pdf", max_pdf_pages=2)
    assert result.truncated
    assert result.text == "one\n\ntwo"
    assert len(result.pages) == 2


def test_the_character_limit_ends_the_reading_of_pages() -> None:
    result = read(pdf(*[["some words on a page"]] * 50), "a.pdf", max_chars=100)
    assert result.truncated
    assert len(result.text) <= 100
    assert all(offset < len(result.text) for offset in result.pages)


def test_encrypted_is_told_from_corrupt() -> None:
    encrypted = refusal(pdf(["hello"], encrypt=True))
    assert encrypted.cause is Cause.ENCRYPTED
    assert "password" in encrypted.message
    for data in (b"%PDF-1.4\n" + b"garbage" * 100, b"not a pdf", b"%PDF-1.7"):
        assert refusal(data).cause is Cause.CORRUPT


def test_pages_without_a_text_layer_need_ocr() -> None:
    error = refusal(pdf([], []))
    assert error.cause is Cause.NEEDS_OCR
    assert "2 pages" in error.message
