"""Runs the program on disks that really are full, out of inodes, read-only or failing. By tests and by hand:

    python -m tests.chaos.disks --seed 1 --rounds 3
    python -m tests.chaos.disks --only full --seed 1 --rounds 20

Everything is mounted in a namespace that ends with this process and that nobody else sees (`unshare`).
Whoever is not root is root in it, without the disk that fails, which needs a loop device. Each scene runs the
program until the disk stops it, checks what it says and what it leaves, mends the disk, and has the same
command go on to the export that a run without trouble gives.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.faults import SENTENCES, judge_files, judge_words
from tests.chaos.killing import exported, write_corpus
from tests.chaos.loaded import Outcome, Programs

_FILES = 60
_COMPLETE = 3  # the corpus has broken documents
_INSIDE = "TUI_SCRAPER_CHAOS_NAMESPACE"
_FULL, _READ_ONLY = SENTENCES["ENOSPC"], SENTENCES["EROFS"]


class SkippedError(Exception):
    """This system has not what a scene needs."""


class Ground:
    """A corpus, the export it must lead to, and disks to run on."""

    def __init__(self, scratch: Path, programs: Programs, seed: int) -> None:
        self.scratch = scratch
        self.rng = random.Random(seed)
        self.source = scratch / "source"
        self.codes: list[int] = []
        self._programs = programs
        self._disks = 0
        write_corpus(self.source, _FILES)
        reference = scratch / "reference"
        outcome = self.run(reference)
        assert outcome.code == _COMPLETE, outcome
        self.wanted = exported(reference)

    def run(
        self,
        workspace: Path,
        *more: str,
        environment: Mapping[str, str] | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> Outcome:
        """The pipeline on a workspace."""
        arguments = ["run", str(self.source), "-w", str(workspace), "--offline", "--workers", "1", "--json"]
        outcome = self._programs.run([*arguments, *more], environment=environment, limits=limits)
        self.codes.append(outcome.code)
        return outcome

    def ask(self, *arguments: str) -> Outcome:
        """Another command."""
        return self._programs.run(list(arguments))

    @contextlib.contextmanager
    def disk(self, options: str) -> Iterator[Path]:
        """A disk in memory, mounted for as long as the block lasts."""
        self._disks += 1
        place = self.scratch / f"disk-{self._disks}"
        place.mkdir()
        _command("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
        try:
            yield place
        finally:
            _command("umount", "--lazy", str(place))


def remount(place: Path, options: str) -> None:
    """Change a mounted disk."""
    _command("mount", "-o", f"remount,{options}", str(place))


def _command(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SkippedError(f"`{' '.join(words)}` does not work here: {done.stderr.strip()}")


def _stopped(outcome: Outcome, code: int, sentence: re.Pattern[str], place: Path) -> Iterator[str]:
    """What must hold of a run that the disk has stopped."""
    yield from judge_words(outcome)
    said = str(outcome.event("run_finished").get("error") or outcome.errors.strip())
    if outcome.code != code:
        yield f"it ended with {outcome.code}, not {code}: {said or outcome.output[-400:]}"
    if not sentence.search(said):
        yield f"the sentence does not say what happened and what to do: {said}"
    if str(place) not in said:
        yield f"the sentence does not say where: {said}"


def _goes_on(ground: Ground, workspace: Path, *more: str, export: Path | None = None) -> Iterator[str]:
    """The disk is mended: the same command must come to the same end as without trouble."""
    outcome = ground.run(workspace, *more)
    if outcome.code != _COMPLETE:
        yield f"on the mended disk it ends with {outcome.code}: {outcome.said[-600:]}"
        return
    rows = (export / "documents.jsonl").read_bytes() if export is not None else exported(workspace)
    if rows != ground.wanted:
        yield "the export differs from that of a run without trouble"
    yield from judge_files(workspace)


def _looks(ground: Ground, workspace: Path) -> Iterator[str]:
    """Commands that only read must work, or say why they cannot."""
    for arguments in (("status",), ("failures",), ("checkpoints",), ("search", "invoice")):
        outcome = ground.ask(*arguments, "-w", str(workspace))
        yield from (f"{arguments[0]}: {wrong}" for wrong in judge_words(outcome))
        if outcome.code not in {0, 1, 2, 4}:
            yield f"{arguments[0]} ended with {outcome.code}: {outcome.said[-300:]}"


# --- the scenes -----------------------------------------------------------------------------------


def full(ground: Ground) -> Iterator[str]:
    """The workspace's disk fills up."""
    with ground.disk("size=64k") as disk:
        remount(disk, f"size={ground.rng.randrange(64, 1500)}k")
        workspace = disk / "workspace"
        outcome = ground.run(workspace)
        if outcome.code != _COMPLETE:
            yield from _stopped(outcome, 4, _FULL, disk)
            yield from _looks(ground, workspace)
        remount(disk, "size=64m")
        yield from _goes_on(ground, workspace)


