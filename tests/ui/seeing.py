"""What a screen shows, as text, and waiting until it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from textual.pilot import Pilot

from tui_scraper.app import TuiScraperApp

NARROW, WIDE = (80, 24), (200, 50)
MakeApp = Callable[..., TuiScraperApp]


def screen_text(app: TuiScraperApp) -> str:
    """The rendered screen in view, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def until(pilot: Pilot[None], seen: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Let the app work until a condition holds."""
    deadline = time.monotonic() + limit_s
    while not seen():
        if pilot.app._exception is not None:
            raise pilot.app._exception
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not seen within {limit_s} s, focus on {pilot.app.focused}:\n{screen_text(pilot.app)}"
            )  # type: ignore[arg-type]
        await pilot.pause()
        await asyncio.sleep(0.01)


async def until_text(pilot: Pilot[None], *texts: str) -> str:
    """Let the app work until all texts are on the screen; returns the screen."""
    await until(pilot, lambda: all(text in screen_text(pilot.app) for text in texts))  # type: ignore[arg-type]
    return screen_text(pilot.app)  # type: ignore[arg-type]


async def until_words(pilot: Pilot[None], *texts: str) -> None:
    """The same where a sentence may be wrapped, as one that begins with a path is."""
    await until(pilot, lambda: all(text in " ".join(screen_text(pilot.app).split()) for text in texts))  # type: ignore[arg-type]
