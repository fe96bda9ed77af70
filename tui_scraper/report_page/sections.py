"""The sections of the page, one function each; a section without facts says so, or is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from tui_scraper import formatting
from tui_scraper.engine.report.facts import UNSURE, CopyGroups, Facts, Group, Trouble
from tui_scraper.report_page import charts, pace
from tui_scraper.report_page.html import Content, Html, el, join
from tui_scraper.report_words import (
    KINDS,
    copies_sentence,
    history_sentence,
    language_name,
    languages_of,
    maker_words,
    money_sentences,
    share,
    sure_sentence,
    type_name,
    when,
)

_NAME_CHARS = 180
_TYPES, _LABELS, _LANGUAGES = 10, 16, 8
_TENTHS = 10


def all_of(facts: Facts) -> Iterator[Html | None]:
    """The sections, those first in which there is something to do."""
    yield _troubles(facts)
    yield _labels(facts)
    yield pace.section(facts)
    yield _found(facts)
    yield _money(facts)
    yield _copies(facts)
    yield _history(facts)


def name(text: str, limit: int = _NAME_CHARS) -> Html:
    """A name from outside: kept apart from what stands around it, its middle left out where it is long."""
    half = limit // 2
    shown = text if len(text) <= limit else f"{text[: half - 1]}…{text[-half:]}"
    return el("bdi", shown)


def _section(title: str, *contents: Content, wide: bool = False) -> Html:
    return el("section", el("h2", title), *contents, class_="wide" if wide else None)


def _bars(
    head: str,
    rows: Sequence[tuple[Content, Group]],
    whole: int,
    rest: str = "",
    *,
    sizes: bool = False,
) -> Html:
    """A table of groups, each with a bar. `rest` is what the last line calls those that are left out."""
    most = max((group.documents for _name, group in rows), default=0)
    shown: list[Html] = []
    for words, group in rows:
        shown.append(
            el(
                "tr",
                el("th", words, scope="row"),
                el("td", charts.bar(group.documents, most), class_="picture"),
                el("td", f"{group.documents:,}", class_="number"),
                el("td", share(group.documents, whole).strip("()"), class_="number quiet share"),
                el("td", formatting.size(group.size_bytes), class_="number quiet") if sizes else None,
            )
        )
    columns = [head, "", "documents", "share", *(["size"] if sizes else [])]
    kinds = (None, None, "number", "number share", "number")
    heads = [
        el("th", words, scope="col", class_=kinds[at]) if words else el("td")
        for at, words in enumerate(columns)
    ]
    return join(
        el(
            "table",
            el("thead", el("tr", *heads)),
            el("tbody", *shown),
            class_="bars sizes" if sizes else "bars",
        ),
        el("p", rest, class_="quiet") if rest else None,
    )


def _rest(groups: Sequence[Group], most: int, what: str) -> str:
    left = groups[most:]
    if not left:
        return ""
    return f"and {len(left):,} other {what} with {formatting.documents(sum(one.documents for one in left))}"


def _troubles(facts: Facts) -> Html:
    if not facts.troubles:
        words = "Everything that was read got through." if facts.status.counts.found else "Nothing yet."
        return _section("What did not get through", el("p", words), wide=True)
    return _section("What did not get through", *map(_trouble, facts.troubles), wide=True)


def _trouble(one: Trouble) -> Html:
    more = one.documents - len(one.examples)
    examples = [
        el("li", el("span", name(example.path), class_="path"), " ", name(example.message, 300))
        for example in one.examples
    ]
    if more > 0:
        examples.append(el("li", f"and {more:,} more", class_="quiet"))
    sign = formatting.STATUS_SIGNS[one.status][0]
    return el(
        "article",
        el(
            "h3",
            el("span", f"{sign} {one.status}", class_=f"state {one.status}"),
            f" {one.documents:,} · {one.cause} ",
            el("span", f"in {one.phase}", class_="quiet"),
        ),
        el("p", one.what_to_do),
        el("ul", *examples, class_="examples"),
    )


def _labels(facts: Facts) -> Html:
    labels = facts.labels
    if not labels.documents:
        return _section("Labels", el("p", "No document has a label yet."))
    groups = [(name(group.name, 60), group) for group in labels.groups[:_LABELS]]
    rest = _rest(labels.groups, _LABELS, "labels")
    makers = ", ".join(f"{one.documents:,} {maker_words(one)}" for one in labels.makers)
    least = [
        el(
            "li",
            el("b", formatting.percent(one.confidence)),
            " ",
            name(", ".join(one.labels), 60),
            " ",
            el("span", name(one.path), class_="path"),
        )
        for one in labels.least_sure
    ]
    return join(
        _section("Labels", el("p", makers, "."), _bars("label", groups, labels.documents, rest)),
        _section(
            "How sure they are",
            el("p", sure_sentence(labels), "."),
            _confidence(labels.confidence) if any(labels.confidence) else None,
            el("h3", "The least sure") if least else None,
            el("ul", *least, class_="examples") if least else None,
            el("p", "All of them: ", el("code", f"tui-scraper documents --filter '<{UNSURE * 100:.0f}'"))
            if least
            else None,
        ),
    )


def _confidence(tenths: Sequence[int]) -> Html:
    said = "; ".join(f"{at * _TENTHS} to {(at + 1) * _TENTHS} %: {n:,}" for at, n in enumerate(tenths) if n)
    values = [el("span", formatting.compact(n) if n else "", title=f"{n:,}") for n in tenths]
    ticks = [el("span", f"{at * _TENTHS}") for at in range(_TENTHS)]
    return el(
        "figure",
        el("div", *values, class_="ten above"),
        charts.columns(tenths, round(UNSURE * _TENTHS), f"Documents by how sure their label is: {said}."),
        el("div", *ticks, class_="ten"),
        el("figcaption", f"documents, by per cent sure; hatched: less than {UNSURE:.0%}", class_="quiet"),
    )


def _found(facts: Facts) -> Html:
    found = facts.found
    if not facts.status.counts.found:
        return _section("What was found", el("p", "No document yet."))
    types = [(_type(group), group) for group in found.types[:_TYPES]]
    rest = _rest(found.types, _TYPES, "types")
    return join(
        _section(
            "What was found",
            el("p", *_found_words(facts)),
            _bars("media type", types, facts.status.counts.found, rest, sizes=True),
        ),
        _section(
            "Languages and sizes",
            *_languages(facts),
            el("h3", "The largest"),
            _list((one.path, formatting.size(one.size_bytes)) for one in found.biggest),
            *_containers(facts),
        ),
    )


def _type(group: Group) -> Html:
    """A media type, which may be broken at its slash."""
    kind, slash, sub = type_name(group).partition("/")
    return join(kind, slash, Html("<wbr>") if slash else None, sub)


def _found_words(facts: Facts) -> Iterator[str]:
    found, counts = facts.found, facts.status.counts
    files = counts.found - counts.inside
    yield f"{files:,} files with {formatting.size(found.size_bytes)}"
    if counts.inside:
        inside = formatting.size(found.inside_bytes)
        yield f", and {counts.inside:,} documents inside them with {inside} unpacked"
    yield "."
    if facts.status.ignored:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(facts.status.ignored.items()))
        yield f" Besides them, not looked at: {reasons}."


def _languages(facts: Facts) -> Iterator[Content]:
    languages = facts.found.languages
    if not languages.groups:
        return
    rows = [(language_name(group), group) for group in languages.groups[:_LANGUAGES]]
    rest = _rest(languages.groups, _LANGUAGES, "languages")
    yield el("p", f"Languages {languages_of(languages)}.")
    yield _bars("language", rows, languages.looked_at, rest)


def _containers(facts: Facts) -> Iterator[Content]:
    found = facts.found
    several = [one for one in found.containers if one.documents > 1]
    if not found.container_count:
        return
    opened = f"{found.container_count:,} archives, mails and compressed files were opened"
    yield el("h3", "1 archive, mail or compressed file was opened" if found.container_count == 1 else opened)
    yield _list((one.name, f"{one.documents:,} inside, {formatting.size(one.size_bytes)}") for one in several)


def _list(rows: Iterable[tuple[str, str]]) -> Html | None:
    items = [el("li", el("b", value), " ", el("span", name(path), class_="path")) for path, value in rows]
    return el("ul", *items, class_="examples") if items else None


def _money(facts: Facts) -> Html:
    spent = facts.spent
    sentences = [el("li", _sentence(words)) for words in money_sentences(spent)]
    rows = [
        [
            KINDS.get(one.kind, one.kind),
            join(name(one.model, 60), " ", el("span", name(one.endpoint, 60), class_="quiet")),
            f"{one.calls:,}" + (f" + {one.unanswered:,} unanswered" if one.unanswered else ""),
            f"{one.tokens_in:,}",
            f"{one.tokens_out:,}",
            formatting.usd(one.cost_nano_usd),
        ]
        for one in spent.models
    ]
    heads = ("for", "model", "calls", "tokens in", "out", "paid")
    return _section(
        "What was paid",
        _budget(facts),
        el("ul", *sentences, class_="plain"),
        table(heads, rows, numbers=4) if rows else None,
        el("p", "Every call: ", el("code", "tui-scraper audit")) if rows else None,
    )


def _budget(facts: Facts) -> Html | None:
    cap, paid = facts.spent.budget_nano_usd, facts.spent.cost_nano_usd
    if not cap or not facts.spent.models:
        return None
    words = f"{formatting.usd(paid)} of {formatting.usd(cap)} ({formatting.percent(paid / cap)})"
    return el("div", charts.bar(paid, max(cap, paid)), el("span", words, class_="number"), class_="meter")


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def table(heads: Sequence[str], rows: Sequence[Sequence[Content]], numbers: int) -> Html:
    """A plain table, whose last `numbers` columns are numbers."""
    first = len(heads) - numbers

    def kind(at: int) -> str | None:
        return "number" if at >= first else None

    head = [el("th", words, scope="col", class_=kind(at)) for at, words in enumerate(heads)]
    body = [el("tr", *(el("td", cell, class_=kind(at)) for at, cell in enumerate(row))) for row in rows]
    return el("div", el("table", el("thead", el("tr", *head)), el("tbody", *body)), class_="scrolls")


def _copies(facts: Facts) -> Html:
    near = facts.copies.near
    return _section(
        "Copies",
        _copy_groups(facts.copies.exact, "the same bytes"),
        _copy_groups(near, "nearly the same text") if near is not None else None,
    )


def _copy_groups(found: CopyGroups, what: str) -> Html:
    items = [
        el(
            "li",
            el("b", f"{one.documents:,} × {formatting.size(one.size_bytes)}"),
            " ",
            join(*(el("span", name(path), class_="path block") for path in one.paths)),
            el("span", f"and {one.documents - len(one.paths):,} more", class_="quiet")
            if one.documents > len(one.paths)
            else None,
        )
        for one in found.worst
    ]
    return join(
        el("p", _sentence(copies_sentence(found, what))),
        el("ul", *items, class_="examples") if items else None,
    )


def _history(facts: Facts) -> Html:
    history = facts.history
    moves = [(f"checkpoint {move.to}" if move.to else "the beginning", move) for move in history.moves]
    named = [
        el("li", el("b", f"{one.checkpoint}"), " ", name(one.name, 100), f" · {one.phase}, {when(one.time)}")
        for one in history.named
    ]
    parts: list[tuple[str, Callable[[], Content]]] = [
        ("The last moves of the head", lambda: el(
            "ul",
            *(el("li", f"{when(move.time)} ", name(move.why, 120), f" → {to}") for to, move in moves),
            class_="plain",
        ) if moves else None),
        ("Named", lambda: el("ul", *named, class_="plain") if named else None),
    ]  # fmt: skip
    shown: list[Content] = []
    for title, made in parts:
        content = made()
        if content is not None:
            shown += [el("h3", title), content]
    settings = [el("li", el("code", name(line, 200))) for line in facts.settings]
    versions = [el("tr", el("th", what, scope="row"), el("td", which)) for what, which in facts.versions]
    return join(
        _section("History", el("p", _sentence(history_sentence(facts))), *shown),
        _section(
            "Settings and versions",
            el("p", "Settings are as they are by default" + (", except:" if settings else ".")),
            el("ul", *settings, class_="plain") if settings else None,
            el("table", el("tbody", *versions), class_="versions"),
        ),
    )
