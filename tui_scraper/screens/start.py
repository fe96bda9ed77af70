"""Start: which folder, what is in it, which workspace will be used, and Go.

Every look at the file system happens aside (`aside.py`): what is typed may be on a dead mount.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import Counts, FolderSurvey
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.formatting import Line, Span, bar, cut, cut_left, number, pad, rule, size
from tui_scraper.screens.aside import OneAtATime, aside
from tui_scraper.screens.live import LiveScreen
from tui_scraper.widgets.choice import Choice
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.notice import sentence_lines
from tui_scraper.widgets.text_field import DirectorySuggester, PathField, typed_path

_SETTLED_S = 0.25
_MOST_TYPES, _MOST_MATCHES = 12, 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What Go would do with a path. `trouble` is a sentence where it cannot do anything.

    `hint` says the same more gently, for a path that is perhaps still being typed. `counts` is None
    for a workspace that does not exist yet.
    """

    source: Path | None = None
    workspace: Path | None = None
    directory: str = ""
    counts: Counts | None = None
    holder: str = ""
    trouble: str = ""
    hint: str = ""


def make_plan(path: Path, workspace: Path | None) -> Plan:
    """Look at a path: a folder of documents, a workspace, or neither. Reads the file system."""
    from tui_scraper.engine.store.reader import Reader
    from tui_scraper.engine.workspace import choose_directory, holder, is_workspace, source_of

    shown = safe_text(str(path))
    try:
        if not path.is_dir():
            if path.exists():
                return _refused(f"{shown}: this is a file, not a folder.")
            return Plan(trouble=f"{shown}: there is no such folder.", hint="no such folder yet")
        if not os.access(path, os.R_OK | os.X_OK):
            return _refused(f"{shown}: this folder may not be read (no permission).")
        source: Path | None = path
        if is_workspace(path):
            source, workspace = source_of(path), path
            if source is None:
                return _refused(f"{shown}: this workspace has not run yet; name its folder instead.")
        directory = choose_directory(source, workspace)
        if not is_workspace(directory):
            return Plan(source, workspace, safe_text(str(directory)))
        with Reader(directory) as reader:
            counts = reader.status().counts
        return Plan(source, workspace, safe_text(str(directory)), counts, safe_text(holder(directory) or ""))
    except TuiScraperError as error:
        return _refused(safe_text(str(error)))
    except OSError as error:
        return _refused(f"{shown}: {error.strerror}.")


def _refused(sentence: str) -> Plan:
    return Plan(trouble=sentence, hint=sentence)


def history_lines(counts: Counts) -> list[Line]:
    """What is left in a workspace that has run before, and what became of the rest."""
    found, pending = f"{number(counts.found)} documents", f"{number(counts.pending)} pending"
    if counts.pending or not counts.found:
        first: Line = (Span("   ▶ ", "accent"), Span(f"resumes: {found}, {pending}"))
    else:
        first = (
            Span("   ✓ ", "ok"), Span(f"complete: {found}, {pending}; a run takes up what has changed")
        )  # fmt: skip
    rest = [(counts.done, "done"), (counts.failed, "failed"), (counts.skipped, "skipped"),
            (counts.empty, "empty")]  # fmt: skip
    said = ", ".join(f"{number(count)} {word}" for count, word in rest if count)
    return [first, (Span(f"     {said}", "dim"),)] if said else [first]


