from __future__ import annotations

import io
import random
import time
from itertools import pairwise
from textwrap import wrap

import pytest

from tests.extract.files import PROSE, pdf, read
from tests.extract.pdfs import WIDE, Pdf, body, book, scan
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Entry
from tui_scraper.engine.extract.pdf import reader as module
from tui_scraper.engine.extract.pdf.fallback import extract_pdf_slowly
from tui_scraper.engine.extract.pdf.reader import attached_files
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings


def refusal(data: bytes, **settings: object) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(data, "a.pdf", **{"ocr": "off", **settings})
    assert caught.value.message.isprintable()
    assert caught.value.message.endswith((".", ")."))
    return caught.value


def text_of(data: bytes) -> str:
    return read(data, "a.pdf", ocr="off").text


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


def test_a_scan_needs_ocr_and_is_told_from_blank_pages() -> None:
    scanned = refusal(scan(4, 4, bytes(16)))
    assert scanned.cause is Cause.NEEDS_OCR
    assert 'clean.ocr to "auto"' in scanned.message
    blank = refusal(pdf([], []))
    assert blank.cause is Cause.NO_TEXT
    assert "2 pages" in blank.message


LONG = f"{PROSE}{PROSE.lower()}{PROSE}"


def test_lines_that_were_only_wrapped_become_paragraphs() -> None:
    first, second = wrap(LONG, 60), wrap(PROSE, 60)
    lines = [*body(*first), *body(*second, top=600)]
    assert text_of(book([lines])).split("\n\n") == [" ".join(LONG.split()), PROSE.strip()]


def test_an_indented_first_line_begins_a_paragraph() -> None:
    lines = body(*wrap(LONG, 60), *wrap("And " + LONG, 60))
    at = len(wrap(LONG, 60))
    lines[at] = (84, *lines[at][1:])
    assert text_of(book([lines])).split("\n\n") == [" ".join(LONG.split()), " ".join(f"And {LONG}".split())]


@pytest.mark.parametrize(
    "lines",
    [
        ["def main():", "return 1", "", "if True:", "main()", "x = [1, 2, 3]", "print(x)"],
        ["Jane Doe", "12 Long Street", "New Town", "Kingdom of Something"],
        [f"{WIDE[:60]} . . . . . . . . . . . {number}" for number in range(5)],
        [f"{number}. {WIDE}" for number in range(1, 6)],
        [f"Row {WIDE[:40]} {number * 100}" for number in range(5)],
    ],
    ids=["code", "address", "contents", "list", "table"],
)
def test_lines_that_are_lines_stay_lines(lines: list[str]) -> None:
    shown = [line for line in lines if line]
    assert text_of(book([body(*shown)])).split("\n") == shown


def test_a_wider_gap_parts_paragraphs() -> None:
    lines = [*body("one line", "next line", "last line"), *body("another part", "its end", top=650)]
    assert text_of(book([lines])) == "one line\nnext line\nlast line\n\nanother part\nits end"


def test_text_of_two_columns_keeps_the_order_of_the_content() -> None:
    left = body("left one", "left two", "left three")
    right = body("right one", "right two", left=330)
    assert text_of(book([[*left, *right]])).split() == [
        "left",
        "one",
        "left",
        "two",
        "left",
        "three",
        "right",
        "one",
        "right",
        "two",
    ]


def running_book(pages: int, *, numbers: bool = True) -> bytes:
    return book(
        [
            [
                (72, 760, "The Title of the Book"),
                *body(f"Page {page} has this text,", "which differs from page to page", f"like {page * 7}."),
                *([(300, 40, str(page + 1))] if numbers else []),
            ]
            for page in range(pages)
        ]
    )


def test_running_heads_and_page_numbers_are_left_out_but_for_the_first_head() -> None:
    text = text_of(running_book(6))
    assert text.count("The Title of the Book") == 1
    assert text.startswith("The Title of the Book")
    lines = text.split("\n")
    assert not any(line.isdecimal() for line in lines)
    assert all(f"Page {page} has this text," in text and f"like {page * 7}." in text for page in range(6))


def test_two_pages_keep_everything() -> None:
    text = text_of(running_book(2))
    assert text.count("The Title of the Book") == 2
    assert "\n1\n" in text


def test_a_page_with_nothing_but_its_number_keeps_it() -> None:
    text = text_of(book([[(72, 700, f"Page {number}")] for number in range(1, 6)]))
    assert text.split("\n\n") == [f"Page {number}" for number in range(1, 6)]


def test_heads_of_left_and_right_pages_with_their_numbers_are_left_out() -> None:
    pages = []
    for page in range(10):
        number = page + 1
        head = (
            (72, 760, f"{number}{' ' * 30}The Book")
            if page % 2
            else (72, 760, f"The Chapter{' ' * 30}{number}")
        )
        pages.append([head, *body(f"text {page}", "and more of it", "and the end")])
    text = text_of(book(pages))
    assert text.count("The Book") == 1
    assert text.count("The Chapter") == 1


