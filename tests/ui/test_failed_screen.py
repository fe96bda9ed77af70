from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from seeing import screen_text, until, until_text
from served import ServedHost, busy
from stored import HOSTILE, Bad, put_back_one, write_failures
from textual.pilot import Pilot

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.causes import WHAT_TO_DO
from tui_scraper.engine.models import Cause, CauseCount, Counts, FailureRow, PhaseName, Status
from tui_scraper.engine.settings import Settings
from tui_scraper.formatting import Line, Span
from tui_scraper.screens.failure_rows import KEEP_PAGES, PAGE_ROWS, FailureRows, Pages, read_pages
from tui_scraper.widgets.paged_table import PagedTable

MakeApp = Callable[..., TuiScraperApp]
NARROW, WIDE = (80, 24), (200, 50)
DOCUMENTS = [
    *[Bad(f"2019/budget {number}.xlsx") for number in range(3)],
    Bad(HOSTILE, Cause.CORRUPT, "The PDF [/] is damaged."),
    Bad(
        "scans/契約書とても長い名前のファイル名です予算.pdf", Cause.NEEDS_OCR, "Only pictures.", Status.EMPTY
    ),
    Bad("bin/tool.exe", Cause.UNSUPPORTED, "Nothing here reads this format.", Status.SKIPPED),
]


def host_with(directory: Path, documents: list[Bad]) -> ServedHost:
    counts = write_failures(directory, documents)
    return ServedHost(busy(workspace=str(directory), counts=counts))


async def list_has_focus(pilot: Pilot[None]) -> None:
    """The first rows are there, and keys go to them."""
    await until(pilot, lambda: isinstance(pilot.app.focused, PagedTable))


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_failures_are_grouped_by_cause_with_details_beside(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int]
) -> None:
    host = host_with(tmp_path / "workspace", DOCUMENTS)
    async with make_app(host=host).run_test(size=size) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        text = await until_text(
            pilot, "encrypted · failed in clean", "needs OCR · empty in clean",
            "unsupported · skipped in clean",
            "2019/budget 0.xlsx", "R retry all 3",
        )  # fmt: skip
        assert "(r) retry" in text
        await list_has_focus(pilot)
        await pilot.press("j")
        text = await until_text(pilot, "This file needs a password.", "✗ failed in clean", "attempts 1")
        await until_text(pilot, "No text was extracted.", "r retry")
    assert "size     12 KB" in text


async def test_hostile_and_cjk_names_stay_in_their_columns(make_app: MakeApp, tmp_path: Path) -> None:
    host = host_with(tmp_path / "workspace", DOCUMENTS)
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("2")
        text = await until_text(pilot, "gnp.pdf", "予算.pdf")
        await list_has_focus(pilot)
        assert "\x1b" not in text
        assert "\u202e" not in text
        while "The PDF [/] is damaged." not in screen_text(pilot.app):  # type: ignore[arg-type]
            await pilot.press("j")
            await pilot.pause()
        await until_text(pilot, "[/final] [2024]")


async def test_r_retries_one_and_R_all_of_its_cause(make_app: MakeApp, tmp_path: Path) -> None:  # noqa: N802
    host = host_with(tmp_path / "workspace", DOCUMENTS)
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        await until_text(pilot, "budget 0.xlsx")
        await list_has_focus(pilot)
        await pilot.press("r")
        await until_text(pilot, "Move to a document first")
        await pilot.press("j")
        await until_text(pilot, "needs a password")
        await pilot.press("r")
        await until_text(pilot, "Asked to retry: 2019/budget 0.xlsx")
        await pilot.press("R")
        await until_text(
            pilot, "Retry all of this cause: encrypted?", "▸ Cancel",
            "3 documents (encrypted, in clean) will go back to pending", "No model is paid for here",
        )  # fmt: skip
        assert "filter hides" not in screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.press("R", "enter")
        await until_text(pilot, "By cause", "budget 0.xlsx")
        assert len([call for call in host.calls if call[0] == "retry"]) == 1
        await pilot.press("R")
        await until_text(pilot, "▸ Cancel")
        await pilot.press("y")
        await until_text(pilot, "Asked to retry: 3 documents (encrypted).")
    retries = [call for call in host.calls if call[0] == "retry"]
    assert retries[0][1] is not None
    assert retries[1] == ("retry", None, Cause.ENCRYPTED, PhaseName.CLEAN)


async def test_under_a_filter_a_retry_of_a_cause_says_what_it_takes_beyond_it(
    make_app: MakeApp, tmp_path: Path
) -> None:
    host = host_with(tmp_path / "workspace", DOCUMENTS)
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        await until_text(pilot, "budget 0.xlsx")
        await list_has_focus(pilot)
        await pilot.press("slash", *"budget 1")
        await until_text(pilot, "Filter: budget 1")
        await pilot.press("enter", "R")
        await until_text(
            pilot, "3 documents (encrypted", "That includes 2 which the filter hides.", "▸ Cancel"
        )
        await pilot.press("escape")
        await until_text(pilot, "Filter: budget 1", "q quit")
    assert not [call for call in host.calls if call[0] == "retry"]


