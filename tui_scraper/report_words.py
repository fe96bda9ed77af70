"""The sentences of a report: what the terminal and the page say in the same words."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from tui_scraper import formatting
from tui_scraper.engine.extract import media_types
from tui_scraper.engine.models import Counts, Status
from tui_scraper.engine.report.facts import (
    UNSURE,
    CopyGroups,
    Estimated,
    Facts,
    Group,
    Labels,
    Languages,
    Maker,
    Spent,
)

KINDS = {
    "label": "labels",
    "embed": "vectors",
    "canary": "to see whether it works",
    "audit": "to check packs",
}
"""What a call to a model was for."""
_TYPES = {
    media_types.DOCX: "Word (.docx)",
    media_types.XLSX: "Excel (.xlsx)",
    media_types.XLSB: "Excel (.xlsb)",
    media_types.PPTX: "PowerPoint (.pptx)",
    media_types.DOC: "Word (.doc)",
    media_types.XLS: "Excel (.xls)",
    media_types.PPT: "PowerPoint (.ppt)",
    media_types.MSG: "Outlook (.msg)",
    media_types.ODT: "OpenDocument (.odt)",
    media_types.ODS: "OpenDocument (.ods)",
    media_types.ODP: "OpenDocument (.odp)",
}
"""Media types whose own names are too long to be read."""
METHODS = {
    "local": "on this machine",
    "rules": "by rules on this machine",
    "openai": "by the model",
    "human": "by hand",
    "duplicate": "from a near-duplicate",
}
"""Who has labelled, in words."""


def by_status(counts: Counts) -> tuple[tuple[Status, int], ...]:
    """Documents by status, those that are done first."""
    order = (Status.DONE, Status.FAILED, Status.SKIPPED, Status.EMPTY, Status.PENDING)
    return tuple((status, getattr(counts, status)) for status in order)


def share(part: int, whole: int) -> str:
    """`(87%)`; `(<1%)` for what is something; '' of nothing."""
    if not part or not whole:
        return ""
    return "(<1%)" if part * 200 < whole else f"({formatting.percent(part / whole)})"


def when(moment: float) -> str:
    """A Unix time as the clock here shows it."""
    return datetime.datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M")


def headline(facts: Facts) -> str:
    """How it stands, in a sentence."""
    counts = facts.status.counts
    if not counts.found:
        return "Nothing has been found here yet."
    bad = [f"{n:,} {status}" for status, n in by_status(counts)[1:4] if n]
    left = f"; {counts.pending:,} still pending" if counts.pending else ""
    if not bad:
        return f"{counts.done:,} of {formatting.documents(counts.found)} done, none failed{left}."
    nothing_failed = "" if counts.failed else " (none failed)"
    done = f"{counts.done:,} of {formatting.documents(counts.found)} done"
    return f"{done}; {', '.join(bad)}{nothing_failed}{left}."


def type_name(group: Group) -> str:
    """A media type, in the words of people where its own are long; or what it means that there is none."""
    return _TYPES.get(group.name, group.name) or "not known (not read)"


def language_name(group: Group) -> str:
    """A language, or that it is not clear which."""
    return group.name or "unclear"


def language_sentence(languages: Languages) -> str:
    """`en 87%, de 9%, …`, and of how many texts that holds."""
    shown = ", ".join(
        f"{language_name(one)} {share(one.documents, languages.looked_at)[1:-1]}"
        for one in languages.groups[:6]
    )
    return f"{shown} ({languages_of(languages)})"


def languages_of(languages: Languages) -> str:
    """Of how many texts the shares of languages are known."""
    if languages.sampled:
        return f"of {languages.looked_at:,} texts, drawn by lot"
    return f"of {languages.looked_at:,} texts"


def maker_words(maker: Maker) -> str:
    """Who has labelled: `model gpt-5-nano`, `by hand`, `this machine`."""
    words = METHODS.get(maker.method, maker.method)
    return f"{words} {maker.model}".strip()


def sure_sentence(labels: Labels) -> str:
    """How sure the labels are."""
    said = labels.documents - labels.unsaid
    limit = formatting.percent(UNSURE)
    parts = []
    if said:
        parts.append(f"{labels.unsure:,} of {said:,} less than {limit} sure")
    if labels.unsaid:
        parts.append(f"{labels.unsaid:,} do not say (labels by hand, and of models that give no confidence)")
    return "; ".join(parts)


def money_sentences(spent: Spent) -> Iterator[str]:
    """What models were paid, against the estimate, and what was saved."""
    if not spent.models:
        yield "no model was asked: nothing was paid"
        if spent.estimate is not None:
            yield estimate_sentence(spent.estimate)
        return
    budget = f" of {formatting.usd(spent.budget_nano_usd)}" if spent.budget_nano_usd is not None else ""
    cached = f" ({spent.tokens_cached:,} cached by the endpoint)" if spent.tokens_cached else ""
    yield (
        f"{formatting.usd(spent.cost_nano_usd)}{budget} for {_calls(spent.calls)}: {spent.tokens_in:,} "
        f"tokens in{cached}, {spent.tokens_out:,} out"
    )
    if spent.open_nano_usd:
        yield f"up to {formatting.usd(spent.open_nano_usd)} more for calls without an answer"
    yield (
        "no estimate was kept to compare with (`tui-scraper estimate PATH` makes one)"
        if spent.estimate is None
        else estimate_sentence(spent.estimate)
    )
    if spent.shared:
        yield (
            f"{formatting.documents(spent.shared)} took the label of another with the same text: "
            f"{formatting.usd(spent.shared_nano_usd)} saved"
        )
    if spent.near:
        yield f"{formatting.documents(spent.near)} took the label of a near-duplicate"
    lacking = [
        f"{formatting.documents(n)} {what}"
        for n, what in (
            (spent.stand_ins, "labelled on this machine in place of the model"),
            (spent.without_vectors, "without all vectors"),
        )
        if n
    ]
    if lacking:
        yield f"{', '.join(lacking)}; `tui-scraper retry --method openai` asks the model again"


def _calls(calls: int) -> str:
    return "1 answered call" if calls == 1 else f"{calls:,} answered calls"


def estimate_sentence(estimate: Estimated) -> str:
    """What was expected, and whether it came so."""
    low, expected, high = estimate.cost_nano_usd
    spent = estimate.spent_nano_usd
    verdict = "within" if low <= spent <= high else ("below" if spent < low else "above")
    return (
        f"estimated {formatting.usd_range(low, expected, high)} for "
        f"{formatting.documents(estimate.documents[1])}; {formatting.usd(spent)} spent since: "
        f"{verdict} the range"
    )


def pace_sentences(facts: Facts) -> Iterator[str]:
    """How long it took and how fast it went."""
    pace = facts.pace
    if not pace.run_count:
        yield "no run yet"
        return
    runs = "1 run" if pace.run_count == 1 else f"{pace.run_count:,} runs"
    took = formatting.duration(pace.seconds, spaced=True)
    if pace.rate is None:
        yield f"{runs}, {took}; no checkpoint tells how many documents went through"
        return
    best = pace.peak
    at_best = f", {formatting.rate(best)} at best" if best and len(pace.stretches) > 1 else ""
    rate = f"{formatting.documents(pace.documents)} at {formatting.rate(pace.rate)}"
    yield f"{runs}, {took} of work: {rate}{at_best}"
    if pace.taken_over:
        yield f"labels of {formatting.documents(pace.taken_over)} were taken over from the store besides"
    if pace.freed:
        yield "results that `gc` has freed since are not counted"
    worked = [one for one in pace.phases if one.spans]
    yield "at work: " + ", ".join(
        f"{one.phase} {formatting.duration(one.seconds, spaced=True)}" for one in worked
    )


def copy_sentences(facts: Facts) -> Iterator[str]:
    """Documents that are there more than once."""
    yield copies_sentence(facts.copies.exact, "the same bytes")
    if facts.copies.near is not None:
        yield copies_sentence(facts.copies.near, "nearly the same text")


def copies_sentence(found: CopyGroups, what: str) -> str:
    """How many there are of one kind."""
    if not found.count:
        return f"no two documents have {what}"
    groups = "1 group" if found.count == 1 else f"{found.count:,} groups"
    size = formatting.size(found.extra_bytes)
    return f"{groups} with {what}: {found.extra:,} more than needed, {size}"


def history_sentence(facts: Facts) -> str:
    """Checkpoints and rollbacks."""
    history = facts.history
    points = "1 checkpoint" if history.checkpoints == 1 else f"{history.checkpoints:,} checkpoints"
    head = f", {history.head} is the head" if history.head else ""
    moved = {0: "never rolled back", 1: "the head was moved once"}.get(
        history.move_count, f"the head was moved {history.move_count:,} times"
    )
    return f"{points}{head}; {moved}"
