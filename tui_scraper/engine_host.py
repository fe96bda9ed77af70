"""The only place that starts an engine: its own thread with its own event loop.

Commands go in, snapshots come out; neither side ever waits for the other. So a terminal that has
stopped reading cannot stop the engine, and a busy engine cannot delay a key.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_scraper.control import ControlServer, EndedError
from tui_scraper.engine import (
    Cause,
    Emit,
    PhaseName,
    RunRequest,
    RunSnapshot,
    RunState,
    TuiScraperError,
    UsageError,
)
from tui_scraper.engine.runlog import RunLog
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.standing_still import PatientLoop
from tui_scraper.telling import limit_lines, limits_in_force, phases, progress_line, totals

if TYPE_CHECKING:
    from tui_scraper.engine.engine import Engine, Retried

_WANTED_S = 0.5
"""How often to see whether another shell still waits for what it has asked for."""
_LAST_COMMANDS_S = 1.0
_WORKING = frozenset({RunState.SCANNING, RunState.RUNNING})
_WAITING = frozenset({RunState.PAUSED, RunState.WATCHING})
_Command = Callable[["Engine"], Coroutine[Any, Any, Any] | None]


class EngineHost:
    """Runs one engine at a time on one workspace.

    Every method returns at once, except `wait`, `leave`, `close` and those that say they wait. All may be
    called from any thread.
    """

    def __init__(self, emit: Emit = lambda _event: None) -> None:
        self._emit = emit
        self._snapshot = RunSnapshot()
        self._session: _Session | None = None
        self._published = threading.Event()

    @property
    def error(self) -> TuiScraperError | None:
        """Why the engine could not start or had to end; None while all is well."""
        return self._session.error if self._session is not None else None

    @property
    def ended(self) -> bool:
        """Whether there is no engine (any more)."""
        return self._session is None or not self._session.thread.is_alive()

    def start(self, request: RunRequest) -> None:
        """Open the workspace and begin, or resume, its run. An engine that is open is closed first."""
        before = self._session
        if before is not None:
            before.close()
        self._snapshot = RunSnapshot(state=RunState.SCANNING, source=safe_text(str(request.source)))
        self._session = _Session(request, before, self._take, self._emit)
        self._session.thread.start()

    def snapshot(self) -> RunSnapshot:
        """What the run looks like now. Cheap; call it as often as the screen is painted."""
        return self._snapshot

    def wait(self, timeout_s: float) -> None:
        """Wait for the next snapshot, but not longer than that. For one thread."""
        self._published.wait(timeout_s)
        self._published.clear()

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

    def set_aside(
        self, *, version: int | None = None, cause: Cause | None = None, phase: PhaseName | None = None
    ) -> None:
        """Have failures count as skipped: one, or those of a cause."""
        self._ask(lambda engine: engine.set_aside(version=version, cause=cause, phase=phase))

    def give_label(
        self, version: int, labels: Sequence[str], expected: Sequence[str], told: Callable[[str, bool], None]
    ) -> None:
        """Give a document a label by hand, where it still has those expected; none takes it away.

        `told` is called in the engine's thread with a sentence, and whether it was done.
        """

        async def giving(engine: Engine) -> None:
            try:
                given = await engine.give_label(labels, version=version, expected=expected)
            except UsageError as error:
                told(str(error), False)
            else:
                told(str(given), True)

        self._ask(giving)

    def roll_back(self, target: PhaseName | int, *, fresh: bool = False, moves: int | None = None) -> None:
        """Go back to a phase or a checkpoint; `resume` works on from there. See `Engine.roll_back`."""
        self._ask(lambda engine: engine.roll_back(target, fresh=fresh, moves=moves))

    def undo_rollback(self, *, moves: int | None = None) -> None:
        """Take the last rollback back."""
        self._ask(lambda engine: engine.undo_rollback(moves=moves))

    def embed(self, words: str) -> str:
        """The vector of a query, packed. Waits for it; raises as `searching.embed`, or TuiScraperError."""
        return self._opened().embed(words)

    def limit(self, wanted: Mapping[str, object]) -> None:
        """Change limits of the run at once, by their keys. Waits for it.

        Raises TuiScraperError with the sentence of what cannot be; nothing has changed then.
        """
        self._opened().limit(wanted)

    def name_checkpoint(self, checkpoint: int, name: str, named: Callable[[], None]) -> None:
        """Give a checkpoint a name ('' takes it away). `named` is called then, in the engine's thread."""

        async def naming(engine: Engine) -> None:
            await engine.name_checkpoint(checkpoint, name)
            named()

        self._ask(naming)

    def leave(self, timeout_s: float) -> bool:
        """Have the engine end, unless a pass goes on or is due. Waits for the answer; True without one."""
        return self._session is None or self._session.leave(timeout_s)

    def close(self, timeout_s: float = 3.0) -> bool:
        """Stop, close the workspace and end the thread. False if it did not end in time."""
        session = self._session
        if session is None:
            return True
        session.close()
        session.thread.join(timeout_s)
        return not session.thread.is_alive()

    def _opened(self) -> _Session:
        if self._session is None:
            raise TuiScraperError("No folder is open.")
        return self._session

    def _ask(self, command: _Command) -> None:
        if self._session is not None:
            self._session.ask(command)

    def _take(self, session: _Session, snapshot: RunSnapshot) -> None:
        if session is self._session:  # one that is still closing no longer has the screen
            self._publish(snapshot)

    def _publish(self, snapshot: RunSnapshot) -> None:
        self._snapshot = snapshot
        self._published.set()