@pytest.mark.parametrize(
    "line",
    ["Question {}", "Invoice no. {}", "Total {}.50", "Figure {}: a figure"],
)
def test_numbers_that_are_part_of_what_is_said_stay(line: str) -> None:
    pages = [
        [(72, 760, line.format(page + 1)), *body(f"text {page}", "and more", "and the end")]
        for page in range(6)
    ]
    text = text_of(book(pages))
    assert all(line.format(page + 1) in text for page in range(6))


def test_what_repeats_without_a_gap_or_in_the_middle_is_text() -> None:
    pages = [body(f"unlike {page}", "the same", "and another", "the last") for page in range(5)]
    assert text_of(book(pages)).count("the same") == 5
    assert text_of(book(pages)).count("the last") == 5


def test_titles_of_the_outline_become_headings() -> None:
    document = Pdf()
    page = document.lines(
        [(72, 720, "1 First things"), *body("text of it", "more", top=690), (72, 600, "1.1 Details"),
         *body("text", "First things are mentioned", top=570)]
    )  # fmt: skip
    first, second = 20, 21
    while len(document._objects) < first - 1:
        document.add("null")
    document.add(f"<< /Title (First things) /Parent 30 0 R /Dest [{page} 0 R /Fit] /First {second} 0 R"
                 f" /Last {second} 0 R /Count 1 >>")  # fmt: skip
    document.add(f"<< /Title (1.1 Details) /Parent {first} 0 R /Dest [{page} 0 R /Fit] >>")
    document.add(f"<< /Type /Outlines /First {first} 0 R /Last {first} 0 R /Count 1 >>")
    document.catalog = "/Outlines 22 0 R"
    document.lines([(72, 720, "another page")])
    lines = text_of(document.data()).split("\n")
    assert "# 1 First things" in lines
    assert "## 1.1 Details" in lines
    assert "First things are mentioned" in lines


def test_outlines_that_go_in_circles_end() -> None:
    document = Pdf()
    document.lines([(72, 720, "text")])
    outline = document.add("<< /Type /Outlines /First 7 0 R /Last 7 0 R >>")
    assert document.add("<< /Title (a) /Next 7 0 R /First 7 0 R /Dest [5 0 R /Fit] >>") == 7
    document.catalog = f"/Outlines {outline} 0 R"
    started = time.monotonic()
    assert text_of(document.data()) == "text"
    assert time.monotonic() - started < 3


def form() -> bytes:
    document = Pdf()
    box = document.stream(b"", "/Type /XObject /Subtype /Form /BBox [0 0 9 9]")
    fields = [
        "/FT /Tx /T (a) /TU (Your name) /V (Ada Lovelace)",
        "/FT /Tx /T (b) /V (no label)",
        "/FT /Tx /T (c) /TU (Secret) /V (hunter2) /Ff 8192",
        "/FT /Tx /T (d) /TU (Hidden) /V (unseen) /F 2",
        "/FT /Ch /Ff 131072 /T (e) /TU (Colour) /V (red) /Opt [(red) (green) (blue)]",
        "/FT /Ch /Ff 131072 /T (f) /TU (Second) /V (green) /Opt [(red) (green) (blue)]",
        f"/FT /Btn /T (g) /TU (I agree) /V /Yes /AS /Yes /AP << /N << /Yes {box} 0 R /Off {box} 0 R >> >>",
        "/FT /Tx /T (h) /TU (Empty)",
    ]
    numbers = [
        document.add(f"<< /Type /Annot /Subtype /Widget /Rect [0 0 90 20] {field} >>") for field in fields
    ]
    notes = [
        "/Subtype /FreeText /Contents (Written across the page)",
        "/Subtype /Highlight /QuadPoints [0 0 1 0 0 1 1 1] /Contents (A remark)",
        "/Subtype /Popup /Contents (A remark)",
        "/Subtype /Text /Contents (Form)",
    ]
    numbers += [document.add(f"<< /Type /Annot /Rect [0 0 90 20] {note} >>") for note in notes]
    listed = " ".join(f"{number} 0 R" for number in numbers)
    document.lines([(72, 720, "Form to fill in")], f"/Annots [{listed}]")
    document.catalog = f"/AcroForm << /Fields [{' '.join(f'{number} 0 R' for number in numbers[:8])}] >>"
    return document.data()


def test_values_and_options_of_forms_and_comments_are_text() -> None:
    text = text_of(form())
    for expected in ("Your name: Ada Lovelace", "no label", "Colour: red\n- red\n- green\n- blue",
                     "Second: green", "☒ I agree", "Written across the page"):  # fmt: skip
        assert expected in text
    assert text.count("A remark") == 1
    assert text.count("- blue") == 1
    assert text.count("Form") == 1
    for kept_back in ("hunter2", "unseen", "Empty"):
        assert kept_back not in text


def entries(data: bytes) -> list[tuple[str | None, bytes]]:
    def content(entry: Entry) -> bytes:
        return b"".join(entry.pieces())

    return [
        (entry.name, content(entry))
        for entry in attached_files(io.BytesIO(data), "application/pdf", CleanSettings())
    ]


