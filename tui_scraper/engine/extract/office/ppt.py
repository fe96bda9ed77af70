"""PowerPoint presentations of the years before 2007 (.ppt): slides in order, each under its title.

The stream is a tree of records, saved piece by piece: a chain of edits tells where the newest version of
each slide lies. A slide's titles and texts stand in an outline that the shapes on the slide refer to; its
other texts stand in the shapes themselves. Where the chain is broken, the slides are read as they lie in
the stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Extracted, Links
from tui_scraper.engine.extract.office.blocks import Blocks, FullError, one_paragraph
from tui_scraper.engine.extract.office.ole import CompoundFile, DamagedFileError
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

NAME: Final = "PowerPoint presentation"

_DOCUMENT, _SLIDE, _SLIDE_ATOM, _NOTES, _MASTER = 1000, 1006, 1007, 1008, 1016
_SLIDE_PERSIST, _SLIDE_LIST, _OUTLINE_REFERENCE = 1011, 4080, 3998
_TEXT_HEADER, _TEXT_CHARACTERS, _TEXT_BYTES, _STRING = 3999, 4000, 4008, 4026
_HEADERS_FOOTERS, _HYPERLINK, _COMMENT, _TAG_DATA = 4057, 4055, 12000, 5003
_USER_EDIT, _PERSIST_DIRECTORY, _TEXTBOX = 4085, 6002, 0xF00D
_CONTAINER: Final = 0xF
_DUAL_STORAGE: Final = "PP97_DUALSTORAGE"  # beside what PowerPoint 95 reads
_ENCRYPTED_TOKEN: Final = 0xF3D1C4DF
_MAX_DEPTH: Final = 40
_TITLE_KINDS: Final = (0, 6)
_LIST_KINDS: Final = (1, 5, 7, 8)
_OTHER: Final = 4
_TITLE_LEVEL: Final = 2
_FOOTER, _PAGE_HEADER = 2, 1


@dataclass(frozen=True, slots=True)
class _Record:
    kind: int
    instance: int
    is_container: bool
    start: int
    end: int


@dataclass(slots=True)
class _Text:
    """A text with its role: 0 and 6 are titles, 1 a body, 2 notes, 4 anything else."""

    role: int
    text: str


@dataclass(slots=True)
class _Page:
    """What one slide or page of notes holds."""

    notes_id: int = 0
    texts: list[_Text] = field(default_factory=list)
    footers: list[str] = field(default_factory=list)
    comments: list[tuple[str, str]] = field(default_factory=list)


def read_ppt(data: bytes, settings: CleanSettings) -> Extracted:
    """The text of a presentation, a page for each slide.

    Raises DocumentError: CORRUPT, ENCRYPTED or UNSUPPORTED.
    """
    try:
        container = CompoundFile(data)
    except DamagedFileError:
        raise DocumentError(
            Cause.CORRUPT, f"The {NAME} is damaged: its container cannot be opened."
        ) from None
    storage = _DUAL_STORAGE if _DUAL_STORAGE in container.names else ""
    stream = container.read("PowerPoint Document", storage)
    if not stream:
        if container.read("PP40") is not None:
            raise DocumentError(
                Cause.UNSUPPORTED,
                f"The {NAME} was saved by PowerPoint 95 or older. Save it in a newer format.",
            )
        raise DocumentError(Cause.CORRUPT, f"The {NAME} is damaged: its slides are missing.")
    current = container.read("Current User", storage) or b""
    if _is_encrypted(container, current):
        raise DocumentError(Cause.ENCRYPTED, f"The {NAME} is encrypted: it needs a password.")
    reader = _Presentation(stream, settings.max_chars)
    reader.read(struct.unpack_from("<I", current, 16)[0] if len(current) >= 20 else -1)
    return Extracted(
        title=container.title() or reader.first_title or None,
        pages=reader.pages,
        links=reader.links.as_list(),
        truncated=reader.truncated,
    )


def _is_encrypted(container: CompoundFile, current: bytes) -> bool:
    if container.read("EncryptedSummary") is not None:
        return True
    return len(current) >= 16 and bool(struct.unpack_from("<I", current, 12)[0] == _ENCRYPTED_TOKEN)


class _Presentation:
    """The state of reading one stream."""

    def __init__(self, stream: bytes, max_chars: int) -> None:
        self.links = Links()
        self.pages: list[str] = []
        self.first_title = ""
        self.truncated = False
        self._stream = stream
        self._left = max_chars
        # Nested containers may be named as slides one by one: each byte is looked at a few times at most.
        self._records_left = len(stream) // 2 + 1_000
        self._footers: set[str] = set()

    def read(self, current_edit: int) -> None:
        """Read all slides. `current_edit` is where the newest edit lies, -1 where that is not known."""
        places = self._places(current_edit)
        document = self._document(places)
        slides: list[tuple[int, list[_Text]]] = []
        notes: dict[int, int] = {}
        footers: list[str] = []
        for number in (one for one, place in places.items() if self._at(place, _MASTER)):
            # What is no title or body of a master is shown on every slide; the others are prompts.
            footers.extend(text.text for text in self._page(places[number], []).texts if text.role == _OTHER)
        if document is not None:
            for record in self._children(document):
                if record.kind == _SLIDE_LIST and record.instance == 0:
                    slides = self._outline(record, places)
                elif record.kind == _SLIDE_LIST and record.instance == 2:
                    notes = self._notes_list(record, places)
                elif record.kind == _HEADERS_FOOTERS:
                    footers.extend(self._footer_texts(record))
                elif record.is_container:
                    self._read_links(record)
        if not slides:
            top = self._records(0, len(self._stream))
            slides = [(record.start - 8, []) for record in top if record.kind == _SLIDE]
        if document is None and not slides:
            raise DocumentError(Cause.CORRUPT, f"The {NAME} is damaged: no slides can be found in it.")
        for offset, outline in slides:
            if not self._write(self._page(offset, outline), notes, footers):
                return
            footers = []

    # Records

    def _records(self, start: int, end: int) -> Iterator[_Record]:
        offset = start
        while offset + 8 <= end:
            head, kind, length = struct.unpack_from("<HHI", self._stream, offset)
            self._records_left -= 1
            if self._records_left < 0:
                raise DocumentError(Cause.CORRUPT, f"The {NAME} is damaged: its records go round in circles.")
            last = min(offset + 8 + length, end)
            yield _Record(kind, head >> 4, head & 0xF == _CONTAINER, offset + 8, last)
            offset = last

    def _children(self, record: _Record) -> Iterator[_Record]:
        return self._records(record.start, record.end)

    def _at(self, offset: int, kind: int) -> _Record | None:
        """The record that begins here, where it is of this kind."""
        if 0 <= offset <= len(self._stream) - 8:
            found = next(self._records(offset, len(self._stream)), None)
            if found is not None and found.kind == kind:
                return found
        return None

    def _places(self, current_edit: int) -> dict[int, int]:
        """Where each persistent object lies, by its number; that of the document is under -1."""
        places: dict[int, int] = {}
        edit = self._at(current_edit, _USER_EDIT)
        if edit is None:
            edits = [record for record in self._records(0, len(self._stream)) if record.kind == _USER_EDIT]
            edit = edits[-1] if edits else None
        seen: set[int] = set()
        while edit is not None and edit.start not in seen and edit.end - edit.start >= 20:
            seen.add(edit.start)
            before, directory, document = struct.unpack_from("<III", self._stream, edit.start + 8)
            places.setdefault(-1, document)
            listed = self._at(directory, _PERSIST_DIRECTORY)
            if listed is not None:
                self._read_directory(listed, places)
            edit = self._at(before, _USER_EDIT) if before else None
        return places

    def _read_directory(self, record: _Record, places: dict[int, int]) -> None:
        offset = record.start
        while offset + 4 <= record.end:
            (head,) = struct.unpack_from("<I", self._stream, offset)
            first, count = head & 0xFFFFF, head >> 20
            offset += 4
            for number in range(first, first + min(count, (record.end - offset) // 4)):
                places.setdefault(number, struct.unpack_from("<I", self._stream, offset)[0])
                offset += 4

    def _document(self, places: dict[int, int]) -> _Record | None:
        found = self._at(places.get(places.get(-1, -1), -1), _DOCUMENT)
        if found is not None:
            return found
        documents = [record for record in self._records(0, len(self._stream)) if record.kind == _DOCUMENT]
        return documents[-1] if documents else None

    # The parts of a document

    def _outline(self, slide_list: _Record, places: dict[int, int]) -> list[tuple[int, list[_Text]]]:
        """For each slide, in order: where it lies, and its texts in the outline."""
        slides: list[tuple[int, list[_Text]]] = []
        role = _OTHER
        for record in self._children(slide_list):
            if record.kind == _SLIDE_PERSIST and record.end - record.start >= 4:
                (number,) = struct.unpack_from("<I", self._stream, record.start)
                slides.append((places.get(number, -1), []))
            elif record.kind == _TEXT_HEADER:
                role = self._role(record)
            elif record.kind in (_TEXT_CHARACTERS, _TEXT_BYTES) and slides:
                slides[-1][1].append(_Text(role, self._text(record)))
        return slides

    def _notes_list(self, slide_list: _Record, places: dict[int, int]) -> dict[int, int]:
        """Where each page of notes lies, by its id."""
        notes: dict[int, int] = {}
        for record in self._children(slide_list):
            if record.kind == _SLIDE_PERSIST and record.end - record.start >= 16:
                number, identity = struct.unpack_from("<I8xI", self._stream, record.start)
                notes[identity] = places.get(number, -1)
        return notes

    def _read_links(self, container: _Record, depth: int = 0) -> None:
        for record in self._children(container):
            if record.kind == _HYPERLINK:
                texts = self._strings(record)
                if "://" in texts.get(1, "") or texts.get(1, "").startswith("mailto:"):
                    self.links.add(texts[1], "hyperlink")
            elif record.is_container and depth < _MAX_DEPTH:
                self._read_links(record, depth + 1)

    def _footer_texts(self, container: _Record) -> list[str]:
        texts = self._strings(container)
        return [texts[kind] for kind in (_PAGE_HEADER, _FOOTER) if texts.get(kind)]

    def _strings(self, container: _Record) -> dict[int, str]:
        return {
            record.instance: one_paragraph(self._text(record))
            for record in self._children(container)
            if record.kind == _STRING
        }

    def _role(self, record: _Record) -> int:
        if record.end - record.start < 4:
            return _OTHER
        return int(struct.unpack_from("<I", self._stream, record.start)[0])

    def _text(self, record: _Record) -> str:
        raw = self._stream[record.start : record.end]
        text = raw.decode("latin-1") if record.kind == _TEXT_BYTES else raw.decode("utf-16-le", "replace")
        return text.replace("\r", "\n").replace("\x0b", "\n")

    # Slides

    def _page(self, offset: int, outline: list[_Text]) -> _Page:
        page = _Page()
        found = next(filter(None, (self._at(offset, kind) for kind in (_SLIDE, _NOTES, _MASTER))), None)
        used: set[int] = set()
        if found is not None:
            self._read_page(found, outline, used, page, 0)
        page.texts.extend(text for number, text in enumerate(outline) if number not in used)
        return page

    def _read_page(
        self, container: _Record, outline: list[_Text], used: set[int], page: _Page, depth: int
    ) -> None:
        role = _OTHER
        for record in self._children(container):
            if record.kind == _SLIDE_ATOM and record.end - record.start >= 20:
                (page.notes_id,) = struct.unpack_from("<I", self._stream, record.start + 16)
            elif record.kind == _TEXT_HEADER:
                role = self._role(record)
            elif record.kind in (_TEXT_CHARACTERS, _TEXT_BYTES):
                page.texts.append(_Text(role, self._text(record)))
            elif record.kind == _OUTLINE_REFERENCE and record.end - record.start >= 4:
                (number,) = struct.unpack_from("<I", self._stream, record.start)
                if number < len(outline) and number not in used:
                    used.add(number)
                    page.texts.append(outline[number])
            elif record.kind == _HEADERS_FOOTERS:
                page.footers.extend(self._footer_texts(record))
            elif record.kind == _COMMENT:
                texts = self._strings(record)
                page.comments.append((texts.get(0, ""), texts.get(1, "")))
            elif (record.is_container or record.kind in (_TEXTBOX, _TAG_DATA)) and depth < _MAX_DEPTH:
                self._read_page(record, outline, used, page, depth + 1)

    def _write(self, page: _Page, notes: dict[int, int], footers: list[str]) -> bool:
        """Add a slide; False where no more fit."""
        blocks = Blocks(self._left)
        try:
            self._write_page(page, notes, footers, blocks)
        except FullError:
            self.truncated = True
        self.first_title = self.first_title or blocks.first_heading
        self.pages.append(blocks.text())
        self._left -= len(self.pages[-1])
        self.truncated = self.truncated or self._left <= 0
        return not self.truncated

    def _write_page(self, page: _Page, notes: dict[int, int], footers: list[str], blocks: Blocks) -> None:
        titles = [one_paragraph(text.text) for text in page.texts if text.role in _TITLE_KINDS]
        if any(titles):
            blocks.heading(_TITLE_LEVEL, " ".join(filter(None, titles)))
        for text in page.texts:
            if text.role not in _TITLE_KINDS:
                _write_text(text, blocks)
        for footer in map(one_paragraph, (*footers, *page.footers)):
            if footer not in self._footers and footer != "*":
                self._footers.add(footer)
                blocks.paragraph(footer)
        if page.notes_id in notes:
            said = self._page(notes.pop(page.notes_id), [])
            lines = [one_paragraph(text.text) for text in said.texts if text.text.strip() != "*"]
            if any(lines):
                blocks.paragraph("Notes: " + "\n".join(filter(None, lines)))
        for author, comment in page.comments:
            if comment:
                blocks.paragraph(f"Comment by {author}: {comment}" if author else f"Comment: {comment}")


def _write_text(text: _Text, blocks: Blocks) -> None:
    lines = [line for line in (" ".join(line.split()) for line in text.text.split("\n")) if line]
    is_list = text.role in _LIST_KINDS and len(lines) > 1
    for line in lines:
        if is_list:
            blocks.item(0, "-", line)
        elif line != "*":  # what stands for the number of the slide, or the date
            blocks.paragraph(line)
