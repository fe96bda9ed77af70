"""An event loop whose clock stands still while the process does.

Whoever presses ctrl+z, or closes a lid, stops time for us, but not for the clock: afterwards every deadline
would be over at once, and an answer that has come meanwhile, and is paid for, be thrown away.
"""

from __future__ import annotations

import asyncio
import selectors
import time

_LOOKS_EVERY_S = 1.0
_STOOD_STILL_S = 2.5
"""A loop that did not look at its clock for so long has not run: with anything due it looks each second."""


class _Waking(selectors.DefaultSelector):
    """Waits for no longer than a second at a time."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else min(timeout, _LOOKS_EVERY_S))


class PatientLoop(asyncio.SelectorEventLoop):
    """Use it with `asyncio.Runner(loop_factory=PatientLoop)`."""

    def __init__(self) -> None:
        self._stood_still_s = 0.0
        self._asked_s = time.monotonic()
        super().__init__(_Waking())

    def time(self) -> float:
        """Seconds as `time.monotonic` counts them, less those in which the process did not run."""
        now = super().time()
        gap, self._asked_s = now - self._asked_s, now
        if gap > _STOOD_STILL_S:
            self._stood_still_s += gap
        return now - self._stood_still_s
