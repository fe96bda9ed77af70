"""Documents on their way: handed to the workers, committed to the store, taken by the index.

A batch keeps its place until all that is done, and there are only a few places, so memory is bounded
by them and not by the corpus. `in_hand` says which documents are under way: no one else may take
them up, and no checkpoint may call them settled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from tui_scraper.engine.duplicates.spool import Spool
from tui_scraper.engine.events import DocumentFailed, Emit
from tui_scraper.engine.feeding import BatchSize, Payloads, batches, is_heavy, plan, work_item
from tui_scraper.engine.models import PHASES, WORKER_PHASES, Cause, PhaseName, Status
from tui_scraper.engine.phases.index import IndexEntry, Indexer
from tui_scraper.engine.places import Places
from tui_scraper.engine.progress import Activity
from tui_scraper.engine.runlog import RunLog
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.committing import Finished, commit_replies
from tui_scraper.engine.store.head import PHASE_NUMBER, STATUS_NUMBER
from tui_scraper.engine.store.recording import reuse
from tui_scraper.engine.store.results import Reached, Work
from tui_scraper.engine.store.writer import Transaction, Writer
from tui_scraper.engine.wire import DocumentReply
from tui_scraper.engine.workers.pool import Pool

if TYPE_CHECKING:
    from tui_scraper.engine.labelling import Offer
    from tui_scraper.engine.outside import Outside

_PLACES_PER_WORKER = 3
_HUGE_BYTES = 1_000_000
"""Larger documents are worked on one at a time: reading one may take twenty times its size in memory."""
_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pass gives to those who carry it out. `source` is the folder of documents."""

    source: bytes
    settings: Settings
    through: PhaseName
    writer: Writer
    state: apsw.Connection
    payloads: Payloads
    activity: Activity
    log: RunLog
    emit: Emit


