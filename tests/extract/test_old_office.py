"""The binary formats of the years before 2007."""

from __future__ import annotations

import random
import struct

import pytest

from tests.extract.files import PROSE, read
from tests.extract.office_files import (
    atom,
    biff,
    container,
    doc,
    flagged,
    ole,
    ppt,
    ppt_text,
    record,
    xls,
)
from tests.extract.test_office import refusal
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.media_types import DOC, OLE, PPT, XLS
from tui_scraper.engine.extract.office.doc import read_doc_pieces
from tui_scraper.engine.extract.office.ole import CompoundFile, DamagedFileError
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings


def label(row: int, column: int, number: int) -> bytes:
    return record(0xFD, struct.pack("<HHHI", row, column, 0, number))


def number(row: int, column: int, value: float, style: int = 0) -> bytes:
    return record(0x0203, struct.pack("<HHHd", row, column, style, value))


def shared(*texts: str) -> bytes:
    return struct.pack("<II", len(texts), len(texts)) + b"".join(flagged(text) for text in texts)


# Excel


def test_sheets_of_a_workbook_are_headings_and_tables() -> None:
    style = record(0xE0, struct.pack("<HH", 0, 0)) + record(0xE0, struct.pack("<HH", 0, 14))
    book = xls(
        {
            "One": label(0, 0, 0)
            + label(0, 2, 1)
            + number(2, 0, 1.5)
            + number(2, 2, 43586, 1)
            + record(0xBD, struct.pack("<HHHIHIH", 3, 0, 0, 7 << 2 | 2, 0, 250 << 2 | 3, 1))
            + record(0x0205, struct.pack("<HHHBB", 4, 0, 0, 1, 0)),
            "Empty": b"",
        },
        shared=[shared("Náme", "Day")],
        first=style,
        title="The année",
    )
    result = read(book, "a.xls")
    assert result.text == (
        "## One\n\n| Náme |  | Day |\n| --- | --- | --- |\n| 1.5 |  | 2019-05-01 |"
        "\n| 7 | 2.5 |  |\n| TRUE |  |  |"
    )
    assert result.title == "The année"


def test_shared_strings_go_on_in_the_next_record() -> None:
    whole = shared("A long string of text", "next")
    cut = 8 + 3 + 2 * 7
    pieces = [whole[:cut], b"\x01" + whole[cut:]]
    assert (
        "A long string of text | next"
        in read(xls({"S": label(0, 0, 0) + label(0, 1, 1)}, shared=pieces), "a.xls").text
    )


def test_the_text_of_a_formula_comes_from_the_record_after_it() -> None:
    formula = record(0x06, struct.pack("<HHH", 0, 1, 0) + b"\0" * 6 + b"\xff\xff" + bytes(8))
    sheet = label(0, 0, 0) + formula + record(0x0207, flagged("made"))
    assert "said | made" in read(xls({"S": sheet}, shared=[shared("said")]), "a.xls").text


def test_comments_text_boxes_headers_and_links_are_found() -> None:
    def text_object(identity: int, text: str) -> bytes:
        shape = record(0x5D, struct.pack("<HHHH", 0x15, 0x12, 0x06, identity))
        head = record(0x01B6, struct.pack("<HH6xHH4x", 0, 0, len(text), 0))
        return shape + head + record(0x3C, b"\0" + text.encode("latin-1")) + record(0x3C, bytes(8))

    moniker = b"\xe0\xc9\xea\x79\xf9\xba\xce\x11\x8c\x82\x00\xaa\x00\x4b\xa9\x0b"
    address = "https://example.org/\0".encode("utf-16-le")
    sheet = (
        record(0x14, flagged("&CThe header &P"))
        + label(0, 0, 0)
        + text_object(1, "see here")
        + text_object(2, "in a box")
        + record(0x1C, struct.pack("<HHHH", 1, 27, 0, 1) + flagged("Ann"))
        + record(0x01B8, bytes(32) + moniker + struct.pack("<I", len(address)) + address)
    )
    result = read(xls({"S": sheet}, shared=[shared("cell")]), "a.xls")
    assert result.text == "## S\n\ncell\n\nComment on AB2 by Ann: see here\n\nin a box\n\nThe header"
    assert result.links == [("https://example.org/", "hyperlink")]


def test_older_workbooks_are_read_in_their_code_page() -> None:
    cyrillic = "Привет".encode("cp1251")
    sheet = record(0x0204, struct.pack("<HHHH", 0, 0, 0, len(cyrillic)) + cyrillic)
    stream = biff({"S": sheet}, first=record(0x42, struct.pack("<H", 1251)), version=0x0500)
    assert read(ole({"Book": stream}), "a.xls").text == "## S\n\nПривет"
    assert read(ole({"WORKBOOK": stream}), "noname").text == "## S\n\nПривет"


