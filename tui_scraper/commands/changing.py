"""Changing a workspace from the command line: here, or by the engine that works in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tui_scraper.engine.errors import WorkspaceLockedError

if TYPE_CHECKING:
    from tui_scraper.engine.store.writer import Operation

T = TypeVar("T")

_ENDING_S, _TRY_AGAIN_S = 5.0, 0.1
"""An engine that is ending holds the workspace for a moment only."""


def change(
    directory: Path,
    operation: Operation[T],
    request: dict[str, Any],
    answered: Callable[[dict[str, Any]], T],
    waiting: Callable[[], None] = lambda: None,
) -> T:
    """Carry a change out, or have the engine do it that works there; `answered` reads what that one says.

    An engine that ends before it has begun with it leaves it to us. `waiting` is called now and then until it
    has answered. Raises what the operation raises, and WorkspaceLockedError where another process works there
    that takes no commands.
    """
    from tui_scraper import control
    from tui_scraper.engine.workspace import reopen

    until = time.monotonic() + _ENDING_S
    while True:
        try:
            with contextlib.closing(reopen(directory)) as workspace:
                return workspace.writer.call(operation)
        except WorkspaceLockedError:
            try:
                answer = control.ask(directory, request, waiting)
            except control.EndedError:
                if time.monotonic() > until:
                    raise
                time.sleep(_TRY_AGAIN_S)
                continue
            if answer is None:
                raise
            return answered(answer)
