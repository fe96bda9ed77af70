"""How many calls may be in flight, where nobody has said it.

Grown while the gate is what calls wait for, and shrunk when replies take longer than they would without a
queue at the server (a local server answers a few at a time), or for reasons that others know. The measure of
no queue is the shortest median seen. A slower answer that does not get faster with fewer calls in flight is
no queue: then it becomes the measure, so that a server which slows down for another reason is not starved.
Where most calls are given up before they are answered, latencies tell nothing, and fewer are allowed.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

_FEWEST_REPLIES, _MOST_REPLIES = 12, 64
"""Replies per decision: about one round trip of what is in flight."""
_TOLERATED = 1.6
"""Latency, in those without a queue, at which calls in flight are no longer grown."""
_NO_QUEUE_S = 0.02
"""Shorter latencies are no queue: there it is this program that is late."""
_DEEPEST_CUT = 0.6
_RELIEF_AT, _RELIEF = 0.6, 0.85
"""At this share of the calls in flight, a queue would have shrunk to this share of the latency at most."""
_GROWTH = 0.08


@dataclass(frozen=True)
class Standing:
    """What an allowance was, to be restored where a cut has not helped."""

    calls: float
    fast_below: float
    slowed: float
    """Logarithm of all factors by which calls were cut for slow replies. Those are not taken back."""

    def or_more(self, other: Standing) -> Standing:
        """What allows at least either, less what was cut for slow replies in between."""
        now = min(self.slowed, other.slowed)
        calls = max(standing.calls * math.exp(now - standing.slowed) for standing in (self, other))
        fast_below = max(standing.fast_below * math.exp(now - standing.slowed) for standing in (self, other))
        return Standing(calls, fast_below, now)


class Allowance:
    """Calls in flight that are allowed, learned from latencies; others may cut it, and restore it."""

    def __init__(self, start: int, most: int) -> None:
        self._most = max(1, most)
        self._calls = float(min(max(1, start), self._most))
        self._fast_below = math.inf
        self._latencies: list[float] = []
        self._was_full = False
        self._slowed = 0.0
        self._cut_s = -math.inf
        self._ignore_before_s = -math.inf
        self._no_queue_s: float | None = None
        self._cut_from: tuple[float, float] | None = None

    @property
    def calls(self) -> int:
        """The number that is allowed now."""
        return int(self._calls)

    def reached(self) -> None:
        """A call had to wait because so many are in flight."""
        self._was_full = True

    def replied(self, latency_s: float, now_s: float) -> None:
        """A call was answered after so many seconds."""
        if now_s >= self._ignore_before_s:
            self._look_at(latency_s, now_s)

    def timed_out(self, sent_s: float, now_s: float) -> None:
        """A call was given up: nobody knows how slow its reply is.

        After a cut, what is left of the calls before it are mostly those that will time out.
        """
        if now_s >= self._ignore_before_s and sent_s >= self._cut_s:
            self._look_at(math.inf, now_s)

    def _look_at(self, latency_s: float, now_s: float) -> None:
        self._latencies.append(latency_s)
        if len(self._latencies) >= max(_FEWEST_REPLIES, min(self._calls, _MOST_REPLIES)):
            median_s = max(statistics.median(self._latencies), _NO_QUEUE_S)
            was_full, self._was_full = self._was_full, False
            self._latencies.clear()
            self._decide(median_s, was_full, now_s)

    @property
    def standing(self) -> Standing:
        """What is allowed now, for `restore`."""
        return Standing(self._calls, self._fast_below, self._slowed)

    def cut(self, factor: float, now_s: float, least: float = 1.0) -> None:
        """Allow fewer calls, for another reason than latencies."""
        self._cut_s = now_s
        self._calls = max(min(least, self._calls), self._calls * factor)
        self._fast_below = max(least, self._calls)
        self._latencies.clear()

    def raise_by(self, factor: float) -> None:
        """Take back a part of a cut."""
        self._calls = min(self._most, self._calls * factor)

    def restore(self, standing: Standing) -> None:
        """Allow at least what was allowed then."""
        better = self.standing.or_more(standing)
        self._calls, self._fast_below = better.calls, better.fast_below
        self._latencies.clear()

    def _decide(self, median_s: float, was_full: bool, now_s: float) -> None:
        if median_s == math.inf:
            self._cut_s = now_s
            self._slow_down(_DEEPEST_CUT)
            return
        if self._no_queue_s is None or median_s < self._no_queue_s:
            self._no_queue_s = median_s
        slack = _TOLERATED * self._no_queue_s / median_s
        if slack >= 1:
            self._cut_from = None
            if was_full:
                fast = self._calls < self._fast_below
                grown = self._calls * 2 if fast else self._calls + max(1.0, _GROWTH * self._calls)
                self._calls = min(self._most, grown)
            return
        calls, slowest_s = self._cut_from or (self._calls, median_s)
        if self._cut_from and self._calls <= max(1, _RELIEF_AT * calls) and median_s > _RELIEF * slowest_s:
            self._no_queue_s, self._cut_from = median_s, None
            return
        self._cut_from = calls, max(slowest_s, median_s)
        self._slow_down(max(_DEEPEST_CUT, slack))
        self._ignore_before_s = now_s + 2 * median_s  # what was sent before the cut has come back by then

    def _slow_down(self, factor: float) -> None:
        self._slowed += math.log(factor)
        self._calls = self._fast_below = max(1.0, self._calls * factor)
