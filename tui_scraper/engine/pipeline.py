"""One pass over the corpus: scan, work, index and export, all at the same time where they can be.

    scan (thread) -> store -> feed -> workers -> store -> index (thread) -> store -> export (thread)

Every arrow is bounded: the feeder waits for a free place, a batch keeps its place until its results
are committed and taken by the index, and the index takes only so many bytes. Nothing is kept in
memory that the store does not hold already or will hold next, so a pass can end at any instant and
the next one goes on from what was committed. That is also how it resumes, pauses on a full disk
and redoes a phase: there is no second path.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tui_scraper.engine.asking.telling import Surrounding
from tui_scraper.engine.batches import Batches, Surroundings
from tui_scraper.engine.cadence import Cadence
from tui_scraper.engine.duplicates.spool import Spool
from tui_scraper.engine.errors import StoreBlockedError, TuiScraperError
from tui_scraper.engine.events import (
    CheckpointTaken,
    Emit,
    FolderWarning,
    LabelsNotice,
    LimitsSeen,
    RunPaused,
    RunResumed,
    SettingsChanged,
    SettingsKept,
)
from tui_scraper.engine.extract.media_types import STREAMED
from tui_scraper.engine.feeding import Payloads
from tui_scraper.engine.limits import with_limits_of
from tui_scraper.engine.memory import total_pss
from tui_scraper.engine.models import PHASES, PhaseName, RunSnapshot, RunState, Spend, Status
from tui_scraper.engine.outside import Choice, Outside, choose_models, open_outside, unproven
from tui_scraper.engine.phases.base import configurations, hashes
from tui_scraper.engine.phases.index import IndexEntry, Indexer, generation, vectors_are_missing
from tui_scraper.engine.phases.input import Walk, identities
from tui_scraper.engine.phases.output import Output, check_formats, places_written
from tui_scraper.engine.phases.registry import DOCUMENT_PHASE_MODULES
from tui_scraper.engine.progress import Activity, Progress
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.runlog import RunLog
from tui_scraper.engine.scanning import Scan, Tally
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.settings_in_force import InForce, changes, sentences, settings_at
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.checkpoints import phases_marked, take_checkpoint
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.counters import PhaseCount, counts_of, read_totals, set_lineages
from tui_scraper.engine.store.epochs import begin as begin_scan
from tui_scraper.engine.store.head import GENERATION, PhaseConfigs, read_head, salts
from tui_scraper.engine.store.ledger import lose_all
from tui_scraper.engine.store.lost import settle_lost
from tui_scraper.engine.store.members import match_members
from tui_scraper.engine.store.results import Work, sampled, unfinished
from tui_scraper.engine.store.runs import begin_run, end_run
from tui_scraper.engine.store.setbacks import refuse_oversized, uphold_refusals
from tui_scraper.engine.store.writer import Operation, Transaction
from tui_scraper.engine.threads import in_thread
from tui_scraper.engine.workspace import Workspace

_PAGE = 4_000
_SNAPSHOT_S = 0.25
_MEMORY_S = 1.0
_MEMORY_LOW = 0.9
_STOP_GRACE_S = 1.2
_LIMITS_S = 2.0


@dataclass(frozen=True)
class _Begun:
    """What a run began with.

    `redone` are documents that had passed a phase with the settings before and have not with these.
    `expects_work`: there is some before any scan, so the workers start beside it, because they take most of
    a second to load. Artifacts up to `newest_artifact` are of earlier runs.
    """

    scan: int
    run: int
    configs: PhaseConfigs
    changed: tuple[PhaseName, ...]
    redone: dict[PhaseName, int]
    settings_before: Settings | None
    newest_artifact: int
    expects_work: bool


class Pipeline:
    """One pass. Made, run and thrown away in one event loop."""

    def __init__(
        self,
        workspace: Workspace,
        request: RunRequest,
        in_force: InForce,
        log: RunLog,
        publish: Callable[[RunSnapshot], None],
        emit: Emit,
    ) -> None:
        self._workspace = workspace
        self._request = request
        self._in_force = in_force
        self._settings = in_force.settings
        self._through = request.through
        self._log = log
        self._publish = publish
        self._emit = emit
        self._writer = workspace.writer
        self._source = os.fsencode(workspace.source)
        self.tally = Tally()
        self.activity = Activity(started=time.time(), began=time.monotonic())
        self._registered = asyncio.Event()
        self._scanned = False
        self._stop = asyncio.Event()
        self._abandoned = threading.Event()
        self._paused = False
        self._memory_full = False
        self._intake = asyncio.Event()
        self._intake.set()
        self._after = 0
        self._rewind = False
        self._retrying = 0
        self._batches: Batches | None = None
        self._choice: Choice | None = None
        self._outside = Outside(None, None)
        self._halted: TuiScraperError | None = None
        self._run = 0
        self._limits_due = 0.0

    async def run(self) -> RunState:
        """Carry the pass out. Returns COMPLETE, or STOPPED where it was told to stop.

        Raises StoreBlockedError, StoreError and other TuiScraperErrors with the sentence to show.
        """
        with contextlib.ExitStack() as stack:
            directory = self._workspace.directory
            self._state = open_state(directory, read_only=True)
            stack.callback(self._state.close)
            self._blobs = open_blobs(directory, read_only=True)
            stack.callback(self._blobs.close)
            progress_state = open_state(directory, read_only=True)
            stack.callback(progress_state.close)
            payloads = Payloads(self._state, self._blobs)
            self._choice = choose_models(self._state, self._request, self._in_force)
            self._settings = self._choice.backend.settings
            self._progress = Progress(progress_state, self._request, str(directory), self._log)
            around = Surroundings(
                source=self._source,
                settings=self._settings,
                through=self._through,
                writer=self._writer,
                state=self._state,
                payloads=payloads,
                activity=self.activity,
                log=self._log,
                emit=self._emit,
            )
            indexer = None
            if self._wants(PhaseName.INDEX):
                indexer = Indexer(directory, self._writer, self._indexed)
            async with contextlib.AsyncExitStack() as closing:  # whatever one of them raises, all are closed
                if indexer is not None:
                    closing.push_async_callback(indexer.close)
                closing.push_async_callback(self._end_workers)
                closing.push_async_callback(self._end_asking)
                compares = self._wants(PhaseName.OUTPUT) and self._settings.output.near_duplicates
                spool = Spool(directory) if compares else None
                if spool is not None:
                    stack.callback(spool.close)
                return await self._work(around, indexer, spool)

    async def _end_workers(self) -> None:
        if self._batches is not None:
            await self._batches.end_workers()

    async def _end_asking(self) -> None:
        await self._outside.close()

    @property
    def again(self) -> bool:
        """Whether a retry was asked for too late for this pass: another one is due."""
        return self._rewind and self.activity.state is RunState.COMPLETE

    @property
    def ending(self) -> bool:
        """Whether this pass is over, or will be without a further command."""
        return self._stop.is_set() or self.activity.state is RunState.COMPLETE

    @property
    def told_to_stop(self) -> bool:
        """Whether it takes up nothing more, by a command or for want of money."""
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        """Whether a person has paused it."""
        return self._paused

    @property
    def asks(self) -> bool:
        """Whether any model may be asked in this pass."""
        return self._choice is not None and self._choice.asks

    @property
    def _workers(self) -> int:
        return self._settings.engine.workers or os.cpu_count() or 1

    def pause(self) -> None:
        """Take up nothing further; what is in hand is finished."""
        if self._paused or self._stop.is_set():
            return
        self._paused = True
        self._set_intake()
        self._outside.pause()
        self.activity.state = RunState.PAUSED
        self._emit(RunPaused(time.time(), "paused by the person"))
        self._log.info("Paused.")
        self._show()

    def resume(self) -> None:
        """Go on after a pause."""
        if not self._paused:
            return
        self._paused = False
        self._set_intake()
        self._outside.resume()
        self.activity.state = RunState.SCANNING if self.activity.scanning else RunState.RUNNING
        self.activity.last_commit = time.monotonic()
        self._emit(RunResumed(time.time()))
        self._log.info("Going on.")
        self._show()

    def limit(self, settings: Settings) -> None:
        """Take over the limits of other settings, at once; what is in hand, or in flight, is finished."""
        self._settings = with_limits_of(self._settings, settings)
        if self._choice is not None:
            self._choice = self._choice.limited(settings)
        if self._batches is not None:
            self.activity.workers = self._workers
            self._batches.resize(self._workers)
        self._outside.limit(settings.classify)
        self.activity.spend = self._outside.spend() or self.activity.spend
        self._show()

    def stop(self) -> None:
        """End the pass at the next committed batch; one that is over stays as it ended."""
        if self.activity.state in {RunState.COMPLETE, RunState.STOPPED}:
            return
        self._stop.set()
        self._set_intake()
        self.activity.state = RunState.STOPPING
        self._show()

    async def retry(self, putting_back: Operation[int]) -> int:
        """Put documents back to pending while the pass goes on. Returns how many."""
        self._retrying += 1
        try:
            count = await self._writer.submit(putting_back)
        finally:
            self._retrying -= 1
            self._rewind = True  # only now: looked for earlier, they would not be found
        self._registered.set()
        if count:
            self._log.info(f"{count:,} documents are tried again.")
        return count

    async def passage_settled(self, text: str) -> None:
        """Wait while a passage with this very text waits for its vector."""
        if self._outside.embedding is not None:
            await self._outside.embedding.settled(text)

    def _set_intake(self) -> None:
        if self._stop.is_set() or not (self._paused or self._memory_full):
            self._intake.set()
        else:
            self._intake.clear()

    def _wants(self, phase: PhaseName) -> bool:
        return PHASES.index(phase) <= PHASES.index(self._through)

    def _show(self) -> None:
        self._publish(self._progress.take(self.activity))

    def _indexed(self, versions: Sequence[int]) -> None:
        if self._batches is not None:
            self._batches.indexed(versions)

    async def _work(self, around: Surroundings, indexer: Indexer | None, spool: Spool | None) -> RunState:
        self.activity.state = RunState.SCANNING
        if self._wants(PhaseName.OUTPUT):
            check_formats(self._workspace.directory, self._request)
        if not await self._prove():
            self.activity.state = RunState.STOPPED
            self._show()
            return self.activity.state
        fresh = await indexer.open() if indexer is not None else False
        begun = await self._begin(fresh)
        self.activity.method = self._settings.classify.backend
        self.activity.workers = self._workers
        self.activity.last_commit = time.monotonic()
        self._cadence = Cadence(self._settings.engine)
        try:
            async with asyncio.TaskGroup() as group:
                configs = hashes(begun.configs)
                outside = self._outside = self._open_outside(begun.configs, configs)
                work = Batches(around, configs, begun.newest_artifact, indexer, group, outside, spool)
                self._batches = work
                if indexer is not None:
                    indexer.wants(begun.configs[PhaseName.INDEX])
                if begun.expects_work:
                    work.start_workers()
                watchers = [
                    group.create_task(self._watch_progress(work)),
                    group.create_task(self._watch_memory(work)),
                ]
                await self._scan_and_feed(group, work, begun.scan)
                await outside.close()
                self.activity.spend = outside.spend()
                if not self._stop.is_set() and self._request.sample is None:
                    outside.compare(self._workspace.directory, self._tell)
                # What follows has more use for their memory.
                ending = asyncio.ensure_future(work.end_workers())
                try:
                    await self._finish(work, indexer, spool)
                finally:
                    await ending
                for watcher in watchers:
                    watcher.cancel()
        except BaseExceptionGroup as errors:
            error = _most_telling(errors)
            with contextlib.suppress(TuiScraperError):  # the disk that ended the pass may refuse this too
                ended = "paused" if isinstance(error, StoreBlockedError) else "failed"
                await self._writer.submit(end_run(self._run, ended))
            raise error from errors
        if self._halted is not None:
            await self._writer.submit(end_run(self._run, "paused"))
            self._show()
            raise self._halted
        await self._writer.submit(end_run(self._run, "stopped" if self._stop.is_set() else "complete"))
        self.activity.state = RunState.STOPPED if self._stop.is_set() else RunState.COMPLETE
        self._log.info("Stopped; everything finished is saved." if self._stop.is_set() else "Complete.")
        self._show()
        return self.activity.state

    async def _prove(self) -> bool:
        """See that a model works before what another one made is put out of force. False where stopped."""
        assert self._choice is not None
        if not self._choice.asks:
            return True
        extra = _extra(0, salts(self._state, read_head(self._state)))  # of the vectors no generation matters
        configs = configurations(DOCUMENT_PHASE_MODULES, self._settings, extra)
        new = unproven(self._choice, self._state, configs)
        if not any(new):
            return True
        from tui_scraper.engine.proving import prove

        trying = asyncio.create_task(prove(new, self._choice, self._state, self._writer, self._log.info))
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({trying, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not trying.done():
            trying.cancel()
            await asyncio.wait({trying})
            return False
        trying.result()
        return True

    async def _begin(self, fresh_index: bool) -> _Begun:
        """Begin a run and its scan, and put its settings in force."""
        number = await self._writer.submit(generation(fresh_index))
        settings_json = self._in_force.settings.model_dump_json()
        limit = self._settings.input.max_file_size
        waiting = self._in_force.waiting
        directory = self._workspace.directory

        def operation(transaction: Transaction) -> _Begun:
            state = transaction.state
            before = read_head(state)
            passed = read_totals(state, before)
            settings_before = settings_at(state, before)
            scan = begin_scan(state).scan
            configs = configurations(
                DOCUMENT_PHASE_MODULES, self._settings, _extra(number, salts(state, before))
            )
            if self._choice is not None:
                self._choice.keep(state, before, configs)
            if vectors_are_missing(state, directory, configs[PhaseName.INDEX]):
                version, config = configs[PhaseName.INDEX]
                anew = generation(fresh=True)(transaction)
                configs[PhaseName.INDEX] = version, {**config, GENERATION: anew}
            changed = set_lineages(state, configs)
            if PhaseName.INPUT in changed:
                refuse_oversized(transaction, limit, STREAMED)
            if changed:
                uphold_refusals(transaction)
            if before.lineages and (PhaseName.CLEAN in changed or scan - before.scan > 1):
                match_members(transaction)
            settle_lost(transaction)
            lose_all(transaction)
            run = begin_run(settings_json)(transaction)
            state.execute("UPDATE head SET pinned = ?", (bool(before.pinned and waiting),))
            totals = read_totals(state, read_head(state))
            return _Begun(
                scan=scan,
                run=run,
                configs=configs,
                changed=changed if before.lineages else (),
                redone={
                    phase: _done(passed[phase]) - _done(totals[phase])
                    for phase in changed
                    if _done(passed[phase]) > _done(totals[phase])
                },
                settings_before=settings_before,
                newest_artifact=transaction.last_artifact,
                expects_work=not before.lineages or counts_of(totals).pending > 0,
            )

        begun = await self._writer.submit(operation)
        self._run = begun.run
        self._tell_settings(begun)
        return begun

    def _tell_settings(self, begun: _Begun) -> None:
        waiting = tuple(change.key for change in self._in_force.waiting)
        if waiting:
            sentence = (
                f"The settings gone back to stay in force. Those of the file differ in {', '.join(waiting)}; "
                "`--accept-settings` puts them in force."
            )
            self._emit(SettingsKept(time.time(), waiting, sentence))
            self._log.warning(sentence)
        before = begun.settings_before
        if before is not None and self._choice is not None:
            before = self._choice.backend.settled(before)
        found = changes(before, self._settings) if before is not None else []
        said = sentences(found, begun.changed, begun.redone)
        if begun.changed or said:
            keys = tuple(change.key for change in found)
            self._emit(SettingsChanged(time.time(), begun.changed, keys, said))
            for sentence in said:
                self._log.info(sentence)

    async def _scan_and_feed(self, group: asyncio.TaskGroup, work: Batches, number: int) -> None:
        scan = group.create_task(self._scan(number))
        if self._request.sample is not None:
            await asyncio.wait({scan})
        feed = group.create_task(self._feed(work))
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({feed, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if self._stop.is_set():
            feed.cancel()
            if work.tasks:
                await asyncio.wait(work.tasks, timeout=_STOP_GRACE_S)
            for task in work.tasks:
                task.cancel()
        await asyncio.wait({scan})

    async def _scan(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        self.activity.scanning = True
        connection = open_state(self._workspace.directory, read_only=True)
        own = identities(places_written(self._workspace.directory, self._request))
        walk = Walk(self._source, self._settings.input, own, self._warn)
        scan = Scan(
            number=number,
            walk=walk,
            settings=self._settings.input,
            writer=self._writer,
            state=connection,
            registered=lambda: _wake(loop, self._registered),
            stopping=lambda: self._stop.is_set() or self._abandoned.is_set(),
        )
        try:
            tally = self.tally = await in_thread(scan.run, self._abandoned.set)
        finally:
            connection.close()
            self.activity.scanning = False
            self._scanned = True
            self._registered.set()
        if not self._stop.is_set():
            if self.activity.state is RunState.SCANNING:
                self.activity.state = RunState.RUNNING
            ignored = sum(tally.ignored.values())
            moved = f", {tally.moved:,} moved" if tally.moved else ""
            self._log.info(
                f"{tally.found:,} documents found: {tally.new:,} new, {tally.changed:,} changed, "
                f"{tally.gone:,} gone{moved}; {ignored:,} entries ignored.",
                ignored=tally.ignored,
            )

    async def _feed(self, work: Batches) -> None:
        """Ask the store for unfinished documents and hand them out, until there are none."""

        async def admit() -> None:
            await self._admit(work)

        head = read_head(self._state)
        only = None
        if self._request.sample is not None:
            only = sampled(self._state, head, self._request.sample)
        self._after = head.settled if only is None else 0
        while True:
            self._registered.clear()
            scanned = self._scanned
            page, reached = unfinished(self._state, read_head(self._state), self._after, _PAGE, self._through)
            if reached != self._after:
                wanted = [document for document in page if only is None or document.place.root in only]
                await work.hand_out(wanted, admit)
                self._after = reached
            elif self._rewind:
                self._rewind, self._after = False, 0
            elif not scanned:
                await self._registered.wait()
            elif work.left is not None and self._outside.labelling is not None and self._outside.again:
                if work.tasks:
                    await self._wait_for_more(work)
                    continue
                await self._outside.labelling.begin_again()
                self._after, work.left = work.left - 1, None  # those that had to wait outside
            elif work.tasks or self._outside.busy:
                await self._wait_for_more(work)  # a retry may be asked for meanwhile; containers yield more
            elif work.left is None:
                return

    async def _wait_for_more(self, work: Batches) -> None:
        moved = self._outside.moved()
        try:
            await asyncio.wait({*work.tasks, *moved}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in moved:
                future.cancel()

    def _open_outside(self, configs: PhaseConfigs, hashed: Configs) -> Outside:
        assert self._choice is not None
        around = Surrounding(
            writer=self._writer,
            state=self._state,
            log=self._log,
            emit=self._emit,
            run=self._run,
            labelled=self._labelled,
            embedded=self._embedded,
            halt=self._halt,
        )
        return open_outside(self._choice, self._through, configs, hashed, around)

    async def _labelled(self, works: Sequence[Work]) -> None:
        if self._batches is not None:
            await self._batches.labelled(works)

    async def _embedded(self, entries: Sequence[IndexEntry]) -> None:
        if self._batches is not None:
            await self._batches.embedded(entries)

    def _halt(self, error: TuiScraperError) -> None:
        """No more answers can be had: end the pass as a pause does, with what is in flight saved."""
        if self._halted is None:
            self._halted = error
            self._stop.set()
            self._set_intake()

    async def _admit(self, work: Batches) -> None:
        """Wait while nothing may be taken up.

        Where memory is short although nothing is in hand, waiting would free nothing: the run then
        goes on with one batch at a time.
        """
        while not self._intake.is_set():
            if self._memory_full and not self._paused and not work.tasks:
                return
            opened = asyncio.ensure_future(self._intake.wait())
            try:
                await asyncio.wait(
                    {opened, *work.tasks}, timeout=_MEMORY_S, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                opened.cancel()

    async def _watch_progress(self, work: Batches) -> None:
        """Publish a snapshot four times a second, and take checkpoints when they are due."""
        while True:
            self.activity.spend = self._outside.spend()
            self._tell_limits(self.activity.spend)
            self._show()
            if self._cadence.is_due(work.committed):
                await self._checkpoint(work, self._current_phase(), inside=True)
            await asyncio.sleep(_SNAPSHOT_S)

    def _tell_limits(self, spend: Spend | None) -> None:
        now = time.monotonic()
        if spend is not None and spend.in_flight and now >= self._limits_due:
            self._limits_due = now + _LIMITS_S
            self._emit(LimitsSeen(time.time(), spend))

    def _tell(self, sentence: str) -> None:
        self._log.info(sentence)
        self._emit(LabelsNotice(time.time(), sentence))

    def _warn(self, sentence: str) -> None:
        """Something of the folder could not be seen as it is. Called in the thread of the scan."""
        self._log.warning(sentence)
        self._emit(FolderWarning(time.time(), sentence))

    def _current_phase(self) -> PhaseName:
        """The first phase that is not complete: where the run stands."""
        for phase in self._progress.take(self.activity).phases:
            if not phase.complete:
                return phase.name
        return PhaseName.INDEX

    def _passed(self, phase: PhaseName) -> int:
        """Documents that have come through a phase."""
        return sum(found.done for found in self._progress.take(self.activity).phases if found.name == phase)

    async def _checkpoint(self, work: Batches, phase: PhaseName, *, inside: bool = False) -> None:
        number = await self._writer.submit(take_checkpoint(phase, self._settled(work)))
        self.activity.checkpoint = number
        self._emit(CheckpointTaken(time.time(), number, phase))
        if self._cadence.taken(work.committed, inside=inside):
            self._log.info(f"● checkpoint {number} · {phase} {self._passed(phase):,} documents")

    def _settled(self, work: Batches) -> int:
        """The version up to which every document has finished, so that no later pass looks there."""
        if (
            self._rewind
            or self._retrying
            or self._request.sample is not None
            or not self._wants(PhaseName.INDEX)
        ):
            return 0
        left = self._after + 1 if work.left is None else work.left
        return min(min(work.in_hand, default=self._after + 1), self._after + 1, left) - 1

    async def _watch_memory(self, work: Batches) -> None:
        limit = self._settings.engine.memory_limit
        while True:
            pids = [os.getpid(), *(work.pool.pids if work.pool is not None else [])]
            used = self.activity.memory_bytes = await asyncio.to_thread(total_pss, pids)
            if used > limit and not self._memory_full:
                self._memory_full = True
                self._log.warning("Memory is above engine.memory_limit: reading waits until it falls.")
            elif self._memory_full and used < limit * _MEMORY_LOW:
                self._memory_full = False
            self.activity.memory_full = self._memory_full
            self._set_intake()
            await asyncio.sleep(_MEMORY_S)

    async def _finish(self, work: Batches, indexer: Indexer | None, spool: Spool | None) -> None:
        """End the index, mark the ends of the phases and export, where anything has changed."""
        output = Output(
            self._workspace.directory, self._request, self._writer, self.activity, self._log, spool
        )
        async with asyncio.TaskGroup() as group:
            if indexer is not None:
                group.create_task(indexer.flush())
            if self._wants(PhaseName.OUTPUT) and work.committed and not self._stop.is_set():
                group.create_task(output.compare(self._stop.is_set))
        if self._stop.is_set():
            return
        wanted = [phase for phase in PHASES[:-1] if self._wants(phase)]
        if not set(wanted) <= await self._writer.submit(phases_marked):
            for phase in wanted:
                await self._checkpoint(work, phase)
        if self._wants(PhaseName.OUTPUT) and await output.run(self._stop.is_set):
            await self._checkpoint(work, PhaseName.OUTPUT)


def _extra(generation: int, salts: dict[PhaseName, dict[str, object]]) -> dict[PhaseName, dict[str, object]]:
    """What belongs to the configuration of a phase besides its settings."""
    return {**salts, PhaseName.INDEX: {GENERATION: generation}}


def _done(counts: Mapping[Status, PhaseCount]) -> int:
    return counts.get(Status.DONE, PhaseCount()).n


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


def _most_telling(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error to show of several that ended a pass together: one to pause for, or with a sentence."""
    flat: list[BaseException] = []
    pending: list[BaseException] = [errors]
    while pending:
        error = pending.pop(0)
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        else:
            flat.append(error)
    for kind in (StoreBlockedError, TuiScraperError, BaseException):
        for error in flat:
            if isinstance(error, kind):
                return error
    raise AssertionError
