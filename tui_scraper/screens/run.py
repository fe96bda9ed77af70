"""Run: the phases, what became of the documents, and the log."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from tui_scraper.formatting import rule
from tui_scraper.screens.live import LiveScreen
from tui_scraper.widgets.counts_panel import CountsPanel
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.log_view import LogView
from tui_scraper.widgets.notice import Notice
from tui_scraper.widgets.phase_bars import PhaseBars


class RunScreen(LiveScreen):
    """The run as it goes."""

    AUTO_FOCUS = "#log"

    def body(self) -> ComposeResult:
        """Phases and counts under each other, or side by side where there is room; the log below."""
        yield Notice(id="notice")
        with Container(id="panels"):
            yield PhaseBars(id="phases")
            yield CountsPanel(id="counts")
        yield Lines(id="log-rule")
        yield LogView(id="log")

    def paint_body(self) -> None:
        """Show the snapshot; the log first, since it decides whether it is followed."""
        log = self.query_one(LogView)
        log.add(self.snapshot)
        self.query_one(Notice).paint(self.snapshot, self.problem)
        self.query_one(PhaseBars).paint(self.snapshot)
        self.query_one(CountsPanel).paint(self.snapshot, column=self.has_class("-wide"))
        right = "following" if log.following else "G follows"
        self.query_one("#log-rule", Lines).show([rule("Log", self.size.width, right)])

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
