"""Documents on their way to the index by way of their vectors: asked for once, paid for once, saved at once.

    label -> offer -> (in the store? taken over) -> asking -> ledger and vectors -> index

Equal passages, of whatever documents, wait for one answer. Where a vector cannot be had (refused, no money,
no network) the document is indexed for its words, and listed. Only so much text waits here: then whoever
brings more has to wait, because nothing but the index comes after this.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import apsw

from tui_scraper.engine.asking.parts import Company
from tui_scraper.engine.asking.telling import Surrounding, Telling
from tui_scraper.engine.asking.vectors import AskingForVectors, Passage, Waiting
from tui_scraper.engine.llm.choosing import Provider
from tui_scraper.engine.models import Spend
from tui_scraper.engine.passages import Vector, passage
from tui_scraper.engine.phases.index import IndexEntry
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.store.connection import open_blobs
from tui_scraper.engine.store.ledger import Paid
from tui_scraper.engine.store.vectors import (
    StoredVectors,
    dimensions_of,
    find_vectors,
    record_vectors,
    vector_key,
)
from tui_scraper.engine.wire import Chunk, CleanText

_CAPACITY_BYTES = 24_000_000
"""Text and payloads that may wait."""
_AROUND_BYTES = 400
"""What a passage that waits takes beside its text."""
_CHARS_PER_TOKEN = 4

_Read = tuple[IndexEntry, list[tuple[bytes, str, int]] | None]
"""A document with (key, text, tokens, about) of each of its passages; None where they cannot be read."""


class Embedding(Telling):
    """Gets vectors for the documents of one pass. Use it in one event loop; `close` it in the end.

    `embedded` takes documents that may be indexed now; `halt` is told why no more vectors can be had.
    `documents` counts those that have all their vectors.
    """

    mistake = "A mistake in the making of vectors."

    def __init__(
        self,
        provider: Provider,
        space: bytes,
        settings: Settings,
        around: Surrounding,
        company: Company,
    ) -> None:
        super().__init__(around)
        self._space = space
        self._company = company
        self._embedded = around.embedded
        self._asking: AskingForVectors = AskingForVectors(
            provider,
            self,
            around.run,
            around.state,
            around.halt,
            company,
            wanted=settings.index.dimensions,
            have=dimensions_of(around.state, space),
            longest=settings.chunk.max_tokens,
        )
        self._reader = _Reader(around.writer.directory, space)
        self._wanted: dict[bytes, Passage] = {}
        self._handing_on = 0
        self._held_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self._hopeless: dict[bytes, str] = {}
        self.documents = 0
        self._without: Counter[str] = Counter()

    @property
    def busy(self) -> bool:
        """Whether documents are waiting for vectors."""
        return bool(self._wanted or self._handing_on) or self._asking.busy

    async def offer(self, entries: Sequence[IndexEntry]) -> None:
        """Take documents that are to be indexed; waits while much is waiting already.

        After `stop` none is taken: they stay in the store, for the next run.
        """
        with self._company.nothing_reserved():  # who brings a label has settled for it
            await self._room.wait()
        if self._closing:
            return
        ready = []
        for entry, passages in await self._reader.read(entries):
            waiting = self._wait(entry, passages or [])
            if passages is None:
                waiting.without = "its stored text cannot be read"
            if not waiting.left:
                ready.append(self._finished(waiting))
        await self._hand_on(ready)

    def _wait(self, entry: IndexEntry, passages: Sequence[tuple[bytes, str, int]]) -> Waiting:
        """Have a document wait for those of its vectors that are not there."""
        waiting = Waiting(entry, [key for key, *_ in passages])
        new = {key: (text, tokens) for key, text, tokens in passages if key and key not in self._wanted}
        known = find_vectors(self._state, list(new))
        for key in dict.fromkeys(waiting.keys):
            wanted = self._wanted.get(key)
            if not key or key in known:
                continue
            if key in self._hopeless:
                self._give_up(waiting, key, self._hopeless[key])
                continue
            if wanted is None:
                self._wanted[key] = wanted = Passage(key, *new[key])
                self._hold(_size(wanted))
                self._asking.add(wanted)
            wanted.waiting.append(waiting)
            waiting.left += 1
        if waiting.left:
            self._hold(entry.held_bytes)
        return waiting

    def _finished(self, waiting: Waiting) -> IndexEntry:
        self.documents += not waiting.without
        if waiting.without:
            self._without[waiting.without] += 1
        keys = tuple(b"" if key in waiting.given_up else key for key in waiting.keys)
        return replace(waiting.entry, vectors=keys, without=waiting.without)

    def _give_up(self, waiting: Waiting, key: bytes, why: str) -> None:
        waiting.given_up.add(key)
        waiting.without = why

    def _hold(self, size_bytes: int) -> None:
        self._held_bytes += size_bytes
        if self._held_bytes > _CAPACITY_BYTES and not self._closing:
            self._room.clear()
        elif self._held_bytes <= _CAPACITY_BYTES // 2:
            self._room.set()

    async def _hand_on(self, ready: Sequence[IndexEntry]) -> None:
        self._handing_on += 1  # the run is not over while documents are between here and the index
        try:
            if ready:
                await self._embedded(ready)
        finally:
            self._handing_on -= 1
            self.stirred()

    async def _answered(self, passages: Sequence[Passage]) -> None:
        """Passages have got their vector, or will get none: let go those who waited for it alone."""
        ready = []
        for one in passages:
            self._wanted.pop(one.key, None)
            self._hold(-_size(one))
            for waiting in one.waiting:
                waiting.left -= 1
                if not waiting.left:
                    self._hold(-waiting.entry.held_bytes)
                    ready.append(self._finished(waiting))
        await self._hand_on(ready)

    async def settled(self, text: str) -> None:
        """Wait while a passage with this very text waits for its vector."""
        key = vector_key(self._space, text)
        while key in self._wanted and not self._closing:
            await self.moved()

    def spend(self) -> Spend:
        """What is spent and how fast, for a screen."""
        return self._asking.spend(
            taken_over=0,
            stand_ins=sum(self._without.values()),
            waiting=len(self._wanted),
            together=self._asking.together,
        )

    def stop(self) -> None:
        """Take no more documents."""
        self._closing = True
        self._room.set()
        self.stirred()

    async def close(self) -> None:
        """Send nothing more, wait for what is in flight, save it, and close the connections."""
        self.stop()
        await self._asking.close()
        self._reader.close()
        for reason, count in self._without.items():
            documents = "1 document is" if count == 1 else f"{count:,} documents are"
            self.tell(
                f"{documents} indexed without all vectors ({reason}); "
                "`tui-scraper retry --method openai` has the model asked later."
            )
        self._without.clear()

    # --- what asking brings

    async def save(self, vectors: Sequence[tuple[Passage, Vector]], call: int, paid: Paid) -> None:
        """Save the vectors of an answer together with what it has cost."""
        keys = [one.key for one, _vector in vectors]
        size = len(vectors[0][1]) if vectors else 0
        numbers = b"".join(vector.tobytes() for _one, vector in vectors)
        stored = StoredVectors(size, numbers)
        if await self._writer.submit(record_vectors(self._space, keys, stored, call, paid)):
            await self._answered([one for one, _vector in vectors])
        else:
            await self.stand_in([one for one, _vector in vectors], "its vector is as long as no other")

    async def still_wanted(self, pack: Sequence[Passage]) -> list[bool]:
        """Always: what people decide is about labels."""
        return [True] * len(pack)

    async def stand_in(self, pack: Sequence[Passage], reason: str) -> None:
        """There is no vector to be had for these: their documents are indexed for the words."""
        for one in pack:
            if self._asking.asks:  # else nothing is asked any more, and there may be millions
                self._hopeless[one.key] = reason
            for waiting in one.waiting:
                self._give_up(waiting, one.key, reason)
        await self._answered(pack)


class _Reader:
    """Makes passages of stored texts and chunks, in a thread of its own: a large document takes a while."""

    def __init__(self, directory: Path, space: bytes) -> None:
        self._directory = directory
        self._space = space
        self._thread = ThreadPoolExecutor(1, "passages")
        self._clean = Unpacker(CleanText)
        self._chunks = Unpacker(list[Chunk])
        self._blobs: apsw.Connection | None = None

    async def read(self, entries: Sequence[IndexEntry]) -> list[_Read]:
        """The passages of some documents."""
        loop = asyncio.get_running_loop()
        work = lambda: [(entry, self._of(entry)) for entry in entries]  # noqa: E731
        return await loop.run_in_executor(self._thread, work)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
        if self._blobs is not None:
            self._blobs.close()

    def _of(self, entry: IndexEntry) -> list[tuple[bytes, str, int]] | None:
        with contextlib.suppress(ValueError):  # damaged: the index finds that, too, and says so
            clean = self._clean(entry.clean or self._blob(entry.clean_blob))
            chunks = self._chunks(entry.chunks or self._blob(entry.chunk_blob))
            return [self._passage(clean, chunk) for chunk in chunks]
        return None

    def _passage(self, clean: CleanText, chunk: Chunk) -> tuple[bytes, str, int]:
        text = clean.text[chunk.start : chunk.end].encode("utf-8", "replace").decode()
        whole = passage(clean.title or "", chunk.heading, text)
        if not whole.strip():
            return b"", "", 0
        tokens = chunk.tokens + (len(whole) - len(text)) // _CHARS_PER_TOKEN
        return vector_key(self._space, whole), whole, tokens

    def _blob(self, blob: int) -> bytes:
        if self._blobs is None:
            self._blobs = open_blobs(self._directory, read_only=True)
        data = self._blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).get
        if not isinstance(data, bytes):
            raise ValueError(f"payload {blob} is missing")  # noqa: TRY004
        return data


def _size(one: Passage) -> int:
    return len(one.text) + _AROUND_BYTES
