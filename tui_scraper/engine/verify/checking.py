"""Runs the checks over a workspace, one after another, without writing anything to it.

They go from the ground up: files, then rows, then what rows say. A check that meets damage it cannot read
past says so, and the others go on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from tui_scraper.engine.errors import StoreBlockedError, StoreError
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.connection import (
    BLOB_FILE,
    SCHEMA_VERSION,
    STATE_FILE,
    connect,
    explained,
    is_damage,
    open_state,
)
from tui_scraper.engine.store.seal import SEAL_FILE, Seal, read_seal
from tui_scraper.engine.verify.artifacts import check_artifacts
from tui_scraper.engine.verify.counters import check_counters
from tui_scraper.engine.verify.databases import (
    REBUILT,
    check_blobs,
    check_numbers,
    check_schema,
    check_seal,
    check_state,
    damaged_pages,
)
from tui_scraper.engine.verify.documents import check_documents
from tui_scraper.engine.verify.exports import check_exports
from tui_scraper.engine.verify.history import check_history
from tui_scraper.engine.verify.human import check_human
from tui_scraper.engine.verify.index import check_index
from tui_scraper.engine.verify.look import Finding, Found, Look
from tui_scraper.engine.verify.report import Check, Damage, Note, Report
from tui_scraper.engine.verify.results import check_results
from tui_scraper.engine.verify.vectors import check_vector_files, check_vectors
from tui_scraper.engine.workspace import locked

Progress = Callable[[str, int], None]
"""Called with the name of a check and how much it has looked at, now and then."""

_STEPS = 2_000_000
"""Steps of SQLite's machine between two signs of life: some hundredths of a second."""


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    unit: str
    check: Callable[[Look], Iterator[Finding]]


_STEPS_OF_STATE = (
    _Step("schema", "tables and indexes", check_schema),
    _Step("seal", "seal", check_seal),
    _Step("numbers", "rows", check_numbers),
    _Step("history", "points and moves", check_history),
    _Step("documents", "documents", check_documents),
    _Step("results", "results with their keys", check_results),
    _Step("counters", "points of history", check_counters),
    _Step("artifacts", "artifacts", check_artifacts),
    _Step("human", "labels of people", check_human),
    _Step("index", "documents' chunks", check_index),
    _Step("vectors", "vectors", check_vectors),
    _Step("vector files", "vectors", check_vector_files),
    _Step("exports", "exports", check_exports),
)


def verify(directory: Path, progress: Progress = lambda _name, _count: None) -> Report:
    """Look at everything in a workspace. It is locked meanwhile, and nothing in it is written.

    Raises WorkspaceLockedError where another process works in it, StoreError where a newer or an older
    version of the program made it, or where a database cannot be opened for another reason than damage.
    """
    with explained(directory), locked(directory):
        return look_at(directory, progress)[0]


def look_at(directory: Path, progress: Progress) -> tuple[Report, Found]:
    """The report, and what repair needs besides. The workspace must be locked."""
    started = time.monotonic()
    checks: list[Check] = []
    found = Found()
    with _opened(directory, BLOB_FILE) as blobs, _opened(directory, STATE_FILE) as state:
        seal, seal_damage = _seal(directory)
        ghost = apsw.Connection(":memory:")
        look = Look(directory, _or(state, ghost), _or(blobs, ghost), seal, lambda _count: None, found=found)
        for connection, name, check in ((state, STATE_FILE, check_state), (blobs, BLOB_FILE, check_blobs)):
            if isinstance(connection, str):
                checks.append(_unopened(look, name, connection))
            else:
                _give_signs(connection, look)
                checks.append(_run(_Step(name, "pages", check), look, progress))
        if not isinstance(state, str):
            _refuse_other_schemas(directory, state)
            for step in _STEPS_OF_STATE:
                checks.append(_run(step, look, progress, seal_damage if step.name == "seal" else ()))
        elif seal_damage:
            checks.append(Check("seal", 1, "seal", seal_damage, (), 0.0))
        ghost.close()
    return Report(safe_text(str(directory)), tuple(checks), time.monotonic() - started), found


def _seal(directory: Path) -> tuple[Seal | None, tuple[Damage, ...]]:
    try:
        return read_seal(directory), ()
    except StoreError as error:
        if isinstance(error.__cause__, OSError):
            raise
        return None, (Damage("The file is damaged.", SEAL_FILE, "It is written anew."),)


@contextmanager
def _opened(directory: Path, name: str) -> Iterator[apsw.Connection | str]:
    """A read-only connection; where there cannot be one, the reason."""
    path = directory / name
    try:
        connection = connect(path, read_only=True)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except (apsw.Error, StoreError) as error:
        if not _is_damage(error, path):
            raise
        yield safe_text(str(error.__cause__ or error), limit=200)
        return
    try:
        yield connection
    finally:
        connection.close()


def _is_damage(error: apsw.Error | StoreError, path: Path) -> bool:
    """Whether a database cannot be opened because of what it holds, or because it is gone."""
    cause = error.__cause__ if isinstance(error, StoreError) else error
    return not path.exists() or (isinstance(cause, apsw.Error) and is_damage(cause))


def _or(connection: apsw.Connection | str, other: apsw.Connection) -> apsw.Connection:
    return other if isinstance(connection, str) else connection


def _unopened(look: Look, name: str, reason: str) -> Check:
    look.found.structure.add(name)
    what = Damage(f"The database cannot be opened: {reason}.", name, REBUILT)
    pages = tuple(damaged_pages(look, name)) if (look.directory / name).exists() else ()
    return Check(name, 0, "pages", (what, *pages), (), 0.0)


def _give_signs(connection: apsw.Connection, look: Look) -> None:
    def sign() -> bool:
        look.tick(look.looked_at)
        return False  # go on

    connection.set_progress_handler(sign, _STEPS)


def _refuse_other_schemas(directory: Path, state: apsw.Connection) -> None:
    """An older schema is renewed by `run`, a newer one is left to a newer program: both say so themselves."""
    with contextlib.suppress(apsw.Error):
        version = state.execute("SELECT value FROM meta WHERE key = 'schema'").get
        if isinstance(version, int) and version != SCHEMA_VERSION:
            with explained(directory / STATE_FILE):
                open_state(directory, read_only=True).close()


_UNREADABLE = (apsw.Error, StoreError, TypeError, ValueError, LookupError, AttributeError, OverflowError)
"""What the checks read was written by this program: anything that they cannot read is damage."""


def _run(step: _Step, look: Look, progress: Progress, before: tuple[Damage, ...] = ()) -> Check:
    started = time.monotonic()
    look.looked_at = 0
    look.tick = lambda count: progress(step.name, count)
    look.tick(0)
    damages, notes = list(before), list[Note]()
    try:
        for finding in step.check(look):
            if isinstance(finding, Damage):
                damages.append(finding)
            else:
                notes.append(finding)
    except StoreBlockedError:
        raise
    except _UNREADABLE as error:
        if isinstance(error, apsw.Error) and not is_damage(error):
            raise
        look.found.structure.add(STATE_FILE)
        reason = safe_text(str(error), limit=200)
        damages.append(Damage(f"This could not be looked at to its end ({reason}).", STATE_FILE, REBUILT))
    took = time.monotonic() - started
    return Check(step.name, look.looked_at, step.unit, tuple(damages), tuple(notes), took)
