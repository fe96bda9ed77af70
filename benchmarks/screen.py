"""How long a key takes to show its effect while a run goes at full speed, and what the line carries.

    python -m benchmarks.keys [--files 20000] [--presses 40]

The TUI runs in a real pseudo-terminal (80x24) whose output a terminal emulator reads. Each press
opens or closes the help; the time ends when the emulated screen shows it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.corpus import write_small_text
from benchmarks.terminal import Terminal


def measure(files: int, presses: int) -> None:
    """Run, press, and print the figures."""
    with tempfile.TemporaryDirectory() as scratch:
        source, workspace = Path(scratch) / "source", Path(scratch) / "workspace"
        write_small_text(source, files)
        started = time.perf_counter()
        terminal = Terminal(
            [sys.executable, "-m", "tui_scraper", str(source), "-w", str(workspace)],
            {"TERM": "xterm-256color", "LANG": "C.UTF-8"},
        )
        terminal.until("Folder to process")
        print(f"first useful frame: {time.perf_counter() - started:.2f} s")
        terminal.press("\r")
        terminal.until("RUNNING")
        terminal.until("clean")
        times: list[float] = []
        before, since = terminal.bytes_read, time.perf_counter()
        quiet_until = since + 3.0
        while time.perf_counter() < quiet_until:
            terminal.read(0.05)
        rate = (terminal.bytes_read - before) / (time.perf_counter() - since)
        print(f"bytes down the line while running: {rate / 1000:.1f} KB/s")
        for _ in range(presses // 2):
            if "RUNNING" not in terminal.text:
                break
            terminal.press("?")
            times.append(terminal.until("pgdn pgup scroll"))
            terminal.press("?")
            times.append(terminal.until("pgdn pgup scroll", gone=True))
        while terminal.read(0.0) and "RUNNING" in terminal.text and len(times) < presses:
            terminal.read(0.05)
        times.sort()
        p50, p95 = statistics.median(times) * 1000, times[int(len(times) * 0.95)] * 1000
        print(f"key to paint, {len(times)} presses during the run: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
        print(f"worst {times[-1] * 1000:.0f} ms")
        terminal.press("q")
        terminal.read(0.5)
        terminal.press("y")
        while terminal.read(0.2):
            pass


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--presses", type=int, default=40)
    options = parser.parse_args()
    measure(options.files, options.presses)


if __name__ == "__main__":
    main()
