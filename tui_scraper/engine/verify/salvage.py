"""A new database from what can be read of a damaged one.

Rows are read page by page, so a damaged page costs its own rows and none behind it. Pages that no table leads
to any more, because the page above them is damaged, are recognised by what their rows look like. The new file
lies beside the old one until all of it is there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine.store.connection import (
    SCHEMA_VERSION,
    STATE_FILE,
    connect,
    explained,
    page_checksums,
    without_checking,
)
from tui_scraper.engine.store.pages import PageFile, Trees, Unreadable, Value, open_pages
from tui_scraper.engine.store.seal import Seal, sealed_meta
from tui_scraper.engine.verify.databases import PAGE_BYTES, state_schema

NEW = ".salvaged"
_PAGE = 1_000
_BLOB_SCHEMA = (
    "CREATE TABLE blob(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
)
_KINDS: Mapping[str, tuple[type, ...]] = {
    "INTEGER": (int,),
    "REAL": (float, int),
    "TEXT": (str,),
    "BLOB": (bytes,),
    "": (int, float, str, bytes),
}


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    kinds: tuple[type, ...]
    required: bool
    default: Value
    rowid: bool


@dataclass(frozen=True, slots=True)
class _Table:
    """What rows of a table look like. Those written before a column was added lack it at their end."""

    name: str
    columns: tuple[_Column, ...]

    def fitted(self, rowid: int, row: Sequence[Value]) -> tuple[Value, ...] | None:
        """The row as it is inserted, None where it cannot be one of this table."""
        if len(row) > len(self.columns):
            return None
        values: list[Value] = []
        for column, found in itertools.zip_longest(self.columns, row[: len(self.columns)], fillvalue=_ABSENT):
            assert isinstance(column, _Column)
            value: Value = column.default if found is _ABSENT else found
            if column.rowid:
                if value is not None:
                    return None
                value = rowid
            if value is None and column.required:
                return None
            if value is not None and not isinstance(value, column.kinds):
                return None
            values.append(value)
        return tuple(values)


_ABSENT: Any = object()


def salvage(directory: Path, name: str, seal: Seal | None, tick: Callable[[int], None]) -> dict[str, int]:
    """Write `<name>.salvaged`, complete and durable. Returns the rows saved of each table.

    Raises StoreFullError, StoreError, or OSError where the old file cannot be read.
    """
    new = directory / (name + NEW)
    for leftover in (new, Path(f"{new}-wal"), Path(f"{new}-shm")):
        leftover.unlink(missing_ok=True)
    saved: dict[str, int] = {}
    with explained(new):
        connection = connect(new, page_size=PAGE_BYTES[name])
        try:
            connection.execute(state_schema() if name == STATE_FILE else _BLOB_SCHEMA)
            with open_pages(directory / name, PAGE_BYTES[name], checksums=page_checksums()) as pages:
                _Salvage(pages, connection, saved, tick).run()
            if name == STATE_FILE:
                _put_meta(connection, seal)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    _sync(new)
    return saved


def lay_out_anew(directory: Path, name: str) -> None:
    """Write `<name>.salvaged` with all that a database holds, and with checksums.

    Raises as `salvage` does.
    """
    new = directory / (name + NEW)
    new.unlink(missing_ok=True)
    with explained(new), contextlib.closing(without_checking(directory / name)) as connection:
        connection.execute("VACUUM INTO ?", (str(new),))
    _sync(new)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Salvage:
    """One file's rows on their way."""

    def __init__(
        self,
        pages: PageFile,
        connection: apsw.Connection,
        saved: dict[str, int],
        tick: Callable[[int], None],
    ) -> None:
        self._pages = pages
        self._connection = connection
        self._saved = saved
        self._tick = tick
        self._tables = {table.name: table for table in _tables(connection)}
        self._rows = 0

    def run(self) -> None:
        trees = self._pages.trees()
        with self._connection:
            self._keyed(trees)
            for root, leaves in trees.leaves.items():
                known = self._tables.get(trees.roots[root][0])
                if known is not None:
                    for leaf in leaves:
                        self._put(known, self._read(leaf))
            for leaf in self._lone(trees):
                rows = self._read(leaf)
                table = _recognised(self._tables.values(), rows)
                if table is not None:
                    self._put(table, rows)

    def _keyed(self, trees: Trees) -> None:
        """The table meta, which has no rowids."""
        for page, root in trees.owner.items():
            if trees.roots[root][0] != "meta":
                continue
            try:
                rows = [row for row in self._pages.keyed_rows(page) if len(row) == 2]
            except Unreadable:
                continue
            self._connection.executemany("INSERT OR IGNORE INTO meta VALUES(?, ?)", rows)

    def _lone(self, trees: Trees) -> Iterator[int]:
        """Leaves of tables that no readable page leads to.

        What is on the free list was deleted, unless its whole table is gone.
        """
        whole = {trees.roots[root][0] for root in trees.leaves} >= set(self._tables)
        free = self._pages.free_pages() if whole else set[int]()
        for number in range(2, self._pages.count + 1):
            if number not in trees.owner and number not in free and self._pages.is_table_leaf(number):
                yield number

    def _read(self, leaf: int) -> list[tuple[int, list[Value]]]:
        try:
            rows = list(self._pages.rows(leaf))
        except Unreadable:
            return []
        self._rows += len(rows)
        self._tick(self._rows)
        return rows

    def _put(self, table: _Table, rows: Sequence[tuple[int, list[Value]]]) -> None:
        fitted = [one for rowid, row in rows if (one := table.fitted(rowid, row)) is not None]
        if not fitted:
            return
        marks = ",".join("?" * len(table.columns))
        before = self._connection.total_changes()
        self._connection.executemany(f"INSERT OR IGNORE INTO {table.name} VALUES({marks})", fitted)
        added = self._connection.total_changes() - before
        self._saved[table.name] = self._saved.get(table.name, 0) + added


