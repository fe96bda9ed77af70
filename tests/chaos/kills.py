"""Rounds of kills: every command, each killed at a random instant, on workspaces that have seen much already.

A kill comes after a random time, or just before the Nth write, fsync, rename, open or unlink of a file of the
workspace, so that also what takes no time is met: an export's swap, a checkpoint, a page of garbage. After
each the workspace must be sound in every way that `verify` knows and have all that was shown as finished.
What moves the head has done so wholly or not at all. A run that comes to its end must have exported, byte by
byte, what an undisturbed one exports, from the same artifacts, with the same hits by words and by meaning:
nothing is lost, nothing there twice. `late` rounds begin where everything is labelled, and are killed in the
index and in exports of all formats.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.chaos.folder import BOX, BROKEN_BOX, CONTENTS
from tests.chaos.killing import begun, check_store, exported, write_corpus
from tests.chaos.loaded import DEADLINE_S, Outcome, Programs
from tests.chaos.looking import Eyes, View
from tests.chaos.older import is_older, make_older
from tests.chaos.syscalls import CHANGING, KILL, Fault
from tui_scraper.engine.export.manifest import read_manifest
from tui_scraper.engine.models import PHASES
from tui_scraper.engine.searching import find
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.head import decode_head, read_point
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.verify.checking import verify

SOME_FAILED = 3  # the corpus has broken documents
KILLED = -9
FORMATS = ("jsonl", "parquet", "csv", "markdown")
_FILES = 40
_CALLS = tuple(sorted(CHANGING))
_NEVER = 10**9
_SHARE_KILLED = 0.85


@dataclass
class Report:
    """What a series of rounds saw. `kills` counts them by command and by what was met."""

    rounds: int = 0
    completions: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    results_at_kill: list[int] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many commands were killed."""
        return self.kills.total()

    def __str__(self) -> str:
        kept = self.results_at_kill
        lines = [
            f"{self.rounds} rounds, {self.killed} kills, {self.completions} runs that came to their end with "
            "the export, the artifacts and the hits of an undisturbed one; results committed at a kill: "
            f"{min(kept, default=0)} to {max(kept, default=0)}"
        ]
        lines += [f"  killed in {what:32} {number:6}" for what, number in sorted(self.kills.items())]
        lines += [f"  ended: {what:35} {number:6}" for what, number in sorted(self.ends.items())]
        return "\n".join(lines)


class Place:
    """A corpus with containers, and what an undisturbed run makes of it."""

    def __init__(self, scratch: Path, programs: Programs) -> None:
        self.scratch = scratch.resolve()
        self.source = self.scratch / "source"
        write_corpus(self.source, _FILES)
        for name, data in (("box", BOX), ("broken", BROKEN_BOX), ("nested", CONTENTS["box beside nothing"])):
            (self.source / f"{name}.zip").write_bytes(data)
        reference = self.scratch / "reference"
        outcome = programs.run(self.run_on(reference))
        assert outcome.code == SOME_FAILED, outcome
        self.wanted = exported(reference)
        self.artifacts = artifacts_of(reference)
        self.hits = hits_of(reference)

    def run_on(self, workspace: Path, *options: str) -> list[str]:
        """The arguments of a run."""
        return [
            "run",
            str(self.source),
            "-w",
            str(workspace),
            "--offline",
            "--workers",
            "1",
            "--json",
            *options,
        ]

    def check_complete(self, workspace: Path, outcome: Outcome) -> None:
        """A run has ended well: it has left what an undisturbed one leaves."""
        assert outcome.code == SOME_FAILED, f"a run ended with {outcome.code}: {outcome.said[-600:]}"
        assert exported(workspace) == self.wanted, "the export differs from that of an undisturbed run"
        made = artifacts_of(workspace)
        assert made == self.artifacts, (
            f"{len(made - self.artifacts)} artifacts more, {len(self.artifacts - made)} less"
        )
        assert hits_of(workspace) == self.hits


