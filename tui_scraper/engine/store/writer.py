"""The only writer of a workspace: one thread, group commit, acknowledged means committed.

Operations are functions of a `Transaction`. The thread takes as many as are waiting (at most 256),
runs each in a savepoint of its own, so that one that fails leaves nothing and harms no other,
commits `blob.db` and then `state.db` (a row never refers to a payload that is not there), and only
then resolves their futures, all with one wake-up of the event loop. A second thread moves the
write-ahead log into the database files, because SQLite's own automatic checkpoint would stall
commits for up to a quarter of a second.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import apsw

from tui_scraper.engine.errors import StoreBlockedError, StoreClosedError, StoreError
from tui_scraper.engine.store.connection import (
    BLOB_FILE,
    STATE_FILE,
    closed_on_error,
    connect,
    explained,
    open_blobs,
    open_state,
)
from tui_scraper.engine.store.seal import Sealing, counted, highest

T = TypeVar("T")
Operation = Callable[["Transaction"], T]

FLOOR, GONE = "floor:", "gone:"
"""Keys in `meta`, followed by the name of a table: the highest number that had been handed out there when
garbage was last collected, and how many rows up to it are gone for that reason (not kept for payloads)."""

MAX_GROUP = 256
_OF_THE_DISK = (
    *(apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.NotADBError),
    *(apsw.CantOpenError, apsw.ReadOnlyError, apsw.ProtocolError, StoreBlockedError),
)
"""What no other operation would fare better with: the whole group is undone."""
_WAL_LIMIT_BYTES = 16_000_000
_CLOSE_BUSY_MS = 200
"""How long closing waits for readers to let a log be folded back: one that stays does no harm."""


class Transaction:
    """What an operation may touch: both connections, and the next free numbers.

    Numbers are handed out here rather than by SQLite so that rows can be written in bulk. Those of an
    operation that fails are given back: `last_seq` is a point of history, so it must be one that the
    database knows, or what comes after the next start would fall before it. Those of rows that were collected
    as garbage are not: a point of history lies after them, and the index may know them still.
    """

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection) -> None:
        self.state = state
        self.blobs = blobs
        self._seq = highest(state, "result", "seq")
        self._artifact = highest(state, "artifact", "id")
        self._document = highest(state, "document", "id")
        self._version = highest(state, "version", "id")
        self._blob = max(
            int(blobs.execute("SELECT coalesce(max(id), 0) FROM blob").get), counted(state, f"{FLOOR}blob")
        )
        self._before = self._committed = (self._seq, self._artifact, self._document, self._version)

    def begin(self) -> None:
        """A group of operations begins."""
        self._committed = (self._seq, self._artifact, self._document, self._version)

    def remember(self) -> None:
        """An operation begins."""
        self._before = (self._seq, self._artifact, self._document, self._version)

    def give_back(self) -> None:
        """The operation has failed: its numbers are free again."""
        self._seq, self._artifact, self._document, self._version = self._before

    def forget(self) -> None:
        """The group has failed. Its payloads may have been committed: their numbers stay taken."""
        self._seq, self._artifact, self._document, self._version = self._committed

    @property
    def handed_out(self) -> dict[str, int]:
        """Table -> the highest number that was ever handed out there."""
        return {
            "result": self._seq,
            "artifact": self._artifact,
            "document": self._document,
            "version": self._version,
            "blob": self._blob,
        }

    @property
    def last_seq(self) -> int:
        """The newest result's number."""
        return self._seq

    @property
    def last_artifact(self) -> int:
        """The newest artifact's id."""
        return self._artifact

    def next_seq(self) -> int:
        """A number for a new result, in commit order."""
        self._seq += 1
        return self._seq

    def next_artifact(self) -> int:
        """An id for a new artifact."""
        self._artifact += 1
        return self._artifact

    def next_document(self) -> int:
        """An id for a new document."""
        self._document += 1
        return self._document

    def next_version(self) -> int:
        """An id for a new version."""
        self._version += 1
        return self._version

    def next_blob(self) -> int:
        """An id for a new payload."""
        self._blob += 1
        return self._blob


_Item = tuple[Operation[Any], "Future[Any] | asyncio.Future[Any]", "asyncio.AbstractEventLoop | None"]


