"""How fast each format of an export is written and read back, and what memory it takes.

    python -m benchmarks.exports [--documents 20000] [--rounds 3] [--chars 2000] [--workspace DIR]

Fills a workspace through the real store (see `benchmarks.history`) whose texts have so many characters, then
exports it, each format in a process of its own: from nothing, and again with the export before in its place.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks import history
from tui_scraper.engine.export import FORMATS, export, record_export
from tui_scraper.engine.store.writer import Writer

CHOICES = [(name,) for name in FORMATS] + [tuple(FORMATS)]


def measure(workspace: Path, target: Path, formats: tuple[str, ...], rounds: int) -> str:
    """A row of the table."""
    before = _peak_mb()
    anew, again = [], []
    size_bytes = 0
    for _ in range(rounds):
        shutil.rmtree(target, ignore_errors=True)
        report = export(workspace, target, formats=formats)
        anew.append(report.documents / report.seconds)
        writer = Writer(workspace)
        writer.call(record_export(report))
        writer.close()
        again.append(report.documents / export(workspace, target, formats=formats).seconds)
        size_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    name = " + ".join(formats) if len(formats) > 1 else formats[0]
    return (
        f"| {name} | {statistics.median(anew):,.0f} | {statistics.median(again):,.0f} "
        f"| {size_bytes / 1e6:,.1f} | {_peak_mb() - before:,.0f} |"
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--chars", type=int, default=2_000, help="of each text; 0: as benchmarks.history has it"
    )
    parser.add_argument("--workspace", type=Path, help="kept, and used again where it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        workspace = options.workspace or Path(temporary) / "workspace"
        if not workspace.exists():
            history.fill(workspace, options.documents, options.chars)
        print(f"{options.documents:,} documents of about {options.chars or 39:,} characters\n")
        print("| format | documents/s | with the one before in place | MB | memory above start, MB |")
        print("| --- | --- | --- | --- | --- |")
        for formats in CHOICES:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                target = Path(temporary) / "out"
                print(pool.apply(measure, (workspace, target, formats, options.rounds)), flush=True)


if __name__ == "__main__":
    main()
