from __future__ import annotations

import contextlib
import random
import time

import pytest

from tests.extract.files import read
from tests.extract.mails import HEADER, SHOWN, b64, body_of, mail, members, multipart, why
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.mail.headers import decode_words, parameters
from tui_scraper.engine.extract.mail.message import extract_mail, extract_mail_lines
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

LONG = "What we really want to say takes a few more words than that. " * 10
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
ROOT = "Content-Type: text/plain\n\n"


def extracted(data: bytes) -> str:
    return extract_mail(data, "message/rfc822", CleanSettings()).text


def test_a_mail_is_its_header_and_its_text_and_its_subject_the_title() -> None:
    header = "Received: from x\n by y\nDate: Tue, 1 Mar 2022 10:00:00 +0100\nX-Spam: no\n" + HEADER
    found = read(mail("Cc: Carl <c@example.org>\n\nHello Bob,\n\nsee you.\n", header), "a.eml")
    assert found.text == (
        "From: Ann <ann@example.org>\nTo: bob@example.org\nCc: Carl <c@example.org>\n"
        "Date: Tue, 1 Mar 2022 10:00:00 +0100\nSubject: Plans\n\nHello Bob,\n\nsee you."
    )
    assert found.title == "Plans"


def test_line_ends_of_every_kind() -> None:
    for line_end in ("\n", "\r\n", "\r"):
        data = multipart("mixed", "\none", "\ntwo").replace(b"\n", line_end.encode())
        assert read(data, "a.eml").text == f"{SHOWN}\n\none\n\ntwo"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_mail_that_was_saved_as_a_text_file(encoding: str) -> None:
    text = "From: a@b\nTo: c@d\nSubject: Grüße\n\nHallo Köln\n"
    assert read(text.encode(encoding), "a.eml").text.endswith("Subject: Grüße\n\nHallo Köln")


def test_the_first_lines_that_programs_add() -> None:
    one = mail("\nhello\n")
    for before in (b"\n\n", b"From a@b Mon Jan  1 00:00:00 2020\n", b">From a@b\n", b"%d\n" % len(one)):
        assert body_of(before + one) == "hello"
    apple = b"%-10d\n" % len(one) + one + b"<?xml version='1.0'?><plist><dict/></plist>"
    assert body_of(apple, "a.emlx") == "hello"


def test_headers_alone_are_a_mail() -> None:
    assert read(HEADER, "a.eml").text == SHOWN
    assert read(HEADER.rstrip("\n"), "a.eml").text == SHOWN


def test_a_text_without_headers_stays_text() -> None:
    assert (
        read("Just some text: kept.\nSecond line.\n", "a.eml").text == "Just some text: kept.\nSecond line."
    )
    assert read("<html><body><h1>Title</h1><p>text</body></html>", "a.eml").text == "# Title\n\ntext"
    assert why(b"\n\n \n") is Cause.NO_TEXT


def test_a_missing_line_between_header_and_body_loses_nothing() -> None:
    assert body_of(mail("Dear Bob\nthis is it.\n")) == "Dear Bob\nthis is it."
    folded = mail("", "From: a@b\nSubject: a long\nsubject that is not indented\nTo: c@d\nDate: x\n\nbody")
    assert "Subject: a long subject that is not indented\n\nbody" in read(folded, "a.eml").text


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe_an_alle?=", "Grüße an alle"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        ("=?utf-8?B?5L0=?= =?utf-8?B?oOWlvQ==?=", "你好"),
        ("=?iso-8859-1?Q?a?= =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
        ("x=?utf-8?Q?a?==?utf-8?Q?b?=y", "xaby"),
        ('"=?utf-8?Q?J=C3=B6rg?=" <j@x>', '"Jörg" <j@x>'),
        ("=?utf-8*de?Q?=C3=BC?=", "ü"),
        ("=?utf-8?Q?with spaces inside?=", "with spaces inside"),
        ("=?utf-8?Q?what??=", "what?"),
        ("=?utf-8?Q?not ended", "not ended"),
        ("=?utf-8?Q?not ended =?utf-8?Q?but the next?=", "not ended but the next"),
        ("=?gb2312?B?1uzpRrv5?=", "朱镕基"),
        ("=?ISO-2022-JP?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは"),
        ("=?koi8-r?Q?=F0=D2=C9=D7=C5=D4?=", "Привет"),
        ("=?made-up?Q?caf=C3=A9?=", "café"),
        ("a =?b c?= d =? e", "a =?b c?= d =? e"),
    ],
)
def test_encoded_words_as_they_are_written(word: str, expected: str) -> None:
    assert decode_words(word) == expected


