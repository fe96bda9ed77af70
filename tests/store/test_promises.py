"""What the store promises: all or nothing, acknowledged means committed, counters that are true."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.running import check_counters
from tui_scraper.engine import Cause, PhaseName, Status, StoreError, StoreFullError, UsageError
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.codec import digest, pack
from tui_scraper.engine.store.committing import commit_replies
from tui_scraper.engine.store.connection import SCHEMA_VERSION, open_blobs, open_state
from tui_scraper.engine.store.counters import read_totals, set_lineages
from tui_scraper.engine.store.head import DOCUMENT_PHASES, config_hash, read_head
from tui_scraper.engine.store.members import match_members
from tui_scraper.engine.store.reader import counts_of
from tui_scraper.engine.store.recording import Indexed, record_indexed
from tui_scraper.engine.store.results import Work, unfinished
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase
from tui_scraper.engine.store.scans import FoundFile, begin_scan, end_scan, known_files, register, vanish
from tui_scraper.engine.store.setbacks import put_back, uphold_refusals
from tui_scraper.engine.store.writer import Transaction, Writer
from tui_scraper.engine.wire import (
    Chunk,
    ChunkResult,
    CleanResult,
    CleanText,
    DocumentReply,
    LabelResult,
    Member,
)


class Store:
    """A workspace's databases with their writer, and steps like those of a run."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.writer = Writer(directory)
        self.use()

    def use(self, **changed: int) -> None:
        """Put settings in force; the named phases have other ones than usual."""
        configs: dict[PhaseName, tuple[int, dict[str, object]]] = {
            phase: (1, {"setting": changed.get(str(phase), 0)}) for phase in DOCUMENT_PHASES
        }
        self.configs = Configs({phase: config_hash(phase, *configs[phase]) for phase in DOCUMENT_PHASES})

        def operation(transaction: Transaction) -> None:
            changed = set_lineages(transaction.state, configs)
            if changed:
                uphold_refusals(transaction)
            if PhaseName.CLEAN in changed:
                match_members(transaction)

        self.writer.call(operation)

    def scan(self, contents: dict[bytes, int]) -> None:
        """A scan that finds these paths; another number is another content."""
        self.writer.call(begin_scan)
        files = [FoundFile(path, 100 + content, content) for path, content in sorted(contents.items())]
        state = open_state(self.directory, read_only=True)
        try:
            known = known_files(state, [file.path for file in files]) if files else {}
            new = [file for file in files if file.path not in known]
            changed = [
                (f, known[f.path]) for f in files if f.path in known and known[f.path].mtime_ns != f.mtime_ns
            ]
            gone = [
                row[0]
                for row in state.execute(
                    "SELECT v.id, path FROM version v JOIN document d ON d.id = document WHERE scan_to IS NULL"  # noqa: E501
                ).fetchall()
                if row[1] not in contents and b"!/" not in row[1]
            ]
        finally:
            state.close()
        self.writer.call(register(new, changed, []))
        self.writer.call(vanish(gone))
        self.writer.call(end_scan({}))

    def pending(self, through: PhaseName = PhaseName.INDEX) -> list[Work]:
        state = open_state(self.directory, read_only=True)
        try:
            return unfinished(state, read_head(state), 0, 1000, through)[0]
        finally:
            state.close()

    def work(self, outcome: str = "done", limit: int = 1000) -> None:
        """Give every unfinished document (at most `limit`) this outcome, through to the index."""
        chosen = self.pending()[:limit]
        pairs = [(work, reply(work, outcome)) for work in chosen]
        finished = self.writer.call(commit_replies(pairs, self.configs))
        attempts = {work.version: work.reached[4].attempt if 4 in work.reached else 0 for work in chosen}
        entries = [
            Indexed(one.version, one.size_bytes, attempts[one.version], one.chunks)
            for one in finished
            if one.chunks
        ]
        if entries:
            self.writer.call(record_indexed(entries))

    def totals(self) -> object:
        state = open_state(self.directory, read_only=True)
        try:
            head = read_head(state)
            return {p: {s: c for s, c in by.items() if c.n} for p, by in read_totals(state, head).items()}
        finally:
            state.close()

    def check(self) -> None:
        check_counters(self.directory)
        state = open_state(self.directory, read_only=True)
        try:
            counts = counts_of(read_totals(state, read_head(state)))
        finally:
            state.close()
        parts = (counts.done, counts.failed, counts.skipped, counts.empty, counts.pending)
        assert sum(parts) == counts.found
        assert min(parts) >= 0, counts
        assert len(self.pending()) == counts.pending


