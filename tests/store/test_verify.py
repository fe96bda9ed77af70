"""`verify` finds what is wrong and says where; `--repair` mends it and loses nothing that can be read."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.search.fabricated_store import Doc, Fabricator
from tests.store.histories import STEPS, History
from tui_scraper.engine import (
    Cause,
    PhaseName,
    Status,
    StoreError,
    StoreFullError,
    WorkspaceLockedError,
)
from tui_scraper.engine.export import export, record_export
from tui_scraper.engine.search.segments import index_mark
from tui_scraper.engine.search.text_index import TextIndex
from tui_scraper.engine.store.checkpoints import name_checkpoint, take_checkpoint
from tui_scraper.engine.store.codec import pack
from tui_scraper.engine.store.connection import (
    BLOB_FILE,
    STATE_FILE,
    connect,
    open_blobs,
    open_state,
    without_checking,
)
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.results import unfinished
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase
from tui_scraper.engine.store.runs import begin_run, end_run
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.verify import Check, Report, repair, verify
from tui_scraper.engine.wire import CleanText
from tui_scraper.engine.workspace import locked

DOCS = [
    *(Doc(b"text/%02d.txt" % number, f"Document {number} about harbours. " * 40) for number in range(12)),
    Doc(b"broken.pdf", cause=Cause.CORRUPT, message="It is broken."),
    Doc(b"empty.txt", cause=Cause.NO_TEXT, message="No text.", status=Status.EMPTY),
]
LATER = [Doc(b"later/%d.txt" % number, f"A later one, number {number}. " * 30) for number in range(4)]


class Made:
    """A closed workspace with two branches, checkpoints, an index and an export."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        store = Fabricator(directory)
        run = store.writer.call(begin_run("{}"))
        store.writer.call(
            lambda transaction: transaction.state.execute("INSERT INTO meta VALUES('source', x'2f')")
        )
        index = TextIndex(directory)
        store.run(DOCS, index)
        self.first = store.writer.call(take_checkpoint(PhaseName.INDEX))
        store.writer.call(name_checkpoint(self.first, "first"))
        store.run(LATER, index)
        store.writer.call(take_checkpoint(PhaseName.INDEX))
        store.writer.call(roll_back_to_phase(PhaseName.CHUNK))
        store.index(index, store.process([*DOCS, *LATER]))
        self.last = store.writer.call(take_checkpoint(PhaseName.INDEX))
        index.close()
        store.writer.call(end_run(run, "complete"))
        report = export(directory, directory / "export")
        store.writer.call(record_export(report))
        store.writer.close(index_mark(directory / "index"))
        self.settings, self.configs = store.settings, store.configs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made") / "ws")


