"""The seal: no crash makes a sound workspace look damaged, and what was put back or cut off is noticed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.store.test_promises import Store
from tui_scraper.engine import StoreError
from tui_scraper.engine.store import connection as opening
from tui_scraper.engine.store import seal
from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE, connect
from tui_scraper.engine.store.seal import SEAL_FILE, read_seal
from tui_scraper.engine.store.writer import Writer


def made(directory: Path) -> Path:
    """A closed store with some documents in it."""
    store = Store(directory)
    store.scan({b"a": 1, b"b": 2, b"c": 1})
    store.work()
    store.writer.close()
    return directory


def more(directory: Path) -> None:
    """Another session, in which something happens."""
    store = Store(directory)
    store.scan({b"a": 1, b"b": 2, b"c": 1, b"d": 3})
    store.work()
    store.writer.close()


def opens(directory: Path) -> None:
    Writer(directory).close()


def test_a_seal_with_other_fields_is_one_of_another_version(tmp_path: Path) -> None:
    directory = made(tmp_path / "ws")
    known = read_seal(directory)
    assert known is not None
    fields = msgspec.to_builtins(known)
    del fields["replacing"]
    path = directory / SEAL_FILE
    path.write_bytes(seal._signed(msgspec.json.encode({**fields, "later": [1]})))
    assert read_seal(directory) == known
    opens(directory)
    path.write_bytes(path.read_bytes().replace(b'"later"', b'"Later"') + b" ")
    with pytest.raises(StoreError, match="the file is damaged"):
        read_seal(directory)


def test_a_seal_that_cannot_be_read_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / SEAL_FILE).mkdir()
    with pytest.raises(StoreError, match=r"cannot be read \(Is a directory\).* saved; see that you may"):
        read_seal(tmp_path)


def test_a_workspace_is_opened_and_closed_under_numbers_that_only_grow(tmp_path: Path) -> None:
    directory = made(tmp_path / "ws")
    first = read_seal(directory)
    assert first is not None
    assert first.closed
    writer = Writer(directory)
    during = read_seal(directory)
    assert during is not None
    assert not during.closed
    assert during.last == first.last  # what was there at the last closing is known while it is open
    writer.close()
    after = read_seal(directory)
    assert after is not None
    assert after.session == during.session + 1 > first.session
    assert after.last == {**first.last}


def test_wherever_a_crash_comes_the_workspace_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write of opening and closing is followed by a copy, which is what a crash would leave."""
    directory = made(tmp_path / "ws")
    copies: list[Path] = []

    def copy() -> None:
        copies.append(tmp_path / f"copy-{len(copies)}")
        subprocess.run(["cp", "-r", str(directory), str(copies[-1])], check=True)

    def then_copy(function: Callable[..., None]) -> Callable[..., None]:
        def both(*arguments: object) -> None:
            function(*arguments)
            copy()

        return both

    copy()
    monkeypatch.setattr(seal, "write_seal", then_copy(seal.write_seal))
    monkeypatch.setattr(seal.Sealing, "_put_one", then_copy(seal.Sealing._put_one))
    store = Store(directory)
    store.scan({b"a": 1, b"b": 2, b"e": 1})
    store.work()
    copy()
    store.writer.close()
    monkeypatch.undo()
    assert len(copies) == 1 + 3 + 1 + 3
    for one in copies:
        opens(one)
        opens(one)


def test_killed_at_random_instants_while_opening_and_closing_it_opens_again(tmp_path: Path) -> None:
    directory = made(tmp_path / "ws")
    program = (
        "import sys; from pathlib import Path; from tui_scraper.engine.store.writer import Writer\n"
        "while True:\n    Writer(Path(sys.argv[1])).close()\n    print('.', flush=True)"
    )
    for number in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()  # it is in the loop
        time.sleep(0.003 * number)  # another instant each time, whichever it is
        child.send_signal(signal.SIGKILL)
        _out, errors = child.communicate()
        assert not errors, errors.decode()
        opens(directory)


