"""Lets the Nth system call of a run fail, for every N, and checks what is left. By the tests and by hand:

    python -m tests.chaos.faults --seed 1 --rounds 200                a random choice of what follows
    python -m tests.chaos.faults --all                                every one there is
    python -m tests.chaos.faults --only labelled:write:EIO:37:once    one round again

A round copies a workspace that a run has left at some stage, starts the program on it, and lets the Nth
fsync, write, rename or open of a file in the workspace fail with EIO, ENOSPC or EROFS, once or from then on
like everything else (`syscalls`). It checks: the run ends in time with an exit code of the contract and a
sentence; if it calls itself complete it is complete; the store is sound and has all that was said to be
finished. Then the fault is gone, the same command runs again, and its export must be, byte by byte, that of
a run that nothing disturbed. With `--strace` the faults come from strace, which counts the calls of each
thread apart.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import queue
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from tests.chaos.killing import check_store, exported, write_corpus
from tests.chaos.loaded import Outcome, Programs
from tests.chaos.syscalls import GROUPS, Fault, count
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.store.connection import page_checksums
from tui_scraper.engine.store.reader import Reader

CALLS = ("fsync", "write", "rename", "open")
ERRORS = ("EIO", "ENOSPC", "EROFS")
_FILES = 30
_SOME_FAILED = 3  # the corpus has broken documents

SENTENCES = {
    "EIO": re.compile(r"reported an error.* saved"),
    "ENOSPC": re.compile(r"disk is full.* [Ff]ree some.* saved"),
    "EDQUOT": re.compile(r"quota.* [Ff]ree some.* saved"),
    "EROFS": re.compile(r"read-only.* writable.* saved"),
}
"""What is said where such an error ends a run."""
_CANNOT_OPEN = re.compile(r"cannot be opened for writing.* saved")
_UNREADABLE = re.compile(r"reported an error|the database is damaged.*verify")
_INDEX_UNREADABLE = re.compile(r"✗ index .*cannot be (read|locked)", re.DOTALL)
_INDEX_ENDED = re.compile(r"search index (could not be written|cannot be locked).* saved")
"""What a run that such an error ends exits with, and what its sentence says."""

_NO_SENTENCE = re.compile(
    r"Traceback|mistake in tui-scraper|could not start|\b[A-Za-z_.]+(Error|Exception)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a workspace has come before the fault, and the command that meets it.

    `made_by`: the options of the run that brought it there; None where there is no workspace yet.
    `other_files`: that run saw other files than there are now.
    """

    name: str
    made_by: tuple[str, ...] | None
    command: str = "run"
    other_files: bool = False


STAGES = (
    Stage("new", None),
    Stage("scanned", ("--until", "input")),
    Stage("labelled", ("--until", "classify")),
    Stage("indexed", ("--until", "index")),
    Stage("changed", (), other_files=True),
    Stage("complete", (), command="retry"),
    Stage("exported", (), command="export"),
    Stage("rolling", (), command="rollback"),
    Stage("freeing", (), command="gc", other_files=True),
    Stage("verified", (), command="verify"),
    Stage("repaired", (), command="verify --repair"),
)
_BY_NAME = {stage.name: stage for stage in STAGES}


@dataclass(frozen=True, slots=True)
class Round:
    """One fault at one stage. Its text is what `--only` takes."""

    stage: Stage
    calls: str
    error: str
    nth: int
    lasting: bool

    def __str__(self) -> str:
        how = "lasting" if self.lasting else "once"
        return f"{self.stage.name}:{self.calls}:{self.error}:{self.nth}:{how}"

    @staticmethod
    def parse(text: str) -> Round:
        """The round that a text names. Raises ValueError."""
        stage, calls, error, nth, how = text.split(":")
        if (
            stage not in _BY_NAME
            or calls not in GROUPS
            or error not in SENTENCES
            or how not in {"once", "lasting"}
        ):
            raise ValueError(f"there is no round '{text}'")
        return Round(_BY_NAME[stage], calls, error, int(nth), how == "lasting")


@dataclass
class Report:
    """What a series of rounds saw. `ends` counts them by kind of fault and by how the run ended."""

    rounds: int = 0
    hits: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.rounds} rounds; in {self.hits} of them a call failed"]
        lines += [f"  {end:44} {number:6}" for end, number in sorted(self.ends.items())]
        lines += [*self.violations, f"{len(self.violations)} violations"]
        return "\n".join(lines)