def artifacts_of(workspace: Path) -> set[tuple[bytes, bytes]]:
    """(key, hash of what it holds) of every artifact."""
    with looking(workspace) as eyes:
        return set(eyes.state.execute("SELECT key, output FROM artifact").fetchall())


def hits_of(workspace: Path) -> list[list[tuple[str, int, float]]]:
    """What a search for a common word finds, by words and by meaning."""
    found = []
    for mode in ("text", "semantic"):
        answer = find(workspace, "invoice", k=1_000, mode=mode, settings=Settings())
        found.append([(hit.path, hit.chunk, hit.score if mode == "semantic" else 0.0) for hit in answer.hits])
        found[-1].sort()
    return found


@contextmanager
def looking(workspace: Path) -> Iterator[Eyes]:
    """Look at a workspace that nobody works in."""
    with (
        contextlib.closing(open_state(workspace, read_only=True)) as state,
        contextlib.closing(open_blobs(workspace, read_only=True)) as blobs,
    ):
        yield Eyes(state, blobs)


class Killer:
    """Carries commands out and kills them, after having learnt from those that ended how long they are."""

    def __init__(self, programs: Programs, rng: random.Random, report: Report) -> None:
        self.programs = programs
        self.report = report
        self._rng = rng
        self._seconds: dict[str, float] = {}
        self._calls: dict[tuple[str, str], int] = {}

    def run(self, arguments: Sequence[str], workspace: Path, *, spare: bool = False) -> Outcome:
        """Carry a command out; kill it on the way unless it is to be spared, or over before that."""
        name = "rollback --undo" if "--undo" in arguments else arguments[0]
        group = self._rng.choice(_CALLS)
        fault, deadline_s = Fault("rename", KILL, _NEVER, str(workspace)), DEADLINE_S
        if not spare and self._rng.random() < 0.4:
            deadline_s = self._rng.random() * self._rng.random() * 1.5 * self._seconds.get(name, 1.0)
        elif not spare:
            most = self._rng.randint(1, self._calls.get((name, group), 50) or 1)
            fault = Fault(group, KILL, self._rng.randint(1, most), str(workspace))
        outcome = self.programs.run(arguments, fault, deadline_s=deadline_s)
        assert not outcome.left_behind, f"{name} has left processes behind"
        if outcome.code == KILLED:
            assert not spare, f"{name} did not end in {DEADLINE_S:g} s"
            met = "time" if outcome.hung else f"{group} {_kind_of(outcome.hits[0])}"
            self.report.kills[f"{name} at {met}"] += 1
        else:
            self.report.ends[f"{name} with {outcome.code}"] += 1
            self._seconds[name] = max(self._seconds.get(name, 0.0), outcome.seconds)
            self._calls[name, fault.calls] = max(self._calls.get((name, fault.calls), 0), outcome.seen)
        return outcome

    def judge(self, workspace: Path, outcome: Outcome) -> None:
        """A command was killed, or has ended well: what is left must be sound."""
        assert outcome.code in (0, SOME_FAILED, KILLED), f"exit {outcome.code}: {outcome.said[-600:]}"
        if not begun(workspace) or is_older(workspace):
            assert outcome.code == KILLED, f"exit {outcome.code}: {outcome.said[-600:]}"
            return
        committed = check_store(workspace)
        if outcome.code == KILLED:
            self.report.results_at_kill.append(committed)
        wrong = [check for check in verify(workspace).checks if not check.sound]
        assert not wrong, "\n".join(str(check) for check in wrong)
        for folder in (workspace / "export", workspace / "elsewhere"):
            _check_export(folder)
        said = outcome.event("run_finished") or outcome.event("progress")
        if said:
            with Reader(workspace) as reader:
                counts = reader.status().counts
            assert counts.found >= said["found"], f"shown as found: {said['found']}, there: {counts.found}"
            assert counts.done >= said["done"], f"shown as done: {said['done']}, there: {counts.done}"