class _Session:
    """One engine with its thread and its loop, from its start to its end."""

    def __init__(
        self,
        request: RunRequest,
        before: _Session | None,
        take: Callable[[_Session, RunSnapshot], None],
        emit: Emit,
    ) -> None:
        self._request = request
        self._before = before
        self._take = take
        self._emit = emit
        self._last = RunSnapshot()
        self._engine: Engine | None = None
        self._ended = False
        self._obeying: set[Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._close_asked = threading.Event()
        self._error: TuiScraperError | None = None
        self._control: ControlServer | None = None
        self.thread = threading.Thread(target=self._work, name="engine", daemon=True)

    @property
    def error(self) -> TuiScraperError | None:
        """What went wrong last."""
        return self._error or (self._engine.error if self._engine is not None else None)

    def ask(self, command: _Command) -> None:
        """Have a command carried out in the engine's loop."""
        engine, loop = self._engine, self._loop
        if engine is None or loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._carry_out, loop, engine, command)
        except RuntimeError:  # the loop has closed: the engine has ended already
            return

    def embed(self, words: str) -> str:
        """See `EngineHost.embed`."""
        return str(self._answered(lambda engine: engine.embed(words)))

    def limit(self, wanted: Mapping[str, object]) -> None:
        """See `EngineHost.limit`."""
        self._answered(lambda engine: engine.limit(wanted))

    def leave(self, timeout_s: float) -> bool:
        """See `EngineHost.leave`."""

        async def leaving(engine: Engine) -> bool:
            return engine.leave()

        until = time.monotonic() + timeout_s
        try:
            return bool(self._answered(leaving, lambda: time.monotonic() < until))
        except TuiScraperError:
            return True

    def _answered(
        self,
        asked: Callable[[Engine], Coroutine[Any, Any, Any]],
        wanted: Callable[[], bool] = lambda: True,
    ) -> Any:
        engine, loop = self._engine, self._loop
        if engine is None or loop is None or loop.is_closed():
            raise TuiScraperError("The engine is only starting, or ending; try again.")
        try:
            return self._obeyed(asked(engine), loop, wanted)
        except CancelledError:
            raise TuiScraperError("The engine has ended meanwhile; nothing was changed.") from None

    def close(self) -> None:
        """Ask for the end; also before there is a loop that could be asked."""
        self._close_asked.set()
        self.ask(lambda engine: engine.close())

    def _carry_out(self, loop: asyncio.AbstractEventLoop, engine: Engine, command: _Command) -> None:
        try:
            waiting = command(engine)
        except Exception as error:
            self._failed(error)
            return
        if waiting is not None:
            loop.create_task(waiting).add_done_callback(self._carried_out)

    def _carried_out(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, TuiScraperError):
            error = TuiScraperError(f"A command failed ({type(error).__name__}: {error}).")
        self._error = error

    def _work(self) -> None:
        if self._before is not None:
            self._before.thread.join()
            self._before = None
        try:
            with asyncio.Runner(loop_factory=PatientLoop) as runner:
                runner.run(self._serve())
        except TuiScraperError as error:
            self._end(error)
        except Exception as error:
            self._end(TuiScraperError(f"The engine could not start ({type(error).__name__}: {error})."))
        finally:
            if self._control is not None:
                self._control.close()

    def _listen(self, directory: Path, log: RunLog) -> None:
        try:
            self._control = ControlServer(directory, self._obey)
        except OSError as error:
            log.warning(f"Commands from other shells cannot be taken here ({error.strerror}).")

    def _obey(self, request: dict[str, Any], wanted: Callable[[], bool]) -> dict[str, Any]:
        """Carry out what another shell asks for, for as long as it is wanted there.

        Called in a thread of the control server, which waits.
        """
        engine, loop = self._engine, self._loop
        if engine is None or loop is None or self._ended:
            raise EndedError
        match request:
            case {"command": "rollback", "target": str(target)}:
                doing = engine.roll_back(PhaseName(target), fresh=bool(request.get("fresh")))
            case {"command": "rollback", "target": int(target)} if target is not True and target is not False:
                doing = engine.roll_back(target)
            case {"command": "undo"}:
                doing = engine.undo_rollback()
            case {"command": "pause" | "resume" | "stop" as command}:
                return self._steer(command)
            case {"command": "snapshot"}:
                return {
                    "line": progress_line(self._last),
                    "record": totals(self._last) | {"phases": phases(self._last)},
                }
            case {"command": "limits", "set": dict(wanted_limits)}:
                limits = self._obeyed(engine.limit(wanted_limits), loop, wanted)
                now = replace(self._last, limits=limits)
                return {"lines": limit_lines(now), "record": limits_in_force(now)}
            case {"command": "embed", "text": str(text)}:
                return {"vector": self._obeyed(engine.embed(text), loop, wanted)}
            case {"command": "label", "path": str(path), "labels": list(labels)}:
                giving = engine.give_label([str(label) for label in labels], path=os.fsencode(path))
                given = self._obeyed(giving, loop, wanted)
                return {"path": given.path, "labels": given.labels, "documents": given.documents}
            case {"command": "retry"}:
                again = engine.retry(**_which(request), of_models=request.get("method") == "openai")
                retried: Retried = self._obeyed(again, loop, wanted)
                return {"documents": retried.documents, "worked_on": retried.worked_on}
            case {"command": "skip"} if any(request.get(key) for key in ("cause", "phase", "path")):
                return {"documents": self._obeyed(engine.set_aside(**_which(request)), loop, wanted)}
            case {"command": "name", "checkpoint": int(checkpoint), "name": str(name)}:
                naming = engine.name_checkpoint(checkpoint, name, request.get("note"))
                self._obeyed(naming, loop, wanted)
                return {"id": checkpoint, "name": name or None}
            case _:
                raise ValueError(request)
        return {"head": self._obeyed(doing, loop, wanted)}

    def _steer(self, command: str) -> dict[str, Any]:
        """Pause, resume or stop, where that makes sense now."""
        state = self._last.state
        working = state in _WORKING
        if command == "pause" and not working:
            raise TuiScraperError(f"Nothing can be paused: the run is {state}.")
        done = state is RunState.COMPLETE and not self._last.counts.pending
        if command == "resume" and (working or done or state is RunState.STOPPING):
            raise TuiScraperError(f"Nothing waits to go on: the run is {state}.")
        if command == "stop" and not (working or state in _WAITING):
            raise TuiScraperError(f"Nothing can be stopped: the run is {state}.")
        self.ask(lambda engine: getattr(engine, command)())
        return {"command": command, "state_before": str(state)}

    def _obeyed(
        self, doing: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, wanted: Callable[[], bool]
    ) -> Any:
        try:
            moving = asyncio.run_coroutine_threadsafe(doing, loop)
        except RuntimeError:  # it is closed
            doing.close()
            raise EndedError from None
        self._obeying.add(moving)
        moving.add_done_callback(self._obeying.discard)
        while not wait([moving], _WANTED_S).done:
            if loop.is_closed():  # it took the command and never came to it
                doing.close()
                raise EndedError
            if not wanted():
                moving.cancel()
        return moving.result()

    def _note(self, snapshot: RunSnapshot) -> None:
        self._last = snapshot
        self._take(self, snapshot)

    def _end(self, error: TuiScraperError) -> None:
        self._error = error
        self._take(self, RunSnapshot(state=RunState.FAILED, notice=str(error)))

    async def _serve(self) -> None:
        from tui_scraper.engine.engine import (
            Engine,  # a quarter of a second, which the first frame need not wait
        )

        loop = asyncio.get_running_loop()
        # Results that nobody waits for any more, after the first error of a pass has been reported.
        loop.set_exception_handler(lambda _loop, _context: None)
        engine = Engine(self._request, self._note, self._emit, self._listen)
        self._engine, self._loop = engine, loop
        try:
            if not self._close_asked.is_set():
                await engine.serve()
        finally:
            # Whatever of it was committed is told: a command that is cut off here changed nothing.
            self._ended = True
            if obeying := [asyncio.wrap_future(future) for future in list(self._obeying)]:
                await asyncio.wait(obeying, timeout=_LAST_COMMANDS_S)


def _which(request: dict[str, Any]) -> dict[str, Any]:
    """Which documents another shell means. Raises ValueError for a word that is none of ours."""
    cause, phase, path = (request.get(key) for key in ("cause", "phase", "path"))
    return {
        "cause": None if cause is None else Cause(cause),
        "phase": None if phase is None else PhaseName(phase),
        "path": None if path is None else os.fsencode(path),
    }
