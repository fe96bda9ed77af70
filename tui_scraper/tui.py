"""Starting and leaving the TUI: the engine's host, the signals and the terminal around the app."""

from __future__ import annotations

import multiprocessing.resource_tracker
import os
import threading
from pathlib import Path

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.settings import Settings
from tui_scraper.engine_host import EngineHost
from tui_scraper.signals import SignalWatch

_LEAVE_S = 2.0
_CLOSE_S = 10.0


def show(settings: Settings, source: Path | None, workspace: Path | None, settings_file: str = "") -> int:
    """Run the TUI to its end. Returns the exit code. `settings_file` is shown as where the settings are from.

    On a signal the screen is given back at once; a watchdog ends the process when the engine has
    saved its state, even where the terminal no longer takes a byte.
    """
    multiprocessing.resource_tracker.ensure_running()
    for name in ("COLUMNS", "LINES"):  # where somebody has exported them, no other size would be believed
        os.environ.pop(name, None)
    host = EngineHost()
    app = TuiScraperApp(host, settings, source, workspace, settings_file=settings_file)

    def leave(number: int) -> None:
        host.stop()
        app.leave()
        threading.Thread(target=end, args=(number,), name="leaving", daemon=True).start()

    def flight_s() -> float:
        """How long calls to a model that are in flight may take: they are paid for."""
        spend = host.snapshot().spend
        return settings.classify.timeout_s if spend is not None and spend.in_flight else 0.0

    def end(number: int) -> None:
        host.close(_LEAVE_S + flight_s())
        left.wait(_LEAVE_S / 2)
        os._exit(128 + number)

    left = threading.Event()
    watch = SignalWatch(leave, on_terminal=True)
    try:
        app.run()
    finally:
        left.set()
    host.close(_CLOSE_S + flight_s())
    if watch.exit_code is not None:
        return watch.exit_code
    return app.return_code or 0
