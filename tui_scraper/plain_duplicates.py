"""What `duplicates` prints: the JSON objects, and lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tui_scraper.engine.duplicates.model import Copy, DuplicateCounts, Duplicates, Group
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import documents, percent, size


def summary_line(counts: DuplicateCounts, kind: Copy, alike: float) -> str:
    """How much could go."""
    if not counts.could_go:
        return {
            Copy.NONE: f"No document is a copy of another, or {_nearly(alike)} the same.",
            Copy.EXACT: "No document has the same bytes as another.",
            Copy.NEAR: f"No two documents have texts that are {_nearly(alike)} the same.",
        }[kind]
    parts = []
    if counts.exact:
        parts.append("1 exact copy" if counts.exact == 1 else f"{counts.exact:,} exact copies")
    if counts.near:
        near = "1 near-duplicate" if counts.near == 1 else f"{counts.near:,} near-duplicates"
        parts.append(f"{near} (texts {_nearly(alike)} the same)")
    groups = "1 group" if counts.groups == 1 else f"{counts.groups:,} groups"
    return (
        f"{counts.could_go:,} of {documents(counts.documents)} could go, {size(counts.bytes_could_go)}: "
        f"{' and '.join(parts)}, in {groups}."
    )


def _nearly(alike: float) -> str:
    return f"{100 * alike:g} % or more"


def alone_line(path: str, kind: Copy, alike: float, *, others: bool = False) -> str:
    """That a document is in no group; `others`: in none of that kind, but in one of the other."""
    what = {
        Copy.NONE: f"no other document is a copy of it, or {_nearly(alike)} the same.",
        Copy.EXACT: "no other document has the same bytes.",
        Copy.NEAR: f"no other document has a text that is {_nearly(alike)} the same.",
    }[kind]
    if others and kind is Copy.EXACT:
        what = "no other document has the same bytes; without --exact those nearly the same are shown."
    elif others:
        what = "another document has the same bytes; without --near the group is shown."
    return f"{safe_text(path)}: {what}"


def group_record(found: Duplicates, group: Group, paths: Mapping[int, str]) -> dict[str, object]:
    """One line of `duplicates --json`. `paths` are those of its documents, by version."""
    return {
        "representative": paths[int(found.versions[group.first])],
        "size": 1 + len(group.others),
        "could_go": len(group.others),
        "bytes_could_go": group.bytes_could_go,
        "documents": [_document(found, place, paths) for place in (group.first, *group.others)],
    }


def _document(found: Duplicates, place: int, paths: Mapping[int, str]) -> dict[str, object]:
    same = int(found.exact[place])
    return {
        "path": paths[int(found.versions[place])],
        "kind": _kind(found, place),
        "duplicate_of": paths.get(int(found.versions[same])) if same != place else None,
        "similarity": round(float(found.similarity[place]), 4),
        "bytes": int(found.sizes[place]),
    }


def _kind(found: Duplicates, place: int) -> str:
    return {Copy.NONE: "representative", Copy.EXACT: "exact", Copy.NEAR: "near"}[Copy(found.kinds[place])]


def group_lines(found: Duplicates, group: Group, paths: Mapping[int, str]) -> Iterator[str]:
    """A group, the document that stands for it first."""
    yield f"{documents(1 + len(group.others))}, {size(group.bytes_could_go)} could go"
    for place in (group.first, *group.others):
        kind = Copy(found.kinds[place])
        said = {Copy.NONE: "keep", Copy.EXACT: "exact", Copy.NEAR: percent(float(found.similarity[place]))}
        yield f"  {said[kind]:>5}  {paths[int(found.versions[place])]}"
