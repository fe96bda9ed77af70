"""The graph as a file for other programs: GraphML, DOT, or JSON lines.

The file appears at once and whole, and two of the same graph have the same bytes. GraphML and DOT hold every
document and every reference; JSON lines hold an object for each reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tui_scraper.engine.graph.model import Graph
from tui_scraper.engine.whole_file import write_whole

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""https://www.w3.org/TR/xml/#charsets"""


def write_graph(graph: Graph, paths: Sequence[str], target: Path, form: str) -> int:
    """Write the graph; `paths` are those of its documents, in order. Returns the number of references.

    Raises UsageError where the place is none for a file, StoreBlockedError where the disk refuses.
    """
    write_whole(target, FORMS[form](graph, paths))
    return len(graph.sources)


def _graphml(graph: Graph, paths: Sequence[str]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    for name, of, kind in (("path", "node", "string"), ("kind", "edge", "string"), ("count", "edge", "long")):
        yield f'  <key id="{name}" for="{of}" attr.name="{name}" attr.type="{kind}"/>'
    yield '  <graph id="documents" edgedefault="directed">'
    for at, path in enumerate(paths):
        shown = escape(_NOT_XML.sub("\ufffd", path))
        yield f'    <node id="n{at}"><data key="path">{shown}</data></node>'
    for edge in graph.edges():
        data = f'<data key="kind">{edge.kind}</data><data key="count">{edge.count}</data>'
        yield f'    <edge source="n{edge.source}" target="n{edge.target}">{data}</edge>'
    yield "  </graph>"
    yield "</graphml>"


def _dot(graph: Graph, paths: Sequence[str]) -> Iterator[str]:
    yield "digraph documents {"
    for at, path in enumerate(paths):
        shown = path.replace("\\", "\\\\").replace('"', '\\"')
        yield f'  n{at} [label="{shown}"];'
    for edge in graph.edges():
        yield f"  n{edge.source} -> n{edge.target} [kind={edge.kind}, weight={edge.count}];"
    yield "}"


def _jsonl(graph: Graph, paths: Sequence[str]) -> Iterator[str]:
    for edge in graph.edges():
        record = {
            "source": paths[edge.source],
            "target": paths[edge.target],
            "kind": str(edge.kind),
            "count": edge.count,
        }
        yield json.dumps(record, ensure_ascii=False)


FORMS: dict[str, Callable[[Graph, Sequence[str]], Iterator[str]]] = {
    "graphml": _graphml,
    "dot": _dot,
    "jsonl": _jsonl,
}
"""What a graph can be written as."""
