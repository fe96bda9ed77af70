"""Failed: what did not get through, by cause; one document's details and text beside the list."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from tui_scraper.actions import Situation
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import Counts, FailureRow, RunSnapshot, Status
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import Line, Span, cut_left, documents, number, rule, usd, wrap
from tui_scraper.screens.aside import aside
from tui_scraper.screens.choose_label import ask_label
from tui_scraper.screens.confirm import Confirm
from tui_scraper.screens.failure_details import cause_lines, document_lines
from tui_scraper.screens.failure_rows import (
    PAGE_ROWS,
    FailureRows,
    Group,
    Key,
    matching,
    read_again,
    read_causes,
    read_matches,
    read_pages,
)
from tui_scraper.screens.live import NO_FOLDER, LiveScreen
from tui_scraper.screens.requests import Retry, SetAside
from tui_scraper.widgets.key_footer import KeyFooter
from tui_scraper.widgets.lines import Lines, ScrollLines
from tui_scraper.widgets.paged_table import PagedTable
from tui_scraper.widgets.text_field import TextField

_RELOAD_S = 2.0
_PREVIEW_AFTER_S = 0.1


class FailedScreen(LiveScreen):
    """Failed, skipped and empty documents."""

    PLACE = "Failed"
    AUTO_FOCUS = "#rows"

    def __init__(self) -> None:
        super().__init__("failed")
        self._rows = FailureRows()
        self._directory = ""
        self._loaded: Counts | None = None
        self._loaded_at = 0.0
        self._reading: set[tuple[Key, int]] = set()
        self._needle = ""
        self._complete = True
        self._matched = ""
        self._shown: FailureRow | None = None
        self._preview: str | None = None
        self._reading_causes = False

    def body(self) -> ComposeResult:
        """List left, details right; an empty screen says what to do next."""
        with Container(id="failed"):
            with Container(id="list"):
                yield Lines(id="list-rule")
                yield PagedTable(self._rows, id="rows")
                with Container(id="filter-row"):
                    yield Lines(id="filter-mark")
                    yield TextField(id="filter", placeholder="part of a path or message")
            yield Container(id="divider")
            with Container(id="detail"):
                yield Lines(id="detail-rule")
                yield ScrollLines(id="document")
        yield Lines(id="nothing")

    def situation(self) -> Situation:
        """The cursor decides what can be retried."""
        base = super().situation()
        if not self.is_here:
            return base
        table = self.query_one(PagedTable)
        row = self._rows.row(table.cursor)
        return replace(
            base,
            document=row is not None,
            bad_document=row is not None,
            failed_document=row is not None and row.status is Status.FAILED,
            cause=self._rows.key(table.cursor) is not None,
            slid=table.slid,
            asked=row is not None and row.version in self._rows.asked,
            filtered=self._esc_clears_the_filter(),
        )

    def paint_body(self) -> None:
        """Reload when the counts have changed, at most every two seconds."""
        if self.snapshot.workspace != self._directory:
            self._directory = self.snapshot.workspace
            self._rows.forget_all()
            self._loaded, self._loaded_at, self._shown = None, 0.0, None
            self.query_one(PagedTable).reload()
        counts = replace(self.snapshot.counts, found=0, done=0, pending=0)
        due = time.monotonic() - self._loaded_at >= _RELOAD_S
        changed = counts != self._loaded or bool(self._rows.asked)
        if self._directory and changed and due and not self._reading_causes:
            self._reading_causes = True
            self.run_worker(self._load(counts), group="causes")
        self._paint_frame()

    def _paint_frame(self) -> None:
        list_width = max(20, self.query_one("#list").size.width)
        empty = not self._rows.documents
        filled = self.has_class("-empty") and not empty
        self.set_class(empty, "-empty")
        if filled:  # what was hidden had lost the focus
            self.call_after_refresh(self.query_one(PagedTable).focus)
        if empty:
            self.query_one("#nothing", Lines).show(self._nothing())
            return
        if self._rows.matches is None:
            title, right = "By cause", number(self._rows.documents)
        else:
            shown = number(len(self._rows.matches))
            title = f"Filter: {self._needle}"
            right = shown if self._complete else f"first {shown}"
        self.query_one("#list-rule", Lines).show([rule(title, list_width, right)])
        width = max(20, self.query_one("#detail").size.width)
        self.query_one("#detail-rule", Lines).show([rule("Document", width)])
        self.query_one("#filter-mark", Lines).show([(Span(" / ", "key"),)])

    def _nothing(self) -> list[Line]:
        if self.problem:
            return [
                (Span("✗ ", "bad"), Span(part, "bad")) for part in wrap(self.problem, self.size.width - 8)
            ]
        if not self._directory:
            return [NO_FOLDER]
        if self.situation().bad:
            return [(Span("Reading the list …", "dim"),)]
        return [
            (Span("✓ ", "ok"), Span("Nothing has failed, been skipped or been empty so far.")),
            (),
            (Span("Press "), Span("1", "key"), Span(" to go back to the run.")),
        ]

    async def _load(self, counts: Counts) -> None:
        directory, asked = Path(self._directory), list(self._rows.asked.values())
        try:
            causes, again = await aside(lambda: (read_causes(directory), read_again(directory, asked)))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
            return
        finally:
            self._reading_causes = False
            self._loaded_at = time.monotonic()
        if not self.is_here or str(directory) != self._directory:
            return
        self._loaded = counts
        self._rows.set_causes(causes)
        self._rows.take_up(again)
        if self._needle:
            await self._match(self._needle, anew=True)
        self.query_one(PagedTable).reload()
        self.repaint()

    def on_paged_table_wanted(self, event: PagedTable.Wanted) -> None:
        """Read the page of a row that has to be drawn."""
        event.stop()
        place = self._rows.place(event.index) if self._rows.matches is None else None
        if place is None or not self._rows.missing(event.index):
            return
        group, number_in_group = place
        page = number_in_group // PAGE_ROWS
        if (group.key, page) not in self._reading:
            self._reading.add((group.key, page))
            self.run_worker(self._read(group, page), group="pages")

    async def _read(self, group: Group, page: int) -> None:
        directory, anchors = Path(self._directory), list(group.anchors)
        try:
            for pages in await aside(lambda: read_pages(directory, group.key, anchors, page)):
                self._rows.put(pages)
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
        finally:
            self._reading.discard((group.key, page))
        if self.is_here:
            self.query_one(PagedTable).rows_came()

    def on_paged_table_highlighted(self, event: PagedTable.Highlighted) -> None:
        """Show the document under the cursor."""
        event.stop()
        self._look_at(event.index)

    def on_paged_table_chosen(self, event: PagedTable.Chosen) -> None:
        """Enter folds a cause, and goes to the details of a document."""
        event.stop()
        if self._rows.row(event.index) is not None:
            self.query_one("#document").focus()
            return
        heading = self._rows.toggle(event.index)
        table = self.query_one(PagedTable)
        table.reload()
        table.move_to(heading)

    def _look_at(self, index: int) -> None:
        row = self._rows.row(index)
        if row is None or self._shown is None or row.version != self._shown.version:
            self._preview = None
            if row is not None:
                self.run_worker(self._read_preview(row), group="preview", exclusive=True)
        self._shown = row
        self._show_document(index)
        self.query_one(KeyFooter).paint(self.situation())

    async def _read_preview(self, row: FailureRow) -> None:
        from tui_scraper.engine.store.reader import Reader

        await asyncio.sleep(_PREVIEW_AFTER_S)  # while a key repeats, nothing is read
        directory = Path(self._directory)

        def read() -> str:
            with Reader(directory) as reader:
                return reader.preview(row.version)

        try:
            text = await aside(read)
        except (TuiScraperError, ValueError) as error:
            text = f"The preview cannot be read: {error}"
        if self.is_here and self._shown is not None and self._shown.version == row.version:
            self._preview = safe_text(text, newlines=True)
            self._show_document(self.query_one(PagedTable).cursor)

    def _show_document(self, index: int) -> None:
        pane = self.query_one("#document", ScrollLines)
        width = max(20, pane.size.width - 2)
        if self._shown is not None:
            pane.show(document_lines(self._shown, self._preview, width))
            return
        key = self._rows.key(index)
        if key is None:
            pane.show([(Span(" No match.", "dim"),)] if self._rows.matches is not None else [])
            return
        place = self._rows.place(index)
        pane.show(cause_lines(key, place[0].count if place else 0, width))

    def perform(self, name: str) -> bool:
        """Retry, filter, zoom."""
        cursor = self.query_one(PagedTable).cursor
        if name == "retry":
            row = self._rows.row(cursor)
            if row is not None:
                self._rows.asked[row.version] = row
                self.query_one(PagedTable).refresh()
                self.post_message(Retry(version=row.version))
                self.say(f"Asked to retry: {cut_left(safe_text(row.path), self.size.width - 20)}", "ok")
        elif name == "set_label":
            row = self._rows.row(cursor)
            if row is not None:
                label = ask_label(self, Path(self._directory), row.version)
                self.run_worker(label, group="label", exclusive=True)
        elif name == "skip":
            row = self._rows.row(cursor)
            if row is not None:
                self._leave_row(cursor)
                self.post_message(SetAside(row.version))
                self.say(f"Set aside: {cut_left(safe_text(row.path), self.size.width - 20)}", "ok")
        elif name == "copy_path":
            row = self._rows.row(cursor)
            if row is not None:
                self.copy(row.path)
        elif name == "retry_cause":
            key = self._rows.key(cursor)
            if key is not None:
                self._ask_to_retry(key)
        elif name == "filter":
            self.add_class("-filtering")
            self.query_one("#filter-row").display = True
            self.set_focus(self.query_one("#filter"))  # at once: the next letter is typed already
        elif name == "zoom":
            self.toggle_class("-zoomed")
            self.query_one("#document" if self.has_class("-zoomed") else "#rows").focus()
            self.call_after_refresh(self._fit)
        else:
            return False
        return True

    def _leave_row(self, cursor: int) -> None:
        """Put the cursor on a document beside one that is about to leave its group."""
        table = self.query_one(PagedTable)
        beside = next((at for at in (cursor + 1, cursor - 1) if self._rows.row(at) is not None), None)
        if beside is not None:
            table.move_to(beside)

    def _ask_to_retry(self, key: Key) -> None:
        phase, _status, cause = key
        count = self._rows.count(phase, cause)
        all_of_them = documents(count)
        sentences = [f"{all_of_them} ({cause}, in {phase}) will go back to pending and be worked on again."]
        if self._rows.matches is not None:
            hidden = count - sum((row.phase, row.cause) == (phase, cause) for row in self._rows.matches)
            if hidden > 0:
                sentences.append(f"That includes {number(hidden)} which the filter hides.")
        sentences.append(_cost(self.snapshot, count))

        def answered(yes: bool | None) -> None:
            if yes:
                self.post_message(Retry(cause=cause, phase=phase))
                self.say(f"Asked to retry: {all_of_them} ({cause}).", "ok")

        self.app.push_screen(
            Confirm(f"Retry all of this cause: {cause}?", sentences, f"Retry {all_of_them}"), answered
        )

    def _esc_clears_the_filter(self) -> bool:
        return (
            self.has_class("-filtering")
            and not self.has_class("-zoomed")
            and not self.query_one("#document").has_focus
            and not (self.query_one("#filter").has_focus and self._needle)
        )

    def _fit(self) -> None:
        if self.is_here:
            self._show_document(self.query_one(PagedTable).cursor)
            self.repaint()

    def on_resize(self) -> None:
        """Wrap the details to the new width."""
        super().on_resize()
        self.call_after_refresh(self._fit)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as one types."""
        event.stop()
        self._needle = event.value.strip()
        self.run_worker(self._filter(self._needle), group="filter", exclusive=True)

    async def _filter(self, needle: str) -> None:
        await asyncio.sleep(_PREVIEW_AFTER_S)
        if needle:
            await self._match(needle)
        else:
            self._rows.matches = None
        if self.is_here:
            self.query_one(PagedTable).reload()
            self.query_one(PagedTable).move_to(0)
            self.repaint()

    async def _match(self, needle: str, *, anew: bool = False) -> None:
        """Find what holds the text: among the last matches where it only got longer, else in the store."""
        directory, held = Path(self._directory), self._rows.matches
        if not anew and held is not None and self._complete and needle.startswith(self._matched):
            self._rows.matches, self._matched = matching(held, needle), needle
            return
        try:
            matches, complete = await aside(lambda: read_matches(directory, needle))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
            return
        if needle == self._needle:
            self._rows.matches, self._complete, self._matched = matches, complete, needle

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the filter and goes to the list."""
        event.stop()
        self.query_one(PagedTable).focus()

    def back_out(self) -> bool:
        """Esc leaves the zoom, the filter's field, or the details; then it clears the filter."""
        field, table = self.query_one("#filter", TextField), self.query_one(PagedTable)
        if self.has_class("-zoomed"):
            self.perform("zoom")
        elif self._esc_clears_the_filter():
            field.value = ""
            self.remove_class("-filtering")
            self.query_one("#filter-row").display = False
            table.focus()
        elif field.has_focus or self.query_one("#document").has_focus:
            table.focus()
        else:
            return False
        return True


def _cost(snapshot: RunSnapshot, count: int) -> str:
    """What working on some documents again may cost, from what the others have cost so far."""
    if snapshot.spend is None or not snapshot.spend.spent_nano_usd:
        return "No model is paid for here, so this costs nothing."
    done = max(1, snapshot.counts.done)
    about = usd(snapshot.spend.spent_nano_usd * count // done)
    return f"If they get as far as the model, they may cost about {about}, by what the others have cost."
