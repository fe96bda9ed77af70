"""Results: each belongs to things that exist, and is what its artifact's key says it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.artifacts import LOST
from tui_scraper.engine.store.connection import STATE_FILE
from tui_scraper.engine.store.head import (
    PHASE_NUMBER,
    STATUS_NUMBER,
    artifact_key,
    clean_source,
)
from tui_scraper.engine.store.lost import lost_results
from tui_scraper.engine.verify.look import Finding, Gathered, Look, damage, gather
from tui_scraper.engine.verify.report import Note

_DONE = STATUS_NUMBER[Status.DONE]
_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]

_PENDING = "The documents become pending; the next run makes the result again, or finds it by its key."
_TAKEN_OUT = "The rows are taken out."

HOMELESS = """NOT EXISTS (SELECT 1 FROM branch b WHERE b.id = r.branch)
    OR NOT EXISTS (SELECT 1 FROM lineage l WHERE l.id = r.lineage AND l.phase = r.phase)
    OR NOT EXISTS (SELECT 1 FROM version v WHERE v.id = r.version)"""
"""SQL: a result `r` of which nobody can say what it is about."""

UNFOUNDED = f"""CASE WHEN r.status = {_DONE} AND r.phase BETWEEN {_CLEAN} AND {_CLASSIFY}
    THEN NOT EXISTS (SELECT 1 FROM artifact a WHERE a.id = r.artifact AND a.phase = r.phase)
    ELSE r.artifact IS NOT NULL OR (r.status = {_DONE} AND r.phase = 0) END
    OR (r.status > {_DONE}) != EXISTS (SELECT 1 FROM failure f WHERE f.seq = r.seq)
    OR NOT r.status BETWEEN 0 AND 4 OR r.attempt < 1"""  # noqa: S608
"""SQL: a result `r` without the artifact or the failure that its status calls for, or with one too many."""


def check_results(look: Look) -> Iterator[Finding]:
    """All results, of all branches."""
    where = f"{STATE_FILE}: result"
    homeless = look.one(f"SELECT count(*) FROM result r WHERE {HOMELESS}")  # noqa: S608
    found = Gathered()
    found.count = homeless
    yield from damage(
        found, "{n} results belong to a branch, lineage or version that is not there.", where, _TAKEN_OUT
    )
    unfounded = gather(
        look.state.execute(
            f"""SELECT d.path FROM result r LEFT JOIN version v ON v.id = r.version
            LEFT JOIN document d ON d.id = v.document WHERE {UNFOUNDED}"""  # noqa: S608
        )
    )
    what = "{n} results lack the artifact or the failure that their status calls for, or have one too many."
    yield from damage(unfounded, what, where, _PENDING)
    orphans = Gathered()
    orphans.count = look.one(
        "SELECT count(*) FROM failure f WHERE NOT EXISTS (SELECT 1 FROM result r WHERE r.seq = f.seq)"
    )
    yield from damage(orphans, "{n} failures belong to no result.", f"{STATE_FILE}: failure", _TAKEN_OUT)
    strangers = Gathered()
    for _seq, path in mismatched(look):
        strangers.add(path)
    yield from damage(strangers, "{n} results are not what the key of their artifact says.", where, _PENDING)
    yield from _lost(look)


def mismatched(look: Look) -> Iterator[tuple[int, bytes]]:
    """(Seq, path) of done results whose artifact has the key of something else."""
    yield from _mismatched_clean(look)
    yield from _mismatched_chunks(look)
    yield from _mismatched_labels(look)


_ROWS = """FROM result r CROSS JOIN artifact a ON a.id = r.artifact CROSS JOIN version v ON v.id = r.version
    CROSS JOIN document d ON d.id = v.document CROSS JOIN lineage l ON l.id = r.lineage
    CROSS JOIN config c ON c.id = l.config"""
"""CROSS JOIN keeps SQLite to this order: one pass over the results, and nothing held in memory."""


def _mismatched_clean(look: Look) -> Iterator[tuple[int, bytes]]:
    rows: Any = look.state.execute(
        f"""SELECT r.seq, d.path, a.key, c.hash, v.content, v.media_type {_ROWS}
        WHERE r.status = 1 AND r.phase = {_CLEAN}"""
    )
    for seq, path, key, config, content, media_type in rows:
        look.proceed(1)
        if content is None or artifact_key(config, clean_source(content, media_type or "")) != key:
            yield seq, path


def _mismatched_chunks(look: Look) -> Iterator[tuple[int, bytes]]:
    """Chunks are made from a clean text of that version and the lineage below.

    A text that was lost and made again may have come out another; what had been made of the first one keeps
    its key, and is older than the text.
    """
    rows: Any = look.state.execute(
        f"""SELECT r.seq, d.path, a.key, c.hash, t.output, t.created <= a.created {_ROWS}
        LEFT JOIN result k ON k.lineage = l.parent AND k.version = r.version AND k.status = 1
        LEFT JOIN artifact t ON t.id = k.artifact
        WHERE r.status = 1 AND r.phase = {_CHUNK}"""
    )
    last, right, where = 0, True, b""
    for seq, path, key, config, output, older in rows:
        if seq != last:
            if not right:
                yield last, where
            look.proceed(1)
            last, right, where = seq, False, path
        right = right or output is None or not older or artifact_key(config, output) == key
    if not right:
        yield last, where


def _mismatched_labels(look: Look) -> Iterator[tuple[int, bytes]]:
    rows: Any = look.state.execute(
        f"""SELECT r.seq, d.path, a.key, c.hash, a.output {_ROWS}
        WHERE r.status = 1 AND r.phase = {_CLASSIFY}"""
    )
    for seq, path, key, config, output in rows:
        look.proceed(1)
        if artifact_key(config, output) != key:
            yield seq, path


def _lost(look: Look) -> Iterator[Finding]:
    """Results at the head whose payload was found damaged and taken away, and elsewhere."""
    lost = look.one(f"SELECT count(*) FROM artifact a WHERE {LOST}")  # noqa: S608
    if not lost:
        return
    found = Gathered()
    for path, _phase, _version in lost_results(look.state, look.head) if look.head is not None else ():
        found.add(path)
    what = "{n} results have lost what they hold."
    yield from damage(found, what, f"{STATE_FILE}: artifact", _PENDING)
    if not found.count:
        yield Note(f"{lost:,} artifacts of other branches are lost; made again, they are there for all.")
