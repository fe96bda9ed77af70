"""What the TUI costs over a slow line, and what it costs the run: keys, bytes, a long list, throughput.

    python -m benchmarks.screen [--files 20000] [--presses 40] [--failed 100000] [--rounds 3]

The TUI runs in a real pseudo-terminal (80x24) whose output a terminal emulator reads. Each press opens or
closes the help; the time ends when the emulated screen shows it. The list of failures is made by the
engine's own store. For the throughput `run` and the TUI take turns over the same files, each from its first
to its last line in the log. The exit code is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from benchmarks.corpus import write_small_text
from benchmarks.terminal import Terminal
from tests.ui.stored import Bad, write_failures

PROGRAM = [sys.executable, "-m", "tui_scraper"]
FRAME_S, P50_MS, P95_MS, LINE_KB_S, IDLE_BYTES, FILTER_MS, LOSS = 1.0, 50.0, 150.0, 40.0, 0.0, 150.0, 0.05


class Targets:
    """Prints figures with what was aimed at, and remembers whether one was missed."""

    def __init__(self) -> None:
        self.missed = False

    def figure(self, what: str, value: float, most: float, form: str) -> None:
        """One figure."""
        ok = value <= most
        self.missed |= not ok
        print(
            f"{what}: {form.format(value)} (at most {form.format(most)}){'' if ok else '  MISSED'}",
            flush=True,
        )


@contextmanager
def tui(*arguments: str | Path) -> Iterator[Terminal]:
    """The TUI in a terminal."""
    around = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
    terminal = Terminal([*PROGRAM, *map(str, arguments)], around)
    try:
        yield terminal
    finally:
        terminal.close()


def bytes_in(terminal: Terminal, seconds: float) -> float:
    """Bytes a second down the line."""
    before, since = terminal.bytes_read, time.perf_counter()
    while time.perf_counter() - since < seconds:
        terminal.read(0.05)
    return (terminal.bytes_read - before) / (time.perf_counter() - since)


def during_a_run(targets: Targets, source: Path, workspace: Path, presses: int) -> None:
    """The first frame, the line, the keys, and the line when all is done."""
    started = time.perf_counter()
    with tui(source, "-w", workspace) as terminal:
        terminal.until("Go")
        targets.figure("first useful frame", time.perf_counter() - started, FRAME_S, "{:.2f} s")
        terminal.press("\r")
        terminal.until("RUNNING")
        terminal.until("clean")
        targets.figure(
            "down the line while running", bytes_in(terminal, 3.0) / 1000, LINE_KB_S, "{:.1f} KB/s"
        )
        times: list[float] = []
        while len(times) < presses and "RUNNING" in terminal.text:
            terminal.press("?")
            times.append(terminal.until("pgdn") * 1000)
            terminal.press("?")
            times.append(terminal.until("pgdn", gone=True) * 1000)
            bytes_in(terminal, 0.02)
        times.sort()
        print(f"{len(times)} presses during the run, worst {times[-1]:.0f} ms")
        targets.figure("key to paint, p50", statistics.median(times), P50_MS, "{:.0f} ms")
        targets.figure("key to paint, p95", times[int(len(times) * 0.95)], P95_MS, "{:.0f} ms")
        while "COMPLETE" not in terminal.text:
            terminal.read(0.05)
        for key in "1fcl5":
            terminal.press(key)
            bytes_in(terminal, 1.0)
            bytes_in(terminal, 5.5 if key == "1" else 0.5)  # what a key said is gone by then
            targets.figure(f"idle, screen {key}", bytes_in(terminal, 2.0), IDLE_BYTES, "{:.0f} B/s")


def long_list(targets: Targets, scratch: Path, failed: int) -> None:
    """From the last letter of a filter to the list that shows what is left."""
    workspace = scratch / "failures"
    started = time.perf_counter()
    write_failures(workspace, [Bad(f"folder-{n % 97}/report {n:06}.pdf") for n in range(failed)])
    print(f"{failed:,} failures written in {time.perf_counter() - started:.0f} s")
    times, whole = [], []
    around = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
    terminal = Terminal(
        [sys.executable, "-m", "benchmarks.screen", "--show", str(workspace), "--failed", str(failed)], around
    )
    try:
        terminal.until("Phases")
        terminal.press("f")
        terminal.until("report 000000")
        terminal.press("/")
        terminal.until("part of a path")
        for number in (failed - 1, failed // 2, 7, failed - 3, failed // 3):
            terminal.press(f"report {number:06}"[:-1])
            whole.append(terminal.until(" 10 ─") * 1000)
            terminal.settle(1.0)
            terminal.press(f"{number % 10}")
            times.append(terminal.until(" 1 ─") * 1000)  # ten before the last letter
            terminal.press("\x7f" * 13)
            terminal.settle(1.0)
    finally:
        terminal.close()
    print(f"filter {failed:,} failures, all of them read: {statistics.median(whole):.0f} ms")
    targets.figure(
        f"filter {failed:,} failures, one more letter, median",
        statistics.median(times),
        FILTER_MS,
        "{:.0f} ms",
    )


def show(workspace: Path, failed: int) -> None:
    """The TUI on a workspace that stands still, without an engine that would take its documents up again."""
    from tests.ui.served import ServedHost
    from tui_scraper.app import TuiScraperApp
    from tui_scraper.engine.models import Counts, RunSnapshot, RunState
    from tui_scraper.engine.settings import Settings

    counts = Counts(found=failed, failed=failed)
    now = RunSnapshot(RunState.COMPLETE, "folder", str(workspace), counts=counts)
    TuiScraperApp(ServedHost(now), Settings(), Path("folder"), autostart=True).run()


def logged_s(workspace: Path) -> float:
    """From the first line of a run's log to the last."""
    lines = (workspace / "log.jsonl").read_text().splitlines()
    first, last = (datetime.fromisoformat(json.loads(line)["time"]) for line in (lines[0], lines[-1]))
    return (last - first).total_seconds()


