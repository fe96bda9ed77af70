"""Checkpoints: points of history with what held there, named, listed and thinned out for display.

A checkpoint is a row: where the head stood, its counters, and the run whose settings were in force. The
results themselves are append-only, so nothing is copied and nothing can be lost by taking or leaving one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.models import PHASES, Checkpoint, PhaseName
from tui_scraper.engine.store.counters import counter_rows, decode_rows, encode_rows, totals_of
from tui_scraper.engine.store.epochs import seal
from tui_scraper.engine.store.head import (
    PHASE_NUMBER,
    Head,
    decode_lineages,
    encode_lineages,
    read_head,
)
from tui_scraper.engine.store.ledger import read_spending
from tui_scraper.engine.store.writer import Operation, Transaction

_NAME_CHARS = 100
_NOTE_CHARS = 2_000


def take_checkpoint(phase: PhaseName, settled: int = 0, *, why: str = "") -> Operation[int]:
    """Record a point to come back to. `settled` advances the head's mark of finished versions."""

    def operation(transaction: Transaction) -> int:
        head = read_head(transaction.state)
        identifier = insert_checkpoint(transaction, head, phase, why)
        transaction.state.execute(
            "UPDATE head SET checkpoint = ?, settled = max(settled, ?)", (identifier, settled)
        )
        return identifier

    return operation


