"""The TUI on a real engine in a real pseudo-terminal, as a person would use and leave it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from tests.chaos.killing import exported, write_corpus
from tests.loaded import PROGRAM, Program, ProgramInTerminal
from tests.terminal.opening import environment

pytestmark = pytest.mark.tui

LEAVE_S = 3.0
SLACK_S = 2.0
"""On a loaded machine; the promise itself is measured by hand and in the notes of a release."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journey") / "source"
    write_corpus(folder, 1500)
    return folder


@pytest.fixture(scope="module")
def undisturbed(source: Path) -> bytes:
    """The export of a run that nothing disturbed."""
    workspace = source.parent / "undisturbed"
    assert headless(source, workspace) == 3
    return exported(workspace)


def headless(source: Path, workspace: Path) -> int:
    with Program("run", source, "-w", workspace, stdout=subprocess.DEVNULL) as program:
        return program.wait()


@pytest.fixture
def terminal(source: Path, tmp_path: Path) -> Iterator[Terminal]:
    opened = ProgramInTerminal(
        *(source, "-w", tmp_path / "workspace"),
        environment={"TERM": "xterm-256color", "LANG": "C.UTF-8", "XDG_STATE_HOME": str(tmp_path / "state")},
    )
    yield opened
    opened.close()


def begin(terminal: Terminal) -> None:
    terminal.until("1,5")  # what was found
    terminal.press("\r")
    terminal.until("RUNNING")
    terminal.until("/s")  # the first documents are through


def test_a_run_is_started_paused_resumed_and_looked_at(terminal: Terminal, tmp_path: Path) -> None:
    begin(terminal)
    terminal.press("p")
    terminal.until("PAUSED")
    terminal.press("p")
    terminal.until("PAUSED", gone=True)
    terminal.until("COMPLETE")
    terminal.press("f")
    terminal.until("By cause")
    terminal.press("\x1b")
    terminal.until("Phases")
    terminal.press("q")
    assert terminal.wait(LEAVE_S + SLACK_S) == 0
    assert terminal.modes == terminal.modes_before
    rows = exported(tmp_path / "workspace").splitlines()
    assert len(rows) == 1500
    assert all(json.loads(row)["status"] != "pending" for row in rows)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_the_state_and_gives_the_terminal_back(
    terminal: Terminal, source: Path, tmp_path: Path, undisturbed: bytes, number: int
) -> None:
    begin(terminal)
    terminal.signal(number)
    assert terminal.wait(LEAVE_S + SLACK_S) == 128 + number
    assert terminal.modes == terminal.modes_before
    assert headless(source, tmp_path / "workspace") == 3
    assert exported(tmp_path / "workspace") == undisturbed


def test_a_closed_terminal_saves_the_state(
    terminal: Terminal, source: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    begin(terminal)
    terminal.hang_up()
    assert terminal.wait(LEAVE_S + SLACK_S) == 128 + signal.SIGHUP
    assert headless(source, tmp_path / "workspace") == 3
    assert exported(tmp_path / "workspace") == undisturbed


def test_a_closed_terminal_ends_it_also_where_hang_ups_are_switched_off(source: Path, tmp_path: Path) -> None:
    switched_off = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
    where = map(str, (source, "-w", tmp_path / "workspace"))
    terminal = Terminal([*switched_off, *PROGRAM, *where], environment(tmp_path))
    try:
        begin(terminal)
        terminal.hang_up()
        assert terminal.wait(LEAVE_S + SLACK_S) == 128 + signal.SIGHUP
    finally:
        terminal.close()


def test_a_terminal_that_no_longer_reads_cannot_keep_the_program(
    terminal: Terminal, source: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    begin(terminal)
    for _ in range(60):  # fills the line: the help is painted again and again, and nobody reads
        terminal.press("?")
    terminal.signal(signal.SIGHUP)
    assert terminal.wait(LEAVE_S + SLACK_S, reading=False) == 128 + signal.SIGHUP
    assert headless(source, tmp_path / "workspace") == 3
    assert exported(tmp_path / "workspace") == undisturbed


def test_leaving_asks_and_stays_on_cancel(terminal: Terminal) -> None:
    begin(terminal)
    terminal.press("p")
    terminal.until("PAUSED")
    terminal.press("q")
    terminal.until("Stop here and leave?")
    terminal.press("\r")  # Cancel has the focus
    terminal.until("Stop here and leave?", gone=True)
    terminal.press("\x11")  # ctrl+q
    terminal.until("Stop here and leave?")
    terminal.press("y")
    assert terminal.wait(LEAVE_S + SLACK_S) == 0
    assert terminal.modes == terminal.modes_before


def test_a_name_cannot_reach_the_terminal_with_its_escape_sequences(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    (folder / "report [").mkdir(parents=True)
    (folder / "\x1b]52;c;aGVsbG8=\x07.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "report [/final] [2024].pdf").write_bytes(b"%PDF-1.4 broken")
    terminal = Terminal(
        [sys.executable, "-m", "tui_scraper", str(folder), "-w", str(tmp_path / "workspace")],
        {"TERM": "xterm-256color", "LANG": "C.UTF-8"},
    )
    try:
        terminal.until("Found")
        terminal.press("\r")
        terminal.until("COMPLETE")
        terminal.press("f")
        terminal.until("final")
        assert b"\x1b]52" not in terminal.raw
        assert b"aGVsbG8=\x07" not in terminal.raw
        terminal.press("q")
        assert terminal.wait(LEAVE_S + SLACK_S) == 0
    finally:
        terminal.close()
    assert os.path.exists(tmp_path / "workspace" / "export" / "manifest.json")
