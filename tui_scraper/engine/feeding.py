"""What is to be done next: pages of unfinished documents, cut into batches for the workers.

The store is asked, always: a first run, a resumed one and one with other settings differ only in
what the store answers. What exists already under the key that would be made is taken over here and
never reaches a worker.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from tui_scraper.engine.extract.media_types import STREAMED
from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.artifacts import LOST, Configs, find_artifacts
from tui_scraper.engine.store.head import PHASE_NUMBER, STATUS_NUMBER, artifact_key, clean_source
from tui_scraper.engine.store.results import Reached, Work
from tui_scraper.engine.wire import WorkItem

_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_DONE = STATUS_NUMBER[Status.DONE]

_HEAVY_BYTES = 500_000
_HEAVY_ENDINGS = (
    *(b".pdf", b".docx", b".pptx", b".xlsx", b".doc", b".ppt", b".xls", b".odt", b".ods", b".odp", b".epub"),
    *(b".zip", b".tar", b".gz", b".tgz", b".bz2", b".xz", b".7z", b".mbox"),
)
_BATCH_BYTES = 1_000_000
_INSIDE_BATCH_BYTES, _INSIDE_BATCH = 32_000_000, 4_000
"""Members of one container stay together, heavy ones too: each batch may unpack the container anew."""
_FIRST_BATCH = 32
_SMALLEST_BATCH, _LARGEST_BATCH = 4, 256
_BATCH_S = 0.08
"""Aim: long enough that handing over costs little, short enough that a pause takes effect at once."""


@dataclass
class BatchSize:
    """How many small documents make a batch: follows the time that batches take."""

    documents: int = _FIRST_BATCH

    def learn(self, documents: int, seconds: float) -> None:
        """Adjust after a batch of small documents took `seconds`."""
        if documents < self.documents // 2 or seconds <= 0:
            return
        wanted = documents * _BATCH_S / seconds
        self.documents = int(max(_SMALLEST_BATCH, min(_LARGEST_BATCH, (self.documents + wanted) / 2)))


def is_heavy(work: Work) -> bool:
    """Whether a document is handed over alone, because it may take long."""
    if work.place.inside:
        return False
    return work.size_bytes > _HEAVY_BYTES or work.path.lower().endswith(_HEAVY_ENDINGS)


def batches(work: Sequence[Work], size: BatchSize) -> list[list[Work]]:
    """Cut a page into batches: heavy documents alone, the others by number and bytes."""
    cut: list[list[Work]] = []
    light: list[Work] = []
    held_bytes = 0
    for one in work:
        if is_heavy(one):
            cut.append([one])
            continue
        together = one.place.inside and light and light[-1].place.file == one.place.file
        most = _INSIDE_BATCH if together else size.documents
        most_bytes = _INSIDE_BATCH_BYTES if together else _BATCH_BYTES
        if light and (len(light) >= most or held_bytes + one.size_bytes > most_bytes):
            cut.append(light)
            light, held_bytes = [], 0
        light.append(one)
        held_bytes += one.size_bytes
    if light:
        cut.append(light)
    return cut


@dataclass
class Plan:
    """What is to be done with a page of documents.

    `reuse` are results that exist: (work, phase number, artifact, tokens). `work` goes to the
    workers, `index` straight to the index.
    """

    reuse: list[tuple[Work, int, int, int]] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)
    index: list[Work] = field(default_factory=list)


def plan(
    state: apsw.Connection,
    page: Sequence[Work],
    configs: Configs,
    through: PhaseName,
    limit_bytes: int,
    *,
    paid_labels: bool = False,
) -> Plan:
    """Take over what exists for a page of documents, and say what is left to do.

    What is taken over is entered into each work's `reached`, so that the rest can build on it. A document
    above `limit_bytes` may have been read under another limit: it goes to a worker, who refuses it. With
    `paid_labels` only those of a model are taken over, not what stands in for them.
    """
    planned = Plan()
    allowed = [work for work in page if work.size_bytes <= limit_bytes or work.media_type in STREAMED]
    _take_over_clean(state, allowed, configs, planned)
    if through is not PhaseName.CLEAN:
        _take_over_chunks(state, page, configs, planned)
    last = min(PHASE_NUMBER[through], _CLASSIFY)
    if last == _CLASSIFY:
        _take_over_labels(state, page, configs, planned, paid=paid_labels)
    for work in page:
        missing = any(not _is_done(work, phase) for phase in range(_CLEAN, last + 1))
        if missing:
            planned.work.append(work)
        elif PHASE_NUMBER[through] > _CLASSIFY:
            planned.index.append(work)
    return planned


def _is_done(work: Work, phase: int) -> bool:
    reached = work.reached.get(phase)
    return reached is not None and reached.status == _DONE


def _take_over_clean(state: apsw.Connection, page: Sequence[Work], configs: Configs, planned: Plan) -> None:
    wanted = [
        (work, artifact_key(configs[PhaseName.CLEAN], clean_source(work.content, work.media_type)))
        for work in page
        if work.content and work.media_type and not _is_done(work, _CLEAN)
    ]
    found = find_artifacts(state, [key for _work, key in wanted])
    for work, key in wanted:
        if key in found:
            _enter(work, _CLEAN, found[key].artifact, 0, planned)


def _take_over_chunks(state: apsw.Connection, page: Sequence[Work], configs: Configs, planned: Plan) -> None:
    ready = [work for work in page if _is_done(work, _CLEAN) and not _is_done(work, _CHUNK)]
    if not ready:
        return
    artifacts = [work.reached[_CLEAN].artifact for work in ready]
    marks = ",".join("?" * len(artifacts))
    rows = state.execute(f"SELECT id, output FROM artifact WHERE id IN ({marks})", artifacts)  # noqa: S608
    outputs = {int(row[0] or 0): row[1] for row in rows}
    keys: dict[int, bytes] = {}
    for work in ready:
        output = outputs.get(work.reached[_CLEAN].artifact or 0)
        if isinstance(output, bytes):
            keys[work.version] = artifact_key(configs[PhaseName.CHUNK], output)
    found = find_artifacts(state, list(keys.values()))
    for work in ready:
        known = found.get(keys.get(work.version, b""))
        if known is not None:
            _enter(work, _CHUNK, known.artifact, known.amount, planned)


_TWINS_LOOKED_AT = 20
"""Documents with one and the same chunks among which a label is looked for."""


def _take_over_labels(
    state: apsw.Connection, page: Sequence[Work], configs: Configs, planned: Plan, *, paid: bool
) -> None:
    """Labels of documents with the same chunks, of the same type, under the same settings.

    A label is keyed by what was read of a document, which only a worker can tell. But equal chunks of equal
    text of one type are read alike, so where such a document has a label with these settings, in whatever
    branch, it is this one's, too. So nothing is asked again for a file that was moved, or after going back.
    """
    ready = [work for work in page if _is_done(work, _CHUNK) and not _is_done(work, _CLASSIFY)]
    if not ready:
        return
    config = state.execute(
        "SELECT id FROM config WHERE phase = ? AND hash = ?", (_CLASSIFY, configs[PhaseName.CLASSIFY])
    ).get
    for work in ready:
        row: Any = state.execute(
            _LABEL_OF_TWIN,
            (work.reached[_CHUNK].artifact, work.media_type, _TWINS_LOOKED_AT, config, int(paid)),
        ).fetchone()
        if row is not None:
            artifact, tokens = row
            _enter(work, _CLASSIFY, artifact, tokens, planned)


_LABEL_OF_TWIN = f"""
    SELECT c.artifact, a.amount FROM (
        SELECT k.version, k.lineage FROM result k JOIN version v ON v.id = k.version
        WHERE k.phase = {_CHUNK} AND k.artifact = ? AND k.status = {_DONE} AND v.media_type = ?
        ORDER BY k.seq DESC LIMIT ?
    ) t CROSS JOIN lineage l ON l.parent = t.lineage AND l.phase = {_CLASSIFY} AND l.config = ?
        CROSS JOIN result c ON c.lineage = l.id AND c.version = t.version
        CROSS JOIN artifact a ON a.id = c.artifact
    WHERE c.status = {_DONE} AND NOT {LOST} AND a.amount >= ? LIMIT 1"""  # noqa: S608


def _enter(work: Work, phase: int, artifact: int, tokens: int, planned: Plan) -> None:
    before = work.reached.get(phase)
    planned.reuse.append((work, phase, artifact, tokens))
    work.reached[phase] = Reached(_DONE, artifact, before.attempt + 1 if before else 1)


def work_item(work: Work, source: bytes, payload: Payloads) -> WorkItem:
    """What a worker is given: a file to read, or the stored results to go on from."""
    path = os.path.join(source, work.place.file)
    if not _is_done(work, _CLEAN):
        return WorkItem(work.version, path, work.size_bytes, inside=list(work.place.inside))
    clean = payload.of(work.reached[_CLEAN])
    if not _is_done(work, _CHUNK):
        return WorkItem(work.version, path, work.size_bytes, PhaseName.CHUNK, work.media_type, clean=clean)
    chunks = payload.of(work.reached[_CHUNK])
    return WorkItem(
        work.version, path, work.size_bytes, PhaseName.CLASSIFY, work.media_type, clean=clean, chunks=chunks
    )


@dataclass
class Payloads:
    """Reads payloads of artifacts from the two databases."""

    state: apsw.Connection
    blobs: apsw.Connection

    def blob_id(self, reached: Reached) -> int:
        """Where an artifact's payload is."""
        blob = self.state.execute("SELECT blob FROM artifact WHERE id = ?", (reached.artifact,)).get
        return int(blob or 0)

    def of(self, reached: Reached) -> bytes | None:
        """An artifact's payload, compressed; None where it is missing."""
        data = self.blobs.execute("SELECT data FROM blob WHERE id = ?", (self.blob_id(reached),)).get
        return data if isinstance(data, bytes) else None
