"""OpenDocument: texts, sheets and slides as a reader would see them, packed or flat."""

from __future__ import annotations

import re
import time

import pytest

from tests.extract.books import NAMESPACES, ODT, odf, odf_xml, package
from tests.extract.files import PROSE, read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.opendocument.formats import extract_odf
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings


def text(body: str, kind: str = "text", styles: str = "") -> str:
    return read(odf(body, kind, styles=styles), "a.odt").text


def p(words: str, style: str = "") -> str:
    return f'<text:p text:style-name="{style}">{words}</text:p>'


def cell(words: str = "", attributes: str = "") -> str:
    return f"<table:table-cell {attributes}>{p(words) if words else ''}</table:table-cell>"


def row(*cells: str, attributes: str = "") -> str:
    return f"<table:table-row {attributes}>{''.join(cells)}</table:table-row>"


def sheet(*rows: str, name: str = "Sheet1") -> str:
    return f'<table:table table:name="{name}"><table:table-column/>{"".join(rows)}</table:table>'


def test_headings_paragraphs_and_inline_text() -> None:
    link = '<text:a xlink:href="http://x.org/?a=1&amp;b=2">e</text:a>'
    body = (
        '<text:h text:outline-level="1">One <text:span>&amp; only</text:span></text:h>'
        '<text:h text:outline-level="3">Three</text:h>'
        + p(f'a<text:s text:c="3"/>b<text:tab/>c<text:line-break/>d {link}')
        + p("<text:bookmark-ref>the first</text:bookmark-ref>, <text:date>1 May</text:date>")
    )  # fmt: skip
    found = read(odf(body), "a.odt")
    assert found.text == "# One & only\n\n### Three\n\na b c\nd e\n\nthe first, 1 May"
    assert found.links == [("http://x.org/?a=1&b=2", "hyperlink")]
    assert found.title == "One & only"


LISTS = (
    '<office:automatic-styles><text:list-style style:name="N"><text:list-level-style-number text:level="1" '
    'style:num-format="1" text:start-value="3"/><text:list-level-style-bullet text:level="2"/>'
    "</text:list-style></office:automatic-styles>"
)


def item(words: str, inner: str = "", attributes: str = "") -> str:
    return f"<text:list-item {attributes}>{p(words)}{inner}</text:list-item>"


def test_lists_are_nested_and_numbered() -> None:
    inner = f"<text:list>{item('b')}{item('c')}</text:list>"
    first = f'<text:list text:style-name="N" xml:id="l1">{item("a", inner)}{item("d")}</text:list>'
    again = f'<text:list text:style-name="N" text:continue-numbering="true">{item("e")}</text:list>'
    named = f'<text:list text:style-name="M" text:continue-list="l1">{item("f")}</text:list>'
    jump = f'<text:list text:style-name="N">{item("g", attributes=""" text:start-value="9" """)}</text:list>'
    body = first + p("between") + again + p("again") + named + p("and") + jump
    assert text(body, styles=LISTS) == (
        "3. a\n  - b\n  - c\n4. d\n\nbetween\n\n5. e\n\nagain\n\n- f\n\nand\n\n9. g"
    )


def test_a_heading_in_a_list_is_a_heading() -> None:
    body = (
        '<text:list><text:list-item><text:h text:outline-level="2">Two</text:h></text:list-item></text:list>'
    )
    assert text(body + p("text")) == "## Two\n\ntext"


def test_preformatted_paragraphs_are_one_block() -> None:
    styles = (
        '<office:automatic-styles><style:style style:name="P7" style:family="paragraph" '
        'style:parent-style-name="Preformatted_20_Text"/></office:automatic-styles>'
    )
    body = p("before") + p("def f():", "P7") + p('<text:s text:c="4"/>return 1', "P7") + p("after")
    assert text(body, styles=styles) == "before\n\n```\ndef f():\n    return 1\n```\n\nafter"


def test_tables_become_markdown() -> None:
    body = p("x") + sheet(
        row(cell("Name"), cell("Sum")),
        row(cell("a|b"), cell("1<text:line-break/>2")),
        row(cell("both", 'table:number-columns-spanned="2"'), "<table:covered-table-cell/>"),
    )
    assert text(body) == "x\n\n| Name | Sum |\n| --- | --- |\n| a\\|b | 1 2 |\n| both |  |"


def test_notes_and_comments_come_after_the_text() -> None:
    note = (
        '<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body>'
        f"{p('A note.')}</text:note-body></text:note>"
    )
    comment = (
        "<office:annotation><dc:creator>Somebody</dc:creator><dc:date>2020</dc:date>"
        f"{p('Really?')}</office:annotation>"
    )
    assert text(p(f"Text{note} and{comment} more")) == "Text[1] and more\n\n[1] A note.\n\n[comment] Really?"


