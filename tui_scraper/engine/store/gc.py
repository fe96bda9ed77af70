"""Collecting garbage: what `garbage` has not marked goes, a page in each commit.

In the order opposite to that of writing: results (newest first, so that at any instant the rest is history as
it once was), then artifacts, versions and documents, and payloads last. A process that is killed in between
leaves nothing that refers to what is not there, and the next one frees what it has not come to: `collecting`
in `meta` says that checkpoints were forgotten whose rows may still be there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import apsw

from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE, connect
from tui_scraper.engine.store.garbage import CHUNK, COLLECTING, Freed, Garbage, last_of
from tui_scraper.engine.store.writer import FLOOR, GONE, Operation, Transaction, Writer

T = TypeVar("T")

_PAGE = 20_000
"""Rows that go in one commit."""

_ARTIFACTS = 100_000
"""Artifacts that go in one commit. Their keys lie at random, so few of them would touch as many pages."""

_LOG_BYTES = 64_000_000
"""How long a write-ahead log may get before the next page waits until it is in the database."""

_LOG_WAIT_MS = 200

_OF_RESULTS = (("failure", "seq"), ("unembedded", "seq"), ("result", "seq"))
"""(Table, column) of what goes with a result, and itself."""


def sweep(directory: Path, writer: Writer, garbage: Garbage) -> Freed:
    """Free what is in the two databases. What the index holds of it is left there: see `left_in_index`."""
    checkpoints, moves = garbage.checkpoints(), garbage.moves()
    writer.call(_forget(checkpoints, moves, garbage.forgets))
    payload_bytes = 0

    def payloads() -> Iterator[int]:
        nonlocal payload_bytes
        for payload, size_bytes in garbage.payloads():
            payload_bytes += size_bytes
            yield payload

    with _Logs(directory) as logs:

        def delete(found: Iterable[T], operation: Callable[[list[T]], Operation[None]], size: int) -> int:
            count = 0
            for page in pages(found, size):
                writer.call(operation(page))
                logs.fold()
                count += len(page)
            return count

        freed = Freed(
            checkpoints=len(checkpoints),
            moves=len(moves),
            results=delete(garbage.results(), _rows_of(*_OF_RESULTS), _PAGE),
            artifacts=delete(garbage.artifacts(), _delete_artifacts, _ARTIFACTS),
            versions=delete(garbage.versions(), _rows_of(("version", "id")), _PAGE),
            documents=delete(garbage.documents(), _rows_of(("document", "id")), _PAGE),
            payloads=delete(payloads(), _delete_payloads, _PAGE),
        )
    writer.call(_finish)
    return dataclasses.replace(freed, payload_bytes=payload_bytes)


class _Logs:
    """The write-ahead logs of a workspace, kept short while page upon page is deleted.

    The writer's own thread that does so stands behind one that never rests: the log would get many times
    as long as what is deleted. Where a reader needs what is in it, it grows on.
    """

    def __init__(self, directory: Path) -> None:
        self._files = [directory / name for name in (STATE_FILE, BLOB_FILE)]

    def __enter__(self) -> _Logs:
        self._connections = [connect(path) for path in self._files]
        for connection in self._connections:
            connection.set_busy_timeout(_LOG_WAIT_MS)
        return self

    def __exit__(self, *_error: object) -> None:
        for connection in self._connections:
            connection.close()

    def fold(self) -> None:
        """Move what is committed into the databases, where it has become much."""
        for path, connection in zip(self._files, self._connections, strict=True):
            if path.with_name(f"{path.name}-wal").stat().st_size > _LOG_BYTES:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def forget_indexed(artifacts: Iterable[int]) -> Operation[None]:
    """Record that the index holds some artifacts no more."""

    def operation(transaction: Transaction) -> None:
        transaction.state.executemany(
            "DELETE FROM indexed WHERE artifact = ?", [(artifact,) for artifact in artifacts]
        )

    return operation


def pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut into lists of at most `size`."""
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page


def _forget(checkpoints: list[int], moves: list[int], forgets: bool) -> Operation[None]:
    """Forget points of history, and record which numbers were handed out before anything goes."""

    def operation(transaction: Transaction) -> None:
        state = transaction.state
        given = {
            **transaction.handed_out,
            "checkpoint": last_of(state, "checkpoint"),
            "reflog": last_of(state, "reflog"),
        }
        for table, last in given.items():
            state.execute(
                """INSERT INTO meta VALUES(?, ?)
                ON CONFLICT DO UPDATE SET value = max(value, excluded.value)""",
                (FLOOR + table, last),
            )
            if table != "blob":  # a commit that failed leaves gaps among payloads
                state.execute("INSERT INTO meta VALUES(?, 0) ON CONFLICT DO NOTHING", (GONE + table,))
        if forgets:
            state.execute("INSERT INTO meta VALUES(?, 1) ON CONFLICT DO NOTHING", (COLLECTING,))
        state.executemany("UPDATE checkpoint SET parent = ? WHERE id = ?", _parents(state, checkpoints))
        for table, numbers in (("checkpoint", checkpoints), ("reflog", moves)):
            _delete([(table, "id")], numbers)(transaction)

    return operation


def _parents(state: apsw.Connection, forgotten: Iterable[int]) -> list[tuple[int | None, int]]:
    """(nearest ancestor that stays, checkpoint) of the children of forgotten checkpoints."""
    gone = frozenset(forgotten)
    every: Any = state.execute("SELECT id, parent FROM checkpoint").fetchall()
    parents: dict[int | None, int | None] = dict(every)
    moved = []
    for checkpoint, parent in every:
        if checkpoint in gone or parent not in gone:
            continue
        nearest = parent
        while nearest in gone:
            nearest = parents[nearest]
        moved.append((nearest, checkpoint))
    return moved


def _rows_of(*tables: tuple[str, str]) -> Callable[[list[int]], Operation[None]]:
    """What deletes the rows with some numbers from tables, given as (table, column)."""
    return lambda numbers: _delete(tables, numbers)


def _delete(tables: Iterable[tuple[str, str]], numbers: list[int]) -> Operation[None]:

    def operation(transaction: Transaction) -> None:
        for table, column in tables:
            transaction.state.executemany(
                f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608
                [(number,) for number in numbers],
            )
            transaction.state.execute(
                "UPDATE meta SET value = value + ? WHERE key = ?", (len(numbers), GONE + table)
            )

    return operation


def _delete_artifacts(found: list[tuple[Any, ...]]) -> Operation[None]:
    def operation(transaction: Transaction) -> None:
        # The index may hold what was never recorded, where a process ended between the two.
        transaction.state.executemany(
            "INSERT INTO indexed VALUES(?) ON CONFLICT DO NOTHING",
            [(artifact,) for artifact, phase, _key in found if phase == CHUNK],
        )
        by_key = sorted(found, key=lambda row: row[2])
        _delete([("artifact", "id")], [artifact for artifact, *_ in by_key])(transaction)

    return operation


def _delete_payloads(numbers: list[int]) -> Operation[None]:
    def operation(transaction: Transaction) -> None:
        transaction.blobs.executemany("DELETE FROM blob WHERE id = ?", [(number,) for number in numbers])

    return operation


def _finish(transaction: Transaction) -> None:
    transaction.state.execute("DELETE FROM meta WHERE key = ?", (COLLECTING,))
