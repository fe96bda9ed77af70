"""The main job on documents that this machine has, from files to a search hit. Run by `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

WORKSPACE = Path("demo")
DEBIAN_DOCUMENTATION = Path("/usr/share/doc")
ENOUGH = 2_000
"""Documents that show everything in half a minute; a machine with many more is sampled."""

QUERY = "copyright license"


def count_files(folder: Path) -> int:
    """How many files there are below a folder."""
    return sum(len(files) for _folder, _folders, files in os.walk(folder))


def command(*arguments: str) -> int:
    """Show a command as a person would type it, and run it."""
    print(f"\n$ tui-scraper {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", "tui_scraper", *arguments], check=False).returncode


def main() -> int:
    """Run, show where it stands, and search."""
    source = DEBIAN_DOCUMENTATION
    if not count_files(source):
        source = Path(sysconfig.get_path("stdlib"))
    sample = ["--sample", str(ENOUGH)] if count_files(source) > 2 * ENOUGH else []
    code = command("run", str(source), "-w", str(WORKSPACE), "--offline", *sample)
    if code not in {0, 3}:  # 3: complete, but some documents could not be read
        return code
    command("status", "-w", str(WORKSPACE))
    code = command("search", QUERY, "-w", str(WORKSPACE), "-k", "3")
    print(f"\nThe same in the TUI:\n  .venv/bin/tui-scraper {source} -w {WORKSPACE}")
    return code


if __name__ == "__main__":
    sys.exit(main())
