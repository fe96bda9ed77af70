"""What the phases write: artifacts, results, failures and the counters that follow from them.

Order of writes, after restic: payload, artifact, result, so that nothing refers to what is not
there. All of it is one operation, hence one savepoint in one commit.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.errors import too_large_sentence
from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.counters import FOUND, FOUND_ALL, FOUND_INSIDE, add_count
from tui_scraper.engine.store.epochs import open_scan
from tui_scraper.engine.store.head import (
    DOCUMENT_PHASES,
    PHASE_NUMBER,
    STATUS_NUMBER,
    Head,
    artifact_key,
    clean_source,
    read_head,
)
from tui_scraper.engine.store.members import (
    MAX_INSIDE,
    Place,
    Places,
    end_members,
    end_versions,
    has_room,
    keep_members,
    pack_members,
    unpack_members,
)
from tui_scraper.engine.store.writer import Transaction
from tui_scraper.engine.wire import DocumentReply, Member

_DONE = STATUS_NUMBER[Status.DONE]
_PENDING = STATUS_NUMBER[Status.PENDING]
_INPUT = PHASE_NUMBER[PhaseName.INPUT]
_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]


class StoredLabel(msgspec.Struct, array_like=True, frozen=True):
    """The `data` of a classify artifact."""

    labels: list[str]
    confidence: float
    method: str
    alternatives: list[tuple[str, float]]
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_nano_usd: int = 0


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


@dataclass(frozen=True, slots=True)
class Finished:
    """What a commit made of one reply, for the phases that follow it in the engine."""

    version: int
    size_bytes: int
    chunks: int | None
    """The chunk artifact's id, None where the document ended before it."""
    clean_payload: bytes | None
    chunk_payload: bytes | None


class Configs(dict[PhaseName, bytes]):
    """Phase -> hash of its code version and settings: the left half of every artifact key."""


def commit_replies(
    replies: Sequence[tuple[Work, DocumentReply]], configs: Configs
) -> Callable[[Transaction], list[Finished]]:
    """Record what workers made of some documents, and register what is inside them."""

    def operation(transaction: Transaction) -> list[Finished]:
        return _Commit(transaction, configs).run(replies)

    return operation


