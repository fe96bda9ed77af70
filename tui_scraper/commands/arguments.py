"""Arguments that commands share, and what they mean."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_scraper.engine.errors import UsageError

if TYPE_CHECKING:
    from tui_scraper.engine.settings import Settings

_LARGEST = 10**12
PHASE_CHOICES = ("input", "clean", "chunk", "classify", "index", "output")


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """`-w`: which workspace."""
    parser.add_argument(
        "-w",
        "--workspace",
        type=path_of,
        metavar="DIR",
        help="the workspace, or the folder it was made for (default: the one of the folder, "
        "else TUI_SCRAPER_WORKSPACE)",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config`: which settings file."""
    parser.add_argument("--config", type=path_of, metavar="FILE", help="settings (default: tui-scraper.toml)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`: for programs."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def name_of(text: str) -> str:
    """A name as it was typed."""
    if not text:  # an unset "$VARIABLE" must not mean the current folder, or all there is
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def path_of(text: str) -> Path:
    """A path as it was typed."""
    return Path(name_of(text))


def positive(text: str) -> int:
    """A number above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    if value > _LARGEST:
        raise argparse.ArgumentTypeError(f"'{text}' is more than {_LARGEST:,}")
    return value


def dollars(text: str) -> float:
    """An amount of money, from 0 up."""
    try:
        value = float(text.removeprefix("$"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= _LARGEST:
        raise argparse.ArgumentTypeError(f"'{text}' is not an amount of dollars such as 2.50")
    return value


def cause_of(text: str | None) -> Any:
    """The cause that a person means; None for none. Raises UsageError."""
    from tui_scraper.engine.models import Cause

    if text is None:
        return None
    try:
        return Cause(text)
    except ValueError:
        known = ", ".join(f"'{cause}'" for cause in Cause)
        raise UsageError(f"'{text}' is not a cause; there are {known}.") from None


def directory_of(options: argparse.Namespace) -> Path:
    """The workspace a command is about: named, of the environment, or of the current folder."""
    from tui_scraper.engine.workspace import find_directory

    return find_directory(options.workspace)


def require_folder(source: Path | None) -> None:
    """Raise UsageError where there is no such folder of documents."""
    from tui_scraper.engine.safe_text import safe_text

    if source is None:
        raise UsageError("This workspace has not run yet; name the folder of documents.")
    if not os.path.exists(source):
        raise UsageError(f"{safe_text(str(source))}: there is no such folder.")
    if not os.path.isdir(source):
        raise UsageError(f"{safe_text(str(source))}: this is not a folder.")


def settings_file(options: argparse.Namespace) -> str:
    """The settings file that is read, for display; empty where there is none."""
    from tui_scraper.engine.safe_text import safe_text
    from tui_scraper.engine.settings import default_file

    file = options.config or default_file()
    return safe_text(str(file.absolute())) if file is not None else ""


def settings_of(
    options: argparse.Namespace, overrides: dict[str, dict[str, object]] | None = None
) -> Settings:
    """The settings from all four sources; `overrides` are flags. Raises UsageError."""
    from tui_scraper.engine.settings import load

    return load(options.config, overrides)
