"""The app over a real engine that has run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from seeing import NARROW, until
from textual.pilot import Pilot

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine import RunRequest, RunState
from tui_scraper.engine.settings import Settings
from tui_scraper.engine_host import EngineHost


@asynccontextmanager
async def really_open(
    source: Path, workspace: Path, size: tuple[int, int] = NARROW
) -> AsyncIterator[Pilot[None]]:
    """The app on its Run screen, with an engine that has completed a run."""
    settings = Settings.model_validate({"ui": {"refresh_hz": 30}, "engine": {"workers": 1}})
    host = EngineHost()
    host.start(RunRequest(source, settings, workspace))
    try:
        app = TuiScraperApp(host, settings, source, workspace)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: host.snapshot().state is RunState.COMPLETE, 30)
            await pilot.press("escape", "1")
            yield pilot
    finally:
        assert host.close(20)
