"""Who waits at the gate, in order: lower priorities first, and of one priority who came first."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_Granted = TypeVar("_Granted")


@dataclass(order=True)
class Waiter(Generic[_Granted]):
    """A call that waits. `granted` is done when it may go, and cancelled when nobody waits any more."""

    priority: int
    number: int
    tokens: int = field(compare=False)
    granted: asyncio.Future[_Granted] = field(compare=False)


class Waiting(Generic[_Granted]):
    """The queue. Whoever gave up stays in it until it is reached, or until they are the greater part."""

    def __init__(self) -> None:
        self._queue: list[Waiter[_Granted]] = []
        self._came = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def join(self, tokens: int, priority: int) -> asyncio.Future[_Granted]:
        """Queue up."""
        self._came += 1
        self._waiting += 1
        granted: asyncio.Future[_Granted] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, Waiter(priority, self._came, tokens, granted))
        return granted

    def gave_up(self) -> None:
        """One whose `granted` was cancelled has noticed it."""
        self._waiting -= 1
        if len(self._queue) > 2 * self._waiting:
            self._queue = [waiter for waiter in self._queue if not waiter.granted.done()]
            heapq.heapify(self._queue)

    def first(self) -> Waiter[_Granted] | None:
        """Who is next."""
        while self._queue and self._queue[0].granted.done():
            heapq.heappop(self._queue)
        return self._queue[0] if self._queue else None

    def grant(self, waiter: Waiter[_Granted], granted: _Granted) -> None:
        """Let `first` go."""
        heapq.heappop(self._queue)
        self._waiting -= 1
        waiter.granted.set_result(granted)
