"""A host that serves snapshots which stand still, and notes the commands it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.limits import limited, limits_of, with_limits
from tui_scraper.engine.models import (
    PHASES,
    Cause,
    Counts,
    LogLine,
    PhaseName,
    PhaseProgress,
    RunSnapshot,
    RunState,
)
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.settings import Settings
from tui_scraper.engine_host import EngineHost

IDLE = RunSnapshot()


def busy(**changes: object) -> RunSnapshot:
    """A run in the middle, as in product.md."""
    rows = (
        ("input", 10_431, 10_431, 0, 0, 0, None, None, False),
        ("clean", 9_880, 10_431, 14, 3, 2, 1912.4, 0.4, True),
        ("chunk", 9_790, 10_412, 0, 0, 0, 1880.0, 1.2, True),
        ("classify", 4_210, 10_412, 1, 0, 0, 38.2, 163.0, True),
        ("index", 4_180, 10_412, 0, 0, 0, 38.0, 164.0, True),
        ("output", 0, 10_412, 0, 0, 0, None, None, False),
    )
    phases = tuple(
        PhaseProgress(
            PhaseName(name), done, total, failed, skipped, empty, rate=rate, eta_s=eta_s, active=active
        )
        for name, done, total, failed, skipped, empty, rate, eta_s, active in rows
    )
    texts = [
        ("INFO", "classify: 4,100 documents"),
        ("ERROR", "clean: 2019/budget 2019.xlsx · encrypted: This file needs a password."),
        ("INFO", "checkpoint 41 · classify 4,200 documents"),
    ]
    log = tuple(
        LogLine(number, 1_763_960_000.0 + number, level, text)
        for number, (level, text) in enumerate(texts * 12, start=1)
    )
    snapshot = RunSnapshot(
        state=RunState.RUNNING,
        source="/data/reports",
        workspace="",
        started=1_763_960_000.0,
        elapsed_s=192.0,
        idle_s=0.1,
        phases=phases,
        counts=Counts(10_431, 4_180, 15, 3, 2, 6_231),
        ignored=12,
        tokens_counted=12_345_678,
        method="local",
        checkpoint=41,
        memory_bytes=612_000_000,
        workers=2,
        sandbox="seccomp, no network",
        bottleneck="classify",
        eta_s=165.0,
        eta_low_s=130.0,
        eta_high_s=210.0,
        log=log,
    )
    return replace(snapshot, **changes)


def complete(**changes: object) -> RunSnapshot:
    """A run that is through."""
    phases = tuple(PhaseProgress(name, 10_411, 10_411) for name in PHASES)
    return busy(
        state=RunState.COMPLETE,
        phases=phases,
        counts=Counts(10_431, 10_411, 15, 3, 2, 0),
        export_dir="/home/someone/.local/state/tui-scraper/reports-1a2b3c4d/export",
        bottleneck="",
        eta_s=None,
        **changes,
    )


class ServedHost(EngineHost):
    """Shows what a test puts into `now`."""

    def __init__(self, now: RunSnapshot = IDLE) -> None:
        self.now = now
        self.calls: list[tuple[object, ...]] = []
        self.problem: TuiScraperError | None = None
        self.after_start: RunSnapshot | None = None
        self.ends_in_time = True
        self._open = False

    @property
    def error(self) -> TuiScraperError | None:
        return self.problem

    @property
    def running(self) -> bool:
        return self._open

    def start(self, request: RunRequest) -> None:
        self.calls.append(("start", request.source, request.workspace))
        self._open = True
        if self.after_start is not None:
            self.now = self.after_start

    def snapshot(self) -> RunSnapshot:
        return self.now

    def pause(self) -> None:
        self.calls.append(("pause",))
        self.now = replace(self.now, state=RunState.PAUSED)

    def resume(self) -> None:
        self.calls.append(("resume",))
        self.now = replace(self.now, state=RunState.RUNNING)

    def stop(self) -> None:
        self.calls.append(("stop",))

    def retry(
        self, *, version: int | None = None, cause: Cause | None = None, phase: PhaseName | None = None
    ) -> None:
        self.calls.append(("retry", version, cause, phase))

    def roll_back(self, target: PhaseName | int, *, fresh: bool = False, moves: int | None = None) -> None:
        self.calls.append(("roll_back", target, fresh))

    def undo_rollback(self, *, moves: int | None = None) -> None:
        self.calls.append(("undo",))

    def name_checkpoint(self, checkpoint: int, name: str, named: Callable[[], None]) -> None:
        self.calls.append(("name", checkpoint, name))
        named()

    def limit(self, wanted: Mapping[str, object]) -> None:
        self.calls.append(("limit", dict(wanted)))
        assert self.now.limits is not None
        settings = limited(with_limits(Settings(), self.now.limits), wanted)
        self.now = replace(self.now, limits=limits_of(settings, asks=self.now.limits.asks))

    def close(self, timeout_s: float = 3.0) -> bool:
        self.calls.append(("close", timeout_s))
        self._open = False
        return self.ends_in_time


def workspace_of(snapshot: RunSnapshot, directory: Path) -> RunSnapshot:
    """The same run in a workspace that exists."""
    return replace(snapshot, workspace=str(directory))
