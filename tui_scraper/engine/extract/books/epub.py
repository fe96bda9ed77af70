"""EPUB 2 and 3, and Apple's iBooks: the documents of the book in reading order, each read as HTML.

The package says what the order is. Real packages are wrong in small ways (paths that differ in case,
escaped or not, a missing spine), so what is there is read as far as it can be found; a book without any
order is read in the order of its names. Tables of contents are left out: they repeat the headings. What
the package says of the book (author, subject, publisher) comes after its text, as lines that a search can
find.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Extractor, Format, Links
from tui_scraper.engine.extract.packages import Package
from tui_scraper.engine.extract.web.html import extract_html, extract_html_linear
from tui_scraper.engine.extract.xml.events import END, START, TEXT, DamagedXmlError, xml_events
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_NAME: Final = "EPUB book"
_DOCUMENT_TYPES: Final = frozenset(
    (
        "application/xhtml+xml",
        "text/html",
        "application/x-dtbook+xml",
        "text/x-oeb1-document",
        "application/xml",
    )
)
_DOCUMENT_ENDINGS: Final = (".xhtml", ".html", ".htm", ".xht")
_DECOY_FOLDERS: Final = ("meta-inf/", "__macosx/")
_FONT_SCRAMBLING: Final = frozenset(("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#rc"))
_FACTS: Final = frozenset(("title", "creator", "contributor", "subject", "description", "publisher", "date"))
_MAX_FACT_CHARS: Final = 4_000
_TAG = re.compile(r"<[^<>]*>")
_MAX_FALLBACKS: Final = 5
_EMPTY_ELEMENT = re.compile(rb"<([a-zA-Z][\w:.-]{0,40})((?:[\s][^<>]*)?)/>")
_VOID: Final = frozenset(
    (
        b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"param",
        b"source", b"track", b"wbr",
    )
)  # fmt: skip
_PREFIXES: Final = {
    "http://www.idpf.org/2007/opf": "",
    "urn:oasis:names:tc:opendocument:xmlns:container": "",
    "http://www.w3.org/2001/04/xmlenc#": "",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/elements/1.0/": "dc",
}
_CONTENTS_NAME = re.compile(r"toc|nav|content|inhalt|index|sommaire|indice", re.IGNORECASE)
_PICTURE = re.compile(rb"<(?:\w{1,20}:)?(?:img|image)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Item:
    """A file of the book, as its package describes it. `fallback` is the id of another for the same place."""

    part: str
    media_type: str
    fallback: str

    @property
    def is_document(self) -> bool:
        ending = posixpath.splitext(self.part)[1].lower()
        return self.media_type in _DOCUMENT_TYPES or ending in _DOCUMENT_ENDINGS


@dataclass(slots=True)
class _Book:
    """What the package document says of a book."""

    title: str = ""
    language: str = ""
    facts: dict[str, None] = field(default_factory=dict)
    """What it says of the book, a line each."""
    items: dict[str, _Item] = field(default_factory=dict)
    spine: list[str] = field(default_factory=list)
    contents: set[str] = field(default_factory=set)
    """The parts that are tables of contents."""


def extract_epub(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of a book, its title and language.

    Raises DocumentError: CORRUPT, ENCRYPTED, TOO_LARGE, UNSUPPORTED or NEEDS_OCR.
    """
    return _extract(data, settings, extract_html)


