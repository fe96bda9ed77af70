"""File system and store reads beside the event loop, in threads that nothing waits for.

Textual's thread workers and `asyncio.to_thread` use a pool whose threads are joined when the
program ends: a `stat` on a dead network mount would keep the terminal for minutes. These threads
are daemons; one that hangs is left behind.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own and return what it returns, or raise what it raises."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            value = work()
        except BaseException as caught:  # handed to the one who waits
            error = caught
        try:
            loop.call_soon_threadsafe(settle, value, error)
        except RuntimeError:
            return  # the loop has ended, so nobody waits any more

    threading.Thread(target=run, name="aside", daemon=True).start()
    return await future


class OneAtATime:
    """Runs one piece of work at a time, and after it the newest of those asked for meanwhile.

    So a hanging file system costs one thread, not one for each key that is pressed, and what was
    typed last is what is looked up last.
    """

    def __init__(self) -> None:
        self._busy = False
        self._next: asyncio.Future[bool] | None = None

    async def __call__(self, work: Callable[[], T]) -> T | None:
        """Run `work` aside. Returns None where something newer was asked for before its turn came."""
        if self._busy and not await self._turn():
            return None
        self._busy = True
        running = asyncio.ensure_future(aside(work))
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)  # whoever gives up does not free a thread that hangs

    async def _turn(self) -> bool:
        """Wait until the work that runs has ended. False where this is no longer the newest."""
        if self._next is not None and not self._next.done():
            self._next.set_result(False)
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._next = turn
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self._hand_on()
            raise

    def _ended(self, running: asyncio.Future[T]) -> None:
        if not running.cancelled():
            running.exception()  # an error nobody waits for any more is no news
        self._hand_on()

    def _hand_on(self) -> None:
        turn, self._next = self._next, None
        self._busy = turn is not None and not turn.done()
        if turn is not None and self._busy:
            turn.set_result(True)