class Writer:
    """The writer thread of one workspace. `close` drains the queue first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        if _is_empty(directory / STATE_FILE) and not _is_empty(directory / BLOB_FILE):
            raise StoreError(
                f"{directory / STATE_FILE}: this is missing or empty although {BLOB_FILE} holds data. "
                "Restore it from a copy; without one `tui-scraper verify --repair` has a run begin anew."
            )
        sealing = Sealing(directory)
        self._state = open_state(directory)
        with closed_on_error(self._state):
            self._blobs = open_blobs(directory)
        with closed_on_error(self._blobs, self._state):
            sealing.begin(self._state, self._blobs)
            self._transaction = Transaction(self._state, self._blobs)
        self._sealing = sealing
        self.commits = 0
        self._checkpointer = _Checkpointer(directory)
        self._state.set_wal_hook(self._on_wal)
        self._blobs.set_wal_hook(self._on_wal)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> asyncio.Future[T]:
        """Queue an operation from an event loop. The future resolves after the commit.

        It raises what the operation raised, StoreBlockedError where the disk is full or read-only, or
        StoreError.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(StoreClosedError("The workspace has been closed."))
        else:
            self._queue.put((operation, future, loop))
        return future

    def call(self, operation: Operation[T]) -> T:
        """Run an operation from a thread without an event loop and wait for the commit."""
        future: Future[T] = Future()
        self._queue.put((operation, future, None))
        return future.result()

    def close(self, index: str = "") -> None:
        """Finish what is queued, fold the write-ahead logs into the databases and end the threads.

        `index` is the mark of the search index, which is sealed together with the databases.
        """
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._checkpointer.close()
        self._sealing.note(self._state, self._blobs)
        for connection in (self._blobs, self._state):
            try:
                connection.set_busy_timeout(_CLOSE_BUSY_MS)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except apsw.Error:  # the log stays and is read on the next start
                pass
            finally:
                connection.close()
        self._sealing.end(index)

    def _on_wal(self, connection: apsw.Connection, _name: str, pages: int) -> bool:
        page_size = 4096 if connection is self._state else 65536
        if pages * page_size > _WAL_LIMIT_BYTES:
            self._checkpointer.wake()
        return False

    def _work(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            group, last = [first], False
            while len(group) < MAX_GROUP:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    last = True
                    break
                group.append(item)
            _resolve(group, self._commit(group))
            if last:
                return

    def _commit(self, group: list[_Item]) -> list[tuple[Any, BaseException | None]]:
        """Run and commit a group. Returns (value, error) for each operation."""
        outcomes: list[tuple[Any, BaseException | None]] = []
        self._transaction.begin()
        try:
            with explained(self.directory, self._blobs, self._state):
                self._blobs.execute("BEGIN IMMEDIATE")
                self._state.execute("BEGIN IMMEDIATE")
                for operation, _future, _loop in group:
                    outcomes.append(self._attempt(operation))
                self._blobs.execute("COMMIT")
                self._state.execute("COMMIT")
        except BaseException as error:  # the whole group is undone, and each caller is told
            for connection in (self._blobs, self._state):
                if connection.in_transaction:
                    try:
                        connection.execute("ROLLBACK")
                    except apsw.Error:  # SQLite has rolled back by itself
                        continue
            self._transaction.forget()
            failure = error if isinstance(error, StoreError) else StoreError(f"{self.directory}: {error}")
            return [(None, failure)] * len(group)
        self.commits += 1
        return outcomes

    def _attempt(self, operation: Operation[Any]) -> tuple[Any, BaseException | None]:
        self._blobs.execute("SAVEPOINT one")
        self._state.execute("SAVEPOINT one")
        self._transaction.remember()
        try:
            value = operation(self._transaction)
        except _OF_THE_DISK:
            raise
        except Exception as error:
            for connection in (self._blobs, self._state):
                connection.execute("ROLLBACK TO one")
                connection.execute("RELEASE one")
            self._transaction.give_back()
            return None, error
        self._blobs.execute("RELEASE one")
        self._state.execute("RELEASE one")
        return value, None


def _is_empty(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _resolve(group: list[_Item], outcomes: list[tuple[Any, BaseException | None]]) -> None:
    waiting: dict[asyncio.AbstractEventLoop, list[tuple[Any, Any, BaseException | None]]] = {}
    for (_operation, future, loop), (value, error) in zip(group, outcomes, strict=True):
        if loop is not None:
            waiting.setdefault(loop, []).append((future, value, error))
        else:
            _settle(future, value, error)
    for loop, settled in waiting.items():
        try:
            loop.call_soon_threadsafe(_settle_all, settled)
        except RuntimeError:  # that loop has closed: nobody is waiting any more
            continue


def _settle(future: Any, value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


def _settle_all(settled: list[tuple[Any, Any, BaseException | None]]) -> None:
    for future, value, error in settled:
        _settle(future, value, error)


class _Checkpointer:
    """Moves the write-ahead logs into the database files, beside the writer, never blocking it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._wanted = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="store-checkpointer", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wanted.set()

    def close(self) -> None:
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _work(self) -> None:
        connections: list[apsw.Connection] = []
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                break
            if not connections:
                connections = [connect(self._directory / name) for name in (BLOB_FILE, STATE_FILE)]
            for connection in connections:
                try:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                except apsw.Error:  # the next commit asks again; the log only grows meanwhile
                    continue
        for connection in connections:
            connection.close()
