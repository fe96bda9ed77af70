"""office-oxide, a reader of Office documents in Rust: what it makes of them as HTML.

HTML rather than its Markdown, because that escapes the brackets of an ordinary '[draft]' and marks bold and
italic, which neither search nor a reader of plain text wants; and rather than its tree, which holds every
picture of the document in base64.
"""

from __future__ import annotations

from typing import Literal

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.models import Cause

Kind = Literal["docx", "xlsx", "pptx", "doc", "xls", "ppt"]


def to_html(data: bytes, kind: Kind, name: str) -> str:
    """A document as HTML. `kind` is the usual ending, `name` what people call the format.

    Raises DocumentError: CORRUPT, ENCRYPTED or TOO_LARGE.
    """
    import office_oxide

    try:
        return str(office_oxide.Document.from_bytes(data, kind).to_html())
    except office_oxide.OfficeOxideError as error:
        reason = str(error).lower()
        if "password" in reason or "encrypted" in reason:
            raise DocumentError(Cause.ENCRYPTED, f"The {name} is encrypted: it needs a password.") from None
        if "limit exceeded" in reason:
            raise DocumentError(
                Cause.TOO_LARGE, f"The {name} unpacks into more than this program takes on."
            ) from None
        raise DocumentError(Cause.CORRUPT, f"The {name} is damaged and cannot be read.") from None
