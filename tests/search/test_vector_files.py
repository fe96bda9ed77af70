"""The files of vectors: what is nearest is found, and what was committed is what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tui_scraper.engine.search.segments import DamagedVectorsError
from tui_scraper.engine.search.vector_files import (
    VectorFiles,
    artifacts_in,
    compact,
    damaged,
    open_vectors,
)
from tui_scraper.engine.search.vector_meta import folder_of, rows_in

SPACE = bytes(16)


def vectors(count: int, dimensions: int = 96, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-127, 128, (count, dimensions)).astype(np.int8)


def written(workspace: Path, made: np.ndarray, each: int = 4) -> None:
    files = VectorFiles(workspace, SPACE)
    for at in range(0, len(made), each):
        files.add(1 + at // each, range(len(made[at : at + each])), made[at : at + each])
    files.commit()
    files.close()


@pytest.mark.parametrize("count", [1, 100, 40_000])
def test_the_nearest_come_first(tmp_path: Path, count: int) -> None:
    made = vectors(count)
    written(tmp_path, made)
    reader = open_vectors(tmp_path, SPACE, count)
    assert reader is not None
    query = made[count // 2].astype(np.float32)
    exact = made.astype(np.float32) @ query / np.linalg.norm(made.astype(np.float32), axis=1)
    best = np.argsort(-exact)[:10]
    found = [next_ for next_, _ in zip(reader.nearest(query), range(10), strict=False)]
    assert found[0] == (pytest.approx(1.0), 1 + (count // 2) // 4, (count // 2) % 4)
    wanted = {(1 + at // 4, at % 4) for at in best.tolist()}
    assert len(wanted & {(artifact, ordinal) for _score, artifact, ordinal in found}) >= 0.9 * len(wanted)
    assert [score for score, *_ in found] == sorted((score for score, *_ in found), reverse=True)


def test_every_row_comes_once_however_far_one_goes(tmp_path: Path) -> None:
    written(tmp_path, vectors(20_000, 16))
    reader = open_vectors(tmp_path, SPACE, 0)
    assert reader is not None
    rows = [(artifact, ordinal) for _score, artifact, ordinal in reader.nearest(np.ones(16, np.float32))]
    assert len(rows) == len(set(rows)) == 20_000


def test_a_search_among_some_is_exact(tmp_path: Path) -> None:
    made = vectors(40_000, 32)
    written(tmp_path, made)
    reader = open_vectors(tmp_path, SPACE, 0)
    assert reader is not None
    found = list(reader.nearest(made[5].astype(np.float32), [1, 2, 9_000]))
    assert {artifact for _score, artifact, _ordinal in found} == {1, 2, 9_000}
    assert len(found) == 12
    assert found[0][1:] == (2, 1)


def test_what_is_there_already_is_not_added_again(tmp_path: Path) -> None:
    made = vectors(8)
    written(tmp_path, made)
    written(tmp_path, made)
    assert rows_in(tmp_path, SPACE) == 8
    files = VectorFiles(tmp_path, SPACE)
    files.add(2, [3, 4], made[:2])
    files.add(2, [4, 5], made[:2])
    files.commit()
    files.close()
    assert artifacts_in(tmp_path, SPACE) == {1: 4, 2: 6}


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    files = VectorFiles(tmp_path, SPACE)
    files.add(1, [0], vectors(1))
    files.close()
    assert rows_in(tmp_path, SPACE) == 0
    assert open_vectors(tmp_path, SPACE, 0) is None
    with pytest.raises(DamagedVectorsError):
        open_vectors(tmp_path, SPACE, 1)


def test_files_that_are_cut_short_begin_anew(tmp_path: Path) -> None:
    written(tmp_path, vectors(8))
    values = folder_of(tmp_path, SPACE) / "values.1"
    values.write_bytes(values.read_bytes()[:-1])
    assert [name for name, _what in damaged(tmp_path, SPACE, lambda _bytes: None)] == ["values.1"]
    with pytest.raises(DamagedVectorsError):
        open_vectors(tmp_path, SPACE, 8)
    written(tmp_path, vectors(4))
    assert rows_in(tmp_path, SPACE) == 4
    assert not list(damaged(tmp_path, SPACE, lambda _bytes: None))


def test_what_is_gone_leaves_the_files_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    made = vectors(400)
    written(tmp_path, made)
    noted: list[tuple[bytes, int]] = []
    kept = {artifact for artifact in range(1, 101) if artifact % 3}
    compact(tmp_path, lambda some: kept & set(some), lambda space, rows: noted.append((space, rows)))
    assert noted == [(SPACE, 4 * len(kept))]
    assert set(artifacts_in(tmp_path, SPACE)) == kept
    assert not list(damaged(tmp_path, SPACE, lambda _bytes: None))
    reader = open_vectors(tmp_path, SPACE, 1)
    assert reader is not None
    assert next(reader.nearest(made[0].astype(np.float32)))[1:] == (1, 0)
    assert {file.name for file in folder_of(tmp_path, SPACE).iterdir()} == {
        "meta.json",
        "signs.2",
        "values.2",
        "rows.2",
    }
    written(tmp_path, made)
    assert rows_in(tmp_path, SPACE) == 400


def test_the_cosines_of_some_chunks_are_those_of_the_order_of_all(tmp_path: Path) -> None:
    made = vectors(400)
    files = VectorFiles(tmp_path, SPACE)
    for artifact in (*range(50, 101), *range(1, 50)):  # an older artifact may come later
        files.add(artifact, range(4), made[4 * artifact - 4 : 4 * artifact])
        files.commit()
    files.close()
    reader = open_vectors(tmp_path, SPACE, 1)
    assert reader is not None
    query = made[7].astype(np.float32)
    every = {(artifact, ordinal): score for score, artifact, ordinal in reader.nearest(query)}
    some = [(1, 0), (2, 3), (100, 1), (999, 0), (2, 9)]
    assert reader.cosines(query, some) == {place: every[place] for place in some if place in every}
    assert reader.cosines(query, []) == {}
    assert set(reader.cosines(np.zeros(96, np.float32), some).values()) == {0.0}
