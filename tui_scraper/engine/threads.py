"""Blocking work in a thread, waited for to its end even where the waiting is cancelled.

A thread cannot be cancelled. If its connections were closed or its folder reused while it still runs,
it would fail in ways that look like something else; so it is told to stop, and then waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], stop: Callable[[], None]) -> T:
    """Run `work` in a thread. On cancellation call `stop`, wait for the thread, then be cancelled."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait({future})
        if not future.cancelled():
            future.exception()  # looked at, so that nothing complains about it later
        raise
