"""The two database files themselves: pages, structure, schema, and whether all rows are there.

SQLite's own check comes first. Where it fails, the file is read page by page to say which tables the damage
lies in.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine.store.connection import (
    BLOB_FILE,
    STATE_FILE,
    is_damage,
    page_checksums,
    without_checking,
)
from tui_scraper.engine.store.pages import open_pages
from tui_scraper.engine.store.seal import (
    FOREIGN_LOG,
    NUMBERED,
    SEAL_FILE,
    Seal,
    counted,
    discrepancies,
    foreign_logs,
    highest,
)
from tui_scraper.engine.verify.look import Finding, Look
from tui_scraper.engine.verify.report import Damage, Note

PAGE_BYTES = {STATE_FILE: 4096, BLOB_FILE: 65536}
_MESSAGES = 10

REBUILT = "What can be read is put into a new file; documents of which something is missing become pending."


def check_state(look: Look) -> Iterator[Finding]:
    """Every page of `state.db` and how they hang together."""
    yield from _check_file(look, look.state, STATE_FILE)


def check_blobs(look: Look) -> Iterator[Finding]:
    """Every page of `blob.db` and how they hang together."""
    yield from _check_file(look, look.blobs, BLOB_FILE)


def _check_file(look: Look, connection: apsw.Connection, name: str) -> Iterator[Finding]:
    failed = ""
    messages: list[str] = []
    try:
        look.proceed(int(connection.execute("PRAGMA page_count").get))
        rows: Any = connection.execute(f"PRAGMA integrity_check({_MESSAGES})")
        messages = [row[0] for row in rows]
    except apsw.Error as error:
        if not is_damage(error):
            raise
        failed = str(error)
    if not failed and messages == ["ok"]:
        if not connection.execute("PRAGMA page_count").get:
            look.found.structure.add(name)
            yield Damage("The file is empty.", name, REBUILT)
        size = (look.directory / name).stat().st_size
        if size % PAGE_BYTES[name] and not _log_bytes(look, name):
            look.found.structure.add(name)
            yield Damage(f"The file has {size:,} bytes, which is not a whole number of pages.", name, REBUILT)
        return
    look.found.structure.add(name)
    if is_folded_elsewhere(look.directory, name, look.seal):
        what = "Another program has opened it after a run was killed, and left pages without their checksums."
        yield Damage(what, name, "It is laid out anew; what it holds is then held against its hashes.")
        return
    pages = list(damaged_pages(look, name))
    yield from pages
    if not pages:
        for message in messages or [failed]:
            yield Damage(f"SQLite says of this database: {message}", name, REBUILT)


def is_folded_elsewhere(directory: Path, name: str, seal: Seal | None) -> bool:
    """Whether pages seem to lack their checksums only because a plain SQLite has folded the log back.

    That can only be where the workspace was not closed, and the log is gone. A bit that flipped there besides
    is found by the other checks alone: by the hashes of texts, keys and labels, not in what has none.
    """
    path = directory / name
    log = path.with_name(f"{name}-wal")
    if not page_checksums() or seal is None or seal.closed or (log.exists() and log.stat().st_size):
        return False
    try:
        with contextlib.closing(without_checking(path)) as connection:
            return bool(connection.execute("PRAGMA integrity_check(1)").get == "ok")
    except apsw.Error:
        return False


def _log_bytes(look: Look, name: str) -> int:
    try:
        return os.stat(f"{look.directory / name}-wal").st_size
    except OSError:
        return 0


def damaged_pages(look: Look, name: str) -> Iterator[Damage]:
    """Where the pages lie that cannot be read, by table."""
    try:
        with open_pages(look.directory / name, PAGE_BYTES[name], checksums=page_checksums()) as pages:
            trees = pages.trees()
            tables: Counter[str] = Counter()
            first: dict[str, int] = {}
            for number in pages.damaged():
                table = "its header" if number == 1 else trees.name(number)
                tables[table] += 1
                first.setdefault(table, number)
    except OSError as error:
        yield Damage(f"The file cannot be read ({error.strerror}).", name, REBUILT)
        return
    for table, count in sorted(tables.items()):
        what = "1 page does" if count == 1 else f"{count:,} pages do"
        place = f" in {table}" if table else ""
        yield Damage(
            f"{what} not have the checksum of when it was written{place} (page {first[table]:,}).",
            f"{name}: {table}" if table else name,
            REBUILT,
        )


def check_seal(look: Look) -> Iterator[Finding]:
    """That both databases are of one time, and that no table has lost its end."""
    look.looked_at += 1
    for name in foreign_logs(look.directory, look.seal):
        look.found.logs.append(name)
        yield Damage(
            f"{name}-wal: {FOREIGN_LOG[0].upper()}{FOREIGN_LOG[1:]}",
            f"{name}-wal",
            "The log is set aside, and what the database holds without it is looked at.",
        )
    missing = look.seal is None and counted(look.state, "session")
    if missing:
        yield Damage("The file is missing.", SEAL_FILE, "It is written anew.")
    for sentence, where in discrepancies(look.seal, look.state, look.blobs):
        what = sentence[0].upper() + sentence[1:]
        repair = "What is there is taken for right; documents of which something is missing become pending."
        yield Damage(what, where, repair)
    if look.seal is not None and not look.seal.closed:
        yield Note("The program ended without closing this workspace; what it had committed is there.")
    elif look.seal is None and not missing:
        yield Note("This workspace was never sealed; the next run does it.")


def check_schema(look: Look) -> Iterator[Finding]:
    """Every table and index is there, with the columns it should have."""
    fresh = apsw.Connection(":memory:")
    try:
        fresh.execute(state_schema())
        yield from _compare(look, fresh, look.state, STATE_FILE)
    finally:
        fresh.close()
    if not look.blobs.execute("SELECT 1 FROM sqlite_master WHERE name = 'blob'").get:
        look.found.structure.add(BLOB_FILE)
        yield Damage("The table blob is missing.", BLOB_FILE, REBUILT)


def state_schema() -> str:
    """The text of schema.sql."""
    return resources.files("tui_scraper.engine.store").joinpath("schema.sql").read_text(encoding="utf-8")


def _compare(look: Look, wanted: apsw.Connection, found: apsw.Connection, name: str) -> Iterator[Damage]:
    objects: Any = wanted.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    for kind, object_name, sql in objects:
        look.proceed(1)
        there: Any = found.execute(
            "SELECT type, sql FROM sqlite_master WHERE name = ?", (object_name,)
        ).fetchone()
        if there is None:
            what = f"The {kind} {object_name} is missing."
        elif kind == "table" and _columns(wanted, object_name) != _columns(found, object_name):
            what = f"The table {object_name} has other columns than it should."
        elif kind == "table" and _has_other_kinds(found, object_name):
            what = f"The table {object_name} has rows with values of a kind that is not written there."
        elif kind == "index" and _words(sql) != _words(there[1]):
            what = f"The index {object_name} is not the one it should be."
        else:
            continue
        look.found.structure.add(name)
        yield Damage(what, f"{name}: {object_name}", REBUILT)


def _columns(connection: apsw.Connection, table: str) -> list[tuple[object, ...]]:
    rows: Any = connection.execute(f"PRAGMA table_xinfo({table})")
    return [tuple(row[1:]) for row in rows]


_KINDS = {"INTEGER": "integer", "REAL": "real", "TEXT": "text", "BLOB": "blob"}


def _has_other_kinds(connection: apsw.Connection, table: str) -> bool:
    """SQLite lets any value into any column: the checks that follow rely on what is declared."""
    columns: Any = connection.execute(f"PRAGMA table_info({table})")
    wrong = []
    for _number, name, kind, required, _default, key in columns:
        if kind:
            kinds = [_KINDS[kind]] if required or key else [_KINDS[kind], "null"]
            wrong.append(f"typeof({name}) NOT IN ({', '.join(map(repr, kinds))})")
    return bool(connection.execute(f"SELECT 1 FROM {table} WHERE {' OR '.join(wrong)} LIMIT 1").get)  # noqa: S608


def _words(sql: object) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", str(sql))


def check_numbers(look: Look) -> Iterator[Finding]:
    """Ids are handed out one after another, so a table with fewer rows than its last id has lost some."""
    for table, column in NUMBERED.items():
        rows = look.one(f"SELECT count(*) FROM {table}")  # noqa: S608
        look.proceed(rows)
        missing = highest(look.state, table, column) - rows - counted(look.state, f"gone:{table}")
        if missing > 0:
            yield Damage(
                f"{missing:,} rows are missing in the table {table}.", f"{STATE_FILE}: {table}", REBUILT
            )
    yield from _meta(look)


def _meta(look: Look) -> Iterator[Damage]:
    wanted = ["schema", "created"]
    if look.one("SELECT 1 FROM run LIMIT 1"):
        wanted.append("source")
    if look.one("""SELECT 1 FROM config WHERE phase = 4 AND json LIKE '%"generation"%'"""):
        wanted.append("index_generation")
    for key in wanted:
        look.proceed(1)
        if look.one("SELECT 1 FROM meta WHERE key = ?", key) is None:
            yield Damage(f"The row '{key}' of the table meta is missing.", f"{STATE_FILE}: meta", REBUILT)
