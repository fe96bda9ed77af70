"""Opening the two database files: `state.db` (small rows) and `blob.db` (payloads).

SQLite comes from apsw, because the one in the standard library may be too old for a WAL with a
concurrent writer. Both files run in WAL mode with synchronous=FULL: a commit that was acknowledged
survives a power cut. Every page carries a checksum (https://sqlite.org/cksumvfs.html), which SQLite checks
whenever it reads one: a bit that flips on a disk is an error, never another text or number.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import apsw
import apsw.sqlite_extra

from tui_scraper.engine import disk
from tui_scraper.engine.errors import StoreError, StoreOutdatedError
from tui_scraper.engine.store.counters import count_anew
from tui_scraper.engine.store.migrations import MIGRATIONS, RECOUNT

SCHEMA_VERSION = 7
STATE_FILE = "state.db"
BLOB_FILE = "blob.db"

_STATE_PAGE = 4096
_BLOB_PAGE = 65536

_WRITER_CACHE_KIB = 16_384
_CACHE_KIB = 2_048
"""Only the writer of `state.db` reads the same pages again and again (keys of artifacts lie at random);
for the others the system's own cache is enough, and there are ten of them."""


@contextmanager
def explained(path: Path, *connections: apsw.Connection) -> Iterator[None]:
    """Turn SQLite's errors into sentences: a full or read-only disk pauses a run, the rest ends it.

    `connections` are those that are used inside: they know which error the system gave. The system's own
    errors are explained too where they are about the state of a disk.
    """
    try:
        yield
    except apsw.Error as error:
        explanation = _explanation(path, _first(error), connections)
        if explanation is None:
            raise
        raise explanation from error
    except OSError as error:
        if error.errno not in disk.REFUSALS:
            raise
        raise disk.refusal(os.fsdecode(error.filename or path), error.errno) from error


@contextmanager
def closed_on_error(*connections: apsw.Connection) -> Iterator[None]:
    """Close what was opened where what has to follow fails. Outside of `explained`, which asks them why."""
    try:
        yield
    except BaseException:
        for connection in connections:
            connection.close()
        raise


def _first(error: BaseException) -> BaseException:
    """What went wrong before all that failed because of it, such as the end of a transaction."""
    while isinstance(error.__context__, apsw.Error):
        error = error.__context__
    return error


def _explanation(
    path: Path, error: BaseException, connections: Sequence[apsw.Connection]
) -> StoreError | None:
    match error:
        case apsw.FullError():
            return disk.refusal(path, errno.ENOSPC)
        case apsw.IOError() if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA:
            return _damaged(path, "a page does not have the checksum it was written with")
        case apsw.IOError() | apsw.ProtocolError():  # the latter: locking failed again and again
            return disk.refusal(path, _system_error(path, connections) or errno.EIO)
        case apsw.CorruptError() | apsw.NotADBError():
            return _damaged(path, str(error))
        case apsw.SQLError() if _OF_THE_SCHEMA.match(str(error)):
            return _damaged(path, str(error))
        case apsw.CantOpenError() | apsw.ReadOnlyError():
            number = _system_error(path, connections if isinstance(error, apsw.CantOpenError) else ())
            if number:
                return disk.refusal(path, number)
            return StoreError(
                f"{path}: the database cannot be opened for writing ({error}). Everything finished so far is "
                "saved; see that you may read and write this file and its folder, and start again."
            )
        case apsw.BusyError():  # also where the system refuses the lock for another reason
            if number := disk.state_of(path):
                return disk.refusal(path, number)
            return StoreError(
                f"{path}: another program keeps this database locked. Everything finished so far is saved; "
                "end that program and start again."
            )
    return None


_OF_THE_SCHEMA = re.compile(
    r"no such (table|column|index)|table \w+ has (no column|\d+ columns)|malformed database schema"
)
"""What SQLite says where a table is not there or not as it should be. The rest would be our mistake."""

_OF_THE_CONTENT = frozenset(
    {
        apsw.SQLITE_IOERR_READ,
        apsw.SQLITE_IOERR_SHORT_READ,
        apsw.SQLITE_IOERR_DATA,
        apsw.SQLITE_IOERR_CORRUPTFS,
    }
)


def is_damage(error: apsw.Error) -> bool:
    """Whether an error is about what a database holds, not about what its disk or the system allows now."""
    if isinstance(error, apsw.IOError):
        return getattr(error, "extendedresult", 0) in _OF_THE_CONTENT
    of_now = (apsw.FullError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.ProtocolError, apsw.BusyError)
    return not isinstance(error, (*of_now, apsw.NoMemError))


