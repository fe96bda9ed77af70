"""The rate of a provider that tells its limit only by refusing calls.

Between two moments at which a bucket was empty, as many calls were accepted as have flowed into it. So the
second refusal already tells the rate, however large the bucket is. From there on the pace stays just below,
what is not used is saved in the bucket, and it creeps up until a refusal measures anew.

A limit cannot refuse while the pace is below what was measured of it. Where that happens again and again,
refusals are noise: the pace from before is restored, and so many of them are taken for noise from then on.
"""

from __future__ import annotations

import math
from collections import deque

_FIRST_GUESS, _LOWEST_GUESS_PER_S = 0.5, 5.0
"""Of the rate up to the first refusal, which has emptied a bucket of unknown size; but not so low that it
takes minutes to learn what was meant: one of the very first calls may be refused for another user."""
_FEWEST_ACCEPTED, _FEW_REFUSED = 10, 2
"""Fewer calls between two refusals measure nothing, unless many are refused."""
_SEARCH_STEP, _SEARCH_S = 1.5, 4.0
"""While the guess may be far too low."""
_CREEP_STEP, _CREEP_S = 0.01, 8.0
_IMPATIENT_S = 60.0
"""After so long without refusal, steps grow: the limit may have been raised."""
_JUST_BELOW = 0.98
_MEASURED_S = 5.0
"""A shorter time between refusals is too coarse to be measured by itself; it is joined to the next."""
_DEEPEST_CUT = 0.5
_MOST_UNBOUND, _UNMEASURED_CUT = 0.3, 0.9
"""Where calls were not held for more than this share of the time, a bucket may have overflowed, and what was
accepted says little: then the pace is cut by a tenth only."""
_LOWEST_PER_S = 0.05
_SURPRISES_AT_FIRST, _SURPRISES = 2, 3
"""Refusals below the measured rate until they are noise. One or two come when a limit is lowered, but none
right after the first refusal."""
_SETTLED_S = 30.0
"""A pace that was not refused for so long was sustained: it is what is restored. If a higher one was
sustained before, it is soon tried again."""
_MOST_NOISE = 0.3
"""Share of calls. A provider that refuses more of them means it."""
_LATELY = 400
_CERTAIN = 3.0
"""Standard deviations by which refusals must exceed the noise to be a limit."""
_ERROR_OF_NOISE, _LEARN_NOISE = 1.5, 0.002
"""The share of noise is known from few calls at first, then learned slowly, up to so many times the first.
As it may be so much higher, and refusals come sooner than answers, so many times as many are expected."""


