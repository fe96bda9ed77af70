from __future__ import annotations

import io
import time
from typing import BinaryIO

import pytest

from tests.extract.mails import members
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.mail.mailbox import mailbox_entries
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

LINE = b"From ann@example.org Mon Jan  1 00:00:00 2020\n"


def message(number: int, body: bytes = b"hello\n", field: bytes = b"", line: bytes = LINE) -> bytes:
    return line + b"From: a@b\nSubject: mail %d\n%s\n%s\n" % (number, field, body)


def texts(data: bytes) -> list[bytes]:
    return [content for _name, content in members(data, "a.mbox")]


def test_messages_in_order_without_the_lines_between_them() -> None:
    data = message(1) + message(2) + message(3)
    assert members(data, "a.mbox") == [
        (f"0000{number}.eml", b"From: a@b\nSubject: mail %d\n\nhello\n\n" % number) for number in (1, 2, 3)
    ]
    assert len(texts(data.replace(b"\n", b"\r\n"))) == 3
    assert registry().readers["application/mbox"].extract is None


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"From - Sat Jan 01 00:00:00 2000\n",
            b"From MAILER-DAEMON Fri Jul  8 12:08:34 2011\n",
            b"From nobody\n",
        ),
        *(
            b"From ???@??? Sat Jan 01 00:00:00 2000\n",
            b"From a at b.org  Thu Mar  3 10:00:00 2005\n",
            b"From \n",
        ),
    ],
)
def test_separators_as_programs_write_them(line: bytes) -> None:
    assert len(texts(message(1, line=line) + message(2, line=line))) == 2


def test_escaped_lines_get_back_what_they_began_with() -> None:
    body = b">From here\n>>From there\n> From a quote\n"
    assert texts(message(1, body) + message(2))[0].endswith(b"From here\n>From there\n> From a quote\n\n")


def test_a_text_that_begins_a_line_with_from_is_no_separator() -> None:
    for body in (
        b"x\nFrom the start it was so\nand\n",
        b"x\n\nFrom my house: 5 km\n\nSee: it\n",
        b"x\n\nFrom now on\n",
    ):
        assert len(texts(message(1, body) + message(2))) == 2


def test_a_true_content_length_hides_a_separator_in_the_text_and_a_false_one_does_nothing() -> None:
    body = b"forwarded:\n\n" + LINE + b"From: q@r\nSubject: inside\n\ntext\n"
    assert len(texts(message(1, body) + message(2))) == 3
    assert len(texts(message(1, body, b"Content-Length: %d\n" % len(body)) + message(2))) == 2
    for length in (0, 1, 10_000_000, 9_999_999_999):
        assert len(texts(message(1, b"text\n", b"Content-Length: %d\n" % length) + message(2))) == 2


def test_a_mailbox_of_one_message_without_a_separator() -> None:
    assert texts(b"Subject: x\nFrom: a@b\n\ntext\n") == [b"Subject: x\nFrom: a@b\n\ntext\n"]


def test_what_is_no_mailbox_is_damaged() -> None:
    with pytest.raises(DocumentError) as caught:
        list(mailbox_entries(io.BytesIO(b"nothing here\n" * 50), "", CleanSettings()))
    assert caught.value.cause is Cause.CORRUPT


class Counting(io.BytesIO):
    """Counts what is read of it."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.read_bytes += len(found)
        return found


def test_a_large_mailbox_is_read_piece_by_piece_and_in_linear_time() -> None:
    data = b"".join(message(number, b"some text\n" * 500) for number in range(4_000))
    stream: BinaryIO = Counting(data)
    started = time.process_time()
    largest = 0
    count = 0
    for entry in mailbox_entries(stream, "", CleanSettings()):
        count += 1
        largest = max([largest, *map(len, entry.pieces())])
    assert count == 4_000
    assert largest < 1 << 20
    assert stream.read_bytes < 20 * len(data)  # type: ignore[attr-defined]
    assert time.process_time() - started < 50


def test_one_huge_message_comes_in_pieces_of_a_megabyte() -> None:
    (entry,) = mailbox_entries(
        io.BytesIO(message(1, b"x" * 5_000_000 + b"\n" + b"y\n" * 500_000)), "", CleanSettings()
    )
    pieces = list(entry.pieces())
    assert max(map(len, pieces)) <= 1 << 20
    assert len(b"".join(pieces)) > 6_000_000


@pytest.mark.parametrize("token", [b"\nFrom ", b"From \n", b"\n\nFrom x\n", b"\n", b">From \n", b"From"])
def test_time_grows_with_the_size_and_not_faster(token: bytes) -> None:
    started = time.process_time()
    for _name, content in members(message(1) + token * (2_000_000 // len(token)), "a.mbox"):
        assert content
    assert time.process_time() - started < 30


def test_a_mail_with_the_line_of_a_mailbox_keeps_its_ending() -> None:
    from tests.extract.files import read

    assert read(message(1), "a.eml").text == "From: a@b\nSubject: mail 1\n\nhello"
