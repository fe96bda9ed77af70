"""Opening a database: beside one that makes it, nothing looks damaged."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tui_scraper.engine import StoreError
from tui_scraper.engine.store.connection import BLOB_FILE, connect, explained, open_blobs, open_state
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.workspace import Workspace, reopen

_MAKING = """
import sys
from pathlib import Path
from tui_scraper.engine.store.connection import connect
for number in range(60):
    connection = connect(Path(sys.argv[1]) / f"{number}.db", page_size=65536)
    connection.execute("CREATE TABLE made(data)")
    for _ in range(3):
        connection.execute("INSERT INTO made VALUES(zeroblob(200000))")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    connection.close()
"""


def test_a_database_that_is_being_made_never_looks_damaged_to_who_reads(tmp_path: Path) -> None:
    making = subprocess.Popen([sys.executable, "-c", _MAKING, str(tmp_path)])
    seen = 0
    while making.poll() is None:
        for path in tmp_path.glob("*.db"):
            reader = connect(path, page_size=65536, read_only=True)  # raises where a page has no checksum
            if reader.table_exists(None, "made"):
                seen += reader.execute("SELECT count(*) FROM made").get
            reader.close()
    assert making.returncode == 0
    assert seen


def test_only_what_the_schema_lacks_is_damage_and_our_own_mistake_is_none(tmp_path: Path) -> None:
    with closing(open_state(tmp_path)) as connection:
        for broken in (
            "SELECT * FROM unheard_of",
            "SELECT unheard_of FROM head",
            "INSERT INTO head(x) VALUES(1)",
        ):
            with pytest.raises(StoreError, match="is damaged"), explained(tmp_path, connection):
                connection.execute(broken)
        connection.execute("DROP INDEX version_moved")
        with pytest.raises(StoreError, match="no such index"), explained(tmp_path, connection):
            connection.execute("SELECT 1 FROM version INDEXED BY version_moved WHERE content IS NOT NULL")
        for mistaken in ("SELEC 1", f"SELECT 1 IN ({','.join('?' * 40_000)})"):
            with pytest.raises(apsw.SQLError), explained(tmp_path, connection):
                connection.execute(mistaken)


def test_a_workspace_that_no_run_has_claimed_is_nobodys_yet(tmp_path: Path) -> None:
    directory, source = tmp_path / "workspace", tmp_path / "source"
    source.mkdir()
    directory.mkdir()
    Writer(directory).close()  # as where a first run is killed before it says what folder it is for
    with pytest.raises(StoreError, match="nothing in this workspace yet"):
        reopen(directory)
    Workspace(directory, source).close()
    reopen(directory).close()


def test_a_workspace_of_which_only_the_first_file_is_made_has_nothing_in_it_yet(tmp_path: Path) -> None:
    """The writer makes `state.db` first, and a reader may come before it has made the other."""
    directory = tmp_path
    open_state(directory).close()
    connect(directory / BLOB_FILE).close()
    with pytest.raises(StoreError, match="nothing in this workspace yet"):
        open_blobs(directory, read_only=True)
    with closing(open_state(directory)) as state:
        state.execute(
            "INSERT INTO run(started, pid, host, settings, state) VALUES(0, 1, '', '{}', 'running')"
        )
    # after the first run it is a loss
    with (
        closing(open_blobs(directory, read_only=True)) as blobs,
        pytest.raises(StoreError, match="damaged"),
        explained(directory, blobs),
    ):
        blobs.execute("SELECT 1 FROM blob")
