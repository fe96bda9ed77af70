"""Whether the failures of a server come from too many calls in flight, found out by trying fewer.

Of calls that are sent one after the other, the share that failed is known when all of them have come back:
failures may be quicker than answers, or take as long as a timeout. If too many failed, fewer are allowed and
the next ones are looked at. Where the share falls, there are fewer from then on. Where it does not fall
although few are left, failures have another reason: what was allowed is restored, and that share tolerated.

A server at which nothing succeeds is down. Fewer calls would not help it either: it is asked now and then,
and when it answers again, as many calls as before are soon in flight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Remedy = Literal["none", "cut", "settle", "restore"]

_FEWEST, _MOST = 40, 100
"""Calls that are looked at together, about as many as are in flight."""
_OVERDUE_S, _OVERDUE = 1.0, 3.0
"""A call that takes longer than this and so many times the slowest answer is taken for failed."""
_TROUBLE, _CERTAIN = 0.2, 3.0
"""Share of failures above which the server is in trouble, of those that are not tolerated; and standard
deviations by which what is tolerated must be exceeded."""
_RELIEF = 0.6
"""Fewer calls help if failures fall to this share of what they were."""
_CUTS = 0.75, 0.6, 0.4
"""One after the other, until failures fall. The first is small, because it often is enough; the last is only
for a server that fails so often that there may still be far too many."""
_OFTEN = 0.5
_TAKEN_BACK = 1.4
"""After a large cut that helped: somewhat fewer were wanted, not so few."""
_SELECTED = 0.75
"""The sample by which trouble is noticed has more failures than most, by chance."""
_LEARN = 0.2
_TOLERATED_S = 300.0
"""Then it is tried again whether fewer calls help."""
_DOWN = 16
"""Failures in a row after which a server is down; at least as many as are still in flight."""
_PROBES = 4
"""Calls in flight to a server that is down. With every success there may be one more."""


@dataclass
class _Sample:
    """Calls of the numbers from `first` on, `size` of them."""

    first: int
    size: int
    answered: int = 0
    failed: int = 0
    back: int = 0
    all_sent_s: float = math.inf
    slowest_s: float = 0.0

    def is_complete(self, now_s: float) -> bool:
        overdue_s = _OVERDUE_S + _OVERDUE * self.slowest_s
        return self.back >= self.size or now_s - self.all_sent_s > overdue_s


class Trouble:
    """Looks at failures. Whoever asks it has the calls in flight in hand."""

    def __init__(self) -> None:
        self.ceiling = math.inf
        """Calls in flight to a server that is or was down."""
        self._sample = _Sample(1, _FEWEST)
        self._usual = 0.0
        self._before: float | None = None
        self._cuts = 0
        self._tolerated = self._most_tolerated = 0.0
        self._tolerated_until_s = math.inf
        self._in_a_row = self._last_success = 0

    @property
    def is_down(self) -> bool:
        """Whether nothing succeeds."""
        return self.ceiling <= _PROBES

    @property
    def is_trying(self) -> bool:
        """Whether it is being found out if fewer calls help: their number should be left as it is."""
        return self._before is not None

    @property
    def next_cut(self) -> float:
        """The factor of a "cut"."""
        return _CUTS[self._cuts - 1]

    @property
    def taken_back(self) -> float:
        """The factor by which a "settle" raises."""
        return _TAKEN_BACK if self._cuts > 1 else 1.0

    def sent(self, call: int, now_s: float) -> None:
        """The call of this number (they count up) was sent."""
        if call == self._sample.first + self._sample.size - 1:
            self._sample.all_sent_s = now_s

    def came_back(self, call: int, latency_s: float, *, failed: bool | None) -> None:
        """A call came back. None: it tells nothing of failures."""
        sample = self._sample
        if sample.first <= call < sample.first + sample.size:
            sample.back += 1
            if failed is not None:
                sample.failed += failed
                sample.answered += not failed
            if failed is False:
                sample.slowest_s = max(sample.slowest_s, latency_s)

    def succeeded(self, sent: int, calls: int) -> None:
        """A call succeeded while so many are allowed in flight; so many were `sent` in all."""
        self._in_a_row, self._last_success = 0, sent
        self.ceiling += 1
        if self.ceiling >= calls:
            self.ceiling = math.inf

    def failed(self, call: int, in_flight: int, sent: int, calls: int) -> Remedy:
        """A call failed. See `remedy` for what is returned.

        Of calls sent together, the slowest are timeouts: only those count that were sent after a success.
        """
        self._in_a_row += call > self._last_success
        if self._in_a_row < max(_DOWN, in_flight):
            return "none"
        self.ceiling = _PROBES
        self._look_again(sent, calls)
        was_trying, self._before = self.is_trying, None
        return "restore" if was_trying else "none"

    def remedy(self, sent: int, calls: int, now_s: float) -> Remedy:
        """What is to be done about the number of calls in flight, now `calls`. So many were `sent` in all."""
        sample = self._sample
        is_hopeless = (
            self._before is not None
            and sample.back >= sample.size / 2
            and sample.failed > self._relieved(self._before) * sample.size
        )
        if not (is_hopeless or sample.is_complete(now_s)):
            return "none"
        if now_s > self._tolerated_until_s:
            self._tolerated, self._tolerated_until_s = 0.0, math.inf
        overdue = 0 if is_hopeless else sample.size - sample.back
        known = sample.answered + sample.failed + overdue
        share = (sample.failed + overdue) / max(1, known)
        self._look_again(sent, calls)
        if is_hopeless or known >= sample.size / 2:
            return self._decide(share, known, calls, now_s)
        return "none"

    def _decide(self, share: float, known: int, calls: int, now_s: float) -> Remedy:
        if self._before is None:
            usual, self._usual = self._usual, self._usual + _LEARN * (share - self._usual)
            if share < self._trouble(known):
                learned = self._tolerated + _LEARN * (share - self._tolerated)
                self._tolerated = min(self._most_tolerated, learned)
                return "none"
            self._before, self._cuts = max((usual + share) / 2, _SELECTED * share, self._tolerated), 0
        elif share <= self._relieved(self._before):
            self._before, self._usual = None, share
            self._tolerated = min(self._tolerated, share)
            return "settle"
        elif calls <= 1 or self._cuts == len(_CUTS) or (self._cuts == len(_CUTS) - 1 and share < _OFTEN):
            self._tolerated = self._most_tolerated = self._usual = max(self._before, self._tolerated)
            self._tolerated_until_s = now_s + _TOLERATED_S
            self._before = None
            return "restore"
        self._before = max(self._before, _SELECTED * share)
        self._cuts += 1
        return "cut"

    def _relieved(self, before: float) -> float:
        return self._tolerated + _RELIEF * (before - self._tolerated)

    def _trouble(self, known: int) -> float:
        spread = math.sqrt(self._tolerated * (1 - self._tolerated) / known)
        return self._tolerated + max(_TROUBLE * (1 - self._tolerated), _CERTAIN * spread)

    def _look_again(self, sent: int, calls: int) -> None:
        self._sample = _Sample(sent + 1, max(_FEWEST, min(calls, _MOST)))
