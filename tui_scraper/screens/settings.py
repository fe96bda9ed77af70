"""Settings: themes that are seen as one moves, limits of the run that apply at once, and what is in force.

Nothing is written to the settings file, which may hold comments of the person's: each row says what to put
there to make it last. To switch a theme takes a third of a second and more, so it is shown once the cursor
has come to rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from tui_scraper.actions import Situation
from tui_scraper.engine.errors import TuiScraperError, UsageError
from tui_scraper.engine.limits import replaced, with_limits
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import FILE_NAME, Settings
from tui_scraper.engine.settings_file import differing
from tui_scraper.engine_host import EngineHost
from tui_scraper.formatting import Line, Span, cells, rule, wrap
from tui_scraper.screens.aside import OneAtATime, aside
from tui_scraper.screens.live import LiveScreen
from tui_scraper.screens.setting_rows import REFRESH, THEME, Entry, SettingRows, SettingsTable, entries
from tui_scraper.theming import KnownTheme
from tui_scraper.widgets.lines import Lines, ScrollLines
from tui_scraper.widgets.paged_table import PagedTable
from tui_scraper.widgets.text_field import TextField

_RESTED_S = 0.15
_ASKED = {
    "classify.budget_usd": "Dollars that this workspace may spend in all",
    "engine.workers": "Worker processes (0: one a core)",
    "classify.concurrency": "Calls at the same time (auto: what the endpoint takes)",
    REFRESH: "Times a second",
}
_SECRET = re.compile(r"(?<=//)[^/@\s\"]*@|\?[^\s\"]*")
"""What an address may hold that is not for a screen; no run takes one that does."""


class SettingsScreen(LiveScreen):
    """Themes and limits; beside them what is in force."""

    PLACE = "Settings"
    AUTO_FOCUS = "#settings-list"

    class Refresh(Message):
        """Paint so often."""

        def __init__(self, hz: float) -> None:
            super().__init__()
            self.hz = hz

    def __init__(
        self, settings: Settings, host: EngineHost, known: Sequence[KnownTheme], settings_file: str
    ) -> None:
        super().__init__("settings")
        self._settings = settings
        self._host = host
        self._known = known
        self._file = settings_file
        self._rows = SettingRows()
        self._kept = self._shown = ""
        self._resting: Timer | None = None
        self._editing: Entry | None = None
        self._applying = False
        self._read_for: object = None
        self._look = OneAtATime()
        self._values: list[tuple[str, bool]] = []

    def body(self) -> ComposeResult:
        """The list with its field, and what is in force, below or beside it."""
        with Container(id="settings"):
            with Container(id="choices-side"):
                yield SettingsTable(self._rows, id="settings-list")
                with Container(id="settings-field-row"):
                    yield Lines(id="settings-field-mark")
                    yield TextField(id="settings-field", placeholder="")
                yield Lines(id="settings-hint")
            yield Container(id="settings-divider")
            with Container(id="values-side"):
                yield Lines(id="values-rule")
                yield ScrollLines(id="values")

    def situation(self) -> Situation:
        """What enter and esc would do."""
        base = super().situation()
        entry = self._entry()
        if entry is None:
            return base
        word = "apply" if base.typing else "keep" if entry.kind == "theme" else "change"
        refused = "" if base.typing else entry.why_not
        return replace(base, choice=word, refused=refused, previewing=self._shown != self._kept)

    def _entry(self) -> Entry | None:
        return self.query_one(SettingsTable).entry if self.is_here else None

    # Painting

    def paint_body(self) -> None:
        """Show the limits as they are now."""
        self._notice_theme()
        found = entries(
            self._known,
            self._settings,
            self.snapshot,
            kept=self._kept,
            shown=self._shown,
            no_color=self.app.no_color,
        )
        table = self.query_one(SettingsTable)
        if found != self._rows.entries:
            grown = len(found) != len(self._rows)
            self._rows.entries = found
            if grown:
                table.reload()
                table.move_to(self._rows.index_of(self._kept) or 0)
            table.refresh()
        self._paint_hint()
        self._read()
        width = max(20, self.query_one("#values-side").size.width)
        count = sum(not waits for _line, waits in self._values)
        self.query_one("#values-rule", Lines).show(
            [rule("Settings in force", width, f"{count} of {_KEYS} not as by default")]
        )
        self.query_one("#values", ScrollLines).show(list(self._pane(width)))

    def _paint_hint(self) -> None:
        entry = self._editing or self._entry()
        width = max(20, self.query_one("#choices-side").size.width - 2)
        parts = wrap(entry.hint, width)[:2] if entry is not None else []
        self.query_one("#settings-hint", Lines).show([(Span(f" {part}", "dim"),) for part in parts])

    # Themes

    def on_screen_resume(self) -> None:
        """The cursor begins at the theme that is kept, so that coming here changes nothing."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if not self.is_here:
            return
        self.query_one(SettingsTable).focus()  # also where one had left it from the other panel
        self.repaint()
        entry = self._entry()
        if entry is None or entry.kind != "setting":
            self._go_to_kept()

    def on_screen_suspend(self) -> None:
        """What was only looked at does not stay."""
        self._show_theme(self._kept)

    def _notice_theme(self) -> bool:
        """Take over a theme that was chosen elsewhere (in the palette). Returns whether one was."""
        if self.app.theme == self._shown:
            return False
        if self._shown:
            self._settings = replaced(self._settings, THEME, self.app.theme)
        self._kept = self._shown = self.app.theme
        self._go_to_kept()
        return True

    def _go_to_kept(self) -> None:
        index = self._rows.index_of(self._kept)
        if index is not None:
            self.query_one(SettingsTable).move_to(index)

    def on_paged_table_highlighted(self, event: PagedTable.Highlighted) -> None:
        """Show the theme under the cursor once it stays there."""
        event.stop()
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_RESTED_S, self._rested)
        if self._rows.entries:
            self.repaint()

    def _rested(self) -> None:
        if not self.is_here or self.app.screen is not self or self._notice_theme():
            return
        entry = self._entry()
        seen = entry is not None and entry.kind == "theme" and not entry.why_not
        self._show_theme(entry.key if seen and entry is not None else self._kept)
        self.repaint()

    def _show_theme(self, name: str) -> None:
        if name and name != self._shown:
            self._shown = name
            self.app.theme = name

    # What can be done

    def perform(self, name: str) -> bool:
        """Keep a theme, or change a limit."""
        if name != "choose":
            return False
        self._choose()
        return True

    def on_paged_table_chosen(self, event: PagedTable.Chosen) -> None:
        """Enter in the list."""
        event.stop()
        self._choose()

    def _choose(self) -> None:
        entry = self._entry()
        if entry is None:
            return
        if entry.why_not:
            self.say(entry.why_not)
        elif entry.kind == "theme":
            self._kept = entry.key
            self._settings = replaced(self._settings, THEME, entry.key)
            self._show_theme(entry.key)
            self.repaint()
            self.say(f"The theme {entry.name} is kept until you leave.", "ok")
        else:
            self._open_field(entry)

    def _open_field(self, entry: Entry) -> None:
        self._editing = entry
        asked = f" {_ASKED[entry.key]}: "
        mark = self.query_one("#settings-field-mark", Lines)
        mark.styles.width = cells(asked)
        mark.show([(Span(asked, "key"),)])
        self.query_one("#settings-field-row").display = True
        field = self.query_one(TextField)
        field.value = entry.typed
        field.cursor_position = len(field.value)
        self.set_focus(field)

    def _close_field(self) -> None:
        self._editing = None
        self.query_one("#settings-field-row").display = False
        self.query_one(SettingsTable).focus()
        self.call_after_refresh(self.repaint)

    def back_out(self) -> bool:
        """Esc leaves the field, or returns to the theme that was there before."""
        if self._editing is not None:
            self._close_field()
            return True
        if self._shown != self._kept:
            self._show_theme(self._kept)
            self._go_to_kept()
            self.repaint()
            return True
        return False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field applies the value, or says why it cannot be."""
        event.stop()
        entry = self._editing
        if entry is None or self._applying:
            return
        if entry.key == REFRESH:
            self._refresh_so_often(event.value)
            return
        self._applying = True
        self.run_worker(self._limit(entry, event.value), group="limit")

    async def _limit(self, entry: Entry, value: str) -> None:
        try:
            await aside(lambda: self._host.limit({entry.key: value}))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
        else:
            if self.is_here and self._editing is entry:
                self._close_field()
                self.say(f"The limit on {_OF[entry.key]} holds from now on.", "ok")
        finally:
            self._applying = False

    def _refresh_so_often(self, value: str) -> None:
        try:
            self._settings = replaced(self._settings, REFRESH, value)
        except UsageError as error:
            self.say(safe_text(str(error)), "bad")
            return
        self.post_message(self.Refresh(self._settings.ui.refresh_hz))
        self._close_field()

    # What is in force

    def _read(self) -> None:
        """Look what is in force, when that may have changed."""
        now = self.snapshot
        known = (now.workspace, now.state, now.limits, self._settings)
        if known != self._read_for:
            self._read_for = known
            self.run_worker(self._read_values(now.workspace), group="values")

    async def _read_values(self, workspace: str) -> None:
        settings, limits = self._settings, self.snapshot.limits
        wanted = settings if limits is None else with_limits(settings, limits)
        found = await self._look(lambda: list(_in_force(workspace, wanted)))
        if found is not None and self.is_here:
            self._values = found
            self.repaint()

    def _pane(self, width: int) -> Iterator[Line]:
        if self._file:
            yield (Span(" from ", "dim"), Span(self._file))
        else:
            yield (Span(f" There is no settings file; `tui-scraper init` writes a {FILE_NAME}.", "dim"),)
        yield ()
        if not self._values:
            yield (Span(" Every setting is the default.", "dim"),)
        for line, waits in self._values:
            if waits:
                for index, part in enumerate(wrap(safe_text(line), width - 4)):
                    yield Span(" ! " if not index else "   ", "warn"), Span(part, "warn")
            else:
                yield (Span(f" {safe_text(line)}"),)


_KEYS = sum(len(type(getattr(Settings(), section)).model_fields) for section in Settings.model_fields)
_OF = {
    "classify.budget_usd": "spending",
    "engine.workers": "worker processes",
    "classify.concurrency": "calls at the same time",
}


def _in_force(workspace: str, wanted: Settings) -> Iterator[tuple[str, bool]]:
    """Settings that are not the defaults, and whether each waits to be accepted after a rollback."""
    waiting: Sequence[str] = ()
    if workspace:
        from tui_scraper.engine.settings_in_force import in_force_at

        try:
            found = in_force_at(Path(workspace), wanted)
        except TuiScraperError as error:
            yield safe_text(str(error)), True
        else:
            wanted, waiting = found.settings, [change.key for change in found.waiting]
    for line in differing(wanted):
        yield _SECRET.sub("…", line) if "base_url" in line else line, False
    for key in waiting:
        yield f"{key} is another in the file, and waits: `run --accept-settings` puts it in force", True
