"""The gate that every call to a model passes: so many in flight, so many a minute, and one pause for all.

Callers wait in one queue, by priority. The first of them is let through as soon as nothing holds it: neither
a pause, nor the calls in flight, nor the provider's limits on requests and tokens. What a reply tells (its
headers, its latency, a 429, a failure) is kept in the parts that decide on each of these, and the gate itself
holds only the queue and what is in flight. It belongs to one event loop and starts no task: it wakes by one
timer and by what it is told.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from tui_scraper.engine.llm.allowance import Allowance, Standing
from tui_scraper.engine.llm.bucket import Bucket
from tui_scraper.engine.llm.headers import lowered, parse_duration, quota, retry_after
from tui_scraper.engine.llm.hidden import HiddenRate
from tui_scraper.engine.llm.trouble import Remedy, Trouble
from tui_scraper.engine.llm.waiting import Waiting

__all__ = ["Bottleneck", "Gate", "GateState", "Lease", "parse_duration", "retry_after"]

Bottleneck = Literal["requests", "tokens", "concurrency", "pause", ""]

_LONGEST_PAUSE_S = 60.0
"""For which a provider can stop everyone by a 429. Who asks for more is asked again after it, unless the
caller holds the gate for longer."""
_BACKOFF_S = 0.5
"""Pause after a 429 without `retry-after`; doubles with each further one in a row."""
_SHORTEST_PAUSE_S = 0.05
"""The same where the provider asks for less, so that a `retry-after: 0` is no busy loop."""
_LONGEST_SLEEP_S = 1.0
_SHORTEST_SLEEP_S = 0.0005
"""Of the timer: what holds a call may change by time alone, and clocks are coarse."""
_REFUSED_CUT = 0.7
"""Of the calls in flight, after a 429 that no known limit explains: it may be a limit on them. Not below
those at the start, as the pace alone keeps them low where calls are refused all the time."""


@dataclass(frozen=True)
class Lease:
    """Permission for one call, to be handed back by exactly one of the gate's four verbs."""

    number: int
    """Calls are counted up from 1 as they are let through."""
    tokens: int
    """Reserved: those of the request and the most that may be answered."""
    sent_s: float
    requests_mark: float
    tokens_mark: float
    generation: int
    """Troubles (429s, failures) the gate knew of by then: the same trouble is acted on once."""


@dataclass(frozen=True)
class GateState:
    """What a screen shows of the gate."""

    requests_per_min: float | None
    tokens_per_min: float | None
    """Limits as set or as the provider says them. None: not known."""
    requests_used: int
    tokens_used: int
    """In the last 60 s."""
    in_flight: int
    waiting: int
    concurrency: int
    """Calls in flight that are allowed now."""
    throttled: int
    """429s so far."""
    pause_s: float
    """Left of the shared pause."""
    paused: bool
    bottleneck: Bottleneck
    """What the first waiting call waits for."""


