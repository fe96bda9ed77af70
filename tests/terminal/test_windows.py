"""Windows that change their size, and connections that end, in the middle of a run."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.terminal import COLUMNS, DEADLINE_S, LINES, Terminal
from tests.chaos.killing import exported
from tests.loaded import PROGRAM
from tests.terminal.opening import begin, environment, opened, write_slow

pytestmark = pytest.mark.tui

FOUND = 120
SIZES = ((1, 1), (59, 14), (200, 50), (2, 40), (300, 2), (60, 15), (79, 23), (10, 10), (132, 43), (1, 60))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_slow(tmp_path / "papers", FOUND, 0.03)
    return tmp_path / "papers"


def _press_until(terminal: Terminal, key: str, words: str) -> None:
    """Press again, as a person does: a key that comes before the new size is for a screen too small.

    What was opened by keys before, such as the help, is closed with esc.
    """
    for _ in range(20):
        terminal.press(key)
        terminal.settle()
        if words in terminal.text:
            return
        terminal.press("\x1b")
        terminal.settle()
    raise AssertionError(f"'{key}' does not lead to '{words}':\n{terminal.text}")


def test_a_storm_of_sizes_during_a_run(folder: Path, tmp_path: Path) -> None:
    exported_once = {"COLUMNS": "80", "LINES": "24"}  # as into a container
    with opened(tmp_path, folder, "-w", tmp_path / "w", **exported_once) as terminal:
        begin(terminal, f"{FOUND} files")
        for number in range(40):
            terminal.resize(*SIZES[number % len(SIZES)])
            if number % 7 == 0:
                terminal.press("??" if number % 2 else "c")
            terminal.read(0.01)
        for screen, words in (("1", "Phases"), ("c", "Checkpoint"), ("f", "Failed")):
            terminal.resize(COLUMNS, LINES)
            _press_until(terminal, screen, words)
            terminal.resize(59, 14)
            terminal.until("60x15")
            terminal.resize(1, 1)
            terminal.resize(200, 50)
            terminal.until(words)
            terminal.until("q quit")
            terminal.until("60x15", gone=True)
        terminal.resize(COLUMNS, LINES)
        _press_until(terminal, "1", "Phases")
        terminal.until("COMPLETE")
        terminal.settle()
        assert all(len(line) == COLUMNS for line in terminal.screen.display)
        assert [line for line in terminal.screen.display if "input" in line]
        terminal.press("q")
        assert terminal.wait(10) == 0
        assert terminal.modes == terminal.modes_before


def test_whoever_comes_back_to_a_closed_terminal_finds_everything(folder: Path, tmp_path: Path) -> None:
    with opened(tmp_path, folder, "-w", tmp_path / "w", TUI_SCRAPER_ENGINE__WORKERS="1") as terminal:
        begin(terminal, f"{FOUND} files")
        terminal.until("/s")  # the first documents are through
        terminal.hang_up()
        assert terminal.wait(10) == 128 + signal.SIGHUP
    with opened(tmp_path, folder, "-w", tmp_path / "w") as terminal:
        terminal.until("resumes:")
        terminal.until(f"{FOUND} documents")
        terminal.press("\r")
        terminal.until("COMPLETE")
        terminal.until(f"{FOUND}/{FOUND}")
        terminal.press("q")
        assert terminal.wait(10) == 0
    rows = [json.loads(line) for line in exported(tmp_path / "w").splitlines()]
    assert [row["status"] for row in rows] == ["done"] * FOUND


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[str]:
    """The socket of a tmux server of our own."""
    path = str(tmp_path / "tmux")
    yield path
    subprocess.run(["tmux", "-S", path, "kill-server"], stderr=subprocess.DEVNULL, check=False)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_in_tmux_a_connection_may_end_and_another_take_up(folder: Path, tmp_path: Path, socket: str) -> None:
    inside = [*PROGRAM, str(folder), "-w", str(tmp_path / "w")]
    attach = ["tmux", "-S", socket, "-f", "/dev/null", "new-session", "-A", "-s", "papers", *inside]
    first = Terminal(attach, environment(tmp_path))
    try:
        begin(first, f"{FOUND} files")
        first.hang_up()
        end = time.monotonic() + DEADLINE_S
        while first.wait(0.1) is None:
            assert time.monotonic() < end
    finally:
        first.close()
    again = Terminal(attach, environment(tmp_path), (100, 30))
    try:
        again.until("COMPLETE")
        again.press("f")
        again.until("Nothing has failed")
        again.press("\x02")  # ctrl+b and d: tmux takes them, the program needs neither
        again.press("d")
        end = time.monotonic() + DEADLINE_S
        while again.wait(0.1) is None:
            assert time.monotonic() < end
    finally:
        again.close()
    keys = ["tmux", "-S", socket, "send-keys", "-t", "papers", "q"]
    subprocess.run(keys, check=True)
    end = time.monotonic() + DEADLINE_S
    while (
        subprocess.run(["tmux", "-S", socket, "has-session"], capture_output=True, check=False).returncode
        == 0
    ):
        assert time.monotonic() < end, "q did not leave"
        time.sleep(0.05)
    assert len(exported(tmp_path / "w").splitlines()) == FOUND
