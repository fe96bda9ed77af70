"""Plain text, Markdown and source code: kept as they are written."""

from __future__ import annotations

import re

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links, Prose
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.settings import CleanSettings

_TITLE_CHARS = 8_000  # where a title is looked for
_ATX = re.compile(r"^ {0,3}#{1,6}[ \t]+([^\n]{1,400})", re.MULTILINE)
_SETEXT = re.compile(r"^ {0,3}(\S[^\n]{0,400})\n {0,3}(?:={3,}|-{3,})[ \t]*$", re.MULTILINE)
_FRONT_MATTER = re.compile(
    r"\A(?:---|\+\+\+)[ \t]*\n(.{0,4000}?)\n(?:---|\+\+\+|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL
)
_FRONT_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*([^\n]{1,400})", re.MULTILINE | re.IGNORECASE)
_MD_LINK = re.compile(
    r"(!?)\[[^\[\]\n]{0,500}\]\([ \t]*<?([^\s()<>]{1,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,200})?)"
)
_MD_AUTOLINK = re.compile(r"<((?:https?|ftp|mailto):[^\s<>]{1,2000})>")
_MD_DEFINITION = re.compile(r"^ {0,3}\[[^\[\]\n]{1,200}\]:[ \t]+<?(\S{1,2000}?)>?(?:[ \t]|$)", re.MULTILINE)


def extract_plain(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """Text without a structure to look for."""
    return Extracted(text=decode(data))


def extract_code(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """Source code and configuration."""
    return Extracted(text=decode(data), prose=Prose.CODE)


def extract_markdown(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """Markdown: the text as it is, the first heading or the front matter's title, and the links."""
    text = _plain_line_ends(decode(data))
    return Extracted(text=text, title=markdown_title(text), links=_markdown_links(text))


def markdown_title(text: str) -> str | None:
    """The title of a Markdown text: from its front matter, else its first heading."""
    head = text[:_TITLE_CHARS]
    front = _FRONT_MATTER.match(head)
    if front:
        named = _FRONT_TITLE.search(front[1])
        if named and named[1].strip(" \t\"'"):
            return named[1].strip(" \t\"'")
        head = head[front.end() :]
    found = [match for match in (_ATX.search(head), _SETEXT.search(head)) if match]
    if not found:
        return None
    first = min(found, key=lambda match: match.start())
    return first[1].strip().rstrip("#").strip() or None


def _markdown_links(text: str) -> list[tuple[str, str]]:
    links = Links()
    if "](" in text:
        for match in _MD_LINK.finditer(text):
            links.add(match[2], "image" if match[1] else "hyperlink")
    if "://" in text or "mailto:" in text:
        for match in _MD_AUTOLINK.finditer(text):
            links.add(match[1], "hyperlink")
    if "]:" in text:
        for match in _MD_DEFINITION.finditer(text):
            links.add(match[1], "hyperlink")
    return links.as_list()


def _plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


FORMATS = (
    Format("plain text", (mt.PLAIN,), extract_plain),
    Format("source code and configuration", tuple(sorted(mt.SOURCE)), extract_code),
    Format("Markdown", (mt.MARKDOWN,), extract_markdown, fallback=extract_plain),
)
