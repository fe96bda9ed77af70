"""The Textual application: screens, palette, theme, leaving. Nothing else.

It never waits for the engine: a timer takes a snapshot from the host and the screen in view paints
what changed. It ends in one of four ways: `q` (asks, stops the engine with a deadline), `leave`
(from a signal, also with a stalled terminal), the end of a test, or a mistake of the program (`ending.py`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from textual.app import SystemCommand
from textual.filter import LineFilter
from textual.screen import Screen

from tui_scraper import actions, theming
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.limits import BUDGET, replaced
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.ledger import CapReachedError
from tui_scraper.engine_host import EngineHost
from tui_scraper.formatting import documents
from tui_scraper.pace import Pace, waits
from tui_scraper.screens.aside import aside
from tui_scraper.screens.checkpoints import CheckpointsScreen
from tui_scraper.screens.confirm import Confirm
from tui_scraper.screens.documents import DocumentsScreen
from tui_scraper.screens.failed import FailedScreen
from tui_scraper.screens.going_back import ChooseTarget, ask_to_go_back
from tui_scraper.screens.help import Help
from tui_scraper.screens.live import LiveScreen, is_too_small
from tui_scraper.screens.log import LogScreen
from tui_scraper.screens.palette import Palette
from tui_scraper.screens.reporting import write_report
from tui_scraper.screens.requests import GoBack, LabelByHand, Retry, SetAside
from tui_scraper.screens.run import RunScreen
from tui_scraper.screens.search import SearchScreen
from tui_scraper.screens.settings import SettingsScreen
from tui_scraper.screens.start import StartScreen
from tui_scraper.suspending import Suspension
from tui_scraper.typing_ahead import TypingAheadApp

CLOSE_S = 3.0


class TuiScraperApp(TypingAheadApp):
    """`TuiScraperApp(host, settings, source, workspace).run()`; exit with its `return_code`."""

    TITLE = "tui-scraper"
    CSS_PATH = "app.tcss"
    BINDINGS = actions.bindings()
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-normal"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (15, "-tall")]
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        host: EngineHost,
        settings: Settings,
        source: Path | None = None,
        workspace: Path | None = None,
        autostart: bool = False,
        settings_file: str = "",
    ) -> None:
        """`source` fills the path field; `autostart` begins with it at once, without the Start screen.

        `settings_file` is shown as where the settings are from.
        """
        no_color = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if no_color else None)
        self._host = host
        self._settings = settings
        self._source = source
        self._workspace = workspace
        self._autostart = autostart and source is not None
        self._drawing: list[LineFilter] = [theming.HarmlessFilter()]
        if not theming.is_utf8():
            self._drawing.append(theming.AsciiFilter())
        self._start_problem = ""
        self._quit_question: Confirm | None = None
        self._suspension: Suspension | None = None
        self._pace = Pace()
        known, problems = theming.known_themes()
        for one in known:
            self.register_theme(one.theme)
        self._theme_names = [one.theme.name for one in known]
        chosen, sentence = theming.choose(
            settings.ui.theme,
            self._theme_names,
            no_color=no_color,
            color_system=self.console.color_system,
        )
        self.theme = chosen
        self._first_words = sentence or "\n".join(problems)
        self.animation_level = "none"
        self._start_screen = StartScreen(settings, source, workspace)
        self._run = RunScreen("run")
        self._checkpoints = CheckpointsScreen(settings)
        self._documents = DocumentsScreen()
        self._search = SearchScreen(settings, host)
        self._screens: dict[str, LiveScreen] = {
            "start": self._start_screen,
            "run": self._run,
            "failed": FailedScreen(),
            "checkpoints": self._checkpoints,
            "documents": self._documents,
            "search": self._search,
            "log": LogScreen(),
            "settings": SettingsScreen(settings, host, known, settings_file),
        }
        self._help = Help()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of ours that a theme may leave out."""
        return {
            "track": "#303030",
            "line": "#505050",
            "quiet": "#909090",
            "ansi-background": "ansi_black",  # Textual's own styles need these two in an `ansi` theme
            "ansi-foreground": "ansi_white",
        }

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Nothing is drawn that a terminal acts on; everything in ASCII where the locale has nothing else."""
        return [*super().get_line_filters(), *self._drawing]

    # Screens

    def on_mount(self) -> None:
        """Show the first screen and begin to paint."""
        if self._driver is not None:
            self._suspension = Suspension(self, self._driver, lambda: self._leaving)
        for name, screen in self._screens.items():
            self.install_screen(screen, name)
        self.install_screen(self._help, "help")
        self.push_screen("run" if self._autostart else "start")
        self._painting = self.set_interval(1 / self._settings.ui.refresh_hz, self._tick)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if self._first_words:
            self._live().say(self._first_words)
        if self._autostart and self._source is not None:
            self._start(self._source, self._workspace)
        self._paint()

    def _live(self) -> LiveScreen:
        """The full screen in view, also below a question or the palette."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, LiveScreen):
                return screen
        return self._screens["start"]

    def _tick(self) -> None:
        if self._pace.due(time.monotonic(), waiting=waits(self._driver)):
            self._paint()

    def _paint(self) -> None:
        if not self.is_running or self._exit:
            return
        screen, snapshot = self._live(), self._host.snapshot()
        self._run.note(snapshot)
        screen.take(snapshot, self._problem())
        if self.screen is not self._help:  # which hides it
            screen.repaint()
        if self.screen is self._quit_question and not screen.situation().working:
            self._quit_question.dismiss(False)
            screen.say("The run has ended meanwhile, so nothing would be interrupted. q quits.")

    def _problem(self) -> str:
        error = self._host.error
        if error is None:
            return self._start_problem
        where = (
            " Press 7 to raise it here: the run goes on then." if isinstance(error, CapReachedError) else ""
        )
        return safe_text(str(error)) + where

    def _go_to(self, name: str) -> None:
        if self._live() is self._screens[name]:
            return
        while not isinstance(self.screen, LiveScreen) and len(self.screen_stack) > 1:
            self.pop_screen()
        self._screens[name].take(self._host.snapshot(), self._problem())  # the next key may come at once
        self.switch_screen(name)

    # Actions of the registry

    def action_act(self, names: str) -> None:
        """A key of the registry was pressed: do that of its actions which belongs to the screen in view."""
        here, found = self._live().name, names.split()
        self.act(next((name for name in found if here in actions.BY_NAME[name].screens), found[0]))

    def act(self, name: str) -> None:
        """Carry out an action, or say why not."""
        name = "quit" if name == "leave" else name
        if is_too_small(self.screen):
            if name == "quit":  # no question can be seen; the sentence there says what it does
                self.run_worker(self.action_quit(), group="quit", exclusive=True)
            return
        if name in {"quit", "palette"} and not isinstance(self.screen, LiveScreen):
            return
        screen, action = self._live(), actions.BY_NAME[name]
        now = screen.situation()
        if name == "back" and screen.back_out():
            return
        if now.screen not in action.screens:
            where = ", ".join(sorted(name.capitalize() for name in action.screens))
            screen.say(f"{action.shown} ({action.title.lower()}) works on: {where}.")
            return
        reason = action.reason(now)
        if not reason and action.reason(replace(now, can_look=False)):
            self._start_screen.look()  # it is possible only because there is something to open
        if reason:
            screen.say(reason)
        elif not screen.is_here:  # what it does itself needs its widgets; to go elsewhere needs none
            getattr(self, f"_do_{name}", _nothing)()
        elif not screen.perform(name):
            getattr(self, f"_do_{name}")()

    def _do_pause(self) -> None:
        if self._live().situation().resumes:
            self._host.resume()
        else:
            self._host.pause()

    def _do_show_run(self) -> None:
        self._go_to("run")

    def _do_show_failed(self) -> None:
        self._go_to("failed")

    def _do_show_documents(self) -> None:
        path = self._search.path if self._live() is self._search else ""
        self._go_to("documents")
        if path:
            self._documents.find(path, Path(self.last_workspace()))

    def _do_show_search(self) -> None:
        self._go_to("search")
        self._search.type_query()

    def _do_show_log(self) -> None:
        self._go_to("log")

    def _do_show_settings(self) -> None:
        self._go_to("settings")

    def _do_filter(self) -> None:
        self._go_to("search")
        self._search.type_query()

    def _do_show_checkpoints(self) -> None:
        self._go_to("checkpoints")

    def _do_roll_back(self) -> None:
        live = self._live()

        def chosen(target: PhaseName | str | None) -> None:
            if isinstance(target, PhaseName):
                asking = ask_to_go_back(live, Path(live.snapshot.workspace), target, self._settings)
                self.run_worker(asking, group="ask", exclusive=True)
            elif target:
                self._go_to("checkpoints")
                self._checkpoints.hint = "Move to the checkpoint to go back to, and press b."

        self.push_screen(ChooseTarget(), chosen)

    def _do_undo(self) -> None:
        live = self._live()
        asking = ask_to_go_back(live, Path(live.snapshot.workspace), None, self._settings)
        self.run_worker(asking, group="ask", exclusive=True)

    def _do_report(self) -> None:
        self._live().say("Writing the report …")
        writing = write_report(self._live().snapshot, lambda text, role: self._live().say(text, role))
        self.run_worker(writing, group="report", exclusive=True)

    def _do_show_start(self) -> None:
        self._go_to("start")
        self._start_screen.focus_path()

    def _do_back(self) -> None:
        self._go_to("run" if self._live().situation().open else "start")

    def _do_help(self) -> None:
        self._help.about(self._live().situation())
        self.push_screen("help")

    def _do_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def _do_suspend(self) -> None:
        if self._suspension is not None:
            self.call_later(self._suspension.suspend)

    def _do_quit(self) -> None:
        if not self._live().situation().working:
            self.run_worker(self.action_quit(), group="quit", exclusive=True)
            return
        sentences = [
            "What is done is saved. The documents in hand are finished or go back to pending; "
            "the next start resumes from here.",
        ]
        spend = self._host.snapshot().spend
        if spend is not None and spend.in_flight:
            calls = "1 call" if spend.in_flight == 1 else f"{spend.in_flight:,} calls"
            sentences.append(
                f"{calls} to the model are in flight, and paid for: their answers are awaited and saved, "
                "also after the screen is gone."
            )
        self._quit_question = Confirm("Stop here and leave?", sentences, "Stop and leave")
        self.push_screen(self._quit_question, self._answered_quit)

    def _answered_quit(self, yes: bool | None) -> None:
        self._quit_question = None
        if yes:
            self.run_worker(self.action_quit(), group="quit", exclusive=True)

    async def action_quit(self) -> None:
        """Stop the engine, wait for it at most three seconds, then leave."""
        if self._leaving:
            return
        self._leaving = True
        self._live().say("Stopping; what is done is saved.")
        ended = await aside(partial(self._host.close, CLOSE_S))
        late = "tui-scraper: the engine is still finishing; nothing acknowledged is lost."
        self.exit(message=self._way_back() if ended else late)

    def _way_back(self) -> str | None:
        """How to go on with what was left in the middle."""
        snapshot = self._host.snapshot()
        if not snapshot.workspace or not snapshot.counts.pending:
            return None
        left = f"{documents(snapshot.counts.pending)} {'is' if snapshot.counts.pending == 1 else 'are'} left"
        return f"tui-scraper: {left}; `tui-scraper {safe_text(snapshot.workspace)}` goes on from here."

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: the registry's actions for the screen in view, and the themes."""
        now = self._live().situation()
        for action in actions.on_screen(now):
            if action.palette:
                reason = action.reason(now)
                words = f"Not now: {reason}" if reason else f"{action.help} ({action.shown})"
                yield SystemCommand(action.title, words, partial(self.act, action.name))
        if not self.no_color:
            for name in self._theme_names:
                yield SystemCommand(
                    f"Theme: {name}", "Change the colours.", partial(setattr, self, "theme", name)
                )

    # What screens ask for

    def on_start_screen_go(self, message: StartScreen.Go) -> None:
        """Go: begin, after a question where another run would be stopped for it."""
        message.stop()
        snapshot = self._host.snapshot()
        if message.look:
            self._start(message.source, message.workspace, look=True)
            return
        if not self._live().situation().working:
            self._open(message)
            return
        sentences = [
            f"A run of {safe_text(snapshot.source)} is going on. It is stopped first: "
            "what is done is saved, and it resumes when you open it again.",
        ]

        def answered(yes: bool | None) -> None:
            if yes:
                self._open(message)

        self.push_screen(
            Confirm("Stop the run and open another folder?", sentences, "Stop and open"), answered
        )

    def _open(self, go: StartScreen.Go) -> None:
        if self._start(go.source, go.workspace, go.budget_usd):
            self._go_to("run")
        self._paint()

    def _start(
        self, source: Path, workspace: Path | None, budget_usd: float | None = None, *, look: bool = False
    ) -> bool:
        """Hand a folder to the host, which closes another one first. False where it was refused."""
        self._start_problem = ""
        settings = self._settings
        if budget_usd is not None:
            settings = replaced(settings, BUDGET, budget_usd)
        try:
            self._host.start(RunRequest(source, settings, workspace, look=look))
        except TuiScraperError as error:
            self._start_problem = safe_text(str(error))
        return not self._start_problem

    def on_retry(self, message: Retry) -> None:
        """Put documents back to pending."""
        message.stop()
        self._host.retry(version=message.version, cause=message.cause, phase=message.phase)

    def on_set_aside(self, message: SetAside) -> None:
        """Have a failed document count as skipped."""
        message.stop()
        self._host.set_aside(version=message.version)

    def on_label_by_hand(self, message: LabelByHand) -> None:
        """Give a document a label."""
        message.stop()
        version = message.version

        def told(sentence: str, done: bool) -> None:
            self.call_later(self._label_given, version, sentence, done)

        self._host.give_label(version, message.labels, message.seen, told)

    def _label_given(self, version: int, sentence: str, done: bool) -> None:
        """Say what became of it, and have the list read it."""
        self._live().say(safe_text(sentence), "ok" if done else "bad")
        self._documents.labelled(version)

    def on_go_back(self, message: GoBack) -> None:
        """Move the head; what is in hand is finished first."""
        message.stop()
        if message.target is None:
            self._host.undo_rollback(moves=message.moves)
        else:
            self._host.roll_back(message.target, moves=message.moves)

    def on_checkpoints_screen_rename(self, message: CheckpointsScreen.Rename) -> None:
        """Give a checkpoint a name."""
        message.stop()
        self._host.name_checkpoint(message.checkpoint, message.new_name, self._checkpoints_changed)

    def _checkpoints_changed(self) -> None:
        """From the engine's thread: the history reads otherwise now."""
        self.call_later(self._checkpoints.reload)

    def on_settings_screen_refresh(self, message: SettingsScreen.Refresh) -> None:
        """Paint so often from now on."""
        message.stop()
        self._painting.stop()
        self._painting = self.set_interval(1 / message.hz, self._tick)

    def last_workspace(self) -> str:
        """The workspace that was open last."""
        return next(
            (screen.snapshot.workspace for screen in self._screens.values() if screen.snapshot.workspace), ""
        )


def _nothing() -> None:
    """What a screen that is not there yet can do."""
