"""`run` and `watch`: the pipeline without a TUI, as plain lines or as JSON events, made from snapshots.

stdout carries only the output; on a terminal the progress line is rewritten in place, elsewhere a
line is printed every few seconds, so that a log of it stays readable.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tui_scraper import formatting
from tui_scraper.engine import (
    CheckpointTaken,
    Counts,
    DocumentFailed,
    Event,
    FolderWarning,
    LabelsNotice,
    LimitsSeen,
    PassFinished,
    RunPaused,
    RunRequest,
    RunResumed,
    RunSnapshot,
    RunState,
    SettingsChanged,
    SettingsKept,
    Status,
    WatchLimited,
)
from tui_scraper.engine.runlog import rfc3339
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine_host import EngineHost
from tui_scraper.signals import SignalWatch
from tui_scraper.telling import limits, phases, progress_line, totals

_POLL_S = 0.05
_LEAVE_S = 0.005
_LINE_EVERY_S = 2.0
_PROGRESS_EVERY_S = 0.25
_CLOSE_S = 10.0
_ENDED = frozenset({RunState.COMPLETE, RunState.STOPPED, RunState.FAILED})
_WAITS = frozenset({RunState.WATCHING, RunState.PAUSED})
_WATCHING = "Watching for changes; ctrl+c ends."
_WAITING = "Waiting; ctrl+c ends."
_MOST_NAMED = 5
_MOST_WARNED = 20
_PAUSED = 4
_SOME_FAILED = 3
_USAGE = 2


class OutputGoneError(Exception):
    """Whoever read our output has closed it."""


def run(request: RunRequest, *, json_events: bool, verbose: bool = False, settings_file: str = "") -> int:
    """Run to the end, or watch until told to stop. Returns the exit code.

    `settings_file` is the one in force, for display.
    """
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    host = EngineHost(events.put)
    watch = SignalWatch(lambda _number: host.stop())
    view: _Lines | _JsonEvents = _JsonEvents() if json_events else _Lines()
    log_number = 0

    def finish() -> int:
        snapshot, error, code = host.snapshot(), host.error, watch.exit_code
        if code is None:
            code = error.exit_code if error is not None else _code(snapshot)
        view.finish(snapshot, code, str(error) if error is not None else "")
        return code

    host.start(request)
    with _stopped_after(host, finish, request.settings.classify.timeout_s):
        view.begin(request, settings_file)
        while True:
            ended = host.ended
            snapshot = host.snapshot()
            while not events.empty():
                view.event(events.get())
            if verbose:
                log_number = _print_log(snapshot, log_number)
            view.progress(snapshot)
            full = snapshot.state is RunState.PAUSED and host.error is not None
            at_rest = (full and not request.watch) or snapshot.state in _ENDED
            if ended or (at_rest and host.leave(_CLOSE_S)):
                break
            if watch.received is not None:
                host.stop()  # a signal that came before the engine listened is not lost
            host.wait(_LEAVE_S if at_rest else _POLL_S)
    return finish()


def _code(snapshot: RunSnapshot) -> int:
    if snapshot.state is RunState.STOPPED:
        return _PAUSED
    return _SOME_FAILED if snapshot.counts.failed else 0


@contextmanager
def _stopped_after(host: EngineHost, finish: Callable[[], int], flight_s: float) -> Iterator[None]:
    """Close the engine, however the block ends. One that a dead disk holds back is left, and said.

    `flight_s` is how long a call to a model may take: what is in flight is paid for, so it is waited for.
    """
    try:
        yield
    except BrokenPipeError:
        raise OutputGoneError from None
    finally:
        if not host.close(_CLOSE_S + flight_s):
            code = finish()
            sys.stdout.flush()
            os._exit(code or 1)  # something in a thread does not return; what is committed is safe


def _print_log(snapshot: RunSnapshot, after: int) -> int:
    for line in snapshot.log:
        if line.number > after:
            after = line.number
            print(f"{line.level:7} {line.text}", file=sys.stderr)
    return after


class _Lines:
    """Plain lines for a person or a log file."""

    def __init__(self) -> None:
        self._in_place = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._next = 0.0
        self._shown = ""
        self._watches = False
        self._before: Counts | None = None
        self._failed: list[DocumentFailed] = []
        self._warned: set[str] = set()

    def begin(self, request: RunRequest, settings_file: str) -> None:
        self._watches = request.watch
        if settings_file:
            self._print(f"Settings: {settings_file}")

    def event(self, event: Event) -> None:
        match event:
            case SettingsChanged():
                for sentence in event.sentences:
                    self._print(sentence)
            case SettingsKept():
                self._print(event.sentence)
            case RunPaused():
                self._print(f"{self._when(event.time)}Paused: {event.reason}")
            case RunResumed():
                self._print(f"{self._when(event.time)}Going on.")
            case PassFinished():
                self._end_of_pass(event)
            case FolderWarning():
                self._warn(event.sentence)
            case LabelsNotice():
                self._print(event.sentence)
            case WatchLimited():
                self._print(event.reason or "All changes are seen at once again.")
            case DocumentFailed() if self._before is not None and event.status is Status.FAILED:
                self._failed.append(event)
            case _:
                pass  # failures and checkpoints are counted in the progress line and listed at the end

    def _warn(self, sentence: str) -> None:
        """Say a thing once, also where every pass meets it again."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            if len(self._warned) <= _MOST_WARNED:
                self._print(sentence)
            elif len(self._warned) == _MOST_WARNED + 1:
                self._print("There is more that cannot be seen; the log in the workspace names all of it.")

    def _end_of_pass(self, event: PassFinished) -> None:
        snapshot = event.snapshot
        if self._before is None:
            took = formatting.clock(snapshot.elapsed_s)
            empty = "" if snapshot.counts.found else "No documents were found."
            self._print(empty or f"Complete after {took}: {describe(snapshot.counts)}")
            if snapshot.export_dir:
                self._print(f"Export: {snapshot.export_dir}")
            if not self._in_place:
                self._print(_WATCHING)
        elif event.new or event.changed or event.gone or snapshot.counts != self._before:
            self._print(f"{self._when(event.time)}{_tally(event)}: {describe(snapshot.counts)}")
            for failed in self._failed[:_MOST_NAMED]:
                self._print(f"  {failed.path}: {failed.message}")
            if len(self._failed) > _MOST_NAMED:
                self._print(f"  and {len(self._failed) - _MOST_NAMED:,} more, see `tui-scraper failures`")
        self._before = snapshot.counts
        self._failed = []

    def _when(self, when: float) -> str:
        """Passes may be days apart; a run is told by its own clock."""
        return time.strftime("%Y-%m-%d %H:%M:%S  ", time.localtime(when)) if self._watches else ""

    def progress(self, snapshot: RunSnapshot) -> None:
        now = time.monotonic()
        if self._watches and snapshot.state in _WAITS:
            line = _WATCHING if snapshot.state is RunState.WATCHING else _WAITING
            if self._in_place and self._shown != line:
                self._rewrite(line)
            self._next = now + _LINE_EVERY_S  # a pass that takes no longer has no line but its last
            return
        if now < self._next or snapshot.state in _ENDED or not snapshot.workspace:
            return
        self._next = now + (_PROGRESS_EVERY_S if self._in_place else _LINE_EVERY_S)
        line = progress_line(snapshot)
        if self._in_place:
            self._rewrite(line)
        else:
            self._print(line)

    def finish(self, snapshot: RunSnapshot, code: int, error: str) -> None:
        if error:
            self._clear()
            sys.stdout.flush()
            print(error, file=sys.stderr)
        if not snapshot.counts.found:
            if not error:
                self._print("No documents were found." if snapshot.state is RunState.COMPLETE else "Stopped.")
            return
        if snapshot.notice and not error:
            self._print(snapshot.notice)
        counts = snapshot.counts
        after = "" if self._watches else f" after {formatting.clock(snapshot.elapsed_s)}"
        word = {RunState.COMPLETE: "Complete", RunState.STOPPED: "Stopped"}.get(snapshot.state, "Ended")
        self._print(f"{word}{after}: {describe(counts)}")
        if snapshot.export_dir and snapshot.state is RunState.COMPLETE:
            self._print(f"Export: {snapshot.export_dir}")
        self._print(f"Workspace: {safe_text(snapshot.workspace)}")
        if counts.pending and snapshot.state is not RunState.COMPLETE and code != _USAGE:
            goes_on = "when that is mended, the same command" if error else "the same command"
            self._print(f"Everything finished is saved; {goes_on} goes on from here.")
        if counts.failed:
            self._print("`tui-scraper failures` says why documents failed.")

    def _rewrite(self, line: str) -> None:
        sys.stdout.write(formatting.rewritten(line, sys.stdout.fileno()))
        sys.stdout.flush()
        self._shown = line

    def _print(self, line: str) -> None:
        self._clear()
        print(line, flush=True)

    def _clear(self) -> None:
        if self._shown:
            sys.stdout.write("\r\x1b[K")
            self._shown = ""


