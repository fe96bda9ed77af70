"""The only place that starts an engine: its own thread with its own event loop.

Commands go in, snapshots come out; neither side ever waits for the other. So a terminal that has
stopped reading cannot stop the engine, and a busy engine cannot delay a key.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from tui_scraper.engine import (
    Cause,
    Emit,
    Engine,
    PhaseName,
    RunRequest,
    RunSnapshot,
    RunState,
    TuiScraperError,
)
from tui_scraper.engine.safe_text import safe_text


class EngineHost:
    """Runs one engine at a time on one workspace.

    Every method returns at once, except `close`. All may be called from any thread.
    """

    def __init__(self, emit: Emit = lambda _event: None) -> None:
        self._emit = emit
        self._snapshot = RunSnapshot()
        self._error: TuiScraperError | None = None
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._close_asked = threading.Event()
        self._opened = False

    @property
    def error(self) -> TuiScraperError | None:
        """Why the engine could not start or had to end; None while all is well."""
        engine = self._engine
        return self._error or (engine.error if engine is not None else None)

    @property
    def running(self) -> bool:
        """Whether a workspace is open (documents may or may not be worked on)."""
        return self._opened

    @property
    def ended(self) -> bool:
        """Whether there is no engine (any more)."""
        return self._thread is None or not self._thread.is_alive()

    def start(self, request: RunRequest) -> None:
        """Open the workspace and begin, or resume, its run. An engine that is open is closed first."""
        before = self._thread
        if before is not None and before.is_alive():
            self._close_asked.set()
            self._ask(lambda engine: engine.close())
        self._close_asked = asked = threading.Event()
        self._error, self._opened = None, False
        self._engine = self._loop = None
        self._snapshot = RunSnapshot(state=RunState.SCANNING, source=safe_text(str(request.source)))
        self._thread = threading.Thread(
            target=self._work, args=(request, before, asked), name="engine", daemon=True
        )
        self._thread.start()

    def snapshot(self) -> RunSnapshot:
        """What the run looks like now. Cheap; call it as often as the screen is painted."""
        return self._snapshot

    def pause(self) -> None:
        """Take up no further documents; what is in hand is finished and committed."""
        self._ask(lambda engine: engine.pause())

    def resume(self) -> None:
        """Go on after a pause, a stop or a full disk."""
        self._ask(lambda engine: engine.resume())

    def stop(self) -> None:
        """End the pass: state saved, workers ended, workspace still open for `resume`."""
        self._ask(lambda engine: engine.stop())

    def retry(
        self, *, version: int | None = None, cause: Cause | None = None, phase: PhaseName | None = None
    ) -> None:
        """Put failures back to pending and work on them: one, those of a cause, or all that failed."""
        self._ask(lambda engine: engine.retry(version=version, cause=cause, phase=phase))

    def roll_back(self, target: PhaseName | int) -> None:
        """Go back to a phase or a checkpoint; `resume` works on from there."""
        self._ask(lambda engine: engine.roll_back(target))

    def close(self, timeout_s: float = 3.0) -> bool:
        """Stop, close the workspace and end the thread. False if it did not end in time."""
        thread = self._thread
        if thread is None:
            return True
        self._close_asked.set()
        self._ask(lambda engine: engine.close())
        thread.join(timeout_s)
        return not thread.is_alive()

    def _ask(self, command: Callable[[Engine], Coroutine[Any, Any, Any] | None]) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._carry_out, command)
        except RuntimeError:  # the loop has closed: the engine has ended already
            return

    def _carry_out(self, command: Callable[[Engine], Coroutine[Any, Any, Any] | None]) -> None:
        assert self._loop is not None
        if self._engine is None:
            return
        waiting = command(self._engine)
        if waiting is not None:
            task = self._loop.create_task(waiting)
            task.add_done_callback(self._carried_out)

    def _carried_out(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TuiScraperError):
            self._error = error
        elif error is not None:
            self._error = TuiScraperError(f"A command failed ({type(error).__name__}: {error}).")

    def _work(
        self, request: RunRequest, before: threading.Thread | None, close_asked: threading.Event
    ) -> None:
        if before is not None:
            before.join()
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve(request, close_asked))
        except TuiScraperError as error:
            self._fail(error)
        except Exception as error:
            self._fail(TuiScraperError(f"The engine could not start ({type(error).__name__}: {error})."))
        finally:
            self._opened = False

    def _fail(self, error: TuiScraperError) -> None:
        self._error = error
        self._snapshot = RunSnapshot(state=RunState.FAILED, notice=str(error))

    async def _serve(self, request: RunRequest, close_asked: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)  # the pass reports its first error itself
        engine = Engine(request, self._publish, self._emit)
        self._engine, self._loop = engine, loop
        if close_asked.is_set():  # before there was a loop that could be told
            return
        await engine.serve(self._mark_opened)

    def _mark_opened(self) -> None:
        self._opened = True

    def _publish(self, snapshot: RunSnapshot) -> None:
        self._snapshot = snapshot
