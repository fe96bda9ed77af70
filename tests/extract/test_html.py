from __future__ import annotations

import contextlib
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
    assert time.process_time() - start < 30


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
    assert time.process_time() - start < 50


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


ARTICLE = "<h1>Foxes</h1>" + "<p>The fox walked along the river and said nothing at all to anybody.</p>" * 4
LINKS = (
    "<ul>"
    + "".join(f"<li><a href='/{word}'>{word}</a></li>" for word in ["home", "news", "sport", "money"])
    + "</ul>"
)


@pytest.mark.parametrize(
    "noise",
    [
        f"<div class='site-menu'>{LINKS}</div>",
        f"<div id='sidebar'>{LINKS}</div>",
        f"<aside class='widget related-posts'><h3>Related</h3>{LINKS}</aside>",
        f"<footer class='footer'>{LINKS}</footer>",
        "<div class='share-bar'><a href=f>Facebook</a> <a href=t>Twitter</a></div>",
        "<div class='newsletter'><p>Get our news by mail</p><form><input name=m></form></div>",
        "<div class='modal fade'>Please log in to comment</div>",
        "<div class='ad-slot'>Advertisement</div>",
        "<div style='display: none'>Thank you!</div>",
        "<a href='#content'>Skip to main content</a>",
        "<div role='dialog'>We value your privacy</div>",
        "<button>Subscribe now</button>",
        "<video src=v>Your browser does not play videos.</video>",
        "<object data=x>Please install a plugin.</object>",
        "<dialog>Really?</dialog>",
        "<svg><title>icon</title><path d='M0'/></svg>",
        "<select><option>Afghanistan<option>Albania</select>",
    ],
)
def test_what_surrounds_an_article_goes(noise: str) -> None:
    alone = html(ARTICLE)
    assert html(noise + ARTICLE) == alone
    assert html(ARTICLE + noise) == alone


WORDS = "A sentence of ordinary words that a person may want to find again later."


@pytest.mark.parametrize(
    "body",
    [
        f"<div class='menu'><p>{WORDS} {WORDS}</p></div>",
        f"<div class='footer'>{WORDS} <a href=x>a link</a></div>",
        f"<div class='modal'><p>{WORDS * 6}</p></div>",
        f"<div style='display:none' class='tab'><p>{WORDS * 6}</p></div>",
        f"<div class='overlay page-content'><h1>{WORDS}</h1></div>",
        f"<section id='login'><h2>Login</h2><p>{WORDS}</p></section>",
        f"<div class='section' id='overlay'><p>{WORDS}</p></div>",
        f"<div class='ad-hoc'>{WORDS}</div><div class='cookie-recipes'>{WORDS}</div>",
        f"<div class='promotion'>{WORDS}</div><div class='loading-docks'>{WORDS}</div>",
        f"<ul class='steps'><li><a href=x>{WORDS}</a></li></ul>",
        f"<h3><button aria-expanded=false>{WORDS}</button></h3>",
        f"<button class='accordion'>{WORDS}</button>",
        f"<object data=x><p>{WORDS * 6}</p></object>",
        f"<div><template shadowrootmode=open><p>{WORDS}</p></template></div>",
        f"<details><summary>More</summary><p>{WORDS}</p></details>",
        f"<figure><img src=x alt='a small red fox'><figcaption>{WORDS}</figcaption></figure>",
        f"<map name=m><area href=x><p>{WORDS}</p>",
        f"<header>{WORDS}</header><footer>{WORDS}</footer>",
        f"<frameset><frame src=a.html></frameset><noframes><body>{WORDS}</body></noframes>",
        f"<font face=x size=4><b>{WORDS}</b></font><center>{WORDS}</center>",
        f"<table class=nav><tr><td><table><tr><td>{WORDS}</table></table>",
    ],
)
def test_text_is_never_taken_for_what_surrounds_it(body: str) -> None:
    assert WORDS in html(ARTICLE + body)
    assert WORDS in html(body)


def test_a_page_that_is_nearly_all_doubtful_keeps_it() -> None:
    assert "home" in html(f"<div class='menu'>{LINKS * 10}</div><p>Short.</p>")


def test_text_for_browsers_without_scripts_is_read_where_there_is_no_other() -> None:
    text = "<p>The whole story of the fox is told here, in a few words and then in some more.</p>" * 6
    assert "story" in html(f"<div id=app></div><noscript>{text}</noscript>")
    assert "story" not in html(ARTICLE + f"<noscript>{text}</noscript>")


def test_definitions_stand_under_their_terms() -> None:
    assert html("<dl><dt>fox<dt>vixen<dd>an animal<dd>red<dt>hen<dd>a bird</dl>") == (
        "fox\nvixen\n: an animal\n: red\n\nhen\n: a bird"
    )


def test_code_in_a_list_is_fenced_where_fences_are_looked_for() -> None:
    text = html("<ul><li><pre>a\n\n\n  b</pre><li>two<ul><li><pre>c</pre></ul></ul>")
    assert text == "-\n  ```\n  a\n\n\n    b\n  ```\n- two\n  -\n  ```\n  c\n  ```"


def test_drawings_do_not_count_as_depth() -> None:
    drawing = "<svg viewBox='0 0 9 9'><g>" + "<path d='M0 0'/>" * 50 + "</g></svg>"
    body = f"<table><tr><td>a<td>b<tr><td>c<td>d</table>{drawing * 40}"
    assert not deeper_than(body.encode(), 512)
    assert html(body).startswith("| a | b |")
    assert deeper_than(b"<path/>" * 600, 512)
    assert deeper_than(b"<svg><div>" + b"<path/>" * 600, 512)
    assert deeper_than(b"<!--><" + b"div><" * 600 + b"p>-->", 512)


@pytest.mark.parametrize(
    "piece",
    [
        "<div class='share'>",
        "<ul class=menu><li><a>b</a>",
        "<button>",
        "<object>",
        "<svg>",
        "<pre>```",
        "<dl><dt>",
    ],
)
def test_looking_ahead_is_bounded(piece: str) -> None:
    start = time.process_time()
    with contextlib.suppress(DocumentError):
        read("<p>x" + piece * (400_000 // len(piece)), "a.html")
    assert time.process_time() - start < 40
