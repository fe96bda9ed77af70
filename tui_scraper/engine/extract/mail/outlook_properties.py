"""MAPI properties: the names, dates and texts that Outlook keeps about one item (MS-OXPROPS).

The same properties lie in the streams of a .msg file and in one block of a winmail.dat; both are read
into `Properties` here. Eight-bit strings are in a code page that other properties name, or, in files that
were made on old systems, only the language does.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Final

from tui_scraper.engine.extract.mail.charsets import codec_name, decode_labelled

MESSAGE_CLASS: Final = 0x001A
SUBJECT: Final = 0x0037
CLIENT_SUBMIT_TIME: Final = 0x0039
SENT_REPRESENTING_NAME: Final = 0x0042
SENT_REPRESENTING_EMAIL: Final = 0x0065
CONVERSATION_TOPIC: Final = 0x0070
TRANSPORT_HEADERS: Final = 0x007D
RECIPIENT_TYPE: Final = 0x0C15
SENDER_NAME: Final = 0x0C1A
SENDER_EMAIL: Final = 0x0C1F
DISPLAY_BCC: Final = 0x0E02
DISPLAY_CC: Final = 0x0E03
DISPLAY_TO: Final = 0x0E04
DELIVERY_TIME: Final = 0x0E06
NORMALIZED_SUBJECT: Final = 0x0E1D
BODY: Final = 0x1000
RTF_COMPRESSED: Final = 0x1009
HTML: Final = 0x1013
MESSAGE_ID: Final = 0x1035
REFERENCES: Final = 0x1039
IN_REPLY_TO: Final = 0x1042
DISPLAY_NAME: Final = 0x3001
EMAIL_ADDRESS: Final = 0x3003
CREATION_TIME: Final = 0x3007
ATTACH_DATA: Final = 0x3701
ATTACH_FILENAME: Final = 0x3704
ATTACH_METHOD: Final = 0x3705
ATTACH_LONG_FILENAME: Final = 0x3707
ATTACH_MIME_TAG: Final = 0x370E
ATTACH_CONTENT_ID: Final = 0x3712
ATTACH_FLAGS: Final = 0x3714
SMTP_ADDRESS: Final = 0x39FE
INTERNET_CODE_PAGE: Final = 0x3FDE
LOCALE: Final = 0x3FF1
MESSAGE_CODE_PAGE: Final = 0x3FFD
SENDER_SMTP: Final = 0x5D01
SENT_REPRESENTING_SMTP: Final = 0x5D02
ATTACHMENT_HIDDEN: Final = 0x7FFE

LONG: Final = 0x0003
BOOLEAN: Final = 0x000B
TIME: Final = 0x0040
STRING8: Final = 0x001E
UNICODE: Final = 0x001F
BINARY: Final = 0x0102
OBJECT: Final = 0x000D

_CODE_PAGES: Final = {
    932: "cp932",
    936: "gb18030",
    10000: "mac-roman",
    10007: "mac-cyrillic",
    1200: "utf-16-le",
    20127: "ascii",
    20866: "koi8-r",
    20932: "euc_jp",
    21866: "koi8-u",
    50220: "iso2022_jp",
    50221: "iso2022_jp",
    50222: "iso2022_jp",
    50225: "iso2022_kr",
    51932: "euc_jp",
    51949: "cp949",
    52936: "hz",
    54936: "gb18030",
    65000: "utf-7",
    65001: "utf-8",
    **{28590 + number: f"iso8859-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 15)},
}
_BY_LANGUAGE: Final = {
    # The ANSI code page of a Windows of that language (MS-LCID: the low ten bits name the language).
    0x01: "cp1256", 0x02: "cp1251", 0x04: "gb18030", 0x05: "cp1250", 0x08: "cp1253", 0x0D: "cp1255",
    0x0E: "cp1250", 0x11: "cp932", 0x12: "cp949", 0x15: "cp1250", 0x18: "cp1250", 0x19: "cp1251",
    0x1A: "cp1250", 0x1B: "cp1250", 0x1C: "cp1250", 0x1E: "cp874", 0x1F: "cp1254", 0x20: "cp1256",
    0x22: "cp1251", 0x23: "cp1251", 0x24: "cp1250", 0x25: "cp1257", 0x26: "cp1257", 0x27: "cp1257",
    0x29: "cp1256", 0x2A: "cp1258", 0x2F: "cp1251", 0x3F: "cp1251", 0x44: "cp1251",
}  # fmt: skip
_TRADITIONAL_CHINESE: Final = frozenset((0x0404, 0x0C04, 0x1404))
_LATIN: Final = frozenset(("cp1252", "iso8859-1"))
_NUMBER_BYTES: Final = {2: 2, LONG: 4, 10: 4, BOOLEAN: 2}
_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_LAST_TICK: Final = 2_650_467_743_990_000_000  # the year 9999


@dataclass
class Properties:
    """The properties of one item, recipient or attachment.

    `fixed` has the types and eight bytes of numbers and times; `streams` the types of longer values with
    what reads them; `encoding` is the codec of eight-bit strings, '' where nothing names it; `named` maps
    the numbers that properties have in their sets to those they have here.
    """

    fixed: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    streams: dict[int, dict[int, Callable[[], bytes]]] = field(default_factory=dict)
    encoding: str = ""
    named: dict[int, int] = field(default_factory=dict)

    def text(self, name: int) -> str:
        """A string property, '' where it is missing."""
        kinds = self.streams.get(name, {})
        if UNICODE in kinds:
            found = kinds[UNICODE]().decode("utf-16-le", "replace")
        elif STRING8 in kinds:
            found = decode_labelled(kinds[STRING8](), self.encoding)
        else:
            return ""
        return found.replace("\0", "")

    def line(self, name: int) -> str:
        """A string property as one line."""
        return " ".join(self.text(name).split())

    def first(self, *names: int) -> str:
        """The first of several string properties that has a value."""
        return next((found for name in names if (found := self.line(name))), "")

    def data(self, name: int) -> bytes:
        """A binary property, b'' where it is missing."""
        kinds = self.streams.get(name, {})
        return kinds[BINARY]() if BINARY in kinds else b""

    def number(self, name: int) -> int:
        """A number, 0 where it is missing."""
        kind, value = self.fixed.get(name, (LONG, b""))
        return int.from_bytes(value[: _NUMBER_BYTES.get(kind, 0)], "little")

    def time(self, name: int) -> str:
        """A time as mail writes it, '' where it is missing or means nothing."""
        kind, value = self.fixed.get(name, (TIME, b""))
        ticks = int.from_bytes(value, "little")
        if kind != TIME or not 0 < ticks < _LAST_TICK:
            return ""
        return format_datetime(_EPOCH + datetime.timedelta(microseconds=ticks // 10))

    def has(self, name: int) -> bool:
        """Whether a property with a stream of its own is there."""
        return name in self.streams

    def find_encoding(self) -> str:
        """The codec of this item's eight-bit strings, as far as its properties tell."""
        by_page = codec_of(self.number(MESSAGE_CODE_PAGE))
        locale = self.number(LOCALE)
        by_language = "big5" if locale in _TRADITIONAL_CHINESE else _BY_LANGUAGE.get(locale & 0x3FF, "")
        if by_page in _LATIN and by_language:
            return by_language  # a Western code page on a mail in another script is the program's default
        return by_page or by_language or codec_of(self.number(INTERNET_CODE_PAGE))


def codec_of(code_page: int) -> str:
    """Python's name of a Windows code page, '' for one that is not known."""
    if code_page in _CODE_PAGES:
        return codec_name(_CODE_PAGES[code_page])
    return codec_name(f"cp{code_page}") if 400 < code_page < 1400 else ""
