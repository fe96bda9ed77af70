"""Going back from any screen: to a phase or a checkpoint, said before it is done, and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from opened import really_open
from seeing import MakeApp, screen_text, until, until_text, until_words
from served import ServedHost, busy


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(7):
        (folder / f"{number}.txt").write_text(f"A letter with the number {number} about an unpaid invoice.")
    return folder


async def test_to_a_phase_and_forward_again(source: Path, tmp_path: Path) -> None:
    async with really_open(source, tmp_path / "w") as pilot:
        await until_text(pilot, "COMPLETE")
        await pilot.press("b")
        await until_text(pilot, "Go back to", "▸clean")
        await pilot.press("j", "enter")
        await until_words(pilot, "Go back to chunk?", "7 documents are pending then", "$0.00 to redo")
        await pilot.press("enter")  # on Cancel
        await until(pilot, lambda: "Go back to chunk?" not in screen_text(pilot.app))  # type: ignore[arg-type]
        await pilot.press("b")
        await until_text(pilot, "▸clean")
        await pilot.press("enter")
        await until_words(pilot, "Go back to clean?")
        await pilot.press("y")
        await until_text(pilot, "Rolled back to clean", "pending      7")
        await pilot.press("p")
        await until_text(pilot, "COMPLETE", "✓ done        7")


async def test_to_a_checkpoint(source: Path, tmp_path: Path) -> None:
    async with really_open(source, tmp_path / "w") as pilot:
        await pilot.press("b")
        await until_text(pilot, "▸clean")
        await pilot.press("G", "enter")
        await until_text(pilot, "History", "Move to the checkpoint to go back to, and press b.")


async def test_esc_stays(make_app: MakeApp) -> None:
    host = ServedHost(busy())
    async with make_app(host=host).run_test() as pilot:
        await until_text(pilot, "RUNNING")
        await pilot.press("b")
        await until_text(pilot, "▸clean")
        await pilot.press("escape")
        await until(pilot, lambda: "▸clean" not in screen_text(pilot.app))  # type: ignore[arg-type]
        assert ("roll_back",) not in [call[:1] for call in host.calls]
