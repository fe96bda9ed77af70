"""Forks the program, and zygotes, from a process that has loaded them, so that starting one costs no imports.

A start takes a second and a half of a processor where workers are needed, more than all else that most tests
do. What is forked is the program itself, with its arguments, environment, streams, session and exit code,
in a process of its own; or the program's own zygote, with its sandbox and its workers. Where a locale or
a variable for Python is another one, `Program` starts it as a person does. So do, always, the tests of the
README, of shells and tmux, of closed streams, of plugins that are installed, and of how workers come to be.

Started as `python -m tests.loaded LISTENER LIFE PATH`: two descriptors, and where the listener is.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from benchmarks.terminal import COLUMNS, LINES, Terminal
from tui_scraper.engine.workers import launch

START = launch._launch
"""Starts a zygote as the program does: for tests of just that, where all others fork one."""
PROGRAM = [sys.executable, "-m", "tui_scraper"]
_REQUEST_BYTES = 200_000
_ROOT = Path(__file__).parents[1]
_BEFORE = dict(os.environ)
_TAKEN_OVER = ("PYTHONPATH", "PYTHONIOENCODING")


class Loaded:
    """Whom to ask for a process. Call it as `launch` does what starts a zygote."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, *_expected: Path) -> launch.Zygote:
        """A zygote that has everything loaded, or loads what is on a PYTHONPATH of its own."""
        environment = {name: os.environ[name] for name in launch._KEPT_ENVIRONMENT if name in os.environ}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process: Any = self.fork([theirs.fileno()], environment=environment | launch._SET_ENVIRONMENT)
        return launch.Zygote(process, ours)

    def fork(self, descriptors: Sequence[int], **asked: Any) -> Forked:
        """A process that has these descriptors, from 0 on for a program. `asked` says what it is to be."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as answers:
            answers.connect(self._path)
            socket.send_fds(answers, [json.dumps(asked).encode()], descriptors)
            pid, [process], *_ = socket.recv_fds(answers, _REQUEST_BYTES, 1)
            return Forked(int(pid), process, answers)


class Forked:
    """A process that is another one's child: the part of `Popen` that the program uses."""

    def __init__(self, pid: int, process: int, answers: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._process = process
        self._answers = answers.detach()

    def __del__(self) -> None:
        os.close(self._process)
        os.close(self._answers)

    def poll(self) -> int | None:
        """The exit code, or None while it goes on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, or minus the signal that has ended it."""
        if self.returncode is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("forked", timeout or 0)
            self.returncode = int(os.read(self._answers, _REQUEST_BYTES) or -signal.SIGKILL)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class ProgramInTerminal(Terminal):
    """The program in a pseudo-terminal, forked from where it is loaded."""

    _program: Program

    def __init__(
        self,
        *arguments: str | Path,
        environment: dict[str, str],
        size: tuple[int, int] = (COLUMNS, LINES),
        folder: Path | None = None,
    ) -> None:
        self._folder = folder
        super().__init__([str(word) for word in arguments], environment, size)

    def _begin(self, command: list[str], environment: dict[str, str]) -> tuple[int, int]:
        descriptor, other = os.openpty()
        streams: dict[str, Any] = {"stdin": other, "stdout": other, "stderr": other}
        self._program = Program(
            *command, env=environment, cwd=self._folder, start_new_session=True, has_terminal=True, **streams
        )
        os.close(other)
        return self._program.pid, descriptor

    def _look_for_end(self, options: int) -> None:
        self.exit_code = self._program.poll() if options == os.WNOHANG else self._program.wait()


class Program(subprocess.Popen[Any]):
    """`Popen` for the program and its arguments, which forks it from where it is loaded if that is the same.

    It is not for what cannot be told of over a socket (`preexec_fn`, `pass_fds`): use `Popen` there.
    """

    loaded: ClassVar[Loaded | None] = None
    """Where it is loaded (`started` sets it)."""
    _forked: Forked | None = None

    def __init__(self, *arguments: str | bytes | Path, has_terminal: bool = False, **options: Any) -> None:
        if has_terminal and not is_as_loaded(options["env"]):
            options["preexec_fn"] = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        super().__init__([*PROGRAM, *arguments], **options)

    def _execute_child(self, *given: Any) -> None:
        names = "args executable preexec_fn close_fds pass_fds cwd env startupinfo creationflags shell"
        names += " in_read in_write out_read out_write err_read err_write restore_signals gid gids uid umask"
        names += " session"
        how = dict(zip(names.split(), given, strict=False))
        environment = dict(os.environ if how["env"] is None else how["env"])
        if self.loaded is None or not is_as_loaded(environment):
            super()._execute_child(*given)  # type: ignore[misc]
            return
        ends = [how["in_read"], how["out_write"], how["err_write"]]
        self._forked = self.loaded.fork(
            [place if end == -1 else end for place, end in enumerate(ends)],
            arguments=[os.fsdecode(word) for word in how["args"][len(PROGRAM) :]],
            environment=environment,
            folder=os.fsdecode(how["cwd"] or os.getcwd()),
            session=bool(how["session"]),
        )
        self.pid = self._forked.pid
        self._child_created = True
        self._close_pipe_fds(*given[10:16])  # type: ignore[attr-defined]

    def _internal_poll(self, *given: Any, **named: Any) -> int | None:
        if self._forked is None:
            return super()._internal_poll(*given, **named)  # type: ignore[misc, no-any-return]
        self.returncode = self._forked.poll()
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self._forked is None:
            return super()._wait(timeout)  # type: ignore[misc, no-any-return]
        self.returncode = self._forked.wait(timeout)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Signal it, unless it has ended."""
        if self._forked is None:
            super().send_signal(sig)
        else:
            self._forked.send_signal(sig)


def is_as_loaded(environment: Mapping[str, str]) -> bool:
    """Whether Python would start the same way with this environment, but for what is taken over."""

    def of_python(variables: Mapping[str, str]) -> dict[str, str]:
        prefixes = ("PYTHON", "LC_", "LANG", "TEXTUAL", "LD_")
        found = {name: value for name, value in variables.items() if name.startswith(prefixes)}
        if "LC_ALL" not in found and found.get("LANG", "C.UTF-8") == "C.UTF-8":
            found["LANG"] = "C.UTF-8"
        return {name: value for name, value in found.items() if name not in _TAKEN_OVER}

    return of_python(environment) == of_python(_BEFORE)


@contextmanager
def started() -> Iterator[Loaded]:
    """Start the process that forks; it ends with the block, or with this process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
    ):
        path = f"{folder}/loaded"
        listener.bind(path)
        listener.listen(100)
        ours, theirs = socket.socketpair()
        kept = [listener.fileno(), theirs.fileno()]
        command = [sys.executable, "-m", "tests.loaded", *map(str, kept), path]
        environment = os.environ | launch._SET_ENVIRONMENT | {"LANG": "C.UTF-8"}
        with ours, subprocess.Popen(command, pass_fds=kept, cwd=_ROOT, env=environment) as process:
            theirs.close()
            Program.loaded = Loaded(path)
            try:
                yield Program.loaded
            finally:
                Program.loaded = None
                ours.close()
                process.wait()


