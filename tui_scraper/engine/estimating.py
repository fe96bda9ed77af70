"""Looking at a sample of a folder for `estimate`: nothing is stored of the documents, and no model is asked.

The sample is stratified by ending and size, so that a thousand small texts do not hide ten large archives,
and the same files are chosen each time. They are read by workers, as a run reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_scraper.engine import tokens
from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.llm.choosing import Backend
from tui_scraper.engine.llm.estimate import Estimate, Range, Stratum, reckon
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
from tui_scraper.engine.wire import DocumentReply, WorkItem
from tui_scraper.engine.workers.pool import Pool
from tui_scraper.engine.workspace import is_workspace

FILE_NAME = "estimate.json"
_SAMPLE = 200
_LEAST = 2
"""Files that are looked at of each kind, if it has so many."""


@dataclass(frozen=True)
class Sampled:
    """What was found. `seconds` is how long one worker takes for all files, as it took for the sample."""

    files: int
    size_bytes: int
    looked_at: int
    strata: tuple[Stratum, ...]
    unread: int
    seconds: float


@dataclass(frozen=True)
class Report:
    """An estimate with what it is about. `unread` of the `looked_at` files of the sample gave no text.

    `spent_nano_usd` is what its workspace has spent before.
    """

    source: str
    sampled: Sampled
    estimate: Estimate
    model: str
    endpoint: str
    price: Price
    spent_nano_usd: int
    workers: int


async def look(source: Path, settings: Settings, workers: int) -> Sampled:
    """Read a sample of a folder. `settings` have the backend settled: a model's.

    Raises UsageError where the folder cannot be listed.
    """
    root = os.fsencode(source)
    walk = Walk(root, settings.input)
    found = await asyncio.to_thread(lambda: list(walk.files()))
    groups: defaultdict[tuple[str, int], list[FoundFile]] = defaultdict(list)
    for file in found:
        ending = os.path.splitext(file.path)[1].decode("ascii", "ignore").lower()[:12]
        groups[ending, file.size_bytes.bit_length() // 3].append(file)
    chosen = [_choose(group, len(found)) for group in groups.values()]
    began = time.monotonic()
    replies = await _read(root, settings, [file for group in chosen for file in group], workers)
    took_s = time.monotonic() - began
    strata, at, unread = [], 0, 0
    for group, some in zip(groups.values(), chosen, strict=True):
        part = replies[at : at + len(some)]
        at += len(some)
        counts = [
            tokens.count(shown(reply.to_ask))
            for reply in part
            if reply is not None and reply.to_ask is not None
        ]
        documents = [
            0 if reply is None else (reply.to_ask is not None) + len(reply.members or ()) for reply in part
        ]
        unread += documents.count(0)
        strata.append(Stratum(len(group), documents, counts))
    looked_at = max(len(replies), 1)
    size_bytes = sum(file.size_bytes for file in found)
    read_bytes = max(sum(file.size_bytes for group in chosen for file in group), 1)
    each_s = took_s * workers * max(len(found) / looked_at, size_bytes / read_bytes)
    return Sampled(len(found), size_bytes, len(replies), tuple(strata), unread, each_s)


def _choose(group: Sequence[FoundFile], files: int) -> list[FoundFile]:
    """Some files of a group, the same each time: as many as its share of the sample, and at least a few."""
    share = max(_LEAST, round(_SAMPLE * len(group) / max(files, 1)))
    return sorted(group, key=lambda file: digest(file.path))[:share]


async def _read(
    root: bytes, settings: Settings, files: Sequence[FoundFile], workers: int
) -> list[DocumentReply | None]:
    """Have workers read files as far as what a model would be shown of them."""
    if not files:
        return []
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
        await asyncio.gather(*(pool.run([item], take) for item in items))
    finally:
        await pool.close()
    return [found.get(number) for number in range(1, len(files) + 1)]


async def estimate(source: Path, backend: Backend, directory: Path) -> Report:
    """Estimate what labelling a folder with a model costs and takes.

    `directory` is its workspace, made or not. Raises PreflightError where the price is not known, UsageError
    where the folder cannot be listed.
    """
    settings = backend.settings
    classify, endpoint = settings.classify, backend.endpoint
    prompter = backend.prompter()
    decides = first_profile(classify, len(prompter.names)).api == "decisions" and endpoint.is_openai
    price = price_or_refusal(classify, endpoint, backend.key, decisions=decides) or price_or_refusal(
        classify, endpoint, backend.key, decisions=False
    )
    assert price is not None
    workers = settings.engine.workers or os.cpu_count() or 1
    sampled = await look(source, settings, workers)
    known = _known(directory, settings, endpoint.url)
    empty = prompter.ask([""])
    pack = pack_size(classify)
    reckoned = reckon(
        sampled.strata,
        labelled=known.labelled,
        pack=pack,
        prompt_tokens=tokens.count(empty.system) + tokens.count(json.dumps(prompter.ask([""] * pack).schema)),
        price=price,
        limits=known.limits,
    )
    return Report(
        safe_text(str(source)),
        sampled,
        reckoned,
        classify.model,
        endpoint.shown,
        price,
        known.spent_nano_usd,
        workers,
    )


@dataclass(frozen=True)
class _Known:
    """What a workspace tells: documents with their label, money spent, and limits met in the last run."""

    labelled: int = 0
    spent_nano_usd: int = 0
    limits: Limits = field(default_factory=Limits)


def _known(directory: Path, settings: Settings, url: str) -> _Known:
    if not is_workspace(directory):
        return _Known()
    with contextlib.suppress(StoreError), contextlib.closing(open_state(directory, read_only=True)) as state:
        limits = read_limits(state, url, settings.classify.model)
        spent = read_spending(state).cost_nano_usd
        head = read_head(state)
        lineage = head.lineages.get(PhaseName.CLASSIFY)
        wanted: Any = configurations(DOCUMENT_PHASE_MODULES, settings, {})[PhaseName.CLASSIFY]
        if lineage is None or config_of(state, lineage) != wanted:
            return _Known(0, spent, limits)
        labelled = read_totals(state, head)[PhaseName.CLASSIFY].get(Status.DONE, PhaseCount()).n
        return _Known(labelled, spent, limits)
    return _Known()


def keep(report: Report, directory: Path) -> None:
    """Keep an estimate beside the workspace, to be compared with what comes of it."""
    directory.mkdir(parents=True, exist_ok=True)
    found = report.estimate
    content = {
        "model": report.model,
        "documents": _rounded(found.documents),
        "cost_nano_usd": _rounded(found.cost_nano_usd),
        "spent_before_nano_usd": report.spent_nano_usd,
    }
    (directory / FILE_NAME).write_text(json.dumps(content), encoding="utf-8")


def compare(directory: Path, documents: int) -> str:
    """How an estimate compares with what was spent since; '' where there is none. Says it once."""
    path = directory / FILE_NAME
    try:
        content = json.loads(path.read_bytes())
        path.unlink()
        low, expected, high = content["cost_nano_usd"]
        with contextlib.closing(open_state(directory, read_only=True)) as state:
            spent = read_spending(state).cost_nano_usd - content["spent_before_nano_usd"]
        about = content["documents"][1]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    inside = "within" if low <= spent <= high else ("below" if spent < low else "above")
    return (
        f"Estimated ${expected / 1e9:.4f} (${low / 1e9:.4f} to ${high / 1e9:.4f}) for {about:,} documents; "
        f"spent ${spent / 1e9:.4f} for {documents:,}: {inside} the range."
    )


def _rounded(found: Range) -> list[int]:
    return [round(found.low), round(found.expected), round(found.high)]