@pytest.fixture
def workspace(made: Made, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    copy = tmp_path / "ws"
    shutil.copytree(made.directory, copy)
    sql(copy, f"UPDATE export SET dir = '{copy / 'export'}'")
    return copy


def sql(workspace: Path, statement: str, file: str = STATE_FILE) -> Any:
    """Do something to a database, with the checksums of its pages kept up."""
    connection = connect(workspace / file, page_size=4096 if file == STATE_FILE else 65536)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def failing(report: Report) -> dict[str, Check]:
    return {check.name: check for check in report.checks if not check.sound}


def told(report: Report) -> str:
    return "\n".join(f"{damage.where}: {damage.what}" for damage in report.damages)


def snapshot(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.stat().st_size and not path.name.endswith("-shm")
    }


# --- a sound workspace ----------------------------------------------------------------------------


def test_a_sound_workspace_is_found_sound_and_left_as_it_is(workspace: Path) -> None:
    before = snapshot(workspace)
    report = verify(workspace)
    assert report.sound, told(report)
    assert snapshot(workspace) == before
    looked_at = {check.name: check.looked_at for check in report.checks}
    assert looked_at["artifacts"] == 36 + 12 > 36  # clean texts, chunks and labels
    assert {name for name, count in looked_at.items() if not count} == {"human", "vectors", "vector files"}


def test_a_workspace_that_was_killed_is_sound(workspace: Path) -> None:
    writer = Writer(workspace)
    writer.call(
        lambda transaction: transaction.state.execute("UPDATE meta SET value = value WHERE key = 'schema'")
    )
    shutil.copytree(workspace, workspace.parent / "killed")
    writer.close()
    report = verify(workspace.parent / "killed")
    assert not [damage for damage in report.damages if "export" not in damage.where], told(report)


def test_a_workspace_that_was_killed_is_mended_also_without_its_results(workspace: Path) -> None:
    writer = Writer(workspace)
    writer.call(lambda transaction: transaction.state.execute("DELETE FROM result WHERE seq > 9"))
    killed = workspace.parent / "killed"
    shutil.copytree(workspace, killed)
    writer.close()
    assert not verify(killed).sound
    repaired = repair(killed)
    assert repaired.after.sound, (told(repaired.after), repaired.done)


def test_a_log_that_another_program_has_folded_back_loses_nothing(workspace: Path) -> None:
    writer = Writer(workspace)
    writer.call(take_checkpoint(PhaseName.INDEX))
    killed = workspace.parent / "killed"
    shutil.copytree(workspace, killed)
    writer.close()
    before = sql_without_checking(killed, "SELECT * FROM result")
    for name in (STATE_FILE, BLOB_FILE):
        with contextlib.closing(sqlite3.connect(killed / name)) as connection:
            connection.execute("SELECT * FROM sqlite_master").fetchall()  # and it folds when it closes
    report = verify(killed)
    assert "Another program has opened it" in told(report)
    repaired = repair(killed)
    assert repaired.after.sound, (told(repaired.after), repaired.done)
    assert sql(killed, "SELECT * FROM result") == before


def sql_without_checking(workspace: Path, statement: str) -> Any:
    with contextlib.closing(without_checking(workspace / STATE_FILE)) as connection:
        return connection.execute(statement).fetchall()


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=4, max_size=14))
def test_no_history_looks_damaged_open_or_closed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    history = History(tmp_path_factory.mktemp("mix"))
    try:
        for name, *values in steps:
            history.step(name, *values)
        killed = history.directory.parent / f"{history.directory.name}-killed"
        shutil.copytree(history.directory, killed)
    finally:
        history.writer.close()
    for directory in (history.directory, killed):
        report = verify(directory)
        wrong = {name: check for name, check in failing(report).items() if name != "index"}  # there is none
        assert not wrong, told(report)


def test_a_locked_workspace_is_left_alone(workspace: Path) -> None:
    with locked(workspace), pytest.raises(WorkspaceLockedError):
        verify(workspace)
    with locked(workspace), pytest.raises(WorkspaceLockedError):
        repair(workspace)


@pytest.mark.parametrize(
    ("schema", "says"), [(99, "use a newer tui-scraper"), (2, "`tui-scraper run` renews it")]
)
def test_another_schema_is_left_to_who_knows_it(workspace: Path, schema: int, says: str) -> None:
    sql(workspace, f"UPDATE meta SET value = {schema} WHERE key = 'schema'")
    before = snapshot(workspace)
    for look in (verify, repair):
        with pytest.raises(StoreError, match=says):
            look(workspace)
    assert snapshot(workspace) == before


# --- what each check finds ------------------------------------------------------------------------

