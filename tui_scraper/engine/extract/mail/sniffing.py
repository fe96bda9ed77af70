"""Whether bytes begin as a mail does: a block of header fields, three of them such as only mail has.

One unusual line does not matter, because mail passes through many programs; a list of 'Name: value'
lines alone is no mail, because licences, recipes and package descriptions look like that too.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from tui_scraper.engine.extract import media_types as mt

_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]{0,5}:")
_APPLE_LENGTH = re.compile(rb"\d{1,10}[ \t]{0,20}\r?\n(?=[A-Za-z-]{2,60}:)")
_KNOWN: Final = frozenset(
    b"return-path received delivered-to message-id mime-version from to cc bcc date subject reply-to sender"
    b" content-type content-transfer-encoding in-reply-to references dkim-signature envelope-to errors-to"
    b" newsgroups authentication-results arc-seal domainkey-signature list-id list-unsubscribe content-class"
    b" thread-topic thread-index x-mailer x-priority user-agent resent-from resent-date apparently-to"
    b" x-original-to x-received x-mozilla-status".split()
)
_MAIL_ONLY: Final = frozenset(
    b"return-path received delivered-to message-id from dkim-signature envelope-to x-original-to in-reply-to"
    b" apparently-to newsgroups thread-index".split()
)
_PAGE = re.compile(rb"^(?:snapshot-content-location:|from: *<?saved by )", re.IGNORECASE | re.MULTILINE)
_ENOUGH: Final = 3
_MAX_STRANGE: Final = 1


def mail_type(head: bytes) -> str:
    """'message/rfc822', 'application/mbox' or the type of a saved web page; '' for what is no mail.

    `head` is the beginning of a file.
    """
    head = head.removeprefix(codecs.BOM_UTF8).replace(b"\0", b"").lstrip(b" \t\r\n")
    length = _APPLE_LENGTH.match(head)
    if length:
        head = head[length.end() :]
    is_mailbox = head.startswith(b"From ")
    lines = re.split(rb"\r\n|\n|\r", head)
    if len(lines) > 1 and head.find(b"\n\n") < 0 and head.find(b"\r\n\r\n") < 0:
        lines.pop()  # perhaps cut off
    names = _field_names(lines[1:] if is_mailbox else lines)
    if len(names & _KNOWN) < _ENOUGH or not names & _MAIL_ONLY:
        return ""
    if is_mailbox:
        return mt.MBOX
    return mt.MHTML if _PAGE.search(head) and b"multipart/related" in head.lower() else mt.MAIL


def _field_names(lines: list[bytes]) -> set[bytes]:
    """The names of the header fields that lines begin with; none where they are no header."""
    names: set[bytes] = set()
    strange = 0
    for line in lines:
        if not line.strip():
            break
        field = _FIELD.match(line)
        if field:
            names.add(field[1].lower())
        elif not line.startswith((b" ", b"\t", b">From ")):
            strange += 1
            if strange > _MAX_STRANGE or not names:
                return set()
    return names
