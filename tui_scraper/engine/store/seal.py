"""The seal: what shows that both databases are of one time, and that nothing was put back or cut off.

Page checksums tell a sound page from a damaged one, but an old page is sound, too. So a workspace is opened
for writing under an odd number and closed under the next, even one. The number is kept in both databases and
in `seal.json` beside them, which also says where every table ended and which write-ahead logs were left
behind. A database restored from an older copy, a log put back, rows gone from the end of a table: each
leaves numbers that no crash can leave.

What a crash can leave follows from the order of writes: opening goes `seal.json`, `blob.db`, `state.db`,
closing `blob.db`, `state.db`, `seal.json`, each durable before the next.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import apsw
import msgspec

from tui_scraper.engine import disk
from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE, connect, explained

SEAL_FILE = "seal.json"

NUMBERED: Mapping[str, str] = {
    "config": "id",
    "lineage": "id",
    "scan": "id",
    "document": "id",
    "version": "id",
    "artifact": "id",
    "result": "seq",
    "branch": "id",
    "ledger": "id",
    "run": "id",
    "checkpoint": "id",
    "reflog": "id",
    "export": "id",
}
"""Tables of `state.db` whose ids are handed out one after another, with the column that holds them."""

_SESSION = "session"
_LOG_HEADER_BYTES = 32


class Seal(msgspec.Struct, frozen=True):
    """What `seal.json` holds.

    `session` is odd while the workspace is open for writing. `found` are the numbers that `blob.db` and
    `state.db` had when it was opened. `last` is the highest id handed out in each table, `meta` the rows of
    `meta` as SQL literals, `logs` what was left of the write-ahead logs and `index` the mark of the search
    index ('': not known), all as they were when the workspace was last closed. `replacing` are databases that
    a repair is putting new files in the place of.
    """

    session: int
    found: tuple[int, int] = (0, 0)
    last: dict[str, int] = {}
    meta: dict[str, str] = {}
    logs: dict[str, str] = {}
    index: str = ""
    replacing: list[str] = []

    @property
    def closed(self) -> bool:
        """Whether the workspace was closed, so that everything here still holds."""
        return self.session % 2 == 0


class _File(msgspec.Struct, frozen=True):
    """The seal as it was written, which may be by a version that puts more or less into it, and its hash."""

    seal: msgspec.Raw
    sum: str


def read_seal(directory: Path) -> Seal | None:
    """The seal of a workspace; None where there is none.

    Raises StoreError where it cannot be read or is not what was written.
    """
    path = directory / SEAL_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in disk.REFUSALS:
            raise disk.refusal(path, error.errno) from error
        raise StoreError(
            f"{path}: this file cannot be read ({error.strerror}). Everything finished so far is saved; "
            "see that you may read it, and start again."
        ) from error
    try:
        body = bytes(msgspec.json.decode(data, type=_File).seal)
        seal = msgspec.json.decode(body, type=Seal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        body, seal = b"", None
    if seal is None or data != _signed(body):
        raise StoreError(f"{path}: the file is damaged; {_WHAT_TO_DO}")
    return seal


_WHAT_TO_DO = "`tui-scraper verify` says what else is, and with --repair mends it."


def write_seal(directory: Path, seal: Seal) -> None:
    """Write the seal: the file is the old one or the new one, whatever happens, and durable afterwards.

    Raises StoreBlockedError where the disk is full or read-only, or StoreError.
    """
    path, new = directory / SEAL_FILE, directory / (SEAL_FILE + ".new")
    try:
        with new.open("wb") as file:
            file.write(_signed(msgspec.json.encode(seal, order="sorted")))
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise disk.refusal(path, error.errno or errno.EIO) from error


def _signed(body: bytes) -> bytes:
    return msgspec.json.encode(_File(msgspec.Raw(body), digest(body).hex()), order="sorted") + b"\n"


class Sealing:
    """One opening of a workspace for writing: `begin`, `note` while the databases are open, and `end`."""

    def __init__(self, directory: Path, *, trusting: bool = False) -> None:
        """Look at what was left, before anything is opened for writing.

        SQLite would take up a log that was put back, and a migration changes what the seal tells of. With
        `trusting` the files are taken for right as they are.

        Raises StoreError where the databases and logs are not those of this workspace as it was closed.
        """
        self._directory = directory
        self._session = 0
        self._last: dict[str, int] = {}
        self._meta: dict[str, str] = {}
        try:
            known = read_seal(directory)
        except StoreError:
            if not trusting:
                raise
            known = None
        self._trusting = trusting
        self._known = known
        if known is None or trusting:
            return
        if known.replacing:
            raise StoreError(
                f"{directory}: a repair was interrupted here; `tui-scraper verify --repair` finishes it."
            )
        if known.closed:
            if not any(_holds_something(directory / name) for name in (STATE_FILE, BLOB_FILE)):
                raise StoreError(
                    f"{directory}: the databases are gone, although {SEAL_FILE} tells of some. Restore them "
                    f"from a copy, or delete {SEAL_FILE} to begin again."
                )
            foreign = foreign_logs(directory, known)
            if foreign:
                raise StoreError(f"{directory / foreign[0]}: {FOREIGN_LOG} {_WHAT_TO_DO}")
            self._compare_files(known)
            self._write(known, (known.session, known.session))

    def _compare_files(self, known: Seal) -> None:
        with explained(self._directory), contextlib.ExitStack() as stack:
            state, blobs = (
                stack.enter_context(contextlib.closing(connect(self._directory / name, read_only=True)))
                for name in (STATE_FILE, BLOB_FILE)
            )
            self._refuse(discrepancies(known, state, blobs))

    def _refuse(self, wrong: Iterable[tuple[str, str]]) -> None:
        for sentence, _table in wrong:
            raise StoreError(f"{self._directory}: {sentence} {_WHAT_TO_DO}")

    def begin(self, state: apsw.Connection, blobs: apsw.Connection) -> None:
        """Open under the next odd number.

        Raises StoreError where the databases are not of one time, or a table lost its end.
        """
        with explained(self._directory, blobs, state):
            if not self._session:
                if not self._trusting:
                    self._refuse(discrepancies(self._known, state, blobs))
                self._write(self._known or Seal(0), sessions(state, blobs))
            blobs.execute("CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID")
        self._put(state, blobs)

    def _write(self, known: Seal, found: tuple[int, int]) -> None:
        newest = max(known.session, *found)
        self._session = newest + 1 + newest % 2
        write_seal(self._directory, msgspec.structs.replace(known, session=self._session, found=found))

    def _put(self, state: apsw.Connection, blobs: apsw.Connection) -> None:
        self._put_one(blobs)
        self._put_one(state)

    def _put_one(self, connection: apsw.Connection) -> None:
        with explained(self._directory, connection):
            connection.execute(
                "INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (_SESSION, self._session),
            )

    def note(self, state: apsw.Connection, blobs: apsw.Connection) -> bool:
        """Close the databases' part under the next number. Whether that could be written.

        Where it could not (the disk is full, say), the workspace is as one that was killed: sound.
        """
        self._session += 1
        try:
            self._put(state, blobs)
            self._last, self._meta = last_numbers(state, blobs), meta_rows(state)
        except (StoreError, apsw.Error):
            self._session = 0
        return bool(self._session)

    def end(self, index: str = "") -> None:
        """Seal the workspace, when both databases are closed. Does nothing where `note` could not."""
        if not self._session:
            return
        with contextlib.suppress(StoreError):  # as in `note`: what is not sealed is not damaged
            seal = Seal(
                session=self._session,
                found=(self._session, self._session),
                last=self._last,
                meta=self._meta,
                logs={name: _log(self._directory / name) for name in (STATE_FILE, BLOB_FILE)},
                index=index,
            )
            write_seal(self._directory, seal)


FOREIGN_LOG = "beside this database lies a write-ahead log of another time."


def _holds_something(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def foreign_logs(directory: Path, seal: Seal | None) -> list[str]:
    """The database files beside which lies another write-ahead log than the one that was left there."""
    if seal is None or not seal.closed:
        return []
    return [name for name, left in sorted(seal.logs.items()) if _log(directory / name) != left]


def _log(path: Path) -> str:
    """What tells a write-ahead log from every other: its length and its header, which has random numbers."""
    try:
        with open(f"{path}-wal", "rb") as file:
            header = file.read(_LOG_HEADER_BYTES)
            return f"{os.fstat(file.fileno()).st_size} {header.hex()}" if header else ""
    except FileNotFoundError:
        return ""
    except OSError as error:  # not to be seen is not the same as not there
        raise disk.refusal(f"{path}-wal", error.errno or errno.EIO) from error


def sessions(state: apsw.Connection, blobs: apsw.Connection) -> tuple[int, int]:
    """The numbers that `blob.db` and `state.db` were last written under; 0 before there were any."""
    return _session(blobs), _session(state)


def _session(connection: apsw.Connection) -> int:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").get:
        return 0
    number = connection.execute("SELECT value FROM meta WHERE key = ?", (_SESSION,)).get
    return number if isinstance(number, int) else 0


def last_numbers(state: apsw.Connection, blobs: apsw.Connection) -> dict[str, int]:
    """The highest id handed out in each table, also where its row has been collected as garbage since."""
    last = {table: highest(state, table, column) for table, column in NUMBERED.items()}
    payloads = int(blobs.execute("SELECT coalesce(max(id), 0) FROM blob").get)
    return {**last, "blob": max(payloads, counted(state, "floor:blob"))}


def highest(state: apsw.Connection, table: str, column: str) -> int:
    """The highest id that was handed out in a table."""
    there = state.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").get  # noqa: S608
    return max(int(there), counted(state, f"floor:{table}"))


def counted(state: apsw.Connection, key: str) -> int:
    """A number in `meta`; 0 where it is not there."""
    value = state.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
    return value if isinstance(value, int) else 0


def meta_rows(state: apsw.Connection) -> dict[str, str]:
    """The rows of `meta` as SQL literals, but for the session and the schema, which a migration changes."""
    rows: Any = state.execute(
        "SELECT key, quote(value) FROM meta WHERE key NOT IN (?, 'schema')", (_SESSION,)
    )
    return dict(rows)


def sealed_meta(seal: Seal | None) -> dict[str, int | float | str | bytes | None]:
    """The rows of `meta` that a seal tells of."""
    return {key: _unquoted(literal) for key, literal in seal.meta.items()} if seal is not None else {}


def _unquoted(literal: str) -> int | float | str | bytes | None:
    """The value of a literal as SQLite's quote() writes it."""
    if literal.startswith("X'"):
        return bytes.fromhex(literal[2:-1])
    if literal.startswith("'"):
        return literal[1:-1].replace("''", "'")
    if literal == "NULL":
        return None
    return float(literal) if set(literal) & set(".eIN") else int(literal)