EDITS = [
    ("DROP TABLE reflog", "schema", "The table reflog is missing"),
    ("DROP INDEX result_latest", "schema", "The index result_latest is missing"),
    ("ALTER TABLE scan ADD COLUMN more", "schema", "The table scan has other columns"),
    ("UPDATE document SET path = 'text' WHERE id = 3", "schema", "document has rows with values of a kind"),
    ("UPDATE result SET version = 'x' WHERE seq = 3", "schema", "result has rows with values of a kind"),
    ("DELETE FROM result WHERE seq % 2", "numbers", "rows are missing in the table result"),
    ("DELETE FROM checkpoint WHERE id = 2", "numbers", "1 rows are missing in the table checkpoint"),
    ("DELETE FROM meta WHERE key = 'source'", "numbers", "The row 'source' of the table meta is missing"),
    ("UPDATE meta SET value = x'2e' WHERE key = 'source'", "seal", "meta is not what it was"),
    ("DELETE FROM reflog WHERE id = (SELECT max(id) FROM reflog)", "seal", "reflog ended at row 1"),
    ("UPDATE config SET json = '{}' WHERE phase = 2", "history", "do not have the hash"),
    ("UPDATE lineage SET parent = 0 WHERE phase = 3", "history", "does not go with its settings"),
    ("UPDATE branch SET parent = 2 WHERE id = 2", "history", "does not begin at one that is there"),
    ("UPDATE scan SET ignored = '[' WHERE id = 1", "history", "The scan 1 cannot be understood"),
    ("UPDATE run SET settings = '' WHERE id = 1", "history", "The run 1 cannot be understood"),
    ("UPDATE checkpoint SET branch = 9 WHERE id = 1", "history", "leads to what is not there"),
    ("UPDATE checkpoint SET counters = '[[1]]' WHERE id = 1", "history", "cannot be understood"),
    (
        "UPDATE checkpoint SET name = 'first' WHERE id = 2",
        "history",
        "Several checkpoints are called 'first'",
    ),
    ("UPDATE checkpoint SET tokens = -1 WHERE id = 2", "history", "less than nothing spent"),
    ("DELETE FROM head", "history", "The head is missing"),
    ("UPDATE head SET branch = 1", "history", "The head is not where it was put: branch 1"),
    ("UPDATE head SET checkpoint = 1", "history", "The head is not where it was put: checkpoint 1"),
    ("UPDATE head SET pinned = 1, run = 7", "history", "The head leads to what is not there"),
    ("UPDATE reflog SET after = '{}'", "history", "The move 1 of the head leads to what is not there"),
    (
        "INSERT INTO ledger VALUES(1, 1, 'label', 'e', 'm', 'settled', -5, 0, 0, 0, '', 0, 0)",
        "history",
        "The payment 1",
    ),
    (
        "UPDATE document SET path = CAST('x' AS BLOB) WHERE id = 3",
        "documents",
        "do not have the id that follows from",
    ),
    ("UPDATE document SET parent = 1 WHERE id = 3", "documents", "do not have the id that follows from"),
    ("UPDATE version SET document = 999 WHERE id = 3", "documents", "of documents that are not there"),
    ("UPDATE version SET scan_from = 90 WHERE id = 3", "documents", "1 versions cannot be right"),
    ("UPDATE version SET content = NULL WHERE id = 3", "documents", "1 versions cannot be right"),
    ("UPDATE result SET branch = 9 WHERE seq = 3", "results", "1 results belong to a branch, lineage"),
    ("UPDATE result SET status = 2 WHERE seq = 3", "results", "1 results lack the artifact or the failure"),
    ("UPDATE result SET artifact = NULL WHERE seq = 3", "results", "1 results lack the artifact"),
    ("DELETE FROM failure", "results", "results lack the artifact or the failure"),
    ("INSERT INTO failure VALUES(999, 'corrupt', '', 0)", "results", "1 failures belong to no result"),
    ("UPDATE version SET content = randomblob(16) WHERE id = 3", "results", "not what the key of their"),
    ("UPDATE artifact SET key = randomblob(16) WHERE id = 3", "results", "not what the key of their"),
    ("UPDATE counter SET n = n + 1 WHERE lineage = 0", "counters", "counters of the head are not what"),
    ("UPDATE counter SET n = 50 WHERE status = 2", "counters", "The documents of the head do not add up"),
    ("UPDATE failure SET cause = 'timeout'", "counters", "counters of the head are not what"),
    ("UPDATE version SET size_bytes = size_bytes + 1 WHERE id = 3", "counters", "counters of the head"),
    (
        "UPDATE checkpoint SET counters = replace(counters, '12', '11') WHERE id = 1",
        "counters",
        "checkpoint 1",
    ),
    ("DELETE FROM counter WHERE branch = 1", "counters", "counters of branch 1"),
    ("UPDATE artifact SET data = x'00' WHERE phase = 3", "artifacts", "a label or a list of members"),
    ("UPDATE artifact SET amount = amount + 1 WHERE phase = 1", "artifacts", "another size than is kept"),
    ("UPDATE artifact SET output = x'00' WHERE id = 1", "artifacts", "nobody can have written"),
    ("UPDATE artifact SET blob = 1 WHERE phase = 2", "artifacts", "a text or chunks that are damaged"),
    ("DELETE FROM indexed WHERE artifact % 2", "index", "the table indexed does not have it"),
    ("INSERT INTO indexed VALUES(1)", "index", "1 rows of the table indexed are of nothing"),
]


