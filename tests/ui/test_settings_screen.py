"""The Settings screen: a theme is seen as one moves, kept by enter; a limit holds at once, or says why not.

The limits themselves are tested in tests/engine/test_limits.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from seeing import NARROW, WIDE, MakeApp, screen_text, until, until_text, until_words
from served import ServedHost, busy, workspace_of
from textual.pilot import Pilot

from tests.engine.running import run_once
from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.models import RunLimits, RunSnapshot, Spend
from tui_scraper.engine.settings import Settings
from tui_scraper.engine_host import EngineHost
from tui_scraper.screens.setting_rows import SettingsTable
from tui_scraper.screens.settings import _in_force
from tui_scraper.widgets.text_field import TextField

ASKED = Spend(
    backend="openai", model="gpt-6-luna", budget_nano_usd=10**9, spent_nano_usd=420_000_000,
    open_nano_usd=1_500_000, calls=12, tokens_in=1, tokens_out=1, taken_over=0, stand_ins=0,
    requests_per_min=None, requests_used=0, tokens_per_min=None, tokens_used=0, in_flight=7, waiting=0,
    concurrency=16, docs_per_request=8, throttled=0, bottleneck="", notice="",
)  # fmt: skip


def at_work(*, asks: bool = True) -> RunSnapshot:
    limits = RunLimits(1.0, 0, None, asks)
    return busy(cost_nano_usd=420_000_000, limits=limits, spend=ASKED if asks else None)


async def on_row(pilot: Pilot[None], name: str) -> None:
    """Move the cursor to a row."""
    table = pilot.app.screen.query_one(SettingsTable)
    await pilot.press("g")
    while table.entry is None or table.entry.name != name:
        before = table.cursor
        await pilot.press("j")
        await pilot.pause()
        assert table.cursor != before, f"there is no row {name}"


# --- themes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_themes_are_useful_before_a_folder_is_open(make_app: MakeApp, size: tuple[int, int]) -> None:
    async with make_app(start=True).run_test(size=size) as pilot:
        await until_text(pilot, "Folder to process")
        await pilot.press("escape", "7")
        text = await until_text(pilot, "Settings", "✓ dark", "dark · in use", "high-contrast", "? help")
        assert text.count("no folder is open") == 3
        assert "There is no settings file" in text
        assert "ui.refresh_hz = 30" in text
        await on_row(pilot, "budget")
        await until_text(pilot, "(enter) change")
        await pilot.press("enter")
        await until_text(pilot, "No folder is open yet, so there is no run to limit.")
        await pilot.press("escape")
        await until_text(pilot, "Folder to process")


async def test_a_theme_is_seen_once_the_cursor_rests_and_esc_returns_to_the_one_before(
    make_app: MakeApp,
) -> None:
    app = make_app(workspace_of(at_work(), Path("/nowhere")))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("7")
        await until_text(pilot, "dark · in use")
        assert app.theme == "dark"
        await on_row(pilot, "light")
        await until(pilot, lambda: app.theme == "light")
        await until_text(pilot, "light · seen now; enter keeps it", "dark · in use before", "esc the theme")
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == "dark")
        await until_text(pilot, "▸✓ dark")
        await on_row(pilot, "light")
        await until(pilot, lambda: app.theme == "light")
        await on_row(pilot, "budget")  # which is no theme
        await until(pilot, lambda: app.theme == "dark")


async def test_enter_keeps_a_theme_and_what_was_only_looked_at_does_not_stay(make_app: MakeApp) -> None:
    app = make_app(workspace_of(at_work(), Path("/nowhere")))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("7")
        await until_text(pilot, "dark · in use")
        await on_row(pilot, "high-contrast")
        await pilot.press("enter")
        await until_text(pilot, "The theme high-contrast is kept until you leave.", "ui.theme = ")
        assert app.theme == "high-contrast"
        await on_row(pilot, "light")
        await until(pilot, lambda: app.theme == "light")
        await pilot.press("1")
        await until(pilot, lambda: app.theme == "high-contrast")
        await pilot.press("7")
        await until_text(pilot, "▸✓ high-contrast")
        app.theme = "colour-blind-safe"  # as the palette does
        await until_text(pilot, "▸✓ colour-blind-safe")
        await until_words(pilot, '[ui] theme = "colour-blind-safe" in tui-scraper.toml makes it last.')


async def test_with_no_color_themes_are_there_and_say_why_they_cannot_be_used(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(workspace_of(at_work(), Path("/nowhere")))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("7")
        await until_text(pilot, "✓ ansi-16", "light · NO_COLOR is set")
        await on_row(pilot, "light")
        await pilot.press("enter")
        await until_text(pilot, "NO_COLOR is set, so the terminal's own colours are used.")
        assert app.theme == "ansi-16"


async def test_themes_of_ones_own_are_marked(make_app: MakeApp, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "tui-scraper" / "themes"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number}.toml").write_text(f'name = "own-{number:02}"\n[colors]\nprimary = "#ff8800"\n')
    async with make_app(workspace_of(at_work(), Path("/nowhere"))).run_test(size=NARROW) as pilot:
        await pilot.press("7")
        await until_text(pilot, "▸✓ dark")
        await on_row(pilot, "own-17")
        await until_text(pilot, "own-17", "dark · yours")
        await pilot.press("G")
        await until_text(pilot, "concurrency")


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_limits_are_shown_with_what_is_used_of_them(make_app: MakeApp, size: tuple[int, int]) -> None:
    host = ServedHost(workspace_of(at_work(), Path("/nowhere")))
    async with make_app(host=host).run_test(size=size) as pilot:
        await pilot.press("7")
        await until_text(
            pilot, "$1.00", "$0.42 spent, $0.0015 reserved", "one a core", "2 now",
            "7 in flight, at most 16 now",
        )  # fmt: skip
        host.now = replace(host.now, cost_nano_usd=430_000_000)
        await until_text(pilot, "$0.43 spent")


async def test_a_limit_is_typed_refused_with_a_sentence_and_applied(make_app: MakeApp) -> None:
    host = ServedHost(workspace_of(at_work(), Path("/nowhere")))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await pilot.press("7")
        await until_text(pilot, "7 in flight")
        await on_row(pilot, "budget")
        await pilot.press("enter")
        await until_text(pilot, "Dollars that this workspace may spend in all", "enter apply", "esc leave")
        field = pilot.app.screen.query_one(TextField)
        assert field.value == "1"
        field.value = "lots"
        await pilot.press("enter")
        await until_text(pilot, "classify.budget_usd cannot be 'lots': it must be a valid number.")
        assert field.has_focus
        field.value = "$2.525"
        await pilot.press("enter")
        await until_text(pilot, "$2.525", "The limit on spending holds from now on.", "enter change")
        await pilot.press("enter")
        await until(pilot, lambda: field.has_focus and field.value == "2.525")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen.query_one(SettingsTable).has_focus)
        await on_row(pilot, "concurrency")
        await pilot.press("enter")
        await until(pilot, lambda: field.has_focus and field.value == "auto")
        field.value = "3"
        await pilot.press("enter")
        await until_text(pilot, "concurrency        3", "classify.concurrency = 3")
    wanted = [call[1] for call in host.calls if call[0] == "limit"]
    assert wanted[1:] == [{"classify.budget_usd": "$2.525"}, {"classify.concurrency": "3"}]


async def test_without_a_model_only_workers_can_be_changed(make_app: MakeApp) -> None:
    host = ServedHost(workspace_of(at_work(asks=False), Path("/nowhere")))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await pilot.press("7")
        text = await until_text(pilot, "no model is asked in this run")
        assert text.count("no model is asked in this run") == 2
        await on_row(pilot, "concurrency")
        await pilot.press("enter")
        await until_text(pilot, "No model is asked in this run, so there is no money and no call to limit.")
        await on_row(pilot, "workers")
        await pilot.press("enter")
        field = pilot.app.screen.query_one(TextField)
        await until(pilot, lambda: field.has_focus)
        field.value = "5"
        await pilot.press("enter")
        await until_text(pilot, "workers            5", "engine.workers = 5")


async def test_how_often_the_screen_is_painted_changes_at_once(make_app: MakeApp) -> None:
    app = make_app(workspace_of(at_work(), Path("/nowhere")))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("7")
        await until_text(pilot, "30 a second")
        await on_row(pilot, "refresh")
        await pilot.press("enter")
        field = pilot.app.screen.query_one(TextField)
        await until(pilot, lambda: field.has_focus and field.value == "30")
        field.value = "0"
        await pilot.press("enter")
        await until_text(pilot, "ui.refresh_hz cannot be '0': it must be greater than 0.")
        field.value = "12.5"
        await pilot.press("enter")
        await until_text(pilot, "12.5 a second", "ui.refresh_hz = 12.5")
        assert app._painting._interval == 1 / 12.5


async def test_a_real_engine_takes_a_limit_from_the_screen(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("A letter about an invoice.")
    host = EngineHost()
    settings = Settings.model_validate({"engine": {"workers": 2}, "classify": {"backend": "local"}})
    app = TuiScraperApp(host, settings, source, tmp_path / "w", autostart=True, settings_file="/etc/[x].toml")
    try:
        async with app.run_test(size=NARROW) as pilot:
            await until_text(pilot, "✓ COMPLETE")
            await pilot.press("7")
            await until_text(pilot, "engine.workers = 2", "/etc/[x].toml")
            await on_row(pilot, "workers")
            await pilot.press("enter")
            field = pilot.app.screen.query_one(TextField)
            await until(pilot, lambda: field.has_focus)
            field.value = "257"
            await pilot.press("enter")
            await until_text(pilot, "engine.workers cannot be '257'")
            field.value = "1"
            await pilot.press("enter")
            await until_text(pilot, "engine.workers = 1", "The limit on worker processes holds from now on.")
            assert host.snapshot().limits == RunLimits(1.0, 1, None, asks=False)
    finally:
        assert host.close(20)


# --- what is in force -----------------------------------------------------------------------------


def test_after_a_rollback_what_the_file_says_otherwise_waits(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("A letter about an invoice.")
    run_once(source, tmp_path / "w", settings={"chunk": {"max_tokens": 300}})
    from tui_scraper.engine.models import PhaseName
    from tui_scraper.engine.store.rollback import roll_back_to_phase
    from tui_scraper.engine.workspace import reopen

    workspace = reopen(tmp_path / "w")
    workspace.writer.call(roll_back_to_phase(PhaseName.CLEAN))
    workspace.close()
    found = dict(_in_force(str(tmp_path / "w"), Settings.model_validate({"chunk": {"max_tokens": 400}})))
    assert found["chunk.max_tokens = 300"] is False
    assert found.pop(
        "chunk.max_tokens is another in the file, and waits: `run --accept-settings` puts it in force"
    )
    assert "chunk.max_tokens = 400" not in found


def test_an_address_shows_no_password() -> None:
    settings = Settings.model_validate(
        {
            "classify": {"base_url": "https://me:secret@host/v1?key=hidden"},
            "index": {"base_url": "http://x/v1"},
        }
    )
    lines = [line for line, _ in _in_force("", settings)]
    assert lines == ['classify.base_url = "https://…host/v1…"', 'index.base_url = "http://x/v1"']


async def test_the_smallest_screen_shows_where_the_cursor_is(make_app: MakeApp) -> None:
    app = make_app(workspace_of(at_work(), Path("/nowhere")))
    async with app.run_test(size=(60, 15)) as pilot:
        await pilot.press("7")
        await until_text(pilot, "▸✓ dark")
        await pilot.press("G")
        await until_text(pilot, "▸  concurrency")
        assert "too small" not in screen_text(app)
