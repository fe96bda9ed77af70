"""The program in a real terminal, as somebody logged in over SSH has it: begun directly, or from a shell."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
from collections.abc import Iterator
from pathlib import Path

from benchmarks.terminal import COLUMNS, LINES, Terminal
from tests.engine.corpus import prose
from tests.loaded import PROGRAM, ProgramInTerminal
from tests.plugins import write_plugin

PROMPT = "shell>"

SLOW = """
import time
from tui_scraper.engine.extract.base import Format, hookimpl
from tui_scraper.engine.extract.plain.text import extract_markdown


def slow(data, media_type, settings):
    for line in data.splitlines():
        if line.startswith(b"seconds:"):
            time.sleep(float(line.split()[1]))
    return extract_markdown(data, media_type, settings)


@hookimpl
def tui_scraper_formats():
    return [Format("slow Markdown", ("text/markdown",), slow)]
"""
"""Makes a Markdown file take as long as it says, so that a run has a middle that a person can act in."""


def write_slow(folder: Path, count: int, seconds: float, *, seed: int = 1) -> None:
    """Documents that are worked on for so long each."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        text = f"# Letter {number}\n\nseconds: {seconds}\n\n{prose(rng, 60)}\n"
        (folder / f"letter-{number:03}.md").write_text(text)


def environment(home: Path, **more: str) -> dict[str, str]:
    """A terminal that can do what most can, and a home of its own; Markdown is slow where it says so."""
    plugin = write_plugin(home / "plugin", "slow_markdown", SLOW)
    inherited = os.environ.get("PYTHONPATH")
    return {
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "PS1": f"{PROMPT} ",
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PYTHONPATH": f"{plugin}{os.pathsep}{inherited}" if inherited else str(plugin),
        **more,
    }


@contextlib.contextmanager
def opened(
    home: Path, *arguments: str | Path, size: tuple[int, int] = (COLUMNS, LINES), **more: str
) -> Iterator[Terminal]:
    """The TUI in a terminal."""
    terminal = ProgramInTerminal(*arguments, environment=environment(home, **more), size=size)
    try:
        yield terminal
    finally:
        terminal.close()


@contextlib.contextmanager
def shell(home: Path, **more: str) -> Iterator[Terminal]:
    """A shell with jobs in a terminal."""
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], environment(home, **more))
    try:
        terminal.until(PROMPT)
        yield terminal
    finally:
        terminal.close()


def command(*arguments: str | Path) -> str:
    """A command line of the program, with what clears the screen before it."""
    return f"clear; {shlex.join([*PROGRAM, *map(str, arguments)])}\r"


def begin(terminal: Terminal, found: str, state: str = "RUNNING") -> None:
    """On the Start screen: see that the documents were found, and Go. `state` is seen then."""
    terminal.until("Go")
    terminal.until(found)
    terminal.press("\r")
    terminal.until(state)
