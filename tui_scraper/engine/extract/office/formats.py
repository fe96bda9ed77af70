"""Microsoft Office documents: which reader reads which, and what is tried where one fails.

Our own readers find more in a document than office-oxide does (headers, notes, comments, text boxes), take
less memory and leave what is empty empty; office-oxide, which is faster on small documents, is their second
reader. For the binary .doc it is the first one: what it finds there is complete.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Extractor, Format
from tui_scraper.engine.extract.office import doc, ppt, sheets, slides, word, xls, xlsb
from tui_scraper.engine.extract.office.ole import MAGIC
from tui_scraper.engine.extract.office.oxide import Kind, to_html
from tui_scraper.engine.extract.web.html import render
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_Reader = Callable[[bytes, CleanSettings], Extracted]

_SAMPLE_CHARS: Final = 20_000
_LEAST_NOISE: Final = 3
_NOISE_SHARE: Final = 50
_MODULES: Final = ("office_oxide",)
# Headings that office-oxide makes up, which are no text of an otherwise empty document.
_PLACEHOLDERS = re.compile(
    r"<h2>(?:Slide \d{1,5}|Sheet\d{1,5}|Slide Master)</h2>"
    r"|<figure>\s*<figcaption>Embedded [^<]{1,100}</figcaption>\s*</figure>"
)


def _binary(read: _Reader, name: str) -> Extractor:
    """An extractor from a reader of binary documents, whose damage may pass for text."""

    def extract(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
        return _legible(read(data, settings), name)

    return extract


def _legible(found: Extracted, name: str) -> Extracted:
    if not is_legible(found.text or "\n".join(found.pages or ())):
        raise DocumentError(Cause.CORRUPT, f"The {name} is damaged: what it holds is no text.")
    return found


def is_legible(text: str) -> bool:
    """Whether text is text: hardly any control characters, or code points that stand for nothing.

    Real documents have none (1,400 of them), bytes taken for UTF-16 one in fifteen characters.
    """
    sample = text[:_SAMPLE_CHARS]
    if sample.isascii() and sample.isprintable():
        return True
    noise = sum(count for character, count in Counter(sample).items() if _is_noise(character))
    return noise < _LEAST_NOISE or noise * _NOISE_SHARE < len(sample)


def _is_noise(character: str) -> bool:
    if character == "\ufffd":
        return True
    return unicodedata.category(character) in ("Cc", "Cn", "Cs") and not character.isspace()


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
        return _legible(render(markup, trusted=True, max_chars=settings.max_chars), name)

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
    Format(
        "Word 97-2003 (.doc)",
        (mt.DOC,),
        _binary(doc.read_doc, doc.NAME),
        fallback=_binary(doc.read_doc_pieces, doc.NAME),
        magic=((0, b"\xdb\xa5\x2d\x00"),),  # Word 2, outside of a compound file
        modules=_MODULES,
    ),
    Format(
        "Excel 97-2003 (.xls)",
        (mt.XLS,),
        _binary(xls.read_xls, xls.NAME),
        fallback=_oxide("xls", xls.NAME),
        magic=(  # sheets of Excel 2, 3, 4 and 5 outside of a compound file
            (0, b"\x09\x00\x04\x00"),
            (0, b"\x09\x02\x06\x00"),
            (0, b"\x09\x04\x06\x00"),
            (0, b"\x09\x08\x08\x00\x00\x05"),
        ),
        modules=_MODULES,
    ),
    Format(
        "PowerPoint 97-2003 (.ppt)",
        (mt.PPT,),
        _binary(ppt.read_ppt, ppt.NAME),
        fallback=_oxide("ppt", ppt.NAME),
        modules=_MODULES,
    ),
)