def inodes(ground: Ground) -> Iterator[str]:
    """There is space, but no place for another file."""
    with ground.disk(f"size=64m,nr_inodes={ground.rng.randrange(2, 45)}") as disk:
        workspace = disk / "workspace"
        outcome = ground.run(workspace)
        if outcome.code != _COMPLETE:
            yield from _stopped(outcome, 4, re.compile(r"disk is full.*inodes.*start again"), disk)
            yield from _looks(ground, workspace)
        remount(disk, "nr_inodes=0")
        yield from _goes_on(ground, workspace)


def read_only(ground: Ground) -> Iterator[str]:
    """The disk comes back read-only, with a workspace that is not finished."""
    with ground.disk("size=64m") as disk:
        workspace = disk / "workspace"
        until = ground.rng.choice(("input", "clean", "classify", "index", "output"))
        ground.run(workspace, "--until", until)
        remount(disk, "ro")
        yield from _stopped(ground.run(workspace), 4, _READ_ONLY, disk)
        yield from _looks(ground, workspace)
        for arguments in (("status",), ("failures",), ("checkpoints",), ("gc", "--dry-run"), ("verify",)):
            outcome = ground.ask(*arguments, "-w", str(workspace))
            if outcome.code != 0:
                yield f"{arguments[0]}, which only reads, ended with {outcome.code}: {outcome.said[-300:]}"
        remount(disk, "rw")
        yield from _goes_on(ground, workspace)


def export_full(ground: Ground) -> Iterator[str]:
    """The workspace has room, the disk of the export has not; the export before stays."""
    with ground.disk("size=64m") as disk:
        workspace = ground.scratch / "workspace-export"
        shutil.rmtree(workspace, ignore_errors=True)
        target = disk / "out"
        ground.run(workspace, "--export", str(target), "--until", "index")
        remount(disk, f"size={ground.rng.randrange(8, 250)}k")
        outcome = ground.run(workspace, "--export", str(target))
        yield from _stopped(outcome, 4, _FULL, disk)
        if os.listdir(disk):
            yield f"left on the full disk: {os.listdir(disk)}"
        by_command = ground.ask("export", str(target), "-w", str(workspace))
        yield from _stopped(by_command, 4, _FULL, disk)
        remount(disk, "size=64m")
        yield from _goes_on(ground, workspace, "--export", str(target), export=target)
        before = (target / "documents.jsonl").read_bytes()
        remount(disk, f"size={len(before) * 3 // 2048}k")
        again = ground.ask("export", str(target), "-w", str(workspace))
        yield from _stopped(again, 4, _FULL, disk)
        if (target / "documents.jsonl").read_bytes() != before or os.listdir(disk) != ["out"]:
            yield "a failed export has changed the one before"


