"""RTF: the text that a word processor would show, in whatever code page its bytes are."""

from __future__ import annotations

import time

import pytest

from tests.extract.files import PROSE, read
from tests.extract.test_hard_corpus import CORPORA
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.rtf.reader import extract_rtf, rtf_to_text
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

FONTS = (
    r"{\fonttbl{\f0\froman\fcharset0 Times;}{\f1\fnil\fcharset204 Cyr;}{\f2\fnil\fcharset128 MS Mincho;}"
    r"{\f3\ftech\fcharset2 Symbol;}{\f4\fnil\fcharset2{\*\panose 05}Wingdings;}{\f5\fnil\cpg1253 Greek;}}"
)
STYLES = (
    r"{\stylesheet{\ql Normal;}{\s1\ql\outlinelevel0 \sbasedon0 heading 1;}{\s2 heading 2;}"
    r"{\*\cs3 Heading 3 Char;}{\s5 Body Text;}}"
)


def rtf(body: str, head: str = "") -> bytes:
    return (r"{\rtf1\ansi\ansicpg1252\deff0" + FONTS + STYLES + head + "\n" + body + "}").encode("latin-1")


def text(body: str, head: str = "") -> str:
    return read(rtf(body, head), "a.rtf").text


def test_paragraphs_lines_tabs_and_signs() -> None:
    assert text(r"One\line two\par Three\tab four\emdash five \{\\\} \lquote six\rquote\par") == (
        "One\ntwo\n\nThree\tfour—five {\\} ‘six’"
    )
    assert text(r"non\~breaking non\_hyphen op\-tional") == "non breaking non‑hyphen optional"
    assert text("one\\\ntwo\n three") == "one\n\ntwo three"


def test_formatting_splits_no_words() -> None:
    assert text(r"wo{\b r}d{\*\bkmkstart x}s {\i\fs24 to}gether") == "words together"


def test_bytes_are_read_in_the_code_page_of_their_font() -> None:
    assert text(r"\f0 caf\'e9 \f1 \'cf\'f0\'e8\'e2\'e5\'f2 \f5 \'e1\'e2\'e3\f0  \'e9") == "café Привет αβγ é"
    assert text(r"\f2 \'93\'fa\'96\'7b \'83A") == "日本 ア"  # the second half as an escape and as a letter
    assert text("{\\plain\\f1 \xcf\xf0}") == "Пр"


def test_a_document_without_fonts_is_in_its_own_code_page() -> None:
    assert read(rb"{\rtf1\ansi\ansicpg1250 \'9e\'e8 \'b9}", "a.rtf").text == "žč ą"
    assert read(rb"{\rtf1\mac caf\'8e}", "a.rtf").text == "café"
    assert read(rb"{\rtf1\pc caf\'82}", "a.rtf").text == "café"
    assert read(rb"{\rtf1\ansi\ansicpg99999 caf\'e9}", "a.rtf").text == "café"
    assert read("{\\rtf1\\ansi Дубна \\'e9}".encode(), "a.rtf").text == "Дубна é"


def test_unicode_comes_instead_of_its_fallback() -> None:
    assert text(r"\u1055?\u1088?") == "Пр"
    assert text(r"\uc2\u26085\'93\'fa\uc0\u26412 x") == "日本x"
    assert text(r"\uc3\u8364 EUR\uc1 {\uc0\u65}\u66?C") == "€ABC"
    assert text(r"a\u8212\par b") == "a—\n\nb"  # a fallback that is missing costs no paragraph
    assert text(r"{\upr{caf?}{\*\ud{caf\u233?}}} au lait") == "café au lait"


def test_surrogates_join_and_lonely_ones_vanish() -> None:
    assert text(r"\u-10179?\u-8702?!") == "\U0001f602!"
    assert text(r"\uc0 a\u-10240  b\u-9216  c\u-9216\u-10240 d") == "a b cd"


def test_symbol_fonts_are_no_letters() -> None:
    field = r'{\field{\*\fldinst SYMBOL 98 \\f "Symbol"}{\fldrslt}}'
    body = r"\f3 a\f0  is alpha, \f4 l\f0  a bullet, \f4\u61672?\f0  another, "
    assert text(body + field) == "α is alpha, • a bullet, • another, β"


def test_headings_are_known_by_outline_or_style() -> None:
    body = r"\pard\plain\s1 One\par\pard\s2 Two\par\pard\outlinelevel3 Four\par\pard\s5 Text\par"
    assert text(body) == "# One\n\n## Two\n\n#### Four\n\nText"


