"""Commands that look after a workspace and this machine: `retry`, `verify`, `init`, `doctor`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from tui_scraper.commands.arguments import (
    PHASE_CHOICES,
    add_config,
    add_json,
    add_workspace,
    cause_of,
    directory_of,
    name_of,
    path_of,
)
from tui_scraper.commands.changing import change
from tui_scraper.commands.printing import print_lines, print_one, read_or_not
from tui_scraper.engine.errors import UsageError


def add_retry(parser: argparse.ArgumentParser) -> None:
    """The arguments of `retry`."""
    parser.add_argument(
        "path", nargs="?", type=name_of, metavar="PATH", help="one document, as `failures` shows it"
    )
    parser.add_argument("--cause", help="all with this cause")
    parser.add_argument("--phase", choices=PHASE_CHOICES[:5], help="all that failed in this phase")
    parser.add_argument(
        "--method",
        choices=("openai",),
        help="all that lack a label or vectors of the model because they could not be had",
    )
    add_workspace(parser)
    parser.set_defaults(command=retry)


def retry(options: argparse.Namespace) -> int:
    """`retry`: puts failures back to pending; the next run works on them."""
    from tui_scraper import plain
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.store.setbacks import put_back
    from tui_scraper.engine.store.vectors import ask_models_again
    from tui_scraper.engine.workspace import default_directory, source_of
    from tui_scraper.formatting import documents

    if options.method and (options.cause or options.phase):
        raise UsageError("--method goes with a PATH, not with --cause or --phase.")
    path = os.fsencode(options.path) if options.path else None
    directory, cause = directory_of(options), cause_of(options.cause)
    phase = PhaseName(options.phase) if options.phase else None
    operation = ask_models_again(path) if options.method else put_back(cause=cause, phase=phase, path=path)
    by_engine = False

    def answered(answer: dict[str, Any]) -> int:
        nonlocal by_engine
        by_engine = bool(answer.get("worked_on", True))
        return int(answer["documents"])

    request = {"cause": options.cause, "phase": options.phase, "path": options.path, "method": options.method}
    count = change(directory, operation, {"command": "retry", **request}, answered)
    if options.path and not count and not options.method:
        raise UsageError(f"{plain.shown(options.path)}: no failed document has this path.")
    are = "is" if count == 1 else "are"
    if by_engine:
        print_lines([f"{documents(count)} {are} worked on again by the engine that runs here."])
        return 0
    source = source_of(directory)
    again = f"tui-scraper run {plain.shown_path(source)}" if source is not None else "tui-scraper run"
    if source is not None and directory != default_directory(source):
        again += f" -w {plain.shown_path(directory)}"
    it = "it" if count == 1 else "them"
    print_lines(
        [f"{documents(count)} {are} pending again" + (f"; `{again}` works on {it}." if count else ".")]
    )
    return 0


def add_verify(parser: argparse.ArgumentParser) -> None:
    """The arguments of `verify`."""
    add_workspace(parser)
    parser.add_argument(
        "--repair", action="store_true", help="copy the databases, then mend what can be mended"
    )
    add_json(parser)
    parser.set_defaults(command=verify)


def verify(options: argparse.Namespace) -> int:
    """`verify`: whether everything in a workspace is what was written; with --repair mends it."""
    from tui_scraper import plain_verify
    from tui_scraper.engine.verify import repair
    from tui_scraper.engine.verify import verify as look

    directory = directory_of(options)
    with plain_verify.Progress() as progress:
        if options.repair:
            repaired = repair(directory, progress.show)
            report = repaired.after
            lines, records = plain_verify.repair_lines(repaired), plain_verify.repair_records(repaired)
        else:
            report = look(directory, progress.show)
            lines, records = plain_verify.verify_lines(report), plain_verify.verify_records(report)
    with read_or_not():
        if options.json:
            for record in records:
                print_one(record)
        else:
            print_lines(lines)
    return 0 if report.sound else 1


def add_init(parser: argparse.ArgumentParser) -> None:
    """The arguments of `init`."""
    parser.add_argument(
        "directory", nargs="?", type=path_of, default=Path(), help="where to write it (default: here)"
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
    print_lines([f"{safe_text(str(path))} written; every line in it is a default that you can change."])
    return 0


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """The arguments of `doctor`."""
    add_workspace(parser)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(command=doctor)


def doctor(options: argparse.Namespace) -> int:
    """`doctor`: what this machine offers, and whether the settings can be used here."""
    from tui_scraper.doctor import examine

    findings = examine(options.config, options.workspace)
    if options.json:
        for finding in findings:
            print_one({"what": finding.what, "ok": finding.ok, "detail": finding.detail})
    else:
        width = max(len(finding.what) for finding in findings)
        print_lines(
            f"{'✓ ok  ' if finding.ok else '✗ look'}  {finding.what:{width}}  {finding.detail}"
            for finding in findings
        )
    return 0 if all(finding.ok for finding in findings) else 1
