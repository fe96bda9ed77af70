"""Going back from the command line: it says first what it does, asks, and can be taken back."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.loaded import Program, ProgramInTerminal
from tests.plugins import write_plugin
from tui_scraper import control
from tui_scraper.engine import StoreError
from tui_scraper.engine.store.connection import connect, open_state

SLOW = """
import time
from tui_scraper.engine.extract.base import Format, hookimpl
from tui_scraper.engine.extract.plain.text import extract_markdown


def slow(data, media_type, settings):
    time.sleep(0.1)
    return extract_markdown(data, media_type, settings)


@hookimpl
def tui_scraper_formats():
    return [Format("slow Markdown", ("text/markdown",), slow)]
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"Document {number} about invoices.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    return folder


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Path:
    assert run("run", source, "-w", tmp_path / "workspace").code == 3
    return tmp_path / "workspace"


def test_a_rollback_says_what_it_does_and_undo_takes_it_back(source: Path, workspace: Path) -> None:
    export = (workspace / "export" / "documents.jsonl").read_bytes()
    (before,) = run("status", "-w", workspace, "--json").objects
    ended = run("rollback", "chunk", "-w", workspace)
    assert ended.code == 2
    assert "6 documents are pending then, 6 more than now." in ended.out
    assert "Hidden, and kept: 6 labels, 6 documents in the index." in ended.out
    assert "comes back from the store: 0 tokens, $0.00 to redo" in ended.out
    assert "--yes goes back" in ended.err
    assert run("status", "-w", workspace, "--json").objects == [before]
    (record,) = run("rollback", "chunk", "--yes", "-w", workspace, "--json").objects
    assert record["hidden"] == record["cached"] == {"classify": 6, "index": 6}
    assert (record["pending"], record["redo_usd"], record["settings_differ"]) == (6, 0.0, [])
    (status,) = run("status", "-w", workspace, "--json").objects
    assert (status["pending"], status["done"], status["head"]) == (6, 0, record["head"])
    assert run("search", "invoices", "-w", workspace).out == "Nothing was found.\n"
    assert "is the head now" in run("rollback", "--undo", "--yes", "-w", workspace).out
    assert run("status", "-w", workspace, "--json").objects == [before]
    assert run("search", "invoices", "-w", workspace, "--json").objects
    assert run("rollback", "--undo", "--yes", "-w", workspace).code == 0
    assert run("run", source, "-w", workspace).code == 3
    assert (workspace / "export" / "documents.jsonl").read_bytes() == export


@pytest.mark.tui
@pytest.mark.parametrize(("key", "code", "pending"), [("\r", 2, 0), ("n\r", 2, 0), ("y\r", 0, 6)])
def test_on_a_terminal_it_asks_and_anything_but_yes_leaves_all_as_it_is(
    workspace: Path, key: str, code: int, pending: int
) -> None:
    arguments = ("rollback", "clean", "-w", workspace)
    terminal = ProgramInTerminal(*arguments, environment={"TERM": "xterm-256color"})
    try:
        terminal.until("Go back? [y/N]")
        terminal.press(key)
        assert terminal.wait(20) == code
    finally:
        terminal.close()
    (status,) = run("status", "-w", workspace, "--json").objects
    assert status["pending"] == pending


def test_targets_that_make_no_sense_are_usage_errors(workspace: Path) -> None:
    for arguments, said in (
        (["rollback"], "Name a checkpoint or a phase"),
        (["rollback", "chunk", "--undo"], "Name a checkpoint or a phase"),
        (["rollback", "4711"], "There is no checkpoint 4711"),
        (["rollback", "cleen"], "There is no checkpoint called 'cleen'"),
        (["rollback", "1", "--fresh"], "--fresh goes with a phase"),
        (["rollback", "--undo"], "nothing to undo"),
        (["checkpoints", "show", "99"], "There is no checkpoint 99"),
        (["checkpoints", "name", "1", "clean"], "taken for"),
    ):
        ended = run(*arguments, "-w", workspace)
        assert (ended.code, said in ended.err) == (2, True), ended


