from __future__ import annotations

import time

import pytest

from tests.extract.files import read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.web.depth import deeper_than
from tui_scraper.engine.extract.web.html import extract_html
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings


def html(body: str, head: str = "", **settings: int) -> str:
    return read(f"<html><head>{head}</head><body>{body}</body></html>", "a.html", **settings).text


def test_headings_paragraphs_and_lists() -> None:
    text = html(
        "<h1>One</h1><p>First\n  para <b>bold</b>.<p>Second<br>line<h3>Three</h3>"
        "<ul><li>a<li><p>b</p><ol start=3><li>x<li>y</ol><li>c</ul>end"
    )
    assert text == (
        "# One\n\nFirst para bold.\n\nSecond\nline\n\n### Three\n\n- a\n- b\n  3. x\n  4. y\n- c\n\nend"
    )


def test_tables_become_markdown() -> None:
    text = html("<table><tr><th>Name<th>Size<tr><td>a|b<td>1<tr><td>c</table>")
    assert text == "| Name | Size |\n| --- | --- |\n| a\\|b | 1 |\n| c |  |"


def test_spans_keep_columns_in_place() -> None:
    text = html("<table><tr><td rowspan=2>a<td colspan=2>b<tr><td>c<td>d<tr><td colspan=2>e<td>f</table>")
    assert text == "| a | b |  |\n| --- | --- | --- |\n|  | c | d |\n| e |  | f |"


def test_tables_that_lay_out_a_page_become_its_paragraphs() -> None:
    text = html(f"<table><tr><td><h2>Left</h2><p>{'word ' * 200}</p><td>right</table>")
    assert "|" not in text
    assert text.startswith("Left\n\nword") or text.startswith("## Left\n\nword")
    assert text.endswith("\n\nright")


def test_preformatted_text_is_fenced_to_the_character() -> None:
    text = html('<pre class="language-py"><code>if a &lt; b:\n\n\n    <b>c</b>\n</code></pre>')
    assert text == "```py\nif a < b:\n\n\n    c\n```"
    assert html("<pre>```\nx</pre>").startswith("````\n```")


def test_scripts_styles_and_boilerplate_go_and_the_body_stays() -> None:
    text = html(
        "<nav>menu</nav><div class='cookie-banner'>we use cookies</div><div role=navigation>more</div>"
        "<header>Header</header><main>Body <script>alert('x < y')</script>text"
        "<div class='cookie-recipes'>Recipes</div></main><div hidden>secret</div>"
        "<span title='a hidden gem'>gem</span><!-- note --><footer>Footer</footer><style>p{}</style>",
    )
    assert text == "Header\n\nBody text\n\nRecipes\n\ngem\n\nFooter"


def test_a_page_of_nothing_but_navigation_keeps_it() -> None:
    assert html("<nav><a href='x.html'>Chapter 1</a></nav>") == "Chapter 1"


def test_title_language_and_links() -> None:
    result = read(
        "<html lang=fr-CA><title> A &amp; B \n c</title><body><h1>H<a class=headerlink href='#h'>¶</a></h1>"
        "<a href='x.html?a=1&amp;b=2'>x</a> <a href='javascript:y()'>y</a> <img src=p.png alt='a small cat'>"
        "<a href='x.html?a=1&amp;b=2'>again</a>",
        "a.html",
    )
    assert result.title == "A & B c"
    assert result.language == "fr"
    assert result.links == [("x.html?a=1&b=2", "hyperlink"), ("p.png", "image")]
    assert result.text == "# H\n\nx y a small cat again"
    assert read("<h1>Only heading</h1>", "a.html").title == "Only heading"


@pytest.mark.parametrize(
    "data",
    [
        '<meta charset="iso-8859-1"><p>Gr\u00fc\u00dfe'.encode("latin-1"),
        '<meta http-equiv=Content-Type content="text/html; charset=windows-1252"><p>Grüße'.encode("cp1252"),
        '<meta charset="iso-8859-1"><p>Grüße'.encode(),
        "<p>Grüße".encode("utf-16"),
        "<meta charset=no-such-thing><p>Grüße und viele schöne Wörter über Österreich".encode("cp1252"),
    ],
)
def test_charsets(data: bytes) -> None:
    assert read(data, "a.html").text.startswith("Grüße")


def test_broken_markup_is_read() -> None:
    assert html("<p>a<div>b</span></p><table><td>c</body></html><p>d &zzz; &#x41;").split() == [
        "a", "b", "c", "d", "&zzz;", "A",
    ]  # fmt: skip
    assert read('<p>1 < 2 <a b"c="d">kept</a>', "a.html").text == "1 < 2 kept"


def test_deep_nesting_keeps_its_text_in_linear_time() -> None:
    deep = (
        "<div>" * 100_000
        + "<p>inner &amp; text</p><script>x()</script>"
        + "</div>" * 100_000
        + "<h2>end</h2>"
    )
    start = time.process_time()
    assert read("<title>T</title>" + deep, "a.html").text == "inner & text\n\n## end"
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "piece",
    ["<b><i>", "<font size=1><p>", "<table><tr><td>", "<ul><li>", "<!--", "<script>", "<a", "&", '<a b="'],
)
def test_hostile_repetition_is_bounded(piece: str) -> None:
    start = time.process_time()
    try:
        read("<p>x" + piece * 40_000, "a.html")
    except DocumentError as error:
        assert error.cause is Cause.NO_TEXT
    assert time.process_time() - start < 5


def test_depth_is_estimated_from_tags() -> None:
    assert deeper_than(b"<div>" * 600, 512)
    assert deeper_than(b"<div>" * 600 + b"</div>" * 600, 512)
    assert not deeper_than(b"<div></div>" * 5_000, 512)
    assert not deeper_than(b"<p>x<br><img src=x>" * 5_000, 512)
    assert not deeper_than(b"a < b " * 5_000, 512)


def test_a_page_without_text_is_empty() -> None:
    with pytest.raises(DocumentError) as caught:
        html("<script>x</script><img src=x>")
    assert caught.value.cause is Cause.NO_TEXT


def test_a_long_page_is_cut() -> None:
    result = read("<p>word word word</p>" * 1_000, "a.html", max_chars=500)
    assert result.truncated
    assert len(result.text) <= 500


def test_a_document_too_large_for_a_tree_is_read_the_linear_way() -> None:
    body = "<p>A paragraph about wombats &amp; quokkas.</p>" * 180_000
    data = f"<html><title>Large</title><script>var hidden = 1;</script><body>{body}</body></html>".encode()
    assert len(data) > 8_000_000
    found = extract_html(data, "text/html", CleanSettings())
    assert found.title == "Large"
    assert "hidden" not in found.text
    assert found.text.count("wombats & quokkas") == 180_000