def export_read_only(ground: Ground) -> Iterator[str]:
    """The disk of the export is read-only."""
    with ground.disk("size=64m") as disk:
        workspace = ground.scratch / "workspace-export"
        shutil.rmtree(workspace, ignore_errors=True)
        target = disk / "out"
        remount(disk, "ro")
        yield from _stopped(ground.run(workspace, "--export", str(target)), 4, _READ_ONLY, disk)
        remount(disk, "rw")
        yield from _goes_on(ground, workspace, "--export", str(target), export=target)


def temporary_full(ground: Ground) -> Iterator[str]:
    """The disk for temporary files is full: nothing of ours needs it."""
    with ground.disk("size=4k") as disk:
        (disk / "taken").write_bytes(bytes(4096))
        workspace = ground.scratch / "workspace-temporary"
        shutil.rmtree(workspace, ignore_errors=True)
        outcome = ground.run(workspace, environment={"TMPDIR": str(disk)})
        yield from judge_words(outcome)
        if outcome.code != _COMPLETE or exported(workspace) != ground.wanted:
            yield f"it ended with {outcome.code}: {outcome.said[-400:]}"


def log_blocked(ground: Ground) -> Iterator[str]:
    """The log cannot be opened: that is said, and the run goes on."""
    workspace = ground.scratch / "workspace-log"
    shutil.rmtree(workspace, ignore_errors=True)
    (workspace / "log.jsonl").mkdir(parents=True)
    outcome = ground.run(workspace, "-v")
    yield from judge_words(outcome)
    if outcome.code != _COMPLETE or exported(workspace) != ground.wanted:
        yield f"it ended with {outcome.code}: {outcome.said[-400:]}"
    if "The log cannot be written" not in outcome.errors:
        yield "nobody is told that there is no log"


def file_size_limit(ground: Ground) -> Iterator[str]:
    """`ulimit -f`: no file may become as large as the store needs."""
    workspace = ground.scratch / "workspace-limit"
    shutil.rmtree(workspace, ignore_errors=True)
    outcome = ground.run(workspace, limits={"RLIMIT_FSIZE": ground.rng.randrange(20, 250) * 1024})
    if outcome.code != _COMPLETE:
        yield from _stopped(outcome, 4, re.compile(r"no file as large.*start again"), workspace)
    yield from _goes_on(ground, workspace)


def few_descriptors(ground: Ground) -> Iterator[str]:
    """`ulimit -n`: too few files may be open at a time."""
    workspace = ground.scratch / "workspace-descriptors"
    shutil.rmtree(workspace, ignore_errors=True)
    outcome = ground.run(workspace, limits={"RLIMIT_NOFILE": ground.rng.randrange(12, 60)})
    if outcome.code != _COMPLETE:
        yield from _stopped(outcome, 1, re.compile(r"[Tt]oo many open files.*start again"), Path("/"))
    yield from _goes_on(ground, workspace)


def failing(ground: Ground) -> Iterator[str]:
    """A file system that finds an error in itself in mid-run and takes nothing any more (ext4)."""
    image = ground.scratch / "image"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    _command("mkfs.ext4", "-q", "-F", str(image))
    place = ground.scratch / "failing"
    place.mkdir(exist_ok=True)
    workspace = place / "workspace"
    _command("mount", "-o", "loop,errors=remount-ro", str(image), str(place))
    try:
        device = _device(place)
        at_bytes = ground.rng.randrange(0, 900_000)
        breaking = threading.Thread(target=_break, args=(workspace, device, at_bytes))
        breaking.start()
        outcome = ground.run(workspace)
        breaking.join()
        if outcome.code != _COMPLETE:
            yield from judge_words(outcome)
            if outcome.code not in {1, 4}:
                yield f"it ended with {outcome.code}: {outcome.said[-600:]}"
            said = str(outcome.event("run_finished").get("error"))
            if not (_READ_ONLY.search(said) or SENTENCES["EIO"].search(said)):
                yield f"the sentence does not say what happened and what to do: {said}"
        shown = outcome.event("run_finished")
    finally:
        _command("umount", str(place))
    subprocess.run(["e2fsck", "-fy", str(image)], capture_output=True, check=False)
    _command("mount", "-o", "loop", str(image), str(place))
    try:
        yield from judge_files(workspace)
        if outcome.code == _COMPLETE:
            if exported(workspace) != ground.wanted:
                yield "FALSE DONE: it said complete, and what the disk has kept of the export is not it"
        elif shown:
            yield from _shown_is_there(ground, workspace, shown)
        yield from _goes_on(ground, workspace)
    finally:
        _command("umount", str(place))


