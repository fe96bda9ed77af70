"""The engine: one workspace, opened once, and the passes over it that a front end asks for.

It lives in its own thread and event loop (`engine_host`). A pass ends complete, stopped, or with a
sentence; whichever it was, the workspace stays open, and `resume` or a retry begins the next pass
from what is committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from tui_scraper.engine.errors import StoreBlockedError, TuiScraperError
from tui_scraper.engine.events import Emit, RunPaused
from tui_scraper.engine.models import Cause, PhaseName, RunSnapshot, RunState
from tui_scraper.engine.pipeline import Pipeline
from tui_scraper.engine.progress import Activity, Progress
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.runlog import FILE_NAME, RunLog
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings_in_force import InForce, in_force
from tui_scraper.engine.store.connection import explained, open_state, snapshot
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo
from tui_scraper.engine.store.setbacks import put_back
from tui_scraper.engine.store.writer import Operation
from tui_scraper.engine.workspace import Workspace, choose_directory


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
        try:
            while True:
                await self._go.wait()
                self._go.clear()
                async with self._between:
                    if self._closing:
                        return
                    await self._pass()
        finally:
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
            self._go.set()

    def stop(self) -> None:
        """End the pass that is going on, if any."""
        if self._pipeline is not None:
            self._go.clear()  # what was asked for before is no longer wanted
            self._pipeline.stop()

    async def retry(
        self, *, version: int | None = None, cause: Cause | None = None, phase: PhaseName | None = None
    ) -> None:
        """Put failures back to pending and work on them."""
        pipeline = self._pipeline
        if pipeline is not None:
            await pipeline.retry(version=version, cause=cause, phase=phase)
            if self._pipeline is not pipeline and pipeline.again:
                self._go.set()  # the pass ended before it could see them
        else:
            await self._workspace.writer.submit(put_back(version=version, cause=cause, phase=phase))
            self._go.set()

    async def roll_back(self, target: PhaseName | int, *, fresh: bool = False) -> int:
        """Go back to a phase (all later results become pending) or to a checkpoint.

        A pass that is going on is drained first. Returns the checkpoint that is now the head;
        `resume` works on from there. With `fresh` what comes after the phase is made anew although nothing
        changed. Raises UsageError where the target does not exist.
        """
        operation = (
            roll_back_to_phase(target, fresh=fresh)
            if isinstance(target, PhaseName)
            else roll_back_to_checkpoint(target)
        )
        return await self._move_head(operation, f"Rolled back to {target}")

    async def undo_rollback(self) -> int:
        """Take the last rollback back, or the last undo; otherwise as `roll_back`."""
        return await self._move_head(undo(), "The rollback is taken back")

    async def _move_head(self, operation: Operation[int], what: str) -> int:
        self.stop()
        async with self._between:
            checkpoint = await self._workspace.writer.submit(operation)
            self._log.info(f"{what}; checkpoint {checkpoint} is the head.")
            snapshot = self._look(Activity(state=RunState.STOPPED, checkpoint=checkpoint))
            self._take(dataclasses.replace(snapshot, notice=f"{what}; checkpoint {checkpoint} is the head."))
        return checkpoint

    def _settings_in_force(self) -> InForce:
        connection = open_state(self._workspace.directory, read_only=True)
        try:
            with snapshot(connection, self._workspace.directory):
                return in_force(connection, self._request.settings, accept=self._request.accept_settings)
        finally:
            connection.close()

    def close(self) -> None:
        """End the pass, then `serve`."""
        self._closing = True
        self.stop()
        self._go.set()

    async def _pass(self) -> None:
        self.error = None
        pipeline = None
        workspace = self._workspace
        try:
            with explained(workspace.directory):
                settings = self._settings_in_force()
                pipeline = Pipeline(workspace, self._request, settings, self._log, self._take, self._emit)
                self._pipeline = pipeline
                await pipeline.run()
        except StoreBlockedError as error:
            self.error = error
            self._log.warning(str(error))
            self._end(RunState.PAUSED, str(error))
            self._emit(RunPaused(time.time(), str(error)))
        except TuiScraperError as error:
            self.error = error
            self._log.error(str(error))
            self._end(RunState.FAILED, str(error))
        except Exception as error:
            sentence = (
                f"A mistake in tui-scraper itself ended the run ({type(error).__name__}); everything "
                f"finished is saved. Details: {safe_text(str(workspace.directory / FILE_NAME))}"
            )
            self.error = TuiScraperError(sentence)
            self._log.crash(sentence, error)
            self._end(RunState.FAILED, sentence)
        finally:
            self._pipeline = None
        if pipeline is not None and pipeline.again:
            self._go.set()

    def _take(self, snapshot: RunSnapshot) -> None:
        self._last = snapshot
        self._publish(snapshot)

    def _end(self, state: RunState, notice: str) -> None:
        last = self._last
        with contextlib.suppress(TuiScraperError):  # what is committed, not what was last shown
            now = self._look(Activity(state=state))
            last = dataclasses.replace(last, counts=now.counts, phases=now.phases, ignored=now.ignored)
        self._take(dataclasses.replace(last, state=state, notice=safe_text(notice), log=self._log.lines))

    def _look(self, activity: Activity) -> RunSnapshot:
        connection = open_state(self._workspace.directory, read_only=True)
        try:
            shown = safe_text(str(self._workspace.directory))
            return Progress(connection, self._request, shown, self._log).take(activity)
        finally:
            connection.close()
