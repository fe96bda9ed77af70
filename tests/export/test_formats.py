"""Several formats of one export: written in one pass, read back, replaced as a whole."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from changing_corpus import contents
from fabricated_store import Doc, Fabricator

from tui_scraper.engine.errors import StoreError, UsageError
from tui_scraper.engine.export import FORMATS, export, is_current, record_export
from tui_scraper.engine.export.formats.port import Line, Tally, Writer
from tui_scraper.engine.export.formats.values import about
from tui_scraper.engine.export.lines import read_rows
from tui_scraper.engine.export.row import Row
from tui_scraper.engine.models import Cause, Status
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.human import give_label
from tui_scraper.engine.store.reader import Reader

ALL = tuple(FORMATS)
TEXT = "Überschrift 東京 and some words.\n" * 40
DOCS = [
    Doc(b"b/two.txt", TEXT, title="Two: a 'title'", links=[("https://example.org/", "hyperlink")]),
    Doc(b"a.txt", "short"),
    Doc(b"caf\xe9.txt", "bytes that are not UTF-8"),
    Doc(b"broken.pdf", cause=Cause.CORRUPT, message="The file is damaged."),
    Doc(b"scan.pdf", cause=Cause.NEEDS_OCR, message="The pages are images.", status=Status.EMPTY),
    Doc(b"z/another.txt", "with a label that is no name", label="a/b"),
]


def rows_of(directory: Path) -> list[Row]:
    state, blobs = open_state(directory, read_only=True), open_blobs(directory, read_only=True)
    try:
        return list(read_rows(state, blobs, read_head(state)))
    finally:
        state.close()
        blobs.close()


def current(store: Fabricator, target: Path, *formats: str) -> bool:
    state = open_state(store.directory, read_only=True)
    try:
        return is_current(state, read_head(state), target, formats=formats)
    finally:
        state.close()


def test_all_formats_have_every_document_and_the_manifest_lists_them(
    store: Fabricator, tmp_path: Path
) -> None:
    store.run(DOCS)
    target = tmp_path / "out"
    report = export(store.directory, target, formats=ALL[::-1])
    manifest = json.loads((target / "manifest.json").read_bytes())
    assert [file["name"] for file in manifest["files"]] == [
        "documents.jsonl",
        "documents.parquet",
        "documents.csv",
        "markdown.sha256",
        "README.md",
    ]
    with Reader(store.directory) as reader:
        found = reader.status().counts
    assert report.counts == found
    for file in manifest["files"]:
        data = (target / file["name"]).read_bytes()
        assert (file["rows"], file["size_bytes"]) == (found.found, len(data))
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
    for format_ in FORMATS.values():
        tally = format_.tally(target, lambda: None)
        assert tally.rows == found.found
        if tally.counts:
            assert dict(tally.counts) == manifest["counts"]
            assert tally.chunks == manifest["chunks"]
    checked = subprocess.run(
        ["sha256sum", "-c", "markdown.sha256"], cwd=target, capture_output=True, check=True
    )
    assert len(checked.stdout.splitlines()) == found.found


def test_two_exports_of_one_store_are_the_same_bytes(store: Fabricator, tmp_path: Path) -> None:
    store.run(DOCS)
    for name in ("one", "two"):
        export(store.directory, tmp_path / name, formats=ALL)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("name", ALL)
def test_one_format_is_what_it_is_among_others(store: Fabricator, tmp_path: Path, name: str) -> None:
    store.run(DOCS)
    export(store.directory, tmp_path / "all", formats=ALL)
    export(store.directory, tmp_path / "one", formats=(name,))
    together, alone = contents(tmp_path / "all"), contents(tmp_path / "one")
    own = {file: data for file, data in alone.items() if file not in {"manifest.json", "README.md"}}
    assert own
    assert own.items() <= together.items()


def test_an_export_in_other_formats_is_not_current(store: Fabricator, tmp_path: Path) -> None:
    store.run(DOCS)
    target = tmp_path / "out"
    store.writer.call(record_export(export(store.directory, target, formats=("csv", "markdown"))))
    assert current(store, target, "markdown", "csv")
    assert not current(store, target, "csv")
    assert not current(store, target, "csv", "markdown", "jsonl")
    assert not current(store, target, "jsonl")
    (target / "markdown").rename(tmp_path / "taken away")
    assert not current(store, target, "markdown", "csv")


def test_lines_of_an_export_in_one_format_are_carried_over_to_others(
    store: Fabricator, tmp_path: Path
) -> None:
    store.run(DOCS)
    target = tmp_path / "out"
    store.writer.call(record_export(export(store.directory, target)))
    report = export(store.directory, target, formats=("csv", "parquet", "markdown"))
    assert report.carried == len(DOCS)
    export(store.directory, tmp_path / "anew", formats=("csv", "parquet", "markdown"))
    assert contents(target) == contents(tmp_path / "anew")
    assert not (target / "documents.jsonl").exists()


class TestTree:
    """The tree of Markdown files as a part of the folder that is swapped."""

    @pytest.fixture
    def target(self, store: Fabricator, tmp_path: Path) -> Path:
        store.run(DOCS)
        export(store.directory, tmp_path / "out", formats=("markdown",))
        return tmp_path / "out"

    def test_documents_lie_in_the_folder_of_their_label_or_state(self, target: Path) -> None:
        assert sorted(path.name for path in (target / "markdown").iterdir()) == [
            "_empty",
            "_failed",
            "a_b-c14cddc033f6",
            "report",
        ]
        (two,) = (target / "markdown/report").glob("two.txt-*.md")
        assert two.read_text(encoding="utf-8").endswith(f"\n---\n\n{TEXT}\n")

    def test_only_what_changed_is_written(self, store: Fabricator, target: Path) -> None:
        before = {path: path.stat() for path in target.rglob("*.md")}
        store.writer.call(give_label(["memo"], path=b"a.txt"))
        export(store.directory, target, formats=("markdown",))
        after = {path: path.stat() for path in target.rglob("*.md")}
        same = [
            path for path, status in after.items() if path in before and before[path].st_ino == status.st_ino
        ]
        assert len(same) == len(DOCS) - 1  # README.md and a.txt are new
        assert all(status.st_nlink == 1 for status in after.values())
        assert {path.parent.name for path in after.keys() - before.keys()} == {"memo"}

    def test_a_file_that_a_person_changed_is_written_anew(self, store: Fabricator, target: Path) -> None:
        before = contents(target)
        (two,) = (target / "markdown/report").glob("two.txt-*.md")
        data = two.read_bytes()
        two.write_bytes(data[::-1])
        export(store.directory, target, formats=("markdown",))
        assert contents(target) == before

    @pytest.mark.parametrize(
        "name", ["markdown/mine.txt", "markdown/report/notes.md", "markdown/mine/a.txt-0123456789abcdef.md"]
    )
    def test_what_a_person_put_there_is_not_deleted(self, store: Fabricator, target: Path, name: str) -> None:
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_text("mine")
        with pytest.raises(UsageError, match=name.rsplit("/", 1)[1]):
            export(store.directory, target, formats=("jsonl",))
        assert (target / name).read_text() == "mine"

    def test_a_damaged_listing_protects_what_is_called_otherwise(
        self, store: Fabricator, target: Path
    ) -> None:
        (target / "markdown.sha256").write_text("not a listing")
        (target / "markdown/report/notes.md").write_text("mine")
        with pytest.raises(UsageError, match=r"notes\.md"):
            export(store.directory, target)
        (target / "markdown/report/notes.md").unlink()
        export(store.directory, target)
        assert not (target / "markdown").exists()

    def test_a_link_in_the_tree_is_not_followed(
        self, store: Fabricator, target: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/a.txt-0123456789abcdef.md").write_text("mine")
        (target / "markdown/linked").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(UsageError, match="linked"):
            export(store.directory, target)
        (target / "markdown/linked").unlink()
        (two,) = (target / "markdown/report").glob("two.txt-*.md")
        wanted = two.read_bytes()
        (tmp_path / "copy").write_bytes(wanted)
        two.unlink()
        two.symlink_to(tmp_path / "copy")
        with pytest.raises(UsageError, match=r"two\.txt"):
            export(store.directory, target)

    def test_a_tree_goes_when_it_is_no_longer_asked_for(self, store: Fabricator, target: Path) -> None:
        export(store.directory, target, formats=("csv",))
        assert sorted(os.listdir(target)) == ["README.md", "documents.csv", "manifest.json"]
        assert sorted(os.listdir(target.parent)) == ["out", "workspace"]

    def test_what_a_killed_export_left_of_a_tree_is_cleared(self, store: Fabricator, target: Path) -> None:
        leftover = target.parent / ".out.export-new-1"
        (leftover / "markdown/report").mkdir(parents=True)
        (leftover / "markdown/report/a.txt-0123456789abcdef.md").write_text("half")
        (leftover / "markdown.sha256").write_text("")
        export(store.directory, target, formats=("markdown",))
        assert sorted(os.listdir(target.parent)) == ["out", "workspace"]


def damaged_csv(target: Path) -> None:
    path = target / "documents.csv"
    path.write_bytes(path.read_bytes().replace(b"short", b"shirt").replace(b"report", b"rapport", 1))


def damaged_parquet(target: Path) -> None:
    path = target / "documents.parquet"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


def damaged_jsonl(target: Path) -> None:
    path = target / "documents.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"status":"done"', b'"status":"gone"', 1))


def damaged_tree(target: Path) -> None:
    next((target / "markdown/report").iterdir()).unlink()


def damaged_file(target: Path) -> None:
    path = next((target / "markdown/report").iterdir())
    path.write_bytes(path.read_bytes().replace(b"done", b"gone"))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("csv", damaged_csv),
        ("parquet", damaged_parquet),
        ("markdown", damaged_tree),
        ("markdown", damaged_file),
        ("jsonl", damaged_jsonl),
    ],
)
def test_reading_back_notices_what_is_wrong(
    store: Fabricator, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    store.run(DOCS)
    rows = rows_of(store.directory)
    total = Tally()
    writer: Writer = FORMATS[name].writer(tmp_path, tmp_path / "none")
    for row in rows:
        writer.add(Line(row))
        total.add(row.status, len(row.chunks))
    writer.finish()
    writer.sync()
    writer.check(total, lambda: None)
    with pytest.raises(StoreError):
        writer.check(total + Tally(1), lambda: None)
    damage(tmp_path)
    with pytest.raises(StoreError):
        writer.check(total, lambda: None)
    writer.close()
    writer.close()


def test_an_export_that_is_stopped_leaves_nothing_of_any_format(store: Fabricator, tmp_path: Path) -> None:
    from tui_scraper.engine.export import ExportCancelledError

    store.run(DOCS)
    for step in range(8):
        answers = iter([False] * step + [True] * 100)
        with pytest.raises(ExportCancelledError):
            export(store.directory, tmp_path / "out", formats=ALL, cancelled=lambda a=answers: next(a))
        assert os.listdir(tmp_path) == ["workspace"]


def test_without_pyarrow_parquet_is_refused_with_what_to_install(
    store: Fabricator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "pyarrow" else find(name, *more)
    )
    with pytest.raises(UsageError, match=r"pip install 'tui-scraper\[parquet\]'") as raised:
        export(store.directory, tmp_path / "out", formats=("jsonl", "parquet"))
    assert raised.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_what_formats_say_of_a_document_are_the_fields_of_its_row(store: Fabricator) -> None:
    store.run(DOCS)
    instead = {"chunks": "chunk_count", "links": "link_count"}
    fields = [instead.get(name, name) for name in Row.__struct_fields__ if name != "text"]
    assert all(list(about(row)) == fields for row in rows_of(store.directory))
