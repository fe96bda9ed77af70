from __future__ import annotations

import random

import pytest

from tests.extract.files import PROSE, docx, paragraph, read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.models import Cause


def refusal(data: bytes, name: str = "a.docx") -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(data, name)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) <= 500
    return caught.value


def test_headings_paragraphs_and_tables() -> None:
    cell = "<w:tc><w:tcPr/>{}</w:tc>"
    row = "<w:tr>" + cell * 2 + "</w:tr>"
    table = "<w:tbl><w:tblPr/>" + row.format(paragraph("Name"), paragraph("Size"))
    table += row.format(paragraph("a"), paragraph("1")) + "</w:tbl>"
    result = read(
        docx(paragraph("Report", "Heading1") + paragraph(PROSE + "[draft] a_b") + table, title="My report"),
        "a.docx",
    )
    assert result.text.startswith("# Report\n\nThe quick brown")
    assert "[draft] a_b" in result.text
    assert result.text.endswith("| Name | Size |\n| --- | --- |\n| a | 1 |")
    assert result.title == "My report"
    assert result.language == "en"


def test_a_document_without_text_is_empty() -> None:
    assert refusal(docx(paragraph(""))).cause is Cause.NO_TEXT


def test_a_password_protected_document_is_encrypted() -> None:
    container = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    error = refusal(container)
    assert error.cause is Cause.ENCRYPTED
    assert "password" in error.message


@pytest.mark.parametrize("size", [10, 100, 300, 700])
def test_a_cut_document_is_corrupt(size: int) -> None:
    whole = docx(paragraph(PROSE))
    assert refusal(whole[: min(size, len(whole) - 30)]).cause is Cause.CORRUPT


def test_damaged_markup_is_corrupt_or_read_but_never_another_error() -> None:
    for body in ("<w:p><w:r><w:t>x", "<w:p></w:r>", "\x00", "<w:p>" * 5_000, "&undefined;"):
        try:
            read(docx(body), "a.docx")
        except DocumentError as error:
            assert error.cause in (Cause.CORRUPT, Cause.NO_TEXT)


def test_a_zip_bomb_is_refused() -> None:
    bomb = docx(paragraph("x"), extra={"word/media/a.bin": bytes(30_000_000)})
    error = refusal(bomb)
    assert error.cause is Cause.TOO_LARGE
    assert "zip bomb" in error.message


def test_too_many_parts_are_refused() -> None:
    assert (
        refusal(docx(paragraph("x"), extra={f"x/{n}": b"" for n in range(10_001)})).cause is Cause.TOO_LARGE
    )


def test_bytes_changed_at_random_give_text_or_a_sentence() -> None:
    whole = docx(paragraph(PROSE), title="x")
    chance = random.Random(7)
    for _ in range(1_000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read(bytes(data), "a.docx").text.encode()
        except DocumentError as error:
            assert error.message.isprintable()


def test_a_part_said_to_begin_before_the_file_is_survived() -> None:
    data = bytearray(docx(paragraph(PROSE), title="x"))
    end = data.rfind(b"PK\x05\x06")
    data[end + 16 : end + 20] = (0x7FFFFFF0).to_bytes(4, "little")
    try:
        assert PROSE.strip() in read(bytes(data), "a.docx").text
    except DocumentError as error:
        assert error.cause is Cause.CORRUPT