def test_eight_bit_headers_in_the_charset_of_the_body() -> None:
    data = "From: a@b\nTo: c@d\nSubject: Привет мир\nContent-Type: text/plain; charset=koi8-r\n\nПривет\n"
    assert read(data.encode("koi8-r"), "a.eml").title == "Привет мир"
    assert read(data.encode("utf-8"), "a.eml").title == "Привет мир"


@pytest.mark.parametrize(
    ("charset", "encoding", "text"),
    [
        ("iso-8859-1", "utf-8", "Schöne Grüße aus Köln"),
        ("us-ascii", "cp1252", "“quoted” – café"),
        ("x-unknown", "cp1252", "Schöne Grüße aus Köln"),
        ("", "cp1252", "Schöne Grüße aus Köln"),
        ("gb2312", "gbk", "你好，这是一个测试。朱镕基"),
        ("gb2312", "utf-8", "你好，这是一个很长的测试文本。"),
        ("gbk", "gbk", "联通"),
        ("big5", "big5", "測試郵件內容"),
        ("iso-2022-jp", "iso-2022-jp", "日本語のメール"),
        ("", "iso-2022-jp", "日本語のメール"),
        ("shift_jis", "cp932", "①番目の日本語"),
        ("ks_c_5601-1987", "cp949", "안녕하세요 여러분"),
        ("koi8-r", "koi8-r", "Добрый день"),
        ("windows-1251", "cp1251", "Добрый день"),
        ("iso-8859-8-i", "iso-8859-8", "שלום לכולם"),
        ("utf-7", "utf-7", "Привет"),
        ("hz-gb-2312", "hz", "己所不欲"),
        ("utf-16", "utf-16", "Schöne Grüße"),
        ("unicode_escape", "utf-8", "naïve"),
    ],
)
def test_bodies_in_charsets_that_are_named_wrongly_or_not_at_all(
    charset: str, encoding: str, text: str
) -> None:
    declared = f"Content-Type: text/plain; charset={charset}\n\n" if charset else "\n"
    assert body_of(mail(declared.encode() + text.encode(encoding))) == text


def test_makers_characters_in_iso_2022_jp() -> None:
    assert body_of(mail(b"\n\x1b$B-!F|\x1b(B ok\n")) == "①日 ok"


def test_transfer_encodings_and_what_is_wrong_with_them() -> None:
    def encoded(name: str, body: str) -> str:
        return body_of(mail(f"Content-Transfer-Encoding: {name}\n\n{body}"))

    assert encoded("base64", b64(b"hello world")) == "hello world"
    assert encoded("BASE64 ", "aGVsbG8=\nIHdvcmxk\n") == "hello world"
    assert encoded("base64", "Never encoded at all, this one.") == "Never encoded at all, this one."
    footer = "_____\nlist mailing list\nhttp://example.org/list and more words\n"
    assert encoded("base64", b64(b"hello world, and more") + footer).endswith("more\n" + footer.strip())
    assert encoded("quoted-printable", "caf=C3=A9 = \nau=\n lait =XY\n") == "café au lait =XY"
    assert encoded("nonsense", "as it is") == "as it is"


def test_plain_text_is_preferred_to_html() -> None:
    plain, page = f"Content-Type: text/plain\n\nplain {LONG}", f"Content-Type: text/html\n\n<p>page {LONG}"
    for parts in ((plain, page), (page, plain)):
        assert body_of(multipart("alternative", *parts)).startswith("plain")


