from __future__ import annotations

import contextlib
import datetime
import random
import time

import pytest

from tests.extract.files import read
from tests.extract.mails import (
    attachment,
    b64,
    fixed,
    mail,
    members,
    multipart,
    ole,
    outlook,
    recipient,
    strings,
    tnef,
    why,
)
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.mail.outlook_rtf import decompress_rtf, read_rtf_body
from tui_scraper.engine.models import Cause

_SINCE_1601 = datetime.datetime(2020, 12, 31) - datetime.datetime(1601, 1, 1)
WHEN = (0x0039, 0x40, _SINCE_1601 // datetime.timedelta(microseconds=1) * 10)
CODE_PAGE, LOCALE, INTERNET_CODE_PAGE = 0x3FFD, 0x3FF1, 0x3FDE
LONG = "What we really want to say takes a few more words than that. " * 10


def stored(rtf: bytes) -> bytes:
    """RTF as Outlook keeps it when it does not compress."""
    return (len(rtf) + 12).to_bytes(4, "little") + len(rtf).to_bytes(4, "little") + b"MELA" + bytes(4) + rtf


def test_an_item_is_its_header_and_its_body() -> None:
    data = outlook(
        recipient(0, "Bob", "bob@example.org"),
        recipient(1, "carl@example.org", "carl@example.org"),
        recipient(2, "Dora", "", kind=2),
        p001A="IPM.Note",
        p0037="Plans",
        p0042="Ann",
        p5D02="ann@example.org",
        p1000="Hello,\r\n\r\nsee you.\r\n",
        times=(WHEN,),
    )
    found = read(data, "a.msg")
    assert found.text == (
        "From: Ann <ann@example.org>\nTo: Bob <bob@example.org>, carl@example.org\nCc: Dora\n"
        "Date: Thu, 31 Dec 2020 00:00:00 +0000\nSubject: Plans\n\nHello,\n\nsee you."
    )
    assert found.title == "Plans"
    assert read(data, "a.oft").text == read(data, "a").text == found.text


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        (((CODE_PAGE, 3, 1251),), "cp1251"),
        (((LOCALE, 3, 1049),), "cp1251"),
        (((CODE_PAGE, 3, 1252), (LOCALE, 3, 1049)), "cp1251"),
        (((INTERNET_CODE_PAGE, 3, 20866),), "koi8-r"),
        (((CODE_PAGE, 3, 65001),), "utf-8"),
    ],
)
def test_eight_bit_text_in_the_code_page_of_the_item(
    values: tuple[tuple[int, int, int], ...], encoding: str
) -> None:
    text = "Добрый день"
    data = outlook(n0037=text.encode(encoding), n1000=text.encode(encoding), times=values)
    assert read(data, "a.msg").text == f"Subject: {text}\n\n{text}"


def test_html_where_there_is_no_plain_text_or_only_a_stub() -> None:
    page = f"<html><body><h1>News</h1><p>Привет {LONG}</body></html>".encode("cp1251")
    for plain in ("", "See the HTML."):
        data = outlook(p1000=plain, p1013=page, times=((INTERNET_CODE_PAGE, 3, 1251),))
        assert read(data, "a.msg").text.startswith("# News\n\nПривет")
    assert read(outlook(p1000=LONG, p1013=page), "a.msg").text == LONG.strip()


def test_rtf_that_wraps_html_gives_back_the_html() -> None:
    rtf = (
        rb"{\rtf1\ansi\ansicpg1251\fromhtml1 \deff0{\fonttbl{\f0\fcharset204 Arial;}{\f1\fcharset0 X;}}"
        rb"{\*\htmltag19 <html>}{\*\htmltag50 <body>}\htmlrtf \lang1033 left out\htmlrtf0 {\*\htmltag96 <h1>}"
        rb"\'cf\'f0\'e8\'e2\'e5\'f2{\*\htmltag104 </h1>}{\*\htmltag84 &amp;}\htmlrtf {\f1 \htmlrtf0 "
        rb"\u8364\'80 5"
        rb"\htmlrtf }\htmlrtf0 {\*\mhtmltag84 hidden}\par {\*\htmltag58 </body>}}"
    )
    assert read(outlook(p1009=stored(rtf)), "a.msg").text == "# Привет\n\n&€ 5"


def test_rtf_that_is_only_rtf_gives_its_text() -> None:
    rtf = (
        rb"{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}{\info{\title no}}{\*\generator no;}one\par two\tab\{3\}"
        rb"\~\'e9\u-10179 ?\u-8704 ?}"
    )
    text, is_html = read_rtf_body(rtf)
    assert text == "one\ntwo\t{3}\u00a0é😀"
    assert not is_html


