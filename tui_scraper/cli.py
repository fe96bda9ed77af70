"""The command line: one thin function for each command of the contract.

What a command needs is imported in it, so that `--help` costs little. Every error that a person
can do something about arrives here as a sentence and leaves as one, with its exit code; nothing
prints a trace.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tui_scraper import __version__
from tui_scraper.engine.errors import TuiScraperError, UsageError, WorkspaceLockedError

if TYPE_CHECKING:
    from tui_scraper.engine.settings import Settings

PHASE_CHOICES = ("input", "clean", "chunk", "classify", "index", "output")

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
        sys.stdout.flush()
    except TuiScraperError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return _output_closed()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EIO} or error.filename is not None:
            return _mistake(error)
        print(f"The output cannot be written ({error.strerror}).", file=sys.stderr)
        _output_closed()
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


def _output_closed() -> int:
    """Whoever read our output has enough. Python must not complain about it while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    first = _first_word(arguments)
    parser = argparse.ArgumentParser(
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
        "path", type=_path, nargs="?", metavar="PATH", help="a folder of documents, or a workspace"
    )
    _add_workspace(parser)
    _add_config(parser)
    parser.set_defaults(command=tui)


def _add_workspace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-w",
        "--workspace",
        type=_path,
        metavar="DIR",
        help="the workspace, or the folder it was made for (default: the one of the folder, "
        "else TUI_SCRAPER_WORKSPACE)",
    )


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=_path, metavar="FILE", help="settings (default: tui-scraper.toml)")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _path(text: str) -> Path:
    if not text:  # an unset "$VARIABLE" must not mean the current folder
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


# --- tui ------------------------------------------------------------------------------------------


def tui(options: argparse.Namespace) -> int:
    """`tui-scraper [PATH]`: the TUI, where there is a terminal."""
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
        _require_folder(source)
    settings = _settings(options)
    from tui_scraper.tui import show

    return show(settings, source, workspace)


def _require_folder(source: Path | None) -> None:
    from tui_scraper.engine.safe_text import safe_text

    if source is None:
        raise UsageError("This workspace has not run yet; name the folder of documents.")
    if not os.path.exists(source):
        raise UsageError(f"{safe_text(str(source))}: there is no such folder.")
    if not os.path.isdir(source):
        raise UsageError(f"{safe_text(str(source))}: this is not a folder.")


def _settings_file(options: argparse.Namespace) -> str:
    from tui_scraper.engine.safe_text import safe_text
    from tui_scraper.engine.settings import default_file

    file = options.config or default_file()
    return safe_text(str(file.absolute())) if file is not None else ""


def _settings(options: argparse.Namespace, overrides: dict[str, dict[str, object]] | None = None) -> Settings:
    from tui_scraper.engine.settings import load

    return load(options.config, overrides)


# --- run ------------------------------------------------------------------------------------------


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=_path, metavar="PATH", help="the folder of documents")
    _add_workspace(parser)
    _add_config(parser)
    parser.add_argument("--until", choices=PHASE_CHOICES, default="output", help="the last phase to run")
    parser.add_argument(
        "--sample", type=_positive, metavar="N", help="work on N documents only, the same each time"
    )
    parser.add_argument("--offline", action="store_true", help="labels without any network")
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="worker processes (default: one a core)"
    )
    parser.add_argument(
        "--export", type=_path, metavar="DIR", help="where to export (default: in the workspace)"
    )
    parser.add_argument(
        "--accept-settings",
        action="store_true",
        help="after a rollback: put the settings of the file in force again",
    )
    parser.add_argument("--json", action="store_true", help="events as JSON, one a line")
    parser.add_argument("-v", "--verbose", action="store_true", help="the log on stderr")
    parser.set_defaults(command=run_command)


