"""A workspace of an earlier version is renewed after a copy and loses nothing; a later one is left alone."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import apsw
import pytest

from tests.engine.running import check_counters, export_bytes, rows, run_once, table
from tui_scraper.engine import PhaseName, Reader, Settings, StoreError
from tui_scraper.engine.going_back import preview
from tui_scraper.engine.store.connection import SCHEMA_VERSION, connect, open_state
from tui_scraper.engine.store.pages import open_pages
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, undo
from tui_scraper.engine.verify.checking import verify
from tui_scraper.engine.workspace import reopen

_DATA = Path(__file__).with_name("data")
_STAMP_NS = 1_700_000_000_000_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The five files that the old workspace was made of."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "notes.txt").write_text("Alpha zebra notes about invoices and payments.\n")
    (folder / "guide.md").write_text("# Guide\n\nHow to read this axolotl.\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "empty.txt").write_bytes(b"")
    with zipfile.ZipFile(folder / "pack.zip", "w") as pack:
        pack.writestr(zipfile.ZipInfo("inner.txt", (2024, 5, 6, 7, 8, 10)), "Inner text about wombats.\n")
    for path in folder.iterdir():
        os.utime(path, ns=(_STAMP_NS, _STAMP_NS))
    return folder


@pytest.fixture
def old(source: Path, tmp_path: Path) -> Path:
    """A workspace with schema 2."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    for name in ("state", "blob"):
        connection = apsw.Connection(str(workspace / f"{name}.db"))
        connection.execute(f"PRAGMA page_size={65536 if name == 'blob' else 4096}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute((_DATA / f"schema-2-{name}.sql").read_text(encoding="utf-8"))
        if name == "state":
            connection.execute("UPDATE meta SET value = ? WHERE key = 'source'", (os.fsencode(source),))
        connection.close()
    return workspace


def test_a_run_renews_it_and_reads_nothing_again(source: Path, old: Path, tmp_path: Path) -> None:
    before = table_of(old, "SELECT phase, count(*) FROM artifact GROUP BY phase")
    run_once(source, old)
    assert table(old, "SELECT value FROM meta WHERE key = 'schema'") == [(SCHEMA_VERSION,)]
    assert table(old, "SELECT phase, count(*) FROM artifact GROUP BY phase") == before
    check_counters(old)
    run_once(source, tmp_path / "fresh")
    assert export_bytes(old) == export_bytes(tmp_path / "fresh")
    copy = apsw.Connection(str(old / "state-schema-2.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert copy.execute("SELECT value FROM meta WHERE key = 'schema'").get == 2
    copy.close()


def test_every_page_has_a_checksum_afterwards(old: Path) -> None:
    reopen_old(old)
    for name in ("state", "blob"):
        with open_pages(old / f"{name}.db", {"state": 4096, "blob": 65536}[name], checksums=True) as pages:
            assert pages.count
            assert not list(pages.damaged())
    connection = connect(old / "state.db", read_only=True)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'artifact'").get
    connection.close()
    with (old / "state.db").open("r+b") as file:
        file.seek(root * 4096 - 200)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    assert any("artifact" in damage.where for damage in verify(old).damages)


def table_of(workspace: Path, sql: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(workspace / "state.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_what_only_reads_says_that_a_run_renews_it_and_leaves_it_alone(old: Path) -> None:
    before = (old / "state.db").read_bytes()
    with pytest.raises(StoreError, match=r"`tui-scraper run` renews it"):
        open_state(old, read_only=True)
    assert (old / "state.db").read_bytes() == before


def test_its_checkpoints_can_be_gone_back_to_and_that_undone(source: Path, old: Path) -> None:
    workspace = reopen_old(old)
    with Reader(workspace) as reader:
        before = reader.status()
        history = reader.checkpoints(everything=True)
    first = next(point for point in history if point.phase is PhaseName.CLEAN)
    opened = reopen(workspace)
    opened.writer.call(roll_back_to_checkpoint(first.id))
    opened.close()
    check_counters(workspace)
    with Reader(workspace) as reader:
        assert reader.status().head == first.id
    opened = reopen(workspace)
    opened.writer.call(undo())
    opened.close()
    with Reader(workspace) as reader:
        assert reader.status().counts == before.counts
    run_once(source, workspace)
    assert rows(workspace)["pack.zip!/inner.txt"]["status"] == "done"


def reopen_old(workspace: Path) -> Path:
    """Renew a workspace as any command that writes does."""
    connection = apsw.Connection(str(workspace / "state.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("SELECT value FROM meta WHERE key = 'schema'").get == 2
    source = connection.execute("SELECT value FROM meta WHERE key = 'source'").get
    connection.close()
    from tui_scraper.engine.workspace import Workspace

    Workspace(workspace, Path(os.fsdecode(source))).close()
    return workspace


def test_one_that_was_rolled_back_is_sound_when_it_was_renewed(source: Path, old: Path) -> None:
    connection = connect(old / "state.db")
    connection.execute("INSERT INTO branch VALUES(2, 1, 18, 5)")
    connection.execute("INSERT INTO counter SELECT 2, lineage, status, n, bytes, tokens FROM counter")
    connection.execute("INSERT INTO reflog VALUES(1, 1795972082, 1, 2, 'rollback to checkpoint 6')")
    connection.execute("UPDATE head SET branch = 2")
    connection.close()
    run_once(source, old)
    wrong = [str(check) for check in verify(old).checks if not check.sound]
    assert not wrong, wrong


def test_what_going_back_to_one_of_its_checkpoints_does_is_counted(source: Path, old: Path) -> None:
    run_once(source, old)
    with Reader(old) as reader:
        (first,) = (point for point in reader.checkpoints(everything=True) if point.id == 4)
        assert first.counts is None  # of then nothing was kept
        details = reader.checkpoint("4")
    seen = preview(old, 4, Settings())
    opened = reopen(old)
    opened.writer.call(roll_back_to_checkpoint(4))
    opened.close()
    with Reader(old) as reader:
        status = reader.status()
    assert seen.after == status.counts
    assert details.counts == status.phases


def test_its_next_export_is_that_of_a_workspace_which_is_new(source: Path, old: Path, tmp_path: Path) -> None:
    run_once(source, old)
    run_once(source, tmp_path / "new")
    manifests = [(place / "export" / "manifest.json").read_bytes() for place in (old, tmp_path / "new")]
    assert manifests[0] == manifests[1]


def test_it_is_renewed_with_its_counters(old: Path) -> None:
    open_state(old).close()  # as where a process is killed right after
    check_counters(old)
    with Reader(old) as reader:
        counts = reader.status().counts
    assert (counts.found, counts.done, counts.failed, counts.empty) == (6, 4, 1, 1)


def test_killed_while_it_is_renewed_it_is_the_old_or_the_new_and_goes_on(source: Path, old: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tui_scraper.engine.store.connection import open_state; "
        "print('ready', flush=True); open_state(Path(sys.argv[1])).close()"
    )
    rng = random.Random(1)
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(old)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(rng.uniform(0, 0.05))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        process.stdout.close()
        if (old / "state.db-journal").exists():
            try:  # there may be nothing in it yet, or nothing in it any more
                open_state(old, read_only=True).close()
            except StoreError as error:
                assert re.search("`tui-scraper run` (goes on with it|renews it)", str(error))
        else:
            assert table_of(old, "SELECT value FROM meta WHERE key = 'schema'")[0][0] in {2, SCHEMA_VERSION}
    run_once(source, old)
    check_counters(old)
    assert rows(old)["guide.md"]["status"] == "done"


def test_an_interrupted_renewal_is_said_until_a_run_goes_on_with_it(source: Path, old: Path) -> None:
    reopen_old(old)
    with contextlib.closing(connect(old / "state.db")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE meta SET value = 98 WHERE key = 'schema'")
        connection.cache_flush()
        interrupted = source.parent / "interrupted"
        shutil.copytree(old, interrupted)
        connection.execute("ROLLBACK")
        connection.execute("PRAGMA journal_mode=WAL")
    assert (interrupted / "state.db-journal").stat().st_size
    with pytest.raises(StoreError, match="`tui-scraper run` goes on with it"):
        open_state(interrupted, read_only=True)
    with contextlib.closing(open_state(interrupted)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'schema'").get == SCHEMA_VERSION


def test_a_newer_one_is_refused_untouched(old: Path) -> None:
    reopen_old(old)
    connection = connect(old / "state.db")
    connection.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    connection.close()
    before = {path.name: path.read_bytes() for path in old.iterdir() if path.suffix == ".db"}
    with pytest.raises(StoreError, match="newer"):
        open_state(old)
    assert {path.name: path.read_bytes() for path in old.iterdir() if path.suffix == ".db"} == before
