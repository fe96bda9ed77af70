"""Collecting garbage frees all that nothing can need, and nothing that a point which is kept needs."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.chaos.killing import check_store
from tests.engine.running import check_counters, table
from tests.search.fabricated_store import Doc, Fabricator
from tests.store.collecting import Expected, claim, contents, exported, head_now
from tests.store.histories import STEPS, History
from tui_scraper.engine import PhaseName, UsageError, WorkspaceLockedError
from tui_scraper.engine.export import export, record_export
from tui_scraper.engine.export.folder import _lock_directory
from tui_scraper.engine.gc import collect
from tui_scraper.engine.search.query import search
from tui_scraper.engine.search.text_index import open_for_reading
from tui_scraper.engine.store import gc, shrink
from tui_scraper.engine.store.checkpoints import name_checkpoint, take_checkpoint
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.garbage import Freed
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, undo
from tui_scraper.engine.store.writer import FLOOR, GONE, Writer
from tui_scraper.engine.workspace import reopen


def made(directory: Path, steps: list[tuple[Any, ...]]) -> History:
    """A workspace with a history, which nobody has open."""
    history = History(directory)
    history.writer.call(claim)
    for name, *values in steps:
        history.step(name, *values)
    history.writer.close()
    return history


STORY: list[tuple[Any, ...]] = [
    ("work", "done"), ("checkpoint",),
    ("scan", {b"a": 2, b"b": 1, b"c.zip": 3, b"d.zip": 2}), ("work", "late", 2), ("work", "done"),
    ("work", "done"), ("checkpoint",),
    ("to phase", PhaseName.CHUNK, False), ("use", "chunk", 1), ("work", "done"), ("checkpoint",),
    ("scan", {b"b": 3, b"d.zip": 2}), ("work", "done"), ("checkpoint",),
    ("to checkpoint", 1), ("use", "classify", 2), ("work", "done"), ("checkpoint",),
    ("work", "done"), ("checkpoint",),
]  # fmt: skip
"""Documents that come, change and go, two rollbacks, other settings: something of every kind to free."""


REDONE: list[tuple[Any, ...]] = [
    ("work", "done"), ("checkpoint",), ("to phase", PhaseName.CLEAN, False), ("work", "done"),
    ("checkpoint",), ("to phase", PhaseName.INDEX, False), ("checkpoint",),
]  # fmt: skip
"""Made again under the same settings after a rollback: what was made first is seen by nobody in the end."""


RELABELLED: list[tuple[Any, ...]] = [
    ("scan", {b"a": 3, b"b": 1, b"c.zip": 2, b"d.zip": 1}), ("work", "done"), ("work", "done"),
    ("checkpoint",),
    ("use", "classify", 1), ("work", "done"), ("checkpoint",),
]  # fmt: skip
"""Other labels: those of before came from rules, from a model and from a person, with and without a price."""


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(STEPS, min_size=6, max_size=20), keep=st.integers(1, 3), page=st.sampled_from([2, 5_000])
)
@example(STORY, 1, 2)
@example(STORY, 2, 5_000)
@example(REDONE, 1, 2)
@example(RELABELLED, 1, 5_000)
def test_what_is_kept_is_as_before_and_nothing_else_is_left(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[Any, ...]],
    keep: int,
    page: int,
) -> None:
    monkeypatch.setattr(gc, "_PAGE", page)
    directory = tmp_path_factory.mktemp("gc") / "workspace"
    history = made(directory, steps)
    expected = Expected(directory, keep)
    undone = after_undo(directory)
    before = contents(directory)
    files = {path.name: path.read_bytes() for path in directory.iterdir()}

    dry = collect(directory, keep=keep, dry_run=True)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == files
    real = collect(directory, keep=keep)
    assert real.freed == dry.freed
    expected.check()
    check_counters(directory)
    assert_counted(directory, before, real.freed)
    assert after_undo(directory) == undone
    assert collect(directory, keep=keep).freed == Freed()
    check_going_back(directory, expected)
    history.writer = Writer(directory)
    new_numbers_are_new(history, before)
    history.writer.close()


def after_undo(directory: Path) -> bytes | None:
    """What an export would hold if the last move of the head were taken back; None where there was none."""
    copy = directory.with_name("undone")
    shutil.copytree(directory, copy)
    writer = Writer(copy)
    try:
        writer.call(undo())
        return exported(copy, head_now(copy))
    except UsageError:
        return None
    finally:
        writer.close()
        shutil.rmtree(copy)


def check_going_back(directory: Path, expected: Expected) -> None:
    """Every checkpoint that was kept can be gone back to, and holds what it held."""
    for checkpoint in sorted(expected.checkpoints):
        copy = directory.with_name("gone back")
        shutil.copytree(directory, copy)
        writer = Writer(copy)
        writer.call(roll_back_to_checkpoint(checkpoint))
        assert exported(copy, head_now(copy)) == expected.exports[f"checkpoint {checkpoint}"]
        check_counters(copy)
        writer.call(undo())
        assert exported(copy, head_now(copy)) == expected.exports["head"]
        writer.close()
        shutil.rmtree(copy)


def assert_counted(directory: Path, before: dict[str, Any], freed: Freed) -> None:
    """The numbers that were told are those of the rows that went, and so are those in `meta`."""
    after = contents(directory)
    names = {
        "checkpoint": freed.checkpoints, "reflog": freed.moves, "result": freed.results,
        "version": freed.versions, "document": freed.documents, "artifact": freed.artifacts,
    }  # fmt: skip
    meta = dict(after["meta"])
    for name, count in names.items():
        assert len(before[name]) - len(after[name]) == count, name
        assert meta[GONE + name] == count
        highest = max([row[0] for row in before[name]], default=0)
        assert meta[FLOOR + name] == highest
        assert (
            len(after[name]) == meta[FLOOR + name] - meta[GONE + name]
        )  # every number is there or was counted
    assert len(before["blob"]) - len(after["blob"]) == freed.payloads
    sizes = [sum(size for _payload, size in part["blob"]) for part in (before, after)]
    assert sizes[0] - sizes[1] == freed.payload_bytes
    held = {row[0] for row in after["indexed"]}
    assert held <= {row[0] for row in after["artifact"]}


def new_numbers_are_new(history: History, before: dict[str, Any]) -> None:
    """What is made after a collection has numbers that nothing ever had."""
    highest = {
        name: max([row[0] for row in before[name]], default=0)
        for name in ("result", "version", "artifact", "document", "blob", "checkpoint")
    }
    history.scan({b"new one": 2, b"new.zip": 3})
    history.use(clean=3)
    history.work()
    history.work()
    history.writer.call(take_checkpoint(PhaseName.INDEX))
    now = contents(history.directory)
    for name, last in highest.items():
        old = {row[0] for row in before[name]}
        fresh = {row[0] for row in now[name]} - old
        assert fresh, name
        assert min(fresh) > last, name
    check_counters(history.directory)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made(tmp_path / "workspace", STORY)
    return tmp_path / "workspace"


def test_the_story_leaves_garbage_of_every_kind(workspace: Path) -> None:
    freed = collect(workspace, keep=1, dry_run=True).freed
    assert all(getattr(freed, field.name) for field in dataclasses.fields(freed)), freed


def test_without_a_word_about_history_only_what_no_result_refers_to_goes(workspace: Path) -> None:
    before = contents(workspace)
    assert collect(workspace).freed == Freed()
    assert {**contents(workspace), "meta": 0} == {**before, "meta": 0}
    change(workspace, "INSERT INTO blob VALUES(100000, zeroblob(5000)), (100001, zeroblob(70))", "blob.db")
    change(
        workspace,
        """INSERT INTO artifact(id, key, phase, output, blob, amount, created, cost_nano_usd) VALUES
        (200000, X'01', 2, X'01', 100000, 0, 0, 0), (200001, X'02', 3, X'02', NULL, 0, 0, 5);
        INSERT INTO indexed VALUES(7000)""",
    )
    wanted = Freed(artifacts=1, index_entries=2, payloads=2, payload_bytes=5070)
    assert collect(workspace, dry_run=True).freed == wanted
    assert collect(workspace).freed == wanted
    assert table(workspace, "SELECT id FROM artifact WHERE id > 100000") == [(200001,)]  # it cost money
    assert {**contents(workspace), "meta": 0, "artifact": 0} == {**before, "meta": 0, "artifact": 0}


def test_names_notes_and_the_last_rollbacks_are_kept(workspace: Path) -> None:
    writer = Writer(workspace)
    writer.call(name_checkpoint(2, "before the move"))
    writer.call(name_checkpoint(4, None, "a note is a reason, too"))
    writer.close()
    collect(workspace, keep=1)
    left = [row[0] for row in table(workspace, "SELECT id FROM checkpoint ORDER BY id")]
    newest = max(left)
    assert {2, 4, newest} <= set(left)
    assert table(workspace, "SELECT count(*) FROM reflog") == [(1,)]
    writer = Writer(workspace)
    writer.call(roll_back_to_checkpoint(2))
    writer.close()
    check_counters(workspace)


def test_a_label_made_again_with_the_same_settings_is_the_one_that_was_paid_for(tmp_path: Path) -> None:
    history = made(
        tmp_path / "workspace", [("work", "done"), ("checkpoint",), ("use", "classify", 1), ("checkpoint",)]
    )
    collect(history.directory, keep=1)
    paid = {row[0] for row in table(history.directory, "SELECT id FROM artifact WHERE phase = 3")}
    assert paid
    assert not table(history.directory, "SELECT 1 FROM result WHERE phase = 3")
    history.writer = Writer(history.directory)
    history.use()
    history.work()
    history.writer.close()
    used = {row[0] for row in table(history.directory, "SELECT artifact FROM result WHERE phase = 3")}
    assert paid <= used


def test_a_workspace_in_use_is_left_alone(workspace: Path) -> None:
    other = reopen(workspace)
    try:
        for dry_run in (False, True):
            with pytest.raises(WorkspaceLockedError, match=f"process {os.getpid()} on "):
                collect(workspace, keep=1, dry_run=dry_run)
    finally:
        other.close()


# --- files ------------------------------------------------------------------------------------------


def test_leftovers_of_exports_and_old_copies_go_and_nothing_beside_them(
    workspace: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out" / "corpus"
    report = export(workspace, target)
    writer = Writer(workspace)
    writer.call(record_export(report))
    writer.close()
    leftover, in_use, foreign = (
        target.with_name(f".corpus.export-{name}") for name in ("new-1", "new-2", "new-3")
    )
    inside = workspace / ".export.export-old-4"  # the export itself: its swap was interrupted
    for folder in (leftover, in_use, foreign, inside):
        folder.mkdir()
        (folder / "documents.jsonl").write_bytes(b"x" * 1000)
    (foreign / "mine.txt").write_text("not written by an export")
    lock = _lock_directory(in_use)
    old = time.time() - 8 * 86_400
    copies = [
        workspace / name for name in ("state-schema-2.db", "state-before-repair-1.db", "state-schema-1.db")
    ]
    for copy in copies:
        copy.write_bytes(b"y" * 500)
    for copy in copies[:2]:
        os.utime(copy, (old, old))

    dry = collect(workspace, dry_run=True)
    assert all(path.exists() for path in (leftover, in_use, foreign, inside, *copies))
    real = collect(workspace)
    os.close(lock)
    assert (dry.files, dry.file_bytes) == (real.files, real.file_bytes) == (4, 3000)
    assert not leftover.exists()
    assert (foreign / "mine.txt").exists()
    assert (in_use / "documents.jsonl").exists()
    assert (inside / "documents.jsonl").exists()
    assert [copy.exists() for copy in copies] == [False, False, True]
    assert sorted(path.name for path in target.iterdir()) == ["README.md", "documents.jsonl", "manifest.json"]


def change(workspace: Path, sql: str, file: str = "state.db") -> None:
    """Change a database as the program does, so that its seal knows."""
    writer = Writer(workspace)
    try:
        writer.call(
            lambda transaction: (
                (transaction.blobs if file == "blob.db" else transaction.state).execute(sql).fetchall()
            )
        )
    finally:
        writer.close()


def put_payloads(directory: Path, number: int, size_bytes: int) -> None:
    """Payloads that no artifact has, as a crash between the two commits leaves them."""
    counting = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
    change(
        directory, f"{counting} INSERT INTO blob SELECT 5000 + i, zeroblob({size_bytes}) FROM n", "blob.db"
    )


# --- space ------------------------------------------------------------------------------------------


def header(path: Path) -> tuple[int, int, int]:
    """Page size, bytes reserved in each page for its checksum, and the journal (2: a write-ahead log)."""
    data = path.read_bytes()[:100]
    return int.from_bytes(data[16:18], "big"), data[20], data[18]


def test_files_shrink_and_keep_their_pages_checksums_and_log(workspace: Path) -> None:
    change(workspace, "CREATE TABLE filling AS SELECT zeroblob(3000000) x; DROP TABLE filling")
    put_payloads(workspace, 20, 300000)
    before = {name: (workspace / name).stat().st_size for name in ("state.db", "blob.db")}
    collected = collect(workspace)
    assert collected.freed.payloads == 20
    assert collected.notes == ()
    after = {name: (workspace / name).stat().st_size for name in before}
    assert all(after[name] < before[name] / 3 for name in before), (before, after)
    assert collected.disk_bytes == sum(before.values()) - sum(after.values())
    assert header(workspace / "state.db") == (4096, 8, 2)
    assert header(workspace / "blob.db") == (1, 8, 2)  # 1 stands for 65,536
    for connection in (open_state(workspace, read_only=True), open_blobs(workspace, read_only=True)):
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        assert connection.execute("PRAGMA freelist_count").get == 0
        connection.close()


def test_no_room_for_shrinking_is_a_sentence_and_everything_else_is_done(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrink, "_SPARE_BYTES", 10**18)
    change(workspace, "CREATE TABLE filling AS SELECT zeroblob(3000000) x; DROP TABLE filling")
    collected = collect(workspace, keep=1)
    assert collected.freed.results > 0
    assert len(collected.notes) == 1
    assert str(workspace / "state.db") in collected.notes[0]
    assert "does not have" in collected.notes[0]


# --- the index, and readers beside it ---------------------------------------------------------------


@pytest.fixture
def searchable(tmp_path: Path) -> Iterator[Fabricator]:
    """300 documents that were indexed, of which 200 have gone since."""
    store = Fabricator(tmp_path / "workspace")
    store.writer.call(claim)
    docs = [Doc(b"%03d.txt" % number, f"alpha {number} " + "beta " * 90) for number in range(300)]
    store.run(docs)
    store.writer.call(take_checkpoint(PhaseName.INDEX))
    store.scan([], gone=[doc.path for doc in docs[100:]])
    store.writer.call(take_checkpoint(PhaseName.INDEX))
    yield store
    store.close()


def held_by_index(directory: Path) -> set[int]:
    opened = open_for_reading(directory)
    assert opened is not None
    import tantivy

    searcher = opened[0].searcher()
    hits = searcher.search(tantivy.Query.all_query(), 10_000, count=False).hits
    return set(map(int, searcher.fast_field_values("artifact", [address for _score, address in hits])))


def test_the_index_lets_go_of_what_is_gone(searchable: Fabricator) -> None:
    directory = searchable.directory
    searchable.close()
    assert len(held_by_index(directory)) == 300
    hits = search(directory, "alpha 7")
    collected = collect(directory, keep=1)
    assert collected.freed.index_entries == 200
    left = {row[0] for row in table(directory, "SELECT artifact FROM indexed")}
    assert len(left) == 100
    assert held_by_index(directory) == left
    assert search(directory, "alpha 7") == hits
    assert hits[0].path == "007.txt"
    searchable.writer = Writer(directory)


def test_a_damaged_index_is_left_to_the_next_run(searchable: Fabricator) -> None:
    directory = searchable.directory
    searchable.close()
    for path in (directory / "index").glob("*.idx"):
        path.write_bytes(b"")
    before = sorted(path.name for path in (directory / "index").iterdir())
    assert collect(directory, keep=1).freed.index_entries == 200
    assert [name for name in before if not (directory / "index" / name).exists()] == []
    assert table(directory, "SELECT count(*) FROM indexed") == [(100,)]
    searchable.writer = Writer(directory)


def test_readers_beside_a_collection_go_on(searchable: Fabricator, tmp_path: Path) -> None:
    directory = searchable.directory
    searchable.close()
    put_payloads(directory, 200, 90000)
    wanted = export(directory, tmp_path / "before").files
    hits = search(directory, "alpha 7")
    with Reader(directory) as first:
        shown = first.preview(1)
    ended = threading.Event()
    seen: list[Any] = []

    def read() -> None:
        try:
            while not (ended.is_set() and len(seen) > 3):
                seen.append((export(directory, tmp_path / "beside").files, search(directory, "alpha 7")))
                with Reader(directory) as reader:
                    seen[-1] += (reader.status().counts.found, reader.preview(1))
        except BaseException as error:
            seen.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        collected = collect(directory, keep=1)
    finally:
        ended.set()
        reading.join(60)
    assert collected.freed.payloads > 200
    assert {repr(one) for one in seen} == {repr((wanted, hits, 100, shown))}
    searchable.writer = Writer(directory)


# --- killed -----------------------------------------------------------------------------------------


def start(directory: Path, keep: int, *options: int) -> subprocess.Popen[bytes]:
    arguments = [
        sys.executable,
        "-m",
        "tests.store.collecting",
        str(directory),
        str(keep),
        *map(str, options),
    ]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Killed:
    """A workspace from which collections are begun and killed, and what each must leave."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.origin = base / "origin"
        made(self.origin, STORY)
        check_store(self.origin)
        self.undisturbed = base / "undisturbed"
        shutil.copytree(self.origin, self.undisturbed)
        collect(self.undisturbed, keep=1)
        self.wanted = contents(self.undisturbed)
        self.expected = Expected(self.origin, 1)

    def copy(self) -> Path:
        """A workspace to be collected in."""
        place = self.base / "killed"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.origin, place)
        return place

    def check(self, place: Path) -> None:
        """Sound, with everything that is kept; and another collection ends like an undisturbed one."""
        check_store(place)
        check_counters(place)
        self.expected.directory = place
        self.expected.check(exactly=False)
        done = table(place, "SELECT count(*) FROM checkpoint") == [(len(self.expected.checkpoints),)]
        collect(place, keep=None if done else 1)
        self.expected.check()
        assert contents(place) == self.wanted


