"""What kind of text a text is, where its name does not say: by how such texts begin.

Only beginnings that other texts hardly ever have are believed, and only where nothing contradicts them.
"""

from __future__ import annotations

import re
from typing import Final

from tui_scraper.engine.extract import media_types as mt

_XML_PIECE = re.compile(
    rb"\s*(?:<\?[^>]*>|<!--.*?(?:-->|\Z)|(<!DOCTYPE)[^>\[]*(?:\[.*?\]\s*)?>|<([A-Za-z_][\w.:-]*)([^<>]*))",
    re.DOTALL | re.IGNORECASE,
)
_MAX_PIECES: Final = 30
_HTML_TAGS: Final = (
    rb"(?:p|div|table|tr|td|h[1-6]|ul|ol|li|dl|center|font|title|meta|span|b|i|a|img|br|hr|pre|blockquote|section"
    rb"|article|strong|em|link|style|script)"
)
_HTML_FRAGMENT = re.compile(rb"\s*(?:<!--.{0,500}?-->\s*)?<" + _HTML_TAGS + rb"(?:\s[^<>]*)?/?>", re.I | re.S)
_HTML_END = re.compile(rb"</" + _HTML_TAGS + rb"\s*>", re.IGNORECASE)
_ROFF = re.compile(rb"^[.'][ \t]*(?:(?:TH|Dd|Dt|Sh|SH)[ \t]|so[ \t]+man)", re.MULTILINE)
_ROFF_BYTES: Final = 32_768  # what Perl's converter puts before a page's title is long
_INFO = re.compile(rb"(?:^|\n)\x1f\x0c?\r?\nFile: [^\n]{1,200}Node:")
_BEGINNINGS: Final = (
    (re.compile(rb"BEGIN:VCALENDAR\b", re.IGNORECASE), mt.CALENDAR),
    (re.compile(rb"BEGIN:VCARD\b", re.IGNORECASE), mt.VCARD),
    (re.compile(rb"WEBVTT(?:[ \t\r\n]|$)"), mt.VTT),
    (re.compile(rb"\d{1,6}[ \t]*\r?\n\d\d?:\d\d:\d\d,\d{3}[ \t]*-->"), mt.SUBRIP),
    (re.compile(rb"\[Script Info\]"), mt.SUBSTATION),
    (re.compile(rb"\\input[ \t{]+texinfo"), mt.TEXINFO),
    (re.compile(rb"(?:%[^\n]*\n\s*){0,40}\\document(?:class|style)\b"), mt.LATEX),
    (re.compile(rb"(?:#[^\n]*\n){0,60}msgid[ \t]+\""), mt.PO),
    (re.compile(rb"@[a-zA-Z]{3,20}\{[^\s,{}]{1,100},[ \t]*\r?\n\s*\w+\s*="), mt.BIBTEX),
    (re.compile(rb"(?:#[^\n]*\n)?#\+(?:title|author|startup):", re.IGNORECASE), mt.ORG),
)
_JSON_START = re.compile(rb"\{\s*\"|\[\s*[\[{]")


def xml_kind(head: bytes, *, is_sure: bool) -> str:
    """Which kind of XML begins like this; '' where it may be no XML.

    `is_sure` says that the name claims it; else a declaration, a document type or a namespace has to.
    """
    position = 0
    for _ in range(_MAX_PIECES):
        piece = _XML_PIECE.match(head, position)
        if piece is None:
            break
        position = piece.end()
        is_sure = (
            is_sure or piece[1] is not None or head[piece.start() : position].lstrip().startswith(b"<?xml")
        )
        if piece[2]:
            local = piece[2].rpartition(b":")[2].lower()
            if not is_sure and b"xmlns" not in piece[3]:
                return ""
            return mt.SVG if local == b"svg" else mt.HTML if local == b"html" else mt.XML
    return mt.XML if is_sure else ""


def is_html_fragment(head: bytes) -> bool:
    """Whether this is HTML that begins in the middle of a page."""
    return _HTML_FRAGMENT.match(head) is not None and len(_HTML_END.findall(head)) > 1


def is_info(head: bytes) -> bool:
    """Whether this is an Info manual, which holds control characters as marks."""
    return _INFO.search(head) is not None


def is_roff(data: bytes) -> bool:
    """Whether this is a manual page."""
    return _ROFF.search(data[:_ROFF_BYTES]) is not None


def kind_by_beginning(head: bytes, end: bytes) -> str:
    """The kind of a text without a telling name, by its beginning and its last bytes; '' for plain text."""
    bare = head.lstrip()
    if bare[:1] in (b"{", b"[") and end.rstrip()[-1:] in (b"}", b"]") and _JSON_START.match(bare):
        return mt.JSON
    for pattern, media_type in _BEGINNINGS:
        if pattern.match(bare):
            return media_type
    return ""
