"""`watch` as a process: what it prints, how it ends, and what it says where something is in its way."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.test_commands import run
from tests.loaded import Program

DEADLINE_S = 90.0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace of a complete run over it: to watch it begins without any work."""
    base = tmp_path_factory.mktemp("finished")
    (base / "source").mkdir()
    for number in range(3):
        (base / "source" / f"{number}.txt").write_text(f"Document {number} about invoices.")
    assert run("run", base / "source", "-w", base / "workspace").code == 0
    return base


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of one's own."""
    (tmp_path / "source").mkdir()
    for number in range(3):
        (tmp_path / "source" / f"{number}.txt").write_text(f"Document {number} about invoices.")
    return tmp_path / "source"


class Watching:
    """A process that watches; its lines as they come."""

    def __init__(self, begin: Callable[..., subprocess.Popen[Any]], **options: Any) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = begin(
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            **options,
        )
        self.lines: list[str] = []
        self._coming: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._coming.put(line)

    def until(self, wanted: Callable[[str], bool], what: str) -> str:
        """The next line that is wanted."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                line = self._coming.get(timeout=0.2)
            except queue.Empty:
                assert time.monotonic() < deadline, f"no {what}: {self._last()}"
                assert self.process.poll() is None, (self._last(), self.said())
                continue
            self.lines.append(line)
            if wanted(line):
                return line

    def _last(self) -> list[str]:
        return [line[:200] for line in self.lines[-5:]]

    def until_event(self, name: str, **fields: object) -> dict[str, Any]:
        """The next event of a name, with these fields."""

        def wanted(line: str) -> bool:
            event = json.loads(line)
            return event["event"] == name and fields.items() <= event.items()

        return dict(json.loads(self.until(wanted, f"event {name} {fields}")))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end; the rest of its lines are in `lines`. Returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        while True:
            try:
                self.lines.append(self._coming.get(timeout=0.5))
            except queue.Empty:
                break
        assert "Traceback" not in self.said()
        return code

    def said(self) -> str:
        """What it has written to stderr."""
        self._errors.seek(0)
        return self._errors.read()

    def close(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self._reader.join(5)
        self.process.stdout.close()
        self._errors.close()


@contextmanager
def watch(*arguments: str | Path, program: Sequence[str] = (), **options: Any) -> Iterator[Watching]:
    """`tui-scraper watch`, begun by a `program` of one's own or not; killed at the end if it still runs."""
    begin: Callable[..., subprocess.Popen[Any]] = partial(Program, "watch", *arguments)
    if program:
        begin = partial(subprocess.Popen, [*program, "watch", *arguments])
    watching = Watching(begin, cwd="/", **options)
    try:
        yield watching
    finally:
        watching.close()


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_watching_with_its_code_and_nothing_is_left_to_do(
    finished: Path, number: int, code: int
) -> None:
    with watch(finished / "source", "-w", finished / "workspace", "--json") as watching:
        watching.until_event("pass_finished")
        watching.until_event("progress", state="watching")
        assert run("status", "-w", finished / "workspace", "--json").objects[0]["state"] == "running"
        assert watching.end(number) == code
    last = json.loads(watching.lines[-1])
    assert (last["event"], last["state"], last["exit_code"]) == ("run_finished", "stopped", code)
    assert (last["found"], last["done"], last["error"]) == (3, 3, None)
    assert run("status", "-w", finished / "workspace", "--json").objects[0]["state"] == "complete"


