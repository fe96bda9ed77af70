"""FictionBook 2: a book as one XML file, often alone in a zip.

Said in HTML to the renderer that all formats share. What the description says of the book (author, genre,
publisher) comes after its text, as lines that a search can find; pictures and fonts are left out. Books
are written by hand and by tools that escape nothing: one that is no XML any more is read once again
without asking for more than tags.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import declared_charset, decode
from tui_scraper.engine.extract.packages import Package
from tui_scraper.engine.extract.web.html import render
from tui_scraper.engine.extract.xml.events import END, START, TEXT, DamagedXmlError, Event, xml_events
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_NAME: Final = "FictionBook"
_PREFIXES: Final = {
    "http://www.gribuser.ru/xml/fictionbook/2.0": "",
    "http://www.gribuser.ru/xml/fictionbook/2.1": "",
    "http://www.w3.org/1999/xlink": "xlink",
}
_SKIPPED: Final = frozenset(("binary", "stylesheet", "custom-info", "output", "coverpage", "id", "version"))
_FACTS: Final = frozenset(("title-info", "src-title-info", "document-info", "publish-info"))
_NO_FACTS: Final = frozenset(("annotation", "history"))
_PARAGRAPHS: Final = frozenset(("p", "text-author", "date", "stanza"))
_TABLES: Final = frozenset(("table", "tr", "td", "th"))
_NOTES: Final = frozenset(("notes", "comments", "footnotes"))
_MAX_LEVEL: Final = 6
_LOOSE_TAG = re.compile(r"<(/?)(title|subtitle|stanza|v)\b")
_LOOSE_NAMES: Final = {"title": "h2", "subtitle": "h3", "stanza": "p", "v": "p"}
_ROOT = re.compile(rb"<(?:\w{1,20}:)?FictionBook[\s>]")
_HEAD_BYTES: Final = 4_096


def extract_fb2(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of a book with its headings, verses, tables and notes.

    Raises DocumentError: CORRUPT, or TOO_LARGE.
    """
    if _ROOT.search(data[:_HEAD_BYTES].replace(b"\0", b"")) is None:
        raise DocumentError(Cause.CORRUPT, f"The {_NAME} is damaged: it does not begin as one.")
    book = _Book(settings.max_chars)
    try:
        book.write(xml_events(data, _NAME, prefixes=_PREFIXES))
    except DamagedXmlError:
        found = _loosely(data, settings)
        found.title = book.title or found.title
        book.facts.clear()  # they are in the text then
    else:
        found = render(book.markup(), trusted=True, max_chars=settings.max_chars)
        found.title = book.title or found.title
        found.truncated = found.truncated or book.is_full
    if not found.text.strip() and b"<binary" in data:
        raise DocumentError(
            Cause.NEEDS_OCR, f"The {_NAME} holds pictures of pages and no text: it needs text recognition."
        )
    if found.text.strip() and book.facts:
        found.text = "\n\n".join([found.text, "\n".join(book.facts)])
    found.declared_language = book.language
    return found


