"""From counters to what a person wants to know: how far, how fast, how long still.

Counts come from the store's live counters, never from a second tally, so a resumed run continues
where it was and the screen cannot disagree with the data. Remaining time is by bytes, because a
hundred thousand small files and a thousand PDFs take their time by size, not by number; and it is
a range, because the rate of the last seconds varies and pretending otherwise helps nobody.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import apsw

from tui_scraper.engine.models import PHASES, PhaseName, PhaseProgress, RunSnapshot, RunState, Spend, Status
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.runlog import RunLog
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.connection import snapshot
from tui_scraper.engine.store.counters import PhaseCount, Totals, counts_of, read_totals
from tui_scraper.engine.store.head import DOCUMENT_PHASES, read_head
from tui_scraper.engine.store.ledger import read_spending

_WINDOW_S = 10.0
_STEP_S = 1.0
_FIRST_ETA_S = 2.0
_SPREAD = 1.28
"""Standard deviations on either side of the mean that hold 80% of a normal distribution."""
_OUTPUT_S_PER_DOCUMENT = 0.0002
"""First guess at the export's speed, replaced by its own rate once it runs (benchmarks/pipeline)."""


@dataclass
class Activity:
    """What the engine is doing, beyond the counters. Written by the engine's thread only."""

    state: RunState = RunState.IDLE
    started: float = 0.0
    began: float = 0.0
    last_commit: float = 0.0
    checkpoint: int = 0
    memory_bytes: int = 0
    memory_full: bool = False
    workers: int = 0
    sandbox: str = ""
    method: str = ""
    export_dir: str = ""
    output_done: int = 0
    output_total: int = 0
    scanning: bool = False
    cpu_ns: dict[PhaseName, int] = field(default_factory=dict)
    documents: int = 0
    spend: Spend | None = None


@dataclass(frozen=True)
class _Sample:
    at: float
    documents: dict[PhaseName, int]
    bytes: dict[PhaseName, int]