class StartScreen(LiveScreen):
    """Choose what to process."""

    PLACE = "Start"
    AUTO_FOCUS = "#path"

    class Go(Message):
        """The person wants this folder processed."""

        def __init__(self, source: Path, workspace: Path | None) -> None:
            super().__init__()
            self.source = source
            self.workspace = workspace

    def __init__(self, settings: Settings, source: Path | None, workspace: Path | None) -> None:
        super().__init__("start")
        self._settings = settings
        self._workspace = workspace
        self._first = source or Path.cwd()
        self._plan: Plan | None = None
        self._survey: FolderSurvey | None = None
        self._trouble = self._hint = ""
        self._looking = False
        self._timer: Timer | None = None
        self._look_for_matches = OneAtATime()
        self._matches: list[str] = []

    def body(self) -> ComposeResult:
        """The path field, completions, what was found, the workspace, Go."""
        with Container(id="start"), Container(id="start-box"):
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
            yield Lines(id="found")
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

    def focus_path(self) -> None:
        """Letters go to the path field from now on."""
        if self.is_here:
            self.set_focus(self.query_one(PathField))

    def _path(self) -> Path:
        """The folder in the field. One given on the command line may have bytes no field can show."""
        text = self.query_one(PathField).value
        return self._first if text == safe_text(str(self._first)) else typed_path(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Wait until the person stops typing, then look."""
        event.stop()
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
        lines: list[Line] = [
            (Span("   "), Span(cut_left(match, width - 4), "dim")) for match in others[:_MOST_MATCHES]
        ]
        if len(others) > _MOST_MATCHES:
            lines.append((Span(f"   … {number(len(others) - _MOST_MATCHES)} more", "dim"),))
        self.query_one("#matches", Lines).show(lines if field.has_focus else [])

    def _look(self) -> None:
        if not self.is_here:
            return
        self.run_worker(self._look_at(self._path()), group="look", exclusive=True)

    async def _look_at(self, path: Path) -> None:
        self._looking = True
        self.repaint()
        plan = await aside(lambda: make_plan(path, self._workspace))
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

    async def _count(self, source: Path) -> None:
        from tui_scraper.engine.survey import survey

        try:
            self._survey = await aside(lambda: survey(source, self._settings))
        except TuiScraperError as error:
            self._trouble = safe_text(str(error))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field is Go."""
        event.stop()
        self._go()

    def on_choice_chosen(self, event: Choice.Chosen) -> None:
        """So is enter on Go."""
        event.stop()
        self._go()

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.stop()  # a look would end what begins here
        self.run_worker(self._go_to(self._path()), group="look", exclusive=True)

    async def _go_to(self, path: Path) -> None:
        plan = await aside(lambda: make_plan(path, self._workspace))
        self._plan, self._trouble, self._hint, self._looking = plan, plan.trouble, "", False
        self.repaint()
        if plan.source is not None:
            self.post_message(self.Go(plan.source, plan.workspace))

    def paint_body(self) -> None:
        """Show what is known of the path."""
        box = self.query_one("#start-box")
        width = max(40, box.size.width)
        self.query_one("#start-rule", Lines).show([rule("Folder to process", width)])
        self.query_one("#path-mark", Lines).show([(Span(" ▸ ", "accent"),)])
        trouble = self._trouble or self.problem
        said = sentence_lines("✗", trouble, "bad", width) if trouble else []
        if self._hint and not trouble:
            said = sentence_lines("·", self._hint, "dim", width)
        self.query_one("#trouble", Lines).show(said)
        room = max(3, self.size.height - 19)
        nothing = self._trouble or self._hint
        self.query_one("#found", Lines).show([] if nothing else self._found(width, room))
        self.query_one("#plan", Lines).show([] if nothing else self._plan_lines(width))

    def _found(self, width: int, room: int) -> list[Line]:
        found = self._survey
        if found is None:
            return [
                rule("Found", width),
                (Span("   counting …" if self._looking else "   nothing yet", "dim"),),
            ]
        less = "" if found.complete else "at least "
        total = (
            f"{less}{number(found.files)} {'file' if found.files == 1 else 'files'}, {size(found.size_bytes)}"
        )
        lines = [rule("Found", width, total)]
        if not found.files:
            lines.append((Span("   no files that would be documents", "warn"),))
        digits = max(6, len(number(found.files)))
        shown = found.by_type[: min(room, _MOST_TYPES)]
        most = max((files for _, files, _ in shown), default=1)
        bars = max(8, width - 3 - 13 - digits - 2 - 9 - 3)
        for ending, files, size_bytes in shown:
            filled, _ = bar(files, most, bars)
            name = pad(safe_text(ending) or "no ending", 12)
            lines.append(
                (Span(f"   {name} "), Span(f"{number(files):>{digits}}", "strong"),
                 Span(f"  {size(size_bytes):>8}   ", "dim"), Span(filled, "meter"))
            )  # fmt: skip
        rest = found.by_type[len(shown) :]
        more = []
        if rest:
            more.append(
                f"{number(sum(files for _, files, _ in rest))} more of "
                + ("another type" if len(rest) == 1 else f"{number(len(rest))} other types")
            )
        if found.ignored:
            more.append(f"{number(found.ignored)} ignored (hidden, links, special files)")
        if more:
            lines.append((Span(f"   {cut('; '.join(more), width - 4)}", "dim"),))
        return lines

    def _plan_lines(self, width: int) -> list[Line]:
        plan = self._plan
        if plan is None or plan.source is None:
            return []
        lines = [rule("Workspace", width), (Span("   "), Span(cut_left(plan.directory, width - 4)))]
        ours = plan.directory == self.snapshot.workspace
        if plan.holder and ours and self.situation().working:
            lines.append((Span("   ▶ ", "accent"), Span("its run is going on here")))
        elif plan.holder and not ours:
            lines.append(
                (Span("   ✗ ", "bad"), Span(cut(f"{plan.holder} is working in it", width - 6), "bad"))
            )
        elif plan.counts is None:
            lines.append((Span("   · new; the source folder is never written to", "dim"),))
        else:
            lines += history_lines(plan.counts)
        return lines

    def perform(self, name: str) -> bool:
        """Enter, wherever the focus is."""
        if name == "go":
            self._go()
            return True
        return False

    def back_out(self) -> bool:
        """Esc leaves the field for Go."""
        if not self.query_one(PathField).has_focus:
            return False
        self.query_one("#go", Choice).focus()
        self.query_one("#matches", Lines).show([])
        return True