def reply(work: Work, outcome: str) -> DocumentReply:
    """What a worker would say. The text depends on the document's size, so some share their artifacts."""
    if outcome == "refused" and 1 not in {
        phase for phase, result in work.reached.items() if result.status == 1
    }:
        return DocumentReply(
            work.version, Status.FAILED, PhaseName.INPUT, Cause.NO_PERMISSION, "It may not be read."
        )
    have = {phase for phase, result in work.reached.items() if result.status == 1}
    members = None
    if work.path.endswith(b"zip") and len(work.place.inside) < 3 and 1 not in have:
        members = [
            Member(b"in-%d.zip" % number, work.size_bytes + number, 0)
            for number in range(work.size_bytes % 3)
        ]
    text = CleanText(f"text {work.size_bytes % 3}")
    content = digest(text.text.encode())
    if work.path.endswith(b"zip"):  # no two of them hold the same
        content = digest(b"%d %d" % (work.size_bytes, len(work.place.inside)))
    clean = CleanResult(*pack(text), len(text.text))
    if outcome in {"corrupt", "empty"} and 1 not in have:
        status, cause = (
            (Status.FAILED, Cause.CORRUPT) if outcome == "corrupt" else (Status.EMPTY, Cause.NO_TEXT)
        )
        kept = members if outcome == "corrupt" else None
        return DocumentReply(
            work.version, status, PhaseName.CLEAN, cause, "No.", content, "text/plain", members=kept
        )
    chunk = (
        ChunkResult(*pack([Chunk(0, len(text.text), 2 + work.size_bytes % 3)]), 1, 2 + work.size_bytes % 3)
        if 2 not in have
        else None
    )
    if 1 in have:  # then no file is read: work goes on from what is stored
        clean, content = None, b""
    if outcome == "late":
        return DocumentReply(
            work.version,
            Status.FAILED,
            PhaseName.CLASSIFY,
            Cause.CRASHED,
            "No.",
            content,
            "text/plain",
            clean=clean,
            chunk=chunk,
            members=members,
        )
    label = LabelResult(digest(b"d"), ["report"], 0.5, "rules", []) if 3 not in have else None
    return DocumentReply(
        work.version,
        Status.DONE,
        PhaseName.CLASSIFY,
        content=content,
        media_type="text/plain",
        clean=clean,
        chunk=chunk,
        label=label,
        members=members,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "workspace")
    yield store
    store.writer.close()


def write(key: str) -> object:
    def operation(transaction: Transaction) -> str:
        transaction.state.execute("INSERT INTO meta VALUES(?, 1)", (key,))
        transaction.blobs.execute("INSERT INTO blob VALUES(?, ?)", (transaction.next_blob(), b"payload"))
        return key

    return operation


def stored(directory: Path) -> tuple[set[str], int]:
    state, blobs = open_state(directory, read_only=True), open_blobs(directory, read_only=True)
    try:
        keys = {row[0] for row in state.execute("SELECT key FROM meta WHERE key LIKE 'key-%'")}
        return keys, blobs.execute("SELECT count(*) FROM blob").get
    finally:
        state.close()
        blobs.close()


async def test_an_operation_that_fails_in_a_group_leaves_nothing_and_harms_no_other(store: Store) -> None:
    def failing(transaction: Transaction) -> None:
        write("key-bad")(transaction)  # type: ignore[operator]
        transaction.next_seq()
        raise UsageError("no")

    futures = []
    for number in range(300):
        operation = failing if number % 7 == 3 else write(f"key-{number}")
        futures.append(store.writer.submit(operation))  # type: ignore[arg-type]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    good = {f"key-{number}" for number in range(300) if number % 7 != 3}
    assert {outcome for outcome in outcomes if isinstance(outcome, str)} == good
    assert sum(isinstance(outcome, UsageError) for outcome in outcomes) == 300 - len(good)
    assert stored(store.directory) == (good, len(good))
    assert store.writer.commits < 300  # groups, or the test proves nothing


async def test_acknowledged_means_committed(store: Store, tmp_path: Path) -> None:
    await asyncio.gather(*(store.writer.submit(write(f"key-{number}")) for number in range(50)))  # type: ignore[arg-type]
    shutil.copytree(store.directory, tmp_path / "copy")  # as a crash would leave it: the writer never closed
    assert stored(tmp_path / "copy")[0] == {f"key-{number}" for number in range(50)}


@pytest.mark.parametrize("which", ["state", "blobs"])
async def test_a_full_database_is_told_to_all_and_leaves_nothing_of_the_group(
    store: Store, which: str
) -> None:
    await store.writer.submit(write("key-before"))  # type: ignore[arg-type]

    def limit(transaction: Transaction) -> None:
        connection = getattr(transaction, which)
        connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').get + 2}")

    def large(transaction: Transaction) -> None:
        if which == "state":
            transaction.state.execute("INSERT INTO meta VALUES('key-large', zeroblob(1000000))")
        else:
            transaction.blobs.execute(
                "INSERT INTO blob VALUES(?, zeroblob(10000000))", (transaction.next_blob(),)
            )

    await store.writer.submit(limit)
    futures = [store.writer.submit(write(f"key-{number}")) for number in range(5)]  # type: ignore[arg-type]
    futures.append(store.writer.submit(large))
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    told = [outcome for outcome in outcomes if isinstance(outcome, StoreFullError)]
    assert told
    assert "disk is full" in str(told[0])
    acknowledged = {outcome for outcome in outcomes if isinstance(outcome, str)}
    assert stored(store.directory)[0] == acknowledged | {"key-before"}
    assert stored(store.directory)[1] == len(acknowledged) + 1
    await store.writer.submit(lambda t: getattr(t, which).execute("PRAGMA max_page_count=1000000"))
    await store.writer.submit(write("key-after"))  # type: ignore[arg-type]
    assert "key-after" in stored(store.directory)[0]


