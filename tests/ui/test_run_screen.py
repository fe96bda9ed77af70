from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from seeing import screen_text, until, until_text
from served import IDLE, ServedHost, busy, complete
from textual import events
from textual.command import Hits, Provider
from textual.pilot import Pilot

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.errors import WorkspaceLockedError
from tui_scraper.engine.models import Counts, LogLine, RunState
from tui_scraper.screens.confirm import Confirm
from tui_scraper.screens.palette import Palette
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.log_view import LogView

MakeApp = Callable[..., TuiScraperApp]
NARROW, WIDE = (80, 24), (200, 50)
OPEN = "/nowhere/workspace"


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_busy_run_shows_all_that_matters_without_scrolling(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    expected = (
        "▶ RUNNING 00:03:12", "following",
        "done ~2m 45s (2m 10s – 3m 30s)", "✓ input", "▶ clean", "▶ classify", "· output",
        "9,880/10,431", "1,912/s", "eta 2m43s", "✗ 14 » 3 ○ 2", "10,431", "✓ done", "✗ failed", "» skipped",
        "○ empty", "· pending", "6,231", "12,345,678", "612 MB", "local", "slowest: classify",
        "p pause", "f failed 15", "? help", "q quit",
    )  # fmt: skip
    async with make_app(busy(workspace=OPEN)).run_test(size=size) as pilot:
        text = await until_text(pilot, *expected)
    assert "eta 0s" not in text


async def test_a_wide_screen_puts_the_documents_beside_the_phases(make_app: MakeApp) -> None:
    async with make_app(busy(workspace=OPEN)).run_test(size=WIDE) as pilot:
        text = await until_text(pilot, "sandbox")
    assert any("Phases" in line and "Documents" in line for line in text.splitlines())


async def test_numbers_are_right_aligned_and_do_not_jitter(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        before = (await until_text(pilot, "1,912/s")).splitlines()
        first = host.now.phases[1]
        host.now = replace(
            host.now, phases=(host.now.phases[0], replace(first, done=9, rate=3.25), *host.now.phases[2:])
        )
        after = (await until_text(pilot, "3.2/s")).splitlines()
    row = next(index for index, line in enumerate(before) if "clean" in line)
    assert before[row].index("/10,431") == after[row].index("/10,431")
    assert before[row].index("/s") == after[row].index("/s")


async def test_a_million_documents_fit_80_columns(make_app: MakeApp) -> None:
    now = busy(
        workspace=OPEN, counts=Counts(1_234_567, 1_000_001, 12_345, 3_456, 234, 218_531), ignored=1_000_002
    )
    phases = tuple(
        replace(phase, done=1_000_001, total=1_234_567, failed=12_345, skipped=3_456, empty=234)
        for phase in now.phases
    )
    async with make_app(replace(now, phases=phases)).run_test(size=NARROW) as pilot:
        text = await until_text(pilot, "1,000,001/1,234,567", "eta 2m43s", "✗ 12k » 3.5k ○ 234", "q quit")
    for said in (
        "1,234,567",
        "✓ done   1,000,001",
        "· pending 218,531",
        "1,000,002",
        "» skipped   3,456",
        "○ empty 234",
    ):
        assert said in text, said


async def test_no_progress_is_said(make_app: MakeApp) -> None:
    async with make_app(busy(workspace=OPEN, idle_s=42.4)).run_test(size=NARROW) as pilot:
        await until_text(pilot, "no progress for 42 s")


async def test_p_pauses_and_resumes(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "p pause")
        await pilot.press("p")
        await until_text(pilot, "‖ PAUSED", "p resume")
        await pilot.press("p")
        await until_text(pilot, "▶ RUNNING", "p pause")
    assert [call for call in host.calls if call[0] != "start"] == [("pause",), ("resume",)]


async def test_a_key_that_cannot_be_used_says_why(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN, state=RunState.STOPPING))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "STOPPING", "(p) pause")
        await pilot.press("p")
        await until_text(pilot, "The run is stopping already.")
    assert ("pause",) not in host.calls


async def test_a_complete_run_can_be_run_again(make_app: MakeApp) -> None:
    host = ServedHost(complete(workspace=OPEN))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "✓ COMPLETE", "p run again")
        await pilot.press("p")
        await until_text(pilot, "RUNNING")
    assert ("resume",) in host.calls


async def test_a_complete_run_says_where_the_result_is(make_app: MakeApp) -> None:
    async with make_app(complete(workspace=OPEN)).run_test(size=NARROW) as pilot:
        text = await until_text(pilot, "exported to", "15 failed, 3 skipped, 2 empty; f shows why")
    assert "reports-1a2b3c4d/export" in text