@pytest.mark.parametrize(
    "arguments",
    [("rollback", "a\x1b]52;c;AA\x07"), ("rollback", "x" * 10_000), ("gc", "--kee\x1b[31m")],
    ids=["escape", "long", "option"],
)
def test_what_was_typed_cannot_act_on_the_terminal_that_shows_it(
    workspace: Path, arguments: tuple[str, ...]
) -> None:
    ended = run(*arguments, "-w", workspace)
    assert ended.code == 2
    assert "\x1b" not in ended.err
    assert len(ended.err) < 5_000


def test_numbers_beyond_what_can_be_counted_are_usage_errors(workspace: Path) -> None:
    for arguments in (("gc", "--keep"), ("run", workspace.parent / "source", "--sample")):
        ended = run(*arguments, "9223372036854775808", "-w", workspace)
        assert (ended.code, "is more than 1,000,000,000,000" in ended.err) == (2, True)


def test_a_missing_database_is_named_with_what_can_be_done(source: Path, workspace: Path) -> None:
    (workspace / "state.db").unlink()
    for arguments in (("status",), ("run", source), ("rollback", "clean", "--yes")):
        ended = run(*arguments, "-w", workspace)
        assert ended.code == 1
        assert "missing" in ended.err
        assert "`tui-scraper verify --repair` has a run begin anew" in ended.err
    assert run("verify", "-w", workspace).code == 1
    assert run("verify", "--repair", "-w", workspace).code == 0
    assert run("run", source, "-w", workspace).code in {0, 3}
    assert run("verify", "-w", workspace).code == 0


def test_checkpoints_are_shown_and_named_and_gone_back_to_by_name(workspace: Path) -> None:
    listed = run("checkpoints", "-w", workspace, "--json").objects
    assert {"id", "parent", "time", "phase", "counts", "tokens", "cost_usd", "name", "head"} <= listed[
        0
    ].keys()
    assert [point["parent"] for point in listed] == [None, *(point["id"] for point in listed[:-1])]
    assert [point["head"] for point in listed] == [False] * (len(listed) - 1) + [True]
    third = str(listed[2]["id"])
    assert (
        "is called"
        in run("checkpoints", "name", third, "before labels", "--note", "why", "-w", workspace).out
    )
    (details,) = run("checkpoints", "-w", workspace, "show", "before labels", "--json").objects
    assert (details["id"], details["name"], details["note"]) == (listed[2]["id"], "before labels", "why")
    assert details["settings"]["chunk"]["max_tokens"] == 512
    assert "before labels" in run("checkpoints", "show", third, "-w", workspace).out
    assert "before labels" in run("checkpoints", "-w", workspace).out
    (record,) = run("rollback", "before labels", "-y", "--json", "-w", workspace).objects
    assert record["head"] == listed[2]["id"]


