from __future__ import annotations

import random
import time

import pytest

from tests.extract.files import read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.models import Cause

SHEET = (
    '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"'
    ' xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet" '
    'xmlns:o="urn:schemas-microsoft-com:office:office">'
    "<o:DocumentProperties><o:Title>Stock</o:Title><o:Keywords>pears</o:Keywords></o:DocumentProperties>"
    '<Worksheet ss:Name="Fruit"><Table>{rows}</Table></Worksheet></Workbook>'
)
WORD = (
    '<?xml version="1.0"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml">'
    "<w:body>{body}</w:body></w:wordDocument>"
)


def test_docbook_becomes_headings_lists_tables_and_code() -> None:
    result = read(
        '<?xml version="1.0"?><!DOCTYPE book PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN" '
        '"http://x/docbookx.dtd">'
        "<book><bookinfo><title>The Book</title><author><firstname>Ann</firstname><surname>Lee</surname>"
        "</author>"
        "</bookinfo><chapter><title>One</title><para>Text with <emphasis>weight</emphasis> and"
        "<footnote><para>a note</para></footnote>.</para><itemizedlist><listitem><para>a</para></listitem>"
        "<listitem><para>b</para></listitem></itemizedlist><sect1><title>Deeper</title>"
        '<programlisting language="c">if (a &lt; b)\n    c();</programlisting><variablelist><varlistentry>'
        "<term>-v</term><listitem><para>be loud</para></listitem></varlistentry></variablelist>"
        "<table><title>Sizes</title><tgroup cols='2'><thead><row><entry>k</entry><entry>v</entry></row>"
        "</thead>"
        "<tbody><row><entry>x</entry><entry>1</entry></row></tbody></tgroup></table>"
        '<para><ulink url="http://a.b/c">there</ulink></para></sect1></chapter></book>',
        "a.xml",
    )
    assert result.title == "The Book"
    assert result.text == (
        "# The Book\n\nAnn Lee\n\n## One\n\nText with weight and ( a note).\n\n- a\n- b\n\n### Deeper\n\n"
        "```c\nif (a < b)\n    c();\n```\n\n-v\n: be loud\n\nSizes\n\n| k | v |\n| --- | --- |\n| x | 1 |\n"
        "\nthere"
    )
    assert ("http://a.b/c", "hyperlink") in result.links


def test_jats_tei_and_dita_read_as_articles() -> None:
    jats = read(
        "<article><front><article-meta><title-group><article-title>On <italic>Foxes</italic></article-title>"
        "</title-group><contrib><name><surname>Doe</surname><given-names>Jan</given-names></name></contrib>"
        "<abstract><p>Short.</p></abstract></article-meta></front><body><sec><title>Methods</title><p>We "
        "looked"
        ' <xref rid="b1">[1]</xref>.</p><list list-type="order"><list-item><p>first</p></list-item></list>'
        "</sec>"
        "</body></article>",
        "a.xml",
    )
    assert jats.title == "On Foxes"
    assert "# On Foxes\n\nDoe Jan\n\nShort.\n\n## Methods\n\nWe looked [1].\n\n1. first" in jats.text
    tei = read(
        '<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader><fileDesc><titleStmt><title>Verses</title>'
        "</titleStmt>"
        "</fileDesc></teiHeader><text><body><div><head>Song</head><lg><l>line one</l><l>line two</l></lg>"
        "</div>"
        "</body></text></TEI>",
        "a.xml",
    )
    assert tei.text == "# Verses\n\n## Song\n\nline one\nline two"
    dita = read(
        "<task><title>Start it</title><shortdesc>Quickly.</shortdesc><taskbody><steps><step>"
        "<cmd>Press.</cmd></step>"
        "</steps></taskbody></task>",
        "a.dita",
    )
    assert dita.text == "# Start it\n\nQuickly.\n\n1. Press."


