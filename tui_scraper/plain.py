"""What the commands print: the JSON objects of the contract, and lines for people.

Everything that comes from documents has passed through `safe_text` where it was read.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui_scraper import formatting
from tui_scraper.engine.causes import WHAT_TO_DO
from tui_scraper.engine.models import (
    CauseCount,
    Checkpoint,
    CheckpointDetails,
    FailureRow,
    PhaseName,
    SearchHit,
    StatusReport,
)
from tui_scraper.engine.runlog import rfc3339
from tui_scraper.engine.safe_text import safe_text

if TYPE_CHECKING:
    from tui_scraper.engine.going_back import Preview

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
    }


def status_lines(report: StatusReport, who: str | None) -> Iterator[str]:
    """`status`."""
    counts = report.counts
    yield f"source     {report.source}"
    yield f"workspace  {report.workspace}"
    yield f"state      {report.state}" + (f" ({who})" if who else "")
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
    yield ""
    yield from _phase_table(report.phases)


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
    }


def hit_lines(hits: Sequence[SearchHit]) -> Iterator[str]:
    """`search`."""
    if not hits:
        yield "Nothing was found."
    for number, hit in enumerate(hits, 1):
        label = f"  [{hit.label}]" if hit.label else ""
        title = f"  {hit.title}" if hit.title else ""
        yield f"{number:>2}. {hit.path}{label}{title}"
        yield from (f"    {line}" for line in formatting.wrap(hit.snippet, 90))


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


def checkpoint_record(checkpoint: Checkpoint) -> dict[str, object]:
    """One line of `checkpoints --json`."""
    return {
        "id": checkpoint.id,
        "parent": checkpoint.parent,
        "time": rfc3339(checkpoint.time),
        "phase": str(checkpoint.phase),
        "counts": checkpoint.counts,
        "tokens": checkpoint.tokens,
        "cost_usd": checkpoint.cost_nano_usd / _NANO,
        "name": checkpoint.name,
        "head": checkpoint.head,
        "note": checkpoint.note,
        "why": checkpoint.why or None,
        "branch": checkpoint.branch,
        "run": checkpoint.run,
    }


def checkpoint_lines(history: Sequence[Checkpoint], *, hidden: int = 0) -> Iterator[str]:
    """`checkpoints`, oldest first; the head is marked. `hidden` are those that are not listed."""
    if not history:
        yield "There are no checkpoints yet."
        return
    yield f"  {'id':>5} {'after':>6}  {'time':19}  {'phase':9}{'found':>11}{'done':>11}{'failed':>9}"
    for point in history:
        found, done, failed = _found_done_failed(point)
        mark = "▶" if point.head else " "
        after = f"{point.parent}" if point.parent else "-"
        said = "".join(f"  {text}" for text in (_name(point), safe_text(point.why)) if text)
        yield (
            f"{mark} {point.id:>5} {after:>6}  {_when(point.time)}  {point.phase:9}{found:>11,}{done:>11,}"
            f"{failed:>9,}{said}"
        )
    if hidden:
        yield f"{hidden:,} more in between; --all lists them. Every one can be gone back to."


def details_record(details: CheckpointDetails) -> dict[str, object]:
    """`checkpoints show --json`."""
    found = checkpoint_record(details.checkpoint)
    return {**found, "children": list(details.children), "settings": details.settings}


def details_lines(details: CheckpointDetails, differing: Iterable[str]) -> Iterator[str]:
    """`checkpoints show`. `differing` are settings that are no defaults, as they stand in a settings file."""
    point = details.checkpoint
    head = "  (the head)" if point.head else ""
    yield f"checkpoint  {point.id}{f'  {_name(point)}' if point.name else ''}{head}"
    if point.note:
        yield from (f"            {line}" for line in formatting.wrap(safe_text(point.note), 100))
    yield f"taken       {_when(point.time)}, {safe_text(point.why) or f'in run {point.run}'}"
    after = f"after {point.parent}" if point.parent else "the first"
    before = ", ".join(str(child) for child in details.children)
    yield f"place       {after}, phase {point.phase}, branch {point.branch}" + (
        f"; followed by {before}" if before else ""
    )
    if point.tokens or point.cost_nano_usd:
        yield f"paid        {point.tokens:,} tokens, {formatting.usd(point.cost_nano_usd)} until then"
    yield ""
    yield from _phase_table(point.counts)
    yield ""
    settings = list(differing)
    yield "settings    as they are by default" if not settings else "settings    by default, except"
    yield from (f"            {safe_text(line)}" for line in settings)


def preview_record(preview: Preview) -> dict[str, object]:
    """What going back would do, as `rollback --json` says it."""
    return {
        "target": preview.target,
        "pending_before": preview.before.pending,
        "pending": preview.after.pending,
        "hidden": {str(phase): n for phase, n in preview.hidden.items()},
        "cached": {str(phase): n for phase, n in preview.cached.items()},
        "tried_again": preview.tried_again,
        "cached_tokens": preview.cached_tokens,
        "cached_usd": preview.cached_nano_usd / _NANO,
        "redo_tokens": preview.redo_tokens,
        "redo_usd": preview.redo_nano_usd / _NANO,
        "settings_differ": [change.key for change in preview.waiting],
    }


_RESULTS = {
    PhaseName.CLEAN: "clean texts",
    PhaseName.CHUNK: "documents' chunks",
    PhaseName.CLASSIFY: "labels",
    PhaseName.INDEX: "documents in the index",
}


def preview_lines(preview: Preview) -> Iterator[str]:
    """What going back would do, for a person who is about to decide."""
    before, after = preview.before, preview.after
    more = after.pending - before.pending
    pending = f"{after.pending:,} documents are pending then"
    yield pending + (f", {more:,} more than now." if more > 0 else f"; now {before.pending:,} are.")
    if after.found != before.found:
        yield f"{after.found:,} documents are found then; now {before.found:,} are."
    if preview.hidden:
        named = ", ".join(f"{n:,} {_RESULTS[phase]}" for phase, n in preview.hidden.items())
        yield f"Hidden, and kept: {named}."
    if preview.tried_again:
        yield f"{preview.tried_again:,} documents that did not get through are tried again."
    if preview.cached:
        paid = (
            f" ({formatting.usd(preview.cached_nano_usd)} were paid for it)"
            if preview.cached_nano_usd
            else ""
        )
        yield f"With the settings of then all of it comes back from the store{paid}: 0 tokens, $0.00 to redo."
    elif preview.hidden:
        yield (
            f"Everything is asked anew: about {preview.redo_tokens:,} tokens, "
            f"{formatting.usd(preview.redo_nano_usd)}, as before."
        )
    if preview.waiting:
        keys = ", ".join(change.key for change in preview.waiting)
        yield f"The settings of then stay in force. The file differs in {keys}; `run --accept-settings`:"
        yield from (f"  {sentence}" for sentence in preview.if_accepted)


def _found_done_failed(point: Checkpoint) -> tuple[int, int, int]:
    found = sum(point.counts.get("input", {}).values())
    done = point.counts.get("index", {}).get("done", 0)
    return found, done, sum(by_status.get("failed", 0) for by_status in point.counts.values())


def _name(point: Checkpoint) -> str:
    return f"“{safe_text(point.name)}”" if point.name else ""


def _when(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M:%S")


def _phase_table(phases: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    yield f"{'phase':10}{'done':>12}{'failed':>9}{'skipped':>9}{'empty':>9}"
    for name, by_status in phases.items():
        numbers = [by_status.get(status, 0) for status in ("done", "failed", "skipped", "empty")]
        yield f"{name:10}{numbers[0]:>12,}{numbers[1]:>9,}{numbers[2]:>9,}{numbers[3]:>9,}"
