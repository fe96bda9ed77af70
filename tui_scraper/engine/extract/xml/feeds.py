"""Feeds (RSS, Atom, RDF) and outlines (OPML): a heading for each entry, then its date and its text.

What a feed holds is HTML inside XML, escaped, in CDATA, or as elements of XHTML. It is put together again
and rendered as any page is.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Final

from tui_scraper.engine.extract.base import Extracted, Links
from tui_scraper.engine.extract.web.html import fragment_text
from tui_scraper.engine.extract.xml.events import END, START, TEXT, Event

ROOTS: Final = frozenset(("rss", "rdf:RDF", "RDF", "feed", "opml", "atom:feed"))

_ENTRIES: Final = frozenset(("item", "entry"))
_TITLES: Final = frozenset(("title", "media:title"))
_DATES: Final = ("pubDate", "published", "dc:date", "updated", "issued", "modified", "lastBuildDate")
_PEOPLE: Final = frozenset(("author", "dc:creator", "name", "managingEditor", "contributor", "itunes:author"))
_TEXTS: Final = (
    "content:encoded", "content", "description", "summary", "subtitle", "tagline", "itunes:summary",
    "media:description", "xhtml:body",
)  # fmt: skip
_TOPICS: Final = frozenset(("category", "dc:subject"))
_WRAPPERS: Final = frozenset(
    {
        "rss", "rdf:RDF", "RDF", "feed", "atom:feed", "opml", "channel", "head", "body", "items", "rdf:Seq",
        "rdf:li", "media:group", "itunes:owner",
    }
)  # fmt: skip
_UNREAD: Final = frozenset(
    ("image", "textinput", "textInput", "cloud", "ttl", "expansionState", "vertScrollState")
)
_HTML: Final = frozenset(
    {
        "a", "abbr", "b", "blockquote", "br", "cite", "code", "dd", "div", "dl", "dt", "em", "h1", "h2", "h3",
        "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "q", "span", "strong", "sub", "sup",
        "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
    }
)  # fmt: skip
_SAME_CHARS: Final = 80


class _Entry:
    """A feed or one entry of it, while it is read."""

    def __init__(self) -> None:
        self.title = ""
        self.dates: dict[str, str] = {}
        self.people: list[str] = []
        self.topics: list[str] = []
        self.texts: dict[str, str] = {}
        self.addresses: list[str] = []
        self.others: list[str] = []


class FeedReader:
    """Reads the events of a feed."""

    def __init__(self, max_chars: int) -> None:
        self._links = Links()
        self._max_chars = max_chars
        self._paragraphs: list[str] = []
        self._characters = 0
        self._title = ""
        self._entries: list[_Entry] = [_Entry()]
        self._field = ""  # the element of an entry that is open
        self._pieces: list[str] = []
        self._depth = 0  # of elements inside the field
        self._is_plain = False
        self._outline = 0
        self._outline_lines: list[str] = []

    def read(self, events: Iterable[Event]) -> Extracted:
        """Read a whole feed, or as much of it as is wanted."""
        for kind, value, attributes in events:
            if kind == TEXT:
                if self._field:
                    self._pieces.append(
                        html.escape(value, quote=False) if self._depth or self._is_plain else value
                    )
            elif kind == START:
                self._start(value, attributes)
            elif kind == END:
                self._end(value)
            if self._characters > self._max_chars:
                break
        while self._entries:
            self._write(self._entries.pop())
        self._add("\n".join(self._outline_lines))
        return Extracted(
            text="\n\n".join(filter(None, self._paragraphs)),
            title=self._title or None,
            links=self._links.as_list(),
        )

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._field:
            self._depth += 1
            self._pieces.append(f"<{_html_name(name)}>")
            if attributes.get("href"):
                self._links.add(attributes["href"], "hyperlink")
            return
        if name == "outline":
            self._outline_item(attributes)
        elif _local(name) in _ENTRIES:
            self._flush_feed()
            self._entries.append(_Entry())
        elif name in ("link", "atom:link") and attributes.get("href"):
            if attributes.get("rel", "alternate") in ("alternate", "related", "enclosure", "via"):
                self._links.add(attributes["href"], "hyperlink")
        elif name == "enclosure" and attributes.get("url"):
            self._links.add(attributes["url"], "hyperlink")
        elif name in _TOPICS and attributes.get("term"):
            self._entries[-1].topics.append(attributes.get("label") or attributes["term"])
        elif name not in _WRAPPERS:
            self._field, self._pieces, self._depth = name, [], 0
            self._is_plain = attributes.get("type", "html") in ("text", "text/plain")

    def _end(self, name: str) -> None:
        if self._field:
            if self._depth:
                self._depth -= 1
                self._pieces.append(f"</{_html_name(name)}>")
                return
            field, self._field = self._field, ""
            self._set(field, "".join(self._pieces))
            self._pieces = []
        elif name == "outline":
            self._outline = max(self._outline - 1, 0)
        elif _local(name) in _ENTRIES and len(self._entries) > 1:
            self._write(self._entries.pop())

    def _set(self, field: str, value: str) -> None:
        entry = self._entries[-1]
        if field in _TITLES:
            entry.title = entry.title or self._rendered(value)
        elif field in _DATES:
            entry.dates.setdefault(field, " ".join(value.split()))
        elif field in _PEOPLE:
            who = self._rendered(value)
            if who and who not in entry.people:
                entry.people.append(who)
        elif field in _TOPICS:
            entry.topics.append(self._rendered(value))
        elif field in _TEXTS:
            entry.texts.setdefault(field, value)
        elif "://" in value and not any(mark in value.strip() for mark in "< \n"):
            self._links.add(value.strip(), "hyperlink")
            if value.strip() not in entry.addresses:
                entry.addresses.append(value.strip())
        elif field not in _UNREAD:
            words = self._rendered(value)
            if words:
                entry.others.append(f"{_local(field)}: {words}")

    def _rendered(self, value: str) -> str:
        if "<" not in value and "&" not in value:
            return " ".join(value.split()) if "\n\n" not in value else value.strip()
        if "<" not in value and "&lt;" not in value:
            return html.unescape(value).strip()
        return fragment_text(value, self._max_chars)

    def _flush_feed(self) -> None:
        """Give out what was said about the feed itself before its first entry."""
        if len(self._entries) == 1:
            self._write(self._entries[0])
            self._entries[0] = _Entry()

    def _write(self, entry: _Entry) -> None:
        is_feed = not self._title and not self._paragraphs and entry.title
        if is_feed:
            self._title = entry.title.replace("\n", " ")
        if entry.title:
            self._add(f"{'#' if is_feed else '##'} {' '.join(entry.title.split())}")
        date = next((entry.dates[name] for name in _DATES if name in entry.dates), "")
        self._add(
            "\n".join(
                filter(
                    None,
                    (date, ", ".join(entry.people), ", ".join(filter(None, entry.topics)), *entry.addresses),
                )
            )
        )
        said = ""
        for name in _TEXTS:
            text = self._rendered(entry.texts.get(name, "")).strip()
            if text and text[:_SAME_CHARS] not in said:  # a summary is often how the content begins
                self._add(text)
                said += text
        self._add("\n".join(entry.others))

    def _outline_item(self, attributes: Mapping[str, str]) -> None:
        """An entry of an outline: its words, then notes."""
        self._flush_feed()
        words = self._rendered(attributes.get("text") or attributes.get("title") or "")
        indent = "  " * min(self._outline, 8)
        self._outline += 1
        if words:
            self._outline_lines.append(f"{indent}- {' '.join(words.split())}")
        note = self._rendered(attributes.get("_note") or attributes.get("description") or "")
        if note and note != words:
            self._outline_lines.extend(f"{indent}  {line}" for line in note.split("\n"))
        for key in ("xmlUrl", "htmlUrl", "url"):
            self._links.add(attributes.get(key, ""), "hyperlink")
        self._characters += len(words) + len(note)

    def _add(self, paragraph: str) -> None:
        if paragraph.strip():
            self._paragraphs.append(paragraph)
            self._characters += len(paragraph)


def _html_name(name: str) -> str:
    """What an element inside a text is called when that is put together as HTML."""
    local = _local(name)
    return local if local in _HTML else "div"


def _local(name: str) -> str:
    return name.rpartition(":")[2]
