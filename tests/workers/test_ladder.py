"""A safe reader behind the fast one: what the fast one fails at, in any way, is read all the same."""

from __future__ import annotations

import time

import pytest

from tests.workers.test_pool import TIMEOUT_S, Tried, extractor, tried  # noqa: F401  (fixtures)
from tui_scraper.engine import Cause, Status
from tui_scraper.engine.store.codec import unpack
from tui_scraper.engine.wire import CleanText, DocumentReply

pytestmark = pytest.mark.usefixtures("tried")


def text_of(reply: DocumentReply) -> str:
    assert reply.clean is not None, reply
    return unpack(reply.clean.payload, CleanText).text


@pytest.mark.parametrize("command", ["abort", "segfault", "exit", "garbage"])
async def test_what_takes_its_process_along_is_read_safely_in_another(tried: Tried, command: str) -> None:  # noqa: F811
    replies = await tried.run("before", command, "after", ending=".md")
    assert [reply.status for reply in replies] == [Status.DONE] * 3, replies
    assert text_of(replies[1]) == f"safely: {command}"
    assert len(tried.warnings) == 1


@pytest.mark.parametrize(
    "command", ["raise KeyboardInterrupt", "memory", "recursion", "none", "wrong-fields"]
)
async def test_what_only_raises_is_read_safely_at_once(tried: Tried, command: str) -> None:  # noqa: F811
    replies = await tried.run("before", command, "after", ending=".md")
    assert [reply.status for reply in replies] == [Status.DONE] * 3, replies
    assert text_of(replies[1]) == f"safely: {command}"
    assert tried.warnings == []


@pytest.mark.parametrize("command", ["sleep", "loop"])
async def test_what_hangs_is_read_safely_within_the_same_deadline(tried: Tried, command: str) -> None:  # noqa: F811
    started = time.monotonic()
    replies = await tried.run("before", command, "after", ending=".md")
    assert [reply.status for reply in replies] == [Status.DONE] * 3, replies
    assert text_of(replies[1]) == f"safely: {command}"
    assert time.monotonic() - started < TIMEOUT_S + 2


async def test_a_verdict_of_the_fast_reader_is_final(tried: Tried) -> None:  # noqa: F811
    replies = await tried.run("before", "verdict", "after", ending=".md")
    assert (replies[1].status, replies[1].cause) == (Status.FAILED, Cause.CORRUPT)


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("abort or abort", Cause.CRASHED),
        ("abort or sleep", Cause.TIMEOUT),
        ("sleep or abort", Cause.CRASHED),
        ("sleep or sleep", Cause.TIMEOUT),
        ("raise SystemExit or raise SystemExit", Cause.CRASHED),
        ("memory or memory", Cause.TOO_LARGE),
        ("abort or verdict", Cause.CORRUPT),
    ],
)
async def test_where_both_fail_the_document_is_quarantined_with_a_cause(
    tried: Tried,  # noqa: F811
    command: str,
    cause: Cause,
) -> None:
    started = time.monotonic()
    replies = await tried.run("before", command, "after", ending=".md")
    assert [reply.status for reply in replies] == [Status.DONE, Status.FAILED, Status.DONE], replies
    assert replies[1].cause is cause
    assert replies[1].message.endswith((".", ")."))
    assert time.monotonic() - started < TIMEOUT_S + 2
