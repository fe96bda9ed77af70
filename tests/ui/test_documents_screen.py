"""The Documents screen over a real workspace: filter, order, one document whole, labels by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opened import really_open
from seeing import NARROW, WIDE, MakeApp, screen_text, until, until_text, until_words
from served import ServedHost, busy, complete, workspace_of
from stored import HOSTILE, Bad, put_back_one, write_failures
from textual.pilot import Pilot

from tests.engine.running import run_once
from tui_scraper.engine.document_details import DocumentReader
from tui_scraper.engine.models import Cause, Counts, Status
from tui_scraper.widgets.paged_table import PagedTable

HEADINGS = "\n\n".join(
    f"## Part {part}\n\n" + f"The zebra of part {part} crossed the wide savanna. " * 90 for part in range(4)
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "long.md").write_text(f"# A long one\n\n{HEADINGS}\n\nSee [this](https://example.org/z).\n")
    for name in ("one.txt", "copy of one.txt"):
        (folder / name).write_text("Dear sir, please find attached the invoice for the month of March.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "nothing.txt").write_bytes(b"")
    return folder


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Path:
    run_once(source, tmp_path / "w")
    return tmp_path / "w"


@asynccontextmanager
async def on_documents(source: Path, workspace: Path) -> AsyncIterator[Pilot[None]]:
    async with really_open(source, workspace) as pilot:
        await pilot.press("d")
        await until_text(pilot, "5, by path")
        await until(pilot, lambda: isinstance(pilot.app.focused, PagedTable))
        yield pilot


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_document_is_shown_whole_with_the_borders_of_its_chunks(
    make_app: MakeApp, workspace: Path, size: tuple[int, int]
) -> None:
    async with make_app(workspace_of(complete(), workspace)).run_test(size=size) as pilot:
        await pilot.press("4")
        await until_text(pilot, "5, by path", "✗ corrupt", "○ no text", "copy of one.txt", "▸✗ corrupt")
        await until_words(pilot, "in clean: corrupt.")  # of broken.pdf, the first
        await pilot.press("j")
        await until_text(pilot, "the one to keep of 2", "exact     one.txt", "Chunk 1 of 1", "Dear sir")
        await pilot.press("j", "z")
        text = await until_text(pilot, "long.md", "title     A long one", "Chunk 1 of")
        assert "https://example.org/z" in text
        await pilot.press("end")
        await until_text(pilot, "Chunk 12 of 12", "A long one > Part 3")
        await pilot.press("escape")
        await until_text(pilot, "5, by path")


async def test_the_list_is_filtered_as_one_types(make_app: MakeApp, workspace: Path) -> None:
    async with make_app(workspace_of(complete(), workspace)).run_test(size=NARROW) as pilot:
        await pilot.press("d")
        await until_text(pilot, "5, by path")
        await pilot.press("slash", *"status:done one")
        await until_text(pilot, "2 of 5, by path", "copy of one.txt", "esc keep the filter")
        await pilot.press("backspace", "backspace", "backspace", *"zzz")
        await until_text(pilot, "0 of 5", "No document is like that.")
        await pilot.press("escape")
        await until_text(pilot, "esc clear the filter")
        await pilot.press("escape")
        await until_text(pilot, "5, by path", "/ filter")


async def test_the_least_sure_label_comes_first(make_app: MakeApp, workspace: Path) -> None:
    with DocumentReader(workspace) as reader:
        rows = reader.rows(reader.catalogue().versions.tolist())
    least = min((row for row in rows if row.confidence is not None), key=lambda row: row.confidence or 0)
    async with make_app(workspace_of(complete(), workspace)).run_test(size=NARROW) as pilot:
        await pilot.press("d")
        await until_text(pilot, "5, by path")
        await pilot.press("v")
        text = await until_text(pilot, "5, least sure first")
        assert least.path in text.splitlines()[2]
        await pilot.press("v")
        text = await until_text(pilot, "5, largest first")
        assert "long.md" in text.splitlines()[2]


async def test_a_label_is_accepted_changed_and_taken_away(source: Path, workspace: Path) -> None:
    async with on_documents(source, workspace) as pilot:
        await pilot.press("j", "a")
        await until_words(pilot, "copy of one.txt is labelled by hand: finance (so is 1 more")
        await until_text(pilot, "hand  copy of one.txt", "hand  one.txt", "▸✓")
        await pilot.press("t")
        await until_text(pilot, "Label by hand: long.md", "▸●")
        await pilot.press(*"leg", "enter")
        await until_words(pilot, "long.md is labelled by hand: legal.")
        text = await until_text(pilot, "legal by hand", "hand  long.md")
        assert "made " in text
        await pilot.press("a")
        await until_text(pilot, "This label was given by hand already.")
        await pilot.press("t")
        await until_text(pilot, "Label by hand")
        await pilot.press(*"take away", "enter")
        await until_words(pilot, "long.md is no longer labelled by hand.")
        await until(pilot, lambda: "legal by hand" not in screen_text(pilot.app))  # type: ignore[arg-type]
        await pilot.press("g", "a")
        await until_text(pilot, "There is no label yet that could be accepted.")


async def test_what_failed_is_labelled_and_set_aside(source: Path, workspace: Path) -> None:
    async with on_documents(source, workspace) as pilot:
        await pilot.press("f")
        await until_text(pilot, "corrupt · failed in clean")
        await until(pilot, lambda: isinstance(pilot.app.focused, PagedTable))
        await pilot.press("s")
        await until_text(pilot, "Move to a document first")
        await pilot.press("j", "t")
        await until_text(pilot, "Label by hand: broken.pdf")
        await pilot.press(*"news", "enter")
        await until_words(pilot, "broken.pdf is labelled by hand: news.")
        await pilot.press("s")
        await until_text(pilot, "set aside by hand · skipped in")
        await pilot.press("d")
        await until_text(pilot, "» news           hand  broken.pdf")


async def test_names_from_outside_are_harmless_and_columns_hold(make_app: MakeApp, tmp_path: Path) -> None:
    documents = [
        Bad(HOSTILE),
        Bad("scans/契約書とても長い名前のファイル名です予算.pdf", Cause.NEEDS_OCR, "[/] \x1b", Status.EMPTY),
    ]
    counts = write_failures(tmp_path / "w", documents)
    host = ServedHost(busy(workspace=str(tmp_path / "w"), counts=counts))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await pilot.press("4")
        text = await until_text(pilot, "2, by path", "予算.pdf", "gnp.pdf")
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


async def test_empty_screens_name_the_next_key(make_app: MakeApp, tmp_path: Path) -> None:
    write_failures(tmp_path / "w", [])
    app = make_app(workspace_of(complete(), tmp_path / "w"))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("d")
        await until_text(pilot, "No document has been found yet. 1 goes to the run.")
    async with make_app(busy()).run_test(size=NARROW) as pilot:
        await pilot.press("d")
        await until_text(pilot, "No folder is open yet. Press o to open one.")


async def test_the_list_follows_a_run(make_app: MakeApp, tmp_path: Path) -> None:
    write_failures(tmp_path / "w", [Bad("a.pdf")])
    host = ServedHost(busy(workspace=str(tmp_path / "w"), counts=Counts(1, failed=1)))
    async with make_app(host=host).run_test(size=NARROW) as pilot:
        await pilot.press("d")
        await until_text(pilot, "1, by path", "✗ encrypted")
        put_back_one(tmp_path / "w", 1)
        host.now = busy(workspace=str(tmp_path / "w"), counts=Counts(1, pending=1))
        await until_text(pilot, "▸·")


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_document_tells_what_it_refers_to_and_what_refers_to_it(
    make_app: MakeApp, source: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nSee [b](b.md), and [what is gone](gone.md).\n")
    (folder / "b.md").write_text("# B\n\nBack to [a](a.md).\n")
    run_once(folder, tmp_path / "w")
    async with make_app(workspace_of(complete(), tmp_path / "w")).run_test(size=size) as pilot:
        await pilot.press("4")
        await until_text(pilot, "2, by path", "a.md")
        await pilot.press("z")
        text = await until_text(pilot, "refers to hyperlink b.md", "broken    hyperlink gone.md")
        assert "referrers hyperlink b.md" in text
        await pilot.press("escape", "j", "z")
        await until_text(pilot, "refers to hyperlink a.md", "referrers hyperlink a.md")


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_what_is_there_more_than_once_is_worked_out_shown_and_filtered(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int]
) -> None:
    folder = tmp_path / "twice"
    folder.mkdir()
    words = [f"word{number}" for number in range(300)]
    for name, text in (
        ("a.txt", words),
        ("b.txt", words),
        ("c.txt", [*words, "more"]),
        ("d.txt", words[::-1]),
    ):
        (folder / name).write_text(" ".join(text))
    run_once(folder, tmp_path / "w", settings={"output": {"near_duplicates": 0}})
    assert not (tmp_path / "w" / "duplicates.kept").exists()
    async with make_app(workspace_of(complete(), tmp_path / "w")).run_test(size=size) as pilot:
        await pilot.press("4")
        await until_text(pilot, "4, by path")
        await pilot.press("slash", *"is:duplicate", "enter")
        await until_text(pilot, "2 of 4, by path", "b.txt", "an exact copy")
        assert "d.txt" not in screen_text(pilot.app)
        await pilot.press("j")
        await until_text(pilot, "the same as the one to keep of 3", "keep      a.txt", "exact     b.txt")
        await pilot.press("escape", "slash", *"duplicate:first", "enter")
        await until_text(pilot, "1 of 4, by path", "the one to keep of 3")
        await pilot.press("escape", "slash", *"-is:duplicate", "enter")
        await until_text(pilot, "2 of 4, by path", "d.txt")


async def test_duplicates_wait_for_the_end_of_a_run(make_app: MakeApp, workspace: Path) -> None:
    (workspace / "duplicates.kept").unlink()
    async with make_app(workspace_of(busy(), workspace)).run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until_text(pilot, "5, by path")
        await until_words(pilot, "nearly worked out when the run has ended")
        await pilot.press("slash", *"is:duplicate")
        await until_text(pilot, "0 of 5, by path", "Duplicates: worked out when the run has ended")
    assert not (workspace / "duplicates.kept").exists()


async def test_references_wait_for_the_end_of_a_run(make_app: MakeApp, workspace: Path) -> None:
    async with make_app(workspace_of(busy(), workspace)).run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until_text(pilot, "5, by path")
        await until_words(pilot, "refers to worked out when the run has ended")
    assert not (workspace / "graph.kept").exists()
