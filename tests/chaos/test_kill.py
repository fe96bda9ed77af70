"""Nothing that is finished is lost or made twice, whenever the program is killed, whatever it is doing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import kills, moving
from tests.chaos.killing import processes_of
from tests.chaos.loaded import Programs


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    mark = tmp_path_factory.mktemp("mark")
    with Programs(environment={"VIRTUAL_ENV": str(mark)}) as found:
        yield found
    assert not processes_of(mark)


def test_commands_killed_at_random_instants_lose_nothing(programs: Programs, tmp_path: Path) -> None:
    report = kills.torture(tmp_path, kills=12, seed=20261124, programs=programs)
    assert len(report.kills) > 4  # of different kinds
    assert report.completions >= 1


def test_a_killed_rollback_is_made_or_not_and_ends_equal_to_the_checkpoint(
    programs: Programs, tmp_path: Path
) -> None:
    report = moving.torture(tmp_path, rounds=3, seed=20261129, programs=programs)
    assert report.killed >= 3
    assert report.completions >= 1


def test_an_index_and_exports_that_are_killed_are_whole_or_not_there(
    programs: Programs, tmp_path: Path
) -> None:
    report = kills.torture_late(tmp_path, kills=3, seed=20261130, programs=programs)
    assert report.killed == 3


@pytest.mark.slow
def test_a_hundred_kills_of_the_index_and_of_exports(programs: Programs, tmp_path: Path) -> None:
    report = kills.torture_late(tmp_path, kills=100, seed=1, programs=programs)
    print(report)
    assert report.completions >= 3


@pytest.mark.slow
def test_five_hundred_kills_lose_nothing(programs: Programs, tmp_path: Path) -> None:
    report = kills.torture(tmp_path, kills=500, seed=1, programs=programs)
    print(report)
    assert report.killed == 500


@pytest.mark.slow
def test_two_hundred_killed_rollbacks_end_equal_to_the_checkpoint(programs: Programs, tmp_path: Path) -> None:
    report = moving.torture(tmp_path, rounds=200, seed=1, programs=programs)
    print(report)
    assert report.killed >= 200