# --- the process that forks -----------------------------------------------------------------------


def main(descriptor: int, life: int, path: str) -> None:
    """Fork until nobody can ask any more."""
    listener = socket.socket(fileno=descriptor)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(life, selectors.EVENT_READ)
    _load()
    launch._launch = Loaded(path)
    while True:
        for key, _events in selector.select():
            if key.fileobj is listener:
                answers, _address = listener.accept()
                request, descriptors, *_ = socket.recv_fds(answers, _REQUEST_BYTES, 3)
                pid = os.fork()
                if pid == 0:
                    _become(json.loads(request), descriptors)
                process = os.pidfd_open(pid)
                socket.send_fds(answers, [str(pid).encode()], [process])
                for one in descriptors:
                    os.close(one)
                selector.register(process, selectors.EVENT_READ, (pid, answers))
            elif key.fileobj == life:
                return
            else:
                pid, answers = key.data
                selector.unregister(key.fileobj)
                os.close(key.fd)
                _pid, status = os.waitpid(pid, 0)
                with answers, contextlib.suppress(OSError):
                    answers.send(str(os.waitstatus_to_exitcode(status)).encode())


def _load() -> None:
    """Import what the program and its workers import, and load the workers' models. Starts no thread."""
    import tui_scraper
    from tui_scraper.engine.workers import zygote

    for module in pkgutil.walk_packages(tui_scraper.__path__, "tui_scraper."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    zygote._preload()
    gc.collect()
    gc.freeze()


def _become(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    try:
        _find_modules(asked["environment"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        if "arguments" in asked:
            _become_program(asked, descriptors)
        else:
            _become_zygote(descriptors[0])
    except BaseException:
        traceback.print_exc()
    os._exit(70)


def _find_modules(environment: Mapping[str, str]) -> None:
    """What is on a PYTHONPATH of its own is found before all else, and plugins in it."""
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    more = [one for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one not in before]
    if more:
        from tui_scraper.engine.extract import registry

        sys.path[:0] = more
        registry.registry.cache_clear()


def _place(descriptors: list[int], kept: int = 2) -> None:
    """Have these as 0, 1 and 2, and nothing else open but what is kept."""
    for place, descriptor in enumerate(descriptors):  # they are above 2, since those are open
        os.dup2(descriptor, place)
    os.closerange(3, kept)
    os.closerange(kept + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _become_program(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    if asked["session"]:
        os.setsid()
    _place(descriptors)
    if asked["session"] and os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(asked["folder"])
    be_program(asked["arguments"])


def be_program(arguments: list[str]) -> NoReturn:
    """Be the program with these arguments, in the process that this is, on its descriptors 0 to 2."""
    from tui_scraper import cli

    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.argv = ["tui-scraper", *arguments]
    for name, place, mode, errors in (
        ("stdin", 0, "r", "strict"),
        ("stdout", 1, "w", "strict"),
        ("stderr", 2, "w", "backslashreplace"),
    ):
        stream = open(place, mode, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    code: Any = 70
    try:
        cli.main(arguments)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 70)


def _become_zygote(descriptor: int) -> None:
    from tui_scraper.engine.workers import zygote

    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    _place([nothing] * 3, descriptor)
    zygote.main(descriptor)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
