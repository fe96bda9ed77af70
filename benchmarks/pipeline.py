"""How fast, in how much memory: the whole pipeline against what limits it and against a peer.

    python -m benchmarks.pipeline [--files 10000] [--peer /path/to/python] [--report FILE]

Measures, in one go and on the same files (small text, about 3.6 KB each): all six phases, as they come and
without vectors; a second run over the unchanged folder; a resume after a kill, to the first new document;
the peak memory with one and with four times the files; the bare loop of read + detect + clean + chunk +
count in as many processes, which keeps nothing (the limit); and LlamaIndex doing only load + split, in a
Python that has `llama-index-core`. Ratios are what to read; the figures of a shared machine wander.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.corpus import write_small_text

PEER_TIMEOUT_S = 90
PEER_SCRIPT = Path(__file__).with_name("peer_llamaindex.py")


@dataclass
class Run:
    """What one run of the program showed."""

    elapsed_s: float
    finished: dict[str, Any]
    peak_bytes: int
    first_s: float | None = None

    @property
    def files_per_s(self) -> float:
        """Found documents a second, from the start of the process to its end."""
        return float(self.finished["found"]) / self.elapsed_s


WAYS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "without vectors": {"INDEX__EMBEDDINGS": "none"},
    "without vectors and near-duplicates": {"INDEX__EMBEDDINGS": "none", "OUTPUT__NEAR_DUPLICATES": "0"},
}
"""Settings to run with, by the names of their variables, without what all of these begin with."""


def run_program(
    source: Path, workspace: Path, settings: Mapping[str, str] = WAYS["as it comes"], *, kill_at: int = 0
) -> Run:
    """Run `tui-scraper run --json`. With `kill_at` it is killed once that many documents are done."""
    command = [
        sys.executable,
        "-m",
        "tui_scraper",
        "run",
        str(source),
        "-w",
        str(workspace),
        "--offline",
        "--json",
    ]
    environment = os.environ | {f"TUI_SCRAPER_{name}": value for name, value in settings.items()}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    peak, first_s, at_start = 0, None, None
    event: dict[str, Any] = {}
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] != "progress":
            continue
        peak = max(peak, event["memory_bytes"])
        cleaned = event["phases"]["clean"]["done"]
        if at_start is None:
            at_start = cleaned
        elif first_s is None and cleaned > at_start:
            first_s = time.perf_counter() - started
        if kill_at and cleaned >= kill_at:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    return Run(time.perf_counter() - started, event, peak, first_s)


def _bare(paths: list[str]) -> tuple[int, int]:
    from tui_scraper.engine.extract.detect import detect
    from tui_scraper.engine.extract.reading import read_file
    from tui_scraper.engine.phases.chunk import chunk
    from tui_scraper.engine.phases.clean import clean
    from tui_scraper.engine.settings import Settings

    settings = Settings()
    chunks = tokens = 0
    for path in paths:
        name = os.fsencode(path)
        content = read_file(name, settings.input.max_file_size, False, lambda _type: True)
        text = clean(content.data, detect(content.data, name), settings.clean)
        for part in chunk(text, settings.chunk):
            chunks += 1
            tokens += part.tokens
    return chunks, tokens


def _warm() -> None:
    from tui_scraper.engine import tokens
    from tui_scraper.engine.extract import registry

    registry.preload()
    tokens.preload()


def bare_loop(source: Path, processes: int) -> float:
    """Files a second of the loop that keeps nothing, in warm processes."""
    paths = sorted(str(path) for path in source.rglob("*.txt"))
    shares = [paths[start : start + 250] for start in range(0, len(paths), 250)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_warm) as pool:
        list(pool.map(_bare, shares[: processes * 2]))
        started = time.perf_counter()
        for _done in pool.map(_bare, shares):
            pass
        return len(paths) / (time.perf_counter() - started)


def peer(python: str, source: Path, workers: int) -> dict[str, Any]:
    """LlamaIndex on the same files, with that many processes of its own."""
    command = [python, str(PEER_SCRIPT), str(source), str(workers)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PEER_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        print(f"the peer did not end within {PEER_TIMEOUT_S} s with {workers} workers", file=sys.stderr)
        return {}
    if done.returncode:
        print(f"the peer failed with {workers} workers: {done.stderr[-300:]}", file=sys.stderr)
        return {}
    return dict(json.loads(done.stdout.splitlines()[-1]))


@dataclass
class Report:
    """Collects figures and prints them as a Markdown table."""

    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, what: str, figure: str) -> None:
        """Add a figure, and show it at once."""
        self.rows.append((what, figure))
        print(f"{what}: {figure}", flush=True)

    def markdown(self) -> str:
        """The table."""
        lines = ["| what | figure |", "| --- | --- |"]
        return "\n".join(lines + [f"| {what} | {figure} |" for what, figure in self.rows]) + "\n"


@contextmanager
def scratch(directory: Path | None) -> Iterator[Path]:
    """A folder to work in, removed afterwards unless it was named."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def measure(
    base: Path, files: int, peer_python: str | None, peer_workers: int, report: Report, *, memory: bool
) -> None:
    """All measurements, in an order in which none warms a cache for another that the other lacks."""
    cores = os.cpu_count() or 1
    report.add("machine", f"{cores} cores, {platform.machine()}, Python {platform.python_version()}")
    small = base / f"small-{files}"
    if not small.exists():
        size_bytes = write_small_text(small, files)
    else:
        size_bytes = sum(path.stat().st_size for path in small.rglob("*.txt"))
    report.add("corpus", f"{files:,} text files, {size_bytes / 1e6:.1f} MB")

    limit = bare_loop(small, cores)
    report.add(f"bare loop, {cores} processes, nothing kept", f"{limit:,.0f} files/s")
    found: dict[str, list[Run]] = {way: [] for way in WAYS}
    for turn in range(3):
        for at, (way, settings) in enumerate(WAYS.items()):
            found[way].append(run_program(small, base / f"workspace-{at}-{turn}", settings))
    for way, runs in found.items():
        rates = sorted(each.files_per_s for each in runs)
        report.add(
            f"all six phases {way}, from start to end of the process",
            f"{rates[1]:,.0f} files/s ({', '.join(f'{rate:,.0f}' for rate in rates)})",
        )
    run = sorted(found["as it comes"], key=lambda each: each.elapsed_s)[1]
    phases = run.finished["phases"]
    per_file = {name: phases[name]["cpu_ms_per_doc"] for name in phases}
    shown = ", ".join(f"{name} {ms:.3f}" for name, ms in per_file.items() if ms)
    report.add("CPU milliseconds a file", shown)
    report.add("share of the bare loop", f"{run.files_per_s / limit:.0%}")
    again = run_program(small, base / "workspace-0-0")
    report.add(
        "second run, nothing changed",
        f"{again.files_per_s:,.0f} files/s with the start of the process, "
        f"{again.finished['found'] / again.finished['elapsed_s']:,.0f} without",
    )
    run_program(small, base / "workspace-killed", kill_at=files // 2)
    resumed = run_program(small, base / "workspace-killed")
    if resumed.first_s is not None:
        report.add("resume after kill -9 to the first new document", f"{resumed.first_s:.2f} s")
    if peer_python is not None:
        other = peer(peer_python, small, peer_workers)
        if other:
            rate = other["files"] / other["total_s"]
            report.add(f"LlamaIndex, load + split only, {peer_workers} process(es)", f"{rate:,.0f} files/s")
            report.add("ratio to LlamaIndex", f"{run.files_per_s / rate:.1f}")
    if memory:
        large = base / f"small-{files * 4}"
        if not large.exists():
            write_small_text(large, files * 4)
        big = run_program(large, base / "workspace-large")
        report.add(
            "peak PSS of all processes",
            f"{run.peak_bytes / 1e6:,.0f} MB with {files:,} files, {big.peak_bytes / 1e6:,.0f} MB with "
            f"{files * 4:,} ({big.peak_bytes / run.peak_bytes - 1:+.0%}); {big.files_per_s:,.0f} files/s",
        )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--peer", metavar="PYTHON", help="a Python with llama-index-core")
    parser.add_argument("--peer-workers", type=int, default=1, help="its own processes (default 1)")
    parser.add_argument("--scratch", type=Path, help="where to work; kept afterwards")
    parser.add_argument("--report", type=Path, help="write the table there as Markdown")
    parser.add_argument(
        "--no-memory", action="store_true", help="leave out the run over four times the files"
    )
    options = parser.parse_args()
    report = Report()
    with scratch(options.scratch) as base:
        measure(base, options.files, options.peer, options.peer_workers, report, memory=not options.no_memory)
    if options.report:
        options.report.write_text(report.markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