def test_text_boxes_follow_their_paragraph_with_what_pictures_are_called() -> None:
    box = f"<draw:frame><draw:text-box>{p('in the box')}</draw:text-box></draw:frame>"
    picture = '<draw:frame><draw:image xlink:href="Pictures/1.png"/><svg:title>A cat</svg:title></draw:frame>'
    assert (
        text(p(f"around {box}the{picture} box") + p("next"))
        == "around the box\n\nin the box\n\nA cat\n\nnext"
    )


def test_deleted_text_is_left_out_and_hidden_text_is_not() -> None:
    deletion = f"<text:changed-region><text:deletion>{p('gone')}</text:deletion></text:changed-region>"
    deleted = f"<text:tracked-changes>{deletion}</text:tracked-changes>"
    hidden = '<text:hidden-text text:string-value="hidden"/>'
    assert text(deleted + p(f'kept <text:change text:change-id="c"/>{hidden}')) == "kept hidden"


MASTER = (
    "<office:master-styles><style:master-page><style:header>{header}</style:header>"
    "<style:footer>{footer}</style:footer><draw:frame><draw:text-box><text:p>Click to edit</text:p>"
    "</draw:text-box></draw:frame></style:master-page></office:master-styles>"
)


def test_headers_and_footers_come_once_and_page_numbers_never() -> None:
    master = MASTER.format(header=p("Annual report"), footer=p("Page <text:page-number>1</text:page-number>"))
    styles = f"<office:document-styles {NAMESPACES}>{master}</office:document-styles>"
    assert read(odf(p("Text."), parts={"styles.xml": styles}), "a.odt").text == "Annual report\n\nText."
    with pytest.raises(DocumentError, match="no text"):
        empty = MASTER.format(
            header=p("<text:sheet-name>???</text:sheet-name> (<text:title/>)"), footer=p("")
        )
        read(odf_xml("", "spreadsheet", styles=empty, root="document"), "a.fods")


def test_the_title_and_language_are_those_of_the_properties() -> None:
    meta = (
        f"<office:document-meta {NAMESPACES}><office:meta><dc:title>A &lt;title&gt;</dc:title>"
        "<dc:language>de-AT</dc:language></office:meta></office:document-meta>"
    )
    found = read(odf(p("Kurz."), parts={"meta.xml": meta}), "a.odt")
    assert (found.title, found.language, found.text) == ("A <title>", "de", "Kurz.")


def test_embedded_formulas_are_read() -> None:
    formula = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mrow><mi>E</mi></mrow>'
        '<annotation encoding="StarMath 5.0">E = m c^2</annotation></semantics></math>'
    )
    frame = '<draw:frame><draw:object xlink:href="./Object 1"/><draw:image/></draw:frame>'
    body = p(f"So {frame}it is.") + p(frame)
    assert read(odf(body, parts={"Object 1/content.xml": formula}), "a.odt").text == "So it is.\n\nE = m c^2"
    assert read(package({"content.xml": formula}, mimetype=mt.ODF), "a.odf").text == "E = m c^2"


def test_sheets_are_tables_of_what_they_hold() -> None:
    empty = cell("", 'table:number-columns-repeated="16380"')
    first = sheet(
        row(empty, attributes='table:number-rows-repeated="20"'),
        row(cell(), cell("Name"), cell(), cell("Sum")),
        row(cell(), cell("a|b"), cell(), cell("1.50 €", 'office:value="1.5"'), empty),
        row(cell(), cell("same", 'table:number-columns-repeated="3"')),
        row(empty, attributes='table:number-rows-repeated="1048576"'),
    )
    second = sheet(row(cell("", 'office:value-type="float" office:value="7"')), name="Other &amp; more")
    assert text(first + second + sheet(name="Empty"), "spreadsheet") == (
        "## Sheet1\n\n| Name |  | Sum |\n| --- | --- | --- |\n| a\\|b |  | 1.50 € |\n| same | same | same |"
        "\n\n## Other & more\n\n7"
    )


def test_comments_and_shapes_of_sheets_follow_them() -> None:
    comment = f"<office:annotation><dc:creator>X</dc:creator>{p('Check')}</office:annotation>"
    shapes = (
        f"<table:shapes><draw:frame><draw:text-box>{p('boxed')}</draw:text-box></draw:frame></table:shapes>"
    )
    body = sheet(shapes, row(f"<table:table-cell>{comment}{p('1')}</table:table-cell>", cell("2")))
    assert text(body, "spreadsheet") == "## Sheet1\n\n1 | 2\n\nboxed\n\n[comment] Check"


