from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fabricated_store import MTIME_NS, Doc, Fabricator

from tui_scraper.engine.errors import StoreError, UsageError
from tui_scraper.engine.export import (
    ExportCancelledError,
    export,
    is_current,
    record_export,
)
from tui_scraper.engine.models import Cause, Counts, PhaseName, Status
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.fingerprint import read_fingerprint
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase

FIELDS = [
    "path",
    "parent",
    "id",
    "content_hash",
    "media_type",
    "size",
    "modified",
    "status",
    "error",
    "title",
    "language",
    "text",
    "chunks",
    "label",
    "labels",
    "confidence",
    "method",
    "model",
    "tokens_in",
    "tokens_out",
    "cost_usd",
    "duplicate_of",
    "near_duplicate_of",
    "links",
    "truncated",
    "members",
]

TEXT = "Überschrift 東京 and some words. " * 40

DOCS = [
    Doc(b"b/two.txt", TEXT, title="Two", links=[("https://example.org/", "hyperlink")], truncated=True),
    Doc(b"a.txt", "short"),
    Doc(b"broken.pdf", cause=Cause.CORRUPT, message="The file is damaged."),
    Doc(b"photo.raw", cause=Cause.UNSUPPORTED, message="Nobody reads this here.", status=Status.SKIPPED),
    Doc(b"scan.pdf", cause=Cause.NEEDS_OCR, message="The pages are images.", status=Status.EMPTY),
]


def rows_of(target: Path) -> list[dict[str, Any]]:
    data = (target / "documents.jsonl").read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def files_of(target: Path) -> dict[str, bytes]:
    return {name: (target / name).read_bytes() for name in sorted(os.listdir(target))}


def test_every_found_document_has_a_row_with_every_field(store: Fabricator, tmp_path: Path) -> None:
    store.run(DOCS)
    store.scan([Doc(b"later.txt", "not processed")])
    report = export(store.directory, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["path"] for row in rows] == [
        "a.txt",
        "b/two.txt",
        "broken.pdf",
        "later.txt",
        "photo.raw",
        "scan.pdf",
    ]
    assert all(list(row) == FIELDS for row in rows)
    assert [row["status"] for row in rows] == ["done", "done", "failed", "pending", "skipped", "empty"]
    assert report.counts == Counts(found=6, done=2, failed=1, skipped=1, empty=1, pending=1)
    assert (report.documents, report.chunks) == (6, 5)

    two = rows[1]
    assert two["title"] == "Two"
    assert two["language"] == "en"
    assert two["text"] == TEXT
    assert two["label"] == "report"
    assert two["labels"] == ["report"]
    assert two["confidence"] == 0.875
    assert two["method"] == "local"
    assert two["model"] is None
    assert (two["tokens_in"], two["tokens_out"], two["cost_usd"]) == (0, 0, 0.0)
    assert two["links"] == [{"target": "https://example.org/", "kind": "hyperlink"}]
    assert two["truncated"] is True
    assert two["error"] is None
    assert two["media_type"] == "text/plain"
    assert two["size"] == len(TEXT.encode())
    assert two["modified"] == "2023-11-14T22:13:20.123456Z"
    assert len(two["id"]) == 16
    assert len(two["content_hash"]) == 32
    assert [list(chunk) for chunk in two["chunks"]] == [
        ["ordinal", "start", "end", "tokens", "heading", "text"]
    ] * len(two["chunks"])
    assert all(TEXT[chunk["start"] : chunk["end"]] == chunk["text"] for chunk in two["chunks"])
    assert rows[2]["error"] == {"phase": "clean", "cause": "corrupt", "message": "The file is damaged."}
    assert rows[5]["error"]["cause"] == "needs OCR"
    later = rows[3]
    assert (later["text"], later["chunks"], later["label"], later["error"]) == (None, [], None, None)


def test_the_manifest_says_what_the_files_hold(store: Fabricator, tmp_path: Path) -> None:
    store.run(DOCS)
    report = export(store.directory, tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_bytes())
    data = (tmp_path / "out/documents.jsonl").read_bytes()
    assert manifest["format"] == "tui-scraper-export"
    assert manifest["documents"] == 5
    assert manifest["counts"] == {"done": 2, "empty": 1, "failed": 1, "skipped": 1}
    card = (tmp_path / "out/README.md").read_bytes()
    assert manifest["files"] == [
        {
            "name": "documents.jsonl",
            "format": "jsonl",
            "rows": 5,
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        },
        {
            "name": "README.md",
            "format": "card",
            "rows": 5,
            "size_bytes": len(card),
            "sha256": hashlib.sha256(card).hexdigest(),
        },
    ]
    assert set(manifest["settings"]) == {"input", "clean", "chunk", "classify", "index"}
    assert report.files[0].sha256 == manifest["files"][0]["sha256"]


