"""The first line of every screen: which folder, what state, how long gone and how long to come."""

from __future__ import annotations

import posixpath

from tui_scraper.engine.models import RunSnapshot, RunState
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import STATE_SIGNS, Line, Span, clock, cut_left, eta, number, spread, width_of
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.notice import is_complete, quiet_for

_MOVING = {RunState.RUNNING, RunState.SCANNING}


def status_line(snapshot: RunSnapshot, width: int, place: str = "") -> Line:
    """One line of at most `width` cells. `place` names a screen other than Run."""
    shown = RunState.COMPLETE if is_complete(snapshot) else snapshot.state
    sign, role = STATE_SIGNS[shown]
    state: Line = (Span(f"{sign} {shown.value.upper()}", role),)
    if snapshot.started or snapshot.elapsed_s:
        state = (*state, Span(f" {clock(snapshot.elapsed_s)}"))
    left: Line = (Span(" tui-scraper ", "title"),)
    if place:
        left = (*left, Span(f" {place} ", "accent"))
    middle = (*state, *_expectation(snapshot))
    if width_of(left) + 3 + width_of(middle) > width:
        middle = (*state, *_expectation(snapshot, ranged=False))
    right: Line = (Span(f"{snapshot.method} ", "dim"),) if snapshot.method else ()
    source = safe_text(snapshot.source)
    name = posixpath.basename(source.rstrip("/")) or source
    room = width - width_of(left) - width_of(middle) - 5
    if room >= 6 and name:
        left = (*left, Span(f" {cut_left(name, min(room, 40))}", "strong"))
    return spread((*left, Span("   "), *middle), right, width)


def _expectation(snapshot: RunSnapshot, *, ranged: bool = True) -> Line:
    quiet = quiet_for(snapshot)
    if quiet:
        return Span("   "), Span(quiet, "warn")
    if snapshot.state is RunState.STOPPED and snapshot.counts.found and not is_complete(snapshot):
        pending = snapshot.counts.pending
        return (Span(f"   {number(pending)} pending" if pending else "   nothing pending", "dim"),)
    if snapshot.state not in _MOVING:
        return ()
    low_high = (snapshot.eta_low_s, snapshot.eta_high_s) if ranged else (None, None)
    coming = eta(snapshot.eta_s, *low_high)
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