async def test_a_notice_and_an_error_are_shown_as_sentences(make_app: MakeApp) -> None:
    host = ServedHost(
        busy(workspace=OPEN, state=RunState.PAUSED, notice="The disk is full. Free some space.")
    )
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "! The disk is full. Free some space.", "‖ PAUSED")
        host.problem = WorkspaceLockedError("process 7 on web[1] is working in this workspace.")
        await until_text(pilot, "✗ process 7 on web[1] is working in this workspace.")


async def test_hostile_names_are_only_names(make_app: MakeApp) -> None:
    name = "report [/final] [2024].pdf [bold red]契約書[/]"
    log = (LogLine(1, 0.0, "ERROR", name), LogLine(2, 0.0, "INFO", "[@click=app.quit]x[/]"))
    now = busy(workspace=OPEN, source=f"/data/{name}", notice=name, log=log)
    async with make_app(now).run_test(size=WIDE) as pilot:
        await until_text(pilot, "[@click=app.quit]x[/]")
        shown = "[/final] [2024].pdf [bold red]契約書[/]"
        await until(pilot, lambda: screen_text(pilot.app).count(shown) >= 2)  # parts are painted one by one


async def test_the_log_follows_only_at_its_end(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "following")
        log = pilot.app.screen.query_one(LogView)
        await pilot.press("g")
        text = await until_text(pilot, "G follows")
        top = log.scroll_offset.y
        host.now = replace(host.now, log=(*host.now.log, LogLine(37, 0.0, "INFO", "the newest")))
        await until(pilot, lambda: len(log.lines) == 37)
        assert log.scroll_offset.y == top == 0
        assert "the newest" not in text
        await pilot.press("G")
        await until_text(pilot, "the newest", "following")


async def test_a_key_pressed_before_the_scrollbar_is_there_is_not_lost(make_app: MakeApp) -> None:
    few, many = busy(workspace=OPEN, log=()), busy(workspace=OPEN)
    async with make_app(host=ServedHost(few)).run_test(size=NARROW) as pilot:
        await until_text(pilot, "following")
        log = pilot.app.screen.query_one(LogView)
        assert not log.show_vertical_scrollbar
        log.add(many)
        log.action_edge(-1)
        assert (log.following, log.scroll_offset.y) == (False, 0)


async def test_nothing_is_painted_while_nothing_changes(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_app(busy(workspace=OPEN)).run_test(size=NARROW) as pilot:
        await until_text(pilot, "following")
        painted: list[object] = []
        monkeypatch.setattr(Lines, "refresh", lambda self, *regions, **_: painted.append((self.id, regions)))

        def paint_thrice() -> bool:
            painted.clear()
            for _ in range(3):
                pilot.app._paint()  # type: ignore[attr-defined]
            return not painted

        await until(pilot, paint_thrice)


@pytest.mark.parametrize("size", [(59, 24), (80, 14), (20, 5), (1, 1)])
async def test_below_60x15_one_line_says_what_is_too_small(make_app: MakeApp, size: tuple[int, int]) -> None:
    async with make_app(busy(workspace=OPEN)).run_test(size=size) as pilot:
        await pilot.pause()
        text = screen_text(pilot.app)  # type: ignore[arg-type]
        assert "Too small: tui-scraper needs 60x15."[: size[0] - 1] in text
        assert "Phases" not in text
        await pilot.resize_terminal(60, 15)
        await until_text(pilot, "Phases", "RUNNING")


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_quitting_a_run_asks_with_cancel_in_focus(make_app: MakeApp, key: str) -> None:
    host = ServedHost(busy(workspace=OPEN))
    app = make_app(host=host)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        for leaving in ("enter", "escape"):
            await pilot.press(key)
            await until_text(pilot, "Stop here and leave?", "▸ Cancel", "y Stop and leave")
            await pilot.press(leaving)
            await until(pilot, lambda: not isinstance(app.screen, Confirm))
        assert not [call for call in host.calls if call[0] == "close"]
        await pilot.press(key)
        await until_text(pilot, "▸ Cancel")
        await pilot.press("y")
        await until(pilot, lambda: app._exit)
    assert ("close", 3.0) in host.calls
    assert app.return_code == 0


@pytest.mark.parametrize(
    "now", [IDLE, complete(workspace=OPEN), busy(workspace=OPEN, state=RunState.STOPPED)]
)
async def test_quitting_asks_nothing_when_nothing_is_worked_on(make_app: MakeApp, now: object) -> None:
    app = make_app(now)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "quit")
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.return_code == 0


