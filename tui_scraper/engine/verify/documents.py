"""Documents and their versions: names that prove themselves, and members that go with their containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.connection import STATE_FILE
from tui_scraper.engine.store.head import PHASE_NUMBER
from tui_scraper.engine.store.members import SEPARATOR, document_uid, unpack_members
from tui_scraper.engine.verify.look import Finding, Gathered, Look, damage, gather
from tui_scraper.engine.verify.report import Damage

_PAGE = 5_000
_CONTAINERS = 20_000
"""Containers whose place is remembered while going through their members, which mostly follow them."""

_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_REGISTERED = "The next scan registers the document anew; what was made of it is found by its key."
_READ_AGAIN = "The container becomes pending; its members are registered from what is known of it."


def check_documents(look: Look) -> Iterator[Finding]:
    """Documents, versions, and what is inside containers."""
    where = f"{STATE_FILE}: document"
    wrong = Gathered()
    for document, path, _uid in misnamed(look):
        del document
        wrong.add(path)
    yield from damage(
        wrong, "{n} documents do not have the id that follows from their path.", where, _REGISTERED
    )
    yield from _versions(look)
    yield from _members(look)


def misnamed(look: Look) -> Iterator[tuple[int, bytes, bytes]]:
    """(Document, path, the id it should have) where the id does not follow from the path."""
    places: dict[int, tuple[bytes, tuple[bytes, ...]]] = {}

    def parents_of(container: int, depth: int = 0) -> tuple[bytes, ...] | None:
        """The paths of a container and those around it; None where they cannot be followed."""
        if container in places:
            path, around = places[container]
            return (*around, path)
        row: Any = look.state.execute(
            "SELECT path, parent FROM document WHERE id = ?", (container,)
        ).fetchone()
        if row is None or depth > 100:
            return None
        outer = parents_of(row[1], depth + 1) if row[1] else ()
        if outer is None:
            return None
        if len(places) >= _CONTAINERS:
            places.clear()
        places[container] = (row[0], outer)
        return (*outer, row[0])

    after = 0
    while True:
        rows = look.ask(
            "SELECT id, path, parent, uid FROM document WHERE id > ? ORDER BY id LIMIT ?", after, _PAGE
        )
        if not rows:
            return
        for document, path, parent, uid in rows:
            around = parents_of(parent) if parent else ()
            inside = not around or path.startswith(around[-1] + SEPARATOR)
            if around is None or not inside or document_uid(path, around) != uid:
                yield document, path, document_uid(path, around or ())
        after = rows[-1][0]
        look.proceed(len(rows))


def _versions(look: Look) -> Iterator[Damage]:
    where = f"{STATE_FILE}: version"
    lost = look.one(
        "SELECT count(*) FROM version v LEFT JOIN document d ON d.id = v.document WHERE d.id IS NULL"
    )
    if lost:
        yield Damage(f"{lost:,} versions are of documents that are not there.", where, _REGISTERED)
    wrong = gather(
        look.state.execute(
            f"""SELECT d.path FROM version v JOIN document d ON d.id = v.document
            WHERE {IMPOSSIBLE_VERSION}"""  # noqa: S608
        )
    )
    yield from damage(
        wrong, "{n} versions cannot be right (their scans, sizes or contents).", where, _REGISTERED
    )
    look.proceed(look.one("SELECT count(*) FROM version"))


IMPOSSIBLE_VERSION = """
    v.size_bytes < 0 OR v.scan_from < 1 OR v.scan_from > (SELECT coalesce(max(id), 0) FROM scan)
    OR (v.scan_to IS NOT NULL AND NOT v.scan_to BETWEEN v.scan_from AND (SELECT max(id) FROM scan))
    OR (v.content IS NOT NULL AND (typeof(v.content) != 'blob' OR length(v.content) != 16))
    OR (v.content IS NULL) != (v.media_type IS NULL)"""
"""SQL: a version `v` that nobody can have written."""


def _members(look: Look) -> Iterator[Damage]:
    """What is inside a container at the head is what was found in it when it was read."""
    wrong = Gathered()
    for _version, path in incomplete_containers(look):
        wrong.add(path)
    what = "{n} containers have other members than were found in them."
    yield from damage(wrong, what, f"{STATE_FILE}: document", _READ_AGAIN)


def incomplete_containers(look: Look) -> Iterator[tuple[int, bytes]]:
    """(Version, path) of containers at the head with other members than they should have."""
    head = look.head
    if head is None or PhaseName.CLEAN not in head.lineages:
        return
    rows: Any = look.state.execute(
        f"""SELECT v.id, d.id, d.path, a.data FROM artifact a JOIN result r ON r.artifact = a.id
            JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
        WHERE a.phase = {_CLEAN} AND a.data IS NOT NULL AND r.phase = {_CLEAN} AND r.status = 1
            AND r.lineage = ? AND {head.visible()} AND {head.live()}
            AND NOT EXISTS (SELECT 1 FROM result n WHERE n.lineage = r.lineage AND n.version = r.version
                AND n.seq > r.seq AND {head.visible("n")})""",  # noqa: S608
        (head.lineages[PhaseName.CLEAN],),
    )
    for version, document, path, data in rows:
        try:
            members = unpack_members(data) or []
        except Exception:  # noqa: S112  (told of where artifacts are read)
            continue
        wanted = {path + SEPARATOR + member.name: (member.size_bytes, member.mtime_ns) for member in members}
        rows_inside = look.ask(
            f"""SELECT m.path, v.size_bytes, v.mtime_ns FROM document m JOIN version v ON v.document = m.id
            WHERE m.parent = ? AND m.parent > 0 AND {head.live()}""",  # noqa: S608
            document,
        )
        there = {row[0]: (row[1], row[2]) for row in rows_inside}
        if wanted != there:
            yield version, path
