"""The rows of the Settings screen: themes with their colours, how often it paints, and limits of the run."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui_scraper.engine.limits import LIMITS, limits_of
from tui_scraper.engine.models import RunSnapshot
from tui_scraper.engine.settings import Settings
from tui_scraper.formatting import Line, Span, cut, pad, rule
from tui_scraper.telling import limit_rows
from tui_scraper.theming import SWATCH, KnownTheme, swatch
from tui_scraper.widgets.paged_table import PagedTable

REFRESH, THEME = "ui.refresh_hz", "ui.theme"
NO_COLOR = "NO_COLOR is set, so the terminal's own colours are used."
NO_RUN = "No folder is open yet, so there is no run to limit. Press o to open one."
_NAMES, _VALUES, _SWATCH = 18, 14, 2 * SWATCH
_LASTING = "in tui-scraper.toml makes it last."


@dataclass(frozen=True, slots=True)
class Entry:
    """A row. `key` is the name of a theme, or `section.key` of a setting with its value as it is `typed`.

    `why_not` says why it cannot be chosen or changed now, `hint` what choosing it does.
    """

    kind: Literal["heading", "theme", "setting"]
    key: str
    name: str
    value: str = ""
    more: str = ""
    sign: str = ""
    typed: str = ""
    why_not: str = ""
    hint: str = ""
    colors: tuple[Color, ...] = ()

    def line(self, width: int) -> Line:
        """The row, fitted to `width` cells."""
        if self.kind == "heading":
            return rule(self.name, width, self.more)
        values = _SWATCH if self.kind == "theme" else _VALUES
        start = f"{self.sign or ' '} {pad(self.name, _NAMES)} "
        value = pad(self.value, values)
        room = max(0, width - len(start) - values - 2)
        return (
            Span(start, "dim" if self.why_not else ""),
            Span(value, "dim" if self.why_not else "strong"),
            Span("  "),
            Span(cut(self.more, room), "dim"),
        )


class SettingRows:
    """The rows of the table."""

    def __init__(self) -> None:
        self.entries: tuple[Entry, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def line(self, index: int, width: int) -> Line:
        """A row fitted to `width` cells."""
        return self.entries[index].line(width)

    def identity(self, index: int) -> Hashable | None:
        """The theme or the setting."""
        return self.entries[index].key if index < len(self.entries) else None

    def index_of(self, identity: Hashable) -> int | None:
        """Where a theme or a setting stands."""
        return next((at for at, entry in enumerate(self.entries) if entry.key == identity), None)


class SettingsTable(PagedTable):
    """The rows, with the colours of each theme; the cursor passes over headings."""

    def __init__(self, rows: SettingRows, *, id: str) -> None:  # noqa: A002
        super().__init__(rows, id=id)
        self._listed = rows

    @property
    def entry(self) -> Entry | None:
        """The row under the cursor."""
        entries = self._listed.entries
        return entries[self.cursor] if self.cursor < len(entries) else None

    def move_to(self, index: int) -> None:
        """Put the cursor on the nearest row that is no heading, onwards where two are as near."""
        onwards = 1 if index >= self.cursor else -1
        rows = [at for at, entry in enumerate(self._listed.entries) if entry.kind != "heading"]
        if rows:
            super().move_to(min(rows, key=lambda at: (abs(at - index), (index - at) * onwards)))

    def render_line(self, y: int) -> Strip:
        """Draw a row, and the colours of its theme over it."""
        strip = super().render_line(y)
        index = self.scroll_offset.y + y
        entries = self._listed.entries
        if index >= len(entries) or not entries[index].colors:
            return strip
        colors = entries[index].colors
        start, width = 1 + 2 + _NAMES + 1, strip.cell_length
        drawn = Strip([Segment("  ", Style(bgcolor=color)) for color in colors])
        end = start + drawn.cell_length
        return Strip.join([strip.crop(0, start), drawn, strip.crop(end, width)]) if end < width else strip


def entries(
    known: Sequence[KnownTheme],
    settings: Settings,
    snapshot: RunSnapshot,
    *,
    kept: str,
    shown: str,
    no_color: bool,
) -> tuple[Entry, ...]:
    """All rows. `kept` is the theme that was chosen, `shown` the one that is seen now."""
    return (
        Entry("heading", "#screen", "Screen", more="seen as you move" if not no_color else ""),
        *(_theme(one, kept, shown, no_color) for one in known),
        _refresh(settings),
        Entry("heading", "#limits", "Limits of this run", more="apply at once"),
        *_limits(settings, snapshot),
    )


def _theme(one: KnownTheme, kept: str, shown: str, no_color: bool) -> Entry:
    theme = one.theme
    name = theme.name
    parts = ["ansi" if theme.ansi else "dark" if theme.dark else "light"]
    if one.own:
        parts.append("yours")
    if name == kept:
        parts.append("in use" if shown == kept else "in use before")
    elif name == shown:
        parts.append("seen now; enter keeps it")
    elif no_color:
        parts.append("NO_COLOR is set")
    return Entry(
        "theme",
        name,
        name,
        more=" · ".join(parts),
        sign="✓" if name == kept else "",
        why_not=NO_COLOR if no_color and name != kept else "",
        hint=NO_COLOR
        if no_color
        else f'Seen as you move, and kept by enter until you leave. [ui] theme = "{name}" {_LASTING}',
        colors=() if no_color else tuple(swatch(theme)),
    )


def _refresh(settings: Settings) -> Entry:
    hz = f"{settings.ui.refresh_hz:g}"
    hint = f"How often the screen is painted; less on a slow line. [ui] refresh_hz = {hz} {_LASTING}"
    return Entry("setting", REFRESH, "refresh", f"{hz} a second", typed=hz, hint=hint)


def _limits(settings: Settings, snapshot: RunSnapshot) -> list[Entry]:
    now = snapshot
    is_open = now.limits is not None
    if not is_open:
        now = RunSnapshot(limits=limits_of(settings, asks=True))
    found = []
    for row in limit_rows(now):
        section, _, key = row.key.partition(".")
        hint = (
            "Holds at once, until this engine ends; it is not written to the settings file. "
            f"[{section}] {key} {_LASTING}"
        )
        more, why_not = (row.used, row.why_not) if is_open else ("no folder is open", NO_RUN)
        if row.why_not:
            more = "no model is asked in this run"
        found.append(
            Entry("setting", row.key, row.name, row.value, more, typed=row.typed, why_not=why_not, hint=hint)
        )
    assert len(found) == len(LIMITS)
    return found
