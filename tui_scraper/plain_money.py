"""What the commands about money print, as lines and as records."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tui_scraper import formatting
from tui_scraper.engine.estimating import Asked, Report
from tui_scraper.engine.llm.estimate import Range
from tui_scraper.engine.piloting import Pilot
from tui_scraper.engine.runlog import rfc3339
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.ledger import Answers, Audit

_NANO = 1_000_000_000


def audit_record(found: Audit) -> dict[str, object]:
    """`audit --json`."""
    spent = found.spending
    return {
        "proven": found.proven,
        "calls": spent.calls,
        "canaries": found.canaries,
        "audits": found.audits,
        "documents_asked": found.labels.asked,
        "labels_saved": found.labels.saved,
        "unusable": found.labels.unusable,
        "repeated": found.labels.repeated,
        "explained": found.labels.explained,
        "vectors": {
            "passages_asked": found.vectors.asked,
            "saved": found.vectors.saved,
            "unusable": found.vectors.unusable,
            "repeated": found.vectors.repeated,
            "explained": found.vectors.explained,
        },
        "tokens": {"in": spent.tokens_in, "cached": spent.tokens_cached, "out": spent.tokens_out},
        "cost_usd": spent.cost_nano_usd / _NANO,
        "stand_ins": found.stand_ins,
        "without_vectors": found.without_vectors,
        "unanswered_usd": spent.open_nano_usd / _NANO,
        "unanswered": [
            {
                "call": call.call,
                "kind": call.kind,
                "time": rfc3339(call.time),
                "reason": safe_text(call.reason),
                "state": call.state,
                "documents": call.keys,
                "repeated": call.repeated,
                "at_most_usd": call.most_nano_usd / _NANO,
            }
            for call in found.unanswered
        ],
    }


def audit_lines(found: Audit) -> Iterator[str]:
    """`audit`."""
    spent = found.spending
    yield (
        f"paid        {formatting.usd(spent.cost_nano_usd)} for {spent.calls:,} answered calls: "
        f"{spent.tokens_in:,} tokens in ({spent.tokens_cached:,} cached), {spent.tokens_out:,} out"
    )
    if found.labels.asked or not found.vectors.asked:
        yield f"documents   {_answers(found.labels, 'labels')}"
    if found.vectors.asked:
        yield f"passages    {_answers(found.vectors, 'vectors')}"
    calls = "1 call" if found.canaries == 1 else f"{found.canaries:,} calls"
    yield f"besides     {calls} to see whether it works, {found.audits:,} to check packs"
    if found.unanswered:
        yield (
            f"unanswered  {len(found.unanswered):,} calls, which may have cost up to "
            f"{formatting.usd(spent.open_nano_usd)}:"
        )
        for call in found.unanswered:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(call.time))
            again = f", {call.repeated:,} asked about again since" if call.repeated else ""
            reason = "in flight" if call.state == "sent" else safe_text(call.reason)
            what = "passages" if call.kind == "embed" else "documents"
            yield f"  call {call.call}  {when}  {call.kind}, {call.keys:,} {what}{again}: {reason}"
    lacking = [
        f"{formatting.documents(count)} {what}"
        for count, what in (
            (found.stand_ins, "labelled on this machine in place of the model"),
            (found.without_vectors, "without all vectors"),
        )
        if count
    ]
    if lacking:
        yield f"lacking     {', '.join(lacking)}; `tui-scraper retry --method openai` asks the model again"
    if found.proven:
        yield "Every payment is accounted for: paid = saved once + what is listed here."
    else:
        unexplained = sum(one.repeated - one.explained for one in (found.labels, found.vectors))
        yield (
            f"✗ {unexplained:,} answers were paid for twice without an unanswered call before."
            if unexplained
            else "✗ The sums are not those of the calls; `tui-scraper verify --repair` adds them up anew."
        )


def _answers(found: Answers, what: str) -> str:
    return (
        f"{found.asked:,} asked about = {found.saved:,} {what} saved + {found.unusable:,} "
        f"without a usable answer + {found.repeated:,} answered twice"
    )


def estimate_record(report: Report) -> dict[str, object]:
    """`estimate --json`."""
    labels, vectors, calls = report.labels, report.vectors, report.calls
    found = labels.estimate if labels is not None else None
    return {
        "source": report.source,
        "files": report.sampled.files,
        "looked_at": report.sampled.looked_at,
        "without_text": report.sampled.unread,
        "labelled": found.have if found is not None else None,
        "documents": _range(found.documents) if found is not None else None,
        "requests": _range(found.requests) if found is not None else None,
        "tokens_in": _range(found.tokens_in) if found is not None else None,
        "tokens_out": _range(found.tokens_out) if found is not None else None,
        "cost_usd": _range(report.cost_nano_usd.of(1 / _NANO), digits=6),
        "calls_s": _range(calls[0]) if calls is not None else None,
        "reading_s": round(report.sampled.seconds / report.workers, 1),
        "bottleneck": calls[1] if calls is not None else None,
        "model": safe_text(labels.model) if labels is not None else None,
        "endpoint": labels.endpoint if labels is not None else None,
        "vectors": _vectors_record(vectors) if vectors is not None else None,
    }


def _vectors_record(asked: Asked) -> dict[str, object]:
    found = asked.estimate
    return {
        "have": found.have,
        "passages": _range(found.documents),
        "requests": _range(found.requests),
        "tokens_in": _range(found.tokens_in),
        "cost_usd": _range(found.cost_nano_usd.of(1 / _NANO), digits=6),
        "model": safe_text(asked.model),
        "endpoint": asked.endpoint,
    }


def _range(found: Range, digits: int = 0) -> dict[str, float]:
    figures = {"low": found.low, "expected": found.expected, "high": found.high}
    return {name: round(value, digits) if digits else round(value) for name, value in figures.items()}


def estimate_lines(report: Report, budget_usd: float) -> Iterator[str]:
    """`estimate`."""
    sampled, cost = report.sampled, report.cost_nano_usd
    yield (
        f"files      {sampled.files:,} ({formatting.size(sampled.size_bytes)}); {sampled.looked_at:,} looked "
        f"at, {sampled.unread:,} of them without text"
    )
    if report.labels is not None:
        yield from _asked_lines(report.labels, "documents", "to label", "their label")
    if report.vectors is not None:
        yield from _asked_lines(report.vectors, "passages ", "to get a vector", "theirs")
    if report.labels is not None and report.vectors is not None:
        yield f"together   {_dollars(cost)}"
    reading = formatting.duration(sampled.seconds / report.workers)
    if report.calls is None:
        yield f"time       {reading} to read them; what the endpoint allows is known after a first run"
    else:
        calls, bottleneck = report.calls
        whole = formatting.duration(max(calls.expected, sampled.seconds / report.workers))
        between = f"{formatting.duration(calls.low)} – {formatting.duration(calls.high)}"
        yield f"time       {whole} ({between}), bound by {bottleneck}; {reading} of it to read them"
    if cost.expected > budget_usd * _NANO:
        yield f"This is more than the budget of ${budget_usd:.2f}: the run would pause. See --budget."


def _asked_lines(asked: Asked, what: str, aim: str, theirs: str) -> Iterator[str]:
    found = asked.estimate
    have = f" beside {found.have:,} that have {theirs}" if found.have else ""
    out = f", {_low_high(found.tokens_out)} out" if found.tokens_out.high else ""
    yield f"{what}  {_low_high(found.documents)} {aim}{have}"
    yield f"requests   {_low_high(found.requests)} to {safe_text(asked.model)} at {asked.endpoint}"
    yield f"tokens     {_low_high(found.tokens_in)} in{out}"
    yield f"cost       {_dollars(found.cost_nano_usd)}, at {asked.price}"


def _dollars(found: Range) -> str:
    return formatting.usd_range(found.low, found.expected, found.high)


def _low_high(found: Range) -> str:
    if round(found.low) == round(found.high):
        return f"{round(found.expected):,}"
    return f"{round(found.expected):,} ({round(found.low):,} – {round(found.high):,})"


def pilot_record(pilot: Pilot) -> dict[str, object]:
    """`estimate --pilot --json`, after the events of the run."""
    return {
        "event": "pilot",
        "files": pilot.files,
        "looked_at": pilot.looked_at,
        "labelled": pilot.labelled,
        "embedded": pilot.embedded,
        "spent_usd": pilot.cost_nano_usd / _NANO,
        "cost_usd": {"p50": round(pilot.cost.p50) / _NANO, "p90": round(pilot.cost.p90) / _NANO},
        "tokens": {"p50": round(pilot.tokens.p50), "p90": round(pilot.tokens.p90)},
    }


def pilot_lines(pilot: Pilot, budget_usd: float) -> Iterator[str]:
    """`estimate --pilot`."""
    embedded = f", {pilot.embedded:,} with vectors" if pilot.embedded else ""
    yield ""
    yield (
        f"pilot      {pilot.looked_at:,} of {pilot.files:,} files, {pilot.labelled:,} documents labelled by "
        f"the model{embedded}; {formatting.usd(pilot.cost_nano_usd)} spent by this workspace so far. "
        "All of it is kept."
    )
    p50, p90 = formatting.usd(round(pilot.cost.p50)), formatting.usd(round(pilot.cost.p90))
    yield (
        f"all files  {p50} (P50), {p90} (P90); "
        f"{round(pilot.tokens.p50):,} tokens (P50), {round(pilot.tokens.p90):,} (P90)"
    )
    if pilot.cost.p50 > budget_usd * _NANO:
        yield f"This is more than the budget of ${budget_usd:.2f}: the run would pause. See --budget."
