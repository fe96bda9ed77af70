"""Disks that really are full, out of inodes, read-only or failing stop a run, and cost nothing but time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.disks import SCENES, SkippedError, namespace

_ROOT = Path(__file__).parents[2]
_SURE_TO_STOP = ("read_only", "export_full", "export_read_only")


def played(*options: str) -> list[dict[str, Any]]:
    """What `python -m tests.chaos.disks` says, scene by scene."""
    try:
        namespace()
    except SkippedError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.disks", "--json", *options],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_run_that_the_disk_stops_says_why_and_goes_on_once_it_is_mended() -> None:
    scenes = played("--seed", "1")
    assert [scene["scene"] for scene in scenes] == list(SCENES)
    assert not [scene for scene in scenes if scene["violations"]]
    skipped = {scene["scene"]: scene["skipped"] for scene in scenes if scene["skipped"]}
    if len(skipped) == len(SCENES):
        pytest.skip(str(skipped))
    for scene in scenes:
        if scene["scene"] in _SURE_TO_STOP and not scene["skipped"]:
            assert 4 in scene["codes"]


@pytest.mark.slow
def test_twenty_disks_of_every_kind_lose_nothing() -> None:
    assert not [scene for scene in played("--seed", "2", "--rounds", "20") if scene["violations"]]
