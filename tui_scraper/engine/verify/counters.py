"""Counters: those of the head, of the branches that were left, and of checkpoints are what the results say.

They are counted anew by the same code as after a change of settings, into a temporary table of the same name,
which SQLite prefers to the real one: the database itself is not written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.connection import STATE_FILE
from tui_scraper.engine.store.counters import (
    Row,
    counter_rows,
    counts_of,
    decode_rows,
    recount,
    recount_found,
    totals_of,
)
from tui_scraper.engine.store.head import Head, decode_head, read_point
from tui_scraper.engine.verify.look import Finding, Look
from tui_scraper.engine.verify.report import Damage, Note

_RECOUNTED = 3_000_000
"""Documents counted for checkpoints, the newest first: some seconds. Of others only the sums are checked."""

_ANEW = "They are counted anew."


def check_counters(look: Look) -> Iterator[Finding]:
    """Found = done + failed + skipped + empty + pending, and every number as counted anew."""
    if look.head is None:
        yield Note("Without a head there is nothing to compare the counters with.")
        return
    live = counter_rows(look.state, look.head)
    yield from _conserved(look.head, live, "the head", f"{STATE_FILE}: counter")
    with counting(look):
        counted = count(look, look.head)
    look.proceed(1)
    if live != counted:
        yield Damage(_difference("the head", live, counted), f"{STATE_FILE}: counter", _ANEW)
    yield from _left_branches(look)
    yield from _checkpoints(look)


@contextmanager
def counting(look: Look) -> Iterator[None]:
    """Within this, `counter` is an empty table of its own."""
    sql = look.one("SELECT sql FROM main.sqlite_master WHERE name = 'counter'")
    look.state.execute("CREATE TEMP" + sql[len("CREATE") :])
    try:
        yield
    finally:
        look.state.execute("DROP TABLE temp.counter")


def count(look: Look, head: Head) -> list[Row]:
    """The counters of a point of history by its results. Use it within `counting`."""
    look.state.execute("DELETE FROM temp.counter")
    recount_found(look.state, head)
    for phase in head.lineages:
        recount(look.state, head, phase)
    return counter_rows(look.state, head)


def _conserved(head: Head, rows: Sequence[Row], whose: str, where: str) -> Iterator[Damage]:
    counts = counts_of(totals_of(rows, head.lineages))
    parts = (counts.done, counts.failed, counts.skipped, counts.empty, counts.pending)
    if min(parts) < 0 or sum(parts) != counts.found:
        yield Damage(
            f"The documents of {whose} do not add up: {counts.found:,} found, and {counts.done:,} done + "
            f"{counts.failed:,} failed + {counts.skipped:,} skipped + {counts.empty:,} empty + "
            f"{counts.pending:,} pending.",
            where,
            _ANEW,
        )


def _difference(whose: str, kept: Sequence[Row], counted: Sequence[Row]) -> str:
    differing = sorted({row[:3] for row in set(kept) ^ set(counted)})
    lineage, status, _cause = differing[0]
    name = "found" if not lineage else str(tuple(Status)[status]) if 0 <= status < len(Status) else "?"
    before = sum(row[3] for row in kept if row[:3] == differing[0])
    now = sum(row[3] for row in counted if row[:3] == differing[0])
    return (
        f"{len(differing):,} counters of {whose} are not what its results say (the first: {before:,} "
        f"documents {name} where {now:,} are)."
    )


def _left_branches(look: Look) -> Iterator[Damage]:
    """A branch that was left keeps the counters that its last checkpoint tells of."""
    assert look.head is not None
    branches = {row[0] for row in look.ask("SELECT id FROM branch")}
    seen = {look.head.branch}
    for text, counters, lineages in look.state.execute(
        """SELECT g.before, c.counters, c.lineages FROM reflog g
        JOIN checkpoint c ON c.id = json_extract(g.before, '$.checkpoint') ORDER BY g.id DESC"""
    ):
        if counters is None or not isinstance(text, str):
            continue
        try:
            head = decode_head(look.state, text)
            kept = decode_rows(str(counters))
        except (ValueError, KeyError, TypeError):
            continue  # told of where history is looked at
        if head.branch in seen or head.branch not in branches:
            continue
        last_left = len(seen) == 1
        seen.add(head.branch)
        look.proceed(1)
        if not last_left and not counter_rows(look.state, head):
            continue  # nothing goes back there by itself, so a repair may have left them out
        same = json.loads(str(lineages)) == {str(phase): number for phase, number in head.lineages.items()}
        if same and sorted(kept) != sorted(counter_rows(look.state, head)):
            whose = f"branch {head.branch}"
            yield Damage(
                _difference(whose, counter_rows(look.state, head), kept), f"{STATE_FILE}: counter", _ANEW
            )


def _checkpoints(look: Look) -> Iterator[Finding]:
    budget = _RECOUNTED
    documents = max(1, look.one("SELECT count(*) FROM version"))
    looked_through = 0
    where = f"{STATE_FILE}: checkpoint"
    with counting(look):
        for identifier, text in look.ask(
            "SELECT id, counters FROM checkpoint WHERE counters IS NOT NULL ORDER BY name IS NULL, id DESC"
        ):
            try:
                head, kept = read_point(look.state, identifier), decode_rows(text)
            except (ValueError, TypeError, AttributeError):
                continue  # told of where history is looked at
            if head is None or PhaseName.INPUT not in head.lineages:
                continue
            look.proceed(1)
            whose = f"checkpoint {identifier}"
            yield from _conserved(head, kept, whose, where)
            if budget < documents:
                looked_through += 1
                continue
            budget -= documents
            counted = count(look, head)
            if sorted(kept) != sorted(counted):
                yield Damage(_difference(whose, kept, counted), where, _ANEW)
    if looked_through:
        yield Note(
            f"The counters of {looked_through:,} older checkpoints were not counted anew, which takes long."
        )
