"""One question with Cancel in focus: `y` says yes, `esc` and `enter` on Cancel leave it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.containers import Container
from textual.screen import ModalScreen

from tui_scraper.formatting import Line, Span, wrap
from tui_scraper.screens.live import TooSmall, is_too_small
from tui_scraper.widgets.choice import Choice
from tui_scraper.widgets.lines import Lines


class Confirm(ModalScreen[bool]):
    """Asks; the result is True only for yes. `title` and `sentences` are safe for a terminal."""

    AUTO_FOCUS = "#cancel"
    BINDINGS = [
        Binding("y", "yes", "Yes", show=False),
        Binding("escape,n", "no", "No", show=False),
        Binding("left,up,shift+tab", "app.focus_previous", show=False),
        Binding("right,down,tab", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, sentences: list[str], yes: str) -> None:
        super().__init__()
        self._title, self._sentences, self._yes = title, sentences, yes

    def compose(self) -> ComposeResult:
        """Title, sentences, the two answers."""
        with Container(id="question"):
            yield Lines(id="question-title")
            yield Lines(id="question-text")
            with Container(id="choices"):
                yield Choice("Cancel", id="cancel")
                yield Choice(self._yes, key="y", id="yes")
        yield TooSmall(id="too-small")

    def on_mount(self) -> None:
        """Show the words."""
        self._fit()

    def on_resize(self) -> None:
        """Wrap them anew."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if not self.is_attached:
            return
        self.query_one("#question-title", Lines).show([(Span(f" {self._title}", "title"),)])
        width = min(66, max(20, self.size.width - 8))
        lines: list[Line] = []
        for sentence in self._sentences:
            lines += [(Span(part),) for part in wrap(sentence, width)]
        self.query_one("#question-text", Lines).show(lines)

    def dismiss(self, result: bool | None = None) -> AwaitComplete:
        """Answer once: a second enter, before the question has gone, would take the screen below along."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    def on_choice_chosen(self, event: Choice.Chosen) -> None:
        """Enter on an answer."""
        self.dismiss(event.choice.id == "yes" and not is_too_small(self))

    def action_yes(self) -> None:
        """`y`, where the question can be seen."""
        if not is_too_small(self):
            self.dismiss(True)

    def action_no(self) -> None:
        """`esc`."""
        self.dismiss(False)
