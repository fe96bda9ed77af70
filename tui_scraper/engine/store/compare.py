"""What differs between two points of history: the totals at once, then document by document, in path order.

Totals are those that each checkpoint keeps. Documents are read in pages, so that memory does not grow with
them, and where the store can tell which ones may differ only these are looked at: under the same settings a
document differs only through a result that one point sees and the other does not, or by a version that one
has and the other has not. Else, or where such results are as many as the documents, all are gone through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import Counts, PhaseName, Status
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.counters import (
    PhaseCount,
    counts_of,
    read_totals,
    totals_at,
)
from tui_scraper.engine.store.head import (
    ALL_SEQS,
    DOCUMENT_PHASES,
    PHASE_NUMBER,
    STATUS_NUMBER,
    Head,
)
from tui_scraper.engine.store.human import human_labels
from tui_scraper.engine.store.ledger import read_spending
from tui_scraper.engine.store.results import Reached, label_of, reached, status_of

_PAGE = 500
_FEW = 10_000
"""Documents up to which those that may differ are looked up one by one, not by walking along all paths."""

_RESULTS_A_DOCUMENT = 1
"""Results that one point alone may see, for each document, up to which it pays to look at them first."""

_DONE = STATUS_NUMBER[Status.DONE]
_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]


class Change(StrEnum):
    """In what a document differs. One that came or went differs in nothing else."""

    CAME = "came"
    GONE = "gone"
    CONTENT = "content"
    STATUS = "status"
    LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a document stands at a point of history, as an export of it would say."""

    status: Status
    cause: str = ""
    labels: tuple[str, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A document that is not the same at both points. `a` and `b` are None where it is not there.

    `uid` is the `id` that it has in exports. Labels count as changed when they are others, not when only
    their confidence is.
    """

    path: str
    uid: str
    changes: tuple[Change, ...]
    a: Standing | None
    b: Standing | None


@dataclass(frozen=True, slots=True)
class Side:
    """The totals of a point. `checkpoint` is None for the head as it is now.

    `tokens` and `cost_nano_usd` are what all model calls had taken by then, in whatever branch.
    `chunk_tokens` are those of the chunks that the point sees, `labels_cost_nano_usd` is what its labels
    cost.
    """

    checkpoint: int | None
    counts: Counts
    tokens: int
    cost_nano_usd: int
    chunk_tokens: int
    labels_cost_nano_usd: int


@dataclass(frozen=True)
class Comparison:
    """Two points of history side by side, for as long as the connection is inside one read transaction."""

    a: Side
    b: Side
    _connection: apsw.Connection = field(repr=False)
    _points: tuple[Head, Head] = field(repr=False)

    def documents(self) -> Iterator[Difference]:
        """The documents that differ, by path bytes. Raises StoreError where a label is damaged."""
        return _differences(self._connection, *self._points)


def compare(connection: apsw.Connection, a: Head, b: Head) -> Comparison:
    """Compare two points of history, whatever branches and settings they have.

    Costs the same for any number of documents, unless a checkpoint comes from a schema that kept no counters.
    """
    return Comparison(_side(connection, a), _side(connection, b), connection, (a, b))


def _side(connection: apsw.Connection, point: Head) -> Side:
    now = point.chain[0][1] == ALL_SEQS
    if now:
        spent = read_spending(connection)
        tokens, cost = spent.tokens_in + spent.tokens_out, spent.cost_nano_usd
        totals = read_totals(connection, point)
    else:
        tokens, cost = connection.execute(
            "SELECT tokens, cost_nano_usd FROM checkpoint WHERE id = ?", (point.checkpoint,)
        ).get
        totals = totals_at(connection, point)
    chunked = sum(totals[PhaseName.CHUNK].values(), PhaseCount())
    labelled = sum(totals[PhaseName.CLASSIFY].values(), PhaseCount())
    return Side(
        checkpoint=None if now else point.checkpoint,
        counts=counts_of(totals),
        tokens=tokens,
        cost_nano_usd=cost,
        chunk_tokens=chunked.tokens,
        labels_cost_nano_usd=labelled.cost_nano_usd,
    )


# --- which documents may differ ---------------------------------------------------------------------


def _candidates(connection: apsw.Connection, a: Head, b: Head) -> bytearray | None:
    """A byte for each document, 1 where it may differ; None where nothing tells, or most of them may."""
    if a.lineages != b.lineages:
        return None
    last = int(connection.execute("SELECT coalesce(max(id), 0) FROM document").get)
    newest = int(connection.execute("SELECT coalesce(max(seq), 0) FROM result").get)
    after, through = _seen_by_one(connection, a, b)
    if min(through, newest) - after > last * _RESULTS_A_DOCUMENT:
        return None
    marks = bytearray(last + 1)
    lineages = ",".join(map(str, a.lineages.values()))
    for (document,) in connection.execute(
        f"""SELECT v.document FROM result r JOIN version v ON v.id = r.version
        WHERE r.seq > ? AND r.seq <= ? AND r.lineage IN ({lineages}) AND {a.visible()} != {b.visible()}""",  # noqa: S608
        (after, through),
    ):
        marks[document] = 1
    scans = (min(a.scan, b.scan), max(a.scan, b.scan))
    if connection.execute("SELECT 1 FROM scan WHERE id > ? AND id <= ? AND changes > 0 LIMIT 1", scans).get:
        for (document,) in connection.execute(
            """SELECT document FROM version
            WHERE (scan_from > ? AND scan_from <= ?) OR (scan_to > ? AND scan_to <= ?)""",
            scans * 2,
        ):
            marks[document] = 1
    return marks


def _seen_by_one(connection: apsw.Connection, a: Head, b: Head) -> tuple[int, int]:
    """(after, through): the results that only one of two points sees all have numbers in between."""
    of_a = {branch: (seq, phase) for branch, seq, phase in a.chain}
    of_b = {branch: (seq, phase) for branch, seq, phase in b.chain}
    after, through = ALL_SEQS, 0
    for branch in of_a.keys() | of_b.keys():
        seq_a, phase_a = of_a.get(branch, (-1, -1))
        seq_b, phase_b = of_b.get(branch, (-1, -1))
        if (seq_a, phase_a) == (seq_b, phase_b):
            continue
        through = max(through, seq_a, seq_b)
        if -1 in (seq_a, seq_b):  # a branch has only results made after it began
            after = min(after, connection.execute("SELECT began FROM branch WHERE id = ?", (branch,)).get)
        elif phase_a != phase_b:
            after = -1
        else:
            after = min(after, seq_a, seq_b)
    return min(after, through), through


def _in_path_order(connection: apsw.Connection, marks: bytearray | None) -> Iterator[tuple[int, bytes]]:
    """(id, path) of documents: all, or those that are marked."""
    every: Any = "SELECT id, path FROM document ORDER BY path, parent"
    if marks is None:
        yield from connection.execute(every)
    elif marks.count(1) > _FEW:
        yield from (row for row in connection.execute(every) if marks[row[0]])
    else:
        few: list[tuple[bytes, int, int]] = []
        for page in _pages(number for number, mark in enumerate(marks) if mark):
            few += connection.execute(
                f"SELECT path, parent, id FROM document WHERE id IN ({_places(page)})",  # noqa: S608
                page,
            )
        yield from ((document, path) for path, _parent, document in sorted(few))


# --- in what they differ ----------------------------------------------------------------------------


@dataclass(slots=True)
class _There:
    """A document's version at a point, and what it has reached."""

    version: int
    content: bytes | None
    reached: dict[int, Reached] = field(default_factory=dict)


def _differences(connection: apsw.Connection, a: Head, b: Head) -> Iterator[Difference]:
    given = human_labels(connection)
    for page in _pages(_in_path_order(connection, _candidates(connection, a, b))):
        documents = [document for document, _path in page]
        of_a, of_b = _there(connection, a, documents), _there(connection, b, documents)
        differing = [(*row, of_a.get(row[0]), of_b.get(row[0])) for row in page]
        differing = [row for row in differing if row[2] != row[3]]
        if not differing:
            continue
        labels = _Labels(
            connection, given, [label_of(there.reached) for row in differing for there in row[2:] if there]
        )
        uids: Any = connection.execute(
            f"SELECT id, uid FROM document WHERE id IN ({_places(differing)})",  # noqa: S608
            [row[0] for row in differing],
        )
        uid_of = dict(uids)
        for document, path, before, after in differing:
            found = _difference(path, uid_of[document].hex(), before, after, labels)
            if found is not None:
                yield found


def _there(connection: apsw.Connection, point: Head, documents: Sequence[int]) -> dict[int, _There]:
    """The documents of a page that are there at a point."""
    rows: Any = connection.execute(
        f"""SELECT v.document, v.id, v.content FROM version v
        WHERE v.document IN ({_places(documents)}) AND {point.live()}""",  # noqa: S608
        documents,
    )
    found = {document: _There(version, content) for document, version, content in rows}
    if found and all(phase in point.lineages for phase in DOCUMENT_PHASES):
        results = reached(connection, point, [there.version for there in found.values()])
        for there in found.values():
            there.reached = results[there.version]
    return found


def _difference(
    path: bytes, uid: str, before: _There | None, after: _There | None, labels: _Labels
) -> Difference | None:
    a, b = labels.standing(before, path), labels.standing(after, path)
    changes: list[Change] = []
    if a is None or b is None or before is None or after is None:
        changes.append(Change.CAME if a is None else Change.GONE)
    else:
        # What has not been read is not known to be the same, unless it is the very same version.
        read = before.content is not None and before.content == after.content
        if before.version != after.version and not read:
            changes.append(Change.CONTENT)
        if (a.status, a.cause) != (b.status, b.cause):
            changes.append(Change.STATUS)
        if a.labels != b.labels:
            changes.append(Change.LABELS)
    return Difference(safe_text(show_path(path)), uid, tuple(changes), a, b) if changes else None


class _Labels:
    """The labels of a page of documents."""

    def __init__(
        self,
        connection: apsw.Connection,
        given: Mapping[bytes, StoredLabel],
        artifacts: Iterable[int | None],
    ) -> None:
        self._given = given
        self._data: dict[int | None, bytes | None] = {}
        for page in _pages({artifact for artifact in artifacts if artifact is not None}):
            rows: Any = connection.execute(
                f"SELECT id, data FROM artifact WHERE id IN ({_places(page)})",  # noqa: S608
                page,
            )
            self._data.update(rows)

    def standing(self, there: _There | None, path: bytes) -> Standing | None:
        if there is None:
            return None
        status, cause = status_of(there.reached)
        given = self._given.get(there.content) if there.content is not None else None
        if given is not None:
            return Standing(status, cause, tuple(map(safe_text, given.labels)), given.confidence)
        data = self._data.get(label_of(there.reached))
        if data is None:  # not labelled, or the label was lost to damage and is to be made again
            return Standing(status, cause)
        try:
            label = msgspec.msgpack.decode(data, type=StoredLabel)
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{safe_text(show_path(path))}: its stored label cannot be read ({error}). "
                "`tui-scraper verify` says what is lost, and with --repair mends it."
            ) from error
        return Standing(status, cause, tuple(map(safe_text, label.labels)), label.confidence)


def _pages(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while page := list(islice(iterator, _PAGE)):
        yield page


def _places(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
