"""What the Start screen says of a folder: what is in it, what Go would cost, who labels, which workspace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_scraper.engine.models import Counts, FolderSurvey
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import (
    Line,
    Span,
    bar,
    cut,
    cut_left,
    duration,
    number,
    pad,
    rule,
    size,
    usd_range,
    wrap,
)

if TYPE_CHECKING:
    from tui_scraper.engine.estimating import Report
    from tui_scraper.engine.foreseeing import Prospect
    from tui_scraper.engine.llm.choosing import Provider

_NANO = 1_000_000_000
_MOST_TYPES = 12

WELCOME = (
    "enter begins: every document is read, labelled and made searchable.",
    "The folder is never written to. No key, no cost; never above the budget.",
    "ctrl+q stops safely at any time; the next start goes on from there.",
)
"""For whoever is here for the first time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What Go would do with a path. `trouble` is a sentence where it cannot do anything.

    `hint` says the same more gently, for a path that is perhaps still being typed. `counts` is None
    for a workspace that does not exist yet, or is `outdated`. `directory` is shown, `place` is the same
    as a path.
    """

    source: Path | None = None
    workspace: Path | None = None
    directory: str = ""
    counts: Counts | None = None
    holder: str = ""
    trouble: str = ""
    hint: str = ""
    place: Path = Path()
    outdated: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do, as far as is known."""
        return self.counts is not None and bool(self.counts.found) and not self.counts.pending


def make_plan(path: Path, workspace: Path | None) -> Plan:
    """Look at a path: a folder of documents, a workspace, or neither. Reads the file system."""
    from tui_scraper.engine.errors import StoreOutdatedError, TuiScraperError
    from tui_scraper.engine.store.reader import Reader
    from tui_scraper.engine.workspace import choose_directory, holder, is_workspace, source_of

    shown = safe_text(str(path))
    try:
        if not path.is_dir():
            if path.exists():
                return _refused(f"{shown}: this is a file, not a folder.")
            return Plan(trouble=f"{shown}: there is no such folder.", hint="no such folder yet")
        if not os.access(path, os.R_OK | os.X_OK):
            return _refused(f"{shown}: this folder may not be read (no permission).")
        source: Path | None = path
        if is_workspace(path):
            source, workspace = source_of(path), path
            if source is None:
                return _refused(f"{shown}: this workspace has not run yet; name its folder instead.")
        directory = choose_directory(source, workspace)
        named = safe_text(str(directory))
        if not is_workspace(directory):
            return Plan(source, workspace, named, place=directory)
        try:
            with Reader(directory) as reader:
                counts = reader.status().counts
        except StoreOutdatedError:
            return Plan(source, workspace, named, place=directory, outdated=True)
        busy = safe_text(holder(directory) or "")
        return Plan(source, workspace, named, counts, busy, place=directory)
    except TuiScraperError as error:
        return _refused(safe_text(str(error)))
    except OSError as error:
        return _refused(f"{shown}: {error.strerror}.")


def _refused(sentence: str) -> Plan:
    return Plan(trouble=sentence, hint=sentence)


def history_lines(counts: Counts) -> list[Line]:
    """What is left in a workspace that has run before, and what became of the rest."""
    found, pending = f"{number(counts.found)} documents", f"{number(counts.pending)} pending"
    if counts.pending or not counts.found:
        first: Line = (Span("   ▶ ", "accent"), Span(f"resumes: {found}, {pending}"))
    else:
        first = (
            Span("   ✓ ", "ok"), Span(f"complete: {found}, {pending}; a run takes up what has changed")
        )  # fmt: skip
    rest = [(counts.done, "done"), (counts.failed, "failed"), (counts.skipped, "skipped"),
            (counts.empty, "empty")]  # fmt: skip
    said = ", ".join(f"{number(count)} {word}" for count, word in rest if count)
    return [first, (Span(f"     {said}", "dim"),)] if said else [first]


def plan_lines(plan: Plan, width: int, *, here: bool, tight: bool) -> list[Line]:
    """Which workspace, and how it stands. `here`: a run of it goes on in this program."""
    where: Line = (Span("   "), Span(cut_left(plan.directory, width - 4)))
    if here:
        lines: list[Line] = [(Span("   ▶ ", "accent"), Span("its run is going on here"))]
    elif plan.holder and not plan.holder.startswith(f"process {os.getpid()} on "):
        lines = [(Span("   ✗ ", "bad"), Span(cut(f"{plan.holder} is working in it", width - 6), "bad"))]
    elif plan.outdated:
        lines = [(Span("   · an older tui-scraper made it; Go renews it, after a copy", "dim"),)]
    elif plan.counts is None:
        lines = [(Span("   · new; the source folder is never written to", "dim"),)]
    else:
        lines = history_lines(plan.counts)
    return heading("Workspace", lines if tight else [where, *lines], width, tight=tight)