@pytest.mark.parametrize(("edit", "name", "says"), EDITS, ids=[edit for edit, _name, _says in EDITS])
def test_an_edited_row_is_found_and_mended(workspace: Path, edit: str, name: str, says: str) -> None:
    sql(workspace, edit)
    report = verify(workspace)
    assert name in failing(report), told(report)
    assert any(says in damage.what for damage in failing(report)[name].damages), told(report)
    repaired = repair(workspace)
    assert repaired.after.sound, (told(repaired.after), repaired.done)
    Writer(workspace).close()


@pytest.mark.parametrize("file", [STATE_FILE, BLOB_FILE])
def test_a_damaged_page_is_found_with_the_table_it_belongs_to(workspace: Path, file: str) -> None:
    size = {STATE_FILE: 4096, BLOB_FILE: 65536}[file]
    table = {STATE_FILE: "artifact", BLOB_FILE: "blob"}[file]
    (root,) = sql(workspace, f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'", file)[0]
    with (workspace / file).open("r+b") as opened:
        opened.seek(root * size - 100)
        opened.write(b"\xff")
    report = verify(workspace)
    assert any(table in damage.where and f"page {root}" in damage.what for damage in report.damages), told(
        report
    )
    repaired = repair(workspace)
    assert repaired.after.sound, told(repaired.after)


@pytest.mark.parametrize("file", [STATE_FILE, BLOB_FILE])
@pytest.mark.parametrize("length", [0, 50, 4096, 10_000, -1])
def test_a_database_that_was_cut_off_is_found_and_rebuilt(workspace: Path, file: str, length: int) -> None:
    path = workspace / file
    os.truncate(path, length if length >= 0 else path.stat().st_size - 1)
    assert file in failing(verify(workspace))
    assert repair(workspace).after.sound


def test_a_damaged_payload_is_located_to_its_documents(workspace: Path) -> None:
    (blob,) = sql(
        workspace,
        """SELECT a.blob FROM artifact a JOIN result r ON r.artifact = a.id JOIN version v ON v.id = r.version
        JOIN document d ON d.id = v.document WHERE d.path = CAST('text/05.txt' AS BLOB) AND a.phase = 1""",
    )[0]
    payload, _output = pack(CleanText("something else"))
    sql(workspace, f"UPDATE blob SET data = x'{payload.hex()}' WHERE id = {blob}", BLOB_FILE)
    (damage,) = verify(workspace).damages
    assert damage.documents == ("text/05.txt",)
    assert damage.document_count == 1
    assert "pending" in damage.repair


@pytest.mark.parametrize("what", ["flip", "cut", "meta", "gone", "older"])
def test_a_damaged_index_is_found_and_made_anew(workspace: Path, what: str) -> None:
    folder = workspace / "index"
    file = sorted(folder.glob("*.pos"))[0]
    data = bytearray(file.read_bytes())
    match what:
        case "flip":
            data[len(data) // 2] ^= 1
            file.write_bytes(data)
        case "cut":
            os.truncate(file, len(data) - 1)
        case "meta":
            path = folder / "meta.json"
            path.write_text(path.read_text().replace('"opstamp": ', '"opstamp": 1'))
        case "gone":
            shutil.rmtree(folder)
        case _:
            sql(workspace, "DELETE FROM artifact WHERE id > 20")
    report = verify(workspace)
    assert "index" in failing(report), told(report)
    repaired = repair(workspace)
    assert repaired.after.sound, told(repaired.after)
    assert not folder.exists()
    assert sql(workspace, "SELECT count(*) FROM indexed") == [(0,)]
    state = open_state(workspace, read_only=True)
    waiting, _ = unfinished(state, read_head(state), 0, 100, PhaseName.INDEX)
    state.close()
    assert len(waiting) == 16  # every document that was searchable is to be indexed again


@pytest.mark.parametrize("what", ["flip", "cut", "removed", "manifest cut", "manifest edited"])
def test_a_damaged_export_is_found_and_written_anew(workspace: Path, what: str) -> None:
    rows, manifest = workspace / "export" / "documents.jsonl", workspace / "export" / "manifest.json"
    data = rows.read_bytes()
    match what:
        case "flip":
            rows.write_bytes(data.replace(b"harbours", b"harbourz", 1))
        case "cut":
            rows.write_bytes(data[:-1])
        case "removed":
            rows.unlink()
        case "manifest cut":
            manifest.write_bytes(manifest.read_bytes()[:-20])
        case _:
            manifest.write_text(manifest.read_text().replace('"done": 16', '"done": 15'))
    assert list(failing(verify(workspace))) == ["exports"]
    assert repair(workspace).after.sound
    export(workspace, workspace / "export")  # nothing stands in its way
    assert rows.read_bytes() == data


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("documents.csv", "flip"),
        ("documents.parquet", "flip"),
        ("README.md", "flip"),
        ("markdown.sha256", "flip"),
        ("markdown", "flip"),
        ("markdown", "removed"),
    ],
)
def test_damage_to_any_format_of_an_export_is_found_and_written_anew(
    workspace: Path, name: str, what: str
) -> None:
    target, formats = workspace / "export", ("csv", "jsonl", "markdown", "parquet")
    writer = Writer(workspace)
    writer.call(record_export(export(workspace, target, formats=formats)))
    writer.close(index_mark(workspace / "index"))
    assert verify(workspace).sound
    before = snapshot(target)
    path = target / name if (target / name).is_file() else next((target / name / "report").iterdir())
    if what == "removed":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    report = verify(workspace)
    assert list(failing(report)) == ["exports"]
    assert path.name in told(report) or name in told(report)
    assert repair(workspace).after.sound
    export(workspace, target, formats=formats)
    assert snapshot(target) == before


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet", "markdown"])
def test_an_export_in_another_format_that_nobody_recorded_is_a_note(workspace: Path, name: str) -> None:
    export(workspace, workspace / "export", formats=(name,))
    sql(workspace, "UPDATE export SET manifest = x'00'")
    report = verify(workspace)
    assert report.sound, told(report)
    (note,) = report.checks[-1].notes
    assert "another export than the last one" in note.text
    manifest = workspace / "export" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"documents": 18', '"documents": 17'))
    assert list(failing(verify(workspace))) == ["exports"]