def test_html_is_read_where_the_plain_text_says_nothing() -> None:
    page = f"Content-Type: text/html\n\n<h1>News</h1><p>{LONG}"
    for plain in ("", "Your program does not show HTML."):
        text = body_of(multipart("alternative", f"Content-Type: text/plain\n\n{plain}", page))
        assert text.startswith("# News")
    assert body_of(mail("Content-Type: text/html\n\n<p>only <b>this</b>")) == "only this"
    assert body_of(mail("Content-Type: text/plain\n\n<!DOCTYPE html><html><p>mislabelled")) == "mislabelled"


def test_the_text_of_html_is_in_the_charset_that_the_header_or_the_page_names() -> None:
    page = "<html><head><meta charset=koi8-r></head><p>Добрый день, господа".encode("koi8-r")
    assert body_of(mail(b"Content-Type: text/html\n\n" + page)) == "Добрый день, господа"
    page = "<p>Добрый день, господа".encode("cp1251")
    assert (
        body_of(mail(b"Content-Type: text/html; charset=windows-1251\n\n" + page)) == "Добрый день, господа"
    )


def test_parts_within_parts() -> None:
    inner = (
        'Content-Type: multipart/alternative; boundary="=_b2"\n\n--=_b2\n\nplain\n'
        "--=_b2\nContent-Type: text/html\n\n<p>page\n--=_b2--\n"
    )
    assert body_of(multipart("mixed", inner, "\nafter")) == "plain\n\nafter"
    unclosed = inner.replace("--=_b2--\n", "")
    assert body_of(multipart("mixed", unclosed, "\nafter")) == "plain\n\nafter"


def test_boundaries_that_begin_alike_or_are_the_same() -> None:
    text = (
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=xy\n\n"
        "--xy\n\none\n--xy--\n--x\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ntwo\n--x--\n"
        "--x\n\nthree\n--x--\n"
    )
    assert body_of(mail(text)) == "one\n\ntwo\n\nthree"


def test_a_boundary_that_is_wrong_or_missing_is_found_by_its_looks() -> None:
    parts = "\n--real\nContent-Type: text/plain\n\none\n--real\nContent-Type: text/plain\n\ntwo\n--real--\n"
    for declared in ("multipart/mixed; boundary=other", "multipart/mixed", "multipart; x=y"):
        assert body_of(mail(f"Content-Type: {declared}\n{parts}")) == "one\n\ntwo"
    assert read(parts, "a.eml").text == "one\n\ntwo"


def test_a_multipart_without_parts_is_text() -> None:
    assert (
        body_of(mail("Content-Type: multipart/mixed; boundary=q\n\nwritten by hand\n")) == "written by hand"
    )


def test_preamble_epilogue_and_style_sheets_are_not_text() -> None:
    data = multipart("mixed", "\nthe text", "Content-Type: text/css\n\nbody {}")
    data = data.replace(b"\n\n--=_b", b"\n\nThis is a multi-part message.\n--=_b", 1) + b"epilogue\n"
    assert body_of(data) == "the text"


def test_soft_line_breaks_are_joined() -> None:
    flowed = "One long \nparagraph.\n\n>> quoted \n>> too\n> less\n\n-- \nAnn\n"
    expected = "One long paragraph.\n\n> > quoted too\n> less\n\n--\nAnn"
    assert body_of(mail(f"Content-Type: text/plain; format=flowed\n\n{flowed}")) == expected
    chinese = "Content-Type: text/plain; format=flowed; delsp=yes; charset=utf-8\n\n你好 \n世界\n"
    assert body_of(mail(chinese)) == "你好世界"


def test_enriched_text() -> None:
    rich = (
        "<bold>Now</bold> is\nthe <color><param>red</param>time</color>\n\n<<b> <nofill>as\nit is</nofill>\n"
    )
    assert body_of(mail(f"Content-Type: text/enriched\n\n{rich}")) == "Now is the time\n<b> as\nit is"
    old = "<bold>Now</bold><nl>is <lt>b> <comment>not this</comment>the\ntime"
    assert body_of(mail(f"Content-Type: text/richtext\n\n{old}")) == "Now\nis <b> the time"