def insert_checkpoint(transaction: Transaction, head: Head, phase: PhaseName, why: str) -> int:
    """Write a checkpoint of `head`, which must be the present one. The head stays where it is."""
    state = transaction.state
    spent = read_spending(state)
    tokens, cost = spent.tokens_in + spent.tokens_out, spent.cost_nano_usd
    state.execute(
        """INSERT INTO checkpoint(parent, run, branch, scan, seq, phase, why, lineages, counters, tokens,
        cost_nano_usd, time) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            head.checkpoint or None,
            head.run,
            head.branch,
            head.scan,
            transaction.last_seq,
            PHASE_NUMBER[phase],
            why,
            encode_lineages(head.lineages),
            encode_rows(counter_rows(state, head)),
            tokens,
            cost,
            time.time(),
        ),
    )
    seal(state, head.scan)
    return state.last_insert_rowid()


def changed_since_checkpoint(transaction: Transaction) -> bool:
    """Whether the head holds anything that its checkpoint does not: results, documents or settings.

    Only what was made since the head came here can be that: a point is left with a checkpoint of its own.
    """
    state = transaction.state
    head = read_head(state)
    row = state.execute("SELECT seq FROM checkpoint WHERE id = ?", (head.checkpoint,)).fetchone()
    arrived = state.execute("SELECT arrived FROM head").get
    if row is None or transaction.last_seq > max(row[0], arrived):
        return True
    return not _is_of(state, head, head.checkpoint)


def phases_marked(transaction: Transaction) -> set[PhaseName]:
    """The phases of the head's checkpoint and of those before it, as long as nothing lies between."""
    marked: set[PhaseName] = set()
    if changed_since_checkpoint(transaction):
        return marked
    state = transaction.state
    head = read_head(state)
    sql = "SELECT phase, parent, seq FROM checkpoint WHERE id = ?"
    phase: Any
    parent: Any
    phase, parent, reached = state.execute(sql, (head.checkpoint,)).fetchall()[0]
    seq = reached
    while seq == reached:
        marked.add(PHASES[phase])
        if parent is None or not _is_of(state, head, parent):
            break
        phase, parent, seq = state.execute(sql, (parent,)).fetchall()[0]
    return marked


def _is_of(state: apsw.Connection, head: Head, checkpoint: int) -> bool:
    """Whether a checkpoint has the head's settings, and its documents."""
    row = state.execute("SELECT scan, lineages FROM checkpoint WHERE id = ?", (checkpoint,)).fetchone()
    if row is None or decode_lineages(row[1]) != head.lineages:
        return False
    changes = state.execute(
        "SELECT coalesce(sum(changes), 0) FROM scan WHERE id > ? AND id <= ?", (row[0], head.scan)
    ).get
    return not changes


def name_checkpoint(checkpoint: int, name: str | None, note: str | None = None) -> Operation[None]:
    """Give a checkpoint a name ('' takes it away) and a note; None leaves what there is.

    Raises UsageError where it does not exist, the name is taken or could not be told from an id or a phase.
    """

    def operation(transaction: Transaction) -> None:
        state = transaction.state
        require_checkpoint(state, checkpoint)
        if name is not None:
            _check_name(state, checkpoint, name)
            state.execute("UPDATE checkpoint SET name = ? WHERE id = ?", (name or None, checkpoint))
        if note is not None:
            if len(note) > _NOTE_CHARS:
                raise UsageError(f"A note has at most {_NOTE_CHARS:,} characters.")
            state.execute("UPDATE checkpoint SET note = ? WHERE id = ?", (note or None, checkpoint))

    return operation


def _check_name(state: apsw.Connection, checkpoint: int, name: str) -> None:
    if not name:
        return
    if len(name) > _NAME_CHARS or name != name.strip() or not name.isprintable():
        raise UsageError(f"A name has at most {_NAME_CHARS} visible characters, and no space around it.")
    if name.isdecimal() or name in set(PHASES):
        raise UsageError(f"'{name}' would be taken for the number of a checkpoint or for a phase.")
    taken = state.execute("SELECT id FROM checkpoint WHERE name = ? AND id != ?", (name, checkpoint)).get
    if taken is not None:
        raise UsageError(f"Checkpoint {taken} has the name '{name}' already.")


def require_checkpoint(state: apsw.Connection, checkpoint: int) -> None:
    """Raise UsageError where there is no checkpoint with that id."""
    if state.execute("SELECT 1 FROM checkpoint WHERE id = ?", (checkpoint,)).get is None:
        raise UsageError(f"There is no checkpoint {checkpoint}; `tui-scraper checkpoints` lists them.")


def find_checkpoint(state: apsw.Connection, word: str) -> int:
    """The checkpoint that a person means by an id or a name. Raises UsageError."""
    if word.isascii() and word.isdecimal():
        require_checkpoint(state, int(word[:18]))
        return int(word)
    found = state.execute("SELECT id FROM checkpoint WHERE name = ?", (word,)).get
    if found is None:
        raise UsageError(f"There is no checkpoint called '{word}'; `tui-scraper checkpoints` lists them.")
    return int(found)


_COLUMNS = "id, parent, time, phase, counters, lineages, tokens, cost_nano_usd, name, note, why, branch, run"


def read_checkpoints(
    connection: apsw.Connection, identifiers: Sequence[int] | None = None
) -> list[Checkpoint]:
    """Checkpoints, oldest first: all, or those with these ids."""
    head = read_head(connection)
    wanted, values = "", tuple[str, ...]()
    if identifiers is not None:
        wanted, values = "WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(identifiers)),)
    rows: Any = connection.execute(f"SELECT {_COLUMNS} FROM checkpoint {wanted} ORDER BY id", values)  # noqa: S608
    return [_checkpoint(row, head) for row in rows]


def _checkpoint(row: Any, head: Head) -> Checkpoint:
    identifier, parent, when, phase, counters, lineages, tokens, cost, name, note, why, branch, run = row
    kept = None if counters is None else totals_of(decode_rows(counters), decode_lineages(lineages))
    return Checkpoint(
        id=identifier,
        parent=parent,
        time=when,
        phase=PHASES[phase],
        counts=None if kept is None else kept.documents(),
        tokens=tokens,
        cost_nano_usd=cost,
        name=name,
        head=identifier == head.checkpoint,
        note=note,
        why=why,
        branch=branch,
        run=run,
    )


_RECENT = 20
_RECENT_RUNS = 5
_DAY = 86_400.0
_STEPS = ((3_600.0, 60.0), (_DAY, 600.0), (30 * _DAY, 3_600.0), (float("inf"), _DAY))
"""Age in seconds up to which one checkpoint within so many seconds is shown."""


def thinned(connection: apsw.Connection, now: float | None = None) -> list[int]:
    """The ids of the checkpoints worth showing when there are many, oldest first.

    Shown are those with a name or a note, the head, both ends of every move, the last of each phase in the
    last five runs, the last twenty, and of the rest one a minute within the last hour, one in ten minutes
    within a day, one an hour within thirty days, one a day before that. Nothing is deleted: the others can be
    listed and gone back to all the same.
    """
    rows: Any = connection.execute(
        "SELECT id, time, coalesce(name, note, why), run, phase FROM checkpoint ORDER BY id DESC"
    ).fetchall()
    moved = {read_head(connection).checkpoint, *_ends_of_moves(connection)}
    recent_run = max((row[3] for row in rows), default=0) - _RECENT_RUNS
    moment = time.time() if now is None else now
    shown: list[int] = []
    seen: set[tuple[float, int]] = set()
    ends: set[tuple[int, int]] = set()
    for place, (identifier, when, said, run, phase) in enumerate(rows):
        step = next(step for age, step in _STEPS if moment - when <= age)
        bucket = (step, int(when // step))
        last_of_phase = run > recent_run and (run, phase) not in ends
        ends.add((run, phase))
        special = said or identifier in moved or last_of_phase
        if special or place < _RECENT or bucket not in seen:
            shown.append(identifier)
            seen.add(bucket)
    return shown[::-1]


def _ends_of_moves(connection: apsw.Connection) -> Iterator[int]:
    """The checkpoints that the head was moved from and to."""
    for column in ("before", "after"):
        for (identifier,) in connection.execute(
            f"SELECT json_extract({column}, '$.checkpoint') FROM reflog WHERE json_valid({column})"  # noqa: S608
        ):
            if isinstance(identifier, int):
                yield identifier