def test_attached_files_are_found() -> None:
    document = Pdf()
    first = document.stream(b"the first", "/Type /EmbeddedFile")
    second = document.stream(b"x" * 3_000_000, "/Type /EmbeddedFile")
    spec = "<< /Type /Filespec /F ({0}) /UF ({0}) /EF << /F {1} 0 R /UF {1} 0 R >> >>"
    pinned = f"<< /Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS {spec.format('b.bin', second)} >>"
    document.lines([(72, 720, "with attachments")], f"/Annots [{pinned}]")
    document.catalog = f"/Names << /EmbeddedFiles << /Names [(a) {spec.format('a.txt', first)}] >> >>"
    assert entries(document.data()) == [("a.txt", b"the first"), ("b.bin", b"x" * 3_000_000)]
    assert entries(pdf(["without"])) == []
    assert entries(b"%PDF-1.4 EmbeddedFile, but broken") == []


def undeciphered(mapped: bool) -> bytes:
    """Glyphs by number in a font that does not say what they mean."""
    document = Pdf()
    descendant = document.add(
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /AAAAAA+Some"
        " /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>"
    )
    mapping = ""
    if mapped:
        ranges = b"1 begincodespacerange <0000> <ffff> endcodespacerange "
        ranges += b"1 beginbfrange <0001> <0060> <0041> endbfrange"
        mapping = f"/ToUnicode {document.stream(ranges)} 0 R"
    font = document.add(
        f"<< /Type /Font /Subtype /Type0 /BaseFont /AAAAAA+Some /Encoding /Identity-H"
        f" /DescendantFonts [{descendant} 0 R] {mapping} >>"
    )
    document.font = font
    shown = "".join(f"{number:04x}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22) * 3)
    document.page(f"BT /F1 10 Tf 72 700 Td <{shown}> Tj ET".encode())
    return document.data()


def test_glyphs_that_nobody_can_decipher_are_no_text() -> None:
    error = refusal(undeciphered(mapped=False))
    assert error.cause is Cause.NEEDS_OCR
    assert "which letters" in error.message
    assert "ABCDEFGHIPQ" in text_of(undeciphered(mapped=True))


def test_a_broken_table_of_objects_is_rebuilt() -> None:
    data = pdf([PROSE])
    assert PROSE.strip() in text_of(data.replace(b"0000000009", b"0000000777"))
    assert PROSE.strip() in text_of(data.replace(b"startxref\n", b"startxref\n99"))


def test_what_pdfium_refuses_is_tried_with_the_other_reader() -> None:
    data = pdf([PROSE]).replace(b"%PDF-1.4", b"%XXX-1.4")
    pages = module.extract_pdf(data, "application/pdf", CleanSettings()).pages or [""]
    assert pages[0].strip() == PROSE.strip()


def test_the_fallback_reads_the_same_text() -> None:
    data = pdf([PROSE, "second line"], ["third"])
    found = extract_pdf_slowly(data, "application/pdf", CleanSettings())
    assert [page.split() for page in found.pages or ()] == [(PROSE + "second line").split(), ["third"]]
    for broken, cause in (
        (pdf(["hello"], encrypt=True), Cause.ENCRYPTED),
        (b"%PDF-1.4 garbage", Cause.CORRUPT),
        (scan(4, 4, bytes(16)), Cause.NEEDS_OCR),
    ):
        with pytest.raises(DocumentError) as caught:
            extract_pdf_slowly(broken, "application/pdf", CleanSettings())
        assert caught.value.cause is cause


def test_the_fallback_ends_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_scraper.engine.extract.pdf.fallback._SECONDS", -1.0)
    with pytest.raises(DocumentError) as caught:
        extract_pdf_slowly(pdf(["hello"]), "application/pdf", CleanSettings())
    assert caught.value.cause is Cause.TIMEOUT


def test_damage_never_gets_out_as_anything_but_a_verdict() -> None:
    rng = random.Random(7)
    originals = [form(), running_book(4), undeciphered(mapped=True), pdf([PROSE], ["b"], link="http://a.b/c")]
    for _ in range(40):
        data = bytearray(rng.choice(originals))
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.choice((1, 3, 30)) if data else 0):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            assert text_of(b"%PDF-1.7\n" + bytes(data)).strip()
        except DocumentError as error:
            assert error.message.isprintable()


def test_many_pages_and_lines_take_time_in_proportion() -> None:
    def seconds(pages: int) -> float:
        data = running_book(pages)
        started = time.process_time()
        module.extract_pdf(data, "application/pdf", CleanSettings(ocr="off"))
        return time.process_time() - started

    few, many = min(seconds(100) for _ in range(3)), min(seconds(400) for _ in range(3))
    assert many < 4 * 2.5 * few + 0.05


def test_page_offsets_grow() -> None:
    offsets = read(running_book(5), "a.pdf").pages
    assert len(offsets) == 5
    assert all(before < after for before, after in pairwise(offsets))
