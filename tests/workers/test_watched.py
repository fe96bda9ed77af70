"""What a worker says of the document in hand, and how much of that the engine believes."""

from __future__ import annotations

import mmap
import os
import socket
import time
from typing import Any, cast

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.wire import WorkItem
from tui_scraper.engine.workers.frames import HEARTBEAT, MOST_TURNS, ZygoteSettings
from tui_scraper.engine.workers.pool import Pool, _Group, _Worker
from tui_scraper.engine.workers.worker import _Watched

SETTINGS = Settings.model_validate({"clean": {"timeout_s": 10}})
SECOND = 1_000_000_000


def test_the_page_says_what_is_in_hand_and_when_it_may_be_ended() -> None:
    page = mmap.mmap(-1, mmap.PAGESIZE)
    start = ZygoteSettings(SETTINGS.model_dump_json(), PhaseName.CLASSIFY, 1, 10_000)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watched = _Watched(theirs, page, SETTINGS, start)
        before = time.monotonic_ns()
        watched.begin(5, 1)
        version, since_ns, allowed_ns, turn = HEARTBEAT.unpack_from(page)
        assert (version, allowed_ns, turn) == (5, 0, 1)
        assert before <= since_ns <= time.monotonic_ns()
        watched.allow(2)
        assert 2 * SECOND <= HEARTBEAT.unpack_from(page)[2] < 6 * SECOND
        watched.allow(0)
        assert HEARTBEAT.unpack_from(page) == (5, since_ns, 0, 1)
        watched.end()
        assert HEARTBEAT.unpack_from(page) == (0, 0, 0, 0)
        assert watched.may_begin()
        left_open = [os.dup(theirs.fileno()) for _number in range(70)]
        assert not watched.may_begin()
        assert watched.may_go_on()
        for descriptor in left_open:
            os.close(descriptor)


class _Looking:
    """A pool that looks at one worker every second, on a clock of its own."""

    def __init__(self) -> None:
        self.pool = Pool(1, SETTINGS, PhaseName.CLASSIFY)
        self.page = mmap.mmap(-1, mmap.PAGESIZE)
        self.worker = _Worker(0, 0, self.page, cast(Any, None), cast(Any, None), cast(Any, None))
        self.worker.group = _Group([WorkItem(1, b"/a", 1), WorkItem(2, b"/b", 1)])
        self.now = 10 * SECOND

    def look(self, version: int, turn: int, since_ns: int | None = None) -> tuple[int, int]:
        self.now += SECOND
        HEARTBEAT.pack_into(self.page, 0, version, self.now if since_ns is None else since_ns, 0, turn)
        return self.pool._look_at(self.worker, self.now)


def test_a_document_is_taken_up_once_for_each_step() -> None:
    looking = _Looking()
    worker = looking.worker
    assert looking.look(1, 0) == (1, 0)
    first = worker.since_ns
    assert looking.look(1, 0) == (1, 0)
    assert worker.since_ns == first, "it is still in hand, whatever it says of its beginning"
    assert looking.look(2, 0) == (2, 0)
    assert worker.since_ns == looking.now
    assert looking.look(1, 1) == (1, 0)
    second = worker.since_ns
    assert second == looking.now, "the next step"
    for version, turn in ((1, 0), (2, 0), (1, 1)):
        assert looking.look(version, turn) == (version, 0)
        assert worker.since_ns == second, "a step that was seen before puts nothing off"
    before = looking.now
    assert looking.look(2, 1, since_ns=0) == (2, 0)
    assert worker.since_ns == before, "not before it was last looked"
    for version, turn in ((0, 0), (3, 0), (1, MOST_TURNS), (1, -1)):
        assert looking.look(version, turn) == (0, 0)


def test_what_a_document_has_had_in_the_steps_before_counts() -> None:
    looking = _Looking()
    for _second in range(4):
        looking.look(1, 0)
    looking.look(2, 0)
    assert looking.worker.spent == {1: 3 * SECOND}, "as long as it was seen there"
    looking.look(1, 1)
    looking.look(1, 1)
    looking.look(0, 0)
    assert looking.worker.spent == {1: 4 * SECOND, 2: 0}


def test_time_in_which_the_engine_stood_still_counts_in_no_step() -> None:
    looking = _Looking()
    looking.look(1, 0)
    looking.now += 60 * SECOND  # ctrl+z
    looking.pool._lost_ns = looking.now
    looking.look(1, 0)
    looking.look(1, 0)
    looking.look(1, 1)
    assert looking.worker.spent == {1: 2 * SECOND}
