"""Commands from another shell to an engine that is at work."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.engine.running import running
from tests.engine.test_control import SLOW
from tests.engine.test_model_labels import write_documents
from tests.llm.model_server import KEY, serving
from tests.loaded import Program
from tests.plugins import write_plugin

DOCUMENTS = 200


class Engine:
    """A `run --json` in the background; its events are read as they come."""

    def __init__(self, source: Path, workspace: Path, environment: dict[str, str]) -> None:
        self.workspace = workspace
        self.events: list[dict[str, object]] = []
        self.process = Program(
            *("run", source, "-w", workspace, "--json", "--workers", "1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def saw(self, event: str, **fields: object) -> bool:
        return any(
            one["event"] == event and all(one.get(name) == value for name, value in fields.items())
            for one in self.events
        )

    def wait(self, event: str, **fields: object) -> None:
        until = time.monotonic() + 30
        while not self.saw(event, **fields):
            assert time.monotonic() < until, (event, fields, self.events[-3:])
            assert self.process.poll() is None or self.saw(event, **fields), self.events[-3:]
            time.sleep(0.02)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(DOCUMENTS):
        (source / f"{number:03}.md").write_text(f"# Number {number}\n\nA letter about an invoice.\n")
    plugin = write_plugin(tmp_path / "plugin", "slow_markdown", SLOW)
    path = f"{plugin}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    found = Engine(source, tmp_path / "w", {"PYTHONPATH": path})
    try:
        found.wait("progress", state="running")
        yield found
    finally:
        found.end()


def test_a_run_is_paused_watched_resumed_and_stopped(engine: Engine) -> None:
    w = engine.workspace
    paused = run("pause", "-w", w)
    assert (paused.code, paused.err) == (0, "")
    engine.wait("paused")
    assert "Nothing can be paused" in run("pause", "-w", w).err
    resumed = run("resume", "-w", w, "--json")
    assert resumed.objects == [{"command": "resume", "state_before": "paused"}]
    engine.wait("resumed")
    assert "Nothing waits to go on" in run("resume", "-w", w).err
    stopped = run("stop", "-w", w)
    assert "The same `run` goes on from there" in stopped.out
    assert engine.process.wait(30) == 4
    engine.wait("run_finished", exit_code=4)
    status = run("status", "-w", w, "--json").objects[0]
    assert status["state"] == "stopped"
    assert status["found"] == DOCUMENTS


def test_watching_shows_how_it_gets_on_until_it_has_ended(engine: Engine) -> None:
    watching = Program(
        *("status", "--watch", "--json", "-w", engine.workspace),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    assert first["found"] == DOCUMENTS
    assert set(first["phases"]) == {"input", "clean", "chunk", "classify", "index", "output"}
    assert run("stop", "-w", engine.workspace).code == 0
    engine.process.wait(30)
    rest = watching.communicate(timeout=30)[0]
    assert watching.returncode == 0
    assert all(json.loads(line)["found"] == DOCUMENTS for line in rest.splitlines())


def test_where_nobody_works_there_is_nobody_to_tell(engine: Engine) -> None:
    assert run("stop", "-w", engine.workspace).code == 0
    engine.process.wait(30)
    for command in ("pause", "resume", "stop"):
        ended = run(command, "-w", engine.workspace)
        assert ended.code == 1
        assert "Nobody works in this workspace now" in ended.err
    watched = run("status", "--watch", "-w", engine.workspace)
    assert watched.code == 1
    assert "Nobody works" in watched.err


def test_watching_ends_with_the_run_where_the_process_stays(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("A letter about an invoice.")
    with running(source, tmp_path / "w") as found:
        found.complete()
        watched = run("status", "--watch", "--json", "-w", tmp_path / "w")
        assert [one["state"] for one in watched.objects] == ["complete"]
        again = run("resume", "-w", tmp_path / "w")
    assert (again.code, again.out) == (1, "")
    assert "Nothing waits to go on: the run is complete." in again.err


def test_limits_are_shown_and_changed_while_a_run_goes_on(engine: Engine) -> None:
    w = engine.workspace
    run("pause", "-w", w)  # so that it is not through before all has been tried
    shown = run("limits", "-w", w)
    assert (shown.code, shown.err) == (0, "")
    lines = [line.split(maxsplit=2) for line in shown.out.splitlines()[:3]]
    assert [line[:2] for line in lines] == [["budget", "$1.00"], ["workers", "1"], ["concurrency", "auto"]]
    assert "No model is asked in this run" in lines[0][2]
    assert "engine.workers" in shown.out.splitlines()[-1]
    changed = run("limits", "-w", w, "--workers", "3", "--json").objects
    assert [(one["workers"], one["workers_now"], one["asks_model"]) for one in changed] == [(3, 3, False)]
    for given, code, sentence in (
        (("--workers", "many"), 2, "engine.workers cannot be 'many': it must be a valid integer."),
        (("--workers", "2", "--budget", "5"), 1, "No model is asked in this run"),
        (("--budget", "much"), 2, "'much' is not an amount of dollars"),
    ):
        refused = run("limits", "-w", w, *given)
        assert (refused.code, refused.out) == (code, "")
        assert sentence in refused.err
    assert run("limits", "-w", w, "--json").objects[0]["workers"] == 3
    assert run("stop", "-w", w).code == 0
    engine.process.wait(30)
    ended = run("limits", "-w", w, "--workers", "2")
    assert (ended.code, ended.out) == (1, "")
    assert "Nobody works in this workspace now" in ended.err
    assert "classify.budget_usd, engine.workers, classify.concurrency" in ended.err


def test_a_budget_that_is_lowered_from_another_shell_pauses_the_run(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 60)
    with serving(latency_s=0.1) as server:
        environment = {
            "OPENAI_API_KEY": KEY,
            "TUI_SCRAPER_CLASSIFY__BASE_URL": server.url,
            "TUI_SCRAPER_CLASSIFY__BACKEND": "openai",
            "TUI_SCRAPER_CLASSIFY__CONCURRENCY": "1",
            "TUI_SCRAPER_CLASSIFY__DOCS_PER_REQUEST": "1",
            "TUI_SCRAPER_CLASSIFY__PRICE_IN_USD": "0.1",
            "TUI_SCRAPER_CLASSIFY__PRICE_OUT_USD": "0.5",
        }
        engine = Engine(source, tmp_path / "w", environment)
        try:
            engine.wait("limits")
            record = run("limits", "-w", tmp_path / "w", "--budget", "$0", "--json").objects[0]
            assert (record["budget_usd"], record["asks_model"], record["concurrency"]) == (0, True, 1)
            assert engine.process.wait(30) == 4
        finally:
            engine.end()
        assert "The budget is used up" in json.dumps(engine.events)
        more = run("run", source, "-w", tmp_path / "w", **environment)
    assert more.code == 0
    assert run("audit", "-w", tmp_path / "w", "--json").objects[0]["repeated"] == 0