@pytest.mark.parametrize("first", [b"\x09\x02\x06\x00", b"\x09\x04\x06\x00"])
def test_sheets_outside_of_a_compound_file_are_read(first: bytes) -> None:
    text = record(0x0204, struct.pack("<HHHH", 0, 0, 0, 5) + b"plain")
    sheet = first + struct.pack("<HHH", 0, 0x10, 0) + text + number(0, 1, 2.0) + record(0x0A)
    assert detect(sheet, b"a") == XLS
    assert read(sheet, "a").text == "plain | 2"


def test_a_sheet_of_excel_2_is_read() -> None:
    cells = record(0x04, struct.pack("<HH3xB", 0, 0, 5) + b"plain") + record(
        0x02, struct.pack("<HH3xH", 0, 1, 7)
    )
    sheet = b"\x09\x00\x04\x00" + struct.pack("<HH", 2, 0x10) + cells + record(0x0A)
    assert read(sheet, "a.xls").text == "plain | 7"


def test_an_encrypted_workbook_is_never_read() -> None:
    error = refusal(xls({"S": label(0, 0, 0)}, shared=[shared("x")], first=record(0x2F, bytes(54))), "a.xls")
    assert error.cause is Cause.ENCRYPTED
    assert "password" in error.message


def test_empty_and_damaged_workbooks_are_told_apart() -> None:
    assert refusal(xls({"S": b""}), "a.xls").cause is Cause.NO_TEXT
    assert refusal(ole({"Workbook": b"\x09\x08\x10\x00"}), "a.xls").cause is Cause.CORRUPT
    assert refusal(ole({"Workbook": b""}), "a.xls").cause is Cause.CORRUPT


def test_random_bytes_in_a_cell_are_damage_and_no_text() -> None:
    noise = random.Random(3).randbytes(4_000)
    sheet = record(0x0204, struct.pack("<HHHHB", 0, 0, 0, 2_000, 1) + noise)
    error = refusal(xls({"S": sheet}), "a.xls")
    assert error.cause is Cause.CORRUPT
    assert "damaged" in error.message


# PowerPoint


def textbox(*inside: bytes) -> bytes:
    return container(
        1036, container(0xF002, container(0xF003, container(0xF004, atom(0xF00D, b"".join(inside)))))
    )


def test_slides_notes_and_comments_of_a_presentation() -> None:
    outline = ppt_text(0, "Welcome") + ppt_text(1, "First\nSecond")
    slide = (
        atom(1007, struct.pack("<I8xIIHH", 0, 0, 512, 0, 0))
        + textbox(atom(3998, struct.pack("<I", 0)))
        + textbox(atom(3998, struct.pack("<I", 1)))
        + textbox(ppt_text(4, "In a box"), atom(3999, struct.pack("<I", 4)), atom(4008, b"*"))
        + container(
            12000, atom(4026, "Ann".encode("utf-16-le"), 0), atom(4026, "Good".encode("utf-16-le"), 1)
        )
    )
    link = container(1033, container(4055, atom(4026, "https://example.org/".encode("utf-16-le"), 1)))
    deck = ppt(
        [(outline, slide), (ppt_text(0, "Bye"), b"")],
        notes=[textbox(ppt_text(2, "Say hello"))],
        document=link,
        title="Deck",
    )
    result = read(deck, "a.ppt")
    assert result.text == (
        "## Welcome\n\n- First\n- Second\n\nIn a box\n\nNotes: Say hello\n\nComment by Ann: Good\n\n## Bye"
    )
    assert result.title == "Deck"
    assert len(result.pages) == 2
    assert result.links == [("https://example.org/", "hyperlink")]


def test_slides_are_found_where_the_chain_of_edits_is_broken() -> None:
    stream = container(1000) + container(1006, textbox(ppt_text(4, "Still here")))
    assert read(ole({"PowerPoint Document": stream}), "a.ppt").text == "Still here"


def test_an_encrypted_presentation_is_never_read() -> None:
    assert refusal(ppt([(ppt_text(0, "x"), b"")], encrypted=True), "a.ppt").cause is Cause.ENCRYPTED


def test_empty_old_and_damaged_presentations_are_told_apart() -> None:
    assert refusal(ppt([(b"", b"")]), "a.ppt").cause is Cause.NO_TEXT
    assert refusal(ole({"PowerPoint Document": bytes(100)}), "a.ppt").cause is Cause.CORRUPT
    old = refusal(ole({"PP40": bytes(100)}), "a.ppt")
    assert old.cause is Cause.UNSUPPORTED
    assert "PowerPoint 95" in old.message


