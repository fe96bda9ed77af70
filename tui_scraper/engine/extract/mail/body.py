"""The text of one part of a mail, from bytes in some charset to Markdown with quotes marked."""

from __future__ import annotations

import re
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted
from tui_scraper.engine.extract.decoding import declared_charset
from tui_scraper.engine.extract.mail.charsets import decode_labelled
from tui_scraper.engine.extract.mail.enriched import enriched_text
from tui_scraper.engine.extract.mail.inline import inline_files
from tui_scraper.engine.extract.mail.quotes import join_flowed, mark_quotes
from tui_scraper.engine.extract.mail.security import without_armour
from tui_scraper.engine.extract.web.html import extract_html, extract_html_linear
from tui_scraper.engine.settings import CleanSettings

_BOM: Final = b"\xef\xbb\xbf"
_MARKUP_START = re.compile(r"\s*<(?:!doctype\s+html|html[\s>])", re.IGNORECASE)
_QUOTE_TAG = re.compile(r"<(/?)blockquote\b[^<>]{0,2000}>", re.IGNORECASE)
_QUOTE_STARTS: Final = "\ufdd0"  # noncharacters: no text has them, and `tidy` removes any that stay
_QUOTE_ENDS: Final = "\ufdd1"
_MAX_QUOTE_DEPTH: Final = 20


def body_text(
    content: bytes, media_type: str, parameters: dict[str, str], settings: CleanSettings
) -> tuple[Extracted, bool]:
    """The text of a part, and whether some of it is encrypted. `content` is free of transfer encodings."""
    charset = parameters.get("charset", "")
    if media_type == "text/html":
        return html_body(content, charset, settings), False
    text, _files = inline_files(content)
    plain = decode_labelled(text, charset).replace("\r\n", "\n").replace("\r", "\n")
    if media_type in ("text/enriched", "text/richtext"):
        plain = enriched_text(plain, richtext=media_type == "text/richtext")
    elif media_type == "text/plain" and _MARKUP_START.match(plain):
        return html_body(content, charset, settings), False
    elif parameters.get("format", "").lower() == "flowed":
        plain = join_flowed(plain, delete_space=parameters.get("delsp", "").lower() == "yes")
    return written_text(plain, settings)


def written_text(plain: str, settings: CleanSettings) -> tuple[Extracted, bool]:
    """Text that somebody wrote, unprotected and with quotes marked; and whether some of it is encrypted."""
    is_cut = len(plain) > settings.max_chars
    readable, is_encrypted = without_armour(plain[: settings.max_chars])
    return Extracted(text=mark_quotes(readable), truncated=is_cut), is_encrypted


def html_body(content: bytes, charset: str, settings: CleanSettings) -> Extracted:
    """The text of an HTML part, with its block quotes as Markdown ones."""
    markup = decode_labelled(content, charset or declared_charset(content))
    marked = _QUOTE_TAG.sub(_mark_quote, markup)
    found = page_text(marked, settings)
    text = _with_quote_lines(found.text) if marked != markup else found.text
    found.text = mark_quotes(text)
    return found


def page_text(markup: str, settings: CleanSettings) -> Extracted:
    """The text of HTML whose charset was settled already."""
    data = _BOM + markup.encode("utf-8", "replace")
    try:
        return extract_html(data, mt.HTML, settings)
    except DocumentError:
        return extract_html_linear(data, mt.HTML, settings)


def _mark_quote(tag: re.Match[str]) -> str:
    return f"<p>{_QUOTE_ENDS}</p>{tag[0]}" if tag[1] else f"{tag[0]}<p>{_QUOTE_STARTS}</p>"


def _with_quote_lines(text: str) -> str:
    """Rendered text whose marks are turned into '> ' before each line between them."""
    kept: list[str] = []
    depth = 0
    for line in text.split("\n"):
        starts, ends = line.count(_QUOTE_STARTS), line.count(_QUOTE_ENDS)
        bare = line.replace(_QUOTE_STARTS, "").replace(_QUOTE_ENDS, "") if starts or ends else line
        if bare.strip() or not (starts or ends):
            lead = "> " * min(depth, _MAX_QUOTE_DEPTH)
            if bare.strip() or (kept and kept[-1].strip("> ")):
                kept.append((lead + bare).rstrip())
        depth = max(0, depth + starts - ends)
    return "\n".join(kept)