def test_delivery_reports_are_text_and_the_returned_mail_is_a_file() -> None:
    data = multipart(
        "report",
        "Content-Type: text/plain\n\nIt could not be delivered.",
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nStatus: 5.1.1",
        "Content-Type: message/rfc822\n\nFrom: a@b\nSubject: what I sent\n\nbody",
    )
    assert body_of(data) == "It could not be delivered.\n\nReporting-MTA: dns; mx\n\nStatus: 5.1.1"
    assert members(data) == [("what I sent.eml", b"From: a@b\nSubject: what I sent\n\nbody")]


def test_a_digest_holds_messages() -> None:
    data = multipart("digest", "\nFrom: a@b\nSubject: one/two\n\nfirst", "\nSubject: 2\nFrom: x\n\nsecond")
    assert [name for name, _content in members(data)] == ["one-two.eml", "2.eml"]
    assert read(data, "a.eml").text == f"{SHOWN}\nAttachments: one-two.eml, 2.eml"


def test_attachments_are_files_and_not_text() -> None:
    data = multipart(
        "mixed",
        "Content-Type: text/plain\n\nsee below",
        f"Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n{b64(b'%PDF-1.4')}",
        "Content-Type: text/plain\nContent-Disposition: attachment; filename=notes.txt\n\nsecret notes",
        'Content-Type: text/plain; name="more.txt"\n\nmore notes',
        f"Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n{b64(PNG)}",
    )
    assert members(data) == [
        ("a.pdf", b"%PDF-1.4"),
        ("notes.txt", b"secret notes"),
        ("more.txt", b"more notes"),
        ("part-5.png", PNG),
    ]
    assert read(data, "a.eml").text.endswith(
        "Attachments: a.pdf, notes.txt, more.txt, part-5.png\n\nsee below"
    )


def test_the_first_text_is_the_body_whatever_it_is_named() -> None:
    data = mail('Content-Type: text/plain; name="mail.txt"\nContent-Disposition: inline\n\nhello\n')
    assert body_of(data) == "hello"
    assert members(data) == []


def test_pictures_that_the_page_shows_are_no_files() -> None:
    data = multipart(
        "related",
        "Content-Type: text/html\n\n<p>look <img src='cid:a%40b'>",
        "Content-Type: image/png; name=shown.png\nContent-ID: <a@b>\n\nx",
        "Content-Type: image/png; name=unnamed.png\n\nx",
        "Content-Type: image/png; name=kept.png\nContent-Disposition: attachment\n\nx",
        "Content-Type: application/pdf; name=kept.pdf\nContent-ID: <c@d>\n\nx",
    )
    assert [name for name, _content in members(data)] == ["kept.png", "kept.pdf"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Content-Disposition: attachment; filename*=UTF-8''na%C3%AFve%20file.txt", "naïve file.txt"),
        (
            "Content-Disposition: attachment; filename*0*=utf-8''%e4%b8; filename*1*=%ad; filename*2=.pdf",
            "中.pdf",
        ),
        ('Content-Disposition: attachment; filename="=?utf-8?B?w7xiZXIucGRm?="', "über.pdf"),
        ("Content-Type: application/x; name==?iso-8859-1?Q?=FCber.pdf?=", "über.pdf"),
        ("Content-Disposition: attachment; filename=my file.pdf", "my file.pdf"),
        ('Content-Disposition: attachment; filename="a \\"b\\".pdf"', 'a "b".pdf'),
        ('Content-Disposition: attachment; filename="not ended.pdf', "not ended.pdf"),
        ('Content-Disposition: attachment;\n filename="folded\n name.pdf"', "folded name.pdf"),
        ("Content-Disposition: attachment; filename=über.pdf", "über.pdf"),
        ("Content-Disposition: attachment\nContent-Type: application/pdf", "part-2.pdf"),
        ("Content-Disposition: attachment\nContent-Type: what/ever", "part-2.bin"),
    ],
)
def test_names_of_attachments(fields: str, expected: str) -> None:
    data = multipart("mixed", "\nbody", f"{fields}\n\ncontent")
    assert [name for name, _content in members(data)] == [expected]


