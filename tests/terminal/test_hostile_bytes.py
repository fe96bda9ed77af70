"""Documents that want the terminal: not one byte of theirs that it would act on ever gets there."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from tests.loaded import Program, ProgramInTerminal
from tests.plugins import write_plugin
from tests.terminal.grammar import offences
from tests.terminal.opening import environment
from tui_scraper.actions import ACTIONS, EVERYWHERE

pytestmark = pytest.mark.tui

ATTACKS = {
    "osc52": "\x1b]52;c;aGk=\x07",
    "title": "\x1b]0;pwned\x1b\\",
    "csi": "\x1b[2J\x1b[31m\x1b[6n",
    "dcs": "\x1bP1$r0m\x1b\\",
    "c1": "\x9b31m\x9d52;c;aGk=\x9c",
    "bidi": "\u202egnp.exe\u202c\u2066x\u2069",
    "markup": "[/red] x[ [bold]y[/] [@click=app.quit]z[/]",
    "lines": "one\ntwo\rthree\tfour",
    "wide": "報告書 e\u0301\u0301\u0301 \U0001f469\u200d\U0001f680 \ufeff",
    "erased": "ab\x08\x08\x7f\x00"[:-1],
}
EVERYTHING = " ".join(ATTACKS.values())
PASTED = " ".join(ATTACKS[name] for name in ("c1", "bidi", "markup", "wide"))
"""What a terminal lets through when it is pasted."""
RAW = (b"raw-\x9b31m\x9d52;c;aGk=\x9c.txt", b"raw-\xff\xfe\x1b[c.pdf", b"raw-\x9bc.psd")

HOSTILE_READER = f"""
from tui_scraper.engine.extract.base import DocumentError, Format, hookimpl
from tui_scraper.engine.models import Cause

def fail(data, media_type, settings):
    raise DocumentError(Cause.CORRUPT, "It says: " + {EVERYTHING!r} + " and so on.")


@hookimpl
def tui_scraper_formats():
    return [Format("hostile " + {ATTACKS["osc52"]!r}, ("application/x-hostile",), fail, endings=("hostile",))]
"""

SETTINGS = """
[engine]
checkpoint_every_docs = 5
checkpoint_every_s = 0

[classify]
backend = "local"

[[classify.labels]]
name = {label}
description = "letters about money"
keywords = ["invoice"]