def test_events_of_each_pass_and_no_process_or_pass_between_them(source: Path, tmp_path: Path) -> None:
    with watch(source, "-w", tmp_path / "workspace", "--json") as watching:
        first = watching.until_event("pass_finished")
        assert (first["new"], first["changed"], first["gone"], first["moved"]) == (3, 0, 0, 0)
        (source / "new.txt").write_text("A new one.")
        (source / "0.txt").write_text("A changed one.")
        (source / "1.txt").unlink()
        event = watching.until_event("pass_finished")
        assert (event["new"], event["changed"], event["gone"]) == (1, 1, 1)
        assert (event["found"], event["done"], event["exit_code"]) == (3, 3, 0)
        assert event["state"] == "watching"
        watching.until_event("progress", state="watching")
        assert psutil.Process(watching.process.pid).children() == []
        (source / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
        assert watching.until_event("failure")["path"] == "broken.pdf"
        assert watching.until_event("pass_finished")["exit_code"] == 3
        assert watching.end() == 143
    events = [json.loads(line) for line in watching.lines]
    assert events[0]["event"] == "run_started"
    assert events[0]["watch"] is True
    assert sum(event["event"] == "run_finished" for event in events) == 1
    assert sum(event["event"] == "pass_finished" for event in events) == 3
    finished = set(events[-1])
    assert all(finished <= set(event) for event in events if event["event"] == "pass_finished")


def test_one_line_for_each_pass_that_took_something_up(source: Path, tmp_path: Path) -> None:
    with watch(source, "-w", tmp_path / "workspace") as watching:
        watching.until(lambda line: line == "Watching for changes; ctrl+c ends.\n", "first pass")
        assert any(line.startswith("Complete after ") for line in watching.lines)
        (source / "new.txt").write_text("A new one.")
        (source / "0.txt").write_text("A changed one.")
        line = watching.until(lambda line: " new: " in line, "line of the second pass")
        assert "  1 changed, 1 new: 4 found = 4 done + 0 failed" in line
        (source / "new.txt").rename(source / "other.txt")
        assert "  1 moved: 4 found = 4 done" in watching.until(lambda line: " moved" in line, "third pass")
        os.utime(source / "other.txt", ns=(1, 1))  # nothing that is worth a line
        time.sleep(3)
        (source / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
        assert "  1 new: 5 found = 4 done + 1 failed" in watching.until(
            lambda line: " 1 failed" in line, "fifth"
        )
        assert watching.until(lambda _line: True, "reason").startswith("  broken.pdf: The PDF is damaged")
        (source / "broken.pdf").unlink()
        (source / "2.txt").unlink()
        assert "  2 gone: 3 found = 3 done" in watching.until(lambda line: " gone" in line, "fourth pass")
        assert watching.end() == 143
    rest = "".join(watching.lines)
    assert "Stopped: 3 found = 3 done + 0 failed" in rest
    assert rest.count("Watching for changes") == 1
    assert rest.count(" found = ") == 6


def test_ended_in_the_middle_of_a_pass_it_goes_on_from_there(source: Path, tmp_path: Path) -> None:
    with watch(source, "-w", tmp_path / "workspace", "--json") as watching:
        watching.until_event("pass_finished")
        for number in range(400):
            (source / f"many{number}.txt").write_text(f"Document {number}.")
        watching.until_event("checkpoint")
        assert watching.end() == 143
    last = json.loads(watching.lines[-1])
    assert last["found"] == last["done"] + last["pending"]
    ended = run("run", source, "-w", tmp_path / "workspace", "--json")
    assert (ended.code, ended.objects[-1]["found"], ended.objects[-1]["done"]) == (0, 403, 403)


def test_a_process_that_is_killed_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    with watch(source, "-w", tmp_path / "workspace", "--json") as watching:
        watching.until_event("pass_finished")
        for number in range(200):
            (source / f"many{number}.txt").write_text(f"Document {number}.")
        watching.until_event("checkpoint")  # of the second pass: it may be over before it says that it runs
        watching.process.kill()
        watching.process.wait()
    ended = run("run", source, "-w", tmp_path / "workspace", "--json")
    assert (ended.code, ended.objects[-1]["done"]) == (0, 203)


def test_a_closed_output_ends_it(source: Path, tmp_path: Path) -> None:
    watching = Program(
        *("watch", source, "-w", tmp_path / "workspace", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert watching.stdout is not None
    assert watching.stderr is not None
    while b"pass_finished" not in watching.stdout.readline():
        pass
    watching.stdout.close()
    (source / "new.txt").write_text("Somebody has stopped reading.")
    assert watching.wait(DEADLINE_S) == 4
    assert watching.stderr.read() == b""
    watching.stderr.close()


def test_what_makes_no_sense_is_refused(finished: Path) -> None:
    what = ("watch", finished / "source", "-w", finished / "workspace")
    assert run("watch").code == 2
    assert run("watch", finished / "none").code == 2
    for option in (["--sample", "3"], ["--until", "clean"]):
        assert run(*what, *option).code == 2
    with watch(*what[1:], "--json") as watching:
        watching.until_event("pass_finished")
        second = run(*what)
        assert second.code == 6
        assert f"process {watching.process.pid} on " in second.err


def test_a_rollback_from_another_shell_ends_the_watching_and_stays(source: Path, tmp_path: Path) -> None:
    with watch(source, "-w", tmp_path / "workspace", "--json") as watching:
        watching.until_event("progress", state="watching")
        assert run("rollback", "clean", "-y", "-w", tmp_path / "workspace").code == 0
        assert watching.process.wait(30) == 4
    status = run("status", "-w", tmp_path / "workspace", "--json").objects[0]
    assert (status["pending"], status["phases"]["clean"]["done"]) == (3, 3)


_IN_A_HURRY = textwrap.dedent("""
    import sys
    from tui_scraper.cli import main
    from tui_scraper.engine import engine, watching
    watching.LOOK_AGAIN_S = engine._TRY_AGAIN_S = 2.0
    main(sys.argv[1:])
""")
"""The program, with no more patience than a test has."""


@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_where_the_system_lets_nothing_be_watched_it_says_so_and_looks_by_itself(
    source: Path, tmp_path: Path, limit: str
) -> None:
    lower = f"echo 0 > /proc/sys/user/{limit}"
    if subprocess.run(["unshare", "-Ur", "sh", "-c", lower], capture_output=True, check=False).returncode:
        pytest.skip("limits of one's own need a user namespace")
    for name in ("one", "two"):
        (source / name).mkdir()
    limited = ["unshare", "-Ur", "sh", "-c", f'{lower}; exec "$@"', "sh", sys.executable, "-c", _IN_A_HURRY]
    with watch(source, "-w", tmp_path / "workspace", program=limited) as watching:
        line = watching.until(lambda line: "looked at every" in line, "sentence")
        assert "raise fs.inotify." in line
        assert ("3 folders are more than" in line) is (limit == "max_inotify_watches")
        watching.until(lambda line: line.startswith("Watching"), "first pass")
        (source / "one" / "new.txt").write_text("Nobody tells of this.")
        assert "1 new" in watching.until(lambda line: " found = " in line, "second pass")
        assert watching.end() == 143
    assert sum("looked at every" in line for line in watching.lines) == 1


def test_a_full_disk_pauses_the_watching_until_there_is_room(source: Path, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("a file system of its own needs root")
    script = """
        mkdir small && mount -t tmpfs -o size=8m tmpfs small || exit 99
        wait_for() { for _ in $(seq 900); do [ -e $1 ] && return; sleep 0.1; done; }
        (wait_for full; cat /dev/zero > small/ballast; touch is_full; wait_for room; rm small/ballast) \
            >/dev/null 2>&1 &
        exec "$@"
    """
    program = ["unshare", "-m", "sh", "-c", f"cd {tmp_path}; {textwrap.dedent(script)}", "sh"]
    program += [sys.executable, "-c", _IN_A_HURRY]
    with watch(source, "-w", tmp_path / "small" / "workspace", "--json", program=program) as watching:
        watching.until_event("pass_finished")
        (tmp_path / "full").touch()
        wait_until((tmp_path / "is_full").exists)
        (source / "new.txt").write_text("Somebody goes on writing.")
        assert "disk is full" in watching.until_event("paused")["reason"]
        time.sleep(3)  # it is tried again meanwhile, and not told again
        (tmp_path / "room").touch()
        watching.until_event("resumed")
        assert watching.until_event("pass_finished")["done"] == 4
        assert watching.end() == 143
    events = [json.loads(line)["event"] for line in watching.lines]
    assert (events.count("paused"), events.count("resumed")) == (1, 1)
