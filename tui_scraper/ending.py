"""How the app ends: left from a signal, also with a stalled terminal, or because of a mistake of the program.

A mistake becomes one sentence and a log file, never a traceback with the values of variables in it.
"""

from __future__ import annotations

import os
import termios
import threading
import time
import traceback
from pathlib import Path

import platformdirs
from textual.app import App

from tui_scraper.engine.safe_text import safe_text

_UNSTALL_AFTER_S = 0.5
_UNSTALL_FOR_S = 30.0
_CRASH_FILE = "crash.log"


class EndingApp(App[None]):
    """An app that can always be left. `_leaving` is set once it is being left."""

    def __init__(self, *, ansi_color: bool | None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._ended = threading.Event()
        self._leaving = False

    # Leaving

    def leave(self) -> None:
        """Give the terminal back and end `run()`. From any thread, also inside a signal handler.

        Returns at once. Where the terminal takes no bytes, Textual's loop waits for its writer for
        ever; so from half a second on, a thread throws away what is queued for the terminal until
        `run()` has ended.
        """
        self._leaving = True
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self.exit)
            except RuntimeError:
                return  # the loop has ended already
        threading.Thread(target=self._unstall, name="unstall", daemon=True).start()

    def _unstall(self) -> None:
        deadline = time.monotonic() + _UNSTALL_FOR_S
        if self._ended.wait(_UNSTALL_AFTER_S):
            return
        writer = getattr(self._driver, "_writer_thread", None)
        while writer is not None and time.monotonic() < deadline and not self._ended.wait(0.02):
            drop_output(writer)

    async def _shutdown(self) -> None:
        try:
            await super()._shutdown()
        finally:
            self._ended.set()

    # Mistakes of the program

    def _handle_exception(self, error: Exception) -> None:
        if self._return_code != 1:
            self._return_code = 1
            self._crashed(error)
            self._exception = error  # a test that drives the app raises it
            self._exception_event.set()
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        self._return_code = 1
        self._close_messages_no_wait()

    def panic(self, *renderables: object) -> None:
        """End with a sentence. What Textual would print (tracebacks) goes nowhere."""
        self._return_code = 1
        if not self._exit_renderables and not self._leaving:
            self._exit_renderables.append(_ENDED_BADLY)
        self._close_messages_no_wait()

    def _crashed(self, error: Exception) -> None:
        path = self._crash_path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{crash_report(error)}\n")
            where = f"The details are in {safe_text(str(path))}."
        except OSError:
            where = "The details could not be written to a file."
        self._exit_renderables.append(f"{_ENDED_BADLY} {where}")

    def _crash_path(self) -> Path:
        workspace = self.last_workspace()
        return (Path(workspace) if workspace else platformdirs.user_log_path("tui-scraper")) / _CRASH_FILE

    def last_workspace(self) -> str:
        """Where what went wrong is written down; '' for none."""
        return ""

    def _print_error_renderables(self) -> None:
        """One sentence on stderr; a terminal that is gone is no error."""
        words = [str(text) for text in self._exit_renderables[:1]]
        self._exit_renderables.clear()
        try:
            for text in words:
                self.error_console.print(text, markup=False, highlight=False, soft_wrap=True)
        except OSError:
            self._return_code = self._return_code or 1


_ENDED_BADLY = "tui-scraper: the screen ended because of a mistake in the program; what was done is saved."


def crash_report(error: BaseException) -> str:
    """Where it happened, without the values of variables; secrets of the environment taken out."""
    report = "".join(traceback.format_exception(error))
    for name, value in os.environ.items():
        if len(value) >= 8 and any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD")):
            report = report.replace(value, f"<{name}>")
    return safe_text(report, newlines=True)


def drop_output(writer: threading.Thread) -> None:
    """Throw away what a Textual writer thread has queued, in the process and in the kernel."""
    queue = writer._queue  # type: ignore[attr-defined]
    held_end = False
    while not queue.empty():
        held_end = queue.get_nowait() is None or held_end
    if held_end:
        queue.put_nowait(None)
    try:
        termios.tcflush(writer.fileno(), termios.TCOFLUSH)  # type: ignore[attr-defined]
    except (OSError, termios.error, ValueError):
        return