def test_feeds_give_their_entries_with_dates_and_text() -> None:
    rss = read(
        '<?xml version="1.0"?><rss version="2.0"><channel><title>News &amp; more</title>'
        "<link>http://a.b/</link>"
        "<item><title>First</title><pubDate>Mon, 06 Sep 2021</pubDate><description>&lt;p&gt;One "
        "&lt;b&gt;two&lt;/b&gt;"
        "&lt;/p&gt;&lt;ul&gt;&lt;li&gt;x&lt;/ul&gt;</description><link>http://a.b/1</link></item>"
        "<item><title>Second</title><description><![CDATA[Plain <br> broken]]></description></item>"
        "</channel></rss>",
        "a.rss",
    )
    assert rss.title == "News & more"
    assert "## First\n\nMon, 06 Sep 2021\nhttp://a.b/1\n\nOne two\n\n- x" in rss.text
    assert rss.text.endswith("## Second\n\nPlain\nbroken")
    assert ("http://a.b/1", "hyperlink") in rss.links
    atom = read(
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>Atoms</title><entry><title>E</title>'
        '<updated>2003-12-13</updated><author><name>Ann</name></author><content type="xhtml"><div xmlns="x">'
        "<p>A &lt; B</p></div></content></entry></feed>",
        "noending",
    )
    assert atom.text == "# Atoms\n\n## E\n\n2003-12-13\nAnn\n\nA < B"


def test_outlines_keep_their_levels() -> None:
    text = read(
        '<opml version="2.0"><head><title>Mine</title></head><body><outline text="a"><outline text="b"'
        ' xmlUrl="http://x/f"/></outline><outline text="c"/></body></opml>',
        "a.opml",
    ).text
    assert text == "# Mine\n\n- a\n  - b\n- c"


def test_excel_2003_workbooks_are_tables_under_their_sheets_names() -> None:
    rows = (
        '<Row><Cell><Data ss:Type="String">name</Data></Cell><Cell><Data ss:Type="String">n</Data></Cell>'
        "</Row>"
        '<Row ss:Index="4"><Cell ss:Index="2"><Data ss:Type="Number">5</Data></Cell></Row>'
    )
    result = read(SHEET.format(rows=rows), "a.xls")
    assert result.title == "Stock"
    assert result.text == (
        "title: Stock\nkeywords: pears\n\n## Fruit\n\n| name | n |\n| --- | --- |\n|  | 5 |"
    )


def test_a_workbook_cannot_make_cells_from_numbers() -> None:
    row = '<Row><Cell ss:Index="16000"><Data>x</Data></Cell></Row>'
    result = read(SHEET.format(rows=row * 3_000), "a.xml", max_chars=200_000)
    assert len(result.text) < 200_000


