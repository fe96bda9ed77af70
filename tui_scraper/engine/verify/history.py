"""History: branches, checkpoints, the head and its moves lead to things that exist.

Looked at before anything that asks the head, because a head or a branch that cannot be followed would end
those checks, or never let them end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tui_scraper.engine.models import PHASES, PhaseName
from tui_scraper.engine.store.connection import STATE_FILE
from tui_scraper.engine.store.counters import decode_rows
from tui_scraper.engine.store.head import (
    DOCUMENT_PHASES,
    PHASE_NUMBER,
    Head,
    config_hash,
    decode_lineages,
    parent_lineage,
    read_head,
)
from tui_scraper.engine.store.ledger import read_spending, sum_up
from tui_scraper.engine.store.results import unfinished
from tui_scraper.engine.store.seal import counted, highest
from tui_scraper.engine.verify.look import Finding, Look
from tui_scraper.engine.verify.report import Damage

_RUN_STATES = ("running", "complete", "stopped", "paused", "failed", "incomplete")

FROM_CHECKPOINT = "The head is put where the newest checkpoint or the last move of the head left it."
_COUNTED_ANEW = "Its counters are made anew from the results."
_TAKEN_OUT = "The row is taken out."


def check_history(look: Look) -> Iterator[Finding]:
    """Branches, runs, scans, checkpoints, the head and the moves of the head."""
    yield from _settings(look)
    branches = list(_branches(look))
    yield from branches
    yield from _scans_and_runs(look)
    yield from _checkpoints(look)
    yield from _head(look, whole=not branches)
    yield from _reflog(look)
    yield from _ledger(look)


def _settings(look: Look) -> Iterator[Damage]:
    """Configurations are named by their hash, and lineages are chains of them."""
    look.proceed(look.one("SELECT count(*) FROM config"))
    for identifier in misnamed_settings(look):
        yield Damage(
            f"The settings {identifier} do not have the hash they are named by.",
            f"{STATE_FILE}: config",
            "They and what was made with them are left out; the documents become pending.",
        )
    for identifier, parent, phase in look.ask(f"SELECT l.id, l.parent, l.phase {BASELESS_LINEAGES}"):
        yield Damage(
            f"The lineage {identifier} (phase {phase}, on top of {parent}) does not go with its settings.",
            f"{STATE_FILE}: lineage",
            "It and what was made on it are left out; the documents become pending.",
        )


BASELESS_LINEAGES = """
    FROM lineage l LEFT JOIN config c ON c.id = l.config LEFT JOIN lineage p ON p.id = l.parent
    WHERE c.id IS NULL OR c.phase != l.phase OR l.phase NOT BETWEEN 0 AND 4
        OR (l.parent != 0) != (l.phase > 1) OR (l.parent != 0 AND p.phase IS NOT l.phase - 1)"""
"""SQL: lineages `l` without settings, or that do not stand on one of the phase before."""

BASELESS_BRANCHES = """FROM branch b LEFT JOIN branch p ON p.id = b.parent
    WHERE b.parent >= b.id OR b.parent < 0 OR (b.parent > 0 AND p.id IS NULL) OR b.fork_seq < 0
        OR b.kept NOT BETWEEN 0 AND 5 OR (b.parent = 0 AND b.id != 1 AND b.began >= 0)"""
"""SQL: branches `b` that do not begin at an older one. One that a repair began at nothing has `began` -1."""


def misnamed_settings(look: Look) -> Iterator[int]:
    """Configurations whose hash is not that of their settings and their version (0: it is not known)."""
    for identifier, phase, hashed, text, version in look.ask(
        "SELECT id, phase, hash, json, version FROM config"
    ):
        try:
            config = json.loads(text)
            right = version == 0 or config_hash(PHASES[phase], version, config) == hashed
        except (ValueError, TypeError, IndexError):
            right = False
        if not (right and isinstance(config, dict)):
            yield identifier


def _branches(look: Look) -> Iterator[Damage]:
    for identifier in look.ask(f"SELECT b.id {BASELESS_BRANCHES}"):
        yield Damage(
            f"The branch {identifier[0]} does not begin at one that is there.",
            f"{STATE_FILE}: branch",
            "It begins at nothing; documents whose results came from before it become pending.",
        )
    look.proceed(look.one("SELECT count(*) FROM branch"))


def _scans_and_runs(look: Look) -> Iterator[Damage]:
    look.proceed(look.one("SELECT (SELECT count(*) FROM scan) + (SELECT count(*) FROM run)"))
    for identifier in unclear_scans(look):
        yield Damage(
            f"The scan {identifier} cannot be understood.",
            f"{STATE_FILE}: scan",
            "It counts as one that changed something and passed over nothing.",
        )
    for identifier in unclear_runs(look):
        yield Damage(f"The run {identifier} cannot be understood.", f"{STATE_FILE}: run", _TAKEN_OUT)


def unclear_scans(look: Look) -> list[int]:
    """Scans that nobody can have written."""
    rows = look.ask("SELECT id, ignored, changes, sealed FROM scan")
    return [row[0] for row in rows if not _is_object(row[1]) or row[2] < 0 or row[3] not in (0, 1)]


def unclear_runs(look: Look) -> list[int]:
    """Runs that nobody can have written."""
    rows = look.ask("SELECT id, settings, state FROM run")
    return [row[0] for row in rows if not _is_object(row[1]) or row[2] not in _RUN_STATES]


def _is_object(text: object) -> bool:
    try:
        return isinstance(json.loads(text), dict) if isinstance(text, str) else False
    except ValueError:
        return False


def _checkpoints(look: Look) -> Iterator[Damage]:
    where = f"{STATE_FILE}: checkpoint"
    look.proceed(look.one("SELECT count(*) FROM checkpoint"))
    for identifier in adrift(look):
        yield Damage(f"The checkpoint {identifier} leads to what is not there.", where, _TAKEN_OUT)
    for identifier, counters, tokens, cost in look.ask(
        "SELECT id, counters, tokens, cost_nano_usd FROM checkpoint"
    ):
        if tokens < 0 or cost < 0:
            what = f"The checkpoint {identifier} tells of less than nothing spent."
            yield Damage(what, where, "It tells of nothing spent.")
        if counters is not None and not are_counters(counters):
            what = f"The counters of checkpoint {identifier} cannot be understood."
            yield Damage(what, where, _COUNTED_ANEW)
    for name in look.ask(
        "SELECT name FROM checkpoint WHERE name IS NOT NULL GROUP BY name HAVING count(*) > 1"
    ):
        yield Damage(f"Several checkpoints are called '{name[0]}'.", where, "The newest keeps the name.")


def adrift(look: Look) -> list[int]:
    """Checkpoints from which something that is not there would be looked for."""
    lineages = dict(look.ask("SELECT id, phase FROM lineage"))
    rows: Any = look.state.execute(
        """SELECT c.id, c.lineages,
            (c.parent IS NULL OR (p.id IS NOT NULL AND c.parent < c.id)) AND c.phase BETWEEN 0 AND 5
            AND b.id IS NOT NULL AND (c.scan = 0 OR s.sealed = 1) AND (c.run = 0 OR r.id IS NOT NULL)
            AND c.seq BETWEEN 0 AND ?
        FROM checkpoint c LEFT JOIN checkpoint p ON p.id = c.parent LEFT JOIN branch b ON b.id = c.branch
            LEFT JOIN scan s ON s.id = c.scan LEFT JOIN run r ON r.id = c.run""",
        (highest(look.state, "result", "seq"),),
    )
    return [identifier for identifier, text, leads in rows if not leads or not lead(text, lineages)]


def lead(text: object, phases: dict[int, int]) -> bool:
    """Whether these lineages, as JSON, are there, each of its phase and on top of the one before."""
    try:
        lineages = decode_lineages(str(text))
    except (ValueError, AttributeError, TypeError):
        return False
    return set(lineages) in (set(), set(DOCUMENT_PHASES)) and all(
        phases.get(lineage) == PHASE_NUMBER[phase] for phase, lineage in lineages.items()
    )


def are_counters(text: str) -> bool:
    """Whether a checkpoint can have kept this as its counters."""
    try:
        return all(
            len(row) == 7
            and isinstance(row[2], str)
            and all(isinstance(n, int) for n in (*row[:2], *row[3:]))
            for row in decode_rows(text)
        )
    except (ValueError, TypeError):
        return False


def _head(look: Look, *, whole: bool) -> Iterator[Damage]:
    """Set `look.head`, where it can be followed."""
    look.proceed(1)
    where = f"{STATE_FILE}: head"
    if look.one("SELECT 1 FROM head") is None:
        yield Damage("The head is missing.", where, FROM_CHECKPOINT)
        return
    if not head_leads(look):
        yield Damage("The head leads to what is not there.", where, FROM_CHECKPOINT)
        return
    if not whole:  # a chain of branches that is broken somewhere is not followed
        return
    look.head = head = read_head(look.state)
    for what, here in misplaced(look, head):
        yield Damage(f"The head is not where it was put: {what} {here}.", where, FROM_CHECKPOINT)
    if PhaseName.INDEX in head.lineages:
        yield from _generation(look, head.lineages[PhaseName.INDEX])


def head_leads(look: Look) -> bool:
    """Whether everything that the head names is there."""
    row: Any = look.state.execute(
        """SELECT h.lineages, b.id IS NOT NULL
            AND (h.scan = 0 OR EXISTS (SELECT 1 FROM scan WHERE id = h.scan))
            AND (h.checkpoint = 0 OR EXISTS (SELECT 1 FROM checkpoint WHERE id = h.checkpoint))
            AND (h.run = 0 OR EXISTS (SELECT 1 FROM run WHERE id = h.run))
            AND h.settled >= 0 AND h.pinned IN (0, 1) AND h.arrived BETWEEN 0 AND ?
        FROM head h LEFT JOIN branch b ON b.id = h.branch""",
        (highest(look.state, "result", "seq"),),
    ).fetchone()
    if row is None or not row[1]:
        return False
    if not lead(row[0], dict(look.ask("SELECT id, phase FROM lineage"))):
        return False
    lineages, parents = decode_lineages(row[0]), dict(look.ask("SELECT id, parent FROM lineage"))
    return all(parents[lineage] == parent_lineage(lineages, phase) for phase, lineage in lineages.items())


def misplaced(look: Look, head: Head) -> Iterator[tuple[str, int]]:
    """What the head says although nothing has put it there: neither its last move nor what came after it."""
    text = look.one("SELECT after FROM reflog ORDER BY id DESC LIMIT 1")
    newest = {
        table: look.one(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608
        for table in ("checkpoint", "run")
    }
    moved: dict[str, int] = {"branch": 1, "pinned": 0, **newest}
    if text is not None:
        try:
            moved.update(json.loads(text))
        except ValueError:
            return  # told of where the moves are looked at
    forgotten = text is None and counted(look.state, "gone:reflog")
    if head.branch != moved["branch"] and not forgotten:
        yield "branch", head.branch
    for what, here in (("checkpoint", head.checkpoint), ("run", head.run)):
        if here not in (moved[what], newest[what]) and not forgotten:
            yield what, here
    if head.pinned and not moved["pinned"] and not forgotten:
        yield "pinned", 1
    if head.settled and (unfinished := _first_unfinished(look, head)) <= head.settled:
        yield f"everything finished up to version {head.settled:,}, but not", unfinished


def _first_unfinished(look: Look, head: Head) -> int:
    """The first version at the head that has not finished; beyond all where there is none."""
    after = 0
    while True:
        page, reached = unfinished(look.state, head, after, 2_000, PhaseName.INDEX)
        if page:
            return page[0].version
        if reached == after or reached > head.settled:
            return head.settled + 1
        after = reached


def _generation(look: Look, lineage: int) -> Iterator[Damage]:
    text = look.one("SELECT c.json FROM lineage l JOIN config c ON c.id = l.config WHERE l.id = ?", lineage)
    known = look.one("SELECT value FROM meta WHERE key = 'index_generation'")
    try:
        generation = json.loads(text).get("generation", 0)
    except (ValueError, AttributeError):
        return  # told of as damaged settings
    if isinstance(known, int) and isinstance(generation, int) and generation > known:
        look.found.index = True
        yield Damage(
            f"The head has results of index {generation}, and the newest known is {known}.",
            f"{STATE_FILE}: meta",
            "The index is made anew by the next run.",
        )


def _reflog(look: Look) -> Iterator[Damage]:
    look.proceed(look.one("SELECT count(*) FROM reflog"))
    for identifier in lost_moves(look):
        yield Damage(
            f"The move {identifier} of the head leads to what is not there.",
            f"{STATE_FILE}: reflog",
            "The row is taken out: this move can no longer be taken back.",
        )


def lost_moves(look: Look) -> Iterator[int]:
    """Moves of the head of which one end is not there."""
    exists: list[tuple[str, Callable[[Any], bool]]] = [
        ("branch", _there(look, "SELECT id FROM branch")),
        ("scan", _there(look, "SELECT id FROM scan UNION SELECT 0")),
        ("checkpoint", _there(look, "SELECT id FROM checkpoint UNION SELECT 0")),
        ("run", _there(look, "SELECT id FROM run UNION SELECT 0")),
    ]
    phases = dict(look.ask("SELECT id, phase FROM lineage"))

    def leads(end: str) -> bool:
        try:
            head = json.loads(end)
            right = all(there(head[key]) for key, there in exists) and lead(
                json.dumps(head["lineages"]), phases
            )
            return right and isinstance(head["pinned"], int) and isinstance(head["settled"], int)
        except (ValueError, KeyError, TypeError):
            return False

    for identifier, before, after in look.ask("SELECT id, before, after FROM reflog"):
        if not (leads(before) and leads(after)):
            yield identifier


def _there(look: Look, sql: str) -> Callable[[Any], bool]:
    known = {row[0] for row in look.ask(sql)}
    return lambda identifier: isinstance(identifier, int) and identifier in known


def _ledger(look: Look) -> Iterator[Damage]:
    look.proceed(look.one("SELECT count(*) FROM ledger"))
    for identifier in look.ask(
        """SELECT l.id FROM ledger l LEFT JOIN run r ON r.id = l.run
        WHERE (r.id IS NULL AND l.run != 0) OR l.tokens_in < 0 OR l.tokens_out < 0 OR l.cost_nano_usd < 0
            OR l.state NOT IN ('sent', 'settled', 'released', 'lost')"""
    ):
        yield Damage(
            f"The payment {identifier[0]} cannot be right.",
            f"{STATE_FILE}: ledger",
            "It is kept, with what cannot be right put to nothing.",
        )
    kept, counted = read_spending(look.state), sum_up(look.state)
    if replace(kept, unsaved_tokens=0) != counted or look.one("SELECT count(*) FROM spending") != 1:
        yield Damage(
            "The sums of what has been paid are not those of the payments.",
            f"{STATE_FILE}: spending",
            "They are added up anew; where they were more than the payments, the rest stays counted as one.",
        )