class HiddenRate:
    """Calls a second that a silent provider seems to allow; `per_s` is None before its first refusal."""

    def __init__(self) -> None:
        self.per_s: float | None = None
        self._searching = False
        self._measured: float | None = None
        self._since_s: float | None = None
        self._since_call = 0
        self._refused = 0
        self._at_s = 0.0
        self._unbound_s = 0.0
        self._last_refusal_s = -math.inf
        self._stepped_s = 0.0
        self._before: float | None = None
        self._run_length = self._surprises = self._run_refused = self._run_answered = 0
        self._noise = self._most_noise = 0.0
        self._lately: deque[bool] = deque(maxlen=_LATELY)

    @property
    def is_doubted(self) -> bool:
        """Whether the last refusal is one of several that may turn out to be noise, and not the first."""
        return self._run_length > 1

    def sent(self, now_s: float) -> None:
        """A call is sent: the first one starts the clock."""
        if self._since_s is None:
            self._since_s = now_s

    def pass_time(self, now_s: float, *, is_bound: bool) -> None:
        """Until now, as many calls were sent as could be (`is_bound`), or there was another reason."""
        if not is_bound:
            self._unbound_s += now_s - self._at_s
        self._at_s = now_s

    def unsent(self, call: int) -> None:
        """The call of this number (they count up) was not sent after all."""
        if call > self._since_call:
            self._refused += 1

    def refused(self, call: int) -> None:
        """The call of this number was not accepted."""
        self.unsent(call)
        self._run_refused += 1
        self._learn(refused=True)

    def throttled(self, calls: int, now_s: float) -> bool:
        """The first refusal of several that came together; `calls` were sent so far in all.

        Returns whether it speaks of a limit. If not, the pace is (again) as if there had been no refusal.
        """
        if self._is_noise():
            return False
        if self.per_s is None or now_s - self._last_refusal_s >= _SETTLED_S:
            self._begin_run()
        elif self._measured is not None:
            if self.per_s > self._measured:
                self._begin_run()
            else:
                self._surprises += 1
        self._run_length += 1
        share = self._run_refused / max(1, self._run_refused + self._run_answered)
        surprises = _SURPRISES_AT_FIRST if self._before is None else _SURPRISES
        if self._surprises >= surprises and share <= _MOST_NOISE:
            self._tolerate(share, calls, now_s)
            return False
        self._measure(calls, share, now_s)
        self._last_refusal_s = self._stepped_s = now_s
        self._lately.clear()
        return True

    def answered(self, now_s: float, *, is_binding: bool) -> None:
        """A call was accepted. Creep up where the pace `is_binding`, that is, calls wait for it."""
        self._run_answered += 1
        self._learn(refused=False)
        is_fast = self._searching or self._is_below_sustained(now_s)
        if self.per_s is None or now_s - self._stepped_s < (_SEARCH_S if is_fast else _CREEP_S):
            return
        self._stepped_s = now_s
        if not is_binding:
            return
        if is_fast:
            self.per_s *= _SEARCH_STEP
        else:
            patience = max(1.0, (now_s - self._last_refusal_s) / _IMPATIENT_S)
            self.per_s *= 1 + _CREEP_STEP * patience

    def _is_below_sustained(self, now_s: float) -> bool:
        """Whether the pace was higher before the last cuts, or had no limit, and is not refused now."""
        if self.per_s is None or now_s - self._last_refusal_s < _SETTLED_S:
            return False
        return self._before is None or self.per_s * _SEARCH_STEP < self._before

    def _measure(self, calls: int, share_refused: float, now_s: float) -> None:
        passed_s = max(now_s - (now_s if self._since_s is None else self._since_s), 0.5)
        accepted = max(calls - self._since_call - self._refused, 0)
        measured = accepted / passed_s
        if self.per_s is None:
            rate = max(_LOWEST_GUESS_PER_S, _FIRST_GUESS * measured)
            self._searching, self._measured = True, None
            self._start_measuring(calls, now_s)
        elif accepted >= _FEWEST_ACCEPTED or (
            self._run_refused > _FEW_REFUSED and share_refused > _MOST_NOISE
        ):
            lowest = _UNMEASURED_CUT if self._unbound_s > _MOST_UNBOUND * passed_s else _DEEPEST_CUT
            rate = max(lowest * self.per_s, min(self.per_s, _JUST_BELOW * measured))
            self._searching, self._measured = False, measured if rate <= measured else None
            if passed_s >= _MEASURED_S:
                self._start_measuring(calls, now_s)
        else:
            return
        self.per_s = max(_LOWEST_PER_S, rate)

    def _start_measuring(self, calls: int, now_s: float) -> None:
        self._since_s, self._since_call, self._refused, self._unbound_s = now_s, calls, 0, 0.0

    def _begin_run(self) -> None:
        self._before = self.per_s
        self._run_length = self._surprises = self._run_refused = self._run_answered = 0

    def _tolerate(self, share: float, calls: int, now_s: float) -> None:
        self.per_s, self._measured, self._searching = self._before, None, True
        self._noise, self._most_noise = share, min(_MOST_NOISE, _ERROR_OF_NOISE * share)
        self._run_length = self._surprises = self._run_refused = self._run_answered = 0
        self._lately.clear()
        self._start_measuring(calls, now_s)

    def _is_noise(self) -> bool:
        expected = _ERROR_OF_NOISE * len(self._lately) * self._noise
        spread = math.sqrt(expected)
        return self._noise > 0 and sum(self._lately) <= 1 + expected + _CERTAIN * spread

    def _learn(self, *, refused: bool) -> None:
        self._lately.append(refused)
        if self._noise:
            learned = self._noise + _LEARN_NOISE * (refused - self._noise)
            self._noise = min(self._most_noise, learned)
