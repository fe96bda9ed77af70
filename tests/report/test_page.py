"""The page: safe with whatever is in a name, whole by itself, and the same figures as everywhere else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from benchmarks.history import fill
from tests.report.stored import Doc, write_documents
from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.report.facts import CopyGroup, CopyGroups, Facts
from tui_scraper.engine.report.reading import read_facts
from tui_scraper.engine.store.writer import Writer
from tui_scraper.report_page import charts
from tui_scraper.report_page.html import Html, el, join
from tui_scraper.report_page.page import page
from tui_scraper.report_page.writing import check_place, write_page

HOSTILE = (
    "<script>alert(1)</script>",
    "</style></head><body onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "--><!--",
    "</svg></title></desc><svg onload=alert(1)>",
    "&lt;b&gt; &amp; &#x3c;i&#x3e;",
    "http://example.org/a.png",
    "\x1b]52;c;aGk=\x07\x9b31m",
    "\u202egnp.exe\u2066 \u200b",
    "報告書 مرحبا 🗂",
    "long " * 800,
    "javascript:alert(1)",
    "]]></script>{{7*7}}${7*7}",
)


@pytest.fixture
def hostile(tmp_path: Path) -> Facts:
    """Every text of a report that comes from outside is hostile."""
    documents = []
    for at, text in enumerate(HOSTILE):
        path = text.replace("/", "∕")[:200].encode()
        documents += [
            Doc(b"%d " % at + path, message=text),
            Doc(b"%d done " % at + path, label=text, media_type=text, language=text, confidence=at / 20),
            Doc(b"%d copy " % at + path, label=text, content=b"the same"),
        ]
    write_documents(tmp_path, documents, "<b>name</b>", "/home/<script>alert(1)</script>")
    facts = read_facts(tmp_path)
    return replace(facts, settings=HOSTILE, versions=tuple((text, text) for text in HOSTILE))


def parsed(facts: Facts) -> LexborHTMLParser:
    return LexborHTMLParser("\n".join(page(facts)))


def skeleton(facts: Facts) -> list[str]:
    """The elements of the page in their order, without what they say."""
    return [node.tag for node in parsed(facts).root.traverse()]


def test_no_name_breaks_out_of_its_place(hostile: Facts) -> None:
    tree = parsed(hostile)
    tags = {node.tag for node in tree.root.traverse()}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "base", "form", "a", "b:"}
    allowed = re.compile(
        r"class|id|x|y|x1|x2|y1|y2|d|rx|width|height|viewbox|viewBox|preserveaspectratio|preserveAspectRatio|"
        r"role|aria-hidden|patternunits|patternUnits|lang|data-made-by|charset|name|content|http-equiv|"
        r"datetime|scope|title"
    )
    for node in tree.root.traverse():
        for name in node.attributes:
            assert allowed.fullmatch(name), (node.tag, name)
    assert len(tree.css("style")) == 1
    assert len(tree.css("head > title")) == 1
    assert len(tree.css("body")) == 1


def test_the_same_page_with_harmless_names_has_the_same_elements(hostile: Facts) -> None:
    def harmless(value: object) -> object:
        if isinstance(value, str):
            return value if len(value) < 2 or (value.isascii() and value.replace(" ", "").isalpha()) else "x"
        return value

    def walk(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(walk(one) for one in value)
        if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
            names = value.__dataclass_fields__
            return replace(value, **{name: walk(getattr(value, name)) for name in names})  # type: ignore[type-var]
        return harmless(value)

    found = walk(hostile.found)
    labels = walk(hostile.labels)
    plain = replace(
        hostile,
        found=found,  # type: ignore[arg-type]
        labels=labels,  # type: ignore[arg-type]
        copies=walk(hostile.copies),  # type: ignore[arg-type]
        history=walk(hostile.history),  # type: ignore[arg-type]
        settings=("x",) * len(HOSTILE),
        versions=(("x", "x"),) * len(HOSTILE),
    )
    kept = [tag for tag in skeleton(plain) if tag not in {"wbr", "-text"}]
    assert kept == [tag for tag in skeleton(hostile) if tag not in {"wbr", "-text"}]


def test_texts_from_outside_are_shown_as_they_are_and_made_safe(hostile: Facts) -> None:
    said = parsed(hostile).body.text()  # type: ignore[union-attr]
    for text in (
        "<script>alert(1)</script>",
        "&lt;b&gt; &amp; &#x3c;i&#x3e;",
        "報告書 مرحبا 🗂",
        "<b>name</b>",
    ):
        assert text in said
    whole = "\n".join(page(hostile))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", whole)
    assert len(whole) < 200_000  # long names are cut in the middle


def test_nothing_is_loaded_from_anywhere(hostile: Facts) -> None:
    whole = "\n".join(page(hostile))
    tree = LexborHTMLParser(whole)
    for node in tree.root.traverse():
        assert not {"src", "href", "srcset", "xlink:href", "action", "style"} & node.attributes.keys()
    style = tree.css_first("style").text()
    assert not re.search(r"@import|url\((?!#of-)", style)
    assert "default-src 'none'" in whole


def test_the_figures_of_the_page_are_those_of_status(tmp_path: Path) -> None:
    fill(tmp_path / "w", 1_000)
    facts = read_facts(tmp_path / "w")
    tree = parsed(facts)
    counts = facts.status.counts
    legend = {node.text().split()[1]: node.css_first("b").text() for node in tree.css(".legend li")}
    assert legend == {"done": f"{counts.done:,}", "failed": f"{counts.failed:,}"}
    assert f"{counts.done:,} of {counts.found:,} documents done" in tree.css_first(".headline").text()
    rows = {
        row.css_first("th").text(): [cell.text() for cell in row.css("td.number")]
        for row in tree.css("table.bars tbody tr")
    }
    for group in facts.labels.groups:
        assert rows[group.name][0] == f"{group.documents:,}"
    passed = [int(row.css("td")[3].text().replace(",", "")) for row in tree.css("details tbody tr")]
    assert sum(passed) == counts.found


def test_every_picture_says_in_words_what_it_shows(tmp_path: Path) -> None:
    fill(tmp_path / "w", 300)
    for picture in parsed(read_facts(tmp_path / "w")).css("svg"):
        if picture.attributes.get("aria-hidden") != "true":
            assert picture.attributes["role"] == "img"
            assert picture.css_first("title").text().strip()


def test_a_workspace_without_anything_has_a_page(tmp_path: Path) -> None:
    Writer(tmp_path).close()
    said = parsed(read_facts(tmp_path)).body.text()  # type: ignore[union-attr]
    for words in ("Nothing has been found here yet.", "No document yet.", "No run yet."):
        assert words in said


def test_groups_of_near_duplicates_have_their_place(tmp_path: Path) -> None:
    fill(tmp_path / "w", 100)
    facts = read_facts(tmp_path / "w")
    near = CopyGroups(1, 2, 300, (CopyGroup(3, 150, ("a.txt", "b.txt")),))
    said = parsed(replace(facts, copies=replace(facts.copies, near=near))).body.text()  # type: ignore[union-attr]
    assert "1 group with nearly the same text: 2 more than needed" in said
    assert "a.txt" in said
    assert "and 1 more" in said


def test_a_page_replaces_a_page_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    Writer(tmp_path / "w").close()
    facts = read_facts(tmp_path / "w")
    target = tmp_path / "report.html"
    write_page(facts, target)
    write_page(facts, target)
    assert target.read_text().startswith("<!DOCTYPE html>")
    foreign = tmp_path / "thesis.html"
    foreign.write_text("<!DOCTYPE html>\n<html lang=en>years of work")
    with pytest.raises(UsageError, match="not a report of tui-scraper"):
        write_page(facts, foreign)
    assert "years of work" in foreign.read_text()
    write_page(facts, foreign, force=True)
    assert "years of work" not in foreign.read_text()
    (tmp_path / "link.html").symlink_to(target)
    write_page(facts, tmp_path / "link.html")
    assert (tmp_path / "link.html").is_symlink()
    for place in (tmp_path, tmp_path / "none" / "x.html", Path("/dev/null")):
        with pytest.raises(UsageError):
            check_place(place, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "link.html",
        "report.html",
        "thesis.html",
        "w",
    ]


def test_text_is_escaped_wherever_it_stands() -> None:
    assert el("p", "a<b&c", title='"><x>') == '<p title="&quot;&gt;&lt;x&gt;">a&lt;b&amp;c</p>'
    assert el("p", Html("<b>x</b>"), None, 3, class_="a", aria_hidden=None) == '<p class="a"><b>x</b>3</p>'
    assert join("<", Html("<br/>")) == "&lt;<br/>"


def test_parts_of_a_whole_fill_it_and_none_is_too_small_to_be_seen() -> None:
    drawn = LexborHTMLParser(charts.parts([("done", 1_000_000), ("failed", 1), ("empty", 0)], "words"))
    widths = [float(rect.attributes["width"] or 0) for rect in drawn.css("rect")]
    assert len(widths) == 2
    assert sum(widths) == pytest.approx(charts.WIDTH, abs=0.1)
    assert min(widths) > 3


@pytest.mark.parametrize(
    ("most", "top"), [(0, 4.0), (0.37, 0.4), (164, 200), (1, 1.0), (9_999, 10_000), (401, 600)]
)
def test_an_axis_ends_at_a_round_number_above_all_values(most: float, top: float) -> None:
    assert charts.nice_top(most) == pytest.approx(top)