class Bench:
    """A corpus, a workspace for each stage, and the export that all of them must lead to."""

    def __init__(self, scratch: Path, programs: Programs, stages: Iterable[Stage] = STAGES) -> None:
        self._scratch = Path(os.path.realpath(scratch))
        self._source = self._scratch / "source"
        write_corpus(self._source, _FILES)
        self._write_other_files()
        stages = sorted(stages, key=lambda stage: not stage.other_files)
        for stage in stages:
            if not stage.other_files and (self._source / "other.txt").exists():
                shutil.rmtree(self._source)
                write_corpus(self._source, _FILES)
            if stage.made_by is not None:
                outcome = programs.run([*self.run_on(self._stage(stage)), *stage.made_by])
                assert outcome.code in {0, _SOME_FAILED}, outcome
        reference = self._scratch / "reference"
        outcome = programs.run(self.run_on(reference))
        assert outcome.code == _SOME_FAILED, outcome
        self.wanted = exported(reference)

    def _write_other_files(self) -> None:
        """What the corpus was before: some files fewer, some more, some others."""
        files = sorted(path for path in self._source.rglob("*") if path.is_file())
        for path in files[::5]:
            path.unlink()
        for path in files[1::5]:
            path.write_bytes(b"This was another text once. " * 20)
        (self._source / "other.txt").write_bytes(b"This file has gone since. " * 20)

    def _stage(self, stage: Stage) -> Path:
        return self._scratch / f"at-{stage.name}"

    def run_on(self, workspace: Path) -> list[str]:
        """The arguments of a run on a workspace."""
        return ["run", str(self._source), "-w", str(workspace), "--offline", "--workers", "1", "--json"]

    def _command(self, stage: Stage, workspace: Path) -> list[str]:
        match stage.command:
            case "retry":
                return ["retry", "-w", str(workspace)]
            case "rollback":
                return ["rollback", "clean", "--yes", "-w", str(workspace)]
            case "gc":
                return ["gc", "--keep", "1", "-w", str(workspace)]
            case "verify" | "verify --repair":
                return [*stage.command.split(), "-w", str(workspace)]
            case "export":
                return ["export", str(workspace / "elsewhere"), "-w", str(workspace)]
        return self.run_on(workspace)

    def count(self, programs: Programs, stage: Stage) -> dict[str, int]:
        """How many calls an undisturbed run makes that could fail: by kind of call and error."""
        workspace = self.begun(stage.name, "counted")
        outcome = programs.run(self._command(stage, workspace), count(str(workspace)))
        assert outcome.code == _succeeds(stage), outcome
        return outcome.counts

    def begun(self, stage: str, name: str) -> Path:
        """A workspace of this name at a stage."""
        workspace = self._scratch / name
        shutil.rmtree(workspace, ignore_errors=True)
        if _BY_NAME[stage].made_by is not None:
            shutil.copytree(self._stage(_BY_NAME[stage]), workspace)
        return workspace

    def carry_out(self, one: Round, programs: Programs, place: str, report: Report) -> None:
        """One round, in a workspace of this name."""
        workspace = self.begun(one.stage.name, place)
        fault = Fault(one.calls, one.error, one.nth, str(workspace), one.lasting)
        outcome = programs.run(self._command(one.stage, workspace), fault)
        wrong = [*self._judge_end(one, outcome, workspace), *_judge_store(one, outcome, workspace)]
        wrong += self._judge_again(one, programs, workspace)
        how = f"{one.calls} {one.error} {'from then on' if one.lasting else 'once'}"
        end = "complete" if outcome.code == _succeeds(one.stage) else f"exit {outcome.code}"
        report.rounds += 1
        report.hits += bool(outcome.hits)
        report.ends[f"{how}: {end if outcome.hits else 'not met'}"] += 1
        if wrong:
            hit = ", ".join(outcome.hits[:4]) or "nothing"
            report.violations.append(
                f"VIOLATION --only {one} ({hit} failed)\n" + "\n".join(f"  {w}" for w in wrong)
            )

    def _judge_end(self, one: Round, outcome: Outcome, workspace: Path) -> Iterator[str]:
        yield from judge_words(outcome)
        if outcome.code == _succeeds(one.stage):
            yield from self._judge_complete(one, workspace, outcome)
            return
        code, sentence = _expected(one, outcome)
        finished = outcome.event("run_finished")
        said = str(finished.get("error")) if one.stage.command == "run" else outcome.errors.strip()
        said = said or " ".join(outcome.said.split())  # what verify finds it says there
        if outcome.code != code:
            yield f"it ended with {outcome.code}, not {code}: {said}"
        if not sentence.search(said) or not said.endswith("."):
            yield f"the sentence does not say what happened and what to do: {said}"
        if finished and finished["exit_code"] != outcome.code:
            yield f"run_finished says {finished['exit_code']}, the exit code is {outcome.code}"

    def _judge_complete(self, one: Round, workspace: Path, outcome: Outcome) -> Iterator[str]:
        """What must hold of a command that says it has done everything."""
        if one.stage.command == "run":
            said = outcome.event("run_finished")
            if said.get("state") != "complete" or said.get("pending"):
                yield f"it ended like a complete run, and said {said}"
            if said.get("found") != sum(said.get(key, 0) for key in ("done", "failed", "skipped", "empty")):
                yield f"what was found is not what became of it: {said}"
        if one.stage.command == "export":
            if (workspace / "elsewhere" / "documents.jsonl").read_bytes() != self.wanted:
                yield "the export differs from that of an undisturbed run"
        elif one.stage.command == "run" and exported(workspace) != self.wanted:
            yield "FALSE DONE: it says complete, and its export differs from that of an undisturbed run"

    def _judge_again(self, one: Round, programs: Programs, workspace: Path) -> Iterator[str]:
        """The fault is gone: what was begun must come to its end."""
        again = programs.run(self._command(one.stage, workspace))
        if again.code != _succeeds(one.stage):
            yield f"without the fault it ends with {again.code}: {again.said[-600:]}"
            return
        yield from self._judge_complete(one, workspace, again)
        if one.stage.command != "run":
            again = programs.run(self.run_on(workspace))
            if again.code != _SOME_FAILED:
                yield f"a run after it ends with {again.code}: {again.said[-600:]}"
            elif exported(workspace) != self.wanted:
                yield "the export of a run after it differs from that of an undisturbed run"
        yield from judge_files(workspace)
        if left := [path.name for path in workspace.iterdir() if ".export-" in path.name]:
            yield f"{', '.join(left)} was left behind"


