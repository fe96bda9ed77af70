"""Documents: every one, filtered as one types; one of them whole; labels accepted and changed by hand."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from tui_scraper.actions import Situation
from tui_scraper.document_lines import document_lines
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import DocumentRow, Order, Status
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import Line, Span, number, rule
from tui_scraper.screens.aside import OneAtATime, aside
from tui_scraper.screens.choose_label import ask_label
from tui_scraper.screens.document_rows import (
    DocumentRows,
    View,
    read_all,
    read_details,
    read_first,
    read_page,
    read_version,
)
from tui_scraper.screens.live import NO_FOLDER, LiveScreen
from tui_scraper.screens.relations import Relation, RelationsAside
from tui_scraper.screens.requests import LabelByHand, Retry
from tui_scraper.widgets.key_footer import KeyFooter
from tui_scraper.widgets.lines import Lines, ScrollLines
from tui_scraper.widgets.paged_table import PagedTable
from tui_scraper.widgets.text_field import TextField

if TYPE_CHECKING:
    from tui_scraper.engine.document_details import Catalogue, DocumentDetails
    from tui_scraper.engine.store.catalogue import Rows

_RELOAD_S = 2.0
_SHARE = 20
"""A list that took a second to read is read again after twenty: a twentieth of a core for it at most."""
_SETTLED_S = 0.1
_AROUND = 100
_FILTERS = "path, label or status; label:tax  <60  is:duplicate"
_ORDERS = tuple(Order)
_FIRST = {Order.PATH: "by path", Order.LEAST_SURE: "least sure first", Order.LARGEST: "largest first"}


class DocumentsScreen(LiveScreen):
    """Every document."""

    PLACE = "Documents"
    AUTO_FOCUS = "#documents"

    def __init__(self) -> None:
        super().__init__("documents")
        self._rows = DocumentRows()
        self._view = View()
        self._directory = ""
        self._seen: object = None
        self._due = 0.0
        self._reading = False
        self._look = OneAtATime()
        self._pages: set[int] = set()
        self._shown: DocumentRow | None = None
        self._details: DocumentDetails | None = None
        self._wanted: int | None = None
        self._relations = RelationsAside(self, self._related)

    def body(self) -> ComposeResult:
        """List and document, above or beside each other."""
        with Container(id="documents-row"):
            with Container(id="documents-side"):
                yield Lines(id="documents-rule")
                yield PagedTable(self._rows, id="documents")
                with Container(id="documents-field-row"):
                    yield Lines(id="documents-field-mark")
                    yield TextField(id="documents-field", placeholder=_FILTERS)
            yield Container(id="documents-divider")
            with Container(id="one-side"):
                yield Lines(id="one-rule")
                yield ScrollLines(id="one")
        yield Lines(id="no-documents")

    def situation(self) -> Situation:
        """The document under the cursor decides what can be done."""
        base = super().situation()
        if not self.is_here:
            return base
        table = self.query_one(PagedTable)
        row = self._rows.row(table.cursor)
        return replace(
            base,
            document=row is not None,
            labelled=row is not None and bool(row.labels),
            by_hand=row is not None and row.method == "human",
            bad_document=row is not None and row.status not in {Status.DONE, Status.PENDING},
            slid=table.slid,
            filtered=self._esc_clears(),
        )

    # Reading

    def paint_body(self) -> None:
        """Read the list again when the run has got further, but not all the time."""
        if self.snapshot.workspace != self._directory:
            self._directory = self.snapshot.workspace
            self._rows.forget_all()
            self._seen, self._due, self._shown, self._details = None, 0.0, None, None
            self.query_one(PagedTable).reload()
        now = self.snapshot
        seen = (now.counts, now.checkpoint, now.state, now.given)
        if self._directory and seen != self._seen and time.monotonic() >= self._due and not self._reading:
            self._reading = True
            self.run_worker(self._load(seen), group="documents")
        self._paint_frame()

    def _paint_frame(self) -> None:
        empty = not self._rows.total
        filled = self.has_class("-empty") and not empty
        self.set_class(empty, "-empty")
        if filled:  # what was hidden had lost the focus
            self.call_after_refresh(self.query_one(PagedTable).focus)
        if empty:
            self.query_one("#no-documents", Lines).show(self._nothing())
            return
        shown, total = number(len(self._rows)), number(self._rows.total)
        count = f"{shown} of {total}" if self._view.query else total
        right = f"{count}, {_FIRST[self._view.order]}"
        if self._rows.catalogue is None:
            right = f"{total}, reading the others …" if self._view == View() else "reading all of them …"
        width = max(20, self.query_one("#documents-side").size.width)
        self.query_one("#documents-rule", Lines).show([rule("Documents", width, right)])
        self.query_one("#documents-field-mark", Lines).show([(Span(" / ", "key"),)])
        width = max(20, self.query_one("#one-side").size.width)
        self.query_one("#one-rule", Lines).show([rule("Document", width)])

    def _nothing(self) -> list[Line]:
        if not self._directory:
            return [NO_FOLDER]
        if self._seen is None:
            return [(Span("Reading the list …", "dim"),)]
        return [(Span("No document has been found yet. "), Span("1", "key"), Span(" goes to the run."))]

    async def _load(self, seen: object) -> None:
        directory = Path(self._directory)
        cost_s = 0.0
        try:
            if self._rows.catalogue is None:
                count, first = await aside(lambda: read_first(directory))
                if not self._is_still(directory):
                    return
                self._rows.begin(count, first)
                self._came()
            catalogue, cost_s = await aside(lambda: read_all(directory))
            while True:  # what is typed meanwhile counts
                view = self._view
                shown = await aside(lambda: view.of(catalogue))  # noqa: B023
                if view == self._view:
                    break
            top = self.query_one(PagedTable).scroll_offset.y if self.is_here else 0
            seen_now = catalogue.versions[shown[max(0, top - _AROUND) : top + _AROUND]].tolist()
            rows = await aside(lambda: read_page(directory, seen_now))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
            return
        finally:
            self._reading = False
            self._due = time.monotonic() + max(_RELOAD_S, _SHARE * cost_s)
        if self._is_still(directory):
            self._seen = seen
            self._set(catalogue, shown)
            self._rows.put(seen_now, rows)  # so that nothing in view flickers
            self._came()

    def _set(self, catalogue: Catalogue, shown: Rows) -> None:
        self._rows.set(catalogue, shown)
        if self._rows.lacks_copies(self._view):
            self._want(Relation.DUPLICATES)
        if not len(shown):
            self._shown = self._details = None
            self._show_document(top=True)

    def _is_still(self, directory: Path) -> bool:
        return self.is_here and str(directory) == self._directory

    def _came(self) -> None:
        self.query_one(PagedTable).reload()
        self._go_to_wanted()
        self.repaint()

    async def _show_view(self, view: View, *, top: bool) -> None:
        """Filter and order what is there; before it is read, `_load` will."""
        self._view = view
        catalogue, directory = self._rows.catalogue, Path(self._directory)
        if catalogue is not None:
            shown = await self._look(lambda: view.of(catalogue))
            if shown is None or not self._is_still(directory) or catalogue is not self._rows.catalogue:
                return
            self._set(catalogue, shown)
            table = self.query_one(PagedTable)
            table.reload()
            if top:
                table.move_to(0)
            self._go_to_wanted()
        self.repaint()

    def on_paged_table_wanted(self, event: PagedTable.Wanted) -> None:
        """Read the rows around one that has to be drawn."""
        event.stop()
        missing = [version for version in self._rows.missing(event.index) if version not in self._pages]
        if missing:
            self._pages.update(missing)
            self.run_worker(self._read(missing), group="pages")

    async def _read(self, versions: list[int]) -> None:
        directory = Path(self._directory)
        try:
            rows = await aside(lambda: read_page(directory, versions))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
            return
        finally:
            self._pages.difference_update(versions)
        if self._is_still(directory):
            self._rows.put(versions, rows)
            self.query_one(PagedTable).rows_came()

    # One document

    def on_paged_table_highlighted(self, event: PagedTable.Highlighted) -> None:
        """Show the document under the cursor."""
        event.stop()
        row, version = self._rows.row(event.index), self._rows.version(event.index)
        waits = row is None and self._shown is not None and self._shown.version == version
        if row != self._shown and not waits:
            if row is None or self._shown is None or row.version != self._shown.version:
                self._details = None
            self._shown = row
            if row is not None:
                self.run_worker(self._read_details(row.version), group="details", exclusive=True)
            self._show_document(top=self._details is None)
        self.query_one(KeyFooter).paint(self.situation())

    async def _read_details(self, version: int) -> None:
        await asyncio.sleep(_SETTLED_S)  # while a key repeats, nothing is read
        directory = Path(self._directory)
        try:
            found = await aside(lambda: read_details(directory, version))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
            return
        if self._is_still(directory) and self._shown is not None and self._shown.version == version:
            self._details = found
            if found is not None and not found.compared:
                self._want(Relation.DUPLICATES)
            if found is not None and found.neighbours is None:
                self._want(Relation.GRAPH)
            self._show_document(top=False)

    def _want(self, what: Relation) -> None:
        self._relations.want(what, self.snapshot, self._rows.total)

    def _related(self, directory: Path, what: Relation) -> None:
        """Something more is known of how documents relate."""
        if not self._is_still(directory):
            return
        if what is Relation.DUPLICATES:  # the list can be filtered by it now
            self._seen, self._due = None, 0.0
            self.repaint()
        if self._shown is not None:
            read: Any = partial(self._read_details, self._shown.version)  # not begun where the app is closing
            self.run_worker(read, group="details", exclusive=True)

    def _show_document(self, *, top: bool) -> None:
        pane = self.query_one("#one", ScrollLines)
        if self._details is not None:
            width, why = max(20, pane.size.width - 1), self._relations.why
            pane.show(document_lines(self._details, width, why[Relation.GRAPH], why[Relation.DUPLICATES]))
        elif self._shown is not None:
            pane.show([(Span(f" {self._shown.path}", "strong"),), (Span(" reading …", "dim"),)])
        else:
            nothing = self._relations.nothing(asked=self._rows.lacks_copies(self._view))
            pane.show([(Span(f" {nothing}", "dim"),)] if not len(self._rows) else [])
        if top:
            pane.scroll_home(animate=False, immediate=True)

    def on_paged_table_chosen(self, event: PagedTable.Chosen) -> None:
        """Enter goes to the document."""
        event.stop()
        self.query_one("#one").focus()

    def find(self, path: str, directory: Path) -> None:
        """Put the cursor on a document, once the list is read: this screen may not know its workspace yet."""
        self.run_worker(self._find(path, directory), group="find", exclusive=True)

    async def _find(self, path: str, directory: Path) -> None:
        try:
            self._wanted = await aside(lambda: read_version(directory, path))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
        self._go_to_wanted()

    def _go_to_wanted(self) -> None:
        """The filter gives way where it hides what is wanted."""
        if self._wanted is None or self._rows.catalogue is None or not self.is_here:
            return
        index = self._rows.index_of(self._wanted)
        if index is not None:
            self._wanted = None
            table = self.query_one(PagedTable)
            table.move_to(index)
            table.focus()
        elif self._view.query:
            self.query_one("#documents-field", TextField).value = ""
            self.query_one("#documents-field-row").display = False

    # Labels by hand

    def labelled(self, version: int) -> None:
        """A label was given or taken away: its rows read otherwise now."""
        self._rows.forget(version)
        self._due = 0.0
        if self.is_here:
            table = self.query_one(PagedTable)
            table.refresh()
            if self._shown is not None and self._shown.version == version:
                self.run_worker(self._read_details(version), group="details", exclusive=True)

    # Actions

    def perform(self, name: str) -> bool:
        """Filter, order, zoom, accept or change the label."""
        table = self.query_one(PagedTable)
        row = self._rows.row(table.cursor)
        if name == "filter":
            self.query_one("#documents-field-row").display = True
            self.set_focus(self.query_one("#documents-field"))  # at once: the next letter is typed already
        elif name == "order":
            following = _ORDERS[(_ORDERS.index(self._view.order) + 1) % len(_ORDERS)]
            self._change(View(self._view.query, following), top=True)
        elif name == "zoom":
            self.toggle_class("-zoomed")
            self.query_one("#one" if self.has_class("-zoomed") else "#documents").focus()
            self.call_after_refresh(self._fit)
        elif name == "copy_path" and row is not None:
            self.copy(row.path)
        elif name == "retry" and row is not None:
            self.post_message(Retry(version=row.version))
        elif name == "accept" and row is not None:
            self.post_message(LabelByHand(row.version, row.labels, row.labels))
            table.action_move(1)
        elif name == "set_label" and row is not None:
            label = ask_label(self, Path(self._directory), row.version)
            self.run_worker(label, group="label", exclusive=True)
        else:
            return False
        return True

    def _change(self, view: View, *, top: bool) -> None:
        self.run_worker(self._show_view(view, top=top), group="view", exclusive=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as one types."""
        event.stop()
        query = event.value.strip()
        self._change(View(query, self._view.order), top=bool(query))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the filter and goes to the list."""
        event.stop()
        self.query_one(PagedTable).focus()

    def _esc_clears(self) -> bool:
        return (
            self.query_one("#documents-field-row").display
            and not self.has_class("-zoomed")
            and not self.query_one("#one").has_focus
            and not (self.query_one("#documents-field").has_focus and bool(self._view.query))
        )

    def _fit(self) -> None:
        if self.is_here:
            self._show_document(top=False)
            self.repaint()

    def on_resize(self) -> None:
        """Wrap the document to the new width."""
        super().on_resize()
        self.call_after_refresh(self._fit)

    def back_out(self) -> bool:
        """Esc leaves the zoom, the field, or the document; then it clears the filter."""
        field, table = self.query_one("#documents-field", TextField), self.query_one(PagedTable)
        if self.has_class("-zoomed"):
            self.perform("zoom")
        elif self._esc_clears():
            field.value = ""
            self.query_one("#documents-field-row").display = False
            table.focus()
        elif field.has_focus or self.query_one("#one").has_focus:
            table.focus()
        else:
            return False
        return True
