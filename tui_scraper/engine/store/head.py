"""Where a workspace stands: its head, the lineages in force, and which results the head can see.

A lineage says "this phase with these settings, on top of that". A branch begins at a rollback and
reads its ancestors' results only up to the fork and only for the phases that were kept. So moving
the head is all a rollback does, and it costs the same for ten documents as for a million.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import apsw

from tui_scraper.engine.models import PHASES, PhaseName, Status
from tui_scraper.engine.store.codec import digest

PHASE_NUMBER: dict[PhaseName, int] = {name: number for number, name in enumerate(PHASES)}
STATUS_NUMBER: dict[Status, int] = {status: number for number, status in enumerate(Status)}
STATUSES: tuple[Status, ...] = tuple(Status)

DOCUMENT_PHASES: tuple[PhaseName, ...] = PHASES[:5]
"""The phases that leave a result for each document. Output works on the corpus as a whole."""

FOUND = 0
"""The lineage under which the counter keeps the number of documents found, in place of a status by …"""
FOUND_ALL, FOUND_INSIDE = 1, 2
"""… all of them, and those of them that are inside others."""

_ALL_SEQS = 2**62


@dataclass(frozen=True)
class Head:
    """The point of history that everything is read from.

    `chain` lists (branch, last visible seq, last visible phase), the head's own branch first.
    `lineages` maps each phase to the lineage in force; it is empty before the first run.
    `settled` is the version id up to which every document has finished all its phases.
    """

    branch: int
    scan: int
    checkpoint: int
    lineages: dict[PhaseName, int]
    chain: tuple[tuple[int, int, int], ...]
    settled: int = 0

    def visible(self, table: str = "r") -> str:
        """An SQL condition on `result` that holds for rows this head can see."""
        terms = []
        for branch, seq, phase in self.chain:
            term = f"{table}.branch = {branch}"
            if seq < _ALL_SEQS:
                term += f" AND {table}.seq <= {seq} AND {table}.phase <= {phase}"
            terms.append(f"({term})")
        return "(" + " OR ".join(terms) + ")"

    def live(self, table: str = "v") -> str:
        """An SQL condition on `version` that holds for versions present in the head's scan."""
        ends = f"{table}.scan_to"
        return f"({table}.scan_from <= {self.scan} AND ({ends} IS NULL OR {ends} > {self.scan}))"


def read_head(connection: apsw.Connection) -> Head:
    """Read the head with its chain of branches."""
    branch, scan, checkpoint, lineages, settled = connection.execute(
        "SELECT branch, scan, checkpoint, lineages, settled FROM head"
    ).get
    chain = [(branch, _ALL_SEQS, PHASE_NUMBER[PhaseName.OUTPUT])]
    at, seq, phase = branch, _ALL_SEQS, PHASE_NUMBER[PhaseName.OUTPUT]
    while True:
        parent, fork_seq, kept = connection.execute(
            "SELECT parent, fork_seq, kept FROM branch WHERE id = ?", (at,)
        ).get
        if not parent:
            break
        at, seq, phase = parent, min(seq, fork_seq), min(phase, kept)
        chain.append((at, seq, phase))
    return Head(
        branch=branch,
        scan=scan,
        checkpoint=checkpoint,
        lineages={PhaseName(name): lineage for name, lineage in json.loads(lineages).items()},
        chain=tuple(chain),
        settled=settled,
    )


PhaseConfigs = Mapping[PhaseName, tuple[int, Mapping[str, object]]]
"""Phase -> (version of its code, the settings that matter to it)."""


