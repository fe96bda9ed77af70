"""Translations, calendars, contacts and subtitles."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.extract.files import read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.detect import detect


def test_translations_stand_beside_their_messages() -> None:
    text = read(
        'msgid ""\nmsgstr ""\n"Language: de\\n"\n"Content-Type: text/plain; charset=ISO-8859-1\\n"\n\n'
        '#. a hint\n#: file.c:7\n#, c-format\nmsgctxt "menu"\nmsgid "Open \\"%s\\"\\n"\n"now"\nmsgstr '
        '"\\u00d6ffne"\n\n'
        'msgid "one"\nmsgid_plural "many"\nmsgstr[0] "ein"\nmsgstr[1] "viele"\n'
        '#~ msgid "old"\n#~ msgstr "alt"\n'.replace("\\u00d6", "\u00d6").encode("latin-1"),
        "de.po",
    ).text
    assert text == (
        "Language: de\nContent-Type: text/plain; charset=ISO-8859-1\n\na hint\nmsgctxt: menu\nmsgid: Open "
        '"%s"\nnow\n'
        "msgstr: Öffne\n\nmsgid: one\nmsgid_plural: many\nmsgstr[0]: ein\nmsgstr[1]: viele\n\nmsgid: old\n"
        "msgstr: alt"
    )


def test_calendars_give_their_events() -> None:
    result = read(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:X\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n"
        "UID:1\r\n"
        "SUMMARY:Lunch\\, with\r\n  Ann\r\nDTSTART;TZID=X:20240102T123000\r\nDTEND:20240102T133000Z\r\n"
        "DESCRIPTION:Line one\\nline two\r\nATTENDEE;CN=Ann Lee:mailto:ann@a.b\r\nURL:http://a.b/c\r\n"
        "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:ring\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        "a.ics",
    )
    assert result.text == (
        "summary: Lunch, with Ann\ndtstart: 2024-01-02 12:30\ndtend: 2024-01-02 13:30 UTC\n"
        "description: Line one\n  line two\nattendee: Ann Lee <ann@a.b>\nurl: http://a.b/c"
    )
    assert ("mailto:ann@a.b", "hyperlink") in result.links


def test_contacts_give_their_people_without_their_pictures() -> None:
    text = read(
        "BEGIN:VCARD\nVERSION:2.1\nN:Lee;Ann;;Dr.;\nFN:Ann Lee\nORG:Fox;Den\n"
        "PHOTO;ENCODING=BASE64;TYPE=JPEG:QUJD\n QUJD\n"
        "NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Caf=C3=A9=\n=20here\nitem1.TEL;TYPE=home:123\n"
        "END:VCARD\n"
        "BEGIN:VCARD\nFN:Bob\nEND:VCARD\n",
        "noending",
    ).text
    assert text == ("n: Lee, Ann, Dr.\nfn: Ann Lee\norg: Fox, Den\nnote: Café here\ntel: 123\n\nfn: Bob")


def test_subtitles_say_what_is_said() -> None:
    text = read(
        "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello</i> there,\r\n{\\an8}old friend.\r\n\r\n2\r\n"
        "00:00:02,600 --> 00:00:04,000\r\nGood day.\r\n\r\n3\r\n00:01:00,000 --> 00:01:02,000\r\n- Who?\r\n"
        "- Me.\r\n",
        "a.srt",
    ).text
    assert text == "Hello there, old friend. Good day.\n\n- Who?\n- Me."


def test_rolling_captions_are_said_once_and_speakers_are_named() -> None:
    text = read(
        "WEBVTT\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE nothing\n\n00:01.000 --> 00:02.000 "
        "align:start\n"
        "<v Ann>we <c.x>walk</c>\n\n00:02.000 --> 00:03.000\nwe walk\n<00:02.500>to the\n\n00:03.000 --> "
        "00:04.000\n"
        "to the\nriver &amp; back\n\nid\n00:04.000 --> 00:05.000\n<v Bob>No.\n",
        "a.vtt",
    ).text
    assert text == "Ann: we walk to the river & back id\n\nBob: No."


def test_other_kinds_of_subtitles() -> None:
    alpha = (
        "[Script Info]\nTitle: x\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, "
        "MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:05.00,0:00:06.00,D,,0,0,0,,{\\i1}Later\\Nline, two\nDialogue: "
        "0,0:00:01.00,0:00:02.00,D,,0,0,0,,First\n"
    )
    assert read(alpha, "a.ass").text == "First Later line, two"
    assert read("{1}{25}{y:i}One|two\n{26}{50}Three\n", "a.sub").text == "One two Three"
    assert read(
        "<SAMI><BODY><SYNC Start=100><P>One<br>two<SYNC Start=900><P>Three</BODY></SAMI>", "a.smi"
    ).text == ("One two Three")


def test_kinds_are_known_by_how_they_begin() -> None:
    for data, expected in (
        (b"BEGIN:VCALENDAR\nVERSION:2.0\n", "text/calendar"),
        (b"BEGIN:VCARD\nFN:x\n", "text/vcard"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nx\n", "text/vtt"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nx\n", "application/x-subrip"),
        (b'# x\nmsgid ""\nmsgstr ""\n', "text/x-gettext-translation"),
        (b"% x\n\\documentclass{article}\n", "text/x-tex"),
        (b"@book{key,\n  title = {x}\n}\n", "text/x-bibtex"),
        (b"\\input texinfo\n", "text/x-texinfo"),
        (b"<rss><channel/></rss>", "text/plain"),
        (b'<rss xmlns:a="b"><channel/></rss>', "application/xml"),
        (b"<!DOCTYPE book PUBLIC 'x' 'y'><book/>", "application/xml"),
        (b"<p>One</p><p>two</p>", "text/html"),
        (b"<3 is a heart", "text/plain"),
    ):
        assert detect(data, b"noending") == expected


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("a.po", 'msgid "a"\n'), ("a.po", '"a"\n'), ("a.ics", "BEGIN:VEVENT\n"), ("a.ics", " x\n"),
        ("a.ics", 'A;B="'), ("a.srt", "1\n00:00:01,000 --> "), ("a.vtt", "<v "), ("a.smi", "<sync"),
        ("a.ass", "Dialogue: 0,0:00:01.00,"), ("a.sub", "{1}{2}a|b\n"),
    ],
)  # fmt: skip
def test_hostile_repetition_is_bounded(name: str, piece: str) -> None:
    start = time.process_time()
    with contextlib.suppress(DocumentError):
        read("word\n" + piece * (300_000 // len(piece)), name)
    assert time.process_time() - start < 30
