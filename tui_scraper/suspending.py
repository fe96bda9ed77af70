"""ctrl+z: the screen is given back, the program stands still until `fg`, then the screen is painted again.

Textual does this inside its signal handlers. One that comes while the main thread holds the lock of
the terminal's queue waits for that lock for ever, and a SIGCONT that follows no stop of its own starts
a second thread that reads keys and takes the raw terminal for the one to be given back. Here it is a
step of the event loop, and the program knows whether it has been suspended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from textual.app import App
from textual.driver import Driver

_HEARD_AFTER_S = 0.1
"""A signal that came meanwhile may be taken by another thread: this one learns of it a little later."""

NO_SHELL = "Nothing here could bring the program back: it was not started by a shell with jobs (fg)."


def reason() -> str:
    """Why the program should not be suspended now; '' where a shell waits that can bring it back."""
    try:
        return NO_SHELL if os.getpgrp() == os.getsid(0) else ""
    except OSError:
        return NO_SHELL


class Suspension:
    """Suspends an application, and takes the terminal back when it is continued.

    Make it in the main thread once the application has its driver. `leaving` says whether the program
    has been told to end: then it neither stops again nor touches a terminal that belongs to the shell.
    """

    def __init__(self, app: App[None], driver: Driver, leaving: Callable[[], bool]) -> None:
        self._app = app
        self._driver = driver
        self._leaving = leaving
        self._stands = False
        self._loop = asyncio.get_running_loop()
        if driver.can_suspend:
            signal.signal(signal.SIGTSTP, lambda *_: self._soon(self.suspend))
            signal.signal(signal.SIGCONT, lambda *_: None if self._stands else self._soon(self._retake))

    def suspend(self) -> None:
        """Give the terminal back and stand still. Returns when the program is in the foreground again."""
        if not self._driver.can_suspend or self._leaving():
            return
        self._driver.suspend_application_mode()
        self._stands = True
        while True:
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            # Here it goes on: after `fg`, after `bg` (a screen has no use for that), or told to end.
            if not _in_foreground():
                time.sleep(_HEARD_AFTER_S)
            if self._leaving():
                self._let_go()
                return
            if _in_foreground():
                break
        self._stands = False
        self._begin_again()

    def _retake(self) -> None:
        """Somebody else had stopped the program (kill -STOP); the shell has changed the terminal since."""
        if not self._leaving() and _in_foreground():
            self._driver.suspend_application_mode()
            self._begin_again()

    def _begin_again(self) -> None:
        self._driver.resume_application_mode()
        self._app.refresh(layout=True)

    def _let_go(self) -> None:
        """Leave the terminal as it is: it was given back, and setting its modes would stop us again."""
        self._driver.attrs_before = None  # type: ignore[attr-defined]
        self._driver.exit_event.set()  # type: ignore[attr-defined]

    def _soon(self, step: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._step, step)

    def _step(self, step: Callable[[], None]) -> None:
        with self._app._context():
            step()


def _in_foreground() -> bool:
    """Whether this process may use its terminal; also where there is none any more to wait for."""
    stdin = sys.__stdin__
    try:
        return stdin is None or os.tcgetpgrp(stdin.fileno()) == os.getpgrp()
    except OSError:
        return True
