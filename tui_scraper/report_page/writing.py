"""Putting a page in its place: at once and whole, and never over a file that is something else."""

from __future__ import annotations

import os
from pathlib import Path

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.report.facts import Facts
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.whole_file import write_whole
from tui_scraper.report_page.page import BEGINNING, page

FILE_NAME = "report.html"
"""In the workspace, where nobody has named another place."""


def check_place(target: Path, *, force: bool = False) -> None:
    """Refuse what is not ours to replace, before anything is read for it. Raises UsageError.

    With `force` a file may be anything; what is no file is never replaced.
    """
    target = Path(os.path.realpath(target))
    shown = safe_text(str(target))
    if not os.path.lexists(target):
        if not target.parent.is_dir():
            raise UsageError(f"{shown}: there is no folder for it; make it, or name another place.")
        return
    if target.is_dir():
        raise UsageError(f"{shown}: this is a folder; name a file.")
    if not target.is_file():
        raise UsageError(f"{shown}: this is not an ordinary file; name another.")
    if not force and not _is_ours(target):
        raise UsageError(
            f"{shown}: this file is not a report of tui-scraper; it was left as it is. Name another, or "
            "replace it with --force."
        )


def _is_ours(target: Path) -> bool:
    try:
        with target.open("rb") as file:
            beginning = file.read(len(BEGINNING))
    except OSError as error:
        raise UsageError(f"{safe_text(str(target))}: this cannot be read ({error.strerror}).") from error
    return beginning in {b"", BEGINNING.encode()}  # nothing is lost of an empty one


def write_page(facts: Facts, target: Path, *, force: bool = False) -> None:
    """Write the page. Raises UsageError where the place is none, StoreError where the disk refuses."""
    check_place(target, force=force)
    write_whole(Path(os.path.realpath(target)), page(facts))
