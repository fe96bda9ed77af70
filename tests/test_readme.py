"""Every command in the README works as written (`make demo` and `make test` are run by CI itself)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from tests.llm.model_server import KEY, serving
from tui_scraper.engine.settings import Settings, load
from tui_scraper.theming import hard_to_read, load_theme

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
LINES = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
OF_A_MODEL = [line for line in LINES if re.search("estimate|--budget|audit|--method openai|customers", line)]
RUN_BY_CI = {"make demo", "make test", "pip install ."}
OPENS_THE_TUI = "tui-scraper ~/reports"
ON_WHAT_WAS_LAST = "tui-scraper"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a folder of documents, and `tui-scraper` on the path."""
    reports = tmp_path / "reports"
    reports.mkdir()
    for number in range(5):
        (reports / f"letter-{number}.txt").write_text(f"Letter {number} about an unpaid invoice of March.")
    (reports / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "tui-scraper"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m tui_scraper "$@"\n')
    script.chmod(0o755)
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_readme_work_in_their_order(home: Path) -> None:
    elsewhere = {*RUN_BY_CI, *OF_A_MODEL, OPENS_THE_TUI, ON_WHAT_WAS_LAST}
    commands = [line for line in LINES if line not in elsewhere]
    assert len(commands) >= 8
    for command in commands:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in {0, 3}, f"{command}: {done.returncode} {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
    assert (home / "out" / "documents.jsonl").exists()
    assert (home / "tui-scraper.toml").exists()


def test_the_commands_about_a_model_work_in_their_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(OF_A_MODEL) == 8
    monkeypatch.setenv("TUI_SCRAPER_INDEX__EMBEDDINGS", "openai")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        for command in OF_A_MODEL:
            done = subprocess.run(
                command, shell=True, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode in {0, 3}, f"{command}: {done.returncode} {done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr
        assert server.records
    assert home.is_dir()


@pytest.mark.tui
def test_the_tui_opens_on_a_folder_as_the_readme_says(home: Path) -> None:
    assert OPENS_THE_TUI in LINES
    terminal = Terminal(["sh", "-c", OPENS_THE_TUI], {"TERM": "xterm-256color", "LANG": "C.UTF-8"})
    try:
        terminal.until("6 files")
        terminal.press("\x11")
        assert terminal.wait(10) == 0
    finally:
        terminal.close()


def test_the_settings_of_the_readme_are_valid(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    themes = [block for block in blocks if "[colors]" in block]
    for block in themes:
        (tmp_path / "theme.toml").write_text(block, encoding="utf-8")
        assert hard_to_read(load_theme(tmp_path / "theme.toml")) == []
    for block in [block for block in blocks if block not in themes]:
        file = tmp_path / "tui-scraper.toml"
        file.write_text(block, encoding="utf-8")
        assert load(file, environ={}) != Settings()
