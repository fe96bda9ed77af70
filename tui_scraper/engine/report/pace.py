"""How fast the work went: documents between checkpoints, over the time in which runs went on.

Checkpoints know when they were taken and which result was the newest then, and results are numbered in the
order of their commits. So the results between two checkpoints are counted exactly, whatever was rolled back
or set otherwise meanwhile, and nothing has to be kept for it. A workspace may have hundreds of thousands of
checkpoints: only so many are looked at as a picture has room for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from tui_scraper.engine.models import PHASES, PhaseName, Status
from tui_scraper.engine.report.facts import Pace, PhaseWork, Run, Stretch
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER, STATUS_NUMBER
from tui_scraper.engine.store.writer import GONE

_STRETCHES = 72
_RUNS = 8
_OUTPUT = PHASE_NUMBER[PhaseName.OUTPUT]
_CLEAN, _CLASSIFY = PHASE_NUMBER[PhaseName.CLEAN], PHASE_NUMBER[PhaseName.CLASSIFY]
_DONE = STATUS_NUMBER[Status.DONE]


@dataclass(slots=True)
class _Window:
    """A run in the time of work, with the checkpoints taken in it as (seconds of work, newest result)."""

    number: int
    started: float
    ended: float
    state: str
    start_s: float = 0.0
    points: list[tuple[float, int]] = field(default_factory=list)
    exports: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    def at(self, moment: float) -> float:
        """A Unix time as seconds of work."""
        return self.start_s + min(max(0.0, moment - self.started), self.seconds)


@dataclass(slots=True)
class _Counted:
    """Results between two checkpoints, by phase, and documents as `Stretch` has them."""

    start_s: float
    end_s: float
    run: int
    phases: tuple[int, ...]
    read: int
    through: int
    taken_over: int
    newest_artifact: int


def read_pace(state: apsw.Connection, now: float, *, locked: bool) -> Pace:
    """The pace of all runs. The connection must be inside a read transaction."""
    rows: Any = state.execute("SELECT id, time, seq, phase FROM checkpoint ORDER BY id").fetchall()
    windows = _windows(state, rows, now if locked else 0.0)
    total_s = sum(window.seconds for window in windows)
    _place(windows, rows)
    counted = list(_count(state, windows, total_s))
    through: dict[int, int] = {}
    for one in counted:
        through[one.run] = through.get(one.run, 0) + one.through
    return Pace(
        run_count=len(windows),
        seconds=total_s,
        read=sum(one.read for one in counted),
        through=sum(one.through for one in counted),
        taken_over=sum(one.taken_over for one in counted),
        freed=int(state.execute("SELECT value FROM meta WHERE key = ?", (f"{GONE}result",)).get or 0),
        stretches=tuple(
            Stretch(one.start_s, one.end_s - one.start_s, one.read, one.through) for one in counted
        ),
        phases=tuple(_phases(state, windows, counted)),
        runs=tuple(
            Run(
                window.number,
                window.started,
                window.start_s,
                window.seconds,
                safe_text(window.state),
                through.get(window.number, 0),
            )
            for window in windows[-_RUNS:]
        ),
    )


def _windows(state: apsw.Connection, points: Sequence[Any], now: float) -> list[_Window]:
    """The runs. One that was killed ends with its last checkpoint, one that goes on now."""
    rows: Any = state.execute("SELECT id, started, ended, state FROM run ORDER BY id").fetchall()
    times = sorted(row[1] for row in points)
    windows = []
    for at, (number, started, ended, ending) in enumerate(rows):
        following = rows[at + 1][1] if at + 1 < len(rows) else None
        if ended is None and following is None and now:
            ended = now  # noqa: PLW2901
        elif ended is None:
            before = bisect_right(times, following if following is not None else float("inf"))
            ended = times[before - 1] if before else started  # noqa: PLW2901
            ending = "interrupted" if ending == "running" else ending  # noqa: PLW2901
        windows.append(_Window(number, started, max(started, ended), ending))
    start_s = 0.0
    for window in windows:
        window.start_s = start_s
        start_s += window.seconds
    return windows


def _place(windows: Sequence[_Window], rows: Sequence[Any]) -> None:
    """Give each window its checkpoints."""
    started = [window.started for window in windows]
    before_s = 0.0
    for _id, moment, seq, phase in rows:
        at = bisect_right(started, moment) - 1
        if at < 0 or moment > windows[at].ended + 1.0:
            continue  # taken by a command between runs: a rollback
        window = windows[at]
        offset = window.at(moment)
        if phase == _OUTPUT:
            window.exports.append((max(window.start_s, before_s), offset))
        window.points.append((offset, seq))
        before_s = offset


def _count(state: apsw.Connection, windows: Sequence[_Window], total_s: float) -> Iterator[_Counted]:
    """Results between those checkpoints that are far enough from each other for a picture."""
    seq, newest_artifact = 0, 0
    for window in windows:
        start_s, before = window.start_s, newest_artifact
        for end_s, newest in _apart(window, total_s / _STRETCHES):
            one = _between(state, window.number, (start_s, end_s), (seq, newest), before)
            yield one
            start_s, seq = end_s, max(seq, newest)
            newest_artifact = max(newest_artifact, one.newest_artifact)


def _apart(window: _Window, least_s: float) -> list[tuple[float, int]]:
    """Checkpoints that are `least_s` apart, the first that has all results of the run, and the last."""
    if not window.points:
        return []
    newest = window.points[-1][1]
    whole = next(at for at, (_offset, seq) in enumerate(window.points) if seq == newest)
    kept = [(window.start_s, 0)]
    for point in window.points[:whole]:
        if point[0] - kept[-1][0] >= least_s:
            kept.append(point)
    for point in (window.points[whole], window.points[-1]):
        if len(kept) > 1 and point[0] - kept[-1][0] < least_s / 2:
            kept.pop()  # next to nothing would have any rate
        kept.append(point)
    return kept[1:]


def _between(
    state: apsw.Connection, run: int, seconds: tuple[float, float], seqs: tuple[int, int], before: int
) -> _Counted:
    """`before` is the newest artifact when the run began: what has an older one was taken over."""
    sums = ", ".join(f"coalesce(sum(phase = {PHASE_NUMBER[phase]}), 0)" for phase in DOCUMENT_PHASES)
    anew, labelled = f"coalesce(artifact > {before}, 1)", f"phase = {_CLASSIFY} AND status = {_DONE}"
    *phases, read, through, taken_over, newest = state.execute(
        f"""SELECT {sums}, coalesce(sum(phase = {_CLEAN} AND {anew}), 0),
            coalesce(sum(status > {_DONE} OR ({labelled} AND {anew})), 0),
            coalesce(sum({labelled} AND NOT {anew}), 0), coalesce(max(artifact), 0)
        FROM result WHERE seq > ? AND seq <= ? AND status > 0""",  # noqa: S608
        seqs,
    ).get
    return _Counted(*seconds, run, tuple(phases), read, through, taken_over, newest)


def _phases(
    state: apsw.Connection, windows: Sequence[_Window], counted: Sequence[_Counted]
) -> Iterator[PhaseWork]:
    yield PhaseWork(PhaseName.INPUT, 0, tuple(_merged(_scans(state, windows))))
    for number, phase in enumerate(PHASES[1:5], 1):
        busy = [one for one in counted if one.phases[number]]
        spans = ((one.start_s, one.end_s) for one in busy)
        yield PhaseWork(phase, sum(one.phases[number] for one in busy), tuple(_merged(spans)))
    exports = sorted(span for window in windows for span in window.exports)
    yield PhaseWork(PhaseName.OUTPUT, 0, tuple(_merged(exports)))


def _scans(state: apsw.Connection, windows: Sequence[_Window]) -> Iterator[tuple[float, float]]:
    """When the folder was walked. A scan that is sealed goes on in the next, which began when it did."""
    starts = [
        window.started for window in windows
    ]  # a scan may begin a moment before its run is written down
    rows: Any = state.execute(
        "SELECT started, max(ended) FROM scan WHERE ended IS NOT NULL GROUP BY started ORDER BY started"
    )
    for started, ended in rows:
        at = bisect_right(starts, ended) - 1
        if at >= 0:
            yield windows[at].at(started), windows[at].at(ended)


def _merged(spans: Iterator[tuple[float, float]] | list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans in order, those that touch made one."""
    merged: list[tuple[float, float]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
