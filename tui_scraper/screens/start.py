"""Start: which workspace or folder, what is in it, what it would cost, who labels, and Go.

Every look at the file system happens aside (`aside.py`): what is typed may be on a dead mount. Nothing is
sent or spent before Go.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from tui_scraper.actions import Situation
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import FolderSurvey
from tui_scraper.engine.recent import RecentWorkspace, are_gone, recent_workspaces
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.formatting import Line, Span, cut_left, number, rule
from tui_scraper.screens.aside import OneAtATime, aside
from tui_scraper.screens.confirm import Confirm
from tui_scraper.screens.live import LiveScreen
from tui_scraper.screens.start_budget import BudgetRow
from tui_scraper.screens.start_forecast import Forecast
from tui_scraper.screens.start_recent import RecentList, RecentRows
from tui_scraper.screens.start_words import (
    Plan,
    found_lines,
    heading,
    make_plan,
    plan_lines,
    welcome_lines,
)
from tui_scraper.widgets.choice import Choice
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.notice import sentence_lines
from tui_scraper.widgets.text_field import DirectorySuggester, PathField, typed_path

_SETTLED_S = 0.25
_MOST_MATCHES = 5
_TIGHT = 20
"""Below so many lines there are no headings."""


class StartScreen(LiveScreen):
    """Choose what to process."""

    PLACE = "Start"
    AUTO_FOCUS = "#path"
    BINDINGS = [Binding("down", "below", show=False), Binding("up", "above", show=False)]

    class Go(Message):
        """The person wants this folder processed, for at most `budget_usd` (None: what the settings say)."""

        def __init__(
            self, source: Path, workspace: Path | None, budget_usd: float | None, *, look: bool = False
        ) -> None:
            """`look`: only open it, to see what is there."""
            super().__init__()
            self.look = look
            self.source = source
            self.workspace = workspace
            self.budget_usd = budget_usd

    def __init__(self, settings: Settings, source: Path | None, workspace: Path | None) -> None:
        super().__init__("start")
        self._settings = settings
        self._workspace = workspace
        self._named = source is not None
        self._first = source or Path.cwd()
        self._plan: Plan | None = None
        self._survey: FolderSurvey | None = None
        self._forecast = Forecast(settings, self.repaint)
        self._trouble = self._hint = ""
        self._looking = False
        self._timer: Timer | None = None
        self._look_for_matches = OneAtATime()
        self._matches: list[str] = []
        self._rows = RecentRows()
        self._more_recent = 0
        self._listed = False
        self._typed: str | None = None
        self._taken: RecentWorkspace | None = None

    def body(self) -> ComposeResult:
        """The path field, completions and recent workspaces; beside or below it what Go would do."""
        with Container(id="start"):
            with Container(id="start-where"):
                yield Lines(id="start-rule")
                with Container(id="path-row"):
                    yield Lines(id="path-mark")
                    yield PathField(
                        id="path",
                        value=str(self._first),
                        suggester=DirectorySuggester(self._look_for_matches, self._take_matches),
                    )
                yield Lines(id="matches")
                yield Lines(id="trouble")
                yield Lines(id="recent-rule")
                yield RecentList(self._rows, id="recent")
            with Container(id="start-what"):
                yield Lines(id="found")
                yield Lines(id="estimate")
                yield Lines(id="labels")
                yield BudgetRow(self._settings.classify.budget_usd, id="budget-row")
                yield Lines(id="plan")
                with Container(id="go-row"):
                    yield Choice("Go", id="go")

    def on_mount(self) -> None:
        """The cursor goes to the end of the path that is there already."""
        field = self.query_one(PathField)
        field.cursor_position = len(field.value)

    def on_screen_resume(self) -> None:
        """Look, after the first frame; and again on return, since a run changes what was seen."""
        self.call_after_refresh(self._look)
        self.call_after_refresh(self._list_recent)

    def on_screen_suspend(self) -> None:
        """A screen that is not seen reads nothing."""
        self._forecast.give_up()

    def on_unmount(self) -> None:
        """Nor does one that is gone."""
        self._forecast.give_up()

    def focus_path(self) -> None:
        """Letters go to the path field from now on."""
        if self.is_here:
            self.set_focus(self.query_one(PathField))

    def _path(self) -> Path:
        """The folder in the field. One given on the command line may have bytes no field can show."""
        text = self.query_one(PathField).value
        taken = self._taken.source if self._taken is not None else None
        for path in (taken, self._first):
            if path is not None and text == safe_text(str(path)):
                return path
        return typed_path(text)

    def _workspace_of(self, path: Path) -> Path | None:
        """The workspace to use for a folder: the one taken from the list, or named with -w beside it."""
        taken = self._taken
        if taken is not None and path == taken.source:
            return taken.directory
        return self._workspace if path == self._first else None

    # Recent workspaces

    def _list_recent(self) -> None:
        if self.is_here:
            self.run_worker(self._look_for_recent(), group="recent", exclusive=True)

    async def _look_for_recent(self) -> None:
        self._rows.all, self._more_recent = await aside(recent_workspaces)
        first, self._listed = not self._listed, True
        if not self.is_here:
            return
        recent = self.query_one(RecentList)
        recent.reload()
        self.repaint()
        field = self.query_one(PathField)
        untouched = field.has_focus and field.value == safe_text(str(self._first))
        if first and not self._named and len(self._rows) and untouched:
            recent.focus()
            self._take(0)
        self._rows.gone = await aside(lambda: are_gone(self._rows.all))
        if self.is_here:
            recent.refresh()

    def _take(self, index: int) -> None:
        """Put a workspace of the list into the field, so that everything below is about it."""
        one = self._rows.all[index]
        field = self.query_one(PathField)
        if self._typed is None:
            self._typed = field.value
        self._taken = one
        field.value = safe_text(str(one.source or one.directory))
        field.cursor_position = len(field.value)

    def on_recent_list_moved(self, event: RecentList.Moved) -> None:
        """The cursor was moved."""
        event.stop()
        self._take(self.query_one(RecentList).cursor)

    def on_paged_table_chosen(self, event: RecentList.Chosen) -> None:
        """Enter: take it, or begin with what was taken."""
        event.stop()
        one = self._rows.all[event.index]
        if self._taken is one and self._path() == (one.source or one.directory):
            self._go()
        else:
            self._take(event.index)

    def on_recent_list_left(self, event: RecentList.Left) -> None:
        """Up from the first row."""
        event.stop()
        self.focus_path()

    def action_below(self) -> None:
        """Down: from the field to the list, and on."""
        if isinstance(self.focused, PathField) and len(self._rows) and self.query_one("#recent").display:
            recent = self.query_one(RecentList)
            recent.focus()
            recent.move_to(0)
            self._take(0)
        else:
            self.focus_next()

    def action_above(self) -> None:
        """Up."""
        self.focus_previous()

    # Looking at the folder

    def on_input_changed(self, event: Input.Changed) -> None:
        """Wait until the person stops typing, then look."""
        event.stop()
        if event.input.id == "budget":
            self.repaint()
            return
        self._forecast.give_up()
        self._plan = self._survey = None
        self._trouble = self._hint = ""
        self._looking = True
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_SETTLED_S, self._look)
        self._list_matches(event.value, [match for match in self._matches if match.startswith(event.value)])

    def _take_matches(self, value: str, matches: list[str]) -> None:
        if not self.is_here:
            return
        field = self.query_one(PathField)
        if value == field.value:
            self._matches = matches
            self._list_matches(value, matches)
            field.take_matches(value, matches)

    def _list_matches(self, value: str, matches: list[str]) -> None:
        field = self.query_one(PathField)
        others = [match for match in matches if match.rstrip("/") != value.rstrip("/")]
        width = max(20, self.query_one("#matches", Lines).size.width)
        most = _MOST_MATCHES if self.size.height >= _TIGHT else 2
        lines: list[Line] = [
            (Span("   "), Span(cut_left(match, width - 4), "dim")) for match in others[:most]
        ]
        if len(others) > most:
            lines.append((Span(f"   … {number(len(others) - most)} more", "dim"),))
        self.query_one("#matches", Lines).show(lines if field.has_focus else [])

    def _look(self) -> None:
        if not self.is_here:
            return
        self.run_worker(self._look_at(self._path()), group="look", exclusive=True)

    async def _look_at(self, path: Path) -> None:
        self._looking = True
        self.repaint()
        plan = await aside(lambda: make_plan(path, self._workspace_of(path)))
        if not self.is_here or path != self._path():
            return
        self._plan, self._hint = plan, plan.hint
        self._trouble = plan.trouble if self._trouble else ""
        self.repaint()
        if plan.source is not None:
            await self._count(plan.source)
        else:
            self._survey = None
        self._looking = False
        self.repaint()
        await self._forecast.make(plan, self._survey)

    async def _count(self, source: Path) -> None:
        from tui_scraper.engine.survey import survey

        try:
            self._survey = await aside(lambda: survey(source, self._settings))
        except TuiScraperError as error:
            self._trouble = safe_text(str(error))

    # Go

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field is Go."""
        event.stop()
        self._go()

    def on_choice_chosen(self, event: Choice.Chosen) -> None:
        """So is enter on Go."""
        event.stop()
        self._go()

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.stop()  # a look would end what begins here
        budget = self.query_one(BudgetRow)
        if budget.usd is None:
            self.say(f"'{budget.text}' is not an amount of dollars such as 2.50.")
            return
        self.run_worker(self._go_to(self._path()), group="look", exclusive=True)

    async def _go_to(self, path: Path) -> None:
        plan = await aside(lambda: make_plan(path, self._workspace_of(path)))
        self._plan, self._trouble, self._hint, self._looking = plan, plan.trouble, "", False
        self.repaint()
        if plan.source is None:
            return
        source, asked = plan.source, self._forecast.asks_anew(plan)

        def go(yes: bool | None) -> None:
            if yes:
                self._forecast.give_up()
                self.post_message(self.Go(source, plan.workspace, self.query_one(BudgetRow).changed_usd))

        if not asked:
            go(True)
            return
        sentences = [
            asked,
            "Until it has answered they have no label, and cannot be found. The labels of now stay in the "
            "store: going back brings them back for nothing. 2 to 6 look at them without a run.",
        ]
        self.app.push_screen(Confirm("Have a model label what is complete?", sentences, "Go"), go)

    # Painting

    def paint_body(self) -> None:
        """Show what is known of the path."""
        where = max(40, self.query_one("#start-where").size.width)
        what = max(40, self.query_one("#start-what").size.width)
        wide, tight = self.has_class("-wide"), self.size.height < _TIGHT
        mark = " ▸ " if self.query_one(PathField).has_focus else "   "
        self.query_one("#start-rule", Lines).show([rule("Folder to process", where)])
        self.query_one("#path-mark", Lines).show([(Span(mark, "accent"),)])
        trouble = self._trouble or self.problem
        said = sentence_lines("✗", trouble, "bad", where) if trouble else []
        if self._hint and not trouble:
            said = sentence_lines("·", self._hint, "dim", where)
        self.query_one("#trouble", Lines).show(said)
        nothing = bool(self._trouble or self._hint)
        estimate, labels, plan = ([], [], []) if nothing else self._prospects(what, tight=tight)
        self.query_one("#estimate", Lines).show(estimate)
        self.query_one("#labels", Lines).show(labels)
        self.query_one("#plan", Lines).show(plan)
        budget = self._forecast.spends and not nothing
        self.query_one(BudgetRow).display = budget
        if budget:
            self.query_one(BudgetRow).paint(self._forecast.spent_nano_usd, what)
        room = self.size.height - 2 - len(estimate) - len(labels) - budget - len(plan) - 1
        if wide:
            recent_room = self.size.height - 5 - len(said)
        else:
            room -= 2 + len(said) + len(self.query_one("#matches", Lines).lines)
            recent_room = room if nothing else max(room // 2, room - 7)
        room -= self._paint_recent(where, recent_room, wide=wide)
        found = found_lines(self._survey, what, room, looking=self._looking) if room > 0 else []
        self.query_one("#found", Lines).show([] if nothing else found)

    def _paint_recent(self, width: int, room: int, *, wide: bool) -> int:
        """Show the recent workspaces in at most `room` lines. Returns how many the rest has less."""
        recent, title = self.query_one(RecentList), self.query_one("#recent-rule", Lines)
        typing = bool(self.query_one("#matches", Lines).lines) and self.size.height < 2 * _TIGHT
        rows = 0 if typing else min(len(self._rows), max(0, room - 1))
        recent.display = rows > 0
        lines: list[Line] = []
        if rows:
            more = len(self._rows) - rows + self._more_recent
            lines = [rule("Recent workspaces", width, f"{number(more)} more" if more else "")]
            recent.styles.height = rows
        elif self._listed and not len(self._rows) and not typing:
            lines = welcome_lines(width)
            lines = lines if wide or len(lines) <= room else []
        title.show(lines)
        return 0 if wide else rows + len(lines)

    def _prospects(self, width: int, *, tight: bool) -> tuple[list[Line], list[Line], list[Line]]:
        """What Go would cost, who labels, and which workspace it is."""
        plan = self._plan
        if plan is None or plan.source is None:
            return [], [], []
        budget_usd = self.query_one(BudgetRow).usd
        usd = self._settings.classify.budget_usd if budget_usd is None else budget_usd
        here = plan.directory == safe_text(self.snapshot.workspace) and self.situation().working
        return (
            heading("Estimate", self._forecast.estimate(plan, self._survey, usd, width), width, tight=tight),
            heading("Labels", self._forecast.labels(width), width, tight=tight),
            plan_lines(plan, width, here=here and bool(plan.holder), tight=tight),
        )

    def situation(self) -> Situation:
        """Whether there is something to look at without a run."""
        plan = self._plan
        there = plan is not None and bool(plan.counts and plan.counts.found) and not plan.holder
        return replace(super().situation(), can_look=there)

    def look(self) -> None:
        """Open what is there, without a run."""
        plan = self._plan
        if plan is not None and plan.source is not None:
            self._forecast.give_up()
            self.post_message(self.Go(plan.source, plan.workspace, None, look=True))

    def perform(self, name: str) -> bool:
        """Enter, wherever the focus is."""
        if name == "go":
            self._go()
            return True
        return False

    def back_out(self) -> bool:
        """Esc leaves the list for what was typed before, and a field for Go."""
        if self.query_one(RecentList).has_focus:
            if self._typed is not None:
                self.query_one(PathField).value, self._typed, self._taken = self._typed, None, None
            self.focus_path()
            return True
        if not isinstance(self.focused, Input):
            return False
        self.query_one("#go", Choice).focus()
        self.query_one("#matches", Lines).show([])
        return True
