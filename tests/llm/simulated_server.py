"""A provider of a language model with limits, and the many callers that load it through a gate."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tui_scraper.engine.llm.gate import Gate

_WAY_S = 0.03
"""From the caller to the decision whether a call is accepted, and the same back."""
_TIMEOUT_S = 30.0
_CALLERS = 300


@dataclass(frozen=True)
class Traits:
    """How a server limits and answers."""

    requests_per_min: float
    tokens_per_min: float = 1e10
    bucket_s: float = 60.0
    """Size of the buckets, in seconds of their rate."""
    starts_full: float = 1.0
    window_s: float | None = None
    """Fixed windows in place of buckets."""
    others: tuple[float, float, float] | None = None
    """Another user of the key: takes this share of the refill, from this second, to this one."""
    tells_limits: bool = True
    says_when: bool = True
    """429s have a `retry-after`."""
    exact_waits: bool = False
    """In milliseconds; else in whole seconds, rounded up."""
    charges_refused: bool = True
    """A call that is refused for its tokens is counted as a request."""
    latency_s: float = 0.8
    spread: float = 0.35
    way_s: float = _WAY_S
    slots: int | None = None
    """Answers so many at a time; more calls in flight slow all of them down."""
    failing: float = 0.0
    """Share of accepted calls that end in a 500."""
    hanging: float = 0.0
    """Share of accepted calls that are never answered."""
    overloaded: tuple[int, int, float] | None = None
    """Calls fail at random up to so many in flight: from none at the first to this share at the second."""
    moody: float = 0.0
    """Share of calls that are refused by a 429 for no reason, without a word on when."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]


@dataclass(frozen=True)
class Answered:
    """Calls that succeeded and the tokens that were charged for them."""

    calls: int
    tokens: float