async def test_a_second_r_never_hits_a_document_that_slid_under_the_cursor(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_scraper.screens.failed._RELOAD_S", 0.0)
    workspace = tmp_path / "workspace"
    host = host_with(workspace, DOCUMENTS)
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        await until_text(pilot, "budget 0.xlsx")
        await list_has_focus(pilot)
        await pilot.press("j")
        await until_text(pilot, "needs a password")
        await pilot.press("r")
        await until_text(
            pilot, "→    asked  2019/budget 0.xlsx", "Asked to retry: 2019/budget 0.xlsx", "q quit"
        )
        await pilot.press("r")
        await until_text(pilot, "This document waits to be retried already.")
        retries = [call for call in host.calls if call[0] == "retry"]
        assert len(retries) == 1
        version = retries[0][1]
        assert isinstance(version, int)
        put_back_one(workspace, version)
        host.now = replace(host.now, counts=replace(host.now.counts, failed=3, pending=1))
        await until(pilot, lambda: "budget 0.xlsx" not in screen_text(pilot.app).split("budget 1")[0])  # type: ignore[arg-type]
        await until_text(pilot, "(r) retry", "budget 1.xlsx")
        await pilot.press("r")
        await until_text(pilot, "The list has changed under the cursor.")
        assert len([call for call in host.calls if call[0] == "retry"]) == 1
        await pilot.press("j", "r")
        await until_text(pilot, "Asked to retry: 2019/budget 2.xlsx")
    assert len([call for call in host.calls if call[0] == "retry"]) == 2


async def test_the_cursor_stays_with_its_document_when_another_one_leaves(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_scraper.screens.failed._RELOAD_S", 0.0)
    workspace = tmp_path / "workspace"
    host = host_with(workspace, DOCUMENTS)
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        await until_text(pilot, "budget 0.xlsx")
        await list_has_focus(pilot)
        await pilot.press("j", "r")
        await until_text(pilot, "Asked to retry: 2019/budget 0.xlsx")
        await pilot.press("j", "j")
        version = next(call for call in host.calls if call[0] == "retry")[1]
        assert isinstance(version, int)
        put_back_one(workspace, version)
        host.now = replace(host.now, counts=replace(host.now.counts, failed=3, pending=1))
        await until(pilot, lambda: "budget 0.xlsx" not in screen_text(pilot.app).split("Asked")[0])  # type: ignore[arg-type]
        table = pilot.app.screen.query_one(PagedTable)
        await until(pilot, lambda: table.cursor == 2 and not table.slid)
        await pilot.press("r")
        await until_text(pilot, "Asked to retry: 2019/budget 2.xlsx")


def test_every_cause_says_in_one_sentence_what_can_be_done() -> None:
    for cause in Cause:
        sentence = WHAT_TO_DO[cause]
        assert sentence.endswith(".")
        assert ". " not in sentence
        for section, key in re.findall(r"\b(input|clean|engine)\.(\w+)", sentence):
            assert key in type(getattr(Settings(), section)).model_fields


async def test_a_cause_shows_its_own_hint(make_app: MakeApp, tmp_path: Path) -> None:
    host = host_with(tmp_path / "workspace", [Bad("a.pdf", Cause.CORRUPT), Bad("b.pdf", Cause.CORRUPT)])
    async with make_app(host=host).run_test(size=WIDE) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        text = await until_text(pilot, "Put an undamaged copy in its place")
    assert "password" not in text


async def test_esc_keeps_the_filter_and_a_second_one_clears_it(make_app: MakeApp, tmp_path: Path) -> None:
    host = host_with(tmp_path / "workspace", DOCUMENTS)
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        await until_text(pilot, "budget 0.xlsx")
        await list_has_focus(pilot)
        await pilot.press("slash", *"pq")
        await until_text(pilot, "Filter: pq", "No match.", "ctrl+q quit")
        await pilot.press("backspace", "backspace", *"BUDGET 1")
        await until_text(pilot, "Filter: BUDGET 1", "budget 1.xlsx")
        await until(pilot, lambda: "budget 0.xlsx" not in screen_text(pilot.app))  # type: ignore[arg-type]
        await until_text(pilot, "esc keep the filter")
        await pilot.press("escape")
        await until_text(pilot, "Filter: BUDGET 1", "esc clear the filter")
        await pilot.press("slash", "enter", "r")
        await until_text(pilot, "Asked to retry: 2019/budget 1.xlsx")
        await pilot.press("escape")
        await until_text(pilot, "By cause", "budget 0.xlsx")
        await pilot.press("escape")
        await until_text(pilot, "Phases")
    assert ("pause",) not in host.calls


async def test_enter_folds_a_cause(make_app: MakeApp, tmp_path: Path) -> None:
    host = host_with(tmp_path / "workspace", DOCUMENTS)
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        await until_text(pilot, "▾ encrypted", "budget 0.xlsx")
        await list_has_focus(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "budget 0.xlsx" not in screen_text(pilot.app))  # type: ignore[arg-type]
        await until_text(pilot, "▸ encrypted")
        await pilot.press("enter")
        await until_text(pilot, "▾ encrypted", "budget 0.xlsx")


async def test_an_empty_list_names_the_next_key(make_app: MakeApp) -> None:
    now = busy(workspace="/nowhere", counts=Counts(found=1, done=1))
    async with make_app(now).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        await until_text(
            pilot, "Nothing has failed, been skipped or been empty so far.", "Press 1 to go back"
        )


async def test_a_store_that_cannot_be_read_is_a_sentence(make_app: MakeApp, tmp_path: Path) -> None:
    async with make_app(busy(workspace=str(tmp_path / "gone"))).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        text = await until_text(pilot, "gone")
    assert "Traceback" not in text


async def test_the_list_follows_the_run(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_scraper.screens.failed._RELOAD_S", 0.0)
    host = host_with(tmp_path / "one", DOCUMENTS[:2])
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING", "f failed")
        await pilot.press("f")
        await until_text(pilot, "budget 1.xlsx")
        more = write_failures(tmp_path / "two", DOCUMENTS)
        host.now = replace(host.now, workspace=str(tmp_path / "two"), counts=more)
        await until_text(pilot, "budget 2.xlsx", "bin/tool.exe")


class Numbers:
    """A million rows."""

    def __len__(self) -> int:
        return 1_000_000

    def line(self, index: int, width: int) -> Line:
        return (Span(f"row {index}"),)

    def identity(self, index: int) -> int:
        return index

    def index_of(self, identity: object) -> int | None:
        return identity if isinstance(identity, int) else None


async def test_a_table_of_a_million_rows_reaches_its_end_at_once(make_app: MakeApp) -> None:
    app = make_app(busy(workspace="/nowhere"))
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        table = PagedTable(Numbers())
        table.styles.height = 20
        await app.screen.mount(table, before=0)
        table.reload()
        table.focus()
        await until_text(pilot, "row 0")
        await until(pilot, lambda: table.has_focus)
        began = time.perf_counter()
        await pilot.press("G")
        await until_text(pilot, "row 999999")
        assert time.perf_counter() - began < 2
        await pilot.press("pageup", "k", "g", "j")
        await until(pilot, lambda: table.cursor == 1)


async def test_rows_that_come_do_not_take_back_where_one_has_scrolled_to(make_app: MakeApp) -> None:
    app = make_app(busy(workspace="/nowhere"))
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "RUNNING")
        table = PagedTable(Numbers())
        table.styles.height = 20
        await app.screen.mount(table, before=0)
        table.reload()
        table.scroll_to(y=300, animate=False, immediate=True, force=True)
        await until_text(pilot, "row 300")
        table.rows_came()
        table.reload()
        await pilot.pause()
        assert table.scroll_offset.y == 300


def test_pages_are_read_from_the_nearest_anchor_and_only_some_are_kept(tmp_path: Path) -> None:
    count = PAGE_ROWS * 3 + 7
    write_failures(tmp_path, [Bad(f"{number:05}.pdf") for number in range(count)])
    key = (PhaseName.CLEAN, Status.FAILED, Cause.ENCRYPTED)
    rows = FailureRows()
    rows.set_causes([CauseCount(*key, count)])
    assert len(rows) == count + 1
    assert rows.missing(count)
    for pages in read_pages(tmp_path, key, rows.groups[0].anchors, 3):
        rows.put(pages)
    last = rows.row(count)
    assert last is not None
    assert last.path == f"{count - 1:05}.pdf"
    assert len(rows.groups[0].anchors) == 4
    assert rows.identity(0) == key
    assert rows.index_of(key) == 0
    assert rows.index_of(last.version) == count
    assert rows.index_of(-1) is None
    read = read_pages(tmp_path, key, rows.groups[0].anchors, 2)
    assert [pages.first for pages in read] == [2]
    assert read[0].rows[0].path == f"{PAGE_ROWS * 2:05}.pdf"


def test_memory_does_not_grow_with_the_list() -> None:
    key = (PhaseName.CLEAN, Status.FAILED, Cause.TIMEOUT)
    rows = FailureRows()
    rows.set_causes([CauseCount(*key, PAGE_ROWS * 100)])
    row = FailureRow(1, "a", *(key[0], key[1], key[2]), message="", attempts=1, time=0.0, size_bytes=1)
    for page in range(100):
        rows.put(Pages(key, page, [row] * PAGE_ROWS))
    assert sum(not rows.missing(1 + page * PAGE_ROWS) for page in range(100)) == KEEP_PAGES
