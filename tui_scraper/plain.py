"""What the commands print: the JSON objects of the contract, and lines for people.

Everything that comes from documents has passed through `safe_text` where it was read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui_scraper import formatting
from tui_scraper.engine.causes import WHAT_TO_DO
from tui_scraper.engine.models import (
    CauseCount,
    DocumentRow,
    FailureRow,
    SearchHit,
    StatusReport,
)
from tui_scraper.engine.runlog import rfc3339
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.marking import bold, wrap_marked

if TYPE_CHECKING:
    from tui_scraper.engine.document_details import DocumentDetails

_NANO = 1e9


def shown_path(path: Path) -> str:
    """A path of this machine, safe for a terminal."""
    return safe_text(str(path))


def shown(text: str) -> str:
    """Text that a person has typed, safe for a terminal."""
    return safe_text(text)


def status_record(report: StatusReport) -> dict[str, object]:
    """`status --json`."""
    counts = report.counts
    return {
        "workspace": report.workspace,
        "source": report.source,
        "state": report.state,
        "found": counts.found,
        "inside": counts.inside,
        "done": counts.done,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "empty": counts.empty,
        "pending": counts.pending,
        "ignored": report.ignored,
        "phases": report.phases,
        "tokens": {"in": report.tokens_in, "out": report.tokens_out},
        "cost_usd": report.cost_nano_usd / _NANO,
        "head": report.head,
        "sandbox": report.sandbox,
        "without_vectors": report.without_vectors,
    }


def status_lines(report: StatusReport, who: str | None, notice: str = "") -> Iterator[str]:
    """`status`. `notice` is what the engine that works there has to say."""
    counts = report.counts
    yield f"source     {report.source}"
    yield f"workspace  {report.workspace}"
    yield f"state      {report.state}" + (f" ({who})" if who else "")
    said = formatting.wrap(notice, 88) if notice else []
    yield from (f"{'' if at else 'says':<10} {line}" for at, line in enumerate(said))
    yield (
        f"documents  {counts.found:,} found{formatting.with_inside(counts)} = {counts.done:,} done + "
        f"{counts.failed:,} failed + {counts.skipped:,} skipped + {counts.empty:,} empty + "
        f"{counts.pending:,} pending"
    )
    if report.ignored:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.ignored.items()))
        yield f"ignored    {reasons}"
    if report.head:
        yield f"head       checkpoint {report.head}"
    if report.tokens_in or report.tokens_out:
        yield (
            f"paid       {formatting.usd(report.cost_nano_usd)} for {report.tokens_in:,} tokens in, "
            f"{report.tokens_out:,} out"
        )
    if report.without_vectors:
        yield (
            f"by words   {formatting.documents(report.without_vectors)} without all vectors; "
            "`tui-scraper retry --method openai` has the model asked again"
        )
    yield ""
    yield from phase_table(report.phases)


def hit_record(hit: SearchHit) -> dict[str, object]:
    """One line of `search --json`."""
    return {
        "path": hit.path,
        "title": hit.title,
        "label": hit.label,
        "score": round(hit.score, 4),
        "chunk": hit.chunk,
        "start": hit.start,
        "end": hit.end,
        "snippet": hit.snippet,
        "marks": [list(mark) for mark in hit.snippet_marks],
    }


def hit_lines(hits: Sequence[SearchHit], *, in_bold: bool = False) -> Iterator[str]:
    """`search`; with the words that were found in bold, where a terminal shows them."""
    if not hits:
        yield "Nothing was found."
    for number, hit in enumerate(hits, 1):
        label = f"  [{hit.label}]" if hit.label else ""
        title = f"  {hit.title}" if hit.title else ""
        yield f"{number:>2}. {hit.path}{label}{title}"
        for line in wrap_marked(hit.snippet, hit.snippet_marks if in_bold else (), 90):
            yield f"    {bold(line)}"


def failure_record(row: FailureRow) -> dict[str, object]:
    """One line of `failures --json`."""
    return {
        "path": row.path,
        "phase": str(row.phase),
        "cause": str(row.cause),
        "message": row.message,
        "attempts": row.attempts,
        "time": rfc3339(row.time),
        "status": str(row.status),
    }


def failure_lines(groups: Sequence[CauseCount], rows: Iterable[FailureRow]) -> Iterator[str]:
    """`failures`: a table of causes, then every document under its cause."""
    if not groups:
        yield "No document has failed, was skipped or is empty."
        return
    yield f"{'documents':>9}  {'status':8}{'phase':10}cause"
    for group in groups:
        yield f"{group.count:>9,}  {group.status:8}{group.phase:10}{group.cause}"
    ordered = sorted(rows, key=lambda row: (row.status, row.phase, row.cause, row.path))
    for key, members in itertools.groupby(ordered, key=lambda row: (row.status, row.phase, row.cause)):
        yield ""
        yield f"{key[0]} in {key[1]} · {key[2]}"
        yield from formatting.wrap(WHAT_TO_DO[key[2]], 100)
        for row in members:
            yield f"  {row.path} · {row.message}"


def document_record(row: DocumentRow) -> dict[str, object]:
    """One line of `documents --json`."""
    return {
        "path": row.path,
        "status": str(row.status),
        "cause": row.cause or None,
        "size": row.size_bytes,
        "media_type": row.media_type or None,
        "label": row.labels[0] if row.labels else None,
        "labels": list(row.labels),
        "confidence": row.confidence,
        "method": row.method or None,
    }


def document_line(row: DocumentRow) -> str:
    """A line of `documents`."""
    label = formatting.pad(formatting.label_words(row.labels, row.confidence, row.method), 24)
    what = row.cause or str(row.status)
    return f"{what:<20} {formatting.size(row.size_bytes):>7}  {label}  {row.path}"


def details_record(found: DocumentDetails) -> dict[str, object]:
    """`show --json`: texts as they are stored, escaped by JSON."""
    made = found.made
    return document_record(found.row) | {
        "error": {"phase": found.phase, "message": found.message} if found.message else None,
        "title": found.title or None,
        "language": found.language or None,
        "characters": found.characters,
        "text": found.text,
        "chunks": [
            {"ordinal": at, "start": one.start, "end": one.end, "tokens": one.tokens, "heading": one.heading}
            for at, one in enumerate(found.chunks)
        ],
        "made": {
            "labels": made.labels,
            "confidence": made.confidence,
            "method": made.method,
            "model": made.model or None,
            "alternatives": [{"label": label, "confidence": sure} for label, sure in made.alternatives],
            "reason": made.reason or None,
        }
        if made is not None
        else None,
        "links": [{"target": target, "kind": kind} for target, kind in found.links],
        **_neighbours_record(found),
        "copies": list(found.copies),
        "copy_count": found.copy_count,
        "duplicates": _group_record(found),
        "members": found.members,
        "parent": found.parent or None,
    }


def _group_record(found: DocumentDetails) -> dict[str, object] | None:
    """Null where duplicates have not been looked for; without documents where there are none."""
    group = found.group
    if group is None:
        return {"kind": None, "similarity": None, "size": 1, "documents": []} if found.compared else None
    return {
        "kind": group.kind or "representative",
        "similarity": round(group.similarity, 4),
        "size": group.size,
        "documents": [
            {"path": path, "kind": kind or "representative", "similarity": round(similarity, 4)}
            for kind, similarity, path in group.others
        ],
    }


def _neighbours_record(found: DocumentDetails) -> dict[str, object]:
    """Null where the graph has not been made."""
    near = found.neighbours
    if near is None:
        return {"refers_to": None, "referred_by": None, "broken": None}
    return {
        "refers_to": [{"path": path, "kind": str(kind)} for kind, path in near.refers_to],
        "referred_by": [{"path": path, "kind": str(kind)} for kind, path in near.referred_by],
        "broken": [{"target": target, "kind": str(kind)} for kind, target in near.broken],
    }


def phase_table(phases: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Documents by phase and status."""
    yield f"{'phase':10}{'done':>12}{'failed':>9}{'skipped':>9}{'empty':>9}"
    for name, by_status in phases.items():
        numbers = [by_status.get(status, 0) for status in ("done", "failed", "skipped", "empty")]
        yield f"{name:10}{numbers[0]:>12,}{numbers[1]:>9,}{numbers[2]:>9,}{numbers[3]:>9,}"