def _device(place: Path) -> str:
    """The name of the loop device under a mounted image."""
    number = os.stat(place).st_dev
    name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"))
    if not name.startswith("loop"):
        raise SkippedError(f"the image is on {name}, which is no loop device")
    return name


def _break(workspace: Path, device: str, at_bytes: int) -> None:
    """Let the file system meet an error once the store has grown to this size."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if sum(entry.stat().st_size for entry in os.scandir(workspace) if entry.is_file()) >= at_bytes:
                break
        time.sleep(0.001)
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test of tui-scraper")


def _shown_is_there(ground: Ground, workspace: Path, shown: Mapping[str, object]) -> Iterator[str]:
    outcome = ground.ask("status", "--json", "-w", str(workspace))
    if outcome.code:
        if shown["done"]:
            yield f"status ended with {outcome.code}: {outcome.said}"
        return
    there = json.loads(outcome.output)
    if there["done"] < shown["done"]:
        yield f"LOST: {shown['done']} were shown as done, {there['done']} are there"


SCENES: dict[str, Callable[[Ground], Iterator[str]]] = {
    scene.__name__: scene
    for scene in (
        *(full, inodes, read_only, export_full, export_read_only, temporary_full),
        *(log_blocked, file_size_limit, few_descriptors, failing),
    )
}


# --- running them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Played:
    """A scene, what its runs exited with, and what was wrong, or why it cannot be played here."""

    scene: str
    seed: int
    codes: list[int]
    violations: list[str]
    skipped: str = ""


def play(names: Sequence[str], seed: int, rounds: int) -> Iterator[Played]:
    """Each scene so many times."""
    with tempfile.TemporaryDirectory(prefix="disks-") as scratch, Programs() as programs:
        ground = Ground(Path(os.path.realpath(scratch)), programs, seed)
        for name in names:
            for number in range(rounds):
                ground.rng, ground.codes = random.Random(f"{name}:{seed + number}"), []
                try:
                    violations = list(SCENES[name](ground))
                except SkippedError as error:
                    yield Played(name, seed + number, ground.codes, [], str(error))
                    break
                yield Played(name, seed + number, ground.codes, violations)


def namespace() -> list[str]:
    """The command that starts another in a mount namespace of its own. Raises SkippedError."""
    told = ""
    for own in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        try:
            tried = subprocess.run([*own, "true"], capture_output=True, text=True, check=False)
        except OSError as error:
            raise SkippedError(f"unshare cannot be started ({error.strerror})") from None
        if not tried.returncode:
            return [*own, "--propagation", "private"]
        told = tried.stderr.strip()
    raise SkippedError(f"no mount namespace can be made here ({told})")


def _enter_namespace() -> None:
    """Begin again in a mount namespace of our own."""
    if os.environ.get(_INSIDE):
        return
    command = [*namespace(), sys.executable, "-m", "tests.chaos.disks", *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})


def main() -> int:
    """Run from the command line. Exits with 1 where anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=tuple(SCENES), action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="of each scene (default: 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    try:
        _enter_namespace()
    except SkippedError as error:
        sys.exit(str(error))
    wrong = False
    for played in play(options.only or tuple(SCENES), options.seed, options.rounds):
        wrong |= bool(played.violations)
        if options.json:
            print(json.dumps(asdict(played)), flush=True)
            continue
        codes = ", ".join(map(str, played.codes))
        result = f"cannot be played: {played.skipped}" if played.skipped else f"the runs ended with {codes}"
        print("\n  ".join([f"{played.scene} --seed {played.seed}: {result}", *played.violations]), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
