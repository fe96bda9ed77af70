"""XML of a kind nobody told us about: its text in order, and what reads like a record as `name: value` lines.

An element with text of its own is a paragraph, whatever is inside it. One with nothing but text is a line
with its name, among the lines of its neighbours. One with nothing but elements is a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from tui_scraper.engine.extract.base import Links
from tui_scraper.engine.extract.web.html import fragment_text
from tui_scraper.engine.extract.xml.events import END, START, TEXT, Event

_MAX_FRAMES: Final = 100
"""Levels that are told apart; what is deeper belongs to the text of the last one."""
_LONG_VALUE: Final = 120
_UNNAMED: Final = frozenset(
    {
        "p", "para", "paragraph", "line", "l", "text", "title", "head", "heading", "li", "item", "span",
        "string", "value", "s", "seg", "v", "w", "speech",
    }
)  # fmt: skip
_SILENT_ATTRIBUTES: Final = ("xmlns", "xml:space", "xml:base", "xml:id", "xsi:")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
_BASE64_SAMPLE: Final = 400
_BASE64_LINES: Final = 10  # of that sample: more of them are words
_MARKUP = re.compile(
    r"</(?:p|div|li|a|b|i|strong|em|h[1-6]|span|td|font)>|<(?:br|p|img)\b[^<>]{0,300}>", re.IGNORECASE
)
_URL = re.compile(r"(?:https?|ftp)://[^\s<>\"]{3,2000}$")


class _Frame:
    """An element that is open. `items` are its children so far: (name, attributes, text)."""

    __slots__ = ("attributes", "items", "name", "pieces", "said")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.pieces: list[str] = []
        self.items: list[tuple[str, str, str]] | None = None  # None: it has no elements yet
        self.said = False  # its attributes stand in the text already


class DataReader:
    """Reads events into paragraphs."""

    def __init__(self, max_chars: int) -> None:
        self.links = Links()
        self.paragraphs: list[str] = []
        self.title = ""
        self._max_chars = max_chars
        self._characters = 0
        self._frames: list[_Frame] = []
        self._inline = 0  # open elements inside running text
        self._key = ""  # of a property list: the name of the next value

    @property
    def is_full(self) -> bool:
        """Whether enough was read."""
        return self._characters > self._max_chars

    def read(self, events: Iterable[Event]) -> None:
        """Read a whole document, or as much of it as is wanted."""
        for kind, value, attributes in events:
            if kind == TEXT:
                if self._frames:
                    self._text(value)
            elif kind == START:
                self._start(value, attributes)
            elif kind == END:
                self._end()
            if self.is_full:
                break
        while self._frames:
            self._inline = 0
            self._end()

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        top = self._frames[-1] if self._frames else None
        if top is not None and (self._inline or top.pieces or len(self._frames) >= _MAX_FRAMES):
            self._inline += 1
            self._note_links(attributes)
            top.pieces.append(" ")
            return
        if top is not None and top.items is None:
            top.items = []
        self._frames.append(_Frame(name, attributes))

    def _text(self, text: str) -> None:
        frame = self._frames[-1]
        if frame.pieces or text.strip():
            if frame.items:  # text after elements: they were words of a sentence
                frame.pieces.extend(f"{value} " for _name, _attributes, value in frame.items)
                frame.items = []
            frame.pieces.append(text)

    def _end(self) -> None:
        if self._inline:
            self._inline -= 1
            self._frames[-1].pieces.append(" ")
            return
        if not self._frames:
            return
        frame = self._frames.pop()
        attributes = "" if frame.said else self._attributes(frame.attributes)
        name = frame.name.rpartition(":")[2]
        if frame.items is not None and not frame.pieces:
            self._flush_all()
            if attributes:
                self._emit(f"{name}: {attributes}\n" + "\n".join(self._lines(frame.items)))
            else:
                self._emit("\n".join(self._lines(frame.items)))
            return
        text = self._value("".join(frame.pieces))
        if not text and not attributes:
            return
        if _URL.match(text):
            self.links.add(text, "hyperlink")
        if name == "title" and not self.title:
            self.title = text
        if not self._frames:
            self._emit("\n".join(self._lines([(name, attributes, text)])))
        elif frame.items is not None:  # running text with elements in it: a paragraph
            self._flush_all()
            self._emit(text)
        else:
            parent = self._frames[-1]
            if parent.pieces:
                parent.pieces.append(text)
            elif parent.items is not None:
                parent.items.append((name, attributes, text))
            self._characters += len(text) + len(name) + 2

    def _flush_all(self) -> None:
        """Give out what open elements hold, so that the order stays that of the document."""
        for frame in self._frames:
            attributes = "" if frame.said else self._attributes(frame.attributes)
            frame.said = True
            lines = [f"{frame.name.rpartition(':')[2]}: {attributes}"] if attributes else []
            lines.extend(self._lines(frame.items or ()))
            if frame.items:
                frame.items = []
            if frame.pieces:
                lines.append(self._value("".join(frame.pieces)))
                frame.pieces = []
            self._emit("\n".join(lines))

    def _lines(self, items: Iterable[tuple[str, str, str]]) -> Iterable[str]:
        for name, attributes, text in items:
            if name == "key" and not attributes and text:
                self._key = text
                continue
            label, self._key = self._key or name, ""
            about = f" ({attributes})" if attributes and text else f" {attributes}" if attributes else ""
            is_prose = len(text) > _LONG_VALUE or (name in _UNNAMED and label == name)
            if is_prose and not attributes:
                yield f"{text}\n" if len(text) > _LONG_VALUE else text
            elif text:
                yield f"{label}{about}: {text}"
            else:
                yield f"{label}:{about}"

    def _emit(self, paragraph: str) -> None:
        paragraph = paragraph.strip("\n")
        if paragraph:
            self.paragraphs.append(paragraph)
            self._characters += len(paragraph) // 8  # most of it is counted already

    def _attributes(self, attributes: Mapping[str, str]) -> str:
        kept = []
        for name, written in attributes.items():
            value = " ".join(written.split())
            if not value or name.startswith(_SILENT_ATTRIBUTES) or len(value) > 2_000:
                continue
            self._note_links({name: value})
            kept.append(f"{name.rpartition(':')[2]}={value}")
        shown = ", ".join(kept)
        self._characters += len(shown)
        return shown

    def _note_links(self, attributes: Mapping[str, str]) -> None:
        for value in attributes.values():
            if value.startswith(("http:", "https:", "ftp:")) and _URL.match(value):
                self.links.add(value, "hyperlink")

    def _value(self, text: str) -> str:
        text = text.strip()
        if len(text) > _BASE64_SAMPLE:
            sample = text[:_BASE64_SAMPLE]
            if _BASE64.fullmatch(sample) and len(sample.split()) <= _BASE64_LINES:
                return ""  # a file in an element
        if "<" in text and _MARKUP.search(text):
            return fragment_text(text, self._max_chars)
        return " ".join(text.split())
