"""The workspaces that were used last, looked at without opening any to work in.

Only the newest are looked at, and of each only what its counters say, so a list of them is there at once
however many there are and however much is in them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import Counts
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.connection import STATE_FILE, explained, open_state, snapshot
from tui_scraper.engine.store.counters import counts_of, read_totals
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.ledger import read_spending
from tui_scraper.engine.workspace import holder, is_workspace, state_home

MOST = 50


@dataclass(frozen=True, slots=True)
class RecentWorkspace:
    """A workspace as it stands. `used` is Unix time, `holder` who is working in it, '' for nobody.

    `trouble` is a sentence where it cannot be read: then the rest but `directory` and `used` is not known.
    """

    directory: Path
    used: float
    source: Path | None = None
    counts: Counts = field(default_factory=Counts)
    cost_nano_usd: int = 0
    holder: str = ""
    trouble: str = ""


def recent_workspaces(most: int = MOST) -> tuple[list[RecentWorkspace], int]:
    """The workspaces in their default place, the one used last first, and how many there are besides."""
    found: list[tuple[float, str]] = []
    with contextlib.suppress(OSError), os.scandir(state_home()) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir() and is_workspace(Path(entry.path)):
                    found.append((_last_used(entry.path), entry.path))
    found.sort(reverse=True)
    return [_look(Path(path), used) for used, path in found[:most]], len(found[most:])


def are_gone(workspaces: Sequence[RecentWorkspace]) -> set[Path]:
    """Those whose folder of documents is not there. Looks at the folders, which may be slow ones."""
    return {one.directory for one in workspaces if one.source is not None and not one.source.is_dir()}


def _last_used(directory: str) -> float:
    """When something was written to it last. Who only reads may leave an empty write-ahead log behind."""
    times = [os.stat(directory).st_mtime]
    for name in (STATE_FILE, f"{STATE_FILE}-wal"):
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(directory, name))
            times += [status.st_mtime] if status.st_size else []
    return max(times[1:], default=times[0])


def _look(directory: Path, used: float) -> RecentWorkspace:
    try:
        with (
            explained(directory),
            contextlib.closing(open_state(directory, read_only=True)) as state,
            snapshot(state, directory),
        ):
            source = state.execute("SELECT value FROM meta WHERE key = 'source'").get
            counts = counts_of(read_totals(state, read_head(state)))
            cost = read_spending(state).cost_nano_usd
    except TuiScraperError as error:
        return RecentWorkspace(directory, used, trouble=safe_text(str(error)))
    return RecentWorkspace(
        directory,
        used,
        Path(os.fsdecode(source)) if source else None,
        counts,
        cost,
        safe_text(holder(directory) or ""),
    )
