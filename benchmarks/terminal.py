"""A program in a real pseudo-terminal, with an emulator that says what its screen shows."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from typing import Any

import pyte

COLUMNS, LINES = 80, 24
DEADLINE_S = 30.0


class TwoScreens(pyte.Screen):
    """An emulated screen with a second one for full-screen programs: leaving it shows the first again."""

    _ALTERNATE = 1049

    def __init__(self, columns: int, lines: int) -> None:
        self._first: tuple[Any, pyte.screens.Cursor] | None = None
        super().__init__(columns, lines)

    def set_mode(self, *modes: int, **options: Any) -> None:
        """Change to the second screen, which is empty."""
        if self._ALTERNATE in modes and options.get("private") and self._first is None:
            self._first = copy.deepcopy(self.buffer), copy.copy(self.cursor)
            self.erase_in_display(2)
        super().set_mode(*modes, **options)

    def reset_mode(self, *modes: int, **options: Any) -> None:
        """Change back to the first screen as it was."""
        if self._ALTERNATE in modes and options.get("private") and self._first is not None:
            self.buffer, self.cursor = self._first
            self._first = None
            self.dirty.update(range(self.lines))
        super().reset_mode(*modes, **options)

    @property
    def full_screen(self) -> bool:
        """Whether a full-screen program has the screen."""
        return self._first is not None


class Terminal:
    """A program in a pseudo-terminal, and the screen it draws."""

    def __init__(
        self, command: list[str], environment: dict[str, str], size: tuple[int, int] = (COLUMNS, LINES)
    ) -> None:
        columns, lines = size
        self.screen = TwoScreens(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self.exit_code: int | None = None
        self.pid, self._descriptor = self._begin(command, {**os.environ, **environment})
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.modes_before = termios.tcgetattr(self._descriptor)

    def _begin(self, command: list[str], environment: dict[str, str]) -> tuple[int, int]:
        pid, descriptor = pty.fork()
        if pid == 0:
            os.execvpe(command[0], command, environment)
        return pid, descriptor

    def _look_for_end(self, options: int) -> None:
        pid, status = os.waitpid(self.pid, options)
        if pid:
            self.exit_code = os.waitstatus_to_exitcode(status)

    @property
    def bytes_read(self) -> int:
        """What has come down the line so far."""
        return len(self.raw)

    @property
    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(self.screen.display)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._descriptor, keys.encode())

    def read(self, timeout_s: float) -> bool:
        """Take what has come within the time. False at the end of the program."""
        ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
        if not ready:
            return True
        try:
            data = os.read(self._descriptor, 1 << 16)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as somebody who drags its window."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, words: str, *, gone: bool = False) -> float:
        """Wait until the screen shows words (or no longer does). Returns the seconds it took."""
        started = time.perf_counter()
        while (words in self.text) is gone:
            if time.perf_counter() - started > DEADLINE_S or not self.read(0.005):
                raise TimeoutError(f"'{words}' did not {'go' if gone else 'come'}:\n{self.text}")
        return time.perf_counter() - started

    def settle(self, quiet_s: float = 0.15) -> None:
        """Wait until nothing has come for a moment. For screens that stand still."""
        until = time.perf_counter() + DEADLINE_S
        while time.perf_counter() < until:
            before = len(self.raw)
            if not self.read(quiet_s) or len(self.raw) == before:
                return
        raise TimeoutError(f"it never stands still:\n{self.text}")

    @property
    def modes(self) -> list[object]:
        """The terminal's settings, to be compared with `modes_before`."""
        return termios.tcgetattr(self._descriptor)

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does: the program gets SIGHUP."""
        os.close(self._descriptor)
        self._descriptor = -1

    def wait(self, limit_s: float, *, reading: bool = True) -> int | None:
        """Wait for the end of the program. Returns its exit code (minus the signal), None if it goes on."""
        until = time.perf_counter() + limit_s
        while self.exit_code is None and time.perf_counter() < until:
            if reading and self._descriptor >= 0:
                self.read(0.01)
            else:
                time.sleep(0.01)
            self._look_for_end(os.WNOHANG)
        return self.exit_code

    def close(self) -> None:
        """End the program, whatever it does."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._look_for_end(0)
        if self._descriptor >= 0:
            os.close(self._descriptor)
