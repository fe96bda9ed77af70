"""The gate lets nobody through who should wait, and nobody wait for ever, whatever replies say."""

from __future__ import annotations

import asyncio
import itertools
from random import Random

import pytest

from tests.llm.hostile import HOSTILE, LIMIT_HEADERS
from tests.llm.simulated_server import Load, SimulatedServer, Traits
from tests.llm.virtual_time import run
from tui_scraper.engine.llm.gate import Gate


def test_a_pause_lets_nothing_through_until_it_is_resumed() -> None:
    async def pause() -> None:
        gate = Gate()
        gate.pause()
        waiting = asyncio.create_task(gate.acquire(1))
        await asyncio.sleep(1000)
        assert not waiting.done()
        assert (gate.state.paused, gate.state.waiting, gate.state.bottleneck) == (True, 1, "pause")
        gate.resume()
        assert (await waiting).sent_s == 1000
        assert (gate.state.paused, gate.state.bottleneck) == (False, "")

    run(pause())


def test_one_pause_holds_everyone_and_the_longest_counts() -> None:
    async def hold() -> None:
        gate = Gate(concurrency=3)
        throttled = await gate.acquire(1)
        gate.hold(30)
        for seconds in (5, 0, -3, float("nan"), float("inf")):
            gate.hold(seconds)
        assert gate.state.pause_s == 30
        assert gate.throttled(throttled, retry_after_s=10) == 30
        assert gate.state.bottleneck == "pause"
        leases = await asyncio.gather(*(gate.acquire(1) for _caller in range(3)))
        assert min(lease.sent_s for lease in leases) == 30

    run(hold())


@pytest.mark.parametrize(
    ("headers", "seconds", "least_s", "most_s"),
    [
        ({"Retry-After": "2"}, None, 2, 2.3),
        ({"Retry-After": "2"}, 5, 5, 5.6),
        ({"retry-after-ms": "80"}, None, 0.08, 0.1),
        ({"retry-after": "0"}, None, 0.05, 0.1),
        ({}, 0, 0.05, 0.1),
        ({"retry-after": "86400"}, None, 60, 60),
        ({}, 1e308, 60, 60),
        ({"retry-after": "rubbish"}, None, 0.5, 0.6),
        (None, None, 0.5, 0.6),
        ({"retry-after": "3"}, float("nan"), 3, 3.4),
        ({}, -5, 0.5, 0.6),
    ],
)
def test_after_a_refusal_everyone_waits_as_asked_within_reason(
    headers: dict[str, str] | None, seconds: float | None, least_s: float, most_s: float
) -> None:
    async def refuse() -> None:
        gate = Gate(random=Random(1))
        waits_s = gate.throttled(await gate.acquire(1), headers, seconds)
        assert least_s <= waits_s <= most_s
        assert gate.state.pause_s == waits_s
        assert gate.state.throttled == 1
        assert waits_s <= (await gate.acquire(1)).sent_s <= waits_s + 2.1

    run(refuse())


def test_a_server_that_always_refuses_and_never_asks_to_wait_is_left_alone() -> None:
    async def refuse() -> int:
        gate = Gate(random=Random(1))
        for calls in itertools.count():
            if asyncio.get_running_loop().time() > 600:
                return calls
            gate.throttled(await gate.acquire(1), {"retry-after": "0"})
        raise AssertionError

    assert 5 < run(refuse()) < 60


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_headers_neither_stop_the_gate_nor_let_everything_through(value: str) -> None:
    async def reply(names: list[str]) -> None:
        gate = Gate(requests_per_min=600, most=16, random=Random(1))
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for _call in range(4):
            before_s = loop.time()
            lease = await gate.acquire(1000)
            assert loop.time() - before_s <= 121
            await asyncio.sleep(0.1)
            gate.succeeded(lease, dict.fromkeys(names, value) | {"x-ratelimit-limit-": value})
        tasks = [asyncio.create_task(gate.acquire(1)) for _call in range(700)]
        await asyncio.sleep(30)
        assert gate.state.in_flight <= 16
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.state.requests_used <= 600 * (loop.time() - began_s) / 60

    for names in ([name] for name in LIMIT_HEADERS):
        run(reply(names))
    run(reply(LIMIT_HEADERS))


def test_a_limit_by_the_day_is_not_taken_for_one_by_the_minute() -> None:
    async def reply() -> float | None:
        gate = Gate()
        told = {"limit": "14400", "remaining": "14370", "reset": "2m59.56s"}
        headers = {f"x-ratelimit-{part}-requests": value for part, value in told.items()}
        gate.succeeded(await gate.acquire(1), headers)
        return gate.state.requests_per_min

    assert run(reply()) is None


def test_a_ceiling_holds_while_it_stands() -> None:
    async def ramp() -> list[int]:
        gate, seen = Gate(concurrency=50), []
        tasks = [asyncio.create_task(gate.acquire(1)) for _call in range(100)]
        for ceiling in (1, 20, None, 0):
            gate.limit_to(ceiling)
            await asyncio.sleep(0)
            assert gate.state.bottleneck == "concurrency"
            seen += [gate.state.in_flight, gate.state.concurrency]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return seen

    assert run(ramp()) == [1, 1, 20, 20, 50, 50, 50, 1]


