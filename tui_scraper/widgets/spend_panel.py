"""What a model is paid, and what limits its pace: shown where one is asked."""

from __future__ import annotations

from tui_scraper.engine.models import RunSnapshot, Spend
from tui_scraper.formatting import Line, Span, bar, number, rule, usd, width_of
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.pace import Pace

HELD_UP_BY = {
    "requests": "requests per minute",
    "tokens": "tokens per minute",
    "concurrency": "calls in flight at a time",
    "pause": "a pause the endpoint asked for",
}
"""What a call waits for (`Spend.bottleneck`), in words."""

_METER = 10


def spend_lines(
    snapshot: RunSnapshot, pace: Pace, width: int, *, tight: bool = False, plain_track: bool = False
) -> list[Line]:
    """Heading, money, pace; `tight`: the money alone. None where nobody is asked."""
    spend = snapshot.spend
    if spend is None:
        return []
    money = _fitting(_money(spend, pace, plain_track=plain_track), width)
    if tight:
        return [money]
    held = HELD_UP_BY.get(spend.bottleneck, "")
    right = f"held up by {held}" if held else ""
    return [rule("Spend", width, right), money, _fitting(_pace(spend), width)]


def _money(spend: Spend, pace: Pace, *, plain_track: bool) -> list[Line]:
    filled, rest = bar(spend.spent_nano_usd, spend.budget_nano_usd, _METER)
    budget = usd(spend.budget_nano_usd)
    parts: list[Line] = [
        (
            Span(f"{usd(spend.spent_nano_usd):>8}", "strong"), Span(f" of {budget} "), Span(filled, "bar"),
            Span("·" * len(rest) if plain_track else rest, "track"),
        )
    ]  # fmt: skip
    projected = pace.projected_nano_usd
    if projected is not None:
        over = projected > spend.budget_nano_usd
        shown = f"→ ~{usd(round(projected))}{' !' if over else ''}"
        parts.append((Span(f"{shown:<11}", "warn" if over else ""),))
    each = pace.each_tokens
    if each is not None:
        parts.append((Span(f"{round(each):>4,} tok/doc"),))
    if spend.taken_over:
        saved = pace.saved_nano_usd
        worth = f" (saved ~{usd(round(saved))})" if saved else ""
        parts.append((Span("cached ", "dim"), Span(f"{number(spend.taken_over)}{worth}")))
    return parts


def _pace(spend: Spend) -> list[Line]:
    used = number(spend.requests_used)
    if spend.requests_per_min:
        requests = f"{used:>6}/{number(round(spend.requests_per_min))} per min"
    else:
        requests = f"{used:>6} per min"
    if spend.tokens_per_min:
        tokens = f"{spend.tokens_used / spend.tokens_per_min:>4.0%} of {number(round(spend.tokens_per_min))}"
    else:
        tokens = f"{number(spend.tokens_used):>7} per min"
    parts: list[Line] = [
        (Span("requests", "dim"), Span(requests)),
        (Span("tokens ", "dim"), Span(tokens)),
        (Span("in flight ", "dim"), Span(f"{spend.in_flight:>2}")),
    ]
    if spend.throttled:
        parts.append((Span("429s ", "dim"), Span(number(spend.throttled), "warn")))
    if spend.stand_ins:
        parts.append((Span("labelled here instead ", "dim"), Span(number(spend.stand_ins), "warn")))
    if spend.open_nano_usd and not spend.in_flight:  # while calls are under way it is theirs
        parts.append((Span("unanswered at most ", "dim"), Span(usd(spend.open_nano_usd))))
    return parts


def _fitting(parts: list[Line], width: int) -> Line:
    """The parts that fit, from the left."""
    spans: list[Span] = []
    for part in parts:
        more = [Span("   " if spans else " "), *part]
        if width_of(spans) + width_of(more) > width:
            break
        spans += more
    return tuple(spans)


class SpendPanel(Lines):
    """The Spend panel; it takes no room where nobody is asked."""

    def paint(self, snapshot: RunSnapshot, pace: Pace, *, tight: bool) -> None:
        """Show a snapshot."""
        plain = self.app.native_ansi_color
        width = self.size.width or self.screen.size.width
        self.show(spend_lines(snapshot, pace, width, tight=tight, plain_track=plain))
