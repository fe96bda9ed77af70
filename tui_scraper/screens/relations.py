"""How documents relate: who refers to whom, and what is there more than once.

Worked out beside the screen, where that takes a minute at most and no run goes on; once for each state in
which a run has left the documents.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from textual.screen import Screen

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import RunSnapshot, RunState
from tui_scraper.formatting import number
from tui_scraper.screens.aside import aside

MOST_DOCUMENTS = 100_000
"""More take minutes and hundreds of megabytes, which a person should ask for."""
_AT_REST = frozenset({RunState.IDLE, RunState.COMPLETE, RunState.STOPPED, RunState.FAILED})


class Relation(StrEnum):
    """What is worked out: each is called as the command that does the same."""

    GRAPH = "graph"
    DUPLICATES = "duplicates"


class RelationsAside:
    """Works out the relations of a workspace, each one once at a time. What failed is not tried again."""

    def __init__(self, screen: Screen[Any], came: Callable[[Path, Relation], None]) -> None:
        self._screen = screen
        self._came = came
        self._busy: set[Relation] = set()
        self._failed: set[tuple[Path, Relation]] = set()
        self.why: dict[Relation, str] = dict.fromkeys(Relation, "")
        """Why each is not known, as a document says it."""

    def want(self, what: Relation, snapshot: RunSnapshot, documents: int) -> None:
        """Begin to work it out, or say why not."""
        directory = Path(snapshot.workspace)
        self.why[what] = self._why_not(what, directory, snapshot, documents)
        if not self.why[what]:
            self.why[what] = "being worked out …"
            if what not in self._busy:
                self._busy.add(what)
                self._screen.run_worker(self._make(what, directory), group=what)

    def nothing(self, *, asked: bool) -> str:
        """What a list says that shows nothing; `asked` for duplicates, which are not known."""
        return f"Duplicates: {self.why[Relation.DUPLICATES]}" if asked else "No document is like that."

    def _why_not(self, what: Relation, directory: Path, snapshot: RunSnapshot, documents: int) -> str:
        if snapshot.state not in _AT_REST:
            return "worked out when the run has ended"
        if (directory, what) in self._failed:
            return f"could not be worked out; `tui-scraper {what}` says why"
        if documents > MOST_DOCUMENTS:
            return f"of {number(documents)} documents `tui-scraper {what}` works it out"
        return ""

    async def _make(self, what: Relation, directory: Path) -> None:
        try:
            await aside(lambda: _keep(what, directory))
        except TuiScraperError:
            self._failed.add((directory, what))
        finally:
            self._busy.discard(what)
        self._came(directory, what)


def _keep(what: Relation, directory: Path) -> None:
    if what is Relation.GRAPH:
        from tui_scraper.engine.graph.kept import keep_graph

        keep_graph(directory)
    else:
        from tui_scraper.engine.alike import keep_duplicates

        keep_duplicates(directory)
