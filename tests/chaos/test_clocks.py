"""A wall clock that jumps changes dates that are shown, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.clocks import Clock, Ground, jump
from tests.chaos.killing import exported
from tests.chaos.loaded import Programs

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[Programs]:
    with Programs() as programs:
        yield programs


def test_jumps_of_decades_between_and_during_runs_lose_and_redo_nothing(
    undisturbed: Programs, tmp_path: Path
) -> None:
    clock = Clock(tmp_path)
    with Programs(environment=clock.environment) as programs:
        for seed in (1, 2):
            ground = Ground(tmp_path / f"ground-{seed}")
            assert not jump(ground, clock, programs, undisturbed, seed)


def test_the_program_asks_one_function_for_the_date() -> None:
    others = re.compile(
        r"datetime\.(now|utcnow)|\.today\(|time\.time_ns|from time import|time\.(localtime|gmtime|ctime)\(\)"
        r"|CURRENT_TIME|julianday|unixepoch|'now'"
    )
    for path in sorted((_ROOT / "tui_scraper").rglob("*")):
        if path.suffix in {".py", ".sql"}:
            found = others.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path}: {found}"


def test_a_machine_that_was_started_again_goes_on_where_it_was(undisturbed: Programs, tmp_path: Path) -> None:
    """What a clock of intervals says in one start of the machine is worth nothing in the next."""
    other_start = ["unshare", "--time", "--monotonic", "1000000000", "--boottime", "1000000000"]
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare here")
    tried = subprocess.run([*other_start, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no time namespace can be made here ({tried.stderr.strip()})")
    ground = Ground(tmp_path)
    workspace = tmp_path / "workspace"
    command = ["run", str(ground.source), "-w", str(workspace), "--offline", "--workers", "1"]
    program = [*other_start, sys.executable, "-m", "tui_scraper"]
    done = subprocess.run(
        [*program, *command, "--until", "clean"], cwd=_ROOT, capture_output=True, check=False
    )
    assert done.returncode in {0, 3}, done.stderr
    assert ground.run(undisturbed, workspace).code == 3
    assert exported(workspace) == ground.wanted(undisturbed)


@pytest.mark.slow
def test_fifty_histories_under_jumping_clocks(undisturbed: Programs, tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with Programs(environment=clock.environment) as programs:
        for seed in range(100, 150):
            ground = Ground(tmp_path / f"ground-{seed}")
            assert not jump(ground, clock, programs, undisturbed, seed)
