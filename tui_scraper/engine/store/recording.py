"""Recording what needs no worker: results taken over from the store, and what the index holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.store.artifacts import cost_of, members_of
from tui_scraper.engine.store.counters import add_count
from tui_scraper.engine.store.epochs import open_scan
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER, STATUS_NUMBER, Head, read_head
from tui_scraper.engine.store.members import keep_members
from tui_scraper.engine.store.results import Work, ended_versions, write_results
from tui_scraper.engine.store.writer import Transaction

_DONE = STATUS_NUMBER[Status.DONE]
_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]


def reuse(entries: Sequence[tuple[Work, int, int, int]]) -> Callable[[Transaction], None]:
    """Record results that exist already under the key that is asked for.

    Each entry is (work, phase number, artifact, tokens); `work.reached` has been brought up to date.
    """

    def operation(transaction: Transaction) -> None:
        state = transaction.state
        any_inside = bool(state.execute("SELECT 1 FROM document WHERE parent > 0 LIMIT 1").get)
        head = open_scan(state) if any_inside else read_head(state)
        rows = []
        ended = set(ended_versions(transaction.state, head, [work.version for work, *_ in entries]))
        for work, phase, artifact, _tokens in entries:
            if phase == _CLEAN and work.version not in ended:
                members = members_of(transaction.state, artifact)
                if members is not None:
                    head = open_scan(state)
                    ended.update(keep_members(transaction, head, work.place, work.document, members))
        for work, phase, artifact, tokens in entries:
            if work.version in ended:
                continue
            lineage = head.lineages[DOCUMENT_PHASES[phase]]
            attempt = work.reached[phase].attempt
            rows.append(
                (transaction.next_seq(), head.branch, phase, lineage, work.version, _DONE, artifact, attempt)
            )
            cost = cost_of(state, artifact) if phase == _CLASSIFY else 0
            add_count(state, head.branch, lineage, _DONE, 1, work.size_bytes, tokens, cost_nano_usd=cost)
        write_results(state, rows)

    return operation


@dataclass(frozen=True, slots=True)
class Indexed:
    """A document that a committed index holds: its version, and `artifact`, its chunks.

    `attempts` are those so far. `without` is why it has not all the vectors that are wanted, '' where it has.
    """

    version: int
    size_bytes: int
    attempts: int
    artifact: int
    without: str = ""


def record_indexed(entries: Sequence[Indexed]) -> Callable[[Transaction], None]:
    """Record that a committed index holds some documents."""

    def operation(transaction: Transaction) -> None:
        state = transaction.state
        head = read_head(state)
        lineage = head.lineages[PhaseName.INDEX]
        state.executemany(
            "INSERT INTO indexed VALUES(?) ON CONFLICT DO NOTHING", [(entry.artifact,) for entry in entries]
        )
        done = {
            *ended_versions(state, head, [entry.version for entry in entries]),
            *_indexed(state, head, entries),
        }
        live = [(transaction.next_seq(), entry) for entry in entries if entry.version not in done]
        write_results(
            state,
            [
                (seq, head.branch, _INDEX, lineage, entry.version, _DONE, None, entry.attempts + 1)
                for seq, entry in live
            ],
        )
        state.executemany(
            "INSERT INTO unembedded VALUES(?, ?)",
            [(seq, entry.without) for seq, entry in live if entry.without],
        )
        size_bytes = sum(entry.size_bytes for _seq, entry in live)
        add_count(state, head.branch, lineage, _DONE, len(live), size_bytes)

    return operation


def _indexed(state: apsw.Connection, head: Head, entries: Sequence[Indexed]) -> list[int]:
    """Those of some documents that count as indexed already: their text was lost and has been made again."""
    marks = ",".join("?" * len(entries))
    rows: Any = state.execute(
        f"""SELECT r.version, r.status, max(r.seq) FROM result r
        WHERE r.lineage = ? AND r.version IN ({marks}) AND {head.visible()} GROUP BY r.version""",  # noqa: S608
        (head.lineages[PhaseName.INDEX], *(entry.version for entry in entries)),
    )
    return [version for version, status, _seq in rows if status == _DONE]


def record_unindexed(entries: Sequence[tuple[int, int, int]]) -> Callable[[Transaction], None]:
    """Record documents whose stored text or chunks cannot be decoded, so that they cannot be indexed.

    Each entry is (version, size in bytes, attempts so far).
    """

    def operation(transaction: Transaction) -> None:
        state = transaction.state
        head = read_head(state)
        lineage = head.lineages[PhaseName.INDEX]
        failed = STATUS_NUMBER[Status.FAILED]
        message = "What is stored of this document is damaged, so it cannot be indexed."
        ended = ended_versions(state, head, [entry[0] for entry in entries])
        for version, size_bytes, attempt in entries:
            if version in ended:
                continue
            seq = transaction.next_seq()
            write_results(state, [(seq, head.branch, _INDEX, lineage, version, failed, None, attempt + 1)])
            state.execute(
                "INSERT INTO failure VALUES(?, ?, ?, ?)", (seq, str(Cause.CORRUPT), message, time.time())
            )
            add_count(state, head.branch, lineage, failed, 1, size_bytes, cause=str(Cause.CORRUPT))

    return operation
