"""The program, loaded once and forked for each run, so that a run costs what it does and not what it imports.

A run of a few documents takes half a second this way and four as a command (two of them for the workers'
models), which is what lets thousands of faults be tried. What is run is `cli.main` with its arguments,
environment, standard streams and exit code; the process that loads the workers is forked where the program
starts one. Whoever doubts that this is the same passes `--started` to the loops.

    python -m tests.chaos.loaded FD HOW   serves requests on a socket; `Programs` starts and asks it
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from tests.chaos.syscalls import Fault, Watch, listen, names_of
from tests.loaded import be_program
from tui_scraper.engine.workers import launch

DEADLINE_S = 60.0
CLOCK = "TUI_SCRAPER_CHAOS_CLOCK"
"""Names a file that says by how many seconds the wall clock of a loaded program is off."""
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did. `code` is -9 where it hung; the rest is what `syscalls.Watch` saw."""

    code: int
    output: str
    errors: str
    seconds: float
    hung: bool = False
    hits: list[str] = field(default_factory=list)
    seen: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    left_behind: bool = False

    @property
    def said(self) -> str:
        """Everything that was shown, for a search."""
        return self.output + self.errors

    def event(self, name: str) -> dict[str, Any]:
        """The last JSON event of a name; {} where there is none."""
        found: dict[str, Any] = {}
        for line in self.output.splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if record.get("event") == name:
                    found = record
        return found


