"""Damage of any kind is found, and a repaired workspace gives again what it gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.damage import torture


def test_random_damages_are_found_and_mended(tmp_path: Path) -> None:
    tally = torture(tmp_path, rounds=16, seed=20261129, files=40, repairs=4)
    assert tally.rounds == 16
    assert len(tally.kinds) > 5
    assert tally.repaired == 4


@pytest.mark.slow
def test_two_hundred_damages_are_found_and_mended(tmp_path: Path) -> None:
    tally = torture(tmp_path, rounds=200, seed=1)
    print(tally)
    assert tally.repaired == tally.rounds == 200
    assert tally.killed > 20
