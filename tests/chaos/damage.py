"""Damages a workspace in random ways and checks that `verify` finds it and `--repair` mends it. By hand:

    python -m tests.chaos.damage --rounds 200 --seed 1

One workspace is made by real runs, with archives, a retry, other settings, a named checkpoint and rollbacks.
Each round copies it, damages the copy, and asks `verify`. Then it repairs the copy, asks again, runs, and
compares the export, byte by byte, with that of the workspace that nothing happened to. Every other repair is
killed on its way first, and made again.

What is not done here, because nobody can tell it from a workspace as it should be:

- values that nothing else depends on, changed through SQL with their page's checksum kept up: times, texts
  of failures, names and notes, the attempts of a result, settings that a run was started with, the type of a
  file that was never read. A disk cannot change them so; the checksum of the page would not be right.
- the label of one document exchanged for that of another, made with the same settings: what was read of each
  is not kept, only its hash. As before, a disk cannot do that.
- an export, and the record of one, replaced by those of another sound export: `export DIR` does that.
- the whole workspace replaced by an older copy of itself: that is what a backup is for.

A cause of a failure that was changed so is found by the counts of causes, but not which of the two is right:
the count is mended, and a `retry` makes the failure anew. After such a damage no export is compared.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from tests.chaos.killing import write_corpus
from tests.engine.running import export_bytes, run_once, running
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.checkpoints import name_checkpoint
from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE, connect
from tui_scraper.engine.store.pages import open_pages
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase
from tui_scraper.engine.store.seal import SEAL_FILE
from tui_scraper.engine.store.setbacks import put_back
from tui_scraper.engine.verify import Report, repair, verify
from tui_scraper.engine.workspace import reopen

PAGE_BYTES = {STATE_FILE: 4096, BLOB_FILE: 65536}
SETTINGS: dict[str, dict[str, object]] = {"classify": {"backend": "local"}}
OTHER_SETTINGS: dict[str, dict[str, object]] = {**SETTINGS, "chunk": {"max_tokens": 128, "overlap": 16}}


@dataclass
class Sound:
    """A workspace that nothing happened to, with what its files were at earlier moments."""

    source: Path
    workspace: Path
    moments: list[Path] = field(default_factory=list)
    export: bytes = b""


def make(scratch: Path, files: int = 120) -> Sound:
    """A workspace with some history. The last run's export is what every repaired copy must give again."""
    made = Sound(scratch / "source", scratch / "workspace")
    write_corpus(made.source, files)
    write_archives(made.source)
    run_once(made.source, made.workspace, settings=SETTINGS)
    _remember(made, scratch)
    with _opened(made) as writer:
        writer.call(name_checkpoint(3, "first", "as it was"))
    with running(made.source, made.workspace, settings=OTHER_SETTINGS) as run:
        run.complete()
        _remember(made, scratch)
    with _opened(made) as writer:
        writer.call(roll_back_to_checkpoint(3))
        _remember(made, scratch)
    for number in range(5):
        (made.source / f"later-{number}.txt").write_text(
            f"A later document, number {number}, about harbours."
        )
    (made.source / "part-1" / "1.csv").write_text("other,content\n1,2\n")
    run_once(made.source, made.workspace, settings=SETTINGS)
    _remember(made, scratch)
    with _opened(made) as writer:
        writer.call(roll_back_to_phase(PhaseName.CLEAN))
        writer.call(put_back())
    (made.source / "part-2" / "2.md").unlink()
    with running(made.source, made.workspace, settings=SETTINGS) as run:
        run.complete()
        _remember(made, scratch)
    made.export = export_bytes(made.workspace)
    return made


