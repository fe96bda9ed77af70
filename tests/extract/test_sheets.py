from __future__ import annotations

import io
import struct
import time
import zipfile

import pytest

from tests.extract.files import read
from tests.extract.office_files import ole, package, wide, xlsb, xlsb_record, xlsx
from tests.extract.test_office import refusal
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.media_types import XLSB, XLSX, ZIP
from tui_scraper.engine.models import Cause

ONE_SHEET = '<workbook xmlns:r="r"><sheets><sheet name="S" r:id="one"/></sheets></workbook>'


def row(number: int, *cells: str) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def cell(place: str, value: str, kind: str = "", style: str = "") -> str:
    return f'<c r="{place}" t="{kind}" s="{style}"><v>{value}</v></c>'


def data(*rows: str) -> str:
    return f"<sheetData>{''.join(rows)}</sheetData>"


def test_each_sheet_is_a_heading_and_a_table() -> None:
    result = read(
        xlsx(
            {
                "Prices": data(
                    row(1, cell("B1", "0", "s"), cell("D1", "1", "s")),
                    row(3, cell("B3", "2", "s"), cell("D3", "1.5")),
                ),
                "Empty": data(),
                "Hidden": data(row(1, cell("A1", "found", "str"))),
            },
            strings=["Name", "Price", "Pear | apple"],
        ),
        "a.xlsx",
    )
    assert result.text == (
        "## Prices\n\n| Name | Price |\n| --- | --- |\n| Pear \\| apple | 1.5 |\n\n## Hidden\n\nfound"
    )


def test_numbers_dates_switches_and_errors_are_readable() -> None:
    styles = (
        '<numFmts><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm"/>'
        '<numFmt numFmtId="165" formatCode="[h]:mm"/>'
        '<numFmt numFmtId="166" formatCode="&quot;day&quot; 0.00"/>'
        '</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/>'
        '<xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/><xf numFmtId="20"/>'
        "</cellXfs>"
    )
    cells = [
        cell("A1", "43586", style="1"),
        cell("B1", "43586.5", style="2"),
        cell("C1", "1.5", style="3"),
        cell("D1", "7", style="4"),
        cell("E1", "0.25", style="5"),
        cell("F1", "3.1400000000000001", style="0"),
        cell("G1", "1", "b"),
        cell("H1", "#N/A", "e"),
        cell("I1", "1E3"),
        cell("J1", "2019-05-01", "d"),
    ]
    result = read(xlsx({"S": data(row(1, *cells))}, styles=styles), "a.xlsx")
    assert result.text.splitlines()[2] == (
        "2019-05-01 | 2019-05-01 12:00:00 | 36:00:00 | 7 | 06:00:00 | 3.14 | TRUE | #N/A | 1000 | 2019-05-01"
    )


def test_the_date_system_of_the_macintosh_is_honoured() -> None:
    styles = '<cellXfs><xf numFmtId="14"/></cellXfs>'
    book = xlsx(
        {"S": data(row(1, cell("A1", "36526", style="0")))},
        styles=styles,
        properties='<workbookPr date1904="1"/>',
    )
    assert "2004-01-02" in read(book, "a.xlsx").text


def test_inline_and_rich_strings_are_joined_and_phonetics_left_out() -> None:
    inline = '<c r="A1" t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r><rPh><t>no</t></rPh></is></c>'
    strings = "<sst><si><r><t>ri</t></r><r><t>ch</t></r><rPh><t>no</t></rPh></si></sst>"
    book = xlsx({"S": data(row(1, inline, cell("B1", "0", "s")))}, extra={"xl/sharedStrings.xml": strings})
    assert "inline | rich" in read(book, "a.xlsx").text


def test_comments_text_boxes_charts_headers_and_links_are_found() -> None:
    codes = '&amp;L&amp;"Arial,Bold"&amp;12Draft &amp;&amp; final&amp;RPage &amp;P'
    header = f"<headerFooter><oddHeader>{codes}</oddHeader></headerFooter>"
    book = xlsx(
        {
            "One": data(row(1, cell("A1", "x", "str"))) + header,
            "Two": data(row(1, cell("A1", "y", "str"))) + header,
        },
        extra={
            "xl/comments1.xml": "<comments><authors><author>Ann</author></authors><commentList>"
            '<comment ref="B2" authorId="0"><text><r><t>Ann:</t></r><r><t> look here</t></r></text></comment>'
            "</commentList></comments>",
            "xl/drawings/drawing1.xml": "<wsDr><a:p xmlns:a='a'><a:r><a:t>In a box</a:t></a:r></a:p></wsDr>",
            "xl/charts/chart1.xml": "<c:chart xmlns:c='c' xmlns:a='a'><a:p><a:r><a:t>Sales</a:t></a:r></a:p>"
            "<c:strCache><c:pt><c:v>North</c:v></c:pt></c:strCache><c:numCache><c:v>17</c:v></c:numCache></c:chart>",
        },
        relations={
            "xl/worksheets/sheet1.xml": [
                ("c", "comments", "../comments1.xml"),
                ("d", "drawing", "../drawings/drawing1.xml"),
                ("h", "hyperlink", "https://example.org/a"),
            ],
            "xl/drawings/drawing1.xml": [("c", "chart", "../charts/chart1.xml")],
        },
    )
    result = read(book, "a.xlsx")
    assert result.text == (
        "## One\n\nx\n\nComment on B2 by Ann: look here\n\nIn a box\n\nSales\n\nNorth\n\n"
        "Draft & final Page\n\n## Two\n\ny"
    )
    assert result.links == [("https://example.org/a", "hyperlink")]


