"""What a later run takes up: files that are new, changed or gone, and other settings. Never more."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.engine.corpus import write_corpus
from tests.engine.running import (
    check_counters,
    export_bytes,
    results_by_phase,
    rows,
    run_once,
    running,
    table,
)
from tui_scraper.engine import PhaseName, Reader, RunState, Settings, UsageError, WorkspaceLockedError
from tui_scraper.engine.phases.input import Walk
from tui_scraper.engine.search.query import search
from tui_scraper.engine.store.connection import connect
from tui_scraper.engine.store.rollback import roll_back_to_phase
from tui_scraper.engine.survey import survey
from tui_scraper.engine.workspace import reopen

INPUT, CLEAN, CHUNK, CLASSIFY, INDEX = range(5)


def more(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    """New result rows by phase."""
    return {
        phase: after[phase] - before.get(phase, 0) for phase in after if after[phase] != before.get(phase, 0)
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "source", filling=4)
    return tmp_path / "source"


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Path:
    """A workspace of a complete run over `source`."""
    run_once(source, tmp_path / "workspace")
    return tmp_path / "workspace"


def fresh_export(source: Path, tmp_path: Path, **options: Any) -> bytes:
    """What an undisturbed first run exports."""
    run_once(source, tmp_path / "fresh", **options)
    return export_bytes(tmp_path / "fresh")


def test_new_changed_touched_renamed_and_vanished_files(
    source: Path, workspace: Path, tmp_path: Path
) -> None:
    before = results_by_phase(workspace)
    (source / "new.txt").write_text("A new document about wombats.")
    (source / "notes.txt").write_text("Changed: now it is about capybaras.")
    os.utime(source / "guide.md", ns=(1, 1_600_000_000_000_000_000))
    (source / "page.html").rename(source / "renamed.html")
    (source / "table.csv").unlink()
    with running(source, workspace) as run:
        counts = run.complete().counts
    assert counts.found == counts.done + counts.failed + counts.skipped + counts.empty
    redone = more(before, results_by_phase(workspace))
    assert redone == {CLEAN: 3, CHUNK: 3, CLASSIFY: 3, INDEX: 3}  # new, changed, renamed
    exported = rows(workspace)
    assert {"new.txt", "renamed.html"} <= exported.keys()
    assert not {"page.html", "table.csv"} & exported.keys()
    assert [hit.path for hit in search(workspace, "wombats")] == ["new.txt"]
    assert [hit.path for hit in search(workspace, "capybaras")] == ["notes.txt"]
    assert search(workspace, "zebra") == []  # of the text before the change
    check_counters(workspace)
    assert export_bytes(workspace) == fresh_export(source, tmp_path)


def test_a_touched_file_is_not_read_again_but_its_time_is_exported(
    source: Path, workspace: Path, tmp_path: Path
) -> None:
    before = results_by_phase(workspace)
    os.utime(source / "guide.md", ns=(1, 1_600_000_000_000_000_000))
    run_once(source, workspace)
    assert results_by_phase(workspace) == before
    assert export_bytes(workspace) == fresh_export(source, tmp_path)


def test_a_file_that_comes_back_is_found_again_and_nothing_is_parsed_for_it(
    source: Path, workspace: Path, tmp_path: Path
) -> None:
    wanted = export_bytes(workspace)
    artifacts = table(workspace, "SELECT count(*) FROM artifact")
    shutil.copy2(source / "letter.docx", tmp_path / "kept")
    (source / "letter.docx").unlink()
    run_once(source, workspace)
    assert search(workspace, "axolotl") == []
    shutil.move(tmp_path / "kept", source / "letter.docx")
    run_once(source, workspace)
    assert [hit.path for hit in search(workspace, "axolotl")] == ["letter.docx"]
    assert table(workspace, "SELECT count(*) FROM artifact") == artifacts
    assert export_bytes(workspace) == wanted
    check_counters(workspace)


def test_other_chunk_settings_redo_chunks_and_what_follows_and_going_back_reuses_all(
    source: Path, workspace: Path, tmp_path: Path
) -> None:
    wanted, before = export_bytes(workspace), results_by_phase(workspace)
    artifacts = dict(table(workspace, "SELECT phase, count(*) FROM artifact GROUP BY phase"))
    small = {"chunk": {"max_tokens": 32, "overlap": 0}}
    run_once(source, workspace, settings=small)
    redone = more(before, results_by_phase(workspace))
    assert CLEAN not in redone
    assert redone.keys() == {CHUNK, CLASSIFY, INDEX}
    assert export_bytes(workspace) == fresh_export(source, tmp_path, settings=small)
    check_counters(workspace)
    between = results_by_phase(workspace)
    made = dict(table(workspace, "SELECT phase, count(*) FROM artifact GROUP BY phase"))
    assert made[CLEAN] == artifacts[CLEAN]
    run_once(source, workspace)
    assert results_by_phase(workspace) == between  # every result of those settings counts again
    assert dict(table(workspace, "SELECT phase, count(*) FROM artifact GROUP BY phase")) == made
    assert export_bytes(workspace) == wanted
    check_counters(workspace)


def test_other_labels_redo_classify_and_index_only(source: Path, workspace: Path) -> None:
    before = results_by_phase(workspace)
    labels = [{"name": "animals", "keywords": ["zebra", "axolotl"]}, {"name": "rest"}]
    run_once(source, workspace, settings={"classify": {"labels": labels, "backend": "rules"}})
    assert more(before, results_by_phase(workspace)).keys() == {CLASSIFY, INDEX}
    assert rows(workspace)["letter.docx"]["label"] == "animals"
    assert search(workspace, "axolotl")[0].label == "animals"
    check_counters(workspace)


def test_a_smaller_size_limit_and_back(source: Path, workspace: Path) -> None:
    wanted = export_bytes(workspace)
    (source / "large.txt").write_text("large " * 200_000)
    with running(source, workspace, settings={"input": {"max_file_size": 1_000_000}}) as run:
        assert run.complete().counts.failed == 2
    assert rows(workspace)["large.txt"]["error"]["cause"] == "too large"
    run_once(source, workspace)
    assert rows(workspace)["large.txt"]["status"] == "done"
    check_counters(workspace)
    (source / "large.txt").unlink()
    run_once(source, workspace)
    assert export_bytes(workspace) == wanted


def test_excluded_documents_leave_and_return(source: Path, workspace: Path) -> None:
    wanted = export_bytes(workspace)
    run_once(source, workspace, settings={"input": {"exclude": ["*.txt"]}})
    assert not [path for path in rows(workspace) if path.endswith(".txt")]
    check_counters(workspace)
    run_once(source, workspace)
    assert export_bytes(workspace) == wanted
    check_counters(workspace)


@pytest.mark.parametrize(
    ("through", "phases"),
    [
        ("input", {INPUT}),
        ("clean", {INPUT, CLEAN}),
        ("chunk", {INPUT, CLEAN, CHUNK}),
        ("classify", {INPUT, CLEAN, CHUNK, CLASSIFY}),
    ],
)
def test_a_run_goes_no_further_than_asked(
    source: Path, tmp_path: Path, through: str, phases: set[int]
) -> None:
    with running(source, tmp_path / "workspace", through=through) as run:
        snapshot = run.complete()
    assert results_by_phase(tmp_path / "workspace").keys() <= phases
    assert snapshot.counts.done == 0
    assert snapshot.counts.pending > 0
    assert not (tmp_path / "workspace" / "export").exists()


def test_going_on_after_a_part_gives_the_whole(source: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    for through in ("clean", "chunk", "output"):
        run_once(source, workspace, through=through)
        check_counters(workspace)
    cleaned = table(workspace, "SELECT count(*), count(DISTINCT version) FROM result WHERE phase = 1")
    assert cleaned[0][0] == cleaned[0][1]
    assert export_bytes(workspace) == fresh_export(source, tmp_path)


def test_a_sample_is_the_same_documents_each_time_and_the_rest_stays_pending(
    source: Path, tmp_path: Path
) -> None:
    chosen = []
    for name in ("one", "two"):
        with running(source, tmp_path / name, sample=6) as run:
            counts = run.complete().counts
        assert counts.found - counts.pending == 6
        chosen.append({path for path, row in rows(tmp_path / name).items() if row["status"] != "pending"})
    assert chosen[0] == chosen[1]
    run_once(source, tmp_path / "one")
    assert export_bytes(tmp_path / "one") == fresh_export(source, tmp_path)
    check_counters(tmp_path / "one")


def test_a_workspace_and_exports_inside_the_source_are_no_documents(source: Path, tmp_path: Path) -> None:
    found = []
    for export in (source / "out", source / "out", source / "sub" / "other-out"):
        with running(source, source / "workspace", export_dir=export) as run:
            found.append(run.complete().counts.found)
    assert len(set(found)) == 1, found
    assert not [path for path in rows_of(source / "out") if path.startswith((b"workspace", b"out"))]


def rows_of(folder: Path) -> set[bytes]:
    import json

    return {
        json.loads(line)["path"].encode() for line in (folder / "documents.jsonl").read_bytes().splitlines()
    }


def test_an_export_by_command_inside_the_source_is_no_document(source: Path, workspace: Path) -> None:
    from tui_scraper.engine.export import export

    export(workspace, source / "by-hand")
    with running(source, workspace) as run:
        assert run.complete().counts.found == len(rows(workspace))
    assert not [path for path in rows(workspace) if path.startswith("by-hand")]


def test_a_source_folder_that_is_gone_is_a_sentence_and_marks_nothing_as_gone(
    source: Path, workspace: Path
) -> None:
    wanted = export_bytes(workspace)
    source.rename(source.with_name("away"))
    with running(source, workspace) as run:
        run.wait_for_end()
        assert isinstance(run.host.error, UsageError)
        assert str(run.host.error).endswith("there is no such folder.")
    assert table(workspace, "SELECT count(*) FROM version WHERE scan_to IS NOT NULL") == [(0,)]
    assert [hit.path for hit in search(workspace, "axolotl")] == ["letter.docx"]
    source.with_name("away").rename(source)
    run_once(source, workspace)
    assert export_bytes(workspace) == wanted


def test_a_lost_or_damaged_index_is_built_again(source: Path, workspace: Path) -> None:
    queries = ("axolotl", "invoice", "zebra", "quokka")
    wanted = {query: [hit.path for hit in search(workspace, query, k=50)] for query in queries}
    assert wanted["axolotl"]

    def damage_meta() -> None:
        (workspace / "index" / "meta.json").write_bytes(b"{ not json")

    def cut_segments() -> None:
        for file in (workspace / "index").glob("*.*"):
            if file.suffix not in {".json", ".lock"}:
                os.truncate(file, file.stat().st_size // 2)

    def to_file() -> None:
        shutil.rmtree(workspace / "index")
        (workspace / "index").write_text("not a folder")

    before = results_by_phase(workspace)
    for harm in (lambda: shutil.rmtree(workspace / "index"), damage_meta, cut_segments, to_file):
        harm()
        run_once(source, workspace)
        assert {query: [hit.path for hit in search(workspace, query, k=50)] for query in queries} == wanted
        check_counters(workspace)
    assert more(before, results_by_phase(workspace)).keys() == {INDEX}


def test_a_second_engine_is_refused_and_told_who_works(source: Path, workspace: Path) -> None:
    with running(source, workspace) as first:
        first.complete()
        with running(source, workspace) as second:
            second.wait_for_end()
            assert isinstance(second.host.error, WorkspaceLockedError)
            assert f"process {os.getpid()} on " in str(second.host.error)
            assert second.host.snapshot().state is RunState.FAILED
        assert first.again().state is RunState.COMPLETE


def test_a_workspace_of_another_folder_is_refused(source: Path, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with running(tmp_path / "elsewhere", workspace) as run:
        run.wait_for_end()
        assert isinstance(run.host.error, UsageError)
        assert "belongs to" in str(run.host.error)
        assert str(source) in str(run.host.error)


def test_reading_what_failed_with_other_settings_keeps_the_sum(source: Path, tmp_path: Path) -> None:
    """A document read once, refused under other settings, is what it was when those come back."""
    workspace = tmp_path / "workspace"
    large = {"input": {"max_file_size": 5}}
    run_once(source, workspace, settings=large)
    run_once(source, workspace)
    wanted = export_bytes(workspace)
    run_once(source, workspace, settings={**large, "chunk": {"max_tokens": 64, "overlap": 0}})
    run_once(source, workspace, settings={**large, "clean": {"max_chars": 5000}})
    run_once(source, workspace, settings=large)
    run_once(source, workspace)
    assert export_bytes(workspace) == wanted
    check_counters(workspace)


def test_memory_above_its_limit_holds_reading_back_and_the_run_still_ends(
    source: Path, tmp_path: Path
) -> None:
    for number in range(300):
        (source / f"more-{number}.txt").write_text(f"more {number} " * 300)
    with running(source, tmp_path / "workspace", settings={"engine": {"memory_limit": 100_000_000}}) as run:
        snapshot = run.complete()
    assert snapshot.counts.pending == 0
    assert any("memory_limit" in line.text for line in snapshot.log)


def test_a_folder_that_is_empty_now_marks_nothing_as_gone(source: Path, workspace: Path) -> None:
    before = export_bytes(workspace)
    source.rename(source.with_name("elsewhere"))
    source.mkdir()  # the mount point of a disk that is not mounted
    snapshot = run_once(source, workspace)
    assert any("empty now" in line.text for line in snapshot.log if line.level == "WARNING")
    assert export_bytes(workspace) == before
    source.rmdir()
    source.with_name("elsewhere").rename(source)
    assert run_once(source, workspace).counts == snapshot.counts
    assert export_bytes(workspace) == before


def test_a_damaged_payload_fails_its_document_and_not_the_run(source: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    run_once(source, workspace, through="classify")
    query = """SELECT a.blob FROM document d JOIN version v ON v.document = d.id
        JOIN result r ON r.version = v.id AND r.phase = 2 JOIN artifact a ON a.id = r.artifact
        WHERE d.path = ?"""
    ((blob,),) = table(workspace, query, b"guide.md")
    damage = connect(workspace / "blob.db", page_size=65536)
    damage.execute("UPDATE blob SET data = x'00' WHERE id = ?", (blob,))
    damage.close()
    snapshot = run_once(source, workspace, export_dir=tmp_path / "nowhere", through="index")
    assert snapshot.counts.pending == 0
    with Reader(workspace) as reader:
        (failure,) = [row for row in reader.all_failures() if row.path == "guide.md"]
    assert (failure.phase, failure.cause) == ("index", "corrupt")
    check_counters(workspace)


def test_a_lower_size_limit_refuses_what_was_read_before_and_a_higher_one_gives_it_back(
    source: Path, workspace: Path, tmp_path: Path
) -> None:
    before = export_bytes(workspace)
    limit: dict[str, dict[str, object]] = {"input": {"max_file_size": 300}}
    run_once(source, workspace, settings=limit)
    check_counters(workspace)
    assert export_bytes(workspace) == fresh_export(source, tmp_path, settings=limit)
    run_once(source, workspace)
    check_counters(workspace)
    assert export_bytes(workspace) == before


def test_what_cannot_be_looked_at_is_not_gone(source: Path, workspace: Path, tmp_path: Path) -> None:
    """A path becomes too long to be asked about when its folder is moved below a long one."""
    deep = source
    for _ in range(18):
        deep = deep / ("d" * 200)
    deep.mkdir(parents=True)
    (deep / "kept.txt").write_text("A document at the end of a long path.")
    before = run_once(source, workspace).counts
    long_source = tmp_path / ("s" * 250) / ("s" * 250) / "source"
    long_source.parent.mkdir(parents=True)
    source.rename(long_source)
    source.symlink_to(long_source)
    walk = Walk(os.fsencode(long_source), Settings().input, warn=(said := list[str]()).append)
    found = [file.path for file in walk.files()]
    assert len(found) == before.found - 1
    assert walk.unreadable and said


def test_a_quick_look_ends_in_time_however_little_it_finds(source: Path) -> None:
    none_of_them = Settings.model_validate({"input": {"include": ["*.nothing"]}})
    whole = survey(source, none_of_them, limit_s=3_600)
    assert (whole.files, whole.complete) == (0, True)
    assert whole.ignored > 0
    cut = survey(source, none_of_them, limit_s=-1)
    assert (cut.files, cut.ignored, cut.complete) == (0, 0, False)


def test_a_manifest_is_that_of_a_first_run_also_where_the_index_was_built_again(
    source: Path, tmp_path: Path
) -> None:
    run_once(source, tmp_path / "undisturbed")
    wanted = (tmp_path / "undisturbed" / "export" / "manifest.json").read_bytes()
    workspace = tmp_path / "workspace"
    run_once(source, workspace)
    shutil.rmtree(workspace / "index")
    shutil.rmtree(workspace / "export")
    run_once(source, workspace)
    assert (workspace / "export" / "manifest.json").read_bytes() == wanted
    opened = reopen(workspace)
    opened.writer.call(roll_back_to_phase(PhaseName.CLEAN, fresh=True))
    opened.close()
    run_once(source, workspace)
    assert (workspace / "export" / "manifest.json").read_bytes() == wanted


@pytest.mark.parametrize("how", ["written over", "put in its place", "swapped"])
def test_other_content_with_the_size_and_the_time_of_before_is_found(
    source: Path, tmp_path: Path, how: str
) -> None:
    """As where an archive is unpacked over a folder with all times set to one."""
    a, b, workspace = source / "a.txt", source / "b.txt", tmp_path / "workspace"
    stamp = (1_500_000_000, 1_500_000_000)
    for path, animal in ((a, "wombat"), (b, "numbat")):
        path.write_text(f"This is about a {animal}.")
        os.utime(path, stamp)
    run_once(source, workspace)
    if how == "written over":
        a.write_text("This is about a numbat.")
        os.utime(a, stamp)
    elif how == "put in its place":
        other = tmp_path / "other"
        other.write_text("This is about a numbat.")
        os.utime(other, stamp)
        other.rename(a)
    else:
        a.rename(source / "c.txt")
        b.rename(a)
        (source / "c.txt").rename(b)
    run_once(source, workspace)
    assert rows(workspace)["a.txt"]["text"] == "This is about a numbat."
    run_once(source, tmp_path / "undisturbed")
    assert export_bytes(workspace) == export_bytes(tmp_path / "undisturbed")
    check_counters(workspace)


def test_a_file_that_nothing_but_its_rights_changed_is_looked_at_and_not_made_anew(
    source: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    run_once(source, workspace)
    before = results_by_phase(workspace), export_bytes(workspace)
    for path in source.rglob("*.txt"):
        path.chmod(0o600)
    run_once(source, workspace)
    assert (results_by_phase(workspace), export_bytes(workspace)) == before
    assert table(workspace, "SELECT count(*) FROM export") == [(1,)]