def test_parameters_bend_but_do_not_break() -> None:
    assert parameters("a/b; CHARSET=us-ascii (plain); x=; ; y=1;=2")["charset"] == "us-ascii"
    assert parameters("multipart/mixed boundary=abc")["boundary"] == "abc"


def test_files_written_into_the_text() -> None:
    text = "see\n\nbegin 644 a.txt\n#0V%T\n`\nend\n\nbegin the day well\n"
    assert members(mail(f"\n{text}")) == [("a.txt", b"Cat")]
    assert body_of(mail(f"\n{text}")) == "see\n\nbegin the day well"
    packed = bytes((byte + 42) % 256 for byte in b"hello yEnc")
    yenc = b"\n=ybegin line=128 size=10 name=y.bin\n" + packed + b"\n=yend size=10\nafter\n"
    assert members(mail(yenc)) == [("y.bin", b"hello yEnc")]
    binhex = '\n(This file must be converted with BinHex 4.0)\n\n:$f*TEQKPH#jdH@4["#$TLJ!!!"3:\nafter\n'
    assert body_of(mail(binhex)) == "after"


def test_quotes_stay_quotes_and_signatures_are_set_off() -> None:
    assert body_of(mail("\nyes\n> no?\n>> why?\nbecause\n-- \nAnn\n")) == (
        "yes\n> no?\n>> why?\nbecause\n\n--\nAnn"
    )
    assert body_of(mail("\nand\n>From here on\nit is quiet\n")) == "and\nFrom here on\nit is quiet"


@pytest.mark.parametrize(
    "heading",
    [
        "-----Original Message-----",
        "-----Ursprüngliche Nachricht-----",
        "---------- Forwarded message ---------",
        "________________________________\nFrom: Bob\nSent: Monday, 3 May 2010\nTo: Ann\nSubject: Re: Plans",
        "Von: Bob [mailto:b@x]\nGesendet: Montag\nAn: Ann\nBetreff: Plans",
        "De : Bob\nEnvoyé : lundi 3 mai\nÀ : Ann\nObjet : Plans",
        "*From:* Bob\n*Date:* 3 May\n*To:* Ann\n*Subject:* Plans",
        "发件人: Bob\n发送时间: 2010-05-03\n收件人: Ann\n主题: Plans",
    ],
)
def test_what_outlook_appends_becomes_a_quote(heading: str) -> None:
    text = body_of(mail(f"\nmy answer\n\n{heading}\n\nold words\n\nmore\n"))
    quoted = "\n".join(f"> {line}" for line in heading.split("\n"))
    assert text == f"my answer\n\n{quoted}\n>\n> old words\n>\n> more"


@pytest.mark.parametrize(
    "line",
    [
        "On Mon, Jan 5, 2015 at 3:04 PM, Bob <b@x.org>\nwrote:",
        "Am 05.01.2015 um 15:04 schrieb Bob:",
        "Le lun. 5 janv. 2015 à 15:04, Bob <b@x.org> a écrit :",
        "El lun., 5 ene. 2015 a las 15:04, Bob escribió:",
        "2015-01-05 15:04 GMT+01:00 Bob <b@x.org> wrote:",
    ],
)
def test_what_stands_below_an_attribution_becomes_a_quote(line: str) -> None:
    assert body_of(mail(f"\nmy answer\n\n{line}\n\nold words\nmore\n")) == (
        f"my answer\n\n{line}\n\n> old words\n> more"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Dear all,\n\nas John wrote:\n\nlife is good",
        "On 5 May 2014 at 10:00 Bob wrote:\n\nfirst lines are nobody's history",
        "my answer\n\nOn 5 May 2014 Bob wrote:\n> old\nmy comment\n> older\nanother",
        "From: here to there\nDate: any\nSubject: a form\nIt goes on.",
        "Prices\n\nFrom: 10\nTo: 20\nthat is all",
        "--- a rule ---\ntext",
    ],
)
def test_ordinary_text_is_never_marked_as_a_quote(text: str) -> None:
    assert body_of(mail(f"\n{text}\n")) == text


