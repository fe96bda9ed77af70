"""Microsoft Office documents: which reader reads which, and what is tried where one fails.

Our own readers find more in a document than office-oxide does (headers, notes, comments, text boxes), take
less memory and leave what is empty empty; office-oxide, which is faster on small documents, is their second
reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract import sheets, slides, word, xlsb
from tui_scraper.engine.extract.base import Extracted, Extractor, Format
from tui_scraper.engine.extract.html import render
from tui_scraper.engine.extract.ole import MAGIC
from tui_scraper.engine.extract.oxide import Kind, to_html
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_Reader = Callable[[bytes, CleanSettings], Extracted]

_MODULES: Final = ("office_oxide",)
# Headings that office-oxide makes up, which are no text of an otherwise empty document.
_PLACEHOLDERS = re.compile(
    r"<h2>(?:Slide \d{1,5}|Sheet\d{1,5}|Slide Master)</h2>"
    r"|<figure>\s*<figcaption>Embedded [^<]{1,100}</figcaption>\s*</figure>"
)


def _package(read: _Reader, name: str) -> Extractor:
    """An extractor from one of our readers of packages, which are wrapped in OLE where they are encrypted."""

    def extract(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
        if data.startswith(MAGIC):
            raise DocumentError(Cause.ENCRYPTED, f"The {name} is encrypted: it needs a password.")
        return read(data, settings)

    return extract


def _oxide(kind: Kind, name: str) -> Extractor:
    """An extractor that lets office-oxide read documents of one kind, which is the usual ending."""

    def extract(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
        markup = _PLACEHOLDERS.sub("", to_html(data, kind, name))
        return render(markup, trusted=True, max_chars=settings.max_chars)

    return extract


FORMATS = (
    Format(
        "Word (.docx)",
        (mt.DOCX,),
        _package(word.read_word, word.NAME),
        fallback=_oxide("docx", word.NAME),
        modules=_MODULES,
    ),
    Format(
        "Excel (.xlsx)",
        (mt.XLSX,),
        _package(sheets.read_sheets, sheets.NAME),
        fallback=_oxide("xlsx", sheets.NAME),
        modules=_MODULES,
    ),
    Format("Excel (.xlsb)", (mt.XLSB,), _package(xlsb.read_xlsb, xlsb.NAME), modules=_MODULES),
    Format(
        "PowerPoint (.pptx)",
        (mt.PPTX,),
        _package(slides.read_slides, slides.NAME),
        fallback=_oxide("pptx", slides.NAME),
        modules=_MODULES,
    ),
)
