"""The Log screen: the file of the workspace, followed, filtered, also where it is cut off or begun anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from seeing import NARROW, WIDE, MakeApp, screen_text, until, until_text
from served import ServedHost, busy, workspace_of

from tui_scraper.engine.runlog import FILE_NAME, RunLog
from tui_scraper.screens.log import read_log
from tui_scraper.widgets.lines import ScrollLines


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "w"
    directory.mkdir()
    write(directory, 100)
    return directory


def write(directory: Path, count: int, first: int = 0) -> None:
    log = RunLog(directory)
    for number in range(first, first + count):
        log.info(f"line {number}")
    log.warning("something odd")
    log.error("✗ clean report [/final].pdf · corrupt: it ends \x1b[31mtoo early")
    log.close()


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_end_is_shown_and_followed(
    make_app: MakeApp, workspace: Path, size: tuple[int, int]
) -> None:
    app = make_app(workspace_of(busy(), workspace))
    async with app.run_test(size=size) as pilot:
        await pilot.press("l")
        text = await until_text(pilot, "line 99", "report [/final].pdf", "102 · everything · following")
        assert "\x1b" not in text
        write(workspace, 3, 1_000)
        await until_text(pilot, "line 1002")
        await pilot.press("g")
        await until_text(pilot, "line 0", "G follows")
        write(workspace, 1, 2_000)
        await until_text(pilot, "everything · G follows", "110")
        assert "line 2000" not in screen_text(app)


async def test_levels_and_a_filter_leave_what_is_wanted(make_app: MakeApp, workspace: Path) -> None:
    app = make_app(workspace_of(busy(), workspace))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("6")
        await until_text(pilot, "line 99")
        await pilot.press("v")
        await until_text(pilot, "2 · warnings and errors", "something odd")
        await pilot.press("v")
        await until_text(pilot, "1 · errors")
        await pilot.press("v", "slash", *"line 4")
        await until_text(pilot, "Filter: line 4", "11 · everything", "line 42")
        await pilot.press("escape")
        await until_text(pilot, "102 · everything")
        await until(pilot, lambda: app.screen.query_one("#whole-log", ScrollLines).has_focus)


async def test_an_empty_log_and_no_folder(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(host=ServedHost(workspace_of(busy(), tmp_path)))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("l")
        await until_text(pilot, "The log is empty")


def test_only_whole_lines_are_read_and_each_once(workspace: Path) -> None:
    path = workspace / FILE_NAME
    first = read_log(path, 0, 0)
    assert len(first.lines) == 102
    with path.open("ab") as file:
        file.write(b'{"time": "2026-11-30T00:00:00Z", "level": "INFO", "mess')
    half = read_log(path, first.inode, first.offset)
    assert (half.lines, half.offset, half.anew) == ([], first.offset, False)
    with path.open("ab") as file:
        file.write(b'age": "whole"}\nrubbish\n[1]\n')
    rest = read_log(path, half.inode, half.offset)
    assert [line.text for line in rest.lines] == ["whole"]
    assert rest.offset == path.stat().st_size


def test_a_log_that_was_rotated_is_read_from_its_beginning(workspace: Path) -> None:
    path = workspace / FILE_NAME
    first = read_log(path, 0, 0)
    path.rename(workspace / "log.jsonl.1")
    line = {"time": "2026-11-30T00:00:00Z", "level": "INFO", "message": "new"}
    path.write_text(json.dumps(line) + "\n")
    after = read_log(path, first.inode, first.offset)
    assert after.anew
    assert [line.text for line in after.lines] == ["new"]
    path.unlink()
    assert read_log(path, after.inode, after.offset).anew
