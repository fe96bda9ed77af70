"""Mail messages (.eml, .emlx, message/rfc822): who wrote to whom and about what, and what they wrote.

A mail's text is a short block of its header fields and then its body: the plain part where there is one
that says something, else the HTML part, with history marked as a quote. Files that came along, forwarded
messages among them, are documents of their own and not part of the text. `mail_structure` takes a mail
apart, `mail_parts` says what each part is, `mail_body` reads one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final
from urllib.parse import quote

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Entry, Extracted, Format, Links
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.mail.body import body_text
from tui_scraper.engine.extract.mail.headers import MAX_SHOWN_CHARS, field_text
from tui_scraper.engine.extract.mail.parts import (
    Role,
    entry_name,
    part_entries,
    part_roles,
    refuse_encrypted,
    unwrapped,
)
from tui_scraper.engine.extract.mail.security import RIGHTS_MANAGED, without_armour
from tui_scraper.engine.extract.mail.structure import MAX_FIELD_BYTES, Mail, Part, read_mail
from tui_scraper.engine.extract.tidy import one_line
from tui_scraper.engine.extract.web.html import extract_html_linear
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

SHOWN_FIELDS: Final = ("From", "Reply-To", "To", "Cc", "Bcc", "Newsgroups", "Date", "Subject")
"""The header fields that are part of a mail's text, in the order in which they are shown."""

_STUB_CHARS: Final = 400
_STUB_RATIO: Final = 4
_MAX_NAMES: Final = 50
_NAME_CHARS: Final = 120
_MAX_WRAPPED: Final = 3
_NOTHING, _OTHER, _HTML, _PLAIN = range(4)
_SIMPLE_FIELD = re.compile(rb"^([A-Za-z-]{2,20}):[ \t]{0,10}([^\r\n]{0,2000})", re.MULTILINE)
_MESSAGE_NAME = re.compile(rb"<([^<>]{1,998})>")
_THREAD_FIELDS: Final = (b"message-id", b"in-reply-to", b"references")
_MAX_THREAD: Final = 200
_ENCODED_LINES = re.compile(
    rb"^(?:[A-Za-z0-9+/=]{60,}(?:\r?\n|\Z))+(?:[A-Za-z0-9+/]+={0,2}\r?$\n?)?", re.MULTILINE
)


