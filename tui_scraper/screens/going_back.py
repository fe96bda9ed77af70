"""Going back: which phase or checkpoint, what that does and costs, and whether to."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.screen import ModalScreen

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.formatting import Line, Span, cut, wrap
from tui_scraper.screens.aside import aside
from tui_scraper.screens.confirm import Confirm
from tui_scraper.screens.live import LiveScreen
from tui_scraper.screens.requests import GoBack
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.paged_table import PagedTable

_CHOICES: tuple[tuple[PhaseName | None, str], ...] = (
    (PhaseName.INPUT, "takes back texts, chunks, labels and index"),
    (PhaseName.CLEAN, "takes back chunks, labels and index"),
    (PhaseName.CHUNK, "takes back labels and index"),
    (PhaseName.CLASSIFY, "takes back the index"),
    (PhaseName.INDEX, "takes back the export alone"),
    (None, "a point of the history, from the Checkpoints screen"),
)


class _Choices:
    """The rows of the list."""

    def __len__(self) -> int:
        return len(_CHOICES)

    def line(self, index: int, width: int) -> Line | None:
        phase, words = _CHOICES[index]
        name = str(phase) if phase is not None else "checkpoint"
        return (Span(f"{name:<10}  ", "strong"), Span(cut(words, width - 12)))

    def identity(self, index: int) -> Hashable | None:
        return index

    def index_of(self, identity: Hashable) -> int | None:
        return identity if isinstance(identity, int) else None


class ChooseTarget(ModalScreen[PhaseName | str]):
    """Asks where to go back to; the result is a phase, 'checkpoint', or '' to stay."""

    AUTO_FOCUS = "#targets"
    BINDINGS = [Binding("escape", "leave", "Leave", show=False)]

    def compose(self) -> ComposeResult:
        """A title and the choices."""
        with Container(id="target-question"):
            yield Lines(id="target-title")
            yield PagedTable(_Choices(), id="targets")

    def on_mount(self) -> None:
        """Show the words; the cursor begins where most go back to."""
        title = "Go back to the end of … (what it does and costs is said first)"
        self.query_one("#target-title", Lines).show([(Span(f" {title}", "title"),), ()])
        table = self.query_one(PagedTable)
        table.styles.height = len(_CHOICES)
        table.reload()
        self.call_after_refresh(lambda: table.move_to(1))

    def on_paged_table_chosen(self, event: PagedTable.Chosen) -> None:
        """Enter takes one."""
        event.stop()
        self.dismiss(_CHOICES[event.index][0] or "checkpoint")

    def action_leave(self) -> None:
        """`esc`."""
        self.dismiss("")


async def ask_to_go_back(
    screen: LiveScreen, directory: Path, target: PhaseName | int | None, settings: Settings
) -> None:
    """Say what going back does, ask, and post GoBack to the screen. `target` None: undo the last time."""
    try:
        sentences, moves = await aside(lambda: _preview(directory, target, settings))
    except TuiScraperError as error:
        screen.say(safe_text(str(error)), "bad")
        return
    if not screen.is_here:
        return
    if screen.situation().working:
        sentences.append("What is in hand is finished first, then the run stops; p goes on from there.")
    where, yes_word = "Undo", "Undo"
    if target is not None:
        yes_word = "Go back"
        where = f"Go back to {target}" if isinstance(target, PhaseName) else f"Go back to checkpoint {target}"

    def answered(yes: bool | None) -> None:
        if yes:
            screen.post_message(GoBack(target, moves))
            screen.say(f"{where}: asked for.", "ok")

    screen.app.push_screen(Confirm(f"{where}?", sentences, yes_word), answered)


def _preview(directory: Path, target: PhaseName | int | None, settings: Settings) -> tuple[list[str], int]:
    """What going back does, in sentences, and how often the head has been moved so far."""
    from tui_scraper import plain_history
    from tui_scraper.engine.going_back import preview, preview_undo

    sentences = []
    if target is None:
        found = preview_undo(directory, settings)
        what = safe_text(found.target.removeprefix("before: "))
        where = f"checkpoint {found.head}" if found.head else "where it was"
        sentences.append(f"The head returns to {where}. This undoes its last move: {what}.")
    else:
        found = preview(directory, target, settings)
    for line in plain_history.preview_lines(found):
        sentences += wrap(safe_text(line), 300)
    return sentences, found.moves
