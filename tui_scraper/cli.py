"""The command line: reading it, and making whatever happens a sentence and an exit code.

What a command needs is imported in it, so that `--help` costs little. Every error that a person
can do something about arrives here as a sentence and leaves as one, with its exit code; nothing
prints a trace.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from tui_scraper import __version__
from tui_scraper.commands import (
    documents,
    duplicates,
    graph,
    history,
    looking,
    money,
    report,
    running,
    steering,
    themes,
    upkeep,
)
from tui_scraper.commands.arguments import (
    add_config,
    add_workspace,
    path_of,
    require_folder,
    settings_file,
    settings_of,
)
from tui_scraper.commands.printing import output_closed, read_or_not
from tui_scraper.engine.errors import TuiScraperError, UsageError

_MOST_SAID = 4_000
_EPILOG = """\
examples:
  tui-scraper ~/reports                      open the TUI on a folder
  tui-scraper run ~/reports                  the same work without a TUI
  tui-scraper search invoice -w ~/reports    ask the index
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point. Ends the process with an exit code of the contract."""
    _open_missing_streams()
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def _open_missing_streams() -> None:
    """Where stdin, stdout or stderr is closed, the next file opened would take its place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit code."""
    try:
        options = _parser(arguments).parse_args(arguments)
    except SystemExit as end:  # argparse has said what it had to say
        return end.code if isinstance(end.code, int) else 2
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        with read_or_not():
            pass  # what is left: what the command did, and its exit code, does not depend on a reader
    except TuiScraperError as error:
        from tui_scraper.engine.safe_text import safe_text

        print(safe_text(str(error), limit=_MOST_SAID, newlines=True), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return output_closed()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EIO} or error.filename is not None:
            return _mistake(error)
        print(f"The output cannot be written ({error.strerror}).", file=sys.stderr)
        output_closed()
        return 1
    except Exception as error:
        return _mistake(error)
    return code


def _mistake(error: Exception) -> int:
    from tui_scraper.engine.safe_text import safe_text

    print(
        f"A mistake in tui-scraper itself: {safe_text(f'{type(error).__name__}: {error}', limit=500)}. "
        "What was finished is saved.",
        file=sys.stderr,
    )
    if os.environ.get("TUI_SCRAPER_DEBUG"):
        raise error
    return 1


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments so that nothing in them can act on a terminal."""

    def error(self, message: str) -> NoReturn:
        from tui_scraper.engine.safe_text import safe_text

        super().error(safe_text(message, limit=_MOST_SAID))


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    first = _first_word(arguments)
    parser = _Parser(
        prog="tui-scraper",
        description="Turn a folder of unsorted documents into clean text, chunks, labels and a search index.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tui-scraper {__version__}")
    if first not in _COMMANDS and (first is not None or _names_workspace(arguments)):
        _add_tui(parser)
        return parser
    parser.set_defaults(command=tui, path=None, workspace=None, config=None)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands (or a PATH: opens the TUI)")
    for name, (add, help_text, example) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add(command)
    return parser


_WITH_VALUE = ("-w", "--workspace", "--config")


def _first_word(arguments: Sequence[str]) -> str | None:
    """The first argument that is neither an option nor the value of one: a command or a PATH."""
    before = ""
    for word in arguments:
        if not word.startswith("-") and before not in _WITH_VALUE:
            return word
        before = word
    return None


def _names_workspace(arguments: Sequence[str]) -> bool:
    return any(word.startswith(("-w", "--workspace")) for word in arguments)


def _add_tui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", type=path_of, nargs="?", metavar="PATH", help="a folder of documents, or a workspace"
    )
    add_workspace(parser)
    add_config(parser)
    parser.set_defaults(command=tui)


def tui(options: argparse.Namespace) -> int:
    """`tui-scraper [PATH]`: the TUI, where there is a terminal."""
    _refuse_mistyped(options.path)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("There is no terminal here for the TUI; `tui-scraper run PATH` works without one.")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError("TERM=dumb: this terminal cannot show the TUI; use `tui-scraper run PATH`.")
    if not sys.stderr.isatty():
        raise UsageError("The TUI draws on stderr, which does not lead to the terminal here; or use `run`.")
    from tui_scraper.engine.workspace import is_workspace, source_of

    source, workspace = options.path, options.workspace
    if source is None and workspace is not None:
        source = workspace
    if source is not None:
        if is_workspace(source):
            workspace, source = source, source_of(source)
        require_folder(source)
    settings = settings_of(options)
    from tui_scraper.tui import show

    return show(settings, source, workspace, settings_file(options))