def test_a_checkpoint_after_a_failed_operation_stays_that_moment_after_a_restart(store: Store) -> None:
    store.scan({b"a": 1, b"b": 2})
    store.work(limit=1)

    def failing(transaction: Transaction) -> None:
        for _ in range(50):
            transaction.next_seq()
        raise UsageError("no")

    with pytest.raises(UsageError):
        store.writer.call(failing)
    checkpoint = store.writer.call(take_checkpoint(PhaseName.CLEAN))
    wanted = store.totals()
    store.writer.close()
    store.writer = Writer(store.directory)
    store.work()
    store.writer.call(roll_back_to_checkpoint(checkpoint))
    assert store.totals() == wanted
    store.check()


STEPS = st.one_of(
    st.tuples(
        st.just("scan"), st.dictionaries(st.sampled_from([b"a", b"b", b"c.zip", b"d.zip"]), st.integers(1, 3))
    ),
    st.tuples(
        st.just("work"),
        st.sampled_from(["done", "done", "corrupt", "refused", "empty", "late"]),
        st.integers(1, 3),
    ),
    st.tuples(st.just("retry"), st.sampled_from([None, *PhaseName][:6])),
    st.tuples(st.just("use"), st.sampled_from(["input", "clean", "chunk", "classify"]), st.integers(0, 1)),
    st.tuples(st.just("checkpoint")),
    st.tuples(st.just("to phase"), st.sampled_from(list(PhaseName))),
    st.tuples(st.just("to checkpoint"), st.integers(0, 20)),
    st.tuples(st.just("restart")),
)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=4, max_size=14))
def test_counters_and_checkpoints_hold_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple]
) -> None:
    store = Store(tmp_path_factory.mktemp("mix"))
    checkpoints: dict[int, object] = {}
    try:
        store.scan({b"a": 1, b"b": 1, b"c.zip": 2})
        for name, *values in steps:
            match name:
                case "scan":
                    store.scan(values[0])
                case "work":
                    store.work(*values)
                case "retry":
                    store.writer.call(put_back(phase=values[0]))
                case "use":
                    store.use(**{values[0]: values[1]})
                case "checkpoint":
                    checkpoints[store.writer.call(take_checkpoint(PhaseName.CLEAN))] = store.totals()
                case "to phase":
                    reached = store.writer.call(roll_back_to_phase(values[0]))
                    checkpoints[reached] = store.totals()
                case "to checkpoint" if checkpoints:
                    target = list(checkpoints)[values[0] % len(checkpoints)]
                    store.writer.call(roll_back_to_checkpoint(target))
                    assert store.totals() == checkpoints[target]
                case "restart":
                    store.writer.close()
                    store.writer = Writer(store.directory)
            store.check()
    finally:
        store.writer.close()


def test_a_newer_schema_is_refused_untouched(store: Store) -> None:
    store.writer.call(
        lambda transaction: transaction.state.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    )
    store.writer.close()
    before = {name: (store.directory / name).read_bytes() for name in ("state.db", "blob.db")}
    for read_only in (True, False):
        with pytest.raises(StoreError, match=r"schema 99.*left untouched"):
            open_state(store.directory, read_only=read_only)
    assert {name: (store.directory / name).read_bytes() for name in before} == before
    connection = apsw.Connection(str(store.directory / "state.db"))
    connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (SCHEMA_VERSION,))
    connection.close()
    store.writer = Writer(store.directory)


def test_a_damaged_database_gives_a_sentence(store: Store) -> None:
    store.scan({b"file-%d" % number: 1 for number in range(200)})
    store.writer.close()
    data = bytearray((store.directory / "state.db").read_bytes())
    for at in range(4096, len(data), 4096):
        data[at : at + 64] = b"\xff" * 64
    (store.directory / "state.db").write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        open_state(store.directory)
    (store.directory / "state.db").unlink()
    with pytest.raises(StoreError, match=r"although blob\.db holds data"):
        Writer(store.directory)
    for path in store.directory.glob("blob.db*"):
        path.unlink()
    with pytest.raises(StoreError, match="databases are gone"):
        Writer(store.directory)
    (store.directory / "seal.json").unlink()
    store.writer = Writer(store.directory)
