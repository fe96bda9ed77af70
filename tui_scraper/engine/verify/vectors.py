"""Vectors of passages: those in the store are what was paid for, and the files hold them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.search.segments import VECTORS_FOLDER
from tui_scraper.engine.search.vector_meta import rows_in
from tui_scraper.engine.store.codec import unpack
from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE
from tui_scraper.engine.store.head import PHASE_NUMBER
from tui_scraper.engine.store.seal import highest
from tui_scraper.engine.store.vectors import StoredVectors, held, is_whole, space_at, space_of
from tui_scraper.engine.verify.look import Finding, Gathered, Look, damage
from tui_scraper.engine.verify.report import Damage

_INDEX = PHASE_NUMBER[PhaseName.INDEX]
_ANEW = "The files are removed; the next run makes them again from the store, without paying."
_ASKED = "They are taken out, and asked for again where they are needed."


def check_vectors(look: Look) -> Iterator[Finding]:
    """The rows of vectors, and the payloads that they are in."""
    broken = Gathered()
    for blob, last in look.ask("SELECT blob, max(place) FROM vector GROUP BY blob"):
        payload = look.blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).get
        try:
            stored = unpack(payload if isinstance(payload, bytes) else b"", StoredVectors)
            sound = is_whole(stored) and last < len(stored.numbers) // stored.dimensions
        except ValueError:
            sound = False
        if not sound:
            look.found.vectors.append(blob)
            broken.add(None)
        look.proceed(last + 1)
    what = "{n} payloads of vectors are damaged or missing."
    yield from damage(broken, what, BLOB_FILE, _ASKED)
    strange = Gathered()
    strange.count = look.one(f"SELECT count(*) FROM unembedded u WHERE {STRANGE}")  # noqa: S608
    what = "{n} rows of the table unembedded belong to no document in the index."
    yield from damage(strange, what, f"{STATE_FILE}: unembedded", "They are taken out.")


STRANGE = f"NOT EXISTS (SELECT 1 FROM result r WHERE r.seq = u.seq AND r.phase = {_INDEX} AND r.status = 1)"  # noqa: S608
"""SQL: a row `u` of the table unembedded that is about nothing."""


def check_vector_files(look: Look) -> Iterator[Finding]:
    """The files of each model's vectors: whole, and not of another time than the store."""
    for space in _spaces(look):
        found = list(_files(look, space))
        if found:
            look.found.spaces.append(space)
            look.found.index = True  # a new generation of it takes the vectors from the store
        yield from found


def _spaces(look: Look) -> list[bytes]:
    """The spaces that some lineage has and the files are known to hold."""
    rows = look.ask("SELECT DISTINCT version, json FROM config WHERE phase = ?", _INDEX)
    spaces = {space_of((version, json.loads(text))) for version, text in rows}
    return sorted(space for space in spaces if space is not None and held(look.state, space))


def _files(look: Look, space: bytes) -> Iterator[Damage]:
    from tui_scraper.engine.search import vector_files

    where = f"{VECTORS_FOLDER}/{space.hex()}"
    for name, what in vector_files.damaged(look.directory, space, lambda _bytes: look.tick(look.looked_at)):
        yield Damage(f"{where}/{name}: {what}.", f"{where}/{name}", _ANEW)
        return
    rows, recorded = rows_in(look.directory, space), held(look.state, space)
    look.proceed(rows)
    if rows < recorded:
        yield Damage(f"{where}: {recorded - rows:,} vectors are missing from the files.", where, _ANEW)
        return
    newest = highest(look.state, "artifact", "id")
    artifacts = vector_files.artifacts_in(look.directory, space)
    if artifacts and max(artifacts) > newest:
        yield Damage(f"{where}: the files are of a later time than {STATE_FILE}.", where, _ANEW)
        return
    yield from _missing(look, space, artifacts, where)


def _missing(look: Look, space: bytes, held_of: dict[int, int], where: str) -> Iterator[Damage]:
    """Documents that are in the index with all their vectors, and of which the files do not have so many."""
    head = look.head
    if head is None or space_at(look.state, head) != space:
        return
    missing = Gathered()
    rows: Any = look.state.execute(
        f"""SELECT d.path, k.artifact, max(r.seq), r.status, EXISTS (SELECT 1 FROM unembedded u
            WHERE u.seq = r.seq)
        FROM result r JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
            JOIN result k ON k.version = r.version AND k.lineage = ?
        WHERE r.lineage = ? AND k.artifact IS NOT NULL AND {head.visible()} AND {head.visible("k")}
            AND {head.live()} GROUP BY r.version""",  # noqa: S608
        (head.lineages[PhaseName.CHUNK], head.lineages[PhaseName.INDEX]),
    )
    for path, artifact, _seq, status, without in rows:
        wanted = look.chunks[artifact] if artifact < len(look.chunks) else -1
        if status == 1 and not without and held_of.get(artifact, 0) < wanted:
            missing.add(path)
    yield from damage(missing, "{n} documents' vectors are missing from the files.", where, _ANEW)
