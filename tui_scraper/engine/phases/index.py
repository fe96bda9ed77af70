"""Index: puts chunks into the full-text index, their vectors into files, and records what is in both.

One thread owns them. It takes documents as they come, commits every second or two, and only
then records them in the store: a crash in between leaves chunks in the index that nobody recorded,
so a document that comes from an earlier run is added with `replace`.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from tui_scraper.engine.labels import model_files
from tui_scraper.engine.llm.choosing import asked_for_vectors
from tui_scraper.engine.llm.endpoint import endpoint_of
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.search.text_index import TextIndex
from tui_scraper.engine.search.vector_meta import rows_in
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.recording import Indexed, record_indexed, record_unindexed
from tui_scraper.engine.store.vectors import (
    EMBEDDINGS,
    held,
    is_made_here,
    made_here,
    settings_of_vectors,
    space_of,
)
from tui_scraper.engine.store.writer import Transaction, Writer
from tui_scraper.engine.wire import Chunk, CleanText

if TYPE_CHECKING:
    from tui_scraper.engine.phases.index_vectors import VectorCopier

VERSION = 1

_COMMIT_EVERY_S = 1.5
_COMMIT_DOCUMENTS = 5_000
_HELD_BYTES = 12_000_000
_POLL_S = 0.25
_LOST = "stored vectors are damaged"


def relevant(settings: Settings) -> dict[str, object]:
    """Which vectors the index has. Its generation is added when a run begins.

    How an endpoint is asked in detail does not count: it is the same model.
    """
    index = settings.index
    if index.embeddings == "none":
        return {}
    if index.embeddings == "local":
        return {EMBEDDINGS: made_here(model_files.identity())}
    return {
        EMBEDDINGS: {
            "endpoint": endpoint_of(asked_for_vectors(settings)).family,
            "model": index.model,
            "dimensions": index.dimensions,
            "passage": 1,
        }
    }


def keep_vectors(
    state: apsw.Connection, head: Head, configs: dict[PhaseName, tuple[int, Mapping[str, object]]]
) -> None:
    """Where no model can be asked now: stay with the one whose vectors are there, whatever is set.

    They are paid for, and another name of the endpoint, in an environment that has none, would hide them all.
    """
    kept = settings_of_vectors(state, head)
    if kept is not None and not is_made_here(kept):
        version, wanted = configs[PhaseName.INDEX]
        configs[PhaseName.INDEX] = version, {**wanted, EMBEDDINGS: kept}


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A document whose chunks are to be searchable.

    `clean` and `chunks` are payloads at hand, or None to read them from the store by blob id. `vectors` are
    the keys of its chunks' vectors, in order, b'' for a chunk that has none; () where none are asked for.
    `without` says why it has not all that are wanted, '' where it has. `made` are vectors that a worker has
    made of its chunks, one after another; b'' where it has not.
    """

    version: int
    size_bytes: int
    attempts: int
    artifact: int
    replace: bool
    clean: bytes | None
    chunks: bytes | None
    clean_blob: int = 0
    chunk_blob: int = 0
    vectors: Sequence[bytes] = ()
    without: str = ""
    made: bytes = b""

    @property
    def held_bytes(self) -> int:
        """What the entry keeps in memory while it waits."""
        payloads = len(self.clean or b"") + len(self.chunks or b"") + len(self.made)
        return payloads + 60 * len(self.vectors) + 500


Recorded = Callable[[Sequence[int]], None]