def test_a_set_concurrency_is_kept_whatever_the_server_does() -> None:
    server = SimulatedServer(Traits(1e7, tells_limits=False, failing=0.5, slots=2))
    gate = Gate(concurrency=9, random=Random(1))
    run(Load(gate, server).last(60))
    assert server.most_in_flight == 9


@pytest.mark.parametrize("late_s", [0.0, 0.001, 0.02, 0.1])
def test_the_pace_is_exact_however_late_timers_are(late_s: float) -> None:
    async def count() -> int:
        gate = Gate(requests_per_min=60_000)
        loop = asyncio.get_running_loop()
        calls = 0
        while loop.time() < 5:
            gate.released(await gate.acquire(1))
            calls += 1
        return calls

    assert 0.97 * 5000 <= run(count(), late_s) <= 1.01 * 5000 + 110


def test_no_minute_holds_more_than_was_set() -> None:
    async def count() -> list[float]:
        gate = Gate(requests_per_min=120, tokens_per_min=1e6)
        sent_s: list[float] = []
        await asyncio.sleep(30)
        while not sent_s or sent_s[-1] < 200:
            lease = await gate.acquire(10)
            sent_s.append(lease.sent_s)
            assert gate.state.requests_used <= 120
            assert gate.state.tokens_used == 10 * gate.state.requests_used
            gate.succeeded(lease)
        return sent_s

    sent_s = run(count())
    assert len(sent_s) >= 0.98 * 2 * 170


def test_tokens_that_were_really_used_are_given_back_where_no_header_tells() -> None:
    async def count(used: int | None) -> int:
        gate, calls = Gate(tokens_per_min=60_000), 0
        while asyncio.get_running_loop().time() < 120:
            gate.succeeded(await gate.acquire(1000), None, used)
            calls += 1
        assert gate.state.bottleneck in {"", "tokens"}
        assert gate.state.tokens_used <= 60_000
        return calls

    assert run(count(None)) == pytest.approx(120, rel=0.03)
    assert run(count(250)) == pytest.approx(480, rel=0.03)
    assert run(count(2000)) == pytest.approx(60, rel=0.06)


def test_no_call_blocks_the_others_for_longer_than_a_minute_of_the_limit() -> None:
    async def huge() -> float:
        gate = Gate(tokens_per_min=1000)
        gate.released(await gate.acquire(10**12))
        return (await gate.acquire(1)).sent_s

    assert 55 <= run(huge()) <= 62


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="a number above 0"):
        Gate(requests_per_min=limit)


def test_a_limit_that_shrinks_by_mistake_does_not_stop_the_gate() -> None:
    async def shrink() -> float:
        gate = Gate()
        for limit, remaining in (("1e11", "1e11"), ("1", "0")):
            lease = await gate.acquire(10**10)
            told = {"x-ratelimit-limit-tokens": limit, "x-ratelimit-remaining-tokens": remaining}
            gate.succeeded(lease, told, tokens=10**11)
        began_s = asyncio.get_running_loop().time()
        return (await gate.acquire(10**10)).sent_s - began_s

    assert 20 <= run(shrink()) <= 125


async def test_on_a_real_clock_the_pace_holds_too() -> None:
    gate = Gate(requests_per_min=60_000)
    began_s = asyncio.get_running_loop().time()
    for _call in range(400):
        gate.released(await gate.acquire(1))
    assert asyncio.get_running_loop().time() - began_s >= (400 - 251) / 1000


def test_the_state_tells_what_holds_the_next_call() -> None:
    async def look() -> list[str]:
        gate = Gate(requests_per_min=60, tokens_per_min=60_000, concurrency=3)
        assert (gate.state.requests_per_min, gate.state.tokens_per_min) == (60, 60_000)
        held_by: list[str] = [gate.state.bottleneck]
        lease = await gate.acquire(10)
        waiting = asyncio.create_task(gate.acquire(10))
        await asyncio.sleep(0)
        held_by.append(gate.state.bottleneck)
        await waiting
        gate.succeeded(lease, tokens=40_000)
        waiting = asyncio.create_task(gate.acquire(10))
        await asyncio.sleep(2)
        held_by.append(gate.state.bottleneck)
        gate.hold(100)
        held_by.append(gate.state.bottleneck)
        await waiting
        return held_by

    assert run(look()) == ["", "requests", "tokens", "pause"]


def test_the_number_of_calls_can_be_changed_while_calls_are_in_flight() -> None:
    async def change() -> None:
        gate = Gate(concurrency=1)
        flying = [await gate.acquire(1)]
        waiting = [asyncio.create_task(gate.acquire(1)) for _caller in range(8)]
        gate.fix(3)
        await asyncio.sleep(0)
        flying += [task.result() for task in waiting[:2]]
        assert gate.state.in_flight == gate.state.concurrency == 3
        gate.fix(2)
        assert gate.state.in_flight == 3  # what is under way stays so
        gate.succeeded(flying.pop())
        await asyncio.sleep(0)
        assert (gate.state.in_flight, gate.state.waiting) == (2, 6)
        gate.fix(None)  # as many as at the start of learning
        await asyncio.sleep(0)
        assert gate.state.in_flight == 4
        for task in waiting:
            task.cancel()

    run(change())