def _system_error(path: Path, connections: Sequence[apsw.Connection]) -> int:
    """The error number of the system behind SQLite's own, 0 where it is not known."""
    for connection in connections:
        with contextlib.suppress(apsw.ConnectionClosedError):
            number = connection.system_errno
            if number in disk.REFUSALS:
                return number
    return disk.state_of(path)


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(
        f"{path}: the database is damaged ({what}). `tui-scraper verify` says what is lost, "
        "and with --repair mends it."
    )


_CHECKSUM_BYTES = 8
"""At the end of each page, as cksumvfs has them."""
_HEADER_BYTES, _RESERVED_AT = 100, 20
"""https://sqlite.org/fileformat2.html#the_database_header"""
_BUSY_MS = 10_000


@functools.cache
def page_checksums() -> bool:
    """Have SQLite write and check page checksums, in all of this process. Whether it can.

    The extension is part of apsw's wheels; a build from source may lack it.
    """
    if apsw.sqlite_extra.has("cksumvfs") is None:
        return False
    connection = apsw.Connection(":memory:")
    try:
        apsw.sqlite_extra.load(connection, "cksumvfs")
    finally:
        connection.close()
    return True


_FIRST_READS = 50
_FIRST_READ_S = 0.005


def _has_checksums(path: Path) -> bool:
    """Whether pages have room for checksums, by the header of the file: a connection says what is meant."""
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)[_RESERVED_AT : _RESERVED_AT + 1] == bytes([_CHECKSUM_BYTES])


def connect(path: Path, *, page_size: int = _STATE_PAGE, read_only: bool = False) -> apsw.Connection:
    """One connection. Writers create the file; readers see committed data only."""
    checked = page_checksums()
    connection = _open_to_read(path) if read_only else apsw.Connection(str(path))
    connection.set_busy_timeout(_BUSY_MS)
    if not checked and _has_checksums(path):
        connection.close()
        raise StoreError(
            f"{path}: this database has page checksums, which this build of apsw cannot write. "
            "Install apsw from a wheel: pip install --force-reinstall --only-binary apsw apsw"
        )
    with closed_on_error(connection), explained(path, connection):
        if not read_only:
            connection.execute(f"PRAGMA page_size={page_size}")
            if checked:
                connection.reserve_bytes("main", _CHECKSUM_BYTES)  # only a database without pages heeds these
            _set_journal(connection, path, "wal")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute("PRAGMA journal_size_limit=67108864")
        cache_kib = _WRITER_CACHE_KIB if not read_only and page_size == _STATE_PAGE else _CACHE_KIB
        connection.execute(f"PRAGMA cache_size=-{cache_kib}")
        connection.execute("PRAGMA temp_store=MEMORY")
    return connection


def _set_journal(connection: apsw.Connection, path: Path, mode: str) -> None:
    """Say how changes are written, and see that it is so.

    SQLite answers before it has written that into the file, so only what follows the answer fails, and a
    connection that nobody asks for more goes on in the old mode.
    """
    found = connection.execute(f"PRAGMA journal_mode={mode}").fetchall()
    if found != [(mode,)]:
        raise StoreError(
            f"{path}: SQLite cannot keep its journal here as it must ({found[0][0]} instead of {mode}). "
            "Choose another place for the workspace with -w."
        )


def _has_log(path: Path) -> bool:
    try:
        return os.path.getsize(f"{path}-wal") > 0
    except OSError:
        return False


def _open_to_read(path: Path) -> apsw.Connection:
    """A connection that has its write-ahead log open, from when on nothing is read while it is written.

    Before, SQLite reads the first page without the lock that keeps a log from being folded back meanwhile,
    and a connection opened to an empty file goes on with the page size it has guessed. So a database that is
    being made can seem damaged; it is if a connection opened later says so too.

    On a disk that can only be read SQLite cannot make the files that go with a log. Where there are none,
    nobody works there, and it can do without.
    """
    for _ in range(_FIRST_READS):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(_BUSY_MS)
        try:
            connection.execute("PRAGMA schema_version").fetchall()
            if connection.execute("PRAGMA journal_mode").get == "wal":
                return connection
        except apsw.CantOpenError:
            if not disk.is_read_only(path) or _has_log(path):
                return connection
            connection.close()
            uri = f"file:{quote(os.fspath(path))}?immutable=1"
            return apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        except apsw.Error as error:
            damaged = getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
            if not damaged and not isinstance(error, apsw.ReadOnlyError):  # the latter: there is a journal
                return connection  # it will say the same when it is used
        connection.close()
        time.sleep(_FIRST_READ_S)
    if os.path.exists(f"{path}-journal"):  # only who writes may take back what was begun
        raise StoreError(
            f"{path}: making or renewing this workspace was interrupted; `tui-scraper run` goes on with it. "
            "Nothing is lost."
        )
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)


