"""Run: the phases, what a model is paid, what became of the documents, and the log."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from tui_scraper.engine.models import RunSnapshot
from tui_scraper.formatting import rule
from tui_scraper.screens.live import LiveScreen
from tui_scraper.widgets.counts_panel import CountsPanel
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.log_view import LogView
from tui_scraper.widgets.notice import Notice
from tui_scraper.widgets.pace import Pace
from tui_scraper.widgets.phase_bars import PhaseBars
from tui_scraper.widgets.spend_panel import SpendPanel

_STATUS_AND_KEYS = 2
_ROOMY, _COUNTS = 9, 4
"""Lines below the phases from which on what is paid has three of them, and the documents four."""


class RunScreen(LiveScreen):
    """The run as it goes."""

    AUTO_FOCUS = "#log"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._pace = Pace()

    def body(self) -> ComposeResult:
        """Phases and counts under each other, or side by side where there is room; the log below."""
        yield Notice(id="notice")
        with Container(id="panels"):
            with Container(id="progress"):
                yield PhaseBars(id="phases")
                yield SpendPanel(id="spend")
            yield CountsPanel(id="counts")
        yield Lines(id="log-rule")
        yield LogView(id="log")

    def note(self, snapshot: RunSnapshot) -> None:
        """Keep the pace of the run, also while another screen is in view."""
        self._pace.note(snapshot)

    def paint_body(self) -> None:
        """Show the snapshot; the log first, since it decides whether it is followed."""
        log = self.query_one(LogView)
        log.add(self.snapshot)
        wide = self.has_class("-wide")
        notice = self.query_one(Notice)
        notice.paint(self.snapshot, self.problem)
        self.query_one(PhaseBars).paint(self.snapshot, self._pace)
        room = self.size.height - _STATUS_AND_KEYS - len(notice.lines) - len(self.query_one(PhaseBars).lines)
        self.query_one(SpendPanel).paint(self.snapshot, self._pace, tight=not wide and room < _ROOMY)
        room -= len(self.query_one(SpendPanel).lines)
        self.query_one(CountsPanel).paint(self.snapshot, column=wide, tight=not wide and room < _COUNTS)
        room -= len(self.query_one(CountsPanel).lines)
        right = "following" if log.following else "G follows"
        heading = self.query_one("#log-rule", Lines)
        zoomed = self.has_class("-zoomed")
        heading.display = wide or zoomed or room > 1
        log.display = wide or zoomed or room > 0
        heading.show([rule("Log", self.size.width, right)])

    def perform(self, name: str) -> bool:
        """Zoom the log."""
        if name == "zoom":
            self.toggle_class("-zoomed")
            self.call_after_refresh(self.repaint)
            return True
        return False

    def back_out(self) -> bool:
        """Esc leaves the zoom."""
        if self.has_class("-zoomed"):
            self.perform("zoom")
            return True
        return False
