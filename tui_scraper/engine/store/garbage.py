"""Garbage in the store: rows and payloads that no point of history which is kept can need.

Marking changes nothing. The points that are kept say up to where each lineage of each branch is seen and at
which scans documents are present; from that follow the results, versions, artifacts and payloads that are
needed. A byte for each row is all the memory it takes.

Where no history is to be forgotten, only what no result refers to is garbage. What was paid for or set by a
person never is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.head import PHASE_NUMBER, Head, decode_head, read_head, read_point

COLLECTING = "collecting"
"""Key in `meta`: checkpoints were forgotten, and what only they needed may not have gone yet."""

PAGE = 20_000
"""Rows that are read at once."""

CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]

_NOT_OURS = frozenset({"openai", "human"})
"""Methods of labels that cannot be made again for nothing."""

_LABEL = msgspec.msgpack.Decoder(StoredLabel)


@dataclass(frozen=True)
class Freed:
    """What goes. `moves` are those of the head that cannot be taken back any more.

    `index_entries` are the chunk artifacts among it, which the full-text index may hold.
    """

    checkpoints: int = 0
    moves: int = 0
    results: int = 0
    versions: int = 0
    documents: int = 0
    artifacts: int = 0
    index_entries: int = 0
    payloads: int = 0
    payload_bytes: int = 0


class _Marks:
    """Which rows of a table are needed, by id. What is newer than the marking is, too."""

    def __init__(self, last: int) -> None:
        self._bytes = bytearray(last + 1)

    def add(self, number: int) -> None:
        if number < len(self._bytes):
            self._bytes[number] = 1

    def __contains__(self, number: int) -> bool:
        return number >= len(self._bytes) or self._bytes[number] == 1

    def gaps(self) -> Iterator[tuple[int, int]]:
        """(first, last) of each run of ids that are not needed."""
        at = self._bytes.find(0, 1)
        while at >= 0:
            end = self._bytes.find(1, at)
            if end < 0:
                end = len(self._bytes)
            yield at, end - 1
            at = self._bytes.find(0, end)


@dataclass(frozen=True)
class _Kept:
    """What stays of history: ids of checkpoints and of moves, and the points that these are."""

    checkpoints: frozenset[int]
    moves: frozenset[int]
    points: tuple[Head, ...]

    @cached_property
    def horizon(self) -> dict[tuple[int, int], int]:
        """(branch, lineage) -> the newest result there that a point sees on a lineage of its own."""
        found: dict[tuple[int, int], int] = {}
        for point in self.points:
            for branch, seq, last_phase in point.chain:
                for phase, lineage in point.lineages.items():
                    if PHASE_NUMBER[phase] <= last_phase:
                        found[branch, lineage] = max(found.get((branch, lineage), 0), seq)
        return found

    def first_scan(self) -> Callable[[int], float]:
        """A function that says which scan, from a given one on, is the first that a point looks at."""
        scans = sorted({point.scan for point in self.points})

        def first(scan: int) -> float:
            place = bisect_left(scans, scan)
            return scans[place] if place < len(scans) else float("inf")

        return first


class Garbage:
    """What can be freed in a store that nobody writes to meanwhile. The connections may be read-only.

    `keep` is how many of the newest checkpoints and of the last moves of the head stay, besides the head
    itself and every checkpoint with a name or a note. None keeps all of history.
    """

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection, keep: int | None) -> None:
        self._state = state
        self._blobs = blobs
        self._keep = keep
        unfinished = state.execute("SELECT 1 FROM meta WHERE key = ?", (COLLECTING,)).get
        self.forgets = keep is not None
        self._whole = keep is None and not unfinished
        self._versions = _Marks(last_of(state, "version"))
        self._documents = _Marks(last_of(state, "document"))
        self._artifacts = _Marks(last_of(state, "artifact"))
        self._payloads = _Marks(last_of(blobs, "blob"))
        self._mark()

    @cached_property
    def _kept(self) -> _Kept:
        state, limit = self._state, -1 if self._keep is None else self._keep
        moves: Any = state.execute(
            "SELECT id, before, after FROM reflog ORDER BY id DESC LIMIT ?", (limit,)
        ).fetchall()
        heads = [read_head(state)]
        for _move, before, after in moves:
            heads += [decode_head(state, before), decode_head(state, after)]
        checkpoints: Any = state.execute(
            """SELECT id FROM checkpoint WHERE name IS NOT NULL OR note IS NOT NULL
            UNION SELECT * FROM (SELECT id FROM checkpoint ORDER BY id DESC LIMIT ?)""",
            (limit,),
        ).fetchall()
        wanted = {head.checkpoint for head in heads}.union(row[0] for row in checkpoints)
        found = {checkpoint: read_point(state, checkpoint) for checkpoint in wanted}
        points = {checkpoint: point for checkpoint, point in found.items() if point is not None}
        return _Kept(frozenset(points), frozenset(move for move, *_ in moves), (*heads, *points.values()))

    def count(self) -> Freed:
        """What would go."""
        artifacts = chunks = payloads = payload_bytes = 0
        for _artifact, phase, _key in self.artifacts():
            artifacts += 1
            chunks += phase == CHUNK
        for _payload, size_bytes in self.payloads():
            payloads += 1
            payload_bytes += size_bytes
        return Freed(
            checkpoints=len(self.checkpoints()),
            moves=len(self.moves()),
            results=_length(self.results()),
            versions=_length(self.versions()),
            documents=_length(self.documents()),
            artifacts=artifacts,
            index_entries=chunks + _length(left_in_index(self._state)),
            payloads=payloads,
            payload_bytes=payload_bytes,
        )

    # --- marking

    def _mark(self) -> None:
        if not self._whole:
            self._mark_versions()
            self._mark_containers()
        for _seq, artifact, needed in self._judged("ORDER BY seq"):
            if needed and artifact is not None:
                self._artifacts.add(artifact)
        self._mark_what_was_paid()
        for artifact, payload in self._state.execute("SELECT id, blob FROM artifact WHERE blob IS NOT NULL"):
            if artifact in self._artifacts:
                self._payloads.add(payload)
        for (payload,) in self._state.execute("SELECT DISTINCT blob FROM vector"):  # all were paid for
            self._payloads.add(payload)

    def _mark_versions(self) -> None:
        """Versions present at a point that is kept, and those that the folder is known to hold now."""
        first_scan = self._kept.first_scan()
        for version, document, begun, ended in self._state.execute(
            "SELECT id, document, scan_from, scan_to FROM version"
        ):
            if ended is None or first_scan(begun) < ended:
                self._versions.add(version)
                self._documents.add(document)

    def _mark_containers(self) -> None:
        """A container stays for as long as anything inside it does. It is older than what is inside."""
        for document, parent in self._state.execute(
            "SELECT id, parent FROM document WHERE parent > 0 ORDER BY id DESC"
        ):
            if document in self._documents:
                self._documents.add(parent)

    def _mark_what_was_paid(self) -> None:
        for artifact, cost, data in self._state.execute(
            f"""SELECT id, cost_nano_usd, iif(phase = {_CLASSIFY}, data, NULL) FROM artifact
            WHERE phase = {_CLASSIFY} OR cost_nano_usd > 0"""  # noqa: S608
        ):
            if artifact not in self._artifacts and (cost > 0 or (data is not None and _is_paid(data))):
                self._artifacts.add(artifact)

    def _judged(self, rest: str, *values: int) -> Iterator[tuple[int, int | None, bool]]:
        """(seq, artifact, whether it is needed) of results."""
        rows: Any = self._state.execute(
            f"SELECT seq, artifact, branch, lineage, version FROM result {rest}",  # noqa: S608
            values,
        )
        if self._whole:
            yield from ((seq, artifact, True) for seq, artifact, *_ in rows)
            return
        horizon, versions = self._kept.horizon, self._versions
        for seq, artifact, branch, lineage, version in rows:
            yield seq, artifact, seq <= horizon.get((branch, lineage), -1) and version in versions

    # --- what is not marked

    def checkpoints(self) -> list[int]:
        """Checkpoints to forget."""
        every: Any = self._state.execute("SELECT id FROM checkpoint ORDER BY id")
        return [row[0] for row in every if row[0] not in self._kept.checkpoints] if self.forgets else []

    def moves(self) -> list[int]:
        """Moves of the head to forget."""
        every: Any = self._state.execute("SELECT id FROM reflog ORDER BY id")
        return [row[0] for row in every if row[0] not in self._kept.moves] if self.forgets else []

    def results(self) -> Iterator[int]:
        """Results, the newest first."""
        before = last_of(self._state, "result", "seq") + 1
        while not self._whole:
            page = list(self._judged("WHERE seq < ? ORDER BY seq DESC LIMIT ?", before, PAGE))
            if not page:
                return
            before = page[-1][0]
            yield from (seq for seq, _artifact, needed in page if not needed)

    def artifacts(self) -> Iterator[tuple[Any, ...]]:
        """(artifact, phase, key) of artifacts."""
        rows = self._rows("SELECT id, phase, key FROM artifact")
        return (row for row in rows if row[0] not in self._artifacts)

    def versions(self) -> Iterator[int]:
        """Versions of documents."""
        rows = () if self._whole else self._rows("SELECT id FROM version")
        return (version for (version,) in rows if version not in self._versions)

    def documents(self) -> Iterator[int]:
        """Documents of which no version stays, nor anything inside them."""
        rows = () if self._whole else self._rows("SELECT id FROM document")
        return (document for (document,) in rows if document not in self._documents)

    def payloads(self) -> Iterator[tuple[Any, ...]]:
        """(payload, bytes) of payloads. Reads only where there are some: the file may have many gigabytes."""
        for first, last in self._payloads.gaps():
            yield from paged(
                self._blobs,
                "SELECT id, length(data) FROM blob WHERE id > ? AND id <= ? ORDER BY id",
                first - 1,
                last,
            )

    def _rows(self, question: str) -> Iterator[tuple[Any, ...]]:
        return paged(self._state, f"{question} WHERE id > ? ORDER BY id")


def existing(state: apsw.Connection, artifacts: Sequence[int]) -> set[int]:
    """Those of some artifacts that are there."""
    found = set[int]()
    for start in range(0, len(artifacts), PAGE):
        page = artifacts[start : start + PAGE]
        marks = ",".join("?" * len(page))
        rows: Any = state.execute(f"SELECT id FROM artifact WHERE id IN ({marks})", page)  # noqa: S608
        found.update(row[0] for row in rows)
    return found


def left_in_index(state: apsw.Connection) -> Iterator[int]:
    """Chunk artifacts that are gone and that the full-text index may hold still. May be deleted meanwhile."""
    rows = paged(
        state,
        """SELECT artifact FROM indexed i WHERE artifact > ?
        AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.id = i.artifact) ORDER BY artifact""",
    )
    return (row[0] for row in rows)


def paged(
    connection: apsw.Connection, question: str, after: int = 0, *values: int
) -> Iterator[tuple[Any, ...]]:
    """Rows above `after`, in the order of their first column; they may be deleted meanwhile.

    Each page is a read of its own, because a long one would hold up the write-ahead log.
    """
    while True:
        page: Any = connection.execute(f"{question} LIMIT ?", (after, *values, PAGE)).fetchall()
        if not page:
            return
        after = page[-1][0]
        yield from page


def _is_paid(data: bytes) -> bool:
    """Whether a label is a model's or a person's; of one that cannot be read it is not known, so it stays."""
    try:
        return _LABEL.decode(data).method in _NOT_OURS
    except msgspec.MsgspecError:
        return True


def last_of(connection: apsw.Connection, table: str, column: str = "id") -> int:
    """The highest number in a column, 0 in a table without rows."""
    return int(connection.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").get)  # noqa: S608


def _length(items: Iterable[object]) -> int:
    return sum(1 for _item in items)
