"""ctrl+z in a real shell: the screen is given back and painted again, and standing still costs nothing."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.terminal import DEADLINE_S, Terminal
from tests.chaos.killing import exported
from tests.terminal.opening import PROMPT, begin, command, opened, shell, write_slow

pytestmark = [
    pytest.mark.tui,
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
]

CTRL_Z = "\x1a"
FOUND = 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_slow(tmp_path / "papers", FOUND, 0.04)
    return tmp_path / "papers"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with shell(tmp_path, TUI_SCRAPER_ENGINE__WORKERS="1") as opened_shell:
        yield opened_shell


def suspend(terminal: Terminal) -> None:
    terminal.press(CTRL_Z)
    terminal.until("Stopped")
    terminal.until(PROMPT)
    assert not terminal.screen.full_screen


def job(terminal: Terminal) -> int:
    """The pid of the shell's job."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with open(f"/proc/{terminal.pid}/task/{terminal.pid}/children") as file:
            children = file.read().split()
        if children:
            return int(children[0])
    raise TimeoutError("the shell has no job")


def until_no_job(terminal: Terminal) -> None:
    """Wait until the program has ended: before that, what is typed is not for the shell."""
    end = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text():
        assert time.monotonic() < end, "the program goes on"
        terminal.read(0.01)


def state(pid: int) -> str:
    """What the kernel says of a process: T is stopped."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def until_state(pid: int, wanted: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while state(pid) not in wanted:
        assert time.monotonic() < end, state(pid)
        time.sleep(0.01)


def answers(terminal: Terminal) -> None:
    """The shell obeys, and echoes what is typed: the terminal is as it was."""
    terminal.until(PROMPT)
    terminal.press("clear; echo $((40 + 2)); stty -a\r")
    terminal.until("42")
    terminal.until(" echo ")
    terminal.until(" icanon ")


def test_the_screen_is_given_back_and_painted_again_and_the_run_goes_on(
    terminal: Terminal, folder: Path, tmp_path: Path
) -> None:
    terminal.press(command(folder, "-w", tmp_path / "w"))
    begin(terminal, f"{FOUND} files")
    terminal.until("/s")
    for _ in range(2):
        suspend(terminal)
        terminal.press("fg\r")
        terminal.until("Phases")
        terminal.until("RUNNING")
        terminal.until("Stopped", gone=True)
        assert terminal.screen.full_screen
    terminal.until("COMPLETE")
    terminal.press("q")
    until_no_job(terminal)
    answers(terminal)
    assert len(exported(tmp_path / "w").splitlines()) == FOUND


@pytest.mark.slow
def test_it_is_suspended_and_continued_from_anywhere_and_by_anybody(
    terminal: Terminal, folder: Path, tmp_path: Path
) -> None:
    terminal.press(command(folder, "-w", tmp_path / "w"))
    terminal.until("Go")
    suspend(terminal)  # in a text field
    terminal.press("fg\r")
    begin(terminal, f"{FOUND} files")
    terminal.press("p")
    terminal.until("PAUSED")
    terminal.press("q")
    terminal.until("Cancel")
    suspend(terminal)  # in a question
    pid = job(terminal)
    terminal.press("clear; bg\r")  # a screen has no use for that
    until_state(pid, "T")
    answers(terminal)
    terminal.press("fg\r")
    terminal.until("Cancel")
    terminal.press("\r")
    terminal.until("Cancel", gone=True)

    os.kill(pid, signal.SIGSTOP)  # nobody has asked the program
    terminal.until("Stopped")
    terminal.press("fg\r")
    terminal.until("PAUSED")
    terminal.until("Stopped", gone=True)
    terminal.press("?")  # one key, one effect: only one thread reads the keys
    terminal.until("pgdn")
    terminal.press("?")
    terminal.until("pgdn", gone=True)
    os.kill(pid, signal.SIGTSTP)
    terminal.until("Stopped")
    terminal.press("fg\r")
    terminal.until("PAUSED")
    terminal.press("q")
    terminal.until("Cancel")
    terminal.press("y")
    until_no_job(terminal)
    answers(terminal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_while_it_stands_still_it_ends_and_leaves_the_terminal_alone(
    terminal: Terminal, folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    terminal.press(command(folder, "-w", tmp_path / "w"))
    begin(terminal, f"{FOUND} files")
    terminal.until("/s")
    suspend(terminal)
    terminal.press(f"clear; kill -{number.value} %1; kill -CONT %1; wait %1; echo code $?\r")
    terminal.until(f"code {128 + number}")
    answers(terminal)


def test_a_terminal_that_closes_meanwhile_loses_nothing(folder: Path, tmp_path: Path) -> None:
    with shell(tmp_path, TUI_SCRAPER_ENGINE__WORKERS="1") as terminal:
        terminal.press(command(folder, "-w", tmp_path / "w"))
        begin(terminal, f"{FOUND} files")
        terminal.until("/s")
        suspend(terminal)
        pid = job(terminal)
        terminal.hang_up()
        end = time.monotonic() + DEADLINE_S
        while os.path.exists(f"/proc/{pid}") and state(pid) != "Z":
            assert time.monotonic() < end, "it is still there"
            time.sleep(0.02)
    with opened(tmp_path, folder, "-w", tmp_path / "w") as again:
        again.until("resumes:")
        again.press("\r")
        again.until("COMPLETE")
    assert len(exported(tmp_path / "w").splitlines()) == FOUND


def test_the_time_counts_against_no_document(terminal: Terminal, tmp_path: Path) -> None:
    write_slow(tmp_path / "papers", 2, 1.0)
    terminal.press(
        "export TUI_SCRAPER_CLEAN__TIMEOUT_S=2; " + command(tmp_path / "papers", "-w", tmp_path / "w")
    )
    begin(terminal, "2 files")
    suspend(terminal)
    time.sleep(2.5)  # longer than a document may take
    terminal.press("fg\r")
    terminal.until("COMPLETE")
    assert b'"done"' in exported(tmp_path / "w")
    assert b'"failed"' not in exported(tmp_path / "w")


def test_without_a_shell_with_jobs_it_says_why_not(folder: Path, tmp_path: Path) -> None:
    with opened(tmp_path, folder, "-w", tmp_path / "w") as terminal:
        terminal.until("Go")
        terminal.press(CTRL_Z)
        terminal.until("not started by a shell")
        assert state(terminal.pid) != "T"