def test_threaded_comments_replace_the_notes_made_of_them() -> None:
    book = xlsx(
        {"One": data(row(1, cell("A1", "x", "str")))},
        extra={
            "xl/comments1.xml": "<comments><commentList><comment ref='A1'><text><t>[Threaded comment] old</t>"
            "</text></comment></commentList></comments>",
            "xl/threadedComments/t1.xml": "<ThreadedComments><threadedComment ref='A1' personId='{1}'>"
            "<text>new</text></threadedComment></ThreadedComments>",
            "xl/persons/person.xml": "<personList><person displayName='Ben' id='{1}'/></personList>",
        },
        relations={
            "xl/worksheets/sheet1.xml": [
                ("c", "comments", "../comments1.xml"),
                ("t", "threadedComment", "../threadedComments/t1.xml"),
            ],
            "xl/workbook.xml": [
                ("s1", "worksheet", "worksheets/sheet1.xml"),
                ("p", "person", "persons/person.xml"),
            ],
        },
    )
    assert read(book, "a.xlsx").text.endswith("Comment on A1 by Ben: new")


def test_a_workbook_of_empty_sheets_is_empty() -> None:
    assert (
        refusal(xlsx({"Sheet1": data(), "Sheet2": data(row(1, '<c r="A1" s="3"/>'))}), "a.xlsx").cause
        is Cause.NO_TEXT
    )


def test_sparse_sheets_stay_linear() -> None:
    rows = []
    for number in range(1, 3_001):
        letters, rest = "", number
        while rest > 0:
            rest, last = divmod(rest - 1, 26)
            letters = chr(65 + last) + letters
        rows.append(row(number, cell(f"{letters}{number}", str(number))))
    result = read(xlsx({"S": data(*rows)}), "a.xlsx")
    assert len(result.text) < 20_000
    assert "3000" in result.text


def test_a_sheet_of_single_characters_is_shown_as_it_is_drawn() -> None:
    rows = [row(n, *(cell(f"{chr(65 + c)}{n}", "xo"[c % 2], "str") for c in range(12))) for n in (1, 2)]
    assert read(xlsx({"S": data(*rows)}), "a.xlsx").text == "## S\n\n" + "\n".join(["x o " * 5 + "x o"] * 2)


def test_a_long_sheet_goes_on_with_the_columns_it_began_with() -> None:
    rows = [row(n, cell(f"A{n}", str(n)), cell(f"C{n}", "c")) for n in range(1, 30_001)]
    rows.append(row(30_001, cell("A30001", "end"), cell("D30001", "new")))
    lines = read(xlsx({"S": data(*rows)}), "a.xlsx").text.splitlines()
    assert lines[2:5] == ["| 1 | c |", "| --- | --- |", "| 2 | c |"]
    assert lines[-2:] == ["| 30000 | c |", "| end |  | new |"]
    assert len(lines) == 30_004


def test_text_is_cut_at_the_limit_and_says_so() -> None:
    rows = [row(n, cell(f"A{n}", "word " * 20, "str")) for n in range(1, 400)]
    result = read(xlsx({"S": data(*rows)}), "a.xlsx", max_chars=2_000)
    assert result.truncated
    assert len(result.text) <= 2_000


def test_one_long_string_shown_in_every_cell_does_not_fill_memory() -> None:
    cells = [row(n, cell(f"A{n}", "0", "s")) for n in range(1, 20_000)]
    result = read(xlsx({"S": data(*cells)}, strings=["long " * 6_000]), "a.xlsx", max_chars=100_000)
    assert result.truncated


@pytest.mark.parametrize(
    "attack",
    [
        '<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><sst><si><t>&b;</t></si></sst>',
        '<!DOCTYPE s [<!ENTITY % p "x">]><sst/>',
    ],
)
def test_declared_entities_are_damage_and_never_expanded(attack: str) -> None:
    error = refusal(
        xlsx({"S": data(row(1, cell("A1", "x", "str")))}, extra={"xl/sharedStrings.xml": attack}), "a.xlsx"
    )
    assert error.cause is Cause.CORRUPT
    assert "damaged" in error.message


def test_an_entity_that_lies_outside_is_not_fetched() -> None:
    outside = '<!DOCTYPE s [<!ENTITY e SYSTEM "file:///etc/passwd">]><sst><si><t>be&e;fore</t></si></sst>'
    book = xlsx({"S": data(row(1, cell("A1", "0", "s")))}, extra={"xl/sharedStrings.xml": outside})
    assert read(book, "a.xlsx").text == "## S\n\nbefore"


