"""Vectors of this machine, from real runs: there from the first on, exact at the head, made again at will."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.running import run_once, running, table
from tui_scraper.engine import PhaseName, RunState
from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.gc import collect
from tui_scraper.engine.phases import local_vectors
from tui_scraper.engine.search.query import Search
from tui_scraper.engine.search.vector_files import open_vectors
from tui_scraper.engine.searching import Answer, find
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.vectors import ask_models_again
from tui_scraper.engine.verify import verify
from tui_scraper.engine.verify.repair import repair
from tui_scraper.engine.wire import Chunk, CleanText
from tui_scraper.engine.workspace import reopen

TEXTS = {
    "bank.txt": "Lenders increase mortgage costs after the central bank has raised interest rates.",
    "cat.txt": "The kitten plays with a ball of wool under the kitchen table, then sleeps.",
    "ship.txt": "A cargo vessel left the harbour at dawn with containers of grain and timber.",
    "signs.txt": "!!! ??? ***",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    return folder


def search(workspace: Path, query: str, **more: Any) -> Answer:
    return find(workspace, query, settings=Settings(), **more)


def paths(answer: Answer) -> list[str]:
    return [hit.path for hit in answer.hits]


def rows(workspace: Path) -> dict[tuple[int, int], bytes]:
    """(artifact, ordinal) -> its vector, of all that the files have."""
    with Search(workspace) as reader:
        space = reader.space()
    assert space is not None
    vectors = open_vectors(workspace, space, 1)
    assert vectors is not None
    return {
        (int(artifact), int(ordinal)): bytes(vectors._values[at])
        for at, (artifact, ordinal) in enumerate(vectors._rows)
    }


def test_the_meaning_is_found_without_any_setting(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "w")
    for mode in (None, "hybrid", "semantic"):
        found = search(tmp_path / "w", "home loans become expensive", mode=mode)
        assert (paths(found)[0], found.by_meaning, found.notice) == ("bank.txt", True, "")
    assert paths(search(tmp_path / "w", "home loans become expensive", mode="text")) == []
    assert paths(search(tmp_path / "w", "xyzzyplugh")) == []  # nothing is near enough to be shown for that
    assert verify(tmp_path / "w").sound


def test_a_query_asks_nobody_even_where_only_what_is_free_is_wanted(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "w")
    found = search(tmp_path / "w", "expensive loans", may_ask=False)
    assert (paths(found)[0], found.by_meaning) == ("bank.txt", True)
    workspace = reopen(tmp_path / "w")
    try:
        with pytest.raises(UsageError):
            workspace.writer.call(ask_models_again())
    finally:
        workspace.close()


def test_signs_have_no_meaning(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "w")
    for query in ("!", "type:text !", "type:text ...", "\u24b6"):
        for mode in ("hybrid", "semantic"):
            found = search(tmp_path / "w", query, mode=mode)
            assert all(hit.score == hit.score for hit in found.hits)  # and is a number


def test_workers_and_the_index_make_the_same_vectors(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "w")
    made = rows(tmp_path / "w")
    assert len(made) == len(TEXTS)
    shutil.rmtree(tmp_path / "w" / "vectors")
    assert not verify(tmp_path / "w").sound
    run_once(source, tmp_path / "w")  # from the store: no worker reads anything
    assert rows(tmp_path / "w") == made
    assert verify(tmp_path / "w").sound


def test_they_can_be_turned_off_and_on(source: Path, tmp_path: Path) -> None:
    none = {"index": {"embeddings": "none"}}
    run_once(source, tmp_path / "w", settings=none)
    assert "no vectors here" in search(tmp_path / "w", "loans", mode="hybrid").notice
    assert search(tmp_path / "w", "bank").notice == ""
    run_once(source, tmp_path / "w")
    assert paths(search(tmp_path / "w", "home loans", mode="semantic"))[0] == "bank.txt"
    run_once(source, tmp_path / "w", settings=none)
    assert not search(tmp_path / "w", "loans").by_meaning
    run_once(source, tmp_path / "w")
    assert len(rows(tmp_path / "w")) == len(TEXTS)
    assert verify(tmp_path / "w").sound


def test_a_search_by_meaning_shows_what_the_head_has(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "w")
    before = table(tmp_path / "w", "SELECT max(id) FROM checkpoint")[0][0]
    (source / "bank.txt").write_text("Rain and wind over the northern hills, with snow later on.")
    (source / "cat.txt").unlink()
    run_once(source, tmp_path / "w")

    def everything() -> list[str]:
        return sorted(paths(search(tmp_path / "w", "mortgage", mode="semantic", k=100)))

    assert everything() == ["bank.txt", "ship.txt", "signs.txt"]
    assert paths(search(tmp_path / "w", "weather forecast"))[0] == "bank.txt"
    with running(source, tmp_path / "w") as run:
        run.complete()
        run.host.roll_back(before)
        run.wait(lambda now: now.state is RunState.STOPPED and now.checkpoint == before, "rollback")
    assert everything() == sorted(TEXTS)
    assert paths(search(tmp_path / "w", "home loans", mode="semantic"))[0] == "bank.txt"
    collect(tmp_path / "w", keep=1)
    assert everything() == sorted(TEXTS)
    assert verify(tmp_path / "w").sound


@pytest.mark.parametrize("name", ["signs.1", "values.1", "rows.1", "meta.json"])
def test_a_damaged_file_is_found_and_made_again(source: Path, tmp_path: Path, name: str) -> None:
    run_once(source, tmp_path / "w")
    made = rows(tmp_path / "w")
    [file] = (tmp_path / "w" / "vectors").glob(f"*/{name}")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x55
    file.write_bytes(data)
    assert [name in damage.where for damage in verify(tmp_path / "w").damages] == [True]
    repair(tmp_path / "w")
    run_once(source, tmp_path / "w")
    assert rows(tmp_path / "w") == made
    assert verify(tmp_path / "w").sound


def test_a_run_that_ends_before_the_index_makes_them_in_the_next(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "w", through=PhaseName.CLASSIFY)
    run_once(source, tmp_path / "w")
    assert len(rows(tmp_path / "w")) == len(TEXTS)


def test_vectors_of_another_number_of_chunks_are_not_believed() -> None:
    clean, chunks = CleanText("one two three", "A title"), [Chunk(0, 7, 2), Chunk(8, 13, 1)]
    vectors = local_vectors.vectors_of(clean, chunks)
    made = local_vectors.unpacked(vectors, 2)
    assert made is not None
    assert made.shape == (2, 256)
    assert np.array_equal(made[1], local_vectors.vector_of("A title\nthree"))
    for wrong in (b"", vectors[:-1], vectors + b"x"):
        assert local_vectors.unpacked(wrong, 2) is None