class Programs:
    """Runs of the program, one at a time. Use it with `with`, from one thread.

    With `started` each run is a command of its own, as a person would start it, and with `strace` faults
    come from there instead of `syscalls`. `environment` is added to our own from the start.
    """

    def __init__(
        self,
        *,
        started: bool = False,
        strace: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = dict(environment or {})
        self._how = "strace" if strace else "started" if started else "loaded"

    def __enter__(self) -> Programs:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.loaded", str(theirs.fileno()), self._how],
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
                env=os.environ | launch._SET_ENVIRONMENT | self._environment,
            )
        self._socket = ours
        self._file = ours.makefile("rw", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._socket.close()
        self._process.wait()

    def run(
        self,
        arguments: Sequence[str],
        fault: Fault | None = None,
        environment: Mapping[str, str] | None = None,
        limits: Mapping[str, int] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Outcome:
        """One run; `environment` is added to our own, `limits` are names of `resource` with numbers.

        Raises OSError where faults cannot be made here.
        """
        asked = {
            "arguments": list(arguments),
            "environment": {**os.environ, **self._environment, **(environment or {})},
            "fault": dataclasses.asdict(fault) if fault is not None else None,
            "limits": dict(limits or {}),
            "deadline_s": deadline_s,
        }
        self._file.write(json.dumps(asked) + "\n")
        self._file.flush()
        answer = json.loads(self._file.readline())
        if "broken" in answer:
            raise OSError(answer["broken"])
        return Outcome(**answer)


# --- one run, from the process that watches it ----------------------------------------------------


def _carry_out(become: Callable[[], NoReturn], fault: Fault | None, deadline_s: float) -> Outcome:
    """Fork, let `become` take the child over, answer for its calls, and collect what it showed."""
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, ours:
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                os.setsid()
                _redirect(output.fileno(), errors.fileno())
                _offer(theirs, fault)
                become()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(70)
        theirs.close()
        listeners = socket.recv_fds(ours, 1, 1)[1] if fault is not None else []
        watch = Watch(fault, pid, listeners[0]) if fault is not None and listeners else None
        process = os.pidfd_open(pid)
        if watch is not None:
            ended = watch.serve(process, began + deadline_s)
        else:
            ended = bool(select.select([process], [], [], deadline_s)[0])
        os.close(process)
        if not ended:
            os.killpg(pid, signal.SIGKILL)
        _pid, status = os.waitpid(pid, 0)
        seconds = time.monotonic() - began
        left_behind = watch is not None and not watch.serve_rest(time.monotonic() + 10)
        return Outcome(
            code=os.waitstatus_to_exitcode(status),
            output=_content(output),
            errors=_content(errors),
            seconds=round(seconds, 3),
            hung=not ended,
            hits=watch.hits if watch is not None else [],
            seen=watch.seen if watch is not None else 0,
            counts=dict(watch.counts) if watch is not None else {},
            left_behind=left_behind,
        )


def _offer(to: socket.socket, fault: Fault | None) -> None:
    """Hand the descriptor over from which this process's calls can be answered."""
    if fault is not None:
        listener = listen(fault)
        socket.send_fds(to, [b"!"], [listener])
        os.close(listener)
    to.close()


def _redirect(output: int, errors: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor, place in ((nothing, 0), (output, 1), (errors, 2)):
        os.dup2(descriptor, place)
    os.close(nothing)


def _content(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))


# --- the process that has the program loaded ------------------------------------------------------


def main(descriptor: int, how: str) -> None:
    """Serve requests until the socket is closed."""
    if how == "loaded":
        _load()
    connection = socket.socket(fileno=descriptor)
    with connection, connection.makefile("rw", encoding="utf-8") as file:
        for line in file:
            asked = json.loads(line)
            fault = Fault(**asked["fault"]) if asked["fault"] else None
            arguments, environment = asked["arguments"], asked["environment"]
            try:
                if how == "strace" and fault is not None:
                    outcome = _trace(arguments, environment, fault, asked["deadline_s"])
                else:
                    become = partial(_limited, asked["limits"], _BECOME[how], arguments, environment)
                    outcome = _carry_out(become, fault, asked["deadline_s"])
                answer = dataclasses.asdict(outcome)
            except OSError as error:
                answer = {"broken": f"{type(error).__name__}: {error}"}
            file.write(json.dumps(answer) + "\n")
            file.flush()


def _limited(limits: dict[str, int], become: Callable[..., NoReturn], *arguments: Any) -> NoReturn:
    for name, number in limits.items():
        kind = getattr(resource, name)
        resource.setrlimit(kind, (number, resource.getrlimit(kind)[1]))
    become(*arguments)
    raise AssertionError


def _start_the_program(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    os.execve(sys.executable, [sys.executable, "-m", "tui_scraper", *arguments], environment)


_NAMED = (
    *(f"{name}{part}" for name in ("state.db", "blob.db") for part in ("", "-wal", "-shm")),
    *(
        "lock",
        "log.jsonl",
        "index",
        "index/meta.json",
        "index/.managed.json",
        "export",
        "export/manifest.json",
    ),
)
"""The files of a workspace that strace can be told of, because their names are known beforehand."""


def _trace(arguments: list[str], environment: dict[str, str], fault: Fault, deadline_s: float) -> Outcome:
    """A run under strace, which counts the calls of each thread by itself."""
    calls = ",".join(names_of(fault.calls))
    when = f"{fault.nth}{'+' if fault.lasting else ''}"
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as log:
        command = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", log.name]
        for name in _NAMED:
            command += ["-P", f"{fault.folder}/{name}"]
        command += ["-e", f"trace={calls}", "-e", f"inject={calls}:error={fault.error}:when={when}"]
        command += [sys.executable, "-m", "tui_scraper", *arguments]
        outcome = _carry_out(lambda: os.execvpe(command[0], command, environment), None, deadline_s)
        lines = log.read().splitlines()
    hits = [line[:200] for line in lines if "(INJECTED)" in line]
    return dataclasses.replace(outcome, hits=hits, seen=len(lines))


def _load() -> None:
    """Import what a run and its workers import, and load the workers' models. Starts no thread."""
    from tui_scraper import cli, headless, plain  # noqa: F401
    from tui_scraper.engine import engine  # noqa: F401
    from tui_scraper.engine.search import query  # noqa: F401
    from tui_scraper.engine.store import reader  # noqa: F401
    from tui_scraper.engine.workers import worker, zygote  # noqa: F401

    zygote._preload()
    launch._launch = _fork_zygote


def _be_the_program(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    os.environ.clear()
    os.environ.update(environment)
    if CLOCK in environment:
        real = time.time
        time.time = lambda: real() + float(Path(environment[CLOCK]).read_text())
    be_program(arguments)


_BECOME = {"loaded": _be_the_program, "started": _start_the_program, "strace": _start_the_program}


class _Child:
    """What the program asks of a process that it started: the part of `Popen` that it uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until = time.monotonic() + (timeout if timeout is not None else 3600)
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("zygote", timeout or 0)
            time.sleep(0.005)
        return self.returncode or 0

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _fork_zygote(*_expected: Path) -> Any:
    from tui_scraper.engine.workers import zygote

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                nothing = os.open(os.devnull, os.O_RDWR)
                for place in range(3):
                    os.dup2(nothing, place)
                kept = theirs.detach()
                os.closerange(3, kept)
                os.closerange(kept + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
                kept_environment = {
                    name: os.environ[name] for name in launch._KEPT_ENVIRONMENT if name in os.environ
                }
                os.environ.clear()
                os.environ.update(kept_environment | launch._SET_ENVIRONMENT)
                zygote.main(kept)
            finally:
                os._exit(0)
    return launch.Zygote(_Child(pid), ours)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