def run_command(options: argparse.Namespace) -> int:
    """`run PATH`."""
    from tui_scraper.engine.workspace import is_workspace, source_of

    if options.workspace is None and is_workspace(options.path):
        options.workspace, options.path = options.path, source_of(options.path)
    _require_folder(options.path)
    _prewarm(options)
    overrides: dict[str, dict[str, object]] = {}
    if options.offline:
        overrides["classify"] = {"backend": "local"}
    if options.workers:
        overrides["engine"] = {"workers": options.workers}
    settings = _settings(options, overrides)
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
    )
    try:
        with _any_encoding():
            return headless.run(
                request,
                json_events=options.json,
                verbose=options.verbose,
                settings_file=_settings_file(options),
            )
    except headless.OutputGoneError:
        _output_closed()
        return 4


def _prewarm(options: argparse.Namespace) -> None:
    """Start loading the workers now, unless the last run was complete and this one may need none."""
    from tui_scraper.engine.workers import launch
    from tui_scraper.engine.workspace import is_complete

    if not is_complete(options.path, options.workspace):
        with contextlib.suppress(OSError):  # the pool tries again, and says why it cannot
            launch.prewarm()


# --- reading a workspace --------------------------------------------------------------------------


def _directory(options: argparse.Namespace) -> Path:
    """The workspace a command is about: named, of the environment, or of the current folder."""
    from tui_scraper.engine.workspace import find_directory

    return find_directory(options.workspace)


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_workspace(parser)
    _add_json(parser)
    parser.set_defaults(command=status)


def status(options: argparse.Namespace) -> int:
    """`status`."""
    from tui_scraper import plain
    from tui_scraper.engine.store.reader import Reader
    from tui_scraper.engine.workspace import holder

    directory = _directory(options)
    who = holder(directory)
    with Reader(directory) as reader:
        report = reader.status(locked=who is not None)
    _print_one(plain.status_record(report)) if options.json else _print(plain.status_lines(report, who))
    return 0


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", nargs="+", help='words, "a phrase", -without')
    _add_workspace(parser)
    parser.add_argument("-k", type=_positive, default=10, metavar="N", help="at most N hits (default 10)")
    parser.add_argument("--label", help="only documents with this label")
    parser.add_argument("--path", help="only paths that begin with this, or match it where it has * or ?")
    parser.add_argument("--mode", choices=("text",), default="text", help="how to search")
    _add_json(parser)
    parser.set_defaults(command=search)


def search(options: argparse.Namespace) -> int:
    """`search QUERY`."""
    from tui_scraper import plain
    from tui_scraper.engine.search.query import search as find

    directory = _directory(options)
    hits = find(directory, " ".join(options.query), k=options.k, label=options.label, path=options.path)
    if options.json:
        for hit in hits:
            _print_one(plain.hit_record(hit))
    else:
        _print(plain.hit_lines(hits))
    return 0


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", type=_path, metavar="DIR", help="the folder to write; an export there is replaced"
    )
    parser.add_argument("--format", choices=("jsonl",), default="jsonl", help="file format")
    _add_workspace(parser)
    parser.set_defaults(command=export)


def export(options: argparse.Namespace) -> int:
    """`export DIR`."""
    from tui_scraper import plain
    from tui_scraper.engine.export import export as write

    report = write(_directory(options), options.directory, formats=(options.format,))
    _print([f"{report.documents:,} documents exported: {plain.shown_path(report.directory)}"])
    return 0


def _add_failures(parser: argparse.ArgumentParser) -> None:
    _add_workspace(parser)
    parser.add_argument("--phase", choices=PHASE_CHOICES[:5], help="only of this phase")
    parser.add_argument("--cause", help="only with this cause, such as 'encrypted'")
    _add_json(parser)
    parser.set_defaults(command=failures)


def failures(options: argparse.Namespace) -> int:
    """`failures`."""
    from tui_scraper import plain
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.store.reader import Reader

    phase = PhaseName(options.phase) if options.phase else None
    cause = _cause(options.cause)
    with Reader(_directory(options)) as reader:
        if options.json:
            for row in reader.all_failures(cause=cause, phase=phase):
                _print_one(plain.failure_record(row))
        else:
            groups = [
                group
                for group in reader.causes()
                if (cause is None or group.cause is cause) and (phase is None or group.phase is phase)
            ]
            rows = reader.all_failures(cause=cause, phase=phase)
            _print(plain.failure_lines(groups, rows))
    return 0