def test_killed_before_any_commit_it_is_sound_and_finished_by_the_next(tmp_path: Path) -> None:
    killed = Killed(tmp_path)
    commits = 0
    for number in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
        place = killed.copy()
        process = start(place, 1, number)
        _out, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            break
        assert process.returncode == -9, errors.decode()
        killed.check(place)
        commits += 1
    assert commits >= 8


def torture(tmp_path: Path, rounds: int, seed: int) -> int:
    """Kill collections at random instants. Returns how many were killed before they had ended."""
    killed = Killed(tmp_path)
    rng = random.Random(seed)
    place = killed.copy()
    process = start(place, 1)
    assert process.stdout is not None
    process.stdout.readline()
    began = time.monotonic()
    assert process.wait(60) == 0
    whole_s = time.monotonic() - began
    process.communicate()
    kills = 0
    for _round in range(rounds):
        place = killed.copy()
        process = start(place, 1)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(rng.uniform(0, whole_s))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
        killed.check(place)
    return kills


def test_killed_at_random_instants_it_is_sound_and_finished_by_the_next(tmp_path: Path) -> None:
    torture(tmp_path, rounds=4, seed=20261129)


@pytest.mark.slow
def test_a_hundred_kills_of_a_collection_lose_nothing(tmp_path: Path) -> None:
    assert torture(tmp_path, rounds=100, seed=1) >= 50