def extract_epub_linear(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The same without trees of elements: tables and lists become lines."""
    return _extract(data, settings, extract_html_linear)


def _extract(data: bytes, settings: CleanSettings, read_html: Extractor) -> Extracted:
    package = Package(data, _NAME)
    book = _book(package)
    chapters = _chapters(package, book)
    _refuse_encrypted(package, chapters)
    found = _read(package, chapters, settings, read_html)
    if found.text and book.facts:
        found.text = "\n\n".join([found.text, "\n".join(book.facts)])
    found.title = book.title or found.title
    found.declared_language = book.language or found.declared_language
    return found


def _read(package: Package, chapters: list[str], settings: CleanSettings, read_html: Extractor) -> Extracted:
    """The chapters one after the other. A damaged one is passed over where others can be read."""
    texts: list[str] = []
    links = Links()
    whole = Extracted()
    left = settings.max_chars
    damage: DocumentError | None = None
    has_pictures = False
    for part in chapters:
        if left <= 0:
            whole.truncated = True
            break
        try:
            markup = _as_html(package.read(part))
            found = read_html(markup, mt.HTML, settings.model_copy(update={"max_chars": left}))
        except DocumentError as error:
            if error.cause is not Cause.CORRUPT:
                raise
            damage = error
            continue
        has_pictures = has_pictures or _PICTURE.search(markup) is not None
        if found.text.strip():
            texts.append(found.text)
            left -= len(found.text) + 2
        whole.title = whole.title or found.title
        whole.truncated = whole.truncated or found.truncated
        whole.declared_language = whole.declared_language or found.declared_language
        for target, kind in found.links:
            links.add(target, kind)
    whole.text = "\n\n".join(texts)
    whole.links = links.as_list()
    whole.truncated = whole.truncated or (damage is not None and bool(texts))
    if not texts and damage is not None:
        raise damage
    if not texts and has_pictures:
        raise DocumentError(
            Cause.NEEDS_OCR, f"The {_NAME} holds pictures of pages and no text: it needs text recognition."
        )
    return whole


def _as_html(markup: bytes) -> bytes:
    """XHTML as HTML: there an element has an end tag, and `<title/>` would swallow what follows."""
    if b"/>" not in markup or b"\0" in markup[:4]:
        return markup
    return _EMPTY_ELEMENT.sub(_with_end_tag, markup)


def _with_end_tag(match: re.Match[bytes]) -> bytes:
    name, attributes = match[1], match[2]
    return match[0] if name.lower() in _VOID else b"<%s%s></%s>" % (name, attributes, name)


def _book(package: Package) -> _Book:
    """What the package document says, as far as it can be read."""
    book = _Book()
    path = _package_document(package)
    if path is None:
        return book
    base = posixpath.dirname(path)
    text: list[str] | None = None
    try:
        for kind, name, attributes in xml_events(package.read_if_there(path), _NAME, prefixes=_PREFIXES):
            if kind == TEXT:
                if text is not None:
                    text.append(name)
            elif kind == END:
                if text is not None and name.startswith("dc:"):
                    _add_fact(book, name[3:].lower(), "".join(text))
                    text = None
            elif name.startswith("dc:"):
                text = []
            elif name == "item":
                _add_item(package, book, base, attributes)
            elif name == "itemref":
                book.spine.append(attributes.get("idref", ""))
            elif name == "reference" and attributes.get("type", "").lower() == "toc":
                found = package.find(attributes.get("href", ""), base)
                if found is not None and _CONTENTS_NAME.search(posixpath.basename(found)):
                    book.contents.add(found)
    except DamagedXmlError:
        pass  # what came before the damage counts
    return book


def _add_fact(book: _Book, name: str, text: str) -> None:
    text = " ".join(_TAG.sub(" ", text[:_MAX_FACT_CHARS]).split())
    if name == "title":
        book.title = book.title or text
    elif name == "language":
        book.language = book.language or text
    if text and name in _FACTS:
        book.facts[f"{name}: {text}"] = None


def _add_item(package: Package, book: _Book, base: str, attributes: Mapping[str, str]) -> None:
    part = package.find(attributes.get("href", ""), base)
    if part is None:
        return
    media_type = attributes.get("media-type", "").strip().lower()
    book.items[attributes.get("id", "")] = _Item(part, media_type, attributes.get("fallback", ""))
    if "nav" in attributes.get("properties", "").split():
        book.contents.add(part)


def _package_document(package: Package) -> str | None:
    """The part that describes the book: the one that the container names, else the first of its kind."""
    try:
        for kind, name, attributes in xml_events(
            package.read_if_there("META-INF/container.xml"), _NAME, prefixes=_PREFIXES
        ):
            if kind == START and name == "rootfile":
                found = package.find(attributes.get("full-path", ""))
                if found is not None and found.lower().endswith(".opf"):
                    return found
    except DamagedXmlError:
        pass
    return min((name for name in package.names if name.lower().endswith(".opf")), default=None)


def _chapters(package: Package, book: _Book) -> list[str]:
    """The parts with the text of the book in reading order, each once."""
    chosen: dict[str, None] = {}
    for identity in book.spine:
        item = book.items.get(identity)
        for _ in range(_MAX_FALLBACKS):
            if item is None or item.is_document:
                break
            item = book.items.get(item.fallback)
        if item is not None and item.is_document:
            chosen[item.part] = None
    if not chosen:
        chosen = {item.part: None for item in book.items.values() if item.is_document}
    if not chosen:
        chosen = {name: None for name in sorted(package.names) if _is_loose_document(name)}
    return [part for part in chosen if part not in book.contents] or list(chosen)


def _is_loose_document(name: str) -> bool:
    return name.lower().endswith(_DOCUMENT_ENDINGS) and not name.lower().startswith(_DECOY_FOLDERS)


def _refuse_encrypted(package: Package, chapters: list[str]) -> None:
    """Raise DocumentError (ENCRYPTED) where the text is. Scrambled fonts do not count."""
    listed = package.read_if_there("META-INF/encryption.xml")
    if not listed:
        return
    algorithm = ""
    locked: set[str | None] = set()
    try:
        for kind, name, attributes in xml_events(listed, _NAME, prefixes=_PREFIXES):
            if kind != START:
                continue
            if name == "EncryptedData":
                algorithm = ""
            elif name == "EncryptionMethod":
                algorithm = algorithm or attributes.get("Algorithm", "").lower()
            elif name == "CipherReference" and algorithm not in _FONT_SCRAMBLING:
                locked.add(package.find(attributes.get("URI", "")))
    except DamagedXmlError:
        pass
    if locked.intersection(chapters):
        raise DocumentError(
            Cause.ENCRYPTED, f"The {_NAME} is encrypted by digital rights management and cannot be read here."
        )


FORMATS = (
    Format(
        "EPUB",
        (mt.EPUB, mt.IBOOKS),
        extract_epub,
        fallback=extract_epub_linear,
        modules=("selectolax.lexbor",),
    ),
)
