"""What all full screens share: first line, footer, and being painted from snapshots."""

from __future__ import annotations

import inspect
import weakref
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import Worker

from tui_scraper.actions import Situation
from tui_scraper.engine.models import RunSnapshot, RunState
from tui_scraper.formatting import Line, Role, Span
from tui_scraper.widgets.key_footer import KeyFooter
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.status_line import StatusLine

NO_FOLDER: Line = (Span("No folder is open yet. Press "), Span("o", "key"), Span(" to open one."))


_MOVING = {RunState.SCANNING, RunState.RUNNING}


class LiveScreen(Screen[None]):
    """A screen that the app paints a few times a second while it is the one in view.

    `name` is the screen's name in the registry of actions.
    """

    PLACE = ""
    """What the first line calls this screen; '' for Run."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.snapshot = RunSnapshot()
        self.problem = ""

    def run_worker(self, work: Any, *given: Any, **named: Any) -> Worker[Any]:
        """As in every screen; what is overtaken before it has begun leaves no warning in the terminal."""
        worker: Worker[Any] = super().run_worker(work, *given, **named)
        if inspect.iscoroutine(work):
            weakref.finalize(worker, work.close).atexit = False
        return worker

    def compose(self) -> ComposeResult:
        """First line, body, footer; and the one line for a terminal that is too small."""
        yield StatusLine(self.PLACE, id="status")
        yield from self.body()
        yield KeyFooter(id="keys")
        yield TooSmall(id="too-small")

    @property
    def is_here(self) -> bool:
        """Whether the widgets exist: not before the first frame, nor while the application ends."""
        return self.is_mounted and self.is_attached and self.app.is_running

    def body(self) -> ComposeResult:
        """The widgets between the first line and the footer."""
        yield from ()

    def take(self, snapshot: RunSnapshot, problem: str) -> None:
        """Note how the run stands, with the sentence of an error ('' while all is well)."""
        goes_on = snapshot.state in _MOVING and self.snapshot.state not in _MOVING
        self.snapshot, self.problem = snapshot, problem
        if goes_on and self.is_here:
            self.query_one(KeyFooter).hush()  # what was said is of before

    def repaint(self) -> None:
        """Show what was noted last."""
        if self.is_here:
            self.query_one(StatusLine).paint(self.snapshot)
            self.query_one(KeyFooter).paint(self.situation())
            self.paint_body()

    def paint_body(self) -> None:
        """Show what `snapshot` and `problem` say."""

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self.call_after_refresh(self.repaint)

    def on_screen_resume(self) -> None:
        """Show what happened while another screen was in view."""
        self.call_after_refresh(self.repaint)

    def situation(self) -> Situation:
        """What decides which actions make sense."""
        counts = self.snapshot.counts
        return Situation(
            screen=self.name or "",
            state=self.snapshot.state,
            open=bool(self.snapshot.workspace) or self.snapshot.state is not RunState.IDLE,
            bad=counts.failed + counts.skipped + counts.empty,
            failed=counts.failed,
            typing=isinstance(self.focused, Input),
        )

    def say(self, text: str, role: Role = "warn") -> None:
        """Show a sentence in the footer for a few seconds."""
        if self.is_here:
            self.query_one(KeyFooter).say(text, role)

    def copy(self, path: str) -> None:
        """Put a document's path into the clipboard of the terminal, as far as that one takes it (OSC 52)."""
        whole = f"{self.snapshot.source}/{path}" if self.snapshot.source else path
        self.app.copy_to_clipboard(whole)
        self.say(f"Copied, if your terminal allows it: {whole}", "ok")

    def back_out(self) -> bool:
        """Leave a field or a view inside the screen on esc; False where there is nothing to leave."""
        return False

    def perform(self, name: str) -> bool:
        """Carry out an action of this screen's own; False where it is the app's."""
        return False


def is_too_small(screen: Screen[Any]) -> bool:
    """Whether a screen shows nothing but the sentence that the terminal is too small."""
    return screen.has_class("-narrow") or screen.has_class("-short")


class TooSmall(Lines):
    """Shown instead of everything below 60x15."""

    def on_mount(self) -> None:
        """The sentence is always the same; styles decide when it is seen."""
        self.show([(Span("Too small: tui-scraper needs 60x15. q stops safely and quits.", "warn"),)])
