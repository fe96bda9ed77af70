"""Who refers to whom, worked out beside the screen where that takes a minute at most and no run goes on."""

from __future__ import annotations

from pathlib import Path

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import RunSnapshot, RunState
from tui_scraper.formatting import number
from tui_scraper.screens.aside import aside

MOST_DOCUMENTS = 100_000
"""More take minutes and hundreds of megabytes, which a person should ask for."""
_AT_REST = frozenset({RunState.IDLE, RunState.COMPLETE, RunState.STOPPED, RunState.FAILED})


class ReferencesAside:
    """Makes the graph of a workspace, one at a time. What failed is not tried again."""

    def __init__(self) -> None:
        self._busy = False
        self._failed: set[Path] = set()

    def why_not(self, snapshot: RunSnapshot, documents: int) -> str:
        """Why the graph is not made now, as a document says it; '' where it can be."""
        if snapshot.state not in _AT_REST:
            return "worked out when the run has ended"
        if Path(snapshot.workspace) in self._failed:
            return "could not be worked out; `tui-scraper graph` says why"
        if documents > MOST_DOCUMENTS:
            return f"of {number(documents)} documents `tui-scraper graph` works it out"
        return "being worked out …" if self._busy else ""

    async def make(self, directory: Path) -> bool:
        """Make it and keep it. Whether it is there now."""
        from tui_scraper.engine.graph.kept import keep_graph

        self._busy = True
        try:
            await aside(lambda: keep_graph(directory))
        except TuiScraperError:
            self._failed.add(directory)
            return False
        finally:
            self._busy = False
        return True
