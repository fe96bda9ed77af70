"""`run` and `watch`: the whole pipeline, without a TUI."""

from __future__ import annotations

import argparse
import contextlib
import os

from tui_scraper.commands.arguments import (
    PHASE_CHOICES,
    add_config,
    add_workspace,
    dollars,
    path_of,
    positive,
    require_folder,
    settings_file,
    settings_of,
)
from tui_scraper.commands.printing import any_encoding, output_closed


def add_run(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    parser.add_argument("path", type=path_of, metavar="PATH", help="the folder of documents")
    add_workspace(parser)
    add_config(parser)
    parser.add_argument("--until", choices=PHASE_CHOICES, default="output", help="the last phase to run")
    parser.add_argument(
        "--sample", type=positive, metavar="N", help="work on N documents only, the same each time"
    )
    _add_how_to_run(parser)
    parser.set_defaults(command=run, watch=False)


def add_watch(parser: argparse.ArgumentParser) -> None:
    """The arguments of `watch`."""
    parser.add_argument("path", type=path_of, metavar="PATH", help="the folder of documents")
    add_workspace(parser)
    add_config(parser)
    _add_how_to_run(parser)
    parser.set_defaults(command=run, watch=True, until="output", sample=None)


def _add_how_to_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline", action="store_true", help="ask no model; labels are made on this machine"
    )
    parser.add_argument(
        "--budget",
        type=dollars,
        metavar="USD",
        help="dollars that the workspace may spend on models, in all (default: 1.00)",
    )
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="worker processes (default: one a core)"
    )
    parser.add_argument(
        "--export", type=path_of, metavar="DIR", help="where to export (default: in the workspace)"
    )
    parser.add_argument(
        "--accept-settings",
        action="store_true",
        help="after a rollback: put the settings of the file in force again",
    )
    parser.add_argument("--json", action="store_true", help="events as JSON, one a line")
    parser.add_argument("-v", "--verbose", action="store_true", help="the log on stderr")


def run(options: argparse.Namespace) -> int:
    """`run PATH`, and `watch PATH`, which stays and takes up changes."""
    _prewarm(options)
    from tui_scraper.engine.workspace import is_workspace, source_of

    if options.workspace is None and is_workspace(options.path):
        options.workspace, options.path = options.path, source_of(options.path)
    require_folder(options.path)
    overrides: dict[str, dict[str, object]] = {}
    if options.budget is not None:
        overrides["classify"] = {"budget_usd": options.budget}
    if options.workers:
        overrides["engine"] = {"workers": options.workers}
    settings = settings_of(options, overrides)
    from tui_scraper import headless
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.request import RunRequest

    request = RunRequest(
        source=options.path,
        settings=settings,
        workspace=options.workspace,
        through=PhaseName(options.until),
        sample=options.sample,
        export_dir=options.export,
        accept_settings=options.accept_settings,
        watch=options.watch,
        offline=options.offline,
    )
    try:
        with any_encoding():
            return headless.run(
                request,
                json_events=options.json,
                verbose=options.verbose,
                settings_file=settings_file(options),
            )
    except headless.OutputGoneError:
        output_closed()
        return 4


def _prewarm(options: argparse.Namespace) -> None:
    """Start the process of the workers before anything else: it loads beside this one, if it expects work."""
    if os.path.isdir(options.path):
        from tui_scraper.engine.workers import launch

        with contextlib.suppress(OSError):  # the pool tries again, and says why it cannot
            launch.prewarm(options.path, options.workspace)
