"""Rollbacks that are killed, and runs that are killed after them: the head ends exactly at a checkpoint.

A round goes back to a phase, to a checkpoint or to where the head was before. A rollback that is killed has
happened or it has not; then it is made again. Runs that are killed follow, in any phase, and then the same
point is gone back to once more: whatever they have left must not be seen from there.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.chaos.kills import KILLED, Killer, Move, Place, Report, looking, move_to, moves
from tests.chaos.loaded import Programs
from tests.engine.running import check_counters
from tui_scraper.engine.models import PHASES
from tui_scraper.engine.store.head import read_head, read_point

_ENDS_EVERY = 5
"""Rounds after which a run is let come to its end."""


def torture(scratch: Path, rounds: int, seed: int, programs: Programs) -> Report:
    """Run the rounds. Raises AssertionError with what was wrong and in which round."""
    rng, report = random.Random(seed), Report()
    place = Place(scratch / "moving", programs)
    killer = Killer(programs, rng, report)
    workspace = place.scratch / "workspace"
    for until in ("clean", "classify", "output"):
        killer.run(place.run_on(workspace, "--until", until), workspace, spare=True)
    while report.rounds < rounds:
        report.rounds += 1
        try:
            _one(place, killer, workspace, rng)
            if report.rounds % _ENDS_EVERY == 0 or report.rounds == rounds:
                place.check_complete(workspace, killer.run(place.run_on(workspace), workspace, spare=True))
                report.completions += 1
        except AssertionError as error:
            error.add_note(f"in round {report.rounds} with seed {seed}")
            raise
    return report


def _one(place: Place, killer: Killer, workspace: Path, rng: random.Random) -> None:
    move = rng.choice(moves(workspace, rng))
    _make(killer, workspace, move)
    checkpoint = _at(workspace)
    for _run in range(rng.randrange(3)):
        outcome = killer.run(place.run_on(workspace, "--until", rng.choice(PHASES)), workspace)
        killer.judge(workspace, outcome)
    _make(killer, workspace, move_to(workspace, checkpoint))
    assert _at(workspace) == checkpoint
    with looking(workspace) as eyes:
        found, wanted = eyes.look(), eyes.look(read_point(eyes.state, checkpoint))
    assert found == replace(wanted, pinned=True)
    assert found.documents == move.after.documents
    assert found.settings == move.after.settings
    check_counters(workspace)


def _make(killer: Killer, workspace: Path, move: Move) -> None:
    """Make a move: in one go, or after it was killed."""
    outcome = killer.run(move.arguments, workspace)
    killer.judge(workspace, outcome)
    if not move.check(workspace, outcome):
        outcome = killer.run(move.arguments, workspace, spare=True)
        assert outcome.code != KILLED
        killer.judge(workspace, outcome)
        assert move.check(workspace, outcome)
    check_counters(workspace)


def _at(workspace: Path) -> int:
    with looking(workspace) as eyes:
        head: Any = read_head(eyes.state)
    return int(head.checkpoint)
