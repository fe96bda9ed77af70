"""How fast a run goes and what it costs as it goes, kept by the screen from the snapshots it is given.

Nothing in here is guessed: a bar of the sparkline is what came through in five seconds, and cost is reckoned
from the documents that were paid for since the run began. It is bounded, and begins anew with each run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tui_scraper.engine.models import PhaseName, PhaseProgress, RunSnapshot, RunState

STEP_S = 5.0
STEPS = 24
_BARS = "▁▂▃▄▅▆▇█"
_LEAST_PAID = 3
"""Documents from which on their mean cost says something."""
_GOING = {RunState.SCANNING, RunState.RUNNING, RunState.PAUSED, RunState.STOPPING}


@dataclass(frozen=True, slots=True)
class _Paid:
    """What was paid for up to a moment: documents, money, tokens."""

    documents: int
    nano_usd: int
    tokens: int


class Pace:
    """The last two minutes of a run, and what its documents cost."""

    def __init__(self) -> None:
        self._begin(0.0)

    def _begin(self, run: float) -> None:
        self._run = run
        self._at: tuple[int, int] | None = None
        self._elapsed_s = 0.0
        self._rates: deque[float] = deque(maxlen=STEPS)
        self._through = 0
        self._first: _Paid | None = None
        self._last: _Paid | None = None
        self._left = 0
        self._taken_over = 0

    def note(self, snapshot: RunSnapshot) -> None:
        """Take a snapshot in."""
        if snapshot.started != self._run or snapshot.elapsed_s < self._elapsed_s:
            self._begin(snapshot.started)
        self._elapsed_s = snapshot.elapsed_s
        if snapshot.state in _GOING and snapshot.started:
            self._note_rate(snapshot)
        if snapshot.spend is not None:
            self._note_spend(snapshot)

    def _note_rate(self, snapshot: RunSnapshot) -> None:
        step, through = int(snapshot.elapsed_s / STEP_S), snapshot.counts.found - snapshot.counts.pending
        if self._at is None:
            self._at = step, through
        began, before = self._at
        if step > began:
            rate = max(0, self._through - before) / STEP_S / (step - began)
            self._rates.extend([rate] * min(step - began, STEPS))
            self._at = step, self._through
        self._through = through

    def _note_spend(self, snapshot: RunSnapshot) -> None:
        spend = snapshot.spend
        assert spend is not None
        labels = _phase(snapshot, PhaseName.CLASSIFY)
        done = labels.done - spend.taken_over - spend.stand_ins
        self._last = _Paid(done, spend.spent_nano_usd, spend.tokens_in + spend.tokens_out)
        self._first = self._first or self._last
        self._left = max(0, labels.total - labels.done - labels.failed - labels.skipped - labels.empty)
        self._taken_over = spend.taken_over

    @property
    def peak(self) -> float | None:
        """Most documents a second of the steps that are kept; None before the first."""
        return max(self._rates, default=None)

    def sparkline(self, cells: int) -> str:
        """The newest steps as bars, `cells` wide: blank where the run had not begun."""
        rates = list(self._rates)[-cells:]
        most = max(rates, default=0.0)
        bars = [_BARS[round(rate / most * (len(_BARS) - 1)) if most else 0] for rate in rates]
        return "".join(bars).rjust(cells)

    @property
    def each_nano_usd(self) -> float | None:
        """What a document that was paid for has cost in this run; None while too few were."""
        return self._each(lambda paid: paid.nano_usd)

    @property
    def each_tokens(self) -> float | None:
        """Tokens in and out of a document that was paid for in this run."""
        return self._each(lambda paid: paid.tokens)

    @property
    def projected_nano_usd(self) -> float | None:
        """What will have been spent in the end, if all that are left cost as much as those so far."""
        each = self.each_nano_usd
        return None if each is None or self._last is None else self._last.nano_usd + each * self._left

    @property
    def saved_nano_usd(self) -> float | None:
        """What the documents whose label was there already would have cost."""
        each = self.each_nano_usd
        return None if each is None else each * self._taken_over

    def _each(self, of: Callable[[_Paid], int]) -> float | None:
        if self._first is None or self._last is None:
            return None
        documents = self._last.documents - self._first.documents
        return (of(self._last) - of(self._first)) / documents if documents >= _LEAST_PAID else None


def _phase(snapshot: RunSnapshot, name: PhaseName) -> PhaseProgress:
    return next((phase for phase in snapshot.phases if phase.name is name), PhaseProgress(name))


def rate_through(snapshot: RunSnapshot) -> float | None:
    """Documents that come through a second, as the last phase that each goes through tells."""
    last = snapshot.through if snapshot.through is not PhaseName.OUTPUT else PhaseName.INDEX
    return _phase(snapshot, last).rate
