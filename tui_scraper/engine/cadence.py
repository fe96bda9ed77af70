"""When a checkpoint is due inside a phase, and which of them the log tells of."""

from __future__ import annotations

import time

from tui_scraper.engine.settings import EngineSettings

_APART_S = 1.0
"""Between two checkpoints inside a phase, however fast documents come."""
_TOLD_S = 10.0
"""Between two of them that the log tells of: it has other things to say, too."""


class Cadence:
    """Counts from the last checkpoint on: documents that were committed, and seconds."""

    def __init__(self, settings: EngineSettings) -> None:
        self._documents = settings.checkpoint_every_docs
        self._seconds = settings.checkpoint_every_s
        self._committed = 0
        self._at = time.monotonic()
        self._told = self._at - _TOLD_S

    def is_due(self, committed: int) -> bool:
        """Whether it is time for one, where so many documents were committed in this pass."""
        waited = time.monotonic() - self._at
        if committed - self._committed >= self._documents:
            return waited >= min(_APART_S, self._seconds)
        return committed > self._committed and waited >= self._seconds

    def taken(self, committed: int, *, inside: bool) -> bool:
        """Begin to count anew. Returns whether to tell of it: always where a phase has ended."""
        self._committed, self._at = committed, time.monotonic()
        if inside and self._at - self._told < _TOLD_S:
            return False
        self._told = self._at
        return True