[[classify.labels]]
name = "other"
description = "anything else"
"""


_ELSEWHERE = {"Screens", "The run"}
_COPY = "y"
"""Writes to the clipboard, because a person asks for it."""


def file_name(text: str) -> bytes:
    return text.replace("/", "∕").encode()


def write_hostile(folder: Path) -> None:
    """Names, contents, titles, links and mistakes that want the terminal."""
    root = os.fsencode(folder)
    os.makedirs(root + b"/" + file_name(f"sub {ATTACKS['osc52']}"))
    files: dict[bytes, bytes] = {}
    for name, attack in ATTACKS.items():
        here = file_name(f"{name}-{attack}")
        text = f"An invoice {attack} of {EVERYTHING}.\n"
        files[here + b".txt"] = text.encode()
        files[here + b".md"] = f"# Title {attack}\n\n{text}\n[link {attack}](http://x/{attack})\n".encode()
        files[here + b".html"] = f"<title>{EVERYTHING}</title><h1>{attack}</h1><p>invoice {text}</p>".encode()
        files[here + b".pdf"] = b"%PDF-1.4 broken " + text.encode()
        files[here + b".xml"] = f"<a><{attack}></a>".encode()
        files[here + b".hostile"] = text.encode()
    files |= {name: b"An invoice. " + name for name in RAW}
    files[file_name(f"sub {ATTACKS['osc52']}") + b"/inside.txt"] = EVERYTHING.encode()
    for path, data in files.items():
        with open(root + b"/" + path, "wb") as file:
            file.write(data)


@dataclass(frozen=True)
class Hostile:
    """A folder of hostile documents below a home, and its workspace."""

    home: Path
    source: Path
    workspace: Path
    around: dict[str, str]

    def run(self, *arguments: str | bytes | Path) -> subprocess.CompletedProcess[bytes]:
        """A command, without a terminal."""
        with Program(
            *arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.home,
            env={**os.environ, **self.around},
        ) as program:
            out, err = program.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, program.returncode, out, err)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    home = tmp_path_factory.mktemp("hostile")
    source = home / f"papers {ATTACKS['osc52']} [red]"
    write_hostile(source)
    around = environment(home)
    plugin = write_plugin(home / "hostile_reader", "hostile_reader", HOSTILE_READER)
    around["PYTHONPATH"] = f"{plugin}{os.pathsep}{around['PYTHONPATH']}"
    label = json.dumps("money [/red] \u5831\u544a e\u0301 x[")
    (home / "tui-scraper.toml").write_text(SETTINGS.format(label=label), encoding="utf-8")
    return Hostile(home, source, home / f"w {ATTACKS['c1']}", around)


def clean(sent: bytes, *, controls: bool = False) -> None:
    found = list(offences(sent, controls=controls))
    assert not found, f"{len(found)} offences, of them:\n" + "\n".join(found[:12])


def paste(terminal: Terminal, text: str) -> None:
    """As a terminal hands on what is pasted."""
    terminal.press(f"\x1b[200~{text}\x1b[201~")


@pytest.mark.parametrize(
    "screens",
    [
        pytest.param(("documents", "search"), id="some"),
        pytest.param(tuple(sorted(EVERYWHERE - {"start"})), id="all", marks=pytest.mark.slow),
    ],
)
def test_no_screen_sends_what_a_document_says(hostile: Hostile, screens: tuple[str, ...]) -> None:
    arguments = (hostile.source, "-w", hostile.workspace)
    terminal = ProgramInTerminal(*arguments, environment=hostile.around, folder=hostile.home)
    try:
        terminal.until("files")
        terminal.press("\r")
        terminal.until("COMPLETE")
        shown = {action.name.removeprefix("show_"): action for action in ACTIONS}
        assert shown.keys() >= EVERYWHERE
        for name in screens:
            _visit(terminal, _letter(shown[name].keys))
        for _ in range(5):
            if "Phases" not in terminal.text:
                _escape(terminal)
                terminal.press("1")
                terminal.settle(0.2)
        terminal.until("Phases")
        terminal.press("?")
        terminal.settle(0.05)
        terminal.press("GG?")
        terminal.settle(0.05)
        terminal.press("o")
        terminal.until("Start")
        paste(terminal, EVERYTHING)
        terminal.settle(0.4)
        terminal.press("\r\t\x1b")
        terminal.settle(0.4)
        _leave(terminal)
    finally:
        terminal.close()
    assert not list(hostile.home.rglob("crash.log"))
    assert b"nvoice" in terminal.raw
    clean(bytes(terminal.raw), controls=True)


def _visit(terminal: Terminal, key: str) -> None:
    """Move, open, zoom, mark, compare, name, filter, ask, and leave it all again."""
    terminal.press(key)
    terminal.settle(0.3)
    own = {_letter(action.keys) for action in ACTIONS if action.keys and action.group not in _ELSEWHERE}
    for step in ["j", "j", "\r", "j", "G", "k", "z", "z", "g", "j", "b", "\x1b", *sorted(own - {_COPY})]:
        terminal.press(step)
        terminal.settle(0.04)
        if step in own:
            if len(step) == 1:
                paste(terminal, f"invoice {PASTED}")
                terminal.settle(0.04)
                terminal.press("\r")
                terminal.settle(0.2)
                terminal.press("j")
            _escape(terminal)
    terminal.press("\x10")  # ctrl+p
    terminal.settle(0.1)
    paste(terminal, EVERYTHING)
    terminal.settle(0.1)
    for _ in range(9):
        _escape(terminal)
        if "No matches" not in terminal.text:
            return


def _escape(terminal: Terminal) -> None:
    """Esc, and the moment after which it is not the beginning of another key."""
    terminal.press("\x1b")
    terminal.settle(0.2)


def _letter(keys: tuple[str, ...]) -> str:
    return {"slash": "/", "space": " ", "escape": "\x1b", "enter": "\r"}.get(keys[-1], keys[-1])


def _leave(terminal: Terminal) -> None:
    terminal.press("\x11")  # ctrl+q
    for _ in range(40):
        if terminal.wait(0.25) is not None:
            break
        if "Cancel" in terminal.text:
            terminal.press("y")
    assert terminal.exit_code == 0, terminal.text
    while terminal.read(0.1) and terminal.screen.full_screen:
        pass


@pytest.mark.slow
def test_no_command_prints_what_a_document_says(hostile: Hostile) -> None:
    at: tuple[str | Path, ...] = ("-w", hostile.workspace)
    themes = hostile.home / "themes"
    themes.mkdir()
    theme = themes / f"mine {ATTACKS['osc52']}{ATTACKS['c1']}.toml"
    theme.write_text(f"primary = {json.dumps(EVERYTHING)}\n{json.dumps(EVERYTHING)} = 1\n")
    broken = hostile.home / f"settings {ATTACKS['bidi']}{ATTACKS['osc52']}.toml"
    broken.write_text(f"[engine]\n{json.dumps(EVERYTHING)} = {json.dumps(EVERYTHING)}\n")
    label = hostile.home / "label.toml"
    label.write_text(SETTINGS.format(label=json.dumps(EVERYTHING)))
    nowhere = f"/nowhere/{EVERYTHING}".replace("\n", "\x1b")
    lines: list[tuple[str | bytes | Path, ...]] = [
        ("run", hostile.source, *at),
        ("run", hostile.source, *at, "--json"),
        ("run", hostile.source, *at, "-v"),
        ("run", hostile.source, "-w", hostile.home / "w2", "--config", label),
        ("status", *at),
        ("failures", *at),
        ("checkpoints", *at),
        ("checkpoints", "show", "1", *at),
        ("checkpoints", "name", "1", EVERYTHING, *at),
        ("checkpoints", *at),
        ("checkpoints", "diff", "1", "2", *at),
        ("search", "invoice", *at),
        ("search", EVERYTHING, *at),
        ("search", "invoice", "--label", EVERYTHING, *at),
        ("retry", "--path", EVERYTHING, *at),
        ("rollback", EVERYTHING, *at),
        ("rollback", "1", *at),
        ("audit", *at),
        ("estimate", hostile.source, *at),
        ("gc", *at),
        ("verify", *at),
        ("export", hostile.home / f"out {EVERYTHING}".replace("/", "|"), *at),
        ("themes",),
        ("themes", "check", theme),
        ("doctor", *at),
        ("run", nowhere),
        ("run", os.fsencode("/nowhere/") + RAW[0]),
        ("run", hostile.source, *at, "--config", broken),
        ("status", "-w", nowhere),
        (nowhere,),
        ("themes", "check", nowhere),
        (EVERYTHING,),
        ("status", EVERYTHING),
        (f"--{EVERYTHING}",),
    ]
    for line in lines:
        for more in ((), ("--json",)):
            done = hostile.run(*line, *more)
            clean(done.stdout + done.stderr)
            assert b"Traceback" not in done.stderr, (line, done.stderr)