def _recognised(tables: Iterable[_Table], rows: Sequence[tuple[int, list[Value]]]) -> _Table | None:
    """The one table that some rows can be of. Those of older rows with fewer columns come second."""
    fitting = [
        table for table in tables if rows and all(table.fitted(rowid, row) is not None for rowid, row in rows)
    ]
    whole = [table for table in fitting if all(len(row) == len(table.columns) for _rowid, row in rows)]
    fitting = whole or fitting
    return fitting[0] if len(fitting) == 1 else None


def _tables(connection: apsw.Connection) -> Iterator[_Table]:
    names: Any = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%WITHOUT ROWID'"
    ).fetchall()
    for (name,) in names:
        columns: Any = connection.execute(f"PRAGMA table_info({name})").fetchall()
        yield _Table(
            name,
            tuple(
                _Column(
                    name=column,
                    kinds=_KINDS[kind],
                    required=bool(required),
                    default=None if default is None else connection.execute(f"SELECT {default}").get,
                    rowid=bool(key) and kind == "INTEGER",
                )
                for _number, column, kind, required, default, key in columns
            ),
        )


def _put_meta(connection: apsw.Connection, seal: Seal | None) -> None:
    """What the table meta had when the workspace was closed, where it could not be read."""
    known = {**sealed_meta(seal), "schema": SCHEMA_VERSION}
    known.setdefault("created", time.time())
    with connection:
        connection.executemany("INSERT OR IGNORE INTO meta VALUES(?, ?)", list(known.items()))


def replace_databases(directory: Path, names: Sequence[str]) -> None:
    """Put salvaged files in the place of damaged ones. The next call carries on where it was interrupted.

    The old log goes before the new file comes: it must never meet it.
    """
    for name in names:
        new = directory / (name + NEW)
        if not new.exists():
            continue
        for ending in ("-wal", "-shm"):
            Path(f"{directory / name}{ending}").unlink(missing_ok=True)
        os.replace(new, directory / name)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