class SimulatedServer:
    """Answers `call` in the time of the running loop, and counts what it answered."""

    def __init__(self, traits: Traits, seed: int = 7) -> None:
        self.traits = traits
        self.succeeded = self.refused = self.failed = 0
        self.tokens = 0.0
        self.in_flight = self.most_in_flight = 0
        self._random = Random(seed)
        self._rates = traits.requests_per_min / 60, traits.tokens_per_min / 60
        self._sizes = self._rates[0] * traits.bucket_s, self._rates[1] * traits.bucket_s
        self._requests, self._tokens = (size * traits.starts_full for size in self._sizes)
        self._at_s = 0.0
        self._window = -1

    @property
    def share_refused(self) -> float:
        return self.refused / max(1, self.succeeded + self.refused + self.failed)

    @property
    def answered(self) -> Answered:
        return Answered(self.succeeded, self.tokens)

    async def call(self, tokens: float) -> Reply:
        """Answer a call that is charged so many tokens."""
        traits = self.traits
        await asyncio.sleep(traits.way_s)
        if traits.moody and self._random.random() < traits.moody:
            self.refused += 1
            await asyncio.sleep(traits.way_s)
            return Reply(429, {})
        self._refill(asyncio.get_running_loop().time())
        if self._requests < 1 or self._tokens < tokens:
            self.refused += 1
            headers = self._headers() | self._wait_for(tokens)
            if traits.charges_refused and self._requests >= 1:
                self._requests -= 1
            await asyncio.sleep(traits.way_s)
            return Reply(429, headers)
        self._requests -= 1
        self._tokens -= tokens
        headers = self._headers()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        answering_s = self._random.lognormvariate(math.log(traits.latency_s), traits.spread)
        if traits.slots:
            answering_s *= max(1.0, self.in_flight / traits.slots)
        failing = max(traits.failing, self._overload())
        if traits.hanging and self._random.random() < traits.hanging:
            answering_s = math.inf
        try:
            await self._answer(answering_s)
        finally:
            self.in_flight -= 1
        if self._random.random() < failing:
            self.failed += 1
            return Reply(500, headers)
        self.succeeded += 1
        self.tokens += tokens
        return Reply(200, headers)

    async def _answer(self, answering_s: float) -> None:
        if answering_s < math.inf:
            await asyncio.sleep(answering_s)
        else:
            self.failed += 1
            await asyncio.Event().wait()

    def _overload(self) -> float:
        if not self.traits.overloaded:
            return 0.0
        first, last, share = self.traits.overloaded
        return share * min(1.0, max(0.0, (self.in_flight - first) / (last - first)))

    def _refill(self, now_s: float) -> None:
        passed_s, self._at_s = now_s - self._at_s, now_s
        window_s, others = self.traits.window_s, self.traits.others
        if window_s:
            if int(now_s // window_s) != self._window:
                self._window = int(now_s // window_s)
                self._requests, self._tokens = (rate * window_s for rate in self._rates)
            return
        share = 1 - others[0] if others and others[1] <= now_s < others[2] else 1.0
        self._requests = min(self._sizes[0], self._requests + passed_s * share * self._rates[0])
        self._tokens = min(self._sizes[1], self._tokens + passed_s * share * self._rates[1])

    def _headers(self) -> dict[str, str]:
        if not self.traits.tells_limits:
            return {}
        headers = {}
        for kind, level, size, rate in (
            ("Requests", self._requests, self._sizes[0], self._rates[0]),
            ("Tokens", self._tokens, self._sizes[1], self._rates[1]),
        ):
            window_s = self.traits.window_s
            reset_s = window_s - self._at_s % window_s if window_s else (size - level) / rate
            headers[f"X-RateLimit-Limit-{kind}"] = str(int(rate * 60))
            headers[f"X-RateLimit-Remaining-{kind}"] = str(max(0, math.floor(level)))
            headers[f"X-RateLimit-Reset-{kind}"] = f"{reset_s:.3f}s"
        return headers

    def _wait_for(self, tokens: float) -> dict[str, str]:
        if not self.traits.says_when:
            return {}
        waiting_s = max((1 - self._requests) / self._rates[0], (tokens - self._tokens) / self._rates[1])
        if self.traits.window_s:
            waiting_s = self.traits.window_s - self._at_s % self.traits.window_s
        if self.traits.exact_waits:
            return {"retry-after-ms": str(waiting_s * 1000)}
        return {"retry-after": str(math.ceil(waiting_s))}


def usual_tokens(random: Random) -> int:
    """Tokens of one document's call: about 490, long-tailed."""
    return max(120, int(random.lognormvariate(6.0, 0.45))) + 40


@dataclass
class Load:
    """Calls for document after document through a gate, until the time is over.

    `estimate` makes of the tokens that the server charges those that the caller reserves.
    """

    gate: Gate
    server: SimulatedServer
    estimate: Callable[[int], int] = int
    callers: int = _CALLERS
    timeout_s: float = _TIMEOUT_S
    seed: int = 3

    async def last(self, seconds: float, *, warm_up_s: float = 0.0) -> Answered:
        """Run for so long. Returns what was answered after the warm-up."""
        random = Random(self.seed)
        tasks = [asyncio.create_task(self._call_on(random)) for _caller in range(self.callers)]
        await asyncio.sleep(warm_up_s)
        before = self.server.answered
        await asyncio.sleep(seconds - warm_up_s)
        after = self.server.answered
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended
        assert (self.gate.state.in_flight, self.gate.state.waiting) == (0, 0)
        return Answered(after.calls - before.calls, after.tokens - before.tokens)

    async def _call_on(self, random: Random) -> None:
        while True:
            tokens = usual_tokens(random)
            while not await self._call(tokens):
                pass

    async def _call(self, tokens: int) -> bool:
        gate = self.gate
        lease = await gate.acquire(self.estimate(tokens))
        try:
            async with asyncio.timeout(self.timeout_s):
                reply = await self.server.call(tokens)
        except TimeoutError:
            gate.failed(lease, timeout=True)
            return False
        except asyncio.CancelledError:
            gate.released(lease)
            raise
        if reply.status == 200:
            gate.succeeded(lease, reply.headers)
        elif reply.status == 429:
            gate.throttled(lease, reply.headers)
        else:
            gate.failed(lease)
        return reply.status == 200