def test_an_export_that_was_taken_away_or_is_another_one_is_a_note(workspace: Path) -> None:
    shutil.move(workspace / "export", workspace.parent / "elsewhere")
    report = verify(workspace)
    assert report.sound
    (note,) = report.checks[-1].notes
    assert "cannot be seen any more" in note.text
    sql(workspace, "UPDATE export SET manifest = x'00'")
    shutil.move(workspace.parent / "elsewhere", workspace / "export")
    report = verify(workspace)
    assert report.sound, told(report)
    (note,) = report.checks[-1].notes
    assert "another export than the last one" in note.text


def test_rows_that_garbage_collection_took_are_not_missed(workspace: Path) -> None:
    """It says in `meta` how many rows are gone, and what the highest number was."""
    highest = sql(workspace, "SELECT max(seq) FROM result")[0][0]
    sql(
        workspace,
        f"""INSERT INTO meta VALUES('floor:result', {highest}); INSERT INTO meta VALUES('gone:result', 3);
        DELETE FROM result WHERE seq IN (1, 2, {highest})""",
    )
    assert "numbers" not in failing(verify(workspace))
    sql(workspace, "DELETE FROM result WHERE seq = 5")
    assert "1 rows are missing in the table result" in told(verify(workspace))
    writer = Writer  # numbers go on above what was handed out
    sql(workspace, "DELETE FROM result WHERE seq > 10")
    repair(workspace)
    opened = writer(workspace)
    assert opened.call(lambda transaction: transaction.last_seq) >= highest
    opened.close()


# --- repair ---------------------------------------------------------------------------------------


def harm(workspace: Path, path: bytes, phase: int) -> int:
    """Damage what a phase has made of a document. Returns the artifact."""
    artifact, blob = sql(
        workspace,
        f"""SELECT a.id, a.blob FROM artifact a JOIN result r ON r.artifact = a.id
        JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
        WHERE d.path = x'{path.hex()}' AND a.phase = {phase}""",
    )[0]
    if blob is None:
        sql(workspace, f"UPDATE artifact SET data = x'00' WHERE id = {artifact}")
    else:
        sql(workspace, f"UPDATE blob SET data = x'00' WHERE id = {blob}", BLOB_FILE)
    return int(artifact)


