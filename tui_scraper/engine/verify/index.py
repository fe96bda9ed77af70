"""The search index against the store: its files are whole, and it has the chunks that it is said to have."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from tui_scraper.engine.disk import is_read_only
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.search.segments import INDEX_DIR, damaged_files, read_mark
from tui_scraper.engine.search.text_index import DamagedIndexError, guarded, open_for_reading
from tui_scraper.engine.store.connection import STATE_FILE
from tui_scraper.engine.store.head import PHASE_NUMBER
from tui_scraper.engine.store.seal import counted, highest
from tui_scraper.engine.verify.look import Finding, Gathered, Look, damage
from tui_scraper.engine.verify.report import Damage, Note

_STEP = 50_000
"""Artifacts asked for at once: the library counts at most 65,000 terms in one answer."""

_INDEX = PHASE_NUMBER[PhaseName.INDEX]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_ANEW = "The index is emptied; the next run builds it again from the store."


def check_index(look: Look) -> Iterator[Finding]:
    """Files, chunks, and that everything the store calls indexed is there."""
    damages = list(_damages(look))
    look.found.index = look.found.index or bool(damages)
    yield from damages
    if is_read_only(look.directory):
        yield Note(
            "On a disk that can only be read the index cannot be opened: its files alone were looked at."
        )


def _damages(look: Look) -> Iterator[Damage]:
    directory = look.directory / INDEX_DIR
    indexed = look.one("SELECT count(*) FROM indexed")
    if not indexed and not (directory / "meta.json").exists():
        return
    wrong = list(damaged_files(directory, lambda _bytes: look.tick(look.looked_at)))
    for name, what in wrong:
        yield Damage(f"{INDEX_DIR}/{name}: {what}.", f"{INDEX_DIR}/{name}", _ANEW)
    if wrong:
        return
    sealed = look.seal.index if look.seal is not None and look.seal.closed else ""
    try:
        if sealed and sealed != read_mark(directory):
            yield Damage(
                "The index is not the one with which the workspace was closed.",
                f"{INDEX_DIR}/meta.json",
                _ANEW,
            )
        if not is_read_only(look.directory):
            yield from _counted(look)
    except (DamagedIndexError, OSError, ValueError) as error:
        yield Damage(f"The index cannot be read ({error}).", INDEX_DIR, _ANEW)
    yield from _unrecorded(look)


def _counted(look: Look) -> Iterator[Damage]:
    """How many chunks the index has of each artifact, against how many there are."""
    opened = open_for_reading(look.directory)
    newest = highest(look.state, "artifact", "id")
    missing, others, strange = Gathered(), Gathered(), Gathered()
    strange.count = look.one(
        f"""SELECT count(*) FROM indexed i
        WHERE NOT EXISTS (SELECT 1 FROM artifact a WHERE a.id = i.artifact AND a.phase = {_CHUNK})
            AND NOT (i.artifact <= ? AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.id = i.artifact))""",  # noqa: S608
        counted(look.state, "floor:artifact"),  # collected as garbage, and not yet taken out of the index
    )
    what = "{n} rows of the table indexed are of nothing that can be indexed."
    yield from damage(strange, what, f"{STATE_FILE}: indexed", _ANEW)
    if opened is not None:
        index = opened[0]
        searcher = guarded(look.directory, index.searcher)
        beyond = guarded(look.directory, lambda: _newest(searcher))
        if beyond > newest:
            yield Damage(
                f"The index is of a later time than {STATE_FILE}: it has chunks of artifact {beyond:,}, "
                f"and the newest there is {newest:,}.",
                INDEX_DIR,
                _ANEW,
            )
    for start in range(0, newest + 1, _STEP):
        end = start + _STEP
        held: dict[int, int] = {}
        if opened is not None:
            held = guarded(look.directory, functools.partial(_held, index, searcher, start, end))
        rows: Any = look.ask("SELECT artifact FROM indexed WHERE artifact >= ? AND artifact < ?", start, end)
        for (artifact,) in rows:
            wanted = look.chunks[artifact] if artifact < len(look.chunks) else -1
            if wanted >= 0 and held.get(artifact, 0) != wanted:
                (missing if held.get(artifact, 0) < wanted else others).add(None)
        look.proceed(len(rows))
    yield from damage(missing, "{n} documents' chunks are missing from the index.", INDEX_DIR, _ANEW)
    yield from damage(others, "{n} documents' chunks are in the index more than once.", INDEX_DIR, _ANEW)


def _newest(searcher: Any) -> int:
    import tantivy

    if not searcher.num_docs:
        return 0
    found = searcher.aggregate(tantivy.Query.all_query(), {"newest": {"max": {"field": "artifact"}}})
    return int(found["newest"]["value"] or 0)


def _held(index: Any, searcher: Any, start: int, end: int) -> dict[int, int]:
    """Artifact -> chunks in the index, for artifacts from `start` up to `end`."""
    import tantivy

    query = tantivy.Query.range_query(
        index.schema, "artifact", tantivy.FieldType.Integer, start, end, True, False
    )
    terms = {"field": "artifact", "size": _STEP + 1, "segment_size": _STEP + 1}
    found = searcher.aggregate(query, {"chunks": {"terms": terms}})
    return {int(bucket["key"]): int(bucket["doc_count"]) for bucket in found["chunks"]["buckets"]}


def _unrecorded(look: Look) -> Iterator[Damage]:
    """Documents that are done with the present index, and whose chunks the store does not call indexed."""
    generation = look.one("SELECT value FROM meta WHERE key = 'index_generation'")
    found = Gathered()
    for lineage, text, chunks in look.ask(
        f"""SELECT l.id, c.json, k.parent FROM lineage l JOIN config c ON c.id = l.config
        JOIN lineage k ON k.id = l.parent WHERE l.phase = {_INDEX}"""  # noqa: S608
    ):
        if json.loads(text).get("generation") != generation:
            continue
        for (path,) in look.state.execute(
            f"""SELECT d.path FROM result r JOIN version v ON v.id = r.version
                JOIN document d ON d.id = v.document
            WHERE r.lineage = ? AND r.status = 1 AND NOT EXISTS (
                SELECT 1 FROM result k JOIN indexed i ON i.artifact = k.artifact
                WHERE k.lineage = ? AND k.version = r.version AND k.phase = {_CHUNK})""",  # noqa: S608
            (lineage, chunks),
        ):
            found.add(path if isinstance(path, bytes) else None)
    what = "{n} results say that a document is in the index, and the table indexed does not have it."
    yield from damage(found, what, f"{STATE_FILE}: indexed", _ANEW)