def test_compressed_rtf() -> None:
    # The examples of MS-OXRTFCP, 3.1.1 and 3.1.2.
    simple = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    assert decompress_rtf(simple) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    crossing = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert decompress_rtf(crossing) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert decompress_rtf(b"") == decompress_rtf(b"nothing of the kind") == b""
    assert decompress_rtf(simple[:30]).startswith(b"{\\rtf1\\ansi")


def test_attachments_are_files_and_items_among_them_are_mails() -> None:
    inner: dict[str, bytes] = {
        **strings(p0037="Forwarded / matter", p1000="inner text", p0042="Carl", p5D02="c@d.org"),
        "__properties_version1.0": fixed(24),
    }
    deeper = attachment(0, "deep.txt", b"deep file")
    data = outlook(
        attachment(0, "a.txt", b"file text"),
        attachment(1, "", {**inner, **deeper}),
        p1000="outer text",
    )
    found = members(data, "a.msg")
    assert [name for name, _content in found] == ["a.txt", "Forwarded - matter.eml"]
    assert found[0][1] == b"file text"
    assert read(data, "a.msg").text == "Attachments: a.txt, Forwarded - matter.eml\n\nouter text"
    assert read(found[1][1], "a.eml").text == (
        "From: Carl <c@d.org>\nSubject: Forwarded / matter\nAttachments: deep.txt\n\ninner text"
    )
    assert members(found[1][1]) == [("deep.txt", b"deep file")]


def test_pictures_that_the_text_shows_are_no_files() -> None:
    shown = attachment(0, "a.png", b"x", p3712="a@b")
    storage = dict(shown["__attach_version1.0_#00000000"])  # type: ignore[arg-type]
    storage["__properties_version1.0"] = fixed(8, (0x3705, 3, 1), (0x3714, 3, 4))
    hidden = {**storage, "__properties_version1.0": fixed(8, (0x3705, 3, 1), (0x7FFE, 0xB, 1))}
    data = outlook(
        {"__attach_version1.0_#00000000": storage, "__attach_version1.0_#00000001": hidden}, p1000="x"
    )
    assert members(data, "a.msg") == []


def test_contacts_and_appointments_have_fields_of_their_own() -> None:
    contact = outlook(p001A="IPM.Contact", p3001="Ann Bell", p3A16="Acme", p3A08="+1 555", p1000="a note")
    assert read(contact, "a.msg").text == "Name: Ann Bell\nCompany: Acme\nBusiness phone: +1 555\n\na note"
    entries = b"".join(
        (number).to_bytes(4, "little") + b"\x06\x00" + index.to_bytes(2, "little")
        for index, number in enumerate((0x8208, 0x820D))
    )
    named = {"__nameid_version1.0": {"__substg1.0_00030102": entries}}
    start = (0x8001, 0x40, WHEN[2])
    meeting = outlook(named, p001A="IPM.Appointment", p0037="Talk", p8000="Room 5", times=(start,))
    assert read(meeting, "a.msg").text == (
        "Subject: Talk\n\nStart: Thu, 31 Dec 2020 00:00:00 +0000\nLocation: Room 5"
    )


def test_signed_and_encrypted_items() -> None:
    signed = multipart("signed", "\nsigned text", "Content-Type: application/pgp-signature\n\nx", header="")
    data = outlook(
        attachment(0, "smime.p7m", signed, p370E="multipart/signed"), p0037="S", p001A="IPM.Note.SMIME"
    )
    assert read(data, "a.msg").text == "Subject: S\n\nsigned text"
    assert members(data, "a.msg") == []
    envelope = bytes.fromhex("308006092a864886f70d010703a0800000")
    assert why(outlook(attachment(0, "smime.p7m", envelope), p0037="S"), "a.msg") is Cause.ENCRYPTED
    rights = outlook(attachment(0, "message.rpmsg", b"\x76\xe8\x04\x60"), p1000="Open it in Outlook.")
    assert why(rights, "a.msg") is Cause.ENCRYPTED


def test_an_item_without_text_is_empty() -> None:
    assert why(outlook(p001A="IPM.Note"), "a.msg") is Cause.NO_TEXT


def test_damaged_items_fail_as_damaged() -> None:
    whole = outlook(attachment(0, "a.bin", b"y" * 9_000), p0037="Plans", p1000=LONG * 20)
    assert why(whole[:1500], "a.msg") is Cause.CORRUPT
    assert why(
        ole({"__properties_version1.0": b"", "other": b"x"}) + "__substg1.0_".encode("utf-16-le"), "a.msg"
    ) in (Cause.CORRUPT,)
    start = whole.find((LONG * 20).encode("utf-16-le")[:100])
    lost = whole[:start] + whole[start : start + 1_000]
    assert why(lost, "a.msg") is Cause.CORRUPT


