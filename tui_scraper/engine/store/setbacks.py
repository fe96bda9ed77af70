"""Documents that did not get through: finding them, putting them back, and refusing what settings exclude."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from tui_scraper.engine.errors import too_large_sentence
from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.store.artifacts import cost_of
from tui_scraper.engine.store.counters import add_count
from tui_scraper.engine.store.epochs import open_scan
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER, STATUS_NUMBER, Head, read_head
from tui_scraper.engine.store.members import end_members
from tui_scraper.engine.store.results import reached, write_results
from tui_scraper.engine.store.writer import Transaction

_PENDING = STATUS_NUMBER[Status.PENDING]
_INPUT = PHASE_NUMBER[PhaseName.INPUT]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_ENDED_BADLY = frozenset(STATUS_NUMBER[status] for status in (Status.FAILED, Status.SKIPPED, Status.EMPTY))


@dataclass(frozen=True, slots=True)
class BadResult:
    """A failed, skipped or empty result that counts at the head."""

    seq: int
    phase: int
    lineage: int
    version: int
    status: int
    attempt: int
    path: bytes
    size_bytes: int
    cause: str
    message: str
    time: float


_RARE = 2_000
"""Failures with one cause, in all of history, up to which they are looked up by it."""


def bad_results(
    connection: apsw.Connection,
    head: Head,
    *,
    cause: Cause | None = None,
    phase: PhaseName | None = None,
    status: Status | None = None,
    version: int | None = None,
    path: bytes | None = None,
    after: int = 0,
    limit: int = -1,
    expected: Mapping[PhaseName, int] | None = None,
) -> Iterable[BadResult]:
    """Every document that ended without being done, ordered by version.

    Each phase is read in the order of an index and the phases are merged, so that a page costs the same
    however many there are. `expected` says how many there are at most in each phase: once they are found
    nothing looks for more among what the head does not see.
    """
    wanted = [phase] if phase is not None else list(DOCUMENT_PHASES)
    most = {name: limit if expected is None else min(limit, expected.get(name, 0)) for name in wanted}
    lineages = [(head.lineages[name], most[name]) for name in wanted if name in head.lineages and most[name]]
    if not lineages:
        return
    conditions, values = "", list[object]()
    for column, value in (("f.cause", cause), ("r.version", version), ("d.path", path)):
        if value is not None:
            conditions += f" AND {column} = ?"
            values.append(str(value) if isinstance(value, Cause) else value)
    if status is not None:
        conditions += " AND r.status = ?"
        values.append(STATUS_NUMBER[status])
    rows_from = "result r INDEXED BY result_bad CROSS JOIN failure f ON f.seq = r.seq"
    if cause is not None and _is_rare(connection, cause):
        rows_from = "failure f INDEXED BY failure_cause CROSS JOIN result r ON r.seq = f.seq"
    arm = f"""SELECT * FROM (
        SELECT r.version AS version, r.seq, r.phase, r.lineage, r.status, r.attempt, d.path, v.size_bytes,
            f.cause, f.message, f.time
        FROM {rows_from}
            CROSS JOIN version v ON v.id = r.version CROSS JOIN document d ON d.id = v.document
        WHERE r.status > 1 AND r.lineage = ? AND {head.visible()} AND {head.live()}
            AND r.version > ? {conditions}
            AND NOT EXISTS (SELECT 1 FROM result l WHERE l.lineage = r.lineage AND l.version = r.version
                AND l.seq > r.seq AND {head.visible("l")})
        ORDER BY r.version LIMIT ?)"""  # noqa: S608
    rows = connection.execute(
        " UNION ALL ".join([arm] * len(lineages)) + " ORDER BY version LIMIT ?",
        (*(part for lineage, most_of in lineages for part in (lineage, after, *values, most_of)), limit),
    )
    for bad_version, seq, *rest in rows:
        number, lineage, status_number, attempt, path_bytes, size_bytes, why, message, when = rest
        yield BadResult(
            seq,
            number,
            lineage,
            bad_version,
            status_number,
            attempt,
            path_bytes,
            size_bytes,
            why,
            message,
            when,
        )


def _is_rare(connection: apsw.Connection, cause: Cause) -> bool:
    query = "SELECT count(*) FROM (SELECT 1 FROM failure WHERE cause = ? LIMIT ?)"
    return int(connection.execute(query, (str(cause), _RARE + 1)).get) <= _RARE


def put_back(
    *,
    cause: Cause | None = None,
    phase: PhaseName | None = None,
    version: int | None = None,
    path: bytes | None = None,
) -> Callable[[Transaction], int]:
    """Put failed, skipped and empty documents back to pending. Returns how many.

    Without a filter only what failed goes back; skipped and empty documents must be asked for by
    cause, version or path, because trying them again the same way gives the same.
    """

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        head = read_head(state)
        rows, count = [], 0
        for row in list(bad_results(state, head, cause=cause, phase=phase, version=version, path=path)):
            if not (row.status == STATUS_NUMBER[Status.FAILED] or cause or version or path):
                continue
            rows.append(
                (
                    transaction.next_seq(),
                    head.branch,
                    row.phase,
                    row.lineage,
                    row.version,
                    _PENDING,
                    None,
                    row.attempt,
                )
            )
            add_count(state, head.branch, row.lineage, row.status, -1, -row.size_bytes, cause=row.cause)
            count += 1
        write_results(state, rows)
        if count:
            reopen_run(state)
        return count

    return operation


def set_aside(
    *,
    cause: Cause | None = None,
    phase: PhaseName | None = None,
    version: int | None = None,
    path: bytes | None = None,
) -> Callable[[Transaction], int]:
    """Have failed documents count as skipped, since a person has decided so. Returns how many.

    What it was is kept in the message; putting one back tries it again.
    """

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        head = read_head(state)
        skipped, failed = STATUS_NUMBER[Status.SKIPPED], STATUS_NUMBER[Status.FAILED]
        rows, reasons = [], []
        for row in list(
            bad_results(
                state, head, cause=cause, phase=phase, status=Status.FAILED, version=version, path=path
            )
        ):
            seq = transaction.next_seq()
            rows.append((seq, head.branch, row.phase, row.lineage, row.version, skipped, None, row.attempt))
            reasons.append((seq, str(Cause.SET_ASIDE), f"It was: {row.cause}. {row.message}", time.time()))
            add_count(state, head.branch, row.lineage, failed, -1, -row.size_bytes, cause=row.cause)
            add_count(state, head.branch, row.lineage, skipped, 1, row.size_bytes, cause=str(Cause.SET_ASIDE))
        write_results(state, rows)
        state.executemany("INSERT INTO failure VALUES(?, ?, ?, ?)", reasons)
        return len(rows)

    return operation


def put_back_done(
    transaction: Transaction,
    head: Head,
    phase: PhaseName,
    lineage: int,
    rows: Sequence[tuple[int, int, int]],
) -> list[int]:
    """Put documents back to pending that a phase is done with; `rows` are (version, attempts, bytes).

    Returns their versions.
    """
    state = transaction.state
    write_results(
        state,
        [
            (
                transaction.next_seq(),
                head.branch,
                PHASE_NUMBER[phase],
                lineage,
                version,
                _PENDING,
                None,
                attempt,
            )
            for version, attempt, _size in rows
        ],
    )
    done = STATUS_NUMBER[Status.DONE]
    add_count(state, head.branch, lineage, done, -len(rows), -sum(size for *_, size in rows))
    if rows:
        reopen_run(state)
    return [version for version, *_ in rows]


def reopen_run(state: apsw.Connection) -> None:
    """Some documents are pending again: the next run looks at all, and the last one is not complete."""
    state.execute("UPDATE head SET settled = 0")
    state.execute(
        "UPDATE run SET state = 'incomplete' WHERE state = 'complete' AND id = (SELECT max(id) FROM run)"
    )


def refuse_oversized(transaction: Transaction, limit_bytes: int, streamed: Collection[str]) -> None:
    """After `input.max_file_size` changed: refuse what is known to be larger, also if it was read before.

    The limit does not hold for the media types in `streamed`. What was not read yet may be one of them: a
    worker finds out.
    """
    state = transaction.state
    head = open_scan(state)
    lineage = head.lineages[PhaseName.INPUT]
    rows: Any = state.execute(
        f"""SELECT v.id, v.size_bytes, v.document, v.media_type FROM version v
        WHERE v.size_bytes > ? AND v.media_type IS NOT NULL AND {head.live()}""",  # noqa: S608
        (limit_bytes,),
    ).fetchall()
    rows = [row for row in rows if row[3] not in streamed]
    failed = STATUS_NUMBER[Status.FAILED]
    for start in range(0, len(rows), 500):
        page = {version: size_bytes for version, size_bytes, _document, _type in rows[start : start + 500]}
        for _version, _size, document, _type in rows[start : start + 500]:
            end_members(transaction, head, document)
        known = reached(state, head, list(page))
        for version, size_bytes in page.items():
            before = known[version].get(_INPUT)
            if before is not None and before.status in _ENDED_BADLY:
                continue
            seq = transaction.next_seq()
            attempt = before.attempt + 1 if before is not None else 1
            write_results(state, [(seq, head.branch, _INPUT, lineage, version, failed, None, attempt)])
            state.execute(
                "INSERT INTO failure VALUES(?, ?, ?, ?)",
                (seq, str(Cause.TOO_LARGE), too_large_sentence(size_bytes, limit_bytes), time.time()),
            )
            add_count(state, head.branch, lineage, failed, 1, size_bytes, cause=str(Cause.TOO_LARGE))


def uphold_refusals(transaction: Transaction) -> None:
    """After other settings came into force: what may not be read has no later results either.

    Refusals belong to the settings of input alone, so the other phases may still show what such a
    document became when it was read. Those results are taken back; their artifacts stay.
    """
    state = transaction.state
    head = read_head(state)
    refused = list(bad_results(state, head, phase=PhaseName.INPUT))
    for start in range(0, len(refused), 500):
        page = {row.version: row.size_bytes for row in refused[start : start + 500]}
        rows = []
        for version, phases in reached(state, head, list(page)).items():
            for phase, result in phases.items():
                if phase == _INPUT or result.status == _PENDING:
                    continue
                lineage = head.lineages[DOCUMENT_PHASES[phase]]
                tokens = 0
                if phase in (_CHUNK, _CLASSIFY):
                    tokens = (
                        state.execute("SELECT amount FROM artifact WHERE id = ?", (result.artifact,)).get or 0
                    )
                number = transaction.next_seq()
                rows.append((number, head.branch, phase, lineage, version, _PENDING, None, result.attempt))
                add_count(
                    state,
                    head.branch,
                    lineage,
                    result.status,
                    -1,
                    -page[version],
                    -tokens,
                    cause=result.cause,
                    cost_nano_usd=-cost_of(state, result.artifact),
                )
        write_results(state, rows)
