"""The one thing a person should see first: an error, why the run waits, or where the result is."""

from __future__ import annotations

from tui_scraper.engine.models import RunSnapshot, RunState
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import Line, Role, Span, cut_left, number, wrap
from tui_scraper.widgets.lines import Lines

_MOST = 3
_QUIET_AFTER_S = 15.0


def notice_lines(snapshot: RunSnapshot, error: str, width: int) -> list[Line]:
    """At most three lines; none when there is nothing to say."""
    if error:
        return sentence_lines("✗", error, "bad", width)
    lines = sentence_lines("!", snapshot.notice, "warn", width) if snapshot.notice else []
    if is_complete(snapshot):
        lines += _result(snapshot, width)
    return lines[:_MOST]


def is_complete(snapshot: RunSnapshot) -> bool:
    """Whether all is done and exported: by a run that came to its end, or because a rollback was undone."""
    if snapshot.state is RunState.STOPPED and snapshot.counts.found and not snapshot.counts.pending:
        return bool(snapshot.export_dir) and snapshot.phases[-1].complete
    return snapshot.state in {RunState.COMPLETE, RunState.WATCHING}


def sentence_lines(sign: str, sentence: str, role: Role, width: int) -> list[Line]:
    """A sentence with a sign before it, wrapped."""
    parts = wrap(safe_text(sentence), max(10, width - 4))[:_MOST]
    return [
        (Span(f" {sign if not index else ' '} ", role), Span(part, role)) for index, part in enumerate(parts)
    ]


def _result(snapshot: RunSnapshot, width: int) -> list[Line]:
    counts = snapshot.counts
    bad = [(counts.failed, "failed"), (counts.skipped, "skipped"), (counts.empty, "empty")]
    said = ", ".join(f"{number(count)} {word}" for count, word in bad if count)
    lines: list[Line] = []
    if snapshot.export_dir:
        where = cut_left(safe_text(snapshot.export_dir), max(10, width - 16))
        lines.append((Span(" ✓ ", "ok"), Span("exported to "), Span(where, "strong")))
    if said:
        lines.append(
            (Span(" ! ", "warn"), Span(f"{said}; "), Span("f", "key"), Span(" shows why")),
        )
    return lines


def quiet_for(snapshot: RunSnapshot) -> str:
    """`no progress for 42 s`; '' while documents come through or nothing is worked on."""
    if snapshot.state not in {RunState.RUNNING, RunState.SCANNING} or snapshot.idle_s < _QUIET_AFTER_S:
        return ""
    return f"no progress for {int(snapshot.idle_s)} s"


class Notice(Lines):
    """The notice; it takes no room when there is none."""

    def paint(self, snapshot: RunSnapshot, error: str) -> None:
        """Show a snapshot."""
        self.show(notice_lines(snapshot, error, self.size.width or self.screen.size.width))
