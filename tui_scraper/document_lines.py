"""One document as lines, for a screen and for `show`: what it is, its label, links, copies and text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import (
    STATUS_SIGNS,
    Line,
    Role,
    Span,
    cut_left,
    documents,
    label_words,
    number,
    percent,
    rule,
    size,
    usd,
    wrap,
)

if TYPE_CHECKING:
    from tui_scraper.engine.document_details import DocumentDetails
    from tui_scraper.engine.wire import Chunk

_NAME = 9
_KIND = 10
_MOST_LISTED = 5
_UNKNOWN = "`tui-scraper graph` works out what, and who to it"
_UNCOMPARED = "`tui-scraper duplicates` works out what is nearly the same"


def document_lines(
    found: DocumentDetails, width: int, unknown: str = _UNKNOWN, uncompared: str = _UNCOMPARED
) -> list[Line]:
    """All of it, wrapped to `width` cells.

    `unknown` is shown for references, `uncompared` for near-duplicates not worked out yet.
    """
    return [
        *_what_it_is(found, width),
        *_label(found, width),
        *_relations(found, width, unknown),
        *_copies(found, width, uncompared),
        *_text(found, width),
    ]


def _entry(name: str, value: str, width: int, role: Role = "") -> Iterator[Line]:
    for at, part in enumerate(wrap(value, max(10, width - _NAME - 3))):
        yield (Span(f" {name if not at else '':<{_NAME}} ", "dim"), Span(part, role))


def _what_it_is(found: DocumentDetails, width: int) -> Iterator[Line]:
    row = found.row
    for part in wrap(row.path, width - 2):
        yield (Span(" "), Span(part, "strong"))
    sign, role = STATUS_SIGNS[row.status]
    facts = [row.media_type, size(row.size_bytes), found.language]
    if found.pages:
        facts.append("1 page" if found.pages == 1 else f"{number(found.pages)} pages")
    if found.members:
        facts.append(f"{documents(found.members)} inside")
    state = (Span(f" {sign} {row.status}", role), Span(f"  {' · '.join(filter(None, facts))}", "dim"))
    yield state
    if found.message:
        where = f"in {found.phase}: " if found.phase else ""
        yield from _entry(
            "why", f"{where}{row.cause + '. ' if row.cause else ''}{found.message}", width, "bad"
        )
    if found.title:
        yield from _entry("title", found.title, width)
    if found.parent:
        yield from _entry("inside", found.parent, width)


def _label(found: DocumentDetails, width: int) -> Iterator[Line]:
    row, made = found.row, found.made
    if not row.labels:
        yield from _entry("label", "none yet", width, "dim")
        return
    by = f" · {row.method}" if row.method != "human" else ""
    model = f" {safe_text(made.model)}" if made is not None and made.model and row.method != "human" else ""
    yield from _entry(
        "label", f"{label_words(row.labels, row.confidence, row.method)}{by}{model}", width, "accent"
    )
    if made is None:
        return
    if row.method == "human":
        before = label_words([safe_text(one) for one in made.labels], made.confidence, made.method)
        yield from _entry("made", f"{before} · {safe_text(made.method)}", width, "dim")
    others = ", ".join(f"{safe_text(label)} {percent(sure)}" for label, sure in made.alternatives)
    if others:
        yield from _entry("or", others, width, "dim")
    if made.reason:
        yield from _entry("because", safe_text(made.reason), width, "warn")
    if made.tokens_in or made.cost_nano_usd:
        tokens = f"{number(made.tokens_in)} tokens in, {number(made.tokens_out)} out"
        yield from _entry("paid", f"{usd(made.cost_nano_usd)} for {tokens}", width, "dim")


def _relations(found: DocumentDetails, width: int, unknown: str) -> Iterator[Line]:
    yield from _listed("links", found.link_count, [("", target) for target, _kind in found.links], width)
    near = found.neighbours
    if near is None:
        yield from _entry("refers to", unknown, width, "dim")
    else:
        yield from _listed("refers to", near.refers_to_count, near.refers_to, width)
        yield from _listed("broken", near.broken_count, near.broken, width, "warn")
        yield from _listed("referrers", near.referred_by_count, near.referred_by, width)


def _copies(found: DocumentDetails, width: int, uncompared: str) -> Iterator[Line]:
    group = found.group
    if group is None:
        yield from _listed("copies", found.copy_count, [("", path) for path in found.copies], width)
        if not found.compared:
            yield from _entry("nearly", uncompared, width, "dim")
        return
    what = {
        "": f"the one to keep of {documents(group.size)} that are the same, or nearly",
        "exact": f"an exact copy, one of {documents(group.size)} that are the same, or nearly",
        "near": f"{percent(group.similarity)} the same as the one to keep of {documents(group.size)}",
    }
    yield from _entry("duplicate", what[group.kind], width)
    said = {"": "keep", "exact": "exact"}
    others = [(said.get(kind, percent(similarity)), path) for kind, similarity, path in group.others]
    yield from _listed("", group.size - 1, others, width)


def _listed(
    name: str, count: int, values: Sequence[tuple[str, str]], width: int, role: Role = ""
) -> Iterator[Line]:
    """The first of some (kind, name) pairs, and how many more there are."""
    room = max(10, width - _NAME - 3)
    for at, (kind, value) in enumerate(values[:_MOST_LISTED]):
        before = f"{kind:<{_KIND}}" if kind else ""
        shown = cut_left(value, max(10, room - len(before)))
        yield (
            Span(f" {name if not at else '':<{_NAME}} ", "dim"),
            Span(before, "dim"),
            Span(shown, role),
        )
    if count > _MOST_LISTED:
        yield (Span(f" {'':<{_NAME}} … {number(count - _MOST_LISTED)} more", "dim"),)


def _text(found: DocumentDetails, width: int) -> Iterator[Line]:
    yield ()
    if not found.text.strip():
        yield rule("Text", width)
        yield (Span(" No text was extracted.", "dim"),)
        return
    right = f"{number(found.characters)} characters"
    if not found.chunks:
        yield rule("Text", width, right)
        yield from _lines_of(found.text, width)
    shown = len(found.text)
    for at, chunk in enumerate(found.chunks):
        if chunk.start >= shown:
            break
        yield _border(found.chunks, at, width, right if not at else "")
        end = found.chunks[at + 1].start if at + 1 < len(found.chunks) else found.characters
        yield from _lines_of(found.text[chunk.start : min(end, shown)], width)
    if found.characters > shown:
        yield (Span(f" … {number(found.characters - shown)} more characters", "dim"),)
    if found.truncated:
        yield (Span(" The document goes on, but was too long to be read whole.", "warn"),)


def _border(chunks: tuple[Chunk, ...], at: int, width: int, right: str) -> Line:
    """Where a chunk begins: its number, tokens, heading, and how much of the one before is in it as well."""
    chunk = chunks[at]
    parts = [f"Chunk {at + 1} of {len(chunks)}", f"{number(chunk.tokens)} tokens"]
    if chunk.heading:
        parts.append(safe_text(chunk.heading))
    repeats = chunks[at - 1].end - chunk.start if at else 0
    if repeats > 0:
        parts.append(f"begins with the last {number(repeats)} characters of chunk {at}")
    title = " · ".join(parts)
    room = width - 6 - len(right)
    return rule(title if len(title) <= room else f"{title[: room - 1]}…", width, right)


def _lines_of(text: str, width: int) -> Iterator[Line]:
    for part in wrap(safe_text(text.rstrip("\n"), newlines=True), width - 2):
        yield (Span(" "), Span(part))
