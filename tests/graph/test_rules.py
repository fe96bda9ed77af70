"""The rules one by one, where a person would look for them."""

from __future__ import annotations

import random
import re
import time

import pytest

from tui_scraper.engine.graph import titles
from tui_scraper.engine.graph.build import Documents, build
from tui_scraper.engine.phases.clean import clean
from tui_scraper.engine.settings import CleanSettings
from tui_scraper.engine.wire import CleanText

ROOT = b"/home/me/docs"
TYPES = {
    "html": "text/html", "md": "text/markdown", "py": "text/x-python", "c": "text/x-c", "h": "text/x-c",
    "ts": "text/x-typescript", "tex": "text/x-tex", "bib": "text/x-bibtex", "3": "text/troff",
    "1": "text/troff", "eml": "message/rfc822", "txt": "text/plain", "css": "text/css",
}  # fmt: skip
Text = str | bytes | CleanText


def related(documents: dict[str, Text]) -> tuple[set[tuple[str, str, str]], set[tuple[str, str]]]:
    """((source, target, kind) of every reference, (source, name) of what is broken).

    Texts given as bytes are cleaned as the program does.
    """
    paths = sorted(documents, key=str.encode)
    found = Documents()
    parents = {path: path.rpartition("!/")[0] for path in paths}
    for at, path in enumerate(paths):
        around = parents[path]
        media_type = TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        found.add(
            at,
            path.encode(),
            media_type,
            identity=at + 1,
            parent=paths.index(around) + 1 if around in documents else 0,
            container=path in parents.values(),
        )
    texts = []
    for at, path in enumerate(paths):
        text = documents[path]
        if isinstance(text, bytes):
            text = clean(text, found.media_type(at), CleanSettings())
        elif isinstance(text, str):
            text = CleanText(text)
        texts.append((at, text))
    graph = build(found, lambda: iter(texts), ROOT)
    return (
        {(paths[one.source], paths[one.target], str(one.kind)) for one in graph.edges()},
        {(paths[one.source], one.target) for one in graph.broken()},
    )


def test_markdown_and_web_pages_are_linked_as_a_browser_would() -> None:
    edges, broken = related(
        {
            "a/index.html": b"<p>See <a href='../b/x%20y.html#top'>x</a>, <a href='/c.md'>c</a>, "
            b"<a href='../b/'>b</a>. Also <a href='gone.html'>gone</a> and "
            b"<a href='https://example.org/'>elsewhere</a>. Long enough to be a text.</p>",
            "b/README.md": b"# B\n\n[up](../a/) [out](../../outside.md) [me](#b) [self](README.md)\n",
            "b/x y.html": b"<p>A page that links nowhere at all, with some text.</p>",
            "c.md": b"[file](file:///home/me/docs/b/README.md)",
        }
    )
    assert edges == {
        ("a/index.html", "b/x y.html", "hyperlink"),
        ("a/index.html", "c.md", "hyperlink"),
        ("a/index.html", "b/README.md", "hyperlink"),
        ("b/README.md", "a/index.html", "hyperlink"),
        ("c.md", "b/README.md", "hyperlink"),
    }
    assert broken == {("a/index.html", "gone.html")}


def test_a_saved_page_is_found_by_its_address_and_links_from_there() -> None:
    edges, broken = related(
        {
            "one.html": CleanText("x", links=[("https://x.org/a/one", "self"), ("two#end", "hyperlink")]),
            "two.html": CleanText("x", links=[("https://x.org/a/two", "self"), ("gone.html", "hyperlink")]),
            "note.md": b"[one](https://x.org/a/one#top) and [three](https://x.org/a/three)",
        }
    )
    assert edges == {("one.html", "two.html", "hyperlink"), ("note.md", "one.html", "hyperlink")}
    assert not broken


def test_links_inside_an_archive_stay_in_it() -> None:
    edges, broken = related(
        {
            "one.md": "x",
            "a.zip": CleanText("x"),
            "a.zip!/one.md": b"[other](sub/two.md) [top](/sub/two.md) [out](../one.md)",
            "a.zip!/sub/two.md": b"[back](../one.md) [gone](../../../one.md) [lost](three.md)",
        }
    )
    assert edges == {
        ("a.zip!/one.md", "a.zip!/sub/two.md", "hyperlink"),
        ("a.zip!/sub/two.md", "a.zip!/one.md", "hyperlink"),
    }
    assert broken == {("a.zip!/sub/two.md", "three.md")}


def test_mails_answer_the_nearest_mail_that_is_here() -> None:
    def mail(number: int, *before: int, header: str = "References") -> bytes:
        names = " ".join(f"<{one}@x.org>" for one in before)
        fields = f"From: a@x.org\nMessage-ID: <{number}@x.org>\n{header}: {names}\nSubject: s\n"
        return f"{fields}\nHello there.\n".encode()

    edges, broken = related(
        {
            "1.eml": mail(1),
            "2.eml": mail(2, 1, header="In-Reply-To"),
            "4.eml": mail(4, 1, 2, 3),
            "5.eml": mail(5, 99, header="In-Reply-To"),
        }
    )
    assert edges == {("2.eml", "1.eml", "reply"), ("4.eml", "2.eml", "reply")}
    assert not broken