def test_block_quotes_of_html_are_marked() -> None:
    page = (
        "<p>answer<div class=gmail_quote>Bob wrote:<blockquote>old<blockquote>older</blockquote>"
        "<ul><li>item</ul></blockquote></div><p>end"
    )
    assert body_of(mail(f"Content-Type: text/html\n\n{page}")) == (
        "answer\n\nBob wrote:\n\n> old\n>\n> > older\n> >\n> - item\n>\nend"
    )
    outlook = (
        "<p>answer<div><b>From:</b> A<br><b>Sent:</b> May<br><b>To:</b> B<br><b>Subject:</b> Re</div><p>old"
    )
    assert body_of(mail(f"Content-Type: text/html\n\n{outlook}")) == (
        "answer\n\n> From: A\n> Sent: May\n> To: B\n> Subject: Re\n>\n> old"
    )


ARMOUR = "-----BEGIN PGP MESSAGE-----\n\nhQEMA1234567890abcdef\n=abcd\n-----END PGP MESSAGE-----\n"
ENVELOPE = b64(bytes.fromhex("308006092a864886f70d010703a0800000"))


@pytest.mark.parametrize(
    "data",
    [
        multipart(
            "encrypted",
            "Content-Type: application/pgp-encrypted\n\nVersion: 1",
            f"Content-Type: application/octet-stream\n\n{ARMOUR}",
        ),
        mail(f"\n{ARMOUR}"),
        mail(f"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n{ENVELOPE}"),
        multipart(
            "mixed",
            "\nOpen this message in Outlook.",
            "Content-Type: application/x-microsoft-rpmsg-message; name=message.rpmsg\n\nx",
        ),
    ],
)
def test_an_encrypted_mail_fails_as_encrypted(data: bytes) -> None:
    assert why(data) is Cause.ENCRYPTED


def test_the_error_of_an_encrypted_mail_names_its_subject() -> None:
    header = HEADER.replace("Plans", "=?utf-8?B?UGxhbnMbWzJK7oCA4oCu?=")
    with pytest.raises(DocumentError) as caught:
        extracted(mail(f"\n{ARMOUR}", header))
    assert caught.value.message.startswith("The mail about 'Plans")
    assert caught.value.message.isprintable()


def test_what_is_not_encrypted_in_an_encrypted_mail_is_read() -> None:
    text = body_of(mail(f"\nbefore\n{ARMOUR}after\n"))
    assert text == "before\nafter\n\n[A part of this mail is encrypted.]"


