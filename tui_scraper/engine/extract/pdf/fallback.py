"""PDF through pypdf, in pure Python: some thirty times slower than PDFium, but another way to the same text.

It reads what PDFium cannot: files that make it crash or hang, some damaged ones, and letters whose meaning
only their fonts' own tables tell. It works on a budget of time, which it looks at between pages.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from tui_scraper.engine.errors import DocumentError, timeout_sentence
from tui_scraper.engine.extract.base import Extracted
from tui_scraper.engine.extract.pdf import ocr
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

if TYPE_CHECKING:
    import pypdf

_SECONDS: Final = 12.0
_MAX_BYTES: Final = 50_000_000
_DAMAGED: Final = "The PDF is damaged: it cannot be opened."


def extract_pdf_slowly(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text layer of a PDF, page by page, as far as the time suffices."""
    found, unread = _read(data, settings)
    if any(page.strip() for page in found.pages or ()):
        return found
    if unread:
        raise unread
    if not found.pages:
        raise DocumentError(Cause.TIMEOUT, timeout_sentence(settings))
    raise DocumentError(
        Cause.NEEDS_OCR, f"No text layer can be read in this PDF: it needs OCR. {ocr.needs(settings)}".strip()
    )


def rescue(data: bytes, settings: CleanSettings, reason: str) -> Extracted:
    """The text of a PDF that PDFium finds damaged. Raises DocumentError(CORRUPT) with `reason`."""
    try:
        found, _unread = _read(data, settings)
    except DocumentError as error:
        if error.cause is Cause.ENCRYPTED:
            raise
        raise DocumentError(Cause.CORRUPT, reason) from None
    if not any(page.strip() for page in found.pages or ()):
        raise DocumentError(Cause.CORRUPT, reason)
    return found


def page_texts(data: bytes, numbers: Iterable[int]) -> dict[int, str]:
    """The text of some pages, as far as any is found and the time suffices."""
    wanted = list(numbers)
    try:
        reader = _open(data)
    except DocumentError:
        return {}
    texts = (text if isinstance(text, str) else "" for text in _texts(reader, wanted))
    return dict(zip(wanted, texts, strict=False))


def _read(data: bytes, settings: CleanSettings) -> tuple[Extracted, DocumentError | None]:
    """The text of the pages, and what is wrong with one that cannot be read, if there is such a page."""
    reader = _open(data)
    try:
        count = len(reader.pages)
    except Exception:
        raise DocumentError(Cause.CORRUPT, _DAMAGED) from None
    pages: list[str] = []
    unread: DocumentError | None = None
    characters = 0
    for page in _texts(reader, range(min(count, settings.max_pdf_pages))):
        if isinstance(page, DocumentError):
            unread = page
        pages.append("" if isinstance(page, DocumentError) else page)
        characters += len(pages[-1])
        if characters > settings.max_chars:
            break
    return Extracted(pages=pages, truncated=len(pages) < count), unread


def _open(data: bytes) -> pypdf.PdfReader:
    if len(data) > _MAX_BYTES:
        raise DocumentError(Cause.CORRUPT, _DAMAGED)
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(data))
        opened = not reader.is_encrypted or bool(reader.decrypt(""))
    except DependencyError:
        opened = False  # AES takes a package more, and PDFium opens those files
    except Exception:
        raise DocumentError(Cause.CORRUPT, _DAMAGED) from None
    if not opened:
        raise DocumentError(Cause.ENCRYPTED, "The PDF is encrypted: it needs a password.")
    return reader


def _texts(reader: pypdf.PdfReader, numbers: Iterable[int]) -> Iterator[str | DocumentError]:
    """Page after page until the time is up: its text, or what is wrong with it."""
    from pypdf.errors import LimitReachedError

    until = time.monotonic() + _SECONDS
    for number in numbers:
        if time.monotonic() > until:
            return
        try:
            yield reader.pages[number].extract_text()
        except LimitReachedError:
            yield DocumentError(Cause.TOO_LARGE, "The PDF unpacks into more than this program takes on.")
        except Exception:  # what pypdf raises for damage has no end
            yield DocumentError(Cause.CORRUPT, "The PDF is damaged: its pages cannot be read.")
