"""Leaving on a signal: state saved, terminal given back, the right exit code, within seconds.

A terminal program is told to end by INT, TERM or HUP. Python's default, or a framework's, is to
die at once; here the first one asks the engine to stop at the next committed batch, and a second
INT leaves at once. A hang-up that the parent had switched off (nohup) stays switched off where no terminal
is needed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalWatch:
    """Handlers for the signals that end a program. Make it in the main thread.

    `received` is the first signal, or None. `on_signal` is called with it in the main thread,
    between two steps of whatever runs there: it must return at once. `on_terminal`: the program is of no
    use without its terminal, so that a hang-up counts always.
    """

    def __init__(self, on_signal: Callable[[int], None], *, on_terminal: bool = False) -> None:
        self.received: int | None = None
        self._on_signal = on_signal
        for number in _WATCHED:
            switched_off = number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
            if switched_off and not on_terminal:
                continue
            signal.signal(number, self._handle)

    @property
    def exit_code(self) -> int | None:
        """128 plus the signal, as shells expect it; None where none has come."""
        return None if self.received is None else 128 + self.received

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            if number == signal.SIGINT:
                os._exit(128 + number)  # asked twice: everything acknowledged is committed anyway
            return
        self.received = number
        self._on_signal(number)