def discrepancies(
    seal: Seal | None, state: apsw.Connection, blobs: apsw.Connection
) -> Iterator[tuple[str, str]]:
    """What does not go together: sentences, each with the table or file that it is about."""
    found = sessions(state, blobs)
    if not _of_one_time(seal, found):
        yield _of_two_times(seal, found)
        return
    if seal is None:
        return
    numbers = last_numbers(state, blobs)
    for table, before in seal.last.items():
        now = numbers.get(table, before)
        if now < before or (now > before and seal.closed):
            yield (
                f"the table {table} ended at row {before:,} when the workspace was closed, and ends at "
                f"{now:,} now.",
                table,
            )
    if seal.closed and meta_rows(state) != seal.meta:
        yield "the table meta is not what it was when the workspace was closed.", "meta"


def _of_one_time(seal: Seal | None, found: tuple[int, int]) -> bool:
    if seal is None:
        return found[0] == found[1] or found[0] == found[1] + 1
    number = seal.session
    if seal.closed:
        return found == (number, number)
    before_blobs, before_state = seal.found
    return found in {
        (before_blobs, before_state),
        (number, before_state),
        (number, number),
        (number + 1, number),
        (number + 1, number + 1),
    }


def _of_two_times(seal: Seal | None, found: tuple[int, int]) -> tuple[str, str]:
    blobs, state = found
    newest = max(blobs, state)
    if seal is not None and seal.session > newest:
        newest = seal.session
    older = [name for name, number in ((BLOB_FILE, blobs), (STATE_FILE, state)) if number < newest]
    if seal is not None and seal.session < max(blobs, state):
        older.append(SEAL_FILE)
    names = " and ".join(older) or STATE_FILE
    verb = "are" if len(older) > 1 else "is"
    return (
        f"{names} {verb} of an earlier time than the rest (numbers {state}, {blobs} and "
        f"{seal.session if seal is not None else 'none'}): an older copy was put in place, or a write-ahead "
        "log was lost or put back.",
        names,
    )
