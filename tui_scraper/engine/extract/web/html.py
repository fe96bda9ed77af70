"""HTML and XHTML: headings, lists, tables and code as Markdown, the rest as paragraphs.

lexbor repairs the markup into a tree and writes it out again, well-formed; one pass over those tags
then renders the text. Walking the tree from Python instead costs several calls a node. The same
pass also reads raw markup, which is what happens to documents nested so deeply that building the
tree would take quadratic time: their text survives, their tables and lists become lines.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import declared_charset, decode
from tui_scraper.engine.extract.web.depth import deeper_than
from tui_scraper.engine.extract.web.layout import Renderer, Token
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_DROPPED: Final = [
    "script", "style", "template", "svg", "noscript", "iframe", "embed", "select", "datalist", "textarea",
    "noembed", "rp", "rt",
]  # fmt: skip
_DROPPED_BUT_NOSCRIPT: Final = [name for name in _DROPPED if name != "noscript"]
# What lexbor writes: attribute values in double quotes, '<' only where a tag begins.
_CLEAN_TOKEN = re.compile(
    r"<(?:!--.*?--|(/?)([a-zA-Z][^\s/>]*)((?:\s+[^\s=>\"]+(?:=\"[^\"]*\")?)*)[^>]*)>([^<]*)", re.DOTALL
)
_RAW_TOKEN = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)([^<>]*)>([^<]*)|(<[^<]*)")
_RAW_DROPPED = re.compile(r"<(script|style|title|textarea|svg|template|noscript|iframe)\b", re.IGNORECASE)
_LANGUAGE = re.compile(r"<html[^>]{0,500}?\slang=[\"']?([a-zA-Z]{2,3}(?:-[a-zA-Z0-9]{1,8})*)", re.IGNORECASE)
_SHADOW_ROOT = re.compile(r"<template\s(?=[^<>]{0,200}shadowroot)", re.IGNORECASE)
_LITTLE_TEXT: Final = 200
"""A page with less text than this may keep its real text for browsers without scripts."""
_AT_ONCE_CHARS: Final = 500_000
_TREE_BYTES: Final = 8_000_000
"""A tree takes 19 times the memory of its markup: larger documents go the linear way, which lays out
neither lists nor tables."""
_FRAGMENT_DEPTH: Final = 256


def extract_html(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an HTML document without scripts, styles, navigation and cookie notices."""
    if len(data) > _TREE_BYTES or deeper_than(data, settings.max_html_depth):
        return extract_html_linear(data, media_type, settings)
    markup = _markup(data)
    clean = _parse(markup)
    found = render(clean, trusted=True, max_chars=settings.max_chars)
    if len(found.text) < _LITTLE_TEXT and b"<noscript" in data.lower():
        other = render(_parse(markup, _DROPPED_BUT_NOSCRIPT), trusted=True, max_chars=settings.max_chars)
        if len(other.text) > len(found.text) + _LITTLE_TEXT:
            found = other
    if not found.text.strip():
        found = render(clean, trusted=True, max_chars=settings.max_chars, boilerplate=True)
    return _with_language(found, markup)


