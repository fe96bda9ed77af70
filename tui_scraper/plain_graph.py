"""What `graph` prints: the JSON objects, and lines for people. Paths are those that `documents` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tui_scraper.engine.graph.model import KIND_NUMBER, KINDS, Broken, Edge, Graph
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import documents

MOST_LISTED = 10


def summary_record(graph: Graph, circles: Sequence[Sequence[int]], paths: Sequence[str]) -> dict[str, object]:
    """`graph --json`."""
    return {
        "documents": len(graph),
        "references": len(graph.sources),
        "kinds": {str(kind): count for kind, count in graph.by_kind().items() if count},
        "elsewhere": _counts(graph.elsewhere.tolist()),
        "broken": len(graph.broken_sources),
        "ambiguous": _counts(graph.ambiguous.tolist()),
        "unreferenced": len(graph.unreferenced()),
        "cycles": len(circles),
        "in_cycles": sum(map(len, circles)),
        "most_referred": [
            {"path": paths[at], "referrers": count} for at, count in graph.most_referred(MOST_LISTED)
        ],
    }


def _counts(counts: Sequence[int]) -> dict[str, int]:
    return {str(kind): count for kind, count in zip(KINDS, counts, strict=True) if count}


def summary_lines(graph: Graph, circles: Sequence[Sequence[int]], paths: Sequence[str]) -> Iterator[str]:
    """`graph`."""
    yield f"documents     {len(graph):>12,}   {len(graph.unreferenced()):,} of them nothing refers to"
    total = len(graph.sources)
    yield f"references    {total:>12,}"
    for kind, count in graph.by_kind().items():
        if count:
            yield f"  {kind:<12}{count:>12,}"
    elsewhere = _counts(graph.elsewhere.tolist())
    if elsewhere:
        yield f"elsewhere     {sum(elsewhere.values()):>12,}   {_listed(elsewhere)}"
    broken = len(graph.broken_sources)
    yield f"broken        {broken:>12,}" + ("   --broken lists them" if broken else "")
    ambiguous = _counts(graph.ambiguous.tolist())
    if ambiguous:
        yield f"ambiguous     {sum(ambiguous.values()):>12,}   {_listed(ambiguous)}"
    members = sum(map(len, circles))
    among = f"   among {documents(members)}; --cycles lists them" if circles else ""
    yield f"cycles        {len(circles):>12,}{among}"
    most = graph.most_referred(MOST_LISTED)
    if most:
        yield ""
        yield "most referred to"
        yield from most_lines(most, paths)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())


def most_records(most: Iterable[tuple[int, int]], paths: Sequence[str]) -> Iterator[dict[str, object]]:
    """`graph --most N --json`."""
    return ({"path": paths[at], "referrers": count} for at, count in most)


def most_lines(most: Iterable[tuple[int, int]], paths: Sequence[str]) -> Iterator[str]:
    """`graph --most N`."""
    return (f"{count:>9,}  {paths[at]}" for at, count in most)


def broken_record(one: Broken, paths: Sequence[str]) -> dict[str, object]:
    """One line of `graph --broken --json`."""
    return {"source": paths[one.source], "target": one.target, "kind": str(one.kind), "count": one.count}


def broken_line(one: Broken, paths: Sequence[str]) -> str:
    """One line of `graph --broken`."""
    return f"{one.kind:<10} {paths[one.source]} → {safe_text(one.target)}{_times(one.count)}"


def cycle_record(circle: Sequence[int], paths: Sequence[str]) -> dict[str, object]:
    """One line of `graph --cycles --json`."""
    return {"size": len(circle), "documents": [paths[at] for at in circle]}


def cycle_lines(circle: Sequence[int], paths: Sequence[str]) -> Iterator[str]:
    """A circle of `graph --cycles`."""
    yield f"{documents(len(circle))} that lead to each other"
    yield from (f"  {paths[at]}" for at in circle)


def document_record(
    path: str, to: Sequence[Edge], by: Sequence[Edge], broken: Sequence[Broken], paths: Sequence[str]
) -> dict[str, object]:
    """`graph PATH --json`."""
    return {
        "path": path,
        "refers_to": [_neighbour(edge.target, edge, paths) for edge in to],
        "referred_by": [_neighbour(edge.source, edge, paths) for edge in by],
        "broken": [{"target": one.target, "kind": str(one.kind), "count": one.count} for one in broken],
    }


def _neighbour(at: int, edge: Edge, paths: Sequence[str]) -> dict[str, object]:
    return {"path": paths[at], "kind": str(edge.kind), "count": edge.count}


def document_lines(
    path: str, to: Sequence[Edge], by: Sequence[Edge], broken: Sequence[Broken], paths: Sequence[str]
) -> Iterator[str]:
    """`graph PATH`."""
    yield path
    yield from _section("refers to", [(edge.kind, paths[edge.target], edge.count) for edge in to])
    yield from _section("is referred to by", [(edge.kind, paths[edge.source], edge.count) for edge in by])
    if broken:
        yield from _section("broken", [(one.kind, safe_text(one.target), one.count) for one in broken])


def _section(name: str, rows: Sequence[tuple[str, str, int]]) -> Iterator[str]:
    yield ""
    yield f"{name}: {len(rows):,}" if rows else f"{name}: nothing"
    for kind, other, count in sorted(rows, key=lambda row: KIND_NUMBER[row[0]]):  # type: ignore[index]
        yield f"  {kind:<10} {other}{_times(count)}"


def _times(count: int) -> str:
    return f"  ({count:,} times)" if count > 1 else ""
