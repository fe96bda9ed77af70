"""What happens during a run, for those who want each thing as it happens (`run --json`, the log).

A screen does not use these: it paints snapshots. Events are made in the engine's thread and must
be taken without delay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui_scraper.engine.models import Cause, PhaseName, RunSnapshot, Spend, Status


@dataclass(frozen=True, slots=True)
class DocumentFailed:
    """A document ended without being done. `path` and `message` are safe to show."""

    time: float
    path: str
    phase: PhaseName
    status: Status
    cause: Cause
    message: str
    attempts: int


@dataclass(frozen=True, slots=True)
class CheckpointTaken:
    """A point to come back to was recorded."""

    time: float
    checkpoint: int
    phase: PhaseName


@dataclass(frozen=True, slots=True)
class RunPaused:
    """Nothing further is taken up; `reason` says why."""

    time: float
    reason: str


@dataclass(frozen=True, slots=True)
class RunResumed:
    """Work goes on."""

    time: float


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The settings differ from those of the run before: these phases are done again where needed.

    `keys` are the settings that differ, `sentences` say what each redoes.
    """

    time: float
    phases: tuple[PhaseName, ...]
    keys: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsKept:
    """After a rollback: these settings of the file differ from those in force, and wait to be accepted."""

    time: float
    keys: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class PassFinished:
    """While watching: a pass is complete, and the next change begins another.

    `new`, `changed`, `gone` and `moved` are files, as the scan found them; those moved are also among the new
    ones, and among the gone ones unless they are copies. `snapshot` is how the pass ended.
    """

    time: float
    new: int
    changed: int
    gone: int
    moved: int
    snapshot: RunSnapshot


@dataclass(frozen=True, slots=True)
class FolderWarning:
    """A part of the folder could not be seen: what was known of it stays as it is. `sentence` says why."""

    time: float
    sentence: str


@dataclass(frozen=True, slots=True)
class LabelsNotice:
    """Something about labels of a model that the person should know. `sentence` is safe to show."""

    time: float
    sentence: str


@dataclass(frozen=True, slots=True)
class LimitsSeen:
    """What the endpoint of the model allows, and what is used of it."""

    time: float
    spend: Spend


@dataclass(frozen=True, slots=True)
class WatchLimited:
    """Changes may be seen only some time later; `reason` says why. It is '' when that is over."""

    time: float
    reason: str


Event = (
    SettingsChanged
    | SettingsKept
    | DocumentFailed
    | CheckpointTaken
    | RunPaused
    | RunResumed
    | PassFinished
    | FolderWarning
    | LabelsNotice
    | LimitsSeen
    | WatchLimited
)
Emit = Callable[[Event], None]
