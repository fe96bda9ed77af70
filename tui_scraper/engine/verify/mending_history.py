"""Mending history: branches, scans, checkpoints, the head and its moves lead to things that exist again.

Nothing is invented that could hide a loss: a branch whose beginning is lost begins at nothing, so that what
it had from before is asked again, and found by its key.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

from tui_scraper.engine.store.head import Head, decode_head, read_head, read_point, write_head
from tui_scraper.engine.store.ledger import mend_spending
from tui_scraper.engine.store.seal import counted, highest
from tui_scraper.engine.verify.history import (
    BASELESS_BRANCHES,
    BASELESS_LINEAGES,
    adrift,
    are_counters,
    head_leads,
    lost_moves,
    misnamed_settings,
    misplaced,
    unclear_runs,
    unclear_scans,
)
from tui_scraper.engine.verify.look import Look

Tell = Callable[[int, str], None]

_MOST_SCANS = 100_000
"""More missing scans than that are no scans: a number somewhere is damaged."""


def mend_history(look: Look, tell: Tell) -> None:
    """All of it, from the ground up."""
    _settings(look, tell)
    _branches(look, tell)
    _scans(look, tell)
    _runs(look, tell)
    _checkpoints(look, tell)
    moves_lost = _moves(look, tell)
    _head(look, tell, moves_lost)
    look.state.execute("UPDATE ledger SET run = 0 WHERE run NOT IN (SELECT id FROM run)")
    look.state.execute(
        """UPDATE ledger SET tokens_in = max(tokens_in, 0), tokens_out = max(tokens_out, 0),
        cost_nano_usd = max(cost_nano_usd, 0) WHERE min(tokens_in, tokens_out, cost_nano_usd) < 0"""
    )
    mend_spending(look.state)


def _delete(look: Look, table: str, identifiers: list[int]) -> int:
    look.state.executemany(f"DELETE FROM {table} WHERE id = ?", [(one,) for one in identifiers])  # noqa: S608
    return len(identifiers)


def _settings(look: Look, tell: Tell) -> None:
    tell(_delete(look, "config", list(misnamed_settings(look))), "settings taken out")
    removed = 0
    while baseless := [row[0] for row in look.ask(f"SELECT l.id {BASELESS_LINEAGES}")]:
        removed += _delete(look, "lineage", baseless)
    tell(removed, "lineages taken out")


def _branches(look: Look, tell: Tell) -> None:
    known = max(
        highest(look.state, "branch", "id"),
        look.one(
            """SELECT coalesce(max(branch), 1)
            FROM (SELECT branch FROM checkpoint UNION SELECT branch FROM head)"""
        ),
    )
    missing = look.ask(
        """SELECT branch FROM (SELECT DISTINCT branch FROM result UNION SELECT branch FROM checkpoint
            UNION SELECT branch FROM head UNION SELECT 1)
        WHERE branch BETWEEN 1 AND ? AND branch NOT IN (SELECT id FROM branch)""",
        known,
    )
    look.state.executemany("INSERT INTO branch(id, parent, fork_seq, kept) VALUES(?, 0, 0, 5)", missing)
    baseless = look.ask(f"SELECT b.id {BASELESS_BRANCHES}")
    look.state.executemany(
        "UPDATE branch SET parent = 0, fork_seq = 0, kept = 5, began = -1 WHERE id = ?", baseless
    )
    tell(len(missing) + len(baseless), "branches begun at nothing")


def _scans(look: Look, tell: Tell) -> None:
    unclear = unclear_scans(look)
    look.state.executemany(
        "UPDATE scan SET ignored = '{}', changes = 1, sealed = 1 WHERE id = ?", [(one,) for one in unclear]
    )
    last = max(
        highest(look.state, "scan", "id"),
        look.one(
            "SELECT coalesce(max(scan), 0) FROM (SELECT scan FROM checkpoint UNION SELECT scan FROM head)"
        ),
    )
    there = look.one("SELECT count(*) FROM scan")
    if last - there <= _MOST_SCANS:
        look.state.execute(
            """WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
            INSERT INTO scan(id, started, ended, changes, sealed)
            SELECT n, 0, 0, 1, 1 FROM number WHERE n <= ? AND n NOT IN (SELECT id FROM scan)""",
            (last, last),
        )
    look.state.execute("UPDATE scan SET sealed = 1 WHERE sealed = 0 AND id IN (SELECT scan FROM checkpoint)")
    tell(
        look.one("SELECT count(*) FROM scan") - there + len(unclear),
        "scans of which only the number is known",
    )


def _runs(look: Look, tell: Tell) -> None:
    tell(_delete(look, "run", unclear_runs(look)), "runs taken out")
    look.state.execute("UPDATE checkpoint SET run = 0 WHERE run NOT IN (SELECT id FROM run)")
    look.state.execute("UPDATE head SET run = 0, pinned = 0 WHERE run NOT IN (SELECT id FROM run)")


def _checkpoints(look: Look, tell: Tell) -> None:
    parents = (
        "UPDATE checkpoint SET parent = NULL WHERE parent NOT IN (SELECT id FROM checkpoint) OR parent >= id"
    )
    look.state.execute(parents)
    look.state.execute(
        """UPDATE checkpoint SET tokens = max(tokens, 0), cost_nano_usd = max(cost_nano_usd, 0)
        WHERE min(tokens, cost_nano_usd) < 0"""
    )
    look.state.execute(
        """UPDATE checkpoint SET name = NULL WHERE name IS NOT NULL
        AND EXISTS (SELECT 1 FROM checkpoint n WHERE n.name = checkpoint.name AND n.id > checkpoint.id)"""
    )
    tell(_delete(look, "checkpoint", adrift(look)), "checkpoints taken out")
    look.state.execute(parents)
    for identifier, counters in look.ask("SELECT id, counters FROM checkpoint WHERE counters IS NOT NULL"):
        if not are_counters(counters):
            look.state.execute("UPDATE checkpoint SET counters = NULL WHERE id = ?", (identifier,))


def _moves(look: Look, tell: Tell) -> bool:
    """Take out moves of the head that lead nowhere. Returns whether any are missing."""
    lost = highest(look.state, "reflog", "id") - look.one("SELECT count(*) FROM reflog")
    removed = _delete(look, "reflog", list(lost_moves(look)))
    tell(removed, "moves of the head taken out")
    return removed > 0 or lost > counted(look.state, "gone:reflog")


def _head(look: Look, tell: Tell, moves_lost: bool) -> None:
    """Keep the head where that can be; else put it where the last move or the newest checkpoint left it."""
    state = look.state
    state.execute("UPDATE head SET settled = 0, arrived = 0, pinned = pinned != 0")
    state.execute("UPDATE head SET checkpoint = 0 WHERE checkpoint NOT IN (SELECT id FROM checkpoint)")
    state.execute(
        """UPDATE head SET scan = (SELECT coalesce(max(id), 0) FROM scan)
        WHERE scan NOT IN (SELECT id FROM scan)"""
    )
    if not head_leads(look):
        if look.one("SELECT 1 FROM head") is None:
            state.execute(
                "INSERT INTO head(one, branch, scan, checkpoint, lineages) VALUES(1, 0, 0, 0, '{}')"
            )
        write_head(state, _last_known(look))
        tell(1, "head put where it was last known to be")
    head = read_head(state)
    wrong = {what for what, _here in misplaced(look, head)}
    if "branch" in wrong and not moves_lost:
        head = _last_known(look)
        write_head(state, head)
        tell(1, "head put where it was last known to be")
    elif wrong - {"branch"}:
        newest = look.one("SELECT coalesce(max(id), 0) FROM checkpoint")
        run = look.one("SELECT coalesce(max(id), 0) FROM run")
        head = dataclasses.replace(head, checkpoint=newest, run=run, pinned=False)
        write_head(state, head)
        tell(1, "head put right")
    if {what for what, _here in misplaced(look, read_head(state))}:
        # The head is right and what moved it there is lost: from now on it counts as moved here.
        state.execute(
            "INSERT INTO reflog(time, before, after, why) VALUES(?, ?, ?, 'repaired')",
            (time.time(), head.encode(), head.encode()),
        )


def _last_known(look: Look) -> Head:
    """The head of the last move, or of the newest checkpoint where that is younger."""
    move: Any = look.state.execute("SELECT after, time FROM reflog ORDER BY id DESC LIMIT 1").fetchone()
    point: Any = look.state.execute(
        "SELECT id, branch, time FROM checkpoint ORDER BY id DESC LIMIT 1"
    ).fetchone()
    scan = look.one("SELECT coalesce(max(id), 0) FROM scan")
    if move is not None and (
        point is None or move[1] >= point[2] or json.loads(move[0])["branch"] != point[1]
    ):
        return dataclasses.replace(decode_head(look.state, move[0]), settled=0)
    if point is not None:
        found = read_point(look.state, point[0])
        assert found is not None
        return found
    branch = look.one("SELECT min(id) FROM branch")
    return Head(branch=branch, scan=scan, checkpoint=0, lineages={}, chain=())
