"""An event loop whose clock jumps to the next timer: minutes pass in milliseconds, always alike."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _JumpingSelector(selectors.DefaultSelector):
    now_s = 0.0
    late_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        if not ready and timeout:
            self.now_s += max(timeout, 0.0) + self.late_s
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; `time()` begins at 0. Every timer is late by `late_s`."""

    def __init__(self, late_s: float = 0.0) -> None:
        self._jumping = _JumpingSelector()
        self._jumping.late_s = late_s
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run(main: Coroutine[Any, Any, _Result], late_s: float = 0.0) -> _Result:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(late_s)) as runner:
        return runner.run(main)