async def test_help_is_made_from_the_registry_and_names_reasons(make_app: MakeApp) -> None:
    async with make_app(busy(workspace=OPEN, state=RunState.STOPPING)).run_test(size=WIDE) as pilot:
        await until_text(pilot, "STOPPING")
        await pilot.press("question_mark")
        text = await until_text(pilot, "esc close")
        assert "Pause or resume. Take up no further documents" in text
        assert "Not now: The run is stopping already." in text
        assert "ctrl+q ctrl+c" in text
        await pilot.press("escape")
        await until_text(pilot, "Phases")


async def test_the_palette_holds_the_actions_and_the_themes(make_app: MakeApp) -> None:
    app = make_app(busy(workspace=OPEN))
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("ctrl+p")
        await until_text(pilot, "Failed, skipped and empty documents", "(f)")
        await pilot.press(*"light")
        await until_text(pilot, "Theme: light")
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == "light")
    titles = [command.title for command in app.get_system_commands(app._screens["run"])]
    assert not {"Screenshot", "Maximize", "Keys"} & set(titles)


async def test_an_enter_that_comes_before_the_list_waits_for_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asyncio.Event()

    async def search(provider: Provider, query: str) -> Hits:
        if query:
            await found.wait()
        async for hit in search_at_once(provider, query):
            yield hit

    search_at_once = Provider._search
    monkeypatch.setattr(Provider, "_search", search)
    app = make_app(busy(workspace=OPEN))
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("ctrl+p")
        await until_text(pilot, "Failed, skipped and empty documents", "(f)")
        await pilot.press(*"light", "enter", "enter")
        assert isinstance(app.screen, Palette)
        found.set()
        await until(pilot, lambda: app.theme == "light")
        await until(pilot, lambda: not isinstance(app.screen, Palette))
        assert "Phases" in await until_text(pilot, "RUNNING")


async def test_an_enter_that_comes_back_late_chooses_nothing_in_the_next_palette(make_app: MakeApp) -> None:
    app = make_app(busy(workspace=OPEN))
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        for typed_in in ("the one before", "this one"):
            await pilot.press("ctrl+p")
            await until_text(pilot, "Failed, skipped and empty documents", "(f)")
            palette = app.screen
            enter = events.Key("enter", "\r")
            app._handed[enter] = palette
            enter._set_forwarded()
            if typed_in == "the one before":
                await pilot.press("escape", "ctrl+p")
                await until_text(pilot, "Failed, skipped and empty documents", "(f)")
                app.post_message(enter)
                await pilot.pause()
                assert isinstance(app.screen, Palette)
                await pilot.press("escape")
            else:
                app.post_message(enter)
                await until(pilot, lambda: not isinstance(app.screen, Palette))


async def test_what_is_asked_at_once_of_another_screen_is_judged_by_how_the_run_stands(
    make_app: MakeApp,
) -> None:
    app = make_app(busy(workspace=OPEN))
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        app.act("show_failed")
        app.act("show_checkpoints")
        await until_text(pilot, "tui-scraper  Checkpoints")


async def test_zoom_gives_the_log_the_screen_and_esc_takes_it_back(make_app: MakeApp) -> None:
    async with make_app(busy(workspace=OPEN)).run_test(size=NARROW) as pilot:
        await until_text(pilot, "Phases")
        await pilot.press("z")
        await until(pilot, lambda: "Phases" not in screen_text(pilot.app))  # type: ignore[arg-type]
        await pilot.press("escape")
        await until_text(pilot, "Phases", "following")