def _expected(one: Round, outcome: Outcome) -> tuple[int, re.Pattern[str]]:
    """The exit code and the sentence.

    SQLite and tantivy do not tell the error of every call; one that does not come again cannot be found out.
    """
    first = outcome.hits[0] if outcome.hits else ""
    if not one.lasting and one.calls == "open" and ".db" in first:
        for sentence in (_CANNOT_OPEN, SENTENCES["EIO"]):
            if sentence.search(outcome.said):
                return 1, sentence
    if one.error == "EIO" and one.stage.command == "verify" and _INDEX_UNREADABLE.search(outcome.said):
        return 1, _INDEX_UNREADABLE
    if not one.lasting and "index/" in first and _INDEX_ENDED.search(outcome.said):
        return 1, _INDEX_ENDED
    if one.error == "EIO" and any(re.match(r"p?read.*\.db", hit) for hit in outcome.hits):
        return 1, _UNREADABLE
    return 1 if one.error == "EIO" else 4, SENTENCES[one.error]


def _succeeds(stage: Stage) -> int:
    return _SOME_FAILED if stage.command == "run" else 0


def _judge_store(one: Round, outcome: Outcome, workspace: Path) -> Iterator[str]:
    """Nothing is damaged, and nothing that was shown as finished is missing."""
    yield from judge_files(workspace)
    said = outcome.event("run_finished") or outcome.event("progress")
    if not said or one.stage.other_files:  # there numbers may also fall
        return
    try:
        with Reader(workspace) as reader:
            counts = reader.status().counts
    except TuiScraperError as error:
        if said["done"] or one.stage.made_by is not None:
            yield f"the workspace cannot be read: {error}"
        return
    if counts.done < said["done"] or counts.found < said["found"]:
        yield f"shown as done: {said['done']} of {said['found']}; there: {counts.done} of {counts.found}"


def judge_words(outcome: Outcome) -> Iterator[str]:
    """It came to its end, and said nothing that only a programmer understands."""
    if outcome.hung:
        yield "it did not end in time"
    if outcome.left_behind:
        yield "processes were left behind"
    if match := _NO_SENTENCE.search(outcome.said):
        yield f"this is no sentence for a person: …{outcome.said[max(match.start() - 150, 0) :][:400]}"


