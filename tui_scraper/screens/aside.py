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
    """Runs one piece of work at a time; what is asked for meanwhile gets None.

    So a hanging file system costs one thread, not one for each key that is pressed.
    """

    def __init__(self) -> None:
        self._busy = False

    async def __call__(self, work: Callable[[], T]) -> T | None:
        """Run `work` aside, or return None while another is running."""
        if self._busy:
            return None
        self._busy = True

        def once() -> T:
            try:
                return work()
            finally:
                self._busy = False

        return await aside(once)
