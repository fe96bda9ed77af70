"""Commands to a running engine from another shell: `pause`, `resume`, `stop`, `limits`; and watching it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from tui_scraper.commands.arguments import add_json, add_workspace, directory_of, dollars
from tui_scraper.commands.printing import print_lines, print_one
from tui_scraper.engine.errors import TuiScraperError

_EVERY_S = 1.0
_STARTING_S, _AGAIN_S = 10.0, 0.2
_ENDED = frozenset({"idle", "complete", "stopped", "failed"})
"""States in which nothing moves any more; the process may stay, as a TUI does."""
_SAID = {
    "pause": "Pausing: nothing further is taken up. `tui-scraper resume` goes on.",
    "resume": "Going on.",
    "stop": "Stopping: what is in hand is finished, and the state saved. The same `run` goes on from there.",
}


def add_pause(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pause`."""
    _add(parser, "pause")


def add_resume(parser: argparse.ArgumentParser) -> None:
    """The arguments of `resume`."""
    _add(parser, "resume")


def add_stop(parser: argparse.ArgumentParser) -> None:
    """The arguments of `stop`."""
    _add(parser, "stop")


def _add(parser: argparse.ArgumentParser, name: str) -> None:
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=_steer, steering=name)


def _steer(options: argparse.Namespace) -> int:
    answer = _ask(directory_of(options), {"command": options.steering})
    if options.json:
        print_one(answer)
    else:
        print_lines([_SAID[options.steering]])
    return 0


def add_limits(parser: argparse.ArgumentParser) -> None:
    """The arguments of `limits`."""
    add_workspace(parser)
    add_json(parser)
    parser.add_argument(
        "--budget", type=dollars, metavar="USD", help="dollars that the workspace may spend on models, in all"
    )
    parser.add_argument("--workers", metavar="N", help="worker processes; 0: one a core")
    parser.add_argument(
        "--concurrency",
        metavar="N|auto",
        help="calls to a model at the same time; auto: what the endpoint takes",
    )
    parser.set_defaults(command=_limits)


def _limits(options: argparse.Namespace) -> int:
    from tui_scraper.control import ask
    from tui_scraper.engine.limits import BUDGET, CONCURRENCY, WORKERS

    given = {BUDGET: options.budget, WORKERS: options.workers, CONCURRENCY: options.concurrency}
    wanted = {key: value for key, value in given.items() if value is not None}
    answer = ask(directory_of(options), {"command": "limits", "set": wanted})
    if answer is None:
        raise TuiScraperError(
            "Nobody works in this workspace now, so there is no run to limit. What limits the next one is in "
            f"the settings file: {', '.join(given)}."
        )
    if options.json:
        print_one(answer["record"])
    else:
        lasting = f"These hold until the engine ends; in the settings file they last: {', '.join(given)}."
        print_lines([*answer["lines"], "", lasting])
    return 0


def _ask(directory: Path, request: dict[str, Any]) -> dict[str, Any]:
    from tui_scraper.control import ask

    answer = ask(directory, request)
    if answer is None:
        raise TuiScraperError("Nobody works in this workspace now; `tui-scraper status` says how it stands.")
    return answer


def state_now(directory: Path) -> tuple[str, str]:
    """What the engine that holds a workspace does, and what it has to say; '' where none answers."""
    from tui_scraper.control import RefusedError, ask

    try:
        answer = ask(directory, {"command": "snapshot"})
    except RefusedError:  # it is only starting, or ending
        return "", ""
    if answer is None:
        return "", ""
    state = str(answer["record"]["state"])
    running = state in {"scanning", "watching"}
    return "running" if running else state, str(answer["record"].get("notice", ""))


def watch(directory: Path, *, as_json: bool) -> int:
    """Show how the engine that works in a workspace stands, until it has ended."""
    from tui_scraper import formatting
    from tui_scraper.control import RefusedError

    in_place = sys.stdout.isatty() and not as_json
    shown = False
    deadline = time.monotonic() + _STARTING_S
    while True:
        try:
            answer = _ask(directory, {"command": "snapshot"})
        except TuiScraperError as error:
            if shown:
                break  # it has ended, maybe while it was asked
            if not isinstance(error, RefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)  # it is only starting
            continue
        shown = True
        if as_json:
            print_one(answer["record"])
        elif in_place:
            sys.stdout.write(formatting.rewritten(answer["line"], sys.stdout.fileno()))
        else:
            print_lines([answer["line"]])
        sys.stdout.flush()
        if answer["record"]["state"] in _ENDED:
            break
        time.sleep(_EVERY_S)
    if shown and in_place:
        sys.stdout.write("\n")
    return 0
