"""Recording what workers made of documents: artifacts, results, failures and the counters that follow.

Order of writes, after restic: payload, artifact, result, so that nothing refers to what is not
there. All of it is one operation, hence one savepoint in one commit.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.store.artifacts import Configs, Known, StoredLabel, find_artifacts, sum_of
from tui_scraper.engine.store.counters import FOUND, FOUND_ALL, FOUND_INSIDE, add_count
from tui_scraper.engine.store.epochs import open_scan
from tui_scraper.engine.store.head import (
    DOCUMENT_PHASES,
    PHASE_NUMBER,
    STATUS_NUMBER,
    artifact_key,
    clean_source,
    read_head,
)
from tui_scraper.engine.store.members import (
    MAX_INSIDE,
    Inside,
    end_members,
    end_versions,
    keep_members,
    pack_members,
)
from tui_scraper.engine.store.results import Reached, Work, ended_versions, write_results
from tui_scraper.engine.store.writer import Transaction
from tui_scraper.engine.wire import DigestText, DocumentReply, LabelResult

_DONE = STATUS_NUMBER[Status.DONE]
_PENDING = STATUS_NUMBER[Status.PENDING]
_INPUT = PHASE_NUMBER[PhaseName.INPUT]
_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a commit made of one reply, for the phases that follow it in the engine."""

    version: int
    size_bytes: int
    chunks: int | None
    """The chunk artifact's id, None where the document ended before it."""
    clean_payload: bytes | None
    chunk_payload: bytes | None
    clean: int | None = None
    """The clean artifact's id, where it was made by this reply."""
    to_ask: tuple[DigestText, LabelResult] | None = None
    """What a model is to be asked about, with the label that stands in for its own."""
    vectors: bytes = b""
    """Those of the chunks, where they are made on this machine and with this reply."""


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
        self._inside = Inside(self._state)
        self._known: dict[bytes, Known] = {}
        self._blobs: list[tuple[int, bytes]] = []
        self._artifacts: list[
            tuple[int, bytes, int, bytes, int | None, bytes | None, int, float, bytes | None]
        ] = []
        self._mended: list[tuple[int, bytes, int | None, bytes | None, int, float, bytes | None, int]] = []
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
        cleaned: int | None = None
        clean_output = b""
        if reply.clean is not None and clean_key is not None:
            part = reply.clean
            data = pack_members(reply.members) if reply.members is not None else None
            artifact = self._artifact(clean_key, _CLEAN, part.output, part.payload, data, part.characters)
            clean_output = part.output
            self._result(work, _CLEAN, Status.DONE, artifact, size_bytes)
            cleaned = artifact
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
        labelled = _CLASSIFY in work.reached and work.reached[_CLASSIFY].status == _DONE
        asks = reply.to_ask is not None and not labelled
        if reply.label is not None and label_key is not None and not labelled and not asks:  # one there stays
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
            clean=cleaned,
            to_ask=(reply.to_ask, reply.label) if asks and reply.to_ask and reply.label else None,
            vectors=reply.chunk.vectors if reply.chunk else b"",
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
            """INSERT INTO version(id, document, scan_from, size_bytes, mtime_ns, ctime_ns)
            SELECT ?, document, ?, size_bytes, mtime_ns, ctime_ns FROM version WHERE id = ?""",
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
                self._end_members(work, ended)
            return reply
        self._any_inside = True
        if not self._inside.admit(self._head, work.place, work.document, reply.members):
            self._end_members(work, ended)
            return DocumentReply(
                version=reply.version,
                status=Status.FAILED,
                phase=PhaseName.CLEAN,
                cause=Cause.TOO_LARGE,
                message=f"There are more than {MAX_INSIDE:,} files inside one another here, as in a bomb.",
                content=reply.content,
                media_type=reply.media_type,
            )
        gone = keep_members(self._transaction, self._head, work.place, work.document, reply.members)
        self._let_go(work, gone, ended)
        return reply

    def _end_members(self, work: Work, ended: set[int]) -> None:
        self._let_go(work, end_members(self._transaction, self._head, work.document), ended)

    def _let_go(self, work: Work, gone: Sequence[int], ended: set[int]) -> None:
        if gone:
            self._inside.changed(work.place)
            ended.update(gone)

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
            self._mended.append((phase, output, blob, data, amount, self._now, data_sum, artifact))
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
            self._count(
                lineage, before.status, before.cause, -1, -size_bytes, -self._tokens_of(phase, before)
            )
        if number != _PENDING:
            self._count(lineage, number, cause, 1, size_bytes, tokens)

    def _tokens_of(self, phase: int, before: Reached) -> int:
        if phase <= _CLEAN or before.artifact is None:
            return 0
        return int(
            self._state.execute("SELECT amount FROM artifact WHERE id = ?", (before.artifact,)).get or 0
        )

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
            """UPDATE artifact
            SET phase = ?, output = ?, blob = ?, data = ?, amount = ?, created = ?, data_sum = ?
            WHERE id = ?""",
            self._mended,
        )
        write_results(self._state, self._results)
        self._state.executemany("INSERT INTO failure VALUES(?, ?, ?, ?)", self._failures)
        for (lineage, status, cause), (n, size_bytes, tokens) in self._counts.items():
            add_count(self._state, self._head.branch, lineage, status, n, size_bytes, tokens, cause=cause)