def config_hash(phase: PhaseName, version: int, config: Mapping[str, object]) -> bytes:
    """Identify the settings of a phase together with the version of its code."""
    text = json.dumps([phase, version, config], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return digest(text.encode())


def artifact_key(config: bytes, source: bytes) -> bytes:
    """The key of what a phase makes of `source` with `config` (both hashes)."""
    return digest(config + source)


def clean_source(content: bytes, media_type: str) -> bytes:
    """What the clean phase's key is made from: the hash of a file's bytes, and what they were taken for."""
    return content + media_type.encode()


def set_lineages(connection: apsw.Connection, configs: PhaseConfigs) -> tuple[PhaseName, ...]:
    """Put the settings of a run in force. `configs` maps a phase to (code version, settings).

    The input phase stands by itself: what it lets in changes which documents there are, not what
    becomes of them. The other phases form a chain, so that a change redoes all that follows it.
    Returns the phases whose lineage changed; their counters are made anew.
    """
    head = read_head(connection)
    lineages: dict[PhaseName, int] = {}
    parent = 0
    for phase in DOCUMENT_PHASES:
        version, config = configs[phase]
        number = PHASE_NUMBER[phase]
        hashed = config_hash(phase, version, config)
        connection.execute(
            "INSERT INTO config(phase, hash, json) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
            (number, hashed, json.dumps(config, sort_keys=True)),
        )
        config_id = connection.execute(
            "SELECT id FROM config WHERE phase = ? AND hash = ?", (number, hashed)
        ).get
        connection.execute(
            "INSERT INTO lineage(parent, phase, config) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
            (parent, number, config_id),
        )
        lineage = connection.execute(
            "SELECT id FROM lineage WHERE parent = ? AND phase = ? AND config = ?",
            (parent, number, config_id),
        ).get
        lineages[phase] = lineage
        parent = 0 if phase is PhaseName.INPUT else lineage
    changed = tuple(phase for phase in DOCUMENT_PHASES if head.lineages.get(phase) != lineages[phase])
    if changed:
        connection.execute(
            "UPDATE head SET lineages = ?, settled = 0",
            (json.dumps({str(phase): lineage for phase, lineage in lineages.items()}),),
        )
        new_head = read_head(connection)
        for phase in changed:
            recount(connection, new_head, phase)
    return changed


def recount(connection: apsw.Connection, head: Head, phase: PhaseName) -> None:
    """Make the counters of one phase anew from the results. O(documents), so only on a change."""
    lineage = head.lineages[phase]
    connection.execute("DELETE FROM counter WHERE branch = ? AND lineage = ?", (head.branch, lineage))
    connection.execute(
        f"""
        INSERT INTO counter(branch, lineage, status, n, bytes, tokens)
        SELECT {head.branch}, {lineage}, status, count(*), sum(size), coalesce(sum(tokens), 0) FROM (
            SELECT r.status AS status, v.size_bytes AS size, max(r.seq),
                iif(a.phase = 2, a.amount, 0) AS tokens
            FROM result r JOIN version v ON v.id = r.version LEFT JOIN artifact a ON a.id = r.artifact
            WHERE r.lineage = ? AND {head.visible()} AND {head.live()}
            GROUP BY r.version
        ) WHERE status > 0 GROUP BY status
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


def add_count(
    connection: apsw.Connection,
    branch: int,
    lineage: int,
    status: int,
    n: int,
    size_bytes: int,
    tokens: int = 0,
) -> None:
    """Add to a live counter (negative numbers take away)."""
    connection.execute(
        """INSERT INTO counter VALUES(?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET n = n + excluded.n,
            bytes = bytes + excluded.bytes, tokens = tokens + excluded.tokens""",
        (branch, lineage, status, n, size_bytes, tokens),
    )


@dataclass(frozen=True)
class PhaseCount:
    """Documents and their bytes that reached `status` in a phase."""

    n: int = 0
    size_bytes: int = 0
    tokens: int = 0


class Totals(dict[PhaseName, dict[Status, PhaseCount]]):
    """Documents by phase and status. `inside` are those found that are members of others."""

    inside: PhaseCount = PhaseCount()


def read_totals(connection: apsw.Connection, head: Head) -> Totals:
    """The live counters of the head, by phase and status.

    Input's `done` is what was found and not refused there.
    """
    totals = Totals({phase: {} for phase in DOCUMENT_PHASES})
    by_lineage = {lineage: phase for phase, lineage in head.lineages.items()}
    rows = connection.execute(
        "SELECT lineage, status, n, bytes, tokens FROM counter WHERE branch = ?", (head.branch,)
    )
    found = PhaseCount()
    for lineage, status, n, size_bytes, tokens in rows:
        if lineage == FOUND and status == FOUND_INSIDE:
            totals.inside = PhaseCount(n, size_bytes)
        elif lineage == FOUND:
            found = PhaseCount(n, size_bytes)
        elif lineage in by_lineage:
            totals[by_lineage[lineage]][STATUSES[status]] = PhaseCount(n, size_bytes, tokens)
    refusals = (Status.FAILED, Status.SKIPPED)
    refused = [totals[PhaseName.INPUT].get(status, PhaseCount()) for status in refusals]
    totals[PhaseName.INPUT][Status.DONE] = PhaseCount(
        found.n - sum(part.n for part in refused), found.size_bytes - sum(part.size_bytes for part in refused)
    )
    return totals
