"""Going back, and taking that back: moves of the head through the history of a workspace.

A rollback writes a branch, a head and a line of the reflog, and copies the few counters of what is kept, so
it costs the same for ten documents as for a million. Nothing is deleted: what the head no longer sees
stays in other branches, and its artifacts under their keys, where the same question finds them again.
Before a move the point that is left gets a checkpoint, unless it has one, so that it can be named later.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection

import apsw

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.checkpoints import (
    changed_since_checkpoint,
    insert_checkpoint,
    require_checkpoint,
)
from tui_scraper.engine.store.counters import FOUND, count_anew, counter_rows, decode_rows, put_rows
from tui_scraper.engine.store.epochs import seal
from tui_scraper.engine.store.head import (
    DOCUMENT_PHASES,
    PHASE_NUMBER,
    SALT,
    Head,
    config_of,
    decode_head,
    lineage_of,
    parent_lineage,
    read_head,
    read_point,
    write_head,
)
from tui_scraper.engine.store.lost import settle_lost
from tui_scraper.engine.store.writer import Operation, Transaction

_OUTPUT = PHASE_NUMBER[PhaseName.OUTPUT]


def roll_back_to_phase(phase: PhaseName, *, fresh: bool = False) -> Operation[int]:
    """Keep every result through `phase`; all later ones become pending. Returns the new checkpoint.

    What was made before comes back from the store when it is asked for with the same settings; with `fresh`
    the later phases are made anew all the same.
    """

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        before = _leave(transaction)
        if not before.lineages:
            raise UsageError("There is nothing to roll back: this workspace has not run yet.")
        kept = PHASE_NUMBER[phase]
        lineages = [FOUND, *(before.lineages[name] for name in DOCUMENT_PHASES if PHASE_NUMBER[name] <= kept)]
        branch = _fork(transaction, before, transaction.last_seq, kept)
        put_rows(state, branch, [row for row in counter_rows(state, before) if row[0] in lineages])
        later = [name for name in DOCUMENT_PHASES if PHASE_NUMBER[name] > kept]
        after = dataclasses.replace(before, branch=branch, settled=0, pinned=bool(before.run))
        if fresh:
            after = dataclasses.replace(after, lineages=_asked_anew(state, before, later, branch))
        write_head(state, after)
        why = f"rolled back to {phase}" + (", to be asked anew" if fresh else "")
        identifier = insert_checkpoint(transaction, read_head(state), phase, why)
        _arrive(transaction, before, dataclasses.replace(after, checkpoint=identifier), why)
        settle_lost(transaction)
        return identifier

    return operation


def roll_back_to_checkpoint(checkpoint: int) -> Operation[int]:
    """Put the head exactly where it was at a checkpoint: its results, its settings, its scan."""

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        require_checkpoint(state, checkpoint)
        before = _leave(transaction)
        row = state.execute("SELECT seq, counters FROM checkpoint WHERE id = ?", (checkpoint,)).get
        seq, counters = row
        origin = read_point(state, checkpoint)
        assert origin is not None
        branch = _fork(transaction, origin, seq, _OUTPUT)
        after = dataclasses.replace(
            origin, branch=branch, checkpoint=checkpoint, settled=0, pinned=bool(origin.run)
        )
        _arrive(transaction, before, after, f"rolled back to checkpoint {checkpoint}")
        if counters is None:
            count_anew(state)
        else:
            put_rows(state, branch, decode_rows(counters))
        settle_lost(transaction)
        return checkpoint

    return operation


def undo() -> Operation[int]:
    """Take the last move of the head back: also an undo, so that twice is as if nothing had been.

    Whatever was done since the move stays where it was done, under the checkpoint that is taken now. Returns
    the checkpoint at the head.
    """

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        row = state.execute("SELECT before, why FROM reflog ORDER BY id DESC LIMIT 1").fetchone()
        if row is None:
            raise UsageError("There is nothing to undo: this workspace was not rolled back.")
        before = _leave(transaction)
        text, why = row
        after = decode_head(state, str(text))
        _arrive(transaction, before, after, f"undone: {why}" if not why.startswith("undone: ") else why[8:])
        settle_lost(transaction)
        return after.checkpoint

    return operation


def _leave(transaction: Transaction) -> Head:
    """Make sure that the point which is left can be come back to. Returns the head."""
    state = transaction.state
    head = read_head(state)
    if head.lineages and changed_since_checkpoint(transaction):
        identifier = insert_checkpoint(transaction, head, _reached(state, head), "before going back")
        state.execute("UPDATE head SET checkpoint = ?", (identifier,))
        head = dataclasses.replace(head, checkpoint=identifier)
    seal(state, head.scan)
    return head


def _reached(state: apsw.Connection, head: Head) -> PhaseName:
    """The phase of the head's last checkpoint: good enough to say where a point lies."""
    number = state.execute("SELECT phase FROM checkpoint WHERE id = ?", (head.checkpoint,)).get
    return (*DOCUMENT_PHASES, PhaseName.OUTPUT)[number or 0]


def _arrive(transaction: Transaction, before: Head, after: Head, why: str) -> None:
    state = transaction.state
    write_head(state, after)
    state.execute("UPDATE head SET arrived = ?", (transaction.last_seq,))
    state.execute(
        "INSERT INTO reflog(time, before, after, why) VALUES(?, ?, ?, ?)",
        (time.time(), before.encode(), after.encode(), why),
    )
    state.execute(
        """UPDATE run SET state = 'incomplete'
        WHERE state = 'complete' AND id = (SELECT max(id) FROM run)"""
    )


def _fork(transaction: Transaction, origin: Head, seq: int, kept: int) -> int:
    """A branch that sees what `origin` does, up to `seq` and phase `kept`. Returns its id."""
    state = transaction.state
    parent, fork_seq, phases = origin.branch, seq, kept
    grandparent, own_fork, own_kept, began = state.execute(
        "SELECT parent, fork_seq, kept, began FROM branch WHERE id = ?", (origin.branch,)
    ).get
    if grandparent and began == transaction.last_seq:  # it has nothing of its own: chains stay short
        parent, fork_seq, phases = grandparent, min(seq, own_fork), min(kept, own_kept)
    state.execute(
        "INSERT INTO branch(parent, fork_seq, kept, began) VALUES(?, ?, ?, ?)",
        (parent, fork_seq, phases, transaction.last_seq),
    )
    return state.last_insert_rowid()


def _asked_anew(
    state: apsw.Connection, head: Head, phases: Collection[PhaseName], salt: int
) -> dict[PhaseName, int]:
    """New lineages for some phases: the same settings with a salt that no phase had before."""
    lineages = dict(head.lineages)
    for phase in phases:
        version, config = config_of(state, lineages[phase])
        if phase is not PhaseName.INDEX:  # it is derived from the others: there is nothing to ask
            config[SALT] = salt
        lineages[phase] = lineage_of(state, phase, version, config, parent_lineage(lineages, phase))
    return lineages


def moves(state: apsw.Connection) -> int:
    """How often the head has been moved."""
    return int(state.execute("SELECT coalesce(max(id), 0) FROM reflog").get)


def if_unmoved(operation: Operation[int], expected: int | None) -> Operation[int]:
    """The operation, refused with UsageError where the head was moved since somebody looked."""

    def checked(transaction: Transaction) -> int:
        if expected is not None and moves(transaction.state) != expected:
            raise UsageError("The head was moved meanwhile, so this would do something else. Look again.")
        return operation(transaction)

    return checked
