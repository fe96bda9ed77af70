"""Bringing an older schema up to date: for each version, what makes it the next one.

Each step runs inside one transaction, after a copy of the database has been made; so a step that is
interrupted has not happened. Steps use no code that changes with later schemas.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

RECOUNT = "recount"
"""Key in `meta`: the counters were dropped on the way here, and are to be made anew."""


def _members(connection: apsw.Connection) -> None:
    """1 -> 2: documents inside documents."""
    connection.execute(
        """ALTER TABLE checkpoint ADD COLUMN inside TEXT NOT NULL DEFAULT '[0, 0]';
        ALTER TABLE checkpoint ADD COLUMN scan_changes INTEGER NOT NULL DEFAULT -1;
        CREATE INDEX document_inside ON document(parent) WHERE parent > 0;"""
    )


def _time_travel(connection: apsw.Connection) -> None:
    """2 -> 3: moves of the head that can be taken back, sealed scans, counters by cause.

    Counters of old checkpoints say nothing of causes: a rollback to one of them counts anew. Old moves cannot
    be taken back; that there were some is kept, because the head may be where they have put it.
    """
    connection.execute(
        """ALTER TABLE config ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE scan ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
        UPDATE scan SET sealed = 1;
        CREATE INDEX version_document ON version(document);
        CREATE INDEX version_moved ON version(mtime_ns, size_bytes) WHERE content IS NOT NULL;
        ALTER TABLE artifact ADD COLUMN data_sum BLOB;
        ALTER TABLE artifact ADD COLUMN cost_nano_usd INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE branch ADD COLUMN began INTEGER NOT NULL DEFAULT -1;
        ALTER TABLE head ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE head ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE head ADD COLUMN arrived INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX failure_cause ON failure(cause);
        UPDATE head SET run = (SELECT coalesce(max(id), 0) FROM run);
        INSERT INTO meta SELECT 'gone:reflog', count(*) FROM reflog HAVING count(*) > 0;
        DROP TABLE reflog;
        CREATE TABLE reflog(
            id INTEGER PRIMARY KEY,
            time REAL NOT NULL,
            before TEXT NOT NULL,
            after TEXT NOT NULL,
            why TEXT NOT NULL
        );
        ALTER TABLE checkpoint RENAME TO old_checkpoint;
        CREATE TABLE checkpoint(
            id INTEGER PRIMARY KEY,
            parent INTEGER REFERENCES checkpoint,
            run INTEGER NOT NULL,
            branch INTEGER NOT NULL,
            scan INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            phase INTEGER NOT NULL,
            why TEXT NOT NULL DEFAULT '',
            lineages TEXT NOT NULL,
            counters TEXT,
            tokens INTEGER NOT NULL,
            cost_nano_usd INTEGER NOT NULL,
            name TEXT,
            note TEXT,
            time REAL NOT NULL
        );
        INSERT INTO checkpoint(
            id, parent, run, branch, scan, seq, phase, lineages, tokens, cost_nano_usd, name, time
        )
        SELECT id, parent, run, branch, scan, seq, phase, lineages, tokens, cost_nano_usd, name, time
        FROM old_checkpoint;
        DROP TABLE old_checkpoint;
        DROP TABLE counter;
        CREATE TABLE counter(
            branch INTEGER NOT NULL,
            lineage INTEGER NOT NULL,
            status INTEGER NOT NULL,
            cause TEXT NOT NULL DEFAULT '',
            n INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            tokens INTEGER NOT NULL DEFAULT 0,
            cost_nano_usd INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY(branch, lineage, status, cause)
        ) WITHOUT ROWID;"""
    )
    connection.execute("INSERT INTO meta VALUES(?, 1)", (RECOUNT,))


def _times_of_change(connection: apsw.Connection) -> None:
    """3 -> 4: when a file was last changed, by the clock of its file system."""
    connection.execute("ALTER TABLE version ADD COLUMN ctime_ns INTEGER")


def _payments(connection: apsw.Connection) -> None:
    """4 -> 5: what calls are made for, their sums, and how endpoints want to be asked.

    No program with schema 4 made calls; rows that are there all the same are kept as answered.
    """
    connection.execute(
        """ALTER TABLE ledger RENAME TO old_ledger;
        CREATE TABLE ledger(
            id INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            kind TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            model TEXT NOT NULL,
            state TEXT NOT NULL CHECK(state IN ('sent', 'settled', 'released', 'lost')),
            tokens_in INTEGER NOT NULL DEFAULT 0,
            tokens_cached INTEGER NOT NULL DEFAULT 0,
            tokens_out INTEGER NOT NULL DEFAULT 0,
            cost_nano_usd INTEGER NOT NULL DEFAULT 0,
            reason TEXT NOT NULL DEFAULT '',
            time REAL NOT NULL,
            ended REAL
        );
        CREATE INDEX ledger_open ON ledger(state) WHERE state IN ('sent', 'lost');
        CREATE TABLE ledger_key(
            call INTEGER NOT NULL REFERENCES ledger,
            key BLOB NOT NULL,
            state INTEGER NOT NULL,
            PRIMARY KEY(call, key)
        ) WITHOUT ROWID;
        CREATE TABLE spending(
            one INTEGER PRIMARY KEY CHECK(one = 1),
            calls INTEGER NOT NULL DEFAULT 0,
            tokens_in INTEGER NOT NULL DEFAULT 0,
            tokens_cached INTEGER NOT NULL DEFAULT 0,
            tokens_out INTEGER NOT NULL DEFAULT 0,
            cost_nano_usd INTEGER NOT NULL DEFAULT 0,
            open_tokens INTEGER NOT NULL DEFAULT 0,
            open_nano_usd INTEGER NOT NULL DEFAULT 0,
            unsaved_tokens INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE profile(
            endpoint TEXT NOT NULL,
            model TEXT NOT NULL,
            json TEXT NOT NULL,
            time REAL NOT NULL,
            PRIMARY KEY(endpoint, model)
        ) WITHOUT ROWID;
        INSERT INTO ledger(id, run, kind, endpoint, model, state, tokens_in, tokens_out, cost_nano_usd, time)
        SELECT id, run, 'label', '', model,
            CASE state WHEN 'settled' THEN 'settled' WHEN 'released' THEN 'released' ELSE 'lost' END,
            tokens_in, tokens_out, cost_nano_usd, time FROM old_ledger;
        DROP TABLE old_ledger;
        CREATE TABLE signature(digest BLOB PRIMARY KEY, minhash BLOB NOT NULL) WITHOUT ROWID;
        INSERT INTO spending(one) VALUES(1);
        UPDATE spending SET
            calls = (SELECT count(*) FROM ledger WHERE state = 'settled'),
            tokens_in = (SELECT coalesce(sum(tokens_in), 0) FROM ledger WHERE state = 'settled'),
            tokens_out = (SELECT coalesce(sum(tokens_out), 0) FROM ledger WHERE state = 'settled'),
            cost_nano_usd = (SELECT coalesce(sum(cost_nano_usd), 0) FROM ledger WHERE state = 'settled'),
            open_tokens = (SELECT coalesce(sum(tokens_in + tokens_out), 0) FROM ledger WHERE state = 'lost'),
            open_nano_usd = (SELECT coalesce(sum(cost_nano_usd), 0) FROM ledger WHERE state = 'lost');"""
    )


def _vectors(connection: apsw.Connection) -> None:
    """5 -> 6: vectors of passages."""
    connection.execute(
        """CREATE TABLE vector(
            key BLOB PRIMARY KEY, blob INTEGER NOT NULL, place INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE unembedded(seq INTEGER PRIMARY KEY REFERENCES result, reason TEXT NOT NULL);"""
    )


def _human(connection: apsw.Connection) -> None:
    """6 -> 7: labels that a person has given."""
    connection.execute(
        """CREATE TABLE human(
            number INTEGER PRIMARY KEY, content BLOB NOT NULL UNIQUE, data BLOB, time REAL NOT NULL
        );"""
    )


MIGRATIONS: dict[int, Callable[[apsw.Connection], None]] = {
    1: _members,
    2: _time_travel,
    3: _times_of_change,
    4: _payments,
    5: _vectors,
    6: _human,
}
"""Schema -> what makes it the next one."""
