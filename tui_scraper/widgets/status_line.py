"""The first line of every screen: which folder, what state, how long gone and how long to come."""

from __future__ import annotations

import posixpath

from tui_scraper.engine.models import RunSnapshot, RunState
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import STATE_SIGNS, Line, Span, clock, cut_left, eta, spread, width_of
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.notice import quiet_for

_MOVING = {RunState.RUNNING, RunState.SCANNING}


def status_line(snapshot: RunSnapshot, width: int, place: str = "") -> Line:
    """One line of at most `width` cells. `place` names a screen other than Run."""
    sign, role = STATE_SIGNS[snapshot.state]
    state: Line = (Span(f"{sign} {snapshot.state.value.upper()}", role),)
    if snapshot.started or snapshot.elapsed_s:
        state = (*state, Span(f" {clock(snapshot.elapsed_s)}"))
    middle = (*state, *_expectation(snapshot))
    left: Line = (Span(" tui-scraper ", "title"),)
    if place:
        left = (*left, Span(f" {place} ", "accent"))
    right: Line = (Span(f"{snapshot.method} ", "dim"),) if snapshot.method else ()
    source = safe_text(snapshot.source)
    name = posixpath.basename(source.rstrip("/")) or source
    room = width - width_of(left) - width_of(middle) - 5
    if room >= 6 and name:
        left = (*left, Span(f" {cut_left(name, min(room, 40))}", "strong"))
    return spread((*left, Span("   "), *middle), right, width)


def _expectation(snapshot: RunSnapshot) -> Line:
    quiet = quiet_for(snapshot)
    if quiet:
        return Span("   "), Span(quiet, "warn")
    if snapshot.state not in _MOVING:
        return ()
    coming = eta(snapshot.eta_s, snapshot.eta_low_s, snapshot.eta_high_s)
    if coming:
        return Span("   done ", "dim"), Span(coming)
    return (Span("   estimating", "dim"),)


class StatusLine(Lines):
    """The first line."""

    def __init__(self, place: str = "", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._place = place

    def paint(self, snapshot: RunSnapshot) -> None:
        """Show a snapshot."""
        self.show([status_line(snapshot, self.size.width, self._place)])
