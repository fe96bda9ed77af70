"""Commands of time travel: `checkpoints` with what they have below them, `rollback`, and `gc`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_scraper.commands.arguments import (
    add_config,
    add_json,
    add_workspace,
    directory_of,
    path_of,
    positive,
    settings_of,
)
from tui_scraper.commands.changing import change
from tui_scraper.commands.printing import print_lines, print_one, read_or_not
from tui_scraper.engine.errors import UsageError


def add_checkpoints(parser: argparse.ArgumentParser) -> None:
    """The arguments of `checkpoints`, and the actions below it."""
    parser.add_argument(
        "--all", action="store_true", help="also those that are thinned out when there are many"
    )
    add_workspace(parser)
    add_json(parser)
    parser.set_defaults(command=checkpoints)
    actions = parser.add_subparsers(metavar="ACTION", title="actions")
    shown = _add_action(
        actions, "show", checkpoints_show, "one checkpoint, with the settings in force then", "41"
    )
    shown.add_argument("checkpoint", metavar="ID", help="a number, or a name")
    differing = _add_action(
        actions, "diff", checkpoints_diff, "what differs between two points, also across branches", "12 41"
    )
    differing.add_argument("a", metavar="A", help="a number, or a name")
    differing.add_argument(
        "b", metavar="B", nargs="?", help="a number, or a name; without it, as things are now"
    )
    named = _add_action(
        actions,
        "name",
        checkpoints_name,
        "give a checkpoint a name to go back to it by",
        "41 before",
    )
    named.add_argument("checkpoint", metavar="ID", help="a number, or the name so far")
    named.add_argument("name", metavar="NAME", help="'' takes the name away")
    named.add_argument("--note", metavar="TEXT", help="a remark; '' takes it away")


def _add_action(
    actions: Any, name: str, command: Callable[[argparse.Namespace], int], help_text: str, example: str
) -> argparse.ArgumentParser:
    """A command below a command. What was said before it (-w, --json) holds unless it is said again."""
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=help_text,
        description=f"{help_text[0].upper()}{help_text[1:]}.",
        epilog=f"example:\n  tui-scraper checkpoints {name} {example} -w ~/reports",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-w", "--workspace", type=path_of, metavar="DIR", default=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    parser.set_defaults(command=command)
    return parser


def checkpoints(options: argparse.Namespace) -> int:
    """`checkpoints`."""
    from tui_scraper import plain_history
    from tui_scraper.engine.store.reader import Reader

    with Reader(directory_of(options)) as reader:
        history = reader.checkpoints(everything=options.all or options.json)
        hidden = reader.count_checkpoints() - len(history)
    if options.json:
        for checkpoint in history:
            print_one(plain_history.checkpoint_record(checkpoint))
    else:
        print_lines(plain_history.checkpoint_lines(history, hidden=hidden))
    return 0


def checkpoints_show(options: argparse.Namespace) -> int:
    """`checkpoints show ID`."""
    from tui_scraper import plain_history
    from tui_scraper.engine.store.reader import Reader

    with Reader(directory_of(options)) as reader:
        details = reader.checkpoint(options.checkpoint)
    if options.json:
        print_one(plain_history.details_record(details))
    else:
        print_lines(plain_history.details_lines(details))
    return 0


def checkpoints_diff(options: argparse.Namespace) -> int:
    """`checkpoints diff A B`."""
    from tui_scraper import plain_history
    from tui_scraper.engine.store.reader import Reader

    with Reader(directory_of(options)) as reader:
        a = reader.checkpoint(options.a).checkpoint.id
        b = reader.checkpoint(options.b).checkpoint.id if options.b is not None else None
        with reader.compare(a, b) as comparison:
            if options.json:
                print_one(plain_history.comparison_record(comparison))
                for one in comparison.documents():
                    print_one(plain_history.difference_record(one))
            else:
                print_lines(plain_history.comparison_lines(comparison))
    return 0


def checkpoints_name(options: argparse.Namespace) -> int:
    """`checkpoints name ID NAME`."""
    from tui_scraper import plain
    from tui_scraper.engine.store.checkpoints import name_checkpoint
    from tui_scraper.engine.store.reader import Reader

    directory = directory_of(options)
    with Reader(directory) as reader:
        checkpoint = reader.checkpoint(options.checkpoint).checkpoint.id
    change(
        directory,
        name_checkpoint(checkpoint, options.name, options.note),
        {"command": "name", "checkpoint": checkpoint, "name": options.name, "note": options.note},
        lambda _answer: None,
    )
    called = f"is called “{plain.shown(options.name)}” now" if options.name else "has no name now"
    if options.json:
        print_one({"id": checkpoint, "name": options.name or None})
    else:
        print_lines([f"Checkpoint {checkpoint} {called}."])
    return 0


def add_rollback(parser: argparse.ArgumentParser) -> None:
    """The arguments of `rollback`."""
    parser.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="a checkpoint (number or name), or a phase whose results to keep",
    )
    parser.add_argument("--undo", action="store_true", help="take the last rollback, or undo, back")
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="with a phase: make what comes after it anew, although nothing changed",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    add_workspace(parser)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(command=rollback)


def rollback(options: argparse.Namespace) -> int:
    """`rollback TARGET`: says what it does, asks, and moves the head."""
    from tui_scraper import plain_history
    from tui_scraper.engine.going_back import find_target, preview, preview_undo

    if options.undo == (options.target is not None):
        raise UsageError("Name a checkpoint or a phase to go back to, or give --undo alone.")
    directory = directory_of(options)
    settings = settings_of(options)
    target = None if options.undo else find_target(directory, options.target)
    if options.fresh and not isinstance(target, str):
        raise UsageError("--fresh goes with a phase: what comes after it is made anew.")
    if target is None:
        shown, where = preview_undo(directory, settings), "where it was before"
    else:
        shown = preview(directory, target, settings, fresh=options.fresh)
        where = f"to {target}" if isinstance(target, str) else f"to checkpoint {target}"
    if not options.json:
        with read_or_not():
            print_lines(
                [f"Going back {where}:", *(f"  {line}" for line in plain_history.preview_lines(shown))]
            )
    if not (options.yes or _confirmed(options)):
        if options.json:
            print_one({**plain_history.preview_record(shown), "head": None})
        print("Nothing was changed; --yes goes back.", file=sys.stderr)
        return 2
    checkpoint = _move_head(directory, target, fresh=options.fresh)
    with read_or_not():
        if options.json:
            print_one({**plain_history.preview_record(shown), "head": checkpoint})
        else:
            print_lines(
                [f"Checkpoint {checkpoint} is the head now; `tui-scraper rollback --undo` takes this back."]
            )
    return 0


def _confirmed(options: argparse.Namespace) -> bool:
    """Ask the person, where there is one."""
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    print("Go back? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _move_head(directory: Path, target: str | int | None, *, fresh: bool) -> int:
    """Move the head; where an engine is at work it does so itself, after draining what it has in hand."""
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo

    if target is None:
        operation = undo()
    elif isinstance(target, int):
        operation = roll_back_to_checkpoint(target)
    else:
        operation = roll_back_to_phase(PhaseName(target), fresh=fresh)
    request = {"command": "undo"} if target is None else {"command": "rollback", "target": target}
    waiting = _Waiting(directory)
    try:
        return change(
            directory, operation, {**request, "fresh": fresh}, lambda answer: int(answer["head"]), waiting
        )
    finally:
        waiting.end()


class _Waiting:
    """Says now and then that the engine still finishes what it has in hand."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._said = False

    def __call__(self) -> None:
        words = "."
        if not self._said:
            from tui_scraper.engine.workspace import holder

            who = holder(self._directory) or "the engine"
            words = f"Waiting until {who} has finished what it has in hand"
        print(words, end="", file=sys.stderr, flush=True)
        self._said = True

    def end(self) -> None:
        if self._said:
            print(file=sys.stderr)


def add_gc(parser: argparse.ArgumentParser) -> None:
    """The arguments of `gc`."""
    add_workspace(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be freed")
    parser.add_argument(
        "--keep",
        type=positive,
        metavar="N",
        help="forget history: keep the head, what has a name or a note, the N newest checkpoints and what "
        "the last N rollbacks can be undone to (default: keep all of it)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(command=gc)


def gc(options: argparse.Namespace) -> int:
    """`gc`: frees what nothing can need any more."""
    from tui_scraper import plain_history
    from tui_scraper.engine.gc import collect

    collected = collect(directory_of(options), keep=options.keep, dry_run=options.dry_run)
    if options.json:
        print_one(plain_history.collected_record(collected))
    else:
        print_lines(plain_history.collected_lines(collected))
    return 0