class Indexer:
    """The thread that writes the index. Call from one event loop.

    `recorded` is called in that loop with the versions of each commit. `space` is that of the vectors, if
    there are any; `makes_vectors` says that they are made on this machine.
    """

    def __init__(self, workspace: Path, writer: Writer, recorded: Recorded) -> None:
        self.workspace = workspace
        self.space: bytes | None = None
        self.makes_vectors = False
        self._writer = writer
        self._recorded = recorded
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Sequence[IndexEntry] | asyncio.Future[None] | None] = (
            queue.SimpleQueue()
        )
        self._room = asyncio.Event()
        self._room.set()
        self._held_bytes = 0
        self._opened: asyncio.Future[bool] = self._loop.create_future()
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self.cpu_ns = 0
        self._thread = threading.Thread(target=self._work, name="index-writer", daemon=True)
        self._thread.start()

    def wants(self, config: tuple[int, Mapping[str, object]]) -> None:
        """Take the configuration of the index, before the first document."""
        self.space = space_of(config)
        self.makes_vectors = is_made_here(config[1].get(EMBEDDINGS))

    async def open(self) -> bool:
        """Wait until the index is open. Returns whether it had to be made anew, empty.

        Raises StoreError or StoreBlockedError where it cannot be written.
        """
        return await self._opened

    async def put(self, entries: Sequence[IndexEntry]) -> None:
        """Hand over documents; waits while much is held already.

        Raises what ended the thread: StoreBlockedError, StoreError.
        """
        while not self._room.is_set():
            room = asyncio.ensure_future(self._room.wait())
            await _first(room, self._failure)
            room.cancel()
            self._raise_failure()
        self._raise_failure()
        self._held_bytes += sum(entry.held_bytes for entry in entries)
        self._queue.put(entries)
        if self._held_bytes > _HELD_BYTES:
            self._room.clear()

    async def flush(self) -> None:
        """Commit and record everything handed over so far."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(done)
        await _first(done, self._failure)
        self._raise_failure()

    async def close(self) -> None:
        """End the thread. What was not flushed is indexed again by the next run."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._failure.done():
            self._failure.exception()

    def _raise_failure(self) -> None:
        if self._failure.done():
            self._failure.result()

    def _release(self, size_bytes: int) -> None:
        self._held_bytes -= size_bytes
        if self._held_bytes <= _HELD_BYTES:
            self._room.set()

    def _work(self) -> None:
        state = blobs = None
        try:
            index = TextIndex(self.workspace)
            self._loop.call_soon_threadsafe(self._opened.set_result, index.fresh)
            state = open_state(self.workspace, read_only=True)
            blobs = open_blobs(self.workspace, read_only=True)
            _Thread(self, index, state, blobs).serve()
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._fail, error)
        finally:
            for connection in (state, blobs):
                if connection is not None:
                    connection.close()

    def _fail(self, error: BaseException) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
        if not self._failure.done():
            self._failure.set_exception(error)


