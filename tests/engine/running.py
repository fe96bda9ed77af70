"""Drives a real engine through its host, and looks at what it says and leaves."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine import Event, PhaseName, RunRequest, RunSnapshot, RunState, Settings
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine_host import EngineHost

DEADLINE_S = 60.0
ENDED = {RunState.COMPLETE, RunState.STOPPED, RunState.FAILED}


class _Watched(EngineHost):
    """A host that judges every snapshot the engine publishes, not only those that somebody polls."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        super().__init__(emit)
        self.wrong: list[str] = []
        self.published = 0
        self.states: list[RunState] = []
        self.changed = threading.Condition()

    def _publish(self, snapshot: RunSnapshot) -> None:
        counts = snapshot.counts
        parts = (counts.done, counts.failed, counts.skipped, counts.empty, counts.pending)
        if min(parts) < 0 or sum(parts) != counts.found:
            self.wrong.append(f"{snapshot.state}: {counts}")
        with self.changed:
            self.published += 1
            if not self.states or self.states[-1] is not snapshot.state:
                self.states.append(snapshot.state)
            super()._publish(snapshot)
            self.changed.notify_all()


class Running:
    """An engine at work. Every wait has a deadline."""

    def __init__(self, request: RunRequest) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.host = _Watched(self.events.put)
        self.host.start(request)

    def wait(
        self, reached: Callable[[RunSnapshot], bool], what: str, deadline_s: float = DEADLINE_S
    ) -> RunSnapshot:
        """Wait for a snapshot. Fails, saying what was waited for, when it does not come."""
        until = time.monotonic() + deadline_s
        while True:
            snapshot = self.host.snapshot()
            if reached(snapshot):
                return snapshot
            left = until - time.monotonic()
            assert left > 0, (
                f"no {what} within {deadline_s:g} s: {snapshot.state} {snapshot.counts} {self.host.error}"
            )
            with self.host.changed:
                self.host.changed.wait(min(left, 0.02))

    def wait_for_end(self) -> RunSnapshot:
        """Wait until the pass is over, or the engine has given up."""
        return self.wait(lambda now: now.state in ENDED or self.host.ended, "end of the pass")

    def complete(self) -> RunSnapshot:
        """Wait for a complete pass, and let its events pass."""
        snapshot = self.wait_for_end()
        assert snapshot.state is RunState.COMPLETE, (snapshot.state, snapshot.notice, self.host.error)
        return snapshot

    def again(self) -> RunSnapshot:
        """Resume and wait for the next pass to complete."""
        before = self.host.snapshot()
        self.host.resume()
        self.wait(lambda now: now is not before and now.started != before.started, "next pass")
        return self.complete()


@contextmanager
def running(
    source: Path,
    workspace: Path,
    *,
    settings: dict[str, dict[str, object]] | None = None,
    through: str = "output",
    sample: int | None = None,
    export_dir: Path | None = None,
    accept_settings: bool = False,
    watch: bool = False,
    offline: bool = False,
) -> Iterator[Running]:
    """Start an engine; close it at the end, and fail if any snapshot broke the sum of documents."""
    chosen: dict[str, dict[str, object]] = {"engine": {"workers": 2}}
    for section, keys in (settings or {}).items():
        chosen[section] = {**chosen.get(section, {}), **keys}
    request = RunRequest(
        source=source,
        settings=Settings.model_validate(chosen),
        workspace=workspace,
        through=PhaseName(through),
        sample=sample,
        export_dir=export_dir,
        accept_settings=accept_settings,
        watch=watch,
        offline=offline,
    )
    run = Running(request)
    try:
        yield run
    finally:
        assert run.host.close(20), "the engine did not end"
    assert not run.host.wrong, run.host.wrong[:3]


def run_once(source: Path, workspace: Path, **options: Any) -> RunSnapshot:
    """One whole run."""
    with running(source, workspace, **options) as run:
        return run.complete()


def export_bytes(workspace: Path) -> bytes:
    """The exported rows."""
    return (workspace / "export" / "documents.jsonl").read_bytes()


def rows(workspace: Path) -> dict[str, dict[str, Any]]:
    """The exported rows by path."""
    return {row["path"]: row for row in map(json.loads, export_bytes(workspace).splitlines())}


def table(workspace: Path, sql: str, *values: object) -> Any:
    """Ask the store."""
    connection = open_state(workspace, read_only=True)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def change(workspace: Path, sql: str, file: str = "state.db") -> None:
    """Change a database behind the program's back."""
    connection = apsw.Connection(str(workspace / file))
    try:
        connection.execute(sql)
    finally:
        connection.close()


def results_by_phase(workspace: Path) -> dict[int, int]:
    """Result rows by phase number: what has been done, and redone."""
    return dict(table(workspace, "SELECT phase, count(*) FROM result GROUP BY phase"))


def check_counters(workspace: Path) -> None:
    """The live counters of the head equal what its results say."""
    from tui_scraper.engine.store.counters import count_anew
    from tui_scraper.engine.store.head import read_head

    connection = open_state(workspace, read_only=True)
    copy = apsw.Connection(":memory:")
    try:
        with copy.backup("main", connection, "main") as backup:
            backup.step()
        head = read_head(copy)
        kept = {0, *head.lineages.values()}

        def counters() -> list[Any]:
            found = copy.execute(
                """SELECT lineage, status, cause, n, bytes, tokens, cost_nano_usd FROM counter
                WHERE branch = ? AND (n != 0 OR bytes != 0 OR tokens != 0 OR cost_nano_usd != 0)
                ORDER BY lineage, status, cause""",
                (head.branch,),
            ).fetchall()
            return [row for row in found if row[0] in kept]

        live = counters()
        count_anew(copy)
        assert live == counters()
    finally:
        connection.close()
        copy.close()
