"""PDF, through PDFium's plain C interface.

`pypdfium2_raw` rather than `pypdfium2`: importing it starts nothing, so a process may import it, fork,
and let each worker start its own PDFium at its first PDF. PDFium is not thread-safe: one thread only.

What PDFium gives is text and where each character stands; `pdf_layout` makes paragraphs of it, `pdf_notes`
reads what is written in forms and comments. Pages whose text is missing or undecipherable are read anew:
by pypdf, which knows other ways to tell letters, and then by OCR where that is installed.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, Final

from tui_scraper.engine.errors import DocumentError, timeout_sentence
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Entry, Extracted, Format, Links
from tui_scraper.engine.extract.limits import MAX_ENTRY_BYTES, MAX_NAME_BYTES
from tui_scraper.engine.extract.pdf import fallback as pdf_fallback
from tui_scraper.engine.extract.pdf import glyphs as pdf_glyphs
from tui_scraper.engine.extract.pdf import layout as pdf_layout
from tui_scraper.engine.extract.pdf import ocr
from tui_scraper.engine.extract.pdf.notes import Notes
from tui_scraper.engine.extract.pdf.running import running_lines
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_SUSPECT_TITLE = re.compile(
    r"(?i)\A(?:untitled.{0,20}|no title|title|document\d*|microsoft (?:word|powerpoint|excel)\b.*"
    r"|slide \d+|\W*|[\d\W]+"
    r"|.{0,200}\.(?:docx?|indd|tex|dvi|pdf|pptx?|xlsx?|rtf|qxd|pmd|fm|ps|eps|html?|txt))\s*\Z"
)
_INVISIBLE: Final = "".join(map(chr, range(33))).replace("\x02", "") + "\x7f\xa0\xad\u200b\ufeff"
_MAX_URI = 2_000
_LINKS_PER_PAGE: Final = 200
_MAX_BOOKMARKS: Final = 5_000
_BOOKMARK_SECONDS: Final = 1.0
_MAX_LEVEL: Final = 6
_GUESSED_SHARE: Final = 0.8
_MAX_ATTACHMENTS: Final = 10_000
_PIECE_BYTES: Final = 1 << 20
_FPDF_ERR_PASSWORD: Final = 4
_FPDF_ERR_SECURITY: Final = 5
_FILE_ATTACHMENT: Final = 17

_TIME_SHARE: Final = 0.45
"""The part of a document's time after which no OCR begins: less than what a reader with a fallback gets."""
_DPI: Final = 300
_MAX_RENDERED_PIXELS: Final = 20_000_000
_IMAGE: Final = 3
_LITTLE_TEXT: Final = 100
_SCAN_SHARE: Final = 0.7
_SCAN_OBJECTS: Final = 20
_GRAY: Final = 1
_WHITE: Final = 0xFFFFFFFF
_WITH_ANNOTATIONS: Final = 0x01
_TO_BE_CONTINUED: Final = 1


@dataclass(frozen=True)
class _Pdfium:
    """PDFium's functions.

    Those that are called for every line and link take plain addresses: that costs half of what ctypes'
    checks of pointer types do.
    """

    api: Any
    origin: Any
    has_map_error: Any
    next_link: Any
    action_of: Any
    uri_of: Any


