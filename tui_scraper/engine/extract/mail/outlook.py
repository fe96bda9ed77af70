"""Outlook items (.msg, .oft): mails, and contacts, appointments, tasks and notes with their own fields.

An item is a tree of properties in an OLE container (MS-OXMSG), which olefile opens. Its text is built as
that of a mail is: a block of header fields, then the body, which Outlook keeps as plain text, as HTML or
as compressed RTF. An item inside an item becomes a mail again when it is taken out, because a container
of its own cannot be cut out of the one around it.
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO, Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Entry, Extracted, Format
from tui_scraper.engine.extract.mail import outlook_properties as tag
from tui_scraper.engine.extract.mail import security
from tui_scraper.engine.extract.mail.body import written_text
from tui_scraper.engine.extract.mail.headers import field_text
from tui_scraper.engine.extract.mail.message import Reading, mail_text, thread_links
from tui_scraper.engine.extract.mail.outlook_body import stored_page
from tui_scraper.engine.extract.mail.outlook_properties import Properties
from tui_scraper.engine.extract.mail.parts import part_entries, refuse_encrypted
from tui_scraper.engine.extract.mail.structure import Mail, in_megabytes, read_mail
from tui_scraper.engine.extract.tidy import one_line
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    struct.error,
    RecursionError,
    OverflowError,
    AttributeError,
    TypeError,
)
"""What olefile raises for containers that contradict themselves."""
_STREAM: Final = "__substg1.0_"
_PROPERTIES: Final = "__properties_version1.0"
_NAMED: Final = "__nameid_version1.0"
_RECIPIENT: Final = "__recip_version1.0_"
_ATTACHMENT: Final = "__attach_version1.0_"
_EMBEDDED: Final = "__substg1.0_3701000D"
_TOP_HEADER, _ITEM_HEADER, _PART_HEADER = 32, 24, 8  # bytes before the fixed properties (MS-OXMSG 2.4)
_STORAGE: Final = 1
_MAX_RECIPIENTS: Final = 5_000
_MAX_ATTACHMENTS: Final = 10_000
_MAX_EMBEDDED: Final = 5
_EMBEDDED_METHOD: Final = 5
_SHOWN_IN_TEXT: Final = 4  # ATT_MHTML_REF of PidTagAttachFlags
_STUB_CHARS: Final = 400
_STUB_RATIO: Final = 4
_NAMED_FIRST: Final = 0x8000
_CONTACT_NAMED: Final = (
    # PSETID_Address
    *((0x8083, "E-mail"), (0x8093, "E-mail 2"), (0x80A3, "E-mail 3"), (0x802B, "Web page")),
    *((0x801B, "Business address"), (0x801A, "Home address"), (0x801C, "Other address")),
)
_FIELDS: Final[dict[str, tuple[tuple[int, str], ...]]] = {
    "ipm.contact": (
        *((tag.DISPLAY_NAME, "Name"), (0x3A17, "Title"), (0x3A16, "Company"), (0x3A18, "Department")),
        *_CONTACT_NAMED,
        *((0x3A08, "Business phone"), (0x3A09, "Home phone"), (0x3A1C, "Mobile phone"), (0x3A24, "Fax")),
        *((0x3A42, "Birthday"), (0x3A4F, "Nickname")),
    ),
    # PSETID_Appointment and PSETID_Task
    "ipm.appointment": ((0x820D, "Start"), (0x820E, "End"), (0x8208, "Location"), (0x8232, "Recurrence")),
    "ipm.schedule": ((0x820D, "Start"), (0x820E, "End"), (0x8208, "Location"), (0x8232, "Recurrence")),
    "ipm.task": ((0x8104, "Start"), (0x8105, "Due"), (0x811F, "Owner")),
}
"""Class of an item (its beginning) -> properties that are shown beside those of a mail."""


class _Item:
    """One storage of the container: an item, a recipient or an attachment."""

    def __init__(self, ole: Any, entry: Any, header_bytes: int) -> None:
        self.storages: dict[str, Any] = {}
        self.properties = Properties()
        self.is_damaged = False
        self._ole = ole
        self._streams: dict[str, Any] = {}
        for kid in entry.kids:
            if kid.entry_type == _STORAGE:
                self.storages[kid.name] = kid
                continue
            self._streams[kid.name] = kid
            if kid.name.startswith(_STREAM):
                self._add_stream(kid.name)
        block = self.stream(_PROPERTIES)
        for start in range(header_bytes, len(block) - 15, 16):
            kind, number = struct.unpack_from("<HH", block, start)
            self.properties.fixed.setdefault(number, (kind, block[start + 8 : start + 16]))
        self.properties.encoding = self.properties.find_encoding()

    def _add_stream(self, name: str) -> None:
        try:
            number = int(name[len(_STREAM) : len(_STREAM) + 8], 16)
        except ValueError:
            return
        kinds = self.properties.streams.setdefault(number >> 16, {})
        kinds[number & 0xFFFF] = partial(self.stream, name)

    def stream(self, name: str) -> bytes:
        """The content of a stream of this storage, b'' where there is none that can be read.

        Notes where there should be more of it.
        """
        entry = self._streams.get(name)
        if entry is None:
            return b""
        try:
            # By its entry, because olefile looks for a name among all others, one by one.
            with self._ole._open(entry.isectStart, entry.size) as stream:
                content = bytes(stream.read())
        except _UNREADABLE:
            content = b""
        self.is_damaged = self.is_damaged or len(content) < entry.size
        return content

    def below(self, prefix: str, most: int) -> Iterator[_Item]:
        """The recipients or attachments, in the order of their numbers."""
        for name in sorted(name for name in self.storages if name.startswith(prefix))[:most]:
            part = _Item(self._ole, self.storages[name], _PART_HEADER)
            part.properties.encoding = self.properties.encoding
            yield part

    def inner(self, name: str) -> _Item | None:
        """A storage in this one: an item inside an attachment, an object of another program, names."""
        entry = self.storages.get(name)
        return _Item(self._ole, entry, _ITEM_HEADER) if entry is not None else None

    def embedded(self) -> _Item | None:
        """The item inside an attachment."""
        is_item = self.properties.number(tag.ATTACH_METHOD) in (0, _EMBEDDED_METHOD)
        return self.inner(_EMBEDDED) if is_item else None


def extract_outlook(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The header block, the fields of its class and the body of an Outlook item.

    Raises DocumentError CORRUPT, or ENCRYPTED where there is nothing but an encrypted body.
    """
    message = _message(io.BytesIO(data))
    names = [_name(part, number) for number, part in _attachments(message)]
    reading = _read_body(message, settings)
    subject = _subject(message)
    if message.is_damaged and not reading.pieces:
        raise DocumentError(Cause.CORRUPT, "The Outlook item is damaged: its body cannot be read.")
    if reading.is_encrypted and not reading.pieces:
        raise refuse_encrypted(subject)
    own = "\n".join(f"{label}: {value}" for label, value in _own_fields(message))
    text, is_cut = mail_text(_header_fields(message), names + reading.names, [own, *reading.pieces])
    return Extracted(
        text=text,
        title=subject or None,
        links=_thread(message.properties) + reading.links.as_list(),
        truncated=is_cut or reading.is_cut or message.is_damaged,
        declared_language=reading.language,
    )


