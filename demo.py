"""The main job on documents that this machine has, from files to a search hit. Run by `make demo`."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

WORKSPACE = Path("demo")
DEBIAN_DOCUMENTATION = Path("/usr/share/doc")
QUERY = "copyright license"


def has_documents(folder: Path) -> bool:
    """Whether there is anything to read in a folder."""
    return folder.is_dir() and any(path.is_file() for path in folder.glob("*/*"))


def command(*arguments: str) -> int:
    """Show a command as a person would type it, and run it."""
    print(f"\n$ tui-scraper {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", "tui_scraper", *arguments], check=False).returncode


def main() -> int:
    """Run, show where it stands, and search."""
    source = DEBIAN_DOCUMENTATION
    if not has_documents(source):
        source = Path(sysconfig.get_path("stdlib"))
    code = command("run", str(source), "-w", str(WORKSPACE), "--offline")
    if code not in {0, 3}:  # 3: complete, but some documents could not be read
        return code
    command("status", "-w", str(WORKSPACE))
    code = command("search", QUERY, "-w", str(WORKSPACE), "-k", "3")
    print(f"\nThe same in the TUI:\n  .venv/bin/tui-scraper {source} -w {WORKSPACE}")
    return code


if __name__ == "__main__":
    sys.exit(main())
