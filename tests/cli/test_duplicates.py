"""`duplicates`, and what else tells of documents that are there more than once."""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.test_commands import run
from tests.engine.running import rows, run_once, table
from tui_scraper.engine import kept as files
from tui_scraper.engine.alike import alike_exported, count_duplicates, keep_duplicates
from tui_scraper.engine.duplicates import reading
from tui_scraper.engine.duplicates.kept import DUPLICATES, SIGNATURES, DuplicatesReader, read_kept
from tui_scraper.engine.duplicates.signature import PERMUTATIONS

WORDS = [f"word{number}" for number in range(500)]


def text(seed: int, changes: int = 0) -> str:
    chance = random.Random(seed)
    words = chance.choices(WORDS, k=300)
    for change in range(changes):
        words[change * 30] = f"other{change}"
    return " ".join(words)


FILES = {
    "a/one.txt": text(1),
    "b/copy of one.txt": text(1),
    "b/nearly one.txt": text(1, 2),
    "c/rather like one.txt": text(1, 9),
    "c/copy of nearly one.txt": text(1, 2),
    "d/another.txt": text(2),
    "e/page.html": f"<html><body><p>{text(2)}</p></body></html>",
    "e/short.txt": "Thank you.",
    "f/alone.txt": text(3),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_text(content)
    return tmp_path / "source"


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Path:
    run_once(source, tmp_path / "w")
    return tmp_path / "w"


def groups(workspace: Path, *more: object) -> dict[str, list[tuple[str, str]]]:
    """Path to keep -> (path, kind) of the others."""
    found = run("duplicates", "-w", workspace, "--json", *more).objects
    return {
        one["representative"]: [(other["path"], other["kind"]) for other in one["documents"][1:]]
        for one in found
    }


def test_groups_have_one_to_keep_and_say_what_the_others_are(workspace: Path) -> None:
    assert groups(workspace) == {
        "a/one.txt": [
            ("b/copy of one.txt", "exact"),
            ("b/nearly one.txt", "near"),
            ("c/copy of nearly one.txt", "exact"),
        ],
        "d/another.txt": [("e/page.html", "near")],
    }
    first, second = run("duplicates", "-w", workspace, "--json").objects
    assert (first["size"], first["could_go"]) == (4, 3)
    assert first["bytes_could_go"] == sum(one["bytes"] for one in first["documents"][1:])
    assert [one["duplicate_of"] for one in first["documents"]] == [
        None, "a/one.txt", None, "b/nearly one.txt",
    ]  # fmt: skip
    assert 0.85 <= first["documents"][2]["similarity"] < 1
    assert second["documents"][1]["similarity"] == 1.0, "the same text in another format"
    said = run("duplicates", "-w", workspace).out
    assert said.startswith("4 of 9 documents could go, ")
    assert "2 exact copies and 2 near-duplicates (texts 85 % or more the same), in 2 groups." in said
    assert "   keep  a/one.txt\n  exact  b/copy of one.txt\n" in said
    counts = count_duplicates(workspace)
    assert counts is not None
    assert (counts.groups, counts.exact, counts.near, counts.documents) == (2, 2, 2, 9)


def test_one_kind_another_threshold_one_document(workspace: Path) -> None:
    assert groups(workspace, "--exact") == {
        "a/one.txt": [("b/copy of one.txt", "exact")],
        "b/nearly one.txt": [("c/copy of nearly one.txt", "exact")],
    }
    assert groups(workspace, "--near") == {
        "a/one.txt": [("b/nearly one.txt", "near")],
        "d/another.txt": [("e/page.html", "near")],
    }
    kept = (workspace / DUPLICATES.name).read_bytes()
    assert ("c/rather like one.txt", "near") in groups(workspace, "--threshold", "0.6")["a/one.txt"]
    assert ("b/nearly one.txt", "near") not in groups(workspace, "--threshold", "99%")["a/one.txt"]
    assert (workspace / DUPLICATES.name).read_bytes() == kept, (
        "another question has not replaced the usual answer"
    )
    assert list(groups(workspace, "--path", "c/copy of nearly one.txt")) == ["a/one.txt"]
    assert len(groups(workspace, "-n", "1")) == 1
    alone = run("duplicates", "-w", workspace, "--path", "f/alone.txt")
    assert alone.out == "f/alone.txt: no other document is a copy of it, or 85 % or more the same.\n"


def test_a_document_that_has_only_the_other_kind_of_copies_is_told_so(workspace: Path) -> None:
    exact = run("duplicates", "-w", workspace, "--path", "b/copy of one.txt", "--near").out
    said = "another document has the same bytes; without --near the group is shown."
    assert exact == f"b/copy of one.txt: {said}\n"
    near = run("duplicates", "-w", workspace, "--path", "e/page.html", "--exact").out
    assert near.startswith("e/page.html: no other document has the same bytes; without --exact those nearly")


def test_what_is_asked_wrongly_ends_with_2(workspace: Path) -> None:
    assert run("duplicates", "-w", workspace, "--threshold", "0.3").code == 2
    assert run("duplicates", "-w", workspace, "--exact", "--near").code == 2
    unknown = run("duplicates", "-w", workspace, "--path", "nothing.txt")
    assert (unknown.code, "there is no such document here" in unknown.err) == (2, True)


def test_where_there_are_none_a_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    run_once(tmp_path / "source", tmp_path / "w")
    (tmp_path / "source" / "a.txt").write_text(text(1))
    run_once(tmp_path / "source", tmp_path / "w")
    for flags, sentence in (
        ((), "No document is a copy of another, or 85 % or more the same.\n"),
        (("--exact",), "No document has the same bytes as another.\n"),
        (("--near", "--threshold", "0.7"), "No two documents have texts that are 70 % or more the same.\n"),
    ):
        assert run("duplicates", "-w", tmp_path / "w", *flags).out == sentence
    assert run("duplicates", "-w", tmp_path / "w", "--json").out == ""


def test_documents_are_filtered_by_it_and_show_tells_of_it(workspace: Path) -> None:
    (workspace / DUPLICATES.name).unlink()

    def listed(query: str) -> list[str]:
        return [
            one["path"] for one in run("documents", "-w", workspace, f"--filter={query}", "--json").objects
        ]

    assert listed("is:duplicate") == [
        "b/copy of one.txt", "b/nearly one.txt", "c/copy of nearly one.txt", "e/page.html",
    ]  # fmt: skip
    assert listed("duplicate:exact") == ["b/copy of one.txt", "c/copy of nearly one.txt"]
    assert listed("duplicate:near path:e/") == ["e/page.html"]
    assert listed("duplicate:first") == ["a/one.txt", "d/another.txt"]
    assert len(listed("-is:duplicate")) == 5
    (found,) = run("show", "b/nearly one.txt", "-w", workspace, "--json").objects
    assert (found["duplicates"]["kind"], found["duplicates"]["size"]) == ("near", 4)
    assert found["duplicates"]["documents"][0] == {
        "path": "a/one.txt", "kind": "representative", "similarity": 1.0,
    }  # fmt: skip
    said = run("show", "b/nearly one.txt", "-w", workspace).out
    assert "the same as the one to keep of 4 documents" in said
    (alone,) = run("show", "f/alone.txt", "-w", workspace, "--json").objects
    assert alone["duplicates"] == {"kind": None, "similarity": None, "size": 1, "documents": []}


def zipped(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


def scanned(number: int) -> str:
    """A mail without a word of its own, as a scanner sends it."""
    return (
        "From: scanner@example.org\nTo: office@example.org\nSubject: Scan\nMIME-Version: 1.0\n"
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\n--b\n"
        "Content-Type: text/plain; name=scan.txt\nContent-Disposition: attachment; filename=scan.txt\n\n"
        f"{text(number)}\n--b--\n"
    )


def test_what_has_no_text_of_its_own_is_like_no_other(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    many = {f"reports of the year/part number {part}.csv": "" for part in range(20)}
    for number in (1, 2):
        (source / f"{number}.eml").write_text(scanned(number))
        (source / f"{number}.zip").write_bytes(zipped({"data.txt": text(number + 10)}))
        (source / f"many {number}.zip").write_bytes(
            zipped(many | {"reports of the year/part number 0.csv": text(number + 20)})
        )
    (source / "copy of 1.eml").write_text(scanned(1))
    (source / "copy of 1.zip").write_bytes(zipped({"data.txt": text(11)}))
    (source / "list.md").write_text("- data.txt\n")
    (source / "list.txt").write_text("- data.txt\n")
    run_once(source, tmp_path / "w")
    found = rows(tmp_path / "w")
    assert found["1.eml"]["text"] == found["2.eml"]["text"] != ""
    assert found["1.zip"]["text"] == found["2.zip"]["text"] == "- data.txt\n"
    assert found["many 1.zip"]["text"] == found["many 2.zip"]["text"]
    told = groups(tmp_path / "w")
    assert {path: others for path, others in told.items() if "!" not in path and "/" not in path} == {
        "1.eml": [("copy of 1.eml", "exact")],
        "1.zip": [("copy of 1.zip", "exact")],
        "list.md": [("list.txt", "exact")],
    }
    for path in ("1.eml", "2.eml", "1.zip", "2.zip", "many 1.zip", "many 2.zip"):
        assert found[path]["duplicate_of"] is None and found[path]["near_duplicate_of"] is None


def signed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts are signed in this process, each time that some are. Workers sign those they read."""
    calls: list[int] = []
    real = reading.signatures
    monkeypatch.setattr(reading, "signatures", lambda texts: (calls.append(len(texts)), real(texts))[1])
    return calls


def test_no_text_is_read_to_be_signed_unless_its_signature_is_lost(
    source: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = signed(monkeypatch)
    keep_duplicates(workspace)
    assert calls == [], "the run has exported, and so has compared them"
    (source / "g.txt").write_text(text(3, 1))
    run_once(source, workspace)
    assert calls == [], "a worker has signed it"
    assert groups(workspace)["f/alone.txt"] == [("g.txt", "near")]
    (source / "a" / "one.txt").unlink()
    run_once(source, workspace)
    assert groups(workspace)["b/copy of one.txt"][0] == ("b/nearly one.txt", "near")
    checkpoint = table(workspace, "SELECT min(id) FROM checkpoint WHERE phase = 5")[0][0]
    run("rollback", str(checkpoint), "--yes", "-w", workspace)
    keep_duplicates(workspace)
    assert list(groups(workspace)) == ["a/one.txt", "d/another.txt"]
    assert calls == []
    run("rollback", "--undo", "--yes", "-w", workspace)
    (workspace / SIGNATURES.name).write_bytes(b"damaged")
    (workspace / DUPLICATES.name).write_bytes(b"damaged")
    keep_duplicates(workspace)
    assert sum(calls) > 5
    assert groups(workspace)["b/copy of one.txt"][0] == ("b/nearly one.txt", "near")
    assert run("verify", "-w", workspace).code == 0


def test_texts_that_come_back_are_not_signed_again(
    source: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = signed(monkeypatch)
    (source / "f" / "alone.txt").write_text(text(30))
    run_once(source, workspace)
    checkpoint = table(workspace, "SELECT min(id) FROM checkpoint WHERE phase = 5")[0][0]
    run("rollback", str(checkpoint), "--yes", "-w", workspace)
    keep_duplicates(workspace)
    assert calls == [], "what a rollback brings back was kept beside what was new"


def test_another_version_of_the_program_signs_nothing_anew(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = signed(monkeypatch)
    monkeypatch.setattr(files, "__version__", "99.0")
    DUPLICATES.forget()
    with DuplicatesReader(workspace) as reader:
        assert read_kept(reader.directory, reader.state, reader.head) is None
        reader.duplicates()
        assert read_kept(reader.directory, reader.state, reader.head) is not None
    assert calls == []
    assert b'"program"' in (workspace / DUPLICATES.name).read_bytes()
    assert b'"program"' not in (workspace / SIGNATURES.name).read_bytes()


def test_other_labels_leave_them_as_they_are(source: Path, workspace: Path) -> None:
    kept = (workspace / DUPLICATES.name).stat().st_mtime_ns
    run_once(source, workspace, settings={"classify": {"backend": "rules"}}, accept_settings=True)
    assert table(workspace, "SELECT count(DISTINCT lineage) FROM result WHERE phase = 3") == [(2,)]
    with DuplicatesReader(workspace) as reader:
        assert read_kept(reader.directory, reader.state, reader.head) is not None
    assert (workspace / DUPLICATES.name).stat().st_mtime_ns == kept


def test_a_file_of_another_origin_is_not_read_to_its_end(tmp_path: Path) -> None:
    keys, matrix = np.arange(50_000, dtype=np.uint64), np.ones((50_000, PERMUTATIONS), np.uint16)
    SIGNATURES.keep(tmp_path, "one", {"keys": keys, "matrix": matrix})
    found = SIGNATURES.read(tmp_path, "one")
    assert found is not None and np.array_equal(found.matrix, matrix)
    del found
    tracemalloc.start()
    try:
        assert SIGNATURES.read(tmp_path, "other") is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_what_was_signed_before_it_was_stopped_is_kept(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = signed(monkeypatch)
    monkeypatch.setattr(reading, "_SIGNED_TEXTS", 2)
    (workspace / DUPLICATES.name).unlink()
    (workspace / SIGNATURES.name).unlink()

    def stop(done: int, of: int) -> None:
        assert of == 6, "different texts"
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_duplicates(workspace, stop)
    assert calls == [2, 2]
    keep_duplicates(workspace)
    assert calls == [2, 2, 2], "those before are not signed again"
    assert list(groups(workspace)) == ["a/one.txt", "d/another.txt"]


def test_an_export_names_them_or_does_not_look(source: Path, workspace: Path, tmp_path: Path) -> None:
    found = rows(workspace)
    ids = {path: row["id"] for path, row in found.items()}

    def said(path: str, of: dict[str, dict[str, Any]]) -> tuple[str | None, str | None]:
        return of[path]["duplicate_of"], of[path]["near_duplicate_of"]

    assert said("a/one.txt", found) == (None, None)
    assert said("b/copy of one.txt", found) == (ids["a/one.txt"], None)
    assert said("b/nearly one.txt", found) == (None, ids["a/one.txt"])
    assert said("c/copy of nearly one.txt", found) == (ids["b/nearly one.txt"], ids["a/one.txt"])
    assert said("e/page.html", found) == (None, ids["d/another.txt"])
    assert run("export", tmp_path / "w", "-w", workspace).code == 2
    assert run("export", tmp_path / "out", "-w", workspace, "--no-near-duplicates").code == 0
    assert '"near_duplicate_of":"' not in (tmp_path / "out" / "documents.jsonl").read_text()
    run_once(source, workspace, settings={"output": {"near_duplicates": 0.6}})
    assert said("c/rather like one.txt", rows(workspace)) == (None, ids["a/one.txt"])
    run_once(source, workspace, settings={"output": {"near_duplicates": 0}})
    assert said("b/nearly one.txt", rows(workspace)) == (None, None)
    assert alike_exported(workspace) == 0
    assert ("b/nearly one.txt", "near") in groups(workspace)["a/one.txt"], "who asks is answered"
