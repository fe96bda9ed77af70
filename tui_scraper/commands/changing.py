"""Changing a workspace from the command line: here, or by the engine that works in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tui_scraper.engine.errors import WorkspaceLockedError

if TYPE_CHECKING:
    from tui_scraper.engine.store.writer import Operation

T = TypeVar("T")


def change(
    directory: Path,
    operation: Operation[T],
    request: dict[str, Any],
    answered: Callable[[dict[str, Any]], T],
    waiting: Callable[[], None] = lambda: None,
) -> T:
    """Carry a change out, or have the engine do it that works there; `answered` reads what that one says.

    `waiting` is called now and then until it has answered. Raises what the operation raises, and
    WorkspaceLockedError where another process works there that takes no commands.
    """
    from tui_scraper import control
    from tui_scraper.engine.workspace import reopen

    try:
        with contextlib.closing(reopen(directory)) as workspace:
            return workspace.writer.call(operation)
    except WorkspaceLockedError:
        answer = control.ask(directory, request, waiting)
        if answer is None:
            raise
        return answered(answer)
