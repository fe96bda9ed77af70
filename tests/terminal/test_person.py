"""One evening of a person with the program: everything by keys, everything seen on the screen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from tests.chaos.killing import exported
from tests.engine.corpus import write_corpus
from tests.terminal.opening import begin, opened, write_slow

pytestmark = pytest.mark.tui

ESC = "\x1b"
FOUND = 46
"""Documents of `folder`: 16 of every kind, and 30 that take a while."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "papers"
    expected = write_corpus(source, filling=0)
    write_slow(source, FOUND - len(expected), 0.06)
    return source


def leave(terminal: Terminal) -> None:
    terminal.press("q")
    assert terminal.wait(10) == 0
    assert terminal.modes == terminal.modes_before
    assert not terminal.screen.full_screen


def test_an_evening_with_a_folder(folder: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    every = {"TUI_SCRAPER_ENGINE__CHECKPOINT_EVERY_DOCS": "10", "TUI_SCRAPER_ENGINE__CHECKPOINT_EVERY_S": "0"}
    with opened(tmp_path, folder, "-w", workspace, **every) as terminal:
        begin(terminal, f"{FOUND} files")
        terminal.until("0%", gone=True)
        terminal.press("p")
        terminal.until("PAUSED")
        terminal.press("p")
        terminal.until("PAUSED", gone=True)
        terminal.until("COMPLETE")
        for word in ("input", "clean", "chunk", "classify", "index", "output"):
            terminal.until(word)

        terminal.press("f")
        terminal.until("tui-scraper  Failed")
        terminal.until("corrupt · failed in clean")
        terminal.until("B  broken.pdf")
        _look_for(terminal, "The PDF is damaged")
        terminal.press("r")
        terminal.until("Asked to retry")
        terminal.until("COMPLETE")
        terminal.until("B  broken.pdf")  # as damaged as before

        terminal.press("c")
        terminal.until("History")
        terminal.until("clean")
        _move_to(terminal, " clean ")  # the first of that phase, from the end of the list
        terminal.press("b")
        terminal.until("Go back to checkpoint")
        terminal.until("documents are pending then")
        terminal.until("Hidden, and kept")
        terminal.press("\r")  # Cancel has the focus
        terminal.until("Hidden, and kept", gone=True)
        terminal.press("b")
        terminal.until("Hidden, and kept")
        terminal.press("y")
        terminal.until("STOPPED")
        terminal.until(" u undo")
        terminal.press("u")
        terminal.until("Undo?")
        terminal.press("y")
        terminal.until("Undo?", gone=True)
        terminal.press("1")
        terminal.until("Phases")
        terminal.until("pending      0")  # as if nothing had been
        terminal.press("p")
        terminal.until("COMPLETE")

        terminal.press("/")
        terminal.until("Search")
        terminal.press("axolotl")
        terminal.until("letter.docx")
        terminal.press(ESC)
        terminal.until("leave the field", gone=True)
        terminal.press("1")
        terminal.until("Phases")
        leave(terminal)

    with opened(tmp_path, folder, "-w", workspace) as terminal:
        terminal.until("complete:")
        terminal.until(f"{FOUND} documents, 0 pending")
        terminal.press("\r")
        terminal.until("COMPLETE")
        leave(terminal)
    rows = [json.loads(line) for line in exported(workspace).splitlines()]
    assert len(rows) == FOUND
    assert not [row["path"] for row in rows if row["status"] == "pending"]


def _look_for(terminal: Terminal, words: str) -> None:
    """Go down the list until the details show something."""
    for _ in range(12):
        if words in " ".join(terminal.text.split()):
            return
        terminal.press("j")
        terminal.settle()
    raise AssertionError(f"'{words}' is not among the details:\n{terminal.text}")


def _move_to(terminal: Terminal, words: str) -> None:
    """Go up from the end of the list until the cursor is on a row with these words."""
    terminal.press("G")
    for _ in range(30):
        terminal.settle()
        if any(re.match(r"\s*▸", line) and words in line for line in terminal.screen.display):
            return
        terminal.press("k")
    raise AssertionError(f"no row with '{words}':\n{terminal.text}")


def test_a_key_that_repeats_is_carried_out_once(tmp_path: Path) -> None:
    """Over a slow line a person types ahead and presses enter again, and all of it comes at once."""
    write_slow(tmp_path / "papers", 3, 0.01)
    with opened(tmp_path, tmp_path / "papers", "-w", tmp_path / "w") as terminal:
        begin(terminal, "3 files", "COMPLETE")
        for name, words in (("Failed", "tui-scraper  Failed"), ("Checkpoints", "tui-scraper  Checkpoints")):
            terminal.press("\x10")  # ctrl+p
            terminal.until("Search for commands")
            terminal.press(name + "\r\r\r\r")
            terminal.until(words)
        terminal.until("1 input")
        terminal.press("G")
        terminal.until("▸ ●    1 input")
        terminal.press("b")
        terminal.until("Cancel")
        terminal.press("\r\r\r\r")
        terminal.until("Cancel", gone=True)
        terminal.until("tui-scraper  Checkpoints")
        terminal.settle()
        before = terminal.bytes_read
        terminal.press("f")
        terminal.until("Nothing has failed")
        terminal.settle()
        assert terminal.bytes_read > before
        before = terminal.bytes_read
        for _ in range(10):
            terminal.read(0.1)
        assert terminal.bytes_read == before, "an idle screen sends nothing"
        leave(terminal)


def test_keys_that_come_at_once_go_where_they_would_one_by_one(tmp_path: Path) -> None:
    write_slow(tmp_path / "papers", 40, 0.1)
    with opened(tmp_path, tmp_path / "papers", "-w", tmp_path / "w") as terminal:
        begin(terminal, "40 files")
        terminal.press("/pause")  # "p" pauses a run, where it is no text
        terminal.until("/  pause")
        terminal.until("leave the field")
        terminal.press(ESC)
        terminal.until("leave the field", gone=True)
        terminal.press("1c")
        terminal.until("tui-scraper  Checkpoints")
        assert "PAUSED" not in terminal.text
        terminal.until("COMPLETE")
        leave(terminal)
