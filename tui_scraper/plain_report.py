"""What `report` prints: one JSON object, and lines for people. The page says the same (`report_page`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from tui_scraper import formatting
from tui_scraper.engine.report.facts import Estimated, Facts, Group, ModelUse, Spent
from tui_scraper.engine.runlog import rfc3339
from tui_scraper.plain import status_record
from tui_scraper.report_words import (
    by_status,
    copy_sentences,
    headline,
    history_sentence,
    language_sentence,
    maker_words,
    money_sentences,
    pace_sentences,
    share,
    sure_sentence,
    type_name,
    when,
)

_NANO = 1e9
_TYPES, _LABELS, _EXAMPLES = 8, 12, 1
_NAME = 40


def report_record(facts: Facts) -> dict[str, object]:
    """`report --json`. Documents by status are those of `status --json`."""
    found, labels, pace, history = facts.found, facts.labels, facts.pace, facts.history
    return {
        "made": rfc3339(facts.made),
        **status_record(facts.status),
        "size_bytes": found.size_bytes,
        "inside_bytes": found.inside_bytes,
        "media_types": [_group(group) for group in found.types],
        "languages": {
            "looked_at": found.languages.looked_at,
            "sampled": found.languages.sampled,
            "groups": [{"name": one.name, "documents": one.documents} for one in found.languages.groups],
        },
        "biggest": [asdict(one) for one in found.biggest],
        "containers": {"count": found.container_count, "largest": [_group(one) for one in found.containers]},
        "labels": {
            "documents": labels.documents,
            "groups": [{"name": one.name, "documents": one.documents} for one in labels.groups],
            "makers": [asdict(one) for one in labels.makers],
            "confidence_tenths": list(labels.confidence),
            "confidence_unsaid": labels.unsaid,
            "unsure": labels.unsure,
            "least_sure": [asdict(one) for one in labels.least_sure],
        },
        "failures": [asdict(one) for one in facts.troubles],
        "spent": _spent_record(facts.spent),
        "pace": {
            "runs": pace.run_count,
            "seconds": round(pace.seconds, 3),
            "documents": pace.documents,
            "taken_over": pace.taken_over,
            "freed_results": pace.freed,
            "per_second": pace.rate,
            "best_per_second": pace.peak,
            "stretches": [asdict(one) for one in pace.stretches],
            "phases": [
                {"phase": str(one.phase), "seconds": round(one.seconds, 3), "spans": one.spans}
                for one in pace.phases
            ],
            "last_runs": [asdict(one) | {"started": rfc3339(one.started)} for one in pace.runs],
        },
        "copies": asdict(facts.copies),
        "history": {
            **asdict(history),
            "moves": [asdict(move) | {"time": rfc3339(move.time)} for move in history.moves],
            "named": [asdict(one) | {"time": rfc3339(one.time)} for one in history.named],
        },
        "settings": list(facts.settings),
        "versions": dict(facts.versions),
    }


def _group(group: Group) -> dict[str, object]:
    return {"name": group.name or None, "documents": group.documents, "size_bytes": group.size_bytes}


def _spent_record(spent: Spent) -> dict[str, object]:
    estimate = spent.estimate
    return {
        "calls": spent.calls,
        "tokens": {"in": spent.tokens_in, "cached": spent.tokens_cached, "out": spent.tokens_out},
        "cost_usd": spent.cost_nano_usd / _NANO,
        "unanswered_usd": spent.open_nano_usd / _NANO,
        "budget_usd": None if spent.budget_nano_usd is None else spent.budget_nano_usd / _NANO,
        "models": [_model_record(one) for one in spent.models],
        "estimate": None if estimate is None else _estimate_record(estimate),
        "shared_labels": {"documents": spent.shared, "saved_usd": spent.shared_nano_usd / _NANO},
        "near_duplicates": spent.near,
        "stand_ins": spent.stand_ins,
        "without_vectors": spent.without_vectors,
    }


def _model_record(one: ModelUse) -> dict[str, object]:
    record = asdict(one)
    return record | {"cost_usd": record.pop("cost_nano_usd") / _NANO}


def _estimate_record(estimate: Estimated) -> dict[str, object]:
    return {
        "documents": list(estimate.documents),
        "cost_usd": [nano / _NANO for nano in estimate.cost_nano_usd],
        "spent_since_usd": estimate.spent_nano_usd / _NANO,
    }


def report_lines(facts: Facts) -> Iterator[str]:
    """`report`, for a person: the same facts in less room."""
    counts = facts.status.counts
    yield f"source      {facts.status.source}"
    yield f"workspace   {facts.status.workspace}"
    yield f"state       {facts.status.state}, as of {when(facts.made)}"
    yield f"            {headline(facts)}"
    yield ""
    size = formatting.size(facts.found.size_bytes)
    yield f"documents   {counts.found:>12,} found{formatting.with_inside(counts)}, {size} in files"
    yield from (
        f"            {n:>12,} {status} {share(n, counts.found)}" for status, n in by_status(counts) if n
    )
    yield from _types(facts)
    yield from _labels(facts)
    yield from _troubles(facts)
    yield ""
    yield from (
        f"{'models' if not at else '':<12}{line}" for at, line in enumerate(money_sentences(facts.spent))
    )
    yield from (f"{'pace' if not at else '':<12}{line}" for at, line in enumerate(pace_sentences(facts)))
    yield from (f"{'copies' if not at else '':<12}{line}" for at, line in enumerate(copy_sentences(facts)))
    yield f"history     {history_sentence(facts)}"
    yield "settings    " + ("as they are by default" if not facts.settings else "by default, except")
    yield from (f"            {line}" for line in facts.settings)


def _types(facts: Facts) -> Iterator[str]:
    types = facts.found.types
    for at, group in enumerate(types[:_TYPES]):
        size = formatting.size(group.size_bytes)
        yield f"{'types' if not at else '':<12}{group.documents:>12,} {type_name(group)}, {size}"
    if len(types) > _TYPES:
        rest = sum(group.documents for group in types[_TYPES:])
        yield f"{'':<12}{rest:>12,} of {len(types) - _TYPES} other types"
    languages = facts.found.languages
    if languages.groups:
        yield f"languages   {language_sentence(languages)}"


def _labels(facts: Facts) -> Iterator[str]:
    labels = facts.labels
    if not labels.documents:
        return
    yield ""
    for at, group in enumerate(labels.groups[:_LABELS]):
        name = formatting.cut(group.name, _NAME)
        part = share(group.documents, labels.documents)
        yield f"{'labels' if not at else '':<12}{group.documents:>12,} {name} {part}"
    if len(labels.groups) > _LABELS:
        rest = sum(group.documents for group in labels.groups[_LABELS:])
        yield f"{'':<12}{rest:>12,} of {len(labels.groups) - _LABELS} other labels"
    makers = ", ".join(f"{one.documents:,} {maker_words(one)}" for one in labels.makers)
    yield f"made by     {makers}"
    yield f"how sure    {sure_sentence(labels)}"


def _troubles(facts: Facts) -> Iterator[str]:
    for one in facts.troubles:
        yield ""
        yield f"{one.status:<12}{one.documents:>12,} in {one.phase} · {one.cause}"
        for example in one.examples[:_EXAMPLES]:
            yield from (
                f"            {line}" for line in formatting.wrap(f"{example.path} · {example.message}", 88)
            )
        yield from (f"            {line}" for line in formatting.wrap(one.what_to_do, 88))
