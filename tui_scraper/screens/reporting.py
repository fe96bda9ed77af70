"""Writing the report from the TUI: into the workspace, beside the screen, over the one of before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import RunSnapshot, RunState
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import Role
from tui_scraper.screens.aside import aside

_AT_REST = frozenset({RunState.IDLE, RunState.COMPLETE, RunState.STOPPED, RunState.FAILED})


async def write_report(snapshot: RunSnapshot, say: Callable[[str, Role], None]) -> None:
    """Write it, and say where it is or why it is not. `say` shows a sentence on the screen in view then."""
    try:
        target = await aside(lambda: _write(Path(snapshot.workspace), snapshot.state))
    except TuiScraperError as error:
        say(safe_text(str(error)), "bad")
        return
    say(f"The report is written: {safe_text(str(target))}", "ok")


def _write(directory: Path, state: RunState) -> Path:
    from tui_scraper.engine.report.reading import read_facts
    from tui_scraper.report_page.writing import FILE_NAME, check_place, write_page

    target = directory / FILE_NAME
    check_place(target)
    words = "running" if state in {RunState.SCANNING, RunState.WATCHING} else str(state)
    facts = read_facts(directory, locked=state not in _AT_REST, state="" if state is RunState.IDLE else words)
    write_page(facts, target)
    return target