def write_archives(folder: Path) -> None:
    """An archive of texts with an archive in it."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for number in range(3):
            archive.writestr(f"deep-{number}.txt", f"Deep inside, text {number} about orbits and gardens.")
    with zipfile.ZipFile(outer, "w") as archive:
        for number in range(6):
            archive.writestr(f"inside-{number}.txt", f"Inside, text {number} about a recipe for winter.")
        archive.writestr("inner.zip", inner.getvalue())
    (folder / "texts.zip").write_bytes(outer.getvalue())


class _opened:  # noqa: N801
    def __init__(self, made: Sound) -> None:
        self._made = made

    def __enter__(self) -> Any:
        self._workspace = reopen(self._made.workspace)
        return self._workspace.writer

    def __exit__(self, *_error: object) -> None:
        self._workspace.close()


def _remember(made: Sound, scratch: Path) -> None:
    """Keep the databases as they are now. Another process copies: closing them here drops SQLite's locks."""
    moment = scratch / f"moment-{len(made.moments)}"
    moment.mkdir()
    names = [f"{name}{end}" for name in (STATE_FILE, BLOB_FILE) for end in ("", "-wal")] + [SEAL_FILE]
    there = [str(made.workspace / name) for name in names if (made.workspace / name).exists()]
    subprocess.run(["cp", *there, str(moment)], check=True)
    made.moments.append(moment)


# --- damages --------------------------------------------------------------------------------------


class NotHere(Exception):  # noqa: N818
    """A damage that cannot be done to this workspace; another is tried."""


def _database(rng: random.Random, workspace: Path) -> tuple[str, Path, int]:
    name = rng.choice([STATE_FILE, STATE_FILE, BLOB_FILE])
    return name, workspace / name, PAGE_BYTES[name]


def _used_page(rng: random.Random, path: Path, size: int) -> int:
    with open_pages(path, size, checksums=True) as pages:
        free = pages.free_pages()
        return rng.choice([number for number in range(1, pages.count + 1) if number not in free])