def judge_files(workspace: Path) -> Iterator[str]:
    """The store of a workspace that nobody works in is sound. A copy is looked at, as after a crash."""
    page_checksums()  # without them SQLite would fold the log into pages that lack theirs
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for path in workspace.glob("*.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, copy)
        begun = True
        for name, table in (("state.db", "head"), ("blob.db", "blob")):
            if not (copy / name).exists():
                begun = False
                continue
            try:
                with contextlib.closing(apsw.Connection(str(copy / name))) as connection:
                    found = connection.execute("PRAGMA integrity_check").get
                    begun &= connection.table_exists(None, table)
            except apsw.Error as error:
                found = str(error)
            if found != "ok":
                yield f"CORRUPT {name}: {found}"
        if begun:
            try:
                check_store(copy)
            except (AssertionError, apsw.Error, TuiScraperError) as error:
                yield f"CORRUPT store: {type(error).__name__}: {error}"
        elif (workspace / "export").exists():  # it failed while the files were made: then nothing is in them
            yield "there is an export of a workspace in which there is nothing"


# --- series ---------------------------------------------------------------------------------------


def every_round(
    bench: Bench,
    programs: Programs,
    stages: Sequence[Stage] = STAGES,
    calls: Sequence[str] = CALLS,
    errors: Sequence[str] = ERRORS,
    most: int = 100,
) -> list[Round]:
    """All rounds in which something fails: N goes up to what an undisturbed run does, at most `most`."""
    rounds = []
    for stage in stages:
        counts = bench.count(programs, stage)
        for group, error in itertools.product(calls, errors):
            last = min(counts.get(f"{group} {error}", 0), most)
            for nth, lasting in itertools.product(range(1, last + 1), (False, True)):
                rounds.append(Round(stage, group, error, nth, lasting))
    return rounds


def torture(
    bench: Bench,
    rounds: Sequence[Round],
    runners: Sequence[Programs],
    *,
    show: bool = False,
    limit_s: float = math.inf,
) -> Report:
    """Carry the rounds out, as many at a time as there are programs, and begin none after `limit_s`."""
    report, lock = Report(), threading.Lock()
    waiting: queue.SimpleQueue[Round] = queue.SimpleQueue()
    for one in rounds:
        waiting.put(one)
    began = time.monotonic()
    errors: list[BaseException] = []

    def work(programs: Programs, place: str) -> None:
        try:
            while not errors and time.monotonic() < began + limit_s:
                one = waiting.get_nowait()
                own = Report()
                bench.carry_out(one, programs, place, own)
                with lock:
                    _add(report, own)
                    if show:
                        _show(report, own, len(rounds), began)
        except queue.Empty:
            return
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(programs, f"workspace-{number}"))
        for number, programs in enumerate(runners)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return report


def _add(report: Report, other: Report) -> None:
    report.rounds += other.rounds
    report.hits += other.hits
    report.ends += other.ends
    report.violations += other.violations


def _show(report: Report, own: Report, rounds: int, began: float) -> None:
    for violation in own.violations:
        print(violation, flush=True)
    if report.rounds % 100 == 0:
        took = time.monotonic() - began
        print(f"{report.rounds} of {rounds} rounds, {took:.0f} s", file=sys.stderr, flush=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def main() -> int:
    """Run from the command line. Exits with 1 where anything was violated."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100, help="how many, by chance (default: 100)")
    parser.add_argument("--all", action="store_true", help="every round there is")
    parser.add_argument("--only", type=Round.parse, metavar="ROUND", help="this one, as a violation names it")
    parser.add_argument("--calls", type=_names, default=CALLS, help=f"of {','.join(GROUPS)}")
    parser.add_argument("--errors", type=_names, default=ERRORS, help=f"of {','.join(SENTENCES)}")
    parser.add_argument("--stages", type=_names, default=tuple(_BY_NAME), help=f"of {','.join(_BY_NAME)}")
    parser.add_argument(
        "--most", type=int, default=100, metavar="N", help="the last call to fail (default: 100)"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round after these")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--started", action="store_true", help="start a new process for each run")
    parser.add_argument("--strace", action="store_true", help="let strace make the faults")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    stages = [_BY_NAME[name] for name in options.stages]
    runners = [Programs(started=options.started, strace=options.strace) for _job in range(options.jobs)]
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch, contextlib.ExitStack() as stack:
        for programs in runners:
            stack.enter_context(programs)
        if options.only:
            bench = Bench(Path(scratch), runners[0], [options.only.stage])
            rounds = [options.only]
        else:
            bench = Bench(Path(scratch), runners[0], stages)
            rounds = every_round(bench, runners[0], stages, options.calls, options.errors, options.most)
            rng.shuffle(rounds)
            rounds = rounds if options.all else rounds[: options.rounds]
        report = torture(bench, rounds, runners, show=True, limit_s=options.minutes * 60)
    print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