def test_what_a_sheet_repeats_is_bounded() -> None:
    every = cell("x", 'table:number-columns-repeated="16384"')
    body = sheet(row(every, attributes='table:number-rows-repeated="1048576"'))
    found = read(odf(body * 200, "spreadsheet", packed=False), "a.ods", max_chars=100_000)
    assert found.truncated
    assert len(found.text) <= 100_000
    diagonal = "".join(
        row(cell("", f'table:number-columns-repeated="{n}"'), cell("x")) for n in range(1, 3_000)
    )
    assert len(text(sheet(diagonal), "spreadsheet")) < 10_000


def test_slides_have_their_title_text_and_notes() -> None:
    def page(number: int, *frames: str, notes: str = "") -> str:
        spoken = f"<presentation:notes>{notes}</presentation:notes>"
        return f'<draw:page draw:name="page{number}">{"".join(frames)}{spoken}</draw:page>'

    def frame(words: str, kind: str = "outline") -> str:
        return f'<draw:frame presentation:class="{kind}"><draw:text-box>{words}</draw:text-box></draw:frame>'

    outline = frame(f"<text:list>{item('point')}</text:list>")
    body = (
        page(1, outline, frame(p("The<text:line-break/>plan"), "title"), notes=frame(p("Speak."), "notes"))
        + page(2, f"<draw:custom-shape>{p('untitled')}</draw:custom-shape>")
        + page(3)
        + f'<draw:page draw:name="Summary">{frame(p("done"))}</draw:page>'
    )
    expected = "## The plan\n\n- point\n\nSpeak.\n\nuntitled\n\n## Summary\n\ndone"
    assert text(body, "presentation") == expected
    assert text(body, "drawing") == expected


def test_flat_files_and_other_prefixes_are_the_same() -> None:
    flat = odf_xml(
        p("Flat &amp; fine"), root="document", styles="<office:meta><dc:title>T</dc:title></office:meta>"
    )
    assert (read(flat, "a.fodt").text, read(flat, "a.fodt").title) == ("Flat & fine", "T")
    assert (
        read(odf_xml(sheet(row(cell("1"), cell("2"))), "spreadsheet", root="document"), "a.fods").text
        == "## Sheet1\n\n1 | 2"
    )
    renamed = re.sub(r"(</?|\sxmlns:)(text|office)(?=[:=])", r"\1x-\2", odf_xml(p("Renamed")))
    assert read(package({"content.xml": renamed}, mimetype=mt.ODT), "a.odt").text == "Renamed"


def test_openoffice_1_is_read() -> None:
    names = " ".join(f'xmlns:{n}="http://openoffice.org/2000/{n}"' for n in ("office", "text", "table"))
    doctype = '<!DOCTYPE office:document-content PUBLIC "-//OpenOffice.org//DTD" "office.dtd">'
    body = f'<text:h text:level="2">Two</text:h><text:ordered-list>{item("a")}</text:ordered-list>'
    old = (
        f"{doctype}<office:document-content {names} office:class=%s><office:body>%s</office:body>"
        "</office:document-content>"
    )
    writer = package({"content.xml": old % ('"text"', body)}, mimetype="application/vnd.sun.xml.writer")
    assert read(writer, "a.sxw").text == "## Two\n\n1. a"
    table = sheet(row(cell("a"), cell("b")), row(cell("c"), cell("d")))
    calc = package({"content.xml": old % ('"spreadsheet"', table)}, mimetype="application/vnd.sun.xml.calc")
    assert read(calc, "a.sxc").text == "## Sheet1\n\n| a | b |\n| --- | --- |\n| c | d |"


def test_the_kind_is_detected() -> None:
    assert detect(odf(p("x")), b"a.bin") == mt.ODT
    assert detect(odf("", "spreadsheet"), b"a.bin") == mt.ODS
    template = package({"content.xml": "<a/>"}, mimetype=ODT + "text-template")
    assert detect(template, b"a") == f"{mt.ODT}-template"
    nameless = package({"content.xml": "<a/>", "META-INF/manifest.xml": "<a/>"})
    assert detect(nameless, b"a.ods") == mt.ODS
    assert detect(nameless, b"a") == mt.ODT
    flat = f'<?xml version="1.0"?><office:document xmlns:office="x" office:mimetype="{ODT}%s">'
    assert detect((flat % "spreadsheet").encode(), b"a.xml") == mt.FODS
    assert detect((flat % "text").encode(), b"a") == mt.FODT
    assert detect(b"<html><body>x", b"a.odt") == mt.HTML


