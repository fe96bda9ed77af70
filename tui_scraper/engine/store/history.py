"""Checkpoints, rollback and runs: the history of a workspace."""

from __future__ import annotations

import json
import os
import socket
import time

import apsw

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.models import Checkpoint, PhaseName, Status
from tui_scraper.engine.store.head import (
    DOCUMENT_PHASES,
    FOUND,
    FOUND_ALL,
    FOUND_INSIDE,
    PHASE_NUMBER,
    STATUS_NUMBER,
    Head,
    add_count,
    read_head,
    read_totals,
    recount,
    recount_found,
)
from tui_scraper.engine.store.members import match_members
from tui_scraper.engine.store.writer import Operation, Transaction


def begin_run(settings_json: str) -> Operation[int]:
    """Record that a run started, and with which settings. Returns its id."""

    def operation(transaction: Transaction) -> int:
        transaction.state.execute(
            "INSERT INTO run(started, pid, host, settings, state) VALUES(?, ?, ?, ?, 'running')",
            (time.time(), os.getpid(), socket.gethostname(), settings_json),
        )
        return transaction.state.last_insert_rowid()

    return operation


def end_run(run: int, state: str) -> Operation[None]:
    """Record how a run ended."""

    def operation(transaction: Transaction) -> None:
        transaction.state.execute(
            "UPDATE run SET ended = ?, state = ? WHERE id = ?", (time.time(), state, run)
        )

    return operation


def take_checkpoint(run: int, phase: PhaseName, settled: int = 0) -> Operation[int]:
    """Record a point to come back to. `settled` advances the head's mark of finished versions."""

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        head = read_head(state)
        identifier = _insert_checkpoint(transaction, head, run, phase)
        state.execute("UPDATE head SET checkpoint = ?, settled = max(settled, ?)", (identifier, settled))
        return identifier

    return operation


def changed_since_checkpoint(transaction: Transaction) -> bool:
    """Whether the head holds anything that its checkpoint does not: results, documents or settings."""
    state = transaction.state
    head = read_head(state)
    row = state.execute(
        "SELECT branch, scan, seq, lineages FROM checkpoint WHERE id = ?", (head.checkpoint,)
    ).fetchone()
    if row is None:
        return True
    branch, scan, seq, lineages = row
    moved = (branch, seq, json.loads(lineages)) != (head.branch, transaction.last_seq, dict(head.lineages))
    changes = state.execute(
        "SELECT coalesce(sum(changes), 0) FROM scan WHERE id > ? AND id <= ?", (scan, head.scan)
    ).get
    return moved or bool(changes)


