"""How a run stands, as a line for a person and as values for a program: `run`, and whoever watches one."""

from __future__ import annotations

from tui_scraper import formatting
from tui_scraper.engine import PhaseName, RunSnapshot, RunState, Spend


def progress_line(snapshot: RunSnapshot) -> str:
    """How a run stands, on one line."""
    parts = [formatting.clock(snapshot.elapsed_s), str(snapshot.state)]
    for phase in snapshot.phases:
        if phase.name is PhaseName.INPUT:
            parts.append(f"found {phase.total:,}")
        elif phase.total and (phase.name is not PhaseName.OUTPUT or phase.done):
            ended = phase.done + phase.failed + phase.skipped + phase.empty
            speed = formatting.rate(phase.rate) if phase.active else ""
            parts.append(f"{phase.name} {ended:,}/{phase.total:,} {speed}".rstrip())
    if snapshot.counts.failed:
        parts.append(f"failed {snapshot.counts.failed:,}")
    if snapshot.spend is not None:
        parts.append(_spent(snapshot.spend))
    eta = formatting.eta(snapshot.eta_s, snapshot.eta_low_s, snapshot.eta_high_s)
    if eta:
        parts.append(f"done in {eta}")
    if snapshot.idle_s > 10 and snapshot.state is RunState.RUNNING:
        parts.append(f"no progress for {snapshot.idle_s:.0f} s")
    return " · ".join(parts)


def _spent(spend: Spend) -> str:
    """`$0.4210 of $1.00, 24 in flight`, with what a person should know of the endpoint."""
    text = f"{formatting.usd(spend.spent_nano_usd)} of {formatting.usd(spend.budget_nano_usd)}"
    if spend.in_flight:
        text += f", {spend.in_flight} in flight"
    if spend.throttled:
        text += f", 429s {spend.throttled:,}"
    return f"{text} · {spend.notice}" if spend.notice else text


def totals(snapshot: RunSnapshot) -> dict[str, object]:
    """The figures of a run as JSON values."""
    counts = snapshot.counts
    return {
        "state": str(snapshot.state),
        "found": counts.found,
        "inside": counts.inside,
        "done": counts.done,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "empty": counts.empty,
        "pending": counts.pending,
        "ignored": snapshot.ignored,
        "tokens": {"in": snapshot.tokens_in, "out": snapshot.tokens_out},
        "cost_usd": snapshot.cost_nano_usd / 1e9,
        "eta_s": snapshot.eta_s,
        "memory_bytes": snapshot.memory_bytes,
    }


def limits(spend: Spend) -> dict[str, object]:
    """What an endpoint allows and what is used of it, as JSON values."""
    return {
        "model": spend.model,
        "budget_usd": spend.budget_nano_usd / 1e9,
        "cost_usd": spend.spent_nano_usd / 1e9,
        "unanswered_usd": spend.open_nano_usd / 1e9,
        "requests_per_min": spend.requests_per_min,
        "requests_used": spend.requests_used,
        "tokens_per_min": spend.tokens_per_min,
        "tokens_used": spend.tokens_used,
        "in_flight": spend.in_flight,
        "waiting": spend.waiting,
        "concurrency": spend.concurrency,
        "docs_per_request": spend.docs_per_request,
        "throttled": spend.throttled,
        "bottleneck": spend.bottleneck or None,
        "notice": spend.notice or None,
    }


def phases(snapshot: RunSnapshot) -> dict[str, dict[str, object]]:
    """Each phase of a run as JSON values."""
    return {
        str(phase.name): {
            "done": phase.done,
            "failed": phase.failed,
            "skipped": phase.skipped,
            "empty": phase.empty,
            "total": phase.total,
            "rate": phase.rate,
            "eta_s": phase.eta_s,
            "eta_low_s": phase.eta_low_s,
            "eta_high_s": phase.eta_high_s,
            "cpu_ms_per_doc": phase.cpu_ms_per_doc,
        }
        for phase in snapshot.phases
    }
