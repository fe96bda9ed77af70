"""Word documents of today, and what all Office packages have in common."""

from __future__ import annotations

import io
import random
import time
import zipfile

import pytest

from tests.extract.files import PROSE, docx, paragraph, read
from tests.extract.office_files import STRICT, content_types, package
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.media_types import DOCX
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

W = 'xmlns:w="w" xmlns:r="r" xmlns:mc="mc" xmlns:wps="wps" xmlns:v="v" xmlns:a="a" xmlns:m="m"'


def letter(
    body: str, parts: dict[str, str] | None = None, links: tuple[tuple[str, str, str], ...] = ()
) -> bytes:
    """A document with parts beside it: kind -> what stands inside its root element."""
    beside = {f"word/{kind}{n}.xml": f"<w:{kind} {W}>{inside}</w:{kind}>"
              for n, (kind, inside) in enumerate((parts or {}).items())}  # fmt: skip
    relations = [(f"r{n}", kind.rstrip("0123456789"), f"{kind}{n}.xml") for n, kind in enumerate(parts or {})]
    return package(
        {
            "[Content_Types].xml": content_types("word", "word/document.xml"),
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
            **beside,
        },
        {
            "": [("m", "officeDocument", "word/document.xml")],
            "word/document.xml": [*relations, *links],
        },
    )


def text_of(data: bytes) -> str:
    return read(data, "a.docx").text


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


def test_lists_are_items_bulleted_and_numbered() -> None:
    numbering = (
        '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
        '<w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num>'
    )

    def item(text: str, level: int) -> str:
        properties = f'<w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="5"/></w:numPr></w:pPr>'
        return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"

    body = paragraph("List:") + item("one", 0) + item("in it", 1) + item("two", 0) + paragraph("End.")
    assert text_of(letter(body, {"numbering": numbering})) == ("List:\n\n1. one\n  - in it\n2. two\n\nEnd.")


def test_headings_are_known_by_styles_of_any_language_and_by_what_they_inherit() -> None:
    styles = (
        '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
        '<w:style w:styleId="Eigene"><w:name w:val="Eigene"/><w:basedOn w:val="berschrift2"/></w:style>'
        '<w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>'
        '<w:style w:styleId="Ring"><w:basedOn w:val="Ring"/></w:style>'
    )
    body = "".join(paragraph(name, name) for name in ("Titel", "berschrift2", "Eigene", "Ring", "Heading3"))
    assert text_of(letter(body, {"styles": styles})) == (
        "# Titel\n\n## berschrift2\n\n## Eigene\n\nRing\n\n### Heading3"
    )


def test_notes_comments_headers_and_footers_follow_the_text_once_each() -> None:
    note = '<w:footnote w:id="{}" w:type="{}">{}</w:footnote>'
    data = letter(
        '<w:p><w:r><w:t>Text</w:t><w:footnoteReference w:id="2"/></w:r></w:p>' + paragraph("More"),
        {
            "footnotes": note.format(0, "separator", paragraph("---"))
            + note.format(2, "normal", paragraph("A note")),
            "comments": f'<w:comment w:author="Ann">{paragraph("Check")}{paragraph("this")}</w:comment>',
            "header1": paragraph("Letterhead"),
            "header2": paragraph("Letterhead") + paragraph("Second page"),
            "footer1": paragraph("3") + paragraph("Address"),
        },
        links=(("h", "hyperlink", "https://example.org/"),),
    )
    result = read(data, "a.docx")
    assert result.text == (
        "Text[^1]\n\nMore\n\n[^1]: A note\n\nComment by Ann: Check\nthis"
        "\n\nLetterhead\n\nSecond page\n\nAddress"
    )
    assert result.links == [("https://example.org/", "hyperlink")]


def test_text_boxes_follow_their_paragraph_and_are_read_once() -> None:
    box = "<w:txbxContent>" + paragraph("In the box") + "</w:txbxContent>"
    drawing = (
        f"<mc:AlternateContent><mc:Choice><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent>"
    )
    canvas = "<w:drawing><a:p><a:r><a:t>On the canvas</a:t></a:r></a:p></w:drawing>"
    body = f"<w:p><w:r><w:t>Before </w:t>{drawing}</w:r><w:r>{canvas}<w:t>after</w:t></w:r></w:p>"
    assert text_of(letter(body)) == "Before after\n\nIn the box\n\nOn the canvas"


