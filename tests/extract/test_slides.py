from __future__ import annotations

import pytest

from tests.extract.files import PROSE, read
from tests.extract.office_files import package, pptx, shape
from tests.extract.test_office import refusal
from tui_scraper.engine.models import Cause


def texts(data: bytes) -> str:
    return read(data, "a.pptx").text


def test_slides_come_in_the_order_they_are_shown_in_each_under_its_title() -> None:
    deck = pptx(
        [
            shape("The second") + shape("Shown last", role="title"),
            shape("Shown first", role="ctrTitle")
            + shape("One", "Two", role="body")
            + shape("A box", "of lines"),
        ]
    )
    result = read(deck, "a.pptx")
    assert result.text == (
        "## Shown first\n\n- One\n- Two\n\nA box\n\nof lines\n\n## Shown last\n\nThe second"
    )
    assert result.title == "Shown first"
    assert [result.text[offset : offset + 8] for offset in result.pages] == ["## Shown", "## Shown"]


def test_groups_tables_and_pictures_keep_their_text() -> None:
    cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
    rows = (("Name", "Size"), ("a", "1"))
    table = "".join(f"<a:tr>{''.join(map(cell.format, texts))}</a:tr>" for texts in rows)
    deck = pptx(
        [
            f"<p:grpSp><p:grpSp>{shape('Inner')}</p:grpSp>{shape('Outer')}</p:grpSp>"
            f"<p:graphicFrame><a:tbl>{table}</a:tbl></p:graphicFrame>"
            '<p:pic><p:nvPicPr><p:cNvPr id="1" descr="A dog in the snow"/></p:nvPicPr></p:pic>'
        ]
    )
    assert texts(deck) == "Inner\n\nOuter\n\n| Name | Size |\n| --- | --- |\n| a | 1 |\n\nA dog in the snow"


def test_numbers_and_dates_of_slides_are_left_out_and_footers_kept_once() -> None:
    field = '<p:sp><p:txBody><a:p><a:fld type="slidenum"><a:t>7</a:t></a:fld></a:p></p:txBody></p:sp>'
    footer = shape("Confidential", role="ftr") + shape("3", role="sldNum") + field
    assert texts(pptx([shape("b") + footer, shape("a") + footer])) == "a\n\nConfidential\n\nb"


def test_notes_and_comments_follow_their_slide() -> None:
    said = "<p:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:txBody>"
    deck = pptx(
        [shape("Slide")],
        extra={
            "ppt/notesSlides/n.xml": '<p:notes xmlns:p="p" xmlns:a="a">'
            f"{shape('Say this', 'and that', role='body')}{shape('4', role='sldNum')}</p:notes>",
            "ppt/comments/c.xml": '<p:cmLst xmlns:p="p"><p:cm authorId="1"><p:text>Too long</p:text>'
            "</p:cm></p:cmLst>",
            "ppt/comments/modern.xml": '<p:cmLst xmlns:p="p" xmlns:a="a"><p:cm authorId="{A}">'
            f'{said.format("Really?")}<p:replyLst><p:reply authorId="1">{said.format("Yes")}</p:reply>'
            "</p:replyLst></p:cm></p:cmLst>",
            "ppt/authors.xml": '<p:l xmlns:p="p"><p:author id="{A}" name="Ann"/>'
            '<p:cmAuthor id="1" name="Ben"/></p:l>',
        },
        relations={
            "ppt/slides/slide1.xml": [
                ("n", "notesSlide", "../notesSlides/n.xml"),
                ("c", "comments", "../comments/c.xml"),
                ("m", "comments", "../comments/modern.xml"),
                ("h", "hyperlink", "https://example.org/"),
            ],
            "ppt/presentation.xml": [("s1", "slide", "slides/slide1.xml"), ("a", "authors", "authors.xml")],
        },
    )
    result = read(deck, "a.pptx")
    assert result.text == (
        "Slide\n\nNotes: Say this\nand that\n\nComment by Ben: Too long\n\nComment by Ann: Really?"
        "\n\nComment by Ben: Yes"
    )
    assert result.links == [("https://example.org/", "hyperlink")]


def test_of_two_renderings_of_a_shape_one_is_read() -> None:
    either = (
        "<mc:AlternateContent><mc:Choice>{}</mc:Choice><mc:Fallback>{}</mc:Fallback></mc:AlternateContent>"
    )
    both = either.format(shape("new"), shape("old"))
    assert texts(pptx([both + either.format("<p:pic/>", shape("only"))])) == "new\n\nonly"


def test_a_presentation_without_text_is_empty() -> None:
    assert refusal(pptx([shape(), "<p:pic/>"]), "a.pptx").cause is Cause.NO_TEXT
    assert refusal(pptx([]), "a.pptx").cause is Cause.NO_TEXT


def test_slides_without_relations_are_read_by_usual_names() -> None:
    slide = '<p:sld xmlns:p="p" xmlns:a="a">{}</p:sld>'
    bare = package(
        {
            "ppt/presentation.xml": "<presentation/>",
            "ppt/slides/slide11.xml": slide.format(shape("eleven")),
            "ppt/slides/slide2.xml": slide.format(shape("two")),
        },
        {},
    )
    assert texts(bare) == "two\n\neleven"


def test_text_is_cut_at_the_limit_and_says_so() -> None:
    result = read(pptx([shape(PROSE * 3) for _ in range(20)]), "a.pptx", max_chars=1_000)
    assert result.truncated
    assert len(result.text) <= 1_000


@pytest.mark.parametrize("part", ["ppt/slides/slide1.xml", "ppt/presentation.xml"])
def test_a_part_that_is_no_xml_is_damage(part: str) -> None:
    error = refusal(pptx([shape("x")], extra={part: "<p:sld><p:sp>"}), "a.pptx")
    assert error.cause is Cause.CORRUPT
    assert "damaged" in error.message


def test_damage_beside_a_slide_costs_nothing_but_itself() -> None:
    deck = pptx(
        [shape("x")],
        extra={"ppt/notesSlides/n.xml": "<p:notes"},
        relations={"ppt/slides/slide1.xml": [("n", "notesSlide", "../notesSlides/n.xml")]},
    )
    assert texts(deck) == "x"