async def test_without_utf8_everything_is_ascii(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    now = busy(workspace=OPEN, source="/data/契約書")
    async with make_app(now).run_test(size=NARROW) as pilot:
        text = await until_text(pilot, "> RUNNING", "+ input", "######")
    assert text.isascii()
    assert all(len(line) == 80 for line in text.splitlines())


async def test_no_color_sends_no_colour(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(busy(workspace=OPEN), theme="light")
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        strips = app.screen._compositor.render_strips()
        styles = [segment.style for strip in strips for segment in strip if segment.style is not None]
    colors = {color.name for style in styles for color in (style.color, style.bgcolor) if color is not None}
    assert app.theme == "ansi-16"
    assert colors <= {"default"}


async def test_an_unknown_theme_is_a_sentence(make_app: MakeApp) -> None:
    app = make_app(IDLE, start=True, theme="drak")
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "There is no usable theme 'drak'", "high-contrast, light.", "ctrl+q quit")
    assert app.theme == "dark"


def test_a_secret_never_reaches_the_person_or_the_log(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")

    class Broken(ServedHost):
        def pause(self) -> None:
            key = "sk-very-secret-" + "key"
            raise RuntimeError(f"refused {key}")

    async def press(pilot: Pilot[None]) -> None:
        await until_text(pilot, "RUNNING", "p pause")
        await pilot.press("p")

    workspace = tmp_path / "workspace"
    workspace.mkdir()
    app = make_app(host=Broken(busy(workspace=str(workspace))))
    app.run(headless=True, size=NARROW, auto_pilot=press)
    said = capsys.readouterr().err
    log = workspace / "crash.log"
    assert app.return_code == 1
    assert said.count("\n") == 1
    assert str(log) in said
    assert "Traceback" not in said
    written = log.read_text()
    assert "RuntimeError: refused <OPENAI_API_KEY>" in written
    assert "in pause" in written
    assert "sk-very" not in said + written
    assert log.stat().st_mode & 0o077 == 0


async def test_a_log_line_has_one_sign_and_shows_where_it_is_cut(make_app: MakeApp) -> None:
    log = (LogLine(1, 0.0, "ERROR", "✗ clean a.pdf · corrupt"), LogLine(2, 0.0, "INFO", "契" * 60))
    async with make_app(busy(workspace=OPEN, log=log)).run_test(size=NARROW) as pilot:
        text = await until_text(pilot, "✗ clean a.pdf", "契", "q quit")
    assert "✗ ✗" not in text
    assert any(line.rstrip().endswith("…") for line in text.splitlines())


async def test_a_cut_log_line_says_so_beside_the_scrollbar(make_app: MakeApp) -> None:
    log = tuple(LogLine(number, 0.0, "INFO", f"{number:03} " + "x" * 100) for number in range(1, 60))
    async with make_app(busy(workspace=OPEN, log=log)).run_test(size=NARROW) as pilot:
        await until_text(pilot, "059 xx")
        log_view = pilot.app.screen.query_one(LogView)

        def lines() -> list[str]:
            return [line for line in screen_text(pilot.app).splitlines() if " xxxx" in line]

        # The first frame with these lines may be one without a scrollbar, and a cell wider.
        await until(pilot, lambda: log_view.show_vertical_scrollbar and lines()[0][79] != "…")
        assert all(line[78] == "…" for line in lines())


async def test_what_a_key_says_leaves_the_keys_where_they_are(make_app: MakeApp) -> None:
    async with make_app(busy(workspace=OPEN, state=RunState.STOPPING)).run_test(size=NARROW) as pilot:
        before = (await until_text(pilot, "STOPPING", "(p) pause")).splitlines()[-1]
        await pilot.press("p")
        text = await until_text(pilot, "The run is stopping already.")
    assert text.splitlines()[-1] == before


async def test_a_question_is_answered_before_anything_else(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("q")
        await until_text(pilot, "Stop here and leave?")
        await pilot.press("p", "f")
        await until_text(pilot, "Stop here and leave?")
    assert ("pause",) not in host.calls


async def test_the_log_of_another_run_never_goes_on_from_the_last_one(make_app: MakeApp) -> None:
    def lines(word: str, first: int, last: int) -> tuple[LogLine, ...]:
        return tuple(LogLine(number, 5.0, "INFO", f"{word} {number}") for number in range(first, last))

    host = ServedHost(busy(workspace=OPEN, started=1.0, log=lines("one", 1, 4)))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "one 3")
        log = pilot.app.screen.query_one(LogView)
        host.now = replace(host.now, log=lines("one", 3, 6))
        await until_text(pilot, "one 1", "one 5")
        host.now = replace(host.now, started=2.0, log=lines("one", 4, 7))
        await until_text(pilot, "one 1", "one 6")  # a stop and a start in the same log
        host.now = replace(host.now, started=3.0, log=lines("two", 1, 20))
        await until_text(pilot, "two 19")
        assert len(log.lines) == 19
        host.now = replace(host.now, started=4.0, log=lines("three", 30, 32))
        await until(pilot, lambda: len(log.lines) == 2)
        host.now = replace(host.now, started=5.0, log=())
        await until(pilot, lambda: len(log.lines) == 0)


async def test_what_is_not_known_is_a_dash(make_app: MakeApp) -> None:
    now = complete(workspace=OPEN, sandbox="", workers=2, memory_bytes=0)
    async with make_app(now).run_test(size=WIDE) as pilot:
        text = await until_text(pilot, "sandbox", "workers")
    for word in ("sandbox", "workers", "memory"):
        assert re.search(rf"{word} +–", text), word


async def test_help_opened_again_tells_what_is_possible_now(make_app: MakeApp) -> None:
    host = ServedHost(busy(workspace=OPEN))
    async with make_app(host=host).run_test(size=WIDE) as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("question_mark")
        text = await until_text(pilot, "esc close")
        assert "stopping already" not in text
        assert "10,431" not in text  # what is below costs nothing while it cannot be seen
        host.now = busy(workspace=OPEN, state=RunState.STOPPING)
        await pilot.press("question_mark")
        await until_text(pilot, "STOPPING")
        await pilot.press("question_mark")
        await until_text(pilot, "Not now: The run is stopping already.")