def extract_html_linear(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an HTML document in linear time, without a tree: tables and lists become lines."""
    markup = _markup(data)
    found = render(_without_raw_elements(markup), trusted=False, max_chars=settings.max_chars)
    title = re.search(r"<title[^<>]*>([^<]{1,1000})", markup, re.IGNORECASE)
    found.title = html.unescape(title[1]) if title else found.title
    return _with_language(found, markup)


def _markup(data: bytes) -> str:
    markup = decode(data, declared_charset(data))
    return markup.replace("\0", "") if "\0" in markup else markup


def _with_language(found: Extracted, markup: str) -> Extracted:
    language = _LANGUAGE.search(markup[:4096])
    found.declared_language = language[1] if language else ""
    return found


def _parse(markup: str, dropped: list[str] = _DROPPED) -> str:
    from selectolax.lexbor import LexborHTMLParser

    if "shadowroot" in markup:
        markup = _SHADOW_ROOT.sub("<div ", markup)
    try:
        tree = LexborHTMLParser(markup.encode("utf-8", "replace"))
        root = tree.root
        if root is None:
            return ""
        root.strip_tags(dropped, recursive=True)
        return tree.html or ""
    except Exception as error:
        # selectolax raises SelectolaxError, RuntimeError or MemoryError, by the step that fails.
        if isinstance(error, MemoryError):
            raise
        raise DocumentError(Cause.CORRUPT, "The HTML document is damaged and cannot be read.") from None


def _without_raw_elements(markup: str) -> str:
    """Raw markup without comments, declarations and elements whose content is no text. Linear."""
    head, *parts = markup.split("<!--")
    kept = [head, *(part.partition("-->")[2] for part in parts)]
    markup = "".join(kept)
    lower = markup.lower() if len(markup.lower()) == len(markup) else markup
    pieces, position = [], 0
    missing: set[str] = set()
    while match := _RAW_DROPPED.search(markup, position):
        name = match[1].lower()
        pieces.append(markup[position : match.start()])
        end = -1 if name in missing else lower.find(f"</{name}", match.end())
        if end < 0:
            missing.add(name)
            position = match.end()
            continue
        position = end
    pieces.append(markup[position:])
    return "".join(pieces)


def render(markup: str, *, trusted: bool, max_chars: int, boilerplate: bool = False) -> Extracted:
    """Render markup as Markdown-like text.

    `trusted` markup is well-formed (lexbor or office-oxide wrote it): lists and tables are laid out.
    `boilerplate` keeps navigation, for pages that consist of nothing else. What only may be boilerplate is
    kept where hardly anything remains without it.
    """
    tokens = _tokens(markup, trusted)
    renderer = Renderer(structured=trusted, boilerplate=boilerplate)
    renderer.run(tokens, max_chars)
    found = renderer.result()
    if renderer.left_out > len(found.text) and len(found.text) < _LITTLE_TEXT:
        renderer = Renderer(structured=trusted, boilerplate=boilerplate, doubtful=True)
        renderer.run(tokens, max_chars)
        found = renderer.result()
    return found


def fragment_text(markup: str, max_chars: int) -> str:
    """The text of a piece of HTML that stands inside another document."""
    if deeper_than(markup.encode("utf-8", "replace"), _FRAGMENT_DEPTH):
        return render(_without_raw_elements(markup), trusted=False, max_chars=max_chars).text
    return render(_parse(markup), trusted=True, max_chars=max_chars).text


def _tokens(markup: str, trusted: bool) -> Iterable[Token]:
    """The tokens of some markup, a list where they are few; the text before any tag comes as a 'p'."""
    first = markup.find("<")
    before = markup if first < 0 else markup[:first]
    tokens = _clean_tokens(markup) if trusted else _raw_tokens(markup)
    if not before.strip():
        return tokens
    leading: Token = ("", "p", "", before)
    return [leading, *tokens] if isinstance(tokens, list) else chain((leading,), tokens)


def _clean_tokens(markup: str) -> Iterable[Token]:
    """All at once where that is fast and small, one by one in a large document."""
    if len(markup) <= _AT_ONCE_CHARS:
        found: list[Token] = _CLEAN_TOKEN.findall(markup)
        return found
    matches = _CLEAN_TOKEN.finditer(markup)
    return ((one[1] or "", one[2] or "", one[3] or "", one[4]) for one in matches)


def _raw_tokens(markup: str) -> Iterator[Token]:
    for match in _RAW_TOKEN.finditer(markup):
        slash, name, attributes, text, stray = match.groups(default="")
        if stray:
            yield "", "span", "", "" if stray.startswith(("<!", "<?")) else stray
        else:
            yield slash, name.lower(), attributes, text


FORMATS = (
    Format("HTML", (mt.HTML,), extract_html, fallback=extract_html_linear, modules=("selectolax.lexbor",)),
)
