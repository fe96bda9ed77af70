"""PDF, through PDFium's plain C interface.

`pypdfium2_raw` rather than `pypdfium2`: importing it starts nothing, so a process may import it, fork,
and let each worker start its own PDFium at its first PDF. PDFium is not thread-safe: one thread only.
"""

from __future__ import annotations

import ctypes
import importlib
import re
from functools import cache
from typing import Any, Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

# PDFium writes U+0002 for a hyphen at the end of a line and leaves the line end out.
_LINE_END_HYPHEN = re.compile("(?<=\\w)(?:[\x02\ufffe]\n?|[-\u2010\xad]\n)(?=[^\\W\\d_])")
_SUSPECT_TITLE = re.compile(
    r"(?i)\A(?:untitled.{0,20}|no title|title|document\d*|microsoft (?:word|powerpoint|excel)\b.*"
    r"|slide \d+|\W*|[\d\W]+"
    r"|.{0,200}\.(?:docx?|indd|tex|dvi|pdf|pptx?|xlsx?|rtf|qxd|pmd|fm|ps|eps|html?|txt))\s*\Z"
)
_MAX_URI = 2_000
_LINKS_PER_PAGE: Final = 200
_FPDF_ERR_PASSWORD: Final = 4
_FPDF_ERR_SECURITY: Final = 5


@cache
def _pdfium() -> Any:
    pdfium: Any = importlib.import_module("pypdfium2_raw")
    config = pdfium.FPDF_LIBRARY_CONFIG(version=2, m_pUserFontPaths=None, m_pIsolate=None, m_v8EmbedderSlot=0)
    pdfium.FPDF_InitLibraryWithConfig(config)
    return pdfium


def extract_pdf(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text layer of a PDF, page by page, with its title and the addresses it links to."""
    pdfium = _pdfium()
    document = pdfium.FPDF_LoadMemDocument64(data, len(data), None)
    if not document:
        raise _refusal(pdfium.FPDF_GetLastError())
    try:
        return _read(pdfium, document, settings)
    finally:
        pdfium.FPDF_CloseDocument(document)


def _refusal(code: int) -> DocumentError:
    if code == _FPDF_ERR_PASSWORD:
        return DocumentError(Cause.ENCRYPTED, "The PDF is encrypted: it needs a password.")
    if code == _FPDF_ERR_SECURITY:
        return DocumentError(Cause.ENCRYPTED, "The PDF is encrypted in a way that is not supported.")
    return DocumentError(Cause.CORRUPT, "The PDF is damaged: it cannot be opened.")


def _read(pdfium: Any, document: Any, settings: CleanSettings) -> Extracted:
    count = pdfium.FPDF_GetPageCount(document)
    if count <= 0:
        raise DocumentError(Cause.CORRUPT, "The PDF is damaged: it has no pages.")
    pages: list[str] = []
    links = Links()
    characters = unread = 0
    for number in range(min(count, settings.max_pdf_pages)):
        page = pdfium.FPDF_LoadPage(document, number)
        if not page:
            unread += 1
            pages.append("")
            continue
        try:
            pages.append(_page_text(pdfium, page))
            _page_links(pdfium, document, page, links)
        finally:
            pdfium.FPDF_ClosePage(page)
        characters += len(pages[-1])
        if characters > settings.max_chars:
            break
    if not any(page.strip() for page in pages):
        if unread == len(pages):
            raise DocumentError(Cause.CORRUPT, "The PDF is damaged: none of its pages can be read.")
        noun = "page has" if count == 1 else "pages have"
        raise DocumentError(Cause.NEEDS_OCR, f"The PDF's {count:,} {noun} no text layer: it needs OCR.")
    return Extracted(
        title=_title(pdfium, document), pages=pages, links=links.as_list(), truncated=len(pages) < count
    )


def _page_text(pdfium: Any, page: Any) -> str:
    text_page = pdfium.FPDFText_LoadPage(page)
    if not text_page:
        return ""
    try:
        count = pdfium.FPDFText_CountChars(text_page)
        if count <= 0:
            return ""
        # A character outside the BMP takes two units, and PDFium counts it as one or as two.
        buffer = (ctypes.c_ushort * (2 * count + 2))()
        written = pdfium.FPDFText_GetText(text_page, 0, count, buffer)
    finally:
        pdfium.FPDFText_ClosePage(text_page)
    raw = bytes(memoryview(buffer).cast("B")[: max(0, written - 1) * 2])
    text = raw.decode("utf-16-le", "ignore").replace("\r\n", "\n").replace("\r", "\n")
    return _LINE_END_HYPHEN.sub(_join_word, text).replace("\x02", "-")


def _join_word(match: re.Match[str]) -> str:
    """'encyclo-' + 'pedia' is one word, 'North-' + 'American' keeps its hyphen."""
    return "" if match.string[match.end()].islower() else "-"


def _page_links(pdfium: Any, document: Any, page: Any, links: Links) -> None:
    position = ctypes.c_int(0)
    link = pdfium.FPDF_LINK()
    for _ in range(_LINKS_PER_PAGE):
        if not pdfium.FPDFLink_Enumerate(page, position, link):
            return
        action = pdfium.FPDFLink_GetAction(link)
        if not action:
            continue
        size = pdfium.FPDFAction_GetURIPath(document, action, None, 0)
        if 1 < size <= _MAX_URI:
            buffer = ctypes.create_string_buffer(size)
            pdfium.FPDFAction_GetURIPath(document, action, buffer, size)
            links.add(buffer.raw[: size - 1].decode("utf-8", "replace"), "hyperlink")


def _title(pdfium: Any, document: Any) -> str | None:
    size = pdfium.FPDF_GetMetaText(document, b"Title", None, 0)
    if not 2 < size <= 4_000:
        return None
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDF_GetMetaText(document, b"Title", buffer, size)
    title = buffer.raw[: size - 2].decode("utf-16-le", "ignore").strip(" \0\t\r\n")
    return None if _SUSPECT_TITLE.match(title) else title


FORMATS = (Format("PDF", (mt.PDF,), extract_pdf, modules=("pypdfium2_raw",)),)