class Progress:
    """Makes snapshots of one run. Holds a read-only connection to the store."""

    def __init__(self, state: apsw.Connection, request: RunRequest, workspace: str, log: RunLog) -> None:
        self._state = state
        self._request = request
        self._workspace = workspace
        self._log = log
        self._samples: deque[_Sample] = deque()

    def take(self, activity: Activity) -> RunSnapshot:
        """Look at the counters now."""
        with snapshot(self._state, self._request.source):
            head = read_head(self._state)
            totals = read_totals(self._state, head)
            ignored = self._state.execute(
                "SELECT coalesce(sum(j.value), 0) FROM scan, json_each(scan.ignored) j WHERE scan.id = ?",
                (head.scan,),
            ).get
            paid = read_spending(self._state)
        now = time.monotonic()
        self._remember(now, totals, activity)
        phases = tuple(self._phase(name, totals, activity) for name in PHASES)
        counts = counts_of(totals)
        working = activity.state in {RunState.SCANNING, RunState.RUNNING, RunState.STOPPING}
        eta, low, high, bottleneck = self._whole(phases) if working else (None, None, None, "")
        return RunSnapshot(
            state=activity.state,
            source=safe_text(str(self._request.source)),
            workspace=self._workspace,
            started=activity.started,
            elapsed_s=now - activity.began if activity.began else 0.0,
            idle_s=now - activity.last_commit if working and activity.last_commit else 0.0,
            phases=phases,
            counts=counts,
            ignored=int(ignored),
            through=self._request.through,
            tokens_counted=totals[PhaseName.CHUNK].get(Status.DONE, PhaseCount()).tokens,
            tokens_in=paid.tokens_in,
            tokens_out=paid.tokens_out,
            cost_nano_usd=paid.cost_nano_usd,
            method=activity.method,
            checkpoint=activity.checkpoint or head.checkpoint,
            memory_bytes=activity.memory_bytes,
            memory_full=activity.memory_full,
            workers=activity.workers,
            sandbox=activity.sandbox,
            bottleneck=bottleneck,
            eta_s=eta,
            eta_low_s=low,
            eta_high_s=high,
            log=self._log.lines,
            export_dir=activity.export_dir,
            spend=activity.spend,
            notice=activity.spend.notice if activity.spend is not None and working else "",
        )

    def _remember(self, now: float, totals: Totals, activity: Activity) -> None:
        ended = {name: _ended(totals, name) for name in DOCUMENT_PHASES}
        documents = {name: count.n for name, count in ended.items()}
        size_bytes = {name: count.size_bytes for name, count in ended.items()}
        documents[PhaseName.OUTPUT] = size_bytes[PhaseName.OUTPUT] = activity.output_done
        self._samples.append(_Sample(now, documents, size_bytes))
        while self._samples[0].at < now - _WINDOW_S - _STEP_S:
            self._samples.popleft()

    def _phase(self, name: PhaseName, totals: Totals, activity: Activity) -> PhaseProgress:
        by_status = {} if name is PhaseName.OUTPUT else totals[name]
        total, total_bytes = self._total(name, totals, activity)
        done = (
            activity.output_done if name is PhaseName.OUTPUT else by_status.get(Status.DONE, PhaseCount()).n
        )
        ended = activity.output_done if name is PhaseName.OUTPUT else _ended(totals, name).size_bytes
        wanted = PHASES.index(name) <= PHASES.index(self._request.through)
        rate, eta, low, high = None, None, None, None
        working = activity.state in {RunState.SCANNING, RunState.RUNNING}
        if wanted and working:
            rate, eta, low, high = self._rates(name, total_bytes - ended)
        if not ended:
            rate = None  # it has not begun
        active = working and wanted and bool(rate)
        if name is PhaseName.INPUT:
            active, eta, low, high = activity.scanning, None, None, None
        cpu = activity.cpu_ns.get(name)
        return PhaseProgress(
            name=name,
            done=done,
            total=total,
            failed=by_status.get(Status.FAILED, PhaseCount()).n,
            skipped=by_status.get(Status.SKIPPED, PhaseCount()).n,
            empty=by_status.get(Status.EMPTY, PhaseCount()).n,
            rate=rate,
            eta_s=eta,
            eta_low_s=low,
            eta_high_s=high,
            active=active,
            cpu_ms_per_doc=cpu / activity.documents / 1e6 if cpu and activity.documents else None,
        )

    def _total(self, name: PhaseName, totals: Totals, activity: Activity) -> tuple[int, int]:
        """Documents and bytes that will reach a phase: those found, less those that ended before it."""
        found = totals[PhaseName.INPUT].values()
        n, size_bytes = sum(count.n for count in found), sum(count.size_bytes for count in found)
        if name is PhaseName.OUTPUT:
            total = activity.output_total or n
            return total, total
        if self._request.sample is not None and name is not PhaseName.INPUT:
            n, size_bytes = _of_sample(self._request.sample, totals, n, size_bytes)
        for before in DOCUMENT_PHASES[: DOCUMENT_PHASES.index(name)]:
            for status in (Status.FAILED, Status.SKIPPED, Status.EMPTY):
                count = totals[before].get(status, PhaseCount())
                n -= count.n
                size_bytes -= count.size_bytes
        return n, size_bytes

    def _rates(
        self, name: PhaseName, remaining_bytes: int
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """Documents a second over the window, and the remaining seconds with their range."""
        samples = self._since_start(name)
        first, last = samples[0], samples[-1]
        span = last.at - first.at
        if span <= 0:
            return None, None, None, None
        rate = (last.documents[name] - first.documents[name]) / span
        if remaining_bytes <= 0 or span < _FIRST_ETA_S:
            return rate, None, None, None
        steps = _steps(name, samples)
        mean = (last.bytes[name] - first.bytes[name]) / span
        if mean <= 0:
            return rate, None, None, None
        deviation = math.sqrt(sum((step - mean) ** 2 for step in steps) / len(steps)) if steps else mean / 2
        error = _SPREAD * deviation / math.sqrt(max(len(steps), 1))
        eta = remaining_bytes / mean
        low = remaining_bytes / (mean + error)
        high = remaining_bytes / max(mean - error, mean / 5)
        return rate, eta, low, high

    def _since_start(self, name: PhaseName) -> list[_Sample]:
        """The samples of the window in which the phase goes forward.

        The time before it had begun to move is left out, and all before its counter last fell: documents that
        changed or went away are no work undone.
        """
        samples = list(self._samples)
        falls = [at for at in range(1, len(samples)) if _fell(name, samples[at - 1], samples[at])]
        samples = samples[falls[-1] if falls else 0 :]
        start = next(
            (at for at, sample in enumerate(samples) if sample.documents[name] != samples[0].documents[name]),
            0,
        )
        return samples[max(start - 1, 0) :]

    def _whole(
        self, phases: tuple[PhaseProgress, ...]
    ) -> tuple[float | None, float | None, float | None, str]:
        """The run ends when its slowest phase does; the export comes after all of them."""
        known = [phase for phase in phases[:-1] if phase.eta_s is not None]
        output = phases[-1]
        after = (output.total - output.done) * _OUTPUT_S_PER_DOCUMENT
        if self._request.through is not PhaseName.OUTPUT:
            after = 0.0
        if not known:
            return output.eta_s, output.eta_low_s, output.eta_high_s, ""
        slowest = max(known, key=lambda phase: phase.eta_s or 0.0)
        return (
            (slowest.eta_s or 0.0) + after,
            (slowest.eta_low_s or 0.0) + after,
            (slowest.eta_high_s or 0.0) + after,
            str(slowest.name),
        )


def _of_sample(sample: int, totals: Totals, n: int, size_bytes: int) -> tuple[int, int]:
    """Documents and bytes that a run over a sample deals with, and those that earlier runs have dealt with.

    What is inside the documents of the sample belongs to it.
    """
    ended = _ended(totals, PhaseName.CLEAN)
    wanted = max(ended.n, min(n, sample + counts_of(totals).inside))
    left = (size_bytes - ended.size_bytes) * (wanted - ended.n) // max(1, n - ended.n)
    return wanted, ended.size_bytes + left


def _fell(name: PhaseName, before: _Sample, after: _Sample) -> bool:
    return after.documents[name] < before.documents[name] or after.bytes[name] < before.bytes[name]


def _steps(name: PhaseName, samples: Sequence[_Sample]) -> list[float]:
    """Bytes a second of each whole second in the window."""
    rates, start = [], samples[0]
    for sample in samples:
        if sample.at - start.at >= _STEP_S:
            rates.append((sample.bytes[name] - start.bytes[name]) / (sample.at - start.at))
            start = sample
    return rates


def _ended(totals: Totals, name: PhaseName) -> PhaseCount:
    """Documents that a phase has dealt with, well or not."""
    counts = totals[name].values()
    return PhaseCount(sum(count.n for count in counts), sum(count.size_bytes for count in counts))
