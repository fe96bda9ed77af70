"""Commands about what models cost: `estimate`, `audit`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tui_scraper.commands.arguments import (
    add_config,
    add_json,
    add_workspace,
    directory_of,
    path_of,
    positive,
    require_folder,
    settings_of,
)
from tui_scraper.commands.printing import any_encoding, print_lines, print_one
from tui_scraper.engine.errors import UsageError

if TYPE_CHECKING:
    from tui_scraper.engine.settings import Settings

_PILOT = 100


def add_audit(parser: argparse.ArgumentParser) -> None:
    """The arguments of `audit`."""
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=audit)


def audit(options: argparse.Namespace) -> int:
    """`audit`: 0 where every payment is accounted for, 1 where one is not."""
    from tui_scraper import plain_money
    from tui_scraper.engine.store.reader import Reader

    with Reader(directory_of(options)) as reader:
        found = reader.audit()
    print_one(plain_money.audit_record(found)) if options.json else print_lines(
        plain_money.audit_lines(found)
    )
    return 0 if found.proven else 1


def add_estimate(parser: argparse.ArgumentParser) -> None:
    """The arguments of `estimate`."""
    parser.add_argument("path", type=path_of, metavar="PATH", help="the folder of documents")
    add_workspace(parser)
    add_config(parser)
    parser.add_argument(
        "--pilot",
        type=positive,
        nargs="?",
        const=_PILOT,
        metavar="N",
        help=f"run N documents for real (default {_PILOT}), keep what comes of it, and reckon from that",
    )
    add_json(parser)
    parser.set_defaults(command=estimate)


def estimate(options: argparse.Namespace) -> int:
    """`estimate PATH`: what is asked of models would cost and take, before anything is spent."""
    import asyncio

    from tui_scraper import plain_money
    from tui_scraper.engine import estimating, kept_estimate
    from tui_scraper.engine.llm.choosing import choose, choose_embedder
    from tui_scraper.engine.workspace import choose_directory

    require_folder(options.path)
    settings = settings_of(options)
    embedder = choose_embedder(settings, offline="", keyless=True)
    if settings.classify.backend in {"local", "rules"} and embedder is None:
        raise UsageError(
            f'classify.backend = "{settings.classify.backend}": labels are made here and cost nothing.'
        )
    backend = choose(settings, offline="", paid_before=True)
    directory = choose_directory(options.path, options.workspace)
    if options.pilot:
        return _pilot(options, settings, directory)
    report = asyncio.run(estimating.estimate(options.path, backend, embedder, directory))
    kept_estimate.keep(report, directory)
    if options.json:
        print_one(plain_money.estimate_record(report))
    else:
        print_lines(plain_money.estimate_lines(report, settings.classify.budget_usd))
    return 0


def _pilot(options: argparse.Namespace, settings: Settings, directory: Path) -> int:
    """Run a sample for real, and reckon the whole from what it has cost."""
    from tui_scraper import headless, plain_money
    from tui_scraper.engine.piloting import look_at_pilot
    from tui_scraper.engine.request import RunRequest

    request = RunRequest(
        source=options.path, settings=settings, workspace=options.workspace, sample=options.pilot
    )
    with any_encoding():
        code = headless.run(request, json_events=options.json)
    if code not in {0, 3}:
        return code
    pilot = look_at_pilot(directory, options.pilot)
    if options.json:
        print_one(plain_money.pilot_record(pilot))
    else:
        print_lines(plain_money.pilot_lines(pilot, settings.classify.budget_usd))
    return code
