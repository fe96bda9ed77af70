"""Makes the README's pictures from a real run: `python docs/pictures.py FOLDER docs`.

The TUI runs headless on the folder with a new workspace. The picture of the Run screen is taken when the run
is a third through, the others when it has ended.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine import PhaseName, RunSnapshot, RunState, Settings
from tui_scraper.engine_host import EngineHost

SIZE = (100, 26)
WHEN_DONE = 0.33
SCREENS = {
    "documents": ("4", "v", "j", "j"),
    "checkpoints": ("3", "j"),
}
"""Picture -> the keys that lead to it."""
_SETTLED_S = 1.5
_FONT_FACES = re.compile(r"@font-face \{.*?\}", re.DOTALL)


async def take(source: Path, pictures: Path, workspace: Path) -> None:
    """Run until each picture is worth taking, and take it."""
    host = EngineHost()
    app = TuiScraperApp(host, Settings(), source, workspace, autostart=True)
    async with app.run_test(size=SIZE) as pilot:
        app.theme = "dark"
        await asyncio.to_thread(_wait, host, _is_worth_it)
        await _picture(pilot, pictures / "run-screen.svg")
        await asyncio.to_thread(_wait, host, lambda now: now.state is RunState.COMPLETE)
        for name, keys in SCREENS.items():
            await pilot.press(*keys)
            await asyncio.sleep(_SETTLED_S)
            await _picture(pilot, pictures / f"{name}-screen.svg")
            await pilot.press("escape", "escape")
        await asyncio.to_thread(host.close, 10.0)


def _wait(host: EngineHost, reached: Callable[[RunSnapshot], bool]) -> None:
    while not reached(host.snapshot()):
        host.wait(0.2)


def _is_worth_it(now: RunSnapshot) -> bool:
    index = next(phase for phase in now.phases if phase.name is PhaseName.INDEX)
    return index.total > 0 and index.done >= index.total * WHEN_DONE


async def _picture(pilot: Pilot[None], path: Path) -> None:
    await pilot.pause(0.3)
    drawn = _FONT_FACES.sub("", pilot.app.export_screenshot(title="tui-scraper"))  # no fonts from elsewhere
    await asyncio.to_thread(path.write_text, drawn, "utf-8")


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(take(Path(sys.argv[1]), Path(sys.argv[2]), Path(scratch) / "workspace"))


if __name__ == "__main__":
    main()
