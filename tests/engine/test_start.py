"""What a run loads: as little as it needs, because most of a run that has little to do is loading."""

from __future__ import annotations

import subprocess
import sys


def test_the_engine_loads_no_reader_of_formats() -> None:
    code = (
        "import sys, tui_scraper.engine as e; e.Engine; "
        "found = [m for m in sys.modules if m.startswith('tui_scraper.engine.extract.')]; "
        "print([m for m in found if m.count('.') > 3])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
