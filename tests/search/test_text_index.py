from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from fabricated_store import Doc, Fabricator, add_payloads

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.search.query import Search, search
from tui_scraper.engine.search.text_index import DamagedIndexError, TextIndex, open_for_reading
from tui_scraper.engine.store.connection import open_blobs, open_state

DOCS = [
    Doc(b"a.txt", "The quarterly budget of the northern office. " * 30),
    Doc(b"b.txt", "Minutes of a meeting about bicycles. " * 20),
]


def stored_chunks(state: apsw.Connection, blobs: apsw.Connection) -> list[tuple[int, bytes, bytes]]:
    """(chunk artifact, payload of its clean text, its own payload) of every document."""
    rows = state.execute(
        """SELECT DISTINCT c.artifact, a.blob, b.blob FROM result c JOIN result t ON t.version = c.version
        JOIN artifact a ON a.id = t.artifact JOIN artifact b ON b.id = c.artifact
        WHERE c.phase = 2 AND t.phase = 1 AND c.artifact IS NOT NULL AND t.artifact IS NOT NULL"""
    ).fetchall()

    def payload(blob: int) -> bytes:
        return blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).get

    return [(artifact, payload(clean), payload(chunks)) for artifact, clean, chunks in rows]


def chunks_in(workspace: Path) -> int:
    opened = open_for_reading(workspace)
    assert opened is not None
    return opened[0].searcher().num_docs


def test_a_new_index_is_fresh_and_a_committed_one_is_not(tmp_path: Path) -> None:
    index = TextIndex(tmp_path)
    assert index.fresh
    index.add(1, "Title", ["one", "two"], ["", "Part"], replace=False)
    index.commit()
    index.close()
    again = TextIndex(tmp_path)
    assert not again.fresh
    again.close()
    assert chunks_in(tmp_path) == 2


def test_an_empty_index_is_fresh_until_its_first_commit_whoever_was_killed_meanwhile(tmp_path: Path) -> None:
    TextIndex(tmp_path).close()  # made, and not noted by the store
    again = TextIndex(tmp_path)
    assert again.fresh
    again.add(1, "", ["one"], [""], replace=False)
    again.commit()
    again.close()
    last = TextIndex(tmp_path)
    assert not last.fresh
    last.close()


def test_what_was_not_committed_is_dropped(tmp_path: Path) -> None:
    index = TextIndex(tmp_path)
    index.add(1, "", ["kept"], [""], replace=False)
    index.commit()
    index.add(2, "", ["lost"], [""], replace=False)
    index.close()
    assert chunks_in(tmp_path) == 1


def test_merges_can_be_waited_for(tmp_path: Path) -> None:
    index = TextIndex(tmp_path)
    for artifact in range(20):
        index.add(artifact, "", ["word"], [""], replace=False)
        index.commit()
    index.close(finish_merges=True)
    index.close()
    assert chunks_in(tmp_path) == 20


def test_adding_again_with_replace_leaves_no_duplicates(tmp_path: Path) -> None:
    index = TextIndex(tmp_path)
    for _time in range(2):
        index.add(7, "", ["one", "two", "three"], ["", "", ""], replace=True)
        index.commit()
    index.add(7, "", ["one", "two"], ["", ""], replace=True)
    index.add(7, "", ["one", "two"], ["", ""], replace=True)  # within one commit as well
    index.commit()
    index.close()
    assert chunks_in(tmp_path) == 2


def test_a_crash_between_index_and_store_gives_no_duplicates(store: Fabricator) -> None:
    store.scan(DOCS)
    finished = store.process(DOCS)
    index = TextIndex(store.directory)
    store.index(index, finished, record=False)
    index.close()
    assert search(store.directory, "budget") == []  # nobody recorded it

    index = TextIndex(store.directory)
    assert not index.fresh
    store.index(index, finished)
    index.close()
    hits = search(store.directory, "budget", k=50)
    assert [hit.chunk for hit in sorted(hits, key=lambda hit: hit.chunk)] == [0, 1, 2, 3]
    assert chunks_in(store.directory) == 6


@pytest.mark.parametrize("damage", ["delete", "meta", "segments", "file", "empty", "foreign"])
def test_a_damaged_index_is_noticed_and_can_be_built_again(store: Fabricator, damage: str) -> None:
    store.run(DOCS)
    before = search(store.directory, "budget bicycles")
    directory = store.directory / "index"
    files = list(directory.iterdir())
    if damage == "meta":
        (directory / "meta.json").write_bytes(b"\x00garbage")
    elif damage == "segments":
        for file in files:
            if file.suffix in {".idx", ".fast", ".term", ".pos"}:
                file.write_bytes(b"garbage" * 10)
    elif damage == "foreign":
        text = (directory / "meta.json").read_text()
        (directory / "meta.json").write_text(text.replace('"words-1"', '"words-0"'))
    else:
        for file in files:
            file.unlink()
        if damage != "empty":
            directory.rmdir()
        if damage == "file":
            directory.write_bytes(b"not a folder")
    with pytest.raises(DamagedIndexError, match="next run"):
        search(store.directory, "budget")

    index = TextIndex(store.directory)
    assert index.fresh
    state, blobs = open_state(store.directory, read_only=True), open_blobs(store.directory, read_only=True)
    for artifact, clean, chunks in stored_chunks(state, blobs):
        add_payloads(index, artifact, clean, chunks)
    index.commit()
    state.close()
    blobs.close()
    index.close()
    assert search(store.directory, "budget bicycles") == before


_WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from tui_scraper.engine.search.text_index import TextIndex
index = TextIndex(Path(sys.argv[1]))
index.add(1, "", ["committed words"], [""], replace=True)
index.commit()
index.add(2, "", ["not committed"], [""], replace=True)
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_lock_of_a_killed_writer_does_not_block(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITE_UNTIL_KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(StoreError, match="another process"):
            TextIndex(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    index = TextIndex(tmp_path)
    assert not index.fresh
    index.add(3, "", ["after"], [""], replace=True)
    index.commit()
    index.close()
    assert chunks_in(tmp_path) == 2


def test_what_is_on_a_read_only_disk_is_found(store: Fabricator, monkeypatch: pytest.MonkeyPatch) -> None:
    store.run([Doc(b"a", "the quokka sleeps"), Doc(b"b", "the wombat digs")])
    index = store.directory / "index"
    if os.geteuid() == 0:  # who may write anywhere
        monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == index and mode == os.W_OK))
    for lock in index.glob(".*.lock"):
        lock.unlink()
    before = sorted(os.listdir(index))
    index.chmod(0o500)
    try:
        with Search(store.directory) as reader:
            for _ in range(2):
                assert [hit.path for hit in reader.find('"quokka sleeps"')] == ["a"]
    finally:
        index.chmod(0o700)
    assert sorted(os.listdir(index)) == before


def test_an_index_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        TextIndex(tmp_path)
