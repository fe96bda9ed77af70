"""`duplicates`: which documents are there more than once, exactly or nearly."""

from __future__ import annotations

import argparse
import os
from itertools import islice

from tui_scraper.commands.arguments import add_json, add_workspace, directory_of, name_of, positive
from tui_scraper.commands.printing import print_lines, print_one


def _share(text: str) -> float:
    """A similarity, as a share or in percent."""
    from tui_scraper.engine.settings import LEAST_ALIKE

    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    value = value / 100 if value > 1 else value
    if not LEAST_ALIKE <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a similarity from {LEAST_ALIKE:g} to 1")
    return value


def add_duplicates(parser: argparse.ArgumentParser) -> None:
    """The arguments of `duplicates`."""
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--exact", action="store_true", help="only copies with the same bytes")
    kind.add_argument("--near", action="store_true", help="only texts that are nearly the same")
    parser.add_argument(
        "--threshold",
        type=_share,
        metavar="SHARE",
        help="from which similarity on texts count, 0.5 to 1 (default: output.near_duplicates, else 0.85)",
    )
    parser.add_argument("--path", type=name_of, metavar="PATH", help="only the group of this document")
    parser.add_argument("-n", type=positive, metavar="N", help="at most N groups")
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=duplicates)


def duplicates(options: argparse.Namespace) -> int:
    """`duplicates`: the groups, the one of which most bytes could go first."""
    from tui_scraper import plain_duplicates as plain
    from tui_scraper.engine.alike import alike_at
    from tui_scraper.engine.document_details import DocumentReader
    from tui_scraper.engine.duplicates.kept import DuplicatesReader
    from tui_scraper.engine.duplicates.model import Copy
    from tui_scraper.plain_verify import Progress

    directory = directory_of(options)
    named = ""
    if options.path:
        with DocumentReader(directory) as documents:
            named = os.fsdecode(documents.find(options.path)[1])
    with DuplicatesReader(directory) as reader:
        version = reader.version(os.fsencode(named)) if named else None
        usual = alike_at(reader.state, reader.head)
        alike = options.threshold or usual
        with Progress() as progress:
            found = reader.duplicates(
                alike,
                lambda done, total: progress.show(f"comparing texts, of {total:,}:", done),
                keep=alike == usual,
            )
        kind = Copy.EXACT if options.exact else Copy.NEAR if options.near else Copy.NONE
        every = found
        found = found.only(kind)
        if version is not None:
            group = found.group(found.place(version) or 0)
            groups = iter([group] if group is not None else [])
        else:
            groups = found.groups()
            if not options.json:
                print_lines([plain.summary_line(found.counts(), kind, alike)])
        is_empty = True
        for group in islice(groups, options.n):
            is_empty = False
            paths = reader.paths([int(found.versions[place]) for place in (group.first, *group.others)])
            if options.json:
                print_one(plain.group_record(found, group, paths))
            else:
                print_lines(["", *plain.group_lines(found, group, paths)])
        if is_empty and version is not None and not options.json:
            others = every.group(every.place(version) or 0) is not None
            print_lines([plain.alone_line(options.path, kind, alike, others=others)])
    return 0
