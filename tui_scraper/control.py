"""Commands to a running engine from another shell, through a Unix socket in the workspace.

Whoever holds the workspace's lock listens. A request is one line of JSON, the answer another: what was done,
or the sentence and exit code of what went wrong. Only the account that runs the engine, and root, get in:
the workspace is 0700, the socket 0600, and the kernel is asked who is on the other end.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from tui_scraper.engine.errors import StoreClosedError, TuiScraperError

FILE_NAME = "control.sock"
_LONGEST_LINE = 65_536
_REQUEST_S = 5.0
_LAST_ANSWER_S = 1.0
_ANSWER_S = 120.0
"""How long a command may take: a pass is drained first, and a document in hand may take its minute."""

_SIGN_S = 2.5
_WAITING, _TRIES, _TRY_AGAIN_S = 64, 50, 0.1
"""Between two signs of life for who waits."""

Handle = Callable[[dict[str, Any], Callable[[], bool]], dict[str, Any]]
"""Takes a request and a function that says whether anybody still waits for the answer."""


class RefusedError(TuiScraperError):
    """The engine could not do what it was asked; the sentence and the exit code are its own."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class EndedError(RefusedError):
    """The engine ended before it could do anything of what it was asked. It works there no more."""

    def __init__(self) -> None:
        super().__init__("The engine has ended meanwhile; nothing was changed. Try again.", 1)


class ControlServer:
    """Listens until `close`. `handle` is called with each request, in a thread of its own."""

    def __init__(self, directory: Path, handle: Handle) -> None:
        """Raises OSError where the file system has no sockets."""
        self._path = directory / FILE_NAME
        self._handle = handle
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # of an engine that was killed: we hold the lock now
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            with _short_name(directory) as name:
                self._listener.bind(name)
            os.chmod(self._path, 0o600)
            self._listener.listen(_WAITING)
        except BaseException:
            self._listener.close()
            raise
        self._answering: set[threading.Thread] = set()
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def close(self) -> None:
        """Listen no longer. Waits for a request under way to be answered, if only for a moment."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._answering):
            thread.join(_LAST_ANSWER_S)

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:  # closed
                return
            thread = threading.Thread(target=self._answer, args=(connection,), name="control", daemon=True)
            self._answering.add(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_REQUEST_S)
            if _is_ours(connection):
                line = _read_line(connection)
                if _is_there(connection):  # an engine that was held up must not do what was given up
                    answer = self._carry_out(line, lambda: _is_there(connection))
                    connection.sendall(json.dumps(answer).encode() + b"\n")
        self._answering.discard(threading.current_thread())

    def _carry_out(self, line: bytes, wanted: Callable[[], bool]) -> dict[str, Any]:
        try:
            return self._handle(json.loads(line), wanted)
        except (CancelledError, EndedError, StoreClosedError):
            return {"ended": True}
        except TuiScraperError as error:
            return {"error": str(error), "exit_code": error.exit_code}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return {"error": "This engine does not know that command.", "exit_code": 2}


def ask(
    directory: Path, request: dict[str, Any], waiting: Callable[[], None] = lambda: None
) -> dict[str, Any] | None:
    """Have the engine that works in a workspace do something. None where nobody listens.

    `waiting` is called every few seconds until there is an answer. Who gives up, or is killed, takes the
    request back, unless it is being carried out. Raises RefusedError with the engine's own sentence, or
    EndedError where it ended before it had begun with that.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(_SIGN_S)
        try:
            _connect(connection, directory)
            connection.sendall(json.dumps(request).encode() + b"\n")
        except BlockingIOError:
            raise RefusedError("The engine is asked too much at once; try again.", 1) from None
        except OSError:
            return None
        try:
            line = _wait_for_answer(connection, waiting)
        except TimeoutError:
            raise RefusedError(
                "The engine has not answered in time; `tui-scraper status` says what it does.", 1
            ) from None
        except OSError:
            line = b""
    if not line:
        raise RefusedError(
            "The engine has ended before it answered; `tui-scraper checkpoints` says where the head is.", 1
        )
    answer: dict[str, Any] = json.loads(line)
    if "ended" in answer:
        raise EndedError
    if "error" in answer:
        raise RefusedError(str(answer["error"]), int(answer.get("exit_code", 1)))
    return answer


def _connect(connection: socket.socket, directory: Path) -> None:
    """A socket that many wait for refuses at once, whatever the timeout. Raises BlockingIOError, OSError."""
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError), _short_name(directory) as name:
            return connection.connect(name)
        time.sleep(_TRY_AGAIN_S)
    raise BlockingIOError


@contextlib.contextmanager
def _short_name(directory: Path) -> Iterator[str]:
    """A name for the socket that fits into the 108 bytes an address has, however deep the workspace lies."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{FILE_NAME}"
    finally:
        os.close(descriptor)


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
        part = connection.recv(4096)
        if not part:
            break
        line += part
    return line


def _wait_for_answer(connection: socket.socket, waiting: Callable[[], None]) -> bytes:
    deadline = time.monotonic() + _ANSWER_S
    while not select.select([connection], [], [], _SIGN_S)[0]:
        if time.monotonic() > deadline:
            raise TimeoutError
        waiting()
    return _read_line(connection)


def _is_there(connection: socket.socket) -> bool:
    """Whether the other end still waits. It says nothing more after its one line."""
    if not select.select([connection], [], [], 0)[0]:
        return True
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def _is_ours(connection: socket.socket) -> bool:
    size = struct.calcsize("3i")
    _pid, user, _group = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return user in {os.geteuid(), 0}
