"""A provider's limit on requests or tokens, mirrored here, and the pace that keeps just inside it.

A provider holds a bucket that fills at the rate of its limit, and refuses what does not fit. The mirror is
filled at the same rate, emptied by what is sent, and put right by the `remaining` of each reply. The pace
follows from its level: faster than the limit while there is a surplus to spend, the limit itself near the
aim, and slower the nearer it is to empty. So other users of the same key, wrong estimates of tokens and
windows in place of buckets need no case of their own: they show in the level.
"""

from __future__ import annotations

import math
from collections import deque

from tui_scraper.engine.llm.headers import Quota

_BURST_S = 0.25
"""What may be sent at once after a lull, in seconds of the pace: timers are late by milliseconds, so at
100 calls a second and more sleeping before each call would be slower than the limit."""

_SET_SHARE = 0.99
"""Of a limit that a person has set: with the burst, no minute holds more than was set."""
_SLOWEST, _FAST, _FASTEST = 0.05, 1.6, 16.0
"""Pace as shares of the limit: at an empty bucket (not zero, because only replies show that the mirror is
wrong), with a surplus, and at most. The last is for reservations far above what the provider charges."""
_SURPLUS = 0.24
"""Share of the bucket above the aim from which on the pace is fast: a bucket is spent in about a minute."""
_STAYS_FULL, _IS_SPENT, _QUICKEN = 0.5, 0.25, 0.02
"""A bucket that stays above the first share although calls wait quickens the fast pace, by so much a second;
below the second it slows down again."""
_AIM = 0.02
_HIGHEST_AIM = 0.3
"""Level to be kept, as shares of the bucket: what is left over for errors of the mirror."""
_ON_THE_WAY_S = 0.05
"""Between sending a call and the provider's decision on it. The mirror takes it for nothing."""
_TRUST = 0.3
"""Weight of one reply against the mirror: replies come out of order and are rounded."""
_LEARN_COST = 0.05
_LONGEST_MINUTE_S = 90.0
"""A limit by the minute is reset within a minute. One that is reset later is by the day (Groq's requests)."""


