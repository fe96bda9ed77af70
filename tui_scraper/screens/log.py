"""Log: what the workspace's log file holds, also of earlier runs; by level, filtered, followed."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from tui_scraper.actions import Situation
from tui_scraper.engine.models import LogLine
from tui_scraper.engine.runlog import FILE_NAME
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import Line, Span, number, rule
from tui_scraper.screens.aside import aside
from tui_scraper.screens.live import NO_FOLDER, LiveScreen
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.log_view import FollowedLines, log_line
from tui_scraper.widgets.text_field import TextField

_EVERY_S = 0.5
_TAIL_BYTES = 4_000_000
_KEPT = 20_000
_LEVELS = (
    ("everything", frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})),
    ("warnings and errors", frozenset({"WARNING", "ERROR", "CRITICAL"})),
    ("errors", frozenset({"ERROR", "CRITICAL"})),
)


class _Shown(NamedTuple):
    """A line as it is drawn, and what it is chosen by."""

    level: str
    words: str
    day: date
    line: Line


@dataclass(frozen=True)
class Tail:
    """Lines of a log from some place on, and where the next ones begin. `anew`: the file is another one."""

    lines: list[LogLine]
    inode: int
    offset: int
    anew: bool


def read_log(path: Path, inode: int, offset: int) -> Tail:
    """The lines of a log after `offset`; its last four megabytes where that is no place in this file."""
    try:
        with path.open("rb") as file:
            status = path.stat()
            anew = status.st_ino != inode or status.st_size < offset
            if anew:
                offset = max(0, status.st_size - _TAIL_BYTES)
                file.seek(offset)
                if offset:
                    offset += len(file.readline())
            file.seek(offset)
            data = file.read(_TAIL_BYTES)
    except OSError:
        return Tail([], 0, 0, inode != 0)
    whole = data[: data.rfind(b"\n") + 1]
    lines = [line for raw in whole.splitlines() if (line := _line(raw)) is not None]
    return Tail(lines, status.st_ino, offset + len(whole), anew)


def _line(raw: bytes) -> LogLine | None:
    """A line of the file; None for what nobody of ours has written."""
    try:
        found = json.loads(raw)
        when = datetime.fromisoformat(str(found["time"])).timestamp()
        level, text = str(found["level"]), safe_text(str(found["message"]), limit=2_000)
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return LogLine(0, when, level, text)


class LogScreen(LiveScreen):
    """The log, newest at the end."""

    PLACE = "Log"
    AUTO_FOCUS = "#whole-log"

    def __init__(self) -> None:
        super().__init__("log")
        self._directory = ""
        self._lines: deque[_Shown] = deque(maxlen=_KEPT)
        self._inode = self._offset = 0
        self._reading = False
        self._read_at = 0.0
        self._level = 0
        self._needle = ""
        self._shown = 0

    def body(self) -> ComposeResult:
        """The lines, and a field to filter them."""
        yield Lines(id="whole-log-rule")
        yield FollowedLines(id="whole-log")
        with Container(id="log-field-row"):
            yield Lines(id="log-field-mark")
            yield TextField(id="log-field", placeholder="part of a line")

    def situation(self) -> Situation:
        """Whether esc would clear the filter."""
        return replace(super().situation(), filtered=self.has_class("-filtering"))

    def paint_body(self) -> None:
        """Read what is new."""
        if self.snapshot.workspace != self._directory:
            self._directory = self.snapshot.workspace
            self._lines.clear()
            self._inode = self._offset = 0
            self._fill()
        if self._directory and not self._reading and time.monotonic() - self._read_at >= _EVERY_S:
            self._reading = True
            self.run_worker(self._read(), group="log")
        following = self.query_one("#whole-log", FollowedLines).following
        end = "following" if following else "G follows"
        right = f"{number(self._shown)} · {_LEVELS[self._level][0]} · {end}"
        title = f"Filter: {self._needle}" if self._needle else "Log"
        self.query_one("#whole-log-rule", Lines).show([rule(title, self.size.width, right)])
        self.query_one("#log-field-mark", Lines).show([(Span(" / ", "key"),)])

    async def _read(self) -> None:
        path, inode, offset = Path(self._directory) / FILE_NAME, self._inode, self._offset
        tail, new = await aside(lambda: _read(path, inode, offset))
        self._reading = False
        self._read_at = time.monotonic()
        if not self.is_here or str(path.parent) != self._directory:
            return
        if tail.anew:
            self._lines.clear()
        self._inode, self._offset = tail.inode, tail.offset
        self._lines.extend(new)
        if new or tail.anew:
            self._fill()
            self.repaint()

    def _fill(self) -> None:
        pane = self.query_one("#whole-log", FollowedLines)
        levels, needle = _LEVELS[self._level][1], self._needle.lower()
        found = [line for line in self._lines if line.level in levels and needle in line.words]
        self._shown = len(found)
        pane.show(_dated(found) or self._nothing(), follow=pane.following)

    def _nothing(self) -> list[Line]:
        if not self._directory:
            return [(Span(" "), *NO_FOLDER)]
        return [(Span(" No line of this kind." if self._lines else " The log is empty.", "dim"),)]

    def perform(self, name: str) -> bool:
        """Filter; show fewer levels, or all."""
        if name == "filter":
            self.add_class("-filtering")
            self.query_one("#log-field-row").display = True
            self.set_focus(self.query_one("#log-field"))
        elif name == "levels":
            self._level = (self._level + 1) % len(_LEVELS)
            self._fill()
            self.repaint()
        else:
            return False
        return True

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as one types."""
        event.stop()
        self._needle = event.value.strip()
        self._fill()
        self.repaint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the filter and goes to the lines."""
        event.stop()
        self.query_one("#whole-log").focus()

    def back_out(self) -> bool:
        """Esc clears the filter."""
        if not self.has_class("-filtering"):
            return False
        self.query_one("#log-field", TextField).value = ""
        self.query_one("#log-field-row").display = False
        self.remove_class("-filtering")
        self.query_one("#whole-log").focus()
        return True


def _read(path: Path, inode: int, offset: int) -> tuple[Tail, list[_Shown]]:
    """What `read_log` finds, drawn: a screen goes through all lines again for each that is new."""
    tail = read_log(path, inode, offset)
    return tail, [
        _Shown(line.level, line.text.lower(), datetime.fromtimestamp(line.time).date(), log_line(line))
        for line in tail.lines
    ]


def _dated(lines: list[_Shown]) -> list[Line]:
    """The lines, with a line for each day that begins."""
    found: list[Line] = []
    day = datetime.fromtimestamp(time.time()).date()
    for shown in lines:
        if shown.day != day:
            day = shown.day
            found.append((Span(f" {day.isoformat()}", "title"),))
        found.append(shown.line)
    return found
