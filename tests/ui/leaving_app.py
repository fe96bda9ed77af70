"""Run in a pseudo-terminal by `test_leaving.py`: an app whose screen never stands still."""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from served import ServedHost, busy

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.models import RunSnapshot
from tui_scraper.engine.settings import Settings, UiSettings


class Moving(ServedHost):
    """Every line of every snapshot differs from the one before."""

    ticks = 0

    def snapshot(self) -> RunSnapshot:
        self.ticks += 1
        phases = tuple(replace(phase, done=self.ticks % phase.total) for phase in self.now.phases)
        return replace(self.now, elapsed_s=float(self.ticks), phases=phases)


app = TuiScraperApp(
    Moving(busy(workspace="/nowhere")), Settings(ui=UiSettings(refresh_hz=30)), Path("/"), autostart=True
)
app._tick = app._paint  # whether the terminal takes it or not, as for keys: the queue of the writer fills
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: app.leave())


def note_stall() -> None:
    """Say in a file when the terminal takes no more and the queue of the writer is full."""
    while True:
        writer = getattr(app._driver, "_writer_thread", None)
        if writer is not None and writer._queue.full():
            Path(sys.argv[1]).with_name("stalled").write_text("")
            return
        time.sleep(0.02)


threading.Thread(target=note_stall, daemon=True).start()
app.run()
Path(sys.argv[1]).write_text(str(app.return_code))