def test_lists_keep_their_numbers_and_levels() -> None:
    item = r"\pard\ls1\ilvl{level}{{\listtext\tab {marker}\tab}}{words}\par"
    body = "".join(
        item.format(level=level, marker=marker, words=words)
        for level, marker, words in [
            (0, "1.", "first"),
            (1, r"\f3\'b7", "inner"),
            (1, r"\f4\'a7", "inner too"),
            (0, "2.", "second"),
        ]
    )
    assert text(body + r"\pard after\par") == "1. first\n  - inner\n  - inner too\n2. second\n\nafter"
    assert text(r"{\pntext\'b7\tab}old\par{\pntext\'b7\tab}style\par") == "- old\n- style"
    assert text(r"\bullet \tx360\tab typed\par\bullet \tab typed too\par") == "- typed\n- typed too"


def test_tables_become_markdown() -> None:
    row = r"\trowd\cellx1\cellx2\pard\intbl %s\cell %s\cell\row"
    body = r"before\par" + row % ("Name", "Sum") + row % ("a|b", r"1\par 2") + r"\pard after\par"
    assert text(body) == "before\n\n| Name | Sum |\n| --- | --- |\n| a\\|b | 1 2 |\n\nafter"


def test_a_table_of_one_row_or_long_cells_is_no_table() -> None:
    assert text(r"\trowd\intbl left\cell right\cell\row\pard x") == "left | right\n\nx"
    long = PROSE * 10
    assert (
        text(rf"\trowd\intbl {long}\cell b\cell\row\intbl c\cell d\cell\row")
        == f"{long.strip()}\n\nb\n\nc\n\nd"
    )


def test_a_table_in_a_table_stays_in_its_cell() -> None:
    inner = r"\itap2 a\nestcell b\nestcell{\*\nesttableprops\trowd}{\nonesttables\par}"
    body = rf"\trowd\pard\intbl{inner}\itap1 c\cell d\cell\row\pard\intbl e\cell f\cell\row"
    assert text(body) == "| a b c | d |\n| --- | --- |\n| e | f |"


def test_notes_comments_and_headers_are_kept_apart_from_the_text() -> None:
    body = (
        r"{\header\pard Head\par}{\header\pard Head\par}{\footer Page {\field{\*\fldinst PAGE}{\fldrslt 1}}}"
        r"A claim{\super\chftn{\footnote\pard\plain{\super\chftn} See {\i there}.}} stands"
        r"{\*\atnid X}{\*\atnauthor Y}\chatn{\*\annotation{\*\atnref 1}\pard Really?}.\par"
    )
    assert text(body) == "Head\n\nA claim[1] stands.\n\n[1] See there.\n\n[comment] Really?\n\nPage 1"


def test_text_boxes_follow_their_paragraph() -> None:
    box = r"{\shp{\*\shpinst{\sp{\sn shapeType}{\sv 202}}{\shptxt\pard in the box\par}}{\shprslt twice}}"
    assert text(rf"\pard around {box}the box\par next\par") == "around the box\n\nin the box\n\nnext"


def test_links_titles_and_only_the_result_of_fields() -> None:
    field = r'{\field\fldedit{\*\fldinst{HYPERLINK "http://x.org/a" \\o "tip"}}{\fldrslt{\ul here}}}'
    inner = r'{\field{\*\fldinst HYPERLINK \\l "mark"}{\fldrslt there}}'
    found = read(rtf(f"click {field} or {inner}", r"{\info{\title A \'e9 title}{\author B}}"), "a.rtf")
    assert found.text == "click here or there"
    assert found.links == [("http://x.org/a", "hyperlink")]
    assert found.title == "A é title"


def test_what_is_no_text_is_left_out() -> None:
    body = (
        r"{\colortbl;\red0;}{\*\generator G;}{\pict\wmetafile8 0102}{\*\shppict{\pict 03}}{\nonshppict 04}"
        r"{\object{\*\objclass C}{\*\objdata 05}{\result shown}}{\pict\bin5 }}{{\ }{\*\unknown{\deep x}}"
        r" {\deleted gone}"
    )
    assert text(body + " end") == "shown  end"


def test_mail_in_html_gives_its_text() -> None:
    body = (
        r"{\*\htmltag19 <html>}{\*\htmltag64}\htmlrtf {\htmlrtf0 {\*\htmltag148 <b>}\htmlrtf {\b \htmlrtf0 "
        r"Hello\htmlrtf\par}\htmlrtf0 {\*\htmltag116 <br>}\htmlrtf \line\htmlrtf0 you\htmlrtf }\htmlrtf0"
    )
    assert rtf_to_text(rtf(body, r"\fromhtml1 "), 1_000).split() == ["Hello", "you"]