def extract_fb2_zip(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The same for a book in a zip. Raises UNSUPPORTED and ENCRYPTED, too."""
    package = Package(data, _NAME)
    for name in package.names:
        if name.lower().endswith(".fb2"):
            return extract_fb2(package.read(name), media_type, settings)
    raise package.damaged("there is no book in its package")


def _loosely(data: bytes, settings: CleanSettings) -> Extracted:
    head, *parts = decode(data, declared_charset(data)).split("<binary")
    markup = head + "".join(part.partition("</binary>")[2] for part in parts)
    markup = _LOOSE_TAG.sub(lambda match: f"<{match[1]}{_LOOSE_NAMES[match[2]]}", markup)
    return render(markup, trusted=False, max_chars=settings.max_chars)


class _Book:
    """Turns the events of a book into HTML."""

    def __init__(self, max_chars: int) -> None:
        self.title = ""
        self.language = ""
        self.facts: dict[str, None] = {}  # what the description says, a line each
        self._left = max_chars
        self._pieces: list[str] = []
        self._path: list[str] = []
        self._skipped = 0
        self._level = 0
        self._in_heading = False
        self._in_notes = False
        self._is_led = False  # a paragraph is begun with the number of its note
        self._lead_at = 0
        self._fact: list[str] | None = None

    @property
    def is_full(self) -> bool:
        """Whether as much text as is kept of one document was collected."""
        return self._left < 0

    def markup(self) -> str:
        """What was collected."""
        return "".join(self._pieces)

    def write(self, events: Iterable[Event]) -> None:
        """Take the events of the book, until there is enough."""
        for kind, value, attributes in events:
            if self._skipped:
                self._skipped += {START: 1, END: -1}.get(kind, 0)
            elif kind == TEXT:
                self._text(value)
            elif kind == END:
                self._path.pop()
                self._end(value)
            elif value in _SKIPPED:
                self._skipped = 1
            else:
                self._start(value, attributes)
                self._path.append(value)
            if self._left < 0:
                break

    def _text(self, text: str) -> None:
        if self._fact is not None:
            self._fact.append(text)
        else:
            self._pieces.append(html.escape(text, quote=False))
            self._left -= len(text)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        parent = self._path[-1] if self._path else ""
        if parent in _FACTS and name not in _NO_FACTS:
            self._fact = []
        elif self._fact is not None:
            self._fact.append(" ")
        elif name == "title" and self._in_notes and self._level > 1:
            self._in_heading = self._is_led = True
            self._lead_at = len(self._pieces)
        elif name in ("title", "subtitle"):
            level = self._level + (name == "subtitle")
            self._in_heading = True
            self._pieces.append(f"<h{min(max(level, 1), _MAX_LEVEL)}>")
        elif name in ("section", "body"):
            self._level += 1
            if name == "body":
                self._in_notes = attributes.get("name", "") in _NOTES
        elif name == "v" or (self._in_heading and name == "p"):
            self._pieces.append(" ")
        elif name in _PARAGRAPHS:
            self._pieces.append("" if self._is_led else "<p>")
            self._is_led = False
        elif name in _TABLES:
            self._pieces.append(f"<{name}>")
        elif name == "a":
            target = attributes.get("xlink:href") or attributes.get("l:href") or attributes.get("href", "")
            self._pieces.append(f'<a href="{html.escape(target)}">' if target else "<a>")
        elif name == "image":
            self._pieces.append(f" {html.escape(attributes.get('alt', ''), quote=False)} ")

    def _end(self, name: str) -> None:
        parent = self._path[-1] if self._path else ""
        if self._fact is not None:
            if parent in _FACTS:
                self._end_fact(name)
        elif name in ("title", "subtitle"):
            self._in_heading = False
            if self._is_led:
                number = " ".join("".join(self._pieces[self._lead_at :]).split())
                self._pieces[self._lead_at :] = [f"<p>[{number}] "]
            else:
                self._pieces.append("</h1>")
        elif name in ("section", "body"):
            self._level -= 1
        elif name == "v":
            self._pieces.append("<br>")
        elif name in _PARAGRAPHS and not self._in_heading:
            self._pieces.append("</p>")
        elif name in _TABLES:
            self._pieces.append(f"</{name}>")
        elif name == "a":
            self._pieces.append("</a>")

    def _end_fact(self, name: str) -> None:
        text = " ".join("".join(self._fact or ()).split())
        self._fact = None
        if name == "book-title":
            self.title = self.title or text
        elif name == "lang":
            self.language = self.language or text
        if text:
            self.facts[f"{name.replace('-', ' ')}: {text}"] = None


FORMATS = (
    Format("FictionBook", (mt.FB2,), extract_fb2),
    Format("FictionBook in a zip", (mt.FB2_ZIP,), extract_fb2_zip),
)
