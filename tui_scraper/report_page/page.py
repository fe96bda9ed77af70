"""The page: what matters first, then one section after another, each of the same facts as the terminal's."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from importlib import resources

from tui_scraper import formatting
from tui_scraper.engine.models import Status
from tui_scraper.engine.report.facts import UNSURE, Facts
from tui_scraper.engine.runlog import rfc3339
from tui_scraper.report_page import charts, sections
from tui_scraper.report_page.html import Html, el
from tui_scraper.report_words import by_status, headline, share, when

BEGINNING = '<!DOCTYPE html>\n<html lang="en" data-made-by="tui-scraper report">'
"""How each of our pages begins, which is how we know that we may replace one."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Nothing is loaded and nothing runs, whatever is in a name: https://www.w3.org/TR/CSP3/"""
_SIGNS = {kept: formatting.STATUS_SIGNS[kept][0] for kept in Status}
_STATES = {
    "complete": "✓", "running": "▶", "paused": "‖", "stopped": "■", "failed": "✗", "interrupted": "■",
    "incomplete": "·", "new": "·",
}  # fmt: skip


def page(facts: Facts) -> Iterator[str]:
    """The lines of the page."""
    source = facts.status.source.rstrip("/").rpartition("/")[2] or facts.status.source or "nothing yet"
    yield BEGINNING
    yield el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>'),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"{source} · report of tui-scraper"),
        Html(f"<style>{_style()}</style>"),
    )
    yield "<body>"
    yield charts.patterns()
    yield _header(facts, source)
    yield el("main", _first(facts), *(section for section in sections.all_of(facts) if section))
    yield _footer(facts)
    yield "</body></html>"


def _style() -> str:
    return resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")


def _header(facts: Facts, source: str) -> Html:
    status = facts.status
    made = el("time", when(facts.made), datetime=rfc3339(facts.made))
    return el(
        "header",
        el("p", "tui-scraper report", class_="eyebrow"),
        el("h1", sections.name(source, 80)),
        el(
            "p",
            el(
                "span",
                f"{_STATES.get(status.state, '·')} {status.state}",
                class_=f"state {_word(status.state)}",
            ),
            Html(" "),
            el("span", "as of ", made, class_="quiet"),
        ),
        el("p", sections.name(status.source), class_="quiet path"),
    )


def _sign(state: str) -> str:
    return _STATES.get(state, "·")


def _word(state: str) -> str:
    return state if state in _STATES else "new"


def _first(facts: Facts) -> Html:
    """How it stands, to be seen in three seconds."""
    counts = facts.status.counts
    states = by_status(counts)
    legend = [
        el(
            "li",
            el("span", _SIGNS[status], class_=f"sign {status}", aria_hidden="true"),
            el("b", f"{n:,}"),
            Html(" "),
            f"{status} ",
            el("span", share(n, counts.found), class_="quiet"),
            class_=f"{status}" if n else "none",
        )
        for status, n in states
        if n or status in {Status.DONE, Status.FAILED}
    ]
    picture = charts.parts([(str(status), n) for status, n in states], headline(facts))
    return el(
        "section",
        el("p", headline(facts), class_="headline"),
        picture if counts.found else None,
        el("ul", *legend, class_="legend") if counts.found else None,
        el("div", *_tiles(facts), class_="tiles"),
        class_="first",
    )


def _tiles(facts: Facts) -> Iterator[Html]:
    counts, found, labels, pace = facts.status.counts, facts.found, facts.labels, facts.pace
    inside = formatting.inside(counts)
    yield _tile("found", f"{counts.found:,}", inside or f"{formatting.size(found.size_bytes)} in files")
    if labels.documents:
        limit = formatting.percent(UNSURE)
        yield _tile("labelled", f"{labels.documents:,}", f"{labels.unsure:,} less than {limit} sure")
    if facts.spent.models:
        cap = facts.spent.budget_nano_usd
        of = f"of {formatting.usd(cap)}" if cap is not None else "in all"
        yield _tile("paid", formatting.usd(facts.spent.cost_nano_usd), of)
    else:
        yield _tile("paid", "$0.00", "no model was asked")
    if pace.rate is not None:
        took = formatting.duration(pace.seconds, spaced=True)
        yield _tile("worked", took, f"{formatting.rate(pace.rate)} on average")
    exact = facts.copies.exact
    if exact.count:
        yield _tile("copies", f"{exact.extra:,}", f"{formatting.size(exact.extra_bytes)} in them")


def _tile(title: str, value: str, words: str) -> Html:
    return el(
        "div",
        el("span", title, class_="eyebrow"),
        el("b", value),
        el("span", words, class_="quiet"),
        class_="tile",
    )


def _footer(facts: Facts) -> Html:
    zone = datetime.datetime.fromtimestamp(facts.made).astimezone().strftime("%Z") or "local time"
    return el(
        "footer",
        el(
            "p",
            "Made from the workspace ",
            sections.name(facts.status.workspace),
            f". Times are in {zone}. ",
            "Nothing in this page is loaded from elsewhere. ",
            "The same as data: ",
            el("code", "tui-scraper report --json"),
            ".",
        ),
    )
