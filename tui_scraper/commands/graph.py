"""`graph`: who refers to whom."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tui_scraper.commands.arguments import (
    add_json,
    add_workspace,
    directory_of,
    name_of,
    path_of,
    positive,
)
from tui_scraper.commands.printing import print_lines, print_one
from tui_scraper.engine.errors import UsageError

if TYPE_CHECKING:
    from tui_scraper.engine.graph.model import Graph

_KINDS = (
    "hyperlink", "image", "include", "reference", "import", "reply", "manual", "rfc", "doi", "title",
)  # fmt: skip
_FORMS = ("graphml", "dot", "jsonl")


def add_graph(parser: argparse.ArgumentParser) -> None:
    """The arguments of `graph`."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "path", nargs="?", type=name_of, metavar="PATH", help="what this document refers to, and who to it"
    )
    what.add_argument("--most", type=positive, metavar="N", help="the N documents that most others refer to")
    what.add_argument("--unreferenced", action="store_true", help="the documents that nothing refers to")
    what.add_argument("--broken", action="store_true", help="links to files that are not there")
    what.add_argument("--cycles", action="store_true", help="documents that lead to each other in a circle")
    what.add_argument("--export", type=path_of, metavar="FILE", help="write the graph to a file")
    parser.add_argument(
        "--format", choices=_FORMS, help="of that file (default: by its ending, else graphml)"
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=_KINDS,
        default=[],
        help="only references of this kind; may be repeated",
    )
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=graph)


def graph(options: argparse.Namespace) -> int:
    """`graph`: a summary, one document's neighbours, a list, or a file."""
    from tui_scraper.engine.graph.kept import GraphReader
    from tui_scraper.engine.graph.model import Kind
    from tui_scraper.engine.graph.reading import shown_paths
    from tui_scraper.plain_verify import Progress

    if options.format and not options.export:
        raise UsageError("--format says what --export writes; name a file with --export.")
    with GraphReader(directory_of(options)) as reader:
        version = reader.version(os.fsencode(options.path)) if options.path else None
        with Progress() as progress:
            whole = reader.graph(lambda done, total: progress.show(f"reading texts, of {total:,}:", done))
        found = whole.only([Kind(kind) for kind in options.kind])
        shown = shown_paths(reader.state, reader.head)
        paths = [shown[one] for one in found.versions.tolist()]
        return _print(options, found, paths, found.place(version) if version is not None else None)


def _print(options: argparse.Namespace, found: Graph, paths: list[str], document: int | None) -> int:
    from tui_scraper import formatting, plain, plain_graph
    from tui_scraper.engine.graph.cycles import cycles
    from tui_scraper.engine.graph.files import write_graph

    if document is not None:
        neighbours = (
            paths[document], found.refers_to(document), found.referred_by(document),
            list(found.broken(document)), paths,
        )  # fmt: skip
        if options.json:
            print_one(plain_graph.document_record(*neighbours))
        else:
            print_lines(plain_graph.document_lines(*neighbours))
    elif options.export:
        form = options.format or options.export.suffix.lower().removeprefix(".")
        count = write_graph(found, paths, options.export, form if form in _FORMS else "graphml")
        if options.json:
            print_one({"documents": len(found), "references": count, "file": str(options.export)})
        else:
            print_lines(
                [
                    f"{formatting.documents(len(found))} and {count:,} references written: "
                    f"{plain.shown_path(options.export)}"
                ]
            )
    elif options.most:
        most = found.most_referred(options.most)
        _listed(
            options, plain_graph.most_records(most, paths), plain_graph.most_lines(most, paths), "referred to"
        )
    elif options.unreferenced:
        alone = [paths[at] for at in found.unreferenced().tolist()]
        _listed(options, ({"path": path} for path in alone), alone, "unreferenced")
    elif options.broken:
        records = (plain_graph.broken_record(one, paths) for one in found.broken())
        _listed(options, records, (plain_graph.broken_line(one, paths) for one in found.broken()), "broken")
    elif options.cycles:
        circles = cycles(found)
        records = (plain_graph.cycle_record(one, paths) for one in circles)
        _listed(
            options,
            records,
            (line for one in circles for line in plain_graph.cycle_lines(one, paths)),
            "cycles",
        )
    elif options.json:
        print_one(plain_graph.summary_record(found, cycles(found), paths))
    else:
        print_lines(plain_graph.summary_lines(found, cycles(found), paths))
    return 0


_NONE = {
    "referred to": "No document refers to another.",
    "unreferenced": "Something refers to every document.",
    "broken": "No link leads to a file that is not there.",
    "cycles": "No documents lead to each other in a circle.",
}


def _listed(
    options: argparse.Namespace, records: Iterable[dict[str, object]], lines: Iterable[str], what: str
) -> None:
    """Print one object or line for each; without any, people are told so."""
    if options.json:
        for record in records:
            print_one(record)
        return
    is_empty = True
    for line in lines:
        is_empty = False
        print_lines([line])
    if is_empty:
        print_lines([_NONE[what]])
