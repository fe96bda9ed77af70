"""Mailboxes (mbox): messages one after the other, each under a line that begins with 'From '.

Nothing says where a message ends but the next such line, and a text may hold one by chance, so a line
counts only where a header follows it, the surer the less else sets it off: an empty line above, a date.
A Content-Length is believed where it leads to such a line or to the end. The file is read in blocks,
never whole; it may have two gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Entry, Format
from tui_scraper.engine.extract.limits import MAX_MESSAGES
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_BLOCK: Final = 1 << 20
_LOOK: Final = 2_000  # bytes needed to judge a line: itself and the next
_FIRST_BLOCK: Final = 32_768
_HEADER_BYTES: Final = 16_384
_LINE = re.compile(rb"From [^\r\n]{0,500}\r?\n")
_FIELD_BELOW = re.compile(rb"(?:>?From [^\r\n]{0,500}\r?\n)?[!-9;-~]{1,100}[ \t]{0,5}:")
_NAMES: Final = (
    rb"(?:received|return-path|from|to|cc|date|subject|message-id|mime-version|x-|delivered-to|content-|reply-to"
    rb"|sender|status|path|newsgroups|references|in-reply-to)[!-9;-~]{0,60}[ \t]{0,5}:"
)
_MAIL_FIELD_BELOW = re.compile(rb"(?:>?From [^\r\n]{0,500}\r?\n)?" + _NAMES, re.IGNORECASE)
_TWO_FIELDS_BELOW = re.compile(_NAMES + rb"[^\r\n]{0,500}\r?\n" + _NAMES, re.IGNORECASE)
_DATE = re.compile(rb"\d{1,2}:\d{2}(?::\d{2})?\b.{0,60}\b\d{4}|\b\d{4}\b.{0,60}\d{1,2}:\d{2}")
_LENGTH = re.compile(rb"^content-length:[ \t]{0,20}(\d{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
_LINE_ENDS: Final = b"\r\n"


def mailbox_entries(container: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
    """The messages of a mailbox, in order."""
    size = container.seek(0, 2)
    start = _next_message(container, 0, size)
    number = 0
    if start != 0 and _begins_as_mail(container):
        start = 0
    if start < 0:
        raise DocumentError(Cause.CORRUPT, "The mailbox is damaged: no message begins anywhere in it.")
    while start >= 0:
        number += 1
        following = _after_length(container, start, size)
        if following < 0:
            following = _next_message(container, start + 1, size)
        end = following if following >= 0 else size
        yield _entry(container, f"{number:05d}.eml", start, end)
        start = following if following < size else -1


def _begins_as_mail(container: BinaryIO) -> bool:
    container.seek(0)
    return _MAIL_FIELD_BELOW.match(container.read(_LOOK).lstrip()) is not None


def _next_message(container: BinaryIO, position: int, size: int) -> int:
    """Where the next 'From ' line at or after `position` begins that heads a message, -1 where none does."""
    base = max(position - 4, 0)  # with what stands before the line
    length = _FIRST_BLOCK
    while base < size:
        container.seek(base)
        block = container.read(length)
        is_last = base + len(block) >= size
        usable = len(block) if is_last else len(block) - _LOOK
        for at in _candidates(block, is_start=base == 0):
            if at < usable and base + at >= position and _heads_message(block, at):
                return base + at
        if is_last or usable <= 4:
            break
        base += usable - 4
        length = min(length * 4, _BLOCK)
    return -1


def _candidates(block: bytes, *, is_start: bool) -> Iterator[int]:
    if is_start and block.startswith(b"From "):
        yield 0
    at = -1
    while (at := block.find(b"\nFrom ", at + 1)) >= 0:
        yield at + 1


def _heads_message(block: bytes, at: int) -> bool:
    line = _LINE.match(block, at)
    if line is None or not _FIELD_BELOW.match(block, line.end()):
        return False
    has_date = _DATE.search(line[0]) is not None
    is_set_off = at == 0 or block.endswith((b"\n\n", b"\n\r\n"), max(0, at - 3), at)
    if has_date and is_set_off:
        return True
    below = _MAIL_FIELD_BELOW if has_date or is_set_off else _TWO_FIELDS_BELOW
    return below.match(block, line.end()) is not None


def _after_length(container: BinaryIO, start: int, size: int) -> int:
    """Where the next message begins if a Content-Length says it truly, else -1; `size` at the end."""
    container.seek(start)
    head = container.read(_HEADER_BYTES)
    end = _END_OF_HEADER.search(head)
    found = _LENGTH.search(head, 0, end.start() + 2) if end else None
    if end is None or found is None:
        return -1
    position = start + end.end() + int(found[1])
    if position > size:
        return -1
    container.seek(position)
    rest = container.read(_LOOK)
    blank = len(rest) - len(rest.lstrip(_LINE_ENDS))
    if position + blank >= size:
        return size
    is_heading = rest.startswith(b"From ", blank) and _heads_message(b"\n\n" + rest[blank:], 2)
    return position + blank if is_heading else -1


def _entry(container: BinaryIO, name: str, start: int, end: int) -> Entry:
    def pieces() -> Iterator[bytes]:
        position = start
        held = b""
        while position < end:
            container.seek(position)
            block = container.read(min(_BLOCK - len(held), end - position))
            if not block:
                break
            if position == start:
                line = _LINE.match(block)
                held = block[line.end() if line else 0 :]
            else:
                held += block
            position += len(block)
            cut = held.rfind(b"\n") + 1 if position < end else len(held)
            cut = cut or len(held)  # one endless line is given as it comes
            piece, held = _ESCAPED.sub(rb"\1", held[:cut]), held[cut:]
            if piece:
                yield piece

    return Entry(name, pieces, size_bytes=end - start)


FORMATS = (
    Format(
        "mailboxes (mbox)",
        (mt.MBOX,),
        entries=mailbox_entries,
        streamed=True,
        max_entries=MAX_MESSAGES,
    ),
)
