"""Places for what is under way: as many as there are now, which may change while some are taken."""

from __future__ import annotations

import asyncio


class Places:
    """Like a semaphore, but for `resize`. Use it in one event loop."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = 0
        self._changed = asyncio.Event()

    async def take(self) -> None:
        """Wait for a free place."""
        while self.taken >= self.number:
            self._changed.clear()
            await self._changed.wait()
        self.taken += 1

    def give_back(self) -> None:
        """A place is free again, unless there are fewer now."""
        self.taken -= 1
        self._changed.set()

    def resize(self, number: int) -> None:
        """Have another number of places. Those that are taken stay so, also where they are more."""
        self.number = number
        self._changed.set()
