"""How a run stands, as a line for a person and as values for a program: `run`, and whoever watches one."""

from __future__ import annotations

from typing import NamedTuple

from tui_scraper import formatting
from tui_scraper.engine import PhaseName, RunSnapshot, RunState, Spend
from tui_scraper.engine.limits import BUDGET, CONCURRENCY, NO_MODEL, WORKERS
from tui_scraper.engine.safe_text import safe_text


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
        "notice": safe_text(snapshot.notice),
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


class LimitRow(NamedTuple):
    """A limit of a run that can be changed now: its key, its name, what it is, and what is used of it.

    `typed` is the value as a person would type it; `why_not` says why it cannot be changed, '' where it can.
    """

    key: str
    name: str
    value: str
    used: str
    typed: str
    why_not: str = ""


def limit_rows(snapshot: RunSnapshot) -> list[LimitRow]:
    """The limits of a run; none before there is an engine."""
    limits, spend = snapshot.limits, snapshot.spend
    if limits is None:
        return []
    why_not = "" if limits.asks else NO_MODEL
    used = f"{formatting.usd(snapshot.cost_nano_usd)} spent"
    if spend is not None and spend.open_nano_usd:
        used += f", {formatting.usd(spend.open_nano_usd)} reserved"
    calls = f"{spend.in_flight} in flight, at most {spend.concurrency} now" if spend is not None else ""
    workers = f"{snapshot.workers} now" if snapshot.workers else ""
    whole = f"{limits.budget_usd:.2f}"  # a limit is shown as it is, not rounded
    budget = f"${limits.budget_usd:,.2f}" if float(whole) == limits.budget_usd else f"${limits.budget_usd:,}"
    concurrency = str(limits.concurrency or "auto")
    return [
        LimitRow(BUDGET, "budget", budget, used, f"{limits.budget_usd:.10g}", why_not),
        LimitRow(WORKERS, "workers", str(limits.workers or "one a core"), workers, str(limits.workers)),
        LimitRow(CONCURRENCY, "concurrency", concurrency, calls, concurrency, why_not),
    ]


def limit_lines(snapshot: RunSnapshot) -> list[str]:
    """The limits of a run for a person, a line each."""
    return [
        f"{row.name:<12} {row.value:<10}  {row.why_not or row.used}".rstrip() for row in limit_rows(snapshot)
    ]


def limits_in_force(snapshot: RunSnapshot) -> dict[str, object]:
    """The limits of a run and what is used of them, as JSON values."""
    limits, spend = snapshot.limits, snapshot.spend
    if limits is None:
        return {}
    return {
        "budget_usd": limits.budget_usd,
        "cost_usd": snapshot.cost_nano_usd / 1e9,
        "unanswered_usd": spend.open_nano_usd / 1e9 if spend is not None else 0.0,
        "workers": limits.workers,
        "workers_now": snapshot.workers,
        "concurrency": limits.concurrency or "auto",
        "concurrency_now": spend.concurrency if spend is not None else None,
        "in_flight": spend.in_flight if spend is not None else 0,
        "asks_model": limits.asks,
    }