def without_checking(path: Path) -> apsw.Connection:
    """A connection to read a database with, whatever checksums its pages have."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.execute("PRAGMA checksum_verification=OFF").fetchall()
    return connection


@contextmanager
def snapshot(connection: apsw.Connection, path: Path) -> Iterator[apsw.Connection]:
    """One consistent view of the committed data for as long as the block lasts."""
    with explained(path, connection):
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")


def nothing_yet(path: Path) -> StoreError:
    """What to raise where there is a workspace, and no run has come far enough to leave anything in it."""
    return StoreError(f"{path}: there is nothing in this workspace yet; `tui-scraper run PATH` fills it.")


def open_state(directory: Path, *, read_only: bool = False) -> apsw.Connection:
    """Open `state.db`, creating its schema in a new file.

    Raises StoreError for a schema newer than this program knows.
    """
    path = directory / STATE_FILE
    with explained(path):
        if read_only and not path.exists():
            raise StoreError(
                f"{path}: this file is missing. Restore it from a copy; without one "
                "`tui-scraper verify --repair` has a run begin anew."
            )
        connection = connect(path, read_only=read_only)
    with closed_on_error(connection), explained(path, connection):
        is_new = not _has_table(connection, "meta")
        if is_new and not read_only:
            _create(connection)
        elif is_new:
            raise nothing_yet(path)
        version = connection.execute("SELECT value FROM meta WHERE key = 'schema'").get
        if version in MIGRATIONS and read_only:
            raise StoreOutdatedError(
                f"{path}: an older tui-scraper made this workspace; `tui-scraper run` renews it."
            )
        if version in MIGRATIONS:
            _migrate(connection, path, int(version))
        elif version != SCHEMA_VERSION:
            raise StoreError(
                f"{path}: the workspace has schema {version}, this program knows {SCHEMA_VERSION}. "
                "It was left untouched; use a newer tui-scraper."
            )
        if not read_only:
            _give_checksums(connection, path)
        return connection


def _create(connection: apsw.Connection) -> None:
    schema = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
    with connection:
        connection.execute(schema)
        connection.execute("INSERT INTO meta VALUES('schema', ?)", (SCHEMA_VERSION,))
        connection.execute("INSERT INTO spending(one) VALUES(1)")
        connection.execute("INSERT INTO meta VALUES('created', ?)", (time.time(),))
        connection.execute("INSERT INTO branch(id, parent, fork_seq, kept) VALUES(1, 0, 0, 5)")
        connection.execute(
            "INSERT INTO head(one, branch, scan, checkpoint, lineages) VALUES(1, 1, 0, 0, '{}')"
        )


def _migrate(connection: apsw.Connection, path: Path, version: int) -> None:
    """Bring an older schema up to date in one transaction, after copying the file beside itself."""
    copy = path.with_name(f"{path.stem}-schema-{version}.db")
    copy.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(copy),))
    with connection:
        while version < SCHEMA_VERSION:
            MIGRATIONS[version](connection)
            version += 1
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (version,))
        if connection.execute("DELETE FROM meta WHERE key = ? RETURNING 1", (RECOUNT,)).get:
            count_anew(connection)


def _give_checksums(connection: apsw.Connection, path: Path) -> None:
    """Lay pages out anew that an earlier version, or another build, has left no room for checksums."""
    if page_checksums() and not _has_checksums(path):
        _set_journal(connection, path, "delete")  # pages cannot be laid out anew in a write-ahead log
        connection.reserve_bytes("main", _CHECKSUM_BYTES)
        connection.execute("VACUUM")
        _set_journal(connection, path, "wal")


def open_blobs(directory: Path, *, read_only: bool = False) -> apsw.Connection:
    """Open `blob.db`. Large pages, because a payload is written once and read whole."""
    path = directory / BLOB_FILE
    with explained(path):
        connection = connect(path, page_size=_BLOB_PAGE, read_only=read_only)
    with closed_on_error(connection), explained(path, connection):
        if not read_only:
            connection.execute("CREATE TABLE IF NOT EXISTS blob(id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
            _give_checksums(connection, path)
        elif not _has_table(connection, "blob") and _is_being_made(directory):
            raise nothing_yet(path)
        return connection


def _has_table(connection: apsw.Connection, name: str) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (name,)).get)


def _is_being_made(directory: Path) -> bool:
    """Whether the writer has made `state.db` and not `blob.db`, which comes after it and before any run."""
    with contextlib.closing(open_state(directory, read_only=True)) as state:
        return not state.execute("SELECT EXISTS(SELECT 1 FROM run)").get
