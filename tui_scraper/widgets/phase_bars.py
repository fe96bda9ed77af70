"""The six phases with their bars: what is done, how fast, how long still, and what went wrong.

Columns have one width for all phases, taken from the widest number, so nothing jumps when a digit
is added; the bar gets what is left.
"""

from __future__ import annotations

from collections.abc import Callable

from tui_scraper.engine.models import PhaseName, PhaseProgress, RunSnapshot, RunState, Status
from tui_scraper.formatting import (
    STATUS_SIGNS,
    Line,
    Role,
    Span,
    bar,
    compact,
    duration,
    number,
    rate,
    rule,
    width_of,
)
from tui_scraper.formatting import cells as cells_of
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.pace import STEP_S, STEPS, Pace, rate_through

_MIN_BAR, _NAME, _ROOMY, _COST = 6, 8, 110, 14
_AROUND_HEADING = 13
_STILL = {RunState.PAUSED: ("‖", "warn"), RunState.STOPPED: ("■", "warn"), RunState.STOPPING: ("■", "warn")}
_TROUBLE = (Status.FAILED, Status.SKIPPED, Status.EMPTY)


def phase_sign(phase: PhaseProgress, state: RunState) -> tuple[str, Role]:
    """The sign of a phase: waiting, working, held up, or through."""
    if phase.total > 0 and phase.complete and state is not RunState.SCANNING:
        return "✓", "ok"
    if state is RunState.FAILED and phase.active:
        return "✗", "bad"
    if phase.active:
        sign, role = _STILL.get(state, ("▶", "accent"))
        return sign, "warn" if role == "warn" else "accent"
    return "·", "dim"


def phase_lines(
    snapshot: RunSnapshot, width: int, pace: Pace | None = None, *, plain_track: bool = False
) -> list[Line]:
    """The panel, heading included. `plain_track` draws the empty part of bars with dots."""
    phases = [phase for phase in snapshot.phases if _wanted(phase.name, snapshot.through)]
    counts = [(number(phase.done), number(phase.total)) for phase in phases]
    count_width = max(6, *(max(len(done), len(total)) for done, total in counts))
    rate_width = max(8, *(len(rate(phase.rate)) for phase in phases))
    fixed = 1 + 2 + _NAME + 1 + 1 + count_width * 2 + 1 + 1 + rate_width + 2 + 10 + 2 + 1
    troubles = [_trouble(phase, number) for phase in phases]
    if width - fixed - max(map(width_of, troubles)) < _MIN_BAR:
        troubles = [_trouble(phase, compact) for phase in phases]
    if width - fixed - max(map(width_of, troubles)) < _MIN_BAR:
        troubles = [() for _ in phases]  # the Documents panel has them too
    fixed += max(map(width_of, troubles))
    roomy = width >= _ROOMY and any(phase.cpu_ms_per_doc for phase in phases)
    bar_width = max(_MIN_BAR, width - fixed - (_COST if roomy else 0))
    lines = [rule("Phases", width, _heading(snapshot, pace, width))]
    for phase, (done, total), trouble in zip(phases, counts, troubles, strict=True):
        sign, role = phase_sign(phase, snapshot.state)
        ended = phase.done + phase.failed + phase.skipped + phase.empty
        filled, rest = bar(ended, phase.total, bar_width)
        speed, left = _pace(phase, snapshot.state)
        lines.append(
            (
                Span(" "),
                Span(f"{sign} ", role),
                Span(
                    f"{phase.name:<{_NAME}} ", "strong" if phase.active else ("" if role == "ok" else "dim")
                ),
                Span(filled, "bar"),
                Span("·" * len(rest) if plain_track else rest, "track"),
                Span(f" {done:>{count_width}}"),
                Span(f"/{total:<{count_width}}", "dim"),
                Span(f" {speed:>{rate_width}}"),
                Span(f"  {left:<10}", "dim"),
                Span(_cost(phase) if roomy else "", "dim"),
                Span("  "),
                *trouble,
            )
        )
    return lines


def _heading(snapshot: RunSnapshot, pace: Pace | None, width: int) -> str:
    """How fast it goes and what holds it up, as much of it as fits."""
    slowest = slowest_words(snapshot)
    now = rate_through(snapshot)
    candidates = []
    if pace is not None and pace.peak is not None and now is not None:
        for cells in (STEPS, STEPS // 2):
            peak = rate(max(pace.peak, now))
            window = f"{round(cells * STEP_S / 60)} min"
            said = f"{pace.sparkline(cells)} {rate(now):>8} · peak {peak:>8} in {window}"
            candidates += [f"{said} · {slowest}"] if slowest else [said]
    candidates.append(slowest)
    return next((text for text in candidates if cells_of(text) <= width - _AROUND_HEADING), "")


def slowest_words(snapshot: RunSnapshot) -> str:
    """The phase that the end of the run waits for, and why where that is known; '' where nothing is slow."""
    if not snapshot.bottleneck:
        return ""
    if snapshot.memory_full:
        return f"slowest: {snapshot.bottleneck} (memory limit)"
    slow = next((phase for phase in snapshot.phases if phase.name == snapshot.bottleneck), None)
    asked = snapshot.spend is not None and snapshot.bottleneck in {PhaseName.CLASSIFY, PhaseName.INDEX}
    by_cpu = slow is not None and slow.cpu_ms_per_doc is not None and not asked
    return f"slowest: {snapshot.bottleneck}{' (CPU)' if by_cpu else ''}"


def _cost(phase: PhaseProgress) -> str:
    """CPU milliseconds a document, `_COST` cells."""
    shown = "" if phase.cpu_ms_per_doc is None else f"{phase.cpu_ms_per_doc:,.1f} ms/doc"
    return f"{shown:>{_COST}}"


def _wanted(name: PhaseName, through: PhaseName) -> bool:
    order = list(PhaseName)
    return order.index(name) <= order.index(through)


def _trouble(phase: PhaseProgress, write: Callable[[int], str]) -> Line:
    spans: list[Span] = []
    for status, count in zip(_TROUBLE, (phase.failed, phase.skipped, phase.empty), strict=True):
        if count:
            sign, role = STATUS_SIGNS[status]
            spans.append(Span(f"{' ' if spans else ''}{sign} {write(count)}", role))
    return tuple(spans)


def _pace(phase: PhaseProgress, state: RunState) -> tuple[str, str]:
    if state not in {RunState.RUNNING, RunState.SCANNING} or (phase.complete and not phase.active):
        return "", ""
    left = f"eta {duration(phase.eta_s)}" if phase.eta_s is not None and not phase.complete else ""
    return rate(phase.rate), left


class PhaseBars(Lines):
    """The Phases panel."""

    def paint(self, snapshot: RunSnapshot, pace: Pace) -> None:
        """Show a snapshot."""
        self.show(phase_lines(snapshot, self.size.width, pace, plain_track=self.app.native_ansi_color))
