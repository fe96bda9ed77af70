"""Starts several processes on one workspace at the same instant. By the tests and by hand:

    python -m tests.chaos.together --seed 1 --rounds 50

Of runs that start together exactly one may work; the others must say who does, end with 6 and harm nothing.
Beside a run that goes on, every command that reads must work and see a state that adds up, and those that
change something must take effect or be refused. In the end the export is that of a run which was alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.faults import judge_files, judge_words
from tests.chaos.killing import exported, write_corpus
from tests.chaos.loaded import Outcome, Programs

_FILES = 40
_COMPLETE, _LOCKED = 3, 6  # the corpus has broken documents
_BESIDE = (
    ("status", "--json"),
    ("search", "invoice", "--json"),
    ("failures", "--json"),
    ("checkpoints", "--json"),
    ("export", "OUT"),
    ("retry",),
)


@dataclass
class Report:
    """What a series of rounds saw. `ends` counts how commands ended."""

    rounds: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.rounds} rounds"]
        lines += [f"  {end:44} {number:6}" for end, number in sorted(self.ends.items())]
        return "\n".join([*lines, *self.violations, f"{len(self.violations)} violations"])


class Place:
    """A corpus, and the export that every run over it must lead to."""

    def __init__(self, scratch: Path, programs: Programs, files: int = _FILES) -> None:
        self.scratch = Path(os.path.realpath(scratch))
        self.source = self.scratch / "source"
        write_corpus(self.source, files)
        reference = self.scratch / "reference"
        outcome = programs.run(self.run_on(reference))
        assert outcome.code == _COMPLETE, outcome
        self.wanted = exported(reference)

    def run_on(self, workspace: Path) -> list[str]:
        """The arguments of a run."""
        return ["run", str(self.source), "-w", str(workspace), "--offline", "--workers", "1", "--json"]

    def fresh(self) -> Path:
        """A workspace that is not there yet."""
        workspace = self.scratch / "workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        return workspace


def start_together(
    place: Place, runners: Sequence[Programs], rng: random.Random, report: Report, again: int = 2
) -> None:
    """A round: all begin at once, on a workspace that is not there, then on what they have left."""
    workspace = place.fresh()
    wrong: list[str] = []
    for attempt in range(again):
        delays = [0.0, *(rng.choice((0.0, rng.uniform(0, 0.1))) for _other in runners[1:])]
        barrier = threading.Barrier(len(runners))

        def begin(
            programs: Programs, delay: float, barrier: threading.Barrier = barrier
        ) -> tuple[float, float, Outcome]:
            barrier.wait()
            time.sleep(delay)
            began = time.monotonic()
            outcome = programs.run(place.run_on(workspace))
            return began, began + outcome.seconds, outcome

        with ThreadPoolExecutor(len(runners)) as pool:
            ended = list(pool.map(begin, runners, delays))
        report.ends.update(f"start {attempt + 1}: exit {outcome.code}" for _b, _e, outcome in ended)
        if not attempt and sum(outcome.code == _COMPLETE for _began, _end, outcome in ended) != 1:
            wrong.append("not exactly one has worked in a new workspace")
        wrong += _judge_start(place, workspace, ended)
    report.rounds += 1
    report.violations += [f"VIOLATION start {report.rounds}: {what}" for what in wrong]


def _judge_start(place: Place, workspace: Path, ended: list[tuple[float, float, Outcome]]) -> Iterator[str]:
    working = [span for span in ended if span[2].code == _COMPLETE]
    if not working:
        yield f"none has worked: {[outcome.said[-300:] for _b, _e, outcome in ended]}"
        return
    for _began, _end, outcome in ended:
        yield from judge_words(outcome)
        if outcome.code == _LOCKED:
            said = str(outcome.event("run_finished").get("error"))
            if not re.search(r"(process \d+ on \S+|another process) is working in this workspace, or", said):
                yield f"it does not say who works: {said}"
        elif outcome.code != _COMPLETE:
            yield f"it ended with {outcome.code}: {outcome.said[-400:]}"
    if exported(workspace) != place.wanted:
        yield "the export differs from that of a run which was alone"
    yield from judge_files(workspace)


def work_beside(place: Place, runners: Sequence[Programs], rng: random.Random, report: Report) -> None:
    """A round: while one works, another asks and changes what it can."""
    workspace = place.fresh()
    running, other = runners[:2]
    wrong: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(running.run, place.run_on(workspace))
        while not run.done():
            if not (workspace / "state.db").exists():
                time.sleep(0.001)
                continue
            command = list(rng.choice(_BESIDE))
            out = workspace.with_name("beside")
            arguments = [str(out) if word == "OUT" else word for word in command]
            outcome = other.run([*arguments, "-w", str(workspace)])
            report.ends[f"beside: {command[0]}, exit {outcome.code}"] += 1
            wrong += [f"{command[0]}: {what}" for what in _judge_beside(command[0], outcome)]
        ended = run.result()
    wrong += _judge_start(place, workspace, [(0, 0, ended)])
    report.rounds += 1
    report.ends[f"the run beside: exit {ended.code}"] += 1
    report.violations += [f"VIOLATION beside {report.rounds}: {what}" for what in wrong]


def _judge_beside(command: str, outcome: Outcome) -> Iterator[str]:
    yield from judge_words(outcome)
    nothing_yet = "nothing in this workspace yet" in outcome.errors or "no workspace" in outcome.errors
    refused = command == "retry" and outcome.code == _LOCKED
    if outcome.code and not (nothing_yet or refused):
        yield f"it ended with {outcome.code}: {outcome.said[-400:]}"
    if command == "status" and not outcome.code:
        said = json.loads(outcome.output)
        parts = ("done", "failed", "skipped", "empty", "pending")
        if said["found"] != sum(said[part] for part in parts):
            yield f"what was found is not what became of it: {outcome.output}"


def main() -> int:
    """Run from the command line. Exits with 1 where anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=50, help="of each kind (default: 50)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="together-") as scratch, contextlib.ExitStack() as stack:
        runners = [stack.enter_context(Programs()) for _process in range(options.processes)]
        place = Place(Path(scratch), runners[0])
        for _round in range(options.rounds):
            start_together(place, runners, rng, report)
            work_beside(place, runners, rng, report)
    print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
