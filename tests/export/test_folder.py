"""Whatever happens to an export on its way, the target holds the old one or the new one, whole."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from changing_corpus import contents
from fabricated_store import Doc, Fabricator

from tui_scraper.engine.errors import StoreError, StoreFullError, UsageError
from tui_scraper.engine.export import export, folder
from tui_scraper.engine.export.formats.jsonl import JSONL, JsonlWriter
from tui_scraper.engine.export.formats.port import Line, Tally
from tui_scraper.engine.export.manifest import read_manifest
from tui_scraper.engine.export.row import Row

OLD = [Doc(b"old.txt", "old text " * 50)]
NEW = [Doc(b"new.txt", "new text " * 50)]


def test_a_missing_or_empty_folder_is_filled(store: Fabricator, tmp_path: Path) -> None:
    store.run(OLD)
    export(store.directory, tmp_path / "deep/er/out")
    (tmp_path / "empty").mkdir(mode=0o750)
    export(store.directory, tmp_path / "empty")
    assert contents(tmp_path / "empty") == contents(tmp_path / "deep/er/out")
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("manifest", [None, b"{}", b'{"format": "another"}', b"\xff\x00"])
def test_somebody_elses_folder_is_refused_untouched(
    store: Fabricator, tmp_path: Path, manifest: bytes | None
) -> None:
    store.run(OLD)
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.txt").write_text("years of work")
    if manifest is not None:
        (target / "manifest.json").write_bytes(manifest)
    before = contents(target)
    with pytest.raises(UsageError, match="not an export"):
        export(store.directory, target)
    assert contents(target) == before
    assert sorted(os.listdir(tmp_path)) == ["thesis", "workspace"]


def test_a_file_added_to_our_export_is_not_deleted(store: Fabricator, tmp_path: Path) -> None:
    store.run(OLD)
    target = tmp_path / "out"
    export(store.directory, target)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        export(store.directory, target)
    assert (target / "notes.txt").read_text() == "mine"


def test_a_file_or_a_link_to_one_is_refused(store: Fabricator, tmp_path: Path) -> None:
    store.run(OLD)
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling", "file/out"):
        with pytest.raises(UsageError):
            export(store.directory, tmp_path / name)


def test_a_link_to_a_folder_stays_a_link(store: Fabricator, tmp_path: Path) -> None:
    store.run(OLD)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    report = export(store.directory, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert report.directory == tmp_path / "real"
    assert read_manifest(tmp_path / "real") is not None


def test_without_exchange_the_swap_takes_two_steps(
    store: Fabricator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.run(OLD)
    target = tmp_path / "out"
    export(store.directory, target)
    store.run(NEW)
    monkeypatch.setattr(folder, "_renameat2", lambda: None)
    export(store.directory, target)
    assert b"new.txt" in contents(target)["documents.jsonl"]
    assert sorted(os.listdir(tmp_path)) == ["out", "workspace"]


def test_a_full_disk_leaves_the_old_export(
    store: Fabricator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.run(OLD)
    target = tmp_path / "out"
    export(store.directory, target)
    before = contents(target)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFullError, match="disk is full"):
        export(store.directory, target)
    assert contents(target) == before
    assert sorted(os.listdir(tmp_path)) == ["out", "workspace"]


def test_a_device_that_is_really_full_is_a_full_disk(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with (
        pytest.raises(StoreFullError),
        folder.explained(tmp_path),
        open("/dev/full", "wb", buffering=0) as file,
    ):
        file.write(b"x")


def test_a_folder_without_permission_is_a_usage_error(store: Fabricator, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    store.run(OLD)
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UsageError, match="cannot be written"):
        export(store.directory, tmp_path / "locked/out")


_DIE_AT = """
import os, signal, sys
from pathlib import Path
from tui_scraper.engine.export import export, folder
from tui_scraper.engine.export.formats import chosen

workspace, target, formats = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4:]
chosen(formats)
if sys.argv[3] == "two":
    folder._renameat2 = lambda: None
taken = 0