def _write(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def flip_bits(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """Some bits of one page that is in use."""
    name, path, size = _database(rng, workspace)
    page = _used_page(rng, path, size)
    data = bytearray(path.read_bytes()[(page - 1) * size : page * size])
    bits = rng.sample(range(size * 8), rng.choice([1, 1, 1, 2, 7]))
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    _write(path, (page - 1) * size, data)
    return f"{len(bits)} bits of page {page} of {name} flipped"


def overwrite_page(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """Zeros, noise, or the content of another page, as a disk gives back a block that it has lost."""
    name, path, size = _database(rng, workspace)
    page = _used_page(rng, path, size)
    other = _used_page(rng, path, size)
    whole = path.read_bytes()
    kind = rng.choice(["zeros", "noise", "another page"])
    data = {
        "zeros": bytes(size),
        "noise": rng.randbytes(size),
        "another page": whole[(other - 1) * size : other * size],
    }[kind]
    if data == whole[(page - 1) * size : page * size]:
        raise NotHere
    _write(path, (page - 1) * size, data)
    return f"page {page} of {name} overwritten by {kind}{f' {other}' if kind == 'another page' else ''}"


def swap_pages(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """Two pages in each other's place."""
    name, path, size = _database(rng, workspace)
    first, second = _used_page(rng, path, size), _used_page(rng, path, size)
    whole = path.read_bytes()
    one, two = (whole[(page - 1) * size : page * size] for page in (first, second))
    if one == two:
        raise NotHere
    _write(path, (first - 1) * size, two)
    _write(path, (second - 1) * size, one)
    return f"pages {first} and {second} of {name} swapped"


def truncate(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """A database cut off anywhere, also to nothing."""
    name, path, _size = _database(rng, workspace)
    length = rng.choice([0, rng.randrange(path.stat().st_size), path.stat().st_size - 1])
    os.truncate(path, length)
    return f"{name} cut off at {length}"


def drop_table(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """A whole table or index."""
    name, path, size = _database(rng, workspace)
    connection = connect(path, page_size=size)
    try:
        kind, table = rng.choice(
            connection.execute(
                "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall()
        )
        if (name, table) == (BLOB_FILE, "meta"):
            raise NotHere
        connection.execute(f"DROP {kind} {table}")
    finally:
        connection.close()
    return f"{kind} {table} of {name} dropped"


def halve_table(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """The lower, the upper or a random half of a table's rows."""
    name, path, size = _database(rng, workspace)
    connection = connect(path, page_size=size)
    try:
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            if connection.execute(f"SELECT count(*) FROM {row[0]}").get
        ]
        table = rng.choice(tables)
        keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
        rows = connection.execute(
            f"SELECT {','.join(keys)} FROM {table} ORDER BY {','.join(keys)}"
        ).fetchall()
        half = (len(rows) + 1) // 2
        which = rng.choice(["lower", "upper", "random"])
        gone = {"lower": rows[:half], "upper": rows[-half:], "random": rng.sample(rows, half)}[which]
        if table == "counter" and not _matters(connection, gone):
            raise NotHere
        condition = " AND ".join(f"{key} = ?" for key in keys)
        connection.executemany(f"DELETE FROM {table} WHERE {condition}", gone)
    finally:
        connection.close()
    return f"the {which} half of {table} of {name} deleted ({half} rows)"


def _matters(connection: Any, gone: Sequence[tuple[Any, ...]]) -> bool:
    """Whether somebody would look at any of these counters: they count something in force."""
    branch, lineages = connection.execute("SELECT branch, lineages FROM head").get
    in_force = {0, *json.loads(lineages).values()}
    return any(
        row[0] == branch
        and row[1] in in_force
        and any(
            connection.execute(
                "SELECT n, bytes, tokens, cost_nano_usd FROM counter "
                "WHERE branch = ? AND lineage = ? AND status = ? AND cause = ?",
                row,
            ).get
        )
        for row in gone
    )


def stale_log(rng: random.Random, workspace: Path, sound: Sound) -> str:
    """A write-ahead log of an earlier moment beside a database."""
    logs = [log for moment in sound.moments for log in sorted(moment.glob("*-wal")) if log.stat().st_size]
    if not logs:
        raise NotHere
    log = rng.choice(logs)
    shutil.copyfile(log, workspace / log.name)
    return f"{log.name} of {log.parent.name} put back"


def older_file(rng: random.Random, workspace: Path, sound: Sound) -> str:
    """A database, or both, from an older copy beside the newer rest."""
    moment = rng.choice(sound.moments)
    names = rng.choice([[STATE_FILE], [BLOB_FILE], [STATE_FILE, BLOB_FILE], [SEAL_FILE]])
    for name in names:
        if (moment / name).read_bytes() == (workspace / name).read_bytes():
            raise NotHere
    if names == [SEAL_FILE] and moment == sound.moments[-1]:
        raise NotHere  # as where a workspace was killed while it was closed: the databases are what they were
    for name in names:
        shutil.copyfile(moment / name, workspace / name)
    return f"{' and '.join(names)} of {moment.name} put in place"


def edit_payload(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """A payload changed, cut, emptied or exchanged through SQL, with the checksums of pages kept up."""
    connection = connect(workspace / BLOB_FILE, page_size=PAGE_BYTES[BLOB_FILE])
    try:
        ids = [row[0] for row in connection.execute("SELECT id FROM blob")]
        one, two = rng.sample(ids, 2)
        data = connection.execute("SELECT data FROM blob WHERE id = ?", (one,)).get
        other = connection.execute("SELECT data FROM blob WHERE id = ?", (two,)).get
        changed = bytearray(data)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        kind, new = rng.choice(
            [
                ("changed", bytes(changed)),
                ("cut", data[: rng.randrange(len(data))]),
                ("emptied", b""),
                ("exchanged", other),
            ]
        )
        if new == data:
            raise NotHere
        connection.execute("UPDATE blob SET data = ? WHERE id = ?", (new, one))
    finally:
        connection.close()
    return f"payload {one} {kind}"


def _other(table: str, column: str) -> str:
    """The id of some other row."""
    return f"(SELECT id FROM {table} o WHERE o.id != {column} ORDER BY random() LIMIT 1)"


_OTHER_CONTENT = """(SELECT id FROM version WHERE id != result.version AND content IS NOT
    (SELECT content FROM version w WHERE w.id = result.version) ORDER BY random() LIMIT 1)"""
_OTHER_ARTIFACT = """(SELECT id FROM artifact WHERE phase = result.phase AND id != artifact
    ORDER BY random() LIMIT 1)"""
_OTHER_PAYLOAD = "(SELECT blob FROM artifact a WHERE a.blob != artifact.blob ORDER BY random() LIMIT 1)"
_READ = "id IN (SELECT version FROM result WHERE phase = 1 AND status = 1)"
_AT_HEAD = "branch = (SELECT branch FROM head)"

EDITS: tuple[tuple[str, str, str, str], ...] = (
    # table, column, new value, rows it may be done to
    ("result", "status", "(status + 1 + abs(random()) % 4) % 5", "1"),
    ("result", "artifact", _OTHER_ARTIFACT, "artifact IS NOT NULL AND phase < 3"),
    ("result", "artifact", "NULL", "artifact IS NOT NULL"),
    ("result", "version", _OTHER_CONTENT, "artifact IS NOT NULL AND phase < 3"),
    ("result", "lineage", _other("lineage", "result.lineage"), "phase BETWEEN 1 AND 3"),
    ("result", "branch", "99", "1"),
    ("result", "phase", "(phase + 1) % 5", "1"),
    ("document", "path", "path || x'78'", "1"),
    ("document", "uid", "randomblob(8)", "1"),
    ("document", "parent", _other("document", "document.id"), "parent = 0"),
    ("version", "document", "100000", "1"),
    ("version", "size_bytes", "size_bytes + 1", "scan_to IS NULL"),
    ("version", "scan_to", "(SELECT max(id) FROM scan)", "scan_to IS NULL"),
    ("version", "scan_from", "scan_from + 1000", "1"),
    ("version", "content", "randomblob(16)", _READ),
    ("version", "media_type", "media_type || 'x'", _READ),
    ("artifact", "key", "randomblob(16)", "1"),
    ("artifact", "output", "randomblob(16)", "1"),
    ("artifact", "phase", "phase % 3 + 1", "1"),
    ("artifact", "blob", _OTHER_PAYLOAD, "blob IS NOT NULL"),
    (
        "artifact",
        "blob",
        "NULL",
        f"blob IS NOT NULL AND id IN (SELECT artifact FROM result WHERE {_AT_HEAD})",
    ),
    ("artifact", "data", "data || x'00'", "data IS NOT NULL"),
    ("artifact", "data_sum", "randomblob(8)", "data_sum IS NOT NULL"),
    ("artifact", "amount", "amount + 1", "phase < 3"),
    ("artifact", "cost_nano_usd", "cost_nano_usd + 1000", "1"),
    ("counter", "n", "n + 1", f"{_AT_HEAD} AND lineage = 0"),
    ("counter", "bytes", "bytes - 1", f"{_AT_HEAD} AND lineage = 0"),
    (
        "counter",
        "cost_nano_usd",
        "7",
        f"{_AT_HEAD} AND lineage IN (SELECT value FROM head, json_each(lineages))",
    ),
    ("failure", "cause", "'timeout'", "cause != 'timeout'"),
    ("failure", "seq", "seq + 100000", "1"),
    ("branch", "parent", "id", "id > 1"),
    ("branch", "kept", "9", "1"),
    ("branch", "fork_seq", "0", "id = (SELECT branch FROM head) AND kept < 5"),
    ("checkpoint", "counters", "replace(counters, '1', '2')", "counters LIKE '%1%'"),
    ("checkpoint", "seq", "seq / 2", "seq > 100"),
    ("checkpoint", "branch", "77", "1"),
    ("checkpoint", "lineages", "replace(lineages, '1', '3')", "lineages LIKE '%1%'"),
    ("checkpoint", "scan", "scan + 1000", "1"),
    ("head", "branch", "1", "branch != 1"),
    ("head", "scan", "1", "scan > 2"),
    ("head", "lineages", "'{}'", "1"),
    ("head", "checkpoint", "1", "checkpoint > 1"),
    ("head", "run", "1", "run > 1"),
    ("head", "arrived", "1000000", "1"),
    ("reflog", "after", "replace(after, 'branch', 'bramch')", "1"),
    ("reflog", "after", "json_set(after, '$.branch', 1)", "id = (SELECT max(id) FROM reflog)"),
    ("config", "json", "replace(json, ':', ': 1')", "json LIKE '%:%'"),
    ("config", "hash", "randomblob(16)", "1"),
    ("lineage", "parent", "0", "parent != 0"),
    ("lineage", "config", _other("config", "lineage.config"), "1"),
    ("run", "state", "'gone'", "1"),
    ("scan", "ignored", "'{'", "1"),
    ("meta", "value", "value || 'x'", "key IN ('source', 'sandbox')"),
    ("meta", "value", "value + 1", "key IN ('index_generation', 'session')"),
    ("indexed", "artifact", "artifact + 100000", "1"),
)


def edit_row(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """One value of one row, through SQL, with the checksums of pages kept up."""
    table, column, new, where = rng.choice(EDITS)
    return edit(rng, workspace, table, column, new, where)


def edit(rng: random.Random, workspace: Path, table: str, column: str, new: str, where: str) -> str:
    """Change `column` of one row to the expression `new`."""
    connection = connect(workspace / STATE_FILE)
    connection.create_scalar_function("random", lambda: rng.getrandbits(62))  # the same for the same seed
    connection.create_scalar_function("randomblob", rng.randbytes)
    try:
        keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
        listed = ",".join(keys)
        rows = connection.execute(f"SELECT {listed} FROM {table} WHERE {where} ORDER BY {listed}").fetchall()
        if not rows:
            raise NotHere
        row = rng.choice(rows)
        this = " AND ".join(f"{key} = ?" for key in keys)
        (before,) = connection.execute(f"SELECT {column} FROM {table} WHERE {this}", row).fetchone()
        change = f"UPDATE {table} SET {column} = {new} WHERE {this} RETURNING {column}"
        try:
            after = connection.execute(change, row).get
        except apsw.ConstraintError:
            raise NotHere from None
        if after == before:
            raise NotHere
    finally:
        connection.close()
    return f"{table}.{column} of {row} changed from {before!r} to {after!r}"[:200]


def damage_index(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """A file of the search index, or all of it."""
    folder = workspace / "index"
    names = sorted(path.name for path in folder.iterdir() if path.name[0] != "." and path.stat().st_size)
    name = rng.choice(names)
    path = folder / name
    data = bytearray(path.read_bytes())
    kind = rng.choice(["flipped", "cut", "removed", "emptied", "all removed"])
    match kind:
        case "flipped":
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
        case "cut":
            os.truncate(path, rng.randrange(len(data)))
        case "removed":
            path.unlink()
        case "emptied":
            os.truncate(path, 0)
        case _:
            shutil.rmtree(folder)
    return f"index/{name} {kind}"


def damage_export(rng: random.Random, workspace: Path, _sound: Sound) -> str:
    """A file of the export."""
    path = workspace / "export" / rng.choice(["documents.jsonl", "documents.jsonl", "manifest.json"])
    data = bytearray(path.read_bytes())
    kind = rng.choice(["flipped", "cut", "removed", "longer"])
    match kind:
        case "flipped":
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
        case "cut":
            os.truncate(path, rng.randrange(len(data)))
        case "removed":
            path.unlink()
        case _:
            path.write_bytes(data + b"{}\n")
    return f"export/{path.name} {kind}"


DAMAGES: tuple[Callable[[random.Random, Path, Sound], str], ...] = (
    flip_bits,
    overwrite_page,
    swap_pages,
    truncate,
    drop_table,
    halve_table,
    stale_log,
    older_file,
    edit_payload,
    edit_row,
    edit_row,
    damage_index,
    damage_export,
)


# --- rounds ---------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What a series of rounds saw."""

    rounds: int = 0
    repaired: int = 0
    killed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return (
            f"{self.rounds} damages, all found by verify; {self.repaired} repaired, {self.killed} of them "
            "after a repair that was killed, verified as sound, and exported like the undisturbed workspace "
            f"({kinds})"
        )


def torture(
    scratch: Path,
    rounds: int,
    seed: int,
    *,
    files: int = 120,
    repairs: int | None = None,
    tell: Callable[[str], None] = lambda _line: None,
    sound: Sound | None = None,
    first: int = 0,
) -> Tally:
    """Damage `rounds` copies; repair the first `repairs` of them (None: all). Raises AssertionError."""
    sound = sound or make(scratch, files)
    report = verify(sound.workspace)
    assert report.sound, f"the undisturbed workspace: {[damage.what for damage in report.damages]}"
    tally = Tally()
    for number in range(first, first + rounds):
        rng = random.Random(f"{seed}-{number}")
        kind, what, copy = _damaged(rng, sound, scratch / f"round-{number}")
        tell(f"{number:4} {kind}: {what}")
        check(copy, what)
        tally.rounds += 1
        tally.kinds[kind] += 1
        if repairs is None or tally.repaired < repairs:
            if tally.repaired % 2:
                tally.killed += killed_repair(copy, rng.random() * _REPAIR_S)
            mend(copy, sound, what)
            tally.repaired += 1
        shutil.rmtree(copy)
    return tally


def _damaged(rng: random.Random, sound: Sound, copy: Path) -> tuple[str, str, Path]:
    while True:
        shutil.copytree(sound.workspace, copy)
        _point_export(sound.workspace, copy)
        chosen = rng.choice(DAMAGES)
        try:
            return chosen.__name__, chosen(rng, copy, sound), copy
        except NotHere:
            shutil.rmtree(copy)


def _point_export(workspace: Path, copy: Path) -> None:
    """The copy's record of its export names the copy's folder; everything else stays as it was."""
    connection = connect(copy / STATE_FILE)
    try:
        connection.execute("UPDATE export SET dir = replace(dir, ?, ?)", (str(workspace), str(copy)))
    finally:
        connection.close()


def check(copy: Path, what: str) -> Report:
    """`verify` finds that something is wrong, and changes nothing."""
    before = _bytes_of(copy)
    report = verify(copy)
    assert not report.sound, f"not found: {what}"
    assert _bytes_of(copy) == before, f"verify has changed files: {what}"
    return report


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size and not path.name.endswith("-shm") and path.name != "lock"
    }


_REPAIR_S = 0.5
_REPAIR = """
import sys
from pathlib import Path
from tui_scraper.engine.verify import repair
print(flush=True)
repair(Path(sys.argv[1]))
"""


def killed_repair(copy: Path, after_s: float) -> bool:
    """Repair in a process that is killed after so long. Whether it was; else it had come to its end."""
    with subprocess.Popen([sys.executable, "-c", _REPAIR, str(copy)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            code = process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    assert code == 0
    return False


def mend(copy: Path, sound: Sound, what: str) -> None:
    """`--repair` makes it sound, and a run gives the undisturbed export."""
    repaired = repair(copy)
    left = [damage.what for damage in repaired.after.damages]
    assert repaired.after.sound, f"after {what}, the repair left: {left}; it did: {repaired.done}"
    run_once(sound.source, copy, settings=SETTINGS)
    report = verify(copy)
    assert report.sound, f"after {what}, repair and run: {[damage.what for damage in report.damages]}"
    if export_bytes(copy) != sound.export and not what.startswith("failure.cause"):
        raise AssertionError(
            f"after {what}, repair and run, the export differs: {_first_difference(copy, sound)}"
        )


def _first_difference(copy: Path, sound: Sound) -> str:
    ours, theirs = export_bytes(copy).splitlines(), sound.export.splitlines()
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            one, two = json.loads(mine), json.loads(other)
            keys = [key for key in two if one.get(key) != two[key]]
            return f"{one['path']} / {two['path']}: " + ", ".join(
                f"{key} {str(one.get(key))[:60]!r} not {str(two[key])[:60]!r}" for key in keys
            )
    return f"{len(ours)} rows, not {len(theirs)}"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=120)
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    parser.add_argument(
        "--only-find", action="store_true", help="without repairs, which take most of the time"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(
            torture(
                Path(scratch),
                options.rounds,
                options.seed,
                files=options.files,
                repairs=0 if options.only_find else None,
                tell=lambda line: print(line, flush=True),
                first=options.first,
            )
        )


if __name__ == "__main__":
    main()