def test_tracked_changes_leave_what_is_there_now() -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    old = '<w:pPrChange><w:pPr><w:pStyle w:val="Heading1"/></w:pPr></w:pPrChange>'
    body = (
        f'<w:p><w:pPr><w:pStyle w:val="Normal"/>{old}</w:pPr><w:ins>{run.format("new")}</w:ins>'
        f"<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:moveFrom>{run.format('away')}</w:moveFrom></w:p>"
    )
    assert text_of(letter(body)) == "new"


def test_breaks_tabs_fields_and_equations_are_text() -> None:
    power = "<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>"
    body = (
        "<w:p><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/>"
        f"<w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r><m:oMath>{power}</m:oMath><w:r>"
        '<w:instrText>HYPERLINK "https://example.org/x" \\o</w:instrText></w:r></w:p>'
    )
    result = read(letter(body), "a.docx")
    assert result.text == "a b\nc-dx^2"
    assert result.links == [("https://example.org/x", "hyperlink")]


def test_tables_inside_tables_and_wide_cells_keep_their_text() -> None:
    cell = "<w:tc>{}</w:tc>"
    row = f"<w:tr>{cell.format(paragraph('in'))}{cell.format(paragraph('side'))}</w:tr>"
    inner = f"<w:tbl>{row * 2}</w:tbl>"
    nested = (
        f"<w:tbl><w:tr>{cell.format(paragraph('out') + inner)}{cell.format(paragraph('x'))}</w:tr></w:tbl>"
    )
    wide = '<w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>' + paragraph("both") + "</w:tc>"
    below = cell.format(paragraph("a")) + cell.format(paragraph("b"))
    spanned = f"<w:tbl><w:tr>{wide}</w:tr><w:tr>{below}</w:tr></w:tbl>"
    assert text_of(letter(nested + spanned)) == (
        "out\n\n| in | side |\n| --- | --- |\n| in | side |\n\nx\n\n| both |  |\n| --- | --- |\n| a | b |"
    )


def test_rows_of_very_different_lengths_do_not_make_a_huge_table() -> None:
    cell = f"<w:tc>{paragraph('x')}</w:tc>"
    body = f"<w:tbl><w:tr>{cell * 3_000}</w:tr>{f'<w:tr>{cell}</w:tr>' * 3_000}</w:tbl>"
    assert len(text_of(letter(body))) < 100_000


def test_text_is_cut_at_the_limit_even_inside_a_table() -> None:
    cells = "".join(f"<w:tc>{paragraph(PROSE)}</w:tc>" for _ in range(50))
    result = read(letter(f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>"), "a.docx", max_chars=1_000)
    assert result.truncated
    assert 500 < len(result.text) <= 1_000


def test_strict_documents_are_read() -> None:
    strict = package(
        {
            "[Content_Types].xml": content_types("word", "odd/main.xml"),
            "odd/main.xml": '<document xmlns="http://purl.oclc.org/ooxml/wordprocessingml/main"><body><p><r>'
            "<t>Strictly</t></r></p></body></document>",
        },
        {"": [("m", "officeDocument", "odd/main.xml")]},
        base=STRICT,
    )
    assert text_of(strict) == "Strictly"


def test_damage_beside_the_text_costs_nothing_but_itself() -> None:
    assert text_of(letter(paragraph("x"), {"header1": "<w:p>", "comments": "&nbsp;"})) == "x"


def test_the_second_reader_reads_what_the_first_does() -> None:
    fallback = registry().readers[DOCX].fallback
    assert fallback is not None
    found = fallback(docx(paragraph("Report", "Heading1") + paragraph(PROSE)), DOCX, CleanSettings())
    assert found.text == f"# Report\n\n{PROSE.strip()}"


@pytest.mark.parametrize(
    "token",
    ["<w:p>x</w:p>", "<w:tbl/>", "<w:tc/>", "<w:r><w:t>x</w:t></w:r>", "<w:footnoteReference w:id='1'/>",
     "<mc:Fallback/>", "<w:instrText>HYPERLINK </w:instrText>", "&amp;", "<w:txbxContent/>"],
)  # fmt: skip
def test_two_megabytes_of_one_token_take_linear_time(token: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as container:  # stored: the ratio of a bomb is not the point
        inside = f"<w:p><w:r><w:t>x</w:t></w:r>{token * (2_000_000 // len(token))}</w:p>"
        container.writestr("word/document.xml", f"<w:document {W}><w:body>{inside}</w:body></w:document>")
    started = time.process_time()
    read(out.getvalue(), "a.docx")
    assert time.process_time() - started < 50


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
