"""What each part of a mail is to its reader: text, a file that came along, or neither.

Pictures that the HTML part shows inside itself, signatures and style sheets are neither. A part that is
named, or asks to be treated as an attachment, is a file even where it is text; but a mail's first text is
its body whatever it is named, because some programs name everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final
from urllib.parse import unquote_to_bytes

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Entry
from tui_scraper.engine.extract.detect import is_text
from tui_scraper.engine.extract.mail import security
from tui_scraper.engine.extract.mail.charsets import codec_name, decode_labelled
from tui_scraper.engine.extract.mail.headers import field_text, parameters
from tui_scraper.engine.extract.mail.inline import InlineFile, inline_files
from tui_scraper.engine.extract.mail.structure import (
    Mail,
    Part,
    in_megabytes,
    read_mail,
    transfer_encoding,
    undo_transfer_encoding,
)
from tui_scraper.engine.extract.tidy import one_line
from tui_scraper.engine.models import Cause

MESSAGES: Final = frozenset(("message/rfc822", "message/global", "message/news"))
REPORTS: Final = frozenset(
    (
        "message/delivery-status",
        "message/disposition-notification",
        "message/feedback-report",
        "message/global-delivery-status",
        "message/external-body",
        "text/rfc822-headers",
    )
)
"""Parts that are lines of fields, to be read as they are."""
BODIES: Final = frozenset(("text/plain", "text/html", "text/enriched", "text/richtext"))

_FILES_AS_TEXT: Final = frozenset(
    f"text/{kind}" for kind in ("calendar", "x-vcalendar", "vcard", "x-vcard", "directory", "rtf", "xml")
)
_NOT_SHOWN: Final = frozenset(
    ("text/css", "text/javascript", "text/x-amp-html", "text/watch-html", "application/applefile")
)
_CONTENT_ID = re.compile(rb"cid:([^\"'\s<>)\\]{1,300})", re.IGNORECASE)
_SAMPLE_BYTES: Final = 4_000
_NAME_CHARS: Final = 120
_MAX_WRAPPED: Final = 3
_ENDINGS: Final = {
    **{media_type: ending.decode() for ending, media_type in reversed(mt.BY_ENDING.items())},
    "image/jpeg": "jpg",
    "audio/mpeg": "mp3",
    "application/ms-tnef": "dat",
    "application/vnd.ms-tnef": "dat",
    "application/mac-binhex40": "hqx",
    "text/x-vcard": "vcf",
    "text/directory": "vcf",
    "text/rtf": "rtf",
    "text/xml": "xml",
    "text/html": "html",
    "text/plain": "txt",
}
_PLAIN_KIND = re.compile(r"(?:x-)?([a-z0-9]{2,5})\Z")


class Role(Enum):
    """What a part is. Those that have parts themselves are NOTHING, or ENCRYPTED with all inside them."""

    TEXT = "text"
    FILE = "file"
    WRAPPED = "wrapped"
    """Another MIME part under a signature, or the beginning of a mail that was sent in pieces."""
    ENCRYPTED = "encrypted"
    NOTHING = "nothing"


def part_roles(mail: Mail) -> list[Role]:
    """The role of each part of a mail, by number."""
    roles: list[Role] = []
    has_text = False
    for part in mail.parts:
        if (part.parent and roles[part.parent.number] is Role.ENCRYPTED) or (
            part.media_type == "multipart/encrypted"
        ):
            role = Role.ENCRYPTED
        elif part.is_multipart:
            role = Role.NOTHING
        else:
            role = _role(mail, part, has_text)
            has_text = has_text or role is Role.TEXT
        roles.append(role)
    _leave_out_resources(mail, roles)
    return roles


def _role(mail: Mail, part: Part, has_text: bool) -> Role:
    media_type = part.media_type
    if media_type in security.RIGHTS_MANAGED:
        return Role.ENCRYPTED
    if media_type in security.SMIME:
        return _smime_role(mail, part)
    if media_type in security.SIGNATURES or media_type in _NOT_SHOWN:
        return Role.NOTHING
    if media_type in MESSAGES or _disposition(part) == b"attachment":
        return Role.FILE
    if media_type == "message/partial":
        return Role.WRAPPED if part.parameters.get("number", "1").strip() == "1" else Role.TEXT
    if media_type in REPORTS or media_type.startswith("multipart/"):
        return Role.TEXT  # a multipart without parts is what somebody typed
    is_named = bool(file_name(part))
    is_body = media_type in BODIES and (not is_named or not has_text or _is_alternative(part))
    is_other_text = media_type.startswith("text/") and not is_named and media_type not in _FILES_AS_TEXT
    return Role.TEXT if (is_body or is_other_text) and _looks_readable(mail, part) else Role.FILE


def _disposition(part: Part) -> bytes:
    return part.field(b"content-disposition").partition(b";")[0].strip().lower()


def _is_alternative(part: Part) -> bool:
    return part.parent is not None and part.parent.media_type == "multipart/alternative"


def _smime_role(mail: Mail, part: Part) -> Role:
    if part.parameters.get("smime-type", "").lower().startswith("certs"):
        return Role.NOTHING
    return Role.WRAPPED if security.is_signed(_sample(mail, part)) else Role.ENCRYPTED


def _sample(mail: Mail, part: Part) -> bytes:
    start = mail.data[part.start : min(part.end, part.start + _SAMPLE_BYTES)]
    return undo_transfer_encoding(start, transfer_encoding(part))


def _looks_readable(mail: Mail, part: Part) -> bool:
    """Whether what is called text is text, so that a picture under a wrong label does not become any."""
    sample = _sample(mail, part)
    if codec_name(part.parameters.get("charset", "")).startswith(("utf-16", "utf-32")):
        return True
    return is_text(sample) or (0 < sample.count(0) * 10 < len(sample) and is_text(sample.replace(b"\0", b"")))


def _leave_out_resources(mail: Mail, roles: list[Role]) -> None:
    """Make nothing of what an HTML part shows inside itself."""
    referenced: set[bytes] | None = None
    for part in mail.parts:
        if roles[part.number] is not Role.FILE or part.media_type in MESSAGES:
            continue
        name = part.field(b"content-id").strip(b"<> \t")
        if name and referenced is None:
            referenced = _referenced(mail, roles)
        is_shown = bool(name) and referenced is not None and name in referenced
        if is_shown or (_is_picture_of_page(part) and _disposition(part) != b"attachment"):
            roles[part.number] = Role.NOTHING


def _referenced(mail: Mail, roles: list[Role]) -> set[bytes]:
    """The Content-IDs that HTML parts refer to."""
    found: set[bytes] = set()
    for part in mail.parts:
        if part.media_type == "text/html" and roles[part.number] is Role.TEXT:
            content = mail.content(part)
            found.update(unquote_to_bytes(name) for name in _CONTENT_ID.findall(content))
    return found


def _is_picture_of_page(part: Part) -> bool:
    parent = part.parent
    return (
        parent is not None
        and parent.media_type == "multipart/related"
        and part is not parent.children[0]
        and part.media_type.startswith(("image/", "font/", "application/font", "application/x-font"))
    )


def file_name(part: Part) -> str:
    """The name that a part is given, '' where it has none."""
    raw = part.field(b"content-disposition")
    charset = part.parameters.get("charset", "")
    name = parameters(field_text(raw, charset, words=False)).get("filename", "") if raw else ""
    return name.strip() or part.parameters.get("name", "").strip()


def entry_name(mail: Mail, part: Part) -> str:
    """The name of a file: its own, the subject of a message, or one made from its place and type."""
    name = file_name(part)
    if name:
        return name
    if part.media_type in MESSAGES:
        subject = _subject(mail, part)
        return f"{subject}.eml" if subject else f"part-{part.number}.eml"
    known = _ENDINGS.get(part.media_type)
    if known is None:
        kind = _PLAIN_KIND.match(part.media_type.partition("/")[2])
        known = kind[1] if kind and part.media_type.startswith(("image/", "audio/", "video/")) else "bin"
    return f"part-{part.number}.{known}"


def _subject(mail: Mail, part: Part) -> str:
    start = mail.data[part.start : min(part.end, part.start + 16 * _SAMPLE_BYTES)]
    inner = read_mail(undo_transfer_encoding(start, transfer_encoding(part))).root
    return one_line(inner.text_of(b"subject"), _NAME_CHARS).replace("/", "-").strip(". ")


def unwrapped(mail: Mail, part: Part) -> Mail | None:
    """The mail inside a part that wraps one, None where it cannot be found."""
    content = mail.content(part)
    if part.media_type in security.SMIME:
        signed = security.signed_content(content)
        return read_mail(signed) if signed else None
    return read_mail(content)


def part_entries(mail: Mail, depth: int = 0) -> Iterator[Entry]:
    """The files of a mail: attachments, forwarded messages, and files written into its text."""
    roles = part_roles(mail)
    for part in mail.parts:
        role = roles[part.number]
        if role is Role.FILE:
            yield _entry(mail, part)
        elif role is Role.WRAPPED and depth < _MAX_WRAPPED:
            inner = unwrapped(mail, part)
            if inner is not None:
                yield from part_entries(inner, depth + 1)
        elif role is Role.TEXT and part.media_type in ("text/plain", "message/partial"):
            _text, files = inline_files(mail.content(part))
            for number, found in enumerate(files, 1):
                yield _inline_entry(found, f"inline-{part.number}-{number}.hqx")


def _entry(mail: Mail, part: Part) -> Entry:
    def pieces() -> Iterator[bytes]:
        return in_megabytes(mail.content(part))

    return Entry(entry_name(mail, part), pieces, size_bytes=part.end - part.start)


def _inline_entry(found: InlineFile, default: str) -> Entry:
    name = decode_labelled(found.name, "").strip()
    return Entry(name or default, lambda: in_megabytes(found.content()), size_bytes=len(found.lines))


def refuse_encrypted(subject: str) -> DocumentError:
    """The error of a mail of which nothing but the header can be read."""
    shown = "".join(filter(str.isprintable, one_line(subject, 100)))
    about = f" about '{shown}'" if shown else ""
    return DocumentError(
        Cause.ENCRYPTED,
        f"The mail{about} is encrypted: its text cannot be read without the key or password of its reader.",
    )
