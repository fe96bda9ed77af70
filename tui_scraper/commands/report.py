"""`report`: what was found, made, paid and not got through, on the terminal and as one page."""

from __future__ import annotations

import argparse

from tui_scraper.commands.arguments import add_json, add_workspace, directory_of, path_of
from tui_scraper.commands.printing import print_lines, print_one
from tui_scraper.commands.steering import state_now


def add_report(parser: argparse.ArgumentParser) -> None:
    """The arguments of `report`."""
    parser.add_argument(
        "file",
        nargs="?",
        type=path_of,
        metavar="FILE",
        help="write the report there as one HTML page, which needs no network (default: only print it)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace FILE also where it is not a report of tui-scraper"
    )
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=report)


def report(options: argparse.Namespace) -> int:
    """`report [FILE]`."""
    from tui_scraper import plain, plain_report
    from tui_scraper.engine.report.reading import read_facts
    from tui_scraper.engine.workspace import holder
    from tui_scraper.plain_verify import Progress
    from tui_scraper.report_page.writing import check_place, write_page

    directory = directory_of(options)
    if options.file is not None:
        check_place(options.file, force=options.force)
    locked = holder(directory) is not None
    state = state_now(directory)[0] if locked else ""
    with Progress() as progress:
        facts = read_facts(directory, locked=locked, state=state, tell=progress.show)
    if options.file is not None:
        write_page(facts, options.file, force=options.force)
    written = plain.shown_path(options.file) if options.file is not None else None
    if options.json:
        print_one(plain_report.report_record(facts) | {"file": written})
        return 0
    print_lines(plain_report.report_lines(facts))
    if written is not None:
        print_lines(["", f"page        {written}"])
    return 0
