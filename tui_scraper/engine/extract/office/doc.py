"""Word documents of the years before 2007 (.doc).

office-oxide reads them: it knows paragraphs, headings, lists, tables, notes, comments and text boxes of
Word 2 to 2003, in Rust. Where it fails, the text alone is put together here from the pieces that the file
keeps it in, without what tells headings and tables apart.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Extracted
from tui_scraper.engine.extract.office.ole import MAGIC, CompoundFile, DamagedFileError
from tui_scraper.engine.extract.office.oxide import to_html
from tui_scraper.engine.extract.web.html import render
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

NAME: Final = "Word document"

_FIRST_97: Final = 0xC1  # the lowest version number that Word 97 writes
_ENCRYPTED, _FIRST_TABLE = 0x0100, 0x0200
_HEADER_BYTES: Final = 0x1AA
_OBJECT = re.compile(r"<figure>\s*<figcaption>Embedded [^<]{1,100}</figcaption>\s*</figure>")
_FIELD_MARKS = re.compile("[\x13-\x15]")
_ADDRESS_FIELD = re.compile("\x13[^\x13-\x15]{0,4000}[\x14\x15]")
_CELL_ENDS = re.compile("\x07+")
_SIGNS: Final = {1: None, 2: None, 5: None, 8: None, 11: "\n", 12: "\n\n", 13: "\n\n", 30: "-", 31: None}
"""What stands for itself nowhere else: pictures, notes, line and page ends, hyphens."""


def read_doc(data: bytes, settings: CleanSettings) -> Extracted:
    """The text of a document, as office-oxide lays it out.

    Raises DocumentError: CORRUPT, ENCRYPTED or TOO_LARGE.
    """
    title = None
    if data.startswith(MAGIC):
        container, _text = _open(data)
        title = container.title()
    else:
        _refuse_encrypted(data)
    found = render(_OBJECT.sub("", to_html(data, "doc", NAME)), trusted=True, max_chars=settings.max_chars)
    found.title = title or found.title
    return found


def read_doc_pieces(data: bytes, settings: CleanSettings) -> Extracted:
    """The text of a document, piece by piece.

    Raises DocumentError: CORRUPT or ENCRYPTED.
    """
    container, main = _open(data)
    if len(main) < _HEADER_BYTES:
        raise _damaged("it is too short to hold text")
    text = _ADDRESS_FIELD.sub("", _pieces(container, main, settings.max_chars))
    text = _CELL_ENDS.sub(" | ", _FIELD_MARKS.sub("", text)).translate(_SIGNS)
    if not any(map(str.isalnum, text)):
        text = ""  # an empty table
    return Extracted(
        text=text[: settings.max_chars],
        title=container.title(),
        truncated=len(text) > settings.max_chars,
    )


def _open(data: bytes) -> tuple[CompoundFile, bytes]:
    try:
        container = CompoundFile(data)
    except DamagedFileError:
        raise _damaged("its container cannot be opened") from None
    main = container.read("WordDocument")
    if not main or len(main) < 32:
        raise _damaged("its text is missing")
    _refuse_encrypted(main)
    return container, main


def _refuse_encrypted(main: bytes) -> None:
    """Raise DocumentError(ENCRYPTED) where the header, the same since Word 2, says so."""
    if len(main) >= 12 and struct.unpack_from("<10xH", main)[0] & _ENCRYPTED:
        raise DocumentError(Cause.ENCRYPTED, f"The {NAME} is encrypted: it needs a password.")


def _pieces(container: CompoundFile, main: bytes, max_chars: int) -> str:
    version, flags = struct.unpack_from("<2xH6xH", main)
    if version < _FIRST_97:
        begin, end = struct.unpack_from("<II", main, 24)
        return main[begin : min(end, begin + max_chars)].decode("cp1252", "replace")
    table = container.read("1Table" if flags & _FIRST_TABLE else "0Table") or b""
    offset, size = struct.unpack_from("<II", main, 0x1A2)
    listing = _piece_table(table[offset : offset + size])
    count = (len(listing) - 4) // 12
    if count < 1:
        raise _damaged("where its text lies is not told")
    starts = struct.unpack_from(f"<{count + 1}I", listing)
    found: list[str] = []
    left = max_chars + 1
    for number in range(count):
        (place,) = struct.unpack_from("<I", listing, 4 * (count + 1) + 8 * number + 2)
        characters = min(max(0, starts[number + 1] - starts[number]), left)
        if place & 0x40000000:  # one byte a character
            begin = (place & 0x3FFFFFFF) // 2
            piece = main[begin : begin + characters].decode("cp1252", "replace")
        else:
            piece = main[place : place + 2 * characters].decode("utf-16-le", "replace")
        found.append(piece)
        left -= len(piece)
        if left <= 0:
            break
    return "".join(found)


def _piece_table(complex_part: bytes) -> bytes:
    """The table of pieces, which stands after the formatting of fast saves (MS-DOC 2.9.38)."""
    offset = 0
    while offset + 3 <= len(complex_part) and complex_part[offset] == 1:
        offset += 3 + struct.unpack_from("<H", complex_part, offset + 1)[0]
    if offset + 5 > len(complex_part) or complex_part[offset] != 2:
        return b""
    (size,) = struct.unpack_from("<I", complex_part, offset + 1)
    return complex_part[offset + 5 : offset + 5 + size]


def _damaged(how: str) -> DocumentError:
    return DocumentError(Cause.CORRUPT, f"The {NAME} is damaged: {how}.")
