"""XML documents: feeds, documents, old Office files, drawings, pages and data, by their root element.

What is not well-formed is read once more by rules that forgive everything, so that a document with one bad
ampersand still gives its text. Only a document that attacks its reader is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Prose
from tui_scraper.engine.extract.markup.structure import Structure
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.extract.web.html import extract_html, extract_html_linear
from tui_scraper.engine.extract.xml.data import DataReader
from tui_scraper.engine.extract.xml.events import (
    MAX_XML_ELEMENTS,
    START,
    TEXT,
    DamagedXmlError,
    Event,
    xml_events,
)
from tui_scraper.engine.extract.xml.feeds import ROOTS as FEED_ROOTS
from tui_scraper.engine.extract.xml.feeds import FeedReader
from tui_scraper.engine.extract.xml.loose import loose_xml_events
from tui_scraper.engine.extract.xml.office import (
    PREFIXES,
    WORD_ROOTS,
    WORKBOOK_ROOTS,
    WordReader,
    WorkbookReader,
)
from tui_scraper.engine.extract.xml.prose import ROOTS as PROSE_ROOTS
from tui_scraper.engine.extract.xml.prose import ProseReader
from tui_scraper.engine.settings import CleanSettings

_NAME: Final = "XML document"
_SVG_TEXTS: Final = frozenset(("title", "desc", "text", "svg:title", "svg:desc", "svg:text"))
_LANGUAGE_KEYS: Final = ("xml:lang", "lang")


def extract_xml(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an XML document of any kind."""
    try:
        # Depth is no danger to readers that do not recurse; they flatten what is deep themselves.
        events = xml_events(data, _NAME, prefixes=PREFIXES, max_depth=MAX_XML_ELEMENTS)
        return _read(events, data, settings)
    except DamagedXmlError:
        return _read(loose_xml_events(data), data, settings)


def extract_xml_loosely(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an XML document by the rules that forgive everything."""
    return _read(loose_xml_events(data), data, settings)


def extract_svg(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The words in a drawing."""
    try:
        return _svg(xml_events(data, "SVG drawing", max_depth=MAX_XML_ELEMENTS), settings)
    except DamagedXmlError:
        return _svg(loose_xml_events(data), settings)


def _read(events: Iterable[Event], data: bytes, settings: CleanSettings) -> Extracted:
    stream = iter(events)
    before: list[Event] = []
    root, attributes = "", _NOTHING
    for event in stream:
        before.append(event)
        if event[0] == START:
            root, attributes = event[1], event[2]
            break
    if not root:
        return extract_plain(data, mt.XML, settings)
    found = _reader(root, attributes)(chain(before, stream), data, settings)
    found.declared_language = next((attributes[key] for key in _LANGUAGE_KEYS if attributes.get(key)), "")
    return found


_NOTHING: Mapping[str, str] = {}
_Reader = Callable[[Iterator[Event], bytes, CleanSettings], Extracted]


def _reader(root: str, attributes: Mapping[str, str]) -> _Reader:
    local = root.rpartition(":")[2]
    if root in WORKBOOK_ROOTS:
        return lambda events, _data, settings: WorkbookReader(settings.max_chars).read(events)
    if root in WORD_ROOTS:
        return _word
    if root in FEED_ROOTS:
        return lambda events, _data, settings: FeedReader(settings.max_chars).read(events)
    if local.lower() == "html":
        return _html
    if local == "svg":
        return lambda events, _data, settings: _svg(events, settings)
    if local in PROSE_ROOTS:
        return _prose
    return _data


def _word(events: Iterator[Event], data: bytes, settings: CleanSettings) -> Extracted:
    structure = Structure(settings.max_chars)
    WordReader(structure).read(events)
    return structure.extracted()


def _html(events: Iterator[Event], data: bytes, settings: CleanSettings) -> Extracted:
    return extract_html(data, mt.HTML, settings)


def _prose(events: Iterator[Event], data: bytes, settings: CleanSettings) -> Extracted:
    structure = Structure(settings.max_chars)
    ProseReader(structure).read(events)
    return structure.extracted()


def _data(events: Iterator[Event], data: bytes, settings: CleanSettings) -> Extracted:
    reader = DataReader(settings.max_chars)
    reader.read(events)
    return Extracted(
        text="\n\n".join(reader.paragraphs),
        title=reader.title or None,
        links=reader.links.as_list(),
        truncated=reader.is_full,
        prose=Prose.DATA,
    )


def _svg(events: Iterable[Event], settings: CleanSettings) -> Extracted:
    """Titles, descriptions and labels; a label a line, whatever it is made of."""
    lines: list[str] = []
    pieces: list[str] = []
    open_texts = characters = 0
    title = ""
    for kind, value, _attributes in events:
        if kind == TEXT:
            if open_texts:
                pieces.append(value)
            continue
        if value not in _SVG_TEXTS:
            if value.endswith("tspan"):
                pieces.append(" ")
            continue
        open_texts += 1 if kind == START else -1
        if open_texts <= 0:
            open_texts = 0
            words = " ".join("".join(pieces).split())
            pieces = []
            if words and words not in lines[-1:]:
                lines.append(words)
                characters += len(words)
                if value.endswith("title"):
                    title = title or words
        if characters > settings.max_chars:
            break
    return Extracted(text="\n".join(lines), title=title or None, prose=Prose.DATA)


FORMATS = (
    Format("XML", (mt.XML,), extract_xml, fallback=extract_xml_loosely, modules=("selectolax.lexbor",)),
    Format("drawings (SVG)", (mt.SVG,), extract_svg, fallback=extract_html_linear),
)
