"""Makes a workspace what an older version of the program would have left, so that it must be migrated.

Schema 2 knew no moves of the head that can be taken back, no causes of counters and no checksums of pages.
Its history is what it was; only what later ones keep besides is dropped, but for what tells how much garbage
was collected.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw

from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE, connect
from tui_scraper.engine.store.seal import SEAL_FILE

_BACK = """
    UPDATE meta SET value = 2 WHERE key = 'schema';
    DELETE FROM meta WHERE key IN ('session', 'collecting', 'any_lost', 'gone:reflog', 'floor:reflog');
    DROP INDEX version_document;
    DROP INDEX version_moved;
    DROP INDEX failure_cause;
    ALTER TABLE version DROP COLUMN ctime_ns;
    ALTER TABLE config DROP COLUMN version;
    ALTER TABLE scan DROP COLUMN sealed;
    ALTER TABLE artifact DROP COLUMN data_sum;
    ALTER TABLE artifact DROP COLUMN cost_nano_usd;
    ALTER TABLE branch DROP COLUMN began;
    ALTER TABLE head DROP COLUMN run;
    ALTER TABLE head DROP COLUMN pinned;
    ALTER TABLE head DROP COLUMN arrived;
    ALTER TABLE reflog ADD COLUMN branch_before INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE reflog ADD COLUMN branch_after INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE reflog DROP COLUMN before;
    ALTER TABLE reflog DROP COLUMN after;
    INSERT INTO reflog(time, branch_before, branch_after, why)
        SELECT 0, 1, branch, 'forgotten since' FROM head
        WHERE branch > 1 AND NOT EXISTS (SELECT 1 FROM reflog);
    ALTER TABLE checkpoint DROP COLUMN why;
    ALTER TABLE checkpoint DROP COLUMN counters;
    ALTER TABLE checkpoint DROP COLUMN note;
    ALTER TABLE checkpoint ADD COLUMN totals TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE checkpoint ADD COLUMN inside TEXT NOT NULL DEFAULT '[0, 0]';
    ALTER TABLE checkpoint ADD COLUMN scan_changes INTEGER NOT NULL DEFAULT -1;
    DROP INDEX ledger_open;
    ALTER TABLE ledger RENAME TO new_ledger;
    CREATE TABLE ledger(
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL,
        version INTEGER,
        artifact_key BLOB,
        model TEXT NOT NULL,
        state TEXT NOT NULL CHECK(state IN ('reserved', 'sent', 'settled', 'released')),
        tokens_in INTEGER NOT NULL DEFAULT 0,
        tokens_out INTEGER NOT NULL DEFAULT 0,
        cost_nano_usd INTEGER NOT NULL DEFAULT 0,
        time REAL NOT NULL
    );
    INSERT INTO ledger SELECT id, run, NULL, NULL, model, iif(state = 'lost', 'sent', state), tokens_in,
        tokens_out, cost_nano_usd, time FROM new_ledger;
    DROP TABLE new_ledger;
    DROP TABLE ledger_key;
    DROP TABLE spending;
    DROP TABLE profile;
    DROP TABLE signature;
    DROP TABLE vector;
    DROP TABLE unembedded;
    DROP TABLE human;
    DROP TABLE counter;
    CREATE TABLE counter(
        branch INTEGER NOT NULL,
        lineage INTEGER NOT NULL,
        status INTEGER NOT NULL,
        n INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        tokens INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY(branch, lineage, status)
    ) WITHOUT ROWID;"""


def make_older(workspace: Path) -> None:
    """Turn a workspace that nobody works in into one of schema 2."""
    (workspace / SEAL_FILE).unlink(missing_ok=True)
    for name, back in ((BLOB_FILE, "DROP TABLE IF EXISTS meta"), (STATE_FILE, _BACK)):
        with contextlib.closing(connect(workspace / name)) as connection:
            with connection:
                connection.execute(back)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _without_checksums(workspace / name)


def is_older(workspace: Path) -> bool:
    """Whether a workspace still waits for its migration. It is sound then, as far as SQLite knows."""
    with contextlib.closing(connect(workspace / STATE_FILE, read_only=True)) as state:
        assert state.execute("PRAGMA integrity_check").get == "ok"
        return bool(state.execute("SELECT value FROM meta WHERE key = 'schema'").get == 2)


def _without_checksums(path: Path) -> None:
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.reserve_bytes("main", 0)
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode=WAL")