def _kind_of(hit: str) -> str:
    """What a call was about: 'fsync state.db-wal' -> 'state.db-wal'."""
    path = hit.partition(" ")[2]
    top = path.partition("/")[0]
    if ".export-" in top or top in {"export", "elsewhere"}:
        return "an export"
    return top.removesuffix(".new") or "the workspace"


def _check_export(folder: Path) -> None:
    """An export is there as a whole or not at all."""
    if not folder.exists():
        return
    found = read_manifest(folder)
    assert found is not None, f"{folder.name} has no manifest"
    for file in found[0].files:
        data = (folder / file.name).read_bytes()
        assert len(data) == file.size_bytes
        assert hashlib.sha256(data).hexdigest() == file.sha256, f"{file.name} is not what the manifest says"


@dataclass(frozen=True)
class Move:
    """A move of the head: the arguments of its command, and what it leads to."""

    arguments: list[str]
    before: View
    after: View

    def on(self, workspace: Path) -> Move:
        """The same with all that its command needs to be told."""
        return replace(self, arguments=[*self.arguments, "--yes", "-w", str(workspace)])

    def check(self, workspace: Path, outcome: Outcome) -> bool:
        """Whether it was made. It is made wholly or not at all, and certainly if the command says so."""
        with looking(workspace) as eyes:
            found = eyes.look()
        assert found in (self.before, self.after), f"{self.arguments} ended halfway"
        assert outcome.code in (0, KILLED), outcome.said[-600:]
        assert outcome.code == KILLED or found == self.after
        return found == self.after


_POINTS = 12
"""Checkpoints that are looked at, of those that a move may go to. There are ever more of them."""


def moves(workspace: Path, rng: random.Random) -> list[Move]:
    """Moves that can be made now: to phases, to some checkpoints, and back."""
    found = []
    with looking(workspace) as eyes:
        before = eyes.look()
        if not before.settings:
            return []
        for number, phase in enumerate(PHASES):
            kept = PHASES[: number + 1]
            documents = {path: document.only(kept) for path, document in before.documents.items()}
            found.append(Move(["rollback", phase], before, View(documents, before.settings, True)))
        points: list[Any] = eyes.state.execute("SELECT id FROM checkpoint ORDER BY id").fetchall()
        for (checkpoint,) in rng.sample(points, min(len(points), _POINTS)):
            found.append(_to_checkpoint(eyes, before, checkpoint))
        last: Any = eyes.state.execute("SELECT before FROM reflog ORDER BY id DESC LIMIT 1").fetchone()
        if last:
            found.append(Move(["rollback", "--undo"], before, eyes.look(decode_head(eyes.state, last[0]))))
    return [move.on(workspace) for move in found]


def move_to(workspace: Path, checkpoint: int) -> Move:
    """The move to a checkpoint."""
    with looking(workspace) as eyes:
        return _to_checkpoint(eyes, eyes.look(), checkpoint).on(workspace)


def _to_checkpoint(eyes: Eyes, before: View, checkpoint: int) -> Move:
    seen = eyes.look(read_point(eyes.state, checkpoint))
    return Move(["rollback", str(checkpoint)], before, View(seen.documents, seen.settings, True))


def torture(scratch: Path, kills: int, seed: int, programs: Programs) -> Report:
    """Go on until so many commands were killed. Raises AssertionError with what was wrong, and when."""
    rng, report = random.Random(seed), Report()
    place = Place(scratch, programs)
    killer = Killer(programs, rng, report)
    workspace = place.scratch / "workspace"
    while report.killed < kills:
        report.rounds += 1
        try:
            _one(place, killer, workspace, rng)
        except AssertionError as error:
            error.add_note(f"in round {report.rounds} with seed {seed}")
            raise
    place.check_complete(workspace, killer.run(place.run_on(workspace), workspace, spare=True))
    report.completions += 1
    return report


