"""A mistake of the program in a screen: one sentence, a log, the terminal as it was, no secret anywhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from tests.chaos.killing import exported
from tests.terminal.opening import PROMPT, begin, environment, shell, write_slow

pytestmark = pytest.mark.tui

KEY = "sk-tests-Zm9yLW5vYm9keQ-0123456789"
SCRIPT = Path(__file__).with_name("crashing_app.py")


@pytest.mark.parametrize("mistake", ["painting", "drawing", "worker", "action"])
def test_a_mistake_in_a_screen(tmp_path: Path, mistake: str) -> None:
    write_slow(tmp_path / "papers", 60, 0.02)
    root = str(Path(__file__).parents[2])
    around = environment(
        tmp_path,
        OPENAI_API_KEY=KEY,
        MISTAKE=mistake,
        TUI_SCRAPER_CLASSIFY__BACKEND="local",
        TUI_SCRAPER_ENGINE__WORKERS="1",
    )
    around["PYTHONPATH"] = f"{root}:{around['PYTHONPATH']}"
    command = [sys.executable, str(SCRIPT), str(tmp_path / "papers"), "-w", str(tmp_path / "w")]
    terminal = Terminal(command, around)
    try:
        if mistake == "drawing":  # the log is on the Run screen, too
            terminal.until("60 files")
            terminal.press("\r")
        else:
            begin(terminal, "60 files")
            terminal.press("l/")
        assert terminal.wait(15) == 1
        while terminal.read(0.1) and terminal.screen.full_screen:
            pass
        assert not terminal.screen.full_screen
        assert terminal.modes == terminal.modes_before
        said = " ".join("".join(terminal.screen.display).split())
        assert "a mistake in the program; what was done is saved" in said
        assert "Traceback" not in terminal.raw.decode()
        assert KEY.encode() not in terminal.raw
        (log,) = tmp_path.rglob("crash.log")
        assert f"{log}" in "".join(line.rstrip() for line in terminal.screen.display)
        report = log.read_text()
        assert "mistake" in report
        assert KEY not in report
        assert log.stat().st_mode & 0o077 == 0
    finally:
        terminal.close()
    for path in (tmp_path / "w").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_the_shell_goes_on_after_it(tmp_path: Path) -> None:
    write_slow(tmp_path / "papers", 3, 0.02)
    root = str(Path(__file__).parents[2])
    around = {"OPENAI_API_KEY": KEY, "MISTAKE": "action", "TUI_SCRAPER_CLASSIFY__BACKEND": "local"}
    with shell(tmp_path, **around) as terminal:
        line = f"PYTHONPATH={root}:$PYTHONPATH {sys.executable} {SCRIPT} papers -w w; echo code $?"
        terminal.press(f"cd {tmp_path}; clear; {line}\r")
        begin(terminal, "3 files")
        terminal.until("COMPLETE")
        terminal.press("l/")
        terminal.until("code 1")
        terminal.press("clear; stty -a\r")
        terminal.until(" echo ")
        terminal.until(" icanon ")
        terminal.until(PROMPT)
    assert KEY.encode() not in terminal.raw
    assert len(exported(tmp_path / "w").splitlines()) == 3