def throughput(targets: Targets, source: Path, scratch: Path, files: int, rounds: int) -> None:
    """`run` and the TUI in turns."""
    alone, attached = [], []
    for number in range(rounds):
        workspace = scratch / f"alone-{number}"
        subprocess.run([*PROGRAM, "run", source, "-w", workspace], stdout=subprocess.DEVNULL, check=True)
        alone.append(files / logged_s(workspace))
        workspace = scratch / f"attached-{number}"
        with tui(source, "-w", workspace) as terminal:
            terminal.until("Go")
            terminal.press("\r")
            limit = time.perf_counter() + 600
            while "COMPLETE" not in terminal.text and time.perf_counter() < limit:
                terminal.read(0.1)
        attached.append(files / logged_s(workspace))
    print("alone    " + ", ".join(f"{rate:,.0f}" for rate in alone) + " files/s")
    print("attached " + ", ".join(f"{rate:,.0f}" for rate in attached) + " files/s")
    noise = (max(alone) - min(alone)) / statistics.median(alone)
    loss = 1 - statistics.median(attached) / statistics.median(alone)
    print(f"noise of the machine: {noise:.1%} between runs alone")
    targets.figure("loss with the TUI attached", loss, LOSS, "{:.1%}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--presses", type=int, default=40)
    parser.add_argument("--failed", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--show", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.show is not None:
        show(options.show, options.failed)
        return 0
    targets = Targets()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        write_small_text(scratch / "source", options.files)
        during_a_run(targets, scratch / "source", scratch / "first", options.presses)
        long_list(targets, scratch, options.failed)
        throughput(targets, scratch / "source", scratch, options.files, options.rounds)
    return int(targets.missed)


if __name__ == "__main__":
    sys.exit(main())