def test_changed_bytes_never_raise_anything_but_a_verdict() -> None:
    chance = random.Random(5)
    whole = outlook(
        recipient(0, "Bob", "bob@example.org"),
        attachment(0, "a.txt", b"file text"),
        attachment(1, "", {**strings(p0037="inner", p1000="inner text")}),
        p0037="Plans",
        p1009=stored(rb"{\rtf1\fromhtml1{\*\htmltag <p>}text\u228 ?\'e4}"),
    )
    for _round in range(300):
        data = bytearray(whole)
        for _change in range(chance.choice((1, 10, 100))):
            data[chance.randrange(8, len(data))] = chance.choice((0, 1, 255, chance.randrange(256)))
        for attempt in (read, members):
            with contextlib.suppress(DocumentError, KeyError):  # KeyError: of a type that nobody reads now
                attempt(bytes(data), "a.msg")


def test_many_recipients_and_storages_take_linear_time() -> None:
    people: dict[str, object] = {}
    for number in range(700):
        people.update(recipient(number, f"Person {number}", f"p{number}@example.org"))
    data = outlook(people, p0037="S", p1000="text")  # type: ignore[arg-type]
    started = time.process_time()
    text = read(data, "a.msg").text
    assert "Person 699 <p699@example.org>" in text
    assert time.process_time() - started < 20


def test_text_that_is_called_msg_is_what_it_is() -> None:
    assert read(mail("\nhello\n"), "a.msg").text.endswith("hello")
    assert read("just words", "a.msg").text == "just words"


@pytest.mark.parametrize(
    "token", [b"\\'e4", b"{", b"{\\*", b"\\u8364 ?", b"}", b"\\htmlrtf ", b"\\", b"\\par "]
)
def test_rtf_takes_linear_time(token: bytes) -> None:
    started = time.process_time()
    read_rtf_body(b"{\\rtf1 " + token * (500_000 // len(token)))
    assert time.process_time() - started < 30


def properties(*values: tuple[int, int, bytes]) -> bytes:
    """MAPI properties as TNEF packs them: (number, type, value)."""
    packed = len(values).to_bytes(4, "little")
    for number, kind, value in values:
        packed += kind.to_bytes(2, "little") + number.to_bytes(2, "little")
        if kind in (0x1E, 0x1F, 0x102, 0xD):
            packed += (1).to_bytes(4, "little") + len(value).to_bytes(4, "little")
        packed += value.ljust(-(-len(value) // 4) * 4, b"\0")
    return packed


def test_winmail_dat_gives_its_body_and_its_files() -> None:
    name = properties((0x3707, 0x1F, "über.txt".encode("utf-16-le")), (0x3705, 3, (1).to_bytes(4, "little")))
    data = tnef(
        (0x00089007, (1251).to_bytes(4, "little") + bytes(4)),
        (0x00069003, properties((0x0037, 0x1E, "Тема".encode("cp1251") + b"\0"), (0x1000, 0x1E, b"body\0"))),
        *((0x00069002, bytes(14)), (0x00018010, b"short.txt\0"), (0x0006800F, b"one"), (0x00069005, name)),
        *((0x00069002, bytes(14)), (0x00018010, b"two.txt\0"), (0x0006800F, b"two")),
    )
    assert read(data, "winmail.dat").text == "Subject: Тема\n\nbody"
    assert members(data, "winmail.dat") == [("über.txt", b"one"), ("two.txt", b"two")]
    wrapped = multipart(
        "mixed",
        "\nbody",
        "Content-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"
        + b64(data),
    )
    assert members(wrapped) == [("winmail.dat", data)]


def test_winmail_dat_with_rtf_alone() -> None:
    data = tnef((0x00069003, properties((0x1009, 0x102, stored(rb"{\rtf1 formatted\par text}")))))
    assert read(data, "winmail.dat").text == "formatted\ntext"


def test_a_damaged_winmail_dat_gives_what_comes_before_the_damage() -> None:
    data = tnef(
        (0x00069002, bytes(14)), (0x00018010, b"a.txt\0"), (0x0006800F, b"one"), (0x00069005, b"\xff" * 9)
    )
    assert members(data + b"garbage behind it", "winmail.dat") == [("a.txt", b"one")]
    assert members(data[:-20], "winmail.dat") == [("a.txt", b"one")]
    assert why(data[:6] + b"\x07" * 100, "winmail.dat") is Cause.CORRUPT