def found_lines(found: FolderSurvey | None, width: int, room: int, *, looking: bool) -> list[Line]:
    """What is in the folder, in `room` lines at most: the total, and the types that are there most."""
    if found is None:
        waiting = "counting …" if looking else "nothing yet"
        return [rule("Found", width, waiting)]
    less = "" if found.complete else "at least "
    total = f"{less}{number(found.files)} {'file' if found.files == 1 else 'files'}, {size(found.size_bytes)}"
    lines = [rule("Found", width, total)]
    if not found.files:
        lines.append((Span("   no files that would be documents", "warn"),))
    digits = max(6, len(number(found.files)))
    types = max(0, min(room - 2, _MOST_TYPES))
    if len(found.by_type) == types + 1 and not found.ignored:
        types += 1  # in the place of the line that would only say that there is one more
    shown = found.by_type[:types]
    most = max((files for _, files, _ in shown), default=1)
    bars = max(8, width - 3 - 13 - digits - 2 - 9 - 3)
    for ending, files, size_bytes in shown:
        filled, _ = bar(files, most, bars)
        name = pad(safe_text(ending) or "no ending", 12)
        lines.append(
            (Span(f"   {name} "), Span(f"{number(files):>{digits}}", "strong"),
             Span(f"  {size(size_bytes):>8}   ", "dim"), Span(filled, "meter"))
        )  # fmt: skip
    more = _and_more(found, len(shown))
    if more and room > 1:
        lines.append((Span(f"   {cut(more, width - 4)}", "dim"),))
    return lines


def _and_more(found: FolderSurvey, shown: int) -> str:
    rest = found.by_type[shown:]
    more = []
    if rest and shown:
        more.append(
            f"{number(sum(files for _, files, _ in rest))} more of "
            + ("another type" if len(rest) == 1 else f"{number(len(rest))} other types")
        )
    elif rest:
        more.append(", ".join(f"{number(files)} {ending or 'no ending'}" for ending, files, _ in rest[:4]))
    if found.ignored:
        more.append(f"{number(found.ignored)} ignored (hidden, links, special files)")
    return "; ".join(more)


def estimate_lines(report: Report, spent_nano_usd: int, budget_usd: float, width: int) -> list[Line]:
    """Cost and time, what they rest on, and a warning where the budget does not do for it."""
    sampled = report.sampled
    reading_s = sampled.seconds / report.workers
    files = f"{number(sampled.looked_at)} of {number(sampled.files)} files"
    if report.labels is None and report.vectors is None:
        cost: Line = (Span("   "), Span("$0", "strong"), Span(", labels are made on this machine"))
        rests = f"   about {duration(reading_s)}, by reading {files} just now"
        return [cost, (Span(cut(rests, width), "dim"),)]
    money = report.cost_nano_usd
    asked = [one for one in (report.labels, report.vectors) if one is not None]
    sent = sum(one.estimate.tokens_in.expected + one.estimate.tokens_out.expected for one in asked)
    what = ", ".join(_asked_of(report))
    first: Line = (
        Span("   "), Span(usd_range(money.low, money.expected, money.high), "strong"),
        Span(f"  {number(round(sent))} tokens: {what}"),
    )  # fmt: skip
    lines = [first, (Span(cut(f"   {_time(report, reading_s)}", width)),)]
    rests = f"   by reading {files} just now, at {asked[0].price}"
    lines.append((Span(cut(rests, width), "dim"),))
    if spent_nano_usd + money.expected > budget_usd * _NANO:
        lines.append((Span("   ! ", "warn"), Span("more than the budget: the run would pause", "warn")))
    return lines


def _asked_of(report: Report) -> Iterator[str]:
    for asked, what in ((report.labels, "documents to label"), (report.vectors, "passages to get a vector")):
        if asked is not None:
            have = f" ({number(asked.estimate.have)} have theirs)" if asked.estimate.have else ""
            yield f"{number(round(asked.estimate.documents.expected))} {what}{have}"


def _time(report: Report, reading_s: float) -> str:
    if report.calls is None:
        return f"{duration(reading_s)} to read; how fast the model may be asked is known after a first run"
    calls, bound_by = report.calls
    whole = duration(max(calls.expected, reading_s))
    return f"about {whole} ({duration(calls.low)} – {duration(calls.high)}), bound by {bound_by}"


def who_labels(prospect: Prospect, wanted: str, width: int) -> list[Line]:
    """Who would label, and why. `wanted` is what the settings say: perhaps `auto`."""
    backend, embedder = prospect.choice.backend, prospect.choice.embedder
    classify = backend.settings.classify
    if not backend.wants_model:
        key = safe_text(classify.api_key_env)
        why = f"no key is set (${key})" if wanted == "auto" else "classify.backend says so"
        said = f"made on this machine ({classify.backend}): {why}"
    elif backend.ask:
        place = f"key in {safe_text(backend.key.place)}" if backend.key is not None else "no key needed"
        said = f"{_at(backend.provider)}: {place}"
    else:
        said = f"those of {safe_text(classify.model)} stay; new ones are made here: {backend.why_not}"
    lines = [_fact(said, width)]
    if embedder is not None:
        said = _at(embedder) if embedder.ask else f"none are made now: {embedder.why_not}"
        lines.append(_fact(f"vectors: {said}", width))
    return lines


def _at(provider: Provider) -> str:
    return f"{safe_text(provider.settings.model)} at {safe_text(provider.endpoint.shown)}"


def _fact(text: str, width: int) -> Line:
    return Span("   "), Span(cut(text, width - 4))


def welcome_lines(width: int) -> list[Line]:
    """What will happen, what never does, and how to leave."""
    lines: list[Line] = [rule("Welcome", width)]
    for sentence in WELCOME:
        lines += [(Span(f"   {part}"),) for part in wrap(sentence, width - 4)]
    return lines


def heading(title: str, lines: list[Line], width: int, *, tight: bool) -> list[Line]:
    """Lines below a heading; where room is short, their first two beside it."""
    if not tight:
        return [rule(title, width), *lines]
    words = (title.lower(), "")
    return [(Span(f" {word:<9}", "dim"), *line) for word, line in zip(words, lines, strict=False)]
