"""Commands that read a workspace: `status`, `search`, `failures`, `export`."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from typing import Any

from tui_scraper.commands.arguments import (
    PHASE_CHOICES,
    add_config,
    add_json,
    add_workspace,
    cause_of,
    directory_of,
    path_of,
    positive,
    settings_of,
)
from tui_scraper.commands.printing import print_lines, print_one
from tui_scraper.commands.steering import state_now, watch
from tui_scraper.engine.search.syntax import SYNTAX


def add_status(parser: argparse.ArgumentParser) -> None:
    """The arguments of `status`."""
    parser.add_argument("--watch", action="store_true", help="follow a running engine until it ends")
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=status)


def status(options: argparse.Namespace) -> int:
    """`status`."""
    from tui_scraper import plain
    from tui_scraper.engine.store.reader import Reader
    from tui_scraper.engine.workspace import holder

    directory = directory_of(options)
    if options.watch:
        return watch(directory, as_json=options.json)
    who = holder(directory)
    with Reader(directory) as reader:
        report = reader.status(locked=who is not None)
    notice = ""
    if who is not None:  # it may only have it open, as a TUI does after a run
        state, notice = state_now(directory)
        report = dataclasses.replace(report, state=state or report.state)
    if options.json:
        print_one(plain.status_record(report))
    else:
        print_lines(plain.status_lines(report, who, notice))
    return 0


def add_search(parser: argparse.ArgumentParser) -> None:
    """The arguments of `search`."""
    parser.add_argument("query", nargs="+", help="words, phrases and fields, in quotes of the shell")
    shown = "".join(f"  {typed:<17} {what}\n" for typed, what in SYNTAX)
    parser.epilog = f"{parser.epilog or ''}\n\nwhat may be typed:\n{shown}"
    add_workspace(parser)
    parser.add_argument("-k", type=positive, default=10, metavar="N", help="at most N hits (default 10)")
    parser.add_argument("--label", help="only documents with this label, exactly")
    parser.add_argument("--path", help="only paths that begin with this, or match it where it has * or ?")
    parser.add_argument(
        "--mode",
        choices=("text", "semantic", "hybrid"),
        help="by words, by meaning or by both (default: both where there are embeddings)",
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(command=search)


def search(options: argparse.Namespace) -> int:
    """`search QUERY`."""
    from tui_scraper import plain
    from tui_scraper.control import EndedError, ask
    from tui_scraper.engine.searching import find
    from tui_scraper.formatting import documents

    directory = directory_of(options)

    def remote(request: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return ask(directory, request)
        except EndedError:  # the workspace is free in a moment
            return None

    answer = find(
        directory,
        " ".join(options.query),
        k=options.k,
        label=options.label,
        path=options.path,
        mode=options.mode,
        settings=settings_of(options),
        remote=remote,
    )
    for notice in filter(None, (*answer.about_words, answer.notice)):
        print(notice, file=sys.stderr)
    if answer.pending:
        are = "is" if answer.pending == 1 else "are"
        print(f"{documents(answer.pending)} {are} not in the index yet.", file=sys.stderr)
    if options.json:
        for hit in answer.hits:
            print_one(plain.hit_record(hit))
    else:
        in_bold = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        print_lines(plain.hit_lines(answer.hits, in_bold=in_bold))
    return 0


def add_export(parser: argparse.ArgumentParser) -> None:
    """The arguments of `export`."""
    parser.add_argument(
        "directory", type=path_of, metavar="DIR", help="the folder to write; an export there is replaced"
    )
    parser.add_argument(
        "--format",
        action="append",
        choices=("jsonl", "parquet", "csv", "markdown"),
        help="file format (default jsonl); give it again for several, which are written in one pass",
    )
    parser.add_argument(
        "--no-near-duplicates", action="store_true", help="do not look for them: near_duplicate_of is null"
    )
    add_workspace(parser)
    parser.set_defaults(command=export)


def export(options: argparse.Namespace) -> int:
    """`export DIR`."""
    from tui_scraper import plain
    from tui_scraper.engine.alike import alike_exported
    from tui_scraper.engine.export import DEFAULT_FORMATS
    from tui_scraper.engine.export import export as write
    from tui_scraper.plain_verify import Progress

    directory = directory_of(options)
    alike = 0.0 if options.no_near_duplicates else alike_exported(directory)
    with Progress() as progress:
        report = write(
            directory,
            options.directory,
            formats=options.format or DEFAULT_FORMATS,
            alike=alike,
            progress=lambda rows: progress.show("exporting documents:", rows),
            comparing=lambda texts, of: progress.show(f"comparing texts, of {of:,}:", texts),
        )
    print_lines([f"{report.documents:,} documents exported: {plain.shown_path(report.directory)}"])
    return 0


def add_failures(parser: argparse.ArgumentParser) -> None:
    """The arguments of `failures`."""
    add_workspace(parser)
    parser.add_argument("--phase", choices=PHASE_CHOICES[:5], help="only of this phase")
    parser.add_argument("--cause", help="only with this cause, such as 'encrypted'")
    add_json(parser)
    parser.set_defaults(command=failures)


def failures(options: argparse.Namespace) -> int:
    """`failures`."""
    from tui_scraper import plain
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.store.reader import Reader

    phase = PhaseName(options.phase) if options.phase else None
    cause = cause_of(options.cause)
    with Reader(directory_of(options)) as reader:
        if options.json:
            for row in reader.all_failures(cause=cause, phase=phase):
                print_one(plain.failure_record(row))
        else:
            groups = [
                group
                for group in reader.causes()
                if (cause is None or group.cause is cause) and (phase is None or group.phase is phase)
            ]
            rows = reader.all_failures(cause=cause, phase=phase)
            print_lines(plain.failure_lines(groups, rows))
    return 0
