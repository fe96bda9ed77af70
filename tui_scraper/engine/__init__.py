"""The engine's public face: what front ends need. It imports no user interface and no model client.

Beside it they may import the engine's words (models, errors, settings, safe_text). Names are loaded when
they are first used: workers and `--help` need few of them, and loading all takes longer than either.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui_scraper.engine.engine import Engine
    from tui_scraper.engine.errors import (
        StoreBlockedError,
        StoreError,
        StoreFullError,
        TuiScraperError,
        UsageError,
        WorkspaceLockedError,
    )
    from tui_scraper.engine.events import (
        CheckpointTaken,
        DocumentFailed,
        Emit,
        Event,
        FolderWarning,
        LabelsNotice,
        LimitsSeen,
        PassFinished,
        RunPaused,
        RunResumed,
        SettingsChanged,
        SettingsKept,
        WatchLimited,
    )
    from tui_scraper.engine.models import (
        PHASES,
        Cause,
        CauseCount,
        Checkpoint,
        Counts,
        FailureRow,
        FolderSurvey,
        LogLine,
        PhaseName,
        PhaseProgress,
        RunSnapshot,
        RunState,
        SearchHit,
        Spend,
        Status,
        StatusReport,
    )
    from tui_scraper.engine.request import RunRequest
    from tui_scraper.engine.settings import Settings
    from tui_scraper.engine.store.reader import Reader
    from tui_scraper.engine.survey import survey

_HOME = {
    "Cause": "tui_scraper.engine.models",
    "CauseCount": "tui_scraper.engine.models",
    "Checkpoint": "tui_scraper.engine.models",
    "CheckpointTaken": "tui_scraper.engine.events",
    "Counts": "tui_scraper.engine.models",
    "DocumentFailed": "tui_scraper.engine.events",
    "Emit": "tui_scraper.engine.events",
    "Engine": "tui_scraper.engine.engine",
    "Event": "tui_scraper.engine.events",
    "FailureRow": "tui_scraper.engine.models",
    "FolderSurvey": "tui_scraper.engine.models",
    "LabelsNotice": "tui_scraper.engine.events",
    "LimitsSeen": "tui_scraper.engine.events",
    "LogLine": "tui_scraper.engine.models",
    "PHASES": "tui_scraper.engine.models",
    "PassFinished": "tui_scraper.engine.events",
    "PhaseName": "tui_scraper.engine.models",
    "PhaseProgress": "tui_scraper.engine.models",
    "Reader": "tui_scraper.engine.store.reader",
    "RunPaused": "tui_scraper.engine.events",
    "RunRequest": "tui_scraper.engine.request",
    "RunResumed": "tui_scraper.engine.events",
    "RunSnapshot": "tui_scraper.engine.models",
    "RunState": "tui_scraper.engine.models",
    "SearchHit": "tui_scraper.engine.models",
    "Settings": "tui_scraper.engine.settings",
    "SettingsChanged": "tui_scraper.engine.events",
    "SettingsKept": "tui_scraper.engine.events",
    "Spend": "tui_scraper.engine.models",
    "Status": "tui_scraper.engine.models",
    "StatusReport": "tui_scraper.engine.models",
    "StoreError": "tui_scraper.engine.errors",
    "StoreBlockedError": "tui_scraper.engine.errors",
    "StoreFullError": "tui_scraper.engine.errors",
    "TuiScraperError": "tui_scraper.engine.errors",
    "UsageError": "tui_scraper.engine.errors",
    "FolderWarning": "tui_scraper.engine.events",
    "WatchLimited": "tui_scraper.engine.events",
    "WorkspaceLockedError": "tui_scraper.engine.errors",
    "survey": "tui_scraper.engine.survey",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


__all__ = [
    "PHASES",
    "Cause",
    "CauseCount",
    "Checkpoint",
    "CheckpointTaken",
    "Counts",
    "DocumentFailed",
    "Emit",
    "Engine",
    "Event",
    "FailureRow",
    "FolderSurvey",
    "FolderWarning",
    "LabelsNotice",
    "LimitsSeen",
    "LogLine",
    "PassFinished",
    "PhaseName",
    "PhaseProgress",
    "Reader",
    "RunPaused",
    "RunRequest",
    "RunResumed",
    "RunSnapshot",
    "RunState",
    "SearchHit",
    "Settings",
    "SettingsChanged",
    "SettingsKept",
    "Spend",
    "Status",
    "StatusReport",
    "StoreBlockedError",
    "StoreError",
    "StoreFullError",
    "TuiScraperError",
    "UsageError",
    "WatchLimited",
    "WorkspaceLockedError",
    "survey",
]
