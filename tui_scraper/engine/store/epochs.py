"""Which scan a change to the documents belongs to.

Whether a document is present at a point of history depends on the number of a scan alone. So no point that
somebody may come back to shares its number with what is found later: a checkpoint seals the scan it has
seen, and whatever comes or goes after that belongs to the next number. That makes going back exact, and a
matter of one row.
"""

from __future__ import annotations

import dataclasses
import time

import apsw

from tui_scraper.engine.store.counters import count_anew
from tui_scraper.engine.store.head import Head, read_head


def seal(state: apsw.Connection, scan: int) -> None:
    """Somebody may come back to this: nothing more is entered under this number."""
    state.execute("UPDATE scan SET sealed = 1 WHERE id = ? AND sealed = 0", (scan,))


def begin(state: apsw.Connection) -> Head:
    """Begin a scan, which becomes the head's. Returns the head.

    After a rollback, what came and went since the head's scan is seen, or no longer seen, at once: the folder
    is what it is. Counters are made anew then.
    """
    before = read_head(state).scan
    state.execute("INSERT INTO scan(started) VALUES(?)", (time.time(),))
    _move(state, before, state.last_insert_rowid())
    return read_head(state)


def open_scan(state: apsw.Connection) -> Head:
    """The head with a scan that may be added to: its own, or where that is sealed the next part of it."""
    head = read_head(state)
    if state.execute("SELECT sealed FROM scan WHERE id = ?", (head.scan,)).get == 0:
        return head
    state.execute(
        """INSERT INTO scan(started, ended, ignored)
        SELECT coalesce(max(started), ?), max(ended), coalesce(max(ignored), '{}') FROM scan WHERE id = ?""",
        (time.time(), head.scan),
    )
    scan = state.last_insert_rowid()
    _move(state, head.scan, scan)
    return dataclasses.replace(head, scan=scan)


def _move(state: apsw.Connection, before: int, scan: int) -> None:
    state.execute("UPDATE head SET scan = ?", (scan,))
    missed = state.execute(
        "SELECT count(*) FROM scan WHERE id > ? AND id < ? AND changes > 0", (before, scan)
    ).get
    if missed:
        count_anew(state)
