"""What documents have reached: the latest result that the head can see, and who has work left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER, STATUS_NUMBER, STATUSES, Head
from tui_scraper.engine.store.members import Place, Places

_DONE = STATUS_NUMBER[Status.DONE]
_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]


@dataclass(frozen=True, slots=True)
class Reached:
    """A phase's latest visible result for one version."""

    status: int
    artifact: int | None
    attempt: int
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """A version that has not finished, with where it is and what it has reached (by phase number)."""

    version: int
    path: bytes
    size_bytes: int
    content: bytes | None
    media_type: str
    reached: dict[int, Reached]
    document: int
    place: Place


def write_results(
    state: apsw.Connection, rows: Iterable[tuple[int, int, int, int, int, int, int | None, int]]
) -> None:
    """Append result rows: (seq, branch, phase, lineage, version, status, artifact, attempt)."""
    state.executemany("INSERT INTO result VALUES(?, ?, ?, ?, ?, ?, ?, ?)", rows)


def ended_versions(state: apsw.Connection, head: Head, versions: Sequence[int]) -> frozenset[int]:
    """Those of some versions that have left the head while they were under way: nothing counts for them."""
    marks = ",".join("?" * len(versions))
    rows: Any = state.execute(
        f"SELECT v.id FROM version v WHERE v.id IN ({marks}) AND NOT {head.live()}",  # noqa: S608
        tuple(versions),
    )
    return frozenset(row[0] for row in rows)


def reached(
    connection: apsw.Connection, head: Head, versions: Sequence[int]
) -> dict[int, dict[int, Reached]]:
    """The latest visible result of each phase for some versions: version -> phase -> result."""
    found: dict[int, dict[int, Reached]] = {version: {} for version in versions}
    marks = ",".join("?" * len(versions))
    for phase in DOCUMENT_PHASES:
        rows = connection.execute(
            f"""SELECT r.version, r.status, r.artifact, r.attempt, coalesce(f.cause, ''), max(r.seq)
            FROM result r LEFT JOIN failure f ON r.status > {_DONE} AND f.seq = r.seq
            WHERE r.lineage = ? AND r.version IN ({marks}) AND {head.visible()} GROUP BY r.version""",  # noqa: S608
            (head.lineages[phase], *versions),
        )
        number = PHASE_NUMBER[phase]
        for version, status, artifact, attempt, cause, _seq in rows:
            found[version][number] = Reached(status, artifact, attempt, cause)
    return found


def unfinished(
    connection: apsw.Connection, head: Head, after: int, limit: int, through: PhaseName
) -> tuple[list[Work], int]:
    """A page of live versions with an id above `after` that have not gone through `through`.

    Returns the work and the id that the next page starts after (`after` itself at the end).
    """
    rows: Any = connection.execute(
        f"""SELECT v.id, d.path, v.size_bytes, v.content, v.media_type, d.id, d.parent
        FROM version v JOIN document d ON d.id = v.document
        WHERE v.id > ? AND {head.live()} ORDER BY v.id LIMIT ?""",  # noqa: S608
        (after, limit),
    ).fetchall()
    if not rows:
        return [], after
    states = reached(connection, head, [row[0] for row in rows])
    last = min(PHASE_NUMBER[through], _INDEX)
    work = []
    places = Places(connection)
    for version, path, size_bytes, content, media_type, document, parent in rows:
        state = states[version]
        if not is_finished(state, last):
            place = places.of(document, path, parent)
            work.append(Work(version, path, size_bytes, content, media_type or "", state, document, place))
    return work, rows[-1][0]


def sampled(connection: apsw.Connection, head: Head, size: int) -> frozenset[int]:
    """The documents of a sample: the files whose ids (hashes of their paths) are the lowest.

    What is inside them belongs to the sample as well.
    """
    rows: Any = connection.execute(
        f"""SELECT d.id FROM version v JOIN document d ON d.id = v.document
        WHERE d.parent = 0 AND {head.live()} ORDER BY d.uid LIMIT ?""",  # noqa: S608
        (size,),
    )
    return frozenset(row[0] for row in rows)


def is_finished(state: dict[int, Reached], last: int) -> bool:
    """Whether a document has ended, well or not, or has gone through phase `last`."""
    if any(result.status > _DONE for result in state.values()):
        return True
    return all(phase in state and state[phase].status == _DONE for phase in range(_CLEAN, last + 1))


def status_of(state: dict[int, Reached]) -> tuple[Status, str]:
    """The one status of a document that has reached all this, with its cause."""
    for phase in sorted(state):
        if state[phase].status > _DONE:
            return STATUSES[state[phase].status], state[phase].cause
    return (Status.DONE if is_finished(state, _INDEX) else Status.PENDING), ""


def label_of(state: dict[int, Reached]) -> int | None:
    """The artifact of the label that counts: all that it was made from is done, too."""
    if any(phase not in state or state[phase].status != _DONE for phase in range(_CLEAN, _CLASSIFY + 1)):
        return None
    return state[_CLASSIFY].artifact