class Gate:
    """Lets calls through as fast as the provider allows, and no faster."""

    def __init__(
        self,
        *,
        requests_per_min: float | None = None,
        tokens_per_min: float | None = None,
        concurrency: int | None = None,
        start: int = 4,
        most: int = 256,
        random: Random | None = None,
    ) -> None:
        """Begin with what a person has set; what is None is learned.

        Args:
            requests_per_min: Not to be exceeded, whatever the provider allows.
            tokens_per_min: The same for tokens.
            concurrency: Calls in flight, always; None learns how many, from `start` to `most`.
            start: See `concurrency`.
            most: See `concurrency`.
            random: For the spread of pauses.
        """
        self._requests = Bucket(requests_per_min)
        self._tokens = Bucket(tokens_per_min)
        self._hidden = HiddenRate()
        self._fixed = None if concurrency is None else max(1, concurrency)
        self._start = max(1, start)
        self._allowance = Allowance(start, most)
        self._ceiling: int | None = None
        self._random = random or Random()  # noqa: S311  no secret depends on it
        self._waiting: Waiting[Lease] = Waiting()
        self._sent = 0
        self._in_flight: dict[int, Lease] = {}
        self._paused = False
        self._pause_until_s = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._held_by: Bottleneck = ""
        self._asked_until_s = -math.inf
        self._trouble = Trouble()
        self._untroubled: Standing | None = None
        self._unrefused: Standing | None = None
        self._generation = 0
        self._in_a_row = 0
        self._throttled = 0

    async def acquire(self, tokens: int, priority: int = 10) -> Lease:
        """Wait for permission to send a call of at most so many tokens; lower priorities go first.

        A task that is cancelled while it waits, or at the moment it is let through, leaves no lease behind.
        """
        granted = self._waiting.join(max(0, tokens), priority)
        self._let_through()
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._waiting.gave_up()
                self._let_through()
            else:
                self._take_back(granted.result())
            raise

    def succeeded(
        self, lease: Lease, headers: Mapping[str, str] | None = None, tokens: int | None = None
    ) -> None:
        """The call was answered. `tokens` are those it really used.

        They correct what is shown, and what was reserved where no header of the reply tells what is left.
        """
        if not self._hand_back(lease):
            return
        now_s = self._now_s()
        if lease.generation >= self._generation - 1:  # refusals come sooner than answers to calls before them
            self._in_a_row = 0
        is_told = self._observe(lease, headers, now_s)
        if tokens is not None and tokens >= 0:
            self._tokens.correct(tokens - lease.tokens, now_s, is_told=is_told)
        self._allowance.replied(now_s - lease.sent_s, now_s)
        self._trouble.succeeded(self._sent, self._allowance.calls)
        self._came_back(lease, now_s, failed=False)
        self._let_through()

    def throttled(
        self, lease: Lease, headers: Mapping[str, str] | None = None, retry_after_s: float | None = None
    ) -> float:
        """The call was refused for too many calls or tokens (429). Returns seconds that everyone waits now.

        The provider is asked how long by `retry_after_s`, or else by the headers. However long it says, the
        pause ends after a minute: a caller who wants to obey longer calls `hold`.
        """
        now_s = self._now_s()
        if not self._hand_back(lease):
            return self._pause_s(now_s)
        self._throttled += 1
        is_noise = False
        self._trouble.came_back(lease.number, now_s - lease.sent_s, failed=None)
        self._hidden.refused(lease.number)
        self._observe(lease, headers, now_s)
        if lease.generation == self._generation:
            self._generation += 1
            self._in_a_row += 1
            explanations = self._requests.explains_refusal(1), self._tokens.explains_refusal(lease.tokens)
            if not any(explanations):
                is_noise = not self._look_for_limit(now_s)
        asked_s = retry_after_s
        if asked_s is None or not math.isfinite(asked_s) or asked_s < 0:
            asked_s = retry_after(headers) if headers else None
        doubled = 2.0 ** min(max(self._in_a_row, 1) - 1, 10)
        if asked_s is None:
            waiting_s = (_SHORTEST_PAUSE_S if is_noise else _BACKOFF_S) * doubled
        else:
            waiting_s = max(asked_s, _SHORTEST_PAUSE_S * doubled)
        spread = 1 + 0.1 * self._random.random()
        self._asked_until_s = max(self._asked_until_s, now_s + min(waiting_s * spread, _LONGEST_PAUSE_S))
        self._pause_until_s = max(self._pause_until_s, self._asked_until_s)
        self._let_through()
        return self._pause_s(now_s)

    def failed(self, lease: Lease, *, timeout: bool = False) -> None:
        """The call failed at the server or on the way: a 5xx, no connection, or no answer in time."""
        if not self._hand_back(lease):
            return
        now_s = self._now_s()
        if timeout and not self._trouble.is_down:
            self._allowance.timed_out(lease.sent_s, now_s)
        calls = self._allowance.calls
        self._remedy(self._trouble.failed(lease.number, len(self._in_flight), self._sent, calls))
        if self._trouble.is_down and lease.generation == self._generation:
            self._generation += 1
            self.hold(1 + self._random.random())
        self._came_back(lease, now_s, failed=True)
        self._let_through()

    def released(self, lease: Lease) -> None:
        """Nothing was sent, or the call was cancelled. What was reserved counts as used: it may have been."""
        if self._hand_back(lease):
            self._trouble.came_back(lease.number, 0.0, failed=None)
            self._let_through()

    def pause(self) -> None:
        """Let nothing through until `resume`. What is in flight goes on."""
        self._paused = True
        self._let_through()

    def resume(self) -> None:
        """End `pause`; a shared pause that the provider asked for goes on."""
        self._paused = False
        self._let_through()

    def hold(self, seconds: float) -> None:
        """Let nothing through for so long. Ends no pause that is longer."""
        if math.isfinite(seconds) and seconds > 0:
            self._pause_until_s = max(self._pause_until_s, self._now_s() + seconds)
            self._let_through()

    def fix(self, calls: int | None) -> None:
        """Allow so many calls in flight from now on, as `concurrency` does; None: what is learned.

        Those that are in flight already stay, also where they are more.
        """
        self._fixed = None if calls is None else max(1, calls)
        self._let_through()

    def limit_to(self, calls: int | None) -> None:
        """Allow at most so many calls in flight (at least 1) until it is called again; None: no ceiling."""
        self._ceiling = None if calls is None else max(1, calls)
        self._let_through()

    @property
    def state(self) -> GateState:
        """Where the gate stands now."""
        now_s = self._now_s()
        pause_s = self._pause_s(now_s)
        waiting = len(self._waiting)
        return GateState(
            requests_per_min=self._requests.per_min,
            tokens_per_min=self._tokens.per_min,
            requests_used=self._requests.used(now_s),
            tokens_used=self._tokens.used(now_s),
            in_flight=len(self._in_flight),
            waiting=waiting,
            concurrency=self._allowed(),
            throttled=self._throttled,
            pause_s=pause_s,
            paused=self._paused,
            bottleneck="pause" if self._paused or pause_s > 0 else self._held_by if waiting else "",
        )

    def _let_through(self) -> None:
        """Let through who may pass, and set the timer for the next one if only time holds it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = self._now_s()
        self._hidden.pass_time(now_s, is_bound=self._is_bound(now_s))
        self._held_by = ""
        while (first := self._waiting.first()) is not None:
            waiting_s, self._held_by = self._held_for(first.tokens, now_s)
            if waiting_s > 0:
                if waiting_s < math.inf:
                    sleep_s = min(max(waiting_s, _SHORTEST_SLEEP_S), _LONGEST_SLEEP_S)
                    self._timer = asyncio.get_running_loop().call_later(sleep_s, self._let_through)
                return
            self._waiting.grant(first, self._send(first.tokens, now_s))

    def _held_for(self, tokens: int, now_s: float) -> tuple[float, Bottleneck]:
        """For how long the next call is held as far as is known, and by what. Infinite: until an event."""
        if self._paused:
            return math.inf, "pause"
        if len(self._in_flight) >= self._allowed():
            if len(self._in_flight) >= self._allowance.calls and not self._trouble.is_trying:
                self._allowance.reached()
            return math.inf, "concurrency"
        reasons: tuple[tuple[float, Bottleneck], ...] = (
            (self._pause_s(now_s), "pause"),
            (self._requests.wait_s(1, now_s), "requests"),
            (self._tokens.wait_s(tokens, now_s), "tokens"),
        )
        return max(reasons, key=lambda reason: reason[0])

    def _send(self, tokens: int, now_s: float) -> Lease:
        self._sent += 1
        self._hidden.sent(now_s)
        self._trouble.sent(self._sent, now_s)
        requests_mark = self._requests.take(1, now_s)
        tokens_mark = self._tokens.take(tokens, now_s)
        lease = Lease(self._sent, tokens, now_s, requests_mark, tokens_mark, self._generation)
        self._in_flight[lease.number] = lease
        return lease

    def _hand_back(self, lease: Lease) -> bool:
        """Whether the lease was out: one that is handed back twice changes nothing."""
        if self._in_flight.get(lease.number) is not lease:
            return False
        del self._in_flight[lease.number]
        return True

    def _take_back(self, lease: Lease) -> None:
        """Undo a lease that nobody has seen."""
        if self._hand_back(lease):
            now_s = self._now_s()
            self._requests.take_back(1, now_s)
            self._tokens.take_back(lease.tokens, now_s)
            self._hidden.unsent(lease.number)
            self._trouble.came_back(lease.number, 0.0, failed=None)
            self._let_through()

    def _came_back(self, lease: Lease, now_s: float, *, failed: bool) -> None:
        """Learn from a call that was not refused."""
        self._hidden.answered(now_s, is_binding=self._held_by == "requests")
        self._requests.slow_to(self._hidden.per_s)
        self._trouble.came_back(lease.number, now_s - lease.sent_s, failed=failed)
        self._remedy(self._trouble.remedy(self._sent, self._allowance.calls, now_s))

    def _remedy(self, remedy: Remedy) -> None:
        """Change the calls in flight as it seems to help a server that fails."""
        if remedy == "cut":
            self._untroubled = self._untroubled or self._allowance.standing
            self._allowance.cut(self._trouble.next_cut, self._now_s())
        elif remedy != "none":
            if remedy == "restore" and self._untroubled:
                self._allowance.restore(self._untroubled)
            if remedy == "settle":
                self._allowance.raise_by(self._trouble.taken_back)
            self._untroubled = None

    def _is_bound(self, now_s: float) -> bool:
        """Whether, until now, calls were sent as fast as the limit on requests seemed to allow, or nearly so.

        While a refusal's pause lasts, the provider's bucket fills as it does while calls wait for the pace.
        """
        if now_s <= self._asked_until_s or self._held_by == "requests":
            return True
        return self._held_by == "concurrency" and not self._trouble.is_down

    def _look_for_limit(self, now_s: float) -> bool:
        """Slow down after a 429 that no known limit explains, unless it is noise. Returns whether it did."""
        is_limit = self._hidden.throttled(self._sent, now_s)
        self._requests.slow_to(self._hidden.per_s)
        if is_limit:
            if not self._hidden.is_doubted:
                self._unrefused = self._allowance.standing
            self._allowance.cut(_REFUSED_CUT, now_s, self._start)
        elif self._unrefused:
            if self._untroubled:
                self._untroubled = self._untroubled.or_more(self._unrefused)
            else:
                self._allowance.restore(self._unrefused)
            self._unrefused = None
        return is_limit

    def _observe(self, lease: Lease, headers: Mapping[str, str] | None, now_s: float) -> bool:
        """Learn from a reply's headers. Returns whether they tell how many tokens are left."""
        if not headers:
            return False
        plain = lowered(headers)
        self._requests.observe(quota(plain, "requests"), lease.requests_mark, lease.sent_s, now_s)
        return self._tokens.observe(quota(plain, "tokens"), lease.tokens_mark, lease.sent_s, now_s)

    def _allowed(self) -> int:
        learned = int(min(self._allowance.calls, self._trouble.ceiling))
        allowed = learned if self._fixed is None else self._fixed
        return allowed if self._ceiling is None else min(allowed, self._ceiling)

    def _pause_s(self, now_s: float) -> float:
        return max(0.0, self._pause_until_s - now_s)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
