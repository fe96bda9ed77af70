"""What the commands about history print: checkpoints, what going back does, how points differ, what gc frees.

Everything that comes from documents has passed through `safe_text` where it was read.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tui_scraper import formatting
from tui_scraper.engine.models import Checkpoint, CheckpointDetails, PhaseName, Status
from tui_scraper.engine.runlog import rfc3339
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.compare import Change, Comparison, Difference, Side, Standing
from tui_scraper.plain import phase_table

if TYPE_CHECKING:
    from tui_scraper.engine.gc import Collected
    from tui_scraper.engine.going_back import Preview

_NANO = 1e9

_OF_EACH_KIND = 20
"""Documents of each kind of difference that are listed for people; the rest is counted."""

_KINDS = {
    Change.CAME: "came",
    Change.GONE: "gone",
    Change.CONTENT: "content changed",
    Change.STATUS: "status changed",
    Change.LABELS: "labels changed",
}


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
            f"{mark} {point.id:>5} {after:>6}  {_when(point.time)}  {point.phase:9}{found:>11}{done:>11}"
            f"{failed:>9}{said}"
        )
    if hidden:
        yield f"{hidden:,} more in between; --all lists them. Every one can be gone back to."


def details_record(details: CheckpointDetails) -> dict[str, object]:
    """`checkpoints show --json`."""
    found = checkpoint_record(details.checkpoint)
    return {
        **found,
        "counts": details.counts,
        "children": list(details.children),
        "settings": details.settings,
    }


def details_lines(details: CheckpointDetails) -> Iterator[str]:
    """`checkpoints show`."""
    from tui_scraper.engine.settings import recorded
    from tui_scraper.engine.settings_file import differing

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
    yield from phase_table(details.counts)
    yield ""
    settings = list(differing(recorded(json.dumps(details.settings))))
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
        end = ":" if preview.if_accepted else "."
        yield (
            f"The settings of then stay in force. The file differs in {keys}; "
            f"`run --accept-settings` takes it{end}"
        )
        yield from (f"  {sentence}" for sentence in preview.if_accepted)


def _found_done_failed(point: Checkpoint) -> Iterator[str]:
    """As they are shown; `checkpoints show` counts them where they were not kept."""
    if point.counts is None:
        yield from ("?", "?", "?")
        return
    yield formatting.number(sum(point.counts.get("input", {}).values()))
    yield formatting.number(point.counts.get("index", {}).get("done", 0))
    yield formatting.number(sum(by_status.get("failed", 0) for by_status in point.counts.values()))


def _name(point: Checkpoint) -> str:
    return f"“{safe_text(point.name)}”" if point.name else ""


def _when(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M:%S")


def comparison_record(comparison: Comparison) -> dict[str, object]:
    """The first line of `checkpoints diff --json`. `a` and `b` are checkpoints; null is the head as it is."""
    sides = {"a": comparison.a, "b": comparison.b}
    return {
        "a": comparison.a.checkpoint,
        "b": comparison.b.checkpoint,
        "documents": {
            name: {"found": side.counts.found, **{status: getattr(side.counts, status) for status in Status}}
            for name, side in sides.items()
        },
        "tokens": {name: side.tokens for name, side in sides.items()},
        "cost_usd": {name: side.cost_nano_usd / _NANO for name, side in sides.items()},
        "chunk_tokens": {name: side.chunk_tokens for name, side in sides.items()},
        "labels_cost_usd": {name: side.labels_cost_nano_usd / _NANO for name, side in sides.items()},
    }


def difference_record(one: Difference) -> dict[str, object]:
    """The other lines of `checkpoints diff --json`: a document that differs; null where it is not."""
    return {
        "path": one.path,
        "id": one.uid,
        "changes": [str(change) for change in one.changes],
        "a": _standing_record(one.a),
        "b": _standing_record(one.b),
    }


def _standing_record(standing: Standing | None) -> dict[str, object] | None:
    if standing is None:
        return None
    return {
        "status": str(standing.status),
        "cause": standing.cause or None,
        "labels": list(standing.labels),
        "confidence": standing.confidence,
    }


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """`checkpoints diff`: the totals side by side, then some documents of each kind of difference."""
    a, b = comparison.a, comparison.b
    yield f"{'':16}{_point_name(a):>16}{_point_name(b):>16}{'difference':>14}"
    for name in ("found", *(status for status in Status if status is not Status.PENDING), Status.PENDING):
        yield _side_by_side(name, getattr(a.counts, name), getattr(b.counts, name))
    yield _side_by_side("chunk tokens", a.chunk_tokens, b.chunk_tokens)
    yield _side_by_side("model tokens", a.tokens, b.tokens)
    yield _side_by_side("model cost", a.cost_nano_usd, b.cost_nano_usd, dollars=True)
    yield _side_by_side("cost of labels", a.labels_cost_nano_usd, b.labels_cost_nano_usd, dollars=True)
    documents, counts = 0, dict.fromkeys(Change, 0)
    listed: dict[Change, list[str]] = {change: [] for change in Change}
    for one in comparison.documents():
        documents += 1
        for change in one.changes:
            counts[change] += 1
            if len(listed[change]) < _OF_EACH_KIND:
                listed[change].append(_difference_line(one, change))
    yield ""
    yield f"{documents:,} document{'' if documents == 1 else 's'} differ{'s' if documents == 1 else ''}."
    for change, lines in listed.items():
        if lines:
            yield ""
            yield f"{_KINDS[change]} · {counts[change]:,}"
            yield from (f"  {line}" for line in lines)
        if counts[change] > len(lines):
            yield f"  … and {counts[change] - len(lines):,} more"


def _point_name(side: Side) -> str:
    return "now" if side.checkpoint is None else f"checkpoint {side.checkpoint}"


def _side_by_side(name: str, a: int, b: int, *, dollars: bool = False) -> str:
    def shown(value: int, sign: str = "") -> str:
        return f"{sign}${abs(value) / _NANO:,.4f}" if dollars else f"{sign}{abs(value):,}"

    change = shown(b - a, "+" if b > a else "−") if a != b else ""
    return f"{name:16}{shown(a):>16}{shown(b):>16}{change:>14}".rstrip()


def _difference_line(one: Difference, change: Change) -> str:
    match change:
        case Change.CAME:
            return f"{one.path} · {_standing(one.b)}"
        case Change.GONE:
            return f"{one.path} · {_standing(one.a)}"
        case Change.CONTENT:
            return one.path
        case Change.STATUS:
            return f"{one.path} · {_status(one.a)} → {_status(one.b)}"
        case Change.LABELS:
            return f"{one.path} · {_labels(one.a)} → {_labels(one.b)}"


def _standing(standing: Standing | None) -> str:
    return f"{_status(standing)} · {_labels(standing)}" if standing and standing.labels else _status(standing)


def _status(standing: Standing | None) -> str:
    assert standing is not None
    return f"{standing.status} ({standing.cause})" if standing.cause else str(standing.status)


def _labels(standing: Standing | None) -> str:
    if standing is None or not standing.labels:
        return "no label"
    confidence = f" {standing.confidence:.2f}" if standing.confidence is not None else ""
    return ", ".join(standing.labels) + confidence


def collected_record(collected: Collected) -> dict[str, object]:
    """`gc --json`."""
    return {
        "dry_run": collected.dry_run,
        "keep": collected.keep,
        **dataclasses.asdict(collected.freed),
        "files": collected.files,
        "file_bytes": collected.file_bytes,
        "disk_bytes": collected.disk_bytes,
        "notes": list(collected.notes),
    }


def collected_lines(collected: Collected) -> Iterator[str]:
    """`gc`: what was freed, or would be."""
    freed = collected.freed
    rows = (
        ("checkpoints", freed.checkpoints, ""),
        ("moves of the head", freed.moves, ""),
        ("results", freed.results, ""),
        ("versions of documents", freed.versions, ""),
        ("documents", freed.documents, ""),
        ("artifacts", freed.artifacts, ""),
        ("entries of the index", freed.index_entries, ""),
        ("payloads", freed.payloads, formatting.size(freed.payload_bytes)),
        ("old copies, leftovers", collected.files, formatting.size(collected.file_bytes)),
    )
    if not collected.anything:
        yield "There is nothing to free."
    else:
        yield "This would be freed:" if collected.dry_run else "Freed:"
        for name, count, size in rows:
            if count:
                yield f"  {name:22}{count:>14,}  {size}".rstrip()
    if collected.disk_bytes:
        yield f"The workspace takes {formatting.size(collected.disk_bytes)} less of the disk."
    yield from collected.notes