def outlook_entries(container: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
    """The attachments of an Outlook item; items among them as mails."""
    message = _message(container)
    for number, part in _attachments(message):
        yield Entry(_name(part, number), partial(_pieces, part, settings), size_bytes=-1)
    wrapped = _wrapped(message)
    if wrapped is not None:
        yield from part_entries(wrapped)


def _message(container: BinaryIO) -> _Item:
    import olefile

    try:
        ole = olefile.OleFileIO()
        # Its search for streams that share a sector is quadratic, and nothing here relies on it.
        ole._check_duplicate_stream = lambda *_arguments, **_named: None
        ole.open(container)
        message = _Item(ole, ole.root, _TOP_HEADER)
        message.properties.named = _named_properties(message)
    except _UNREADABLE:
        raise DocumentError(
            Cause.CORRUPT, "The Outlook item is damaged: its container cannot be opened."
        ) from None
    if not message.properties.streams and not message.properties.fixed:
        raise DocumentError(Cause.CORRUPT, "The Outlook item is damaged: it has no properties.")
    return message


def _named_properties(message: _Item) -> dict[int, int]:
    """The numbers that this file gives to properties which have numbers of their own in their sets."""
    names = message.inner(_NAMED)
    entries = names.stream(f"{_STREAM}00030102") if names else b""
    found: dict[int, int] = {}
    for start in range(0, len(entries) - 7, 8):
        number, kind, index = struct.unpack_from("<IHH", entries, start)
        if not kind & 1:  # the others have names
            found.setdefault(number, _NAMED_FIRST + index)
    return found


def _subject(message: _Item) -> str:
    subject = message.properties.first(tag.SUBJECT, tag.CONVERSATION_TOPIC, tag.NORMALIZED_SUBJECT)
    return subject[2:] if subject.startswith("\x01") else subject  # the length of a prefix such as 'Re: '


def _header_fields(message: _Item) -> Iterator[tuple[str, str]]:
    properties = message.properties
    name = properties.first(tag.SENT_REPRESENTING_NAME, tag.SENDER_NAME)
    address = _first_address(
        properties, tag.SENT_REPRESENTING_SMTP, tag.SENDER_SMTP, tag.SENT_REPRESENTING_EMAIL, tag.SENDER_EMAIL
    )
    recipients: dict[int, list[str]] = {1: [], 2: [], 3: []}
    for part in message.below(_RECIPIENT, _MAX_RECIPIENTS):
        kind = part.properties.number(tag.RECIPIENT_TYPE) & 0xF
        shown = _person(
            part.properties.line(tag.DISPLAY_NAME),
            _first_address(part.properties, tag.SMTP_ADDRESS, tag.EMAIL_ADDRESS),
        )
        recipients.get(kind, recipients[1]).append(shown)
    headers = properties.text(tag.TRANSPORT_HEADERS).encode()
    transport = read_mail(headers).root if headers else None
    date = properties.time(tag.CLIENT_SUBMIT_TIME) or properties.time(tag.DELIVERY_TIME)
    sender = _person(name, address)
    if not address and transport is not None and b"@" in transport.field(b"from"):
        sender = field_text(transport.field(b"from"))
    values = (
        ("From", sender),
        ("To", ", ".join(filter(None, recipients[1])) or properties.line(tag.DISPLAY_TO)),
        ("Cc", ", ".join(filter(None, recipients[2])) or properties.line(tag.DISPLAY_CC)),
        ("Bcc", ", ".join(filter(None, recipients[3])) or properties.line(tag.DISPLAY_BCC)),
        ("Date", date or (field_text(transport.field(b"date")) if transport else "")),
        ("Subject", _subject(message)),
    )
    for label, value in values:
        if value:
            yield label, value


def _thread(properties: Properties) -> list[tuple[str, str]]:
    names = (tag.MESSAGE_ID, tag.IN_REPLY_TO, tag.REFERENCES)
    return thread_links(*(properties.text(name).encode() for name in names))


def _first_address(properties: Properties, *names: int) -> str:
    return next((found for name in names if "@" in (found := properties.line(name))), "")


def _person(name: str, address: str) -> str:
    if not address or address.lower() == name.strip("'\"").lower() or address in name:
        return name or address
    return f"{name} <{address}>" if name else address


def _own_fields(message: _Item) -> Iterator[tuple[str, str]]:
    """The fields that only this class of item has, such as a contact's telephone."""
    properties = message.properties
    item_class = properties.line(tag.MESSAGE_CLASS).lower()
    for beginning, fields in _FIELDS.items():
        if item_class.startswith(beginning):
            for number, label in fields:
                known = properties.named.get(number, 0) if number >= _NAMED_FIRST else number
                value = properties.line(known) or properties.time(known)
                if value:
                    yield label, value


def _attachments(message: _Item) -> Iterator[tuple[int, _Item]]:
    """The files that came along, numbered, without the pictures that the text shows."""
    for number, part in enumerate(message.below(_ATTACHMENT, _MAX_ATTACHMENTS), 1):
        properties = part.properties
        is_shown = bool(properties.number(tag.ATTACH_FLAGS) & _SHOWN_IN_TEXT) and bool(
            properties.line(tag.ATTACH_CONTENT_ID)
        )
        is_hidden = properties.number(tag.ATTACHMENT_HIDDEN) != 0
        if not (is_shown or is_hidden or _is_wrapper(part)):
            yield number, part


def _is_wrapper(part: _Item) -> bool:
    """Whether an attachment is the signed or encrypted mail itself."""
    media_type = part.properties.line(tag.ATTACH_MIME_TAG).lower()
    name = part.properties.first(tag.ATTACH_LONG_FILENAME, tag.ATTACH_FILENAME).lower()
    return media_type in security.SMIME | security.RIGHTS_MANAGED | {"multipart/signed"} or name in (
        "smime.p7m",
        "message.rpmsg",
    )


def _name(part: _Item, number: int) -> str:
    properties = part.properties
    embedded = part.embedded()
    if embedded is not None:
        subject = one_line(_subject(embedded) or properties.line(tag.DISPLAY_NAME), 120)
        return f"{subject.replace('/', '-').strip('. ') or f'item-{number}'}.eml"
    found = properties.first(tag.ATTACH_LONG_FILENAME, tag.ATTACH_FILENAME, tag.DISPLAY_NAME)
    return found or f"attachment-{number}.bin"


def _pieces(part: _Item, settings: CleanSettings) -> Iterator[bytes]:
    embedded = part.embedded()
    if embedded is not None:
        return in_megabytes(_as_mail(embedded, settings, 1))
    content = part.properties.data(tag.ATTACH_DATA)
    if part.is_damaged:
        raise DocumentError(
            Cause.CORRUPT, "The Outlook item around this file is damaged: a part of the file is missing."
        )
    inside = part.inner(_EMBEDDED) if not content else None
    if inside is not None:
        content = inside.stream("CONTENTS") or inside.stream("Package")
        if not content:
            raise DocumentError(
                Cause.UNSUPPORTED, "This object is embedded in an Outlook item in a form that is not read."
            )
    return in_megabytes(content)


def _wrapped(message: _Item) -> Mail | None:
    """The mail that is signed, where the item only holds it as an attachment."""
    for part in message.below(_ATTACHMENT, 2):
        if _is_wrapper(part):
            content = part.properties.data(tag.ATTACH_DATA)
            if security.is_signed(content):
                signed = security.signed_content(content)
                return read_mail(signed) if signed else None
            mail = read_mail(content)
            return mail if mail.root.fields else None
    return None


def _read_body(message: _Item, settings: CleanSettings) -> Reading:
    reading = Reading(settings)
    plain, is_encrypted = written_text(message.properties.text(tag.BODY), settings)
    is_wrapped = any(_is_wrapper(part) for part in message.below(_ATTACHMENT, 2))
    wrapped = _wrapped(message) if is_wrapped else None
    if is_wrapped and (wrapped is None or not plain.text.strip()):
        if wrapped is None:
            reading.is_encrypted = True
        else:
            reading.read(wrapped)
        return reading
    reading.is_encrypted = is_encrypted
    written = len(plain.text.strip())
    if written < _STUB_CHARS and not is_encrypted:
        page = stored_page(message.properties, settings)
        enough = written * _STUB_RATIO + _STUB_CHARS // 2 if written else 0
        if page is not None and len(page.text.strip()) > enough:
            plain = page
    reading.take(plain)
    return reading


def _as_mail(item: _Item, settings: CleanSettings, depth: int) -> bytes:
    """An item inside an item as a mail in MIME, with its attachments."""
    boundary = f"embedded-item-{depth}"
    lines = [f"{label}: {' '.join(value.split())}" for label, value in _header_fields(item)]
    lines += ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{boundary}"', ""]
    reading = _read_body(item, settings)
    own = "\n".join(f"{label}: {value}" for label, value in _own_fields(item))
    body = "\n\n".join(filter(None, [own, *reading.pieces]))
    parts = [("text/plain; charset=utf-8", "", body.encode("utf-8", "replace"))]
    for number, attachment in _attachments(item):
        inner = attachment.embedded()
        if inner is None:
            parts.append(("application/octet-stream", _name(attachment, number), _content(attachment)))
        elif depth < _MAX_EMBEDDED:
            parts.append(("message/rfc822", _name(attachment, number), _as_mail(inner, settings, depth + 1)))
    for media_type, name, content in parts:
        lines += [f"--{boundary}", f"Content-Type: {media_type}", "Content-Transfer-Encoding: base64"]
        if name:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'Content-Disposition: attachment; filename="{quoted}"')
        lines += ["", base64.encodebytes(content).decode("ascii")]
    lines.append(f"--{boundary}--\n")
    return "\n".join(lines).encode("utf-8", "replace")


def _content(part: _Item) -> bytes:
    try:
        return b"".join(_pieces(part, CleanSettings()))
    except DocumentError:
        return b""


FORMATS = (
    Format(
        "Outlook items (.msg)",
        (mt.MSG,),
        extract_outlook,
        entries=outlook_entries,
        modules=("olefile", "selectolax.lexbor"),
    ),
)
