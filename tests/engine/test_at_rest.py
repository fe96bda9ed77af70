"""What an engine shows while nothing is done, and of a run over a sample: what is true of the workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.running import running
from tui_scraper.engine import PhaseName, RunState


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"Letter {number} about an unpaid invoice of March. " * 10)
    return folder


def test_after_a_rollback_and_its_undo_the_workspace_tells_who_labels_and_what_is_exported(
    source: Path, tmp_path: Path
) -> None:
    with running(source, tmp_path / "w") as run:
        done = run.complete()
        run.host.roll_back(PhaseName.CLEAN)
        back = run.wait(lambda now: now.state is RunState.STOPPED, "rollback")
        assert (back.method, back.export_dir, back.phases[-1].done) == ("local", "", 0)
        run.host.undo_rollback()
        again = run.wait(lambda now: now.checkpoint == done.checkpoint, "undo")
        assert (again.method, again.export_dir) == ("local", done.export_dir)
        assert (again.phases[-1].done, again.phases[-1].total) == (6, 6)
        assert again.counts == done.counts


def test_the_totals_of_a_sample_are_those_of_the_sample(source: Path, tmp_path: Path) -> None:
    with running(source, tmp_path / "w", sample=2) as run:
        snapshot = run.complete()
    totals = {phase.name: (phase.done, phase.total) for phase in snapshot.phases}
    assert totals[PhaseName.INPUT] == (6, 6)
    for name in (PhaseName.CLEAN, PhaseName.CHUNK, PhaseName.CLASSIFY, PhaseName.INDEX):
        assert totals[name] == (2, 2)
    with running(source, tmp_path / "w") as run:
        snapshot = run.complete()
    assert {(phase.done, phase.total) for phase in snapshot.phases} == {(6, 6)}