MANIFEST = (
    '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry m:full-path="%s">'
    '<m:encryption-data m:checksum="x"/></m:file-entry></m:manifest>'
)


def test_encrypted_files_say_so() -> None:
    for parts in (
        {"content.xml": b"\x93\x12" * 50, "META-INF/manifest.xml": MANIFEST % "content.xml"},
        {"encrypted-package": b"\x93\x12" * 50, "META-INF/manifest.xml": MANIFEST % "encrypted-package"},
    ):
        with pytest.raises(DocumentError, match="password") as failed:
            read(package(parts, mimetype=mt.ODT), "a.odt")
        assert failed.value.cause is Cause.ENCRYPTED
    picture = MANIFEST % "Pictures/1.png"
    assert read(odf(p("Open."), parts={"META-INF/manifest.xml": picture}), "a.odt").text == "Open."


@pytest.mark.parametrize(
    "data",
    [
        b"This is not a zip file.\n",
        b"PK\x03\x04 nor is this",
        package({"other.xml": "<a/>"}, mimetype=mt.ODT),
        package({"content.xml": "no XML"}, mimetype=mt.ODT),
        b"<?xml version='1.0'?><office:document xmlns:office='x'/>",
        odf(p(PROSE * 50))[:-400],
    ],
)
def test_damaged_files_say_so(data: bytes) -> None:
    with pytest.raises(DocumentError, match="damaged") as failed:
        read(data, "a.odt")
    assert failed.value.cause is Cause.CORRUPT


def test_damage_after_readable_text_cuts_it() -> None:
    content = odf_xml("".join(p(f"{n} {PROSE}") for n in range(100)))
    found = read(package({"content.xml": content[: len(content) // 2]}, mimetype=mt.ODT), "a.odt")
    assert found.text.startswith("0 The quick")
    assert found.truncated
    meta = {"meta.xml": "<broken", "styles.xml": f"<x {NAMESPACES}><style:master-page><style:header>{p('h')}"}
    assert read(odf(p("Sound."), parts=meta), "a.odt").text == "Sound."


def test_files_of_pictures_need_text_recognition() -> None:
    with pytest.raises(DocumentError, match="text recognition") as failed:
        read(odf(p('<draw:frame><draw:image xlink:href="a.png"/></draw:frame>')), "a.odt")
    assert failed.value.cause is Cause.NEEDS_OCR
    with pytest.raises(DocumentError, match="no text"):
        read(odf(sheet(row(cell("", 'table:number-columns-repeated="4"'))), "spreadsheet"), "a.ods")


def test_bombs_are_refused() -> None:
    for body in (" " * 5_000_000, p("x") * 300_000):
        with pytest.raises(DocumentError, match="zip bomb") as failed:
            read(odf(body), "a.odt")
        assert failed.value.cause is Cause.TOO_LARGE
    with pytest.raises(DocumentError, match="levels deep"):
        read(odf("<text:list><text:list-item>" * 1_000), "a.odt")
    laughs = (
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + odf_xml(p("[&b;]"))[38:]
    )
    assert read(package({"content.xml": laughs}, mimetype=mt.ODT), "a.odt").text == "[]"


TOKENS = [
    p("a"),
    p(""),
    f"<text:list>{item('x')}</text:list>",
    p("a<text:line-break/>"),
    p('a<text:s text:c="999999"/>'),
    p(f"<draw:frame><draw:text-box>{p('x')}</draw:text-box></draw:frame>"),
    p(f"a<text:note><text:note-body>{p('n')}</text:note-body></text:note>"),
    sheet(row(cell("x", 'table:number-columns-repeated="16384"'))),
    '<text:h text:outline-level="9">h</text:h>',
]


@pytest.mark.parametrize("number", range(len(TOKENS)))
def test_time_is_linear_whatever_is_repeated(number: int) -> None:
    for kind in ("text", "spreadsheet", "presentation"):
        data = odf(TOKENS[number] * (200_000 // len(TOKENS[number])), kind, packed=False)
        began = time.process_time()
        extract_odf(data, mt.ODT, CleanSettings())
        assert time.process_time() - began < 20


def test_flipped_bytes_never_break_the_reader() -> None:
    whole = odf(p("text ") * 5 + sheet(row(cell("a"), cell("b"))), packed=False)
    for position in range(0, len(whole), 7):
        broken = bytearray(whole)
        broken[position] ^= 1 << position % 8
        try:
            extract_odf(bytes(broken), mt.ODT, CleanSettings())
        except DocumentError as error:
            assert error.cause is not Cause.NO_TEXT
