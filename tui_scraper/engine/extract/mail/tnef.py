"""What Exchange wraps attachments and formatting in for other mail programs: TNEF, 'winmail.dat' (MS-OXTNEF).

It is a row of attributes, each with its length and a checksum; attachments and the body are among them,
and MAPI properties as in an Outlook item. What comes behind a damaged attribute is lost.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Entry, Extracted, Format
from tui_scraper.engine.extract.limits import MAX_ENTRIES
from tui_scraper.engine.extract.mail import outlook_properties as tag
from tui_scraper.engine.extract.mail.body import written_text
from tui_scraper.engine.extract.mail.message import mail_text
from tui_scraper.engine.extract.mail.outlook_body import stored_page
from tui_scraper.engine.extract.mail.outlook_properties import Properties, codec_of
from tui_scraper.engine.extract.mail.structure import in_megabytes
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_SIGNATURE: Final = b"\x78\x9f\x3e\x22"
_HEADER: Final = 6
_BEGIN_ATTACHMENT: Final = 0x9002
_ATTACHMENT_PROPERTIES: Final = 0x9005
_ATTACHMENT_TITLE: Final = 0x8010
_ATTACHMENT_DATA: Final = 0x800F
_MESSAGE_PROPERTIES: Final = 0x9003
_CODE_PAGE: Final = 0x9007
_SUBJECT: Final = 0x8004
_BODY: Final = 0x800C
_NAMED_FIRST: Final = 0x8000
_MULTIPLE: Final = 0x1000
_EIGHT_BYTES: Final = frozenset((5, 6, 7, 0x14, tag.TIME))
_CLSID: Final = 0x48
_LONGER: Final = frozenset((tag.STRING8, tag.UNICODE, tag.BINARY, tag.OBJECT))
_OBJECT_ID_BYTES: Final = 16  # before an embedded object stands what can open it
_MAX_PROPERTIES: Final = 20_000


@dataclass
class _Attachment:
    title: bytes = b""
    content: bytes = b""
    properties: Properties = field(default_factory=Properties)

    def name(self, number: int) -> str:
        """The name of the file."""
        long_name = self.properties.first(tag.ATTACH_LONG_FILENAME, tag.ATTACH_FILENAME, tag.DISPLAY_NAME)
        title = self.title.split(b"\0")[0]
        return (
            long_name
            or title.decode(self.properties.encoding or "cp1252", "replace").strip()
            or f"attachment-{number}.bin"
        )

    def data(self) -> bytes:
        """The bytes of the file."""
        kinds = self.properties.streams.get(tag.ATTACH_DATA, {})
        if tag.OBJECT in kinds:
            return kinds[tag.OBJECT]()[_OBJECT_ID_BYTES:]
        return self.content or self.properties.data(tag.ATTACH_DATA)


@dataclass
class _Message:
    properties: Properties = field(default_factory=Properties)
    attachments: list[_Attachment] = field(default_factory=list)
    subject: bytes = b""
    body: bytes = b""
    is_cut: bool = False


def extract_tnef(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The subject and the body that are wrapped; often there are only files."""
    message = _read(data)
    codec = message.properties.encoding or "cp1252"
    properties = message.properties
    subject = properties.first(tag.SUBJECT) or message.subject.split(b"\0")[0].decode(codec, "replace")
    plain = properties.text(tag.BODY) or message.body.replace(b"\0", b"").decode(codec, "replace")
    found, _is_encrypted = written_text(plain, settings)
    if not found.text.strip():
        found = stored_page(properties, settings) or found
    fields = [("Subject", subject)] if subject and found.text.strip() else []
    text, _is_cut = mail_text(fields, [], [found.text])
    return Extracted(text=text, title=subject or None, links=found.links, truncated=found.truncated)


def tnef_entries(container: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
    """The files that are wrapped; wrapped messages as TNEF again."""
    for number, attachment in enumerate(_read(container.read()).attachments, 1):
        yield _entry(attachment, number)


def _entry(attachment: _Attachment, number: int) -> Entry:
    data = attachment.data()
    return Entry(attachment.name(number), partial(in_megabytes, data), size_bytes=len(data))


def _read(data: bytes) -> _Message:
    """Take the attributes apart. Raises DocumentError CORRUPT where not even one is whole."""
    message = _Message()
    codec = ""
    position, size, whole = _HEADER, len(data), 0
    while data.startswith(_SIGNATURE) and position + 9 <= size:
        level, number, length = struct.unpack_from("<BII", data, position)
        start, end = position + 9, position + 9 + length
        if level not in (1, 2) or end > size:
            break
        whole += 1
        value = data[start:end]
        position = end + 2
        number &= 0xFFFF
        if number == _CODE_PAGE:
            codec = codec_of(int.from_bytes(value[:4], "little"))
        elif number == _BEGIN_ATTACHMENT:
            if len(message.attachments) >= MAX_ENTRIES:
                break
            message.attachments.append(_Attachment())
        elif number == _MESSAGE_PROPERTIES:
            message.properties = _properties(value, codec)
        elif number == _SUBJECT:
            message.subject = value
        elif number == _BODY:
            message.body = value
        elif message.attachments:
            _add(message.attachments[-1], number, value, codec)
    if not whole:
        raise DocumentError(Cause.CORRUPT, "The winmail.dat file is damaged: nothing in it is whole.")
    message.properties.encoding = message.properties.encoding or codec
    return message


def _add(attachment: _Attachment, number: int, value: bytes, codec: str) -> None:
    if number == _ATTACHMENT_TITLE:
        attachment.title = value
    elif number == _ATTACHMENT_DATA:
        attachment.content = value
    elif number == _ATTACHMENT_PROPERTIES:
        attachment.properties = _properties(value, codec)


def _properties(block: bytes, codec: str) -> Properties:
    """The MAPI properties in a block, as far as it can be read."""
    found = Properties(encoding=codec)
    with contextlib.suppress(struct.error):  # a block that ends too early
        _read_properties(block, found)
    return found


def _read_properties(block: bytes, found: Properties) -> None:
    (count,) = struct.unpack_from("<I", block, 0)
    position = 4
    for _property in range(min(count, _MAX_PROPERTIES)):
        kind, number = struct.unpack_from("<HH", block, position)
        position += 4
        if number >= _NAMED_FIRST:
            position = _after_name(block, position)
        values = 1
        if kind & _MULTIPLE or kind in _LONGER:
            (values,) = struct.unpack_from("<I", block, position)
            position += 4
        plain_kind = kind & ~_MULTIPLE
        for value_number in range(min(values, _MAX_PROPERTIES)):
            if plain_kind in _LONGER:
                (length,) = struct.unpack_from("<I", block, position)
                value = block[position + 4 : position + 4 + length]
                position += 4 + (length + 3) // 4 * 4
                if value_number == 0:
                    found.streams.setdefault(number, {})[plain_kind] = partial(bytes, value)
            else:
                size = 16 if plain_kind == _CLSID else 8 if plain_kind in _EIGHT_BYTES else 4
                value = block[position : position + size].ljust(8, b"\0")
                found.fixed.setdefault(number, (plain_kind, value))
                position += size
            if position > len(block):
                return


def _after_name(block: bytes, position: int) -> int:
    (has_string,) = struct.unpack_from("<I", block, position + 16)
    if not has_string:
        return position + 24
    (length,) = struct.unpack_from("<I", block, position + 20)
    return position + 24 + int((length + 3) // 4 * 4)


FORMATS = (Format("winmail.dat (TNEF)", (mt.TNEF,), extract_tnef, entries=tnef_entries, endings=("tnef",)),)
