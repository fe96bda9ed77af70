"""The engine: one workspace, opened once, and the passes over it that a front end asks for.

It lives in its own thread and event loop (`engine_host`). A pass ends complete, stopped, or with a
sentence; whichever it was, the workspace stays open, and `resume` or a retry begins the next pass
from what is committed. Where the request says so, changes of the folder begin it too.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui_scraper.engine.errors import FolderUnreachableError, StoreBlockedError, TuiScraperError
from tui_scraper.engine.events import Emit, PassFinished, RunPaused, RunResumed, WatchLimited
from tui_scraper.engine.limits import BUDGET, CONCURRENCY, NO_MODEL, described, limited, limits_of
from tui_scraper.engine.llm.errors import ModelBlockedError
from tui_scraper.engine.models import Cause, PhaseName, RunLimits, RunSnapshot, RunState
from tui_scraper.engine.phases.output import current_export, export_folder, export_formats
from tui_scraper.engine.pipeline import Pipeline
from tui_scraper.engine.progress import Activity, Progress
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.runlog import FILE_NAME, RunLog
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings_in_force import InForce, in_force_at
from tui_scraper.engine.store.checkpoints import name_checkpoint
from tui_scraper.engine.store.connection import explained, open_state
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.human import Given, give_label
from tui_scraper.engine.store.labelling import method_in_force
from tui_scraper.engine.store.ledger import CapReachedError
from tui_scraper.engine.store.rollback import (
    if_unmoved,
    roll_back_to_checkpoint,
    roll_back_to_phase,
    undo,
)
from tui_scraper.engine.store.setbacks import put_back, set_aside
from tui_scraper.engine.store.vectors import ask_models_again
from tui_scraper.engine.store.writer import Operation
from tui_scraper.engine.workers import launch
from tui_scraper.engine.workspace import Workspace, choose_directory

if TYPE_CHECKING:
    from tui_scraper.engine.watching import Watching

_TRY_AGAIN_S = 60.0
"""While watching: how long after a pass that ended with a sentence the next one is tried anyway."""


@dataclasses.dataclass(frozen=True, slots=True)
class Retried:
    """Documents put back to pending, and whether this engine still takes them up itself."""

    documents: int
    worked_on: bool


class Engine:
    """All methods are called in the engine's event loop.

    `opened` is called once with the workspace's directory and log, when it is ours to work in.
    """

    def __init__(
        self,
        request: RunRequest,
        publish: Callable[[RunSnapshot], None],
        emit: Emit = lambda _event: None,
        opened: Callable[[Path, RunLog], None] = lambda _directory, _log: None,
    ) -> None:
        self._request = request
        self._publish = publish
        self._emit = emit
        self._opened = opened
        self._go = asyncio.Event()
        self._go.set()
        self._closing = False
        self._pipeline: Pipeline | None = None
        self._last = RunSnapshot()
        self._between = asyncio.Lock()
        self._watching: Watching | None = None
        self._watches = request.watch
        self._change: asyncio.Task[None] | None = None
        self._held_up: TuiScraperError | None = None
        self._waits_for_money = False
        self._asks = False
        self._limited = ""
        self._given = 0
        self._queries: dict[str, asyncio.Task[str]] = {}
        self.error: TuiScraperError | None = None

    async def serve(self) -> None:
        """Open the workspace, begin, and carry out what is asked for until `close`.

        Raises UsageError, WorkspaceLockedError, StoreError or StoreBlockedError where the workspace
        cannot be opened.
        """
        directory = choose_directory(self._request.source, self._request.workspace)
        with explained(directory):
            workspace = Workspace(directory, self._request.source)
        self._workspace = workspace
        self._log = RunLog(workspace.directory)
        self._opened(workspace.directory, self._log)
        if self._request.watch:
            from tui_scraper.engine.watching import Watching

            self._watching = Watching(workspace, self._request)
        if self._request.look:
            self._go.clear()
            self._rest()
        try:
            while True:
                await self._go.wait()
                self._go.clear()
                async with self._between:
                    if self._closing:
                        return
                    await self._pass()
        finally:
            if self._watching is not None:
                await self._watching.close()
            await self._end_queries()
            self._log.close()
            workspace.close()

    def pause(self) -> None:
        """See `Pipeline.pause`. Between passes there is nothing to pause."""
        if self._pipeline is not None:
            self._pipeline.pause()

    def resume(self) -> None:
        """Go on: after a pause in the same pass, else with a new one."""
        if self._pipeline is not None and not self._pipeline.ending:
            self._pipeline.resume()
        else:
            self._begin()

    async def limit(self, wanted: Mapping[str, object]) -> RunLimits:
        """Change limits, by their keys, from now until the engine ends. Returns those in force.

        A run that has paused because the budget was used up goes on where there is more of it now. Raises
        UsageError with a sentence, and changes nothing, where a value cannot be.
        """
        before = self._limits()
        settings = limited(self._request.settings, wanted)
        if not before.asks and {BUDGET, CONCURRENCY} & wanted.keys():
            raise TuiScraperError(NO_MODEL)
        self._request = dataclasses.replace(self._request, settings=settings)
        after = self._limits()
        if after == before:
            return after
        self._log.info(f"Limits from now on: {', '.join(described(before, after))}.")
        if self._pipeline is not None:
            self._pipeline.limit(settings)
        elif self._last.workspace:
            self._take(self._last)
        if self._waits_for_money and after.budget_usd > before.budget_usd:
            self._begin()
        return after

    def _limits(self) -> RunLimits:
        if self._pipeline is not None:
            self._asks = self._pipeline.asks
        return limits_of(self._request.settings, asks=self._asks)

    def stop(self) -> None:
        """End the pass that is going on, if any, and take up no further changes."""
        self._waits_for_money = False
        watched, self._watches = self._watches, False
        if self._watching is not None:
            self._watching.abandon()
        if self._change is not None:
            self._change.cancel()
        if self._pipeline is not None:
            self._go.clear()  # what was asked for before is no longer wanted
            self._pipeline.stop()
        elif watched:
            self._go.clear()
            self._log.info("Changes are no longer watched for; everything finished is saved.")
            self._end(RunState.STOPPED, "")

    async def retry(
        self,
        *,
        version: int | None = None,
        cause: Cause | None = None,
        phase: PhaseName | None = None,
        path: bytes | None = None,
        of_models: bool = False,
    ) -> Retried:
        """Put failures back to pending and work on them.

        `of_models`: not failures, but what lacks a label or vectors of a model because they could not be had.
        """
        putting_back = put_back(version=version, cause=cause, phase=phase, path=path)
        if of_models:
            putting_back = ask_models_again(path)
        pipeline = self._pipeline
        if pipeline is not None:
            count = await pipeline.retry(putting_back)
            if self._pipeline is not pipeline and pipeline.again:
                self._begin()  # the pass ended before it could see them
        else:
            count = await self._workspace.writer.submit(putting_back)
            self._begin()
        at_work = self._pipeline is not None and not self._pipeline.told_to_stop
        return Retried(count, worked_on=not self._closing and (at_work or self._go.is_set()))

    async def give_label(
        self,
        labels: Sequence[str],
        *,
        version: int | None = None,
        path: bytes | None = None,
        expected: Sequence[str] | None = None,
    ) -> Given:
        """Give a document a person's label; without any, take it away. See `store.human.give_label`."""
        giving = give_label(labels, version=version, path=path, expected=expected)
        given = await self._workspace.writer.submit(giving)
        self._given += 1
        self._log.info(str(given))
        self._show_change()
        return given

    async def set_aside(
        self,
        *,
        version: int | None = None,
        cause: Cause | None = None,
        phase: PhaseName | None = None,
        path: bytes | None = None,
    ) -> int:
        """Have failed documents count as skipped: a person has looked at them. Returns how many."""
        count = await self._workspace.writer.submit(
            set_aside(version=version, cause=cause, phase=phase, path=path)
        )
        if count:
            self._log.info(f"Set aside by hand: {count:,} of the documents that failed.")
        self._show_change()
        return count

    async def roll_back(
        self, target: PhaseName | int, *, fresh: bool = False, moves: int | None = None
    ) -> int:
        """Go back to a phase (all later results become pending) or to a checkpoint.

        A pass that is going on is drained first. Returns the checkpoint that is now the head;
        `resume` works on from there. With `fresh` what comes after the phase is made anew although nothing
        changed. `moves` is how often the head had been moved when the person decided. Raises UsageError where
        the target does not exist, or the head was moved since.
        """
        operation = (
            roll_back_to_phase(target, fresh=fresh)
            if isinstance(target, PhaseName)
            else roll_back_to_checkpoint(target)
        )
        return await self._move_head(if_unmoved(operation, moves), f"Rolled back to {target}")

    async def undo_rollback(self, *, moves: int | None = None) -> int:
        """Take the last rollback back, or the last undo; otherwise as `roll_back`."""
        return await self._move_head(if_unmoved(undo(), moves), "The rollback is taken back")

    async def name_checkpoint(self, checkpoint: int, name: str, note: str | None = None) -> None:
        """Give a checkpoint a name; '' takes it away. Raises UsageError where it cannot have it."""
        await self._workspace.writer.submit(name_checkpoint(checkpoint, name, note))

    async def _move_head(self, operation: Operation[int], what: str) -> int:
        self.stop()
        async with self._between:
            checkpoint = await self._workspace.writer.submit(operation)
            self._log.info(f"{what}; checkpoint {checkpoint} is the head.")
            snapshot = self._look(self._at_rest(RunState.STOPPED, checkpoint))
            self._take(dataclasses.replace(snapshot, notice=f"{what}; checkpoint {checkpoint} is the head."))
        return checkpoint

    async def embed(self, words: str) -> str:
        """The vector of a query from another process, packed. Raises as `searching.embed`."""
        task = self._queries.get(words)
        if task is None:  # one query in two shells is one call
            task = self._queries[words] = asyncio.create_task(self._embed(words))
            task.add_done_callback(lambda _task: self._queries.pop(words, None))
        return await asyncio.shield(task)

    async def _embed(self, words: str) -> str:
        from tui_scraper.engine.searching import embed, packed

        workspace, settings = self._workspace, self._request.settings
        if self._pipeline is not None:
            await self._pipeline.passage_settled(words)
        return packed(await embed(workspace.directory, words, settings, workspace.writer.submit))

    async def _end_queries(self) -> None:
        """Give up what is being asked for other shells, while it can still be written down."""
        tasks = list(self._queries.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _settings_in_force(self) -> InForce:
        request = self._request
        return in_force_at(self._workspace.directory, request.settings, accept=request.accept_settings)

    def leave(self) -> bool:
        """Close, unless a pass goes on or is due: one may have been asked for in the last moment."""
        if self._go.is_set() or self._between.locked():
            return False
        self.close()
        return True

    def close(self) -> None:
        """End the pass, then `serve`."""
        self._closing = True
        self.stop()
        self._go.set()

    def _begin(self) -> None:
        """Have a pass begin, and watch from then on where that was asked for."""
        self._watches = self._request.watch
        self._go.set()

    async def _pass(self) -> None:
        self.error = None
        self._waits_for_money = False
        if self._change is not None:
            self._change.cancel()
        pipeline = None
        workspace = self._workspace
        try:
            with explained(workspace.directory):
                settings = self._settings_in_force()
                if self._watching is not None and not await self._listen(self._watching, settings):
                    return
                pipeline = Pipeline(workspace, self._request, settings, self._log, self._take, self._emit)
                self._pipeline = pipeline
                await pipeline.run()
                self._goes_on()
        except (StoreBlockedError, ModelBlockedError, CapReachedError) as error:
            self._hold_up(error)
        except FolderUnreachableError as error:
            (self._hold_up if self._watches else self._fail)(error)
        except TuiScraperError as error:
            self._fail(error)
        except Exception as error:
            self._mistaken(error)
        finally:
            self._pipeline = None
        if pipeline is not None and pipeline.again:
            self._go.set()
        if self._watching is not None:
            self._await_change(self._watching, pipeline)

    def _fail(self, error: TuiScraperError) -> None:
        self.error = error
        self._log.error(str(error))
        self._end(RunState.FAILED, str(error))

    def _mistaken(self, error: Exception) -> None:
        sentence = (
            f"A mistake in tui-scraper itself ended the run ({type(error).__name__}); everything "
            f"finished is saved. Details: {safe_text(str(self._workspace.directory / FILE_NAME))}"
        )
        self.error = TuiScraperError(sentence)
        self._log.crash(sentence, error)
        self._end(RunState.FAILED, sentence)

    def _hold_up(self, error: TuiScraperError) -> None:
        """A pass cannot go on for a reason that may pass. While watching that is told once, not each time."""
        told = self._watches and str(error) == str(self._held_up)
        paused = self._pipeline is not None and self._pipeline.paused
        self._waits_for_money = isinstance(error, CapReachedError) and not paused
        self.error = self._held_up = error
        self._end(RunState.PAUSED, str(error))
        if not told:
            self._log.warning(str(error))
            self._emit(RunPaused(time.time(), str(error)))

    def _goes_on(self) -> None:
        if self._watches and self._held_up is not None:
            self._emit(RunResumed(time.time()))
        self._held_up = None

    async def _listen(self, watching: Watching, settings: InForce) -> bool:
        """Hear of every change from now on, which is before the scan. Returns False where told to stop."""
        if self._watches:
            known = self._look(Activity()).counts.found > 0
            await watching.listen(settings.settings.input, known=known)
            if known:  # what vanished in somebody's hands is there again by now, or the scan finds it gone
                await self._workspace.writer.submit(put_back(cause=Cause.VANISHED))
        if not self._watches:
            return False
        if isinstance(self._held_up, FolderUnreachableError):
            await self._workspace.writer.submit(put_back(cause=Cause.READ_ERROR))
            self._goes_on()
        if watching.limited != self._limited:
            self._limited = watching.limited
            self._log.warning(self._limited or "All changes are told by the system now.")
            self._emit(WatchLimited(time.time(), self._limited))
        return True

    def _await_change(self, watching: Watching, pipeline: Pipeline | None) -> None:
        """After a pass: say how it ended, and have the next change begin another."""
        launch.release()
        state = self._last.state
        if state is RunState.FAILED:
            self._watches = False
        elif not self._watches and state in {RunState.WATCHING, RunState.PAUSED}:  # told to stop meanwhile
            self._end(RunState.STOPPED, "")
        elif state is RunState.WATCHING and pipeline is not None:
            tally = pipeline.tally
            self._emit(
                PassFinished(time.time(), tally.new, tally.changed, tally.gone, tally.moved, self._last)
            )
            self._publish(self._last)
        if self._watches:
            self._change = asyncio.create_task(self._follow(watching))

    async def _follow(self, watching: Watching) -> None:
        try:
            await watching.changed(_TRY_AGAIN_S if self.error is not None else math.inf)
        except Exception as error:
            self._watches = False
            self._mistaken(error)
        else:
            self._go.set()

    def _take(self, snapshot: RunSnapshot) -> None:
        limits = self._limits()
        spend = snapshot.spend
        if spend is not None:  # it may be that of a pass which is over
            spend = dataclasses.replace(spend, budget_nano_usd=round(limits.budget_usd * 1e9))
        snapshot = dataclasses.replace(snapshot, limits=limits, spend=spend, given=self._given)
        if self._watches and snapshot.state is RunState.COMPLETE:
            self._last = dataclasses.replace(snapshot, state=RunState.WATCHING)
            return  # it is shown once the workers have ended too
        self._last = snapshot
        self._publish(snapshot)

    def _end(self, state: RunState, notice: str) -> None:
        last = self._last
        with contextlib.suppress(TuiScraperError):  # what is committed, not what was last shown
            now = self._look(self._at_rest(state))
            last = dataclasses.replace(
                last, counts=now.counts, phases=now.phases, ignored=now.ignored, export_dir=now.export_dir
            )
        self._take(dataclasses.replace(last, state=state, notice=safe_text(notice), log=self._log.lines))

    def _rest(self) -> None:
        """Publish what the workspace has, before anything was done."""
        snapshot = self._look(self._at_rest(RunState.STOPPED))
        if snapshot.counts.found and not snapshot.counts.pending:
            snapshot = dataclasses.replace(snapshot, state=RunState.COMPLETE)
        self._take(dataclasses.replace(snapshot, notice="Nothing was run: p does."))

    def _show_change(self) -> None:
        """Publish what was changed between passes; a pass publishes by itself."""
        if self._pipeline is None:
            self._end(self._last.state, self._last.notice)

    def _at_rest(self, state: RunState, checkpoint: int = 0) -> Activity:
        """Nothing is done: what the workspace has tells who labelled, and whether the export is of now."""
        directory = self._workspace.directory
        with contextlib.closing(open_state(directory, read_only=True)) as connection:
            method = method_in_force(connection, read_head(connection))
        activity = Activity(state=state, checkpoint=checkpoint, method=method)
        target = export_folder(directory, self._request)
        formats = export_formats(self._request)
        alike = self._request.settings.output.near_duplicates
        found = current_export(directory, target, formats, alike) if target is not None else None
        if found is not None:
            activity.export_dir = safe_text(str(target))
            activity.output_done = activity.output_total = found
        return activity

    def _look(self, activity: Activity) -> RunSnapshot:
        connection = open_state(self._workspace.directory, read_only=True)
        try:
            directory = str(self._workspace.directory)
            return Progress(connection, self._request, directory, self._log).take(activity)
        finally:
            connection.close()