def _refuse_mistyped(path: Path | None) -> None:
    """Whoever types `statsu` means a command, unless there is a folder of that name."""
    if path is None or path.exists() or len(path.parts) != 1:
        return
    from tui_scraper.engine.safe_text import safe_text

    close = difflib.get_close_matches(str(path), _COMMANDS, n=1, cutoff=0.7)
    if close:
        raise UsageError(
            f"{safe_text(str(path))}: there is no such folder. Did you mean `tui-scraper {close[0]}`?"
        )


_Add = Callable[[argparse.ArgumentParser], None]

_COMMANDS: dict[str, tuple[_Add, str, str]] = {
    "run": (
        running.add_run,
        "the whole pipeline without a TUI; resumes by itself",
        "tui-scraper run ~/reports --json",
    ),
    "watch": (
        running.add_watch,
        "run, then stay and take up changes of the folder",
        "tui-scraper watch ~/reports",
    ),
    "status": (looking.add_status, "where a workspace stands", "tui-scraper status -w ~/reports"),
    "pause": (
        steering.add_pause,
        "have a running engine take up nothing further",
        "tui-scraper pause -w ~/reports",
    ),
    "resume": (steering.add_resume, "have a paused engine go on", "tui-scraper resume -w ~/reports"),
    "stop": (
        steering.add_stop,
        "have a running engine stop, with its state saved",
        "tui-scraper stop -w ~/reports",
    ),
    "limits": (
        steering.add_limits,
        "the limits of a running engine: shows them, or changes them at once",
        "tui-scraper limits -w ~/reports --budget 5 --workers 4",
    ),
    "search": (
        looking.add_search,
        "search the index",
        'tui-scraper search "unpaid invoice" -w ~/reports -k 5',
    ),
    "documents": (
        documents.add_documents,
        "every document, with its status and label; filtered as the TUI filters them",
        "tui-scraper documents -w ~/reports --filter 'label:tax <60' --order 'least sure'",
    ),
    "show": (
        documents.add_show,
        "all that is known of one document: text, chunks, label, links, copies",
        "tui-scraper show a/report.pdf -w ~/reports",
    ),
    "graph": (
        graph.add_graph,
        "who refers to whom: links, imports, replies, citations; what is broken, unreferenced, circular",
        "tui-scraper graph a/report.md -w ~/reports",
    ),
    "duplicates": (
        duplicates.add_duplicates,
        "documents that are there more than once, exactly or nearly, in groups; what could go",
        "tui-scraper duplicates -w ~/reports --near --threshold 0.9",
    ),
    "label": (
        documents.add_label,
        "give a document a label by hand; it holds above every model, setting and rollback",
        "tui-scraper label a/report.pdf finance -w ~/reports",
    ),
    "failures": (
        looking.add_failures,
        "failed, skipped and empty documents, by cause",
        "tui-scraper failures -w ~/reports --cause encrypted",
    ),
    "retry": (
        upkeep.add_retry,
        "put failures back to pending",
        "tui-scraper retry -w ~/reports --cause timeout",
    ),
    "skip": (
        documents.add_skip,
        "have failed documents count as skipped: you have looked at them",
        "tui-scraper skip a/report.pdf -w ~/reports",
    ),
    "checkpoints": (
        history.add_checkpoints,
        "the history of a workspace",
        "tui-scraper checkpoints -w ~/reports",
    ),
    "rollback": (
        history.add_rollback,
        "go back to a checkpoint or a phase, after saying what that does; --undo takes it back",
        "tui-scraper rollback clean -w ~/reports",
    ),
    "estimate": (
        money.add_estimate,
        "what labels of a model would cost and take, before anything is spent",
        "tui-scraper estimate ~/reports --pilot 100",
    ),
    "audit": (
        money.add_audit,
        "what was paid for, and what came of it: every call accounted for",
        "tui-scraper audit -w ~/reports",
    ),
    "gc": (
        history.add_gc,
        "free what nothing can need any more; forget old checkpoints",
        "tui-scraper gc -w ~/reports --keep 20 --dry-run",
    ),
    "report": (
        report.add_report,
        "what was found, made, paid and not got through: printed, and as one HTML page",
        "tui-scraper report report.html -w ~/reports",
    ),
    "export": (looking.add_export, "write every document to files", "tui-scraper export ./out -w ~/reports"),
    "verify": (
        upkeep.add_verify,
        "check that everything in a workspace is what was written; --repair mends it",
        "tui-scraper verify -w ~/reports --repair",
    ),
    "init": (upkeep.add_init, "write a commented tui-scraper.toml", "tui-scraper init"),
    "doctor": (upkeep.add_doctor, "check what this machine offers", "tui-scraper doctor"),
    "themes": (
        themes.add_themes,
        "the colours of the TUI; `themes check FILE` says what is wrong with a theme of your own",
        "tui-scraper themes",
    ),
}
