"""How fast it went: a rate over time, with the phases at work below it on the same axis."""

from __future__ import annotations

from tui_scraper import formatting
from tui_scraper.engine.report.facts import Facts, Pace
from tui_scraper.report_page import charts
from tui_scraper.report_page.html import Content, Html, el, join
from tui_scraper.report_words import pace_sentences, when

_TICKS = 4
_ENDED = {"incomplete": "complete, then reopened"}  # by a rollback or a retry
_MOST_MARKS = 24
"""More runs than this would hide the picture behind their marks."""


def section(facts: Facts) -> Html:
    """The section, wide."""
    pace = facts.pace
    words = [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in pace_sentences(facts)]
    picture = _picture(pace, " ".join(words)) if pace.stretches and pace.seconds > 0 else None
    return el(
        "section",
        el("h2", "How fast it went"),
        el("p", " ".join(words[:-1] or words)),
        picture,
        _runs(pace) if pace.runs else None,
        class_="wide",
    )


def _picture(pace: Pace, words: str) -> Html:
    end = pace.seconds
    through = [(one.start_s, one.start_s + one.seconds, one.through / one.seconds) for one in pace.stretches]
    read = [(one.start_s, one.start_s + one.seconds, one.read / one.seconds) for one in pace.stretches]
    top = charts.nice_top(max(rate for _start, _end, rate in (*through, *read)))
    marks = [run.start_s for run in pace.runs if run.start_s > 0] if pace.run_count <= _MOST_MARKS else []
    scale = [el("span", formatting.rate(top * (4 - at) / 4)) for at in range(5)]
    ticks = [el("span", _moment(end * at / _TICKS, end)) for at in range(_TICKS + 1)]
    return el(
        "figure",
        el(
            "p",
            el("span", "", class_="key area"),
            "documents labelled a second, with those that failed  ",
            el("span", "", class_="key dashed"),
            "read a second",
            el("span", "┆ a run begins", class_="key mark") if marks else None,
            class_="quiet keys",
        ),
        el(
            "div",
            el("div", *scale, class_="scale number quiet"),
            charts.over_time(through, read, end, top, marks, words),
            el("span"),
            *_phases(pace),
            el("span"),
            el("div", *ticks, class_="ticks number quiet"),
            el("span"),
            class_="plot",
        ),
        _as_table(pace),
    )


def _moment(at: float, end: float) -> str:
    """A moment on the axis, so exact that no two are alike."""
    if end < 2 * _TICKS:
        return f"{at:.2f}s" if end < 1 else f"{at:.1f}s"
    return formatting.duration(at) if at else "0s"


def _phases(pace: Pace) -> list[Content]:
    cells: list[Content] = []
    for one in pace.phases:
        took = formatting.duration(one.seconds, spaced=True) if one.spans else "–"
        documents = f"{one.documents:,} documents, " if one.documents else ""
        words = f"{one.phase}: {documents}at work for {took}"
        cells += [
            el("span", one.phase, class_="phase"),
            charts.spans(one.spans, pace.seconds, words),
            el("span", took, class_="number"),
        ]
    return cells


def _as_table(pace: Pace) -> Html:
    """The picture in numbers, for who cannot see it or wants to be exact."""
    rows = [
        el(
            "tr",
            el("td", formatting.clock(one.start_s), class_="number"),
            el("td", f"{one.seconds:.1f} s", class_="number"),
            el("td", f"{one.read:,}", class_="number"),
            el("td", f"{one.through:,}", class_="number"),
            el("td", formatting.rate(one.through / one.seconds), class_="number"),
        )
        for one in pace.stretches
    ]
    heads = [
        el("th", words, scope="col", class_="number") for words in ("from", "for", "read", "labelled", "rate")
    ]
    return el(
        "details",
        el("summary", "The same in numbers"),
        el("div", el("table", el("thead", el("tr", *heads)), el("tbody", *rows)), class_="scrolls"),
    )


def _runs(pace: Pace) -> Html:
    rows = [
        el(
            "tr",
            el("td", f"{run.number}", class_="number"),
            el("td", when(run.started), class_="when"),
            el("td", _ENDED.get(run.state, run.state)),
            el("td", formatting.duration(run.seconds, spaced=True), class_="number"),
            el("td", f"{run.through:,}", class_="number"),
        )
        for run in pace.runs
    ]
    heads = [
        el("th", "run", scope="col", class_="number"),
        el("th", "began", scope="col"),
        el("th", "ended", scope="col"),
        el("th", "took", scope="col", class_="number"),
        el("th", "documents", scope="col", class_="number"),
    ]
    more = pace.run_count - len(pace.runs)
    return join(
        el("div", el("table", el("thead", el("tr", *heads)), el("tbody", *rows)), class_="scrolls"),
        el("p", f"and {more:,} runs before these", class_="quiet") if more else None,
    )
