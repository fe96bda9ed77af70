"""Artifacts that were found damaged: what of them is taken away, and documents that need them made again.

The row of such an artifact stays with its key. The next time the same thing is made of the same input it gets
back what it held, for every branch and every document that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.artifacts import LOST
from tui_scraper.engine.store.counters import count_anew
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER, STATUS_NUMBER, Head, read_head
from tui_scraper.engine.store.results import write_results
from tui_scraper.engine.store.writer import Transaction

ANY_LOST = "any_lost"
"""Key in `meta`: artifacts have been lost, so a move of the head must look for results that need them."""

_DONE = STATUS_NUMBER[Status.DONE]
_PENDING = STATUS_NUMBER[Status.PENDING]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]


def take_away(state: apsw.Connection, artifacts: Iterable[int]) -> None:
    """Take the payloads and the data of damaged artifacts away."""
    state.executemany(
        """UPDATE artifact SET blob = NULL, data = NULL,
            data_sum = iif(data IS NULL AND phase IN (1, 2), data_sum, coalesce(data_sum, zeroblob(8)))
        WHERE id = ?""",
        [(artifact,) for artifact in artifacts],
    )
    state.execute("INSERT INTO meta VALUES(?, 1) ON CONFLICT DO NOTHING", (ANY_LOST,))


def settle_lost(transaction: Transaction) -> None:
    """Have what damage took away made again where the head is now: it was moved, or has other settings."""
    if transaction.state.execute("SELECT 1 FROM meta WHERE key = ?", (ANY_LOST,)).get:
        put_lost_back(transaction)


def put_lost_back(transaction: Transaction) -> int:
    """Put the documents at the head back to pending whose results are lost. Returns how many results.

    Counters are made anew, where there are any. O(documents).
    """
    state = transaction.state
    head = read_head(state)
    rows = lost_results(state, head)
    if rows:
        put_versions_back(transaction, head, [(row[1], row[2]) for row in rows])
        count_anew(state)
    elif not state.execute(f"SELECT 1 FROM artifact a WHERE {LOST} LIMIT 1").get:  # noqa: S608
        state.execute("DELETE FROM meta WHERE key = ?", (ANY_LOST,))
    return len(rows)


def lost_results(state: apsw.Connection, head: Head) -> list[tuple[bytes, int, int]]:
    """(Path, phase, version) of every result that counts at the head and whose artifact is lost."""
    if not head.lineages:
        return []
    lineages = list(head.lineages.values())
    rows: Any = state.execute(
        f"""SELECT d.path, r.phase, r.version FROM result r CROSS JOIN artifact a ON a.id = r.artifact
        JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
        WHERE {LOST} AND r.status = {_DONE} AND r.lineage IN ({",".join("?" * len(lineages))})
            AND {head.visible()} AND {head.live()}
            AND NOT EXISTS (SELECT 1 FROM result n WHERE n.lineage = r.lineage AND n.version = r.version
                AND n.seq > r.seq AND {head.visible("n")})""",  # noqa: S608
        lineages,
    )
    return list(rows)


def put_versions_back(transaction: Transaction, head: Head, wanted: Sequence[tuple[int, int]]) -> None:
    """Append pending rows for some (phase, version), and for the index, which must be asked again then.

    That holds for the index under all settings: those that are not in force may share what is lost. The
    counters are left as they are.
    """
    state = transaction.state
    indexes: Any = state.execute("SELECT id FROM lineage WHERE phase = ?", (_INDEX,)).fetchall()
    places = dict.fromkeys(
        (phase, head.lineages[DOCUMENT_PHASES[phase]], version) for phase, version in wanted
    )
    places.update(
        dict.fromkeys((_INDEX, lineage, version) for _phase, version in wanted for (lineage,) in indexes)
    )
    rows = []
    for phase, lineage, version in places:
        latest: Any = state.execute(
            f"""SELECT r.status, r.attempt FROM result r WHERE r.lineage = ? AND r.version = ?
                AND {head.visible()} ORDER BY r.seq DESC LIMIT 1""",  # noqa: S608
            (lineage, version),
        ).fetchone()
        if latest is not None and latest[0] != _PENDING:
            attempt = latest[1]
            rows.append(
                (transaction.next_seq(), head.branch, phase, lineage, version, _PENDING, None, attempt)
            )
    write_results(state, rows)
    if rows:
        state.execute("UPDATE head SET settled = 0")