def extract_mail(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The header block and the body of a mail.

    Raises DocumentError ENCRYPTED where the body is encrypted and nothing came along that is not, and
    CORRUPT where it is in a signature that cannot be taken off.
    """
    mail = read_mail(data)
    reading = Reading(settings)
    reading.read(mail)
    subject = mail.root.text_of(b"subject")
    if reading.is_encrypted and not reading.pieces and not reading.names:
        raise refuse_encrypted(subject)
    if reading.is_damaged and not reading.pieces and not reading.names:
        raise DocumentError(Cause.CORRUPT, "The mail is damaged: what its signature wraps cannot be read.")
    if reading.is_encrypted:
        reading.pieces.append("[A part of this mail is encrypted.]")
    text, is_cut = mail_text(header_fields(mail.root), reading.names, reading.pieces)
    return Extracted(
        text=text,
        title=subject or None,
        links=thread_links(*map(mail.root.field, _THREAD_FIELDS)) + reading.links.as_list(),
        truncated=reading.is_cut or is_cut,
        declared_language=mail.root.text_of(b"content-language")[:20] or reading.language,
    )


def mail_entries(container: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
    """The files that came with a mail, in the order of its parts."""
    yield from part_entries(read_mail(container.read()))


def mail_text(fields: Iterable[tuple[str, str]], names: list[str], pieces: Iterable[str]) -> tuple[str, bool]:
    """A mail's text from its header fields, the names of its files and the pieces of its body.

    Says also whether a field was cut.
    """
    lines: list[str] = []
    is_cut = False
    for label, value in fields:
        is_cut = is_cut or len(value) > MAX_SHOWN_CHARS
        lines.append(f"{label}: {value[:MAX_SHOWN_CHARS]}")
    if names:
        more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
        shown = ", ".join(one_line(name, _NAME_CHARS) for name in names[:_MAX_NAMES])
        lines.append(f"Attachments: {shown}{more}")
    return "\n\n".join(filter(None, ["\n".join(lines), *pieces])), is_cut


def header_fields(root: Part) -> list[tuple[str, str]]:
    """The fields of a mail's header that are shown, as (label, value) pairs."""
    charset = root.parameters.get("charset", "")
    found = [(label, field_text(root.field(label.lower().encode()), charset)) for label in SHOWN_FIELDS]
    if not found[0][1]:
        found[0] = (found[0][0], root.text_of(b"sender"))
    return [(label, value) for label, value in found if value]


def thread_links(message_id: bytes, in_reply_to: bytes, references: bytes) -> list[tuple[str, str]]:
    """The name of a mail (`self`), and those of the mails it answers (`reference`), the nearest first.

    Takes the raw header fields of these names. Names are `mid:` addresses (RFC 2392).
    """
    links = Links()
    for name in _message_names(message_id)[:1]:
        links.add(name, "self")
    for name in [*_message_names(in_reply_to), *reversed(_message_names(references))]:
        links.add(name, "reference")
    return links.as_list()[:_MAX_THREAD]


def _message_names(raw: bytes) -> list[str]:
    return [
        "mid:" + quote(found.decode("utf-8", "replace"), safe="@!$*+-.=_~/:")
        for found in _MESSAGE_NAME.findall(b"".join(raw.split()))
    ]


class Reading:
    """The body of one mail while it is read, with what its signatures wrap."""

    def __init__(self, settings: CleanSettings) -> None:
        self.pieces: list[str] = []
        self.names: list[str] = []
        self.links = Links()
        self.language = ""
        self.is_encrypted = False
        self.is_damaged = False
        self.is_cut = False
        self._settings = settings
        self._room = settings.max_chars

    def read(self, mail: Mail, depth: int = 0) -> None:
        """Take the text of a mail and the names of its files."""
        roles = part_roles(mail)
        rendered: dict[int, Extracted] = {}
        self.is_cut = self.is_cut or mail.is_cut
        self.is_encrypted = self.is_encrypted or Role.ENCRYPTED in roles
        if any(part.media_type in RIGHTS_MANAGED for part in mail.parts):
            return  # the text beside it only says how to open it
        for part in self._shown(mail, roles, rendered):
            if self._room <= 0:
                self.is_cut = True
                break
            if roles[part.number] is Role.WRAPPED:
                self._read_wrapped(mail, part, depth)
            else:
                self.take(self._body(mail, part, rendered))
        for part in mail.parts:
            if roles[part.number] is Role.FILE:
                self.names.append(entry_name(mail, part))

    def _read_wrapped(self, mail: Mail, part: Part, depth: int) -> None:
        inner = unwrapped(mail, part) if depth < _MAX_WRAPPED else None
        if inner is None:
            self.is_damaged = self.is_cut = True
            return
        if part.media_type == "message/partial":
            self.take(Extracted(text=mail_text(header_fields(inner.root), [], [])[0]))
        self.read(inner, depth + 1)

    def take(self, found: Extracted) -> None:
        """Add one text to the body."""
        text = found.text.strip("\n")
        if text.strip():
            self.pieces.append(text)
            self._room -= len(text)
        for target, kind in found.links:
            self.links.add(target, kind)
        self.language = self.language or found.declared_language
        self.is_cut = self.is_cut or found.truncated

    def _body(self, mail: Mail, part: Part, rendered: dict[int, Extracted]) -> Extracted:
        found = rendered.get(part.number)
        if found is None:
            content = mail.content(part)
            if part.media_type == "message/partial":
                content = _ENCODED_LINES.sub(b"", content)
            elif part.media_type == "message/external-body":
                where = "".join(f"{name}: {value}\n" for name, value in part.parameters.items())
                content = where.encode("utf-8", "replace") + content
            found, is_encrypted = body_text(content, part.media_type, part.parameters, self._settings)
            self.is_encrypted = self.is_encrypted or is_encrypted
            rendered[part.number] = found
        return found

    def _shown(self, mail: Mail, roles: list[Role], rendered: dict[int, Extracted]) -> Iterator[Part]:
        """The parts that make up the text, in order. Of alternatives it is one."""
        ranks = _ranks(mail, roles)
        stack = [mail.root]
        while stack:
            part = stack.pop()
            if not part.is_multipart:
                if ranks[part.number]:
                    yield part
            elif part.media_type == "multipart/alternative":
                stack.append(self._best(mail, part.children, ranks, rendered))
            else:
                stack.extend(reversed(part.children))

    def _best(
        self, mail: Mail, alternatives: list[Part], ranks: list[int], rendered: dict[int, Extracted]
    ) -> Part:
        """Plain text before HTML before others, unless the plain text hardly says anything."""
        best = max(alternatives, key=lambda part: ranks[part.number])
        page = next((part for part in reversed(alternatives) if ranks[part.number] == _HTML), None)
        if best.is_multipart or page is None or page is best:
            return best
        plain_chars = len(self._body(mail, best, rendered).text.strip())
        if plain_chars == 0:
            return page
        if plain_chars >= _STUB_CHARS or page.is_multipart:
            return best
        page_chars = len(self._body(mail, page, rendered).text.strip())
        return page if page_chars > plain_chars * _STUB_RATIO + _STUB_CHARS // 2 else best


def _ranks(mail: Mail, roles: list[Role]) -> list[int]:
    """What the best text in each part is: nothing, other, HTML or plain."""
    ranks = [_NOTHING] * len(mail.parts)
    for part in reversed(mail.parts):
        if part.is_multipart:
            ranks[part.number] = max(ranks[child.number] for child in part.children)
        elif roles[part.number] in (Role.TEXT, Role.WRAPPED):
            ranks[part.number] = {"text/plain": _PLAIN, "text/html": _HTML}.get(part.media_type, _OTHER)
    return ranks


def extract_mail_lines(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The header fields and all lines below that are not encoded: what is left where the parts mislead."""
    header, separator, body = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = {name.lower(): value for name, value in _SIMPLE_FIELD.findall(header[:MAX_FIELD_BYTES])}
    known = [(label, fields.get(label.lower().encode())) for label in SHOWN_FIELDS]
    block = "\n".join(f"{label}: {field_text(value)}" for label, value in known if value)
    body = _ENCODED_LINES.sub(b"", body if separator and block else data)
    is_page = b"<html" in body[:MAX_FIELD_BYTES].lower()
    found = extract_html_linear(body, mt.HTML, settings) if is_page else Extracted(text=decode(body))
    found.text, is_encrypted = without_armour(found.text)
    if is_encrypted and not found.text.strip():
        raise refuse_encrypted(field_text(fields.get(b"subject", b"")))
    return Extracted(
        text=f"{block}\n\n{found.text}" if block else found.text,
        title=field_text(fields.get(b"subject", b"")) or None,
        truncated=found.truncated,
    )


FORMATS = (
    Format(
        "mail (.eml, .emlx)",
        (mt.MAIL,),
        extract_mail,
        fallback=extract_mail_lines,
        entries=mail_entries,
        modules=("selectolax.lexbor",),
    ),
)