def torture_late(scratch: Path, kills: int, seed: int, programs: Programs) -> Report:
    """As `torture`, of documents that are all labelled: only the index and exports are still to be made."""
    rng, report = random.Random(seed), Report()
    place = Place(scratch, programs)
    formats = f"formats = {list(FORMATS)}".replace("'", '"')
    settings = place.scratch / "formats.toml"
    settings.write_text(f"[output]\n{formats}\n")
    killer = Killer(programs, rng, report)
    labelled, reference, workspace = (place.scratch / name for name in ("labelled", "whole", "workspace"))
    killer.run(place.run_on(labelled, "--until", "classify"), labelled, spare=True)
    killer.run(place.run_on(reference, "--config", str(settings)), reference, spare=True)
    wanted = _sums(reference / "export")
    while report.killed < kills:
        report.rounds += 1
        try:
            if not workspace.exists():
                shutil.copytree(labelled, workspace)
            spare = rng.random() > _SHARE_KILLED
            arguments = place.run_on(workspace, "--config", str(settings))
            if rng.random() < 0.4:
                some = rng.sample(FORMATS, rng.randint(1, len(FORMATS)))
                options = [part for name in some for part in ("--format", name)]
                arguments = ["export", str(workspace / "elsewhere"), *options, "-w", str(workspace)]
            outcome = killer.run(arguments, workspace, spare=spare)
            killer.judge(workspace, outcome)
            if outcome.code != KILLED and arguments[0] == "run":
                place.check_complete(workspace, outcome)
                assert _sums(workspace / "export") == wanted, "a file of the export is not as undisturbed"
                report.completions += 1
                shutil.rmtree(workspace)
        except AssertionError as error:
            error.add_note(f"in round {report.rounds} with seed {seed}")
            raise
    return report


def _sums(folder: Path) -> dict[str, str]:
    found = read_manifest(folder)
    assert found is not None
    return {file.name: file.sha256 for file in found[0].files}


def _one(place: Place, killer: Killer, workspace: Path, rng: random.Random) -> None:
    possible = moves(workspace, rng) if begun(workspace) and not is_older(workspace) else []
    spare = rng.random() > _SHARE_KILLED
    match _choose(rng, possible):
        case "move":
            move = rng.choice(possible)
            outcome = killer.run(move.arguments, workspace, spare=spare)
            killer.judge(workspace, outcome)
            move.check(workspace, outcome)
            return
        case "part":
            arguments = place.run_on(workspace, "--until", rng.choice(PHASES[:-1]))
        case "run":
            arguments = place.run_on(workspace)
        case "older":
            make_older(workspace)  # only a run renews it
            arguments = place.run_on(workspace)
        case "export":
            arguments = ["export", str(workspace / "elsewhere"), "-w", str(workspace)]
        case "name":
            point = rng.choice([move.arguments[1] for move in possible if move.arguments[1].isdecimal()])
            arguments = ["checkpoints", "name", point, f"name {rng.random()}", "-w", str(workspace)]
        case "gc":
            keep = rng.choice(([], ["--keep", "1"], ["--keep", "3"]))
            arguments = ["gc", *keep, "-w", str(workspace)]
        case command:
            arguments = [command, "-w", str(workspace)]
    outcome = killer.run(arguments, workspace, spare=spare)
    killer.judge(workspace, outcome)
    if outcome.code != KILLED and arguments[0] == "gc":
        assert not list(workspace.glob(".export.export-*")), "what killed exports left is not collected"
    if outcome.code != KILLED and arguments == place.run_on(workspace):
        place.check_complete(workspace, outcome)
        killer.report.completions += 1
        if rng.random() < 0.3:
            shutil.rmtree(workspace)


_COMMANDS = {
    "run": 8,
    "part": 4,
    "move": 6,
    "retry": 2,
    "export": 2,
    "name": 1,
    "gc": 2,
    "verify": 1,
    "older": 1,
}
"""How often each is chosen, once a workspace has some history."""


def _choose(rng: random.Random, possible: Sequence[Move]) -> str:
    if not any(move.arguments[1].isdecimal() for move in possible):
        return rng.choice(("run", "run", "part"))
    return rng.choices(list(_COMMANDS), list(_COMMANDS.values()))[0]