class Bucket:
    """One limit, of requests or of tokens. Times are those of the event loop's clock, in seconds."""

    def __init__(self, set_per_min: float | None = None) -> None:
        if set_per_min is not None and not (math.isfinite(set_per_min) and set_per_min > 0):
            raise ValueError(f"a limit must be a number above 0, not {set_per_min}")
        self._set = set_per_min
        self._said: float | None = None
        self._size = 1.0
        self._level = 0.0
        self._credit = 0.0
        self._at_s = 0.0
        self._taken = 0.0
        self._usual_cost = 1.0
        self._slowed_to = math.inf
        self._fast = _FAST
        self._used = _LastMinute()

    @property
    def per_min(self) -> float | None:
        """The limit in force: the lower one of what a person has set and what the provider says."""
        known = [limit for limit in (self._set, self._said) if limit is not None]
        return min(known, default=None)

    def wait_s(self, cost: float, now_s: float) -> float:
        """Seconds until a call of this cost may be sent, as far as is known now."""
        self._pass_time(now_s)
        pace = self._pace()
        if pace == math.inf:
            return 0.0
        waiting_s = -self._credit / pace
        if self._said is not None:
            needed = min(cost + self._reserve(self._said / 60), 0.9 * self._size)
            waiting_s = max(waiting_s, (needed - self._level) / (self._said / 60))
        return max(0.0, waiting_s)

    def take(self, cost: int, now_s: float) -> float:
        """Send a call. Returns its mark: what was sent in all, this call included."""
        self._pass_time(now_s)
        self._usual_cost += _LEARN_COST * (cost - self._usual_cost)
        self._taken += cost
        self._charge(cost)
        self._used.add(cost, now_s)
        return self._taken

    def take_back(self, cost: int, now_s: float) -> None:
        """Undo a call that was never sent."""
        self._taken -= cost
        self._charge(-cost)
        self._used.add(-cost, now_s)

    def correct(self, difference: int, now_s: float, *, is_told: bool) -> None:
        """A call cost so much more (or less, below 0) than was taken for it.

        Where a reply has told what is left (`is_told`), only what is shown as used is corrected.
        """
        self._used.add(difference, now_s)
        if not is_told:
            self._charge(difference)

    def used(self, now_s: float) -> int:
        """What was sent in the last 60 s."""
        return self._used.total(now_s)

    def slow_to(self, per_s: float | None) -> None:
        """Set a pace that is not to be exceeded, whatever else is known; None: there is none."""
        self._slowed_to = math.inf if per_s is None else per_s

    def explains_refusal(self, cost: int) -> bool:
        """Whether this limit explains that a call was refused: it is known, and had no room to spare."""
        if self._said is None or self._level > cost + self._aim(self._said / 60):
            return False
        self._level = min(self._level, 0.0)
        return True

    def observe(self, quota: Quota, mark: float, sent_s: float, now_s: float) -> bool:
        """Learn from the reply to the call of this mark, which was sent at `sent_s`.

        Returns whether it tells what is left.
        """
        self._pass_time(now_s)
        if quota.reset_s is not None and quota.reset_s > _LONGEST_MINUTE_S:
            self._said = None
            return False
        limit = quota.limit or self._said
        if limit is None or quota.remaining is None:
            return False
        trust = 1.0 if self._said is None else _TRUST
        self._said = limit
        rate = self._said / 60
        remaining = min(quota.remaining, self._said)
        # What is missing is filled until the reset: so the size is known even on an empty bucket.
        self._size = min(self._said, max(self._size, remaining + rate * (quota.reset_s or 0.0)))
        meanwhile = rate * min(now_s - sent_s, 60.0) - (self._taken - mark)
        measured = max(-self._size, min(self._size, remaining + meanwhile))
        self._level += trust * (measured - self._level)
        return True

    def _pass_time(self, now_s: float) -> None:
        passed_s = now_s - self._at_s
        if passed_s <= 0:
            return
        self._at_s = now_s
        if self._said is not None:
            self._quicken(passed_s)
        pace = self._pace()
        if pace < math.inf:
            self._owe(min(_BURST_S * pace, self._credit + pace * passed_s))
        if self._said is not None:
            self._level = min(self._size, self._level + self._said / 60 * passed_s)

    def _quicken(self, passed_s: float) -> None:
        factor = 1 + _QUICKEN * min(passed_s, 1.0)
        if self._level > _STAYS_FULL * self._size and self._credit < 0:
            self._fast = min(_FASTEST, self._fast * factor)
        elif self._level < _IS_SPENT * self._size:
            self._fast = max(_FAST, self._fast / factor)

    def _charge(self, cost: float) -> None:
        self._owe(self._credit - cost)
        if self._said is not None:
            self._level = max(-self._size, min(self._size, self._level - cost))

    def _owe(self, credit: float) -> None:
        """Set the credit: no call, and no mistake, may block the others for more than a minute's limit."""
        limit = min(self.per_min or math.inf, 60 * self._slowed_to)
        self._credit = 0.0 if limit == math.inf else max(-limit, min(limit, credit))

    def _pace(self) -> float:
        """Units a second that may be sent now."""
        pace = self._slowed_to if self._set is None else min(self._slowed_to, self._set / 60 * _SET_SHARE)
        if self._said is None:
            return pace
        rate = self._said / 60
        aim = self._aim(rate)
        if self._level >= aim:
            share = 1 + (self._fast - 1) * min(1.0, (self._level - aim) / (_SURPLUS * self._size))
        else:
            share = max(_SLOWEST, self._level / aim)
        return min(pace, rate * share)

    def _reserve(self, rate: float) -> float:
        return min(0.1 * self._size, _ON_THE_WAY_S * rate)

    def _aim(self, rate: float) -> float:
        wanted = max(_AIM * self._size, 2 * (self._usual_cost + self._reserve(rate)))
        return min(_HIGHEST_AIM * self._size, wanted)


class _LastMinute:
    """The sum of what was added in the last 60 s."""

    def __init__(self) -> None:
        self._parts: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, amount: int, now_s: float) -> None:
        self._parts.append((now_s, amount))
        self._sum += amount
        self.total(now_s)

    def total(self, now_s: float) -> int:
        while self._parts and self._parts[0][0] <= now_s - 60:
            self._sum -= self._parts.popleft()[1]
        return max(0, self._sum)
