"""The run's log: the newest lines at the bottom, followed only while the last one is in view."""

from __future__ import annotations

from datetime import datetime

from tui_scraper.engine.models import LogLine, RunSnapshot
from tui_scraper.formatting import Line, Role, Span
from tui_scraper.widgets.lines import ScrollLines

KEEP_LINES = 2_000
_LEVELS: dict[str, tuple[str, Role]] = {
    "ERROR": ("✗", "bad"),
    "CRITICAL": ("✗", "bad"),
    "WARNING": ("!", "warn"),
    "INFO": ("·", "dim"),
    "DEBUG": ("·", "dim"),
}
_OWN_SIGNS = frozenset({"✗ ", "✓ ", "● ", "! ", "» ", "○ "})


def log_line(line: LogLine) -> Line:
    """`17:02:11 ✗ text`, in local time."""
    sign, role = _LEVELS.get(line.level, ("·", "dim"))
    said = line.text
    if said[:2] in _OWN_SIGNS:  # the engine has put one there
        sign, said = said[0], said[2:]
    when = datetime.fromtimestamp(line.time).strftime("%H:%M:%S")
    text: Role = "" if role == "dim" else role
    return Span(f" {when} ", "dim"), Span(f"{sign} ", role), Span(said, text)


class FollowedLines(ScrollLines):
    """Lines that grow at the end, which stays in view until somebody scrolls away from it."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._following = True

    @property
    def following(self) -> bool:
        """Whether a new line will come into view by itself."""
        return self._following

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever scrolls away from the end stops following; back at the end it goes on."""
        super().watch_scroll_y(old_value, new_value)
        self._following = self.at_end

    def on_resize(self) -> None:
        """Stay at the end when the window changes."""
        if self._following:
            self.scroll_end(animate=False, immediate=True)
            self._following = True


class LogView(FollowedLines):
    """Keeps lines longer than a snapshot does, so that what one reads does not run away."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._newest: LogLine | None = None
        self._started = 0.0
        self._kept: list[Line] = []

    def add(self, snapshot: RunSnapshot) -> None:
        """Append the lines that are new, or begin anew where they are another run's."""
        lines = snapshot.log
        if self._is_another(snapshot):
            self._newest, self._kept, self._following = None, [], True
            self.show(())
        self._started = snapshot.started
        last = self._newest.number if self._newest is not None else 0
        fresh = [log_line(line) for line in lines if line.number > last]
        if not fresh:
            return
        top = self.scroll_offset.y
        self._newest = lines[-1]
        dropped = max(0, len(self._kept) + len(fresh) - KEEP_LINES)
        self._kept = [*self._kept, *fresh][-KEEP_LINES:]
        self.show(self._kept, follow=self._following)
        if not self._following and dropped:
            self.scroll_to(y=max(0, top - dropped), animate=False)

    def _is_another(self, snapshot: RunSnapshot) -> bool:
        """Whether the lines do not go on from those that are kept.

        Numbers begin anew with each log, but a new one may have grown past the old one between two
        paints; `started` alone also changes where a run goes on after a stop, in the same log.
        """
        newest, lines = self._newest, snapshot.log
        if newest is None:
            return False
        if lines and lines[0].number <= newest.number <= lines[-1].number:
            return newest not in lines
        return snapshot.started != self._started or (bool(lines) and lines[-1].number < newest.number)
