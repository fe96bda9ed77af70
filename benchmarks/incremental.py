"""What a run costs that has little or nothing to do: one changed file of many, and a renamed folder.

    python -m benchmarks.incremental [--files 10000] [--rounds 7] [--scratch DIR] [--report FILE]

Every run is a whole process, from its start to its end. A round is one run each of: a Python that does
nothing, `--version`, a run with nothing changed, a run with one file changed; so what the machine does beside
it falls on all of them alike. Afterwards half of the files get another folder. What was done again is
counted in the database: results by phase, and the texts, chunks and labels that were made (artifacts).

Python is left to keep its compiled modules, as an installed program has them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.corpus import write_small_text
from tui_scraper.engine.models import PHASES
from tui_scraper.engine.store.connection import open_state

AIM_S = 1.5
"""For a whole run that does one file of 10,000 again (two cores)."""


@dataclass
class Redone:
    """What a run has recorded (results by phase) and made (artifacts by phase)."""

    results: dict[str, int]
    made: dict[str, int]

    def __str__(self) -> str:
        recorded = ", ".join(f"{phase} {count:,}" for phase, count in self.results.items()) or "none"
        made = ", ".join(f"{phase} {count:,}" for phase, count in self.made.items()) or "none"
        return f"results: {recorded}; made anew: {made}"


@dataclass
class Program:
    """The program on one source folder and one workspace."""

    source: Path
    workspace: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
    )

    def run(self) -> float:
        """A whole run. Returns its seconds."""
        return self.timed("-m", "tui_scraper", "run", self.source, "-w", self.workspace, "--offline")

    def timed(self, *arguments: str | Path) -> float:
        """Run Python with these arguments to its end. Returns the seconds."""
        command = [sys.executable, *map(str, arguments)]
        started = time.perf_counter()
        subprocess.run(command, env=self.environment, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - started

    @contextmanager
    def watched(self) -> Iterator[Redone]:
        """Counts what the runs in the block do."""
        redone = Redone({}, {})
        before = self._last()
        yield redone
        with closing(open_state(self.workspace, read_only=True)) as state:
            for counts, table, column, last in (
                (redone.results, "result", "seq", before[0]),
                (redone.made, "artifact", "id", before[1]),
            ):
                rows = state.execute(
                    f"SELECT phase, count(*) FROM {table} WHERE {column} > ? GROUP BY phase ORDER BY phase",
                    (last,),
                )
                counts.update({str(PHASES[phase]): count for phase, count in rows})

    def _last(self) -> tuple[int, int]:
        with closing(open_state(self.workspace, read_only=True)) as state:
            seq = state.execute("SELECT coalesce(max(seq), 0) FROM result").get
            return seq, state.execute("SELECT coalesce(max(id), 0) FROM artifact").get


def change_one(source: Path, number: int) -> None:
    """Give one file another content; the middle one of its folder in turn."""
    folders = sorted(path for path in source.glob("*/*") if path.is_dir())
    files = sorted(folders[number % len(folders)].iterdir())
    with open(files[len(files) // 2], "a", encoding="utf-8") as file:
        file.write(f"\n\nA line of round {number} that was not there before.\n")


def spread(seconds: Sequence[float]) -> str:
    """Minimum, median and maximum."""
    return f"{min(seconds):.2f} / {statistics.median(seconds):.2f} / {max(seconds):.2f} s"


def measure(base: Path, files: int, rounds: int) -> list[tuple[str, str]]:
    """All measurements, as rows of a table. Each is shown at once."""
    rows: list[tuple[str, str]] = []

    def add(what: str, figure: str) -> None:
        rows.append((what, figure))
        print(f"{what}: {figure}", flush=True)

    add("machine", f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    source = base / "source"
    for seed, half in enumerate(("left", "right")):
        write_small_text(source / half, files // 2, seed)
    program = Program(source, base / "workspace")
    add(f"first run over {files:,} files", f"{program.run():.2f} s")
    program.run()

    bare, version, unchanged, changed = [], [], [], []
    for number in range(rounds):
        bare.append(program.timed("-c", "pass"))
        version.append(program.timed("-m", "tui_scraper", "--version"))
        with program.watched() as nothing:
            unchanged.append(program.run())
        if nothing.results:
            raise SystemExit(f"a run with nothing changed did something: {nothing}")
        change_one(source, number)
        with program.watched() as one:
            changed.append(program.run())
        if set(one.results.values()) != {1} or len(one.results) != 4:
            raise SystemExit(f"a run with one changed file did something else: {one}")
    add(f"seconds of {rounds} rounds", "minimum / median / maximum")
    add("`python -c pass`", spread(bare))
    add("`tui-scraper --version`", spread(version))
    add("nothing changed", spread(unchanged))
    add("one file changed", spread(changed))
    add("what that does again", str(one))
    add("one changed to nothing changed, median of the rounds", _ratio(changed, unchanged))
    add("one changed to `--version`", _ratio(changed, version))
    add("one changed to `python -c pass`", _ratio(changed, bare))
    met = sum(seconds <= AIM_S for seconds in changed)
    add(f"rounds with one changed in {AIM_S} s", f"{met} of {rounds}")

    (source / "left").rename(source / "renamed")
    with program.watched() as moved:
        seconds = program.run()
    add(f"a folder of {files // 2:,} files renamed", f"{seconds:.2f} s; {moved}")
    return rows


def _ratio(these: Sequence[float], those: Sequence[float]) -> str:
    return f"{statistics.median(a / b for a, b in zip(these, those, strict=True)):.1f}"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scratch", type=Path, help="an empty folder to work in; kept afterwards")
    parser.add_argument("--report", type=Path, help="write the table there as Markdown")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = measure(options.scratch or Path(temporary), options.files, options.rounds)
    if options.report:
        lines = ["| what | figure |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in rows)]
        options.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
