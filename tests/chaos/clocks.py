"""Runs the program while the wall clock jumps by decades. By the tests and by hand:

    python -m tests.chaos.clocks --seed 1 --rounds 20

A round runs a corpus to a phase, changes files, runs on, and so forth, each time under another date, which
also jumps back and forth in the middle of a run. What measures intervals (the monotonic clock) stays as it
is, as on a machine whose date somebody sets. No work may be lost or done twice, no number that is shown may
be negative, and history keeps the order in which things happened.

The program learns the date from `time.time` alone (a test holds it to that), so that is what is replaced, in
its process (`loaded`). libfaketime would also distort how long a thread sleeps.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos.faults import judge_files, judge_words
from tests.chaos.killing import exported, write_corpus
from tests.chaos.loaded import CLOCK, Outcome, Programs

_FILES = 60
_COMPLETE = 3  # the corpus has broken documents
_YEARS = (-56.9, -27.0, -1.0, 0.0, 0.003, 10.0, 12.0, 80.0, 173.0)
"""How far the clock may be off: the first is early in 1970, as on a board without a battery."""
_YEAR_S = 31_556_952


class Clock:
    """The wall clock of every program that is started with its environment."""

    def __init__(self, scratch: Path) -> None:
        self._file = scratch / "clock"
        self._next = scratch / "clock-next"
        self.set(0)
        self.environment = {CLOCK: str(self._file)}

    def set(self, years: float) -> None:
        """How far from the real time it is from now on."""
        self._next.write_text(str(years * _YEAR_S))
        os.replace(self._next, self._file)

    @contextlib.contextmanager
    def jumping(self, rng: random.Random) -> Iterator[None]:
        """The clock jumps for as long as the block lasts."""
        ended = threading.Event()

        def jump() -> None:
            while not ended.wait(rng.uniform(0.01, 0.1)):
                self.set(rng.choice(_YEARS))

        jumping = threading.Thread(target=jump)
        jumping.start()
        try:
            yield
        finally:
            ended.set()
            jumping.join()


class Ground:
    """A corpus that changes, and what an undisturbed run makes of each of its states."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.source = scratch / "source"
        write_corpus(self.source, _FILES)

    def run(self, programs: Programs, workspace: Path, *more: str) -> Outcome:
        """The pipeline."""
        command = ["run", str(self.source), "-w", str(workspace), "--offline", "--workers", "1", "--json"]
        return programs.run([*command, *more])

    def change(self, rng: random.Random) -> None:
        """Some files get other contents, or go; one is new."""
        files = sorted(path for path in self.source.rglob("*") if path.is_file())
        for path in rng.sample(files, 3):
            path.write_bytes(f"Another text, number {rng.randrange(10**9)}.".encode())
        rng.choice(files).unlink()
        (self.source / f"new-{rng.randrange(10**9)}.txt").write_bytes(b"A new text.")

    def wanted(self, undisturbed: Programs) -> bytes:
        """The export of a run over the files as they are now."""
        workspace = self._scratch / "reference"
        shutil.rmtree(workspace, ignore_errors=True)
        outcome = self.run(undisturbed, workspace)
        assert outcome.code == _COMPLETE, outcome
        return exported(workspace)


def jump(ground: Ground, clock: Clock, programs: Programs, undisturbed: Programs, seed: int) -> list[str]:
    """One round. Returns what was wrong."""
    rng = random.Random(seed)
    workspace = ground.source.with_name("workspace")
    shutil.rmtree(workspace, ignore_errors=True)
    wrong: list[str] = []
    points: list[dict[str, Any]] = []
    for step, until in enumerate((rng.choice(("input", "clean", "classify", "index")), "output", "output")):
        if step:
            ground.change(rng)
        clock.set(rng.choice(_YEARS))
        with clock.jumping(rng) if rng.random() < 0.5 else contextlib.nullcontext():
            outcome = ground.run(programs, workspace, "--until", until)
        wrong += judge_words(outcome)
        wrong += _judge_numbers(outcome)
        if outcome.code not in {0, _COMPLETE}:
            wrong.append(f"it ended with {outcome.code}: {outcome.said[-400:]}")
        before, points = points, _checkpoints(programs, workspace)
        wrong += _judge_history(before, points)
    if not wrong and exported(workspace) != ground.wanted(undisturbed):
        wrong.append("the export differs from that of a run with a steady clock")
    wrong += judge_files(workspace)
    again = ground.run(programs, workspace)
    if _checkpoints(programs, workspace) != points:
        wrong.append("a run without anything to do has done something")
    if again.code != _COMPLETE:
        wrong.append(f"a run without anything to do ended with {again.code}: {again.said[-400:]}")
    for command in ("status", "failures", "checkpoints"):
        shown = programs.run([command, "-w", str(workspace)])
        wrong += judge_words(shown)
        if shown.code:
            wrong.append(f"{command} ended with {shown.code}: {shown.said[-400:]}")
    return wrong


def _checkpoints(programs: Programs, workspace: Path) -> list[dict[str, Any]]:
    outcome = programs.run(["checkpoints", "--json", "--all", "-w", str(workspace)])
    assert outcome.code in {0, 2}, outcome  # 2: nothing has been made yet
    return [json.loads(line) for line in outcome.output.splitlines()]


def _judge_history(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    """Checkpoints come in the order in which they were taken, and none is ever another's."""
    ids = [point["id"] for point in after]
    if ids != sorted(ids):
        yield f"checkpoints are not in order: {ids}"
    if [point["id"] for point in before] != ids[: len(before)]:
        yield "checkpoints of before have gone"
    heads = [point["id"] for point in after if point["head"]]
    if after and heads != ids[-1:]:
        yield f"the head is {heads}, the last checkpoint {ids[-1]}"


def _judge_numbers(outcome: Outcome) -> Iterator[str]:
    """Nothing that is shown is negative."""
    for line in outcome.output.splitlines():
        record = json.loads(line)
        times = {key: value for key, value in _numbers(record) if value < 0}
        if times:
            yield f"{record['event']} shows {times}"


def _numbers(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield key, value


def main() -> int:
    """Run from the command line. Exits with 1 where anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    found = False
    with tempfile.TemporaryDirectory(prefix="clocks-") as scratch:
        clock = Clock(Path(scratch))
        with Programs(environment=clock.environment) as programs, Programs() as undisturbed:
            began = time.monotonic()
            for seed in range(options.seed, options.seed + options.rounds):
                ground = Ground(Path(tempfile.mkdtemp(dir=scratch)))
                wrong = jump(ground, clock, programs, undisturbed, seed)
                found |= bool(wrong)
                took = time.monotonic() - began
                print("\n  ".join([f"--seed {seed}: {'wrong' if wrong else 'ok'}, {took:.0f} s", *wrong]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