def _cause(text: str | None) -> Any:
    from tui_scraper.engine.models import Cause

    if text is None:
        return None
    try:
        return Cause(text)
    except ValueError:
        known = ", ".join(f"'{cause}'" for cause in Cause)
        raise UsageError(f"'{text}' is not a cause; there are {known}.") from None


def _add_checkpoints(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="also those that are thinned out when there are many"
    )
    _add_workspace(parser)
    _add_json(parser)
    parser.set_defaults(command=checkpoints)
    actions = parser.add_subparsers(metavar="ACTION", title="actions")
    shown = _add_action(actions, "show", checkpoints_show, "one checkpoint, with the settings in force then")
    shown.add_argument("checkpoint", metavar="ID", help="a number, or a name")
    differing = _add_action(
        actions, "diff", checkpoints_diff, "what differs between two points, also across branches"
    )
    differing.add_argument("a", metavar="A", help="a number, or a name")
    differing.add_argument(
        "b", metavar="B", nargs="?", help="a number, or a name; without it, as things are now"
    )
    named = _add_action(actions, "name", checkpoints_name, "give a checkpoint a name to go back to it by")
    named.add_argument("checkpoint", metavar="ID", help="a number, or the name so far")
    named.add_argument("name", metavar="NAME", help="'' takes the name away")
    named.add_argument("--note", metavar="TEXT", help="a remark; '' takes it away")


