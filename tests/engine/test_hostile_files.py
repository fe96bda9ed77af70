"""A folder that is itself hostile: special files, links that lead out, loops, and names of every kind."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.engine.running import check_counters, rows, run_once
from tui_scraper.engine.safe_text import safe_text

SECRET = "what stands outside the folder"
NAMES = [
    b"line\nbreak.txt",
    b"carriage\rreturn.txt",
    b"tab\there.txt",
    b"escape\x1b[2J\x1b]0;owned\x07.txt",
    b"clipboard\x1b]52;c;aGk=\x07.txt",
    b"bidi\xe2\x80\xaetxt.exe.txt",
    b"latin-\xe9.txt",
    b"\xff\xfe\xfd.txt",
    b"-rf.txt",
    b"$(touch owned).txt",
    b"`id`;|&.txt",
    b"quote'\".txt",
    b"report [final] [/bold] [2024].txt".replace(b"/", b"\xe2\x81\x84"),
    b"back\\slash.txt",
    b"a.zip!",
    b" lead and trail .txt ",
    b"CASE.txt",
    b"case.txt",
    b"Case.txt",
    "\u00e9.txt".encode(),
    "e\u0301.txt".encode(),
    "\u5831\u544a\u66f8\U0001f4c4.txt".encode(),
    b"n" * 251 + b".txt",
    b"\xe5\xa0\xb1" * 83 + b".txt",
]


def write_hostile_folder(base: Path) -> Path:
    """Everything a folder may hold besides documents, and documents with every kind of name."""
    source = base / "documents"
    source.mkdir()
    outside = base / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET, encoding="utf-8")
    for number, name in enumerate(NAMES):
        with open(os.path.join(os.fsencode(source), name), "wb") as file:
            file.write(b"The document number %d has an odd name." % number)
    os.mkfifo(source / "pipe.txt")
    if os.geteuid() == 0:
        os.mknod(source / "zero.txt", 0o600 | 0o020000, os.makedev(1, 5))
    listener = socket.socket(socket.AF_UNIX)
    os.chdir(source)
    listener.bind("socket.txt")
    listener.close()
    (source / "out.txt").symlink_to(outside / "secret.txt")
    (source / "passwd.txt").symlink_to("/etc/passwd")
    (source / "folder").symlink_to(outside)
    (source / "loop").symlink_to(source)
    (source / "dangling.txt").symlink_to("nowhere")
    (source / "itself.txt").symlink_to("itself.txt")
    deep = source
    for level in range(60):
        deep /= f"level-{level:02}"
    deep.mkdir(parents=True)
    (deep / "bottom.txt").write_text("At the bottom of many folders.", encoding="utf-8")
    return source


@pytest.mark.parametrize("follow", [False, True])
def test_only_regular_files_of_the_folder_are_documents_and_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_hostile_folder(tmp_path)
    end = run_once(source, tmp_path / "ws", settings={"input": {"follow_symlinks": follow}})
    assert end.counts.found == end.counts.done == len(NAMES) + 1
    assert end.ignored == (9 if os.geteuid() == 0 else 8)
    found = rows(tmp_path / "ws")
    assert len(found) == len(NAMES) + 1  # no two names were taken for one
    assert SECRET not in str(found)
    assert "root:" not in str(found)
    for path in found:
        assert safe_text(path).isprintable()
    check_counters(tmp_path / "ws")
    assert sorted(os.listdir(tmp_path)) == ["documents", "outside", "ws"]


def test_files_that_change_shrink_and_vanish_while_they_are_read_are_accounted_for(tmp_path: Path) -> None:
    source = tmp_path / "documents"
    source.mkdir()
    names = [f"{number:03}.txt" for number in range(120)]
    for name in names:
        (source / name).write_text(f"{name} " + "words and more words " * 3_000, encoding="utf-8")
    ended = threading.Event()

    def disturb() -> None:
        turn = 0
        while not ended.is_set():
            path = source / names[turn % len(names)]
            match turn % 4:
                case 0:
                    path.write_text("shorter now", encoding="utf-8")
                case 1:
                    with path.open("ab") as file:
                        file.write(b" and one more line\n" * 500)
                case 2:
                    path.unlink(missing_ok=True)
                case 3:
                    os.truncate(path, 10) if path.exists() else path.touch()
            turn += 1
            time.sleep(0.001)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        end = run_once(source, tmp_path / "ws")
    finally:
        ended.set()
        thread.join()
    counts = end.counts
    assert counts.found == counts.done + counts.failed + counts.skipped + counts.empty
    for row in rows(tmp_path / "ws").values():
        if row["status"] == "failed":
            assert row["error"]["cause"] in {"changed while read", "vanished"}
    check_counters(tmp_path / "ws")
    settled = run_once(source, tmp_path / "ws")  # what changed is taken up by the next run
    check_counters(tmp_path / "ws")
    assert settled.counts.found == len(list(source.iterdir()))
