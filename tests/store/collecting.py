"""What a collection of garbage is checked against, and a process in which one is killed.

    python -m tests.store.collecting DIRECTORY KEEP [BEFORE_COMMIT]

collects with small pages, says "begun" first, and kills itself before that commit, if one is given.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import apsw
import msgspec

from tests.store.histories import points
from tui_scraper.engine import gc as command
from tui_scraper.engine.export.lines import read_rows
from tui_scraper.engine.store import garbage, gc
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.head import Head, decode_head
from tui_scraper.engine.store.writer import Transaction

PAID = frozenset({"openai", "human"})

REFERENCES = (
    ("version", "document", "document"),
    ("document", "parent", "document"),
    ("result", "version", "version"),
    ("result", "artifact", "artifact"),
    ("failure", "seq", "result"),
    ("checkpoint", "parent", "checkpoint"),
    ("head", "checkpoint", "checkpoint"),
)
"""(table, column, table): what refers to what."""


def claim(transaction: Transaction) -> None:
    """Make a store one that a run has begun in."""
    transaction.state.execute("INSERT INTO meta VALUES('source', ?)", (b"/nowhere",))


def exported(directory: Path, point: Head) -> bytes:
    """What an export of a point of history would hold."""
    state, blobs = open_state(directory, read_only=True), open_blobs(directory, read_only=True)
    try:
        return b"\n".join(msgspec.json.encode(row) for row in read_rows(state, blobs, point))
    finally:
        state.close()
        blobs.close()


def head_now(directory: Path) -> Head:
    state = open_state(directory, read_only=True)
    try:
        return points(state)[-1]
    finally:
        state.close()


class Expected:
    """What must stay of a store, found in a plain way: point by point, result by result."""

    def __init__(self, directory: Path, keep: int) -> None:
        self.directory = directory
        state = open_state(directory, read_only=True)
        try:
            self._read(state, keep)
        finally:
            state.close()
        self.exports = {key: exported(directory, point) for key, point in self.points.items()}

    def _read(self, state: apsw.Connection, keep: int) -> None:
        def column(sql: str) -> list[Any]:
            return [row[0] for row in state.execute(sql)]

        moves = column("SELECT id FROM reflog ORDER BY id")[-keep:]
        checkpoints = set(column("SELECT id FROM checkpoint ORDER BY id")[-keep:])
        checkpoints.update(column("SELECT id FROM checkpoint WHERE name IS NOT NULL"))
        checkpoints.update(column("SELECT checkpoint FROM head"))
        heads: dict[str, Head] = {}
        for move in moves:
            for end in ("before", "after"):
                text = state.execute(f"SELECT {end} FROM reflog WHERE id = ?", (move,)).get
                heads[f"{end} move {move}"] = decode_head(state, text)
                checkpoints.add(heads[f"{end} move {move}"].checkpoint)
        every = points(state)
        self.points: dict[str, Head] = {"head": every[-1], **heads}
        self.points.update(
            {
                f"checkpoint {point.checkpoint}": point
                for point in every[:-1]
                if point.checkpoint in checkpoints
            }
        )
        self.checkpoints = {point.checkpoint for point in every[:-1] if point.checkpoint in checkpoints}
        parents = dict(state.execute("SELECT id, parent FROM checkpoint").fetchall())
        self.parents = {}
        for checkpoint in self.checkpoints:
            parent = parents[checkpoint]
            while parent is not None and parent not in self.checkpoints:
                parent = parents[parent]
            self.parents[checkpoint] = parent
        self.moves = set(moves)
        self.versions = set(column("SELECT id FROM version WHERE scan_to IS NULL"))
        seen: set[int] = set()
        for point in self.points.values():
            self.versions.update(column(f"SELECT id FROM version v WHERE {point.live()}"))
            lineages = ",".join(map(str, point.lineages.values()))
            seen.update(
                column(f"SELECT seq FROM result r WHERE lineage IN ({lineages}) AND {point.visible()}")
            )
        rows: Any = state.execute("SELECT seq, version, artifact FROM result").fetchall()
        kept = [row for row in rows if row[0] in seen and row[1] in self.versions]
        self.results = {row[0] for row in kept}
        self.paid = {
            row[0]
            for row in state.execute("SELECT id, cost_nano_usd, data FROM artifact WHERE phase = 3")
            if row[1] or msgspec.msgpack.decode(row[2], type=StoredLabel).method in PAID
        }
        self.artifacts = self.paid | {row[2] for row in kept if row[2] is not None}
        artifacts: Any = state.execute("SELECT id, blob FROM artifact WHERE blob IS NOT NULL").fetchall()
        self.payloads = {blob for artifact, blob in artifacts if artifact in self.artifacts}
        self.ledger = state.execute("SELECT * FROM ledger ORDER BY id").fetchall()

    def check(self, *, exactly: bool = True) -> None:
        """Everything that must stay has stayed and says the same; with `exactly`, and nothing else."""
        state = open_state(self.directory, read_only=True)
        blobs = open_blobs(self.directory, read_only=True)
        try:
            for table, wanted, connection in (
                ("checkpoint", self.checkpoints, state),
                ("reflog", self.moves, state),
                ("result", self.results, state),
                ("version", self.versions, state),
                ("artifact", self.artifacts, state),
                ("blob", self.payloads, blobs),
            ):
                key = "seq" if table == "result" else "id"
                there = {row[0] for row in connection.execute(f"SELECT {key} FROM {table}")}
                assert wanted <= there, f"{table}: {sorted(wanted - there)} are gone"
                assert not exactly or wanted == there, f"{table}: {sorted(there - wanted)} are still there"
            assert state.execute("SELECT * FROM ledger ORDER BY id").fetchall() == self.ledger
            if exactly:
                assert dict(state.execute("SELECT id, parent FROM checkpoint").fetchall()) == self.parents
            for table, column, target in REFERENCES:
                key = "seq" if target == "result" else "id"
                dangling = state.execute(
                    f"""SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND {column} != 0
                    AND {column} NOT IN (SELECT {key} FROM {target})"""
                ).get
                assert dangling == 0, f"{table}.{column}"
            needed = {row[0] for row in state.execute("SELECT blob FROM artifact WHERE blob IS NOT NULL")}
            assert needed <= {row[0] for row in blobs.execute("SELECT id FROM blob")}
        finally:
            state.close()
            blobs.close()
        for key, point in self.points.items():
            assert exported(self.directory, point) == self.exports[key], key


def contents(directory: Path) -> dict[str, Any]:
    """Every row of both databases but for the lengths of payloads."""
    state, blobs = open_state(directory, read_only=True), open_blobs(directory, read_only=True)
    try:
        tables = [row[0] for row in state.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {table: state.execute(f"SELECT * FROM {table}").fetchall() for table in sorted(tables)}
        found["meta"] = [row for row in found["meta"] if row[0] != "session"]  # how often it was opened
        return {**found, "blob": blobs.execute("SELECT id, length(data) FROM blob ORDER BY id").fetchall()}
    finally:
        state.close()
        blobs.close()


def main() -> None:
    """Collect in this process, which may not live to see the end."""
    directory, keep = Path(sys.argv[1]), int(sys.argv[2])
    garbage.PAGE = gc._PAGE = 7
    gc._ARTIFACTS = 3
    left = int(sys.argv[3]) if len(sys.argv) > 3 else -1

    def before_commit() -> bool:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return False

    apsw.connection_hooks.append(lambda connection: connection.set_commit_hook(before_commit))
    print("begun", flush=True)
    command.collect(directory, keep=keep or None)


if __name__ == "__main__":
    main()
