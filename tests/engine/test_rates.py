"""What is shown of the speed of a run."""

from __future__ import annotations

from collections import deque

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.progress import Progress, _Sample


def rate_of(counts: list[int]) -> float | None:
    """The rate after one sample a second."""
    progress = Progress.__new__(Progress)
    progress._samples = deque(
        _Sample(float(second), {PhaseName.CLEAN: count}, {PhaseName.CLEAN: count * 1000})
        for second, count in enumerate(counts)
    )
    return progress._rates(PhaseName.CLEAN, remaining_bytes=10_000)[0]


def test_documents_that_change_or_go_away_do_not_make_a_run_go_backwards() -> None:
    assert rate_of([100, 100, 60]) is None
    assert rate_of([100, 60, 60, 60]) == 0
    assert rate_of([100, 60, 70, 80, 90]) == 10
    assert rate_of([100, 60, 70, 50, 55, 60]) == 5


def test_the_time_before_a_phase_moves_does_not_count() -> None:
    assert rate_of([0, 0, 0, 10, 20]) == 10
