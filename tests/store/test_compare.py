"""Comparing points of history: what is said to differ is what a reading of both points in full shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.running import change
from tests.store.histories import STEPS, History, points
from tui_scraper.engine import PhaseName, Status, StoreError, UsageError
from tui_scraper.engine.export.lines import read_rows
from tui_scraper.engine.export.row import Row
from tui_scraper.engine.safe_text import show_path
from tui_scraper.engine.store import compare as module
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.compare import Change, Difference, Standing, compare
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo
from tui_scraper.engine.store.writer import Writer


class Full:
    """Everything at a point of history, read as an export reads it and with the versions behind it."""

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection, point: Head) -> None:
        self.rows: dict[str, Row] = {row.id: row for row in read_rows(state, blobs, point)}
        self.contents: dict[str, tuple[int, bytes | None]] = {}
        every: Any = state.execute(
            """SELECT d.uid, v.id, v.content, scan_from, scan_to
            FROM version v JOIN document d ON d.id = document"""
        )
        for uid, version, content, begun, ended in every:
            if begun <= point.scan and (ended is None or ended > point.scan):
                self.contents[uid.hex()] = (version, content)

    def standing(self, uid: str) -> Standing | None:
        row = self.rows.get(uid)
        if row is None:
            return None
        cause = row.error.cause if row.error is not None else ""
        return Standing(Status(row.status), cause, tuple(row.labels), row.confidence)

    def counts(self) -> dict[str, int]:
        return {"found": len(self.rows), **Counter(row.status for row in self.rows.values())}

    def differences(self, other: Full) -> list[Difference]:
        """What is not the same at another point, document by document."""
        paths = {uid: row.path for full in (other, self) for uid, row in full.rows.items()}
        found = []
        for uid, path in paths.items():
            a, b = self.standing(uid), other.standing(uid)
            changes: list[Change] = []
            if a is None or b is None:
                changes.append(Change.CAME if a is None else Change.GONE)
            else:
                (version_a, content_a), (version_b, content_b) = self.contents[uid], other.contents[uid]
                if version_a != version_b and (content_a is None or content_a != content_b):
                    changes.append(Change.CONTENT)
                if (a.status, a.cause) != (b.status, b.cause):
                    changes.append(Change.STATUS)
                if a.labels != b.labels:
                    changes.append(Change.LABELS)
            if changes:
                found.append(Difference(path, uid, tuple(changes), a, b))
        return sorted(found, key=lambda one: one.uid)


def check_all_pairs(directory: Path) -> Counter[Change]:
    """Compare every point with every other, and each comparison with a reading of both in full."""
    state, blobs = open_state(directory, read_only=True), open_blobs(directory, read_only=True)
    seen: Counter[Change] = Counter()
    try:
        history = points(state)
        full = [Full(state, blobs, point) for point in history]
        order: Any = state.execute("SELECT uid FROM document ORDER BY path, parent").fetchall()
        place = {uid.hex(): number for number, (uid,) in enumerate(order)}
        for a, full_a in zip(history, full, strict=True):
            for b, full_b in zip(history, full, strict=True):
                comparison = compare(state, a, b)
                for side, wanted in ((comparison.a, full_a), (comparison.b, full_b)):
                    counts = {
                        status: getattr(side.counts, status)
                        for status in ("found", *Status)
                        if getattr(side.counts, status)
                    }
                    assert counts == {name: n for name, n in wanted.counts().items() if n}
                found = list(comparison.documents())
                assert [place[one.uid] for one in found] == sorted(place[one.uid] for one in found)
                assert sorted(found, key=lambda one: one.uid) == full_a.differences(full_b)
                seen.update(kind for one in found for kind in one.changes)
    finally:
        state.close()
        blobs.close()
    return seen


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three documents a page, and a walk along all paths where more than two may differ."""
    monkeypatch.setattr(module, "_PAGE", 3)
    monkeypatch.setattr(module, "_FEW", 2)
    return


SEEN: Counter[Change] = Counter()


@pytest.mark.parametrize("results", [-1, 10**6], ids=["all documents", "those that may differ"])
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=4, max_size=14))
def test_any_two_points_of_any_history_differ_as_their_exports_do(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    small_pages: None,
    results: int,
    steps: list[tuple[Any, ...]],
) -> None:
    monkeypatch.setattr(module, "_RESULTS_A_DOCUMENT", results)
    history = History(tmp_path_factory.mktemp("history"))
    try:
        for name, *values in steps:
            history.step(name, *values)
        SEEN.update(check_all_pairs(history.directory))
    finally:
        history.writer.close()


def test_the_histories_above_held_differences_of_every_kind(tmp_path: Path) -> None:
    history = History(tmp_path / "workspace")
    steps: list[tuple[Any, ...]] = [
        ("checkpoint",), ("work", "done"), ("checkpoint",), ("use", "classify", 1), ("work", "done"),
        ("checkpoint",), ("scan", {b"a": 2, b"b": 1, b"x": 1}), ("work", "corrupt"), ("checkpoint",),
    ]  # fmt: skip
    for step in steps:
        history.step(*step)
    seen = check_all_pairs(history.directory)
    assert set(seen) == set(Change)
    history.writer.close()


