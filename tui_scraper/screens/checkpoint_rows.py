"""The rows of the Checkpoints screen: the history newest first, its branches drawn beside it."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from datetime import datetime
from pathlib import Path

from tui_scraper.engine.models import Checkpoint, PhaseName
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import Line, Span, cut, number, pad

_MOST_LANES = 8


def read_history(directory: Path) -> tuple[list[Checkpoint], int, bool]:
    """The checkpoints worth showing, oldest first, how many there are besides, and if undo does anything."""
    from tui_scraper.engine.store.reader import Reader

    with Reader(directory) as reader:
        shown = reader.checkpoints()
        return shown, reader.count_checkpoints() - len(shown), reader.was_moved()


def lanes(history: Sequence[Checkpoint]) -> list[str]:
    """What is drawn beside each checkpoint, given newest first: lines of work, and where they part.

    What a long history leaves out is passed over: a line goes on to the nearest point that is listed.
    """
    listed = sorted(point.id for point in history)
    parents = {point.id: _listed(point, listed) for point in history}
    waiting: list[int | None] = []  # for each lane, the checkpoint that it leads down to
    drawn = []
    for point in history:
        here = [lane for lane, wanted in enumerate(waiting) if wanted == point.id]
        if not here:
            free = next((lane for lane, wanted in enumerate(waiting) if wanted is None), len(waiting))
            waiting[free : free + 1] = [point.id]
            here = [free]
        sign = "◉" if point.head else "●"
        cells = []
        for lane, wanted in enumerate(waiting):
            if lane == here[0]:
                cells.append(sign)
            elif lane in here:
                cells.append("╯")
            else:
                cells.append("│" if wanted is not None else ("─" if here[0] < lane < here[-1] else " "))
        drawn.append("".join(cells))
        for lane in here:
            waiting[lane] = None
        waiting[here[0]] = parents[point.id]
        while waiting and waiting[-1] is None:
            waiting.pop()
    return drawn


def _listed(point: Checkpoint, listed: Sequence[int]) -> int | None:
    """The nearest listed checkpoint at or before a checkpoint's parent."""
    if point.parent is None:
        return None
    at = bisect_right(listed, point.parent)
    return listed[at - 1] if at else None


class History:
    """The checkpoints that the list shows; `marked` is one to compare with."""

    def __init__(self) -> None:
        self.marked: int | None = None
        self.hidden = 0
        self._all: list[tuple[Checkpoint, str]] = []
        self._shown: list[tuple[Checkpoint, str]] = []
        self._needle = ""
        self._width = 1

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._shown)

    @property
    def total(self) -> int:
        """Checkpoints that are listed without a filter."""
        return len(self._all)

    def set(self, history: Sequence[Checkpoint], hidden: int) -> None:
        """Show another history, given oldest first."""
        newest_first = list(reversed(history))
        self.hidden = hidden
        self._all = list(zip(newest_first, lanes(newest_first), strict=True))
        self._width = min(_MOST_LANES, max((len(lane) for _, lane in self._all), default=1))
        if self.marked is not None and self.marked not in {point.id for point in newest_first}:
            self.marked = None
        self.filter(self._needle)

    def filter(self, needle: str) -> None:
        """Show only what holds a text: number, name, phase, or what made it."""
        self._needle = needle
        wanted = needle.lower()
        self._shown = [
            (point, lane)
            for point, lane in self._all
            if not wanted
            or any(
                wanted in text.lower()
                for text in (str(point.id), point.name or "", str(point.phase), point.why, point.note or "")
            )
        ]

    def point(self, index: int) -> Checkpoint | None:
        """A row's checkpoint."""
        return self._shown[index][0] if 0 <= index < len(self._shown) else None

    @property
    def header(self) -> Line:
        """What the columns are, one cell further in than the rows: where those have their cursor."""
        return (Span(f"  {'':{self._width}} {'no':>4} {'phase':8} {'done':>9}  {'time':8} * name", "dim"),)

    def line(self, index: int, width: int) -> Line | None:
        """A row fitted to `width` cells."""
        found = self.point(index)
        if found is None:
            return None
        lane = "" if self._needle else self._shown[index][1]
        phase = PhaseName.INDEX if found.phase is PhaseName.OUTPUT else found.phase
        done = (found.counts or {}).get(phase, {}).get("done")
        name = safe_text(found.name or "")
        said = f"“{name}”" if name else safe_text(found.why)
        head = f" {pad(cut(lane, self._width), self._width)} "
        place = f"{found.id:>4} {found.phase:8} {number(done) if done is not None else '?':>9}  "
        when = _when(found.time)
        mark = "*" if self.marked == found.id else " "
        left = max(0, width - len(head) - len(place) - len(when) - 3)
        return (
            Span(head, "ok" if found.head else "dim"),
            Span(place, "strong" if found.head else ""),
            Span(when, "dim"),
            Span(f" {mark}", "warn"),
            Span(f" {cut(said, left)}" if left > 1 else "", "accent" if name else "dim"),
        )

    def identity(self, index: int) -> Hashable | None:
        """What a row is, wherever it stands."""
        found = self.point(index)
        return found.id if found is not None else None

    def index_of(self, identity: Hashable) -> int | None:
        """Where a checkpoint stands now."""
        return next((at for at, (point, _) in enumerate(self._shown) if point.id == identity), None)


def _when(moment: float) -> str:
    """The time today, the date of any other day."""
    then = datetime.fromtimestamp(moment)
    today = datetime.fromtimestamp(time.time()).date()
    return then.strftime("%H:%M:%S" if then.date() == today else "%Y-%m-%d")
