"""Writing a report from the TUI."""

from __future__ import annotations

from pathlib import Path

from opened import really_open
from seeing import MakeApp, screen_text, until, until_text

from tui_scraper.engine.models import RunState
from tui_scraper.report_page.page import BEGINNING


async def test_w_writes_the_report_into_the_workspace_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for number in range(3):
        (tmp_path / "source" / f"{number}.txt").write_text(f"Invoice {number}: the amount is due.")
    target = tmp_path / "w" / "report.html"
    async with really_open(tmp_path / "source", tmp_path / "w", (160, 40)) as pilot:
        assert "w report" in screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.press("w")
        await until_text(pilot, "The report is written")
        whole = target.read_text(encoding="utf-8")
        assert whole.startswith(BEGINNING)
        assert "3 of 3 documents done, none failed." in whole
        assert str(RunState.COMPLETE) in whole
        target.write_text("mine")
        await pilot.press("4", "w")
        await until_text(pilot, "not a report of tui-scraper")
        assert target.read_text() == "mine"
        target.unlink()
        await pilot.press("ctrl+p")
        await pilot.press(*"write a report")
        await until_text(pilot, "What came of the work")
        await pilot.press("enter")
        await until(pilot, target.exists)


async def test_without_a_folder_it_says_why_not(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("w")
        await until_text(pilot, "Nothing is open, so there is nothing to report.")