def die_when_reached(call, step):
    def counted(*args, **keywords):
        global taken
        if taken == step:
            os.kill(os.getpid(), signal.SIGKILL)
        taken += 1
        return call(*args, **keywords)
    return counted

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        for name in ("mkdir", "fsync", "rename", "unlink", "rmdir", "open", "chmod", "link"):
            setattr(os, name, die_when_reached(getattr(os, name), int(line)))
        folder._exchange = die_when_reached(folder._exchange, int(line))
        export(workspace, target, formats=formats)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""Forks a process for each step that it reads, which exports and is killed there. Prints how that ended."""


@pytest.mark.parametrize("how", ["exchange", "two"])
@pytest.mark.parametrize("formats", [("jsonl",), pytest.param(("csv", "markdown"), marks=pytest.mark.slow)])
def test_a_kill_at_any_step_leaves_old_or_new(
    store: Fabricator, tmp_path: Path, how: str, formats: tuple[str, ...]
) -> None:
    store.run(OLD)
    target = tmp_path / "out"
    export(store.directory, target, formats=formats)
    old = contents(target)
    store.run(NEW)
    export(store.directory, tmp_path / "expected", formats=formats)
    new = contents(tmp_path / "expected")
    folder._delete(tmp_path / "expected")
    outcomes = []
    step = 0
    with subprocess.Popen(
        [sys.executable, "-c", _DIE_AT, str(store.directory), str(target), how, *formats],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as killer:
        while True:
            print(step, file=killer.stdin, flush=True)
            code = int(killer.stdout.readline())  # type: ignore[union-attr]
            if code == 0:
                break
            assert code == -signal.SIGKILL
            if target.exists():
                found = contents(target)
                assert found in (old, new)
                outcomes.append(found == new)
            else:
                assert how == "two"
                hidden = [
                    contents(path) for path in tmp_path.iterdir() if path.name.startswith(".out.export-")
                ]
                assert old in hidden
                assert new in hidden
                with folder.Staging(target):  # the next export begins by putting it right
                    assert contents(target) == old
            step += 1
    assert step > 8
    assert outcomes == sorted(outcomes)
    assert contents(target) == new
    assert sorted(os.listdir(tmp_path)) == ["out", "workspace"]


def test_what_another_process_is_writing_is_left_alone(store: Fabricator, tmp_path: Path) -> None:
    store.run(OLD)
    target = tmp_path / "out"
    with folder.Staging(target) as other:
        (other.directory / JSONL.file).write_bytes(b"being written")
        export(store.directory, target)
        assert (other.directory / JSONL.file).exists()
    assert sorted(os.listdir(tmp_path)) == ["out", "workspace"]


def written(path: Path, lines: Sequence[Row | bytes]) -> tuple[JsonlWriter, Tally]:
    writer = JsonlWriter(path)
    for line in lines:
        writer.add(Line(line))
    total = Tally(writer.finish().rows)
    writer.close()
    return writer, total


def test_reading_back_notices_what_is_wrong(store: Fabricator, tmp_path: Path) -> None:
    store.run([*OLD, *NEW])
    export(store.directory, tmp_path / "out")
    data = (tmp_path / "out/documents.jsonl").read_bytes()
    rows = [msgspec.json.decode(line, type=Row) for line in data.splitlines()]
    path = tmp_path / "copy.jsonl"
    writer, total = written(path, rows)
    assert path.read_bytes() == data
    writer.check(total, lambda: None)
    with pytest.raises(StoreError, match="reading the export back"):
        writer.check(Tally(1), lambda: None)
    first, second = data.splitlines(keepends=True)
    for damaged, complaint in (
        (data[:-5], "not valid"),
        (first, "not valid"),
        (second + first, "out of order"),
        (data.replace(b'"start":0', b'"start":1'), "offsets"),
        (data.replace(b'"old text', b'"odd text'), "offsets|reading"),
        (data.replace(b'"size":', b'"size":"x",'), "not valid"),
        (data.replace(b'"size":', b'"size":1'), "not valid|reading"),
        (data + b"{}", "reading the export back"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=complaint):
            writer.check(total, lambda: None)


def test_lines_carried_over_are_checked_by_their_hash(tmp_path: Path) -> None:
    path = tmp_path / "copy.jsonl"
    writer, total = written(path, [b"carried\n", b"over\n"])
    writer.check(total, lambda: None)
    path.write_bytes(b"carried\nOver\n")
    with pytest.raises(StoreError, match="reading the export back"):
        writer.check(total, lambda: None)


def test_a_manifest_that_the_disk_keeps_back_does_not_make_an_export_somebody_elses(
    store: Fabricator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.run(OLD)
    target = tmp_path / "out"
    export(store.directory, target)
    opening = os.open

    def failing(path: os.PathLike[str], *more: int) -> int:
        if os.fspath(path).endswith(folder.MANIFEST_FILE):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opening(path, *more)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(StoreError, match="reported an error"):
        folder.check_target(target)