def test_deep_nesting_is_refused() -> None:
    deep = "<x>" * 5_000 + "</x>" * 5_000
    error = refusal(xlsx({"S": deep}), "a.xlsx")
    assert error.cause is Cause.CORRUPT
    assert "nests" in error.message


def test_parts_are_found_whatever_their_names_and_case() -> None:
    odd = package(
        {
            "[content_types].xml": "<Types/>",
            "XL\\Workbook.xml": ONE_SHEET,
            "xl/worksheets/Odd.xml": f"<worksheet>{data(row(1, cell('A1', 'x', 'str')))}</worksheet>",
        },
        {
            "": [("m", "officeDocument", "/xl/workbook.xml")],
            "xl/workbook.xml": [("one", "worksheet", "/XL/worksheets/odd.xml")],
        },
        base="http://purl.oclc.org/ooxml/officeDocument/relationships",
    )
    assert read(odd, "a.xlsx").text == "## S\n\nx"


def test_a_package_without_usual_names_is_known_by_its_content_types() -> None:
    odd = package(
        {
            "[Content_Types].xml": '<Types><Override PartName="/book.xml" ContentType="application/'
            'vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml"/></Types>',
            "book.xml": ONE_SHEET,
            "s.xml": f"<worksheet>{data(row(1, cell('A1', 'x', 'str')))}</worksheet>",
        },
        {"book.xml": [("one", "worksheet", "s.xml")]},
    )
    assert detect(odd, b"noname") == XLSX
    assert read(odd, "noname").text == "## S\n\nx"


def test_a_workbook_without_relations_is_read_by_usual_names() -> None:
    bare = package(
        {
            "xl/workbook.xml": "<workbook/>",
            "xl/worksheets/sheet10.xml": f"<worksheet>{data(row(1, cell('A1', 'ten', 'str')))}</worksheet>",
            "xl/worksheets/sheet2.xml": f"<worksheet>{data(row(1, cell('A1', 'two', 'str')))}</worksheet>",
        },
        {},
    )
    assert read(bare, "a.xlsx").text == "two\n\nten"


def test_an_encrypted_workbook_is_encrypted_under_any_name() -> None:
    locked = ole({"EncryptionInfo": b"x" * 100, "EncryptedPackage": b"y" * 5_000})
    for name in ("a.xlsx", "a.xlsb", "a.pptx", "a.docx", "a"):
        error = refusal(locked, name)
        assert error.cause is Cause.ENCRYPTED
        assert "password" in error.message


def test_a_workbook_that_has_lost_its_main_part_is_damaged() -> None:
    lost = package({"xl/styles.xml": "<styleSheet/>"}, {})
    assert refusal(lost, "a.xlsx").cause is Cause.CORRUPT
    assert detect(lost, b"a") == ZIP


@pytest.mark.parametrize(
    "token",
    ["<row>", "<c r='A1'>", "<c r='A1' t='inlineStr'><is><t>x</t></is></c>", "&lt;", "<t>", "<!-- -->"],
)
def test_two_megabytes_of_one_token_take_linear_time(token: str) -> None:
    started = time.process_time()
    text = token * (2_000_000 // len(token))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as container:  # stored: the ratio of a bomb is not the point
        container.writestr("xl/workbook.xml", "<workbook/>")
        container.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet><sheetData><row>{text}</row></sheetData></worksheet>"
        )
    try:
        read(out.getvalue(), "a.xlsx")
    except Exception as error:
        assert "Excel workbook" in str(error) or "no text" in str(error)
    assert time.process_time() - started < 50


def xlsb_cell(kind: int, column: int, value: bytes, style: int = 0) -> bytes:
    return xlsb_record(kind, struct.pack("<II", column, style) + value)


def test_binary_workbooks_give_the_same_as_their_relatives() -> None:
    sheet = (
        xlsb_record(0, struct.pack("<I", 0))
        + xlsb_cell(7, 0, struct.pack("<I", 0))
        + xlsb_cell(6, 1, wide("in place"))
    )
    sheet += (
        xlsb_record(0, struct.pack("<I", 1))
        + xlsb_cell(2, 0, struct.pack("<I", 7 << 2 | 2))
        + xlsb_cell(5, 1, struct.pack("<d", 43586.0), 1)
    )
    sheet += xlsb_record(0, struct.pack("<I", 2)) + xlsb_cell(4, 0, b"\x01") + xlsb_cell(11, 1, b"\x2a")
    sheet += xlsb_record(479, struct.pack("<H", 0) + wide("&CThe header"))
    book = xlsb(sheet, strings=["Shared"], formats=[0, 14])
    assert detect(book, b"a.bin") == XLSB
    assert read(book, "a.xlsb").text == (
        "## Data\n\n| Shared | in place |\n| --- | --- |\n| 7 | 2019-05-01 |\n| TRUE | #N/A |\n\nThe header"
    )


def test_a_binary_workbook_that_is_cut_gives_what_is_whole() -> None:
    sheet = xlsb_record(0, struct.pack("<I", 0)) + xlsb_cell(6, 0, wide("whole"))
    assert "whole" in read(xlsb(sheet + b"\x06\xff\xff\xff\x7f"), "a.xlsb").text
