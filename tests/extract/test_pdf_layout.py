from __future__ import annotations

import time
from textwrap import wrap

import pytest

from tests.extract.files import PROSE
from tui_scraper.engine.extract.pdf import glyphs as pdf_glyphs
from tui_scraper.engine.extract.pdf.layout import Page, characters, render
from tui_scraper.engine.extract.pdf.running import running_lines

LONG = " ".join([PROSE.strip(), PROSE.strip().lower(), PROSE.strip()])


def page(*lines: tuple[float, float, str], width: float = 5) -> Page:
    """Lines by where they begin, in letters of the same width."""
    made = Page([])
    for x, y, text in lines:
        made.texts.append(text)
        made.x0.append(x)
        made.y0.append(y)
        made.x1.append(x + width * (len(text) - 1))
        made.y1.append(y)
    return made


def paragraph(text: str, x: float = 72, top: float = 700) -> list[tuple[float, float, str]]:
    return [(x, top - 12 * number, line) for number, line in enumerate(wrap(text, 60))]


def test_lines_from_right_to_left_are_joined_like_others() -> None:
    hebrew = "".join(chr(0x5D0 + ord(letter) % 26) if letter.isalpha() else letter for letter in LONG.lower())
    made = Page([])
    for _, y, text in paragraph(hebrew):
        made.texts.append(text)
        made.x0.append(540)
        made.x1.append(540 - 5 * (len(text) - 1))
        made.y0.append(y)
        made.y1.append(y)
    made.turn()
    assert render(made, {}, {}) == hebrew


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_turned_pages_read_like_others(quarter: int) -> None:
    made = page(*paragraph(LONG), *paragraph(LONG, top=500))
    for _ in range(quarter):
        made.x0, made.y0 = [-y for y in made.y0], made.x0
        made.x1, made.y1 = [-y for y in made.y1], made.x1
    made.turn()
    assert render(made, {}, {}) == f"{LONG}\n\n{LONG}"


def test_lines_without_blanks_between_words_are_joined_without() -> None:
    text = "人人生而自由在尊严和权利上一律平等他们赋有理性和良心并应以兄弟关系的精神相对待" * 3
    lines = [(72.0, 700 - 14.0 * number, line) for number, line in enumerate(wrap(text, 40))]
    assert render(page(*lines, width=10), {}, {}) == text


def test_marks_of_footnotes_do_not_part_lines() -> None:
    made = page(*paragraph(LONG))
    made.y1[0] += 4
    made.y0[2] += 4
    assert render(made, {}, {}) == LONG


def test_a_line_broken_by_a_mark_is_one_line() -> None:
    assert render(page((72, 700, "The date has the format"), (193, 700, "of the standard.")), {}, {}) == (
        "The date has the format of the standard."
    )


def test_hyphens_of_pdfium_are_mended() -> None:
    assert render(page((72, 700, "an encyclo\x02pedia of North\ufffeAmerican birds")), {}, {}) == (
        "an encyclopedia of North-American birds"
    )
    assert render(page((72, 700, "an ency\x02"), (72, 688, "clopedia")), {}, {}) == "an encyclopedia"


def test_ligatures_become_letters_and_symbols_bullets() -> None:
    assert characters(["ﬁne oﬃce \uf0b7 ﬂow"]) == ["fine office • flow"]


def test_headings_need_the_whole_title() -> None:
    made = page(
        (72, 700, "2.1 The first"), (72, 688, "part of it"), (72, 660, "text"), (72, 640, "The first")
    )
    text = render(made, {}, {"thefirstpartofit": 2})
    assert text.split("\n\n")[0] == "## 2.1 The first part of it"
    assert "# The first" not in text.split("\n\n", 1)[1]


def test_running_lines_of_copies_stay() -> None:
    pages = [page((72, 740, "Certificate of something"), (72, 700, "for you")) for _ in range(5)]
    assert running_lines(pages) == [{}] * 5


def test_roman_numbers_count_as_well() -> None:
    pages = [
        page(*((72, 700 - 12 * line, f"line {line} of {number}") for line in range(9)), (300, 40, roman))
        for number, roman in enumerate(["i", "ii", "iii", "iv", "v"])
    ]
    assert running_lines(pages) == [{9: ""}] * 5


@pytest.mark.parametrize("text", ["a", "-", "1 ", "ab " * 30, ". . .", "\x02", "[1] ", "人"])
def test_layout_takes_time_in_proportion(text: str) -> None:
    lines = [(72.0 + number % 3, 9e6 - 12.0 * number, text) for number in range(20_000)]
    started = time.process_time()
    render(page(*lines), {}, {"title": 1})
    running_lines([page(*lines)] * 3)
    assert time.process_time() - started < 30


@pytest.mark.parametrize(
    ("guessed", "other", "expected"),
    [
        ("\x04\x05\x06 \x07\x08", "Open Access", "Open Access"),
        ("\x04\x05\x06 \x07\x08", "/g104/g12/g13/g14", ""),
        ("\x04\x05\x06 \x07\x08", "\x04\x05\x06 \x07\x08", ""),
        ("Invoice", "Invoice", ""),
        ("\x04\x05", " ", ""),
    ],
)
def test_another_reader_is_believed_where_it_finds_more_of_a_text(
    guessed: str, other: str, expected: str
) -> None:
    assert pdf_glyphs.better(guessed, other) == expected


def test_text_of_private_characters_is_no_text() -> None:
    private = "\ue000\ue001 \ue002" * 10
    assert pdf_glyphs.is_undeciphered(private, private.encode("utf-16-le"), guessed=False)
    for text in ("Grüße \ue000", "報告書を読む", "plain"):
        assert not pdf_glyphs.is_undeciphered(text, text.encode("utf-16-le"), guessed=False)


def test_bytes_the_wrong_way_round_are_turned() -> None:
    assert pdf_glyphs.decode("Multicolor".encode("utf-16-be")) == "Multicolor"
    for text in ("Multicolor", "報告書", ""):
        assert pdf_glyphs.decode(text.encode("utf-16-le")) == text