def test_paragraphs_that_empty_ones_set_apart_stay_lines() -> None:
    assert text(r"Dear A,\par\par one\par two\par\par three\par") == "Dear A,\n\none\ntwo\n\nthree"


def test_a_cut_document_gives_its_text_and_a_long_one_is_cut() -> None:
    assert read(rtf(r"It begins\par {\b and then")[:-1], "a.rtf").text == "It begins\n\nand then"
    found = read(rtf(PROSE * 1_000), "a.rtf", max_chars=1_000)
    assert found.truncated
    assert 900 < len(found.text) <= 1_000
    assert len(rtf_to_text(rtf(r"a\par " * 100_000), 1_000)) < 5_000


def test_braces_that_do_not_match_lose_nothing() -> None:
    assert text(r"}} x\par y}") == "x\n\ny"
    assert read(rtf("text") + b"\0\0 trailing", "a.rtf").text == "text"
    assert text("{" * 5_000 + "deep" + "}" * 5_000 + " and on") == "deep and on"


def test_what_is_no_rtf_is_not_called_so() -> None:
    with pytest.raises(DocumentError, match="damaged") as failed:
        extract_rtf(b"nothing like it", mt.RTF, CleanSettings())
    assert failed.value.cause is Cause.CORRUPT
    with pytest.raises(DocumentError, match="damaged"):
        read(rb"{\rtf1 " + bytes(range(1, 32)) * 50, "a.rtf")
    with pytest.raises(DocumentError, match="no text"):
        read(rtf(r"{\pict 0011}\par"), "a.rtf")


def test_rtf_is_known_by_its_first_bytes() -> None:
    assert detect(rb"{\rtf1 x}", b"a.doc") == mt.RTF
    assert detect(b"\r\n {\\rtf1 x}", b"a") == mt.RTF
    assert detect(rb"{\pard a piece\par}", b"a.rtf") == mt.RTF
    assert detect(b"plain words", b"a.rtf") == mt.PLAIN
    assert read(rb"{\pard a piece\par}", "a.rtf").text == "a piece"


TOKENS = [
    "{", "}", "\\", "\\'e4", "\\'8", "\\u1234?", "{\\b x}", "\\par ", "\\cell ", "\\row ", "x\\cell\\row ",
    "{\\*\\foo ", "{\\pict ", "{\\footnote x", "{\\footnote x}", "{\\header x}", "{\\*\\fldinst ", "{\\upr",
    "\\bin9999999999 ", "\\bin1 x", "\\bin-5 ", "{\\fonttbl", ";", "\\uc100\\u65 ", "\\shptxt ",
    "{\\shptxt x}",
    "{\\shptxt x", "{\\listtext 1.}x\\par ", "\\\n", "\\nestrow ", "a\\par\\par ", "\\" + "a" * 50,
    "\\a" + "9" * 50, " \t", "} {\\rtf1 \\par ", "{\\*\\fldinst HYPERLINK \\\\m ", "HYPERLINK ",
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_time_is_linear_whatever_is_repeated(token: str) -> None:
    data = rtf(token * (200_000 // len(token)))
    began = time.process_time()
    try:
        read(data, "a.rtf")
    except DocumentError as error:
        assert error.cause in (Cause.CORRUPT, Cause.NO_TEXT)
    assert time.process_time() - began < 20


def test_one_long_row_among_short_ones_takes_no_memory() -> None:
    assert len(text(r"x\cell " * 20_000 + r"\row " + r"y\cell\row " * 20_000)) < 500_000


def test_flipped_bytes_never_break_the_reader() -> None:
    whole = rtf(
        r"{\footnote note}\f2 \'93\'fa text\u1234?{\field{\*\fldinst HYPERLINK x}{\fldrslt y}}\cell\row\par "
        * 5
    )
    for position in range(0, len(whole), 3):
        broken = bytearray(whole)
        broken[position] ^= 1 << position % 8
        try:
            extract_rtf(bytes(broken), mt.RTF, CleanSettings())
        except DocumentError as error:
            assert error.cause is Cause.CORRUPT


CORPUS = CORPORA / "hard" / "files" / "rtf"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of hard files is not here (TUI_SCRAPER_CORPORA)")
def test_real_documents_are_read() -> None:
    for path in sorted(CORPUS.iterdir()):
        assert len(read(path.read_bytes(), path.name).text) > 10
