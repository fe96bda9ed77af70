"""Commands about documents one by one: `documents`, `show`, `label`, `skip`."""

from __future__ import annotations

import argparse
import os
from typing import Any

from tui_scraper.commands.arguments import (
    PHASE_CHOICES,
    add_json,
    add_workspace,
    cause_of,
    directory_of,
    name_of,
    positive,
)
from tui_scraper.commands.changing import change
from tui_scraper.commands.printing import print_lines, print_one
from tui_scraper.engine.errors import UsageError

_PAGE = 500
_ORDERS = ("path", "least sure", "largest")


def add_documents(parser: argparse.ArgumentParser) -> None:
    """The arguments of `documents`."""
    parser.add_argument(
        "--filter",
        default="",
        metavar="WORDS",
        help="only what has every word in its path, label or status; also path: label: status: method: in "
        "front of a word, <60 for labels less than 60 %% sure, is:duplicate for what is there more than once "
        "(duplicate:exact, :near, or :first for what stands for others), and - before what is not wanted",
    )
    parser.add_argument("--order", choices=_ORDERS, default="path", help="what comes first (default: path)")
    parser.add_argument("-n", type=positive, metavar="N", help="at most N")
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=documents)


def documents(options: argparse.Namespace) -> int:
    """`documents`: lists them."""
    from tui_scraper import plain
    from tui_scraper.engine.alike import keep_duplicates
    from tui_scraper.engine.document_details import DocumentReader, Order, asks_for_copies
    from tui_scraper.plain_verify import Progress

    directory = directory_of(options)
    if asks_for_copies(options.filter):
        with Progress() as progress:
            keep_duplicates(
                directory, lambda done, total: progress.show(f"comparing texts, of {total:,}:", done)
            )
    with DocumentReader(directory) as reader:
        catalogue = reader.catalogue()
        chosen = catalogue.sort(catalogue.select(options.filter), Order(options.order))
        versions = catalogue.versions[chosen].tolist()[: options.n]
        for at in range(0, len(versions), _PAGE):
            rows = reader.rows(versions[at : at + _PAGE])
            if options.json:
                for row in rows:
                    print_one(plain.document_record(row))
            else:
                print_lines(plain.document_line(row) for row in rows)
    if not versions and not options.json:
        print_lines(["No document is like that."] if options.filter else ["There are no documents here yet."])
    return 0


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=name_of, metavar="PATH", help="a document, as `documents` shows it")


def add_show(parser: argparse.ArgumentParser) -> None:
    """The arguments of `show`."""
    _add_path(parser)
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=show)


def show(options: argparse.Namespace) -> int:
    """`show PATH`: all of one document."""
    from tui_scraper import plain
    from tui_scraper.document_lines import document_lines
    from tui_scraper.engine.document_details import DocumentReader

    with DocumentReader(directory_of(options)) as reader:
        found = reader.details(reader.version(options.path))
    if found is None:  # it has left between the two questions
        raise UsageError(f"{plain.shown(options.path)}: there is no such document here.")
    if options.json:
        print_one(plain.details_record(found))
    else:
        print_lines("".join(span.text for span in line).rstrip() for line in document_lines(found, 98))
    return 0


def add_label(parser: argparse.ArgumentParser) -> None:
    """The arguments of `label`."""
    _add_path(parser)
    parser.add_argument("labels", nargs="*", metavar="LABEL", help="one of the labels in force, or several")
    parser.add_argument("--accept", action="store_true", help="give it the label that it has")
    parser.add_argument("--clear", action="store_true", help="take the label given by hand away again")
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=label)


def label(options: argparse.Namespace) -> int:
    """`label PATH LABEL`: a label by hand, for the content: every copy of the document has it."""
    from tui_scraper import plain
    from tui_scraper.engine.document_details import DocumentReader
    from tui_scraper.engine.store.human import Given, give_label

    if (bool(options.labels), options.accept, options.clear).count(True) != 1:
        raise UsageError("Name a label, or give --accept or --clear.")
    directory = directory_of(options)
    with DocumentReader(directory) as reader:
        version, path = reader.find(options.path)
        labels = list(dict.fromkeys(reader.known_label(name) for name in options.labels))
        if len(labels) > 1 and not reader.allows_several():
            raise UsageError("A document has one label here; classify.multi_label = true allows several.")
        if options.accept:
            labels = list(next(iter(reader.rows([version]))).labels)
            if not labels:
                raise UsageError(
                    f"{plain.shown(options.path)}: this has no label yet that could be accepted."
                )

    def answered(answer: dict[str, Any]) -> Given:
        return Given(str(answer["path"]), tuple(answer["labels"]), int(answer["documents"]))

    given = change(
        directory,
        give_label(labels, path=path),
        {"command": "label", "path": os.fsdecode(path), "labels": labels},
        answered,
    )
    if options.json:
        print_one({"path": given.path, "labels": list(given.labels), "documents": given.documents})
    else:
        print_lines([f"{given} The next run exports it so."])
        if options.clear:
            print_lines(["Where a model labels, `tui-scraper retry --method openai` has it asked."])
    return 0


def add_skip(parser: argparse.ArgumentParser) -> None:
    """The arguments of `skip`."""
    parser.add_argument(
        "path", nargs="?", type=name_of, metavar="PATH", help="one document, as `failures` shows it"
    )
    parser.add_argument("--cause", help="all that failed for this cause")
    parser.add_argument("--phase", choices=PHASE_CHOICES[:5], help="all that failed in this phase")
    add_workspace(parser)
    parser.set_defaults(command=skip)


def skip(options: argparse.Namespace) -> int:
    """`skip PATH`: what failed is set aside, and no longer makes a run end with exit code 3."""
    from tui_scraper import formatting, plain
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.store.setbacks import set_aside

    if not (options.path or options.cause or options.phase):
        raise UsageError("Name a document, or give --cause or --phase.")
    operation = set_aside(
        cause=cause_of(options.cause),
        phase=PhaseName(options.phase) if options.phase else None,
        path=os.fsencode(options.path) if options.path else None,
    )
    request = {"command": "skip", "cause": options.cause, "phase": options.phase, "path": options.path}
    count = change(directory_of(options), operation, request, lambda answer: int(answer["documents"]))
    if options.path and not count:
        raise UsageError(f"{plain.shown(options.path)}: no failed document has this path.")
    are = "is" if count == 1 else "are"
    again = "`tui-scraper retry --cause 'set aside by hand'`"
    print_lines([f"{formatting.documents(count)} {are} set aside; {again} tries them again."])
    return 0
