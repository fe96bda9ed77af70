"""How often the screen is painted: as often as the settings say, half as often on a line that is slow.

A frame is handed to a queue that a thread of Textual empties into the terminal. While something waits in
it, the terminal reads more slowly than it is written to: another frame would only be late as well, and what
a key does with it.
"""

from __future__ import annotations

from textual.driver import Driver

_SLOW_TICKS = 2
"""The queue was not empty so many times in a row: the line is slow, not merely busy with one key."""
_QUICK_AFTER_S = 5.0
"""Nothing has waited for so long: the line is quick again."""


class Pace:
    """Says at each tick whether to paint. Ask it once a tick."""

    def __init__(self) -> None:
        self._waited = 0
        self._last_waited: float | None = None
        self._skipped = False

    @property
    def slow(self) -> bool:
        """Whether only every other tick paints."""
        return self._last_waited is not None

    def due(self, now: float, *, waiting: bool) -> bool:
        """Whether to paint. `now` is monotonic; `waiting`: an earlier frame is still on its way."""
        self._waited = self._waited + 1 if waiting else 0
        if self._waited >= _SLOW_TICKS or (waiting and self.slow):
            self._last_waited = now
        elif self._last_waited is not None and now - self._last_waited >= _QUICK_AFTER_S:
            self._last_waited = None
        self._skipped = waiting or (self.slow and not self._skipped)
        return not self._skipped


def waits(driver: Driver | None) -> bool:
    """Whether the terminal has yet to take something that was written before."""
    writer = getattr(driver, "_writer_thread", None)
    return writer is not None and not writer._queue.empty()
