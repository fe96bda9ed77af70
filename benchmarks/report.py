"""How long a report takes, and how much memory, at a hundred thousand and a million documents.

    python -m benchmarks.report [--documents 1000000] [--workspace DIR]

Fills a workspace through the real store (as `benchmarks.history` does), then has the facts read and the page
made in a process of its own, whose peak of memory is told. The same with a tenth of the documents in the same
run: the ratio shows that time grows with them, and memory less.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.history import fill

_MEASURED = """
import json, resource, sys, time
from pathlib import Path
from tui_scraper.engine.report.reading import read_facts
from tui_scraper.report_page.page import page
started = time.perf_counter()
facts = read_facts(Path(sys.argv[1]))
read_s = time.perf_counter() - started
bytes_of_page = sum(len(line.encode()) for line in page(facts))
print(json.dumps({
    "read_s": read_s,
    "page_s": time.perf_counter() - started - read_s,
    "page_kb": bytes_of_page / 1000,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def measure(directory: Path) -> dict[str, float]:
    """Seconds, and the peak of a process that does nothing else."""
    done = subprocess.run([sys.executable, "-c", _MEASURED, directory], capture_output=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workspace", type=Path, help="keep what is made here, or use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = options.workspace or Path(scratch)
        for documents in (options.documents // 10, options.documents):
            directory = base / f"workspace-{documents}"
            if not directory.exists():
                fill(directory, documents)
            rounds = [measure(directory) for _ in range(options.rounds)]
            best = min(rounds, key=lambda found: found["read_s"])
            worst = max(found["read_s"] for found in rounds)
            print(
                f"{documents:>9,} documents: facts {best['read_s']:.1f} s (worst {worst:.1f}), page "
                f"{best['page_s'] * 1000:.0f} ms and {best['page_kb']:.0f} KB, peak {best['peak_mb']:.0f} MB"
            )


if __name__ == "__main__":
    main()