def test_signatures_are_taken_off() -> None:
    clear = (
        "\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\nsigned text\n- -- \nAnn\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQEzBAEBCAAdFiEE\n-----END PGP SIGNATURE-----\n"
    )
    assert body_of(mail(clear)) == "signed text\n\n--\nAnn"
    apart = multipart("signed", "\nsigned text", "Content-Type: application/pgp-signature\n\niQEzBA")
    assert body_of(apart) == "signed text"
    assert members(apart) == []


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag]) + (bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")) + content


@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_opaque_signature_is_unwrapped(in_pieces: bool) -> None:
    inner = multipart("mixed", "\nsigned text", "Content-Type: text/x; name=a.txt\n\nfile", header="")
    octets = element(0x04, inner)
    if in_pieces:
        octets = b"\x24\x80" + element(0x04, inner[:50]) + element(0x04, inner[50:]) + b"\0\0"
    content = element(0x30, element(0x06, bytes.fromhex("2a864886f70d010701")) + element(0xA0, octets))
    signed = element(0x30, element(0x02, b"\x01") + element(0x31, b"") + content)
    oid = element(0x06, bytes.fromhex("2a864886f70d010702"))
    data = mail(
        "Content-Type: application/pkcs7-mime; smime-type=signed-data\nContent-Transfer-Encoding: base64\n\n"
        + b64(element(0x30, oid + element(0xA0, signed)))
    )
    assert body_of(data) == "signed text"
    assert members(data) == [("a.txt", b"file")]


def test_a_signature_that_cannot_be_taken_off_is_damage_and_never_text() -> None:
    oid = element(0x06, bytes.fromhex("2a864886f70d010702"))
    broken = b64(b"\x30\x82\x10\x00" + oid + b"\xa0\x82\x10\x00\x30\x82" + bytes(range(200)))
    fields = "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n"
    assert why(mail(fields + broken)) is Cause.CORRUPT


def test_pieces_of_a_mail_and_bodies_elsewhere() -> None:
    inner = "Subject: inner\nFrom: q@r\n\ninner text\n"
    assert body_of(mail(f"Content-Type: message/partial; id=x; number=1; total=2\n\n{inner}")).endswith(
        "Subject: inner\n\ninner text"
    )
    rest = "QUJD" * 19
    assert (
        why(mail(f"Content-Type: message/partial; number=2\n\n{rest}\n{rest}\n", "X-A: b\n")) is Cause.NO_TEXT
    )
    assert "url: http://x.y/z" in body_of(
        mail('Content-Type: message/external-body; access-type=URL; url="http://x.y/z"\n\nContent-ID: <a>\n')
    )


def test_what_is_called_text_but_is_not_becomes_a_file() -> None:
    noise = bytes(range(256)) * 20
    data = mail(b"Content-Type: text/plain\n\n" + noise)
    assert members(data) == [("part-0.txt", noise)]
    assert read(data, "a.eml").text == f"{SHOWN}\nAttachments: part-0.txt"


def test_a_stray_zero_does_not_hide_a_text() -> None:
    assert body_of(mail(b"\nthis is\0 the body of a mail\n")) == "this is the body of a mail"


@pytest.mark.parametrize("depth", [2_000, 5_000])
def test_deeply_nested_parts_are_all_read(depth: int) -> None:
    before = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    after = "".join(f"\n--b{n}\n\ntext {n}\n--b{n}--\n" for n in reversed(range(depth - 1)))
    text = body_of(mail(before + "\ninnermost\n" + after))
    assert text.startswith("innermost\n\n")
    assert text.endswith("\n\ntext 0")
    assert text.count("text") == min(depth - 1, 10_000)


def test_a_hundred_thousand_parts_end_at_the_limit_and_say_so() -> None:
    data = multipart("mixed", *["\nhello"] * 100_000)
    started = time.process_time()
    found = read(data, "a.eml")
    assert found.truncated
    assert found.text.count("hello") == 9_999
    assert time.process_time() - started < 50


def test_a_header_of_ten_megabytes_costs_no_time() -> None:
    started = time.process_time()
    for header in (b"X-Big: " + b"a" * 10_000_000, b"To: a@b,\n" + b" someone <a@b.example>,\n" * 400_000):
        found = read(header + b"\nFrom: a@b\nSubject: s\n\nbody\n", "a.eml")
        assert found.text.endswith("body")
    assert found.truncated
    assert len(found.text) < 70_000
    assert time.process_time() - started < 50


@pytest.mark.parametrize(
    "token",
    [
        *(b"=?", b"=?a?q?", b"=?a?q?b?= ", b";", b'; a="', b";a*0*=%41", b"boundary=", b"(", b"\\", b" "),
        *(b"\n ", b"\n", b"--\n", b"--x\n", b"a:\n", b"From a\n", b"=\n", b"= ", b"A=", b"\x1b$B", b"\xff"),
        *(
            b"begin 644 x\n",
            b"begin 644 x\n#0V%T\n",
            b"=ybegin name=x\n",
            b">",
            b"> \n",
            b"text\nFrom: x\nSent: y\n",
        ),
        *(
            b"(This file must be converted with BinHex 4.0)\n:",
            b"On 5.5.2005 x <a@b> wrote:\n",
            b"_",
            b"-",
            b"-- \n",
        ),
        *(
            b"-----BEGIN PGP MESSAGE-----\n",
            b"-----BEGIN PGP SIGNATURE-----\n",
            b"<blockquote",
            b"<blockquote>",
        ),
        *(b"<", b"<a>", b"<param>", b"cid:", b"http://", b"\xa4\xa4", b"~{", b"+AAA"),
    ],
)
def test_time_grows_with_the_size_and_not_faster(token: bytes) -> None:
    filler = token * (60_000 // len(token))
    started = time.process_time()
    for before in (
        b"Subject: ",
        b"Content-Type: multipart/mixed; boundary=x",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n",
        b"\n",
        b"Content-Type: text/plain; format=flowed; charset=gb2312\n\n",
        b"Content-Type: text/enriched\n\n",
        b"Content-Transfer-Encoding: base64\n\n",
        b"Content-Transfer-Encoding: quoted-printable\nContent-Type: text/html\n\n",
    ):
        data = mail(before + filler + b"\n")
        for reader in (extract_mail, extract_mail_lines):
            with contextlib.suppress(DocumentError):
                reader(data, "message/rfc822", CleanSettings())
        members(data)
    assert time.process_time() - started < 20


def test_damaged_mails_never_raise_anything_but_a_verdict() -> None:
    chance = random.Random(7)
    whole = multipart(
        "mixed",
        "Content-Type: text/plain; charset=utf-8; format=flowed\n\nüber \nall\n> old\n-- \nme",
        "Content-Type: application/pdf; name*=utf-8''a%20b.pdf\nContent-Transfer-Encoding: base64\n\n"
        + b64(PNG),
        "Content-Type: message/rfc822\n\nSubject: =?utf-8?B?w7w=?=\nFrom: x\n\ninner",
        "Content-Type: text/html\n\n<blockquote><p>page</blockquote>",
    )
    for _round in range(400):
        data = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _change in range(chance.choice((1, 5, 30))):
            data[chance.randrange(len(data)) : chance.randrange(len(data)) + 2] = chance.randbytes(2)
            data = data or bytearray(whole)
        with contextlib.suppress(DocumentError):
            extracted(bytes(data))
        members(bytes(data), "a.eml") if read_type(bytes(data)) else None
        extract_mail_lines(bytes(data), "", CleanSettings())


def read_type(data: bytes) -> bool:
    from tui_scraper.engine.extract.detect import detect

    return detect(data, b"a.eml") == "message/rfc822"


def test_the_safe_reader_gives_header_and_lines_without_the_parts() -> None:
    data = multipart("mixed", "\nthe text", f"Content-Transfer-Encoding: base64\n\n{b64(bytes(300))}")
    found = extract_mail_lines(data, "", CleanSettings())
    assert found.text.startswith(SHOWN)
    assert "the text" in found.text
    assert "AAAAAA" not in found.text
    assert found.title == "Plans"


def test_a_long_body_is_cut_and_says_so() -> None:
    found = read(mail("\n" + "word " * 5_000), "a.eml", max_chars=1_000)
    assert found.truncated
    assert len(found.text) <= 1_000


def test_a_mail_says_what_it_is_called_and_what_it_answers_the_nearest_first() -> None:
    header = (
        b"From: a@x.org\r\nMessage-ID: <3.b%c@x.org>\r\nIn-Reply-To: Your message\r\n <2@x.org>\r\n"
        b"References: <0@x.org>\r\n\t<1@\r\n x.org> <2@x.org>\r\n\r\nSee https://x.org\r\n"
    )
    assert extract_mail(header, "message/rfc822", CleanSettings()).links == [
        ("mid:3.b%25c@x.org", "self"),
        ("mid:2@x.org", "reference"),
        ("mid:1@x.org", "reference"),
        ("mid:0@x.org", "reference"),
    ]
    many = b"References: " + b"<a@x.org> " * 50_000 + b"<" * 50_000 + b"\r\n\r\nHello\r\n"
    assert extract_mail(many, "message/rfc822", CleanSettings()).links == [("mid:a@x.org", "reference")]
