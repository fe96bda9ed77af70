"""Search: by words while one types, by meaning too on enter; the hits, and the passage of one."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from tui_scraper.actions import Situation
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import SearchHit
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.search.syntax import SYNTAX
from tui_scraper.engine.settings import Settings
from tui_scraper.engine_host import EngineHost
from tui_scraper.formatting import Line, Span, cut, cut_left, number, pad, rule, wrap
from tui_scraper.marking import wrap_marked
from tui_scraper.screens.aside import OneAtATime
from tui_scraper.screens.live import NO_FOLDER, LiveScreen
from tui_scraper.widgets.lines import Lines, ScrollLines
from tui_scraper.widgets.paged_table import PagedTable
from tui_scraper.widgets.text_field import TextField

_HITS = 100
_AFTER_S = 0.15
"""How long nothing has to be typed before the words are looked for."""
_LABEL = 12


class Hits:
    """The rows of the list."""

    def __init__(self) -> None:
        self._hits: Sequence[SearchHit] = ()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._hits)

    def set(self, hits: Sequence[SearchHit]) -> None:
        """Show other hits."""
        self._hits = hits

    def hit(self, index: int) -> SearchHit | None:
        """A row's hit."""
        return self._hits[index] if 0 <= index < len(self._hits) else None

    def line(self, index: int, width: int) -> Line | None:
        """A row fitted to `width` cells."""
        found = self.hit(index)
        if found is None:
            return None
        place = f"#{found.chunk + 1}"
        left = max(4, width - _LABEL - len(place) - 3)
        return (
            Span(f"{pad(cut(found.label or '', _LABEL), _LABEL)} ", "accent"),
            Span(cut_left(found.path, left)),
            Span(f" {place}", "dim"),
        )

    def identity(self, index: int) -> Hashable | None:
        """What a row is."""
        found = self.hit(index)
        return (found.path, found.chunk) if found is not None else None

    def index_of(self, identity: Hashable) -> int | None:
        """Where a hit stands now."""
        return next((at for at in range(len(self)) if self.identity(at) == identity), None)


