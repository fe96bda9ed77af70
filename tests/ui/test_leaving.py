"""Leaving a real terminal: one that reads, one that has stopped reading, one that is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LIMIT_S = 3.0
SCRIPT = Path(__file__).with_name("leaving_app.py")
ROOT = str(Path(__file__).parents[2])


@dataclass
class Child:
    """A process on a pseudo-terminal."""

    pid: int
    master: int
    done: Path
    seen: bytes = b""

    def read(self, seconds: float, until: bytes = b"\x00never") -> bool:
        """Read what the terminal is sent."""
        end = time.monotonic() + seconds
        while until not in self.seen and time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break
        return until in self.seen

    def ended(self, limit_s: float, *, reading: bool = False) -> int | None:
        """Wait for the end. Returns its wait status, None when it did not end in time."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if reading:
                self.read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return status
            time.sleep(0.02)
        return None


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """The app on a terminal of 80x24, with its first frame drawn."""
    done = tmp_path / "done"
    pid, master = pty.fork()
    if pid == 0:
        environ = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": ROOT, "LANG": "C.UTF-8"}
        os.execve(sys.executable, [sys.executable, str(SCRIPT), str(done)], environ)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    running = Child(pid, master, done)
    try:
        assert running.read(20, b"RUNNING"), running.seen[-2000:]
        yield running
    finally:
        if running.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)
            os.waitpid(running.pid, 0)
        with contextlib.suppress(OSError):
            os.close(master)


@pytest.mark.tui
def test_a_healthy_terminal_is_restored(child: Child) -> None:
    os.kill(child.pid, signal.SIGTERM)
    assert child.ended(LIMIT_S, reading=True) == 0
    child.read(0.2)
    assert b"\x1b[?1049l" in child.seen
    assert b"\x1b[?25h" in child.seen
    assert child.done.read_text() == "0"


@pytest.mark.tui
def test_a_stalled_terminal_does_not_hold_the_program(child: Child) -> None:
    stalled = child.done.with_name("stalled")
    end = time.monotonic() + 20
    while not stalled.exists() and time.monotonic() < end:
        time.sleep(0.02)  # not read meanwhile: the terminal's buffer and the writer's queue fill up
    assert stalled.exists()
    os.kill(child.pid, signal.SIGTERM)
    assert child.ended(LIMIT_S) == 0
    assert child.done.read_text() == "0"


@pytest.mark.tui
def test_a_terminal_that_is_gone_does_not_hold_the_program(child: Child) -> None:
    os.close(child.master)
    assert child.ended(LIMIT_S) == 0
    assert child.done.exists()
