"""What a worker says of the document in hand, and how much of that the engine believes."""

from __future__ import annotations

import mmap
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


def test_all_times_in_hand_share_one_deadline() -> None:
    page = mmap.mmap(-1, mmap.PAGESIZE)
    start = ZygoteSettings(SETTINGS.model_dump_json(), PhaseName.CLASSIFY, 1, 10_000)
    watched = _Watched(page, SETTINGS, start)
    before = time.monotonic_ns()
    watched.begin(5, 0, 0)
    version, since_ns, left_ns, turn = HEARTBEAT.unpack_from(page)
    assert (version, left_ns, turn) == (5, 0, 0)
    assert before <= since_ns <= time.monotonic_ns()
    watched.end()
    assert HEARTBEAT.unpack_from(page) == (0, 0, 0, 0)
    watched.begin(5, 1, 4 * SECOND)
    assert HEARTBEAT.unpack_from(page)[2:] == (6 * SECOND, 1)
    watched.allow(2)
    assert 2 * SECOND <= HEARTBEAT.unpack_from(page)[2] < 6 * SECOND
    watched.allow(0)
    assert HEARTBEAT.unpack_from(page)[2:] == (6 * SECOND, 1)
    watched.begin(5, 2, 11 * SECOND)
    assert HEARTBEAT.unpack_from(page)[2] == 1, "it has had all of its time"


def test_a_document_is_taken_up_once_for_each_step() -> None:
    pool = Pool(1, SETTINGS, PhaseName.CLASSIFY)
    page = mmap.mmap(-1, mmap.PAGESIZE)
    worker = _Worker(0, 0, page, cast(Any, None), cast(Any, None), cast(Any, None))
    worker.group = _Group([WorkItem(1, b"/a", 1), WorkItem(2, b"/b", 1)])
    clock = iter(range(10 * SECOND, 10**9 * SECOND, SECOND))
    now = 0

    def looked(version: int, turn: int, since_ns: int | None = None) -> tuple[int, int]:
        nonlocal now
        now = next(clock)
        HEARTBEAT.pack_into(page, 0, version, now if since_ns is None else since_ns, 0, turn)
        return pool._look_at(worker, now)

    assert looked(1, 0) == (1, 0)
    first = worker.since_ns
    assert looked(1, 0) == (1, 0)
    assert worker.since_ns == first, "it is still in hand, whatever it says of its beginning"
    assert looked(2, 0) == (2, 0)
    assert worker.since_ns == now
    assert looked(1, 1) == (1, 0)
    second = worker.since_ns
    assert second == now, "the next step"
    for version, turn in ((1, 0), (2, 0), (1, 1)):
        assert looked(version, turn) == (version, 0)
        assert worker.since_ns == second, "a step that was seen before puts nothing off"
    before = now
    assert looked(2, 1, since_ns=0) == (2, 0)
    assert worker.since_ns == before, "not before it was last looked"
    for version, turn in ((0, 0), (3, 0), (1, MOST_TURNS), (1, -1)):
        assert looked(version, turn) == (0, 0)