def test_two_runs_over_the_same_input_give_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name, order in (("one", DOCS), ("two", DOCS[::-1])):
        store = Fabricator(tmp_path / name)
        store.run(order[:2])
        store.run(order[2:])
        export(store.directory, tmp_path / f"out-{name}")
        store.close()
        found.append(files_of(tmp_path / f"out-{name}"))
    assert found[0] == found[1]


def test_names_that_are_not_utf8_are_escaped_and_kept(store: Fabricator, tmp_path: Path) -> None:
    names = [
        b"caf\xe9.txt",
        b"line\nbreak.txt",
        b"\x1b]52;c;AA\x07.txt",
        "東.txt".encode(),
        b"\xff",
        b"caf\\xe9.txt",
    ]
    store.run([Doc(name, f"text {number}") for number, name in enumerate(names)])
    export(store.directory, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    kept = [
        base64.b64decode(row["path_bytes"]) if "path_bytes" in row else row["path"].encode() for row in rows
    ]
    assert kept == sorted(names)
    assert [row["path"] for row in rows if "path_bytes" in row] == ["caf\\xe9.txt", "\\xff"]
    assert list(rows[kept.index(b"\xff")])[:2] == ["path", "path_bytes"]
    assert len({row["id"] for row in rows}) == len(names)


def test_copies_name_the_first_of_them(store: Fabricator, tmp_path: Path) -> None:
    store.run([Doc(b"c", "same"), Doc(b"a", "same"), Doc(b"b", "same"), Doc(b"d", "other")])
    export(store.directory, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    first = rows[0]["id"]
    assert [row["duplicate_of"] for row in rows] == [None, first, first, None]


def test_a_sample_has_only_its_documents(store: Fabricator, tmp_path: Path) -> None:
    versions = store.scan([Doc(b"a", "same"), Doc(b"b", "same"), Doc(b"c", "same")])
    store.process([Doc(b"a", "same"), Doc(b"b", "same"), Doc(b"c", "same")])
    report = export(store.directory, tmp_path / "out", sample_versions=versions[1:])
    rows = rows_of(tmp_path / "out")
    assert [row["path"] for row in rows] == ["b", "c"]
    assert rows[1]["duplicate_of"] == rows[0]["id"]
    assert report.documents == 2


def test_a_vanished_file_is_gone_and_a_rollback_makes_documents_pending(
    store: Fabricator, tmp_path: Path
) -> None:
    store.run(DOCS)
    checkpoint = store.writer.call(take_checkpoint(PhaseName.INDEX))
    export(store.directory, tmp_path / "before")
    store.scan([], gone=[b"a.txt"])
    export(store.directory, tmp_path / "out")
    assert "a.txt" not in [row["path"] for row in rows_of(tmp_path / "out")]

    store.writer.call(roll_back_to_phase(PhaseName.CHUNK))
    export(store.directory, tmp_path / "out")
    two = rows_of(tmp_path / "out")[0]
    assert (two["status"], two["label"]) == ("pending", None)
    assert two["chunks"]

    store.writer.call(roll_back_to_checkpoint(checkpoint))
    export(store.directory, tmp_path / "out")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "before")


def test_an_empty_workspace_exports_no_rows(store: Fabricator, tmp_path: Path) -> None:
    report = export(store.directory, tmp_path / "out")
    assert rows_of(tmp_path / "out") == []
    assert report.counts == Counts()


def test_times_beyond_the_calendar_are_null(store: Fabricator, tmp_path: Path) -> None:
    store.scan([Doc(b"far", mtime_ns=2**62 * 2 - 1), Doc(b"old", mtime_ns=-1), Doc(b"zero", mtime_ns=0)])
    export(store.directory, tmp_path / "out")
    assert [row["modified"] for row in rows_of(tmp_path / "out")] == [
        "2262-04-11T23:47:16.854775Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00.000000Z",
    ]


def test_many_documents_come_in_pages(store: Fabricator, tmp_path: Path) -> None:
    docs = [Doc(f"{number:05}".encode(), f"text {number} " * (number % 7)) for number in range(1234)]
    store.run(docs)
    seen: list[int] = []
    report = export(store.directory, tmp_path / "out", progress=seen.append)
    assert [row["path"] for row in rows_of(tmp_path / "out")] == [doc.path.decode() for doc in docs]
    assert seen[-1] == report.documents == 1234


def test_a_damaged_payload_ends_the_export(store: Fabricator, tmp_path: Path) -> None:
    store.run(DOCS)
    export(store.directory, tmp_path / "out")
    before = files_of(tmp_path / "out")
    store.writer.call(lambda transaction: transaction.blobs.execute("UPDATE blob SET data = x'00'"))
    with pytest.raises(StoreError, match=r"a\.txt"):
        export(store.directory, tmp_path / "out")
    assert files_of(tmp_path / "out") == before
    assert sorted(os.listdir(tmp_path)) == ["out", "workspace"]


def test_a_cancelled_export_leaves_the_one_before(store: Fabricator, tmp_path: Path) -> None:
    store.run(DOCS)
    export(store.directory, tmp_path / "out")
    before = files_of(tmp_path / "out")
    store.run([Doc(b"new", "new")])
    for step in range(3):
        answers = iter([False] * step + [True] * 10)
        with pytest.raises(ExportCancelledError):
            export(store.directory, tmp_path / "out", cancelled=lambda answers=answers: next(answers))
        assert files_of(tmp_path / "out") == before
        assert sorted(os.listdir(tmp_path)) == ["out", "workspace"]


def test_an_unknown_format_is_refused(store: Fabricator, tmp_path: Path) -> None:
    for formats, named in ((("jsonl", "arrow"), "arrow"), ((), "jsonl")):
        with pytest.raises(UsageError, match=named):
            export(store.directory, tmp_path / "out", formats=formats)
    assert Settings().output.formats == ["jsonl"]


class TestUnchanged:
    """An unchanged corpus is not exported again."""

    def current(self, store: Fabricator, target: Path) -> bool:
        state = open_state(store.directory, read_only=True)
        try:
            return is_current(state, read_head(state), target)
        finally:
            state.close()

    def test_the_same_head_is_current_until_something_changes(
        self, store: Fabricator, tmp_path: Path
    ) -> None:
        target = tmp_path / "out"
        store.run(DOCS)
        assert not self.current(store, target)
        report = export(store.directory, target)
        assert not self.current(store, target)
        store.writer.call(record_export(report))
        assert self.current(store, target)
        store.scan([])  # a second run over the unchanged folder
        assert self.current(store, target)
        store.writer.call(roll_back_to_phase(PhaseName.CLASSIFY))
        assert not self.current(store, target)

    def test_a_new_file_or_a_new_time_stamp_is_a_change(self, store: Fabricator, tmp_path: Path) -> None:
        target = tmp_path / "out"
        store.run(DOCS)
        store.writer.call(record_export(export(store.directory, target)))
        store.scan([], touched=[Doc(b"a.txt", "short", mtime_ns=MTIME_NS + 10**9)])
        assert not self.current(store, target)
        store.writer.call(record_export(export(store.directory, target)))
        assert self.current(store, target)
        store.scan([Doc(b"z", "new")])
        assert not self.current(store, target)

    def test_files_that_are_missing_or_changed_are_not_current(
        self, store: Fabricator, tmp_path: Path
    ) -> None:
        target = tmp_path / "out"
        store.run(DOCS)
        store.writer.call(record_export(export(store.directory, target)))
        with open(target / "documents.jsonl", "ab") as file:
            file.write(b"\n")
        assert not self.current(store, target)
        export(store.directory, target)
        assert self.current(store, target)
        (target / "documents.jsonl").unlink()
        assert not self.current(store, target)
        export(store.directory, target)
        (target / "manifest.json").write_text("{}")
        assert not self.current(store, target)

    def test_a_sample_is_another_export(self, store: Fabricator, tmp_path: Path) -> None:
        target = tmp_path / "out"
        versions = store.scan(DOCS)
        store.process(DOCS)
        store.writer.call(record_export(export(store.directory, target, sample_versions=versions[:2])))
        state = open_state(store.directory, read_only=True)
        head = read_head(state)
        assert not is_current(state, head, target)
        assert is_current(state, head, target, versions[:2])
        assert not is_current(state, head, target, versions[:3])
        assert read_fingerprint(state, head) != read_fingerprint(state, head, versions[:2])
        state.close()
