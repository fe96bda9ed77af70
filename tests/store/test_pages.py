"""Database files read page by page give what SQLite gives, and of damaged ones all that is sound."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tui_scraper.engine.store.connection import connect
from tui_scraper.engine.store.pages import PageFile, open_pages

SIZES = {"small": 4096, "large": 65536}


def fill(path: Path, page_size: int, rows: int = 3_000) -> Any:
    """A database with all kinds of values, many of them longer than a page. Its connection is open."""
    rng = random.Random(page_size)
    connection = connect(path, page_size=page_size)
    connection.execute(
        """CREATE TABLE thing(id INTEGER PRIMARY KEY, a INTEGER, b REAL, c TEXT, d BLOB);
        CREATE INDEX thing_a ON thing(a);
        CREATE TABLE keyed(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
        CREATE TABLE empty(id INTEGER PRIMARY KEY)"""
    )
    with connection:
        for number in range(rows):
            length = rng.choice([0, 1, 30, 300, 3_000, page_size - 40, page_size, 3 * page_size + 7, 20])
            text = "ä" * (length // 2) if rng.random() < 0.3 else None
            values = (
                rng.choice([None, 0, 1, -1, 127, 128, -40_000, 2**23, -(2**31), 2**40, 2**62, -(2**63)]),
                rng.choice([None, 0.5, 3.0, -1e300]),
                text,
                rng.randbytes(length) if text is None and number % 5 else None,
            )
            connection.execute("INSERT INTO thing VALUES(?, ?, ?, ?, ?)", (number * 3 + 1, *values))
        for number in range(rows // 10):
            connection.execute("INSERT INTO keyed VALUES(?, ?)", (f"key-{number}", "x" * (number % 3_000)))
        connection.execute("DELETE FROM thing WHERE id % 9 = 1 AND id > 4000")
    return connection


def read_things(pages: PageFile) -> dict[int, list[Any]]:
    trees = pages.trees()
    (root,) = [root for root, (name, _table) in trees.roots.items() if name == "thing"]
    found: dict[int, list[Any]] = {}
    for leaf in trees.leaves[root]:
        for rowid, row in pages.rows(leaf) if pages.is_table_leaf(leaf) else ():
            found[rowid] = row[1:]
    return found


def stored_things(connection: Any) -> dict[int, list[Any]]:
    return {row[0]: list(row[1:]) for row in connection.execute("SELECT * FROM thing")}


@pytest.mark.parametrize("kind", SIZES)
def test_every_row_is_read_as_sqlite_reads_it(tmp_path: Path, kind: str) -> None:
    connection = fill(tmp_path / "db", SIZES[kind], 3_000 if kind == "small" else 400)
    wanted = stored_things(connection)
    keyed = sorted(connection.execute("SELECT * FROM keyed"))
    connection.close()
    with open_pages(tmp_path / "db", SIZES[kind], checksums=True) as pages:
        assert list(pages.damaged()) == []
        found = read_things(pages)
        assert {rowid: [float(row[1]) if row[1] is not None else None] for rowid, row in found.items()} == {
            rowid: [row[1]] for rowid, row in wanted.items()
        }
        assert {rowid: [row[0], *row[2:]] for rowid, row in found.items()} == {
            rowid: [row[0], *row[2:]] for rowid, row in wanted.items()
        }
        trees = pages.trees()
        rows = [
            tuple(row)
            for page, root in trees.owner.items()
            if trees.roots[root][0] == "keyed"
            for row in pages.keyed_rows(page)
        ]
        assert sorted(rows) == keyed


def test_what_only_the_log_has_is_read_from_there_up_to_the_last_commit(tmp_path: Path) -> None:
    connection = fill(tmp_path / "db", 4096, 300)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute("UPDATE thing SET c = 'in the log' WHERE id < 400")
    connection.execute("INSERT INTO thing VALUES(100000, 1, 1.5, 'new', NULL)")
    copy = tmp_path / "copy"
    copy.mkdir()
    subprocess.run(["cp", str(tmp_path / "db"), str(tmp_path / "db-wal"), str(copy)], check=True)
    wanted = stored_things(connection)
    connection.close()
    log = copy / "db-wal"
    assert log.stat().st_size
    with open_pages(copy / "db", 4096, checksums=True) as pages:
        assert {rowid: row[2] for rowid, row in read_things(pages).items()} == {
            rowid: row[2] for rowid, row in wanted.items()
        }
        assert list(pages.damaged()) == []
    log.write_bytes(log.read_bytes()[:-100])  # the last commit is not whole
    with open_pages(copy / "db", 4096, checksums=True) as pages:
        assert 100_000 not in read_things(pages)
        assert read_things(pages)[1][2] == "in the log"


@pytest.mark.parametrize("kind", SIZES)
def test_one_flipped_bit_costs_the_rows_of_its_page_and_no_others(tmp_path: Path, kind: str) -> None:
    size = SIZES[kind]
    connection = fill(tmp_path / "db", size, 1_000 if kind == "small" else 300)
    wanted = stored_things(connection)
    connection.close()
    whole = (tmp_path / "db").read_bytes()
    rng = random.Random(1)
    for number in rng.sample(range(2, len(whole) // size + 1), 12):
        data = bytearray(whole)
        data[(number - 1) * size + rng.randrange(size)] ^= 1 << rng.randrange(8)
        (tmp_path / "db").write_bytes(data)
        with open_pages(tmp_path / "db", size, checksums=True) as pages:
            assert list(pages.damaged()) == [number]
            found = read_things(pages)
            assert all(wanted[rowid][2:] == row[2:] for rowid, row in found.items())
            if pages.trees().name(number) != "thing":
                assert len(found) >= len(wanted) - 4  # at most the rows that run over onto that page


@pytest.mark.parametrize("length", [0, 1, 100, 4095, 5000, 40_000])
def test_anything_at_all_can_be_read_without_an_error(tmp_path: Path, length: int) -> None:
    rng = random.Random(length)
    for _ in range(5):
        (tmp_path / "db").write_bytes(rng.randbytes(length))
        (tmp_path / "db-wal").write_bytes(rng.randbytes(length))
        for checksums in (True, False):
            with open_pages(tmp_path / "db", 4096, checksums=checksums) as pages:
                list(pages.damaged())
                read = pages.trees()
                assert read.roots.keys() >= {1}
                pages.free_pages()
                for page in range(1, pages.count + 1):
                    if pages.is_table_leaf(page):
                        list(pages.rows(page))
