"""XML from strangers as a flat stream of events, for every format that is made of it.

No tree is built and nothing recurses, so that neither depth nor size costs more than reading. Nothing
outside the document is ever opened, and what a document's own DTD declares is never put into its text: a
named entity is looked up in the table of HTML, where people take `&nbsp;` from, or left out. Expat is fed
a piece of the input at a time, and the reader of a format may stop taking events at any point.

What real files get wrong without being unreadable is put right here: white space before the declaration,
control characters, an encoding that expat does not know or that the bytes contradict, prefixes that
nobody declared. The rest is `DamagedXmlError`, raised after the events up to the damage, so that a reader
may keep the text it already has.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Mapping
from html.entities import html5
from typing import Final, Protocol
from xml.parsers import expat

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.decoding import declared_charset, decode
from tui_scraper.engine.extract.limits import MAX_ENTRY_BYTES
from tui_scraper.engine.models import Cause

START: Final = "start"
END: Final = "end"
TEXT: Final = "text"

Event = tuple[str, str, Mapping[str, str]]
"""(START, name, attributes), (END, name, {}) or (TEXT, characters, {}); a run of text may come in pieces."""

MAX_XML_DEPTH: Final = 100
MAX_XML_ELEMENTS: Final = 5_000_000
MAX_XML_NAMES: Final = 100_000
"""Different names of elements and attributes; expat and Python keep each of them."""

_PIECE_BYTES: Final = 65_536
_SPACE = b" \t\r\n"
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r")
_WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # those of UTF-32 begin with one or have a NUL
_LIMITS_EXPANSION = expat.version_info >= (2, 4, 1)  # of entities in attributes: in text there is none
_NOTHING: Mapping[str, str] = {}


class Readable(Protocol):
    """What a document can be read from, besides bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes more, none at the end."""


class DamagedXmlError(DocumentError):
    """The document stops being XML. The events before that point have been given."""


def xml_events(
    source: bytes | Readable,
    name: str,
    *,
    prefixes: Mapping[str, str] | None = None,
    max_depth: int = MAX_XML_DEPTH,
) -> Iterator[Event]:
    """The events of one XML document.

    `name` is what people call the format, for errors. `prefixes` maps namespaces to the prefixes that
    the names in events shall have, '' for none, whichever the document chose; names in other namespaces,
    or in none, are as they are written. Declarations of namespaces are among the attributes. Bytes are
    read in whatever encoding they turn out to have; a stream is believed, as are the parts of a package.

    Raises DamagedXmlError (CORRUPT) where the document stops being well-formed, DocumentError (TOO_LARGE)
    where it is deeper or larger than the limits, and whatever reading `source` raises.
    """
    if isinstance(source, bytes):
        stream: Readable = io.BytesIO(_as_utf8(source))
        parser = _Parser(name, prefixes or {}, max_depth, "utf-8")
    else:
        stream = source
        parser = _Parser(name, prefixes or {}, max_depth)
    size, piece_bytes = 0, _PIECE_BYTES
    while piece := stream.read(piece_bytes):
        if size == 0:
            parser.is_wide = piece.startswith(_WIDE_BOMS) or b"\0" in piece[:4]
            if not parser.is_wide:
                piece = piece.removeprefix(codecs.BOM_UTF8).lstrip(_SPACE)
        size += len(piece)
        if size > MAX_ENTRY_BYTES:
            raise parser.too_large()
        events = parser.feed(piece)
        yield from events
        if parser.failure is not None:
            raise parser.failure
        # Expat scans an unfinished token again with each piece: in quadratic time, were they all small.
        piece_bytes = _PIECE_BYTES if events else piece_bytes * 2
    yield from parser.feed(b"", last=True)
    if parser.failure is not None:
        raise parser.failure


def _as_utf8(data: bytes) -> bytes:
    if not data.startswith(_WIDE_BOMS) and b"\0" not in data[:4]:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return data
    return decode(data, declared_charset(data)).encode("utf-8", "replace")


class _Parser:
    """Expat with its handlers. `failure` is what ended the events."""

    def __init__(
        self, name: str, prefixes: Mapping[str, str], max_depth: int, encoding: str | None = None
    ) -> None:
        self.failure: DocumentError | None = None
        self.is_wide = False
        self._name = name
        self._names = _Names(prefixes)
        self._events: list[Event] = []
        self._elements = self._depth = 0
        self._max_depth = max_depth
        self._expat = expat.ParserCreate(encoding)  # overrides what the document declares
        self._expat.buffer_text = True
        self._expat.specified_attributes = True  # defaults that a DTD gives would multiply
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._text
        self._expat.DefaultHandler = _ignore  # with it, no entity is expanded in text
        self._expat.SkippedEntityHandler = self._skipped_entity
        self._expat.EntityDeclHandler = self._declared_entity
        # An empty DTD stands for every external one, and is there where none is declared: an unknown
        # entity is then skipped, and no error.
        self._expat.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
        self._expat.UseForeignDTD(True)
        self._expat.ExternalEntityRefHandler = self._external_entity

    def feed(self, piece: bytes, *, last: bool = False) -> list[Event]:
        """The events of the next piece. Sets `failure` where it holds no more of them."""
        try:
            self._expat.Parse(piece if self.is_wide else piece.translate(None, _CONTROLS), last)
        except (expat.ExpatError, ValueError, LookupError):  # the latter two: an encoding it cannot read
            self._expat.buffer_text = False  # gives what is in the buffer
            self.failure = DamagedXmlError(
                Cause.CORRUPT, f"The {self._name} is damaged: it holds XML that is not well-formed."
            )
        except DocumentError as error:
            self.failure = error
        if len(self._expat.intern) > MAX_XML_NAMES:
            self.failure = self.too_large()
        events, self._events = self._events, []
        return events

    def too_large(self) -> DocumentError:
        """The error of a document beyond the limits."""
        return DocumentError(Cause.TOO_LARGE, f"The {self._name} holds more XML than this program takes on.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if self._elements > MAX_XML_ELEMENTS:
            raise self.too_large()
        if self._depth > self._max_depth:
            raise DocumentError(
                Cause.TOO_LARGE, f"The {self._name} nests elements more than {self._max_depth} levels deep."
            )
        for key in attributes:
            if key.startswith("xmlns"):
                self._names.declare(attributes, self._depth)
                break
        if self._names.differ:
            name = self._names.element(name)
            attributes = {self._names.attribute(key): value for key, value in attributes.items()}
        self._events.append((START, name, attributes))

    def _end(self, name: str) -> None:
        if self._names.differ:
            name = self._names.element(name)
        self._names.forget(self._depth)
        self._depth -= 1
        self._events.append((END, name, _NOTHING))

    def _text(self, text: str) -> None:
        self._events.append((TEXT, text, _NOTHING))

    def _skipped_entity(self, name: str, is_parameter: bool) -> None:
        character = "" if is_parameter else html5.get(f"{name};", "")
        if character:
            self._events.append((TEXT, character, _NOTHING))

    def _declared_entity(self, name: str, is_parameter: bool, value: str | None, *_where: object) -> None:
        if value is None:
            return
        if "%" in value if is_parameter else "&" in value and not _LIMITS_EXPANSION:
            raise DocumentError(
                Cause.TOO_LARGE, f"The {self._name} declares entities that expand into one another."
            )

    def _external_entity(self, context: str | None, *_where: object) -> int:
        self._expat.ExternalEntityParserCreate(context).Parse(b"", True)
        return 1


def _ignore(_markup: str) -> None:
    pass


class _Names:
    """The names of elements and attributes, with the prefixes that the reader of the format knows.

    `differ` is False as long as the document's own prefixes are those: nothing needs to be looked up then.
    """

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        self.differ = False
        self._wanted = prefixes
        self._bound: dict[str, str] = {}  # prefix in the document -> prefix wanted, where they differ
        self._undo: list[tuple[int, str, str | None]] = []  # depth, prefix, what it was bound to before
        self._elements: dict[str, str] = {}
        self._attributes: dict[str, str] = {}

    def declare(self, attributes: Mapping[str, str], depth: int) -> None:
        """Bind the prefixes that an element at this depth declares."""
        for key, namespace in attributes.items():
            if key != "xmlns" and not key.startswith("xmlns:"):
                continue
            prefix = key[6:]
            wanted = self._wanted.get(namespace, prefix)
            before = self._bound.get(prefix)
            if wanted != (prefix if before is None else before):
                self._undo.append((depth, prefix, before))
                self._bind(prefix, wanted)

    def forget(self, depth: int) -> None:
        """Unbind what the element at this depth has declared."""
        while self._undo and self._undo[-1][0] == depth:
            _depth, prefix, before = self._undo.pop()
            self._bind(prefix, before)

    def element(self, name: str) -> str:
        """The name of an element. One without a prefix is in the default namespace."""
        known = self._elements.get(name)
        if known is None:
            known = self._elements[name] = self._resolve(name)
        return known

    def attribute(self, name: str) -> str:
        """The name of an attribute. One without a prefix is in no namespace."""
        if ":" not in name:
            return name
        known = self._attributes.get(name)
        if known is None:
            known = self._attributes[name] = self._resolve(name)
        return known

    def _bind(self, prefix: str, wanted: str | None) -> None:
        if wanted is None or wanted == prefix:
            self._bound.pop(prefix, None)
        else:
            self._bound[prefix] = wanted
        self.differ = bool(self._bound)
        self._elements.clear()
        self._attributes.clear()

    def _resolve(self, name: str) -> str:
        prefix, _colon, local = name.rpartition(":")
        wanted = self._bound.get(prefix, prefix)
        return f"{wanted}:{local}" if wanted else local
