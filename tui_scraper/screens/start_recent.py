"""The recent workspaces on the Start screen: one line each, with what one needs to know to choose."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable
from pathlib import Path

from textual.message import Message

from tui_scraper.engine.recent import RecentWorkspace
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import Line, Role, Span, ago, cut, cut_left, number, pad, usd, width_of
from tui_scraper.widgets.paged_table import PagedTable

_LEAST_NAME, _MOST_NAME, _AGO = 16, 48, 8


class RecentRows:
    """The workspaces that the list shows."""

    def __init__(self) -> None:
        self.all: list[RecentWorkspace] = []
        self.gone: set[Path] = set()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.all)

    def line(self, index: int, width: int) -> Line:
        """Source folder, when it was last used, state, and money where some was spent."""
        one = self.all[index]
        name_width = max(_LEAST_NAME, min(_MOST_NAME, width * 2 // 5))
        name = pad(cut_left(_name(one), name_width), name_width)
        text, role = workspace_state(one, gone=one.directory in self.gone)
        money: Line = (Span(f"  {usd(one.cost_nano_usd)}"),) if one.cost_nano_usd else ()
        before: Line = (
            Span(f" {name}  "),
            Span(f"{ago(max(0.0, time.time() - one.used)):>{_AGO}}  ", "dim"),
        )
        room = width - width_of(before) - width_of(money)
        return (*before, Span(cut(text, room), role), *money)

    def identity(self, index: int) -> Hashable | None:
        """The directory."""
        return self.all[index].directory if index < len(self.all) else None

    def index_of(self, identity: Hashable) -> int | None:
        """Where a workspace stands now."""
        return next((at for at, one in enumerate(self.all) if one.directory == identity), None)


def workspace_state(one: RecentWorkspace, *, gone: bool) -> tuple[str, Role]:
    """What a workspace waits for, as sign and words."""
    counts = one.counts
    if one.trouble:
        return f"✗ {one.trouble.removeprefix(f'{safe_text(str(one.directory))}').lstrip('/: ')}", "bad"
    if one.holder.startswith(f"process {os.getpid()} on "):
        return "▶ open here", "accent"
    if one.holder:
        return f"▶ {one.holder} is working in it", "accent"
    if gone:
        return "✗ its folder is not there", "bad"
    if one.source is None or not counts.found:
        return "· nothing found yet", "dim"
    if counts.pending:
        return f"· {number(counts.pending)} of {number(counts.found)} pending", ""
    if counts.failed:
        return f"✓ complete, ✗ {number(counts.failed)} failed", "ok"
    return "✓ complete", "ok"


def _name(one: RecentWorkspace) -> str:
    """The source folder, or what else a person may know it by, with `~` for their home."""
    text = safe_text(str(one.source or one.directory))
    home = safe_text(os.path.expanduser("~")).rstrip("/")
    return f"~{text[len(home) :]}" if home and text.startswith(f"{home}/") else text


class RecentList(PagedTable):
    """The list. Its cursor is there only while it has the focus."""

    SHOWS_CURSOR = False

    class Moved(Message):
        """The person has moved the cursor to a workspace."""

    class Left(Message):
        """They have moved up from the first one."""

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide it."""
        self.refresh()

    def action_move(self, rows: int) -> None:
        """Move the cursor; up from the first row leaves the list."""
        if rows < 0 and not self.cursor:
            self.post_message(self.Left())
            return
        super().action_move(rows)
        self.post_message(self.Moved())

    def action_page(self, pages: int) -> None:
        """Move the cursor by windows."""
        super().action_page(pages)
        self.post_message(self.Moved())

    def action_edge(self, end: int) -> None:
        """Move the cursor to the first or last row."""
        super().action_edge(end)
        self.post_message(self.Moved())
