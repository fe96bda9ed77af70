"""Corpora in which everything refers to everything, made by chance: few names, so that many are shared."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tui_scraper.engine.graph.build import Documents
from tui_scraper.engine.wire import CleanText

ROOT = b"/home/me/docs"
FOLDERS = ("", "a", "a/b", "src", "src/pkg", "src/pkg/sub", "man/man1", "man/man3", "de/man1", "t x")
FILES = {
    "text/html": ("index.html", "one.html", "two.html", "old page.html", "f\u00fcr.html", "100%25.html"),
    "text/markdown": ("README.md", "guide.md", "notes.md"),
    "text/plain": ("rfc2119.txt", "RFC-791", "10.1000_abc.txt", "plain.txt"),
    "text/x-python": ("__init__.py", "m.py", "util.py", "run.py"),
    "text/x-c": ("x.h", "y.h", "main.c"),
    "text/x-typescript": ("app.ts", "index.ts", "lib.js"),
    "text/css": ("base.css", "main.css"),
    "text/x-tex": ("main.tex", "part.tex"),
    "text/x-bibtex": ("refs.bib",),
    "text/troff": ("printf.1", "printf.3", "open.3p"),
    "message/rfc822": ("00001.eml", "00002.eml", "00003.eml"),
    "application/zip": ("a.zip", "b.zip"),
    "application/gzip": ("one.html.gz", "printf.3.gz"),
}
TITLES = (
    "A short guide to invoices",
    "A short guide to invoices of old",
    "A Short Guide to the Taxes",
    "RFC 2119 Key words for use",
    "RFC 768",
    "Tiny",
    "\u6587\u66f8\u306e\u6574\u7406\u306b\u3064\u3044\u3066",
    "Stra\u00dfe und Fu\u00dfweg im Winter",
    "one two three four five six seven eight nine ten",
)
TARGETS = (
    "one.html", "two.html#part", "../index.html?q=1", "b/", "./", "../..", "../../../../up.html",
    "a/b/guide.md", "/a/b/guide.md", "/", "gone.html", "f%C3%BCr.html", "f\u00fcr.html", "old%20page.html",
    "oldpage.html", "#here", "?only=query", "https://example.org/a", "https://example.org/page#x",
    "mailto:me@example.org", "//host/one.html", "file:///home/me/docs/a/one.html",
    "file://localhost/home/me/docs/README.md", "file:///etc/passwd", "/home/me/docs/a/one.html",
    "a\\one.html", "100%2525.html", "100%25.html", "100%.html", "part", "main.tex", "refs", "refs,part",
    "https://doi.org/10.1000/abc", "x.h", "man3/printf.3", "src/pkg", "t%20x/one.html", "a.zip!/one.html",
    "a//one.html", "b/../one.html", "cid:1@x", "C:\\one.html",
)  # fmt: skip
LINES = (
    "As said in A short guide to invoices, and in a SHORT guide-to *the* taxes.",
    "See RFC 2119, RFC2119 and [RFC-791], but not RFC 99999 or XRFC 768.",
    "RFC\u00a00768 holds, rfc 768 too.",
    "doi:10.1000/abc",
    "We cite https://doi.org/10.1000/ABC, (10.2000/(x)y), and 10.3000/none.",
    "https://doi.org/10.2000/(x)y",
    "\u6587\u66f8\u306e\u6574\u7406\u306b\u3064\u3044\u3066 \u8a71\u3059",
    "one two three four five six seven eight nine ten eleven",
    "stra\u00dfe und FU\u00dfWEG im winter",
    "printf(3), open(3p), printf(1) and nothing(7); see index.html",
    "import os, pkg.sub.m as m",
    "import util",
    "from pkg import m, util as u",
    "from pkg.sub import (run,\n    m)",
    "from . import m",
    "from .sub import run  # here",
    "from ..pkg import util, gone",
    "from .gone import *",
    '#include "x.h"',
    '#include "pkg/y.h"',
    "#include <sub/y.h>",
    "#include <stdio.h>",
    '#include "gone.h"',
    "import { a } from './app'",
    'import x from "../index"',
    "const y = require('./lib.js')",
    "import z from 'react'",
    "export * from './gone'",
    "@import url(base.css);",
    '@import "a/main.css";',
)


@dataclass
class Doc:
    """One document. `parent` is the place of its container in the corpus."""

    path: bytes
    media_type: str
    parent: int | None = None
    clean: CleanText | None = None


def corpus(seed: int, size: int) -> list[Doc]:
    """Documents in the order of their paths."""
    chance = random.Random(seed)
    many = max(1, size // 50)

    def vary(text: str) -> str:
        """Larger corpora have more names."""
        number = chance.randrange(many)
        if not number:
            return text
        text = text.replace("abc", f"abc{number}").replace("2119", f"{2200 + number}")
        return text.replace("invoices", f"invoices {number}")

    paths: dict[bytes, tuple[str, bytes | None]] = {}
    folders = [*FOLDERS, *(f"d{number}" for number in range(size // 100))]
    for _ in range(size):
        media_type = chance.choice(list(FILES))
        folder, name = chance.choice(folders), vary(chance.choice(FILES[media_type]))
        if media_type == "text/html" and chance.random() < 0.1:
            name = "fu\u0308r.html"  # decomposed
        path = f"{folder}/{name}".lstrip("/").encode()
        paths.setdefault(path, (media_type, None))
        if media_type in ("application/zip", "application/gzip"):
            inside = (
                [name[:-3]]
                if media_type == "application/gzip"
                else ["one.html", "b/guide.md", "x.h", "src/m.py"]
            )
            for inner in inside:
                kind = next(k for k, names in FILES.items() if inner.rpartition("/")[2] in names)
                paths.setdefault(path + b"!/" + inner.encode(), (kind, path))
    ordered = sorted(paths)
    place = {path: at for at, path in enumerate(ordered)}
    docs = []
    for path in ordered:
        media_type, around = paths[path]
        doc = Doc(path, media_type, place[around] if around is not None else None)
        if media_type not in ("application/zip", "application/gzip") and chance.random() < 0.95:
            doc.clean = _clean(chance, vary, media_type, many)
        docs.append(doc)
    return docs


def _clean(chance: random.Random, vary: Callable[[str], str], media_type: str, many: int) -> CleanText:
    lines = [vary(chance.choice(LINES)) for _ in range(chance.randint(0, 8))]
    links = [
        (vary(chance.choice(TARGETS)), chance.choice(("hyperlink", "image", "include", "reference")))
        for _ in range(chance.randint(0, 5))
    ]
    if media_type == "message/rfc822":
        links.append((f"mid:{chance.randrange(20 * many)}@x", "self"))
        links += [(f"mid:{chance.randrange(20 * many)}@x", "reference") for _ in range(chance.randint(0, 3))]
    if media_type == "text/html" and chance.random() < 0.1:
        links.append(("https://example.org/page", "self"))
    title = vary(chance.choice(TITLES)) if chance.random() < 0.03 else None
    if chance.random() < 0.02:
        title = "A title that far too many documents share"
        lines.append("A title that far too many documents share")
    return CleanText(text="\n".join(lines) or "x", title=title, links=links)


def documents_of(docs: list[Doc]) -> Documents:
    """The corpus as the graph takes it."""
    containers = {doc.parent for doc in docs}
    found = Documents()
    for at, doc in enumerate(docs):
        found.add(
            1000 + at,
            doc.path,
            doc.media_type,
            identity=at + 1,
            parent=doc.parent + 1 if doc.parent is not None else 0,
            container=at in containers,
        )
    return found
