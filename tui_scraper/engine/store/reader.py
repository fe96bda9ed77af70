"""What a front end reads of a workspace: its own read-only connections, short transactions.

It works beside a running engine and without one, and sees only what is committed. Names, messages
and texts come from documents, so everything returned here has passed through `safe_text`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tui_scraper.engine.models import (
    PHASES,
    Cause,
    CauseCount,
    Checkpoint,
    CheckpointDetails,
    FailureRow,
    PhaseName,
    Status,
    StatusReport,
)
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.checkpoints import (
    find_checkpoint,
    read_checkpoints,
    require_checkpoint,
    thinned,
)
from tui_scraper.engine.store.codec import unpack
from tui_scraper.engine.store.compare import Comparison, compare
from tui_scraper.engine.store.connection import closed_on_error, open_blobs, open_state, snapshot
from tui_scraper.engine.store.counters import counts_of, read_totals, totals_at
from tui_scraper.engine.store.head import STATUSES, Head, read_head, read_point
from tui_scraper.engine.store.labelling import count_stand_ins
from tui_scraper.engine.store.ledger import Audit, audit, read_spending
from tui_scraper.engine.store.runs import settings_of
from tui_scraper.engine.store.setbacks import bad_results
from tui_scraper.engine.store.vectors import count_without
from tui_scraper.engine.wire import CleanText


class Reader:
    """Reads one workspace. A context manager; use it from one thread at a time.

    Raises StoreError where the workspace cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = open_state(directory, read_only=True)
        with closed_on_error(self._state):
            self._blobs = open_blobs(directory, read_only=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._state.close()
        self._blobs.close()

    def status(self, *, locked: bool = False) -> StatusReport:
        """Where the workspace stands. `locked`: another process is working in it."""
        with snapshot(self._state, self._directory):
            return self._status(read_head(self._state), locked=locked)

    def _status(self, head: Head, *, locked: bool) -> StatusReport:
        """The same inside a read transaction."""
        totals = read_totals(self._state, head)
        rows: Any = self._state.execute("SELECT key, value FROM meta")
        meta = dict(rows)
        ignored = self._state.execute("SELECT ignored FROM scan WHERE id = ?", (head.scan,)).get
        run = self._state.execute("SELECT state FROM run ORDER BY id DESC LIMIT 1").get
        paid = read_spending(self._state)
        without = count_without(self._state, head)
        state = run or "new"
        counts = counts_of(totals)
        if state == "running" and not locked:
            state = "interrupted"
        elif state == "incomplete" and not counts.pending:
            state = "complete"  # gone back, and forward again
        return StatusReport(
            workspace=safe_text(str(self._directory)),
            source=safe_text(show_path(meta.get("source", b""))),
            state="running" if locked else state,
            counts=counts,
            ignored=json.loads(ignored or "{}"),
            phases=totals.documents(),
            tokens_in=paid.tokens_in,
            tokens_out=paid.tokens_out,
            cost_nano_usd=paid.cost_nano_usd,
            head=head.checkpoint,
            sandbox=str(meta.get("sandbox", "")),
            without_vectors=without,
        )

    def audit(self) -> Audit:
        """What was paid for, and what came of it. O(calls + documents)."""
        with snapshot(self._state, self._directory):
            head = read_head(self._state)
            return replace(
                audit(self._state),
                stand_ins=count_stand_ins(self._state, head),
                without_vectors=count_without(self._state, head),
            )

    def failures(
        self,
        *,
        cause: Cause | None = None,
        phase: PhaseName | None = None,
        status: Status | None = None,
        after: int = 0,
        limit: int = 500,
    ) -> list[FailureRow]:
        """Failed, skipped and empty documents, by version; `after` is the last version seen."""
        with snapshot(self._state, self._directory):
            head = read_head(self._state)
            expected: Counter[PhaseName] = Counter()
            for (found, status_of, cause_of), n in read_totals(self._state, head).causes.items():
                if cause in (None, cause_of) and status in (None, status_of):
                    expected[found] += n
            rows = bad_results(
                self._state,
                head,
                cause=cause,
                phase=phase,
                status=status,
                after=after,
                limit=limit,
                expected=expected,
            )
            return [
                FailureRow(
                    version=row.version,
                    path=safe_text(show_path(row.path)),
                    phase=PHASES[row.phase],
                    status=STATUSES[row.status],
                    cause=Cause(row.cause),
                    message=safe_text(row.message),
                    attempts=row.attempt,
                    time=row.time,
                    size_bytes=row.size_bytes,
                )
                for row in rows
            ]

    def all_failures(
        self, *, cause: Cause | None = None, phase: PhaseName | None = None
    ) -> Iterator[FailureRow]:
        """Every failed, skipped and empty document, a page at a time."""
        after = 0
        while page := self.failures(cause=cause, phase=phase, after=after, limit=1000):
            yield from page
            after = page[-1].version

    def causes(self) -> list[CauseCount]:
        """How many documents share a phase, status and cause; the most frequent first."""
        with snapshot(self._state, self._directory):
            causes = read_totals(self._state, read_head(self._state)).causes

        def order(item: tuple[tuple[PhaseName, Status, str], int]) -> tuple[int, int, int, str]:
            (phase, status, cause), count = item
            return -count, PHASES.index(phase), STATUSES.index(status), cause

        return [
            CauseCount(phase, status, Cause(cause), count)
            for (phase, status, cause), count in sorted(causes.items(), key=order)
        ]

    def checkpoints(self, *, everything: bool = False) -> list[Checkpoint]:
        """The history, oldest first: what is worth showing of it, or all."""
        with snapshot(self._state, self._directory):
            return read_checkpoints(self._state, None if everything else thinned(self._state))

    def count_checkpoints(self) -> int:
        """How many checkpoints there are."""
        with snapshot(self._state, self._directory):
            return int(self._state.execute("SELECT count(*) FROM checkpoint").get)

    def was_moved(self) -> bool:
        """Whether the head was ever moved, so that there is something to undo."""
        with snapshot(self._state, self._directory):
            return bool(self._state.execute("SELECT 1 FROM reflog LIMIT 1").get)

    def checkpoint(self, word: str) -> CheckpointDetails:
        """One checkpoint, by its id or name. Raises UsageError where there is none."""
        with snapshot(self._state, self._directory):
            identifier = find_checkpoint(self._state, word)
            (found,) = read_checkpoints(self._state, [identifier])
            children: Any = self._state.execute(
                "SELECT id FROM checkpoint WHERE parent = ? ORDER BY id", (identifier,)
            ).fetchall()
            settings = settings_of(self._state, found.run)
            counts = found.counts
            if counts is None:
                counts = totals_at(self._state, self._point(identifier)).documents()
        return CheckpointDetails(
            found, counts, tuple(row[0] for row in children), json.loads(settings or "{}")
        )

    @contextmanager
    def compare(self, a: int, b: int | None = None) -> Iterator[Comparison]:
        """Two checkpoints side by side; without `b`, one and the head as it is now.

        Nothing else can be asked of this reader inside the block. Raises UsageError where there is no such
        checkpoint.
        """
        with snapshot(self._state, self._directory):
            there = read_head(self._state) if b is None else self._point(b)
            yield compare(self._state, self._point(a), there)

    def _point(self, checkpoint: int) -> Head:
        require_checkpoint(self._state, checkpoint)
        point = read_point(self._state, checkpoint)
        assert point is not None
        return point

    def preview(self, version: int, limit: int = 4000) -> str:
        """The beginning of a document's clean text; '' where there is none."""
        with snapshot(self._state, self._directory):
            head = read_head(self._state)
            lineage = head.lineages.get(PhaseName.CLEAN)
            if lineage is None:
                return ""
            blob = self._state.execute(
                f"""SELECT a.blob FROM result r JOIN artifact a ON a.id = r.artifact
                WHERE r.lineage = ? AND r.version = ? AND {head.visible()}
                ORDER BY r.seq DESC LIMIT 1""",  # noqa: S608
                (lineage, version),
            ).get
            payload = self._blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).get if blob else None
        if payload is None:
            return ""
        return safe_text(unpack(payload, CleanText).text, limit=limit, newlines=True)
