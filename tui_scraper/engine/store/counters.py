"""Live counts of documents by phase, status and cause, kept in the transaction that changes them.

What a screen shows is read from here, never counted: at a million documents that is the difference between
a tenth of a millisecond and seconds. Each branch has counters of its own, so moving the head between
branches changes none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw

from tui_scraper.engine.models import Counts, PhaseName, Status
from tui_scraper.engine.store.head import (
    DOCUMENT_PHASES,
    STATUS_NUMBER,
    STATUSES,
    Head,
    PhaseConfigs,
    chain_of_lineages,
    encode_lineages,
    read_head,
)

FOUND = 0
"""The lineage under which the counter keeps the number of documents found, in place of a status by …"""
FOUND_ALL, FOUND_INSIDE = 1, 2
"""… all of them, and those of them that are inside others."""

_DONE = STATUS_NUMBER[Status.DONE]


def recount(connection: apsw.Connection, head: Head, phase: PhaseName) -> None:
    """Make the counters of one phase anew from the results. O(documents), so only on a change."""
    lineage = head.lineages[phase]
    connection.execute("DELETE FROM counter WHERE branch = ? AND lineage = ?", (head.branch, lineage))
    connection.execute(
        f"""
        INSERT INTO counter(branch, lineage, status, cause, n, bytes, tokens, cost_nano_usd)
        SELECT {head.branch}, {lineage}, status, cause, count(*), sum(size), sum(tokens), sum(cost) FROM (
            SELECT r.status AS status, v.size_bytes AS size, max(r.seq), coalesce(f.cause, '') AS cause,
                coalesce(iif(a.phase > 1, a.amount, 0), 0) AS tokens, coalesce(a.cost_nano_usd, 0) AS cost
            FROM result r JOIN version v ON v.id = r.version LEFT JOIN artifact a ON a.id = r.artifact
                LEFT JOIN failure f ON r.status > {_DONE} AND f.seq = r.seq
            WHERE r.lineage = ? AND {head.visible()} AND {head.live()}
            GROUP BY r.version
        ) WHERE status > 0 GROUP BY status, cause
        """,  # noqa: S608
        (lineage,),
    )


def recount_found(connection: apsw.Connection, head: Head) -> None:
    """Make the counter of documents found anew."""
    connection.execute("DELETE FROM counter WHERE branch = ? AND lineage = ?", (head.branch, FOUND))
    connection.execute(
        f"""INSERT INTO counter(branch, lineage, status, n, bytes)
        SELECT {head.branch}, {FOUND}, {FOUND_ALL}, count(*), coalesce(sum(v.size_bytes), 0)
        FROM version v WHERE {head.live()}"""  # noqa: S608
    )
    connection.execute(
        f"""INSERT INTO counter(branch, lineage, status, n, bytes)
        SELECT {head.branch}, {FOUND}, {FOUND_INSIDE}, count(*), coalesce(sum(v.size_bytes), 0)
        FROM document d JOIN version v ON v.document = d.id WHERE d.parent > 0 AND {head.live()}"""  # noqa: S608
    )


def set_lineages(connection: apsw.Connection, configs: PhaseConfigs) -> tuple[PhaseName, ...]:
    """Put the settings of a run in force. `configs` maps a phase to (code version, settings).

    Returns the phases whose lineage changed; their counters are made anew.
    """
    head = read_head(connection)
    lineages = chain_of_lineages(connection, configs)
    changed = tuple(phase for phase in DOCUMENT_PHASES if head.lineages.get(phase) != lineages[phase])
    if changed:
        connection.execute("UPDATE head SET lineages = ?, settled = 0", (encode_lineages(lineages),))
        new_head = read_head(connection)
        for phase in changed:
            recount(connection, new_head, phase)
    return changed


def count_anew(connection: apsw.Connection) -> None:
    """Make every counter of the head anew. O(documents)."""
    head = read_head(connection)
    recount_found(connection, head)
    for phase in head.lineages:
        recount(connection, head, phase)


def add_count(
    connection: apsw.Connection,
    branch: int,
    lineage: int,
    status: int,
    n: int,
    size_bytes: int,
    tokens: int = 0,
    *,
    cause: str = "",
    cost_nano_usd: int = 0,
) -> None:
    """Add to a live counter (negative numbers take away). What is not done is counted by its cause."""
    connection.execute(
        """INSERT INTO counter VALUES(?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET n = n + excluded.n, bytes = bytes + excluded.bytes,
            tokens = tokens + excluded.tokens, cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd""",
        (branch, lineage, status, cause, n, size_bytes, tokens, cost_nano_usd),
    )


@dataclass(frozen=True)
class PhaseCount:
    """Documents and their bytes that reached `status` in a phase.

    `tokens` are those of chunks (chunk), or those sent and received for labels (classify).
    """

    n: int = 0
    size_bytes: int = 0
    tokens: int = 0
    cost_nano_usd: int = 0

    def __add__(self, other: PhaseCount) -> PhaseCount:
        return PhaseCount(
            self.n + other.n,
            self.size_bytes + other.size_bytes,
            self.tokens + other.tokens,
            self.cost_nano_usd + other.cost_nano_usd,
        )


class Totals(dict[PhaseName, dict[Status, PhaseCount]]):
    """Documents by phase and status.

    `inside` are those found that are members of others. `causes` are the documents that are failed, skipped
    or empty by (phase, status, cause).
    """

    inside: PhaseCount = PhaseCount()
    causes: dict[tuple[PhaseName, Status, str], int]

    def documents(self) -> dict[str, dict[str, int]]:
        """Phase -> status -> documents, where there are any."""
        return {
            str(phase): {str(status): count.n for status, count in by_status.items() if count.n}
            for phase, by_status in self.items()
        }


Row = tuple[int, int, str, int, int, int, int]
"""(lineage, status, cause, documents, bytes, tokens, nano-dollars): a row of `counter` without its branch."""


def counter_rows(connection: apsw.Connection, head: Head) -> list[Row]:
    """The counters of the head that count something."""
    kept = {FOUND, *head.lineages.values()}
    rows: Any = connection.execute(
        """SELECT lineage, status, cause, n, bytes, tokens, cost_nano_usd FROM counter
        WHERE branch = ? AND (n != 0 OR bytes != 0 OR tokens != 0 OR cost_nano_usd != 0)
        ORDER BY lineage, status, cause""",
        (head.branch,),
    ).fetchall()
    return [row for row in rows if row[0] in kept]


def encode_rows(rows: Iterable[Row]) -> str:
    """As JSON, as a checkpoint keeps them."""
    return json.dumps([list(row) for row in rows])


def decode_rows(text: str) -> list[Row]:
    """What `encode_rows` has written."""
    return [tuple(row) for row in json.loads(text)]


def put_rows(connection: apsw.Connection, branch: int, rows: Iterable[Row]) -> None:
    """Give a new branch these counters."""
    connection.executemany(
        "INSERT INTO counter VALUES(?, ?, ?, ?, ?, ?, ?, ?)", [(branch, *row) for row in rows]
    )


def read_totals(connection: apsw.Connection, head: Head) -> Totals:
    """The live counters of the head, by phase and status."""
    return totals_of(counter_rows(connection, head), head.lineages)


def totals_at(connection: apsw.Connection, point: Head) -> Totals:
    """The counters of a checkpoint (a head of `read_point`): those it has kept.

    One that has none, because it is from before schema 3 or a repair has taken them out, is counted:
    O(documents), and only what `Totals` says of documents, tokens and cost, not of causes and bytes.
    """
    kept = connection.execute("SELECT counters FROM checkpoint WHERE id = ?", (point.checkpoint,)).get
    rows = decode_rows(kept) if kept is not None else _counted(connection, point)
    return totals_of(rows, point.lineages)


def _counted(connection: apsw.Connection, point: Head) -> Iterator[Row]:
    for status, where in ((FOUND_ALL, ""), (FOUND_INSIDE, "AND d.parent > 0")):
        found = connection.execute(
            f"""SELECT count(*) FROM version v JOIN document d ON d.id = v.document
            WHERE {point.live()} {where}"""  # noqa: S608
        ).get
        yield FOUND, status, "", found, 0, 0, 0
    for lineage in point.lineages.values():
        rows: Any = connection.execute(
            f"""SELECT status, count(*), sum(tokens), sum(cost) FROM (
                SELECT r.status AS status, max(r.seq), coalesce(iif(a.phase = 2, a.amount, 0), 0) AS tokens,
                    coalesce(a.cost_nano_usd, 0) AS cost
                FROM result r JOIN version v ON v.id = r.version LEFT JOIN artifact a ON a.id = r.artifact
                WHERE r.lineage = ? AND {point.visible()} AND {point.live()} GROUP BY r.version
            ) WHERE status > 0 GROUP BY status""",  # noqa: S608
            (lineage,),
        )
        for status, n, tokens, cost in rows:
            yield lineage, status, "", n, 0, tokens, cost


def totals_of(rows: Iterable[Row], lineages: dict[PhaseName, int]) -> Totals:
    """Counters by phase and status. Input's `done` is what was found and not refused there."""
    totals = Totals({phase: {} for phase in DOCUMENT_PHASES})
    totals.causes = {}
    by_lineage = {lineage: phase for phase, lineage in lineages.items()}
    found = PhaseCount()
    for lineage, number, cause, *counted in rows:
        count = PhaseCount(*counted)
        if lineage == FOUND and number == FOUND_INSIDE:
            totals.inside = count
        elif lineage == FOUND:
            found = count
        elif lineage in by_lineage:
            phase, status = by_lineage[lineage], STATUSES[number]
            totals[phase][status] = totals[phase].get(status, PhaseCount()) + count
            if number > _DONE and count.n:
                totals.causes[phase, status, cause] = count.n
    refusals = (Status.FAILED, Status.SKIPPED)
    refused = [totals[PhaseName.INPUT].get(status, PhaseCount()) for status in refusals]
    totals[PhaseName.INPUT][Status.DONE] = PhaseCount(
        found.n - sum(part.n for part in refused), found.size_bytes - sum(part.size_bytes for part in refused)
    )
    return totals


def counts_of(totals: Totals) -> Counts:
    """Documents by status, from the counters of the phases.

    A document is done when it has passed the last phase that leaves a result of its own.
    """
    by_status = dict.fromkeys(Status, 0)
    for phase in DOCUMENT_PHASES:
        for status in (Status.FAILED, Status.SKIPPED, Status.EMPTY):
            by_status[status] += totals[phase].get(status, PhaseCount()).n
    found = sum(count.n for count in totals[PhaseName.INPUT].values())
    done = totals[PhaseName.INDEX].get(Status.DONE, PhaseCount()).n
    bad = by_status[Status.FAILED] + by_status[Status.SKIPPED] + by_status[Status.EMPTY]
    return Counts(
        found=found,
        done=done,
        failed=by_status[Status.FAILED],
        skipped=by_status[Status.SKIPPED],
        empty=by_status[Status.EMPTY],
        pending=found - done - bad,
        inside=totals.inside.n,
    )
