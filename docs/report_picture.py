"""Makes the README's picture of a report from a real run: `python docs/report_picture.py FOLDER docs`.

The folder is processed into a new workspace, the page is written, and a browser takes a picture of its
beginning: Chromium, which must be installed for it and for nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SIZE = (1200, 1500)
"""In pixels of the page; the picture has fewer."""
_SCALE = 0.7
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def take(source: Path, pictures: Path, scratch: Path) -> None:
    """Run, report, and take the picture."""
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise SystemExit(f"There is no browser here for the picture: one of {', '.join(_BROWSERS)}.")
    page, workspace = scratch / "report.html", scratch / "workspace"
    program = [sys.executable, "-m", "tui_scraper"]
    subprocess.run([*program, "run", source, "-w", workspace], check=False, stdout=subprocess.DEVNULL)
    subprocess.run([*program, "report", page, "-w", workspace], check=True)
    subprocess.run(
        [
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={scratch / 'browser'}",
            f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--force-device-scale-factor={_SCALE}",
            f"--screenshot={(pictures / 'report.png').absolute()}",
            page.as_uri(),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    """Take the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        take(Path(sys.argv[1]), Path(sys.argv[2]), Path(scratch))


if __name__ == "__main__":
    main()