def test_slides_that_lie_inside_one_another_do_not_take_quadratic_time() -> None:
    inside = b""
    for _ in range(2_000):
        inside = container(1006, atom(0), inside)
    places = struct.pack("<I2000I", 1 | 2000 << 20, *(number * 16 for number in range(2_000)))
    outline = b"".join(atom(1011, struct.pack("<IIIII", n + 1, 0, 0, n, 0)) for n in range(2_000))
    stream = inside + container(1000, container(4080, outline))
    directory = len(stream)
    stream += atom(6002, places)
    stream += atom(4085, struct.pack("<IIIIIII", 0, 0, 0, directory, 1, 0, 0))
    try:
        read(ole({"PowerPoint Document": stream}), "a.ppt")
    except DocumentError as error:
        assert error.cause in (Cause.CORRUPT, Cause.NO_TEXT)


# Word


def test_the_text_of_a_document_is_read_by_both_readers() -> None:
    document = doc(PROSE + "\rSecond paragraph\r", title="A letter")
    result = read(document, "a.doc")
    assert result.text == PROSE.strip() + "\n\nSecond paragraph"
    assert result.title == "A letter"
    pieces = read_doc_pieces(document, CleanSettings())
    assert pieces.text.split() == result.text.split()
    assert pieces.title == "A letter"


def test_the_second_reader_leaves_fields_and_cell_marks_out() -> None:
    found = read_doc_pieces(doc('see \x13 HYPERLINK "x" \x14here\x15 a\x07b\x07\x07\r'), CleanSettings())
    assert found.text.split() == ["see", "here", "a", "|", "b", "|"]


def test_an_encrypted_document_is_never_read() -> None:
    error = refusal(doc(PROSE, encrypted=True), "a.doc")
    assert error.cause is Cause.ENCRYPTED
    with pytest.raises(DocumentError):
        read_doc_pieces(doc(PROSE, encrypted=True), CleanSettings())


def test_empty_and_damaged_documents_are_told_apart() -> None:
    assert refusal(doc("\r"), "a.doc").cause is Cause.NO_TEXT
    assert refusal(ole({"WordDocument": bytes(20)}), "a.doc").cause is Cause.CORRUPT


# The container


def test_old_documents_are_known_by_the_streams_at_the_top() -> None:
    assert detect(doc(PROSE), b"a.bin") == DOC
    assert detect(xls({"S": b""}), b"a.doc") == XLS
    assert detect(ppt([]), b"a") == PPT
    assert detect(ole({"Mentions": "WordDocument".encode("utf-16-le")}), b"a.doc") == OLE


@pytest.mark.parametrize("place", [30, 44, 48, 60, 64, 68, 76])
def test_a_lying_header_ends_in_a_sentence(place: int) -> None:
    for value in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x01\0\0\0"):
        data = bytearray(doc(PROSE))
        data[place : place + 4] = value
        try:
            read(bytes(data), "a.doc")
        except DocumentError as error:
            assert error.message.isprintable()


def test_sectors_that_follow_one_another_in_a_ring_end() -> None:
    data = bytearray(ole({"WordDocument": bytes(9_000)}))
    table = data.rfind(struct.pack("<I", 0xFFFFFFFD)) // 512 * 512
    data[table + 40 : table + 44] = struct.pack("<I", 0)
    stream = CompoundFile(bytes(data)).read("WordDocument")
    assert stream is not None
    assert len(stream) <= 9_000


def test_what_is_no_compound_file_is_said_so() -> None:
    with pytest.raises(DamagedFileError):
        CompoundFile(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


@pytest.mark.parametrize("kind", ["doc", "xls", "ppt"])
def test_bytes_changed_at_random_give_text_or_a_sentence(kind: str) -> None:
    whole = {
        "doc": doc(PROSE * 5),
        "xls": xls({"S": label(0, 0, 0) + number(1, 1, 2.5)}, shared=[shared(PROSE)]),
        "ppt": ppt([(ppt_text(0, PROSE), textbox(ppt_text(4, PROSE)))]),
    }[kind]
    chance = random.Random(7)
    readers = registry().readers
    for _ in range(250):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 30)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]
        media_type = detect(bytes(data), b"a." + kind.encode())
        for extract in filter(
            None, (readers[media_type].extract, readers[media_type].fallback) if media_type in readers else ()
        ):
            try:
                extract(bytes(data), media_type, CleanSettings()).text.encode("utf-8", "surrogatepass")
            except DocumentError as error:
                assert error.message.isprintable()