class SearchScreen(LiveScreen):
    """A query, what it finds, and the passage under the cursor."""

    PLACE = "Search"
    AUTO_FOCUS = "#query"

    def __init__(self, settings: Settings, host: EngineHost) -> None:
        super().__init__("search")
        self._settings = settings
        self._host = host
        self._hits = Hits()
        self._look = OneAtATime()
        self._directory = ""
        self._asked = ""
        self._missing = False
        self._how = ""
        self._notes: Sequence[str] = ()

    def body(self) -> ComposeResult:
        """The field; hits and passage above or beside each other."""
        with Container(id="query-row"):
            yield Lines(id="query-mark")
            yield TextField(id="query", placeholder='words, "a phrase", -without, type:pdf')
        with Container(id="found-row"):
            with Container(id="hits-side"):
                yield Lines(id="hits-rule")
                yield Lines(id="hits-note")
                yield PagedTable(self._hits, id="hits")
            yield Container(id="hits-divider")
            with Container(id="hit-side"):
                yield Lines(id="hit-rule")
                yield ScrollLines(id="hit")

    def paint_body(self) -> None:
        """Forget what was found in another workspace."""
        if self.snapshot.workspace != self._directory:
            self._directory = self.snapshot.workspace
            self._show([])
        self.query_one("#query-mark", Lines).show([(Span(" / ", "key"),)])
        right = f"{number(len(self._hits))} {self._how}" if len(self._hits) else self._how
        width = max(20, self.query_one("#hits-side").size.width)
        self.query_one("#hits-rule", Lines).show([rule("Found", width, right)])
        notes = [(Span(f" {part}", "dim"),) for note in self._notes for part in wrap(note, width - 1)]
        self.query_one("#hits-note", Lines).show(notes)
        width = max(20, self.query_one("#hit-side").size.width)
        self.query_one("#hit-rule", Lines).show([rule("Passage", width)])
        if not len(self._hits):
            self.query_one("#hit", ScrollLines).show(self._nothing())

    def _nothing(self) -> list[Line]:
        if not self._directory:
            return [(Span(" "), *NO_FOLDER)]
        if self._asked:
            return [(Span(" Nothing was found.", "dim"),)]
        lines: list[Line] = [(Span(" Type words: what holds them is found as you type.", "dim"),)]
        if self._settings.index.embeddings == "openai":
            words = " looks for the meaning as well (one small call)."
            lines.append((Span(" enter", "key"), Span(words, "dim")))
        lines += [(Span(f" {typed:<17} ", "key"), Span(what, "dim")) for typed, what in SYNTAX]
        return lines

    # Looking

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look for the words."""
        event.stop()
        self.run_worker(self._find(event.value.strip(), by_meaning=False), group="find", exclusive=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter looks for the meaning as well, and goes to what was found."""
        event.stop()
        self.run_worker(self._find(event.value.strip(), by_meaning=True), group="find", exclusive=True)
        self.query_one(PagedTable).focus()

    async def _find(self, query: str, *, by_meaning: bool) -> None:
        if not by_meaning:
            await asyncio.sleep(_AFTER_S)
        directory = Path(self._directory)
        if not query or not self._directory:
            self._asked = ""
            self._show([])
            return
        self._how = "looking …"
        self.repaint()
        try:
            answer = await self._look(lambda: self._answer(directory, query, by_meaning=by_meaning))
        except TuiScraperError as error:
            self.say(safe_text(str(error)), "bad")
            self._show([])
            return
        if answer is None or not self.is_here or str(directory) != self._directory:
            return
        self._asked, self._missing = query, answer.pending > 0
        how = "by words and meaning" if answer.by_meaning else "by words"
        if answer.pending:
            how += f"; {number(answer.pending)} not indexed yet"
        self._show(answer.hits, how, [safe_text(note) for note in answer.about_words])
        if answer.notice and by_meaning:
            self.say(safe_text(answer.notice))

    def _answer(self, directory: Path, query: str, *, by_meaning: bool) -> Any:
        from tui_scraper.engine.searching import find

        return find(
            directory,
            query,
            k=_HITS,
            may_ask=by_meaning,
            typing=not by_meaning,
            settings=self._settings,
            remote=lambda request: {"vector": self._host.embed(str(request["text"]))},
        )

    def _show(self, hits: Sequence[SearchHit], how: str = "", notes: Sequence[str] = ()) -> None:
        self._hits.set(hits)
        self._how, self._notes = how, notes
        if self.is_here:
            table = self.query_one(PagedTable)
            table.reload()
            table.move_to(0)
            self._show_hit(0)
            self.repaint()

    def on_paged_table_highlighted(self, event: PagedTable.Highlighted) -> None:
        """Show the passage under the cursor."""
        event.stop()
        self._show_hit(event.index)

    def on_paged_table_chosen(self, event: PagedTable.Chosen) -> None:
        """Enter goes to the passage."""
        event.stop()
        self.query_one("#hit").focus()

    def _show_hit(self, index: int) -> None:
        pane = self.query_one("#hit", ScrollLines)
        hit = self._hits.hit(index)
        if hit is None:
            pane.show(self._nothing())
            return
        width = max(20, pane.size.width - 2)
        lines: list[Line] = [(Span(f" {part}", "strong"),) for part in wrap(hit.title, width)]
        about = f"{hit.path} · passage {hit.chunk + 1}, characters {hit.start:,} to {hit.end:,}"
        lines += [(Span(f" {part}", "dim"),) for part in wrap(about, width)]
        lines.append(())
        lines += [(Span(" "), *line) for line in wrap_marked(hit.text, hit.text_marks, width)]
        pane.show(lines)
        pane.scroll_home(animate=False, immediate=True)

    def on_resize(self) -> None:
        """Wrap the passage to the new width."""
        super().on_resize()
        self.call_after_refresh(lambda: self._show_hit(self.query_one(PagedTable).cursor))

    @property
    def path(self) -> str:
        """The document of the hit under the cursor; '' for none."""
        hit = self._hits.hit(self.query_one(PagedTable).cursor) if self.is_here else None
        return hit.path if hit is not None else ""

    def situation(self) -> Situation:
        """Whether there is a hit to open."""
        return replace(super().situation(), document=bool(self.path))

    def on_screen_resume(self) -> None:
        """Look again, where documents were missing from the index the last time."""
        super().on_screen_resume()
        if self._asked and self._missing:
            self.run_worker(self._find(self._asked, by_meaning=False), group="find", exclusive=True)

    def type_query(self) -> None:
        """Put the cursor into the field, the query of before selected. A new screen begins there anyway."""
        if self.is_mounted:
            field = self.query_one("#query", TextField)
            self.set_focus(field)
            field.select_all()

    def perform(self, name: str) -> bool:
        """Type another query; zoom the passage."""
        if name == "filter":
            self.type_query()
        elif name == "zoom":
            self.toggle_class("-zoomed")
            self.query_one("#hit" if self.has_class("-zoomed") else "#hits").focus()
            self.call_after_refresh(self.on_resize)
        else:
            return False
        return True

    def back_out(self) -> bool:
        """Esc leaves the zoom, the passage, or the field."""
        if self.has_class("-zoomed"):
            self.perform("zoom")
        elif self.query_one("#hit").has_focus or (self.query_one("#query").has_focus and len(self._hits)):
            self.query_one(PagedTable).focus()
        else:
            return False
        return True