def _insert_checkpoint(transaction: Transaction, head: Head, run: int, phase: PhaseName) -> int:
    state = transaction.state
    live = read_totals(state, head)
    totals = {
        str(name): {
            str(status): [count.n, count.size_bytes, count.tokens] for status, count in by_status.items()
        }
        for name, by_status in live.items()
    }
    inside = [live.inside.n, live.inside.size_bytes]
    tokens, cost = state.execute(
        "SELECT coalesce(sum(tokens_in + tokens_out), 0), coalesce(sum(cost_nano_usd), 0) FROM ledger"
    ).get
    state.execute(
        """INSERT INTO checkpoint(parent, run, branch, scan, seq, phase, lineages, totals, inside,
        scan_changes, tokens, cost_nano_usd, time) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            head.checkpoint or None,
            run,
            head.branch,
            head.scan,
            transaction.last_seq,
            PHASE_NUMBER[phase],
            json.dumps({str(name): lineage for name, lineage in head.lineages.items()}),
            json.dumps(totals),
            json.dumps(inside),
            _scan_changes(state, head.scan),
            tokens,
            cost,
            time.time(),
        ),
    )
    return state.last_insert_rowid()


def roll_back_to_phase(phase: PhaseName) -> Operation[int]:
    """Keep every result through `phase`; all later ones become pending. Returns the checkpoint.

    Costs the same however many documents there are: a branch row, a head row, and a copy of the
    counters of the phases that are kept.
    """

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        head = read_head(state)
        if not head.lineages:
            raise UsageError("There is nothing to roll back: this workspace has not run yet.")
        kept = PHASE_NUMBER[phase]
        lineages = [0] + [head.lineages[name] for name in DOCUMENT_PHASES if PHASE_NUMBER[name] <= kept]
        branch = _fork(transaction, head, transaction.last_seq, kept, f"roll back to {phase}")
        state.execute(
            f"""INSERT INTO counter SELECT {branch}, lineage, status, n, bytes, tokens FROM counter
            WHERE branch = ? AND lineage IN ({",".join("?" * len(lineages))})""",  # noqa: S608
            (head.branch, *lineages),
        )
        state.execute("UPDATE head SET settled = 0")
        identifier = _insert_checkpoint(transaction, read_head(state), 0, phase)
        state.execute("UPDATE head SET checkpoint = ?", (identifier,))
        return identifier

    return operation


def roll_back_to_checkpoint(checkpoint: int) -> Operation[int]:
    """Put the head exactly where it was at a checkpoint: its results, its settings, its scan."""

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        row = state.execute(
            """SELECT branch, scan, seq, lineages, totals, inside, scan_changes FROM checkpoint
            WHERE id = ?""",
            (checkpoint,),
        ).fetchone()
        if row is None:
            raise UsageError(f"There is no checkpoint {checkpoint}; `tui-scraper checkpoints` lists them.")
        branch, scan, seq, lineages, totals, inside, scan_changes = row
        cleaned_before = read_head(state).lineages.get(PhaseName.CLEAN)
        origin = Head(branch, scan, checkpoint, {}, ())
        new_branch = _fork(
            transaction, origin, seq, PHASE_NUMBER[PhaseName.OUTPUT], f"checkpoint {checkpoint}"
        )
        state.execute(
            "UPDATE head SET scan = ?, checkpoint = ?, lineages = ?, settled = 0",
            (scan, checkpoint, lineages),
        )
        if scan_changes == _scan_changes(state, scan):
            _restore_counters(state, new_branch, json.loads(lineages), json.loads(totals), json.loads(inside))
        else:
            _count_anew(state)
        if read_head(state).lineages.get(PhaseName.CLEAN) != cleaned_before:
            match_members(transaction)
        return checkpoint

    return operation


def _scan_changes(state: apsw.Connection, scan: int) -> int:
    return int(state.execute("SELECT coalesce(max(changes), 0) FROM scan WHERE id = ?", (scan,)).get)


def _restore_counters(
    state: apsw.Connection,
    branch: int,
    lineages: dict[str, int],
    totals: dict[str, dict[str, list[int]]],
    inside: list[int],
) -> None:
    for name, by_status in totals.items():
        if name == PhaseName.INPUT:
            found = [sum(part) for part in zip(*by_status.values(), strict=True)]
            add_count(state, branch, FOUND, FOUND_ALL, found[0], found[1])
            add_count(state, branch, FOUND, FOUND_INSIDE, *inside)
        for status, (n, size_bytes, tokens) in by_status.items():
            if name != PhaseName.INPUT or status != Status.DONE:
                number = STATUS_NUMBER[Status(status)]
                add_count(state, branch, lineages[name], number, n, size_bytes, tokens)


def _count_anew(state: apsw.Connection) -> None:
    """Count what the head sees: its scan went on to register documents after the checkpoint was taken.

    They stay known, and are pending. O(documents), where everything else of a rollback is O(1).
    """
    head = read_head(state)
    recount_found(state, head)
    for phase in head.lineages:
        recount(state, head, phase)


def _fork(transaction: Transaction, head: Head, seq: int, kept: int, why: str) -> int:
    state = transaction.state
    before = state.execute("SELECT branch FROM head").get
    state.execute("INSERT INTO branch(parent, fork_seq, kept) VALUES(?, ?, ?)", (head.branch, seq, kept))
    branch = state.last_insert_rowid()
    state.execute("UPDATE head SET branch = ?", (branch,))
    state.execute(
        "INSERT INTO reflog(time, branch_before, branch_after, why) VALUES(?, ?, ?, ?)",
        (time.time(), before, branch, why),
    )
    return branch


def read_checkpoints(connection: apsw.Connection) -> list[Checkpoint]:
    """Every checkpoint, oldest first."""
    head = read_head(connection)
    rows = connection.execute(
        "SELECT id, parent, time, phase, totals, tokens, cost_nano_usd, name FROM checkpoint ORDER BY id"
    )
    return [
        Checkpoint(
            id=identifier,
            parent=parent,
            time=when,
            phase=list(PhaseName)[phase],
            counts={
                name: {status: count[0] for status, count in by_status.items()}
                for name, by_status in json.loads(totals).items()
            },
            tokens=tokens,
            cost_nano_usd=cost,
            name=name,
            head=identifier == head.checkpoint,
        )
        for identifier, parent, when, phase, totals, tokens, cost, name in rows
    ]
