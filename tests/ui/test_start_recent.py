"""The Start screen lists the workspaces that were used last, and opens them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from seeing import NARROW, WIDE, MakeApp, screen_text, until, until_text, until_words
from served import IDLE, ServedHost, busy
from stored import HOSTILE, Bad, write_failures

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.models import Counts
from tui_scraper.engine.recent import RecentWorkspace, are_gone, recent_workspaces
from tui_scraper.engine.settings import Settings, UiSettings
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.workspace import Workspace, default_directory, state_home
from tui_scraper.screens.start_recent import RecentList, RecentRows, workspace_state
from tui_scraper.widgets.text_field import PathField

MakeWorkspace = Callable[..., Path]


@pytest.fixture
def make_workspace(tmp_path: Path) -> MakeWorkspace:
    """A workspace in its default place that was last used so many seconds ago."""

    def make(name: str, ago_s: float, failed: int = 1) -> Path:
        source = tmp_path / name
        source.mkdir()
        (source / "a.txt").write_text("hello")
        directory = default_directory(source)
        Workspace(directory, source).close()
        write_failures(directory, [Bad(f"{number}.pdf") for number in range(failed)])
        then = time.time() - ago_s
        for file in directory.glob("state.db*"):
            os.utime(file, (then, then))
        return source

    return make


def without_argument(host: ServedHost | None = None) -> TuiScraperApp:
    return TuiScraperApp(host or ServedHost(IDLE), Settings(ui=UiSettings(refresh_hz=30)))


def field(app: TuiScraperApp) -> PathField:
    return app.screen.query_one(PathField)


@pytest.mark.parametrize("size", [NARROW, WIDE, (60, 15)])
async def test_without_an_argument_the_recent_workspaces_come_first(
    make_workspace: MakeWorkspace, size: tuple[int, int]
) -> None:
    make_workspace("antique", 7300)
    newer = make_workspace("newer", 130, failed=3)
    app = without_argument()
    async with app.run_test(size=size) as pilot:
        text = await until_text(pilot, "Recent workspaces", "2m ago", "2h ago", "✗ 3 failed", "complete")
        rows = text[text.index("Recent workspaces") :]
        assert rows.index("newer") < rows.index("antique")
        await until(pilot, lambda: isinstance(app.focused, RecentList))
        assert field(app).value == str(newer)
        await until_text(pilot, "3 failed", "enter go")


async def test_enter_opens_the_workspace_under_the_cursor(make_workspace: MakeWorkspace) -> None:
    older, _ = make_workspace("antique", 7300), make_workspace("newer", 130)
    host = ServedHost()
    host.after_start = busy(workspace="/nowhere")
    app = without_argument(host)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: isinstance(app.focused, RecentList))
        await pilot.press("down")
        await until(pilot, lambda: field(app).value == str(older))
        await pilot.press("enter")
        await until_text(pilot, "RUNNING", "Phases")
    assert host.calls[0] == ("start", older, default_directory(older))


async def test_down_goes_to_the_list_and_esc_brings_back_what_was_typed(
    make_app: MakeApp, make_workspace: MakeWorkspace, tmp_path: Path
) -> None:
    known = make_workspace("known", 50)
    app = make_app(IDLE, start=True, source=tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "Recent workspaces")
        await pilot.press("down")
        await until(pilot, lambda: field(app).value == str(known))
        await pilot.press("escape")
        await until(pilot, lambda: field(app).has_focus and field(app).value == str(tmp_path))


async def test_tab_through_the_list_changes_nothing_and_enter_there_chooses_first(
    make_app: MakeApp, make_workspace: MakeWorkspace, tmp_path: Path
) -> None:
    known, other = make_workspace("known", 50), tmp_path / "other"
    other.mkdir()
    host = ServedHost()
    app = make_app(host=host, start=True, source=other)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "Recent workspaces", "0 files")
        while not isinstance(app.focused, RecentList):
            assert field(app).has_focus  # it completes, and then goes on
            await pilot.press("tab")
        assert field(app).value.rstrip("/") == str(other)
        await pilot.press("enter")
        await until(pilot, lambda: field(app).value == str(known))
        assert host.calls == []


async def test_what_cannot_be_opened_says_why(make_workspace: MakeWorkspace) -> None:
    shutil.rmtree(make_workspace("gone", 10))
    broken = default_directory(make_workspace("broken", 20))
    (broken / "state.db").write_bytes(b"no database" * 1000)
    app = without_argument()
    async with app.run_test(size=WIDE) as pilot:
        await until_words(pilot, "✗ its folder is not there", "✗ state.db: the database is damag")
        await pilot.press("down", "enter")
        await until_words(pilot, ": there is no such folder.")


async def test_a_workspace_of_an_older_version_is_renewed_by_go(make_workspace: MakeWorkspace) -> None:
    source = make_workspace("old", 20)
    with closing(open_state(default_directory(source))) as state:
        state.execute("UPDATE meta SET value = 5 WHERE key = 'schema'")
    host = ServedHost()
    app = TuiScraperApp(host, Settings(ui=UiSettings(refresh_hz=30)), source)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "an older tui-scraper made it; Go renews it", "1 file")
        await pilot.press("enter")
        await until(pilot, lambda: host.calls == [("start", source, None)])


async def test_a_newcomer_is_told_what_will_happen_and_what_never_does(
    make_app: MakeApp, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    async with make_app(IDLE, start=True, source=tmp_path).run_test(size=NARROW) as pilot:
        text = await until_text(pilot, "Welcome", "never written to", "never above the budget", "1 file")
        for word in ("p) pause", "f) failed", "c) checkpoints", "1) run"):
            assert word not in text
        assert text.count("▸") == 1
        await pilot.press("escape")
        text = await until_text(pilot, "▸ Go", "enter go", "? help", "q quit")
        assert text.count("▸") == 1
        assert "pause" not in text


def test_many_workspaces_are_counted_and_few_are_looked_at(make_workspace: MakeWorkspace) -> None:
    template = default_directory(make_workspace("one", 5))
    for number in range(30):
        shutil.copytree(template, state_home() / f"copy-{number}")
    (state_home() / "no-workspace").mkdir()
    found, more = recent_workspaces(most=10)
    assert (len(found), more) == (10, 21)
    assert [one.used for one in found] == sorted((one.used for one in found), reverse=True)
    assert found[0].counts == Counts(found=1, failed=1)
    assert are_gone(found) == set()


def test_without_a_place_for_workspaces_there_are_none() -> None:
    assert recent_workspaces() == ([], 0)


async def test_who_is_working_in_a_workspace_is_told(make_workspace: MakeWorkspace) -> None:
    source = make_workspace("held", 5)
    held = Workspace(default_directory(source), source)
    try:
        app = without_argument()
        async with app.run_test(size=WIDE) as pilot:
            await until_text(pilot, "▶ open here")
        lock = default_directory(source) / "lock"
        lock.write_text(lock.read_text().replace(f'"pid": {os.getpid()}', '"pid": 7'))
        app = without_argument()
        async with app.run_test(size=WIDE) as pilot:
            await until_text(pilot, "▶ process 7 on", "is working in it")
            assert "✓ complete" not in screen_text(app)
    finally:
        held.close()


def test_a_row_says_what_one_chooses_by_and_fits() -> None:
    rows = RecentRows()
    rows.all = [
        RecentWorkspace(Path("/w/1"), time.time() - 90_000, Path("/data") / HOSTILE, Counts(9, 4, pending=5)),
        RecentWorkspace(Path("/w/2"), time.time(), Path("/資料/契約書" * 9), Counts(1, 1), 420_000_000),
        RecentWorkspace(Path("/w/3"), 0.0, trouble="/w/3/state.db: it is damaged."),
    ]
    for width in (50, 79, 150):
        texts = ["".join(span.text for span in rows.line(index, width)) for index in range(3)]
        assert all("\x1b" not in text for text in texts)
        assert "· 5 of 9 pending" in texts[0]
        assert "25h ago" in texts[0]
        assert "✓ complete" in texts[1]
        assert texts[1].endswith("$0.42")
        assert "✗ state.db" in texts[2]
    assert workspace_state(RecentWorkspace(Path("/w"), 0.0), gone=False)[0] == "· nothing found yet"
