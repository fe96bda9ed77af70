"""Runs: when, by which process and with which settings something was done, and how it ended."""

from __future__ import annotations

import os
import socket
import time

import apsw

from tui_scraper.engine.store.writer import Operation, Transaction


def begin_run(settings_json: str) -> Operation[int]:
    """Record that a run started, and with which settings: they are in force now. Returns its id."""

    def operation(transaction: Transaction) -> int:
        transaction.state.execute(
            "INSERT INTO run(started, pid, host, settings, state) VALUES(?, ?, ?, ?, 'running')",
            (time.time(), os.getpid(), socket.gethostname(), settings_json),
        )
        run = transaction.state.last_insert_rowid()
        transaction.state.execute("UPDATE head SET run = ?", (run,))
        return run

    return operation


def end_run(run: int, state: str) -> Operation[None]:
    """Record how a run ended."""

    def operation(transaction: Transaction) -> None:
        transaction.state.execute(
            "UPDATE run SET ended = ?, state = ? WHERE id = ?", (time.time(), state, run)
        )

    return operation


def settings_of(state: apsw.Connection, run: int) -> str | None:
    """The settings of a run as JSON; None where there is no such run."""
    found = state.execute("SELECT settings FROM run WHERE id = ?", (run,)).get
    return found if isinstance(found, str) else None