class _Commit:
    """One operation's rows, collected and written in bulk."""

    def __init__(self, transaction: Transaction, configs: Configs) -> None:
        self._transaction = transaction
        self._state = transaction.state
        self._head = read_head(transaction.state)
        self._configs = configs
        self._now = time.time()
        self._any_inside = bool(self._state.execute("SELECT 1 FROM document WHERE parent > 0 LIMIT 1").get)
        self._known: dict[bytes, Known] = {}
        self._blobs: list[tuple[int, bytes]] = []
        self._artifacts: list[
            tuple[int, bytes, int, bytes, int | None, bytes | None, int, float, bytes | None]
        ] = []
        self._mended: list[tuple[bytes, int | None, bytes | None, bytes | None, int]] = []
        self._results: list[tuple[int, int, int, int, int, int, int | None, int]] = []
        self._failures: list[tuple[int, str, str, float]] = []
        self._counts: dict[tuple[int, int, str], list[int]] = defaultdict(lambda: [0, 0, 0])

    def run(self, replies: Sequence[tuple[Work, DocumentReply]]) -> list[Finished]:
        if self._any_inside or any(reply.members is not None for _work, reply in replies):
            self._head = open_scan(self._state)
        ended = set(ended_versions(self._state, self._head, [work.version for work, _reply in replies]))
        ended.update(self._begun_anew(replies, ended))
        replies = [(work, self._with_members(work, reply, ended)) for work, reply in replies]
        if ended:
            replies = [pair for pair in replies if pair[0].version not in ended]
        keyed = [(work, reply, *self._keys(reply)) for work, reply in replies]
        self._look_up([key for _w, _r, clean, label in keyed for key in (clean, label) if key])
        self._look_up(
            [
                artifact_key(self._configs[PhaseName.CHUNK], reply.clean.output)
                for _work, reply in replies
                if reply.clean is not None
            ]
        )
        finished = [self._record(work, reply, clean, label) for work, reply, clean, label in keyed]
        self._write(replies)
        return [item for item in finished if item is not None]

    def _keys(self, reply: DocumentReply) -> tuple[bytes | None, bytes | None]:
        clean = label = None
        if reply.clean is not None:
            source = clean_source(reply.content, reply.media_type)
            clean = artifact_key(self._configs[PhaseName.CLEAN], source)
        if reply.label is not None:
            label = artifact_key(self._configs[PhaseName.CLASSIFY], reply.label.digest)
        return clean, label

    def _look_up(self, keys: list[bytes]) -> None:
        self._known.update(find_artifacts(self._state, keys, lost=True))

    def _record(
        self, work: Work, reply: DocumentReply, clean_key: bytes | None, label_key: bytes | None
    ) -> Finished | None:
        size_bytes = work.size_bytes
        chunks: int | None = None
        clean_output = b""
        if reply.clean is not None and clean_key is not None:
            part = reply.clean
            data = pack_members(reply.members) if reply.members is not None else None
            artifact = self._artifact(clean_key, _CLEAN, part.output, part.payload, data, part.characters)
            clean_output = part.output
            self._result(work, _CLEAN, Status.DONE, artifact, size_bytes)
        else:
            reached = work.reached.get(_CLEAN)
            if reached is not None and reached.artifact is not None and reply.chunk is not None:
                row = self._state.execute("SELECT output FROM artifact WHERE id = ?", (reached.artifact,)).get
                clean_output = row
        if reply.chunk is not None:
            key = artifact_key(self._configs[PhaseName.CHUNK], clean_output)
            chunk = reply.chunk
            if key not in self._known:
                self._look_up([key])
            chunks = self._artifact(key, _CHUNK, chunk.output, chunk.payload, None, chunk.tokens)
            self._result(work, _CHUNK, Status.DONE, chunks, size_bytes, chunk.tokens)
        elif _CHUNK in work.reached:
            chunks = work.reached[_CHUNK].artifact
        if reply.label is not None and label_key is not None:
            found = reply.label
            data = msgspec.msgpack.encode(
                StoredLabel(found.labels, found.confidence, found.method, found.alternatives)
            )
            label = self._artifact(label_key, _CLASSIFY, found.digest, None, data, 0)
            self._result(work, _CLASSIFY, Status.DONE, label, size_bytes)
        if reply.status is not Status.DONE:
            cause = reply.cause or Cause.READ_ERROR
            self._result(work, PHASE_NUMBER[reply.phase], reply.status, None, size_bytes, cause=str(cause))
            self._failures.append((self._transaction.last_seq, str(cause), reply.message, self._now))
            return None
        if reply.content and _INPUT in work.reached:
            self._result(work, _INPUT, Status.PENDING, None, size_bytes)  # what refused it before is over
        return Finished(
            version=work.version,
            size_bytes=size_bytes,
            chunks=chunks,
            clean_payload=reply.clean.payload if reply.clean else None,
            chunk_payload=reply.chunk.payload if reply.chunk else None,
        )

    def _begun_anew(self, replies: Sequence[tuple[Work, DocumentReply]], ended: set[int]) -> list[int]:
        """Let files that are no longer what they were known as be versions of their own, still to be read.

        A version has one content for good: what was made of it, also in other branches, belongs to that.
        """
        others = [
            work
            for work, reply in replies
            if reply.content and work.content and reply.content != work.content and work.version not in ended
        ]
        if not others:
            return []
        self._head = head = open_scan(self._state)
        gone = end_versions(self._state, head, [work.version for work in others])
        self._state.executemany(
            """INSERT INTO version(id, document, scan_from, size_bytes, mtime_ns)
            SELECT ?, document, ?, size_bytes, mtime_ns FROM version WHERE id = ?""",
            [(self._transaction.next_version(), head.scan, work.version) for work in others],
        )
        for status, found in (
            (FOUND_ALL, others),
            (FOUND_INSIDE, [work for work in others if work.place.inside]),
        ):
            size_bytes = sum(work.size_bytes for work in found)
            add_count(self._state, head.branch, FOUND, status, len(found), size_bytes)
        self._state.execute(
            "UPDATE scan SET changes = changes + ? WHERE id = ?", (len(gone) + len(others), head.scan)
        )
        return gone

    def _with_members(self, work: Work, reply: DocumentReply, ended: set[int]) -> DocumentReply:
        """Register what is inside a document, or refuse it; what it lets go of is added to `ended`."""
        read = reply.clean is not None or reply.phase in (PhaseName.INPUT, PhaseName.CLEAN)
        if not read or work.version in ended:
            return reply
        if reply.members is None:
            if self._any_inside:
                ended.update(end_members(self._transaction, self._head, work.document))
            return reply
        self._any_inside = True
        if not has_room(self._state, self._head, work.place, work.document, reply.members):
            ended.update(end_members(self._transaction, self._head, work.document))
            return DocumentReply(
                version=reply.version,
                status=Status.FAILED,
                phase=PhaseName.CLEAN,
                cause=Cause.TOO_LARGE,
                message=f"There are more than {MAX_INSIDE:,} files inside one another here, as in a bomb.",
                content=reply.content,
                media_type=reply.media_type,
            )
        ended.update(keep_members(self._transaction, self._head, work.place, work.document, reply.members))
        return reply

    def _artifact(
        self, key: bytes, phase: int, output: bytes, payload: bytes | None, data: bytes | None, amount: int
    ) -> int:
        known = self._known.get(key)
        if known is not None and not known.lost:
            return known.artifact
        blob = None
        if payload is not None:
            blob = self._transaction.next_blob()
            self._blobs.append((blob, payload))
        data_sum = sum_of(data)
        if known is not None:
            artifact = known.artifact
            self._mended.append((output, blob, data, data_sum, artifact))
        else:
            artifact = self._transaction.next_artifact()
            self._artifacts.append((artifact, key, phase, output, blob, data, amount, self._now, data_sum))
        self._known[key] = Known(artifact, output)
        return artifact

    def _result(
        self,
        work: Work,
        phase: int,
        status: Status,
        artifact: int | None,
        size_bytes: int,
        tokens: int = 0,
        *,
        cause: str = "",
    ) -> None:
        lineage = self._head.lineages[DOCUMENT_PHASES[phase]]
        before = work.reached.get(phase)
        attempt = before.attempt + 1 if before else 1
        number = STATUS_NUMBER[status]
        self._results.append(
            (
                self._transaction.next_seq(),
                self._head.branch,
                phase,
                lineage,
                work.version,
                number,
                artifact,
                attempt,
            )
        )
        if before is not None and before.status != _PENDING:
            self._count(lineage, before.status, before.cause, -1, -size_bytes, 0)
        if number != _PENDING:
            self._count(lineage, number, cause, 1, size_bytes, tokens)

    def _count(self, lineage: int, status: int, cause: str, n: int, size_bytes: int, tokens: int) -> None:
        count = self._counts[lineage, status, cause]
        count[0] += n
        count[1] += size_bytes
        count[2] += tokens

    def _write(self, replies: Sequence[tuple[Work, DocumentReply]]) -> None:
        self._transaction.blobs.executemany("INSERT INTO blob(id, data) VALUES(?, ?)", self._blobs)
        self._state.executemany(
            "UPDATE version SET content = ?, media_type = ? WHERE id = ?",
            [(reply.content, reply.media_type, work.version) for work, reply in replies if reply.content],
        )
        self._state.executemany(
            """INSERT INTO artifact(id, key, phase, output, blob, data, amount, created, data_sum)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            self._artifacts,
        )
        self._state.executemany(
            "UPDATE artifact SET output = ?, blob = ?, data = ?, data_sum = ? WHERE id = ?", self._mended
        )
        write_results(self._state, self._results)
        self._state.executemany("INSERT INTO failure VALUES(?, ?, ?, ?)", self._failures)
        for (lineage, status, cause), (n, size_bytes, tokens) in self._counts.items():
            add_count(self._state, self._head.branch, lineage, status, n, size_bytes, tokens, cause=cause)


def ended_versions(state: apsw.Connection, head: Head, versions: Sequence[int]) -> frozenset[int]:
    """Those of some versions that have left the head while they were under way: nothing counts for them."""
    marks = ",".join("?" * len(versions))
    rows: Any = state.execute(
        f"SELECT v.id FROM version v WHERE v.id IN ({marks}) AND NOT {head.live()}",  # noqa: S608
        tuple(versions),
    )
    return frozenset(row[0] for row in rows)


def write_results(
    state: apsw.Connection, rows: Iterable[tuple[int, int, int, int, int, int, int | None, int]]
) -> None:
    """Append result rows: (seq, branch, phase, lineage, version, status, artifact, attempt)."""
    state.executemany("INSERT INTO result VALUES(?, ?, ?, ?, ?, ?, ?, ?)", rows)


@dataclass(frozen=True, slots=True)
class Known:
    """An artifact that exists. `lost`: what it held was damaged; the key made again gives it back."""

    artifact: int
    output: bytes
    amount: int = 0
    lost: bool = False


LOST = "((a.phase IN (1, 2) AND a.blob IS NULL) OR (a.data IS NULL AND a.data_sum IS NOT NULL))"
"""SQL: whether the artifact `a` has lost its payload or its data."""


def find_artifacts(
    state: apsw.Connection, keys: Sequence[bytes], *, lost: bool = False
) -> dict[bytes, Known]:
    """Look artifacts up by key: those that can be used, and with `lost` also those to be made again."""
    if not keys:
        return {}
    marks = ",".join("?" * len(keys))
    rows: Any = state.execute(
        f"SELECT a.key, a.id, a.output, a.amount, {LOST} FROM artifact a WHERE a.key IN ({marks})",  # noqa: S608
        tuple(keys),
    )
    return {row[0]: Known(row[1], row[2], row[3], bool(row[4])) for row in rows if lost or not row[4]}


def sum_of(data: bytes | None) -> bytes | None:
    """The checksum of an artifact's `data`."""
    return None if data is None else digest(data)[:8]


def record_indexed(entries: Sequence[tuple[int, int, int, int]]) -> Callable[[Transaction], None]:
    """Record that a committed index holds some documents.

    Each entry is (version, size in bytes, attempts so far, chunk artifact).
    """

    def operation(transaction: Transaction) -> None:
        state = transaction.state
        head = read_head(state)
        lineage = head.lineages[PhaseName.INDEX]
        state.executemany(
            "INSERT INTO indexed VALUES(?) ON CONFLICT DO NOTHING", [(artifact,) for *_, artifact in entries]
        )
        ended = ended_versions(state, head, [entry[0] for entry in entries])
        live = [entry for entry in entries if entry[0] not in ended]
        write_results(
            state,
            [
                (transaction.next_seq(), head.branch, _INDEX, lineage, version, _DONE, None, attempt + 1)
                for version, _size, attempt, _artifact in live
            ],
        )
        add_count(state, head.branch, lineage, _DONE, len(live), sum(entry[1] for entry in live))

    return operation


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


def members_of(state: apsw.Connection, artifact: int) -> list[Member] | None:
    """The members that a clean artifact tells of, None where it is not a container's."""
    return unpack_members(state.execute("SELECT data FROM artifact WHERE id = ?", (artifact,)).get)


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
            cost = _cost_of(state, artifact) if phase == _CLASSIFY else 0
            add_count(state, head.branch, lineage, _DONE, 1, work.size_bytes, tokens, cost_nano_usd=cost)
        write_results(state, rows)

    return operation


def _cost_of(state: apsw.Connection, artifact: int | None) -> int:
    return int(state.execute("SELECT cost_nano_usd FROM artifact WHERE id = ?", (artifact,)).get or 0)


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
            state.execute("UPDATE head SET settled = 0")
            state.execute(
                """UPDATE run SET state = 'incomplete'
                WHERE state = 'complete' AND id = (SELECT max(id) FROM run)"""
            )
        return count

    return operation


def refuse_oversized(transaction: Transaction, limit_bytes: int, streamed: Collection[str]) -> None:
    """After `input.max_file_size` changed: refuse what is known to be larger, also if it was read before.

    The limit does not hold for the media types in `streamed`.
    """
    state = transaction.state
    head = open_scan(state)
    lineage = head.lineages[PhaseName.INPUT]
    rows: Any = state.execute(
        f"""SELECT v.id, v.size_bytes, v.document, v.media_type FROM version v
        WHERE v.size_bytes > ? AND {head.live()}""",  # noqa: S608
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
            if before is not None and before.status == failed:
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
                    cost_nano_usd=-_cost_of(state, result.artifact),
                )
        write_results(state, rows)


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
) -> Iterable[BadResult]:
    """Every document that ended without being done, ordered by version.

    Each phase is read in the order of an index and the phases are merged, so that a page costs the same
    however many there are.
    """
    wanted = [phase] if phase is not None else list(DOCUMENT_PHASES)
    lineages = [head.lineages[name] for name in wanted if name in head.lineages]
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
    arm = f"""SELECT r.version AS version, r.seq, r.phase, r.lineage, r.status, r.attempt, d.path,
            v.size_bytes, f.cause, f.message, f.time
        FROM {rows_from}
            CROSS JOIN version v ON v.id = r.version CROSS JOIN document d ON d.id = v.document
        WHERE r.status > 1 AND r.lineage = ? AND {head.visible()} AND {head.live()}
            AND r.version > ? {conditions}
            AND NOT EXISTS (SELECT 1 FROM result l WHERE l.lineage = r.lineage AND l.version = r.version
                AND l.seq > r.seq AND {head.visible("l")})"""  # noqa: S608
    rows = connection.execute(
        " UNION ALL ".join([arm] * len(lineages)) + " ORDER BY version LIMIT ?",
        (*(part for lineage in lineages for part in (lineage, after, *values)), limit),
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
