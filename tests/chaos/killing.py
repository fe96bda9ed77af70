"""A corpus, and what every run that was killed must leave. From the command line it kills:

python -m tests.chaos.killing --kills 500 --seed 1        runs and all other commands (`kills`)
python -m tests.chaos.killing --late 100 --seed 1         the index, and exports of all formats (`kills`)
python -m tests.chaos.killing --rollbacks 200 --seed 1    going back, and the runs after it (`moving`)
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import tempfile
from pathlib import Path

from tui_scraper.engine.store.connection import connect, open_state
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


def exported(workspace: Path) -> bytes:
    """The export's rows."""
    return (workspace / "export" / "documents.jsonl").read_bytes()


def begun(workspace: Path) -> bool:
    """Whether the databases have their tables. Killed before they were committed they hold nothing.

    Nor is there anything to see while the layout of a database is being changed, which goes through a journal
    that only a writer can roll back.
    """
    for name, table in (("state.db", "head"), ("blob.db", "blob")):
        path = workspace / name
        if not path.exists() or Path(f"{path}-journal").exists():
            return False
        with contextlib.closing(connect(path, read_only=True)) as connection:
            if not connection.table_exists(None, table):
                return False
    return True


def check_store(workspace: Path) -> int:
    """Raise AssertionError where a killed run has left anything wrong. Returns the results committed."""
    if not begun(workspace):
        return 0
    state = open_state(workspace, read_only=True)
    with state:
        assert state.execute("PRAGMA quick_check").get == "ok"
        head = read_head(state)
        redone = state.execute(
            """SELECT count(*) FROM (SELECT 1 FROM result WHERE status = 1
            GROUP BY branch, lineage, version HAVING count(*) > 1)"""
        ).get
        assert redone == 0, f"{redone} acknowledged results were made again"
        with contextlib.closing(connect(workspace / "blob.db", read_only=True)) as blobs:
            have = {row[0] for row in blobs.execute("SELECT id FROM blob").fetchall()}
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
                    """SELECT status, sum(n) FROM counter WHERE branch = ? AND lineage = ?
                    GROUP BY status HAVING sum(n) != 0""",
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


def processes_of(scratch: Path) -> list[int]:
    """Other processes that have anything to do with a folder: none may outlive what started it."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        try:
            texts = [Path(f"/proc/{entry}/{name}").read_bytes() for name in ("cmdline", "environ")]
            opened = [os.fsencode(os.readlink(link)) for link in Path(f"/proc/{entry}/fd").iterdir()]
        except OSError:
            continue
        if any(os.fsencode(scratch) in text for text in (*texts, *opened)):
            found.append(int(entry))
    return found


def main() -> None:
    """Run from the command line."""
    from tests.chaos import kills, moving
    from tests.chaos.loaded import Programs

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", "--rounds", type=int, default=0)
    parser.add_argument("--late", type=int, default=0)
    parser.add_argument("--rollbacks", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--started", action="store_true", help="start each command as a person would")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        marked = {"VIRTUAL_ENV": scratch}
        with Programs(started=options.started, environment=marked) as programs:
            if options.late:
                print(kills.torture_late(Path(scratch), options.late, options.seed, programs))
            if options.kills or not (options.rollbacks or options.late):
                print(kills.torture(Path(scratch), options.kills or 100, options.seed, programs))
            if options.rollbacks:
                print(moving.torture(Path(scratch), options.rollbacks, options.seed, programs))
        left = processes_of(Path(scratch))
        assert not left, f"processes were left behind: {left}"


if __name__ == "__main__":
    main()
