"""Makes the README's picture from a real run: `python docs/picture.py FOLDER docs/run-screen.svg`.

The TUI runs headless on the folder with a new workspace; the picture is taken when the run is a third
through.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine import PhaseName, Settings
from tui_scraper.engine_host import EngineHost

SIZE = (100, 26)
WHEN_DONE = 0.33
_FONT_FACES = re.compile(r"@font-face \{.*?\}", re.DOTALL)


async def take(source: Path, picture: Path, workspace: Path) -> None:
    """Run until the picture is worth taking, take it, and stop."""
    host = EngineHost()
    app = TuiScraperApp(host, Settings(), source, workspace, autostart=True)
    async with app.run_test(size=SIZE) as pilot:
        app.theme = "dark"
        while True:
            await asyncio.sleep(0.1)
            phases = {phase.name: phase for phase in host.snapshot().phases}
            index = phases[PhaseName.INDEX]
            if index.total and index.done >= index.total * WHEN_DONE:
                break
        await pilot.pause(0.3)
        drawn = _FONT_FACES.sub("", app.export_screenshot(title="tui-scraper"))  # no fonts from elsewhere
        await asyncio.to_thread(picture.write_text, drawn, "utf-8")
        await asyncio.to_thread(host.close, 10.0)


def main() -> None:
    """Take the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(take(Path(sys.argv[1]), Path(sys.argv[2]), Path(scratch) / "workspace"))


if __name__ == "__main__":
    main()