CORPUS = {b"%03d.txt" % number: 1 + number % 3 for number in range(200)}


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "workspace")
    history.scan(CORPUS)
    history.work()
    yield history
    history.writer.close()


def test_only_documents_with_results_in_between_are_looked_at(history: History) -> None:
    first = history.writer.call(take_checkpoint(PhaseName.INDEX))
    changed = {**CORPUS, b"007.txt": 6, b"190.txt": 6}
    del changed[b"199.txt"]
    history.scan(changed)
    history.work(limit=1)
    second = history.writer.call(take_checkpoint(PhaseName.INDEX))
    statements: list[str] = []
    with Reader(history.directory) as reader:
        reader._state.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: statements.append(event["sql"]))
        with reader.compare(first, second) as comparison:
            found = list(comparison.documents())
        assert [(one.path, one.changes) for one in found] == [
            ("007.txt", (Change.CONTENT, Change.LABELS)),
            ("190.txt", (Change.CONTENT, Change.STATUS, Change.LABELS)),
            ("199.txt", (Change.GONE,)),
        ]
        assert not [sql for sql in statements if "FROM document ORDER BY" in sql]
        with reader.compare(second) as comparison:  # nothing has happened since
            assert comparison.b.checkpoint is None
            assert list(comparison.documents()) == []


def test_a_rollback_and_what_is_made_after_it_can_be_compared_with_the_other_branch(history: History) -> None:
    left = history.writer.call(take_checkpoint(PhaseName.INDEX))
    kept = history.writer.call(roll_back_to_phase(PhaseName.CHUNK))
    with Reader(history.directory) as reader:
        with reader.compare(left, kept) as comparison:
            found = list(comparison.documents())
            assert comparison.a.counts.done == comparison.b.counts.pending == 200
        assert {one.changes for one in found} == {(Change.STATUS, Change.LABELS)}
        assert len(found) == 200
    history.work()
    with Reader(history.directory) as reader, reader.compare(left) as comparison:
        assert list(comparison.documents()) == []  # made again, and the same
    history.writer.call(undo())
    with Reader(history.directory) as reader, reader.compare(kept) as comparison:
        assert len(list(comparison.documents())) == 200


def test_tokens_and_cost_are_those_of_each_point(history: History) -> None:
    first = history.writer.call(take_checkpoint(PhaseName.INDEX))
    history.use(classify=1)
    history.work()
    second = history.writer.call(take_checkpoint(PhaseName.INDEX))
    with Reader(history.directory) as reader, reader.compare(first, second) as comparison:
        a, b = comparison.a, comparison.b
    state = open_state(history.directory, read_only=True)
    spent = state.execute("SELECT sum(tokens_in + tokens_out), sum(cost_nano_usd) FROM ledger").get
    of_labels: Any = state.execute(
        """SELECT r.lineage, sum(cost_nano_usd) FROM result r JOIN artifact a ON a.id = artifact
        WHERE r.phase = 3 GROUP BY r.lineage ORDER BY r.lineage"""
    ).fetchall()
    state.close()
    assert (b.tokens, b.cost_nano_usd) == spent
    assert 0 < a.cost_nano_usd < b.cost_nano_usd
    assert a.chunk_tokens == b.chunk_tokens > 0
    assert [a.labels_cost_nano_usd, b.labels_cost_nano_usd] == [cost for _lineage, cost in of_labels]
    assert 0 < a.labels_cost_nano_usd != b.labels_cost_nano_usd > 0


def test_a_checkpoint_that_kept_no_counters_is_counted(history: History) -> None:
    checkpoint = history.writer.call(take_checkpoint(PhaseName.INDEX))
    with Reader(history.directory) as reader, reader.compare(checkpoint) as comparison:
        wanted = comparison.a
    history.writer.close()
    change(history.directory, "UPDATE checkpoint SET counters = NULL")
    with Reader(history.directory) as reader, reader.compare(checkpoint) as comparison:
        assert comparison.a == wanted
    history.writer = Writer(history.directory)


def test_what_cannot_be_compared_gets_a_sentence(history: History) -> None:
    checkpoint = history.writer.call(take_checkpoint(PhaseName.INDEX))
    history.writer.call(roll_back_to_checkpoint(checkpoint))
    history.writer.call(roll_back_to_phase(PhaseName.CHUNK))
    with Reader(history.directory) as reader:
        with pytest.raises(UsageError, match="There is no checkpoint 99"), reader.compare(checkpoint, 99):
            pass
        assert reader.status().counts.found == 200  # the reader goes on
        history.writer.call(
            lambda transaction: transaction.state.execute("UPDATE artifact SET data = X'C1' WHERE phase = 3")
        )
        with (
            pytest.raises(StoreError, match=r"000\.txt: its stored label cannot be read"),
            reader.compare(checkpoint) as comparison,
        ):
            list(comparison.documents())
        assert show_path(b"000.txt") == "000.txt"
