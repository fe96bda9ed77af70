"""The command `themes`: which colours there are, and whether a file of one's own is sound."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tui_scraper.commands.arguments import add_config, add_json, path_of, settings_of
from tui_scraper.commands.printing import any_encoding, print_lines, print_one

if TYPE_CHECKING:
    from tui_scraper.theming import KnownTheme


def add_themes(parser: argparse.ArgumentParser) -> None:
    """The arguments of `themes`."""
    add_config(parser)
    add_json(parser)
    parser.set_defaults(command=themes)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    checking = commands.add_parser(
        "check",
        help="say what is wrong with a theme file",
        epilog="example:\n  tui-scraper themes check paper.toml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    checking.add_argument("file", type=path_of, metavar="FILE", help="a theme file")
    checking.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    checking.set_defaults(command=check)


def themes(options: argparse.Namespace) -> int:
    """`themes`."""
    from tui_scraper import plain, theming

    wanted = settings_of(options).ui.theme
    known, problems = theming.known_themes()
    for sentence in problems:
        print(sentence, file=sys.stderr)
    if options.json:
        for one in known:
            print_one(
                {
                    "name": one.theme.name,
                    "dark": one.theme.dark,
                    "own": one.own,
                    "chosen": one.theme.name == wanted,
                    "file": str(one.path),
                }
            )
        return 0
    _list(known, wanted)
    where = plain.shown_path(theming.own_directory())
    print_lines(["", f"ui.theme chooses one. A theme of your own is a file in {where}."])
    return 0


def _list(known: list[KnownTheme], wanted: str) -> None:
    from rich.console import Console
    from rich.style import Style
    from rich.text import Text

    from tui_scraper import plain, theming

    console = Console(highlight=False)
    width = max(len(one.theme.name) for one in known)
    for one in known:
        chosen = "*" if one.theme.name == wanted else " "
        line = Text(f"{chosen} {one.theme.name:<{width}}  ")
        if console.is_terminal and console.color_system is not None:
            colors = theming.swatch(one.theme)
            for color in colors:
                line.append("   ", Style(bgcolor=color))
            line.append("   " * (theming.SWATCH - len(colors)) + "  ")
        kind = "ansi " if one.theme.ansi else ("dark " if one.theme.dark else "light")
        line.append(f"{kind}  {plain.shown_path(one.path) if one.own else ''}".rstrip())
        with any_encoding():
            console.print(line, soft_wrap=True)


def check(options: argparse.Namespace) -> int:
    """`themes check FILE`."""
    from tui_scraper import plain, theming

    theme = theming.load_theme(options.file)
    hard = theming.hard_to_read(theme)
    if options.json:
        print_one({"file": plain.shown_path(options.file), "name": theme.name, "hard_to_read": hard})
        return 0
    can_be_used = f"{plain.shown_path(options.file)}: the theme '{theme.name}' can be used"
    print_lines([f"{can_be_used}, but is hard to read:" if hard else f"{can_be_used}."])
    print_lines(f"  {sentence}" for sentence in hard)
    return 0
