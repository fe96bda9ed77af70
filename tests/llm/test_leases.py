"""No lease is lost and nobody overtakes, whatever callers, replies and a person do at the same time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.llm.hostile import HOSTILE, LIMIT_HEADERS
from tests.llm.virtual_time import run
from tui_scraper.engine.llm.gate import Gate, Lease


class Storm:
    """Callers and a person who do everything at random, and what was seen of the gate."""

    def __init__(self, gate: Gate, most: int, seed: int) -> None:
        self.gate, self.most, self.random = gate, most, Random(seed)
        self.leases: list[Lease] = []
        self.pauses: list[tuple[float, float]] = []

    async def blow(self) -> None:
        person = asyncio.create_task(self._person())
        callers: list[asyncio.Task[None]] = []
        for _call in range(400):
            callers.append(asyncio.create_task(self._caller()))
            if self.random.random() < 0.4:
                self.random.choice(callers).cancel()
            if self.random.random() < 0.5:
                await asyncio.sleep(self.random.choice([0, 0, 0.01, 0.3]))
        person.cancel()
        await asyncio.gather(person, return_exceptions=True)
        self.gate.resume()
        self.gate.limit_to(None)
        ended = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(end) for end in ended} <= {type(None), asyncio.CancelledError}, set(ended)

    async def _caller(self) -> None:
        gate, random = self.gate, self.random
        lease = await gate.acquire(random.choice([0, 1, 500, 10**9]), random.randrange(3))
        self.leases.append(lease)
        assert gate.state.in_flight <= self.most
        headers = {name: random.choice([*HOSTILE, "500"]) for name in LIMIT_HEADERS if random.random() < 0.2}
        try:
            await asyncio.sleep(random.choice([0, 0.01, 0.2]))
        except asyncio.CancelledError:
            gate.released(lease)
            raise
        match random.randrange(6):
            case 0:
                headers["retry-after"] = random.choice([*HOSTILE, "0.1"])
                assert 0 < gate.throttled(lease, headers) <= 66
            case 1:
                gate.failed(lease, timeout=random.random() < 0.5)
            case 2:
                gate.released(lease)
            case _:
                gate.succeeded(lease, headers, tokens=random.choice([None, 3, 10**9]))
        if random.random() < 0.1:
            gate.succeeded(lease)
            gate.released(lease)

    async def _person(self) -> None:
        now_s = asyncio.get_running_loop().time
        while True:
            self.gate.pause()
            began_s = now_s()
            try:
                await asyncio.sleep(self.random.uniform(0, 0.5))
            finally:
                self.pauses.append((began_s, now_s()))
            self.gate.resume()
            self.gate.limit_to(self.random.choice([None, 1, 2, 100]))
            self.gate.hold(self.random.choice([0, 0.1, -1, float("nan"), float("inf")]))
            await asyncio.sleep(self.random.uniform(0, 1))


@pytest.mark.parametrize("seed", range(40))
def test_a_storm_leaves_nothing_behind(seed: int) -> None:
    settings = {"concurrency": 5} if seed % 2 else {"start": 3, "most": 7}
    most = 5 if seed % 2 else 7

    async def storm() -> None:
        rate = 600.0 if seed % 3 else None
        gate = Gate(requests_per_min=rate, tokens_per_min=rate, random=Random(seed), **settings)
        blown = Storm(gate, most, seed)
        await blown.blow()
        assert (gate.state.in_flight, gate.state.waiting) == (0, 0)
        assert [lease.number for lease in blown.leases] == sorted(lease.number for lease in blown.leases)
        for began_s, ended_s in blown.pauses:
            assert not any(began_s < lease.sent_s < ended_s for lease in blown.leases)

    run(storm())


def test_who_is_cancelled_at_the_moment_of_the_grant_leaves_no_lease() -> None:
    async def cancel_at_grant() -> None:
        gate = Gate(concurrency=1)
        first = await gate.acquire(5)
        second, third = (asyncio.create_task(gate.acquire(5)) for _caller in range(2))
        await asyncio.sleep(0)
        gate.released(first)
        assert gate.state.in_flight == 1
        second.cancel()
        lease = await third
        with pytest.raises(asyncio.CancelledError):
            await second
        assert (gate.state.in_flight, gate.state.waiting, gate.state.requests_used) == (1, 0, 2)
        gate.succeeded(lease)
        assert gate.state.in_flight == 0

    run(cancel_at_grant())


def test_who_is_cancelled_while_waiting_is_forgotten_even_in_a_pause() -> None:
    async def cancel_all() -> None:
        gate = Gate()
        gate.pause()
        tasks = [asyncio.create_task(gate.acquire(1, number % 3)) for number in range(100)]
        await asyncio.sleep(1)
        assert gate.state.waiting == 100
        for number, task in enumerate(tasks[:-1], 1):
            task.cancel()
            await asyncio.sleep(0)
            assert gate.state.waiting == 100 - number
        gate.resume()
        gate.released(await tasks[-1])
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (gate.state.in_flight, gate.state.waiting) == (0, 0)

    run(cancel_all())


def test_a_lease_counts_once_however_often_it_is_handed_back() -> None:
    async def twice() -> None:
        gate = Gate(concurrency=2)
        first, _second = await gate.acquire(1), await gate.acquire(1)
        for _time in range(3):
            gate.succeeded(first)
            gate.failed(first)
            assert gate.throttled(first) == 0
            gate.released(first)
        assert (gate.state.in_flight, gate.state.throttled) == (1, 0)

    run(twice())


def test_lower_priorities_go_first_and_equals_in_order() -> None:
    async def order() -> list[tuple[int, int]]:
        gate, went = Gate(concurrency=1), []

        async def call(priority: int, number: int) -> None:
            lease = await gate.acquire(1, priority)
            went.append((priority, number))
            gate.released(lease)

        gate.pause()
        tasks = [asyncio.create_task(call(number % 4, number)) for number in range(20)]
        await asyncio.sleep(1)
        gate.resume()
        await asyncio.gather(*tasks)
        return went

    went = run(order())
    assert went == sorted(went)
    assert len(went) == 20