def _add_action(
    actions: Any, name: str, command: Callable[[argparse.Namespace], int], help_text: str
) -> argparse.ArgumentParser:
    """A command below a command. What was said before it (-w, --json) holds unless it is said again."""
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}."
    )
    parser.add_argument("-w", "--workspace", type=_path, metavar="DIR", default=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    parser.set_defaults(command=command)
    return parser


def checkpoints(options: argparse.Namespace) -> int:
    """`checkpoints`."""
    from tui_scraper import plain_history
    from tui_scraper.engine.store.reader import Reader

    with Reader(_directory(options)) as reader:
        history = reader.checkpoints(everything=options.all or options.json)
        hidden = reader.count_checkpoints() - len(history)
    if options.json:
        for checkpoint in history:
            _print_one(plain_history.checkpoint_record(checkpoint))
    else:
        _print(plain_history.checkpoint_lines(history, hidden=hidden))
    return 0


def checkpoints_show(options: argparse.Namespace) -> int:
    """`checkpoints show ID`."""
    from tui_scraper import plain_history
    from tui_scraper.engine.settings import recorded
    from tui_scraper.engine.settings_file import differing
    from tui_scraper.engine.store.reader import Reader

    with Reader(_directory(options)) as reader:
        details = reader.checkpoint(options.checkpoint)
    if options.json:
        _print_one(plain_history.details_record(details))
    else:
        settings = recorded(json.dumps(details.settings))
        _print(plain_history.details_lines(details, differing(settings)))
    return 0


def checkpoints_diff(options: argparse.Namespace) -> int:
    """`checkpoints diff A B`."""
    from tui_scraper import plain_history
    from tui_scraper.engine.store.reader import Reader

    with Reader(_directory(options)) as reader:
        a = reader.checkpoint(options.a).checkpoint.id
        b = reader.checkpoint(options.b).checkpoint.id if options.b is not None else None
        with reader.compare(a, b) as comparison:
            if options.json:
                _print_one(plain_history.comparison_record(comparison))
                for one in comparison.documents():
                    _print_one(plain_history.difference_record(one))
            else:
                _print(plain_history.comparison_lines(comparison))
    return 0


def checkpoints_name(options: argparse.Namespace) -> int:
    """`checkpoints name ID NAME`."""
    from tui_scraper import plain
    from tui_scraper.engine.store.checkpoints import find_checkpoint, name_checkpoint
    from tui_scraper.engine.workspace import reopen

    with contextlib.closing(reopen(_directory(options))) as workspace:
        checkpoint = workspace.writer.call(lambda found: find_checkpoint(found.state, options.checkpoint))
        workspace.writer.call(name_checkpoint(checkpoint, options.name, options.note))
    called = f"is called “{plain.shown(options.name)}” now" if options.name else "has no name now"
    _print([f"Checkpoint {checkpoint} {called}."])
    return 0


def _add_rollback(parser: argparse.ArgumentParser) -> None:
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
    _add_workspace(parser)
    _add_config(parser)
    _add_json(parser)
    parser.set_defaults(command=rollback)


def rollback(options: argparse.Namespace) -> int:
    """`rollback TARGET`: says what it does, asks, and moves the head."""
    from tui_scraper import plain_history
    from tui_scraper.engine.going_back import find_target, preview, preview_undo

    if options.undo == (options.target is not None):
        raise UsageError("Name a checkpoint or a phase to go back to, or give --undo alone.")
    directory = _directory(options)
    settings = _settings(options)
    target = None if options.undo else find_target(directory, options.target)
    if options.fresh and not isinstance(target, str):
        raise UsageError("--fresh goes with a phase: what comes after it is made anew.")
    if target is None:
        shown, where = preview_undo(directory, settings), "where it was before"
    else:
        shown = preview(directory, target, settings, fresh=options.fresh)
        where = f"to {target}" if isinstance(target, str) else f"to checkpoint {target}"
    if not options.json:
        _print([f"Going back {where}:", *(f"  {line}" for line in plain_history.preview_lines(shown))])
    if not (options.yes or _confirmed(options)):
        if options.json:
            _print_one({**plain_history.preview_record(shown), "head": None})
        print("Nothing was changed; --yes goes back.", file=sys.stderr)
        return 2
    checkpoint = _move_head(directory, target, fresh=options.fresh)
    if options.json:
        _print_one({**plain_history.preview_record(shown), "head": checkpoint})
    else:
        _print([f"Checkpoint {checkpoint} is the head now; `tui-scraper rollback --undo` takes this back."])
    return 0


def _confirmed(options: argparse.Namespace) -> bool:
    """Ask the person, where there is one."""
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    print("Go back? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _move_head(directory: Path, target: str | int | None, *, fresh: bool) -> int:
    """Move the head; where an engine is at work it does so itself, after draining what it has in hand."""
    from tui_scraper import control
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo
    from tui_scraper.engine.workspace import reopen

    if target is None:
        operation = undo()
    elif isinstance(target, int):
        operation = roll_back_to_checkpoint(target)
    else:
        operation = roll_back_to_phase(PhaseName(target), fresh=fresh)
    try:
        with contextlib.closing(reopen(directory)) as workspace:
            return workspace.writer.call(operation)
    except WorkspaceLockedError:
        request = {"command": "undo"} if target is None else {"command": "rollback", "target": target}
        answer = control.ask(directory, {**request, "fresh": fresh})
        if answer is None:
            raise
        return int(answer["head"])


# --- changing a workspace -------------------------------------------------------------------------


def _add_retry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", metavar="PATH", help="one document, as `failures` shows it")
    parser.add_argument("--cause", help="all with this cause")
    parser.add_argument("--phase", choices=PHASE_CHOICES[:5], help="all that failed in this phase")
    _add_workspace(parser)
    parser.set_defaults(command=retry)


def retry(options: argparse.Namespace) -> int:
    """`retry`: puts failures back to pending; the next run works on them."""
    from tui_scraper import plain
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.store.setbacks import put_back
    from tui_scraper.engine.workspace import Workspace, default_directory, reopen

    workspace: Workspace = reopen(_directory(options))
    try:
        count = workspace.writer.call(
            put_back(
                cause=_cause(options.cause),
                phase=PhaseName(options.phase) if options.phase else None,
                path=os.fsencode(options.path) if options.path else None,
            )
        )
    finally:
        workspace.close()
    if options.path and not count:
        from tui_scraper.engine.safe_text import safe_text

        raise UsageError(f"{safe_text(options.path)}: no failed document has this path.")
    what = "1 document is" if count == 1 else f"{count:,} documents are"
    again = f"tui-scraper run {plain.shown_path(workspace.source)}"
    if workspace.directory != default_directory(workspace.source):
        again += f" -w {plain.shown_path(workspace.directory)}"
    _print([f"{what} pending again" + (f"; `{again}` works on it." if count else ".")])
    return 0


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", nargs="?", type=_path, default=Path(), help="where to write it (default: here)"
    )
    parser.set_defaults(command=init)


def init(options: argparse.Namespace) -> int:
    """`init`: a commented settings file."""
    from tui_scraper.engine.safe_text import safe_text
    from tui_scraper.engine.settings import FILE_NAME
    from tui_scraper.engine.settings_file import commented

    path: Path = options.directory / FILE_NAME
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(commented())
    except FileExistsError:
        raise UsageError(f"{safe_text(str(path))}: there is one already; it was left as it is.") from None
    except OSError as error:
        raise UsageError(f"{safe_text(str(path))}: this cannot be written ({error.strerror}).") from None
    _print([f"{safe_text(str(path))} written; every line in it is a default that you can change."])
    return 0


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    _add_workspace(parser)
    _add_config(parser)
    _add_json(parser)
    parser.set_defaults(command=doctor)


def doctor(options: argparse.Namespace) -> int:
    """`doctor`: what this machine offers, and whether the settings can be used here."""
    from tui_scraper.doctor import examine

    findings = examine(options.config, options.workspace)
    if options.json:
        for finding in findings:
            _print_one({"what": finding.what, "ok": finding.ok, "detail": finding.detail})
    else:
        width = max(len(finding.what) for finding in findings)
        _print(
            f"{'✓ ok  ' if finding.ok else '✗ look'}  {finding.what:{width}}  {finding.detail}"
            for finding in findings
        )
    return 0 if all(finding.ok for finding in findings) else 1


# --- printing -------------------------------------------------------------------------------------


def _print(lines: Sequence[str] | Iterator[str]) -> None:
    with _any_encoding():
        for line in lines:
            print(line)


def _print_one(record: dict[str, object]) -> None:
    with _any_encoding():
        print(json.dumps(record, ensure_ascii=False))


@contextmanager
def _any_encoding() -> Iterator[None]:
    """A locale that has no sign for a character shows another, rather than ending the command."""
    if isinstance(getattr(sys.stdout, "errors", None), str) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    yield


_Add = Callable[[argparse.ArgumentParser], None]

_COMMANDS: dict[str, tuple[_Add, str, str]] = {
    "run": (
        _add_run,
        "the whole pipeline without a TUI; resumes by itself",
        "tui-scraper run ~/reports --json",
    ),
    "status": (_add_status, "where a workspace stands", "tui-scraper status -w ~/reports"),
    "search": (_add_search, "search the index", 'tui-scraper search "unpaid invoice" -w ~/reports -k 5'),
    "failures": (
        _add_failures,
        "failed, skipped and empty documents, by cause",
        "tui-scraper failures -w ~/reports --cause encrypted",
    ),
    "retry": (_add_retry, "put failures back to pending", "tui-scraper retry -w ~/reports --cause timeout"),
    "checkpoints": (_add_checkpoints, "the history of a workspace", "tui-scraper checkpoints -w ~/reports"),
    "rollback": (
        _add_rollback,
        "go back to a checkpoint or a phase, after saying what that does; --undo takes it back",
        "tui-scraper rollback clean -w ~/reports",
    ),
    "export": (_add_export, "write every document to files", "tui-scraper export ./out -w ~/reports"),
    "init": (_add_init, "write a commented tui-scraper.toml", "tui-scraper init"),
    "doctor": (_add_doctor, "check what this machine offers", "tui-scraper doctor"),
}