def test_an_older_database_beside_a_newer_one_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    directory = made(tmp_path / "ws")
    shutil.copytree(directory, tmp_path / "old")
    more(directory)
    for name in (STATE_FILE, BLOB_FILE):
        mixed = tmp_path / f"mixed-{name}"
        shutil.copytree(directory, mixed)
        shutil.copy(tmp_path / "old" / name, mixed / name)
        before = {path.name: path.read_bytes() for path in mixed.iterdir() if path.stat().st_size}
        with pytest.raises(StoreError, match=rf"{name} is of an earlier time.*`tui-scraper verify`"):
            Writer(mixed)
        after = {path.name: path.read_bytes() for path in mixed.iterdir() if path.stat().st_size}
        assert {name: after[name] for name in before} == before
    shutil.copytree(tmp_path / "old", tmp_path / "whole")  # all of it restored is as good as new
    opens(tmp_path / "whole")


def test_a_log_of_another_time_is_noticed_before_sqlite_takes_it_up(tmp_path: Path) -> None:
    directory = made(tmp_path / "ws")
    store = Store(directory)
    store.scan({b"a": 1, b"z": 2})
    log = tmp_path / "log"
    subprocess.run(["cp", str(directory / f"{STATE_FILE}-wal"), str(log)], check=True)
    store.work()
    store.writer.close()
    assert log.stat().st_size
    shutil.copy(log, directory / f"{STATE_FILE}-wal")
    database = (directory / STATE_FILE).read_bytes()
    with pytest.raises(StoreError, match="a write-ahead log of another time"):
        Writer(directory)
    assert (directory / STATE_FILE).read_bytes() == database
    (directory / f"{STATE_FILE}-wal").unlink()
    opens(directory)


@pytest.mark.parametrize("table", ["result", "version", "document", "artifact", "lineage"])
def test_a_table_without_its_end_is_noticed(tmp_path: Path, table: str) -> None:
    directory = made(tmp_path / "ws")
    connection = connect(directory / STATE_FILE)
    column = "seq" if table == "result" else "id"
    connection.execute(f"DELETE FROM {table} WHERE {column} = (SELECT max({column}) FROM {table})")
    connection.close()
    with pytest.raises(StoreError, match=rf"the table {table} ended at row"):
        Writer(directory)


def test_what_a_reader_kept_from_being_folded_back_is_no_foreign_log(tmp_path: Path) -> None:
    directory = made(tmp_path / "ws")
    reader = connect(directory / STATE_FILE, read_only=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM result").fetchall()
    started = time.monotonic()
    more(directory)
    assert time.monotonic() - started < opening._BUSY_MS / 2_000, "who writes waited for who reads"
    reader.close()
    assert (directory / f"{STATE_FILE}-wal").stat().st_size, "or this shows nothing"
    opens(directory)


@pytest.mark.parametrize("damage", [b"", b"{}", b"half"])
def test_a_damaged_seal_is_told_of(tmp_path: Path, damage: bytes) -> None:
    directory = made(tmp_path / "ws")
    path = directory / SEAL_FILE
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if damage == b"half" else damage)
    with pytest.raises(StoreError, match=r"seal\.json: the file is damaged"):
        Writer(directory)
    path.unlink()  # a store from before there were seals has none, either
    opens(directory)


def test_where_the_seal_cannot_be_written_the_workspace_is_as_one_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = made(tmp_path / "ws")
    store = Store(directory)
    store.scan({b"a": 1})
    (directory / f"{SEAL_FILE}.new").mkdir()  # no file can be written there
    store.writer.close()
    found = read_seal(directory)
    assert found is not None
    assert not found.closed
    with pytest.raises(StoreError, match=r"seal\.json"):
        Writer(directory)
    os.rmdir(directory / f"{SEAL_FILE}.new")
    opens(directory)
