"""Nothing that is finished is lost, whenever the program is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.killing import processes_of, torture


def test_a_run_killed_at_random_instants_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    report = torture(tmp_path, rounds=6, seed=20261124, files=200)
    assert report.kills >= 1
    assert report.completions >= 1


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    report = torture(tmp_path, rounds=100, seed=1, files=400)
    print(report)
    assert report.kills >= 50
    assert not processes_of(tmp_path)