def describe(counts: Counts) -> str:
    """`10,431 found = 10,000 done + 14 failed + …`: the sum that always holds."""
    parts = [f"{counts.done:,} done", f"{counts.failed:,} failed", f"{counts.skipped:,} skipped"]
    parts.append(f"{counts.empty:,} empty")
    if counts.pending:
        parts.append(f"{counts.pending:,} pending")
    return f"{counts.found:,} found{formatting.with_inside(counts)} = {' + '.join(parts)}"


def _tally(event: PassFinished) -> str:
    """`3 changed, 1 new, 2 gone, 1 moved`: what a pass took up. Those moved are neither new nor gone."""
    moved = min(event.moved, event.new, event.gone)
    parts = {"changed": event.changed, "new": event.new - moved, "gone": event.gone - moved, "moved": moved}
    return ", ".join(f"{n:,} {word}" for word, n in parts.items() if n) or "went on"


class _JsonEvents:
    """One JSON object a line, as product.md names them."""

    def __init__(self) -> None:
        self._next = 0.0
        self._last: RunSnapshot | None = None

    def begin(self, request: RunRequest, settings_file: str) -> None:
        self._write(
            "run_started",
            time.time(),
            source=safe_text(str(request.source)),
            through=str(request.through),
            sample=request.sample,
            watch=request.watch,
            settings_file=settings_file or None,
        )

    def event(self, event: Event) -> None:
        match event:
            case DocumentFailed():
                self._write(
                    "failure",
                    event.time,
                    path=event.path,
                    phase=str(event.phase),
                    cause=str(event.cause),
                    message=event.message,
                    attempts=event.attempts,
                    status=str(event.status),
                )
            case SettingsChanged():
                self._write(
                    "settings_changed",
                    event.time,
                    phases=[str(phase) for phase in event.phases],
                    keys=list(event.keys),
                    sentences=list(event.sentences),
                )
            case SettingsKept():
                self._write("settings_kept", event.time, keys=list(event.keys), sentence=event.sentence)
            case CheckpointTaken():
                self._write("checkpoint", event.time, id=event.checkpoint, phase=str(event.phase))
            case RunPaused():
                self._write("paused", event.time, reason=event.reason)
            case RunResumed():
                self._write("resumed", event.time)
            case PassFinished():
                found = {"new": event.new, "changed": event.changed, "gone": event.gone, "moved": event.moved}
                ended = _result(event.snapshot, _code(event.snapshot), "")
                self._write("pass_finished", event.time, **found, **ended)
            case FolderWarning():
                self._write("warning", event.time, message=event.sentence)
            case LabelsNotice():
                self._write("labels", event.time, message=event.sentence)
            case LimitsSeen():
                self._write("limits", event.time, **limits(event.spend))
            case WatchLimited():
                self._write("watch_limited", event.time, reason=event.reason or None)

    def progress(self, snapshot: RunSnapshot) -> None:
        now = time.monotonic()
        if now < self._next or snapshot is self._last or not snapshot.workspace:
            return
        self._next, self._last = now + _PROGRESS_EVERY_S, snapshot
        self._write("progress", time.time(), **totals(snapshot), phases=phases(snapshot))

    def finish(self, snapshot: RunSnapshot, code: int, error: str) -> None:
        self._write("run_finished", time.time(), **_result(snapshot, code, error))

    @staticmethod
    def _write(event: str, when: float, **fields: object) -> None:
        print(json.dumps({"event": event, "time": rfc3339(when), **fields}, ensure_ascii=False), flush=True)


def _result(snapshot: RunSnapshot, code: int, error: str) -> dict[str, object]:
    return {
        **totals(snapshot),
        "phases": phases(snapshot),
        "workspace": safe_text(snapshot.workspace),
        "export": snapshot.export_dir,
        "elapsed_s": round(snapshot.elapsed_s, 3),
        "through": str(snapshot.through),
        "exit_code": code,
        "error": error or None,
    }