def test_after_a_rollback_a_run_names_the_settings_that_wait(
    source: Path, workspace: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "tui-scraper.toml"
    settings.write_text("# a remark\n[chunk]\nmax_tokens = 64\noverlap = 0\n")
    run("rollback", "clean", "--yes", "-w", workspace)
    shown = run("rollback", "--undo", "--config", settings, "-w", workspace).out
    assert "The file differs in chunk.max_tokens, chunk.overlap; `run --accept-settings` takes it:" in shown
    ended = run("run", source, "-w", workspace, "--config", settings)
    assert "stay in force. Those of the file differ in chunk.max_tokens, chunk.overlap;" in ended.out
    ended = run("run", source, "-w", workspace, "--config", settings, "--json", "--accept-settings")
    (event,) = [event for event in ended.objects if event["event"] == "settings_changed"]
    assert event["keys"] == ["chunk.max_tokens", "chunk.overlap"]
    assert event["sentences"][0].startswith("chunk.max_tokens changed (512 → 64): 6 documents re-chunked")
    before = run("status", "-w", workspace, "--json").objects
    settings.write_text("# another remark\n[chunk]\noverlap = 0\nmax_tokens = 64\n")
    ended = run("run", source, "-w", workspace, "--config", settings, "--json")
    assert "settings_changed" not in {event["event"] for event in ended.objects}
    assert run("status", "-w", workspace, "--json").objects == before


@pytest.fixture
def slow_run(tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """A folder whose run takes its time, where its workspace goes, and the environment that makes it slow."""
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number}.md").write_text(f"# Document {number}\n\nAbout invoices.")
    return (
        folder,
        tmp_path / "deep" / ("x" * 100) / "workspace",
        {"PYTHONPATH": str(write_plugin(tmp_path / "plugin", "slow", SLOW))},
    )


def in_the_middle(slow_run: tuple[Path, Path, dict[str, str]]) -> subprocess.Popen[str]:
    """A run that has some documents chunked, and most of its work before it."""
    source, workspace, environment = slow_run
    process = Program(
        *("run", source, "-w", workspace, "--json", "--workers", "1"),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["phases"]["chunk"]["done"] > 3:
            break
    return process


def test_a_rollback_reaches_a_running_engine_which_drains_first(
    slow_run: tuple[Path, Path, dict[str, str]],
) -> None:
    _source, workspace, _environment = slow_run
    process = in_the_middle(slow_run)
    try:
        assert oct((workspace / control.FILE_NAME).stat().st_mode & 0o777) == "0o600"
        (record,) = run("rollback", "clean", "--yes", "--json", "-w", workspace).objects
        assert record["head"] > 0
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 4
    finished = json.loads(output.splitlines()[-1])
    assert finished["phases"]["chunk"]["done"] == 0
    assert finished["phases"]["clean"]["done"] > 3
    (status,) = run("status", "-w", workspace, "--json").objects
    assert (status["head"], status["phases"]["chunk"]) == (record["head"], {})
    assert not (workspace / control.FILE_NAME).exists()


def test_what_was_given_up_is_not_done_later(slow_run: tuple[Path, Path, dict[str, str]]) -> None:
    """The engine is held up, as by ctrl+z, and whoever asked it leaves before it goes on."""
    _source, workspace, _environment = slow_run
    process = in_the_middle(slow_run)
    try:
        process.send_signal(signal.SIGSTOP)
        asking = Program(
            *("rollback", "input", "--yes", "-w", workspace),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell has what it starts in the background ignore it, and so would everything from there on.
            preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        assert asking.stderr is not None
        said = ""
        while "Waiting until process" not in said:
            more = asking.stderr.read(1)
            assert more, said
            said += more
        asking.send_signal(signal.SIGINT)
        asking.communicate(timeout=30)
        assert asking.returncode == 130
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert json.loads(output.splitlines()[-1])["done"] == 120


def test_a_socket_that_nobody_listens_on_is_no_engine(workspace: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left, control._short_name(workspace) as name:
        left.bind(name)
    assert control.ask(workspace, {"command": "undo"}) is None
    assert run("rollback", "clean", "--yes", "-w", workspace).code == 0


def test_an_engine_answers_nonsense_with_a_sentence(slow_run: tuple[Path, Path, dict[str, str]]) -> None:
    source, workspace, environment = slow_run
    process = Program(
        *("run", source, "-w", workspace, "--workers", "1"),
        stdout=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    try:
        deadline = time.monotonic() + 30
        while not (workspace / control.FILE_NAME).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for request in (
            {},
            {"command": "rm"},
            {"command": "rollback"},
            {"command": "rollback", "target": "x"},
        ):
            with pytest.raises(control.RefusedError, match="does not know"):
                control.ask(workspace, request)
        with pytest.raises(control.RefusedError, match="There is no checkpoint 4711"):
            control.ask(workspace, {"command": "rollback", "target": 4711})
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {4, 143}


def test_a_database_that_a_newer_program_made_is_left_alone(workspace: Path) -> None:
    connection = connect(workspace / "state.db")
    connection.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    connection.close()
    before = (workspace / "state.db").read_bytes()
    for arguments in (["rollback", "clean", "--yes"], ["status"], ["checkpoints"]):
        ended = run(*arguments, "-w", workspace)
        assert ended.code == 1
        assert "use a newer tui-scraper" in ended.err
    assert (workspace / "state.db").read_bytes() == before
    with pytest.raises(StoreError, match="newer"):
        open_state(workspace)
