"""OpenDocument: texts, spreadsheets, presentations and drawings, packed or as one flat XML file.

The predecessor formats of OpenOffice.org 1 differ in a few names only and are read, too. What kind of
document it is, its body says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Prose
from tui_scraper.engine.extract.opendocument.sheets import SheetWriter
from tui_scraper.engine.extract.opendocument.text import PREFIXES, Writer
from tui_scraper.engine.extract.packages import Package
from tui_scraper.engine.extract.web.html import render
from tui_scraper.engine.extract.xml.events import START, Event, xml_events
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_NAME: Final = "OpenDocument file"
_BODIES: Final = frozenset(
    ("office:text", "office:spreadsheet", "office:presentation", "office:drawing", "office:chart")
)
_ZIP = b"PK"
_ENCRYPTED_PARTS: Final = ("content.xml", "encrypted-package")
_HEAD_BYTES: Final = 4_096


def extract_odf(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an OpenDocument file with its structure, its title and language.

    Raises DocumentError: CORRUPT, ENCRYPTED, TOO_LARGE, UNSUPPORTED or NEEDS_OCR.
    """
    if data.startswith(_ZIP):
        return _Document(Package(data, _NAME), settings).read()
    if b"<" not in data[:_HEAD_BYTES]:
        raise DocumentError(Cause.CORRUPT, f"The {_NAME} is damaged: it is neither a package nor XML.")
    return _read_body(xml_events(data, _NAME, prefixes=PREFIXES), Writer(settings.max_chars), settings)


class _Document:
    """A packed document."""

    def __init__(self, package: Package, settings: CleanSettings) -> None:
        self._package = package
        self._settings = settings
        self._objects_read: set[str] = set()

    def read(self) -> Extracted:
        content = self._package.find("content.xml")
        self._refuse_encrypted(has_content=content is not None)
        if content is None:
            raise self._package.damaged("its content is missing")
        writer = Writer(self._settings.max_chars, self._formula)
        for part in ("meta.xml", "styles.xml"):
            _write_if_sound(writer, self._package.read_if_there(part))
        found = _read_body(
            xml_events(self._package.open(content), _NAME, prefixes=PREFIXES), writer, self._settings
        )
        found.title = writer.title or found.title
        return found

    def _refuse_encrypted(self, *, has_content: bool) -> None:
        """Raise DocumentError (ENCRYPTED) where the manifest says that the content is."""
        manifest = self._package.read_if_there("META-INF/manifest.xml")
        if b"encryption-data" not in manifest:
            return
        path = ""
        try:
            for kind, value, attributes in xml_events(manifest, _NAME, prefixes=PREFIXES):
                if kind == START and value == "manifest:file-entry":
                    path = attributes.get("manifest:full-path", "")
                elif value != "manifest:encryption-data":
                    continue
                elif path in _ENCRYPTED_PARTS or not has_content:
                    raise DocumentError(Cause.ENCRYPTED, f"The {_NAME} is encrypted: it needs a password.")
        except DocumentError as error:
            if error.cause is not Cause.CORRUPT:
                raise

    def _formula(self, reference: str) -> Iterator[Event]:
        """The events of an embedded formula; none of any other object."""
        part = self._package.find(f"{reference}/content.xml")
        if part is None or part in self._objects_read:
            return
        self._objects_read.add(part)
        try:
            for number, event in enumerate(xml_events(self._package.open(part), _NAME, prefixes=PREFIXES)):
                if number == 0 and event[1] not in ("math:math", "math"):
                    return
                yield event
        except DocumentError as error:
            if error.cause is not Cause.CORRUPT:
                raise


def _write_if_sound(writer: Writer, part: bytes) -> None:
    """Take what a part that a document can do without has to say, up to where it is damaged."""
    try:
        writer.write(xml_events(part, _NAME, prefixes=PREFIXES))
    except DocumentError as error:
        if error.cause is not Cause.CORRUPT:
            raise
    writer.drop_open()


def _read_body(events: Iterator[Event], writer: Writer, settings: CleanSettings) -> Extracted:
    """The text of the document whose styles come first in the events. Damage after some text cuts it."""
    sheets = SheetWriter(settings.max_chars)
    kinds: list[str] = []
    damage: DocumentError | None = None
    try:
        writer.write(_until_body(events, kinds))
        (sheets if "office:spreadsheet" in kinds else writer).write(events)
    except DocumentError as error:
        if error.cause is not Cause.CORRUPT:
            raise
        damage = error
    if "office:spreadsheet" in kinds:
        found = _sheets(sheets, writer, settings)
    else:
        found = render(writer.markup(), trusted=True, max_chars=settings.max_chars)
        found.truncated = found.truncated or writer.is_full
    if not found.text.strip():
        if damage is not None:
            raise damage
        if not kinds:
            raise DocumentError(Cause.CORRUPT, f"The {_NAME} is damaged: it has no body.")
        if writer.has_pictures:
            raise DocumentError(
                Cause.NEEDS_OCR, f"The {_NAME} holds pictures and no text: it needs text recognition."
            )
    found.truncated = found.truncated or damage is not None
    found.title = writer.title or found.title
    found.declared_language = writer.language
    return found


def _until_body(events: Iterator[Event], kinds: list[str]) -> Iterator[Event]:
    """The events before those of the body. Puts into `kinds` what the body is."""
    old_kind = ""
    for event in events:
        kind, name, attributes = event
        if kind == START:
            if name in _BODIES:
                kinds.append(name)
                return
            old_kind = attributes.get("office:class", old_kind)
            if name == "office:body" and old_kind:
                kinds.append(f"office:{old_kind}")
                return
            if name == "math:math":
                kinds.append(name)
        yield event


def _sheets(sheets: SheetWriter, writer: Writer, settings: CleanSettings) -> Extracted:
    margins = render(writer.margins(), trusted=True, max_chars=settings.max_chars).text
    text = "\n\n".join(filter(None, [sheets.text(), margins]))
    return Extracted(text=text, truncated=sheets.is_cut, prose=Prose.DATA)


FORMATS = (Format("OpenDocument and OpenOffice.org", tuple(sorted(mt.OPEN_DOCUMENT)), extract_odf),)