class Batches:
    """The documents under way in one pass. Use it in one event loop, inside one task group.

    `configs` are the hashes of the phases' configurations; artifacts up to `artifacts_before` may be in the
    index already, from an earlier run. `outside` are the models that are asked; `left` is the first document
    that there was no room for (None: there was room for all). `spool` takes signatures of texts, where they
    are wanted.
    """

    def __init__(
        self,
        around: Surroundings,
        configs: Configs,
        artifacts_before: int,
        indexer: Indexer | None,
        group: asyncio.TaskGroup,
        outside: Outside,
        spool: Spool | None,
    ) -> None:
        self.in_hand: set[int] = set()
        self.committed = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.pool: Pool | None = None
        self._around = around
        self._activity = around.activity
        self._writer = around.writer
        self._payloads = around.payloads
        self._configs = configs
        self._artifacts_before = artifacts_before
        self._indexer = indexer
        self._group = group
        self._spool = spool
        self._labelling = outside.labelling
        self._embedding = outside.embedding
        self.left: int | None = None
        self._places = Places(around.activity.workers * _PLACES_PER_WORKER)
        self._huge = asyncio.Lock()
        self._size = BatchSize()
        self._pool_start: asyncio.Task[None] | None = None

    async def hand_out(self, page: Sequence[Work], admit: Callable[[], Awaitable[None]]) -> None:
        """Take up a page of documents. `admit` is awaited before each batch, a free place after it."""
        fresh = [work for work in page if work.version not in self.in_hand]
        if not fresh:
            return
        limit_bytes = self._around.settings.input.max_file_size
        planned = plan(
            self._around.state,
            fresh,
            self._configs,
            self._around.through,
            limit_bytes,
            paid_labels=self._labelling is not None,
        )
        self.in_hand.update(work.version for work in fresh)
        if planned.reuse:
            await self._writer.submit(reuse(planned.reuse))
        if planned.index:
            await self._index_stored(planned.index)
        if planned.work:
            self.start_workers()
        for batch in batches(planned.work, self._size):
            await admit()
            if self._labelling is not None and _is_chunked(batch[0]):
                while not self._labelling.emptier:  # these have nothing left to be done but this
                    await self._labelling.moved()
            await self._places.take()
            task = self._group.create_task(self._do(batch))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            task.add_done_callback(lambda _task: self._places.give_back())

    def start_workers(self) -> None:
        """Begin to load the workers, unless that has happened."""
        if self._pool_start is None:
            self._pool_start = self._group.create_task(self._start_pool())

    def resize(self, workers: int) -> None:
        """Have another number of workers, and of places. What is in hand is finished where it is."""
        self._places.resize(workers * _PLACES_PER_WORKER)
        if self.pool is not None:
            self.pool.resize(workers)

    async def end_workers(self) -> None:
        """End the workers, also those that are still loading because they were not needed after all."""
        if self._pool_start is not None:
            self._pool_start.cancel()
            await asyncio.wait({self._pool_start})
        if self.pool is not None:
            await self.pool.close()

    async def _start_pool(self) -> None:
        from tui_scraper.engine.extract.pdf import ocr  # a run without work needs neither this nor a pool

        until = min(self._around.through, PhaseName.CLASSIFY, key=PHASES.index)
        around = self._around
        pool = Pool(
            self._activity.workers,
            around.settings,
            until,
            around.log.warning,
            readable=(around.source,),
            allow_programs=bool(ocr.languages(around.settings.clean)),
            expected=(Path(os.fsdecode(around.source)), around.writer.directory),
            signs=self._spool is not None,
        )
        self.pool = pool
        await pool.start()
        self._activity.sandbox = pool.sandbox
        level = pool.sandbox

        def operation(transaction: Transaction) -> None:
            transaction.state.execute(
                "INSERT INTO meta VALUES('sandbox', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (level,),
            )

        await self._writer.submit(operation)

    async def _do(self, batch: list[Work]) -> None:
        """Have a batch worked on, its results committed and handed to the index."""
        if self._pool_start is not None:
            await asyncio.shield(self._pool_start)
        assert self.pool is not None
        items = [work_item(work, self._around.source, self._payloads) for work in batch]
        by_version = {work.version: work for work in batch}
        commits: list[asyncio.Future[list[Finished]]] = []
        answered: list[Sequence[DocumentReply]] = []

        def deliver(replies: Sequence[DocumentReply]) -> None:
            pairs = [(by_version[reply.version], reply) for reply in replies]
            answered.append(replies)
            commits.append(self._writer.submit(commit_replies(pairs, self._configs)))

        huge = any(work.size_bytes > _HUGE_BYTES for work in batch)
        async with self._huge if huge else contextlib.nullcontext():
            seconds = await self.pool.run(items, deliver)
        if not (is_heavy(batch[0]) or batch[-1].place.inside):
            self._size.learn(len(batch), seconds)
        for replies, commit in zip(answered, commits, strict=True):
            finished = await commit
            self._account(replies, by_version)
            if self._spool is not None:
                await self._spool.add(
                    (reply.clean.output, reply.clean.signature)
                    for reply in replies
                    if reply.clean is not None
                )
            self.in_hand.difference_update(
                {reply.version for reply in replies} - {item.version for item in finished}
            )
            await self._index([item for item in finished if item.to_ask is None], by_version)
            await self._label([item for item in finished if item.to_ask is not None], by_version)

    async def _label(self, finished: Sequence[Finished], by_version: dict[int, Work]) -> None:
        """Have a model asked for labels. What there is no room for stays in the store for later."""
        if self._labelling is None or not finished:
            return
        offers: list[Offer] = []
        for item in finished:
            work = by_version[item.version]
            if item.clean is not None:
                work.reached[_CLEAN] = Reached(STATUS_NUMBER[Status.DONE], item.clean, 1)
            if item.chunks is not None:
                work.reached[_CHUNK] = Reached(STATUS_NUMBER[Status.DONE], item.chunks, 1)
            if item.to_ask is not None:
                offers.append((work, *item.to_ask))
        for work in await self._labelling.offer(offers):
            self.in_hand.discard(work.version)
            self.left = min(work.version, self.left or work.version)

    async def labelled(self, works: Sequence[Work]) -> None:
        """Documents have got their label: the index may have them."""
        self._activity.last_commit = time.monotonic()
        self.committed += len(works)
        await self._index_stored(works)

    async def embedded(self, entries: Sequence[IndexEntry]) -> None:
        """Documents have their vectors: the index may have them."""
        self._activity.last_commit = time.monotonic()
        self.committed += len(entries)
        assert self._indexer is not None
        await self._indexer.put(entries)

    def _account(self, replies: Sequence[DocumentReply], by_version: dict[int, Work]) -> None:
        activity = self._activity
        activity.last_commit = time.monotonic()
        activity.documents += len(replies)
        self.committed += len(replies)
        for reply in replies:
            for phase, spent_ns in zip(WORKER_PHASES, reply.cpu_ns, strict=True):
                activity.cpu_ns[phase] = activity.cpu_ns.get(phase, 0) + spent_ns
            if reply.status is not Status.DONE:
                self.in_hand.discard(reply.version)
                self._tell_failure(reply, by_version[reply.version])

    def _tell_failure(self, reply: DocumentReply, work: Work) -> None:
        path = safe_text(show_path(work.path))
        message = safe_text(reply.message)
        cause = reply.cause or Cause.READ_ERROR
        attempts = _attempts(work, PHASE_NUMBER[reply.phase]) + 1
        event = DocumentFailed(time.time(), path, reply.phase, reply.status, cause, message, attempts)
        self._around.emit(event)
        if reply.status is Status.FAILED:
            sentence = f"✗ {reply.phase} {path} · {cause}: {message}"
            self._around.log.error(sentence, path=path, cause=str(cause))

    async def _index(self, finished: Sequence[Finished], by_version: dict[int, Work]) -> None:
        if self._indexer is None:
            self.in_hand.difference_update(item.version for item in finished)
            return
        entries = []
        for item in finished:
            work = by_version[item.version]
            if item.chunks is None:
                continue
            clean, chunks = item.clean_payload, item.chunk_payload
            entries.append(
                IndexEntry(
                    version=item.version,
                    size_bytes=item.size_bytes,
                    attempts=_attempts(work, _INDEX),
                    artifact=item.chunks,
                    replace=item.chunks <= self._artifacts_before,
                    clean=clean,
                    chunks=chunks,
                    clean_blob=0 if clean else self._payloads.blob_id(work.reached[_CLEAN]),
                    chunk_blob=0 if chunks else self._payloads.blob_id(work.reached[_CHUNK]),
                    made=item.vectors,
                )
            )
        if not entries:
            return
        if self._embedding is not None:
            await self._embedding.offer(entries)
        else:
            await self._indexer.put(entries)

    async def _index_stored(self, ready: Sequence[Work]) -> None:
        """Index documents whose text and chunks exist already."""
        await self._index(
            [
                Finished(work.version, work.size_bytes, work.reached[_CHUNK].artifact, None, None)
                for work in ready
            ],
            {work.version: work for work in ready},
        )

    def indexed(self, versions: Sequence[int]) -> None:
        """The index has recorded some documents: they are no longer under way."""
        self._activity.last_commit = time.monotonic()
        self.in_hand.difference_update(versions)
        if self._indexer is not None:
            self._activity.cpu_ns[PhaseName.INDEX] = self._indexer.cpu_ns


def _is_chunked(work: Work) -> bool:
    reached = work.reached.get(_CHUNK)
    return reached is not None and reached.status == STATUS_NUMBER[Status.DONE]


def _attempts(work: Work, phase: int) -> int:
    before = work.reached.get(phase)
    return before.attempt if before is not None else 0
