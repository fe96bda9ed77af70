"""Kills a run at random instants and checks what it leaves. Used by the tests and by hand:

    python -m tests.chaos.killing --rounds 100 --seed 1

A round starts the program, kills it with SIGKILL after a random time, and checks the store. When a
run comes to its end before it is killed, its export is compared, byte by byte, with that of an
undisturbed run, and a new workspace is begun.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.head import read_head

WORDS = [
    "invoice",
    "payment",
    "contract",
    "release",
    "kernel",
    "search",
    "patient",
    "garden",
    "orbit",
    "theorem",
    "recipe",
    "harbour",
    "license",
    "network",
    "archive",
    "meeting",
    "budget",
    "winter",
    "engine",
    "market",
    "history",
    "color",
    "protein",
    "forest",
]


def write_corpus(directory: Path, files: int, seed: int = 1) -> None:
    """A small mixed corpus, the same for the same seed."""
    rng = random.Random(seed)
    directory.mkdir(parents=True)

    def prose(words: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(words)).capitalize() + "."

    for number in range(files):
        folder = directory / f"part-{number % 7}"
        folder.mkdir(exist_ok=True)
        paragraphs = [prose(rng.randrange(20, 120)) for _ in range(rng.randrange(1, 12))]
        match number % 9:
            case 0:
                body = "".join(f"<h2>{prose(3)}</h2><p>{text}</p>" for text in paragraphs)
                path, text = (
                    folder / f"{number}.html",
                    f"<html><title>{prose(4)}</title><body>{body}</body></html>",
                )
            case 1:
                path, text = (
                    folder / f"{number}.csv",
                    "".join(f"{n},{rng.choice(WORDS)},{n * 7}\n" for n in range(40)),
                )
            case 2:
                path, text = folder / f"{number}.md", f"# {prose(3)}\n\n" + "\n\n## Part\n\n".join(paragraphs)
            case 3 if number % 27 == 3:
                path, text = folder / f"{number}.txt", ""
            case 4 if number % 27 == 4:
                path, text = folder / f"{number}.pdf", "%PDF-1.4 broken"
            case 5 if number % 27 == 5:
                path, text = folder / f"{number}.psd", "8BPS\0\1"
            case _:
                path, text = folder / f"{number}.txt", "\n\n".join(paragraphs)
        path.write_bytes(text.encode("latin-1", "replace"))


def command(source: Path, workspace: Path) -> list[str]:
    """The program, as a person would run it."""
    return [
        sys.executable,
        "-m",
        "tui_scraper",
        "run",
        str(source),
        "-w",
        str(workspace),
        "--offline",
        "--json",
    ]


def exported(workspace: Path) -> bytes:
    """The export's rows."""
    return (workspace / "export" / "documents.jsonl").read_bytes()


def check_store(workspace: Path) -> int:
    """Raise AssertionError where a killed run has left anything wrong. Returns the results committed."""
    if not (workspace / "state.db").exists():
        return 0
    try:
        state = open_state(workspace, read_only=True)
    except Exception:
        # killed before the schema was committed: an empty file is all there may be
        assert not (workspace / "export").exists()
        return 0
    with state:
        assert state.execute("PRAGMA quick_check").get == "ok"
        head = read_head(state)
        redone = state.execute(
            """SELECT count(*) FROM (SELECT 1 FROM result WHERE status = 1
            GROUP BY branch, lineage, version HAVING count(*) > 1)"""
        ).get
        assert redone == 0, f"{redone} acknowledged results were made again"
        blobs = apsw.Connection(str(workspace / "blob.db"), flags=apsw.SQLITE_OPEN_READONLY)
        with blobs:
            have = {row[0] for row in blobs.execute("SELECT id FROM blob")}
        referred = {row[0] for row in state.execute("SELECT blob FROM artifact WHERE blob IS NOT NULL")}
        assert referred <= have, "an artifact refers to a payload that is not there"
        orphans = state.execute(
            "SELECT count(*) FROM result r WHERE artifact IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.id = r.artifact)"
        ).get
        assert orphans == 0
        for phase, lineage in head.lineages.items():
            counted = dict(
                state.execute(
                    "SELECT status, n FROM counter WHERE branch = ? AND lineage = ? AND n != 0",
                    (head.branch, lineage),
                ).fetchall()
            )
            real = dict(
                state.execute(
                    f"""SELECT status, count(*) FROM (SELECT r.status, max(r.seq) FROM result r
                    JOIN version v ON v.id = r.version
                    WHERE r.lineage = ? AND {head.visible()} AND {head.live()}
                    GROUP BY r.version) WHERE status > 0 GROUP BY status""",
                    (lineage,),
                ).fetchall()
            )
            assert counted == real, f"{phase}: counters {counted}, results {real}"
        return int(state.execute("SELECT count(*) FROM result").get)


def processes_of(workspace: Path) -> list[int]:
    """Processes of the program that still run: none may outlive a killed engine for long."""
    found = []
    marker = b"tui_scraper.engine.workers.zygote"
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                line = file.read()
            with open(f"/proc/{entry}/environ", "rb") as file:
                ours = os.fsencode(workspace) in file.read()
        except (OSError, NotADirectoryError):
            continue
        if marker in line and ours:
            found.append(int(entry))
    return found


@dataclass
class Report:
    """What a series of rounds saw."""

    rounds: int = 0
    kills: int = 0
    completions: int = 0
    results_at_kill: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        kept = self.results_at_kill
        return (
            f"{self.rounds} rounds, {self.kills} kills, {self.completions} completed runs with an export "
            "equal to the undisturbed one; results committed at a kill: "
            f"{min(kept, default=0)} to {max(kept, default=0)}"
        )


def torture(scratch: Path, rounds: int, seed: int, files: int = 400) -> Report:
    """Run the rounds. Raises AssertionError with what was wrong."""
    rng = random.Random(seed)
    source, reference = scratch / "source", scratch / "reference"
    write_corpus(source, files)
    started = time.monotonic()
    first = subprocess.run(command(source, reference), stdout=subprocess.DEVNULL, check=False)
    whole_s = time.monotonic() - started
    assert first.returncode == 3, (
        f"the undisturbed run ended with {first.returncode}"
    )  # some documents are broken
    wanted = exported(reference)
    report = Report()
    workspace = scratch / "workspace-0"
    while report.rounds < rounds:
        report.rounds += 1
        process = subprocess.Popen(
            command(source, workspace),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "VIRTUAL_ENV": str(workspace)},
        )
        try:
            _out, errors = process.communicate(timeout=rng.uniform(0.1, whole_s * 1.1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            report.kills += 1
            report.results_at_kill.append(check_store(workspace))
            continue
        report.completions += _completed(workspace, process.returncode, errors, wanted)
        workspace = scratch / f"workspace-{report.rounds}"
    last = subprocess.run(
        command(source, workspace), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    report.completions += _completed(workspace, last.returncode, last.stderr, wanted)
    return report


def _completed(workspace: Path, code: int, errors: bytes, wanted: bytes) -> int:
    assert code == 3, f"a resumed run ended with {code}: {errors.decode(errors='replace')[-500:]}"
    check_store(workspace)
    assert exported(workspace) == wanted, f"{workspace}: the export differs from that of an undisturbed run"
    shutil.rmtree(workspace)
    return 1


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=400)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(torture(Path(scratch), options.rounds, options.seed, options.files))


if __name__ == "__main__":
    main()
