"""Commands to a running engine from another shell: `pause`, `resume`, `stop`; and watching it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from tui_scraper.commands.arguments import add_json, add_workspace, directory_of
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


def _ask(directory: Path, request: dict[str, Any]) -> dict[str, Any]:
    from tui_scraper.control import ask

    answer = ask(directory, request)
    if answer is None:
        raise TuiScraperError("Nobody works in this workspace now; `tui-scraper status` says how it stands.")
    return answer


def state_now(directory: Path) -> str:
    """What the engine that holds a workspace does; '' where none answers."""
    from tui_scraper.control import RefusedError, ask

    try:
        answer = ask(directory, {"command": "snapshot"})
    except RefusedError:  # it is only starting, or ending
        return ""
    state = str(answer["record"]["state"]) if answer is not None else ""
    return "running" if state == "scanning" else state


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
