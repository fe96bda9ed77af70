"""One process works in a workspace. Others are told which, or read what is committed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.loaded import Programs
from tests.chaos.together import Place, Report, start_together, work_beside


@pytest.fixture(scope="module")
def runners() -> Iterator[list[Programs]]:
    with Programs() as one, Programs() as other:
        yield [one, other]


@pytest.fixture(scope="module")
def place(runners: list[Programs], tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("together"), runners[0])


def test_of_two_runs_that_start_together_one_works_and_the_other_says_who(
    place: Place, runners: list[Programs]
) -> None:
    report = Report()
    for seed in range(2):
        start_together(place, runners, random.Random(seed), report)
    assert not report.violations, str(report)
    assert report.ends["start 1: exit 6"] == 2


def test_beside_a_run_everything_that_reads_works(place: Place, runners: list[Programs]) -> None:
    report = Report()
    for seed in range(2):
        work_beside(place, runners, random.Random(seed), report)
    assert not report.violations, str(report)
    assert report.ends["the run beside: exit 3"] == 2


@pytest.mark.slow
def test_fifty_starts_at_the_same_instant_harm_nothing(tmp_path: Path, runners: list[Programs]) -> None:
    place, report = Place(tmp_path, runners[0]), Report()
    for seed in range(50):
        start_together(place, runners, random.Random(seed), report)
        work_beside(place, runners, random.Random(seed), report)
    print(report)
    assert not report.violations