class _Thread:
    """The state of the thread itself: what has been added since the last commit."""

    def __init__(
        self, indexer: Indexer, index: TextIndex, state: apsw.Connection, blobs: apsw.Connection
    ) -> None:
        self._indexer = indexer
        self._index = index
        self._state = state
        self._blobs = blobs
        self._clean = Unpacker(CleanText)
        self._chunks = Unpacker(list[Chunk])
        self._vectors: VectorCopier | None = None
        self._added: set[int] = set()
        self._waiting: list[Indexed] = []
        self._damaged: list[tuple[int, int, int]] = []
        self._dirty = False
        self._last = time.monotonic()

    def serve(self) -> None:
        try:
            while True:
                try:
                    item = self._indexer._queue.get(timeout=_POLL_S)
                except queue.Empty:
                    self._commit_if_due()
                    continue
                if item is None:
                    return
                if isinstance(item, asyncio.Future):
                    self._commit()
                    self._indexer._loop.call_soon_threadsafe(_resolve, item)
                    continue
                for entry in item:
                    self._add(entry)
                held_bytes = sum(entry.held_bytes for entry in item)
                self._indexer._loop.call_soon_threadsafe(self._indexer._release, held_bytes)
                self._commit_if_due()
        finally:
            self._index.close()
            if self._vectors is not None:
                self._vectors.close()

    def _add(self, entry: IndexEntry) -> None:
        words = entry.artifact not in self._added and not self._is_indexed(entry.artifact)
        makes = self._indexer.makes_vectors and not self._copier().has(entry.artifact)
        if words or makes:
            try:
                clean = self._clean(entry.clean or self._blob(entry.clean_blob))
                chunks = self._chunks(entry.chunks or self._blob(entry.chunk_blob))
            except ValueError:  # what a worker made is not believed before it has been decoded
                self._damaged.append((entry.version, entry.size_bytes, entry.attempts))
                return
            if words:
                self._add_words(entry, clean, chunks)
            if makes:
                self._copier().make(entry.artifact, clean, chunks, entry.made)
        without = entry.without
        if entry.vectors and not self._copier().add(entry.artifact, entry.vectors):
            without = without or _LOST
        self._waiting.append(
            Indexed(entry.version, entry.size_bytes, entry.attempts, entry.artifact, without)
        )

    def _add_words(self, entry: IndexEntry, clean: CleanText, chunks: Sequence[Chunk]) -> None:
        text = clean.text
        self._index.add(
            entry.artifact,
            clean.title or "",
            [text[chunk.start : chunk.end] for chunk in chunks],
            [chunk.heading for chunk in chunks],
            replace=entry.replace,
            language=clean.language,
        )
        self._added.add(entry.artifact)
        self._dirty = True

    def _copier(self) -> VectorCopier:
        if self._vectors is None:
            from tui_scraper.engine.phases.index_vectors import VectorCopier

            space = self._indexer.space
            assert space is not None
            self._vectors = VectorCopier(self._indexer.workspace, space, self._state, self._blob)
        return self._vectors

    def _is_indexed(self, artifact: int) -> bool:
        return bool(self._state.execute("SELECT 1 FROM indexed WHERE artifact = ?", (artifact,)).get)

    def _blob(self, blob: int) -> bytes:
        data = self._blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).get
        if not isinstance(data, bytes):
            raise ValueError(f"payload {blob} is missing")  # noqa: TRY004
        return data

    def _commit_if_due(self) -> None:
        due = time.monotonic() - self._last >= _COMMIT_EVERY_S or len(self._waiting) >= _COMMIT_DOCUMENTS
        if due and (self._waiting or self._damaged):
            self._commit()

    def _commit(self) -> None:
        if self._dirty:
            self._index.commit()
            self._dirty = False
        if self._vectors is not None:
            self._vectors.commit(self._indexer._writer)
        if self._damaged:
            damaged = self._damaged
            self._damaged = []
            self._indexer._writer.call(record_unindexed(damaged))
            self._indexer._loop.call_soon_threadsafe(self._indexer._recorded, [entry[0] for entry in damaged])
        if self._waiting:
            entries = self._waiting
            self._waiting = []
            self._indexer._writer.call(record_indexed(entries))
            self._indexer._loop.call_soon_threadsafe(
                self._indexer._recorded, [entry.version for entry in entries]
            )
        self._added.clear()
        self._last = time.monotonic()
        self._indexer.cpu_ns = time.thread_time_ns()


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def vectors_are_missing(
    state: apsw.Connection, workspace: Path, config: tuple[int, Mapping[str, object]]
) -> bool:
    """Whether the files have fewer vectors than the store tells of, so that they are to be made again."""
    space = space_of(config)
    recorded = held(state, space) if space is not None else 0
    if space is None or not recorded:
        return False
    return recorded > rows_in(workspace, space)


def generation(fresh: bool) -> Callable[[Transaction], int]:
    """Which index the store's records are about: one more for each index made anew.

    It is part of the index phase's settings, so that an index that was lost is built again the way
    any changed phase is redone.
    """

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        known = int(state.execute("SELECT value FROM meta WHERE key = 'index_generation'").get or 0)
        if fresh or not known:
            state.execute("DELETE FROM indexed")
            known += 1
            state.execute(
                """INSERT INTO meta VALUES('index_generation', ?)
                ON CONFLICT DO UPDATE SET value = excluded.value""",
                (known,),
            )
        return known

    return operation
