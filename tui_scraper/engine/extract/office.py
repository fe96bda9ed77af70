"""Word documents (.docx), through office-oxide's HTML and our own rendering of HTML.

HTML rather than office-oxide's Markdown, because that escapes the brackets of an ordinary '[draft]' and
marks bold and italic, which neither search nor a reader of plain text wants; and rather than its
tree, which holds every picture of the document in base64.
"""

from __future__ import annotations

import html
import re
import zipfile

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.html import render
from tui_scraper.engine.extract.limits import UNREADABLE_PART, open_container
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_NAME = "Word document"
_TITLE = re.compile(r"<dc:title>([^<]{1,1000})</dc:title>")
_CORE = "docProps/core.xml"
_CORE_BYTES = 100_000
_OLE = b"\xd0\xcf\x11\xe0"


def extract_docx(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """Paragraphs, headings, lists and tables of a Word document, and its title if it was given one."""
    if data.startswith(_OLE):
        raise DocumentError(Cause.ENCRYPTED, "The Word document is encrypted: it needs a password.")
    container = open_container(data, _NAME)
    markup = _to_html(data)
    found = render(markup, trusted=True, max_chars=settings.max_chars)
    found.title = _title(container) or found.title
    return found


def _to_html(data: bytes) -> str:
    import office_oxide

    try:
        document = office_oxide.Document.from_bytes(data, "docx")
        return str(document.to_html())
    except office_oxide.OfficeOxideError as error:
        reason = str(error).lower()
        if "password" in reason or "encrypted" in reason:
            raise DocumentError(
                Cause.ENCRYPTED, "The Word document is encrypted: it needs a password."
            ) from None
        if "limit exceeded" in reason:
            raise DocumentError(
                Cause.TOO_LARGE, "The Word document unpacks into more than this program takes on."
            ) from None
        raise DocumentError(Cause.CORRUPT, "The Word document is damaged and cannot be read.") from None


def _title(container: zipfile.ZipFile) -> str | None:
    try:
        with container.open(_CORE) as stream:
            core = stream.read(_CORE_BYTES).decode("utf-8", "replace")
    except UNREADABLE_PART:
        return None  # a document without properties is whole
    found = _TITLE.search(core)
    return html.unescape(found[1]).strip() or None if found else None


FORMATS = (Format("Word (.docx)", (mt.DOCX,), extract_docx, modules=("office_oxide",)),)