class Again(Fabricator):
    """A store that was made before, to go on in."""

    def __init__(self, directory: Path, made: Made) -> None:
        self.directory, self.chunk_size = directory, 400
        self.writer = Writer(directory)
        self.settings, self.configs = made.settings, made.configs


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_what_was_damaged_is_made_again_under_its_key_and_is_there_for_all_branches(
    workspace: Path, made: Made, phase: int
) -> None:
    before = (workspace / "export" / "documents.jsonl").read_bytes()
    artifact = harm(workspace, b"text/03.txt", phase)
    repaired = repair(workspace)
    assert repaired.after.sound, told(repaired.after)
    assert sql(workspace, f"SELECT blob, data FROM artifact WHERE id = {artifact}") == [(None, None)]
    state = open_state(workspace, read_only=True)
    (waiting,), _ = unfinished(state, read_head(state), 0, 100, PhaseName.INDEX)
    state.close()
    assert waiting.path == b"text/03.txt"
    store = Again(workspace, made)
    index = TextIndex(workspace)
    store.index(index, store.process(DOCS))
    index.close()
    store.close()
    assert sql(workspace, f"SELECT blob IS NULL, data IS NULL FROM artifact WHERE id = {artifact}") == [
        (int(phase == 3), int(phase != 3))
    ]
    report = verify(workspace)
    assert report.sound, told(report)
    export(workspace, workspace / "export")
    assert (workspace / "export" / "documents.jsonl").read_bytes() == before


def test_a_label_that_is_there_stays_when_the_text_is_made_again(workspace: Path, made: Made) -> None:
    """It may have been paid for, or be a person's."""
    sql(
        workspace,
        """UPDATE result SET artifact = (SELECT artifact FROM result r JOIN version v ON v.id = r.version
            JOIN document d ON d.id = v.document WHERE d.path = CAST('text/01.txt' AS BLOB) AND r.phase = 3)
        WHERE phase = 3 AND version = (SELECT v.id FROM version v JOIN document d ON d.id = v.document
            WHERE d.path = CAST('text/03.txt' AS BLOB))""",
    )
    labels = sql(
        workspace, "SELECT version, artifact FROM result WHERE phase = 3 AND status = 1 GROUP BY 1, 2"
    )
    harm(workspace, b"text/03.txt", 1)
    assert repair(workspace).after.sound
    store = Again(workspace, made)
    store.process(DOCS)
    store.close()
    after = sql(
        workspace, "SELECT version, artifact FROM result WHERE phase = 3 AND status = 1 GROUP BY 1, 2"
    )
    assert after == labels


def test_going_back_to_where_something_is_lost_puts_it_back_to_pending(workspace: Path, made: Made) -> None:
    harm(workspace, b"text/03.txt", 2)
    assert repair(workspace).after.sound
    writer = Writer(workspace)
    writer.call(roll_back_to_checkpoint(made.first))
    writer.close()
    report = verify(workspace)
    assert report.sound, told(report)
    state = open_state(workspace, read_only=True)
    waiting, _ = unfinished(state, read_head(state), 0, 100, PhaseName.INDEX)
    state.close()
    assert [work.path for work in waiting] == [b"text/03.txt"]


def test_a_repair_copies_both_databases_first_byte_by_byte(workspace: Path) -> None:
    sql(workspace, "DELETE FROM failure")
    before = {name: (workspace / name).read_bytes() for name in (STATE_FILE, BLOB_FILE)}
    repaired = repair(workspace)
    assert len(repaired.copies) == 2
    for name, copy in zip((STATE_FILE, BLOB_FILE), map(Path, repaired.copies), strict=True):
        assert copy.name.startswith(f"{name[:-3]}-before-repair-")
        assert copy.read_bytes() == before[name]
    assert repair(workspace).copies == ()  # there is nothing to mend, so nothing is copied


def test_a_repair_without_room_for_the_copies_changes_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql(workspace, "DELETE FROM failure")
    before = snapshot(workspace)
    usage = shutil.disk_usage(workspace)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1_000_000))
    with pytest.raises(StoreFullError, match="Nothing was changed"):
        repair(workspace)
    assert snapshot(workspace) == before


