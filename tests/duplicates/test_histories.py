"""Whatever happens to a corpus, its duplicates are those that a naive look at the head finds."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))

from changing_corpus import OUTCOMES, ChangingCorpus, File, contents

from tests.duplicates.naive import stars
from tui_scraper.engine.alike import count_duplicates
from tui_scraper.engine.duplicates.kept import DuplicatesReader
from tui_scraper.engine.duplicates.model import Copy, Duplicates
from tui_scraper.engine.duplicates.signature import signatures
from tui_scraper.engine.models import PhaseName

PATHS = [b"a", b"b", b"c.zip", b"d/e", b"f\xff"]
FILES = st.dictionaries(st.sampled_from(PATHS), st.builds(File, st.integers(1, 7)))
STEPS = st.one_of(
    st.tuples(st.just("scan"), FILES),
    st.tuples(st.just("work"), st.sampled_from(OUTCOMES), st.integers(1, 4)),
    st.tuples(st.just("work"), st.just("done"), st.just(100)),
    st.tuples(st.just("use"), st.sampled_from(["input", "clean", "chunk"]), st.integers(0, 2)),
    st.tuples(st.just("checkpoint")),
    st.tuples(st.just("roll back"), st.sampled_from([PhaseName.INPUT, PhaseName.CLEAN, 0, 1, 2])),
    st.tuples(st.just("undo")),
    st.tuples(st.just("retry")),
    st.tuples(st.just("garbage")),
    st.tuples(st.just("look")),
)


def step(corpus: ChangingCorpus, name: str, *values: Any) -> None:
    match name:
        case "scan":
            corpus.scan(values[0])
        case "work":
            corpus.work(*values)
        case "use":
            corpus.use(**{values[0]: values[1]})
        case "checkpoint":
            corpus.checkpoint()
        case "roll back":
            corpus.roll_back(values[0])
        case "undo":
            corpus.undo()
        case "retry":
            corpus.retry()
        case "garbage":
            corpus.collect_garbage()
        case "look":
            look(corpus.directory)


def look(directory: Path) -> tuple[Duplicates, dict[int, str]]:
    with DuplicatesReader(directory) as reader:
        found = reader.duplicates()
        return found, reader.paths(found.versions.tolist())


def naive(rows: list[dict[str, Any]]) -> list[tuple[str | None, str | None]]:
    """(duplicate_of, near_duplicate_of) of exported rows, by comparing all with all."""
    with_text = [at for at, row in enumerate(rows) if row["text"] is not None]
    signed = signatures([rows[at]["text"] for at in with_text])
    leaders = stars([[float((one == other).mean()) for other in signed] for one in signed], 0.85)
    first: dict[str, str] = {}
    found = []
    for at, row in enumerate(rows):
        content = row["content_hash"]
        exact = first.setdefault(content, row["id"]) if content is not None else row["id"]
        near = None
        if at in with_text:
            leader = rows[with_text[leaders[with_text.index(at)]]]
            if leader is not row and (leader["content_hash"] != content or content is None):
                near = leader["id"]
        found.append((exact if exact != row["id"] else None, near))
    return found


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, max_size=12))
def test_they_are_those_of_the_head(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    corpus = ChangingCorpus(tmp_path_factory.mktemp("corpus") / "w")
    try:
        corpus.scan({b"a": File(1), b"b": File(1), b"c.zip": File(4), b"f\xff": File(7)})
        for name, *values in [("work", "done"), *steps]:
            step(corpus, name, *values)
        corpus.export()
        lines = contents(corpus.exported)["documents.jsonl"].splitlines()
        found, _paths = look(corpus.directory)
        counts = count_duplicates(corpus.directory)
        assert contents(corpus.exported) == corpus.export_anew()
    finally:
        corpus.close()
    rows = [json.loads(line) for line in lines]
    assert len(found) == len(rows)
    said = [(row["duplicate_of"], row["near_duplicate_of"]) for row in rows]
    assert said == naive(rows)
    for at, row in enumerate(rows):
        assert found.near_duplicate_of(at) == row["near_duplicate_of"]
        assert (found.kinds[at] == Copy.NONE) == (said[at] == (None, None)), "could it go, or not"
        group = found.group(at)
        if group is None:
            assert said[at] == (None, None)
            continue
        assert said[group.first] == (None, None), "who stands for others stays"
        assert at in (group.first, *group.others)
    groups = list(found.groups())
    members = [place for group in groups for place in (group.first, *group.others)]
    assert len(members) == len(set(members))
    assert counts is not None and counts == found.counts()
    assert (counts.groups, counts.could_go) == (len(groups), len(members) - len(groups))
    assert counts.bytes_could_go == sum(group.bytes_could_go for group in groups)
    stays = found.standing_for_others()
    assert sorted(np.flatnonzero(stays).tolist()) == sorted(group.first for group in groups)


def test_the_order_of_work_makes_no_difference(tmp_path: Path) -> None:
    files = {f"{number:02}".encode(): File(number % 7) for number in range(30)}
    found = []
    for name in ("one", "two"):
        corpus = ChangingCorpus(tmp_path / name / "w")
        chance = random.Random(name)
        for _round in range(4):
            corpus.scan(dict(chance.sample(sorted(files.items()), 20)))
            corpus.work("done", 7)
        corpus.scan(files)
        corpus.work()
        duplicates, paths = look(corpus.directory)
        corpus.close()
        listed = [paths[version] for version in duplicates.versions.tolist()]
        found.append((listed, duplicates.firsts.tolist(), duplicates.similarity.tolist()))
    assert found[0] == found[1]


def test_groups_of_one_kind_alone(tmp_path: Path) -> None:
    corpus = ChangingCorpus(tmp_path / "w")
    corpus.scan({b"a": File(1), b"b": File(1), b"c": File(4), b"d": File(4), b"e": File(2)})
    corpus.work()
    found, _paths = look(corpus.directory)
    corpus.close()
    assert found.firsts.tolist() == [0, 0, 0, 0, 4]
    assert found.only(Copy.EXACT).firsts.tolist() == [0, 0, 2, 2, 4]
    assert found.only(Copy.NEAR).firsts.tolist() == [0, 1, 0, 3, 4]
    assert found.kinds.tolist() == [Copy.NONE, Copy.EXACT, Copy.NEAR, Copy.EXACT, Copy.NONE]
