"""One run over a mixed folder: what is found, what becomes of it, and that a second run does nothing."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.engine.corpus import ODD_NAMES, write_corpus
from tests.engine.running import (
    Running,
    change,
    check_counters,
    export_bytes,
    results_by_phase,
    rows,
    run_once,
    running,
    table,
)
from tui_scraper.engine import RunSnapshot, RunState
from tui_scraper.engine.safe_text import show_path
from tui_scraper.engine.search.query import search
from tui_scraper.engine.store.reader import Reader


class Finished:
    """A folder and the workspace of a complete run over it. To be read only."""

    def __init__(self, base: Path) -> None:
        self.source, self.workspace = base / "source", base / "workspace"
        self.expected = write_corpus(self.source)
        self.snapshot: RunSnapshot = run_once(self.source, self.workspace)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(tmp_path_factory.mktemp("finished"))


def test_every_document_ends_in_the_one_state_it_deserves(finished: Finished) -> None:
    exported = rows(finished.workspace)
    assert {path: row["status"] for path, row in exported.items()} == {
        show_path(path): status for path, status in finished.expected.items()
    }
    counts = finished.snapshot.counts
    assert counts.found == len(finished.expected) == len(exported)
    assert counts.pending == 0
    check_counters(finished.workspace)


def test_names_that_no_terminal_can_show_are_exported_to_the_byte(finished: Finished) -> None:
    import base64

    by_bytes = set()
    for line in export_bytes(finished.workspace).splitlines():
        row = json.loads(line)
        by_bytes.add(base64.b64decode(row["path_bytes"]) if "path_bytes" in row else row["path"].encode())
    assert by_bytes == set(finished.expected)
    assert set(ODD_NAMES) <= by_bytes


def test_the_export_is_sorted_by_path_bytes_and_its_manifest_tells_the_truth(finished: Finished) -> None:
    folder = finished.workspace / "export"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    file, card = manifest["files"]
    assert (file["name"], card["name"]) == ("documents.jsonl", "README.md")
    data = (folder / file["name"]).read_bytes()
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
    assert file["size_bytes"] == len(data)
    assert manifest["documents"] == file["rows"] == len(data.splitlines()) == len(finished.expected)
    ids = [row["id"] for row in map(json.loads, data.splitlines())]
    assert len(set(ids)) == len(ids)


def test_chunks_are_slices_of_the_clean_text(finished: Finished) -> None:
    for row in rows(finished.workspace).values():
        if row["status"] != "done":
            assert row["chunks"] == []
            continue
        assert row["chunks"]
        for number, chunk in enumerate(row["chunks"]):
            assert chunk["ordinal"] == number
            assert chunk["text"] == row["text"][chunk["start"] : chunk["end"]] != ""
            assert 0 < chunk["tokens"] <= 512


def test_what_did_not_get_through_says_why(finished: Finished) -> None:
    exported = rows(finished.workspace)
    assert exported["broken.pdf"]["error"]["phase"] == "clean"
    assert exported["broken.pdf"]["error"]["cause"] == "corrupt"
    assert exported["picture.psd"]["error"]["cause"] == "unsupported"
    assert exported["empty.txt"]["error"]["cause"] == "no text"
    for row in exported.values():
        assert (row["error"] is None) == (row["status"] == "done")
        assert row["error"] is None or row["error"]["message"].endswith((".", ")."))


def test_the_snapshot_at_the_end_is_whole(finished: Finished) -> None:
    snapshot = finished.snapshot
    assert snapshot.state is RunState.COMPLETE
    assert all(phase.complete for phase in snapshot.phases)
    assert snapshot.export_dir == str(finished.workspace / "export")
    assert snapshot.checkpoint == table(finished.workspace, "SELECT checkpoint FROM head")[0][0]


def test_what_was_read_can_be_searched(finished: Finished) -> None:
    assert [hit.path for hit in search(finished.workspace, "axolotl")] == ["letter.docx"]
    assert [hit.path for hit in search(finished.workspace, "quokka")] == ["data.json"]
    assert search(finished.workspace, "nothinghasthisword") == []


def test_the_log_holds_json_lines_without_texts_of_documents(finished: Finished) -> None:
    data = (finished.workspace / "log.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in data.splitlines()]
    assert lines
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    assert {line["level"] for line in lines} <= {"INFO", "WARNING", "ERROR"}
    assert "axolotl" not in data
    assert "quokka" not in data
    assert "\x1b" not in data
    assert any("broken.pdf" in line["message"] and line["level"] == "ERROR" for line in lines)


def test_a_second_run_does_nothing_again(finished: Finished) -> None:
    before = results_by_phase(finished.workspace)
    checkpoints = table(finished.workspace, "SELECT count(*) FROM checkpoint")
    exported = os.stat(finished.workspace / "export" / "documents.jsonl")
    with running(finished.source, finished.workspace) as run:
        snapshot = run.complete()
    assert snapshot.counts == finished.snapshot.counts
    assert results_by_phase(finished.workspace) == before
    assert table(finished.workspace, "SELECT count(*) FROM checkpoint") == checkpoints
    after = os.stat(finished.workspace / "export" / "documents.jsonl")
    assert (after.st_ino, after.st_mtime_ns) == (exported.st_ino, exported.st_mtime_ns)


def test_the_end_of_each_phase_is_marked_also_after_a_death_between_two_marks(tmp_path: Path) -> None:
    write_corpus(tmp_path / "source", filling=0)
    run_once(tmp_path / "source", tmp_path / "w")
    change(tmp_path / "w", "UPDATE head SET checkpoint = (SELECT max(id) FROM checkpoint WHERE phase = 1)")
    (last,) = table(tmp_path / "w", "SELECT max(id) FROM checkpoint")
    run_once(tmp_path / "source", tmp_path / "w")
    later = table(tmp_path / "w", "SELECT phase FROM checkpoint WHERE id > ? ORDER BY id", *last)
    assert [phase for (phase,) in later] == [0, 1, 2, 3, 4]
    run_once(tmp_path / "source", tmp_path / "w")
    assert table(tmp_path / "w", "SELECT max(id) FROM checkpoint") == [(last[0] + 5,)]


def test_another_workspace_gets_the_same_export(finished: Finished, tmp_path: Path) -> None:
    run_once(finished.source, tmp_path / "other", settings={"engine": {"workers": 1}})
    assert export_bytes(tmp_path / "other") == export_bytes(finished.workspace)


def test_the_source_folder_is_never_written_to(finished: Finished) -> None:
    left = {
        os.path.relpath(os.path.join(folder, name), os.fsencode(finished.source))
        for folder, _folders, names in os.walk(os.fsencode(finished.source))
        for name in names
    }
    assert left == set(finished.expected)


def test_failures_are_grouped_by_cause_and_previewed_safely(finished: Finished) -> None:
    with Reader(finished.workspace) as reader:
        causes = {(str(group.phase), str(group.cause)): group.count for group in reader.causes()}
        assert sum(causes.values()) == 3
        listed = {row.path: row for row in reader.all_failures()}
        assert set(listed) == {"broken.pdf", "picture.psd", "empty.txt"}
        assert all(row.attempts == 1 for row in listed.values())
        (version,) = table(
            finished.workspace,
            "SELECT v.id FROM version v JOIN document d ON d.id = v.document WHERE d.path = ?",
            b"letter.docx",
        )[0]
        assert "axolotl" in reader.preview(version)


def events_of(run: Running) -> list[object]:
    found = []
    while not run.events.empty():
        found.append(run.events.get())
    return found


def test_each_checkpoint_and_failure_is_told_once(tmp_path: Path) -> None:
    from tui_scraper.engine import CheckpointTaken, DocumentFailed

    write_corpus(tmp_path / "source", filling=3)
    with running(tmp_path / "source", tmp_path / "workspace") as run:
        run.complete()
        events = events_of(run)
    checkpoints = [event for event in events if isinstance(event, CheckpointTaken)]
    assert [str(event.phase) for event in checkpoints] == [
        "input",
        "clean",
        "chunk",
        "classify",
        "index",
        "output",
    ]
    failures = sorted(event.path for event in events if isinstance(event, DocumentFailed))
    assert failures == ["broken.pdf", "empty.txt", "picture.psd"]