def test_source_code_includes_and_imports() -> None:
    edges, broken = related(
        {
            "src/main.c": b'#include "util.h"\n#include "deep.h"\n#include "gone.h"\n#include <stdio.h>\n',
            "src/util.h": b"int x;\n",
            "include/lib/deep.h": b"int y;\n",
            "pkg/__init__.py": b"x = 1\n",
            "pkg/a.py": b"from . import b\nfrom .b import f\nimport os, pkg.b\nfrom .gone import g\n",
            "pkg/b.py": b"import json\n",
            "tests/test_a.py": b"from pkg.a import f\n",
            "web/app.ts": b"import { x } from './lib'\nimport React from 'react'\nimport y from './gone'\n",
            "web/lib/index.ts": b"export const x = 1\n",
            "web/a.css": b"@import url('b.css');\n",
            "web/b.css": b"a {}\n",
            "paper/main.tex": b"\\documentclass{article}\\begin{document}Hi \\input{ch/one}\\end{document}",
            "paper/ch/one.tex": b"\\section{One} Words. \\input{ch/two}\\bibliography{refs}",
            "paper/ch/two.tex": b"\\section{Two} More words.",
            "paper/refs.bib": b"@book{x, title = {A book}}",
        }
    )
    assert edges == {
        ("src/main.c", "src/util.h", "include"),
        ("src/main.c", "include/lib/deep.h", "include"),
        ("pkg/a.py", "pkg/b.py", "import"),
        ("tests/test_a.py", "pkg/a.py", "import"),
        ("web/app.ts", "web/lib/index.ts", "import"),
        ("web/a.css", "web/b.css", "import"),
        ("paper/main.tex", "paper/ch/one.tex", "include"),
        ("paper/ch/one.tex", "paper/ch/two.tex", "include"),
        ("paper/ch/one.tex", "paper/refs.bib", "include"),
    }
    assert broken == {("src/main.c", "gone.h"), ("pkg/a.py", ".gone.g"), ("web/app.ts", "./gone")}


def test_manual_pages_prefer_their_own_language() -> None:
    page = b".TH X 1\n.SH SEE ALSO\n.BR open (3)\n"
    edges, _ = related(
        {"man/man1/x.1": page, "man/man3/open.3": page, "man/de/man1/x.1": page, "man/de/man3/open.3": page}
    )
    assert edges == {
        ("man/man1/x.1", "man/man3/open.3", "manual"),
        ("man/de/man1/x.1", "man/de/man3/open.3", "manual"),
    }


def test_citations_are_of_rfcs_dois_and_titles() -> None:
    title = CleanText("The very words.\nhttps://doi.org/10.1234/Own.5\nmore", "On the Care of Old Invoices")
    edges, _ = related(
        {
            "rfc2119.txt": "Key words",
            "10.5555_abc.txt": "A paper",
            "care.txt": title,
            "care copy.txt": CleanText("On the care of old invoices", "On the Care of Old Invoices"),
            "note.txt": "See RFC 2119 (doi:10.5555/ABC) and 10.1234/own.5, or *On the Care* of old invoices.",
        }
    )
    assert edges == {
        ("note.txt", "rfc2119.txt", "rfc"),
        ("note.txt", "10.5555_abc.txt", "doi"),
        ("note.txt", "care.txt", "doi"),
        ("note.txt", "care.txt", "title"),
        ("note.txt", "care copy.txt", "title"),
    }


def test_a_name_that_many_share_means_none_of_them() -> None:
    shared = {f"{at}.txt": CleanText("text", "A title that many documents share") for at in range(9)}
    edges, _ = related({**shared, "note.txt": "Read: a title that many documents share."})
    assert not edges
    del shared["8.txt"]
    edges, _ = related({**shared, "note.txt": "Read: a title that many documents share."})
    assert len(edges) == 8


def test_words_are_those_of_one_expression() -> None:
    chance = random.Random(1)
    letters = "aB1_ .-\u00a0\u2019é²ßİ\u0301文のｱ가_\u200b\u1680\n\u2028ǅ٣½ⅷ\u3040"
    for _ in range(5_000):
        text = "".join(chance.choice(letters) for _ in range(chance.randrange(60)))
        assert titles.words_of(text) == titles._WORDS.findall(text.casefold())


@pytest.mark.parametrize(
    "text",
    [
        "from " * 40_000,
        "import (" * 25_000,
        "from x import (" + "a," * 100_000,
        "#include " * 20_000,
        "RFC" * 60_000,
        "10." * 60_000,
        "10.1234/" + "(" * 200_000,
        "a(1" * 60_000,
        "a" * 200_000,
        "one two three four " * 10_000,
        "@import url(" * 16_000,
        "https://doi.org/" * 12_000,
        "\n" * 200_000,
    ],
    ids=range(13),
)
def test_hostile_texts_take_no_longer_than_others(text: str) -> None:
    names = {
        "one.txt": CleanText("x", "one two three four"),
        "two.txt": CleanText("x", "one two three four one"),
    }
    started = time.process_time()
    for ending in ("py", "c", "ts", "css", "1", "txt"):
        related({**names, f"x.{ending}": text})
    assert time.process_time() - started < 10


def test_hostile_links_take_no_longer_than_others() -> None:
    links = [
        ("../" * 600, "hyperlink"),
        ("%" * 2_000, "image"),
        ("\\" * 2_000, "include"),
        ("a/" * 900, "hyperlink"),
    ]
    links += [(f"file:{'/' * 1_900}", "hyperlink"), ("?" * 1_000, "reference"), ("x:" * 900, "hyperlink")]
    _edges, broken = related({"x.txt": CleanText("x", links=links * 50)})
    assert all(re.match(r"%|\\|a/", name) for _source, name in broken)