def test_labels_survive_a_page_above_them_that_is_lost(tmp_path: Path) -> None:
    """Leaves that no sound page leads to are recognised by their rows."""
    workspace = tmp_path / "ws"
    store = Fabricator(workspace)
    store.run([Doc(b"%03d.txt" % number, f"Document {number}. " * 9) for number in range(120)])
    store.close()
    labels = sql(workspace, "SELECT id, key, data FROM artifact WHERE phase = 3")
    (root,) = sql(workspace, "SELECT rootpage FROM sqlite_master WHERE name = 'artifact'")[0]
    data = bytearray((workspace / STATE_FILE).read_bytes())
    assert data[(root - 1) * 4096] == 5, "the table has no interior page, so this shows nothing"
    data[(root - 1) * 4096 + 2_000] ^= 1
    (workspace / STATE_FILE).write_bytes(data)
    repaired = repair(workspace)
    assert repaired.after.sound, told(repaired.after)
    assert sql(workspace, "SELECT id, key, data FROM artifact WHERE phase = 3") == labels


def test_a_lost_header_costs_no_row(workspace: Path) -> None:
    """Without the schema, tables are recognised by what their rows look like."""
    tables = ("artifact", "result", "version", "document", "checkpoint", "branch", "run", "lineage", "config")
    before = {table: sql(workspace, f"SELECT * FROM {table}") for table in tables}
    data = bytearray((workspace / STATE_FILE).read_bytes())
    data[:4096] = random.Random(1).randbytes(4096)
    (workspace / STATE_FILE).write_bytes(data)
    repaired = repair(workspace)
    assert repaired.after.sound, told(repaired.after)
    for table in tables:
        after = sql(workspace, f"SELECT * FROM {table}")
        if table == "run":  # what is pending now makes it incomplete
            after = [(*row[:-1], before[table][0][-1]) for row in after]
        assert after == before[table], table


def test_a_repair_that_cannot_write_leaves_everything_as_it_was(workspace: Path) -> None:
    sql(workspace, "DELETE FROM failure")
    before = snapshot(workspace)
    (workspace / "seal.json.new").mkdir()
    with pytest.raises(StoreError):
        repair(workspace)
    (workspace / "seal.json.new").rmdir()
    after = snapshot(workspace)
    assert {name: after[name] for name in before} == before
    assert repair(workspace).after.sound


def test_a_replacement_that_was_interrupted_is_finished(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new database is there and the old one is in its place still: whichever comes next finds a way."""
    os.truncate(workspace / STATE_FILE, 40_000)

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules[repair.__module__], "replace_databases", interrupted)
    with pytest.raises(KeyboardInterrupt):
        repair(workspace)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="a repair was interrupted"):
        Writer(workspace)
    assert repair(workspace).after.sound
    Writer(workspace).close()


def test_a_payload_file_without_checksums_is_verified_by_what_it_holds(workspace: Path) -> None:
    """As it is in a workspace from before there were any: only state.db is rewritten by a migration."""
    old = apsw.Connection(str(workspace / "old.db"))
    old.execute("PRAGMA page_size = 65536; CREATE TABLE blob(id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    rows = sql(workspace, "SELECT id, data FROM blob", BLOB_FILE)
    old.executemany("INSERT INTO blob VALUES(?, ?)", rows)
    session = sql(workspace, "SELECT value FROM meta", BLOB_FILE)[0]
    old.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID")
    old.execute("INSERT INTO meta VALUES('session', ?)", session)
    old.close()
    os.replace(workspace / "old.db", workspace / BLOB_FILE)
    report = verify(workspace)
    assert report.sound, told(report)
    blobs = open_blobs(workspace, read_only=True)
    assert blobs.reserve_bytes("main", -1) == 0
    blobs.close()
    data = bytearray((workspace / BLOB_FILE).read_bytes())
    at = data.index(rows[5][1]) + 20
    data[at] ^= 1
    (workspace / BLOB_FILE).write_bytes(data)
    assert list(failing(verify(workspace))) == ["artifacts"]
    repaired = repair(workspace)
    assert repaired.after.sound, told(repaired.after)