def test_word_2003_documents_and_flat_packages() -> None:
    body = (
        '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Top</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>One</w:t><w:tab/><w:t>two</w:t></w:r></w:p>"
        "<w:p><w:pPr><w:listPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>"
        "<w:binData>QUJD</w:binData><w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc>"
        "<w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    assert read(WORD.format(body=body), "a.doc").text == "# Top\n\nOne two\n\n- item\n\na | b"
    flat = (
        '<pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage">'
        '<pkg:part pkg:name="/word/theme/theme1.xml"><pkg:xmlData><w:t xmlns:w="x">no</w:t></pkg:xmlData>'
        "</pkg:part>"
        '<pkg:part pkg:name="/word/document.xml"><pkg:xmlData>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p>'
        "<w:r>"
        "<w:t>yes</w:t></w:r></w:p></w:body></w:document></pkg:xmlData></pkg:part></pkg:package>"
    )
    assert read(flat, "a.xml").text == "yes"


def test_data_reads_as_records_of_names_and_values() -> None:
    text = read(
        '<?xml version="1.0"?><shop name="Corner"><item id="7"><label>Pear</label><price '
        'unit="EUR">2</price></item>'
        '<item id="8"><label>Plum</label><note>Ripe, <b>very</b> ripe.</note></item><add key="a" '
        'value="b"/></shop>',
        "a.xml",
    ).text
    assert text == (
        "shop: name=Corner\n\nitem: id=7\nlabel: Pear\nprice (unit=EUR): 2\n\nitem: id=8\nlabel: Plum\n"
        "note: Ripe, very ripe.\n\nadd: key=a, value=b"
    )


def test_property_lists_name_their_values_by_their_keys() -> None:
    text = read(
        "<plist><dict><key>Name</key><string>Fox</string><key>Age</key><integer>3</integer></dict></plist>",
        "a.plist",
    ).text
    assert text == "Name: Fox\nAge: 3"


def test_markup_inside_data_is_rendered_and_binary_content_is_left_out() -> None:
    text = read(
        f"<r><d>&lt;p&gt;One&lt;/p&gt;&lt;p&gt;two&lt;/p&gt;</d><bin>{'QUJDREVGR0hJ' * 100}</bin><e>end</e>"
        f"</r>",
        "a.xml",
    ).text
    assert text.startswith("d: One\n\ntwo")
    assert text.endswith("e: end")
    assert "QUJD" not in text


def test_drawings_give_their_words() -> None:
    result = read(
        '<svg xmlns="http://www.w3.org/2000/svg"><title>A chart</title><style>.a{}</style>'
        "<g><text x='1'>Sales<tspan>2020</tspan></text><path d='M0 0'/></g></svg>",
        "a.svg",
    )
    assert result.text == "A chart\nSales 2020"
    assert result.title == "A chart"
    with pytest.raises(DocumentError) as caught:
        read('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>', "a.svg")
    assert caught.value.cause is Cause.NO_TEXT


def test_pages_in_xml_are_read_as_pages() -> None:
    data = '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>T</h1><p>x</p></body></html>'
    assert read(data, "a.xml").text == "# T\n\nx"


@pytest.mark.parametrize(
    "data",
    [
        "<r><a x='1' x='2'>bird &amp; fish</a><b>cat</b></r>",
        "<r><a>bird & fish</a><b>cat</r>",
        "<r><a>bird &amp; fish</b></a><b>cat</b>",
        "<r><a>bird &amp; fish</a><b>cat</b><c",
        "<r>\x01<a>bird &amp; fish</a><b>cat</b></r>",
        "<a>bird &amp; fish</a><b>cat</b>",
    ],
)
def test_malformed_documents_give_what_is_readable(data: str) -> None:
    text = read(data, "a.xml").text
    assert "bird & fish" in text
    assert "cat" in text


def test_a_file_that_is_called_xml_and_is_text_stays_text() -> None:
    assert read("no tags at all", "a.xml").text == "no tags at all"


def test_nothing_outside_is_fetched_and_entities_expand_to_nothing() -> None:
    outside = (
        '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>before &x; after</r>'
    )
    text = read(outside, "a.xml").text
    assert "root:" not in text
    assert "before" in text
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    start = time.process_time()
    try:
        text = read(
            f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY l0 "ha">{laughs}]><r>so: &l9;</r>', "a.xml"
        ).text
    except DocumentError as error:
        assert error.cause is Cause.TOO_LARGE
    else:
        assert len(text) < 1_000
    assert time.process_time() - start < 10


@pytest.mark.parametrize("root", ["r", "article", "rss", "svg"])
def test_deep_nesting_keeps_the_text_in_linear_time(root: str) -> None:
    depth = 50_000
    start = time.process_time()
    inner = "<text>inner</text>" if root == "svg" else "<title>inner</title>"
    text = read(f'<{root} xmlns="x">' + "<a>" * depth + inner + "</a>" * depth + f"</{root}>", "a.xml").text
    assert "inner" in text
    assert time.process_time() - start < 30


@pytest.mark.parametrize(
    "piece", ["<a>", "</a>", "<a/>", "<", "&", "<!--", "<![CDATA[", "<?", "<!DOCTYPE [", '<a b="', "x<a>y"]
)
def test_hostile_repetition_is_bounded(piece: str) -> None:
    start = time.process_time()
    try:
        read("<r>word " + piece * (400_000 // len(piece)), "a.xml")
    except DocumentError as error:
        assert error.cause in (Cause.NO_TEXT, Cause.TOO_LARGE)
    assert time.process_time() - start < 30


def test_flipped_bytes_never_raise_anything_but_a_document_error() -> None:
    sound = SHEET.format(rows="<Row><Cell><Data>word</Data></Cell></Row>" * 20).encode()
    dice = random.Random(5)
    for _ in range(60):
        broken = bytearray(sound[: dice.randrange(len(sound) // 2, len(sound))])
        for _ in range(dice.randrange(1, 30)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        try:
            read(bytes(broken), "a.xml")
        except DocumentError as error:
            assert error.message.isprintable()


def test_a_long_document_is_cut_and_says_so() -> None:
    result = read("<r>" + "<p>some words here</p>" * 2_000 + "</r>", "a.xml", max_chars=1_000)
    assert result.truncated
    assert len(result.text) <= 1_000