@cache
def _pdfium() -> _Pdfium:
    api: Any = importlib.import_module("pypdfium2_raw")
    config = api.FPDF_LIBRARY_CONFIG(version=2, m_pUserFontPaths=None, m_pIsolate=None, m_v8EmbedderSlot=0)
    api.FPDF_InitLibraryWithConfig(config)
    number, address, size = ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong

    def plain(function: Any, result: Any, *arguments: Any) -> Any:
        return ctypes.CFUNCTYPE(result, *arguments)(ctypes.cast(function, address).value or 0)

    return _Pdfium(
        api,
        plain(api.FPDFText_GetCharOrigin, number, address, number, address, address),
        plain(api.FPDFText_HasUnicodeMapError, number, address, number),
        plain(api.FPDFLink_Enumerate, number, address, address, address),
        plain(api.FPDFLink_GetAction, address, address),
        plain(api.FPDFAction_GetURIPath, size, address, address, address, size),
    )


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def extract_pdf(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of a PDF, page by page, with its title and the addresses it links to."""
    until = time.monotonic() + settings.timeout_s * _TIME_SHARE
    pdfium = _pdfium()
    document = pdfium.api.FPDF_LoadMemDocument64(data, len(data), None)
    if not document:
        return _refuse(pdfium.api.FPDF_GetLastError(), data, settings)
    try:
        return _Reading(pdfium, document, data, settings).finish(until)
    finally:
        pdfium.api.FPDF_CloseDocument(document)


def _refuse(code: int, data: bytes, settings: CleanSettings) -> Extracted:
    if code == _FPDF_ERR_PASSWORD:
        raise DocumentError(Cause.ENCRYPTED, "The PDF is encrypted: it needs a password.")
    if code == _FPDF_ERR_SECURITY:
        raise DocumentError(Cause.ENCRYPTED, "The PDF is encrypted in a way that is not supported.")
    return pdf_fallback.rescue(data, settings, "The PDF is damaged: it cannot be opened.")


class _Reading:
    """One document on its way: what its pages say, and which of them say nothing that can be read."""

    def __init__(self, pdfium: _Pdfium, document: Any, data: bytes, settings: CleanSettings) -> None:
        self._pdfium, self._api = pdfium, pdfium.api
        self._document, self._address = document, _address(document)
        self._data = data
        self._settings = settings
        self._count: int = self._api.FPDF_GetPageCount(document)
        self._pages: list[pdf_layout.Page] = []
        self._notes: dict[int, list[str]] = {}
        self._links = Links()
        self._guessed: dict[int, str] = {}
        self._without_text: list[int] = []
        self._scans = bool(ocr.languages(settings))
        self._read_anew: dict[int, str] = {}
        self._unread = 0

    def finish(self, until: float) -> Extracted:
        """Read everything. OCR ends at `until`, a time of the monotonic clock."""
        if self._count <= 0:
            raise DocumentError(Cause.CORRUPT, "The PDF is damaged: it has no pages.")
        self._first_pass()
        if self._guessed:
            self._decipher()
        in_time = True
        if self._without_text and ocr.languages(self._settings):
            in_time = self._recognise(until)
        pages = self._texts()
        if not any(page.strip(_INVISIBLE) for page in pages):
            return self._nothing(in_time)
        return Extracted(
            title=_title(self._api, self._document),
            pages=pages,
            links=self._links.as_list(),
            truncated=len(pages) < self._count or not in_time,
        )

    def _first_pass(self) -> None:
        notes = Notes(self._api, self._document)
        characters = 0
        try:
            for number in range(min(self._count, self._settings.max_pdf_pages)):
                page = self._api.FPDF_LoadPage(self._document, number)
                if not page:
                    self._unread += 1
                    self._pages.append(pdf_layout.Page([]))
                    continue
                try:
                    characters += self._read_page(number, page, notes)
                finally:
                    self._api.FPDF_ClosePage(page)
                if characters > self._settings.max_chars:
                    break
        finally:
            notes.close()

    def _read_page(self, number: int, page: Any, notes: Notes) -> int:
        text, lines, undeciphered = _page_lines(self._pdfium, page)
        if undeciphered:
            self._guessed[number] = text
            text, lines = "", pdf_layout.Page([])
        elif len(text) < _LITTLE_TEXT and self._lacks_text(page, lines):
            self._without_text.append(number)
        self._pages.append(lines)
        if (count := self._api.FPDFPage_GetAnnotCount(page)) > 0:
            links = _page_links(self._pdfium, self._address, _address(page), self._links)
            if links < count and (found := notes.of_page(page, text)):
                self._notes[number] = found
        return len(text)

    def _lacks_text(self, page: Any, lines: pdf_layout.Page) -> bool:
        """Whether there is more to be seen on a page than its text says."""
        if not any(text.strip(_INVISIBLE) for text in lines.texts):
            return bool(self._api.FPDFPage_CountObjects(page) > 0)
        return self._scans and _is_scan(self._api, page)

    def _decipher(self) -> None:
        """Ask the other reader for the pages that are no text. What remains is left to OCR."""
        others = pdf_fallback.page_texts(self._data, self._guessed)
        for number, guessed in self._guessed.items():
            found = pdf_glyphs.better(guessed, others.get(number, ""))
            if found:
                self._read_anew[number] = found
            else:
                self._without_text.append(number)

    def _recognise(self, until: float) -> bool:
        """Read the pages without text by OCR. Returns whether the time sufficed for all of them."""
        for number in self._without_text:
            page = self._api.FPDF_LoadPage(self._document, number)
            if not page:
                continue
            try:
                self._read_anew[number] = _recognise(self._api, page, self._settings, until)
            except TimeoutError:
                return False
            except ocr.UnreadablePictureError:
                continue
            finally:
                self._api.FPDF_ClosePage(page)
        return True

    def _texts(self) -> list[str]:
        left_out = running_lines(self._pages)
        outline = _outline(self._api, self._document, len(self._pages))
        pages: list[str] = []
        for number, page in enumerate(self._pages):
            text = pdf_layout.render(page, left_out[number], outline.get(number, {}))
            anew = self._read_anew.get(number, "")
            pages.append("\n\n".join(filter(None, (text, anew, *self._notes.get(number, ())))))
        return pages

    def _nothing(self, in_time: bool) -> Extracted:
        """Why there is no text at all."""
        if self._unread == len(self._pages):
            return pdf_fallback.rescue(
                self._data, self._settings, "The PDF is damaged: none of its pages can be read."
            )
        one = self._count == 1
        pages = "the PDF's page" if one else f"the PDF's {self._count:,} pages"
        if not self._without_text:
            raise DocumentError(Cause.NO_TEXT, f"There is nothing on {pages}.")
        if not in_time:
            raise DocumentError(Cause.TIMEOUT, timeout_sentence(self._settings))
        reason = ocr.missing(self._settings)
        if not reason:
            raise DocumentError(Cause.NO_TEXT, f"No text was found on {pages}.")
        what = "a text layer that does not say which letters it shows" if self._guessed else "no text layer"
        has, needs = ("has", "it needs") if one else ("have", "they need")
        raise DocumentError(Cause.NEEDS_OCR, f"T{pages[1:]} {has} {what}: {needs} OCR, but {reason}.")


def _page_lines(pdfium: _Pdfium, page: Any) -> tuple[str, pdf_layout.Page, bool]:
    """The text of a page, its lines with their positions, and whether it is no text at all."""
    api = pdfium.api
    text_page = api.FPDFText_LoadPage(page)
    if not text_page:
        return "", pdf_layout.Page([]), False
    try:
        count = api.FPDFText_CountChars(text_page)
        if count <= 0:
            return "", pdf_layout.Page([]), False
        # A character outside the BMP takes two units, and PDFium counts it as one or as two.
        buffer = (ctypes.c_ushort * (2 * count + 2))()
        written = api.FPDFText_GetText(text_page, 0, count, buffer)
        raw = bytes(memoryview(buffer).cast("B")[: max(0, written - 1) * 2])
        text = pdf_glyphs.decode(raw)
        handle = _address(text_page)
        guessed = _guessed_share(pdfium, handle, count, 6)
        if guessed >= 0.5:  # which hardly ever is the case
            guessed = _guessed_share(pdfium, handle, count, 200)
        undeciphered = pdf_glyphs.is_undeciphered(text, raw, guessed >= _GUESSED_SHARE)
        lines, spans = _split(text)
        if not text.isascii() and (b"\xf0" in (upper := raw[1::2]) or b"\xfb" in upper):
            lines.texts = pdf_layout.characters(lines.texts)
        if len(text) != count:
            index_of = api.FPDFText_GetCharIndexFromTextIndex
            spans = [(index_of(text_page, first), index_of(text_page, last)) for first, last in spans]
        _place(pdfium, handle, lines, spans)
    finally:
        api.FPDFText_ClosePage(text_page)
    return text, lines, undeciphered


def _guessed_share(pdfium: _Pdfium, handle: int, count: int, sampled: int) -> float:
    """The share of characters whose meaning PDFium had to guess, from some of them."""
    sample = range(0, count, max(1, count // sampled))
    guessed = [at for at in sample if pdfium.has_map_error(handle, at) == 1]
    return len(guessed) / len(sample)


def _split(text: str) -> tuple[pdf_layout.Page, list[tuple[int, int]]]:
    """The lines of a page, and the places of their first and last characters."""
    lines = text.split("\r\n")
    spans: list[tuple[int, int]] = []
    start = 0
    for line in lines:
        end = start + len(line)
        spans.append((start, end - 1))
        start = end + 2
    shown = [line.strip() for line in lines]
    if "" in shown:
        spans = [span for span, line in zip(spans, shown, strict=True) if line]
        shown = [line for line in shown if line]
    return pdf_layout.Page(shown), spans


def _place(pdfium: _Pdfium, handle: int, lines: pdf_layout.Page, spans: list[tuple[int, int]]) -> None:
    """Find out where each line begins and ends."""
    found = (ctypes.c_double * (4 * len(spans)))()
    address = ctypes.addressof(found)
    origin = pdfium.origin
    for first, last in spans:
        origin(handle, first, address, address + 8)
        origin(handle, last, address + 16, address + 24)
        address += 32
    positions = found[:]
    lines.x0, lines.y0 = positions[0::4], positions[1::4]
    lines.x1, lines.y1 = positions[2::4], positions[3::4]
    if spans:
        lines.turn()


def _is_scan(api: Any, page: Any) -> bool:
    """Whether one picture covers a page that has hardly any text: a scan with a stamp or a number on it."""
    area = api.FPDF_GetPageWidthF(page) * api.FPDF_GetPageHeightF(page)
    edges = [ctypes.c_float() for _ in range(4)]
    for number in range(min(api.FPDFPage_CountObjects(page), _SCAN_OBJECTS)):
        shown = api.FPDFPage_GetObject(page, number)
        if api.FPDFPageObj_GetType(shown) != _IMAGE or not api.FPDFPageObj_GetBounds(
            shown, *map(ctypes.byref, edges)
        ):
            continue
        left, bottom, right, top = (edge.value for edge in edges)
        if (right - left) * (top - bottom) > _SCAN_SHARE * area:
            return True
    return False


def _recognise(api: Any, page: Any, settings: CleanSettings, until: float) -> str:
    """The text to be seen on a page. Raises TimeoutError or UnreadablePictureError."""
    wide, high = api.FPDF_GetPageWidthF(page), api.FPDF_GetPageHeightF(page)
    if not (wide > 0 and high > 0):
        raise ocr.UnreadablePictureError
    scale = min(_DPI / 72, math.sqrt(_MAX_RENDERED_PIXELS / (wide * high)))
    width, height = max(4, round(wide * scale) // 4 * 4), max(1, round(high * scale))
    if width * height > 2 * _MAX_RENDERED_PIXELS:
        raise ocr.UnreadablePictureError  # a page like a thread
    pixels = ctypes.create_string_buffer(width * height)
    bitmap = api.FPDFBitmap_CreateEx(width, height, _GRAY, pixels, width)
    if not bitmap:
        raise ocr.UnreadablePictureError
    try:
        api.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, _WHITE)
        pause = api.IFSDK_PAUSE(version=1)
        pause.NeedToPauseNow = type(pause.NeedToPauseNow)(lambda _pause: time.monotonic() > until)
        state = api.FPDF_RenderPageBitmap_Start(
            bitmap, page, 0, 0, width, height, 0, _WITH_ANNOTATIONS, ctypes.byref(pause)
        )
        api.FPDF_RenderPage_Close(page)
    finally:
        api.FPDFBitmap_Destroy(bitmap)
    if state == _TO_BE_CONTINUED:
        raise TimeoutError
    return ocr.read_gray(width, height, pixels.raw, round(72 * scale), settings, until)


def _page_links(pdfium: _Pdfium, document: int, page: int, links: Links) -> int:
    """Collect the addresses that a page links to. Returns the number of links, inner ones included."""
    place = (ctypes.c_uint64 * 2)()  # where in the page's list the last one was, and the link itself
    at = ctypes.addressof(place)
    for number in range(_LINKS_PER_PAGE):
        if not pdfium.next_link(page, at, at + 8):
            return number
        action = pdfium.action_of(place[1])
        if not action:
            continue
        size = pdfium.uri_of(document, action, None, 0)
        if 1 < size <= _MAX_URI:
            buffer = ctypes.create_string_buffer(size)
            pdfium.uri_of(document, action, ctypes.addressof(buffer), size)
            links.add(buffer.raw[: size - 1].decode("utf-8", "replace"), "hyperlink")
    return _LINKS_PER_PAGE


def _title(api: Any, document: Any) -> str | None:
    size = api.FPDF_GetMetaText(document, b"Title", None, 0)
    if not 2 < size <= 4_000:
        return None
    buffer = ctypes.create_string_buffer(size)
    api.FPDF_GetMetaText(document, b"Title", buffer, size)
    title = buffer.raw[: size - 2].decode("utf-16-le", "ignore").strip(" \0\t\r\n")
    return None if _SUSPECT_TITLE.match(title) else title


def _outline(api: Any, document: Any, pages: int) -> dict[int, dict[str, int]]:
    """The titles of the document's outline, squashed, with their levels, by page.

    Only as many levels as have together no more titles than there are pages, the first in any case: each
    title costs a twentieth of the time that a page takes.
    """
    found: dict[int, dict[str, int]] = {}
    until = time.monotonic() + _BOOKMARK_SECONDS
    buffer = ctypes.create_string_buffer(2 * pdf_layout.MAX_HEADING_CHARS)
    parents: list[Any] = [None]
    count = 0
    for level in range(1, _MAX_LEVEL + 1):
        bookmarks: list[Any] = []
        for parent in parents:
            bookmark = api.FPDFBookmark_GetFirstChild(document, parent)
            while bookmark and len(bookmarks) < _MAX_BOOKMARKS and time.monotonic() < until:
                bookmarks.append(bookmark)
                bookmark = api.FPDFBookmark_GetNextSibling(document, bookmark)
        count += len(bookmarks)
        if not bookmarks or (level > 1 and count > pages):
            break
        for bookmark in bookmarks:
            if time.monotonic() > until:
                return found
            size = api.FPDFBookmark_GetTitle(bookmark, buffer, len(buffer))
            number = _bookmarked_page(api, document, bookmark) if 2 < size <= len(buffer) else -1
            if number >= 0:
                titles = found.setdefault(number, {})
                for key in pdf_layout.title_keys(buffer.raw[: size - 2].decode("utf-16-le", "ignore")):
                    titles.setdefault(key, level)
        parents = bookmarks
    return found


def _bookmarked_page(api: Any, document: Any, bookmark: Any) -> int:
    place = api.FPDFBookmark_GetDest(document, bookmark)
    if not place:
        action = api.FPDFBookmark_GetAction(bookmark)
        place = api.FPDFAction_GetDest(document, action) if action else None
    return int(api.FPDFDest_GetDestPageIndex(document, place)) if place else -1


def attached_files(stream: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
    """The files that are embedded in a PDF, or pinned to its pages."""
    data = stream.read()
    if b"EmbeddedFile" not in data:
        return  # the type of such a stream, which is never compressed; spares opening the document anew
    api = _pdfium().api
    document = api.FPDF_LoadMemDocument64(data, len(data), None)
    if not document:
        return
    try:
        for number in range(min(api.FPDFDoc_GetAttachmentCount(document), _MAX_ATTACHMENTS)):
            if attachment := api.FPDFDoc_GetAttachment(document, number):
                yield _entry(api, attachment)
        for number in range(min(api.FPDF_GetPageCount(document), settings.max_pdf_pages)):
            yield from _pinned_files(api, document, number)
    finally:
        api.FPDF_CloseDocument(document)


def _pinned_files(api: Any, document: Any, number: int) -> Iterator[Entry]:
    page = api.FPDF_LoadPage(document, number)
    if not page:
        return
    try:
        for at in range(min(api.FPDFPage_GetAnnotCount(page), _MAX_ATTACHMENTS)):
            annotation = api.FPDFPage_GetAnnot(page, at)
            if not annotation:
                continue
            try:
                if api.FPDFAnnot_GetSubtype(annotation) == _FILE_ATTACHMENT:
                    attachment = api.FPDFAnnot_GetFileAttachment(annotation)
                    if attachment:
                        yield _entry(api, attachment)
            finally:
                api.FPDFPage_CloseAnnot(annotation)
    finally:
        api.FPDF_ClosePage(page)


def _entry(api: Any, attachment: Any) -> Entry:
    size = api.FPDFAttachment_GetName(attachment, None, 0)
    name = None
    if 2 < size <= 2 * MAX_NAME_BYTES:
        buffer = (ctypes.c_ushort * (size // 2 + 1))()
        api.FPDFAttachment_GetName(attachment, buffer, size)
        name = bytes(buffer)[: size - 2].decode("utf-16-le", "ignore")
    return Entry(name, lambda: _attached(api, attachment))


def _attached(api: Any, attachment: Any) -> Iterator[bytes]:
    size = ctypes.c_ulong()
    if not api.FPDFAttachment_GetFile(attachment, None, 0, ctypes.byref(size)):
        raise DocumentError(
            Cause.CORRUPT,
            "This attachment cannot be taken out of the PDF: it is damaged, or kept in an unusual way.",
        )
    if size.value > MAX_ENTRY_BYTES:
        raise DocumentError(Cause.TOO_LARGE, "This attachment unpacks into more than this program takes on.")
    buffer = ctypes.create_string_buffer(max(1, size.value))
    if not api.FPDFAttachment_GetFile(attachment, buffer, size.value, ctypes.byref(size)):
        raise DocumentError(
            Cause.CORRUPT,
            "This attachment cannot be taken out of the PDF: it is damaged, or kept in an unusual way.",
        )
    content = memoryview(buffer)[: size.value]
    for start in range(0, len(content), _PIECE_BYTES):
        yield bytes(content[start : start + _PIECE_BYTES])


FORMATS = (
    Format(
        "PDF",
        (mt.PDF,),
        extract_pdf,
        fallback=pdf_fallback.extract_pdf_slowly,
        entries=attached_files,
        modules=("pypdfium2_raw",),
    ),
)
