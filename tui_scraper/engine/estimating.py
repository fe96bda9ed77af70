"""Looking at a sample of a folder for `estimate`: nothing is kept of its documents, and no model is asked.

The sample is stratified by ending and size, so that a thousand small texts do not hide ten large archives,
and the same files are chosen each time. They are read by workers, as a run reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine import tokens
from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.llm.choosing import Backend, Provider
from tui_scraper.engine.llm.embeddings import TOGETHER, TOKENS_TOGETHER, price_of_vectors
from tui_scraper.engine.llm.estimate import (
    Estimate,
    Passages,
    Range,
    Stratum,
    reckon,
    reckon_vectors,
    total_of,
)
from tui_scraper.engine.llm.packer import pack_size
from tui_scraper.engine.llm.preflight import first_profile, price_or_refusal
from tui_scraper.engine.llm.prices import Price
from tui_scraper.engine.llm.prompt import shown
from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.phases.base import configurations
from tui_scraper.engine.phases.input import Walk
from tui_scraper.engine.phases.registry import DOCUMENT_PHASE_MODULES
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.counters import PhaseCount, read_totals
from tui_scraper.engine.store.head import config_of, read_head
from tui_scraper.engine.store.ledger import read_spending
from tui_scraper.engine.store.profiles import Limits, read_limits
from tui_scraper.engine.store.scans import FoundFile
from tui_scraper.engine.store.vectors import held, space_at, space_of
from tui_scraper.engine.wire import ChunkResult, DocumentReply, WorkItem, in_groups
from tui_scraper.engine.workers.pool import Pool
from tui_scraper.engine.workspace import is_workspace

_SAMPLE = 200
_LEAST = 2
"""Files that are looked at of each kind, if it has so many."""
_TOGETHER, _TOGETHER_BYTES = 16, 500_000
_ASK_S = 0.2
"""How often to see whether the estimate is still wanted."""


class GivenUpError(Exception):
    """Nobody wants the estimate any more."""


@dataclass(frozen=True)
class Sampled:
    """What was found. `unread` of the `looked_at` files of the sample gave no text.

    `seconds` is how long one worker takes for all files, as it took for the sample.
    """

    files: int
    size_bytes: int
    looked_at: int
    strata: tuple[Stratum, ...]
    passages: tuple[Passages, ...]
    unread: int
    seconds: float

    @property
    def documents(self) -> Range:
        """Documents in all files."""
        return total_of(self.strata)


@dataclass(frozen=True)
class Asked:
    """What a model is expected to be asked for, who that is, and at what price."""

    estimate: Estimate
    model: str
    endpoint: str
    price: Price


@dataclass(frozen=True)
class Report:
    """An estimate with what it is about: labels, vectors (None: not of a model).

    `spent_nano_usd` is what its workspace has spent before.
    """

    source: str
    sampled: Sampled
    labels: Asked | None
    vectors: Asked | None
    spent_nano_usd: int
    workers: int

    @property
    def cost_nano_usd(self) -> Range:
        """Of all that is asked."""
        total = Range(0.0, 0.0, 0.0)
        for asked in (self.labels, self.vectors):
            if asked is not None:
                total = total.plus(asked.estimate.cost_nano_usd)
        return total

    @property
    def calls(self) -> tuple[Range, str] | None:
        """(seconds, what binds) of the calls that take longest, as far as limits are known: they overlap."""
        found = [asked.estimate for asked in (self.labels, self.vectors) if asked is not None]
        known = [(one.seconds, one.bottleneck) for one in found if one.seconds is not None]
        return max(known, key=lambda pair: pair[0].expected, default=None)


async def look(
    source: Path, settings: Settings, workers: int, given_up: Callable[[], bool] = lambda: False
) -> Sampled:
    """Read a sample of a folder. `settings` have the backend settled: not `auto`.

    Once `given_up` says so nothing more is read. Raises GivenUpError then, and UsageError where the folder
    cannot be listed.
    """
    root = os.fsencode(source)
    walk = Walk(root, settings.input, enough=given_up)
    found = await asyncio.to_thread(lambda: list(walk.files()))
    groups: defaultdict[tuple[str, int], list[FoundFile]] = defaultdict(list)
    for file in found:
        ending = os.path.splitext(file.path)[1].decode("ascii", "ignore").lower()[:12]
        groups[ending, file.size_bytes.bit_length() // 3].append(file)
    chosen = [_choose(group, len(found)) for group in groups.values()]
    sample = [file for group in chosen for file in group]
    replies, took_s = await _read(root, settings, sample, workers, given_up)
    strata, passages, at, unread = [], [], 0, 0
    cut = [reply.chunk for reply in replies if reply is not None and reply.chunk is not None]
    typical = ChunkResult(b"", b"", *_means(cut))
    for group, some in zip(groups.values(), chosen, strict=True):
        part = replies[at : at + len(some)]
        at += len(some)
        counts = [
            tokens.count(shown(reply.to_ask))
            for reply in part
            if reply is not None and reply.to_ask is not None
        ]
        documents = [
            0 if reply is None else (reply.label is not None) + len(reply.members or ()) for reply in part
        ]
        unread += documents.count(0)
        strata.append(Stratum(len(group), documents, counts))
        passages.append(_passages(len(group), part, typical))
    looked_at = max(len(replies), 1)
    size_bytes = sum(file.size_bytes for file in found)
    read_bytes = max(sum(file.size_bytes for group in chosen for file in group), 1)
    each_s = took_s * max(len(found) / looked_at, size_bytes / read_bytes)
    return Sampled(len(found), size_bytes, len(replies), tuple(strata), tuple(passages), unread, each_s)


def _means(cut: Sequence[ChunkResult]) -> tuple[int, int]:
    """Chunks of a document and their tokens, on average."""
    count = max(len(cut), 1)
    return round(sum(one.chunks for one in cut) / count), round(sum(one.tokens for one in cut) / count)


def _passages(files: int, replies: Sequence[DocumentReply | None], typical: ChunkResult) -> Passages:
    """What the files of a group hold: what is inside a container is taken for documents like the others."""
    found = []
    for reply in replies:
        own = reply.chunk if reply is not None else None
        inside = len(reply.members or ()) if reply is not None else 0
        found.append(
            (
                (own.chunks if own is not None else 0) + inside * typical.chunks,
                (own.tokens if own is not None else 0) + inside * typical.tokens,
            )
        )
    return Passages(files, [count for count, _tokens in found], [amount for _count, amount in found])


def _choose(group: Sequence[FoundFile], files: int) -> list[FoundFile]:
    """Some files of a group, the same each time: as many as its share of the sample, and at least a few."""
    share = max(_LEAST, round(_SAMPLE * len(group) / max(files, 1)))
    return sorted(group, key=lambda file: digest(file.path))[:share]


async def _read(
    root: bytes, settings: Settings, files: Sequence[FoundFile], workers: int, given_up: Callable[[], bool]
) -> tuple[list[DocumentReply | None], float]:
    """Have workers read files as far as what a model would be shown of them. Returns also their seconds."""
    if given_up():
        raise GivenUpError
    if not files:
        return [], 0.0
    found: dict[int, DocumentReply] = {}

    def take(replies: Sequence[DocumentReply]) -> None:
        found.update((reply.version, reply) for reply in replies)

    pool = Pool(workers, settings, PhaseName.CLASSIFY, readable=(root,))
    try:
        await pool.start()
        items = [
            WorkItem(number, os.path.join(root, file.path), file.size_bytes)
            for number, file in enumerate(files, 1)
        ]
        # Some together, as in a run, where that takes half the time; but few, for all workers.
        groups = in_groups(items, _TOGETHER, _TOGETHER_BYTES)
        reading = {asyncio.create_task(pool.run(group, take)) for group in groups}
        try:
            seconds = await _all(reading, given_up)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.wait(reading)
    finally:
        await pool.close()
    return [found.get(number) for number in range(1, len(files) + 1)], seconds


async def _all(reading: set[asyncio.Task[float]], given_up: Callable[[], bool]) -> float:
    """Wait for all of them and add up what they say. Raises what one of them raises, and GivenUpError."""
    left, total = reading, 0.0
    while left:
        done, left = await asyncio.wait(left, timeout=_ASK_S, return_when=asyncio.FIRST_EXCEPTION)
        total += sum(task.result() for task in done)
        if left and given_up():
            raise GivenUpError
    return total


async def estimate(
    source: Path,
    backend: Backend,
    embedder: Provider | None,
    directory: Path,
    given_up: Callable[[], bool] = lambda: False,
) -> Report:
    """Estimate what labels and vectors of a model cost and take for a folder.

    `directory` is its workspace, made or not. Raises PreflightError where a price is not known, UsageError
    where the folder cannot be listed, GivenUpError once `given_up` says so.
    """
    settings = backend.settings
    price = _price_of_labels(backend) if backend.wants_model else None
    if embedder is not None:
        price_of_vectors(embedder)
    workers = settings.engine.workers or os.cpu_count() or 1
    sampled = await look(source, settings, workers, given_up)
    with _store(directory) as state:
        spent = read_spending(state).cost_nano_usd if state is not None else 0
        labels = _labels(sampled, backend, price, state) if price is not None else None
        vectors = _vectors(sampled, settings, embedder, state) if embedder is not None else None
    return Report(safe_text(str(source)), sampled, labels, vectors, spent, workers)


def _price_of_labels(backend: Backend) -> Price:
    classify, endpoint = backend.settings.classify, backend.endpoint
    decides = first_profile(classify, len(backend.prompter().names)).api == "decisions" and endpoint.is_openai
    price = price_or_refusal(classify, endpoint, backend.key, decisions=decides) or price_or_refusal(
        classify, endpoint, backend.key, decisions=False
    )
    assert price is not None
    return price


def _labels(sampled: Sampled, backend: Backend, price: Price, state: apsw.Connection | None) -> Asked:
    classify = backend.settings.classify
    prompter, pack = backend.prompter(), pack_size(classify)
    empty = prompter.ask([""])
    reckoned = reckon(
        sampled.strata,
        labelled=_labelled(state, backend.settings) if state is not None else 0,
        pack=pack,
        prompt_tokens=tokens.count(empty.system) + tokens.count(json.dumps(prompter.ask([""] * pack).schema)),
        price=price,
        limits=_limits(state, backend.provider),
    )
    return Asked(reckoned, classify.model, backend.endpoint.shown, price)


def _vectors(
    sampled: Sampled, settings: Settings, embedder: Provider, state: apsw.Connection | None
) -> Asked:
    price = price_of_vectors(embedder)
    reckoned = reckon_vectors(
        sampled.passages,
        have=_with_vector(state, settings) if state is not None else 0,
        together=TOGETHER,
        most_tokens=TOKENS_TOGETHER,
        price=price,
        limits=_limits(state, embedder),
    )
    return Asked(reckoned, embedder.settings.model, embedder.endpoint.shown, price)


@contextlib.contextmanager
def _store(directory: Path) -> Iterator[apsw.Connection | None]:
    """What a workspace knows; None where there is none, or none that can be read."""
    state = None
    if is_workspace(directory):
        with contextlib.suppress(StoreError):
            state = open_state(directory, read_only=True)
    try:
        yield state
    finally:
        if state is not None:
            state.close()


def _limits(state: apsw.Connection | None, provider: Provider) -> Limits:
    """Those of the endpoint, as they were met in the last run."""
    if state is None:
        return Limits()
    return read_limits(state, provider.endpoint.url, provider.settings.model)


def _labelled(state: apsw.Connection, settings: Settings) -> int:
    """Documents that have their label already."""
    head = read_head(state)
    lineage = head.lineages.get(PhaseName.CLASSIFY)
    wanted: Any = configurations(DOCUMENT_PHASE_MODULES, settings, {})[PhaseName.CLASSIFY]
    if lineage is None or config_of(state, lineage) != wanted:
        return 0
    return read_totals(state, head)[PhaseName.CLASSIFY].get(Status.DONE, PhaseCount()).n


def _with_vector(state: apsw.Connection, settings: Settings) -> int:
    """Passages that have their vector already, about: as many as the files of the index hold."""
    space = space_at(state, read_head(state))
    wanted: Any = configurations(DOCUMENT_PHASE_MODULES, settings, {})[PhaseName.INDEX]
    return held(state, space) if space is not None and space == space_of(wanted) else 0
