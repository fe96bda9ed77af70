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

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Extracted
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

if TYPE_CHECKING:
    import pypdf

_SECONDS: Final = 12.0
_MAX_BYTES: Final = 50_000_000
_DAMAGED: Final = "The PDF is damaged: it cannot be opened."


def extract_pdf_slowly(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text layer of a PDF, page by page, as far as the time suffices."""
    found = _read(data, settings)
    if not any(page.strip() for page in found.pages or ()):
        raise DocumentError(Cause.NEEDS_OCR, "No text layer can be read in this PDF: it needs OCR.")
    return found


def rescue(data: bytes, settings: CleanSettings, reason: str) -> Extracted:
    """The text of a PDF that PDFium finds damaged. Raises DocumentError(CORRUPT) with `reason`."""
    try:
        found = _read(data, settings)
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
        return dict(zip(wanted, _texts(reader, wanted), strict=False))
    except DocumentError:
        return {}


def _read(data: bytes, settings: CleanSettings) -> Extracted:
    reader = _open(data)
    try:
        count = len(reader.pages)
    except Exception:  # what pypdf raises for damage has no end
        raise DocumentError(Cause.CORRUPT, _DAMAGED) from None
    pages: list[str] = []
    characters = 0
    for text in _texts(reader, range(min(count, settings.max_pdf_pages))):
        pages.append(text)
        characters += len(text)
        if characters > settings.max_chars:
            break
    return Extracted(pages=pages, truncated=len(pages) < count)


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


def _texts(reader: pypdf.PdfReader, numbers: Iterable[int]) -> Iterator[str]:
    """Page after page until the time is up. A page that cannot be read is empty."""
    until = time.monotonic() + _SECONDS
    for number in numbers:
        if time.monotonic() > until:
            return
        try:
            yield reader.pages[number].extract_text()
        except Exception:
            yield ""
