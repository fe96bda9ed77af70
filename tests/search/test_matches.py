"""What is found in two steps, a rough one and an exact one, is what one exact step finds."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fabricated_store import Doc, Fabricator

from tui_scraper.engine.search.asked import read_query
from tui_scraper.engine.search.hits import Found
from tui_scraper.engine.search.matches import CANDIDATES, Matches
from tui_scraper.engine.search.meant import understand
from tui_scraper.engine.search.query import Search
from tui_scraper.engine.search.ranking import RankedQuery, Ranking
from tui_scraper.engine.search.text_index import TextIndex, open_for_reading
from tui_scraper.engine.search.vocabulary import Vocabulary

WORDS = [
    f"{start}{end}" for start in "bdfgklmnprst" for end in ("alo", "emir", "inta", "osk", "uvar", "ydel")
]
"""In the order of how frequent they are."""
EACH = 4
"""Chunks of a document."""

Opened = Callable[[str], tuple[Matches, RankedQuery]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Asks an index of 6,000 chunks in several segments."""
    folder: Path = tmp_path_factory.mktemp("index")
    rng = random.Random(5)
    weights = [1 / (rank + 1) for rank in range(len(WORDS))]
    index = TextIndex(folder)
    for artifact in range(1_500):
        texts = [" ".join(rng.choices(WORDS, weights, k=rng.randint(5, 60))) for _ in range(EACH)]
        index.add(artifact, "", texts, [rng.choice(WORDS)] * EACH, replace=False, language="en")
        if artifact % 400 == 0:
            index.commit()
    index.commit()
    index.close(finish_merges=False)
    opened, analyze = open_for_reading(folder)
    searcher = opened.searcher()

    def asked(query: str) -> tuple[Matches, RankedQuery]:
        vocabulary = Vocabulary(searcher)
        matches = Matches(searcher, lambda work: work())
        meant, excluded, _replaced = understand(read_query(query, analyze), vocabulary, lambda _word: True)
        return matches, Ranking(opened.schema, vocabulary).query(meant, excluded, [])

    return asked


def exactly(matches: Matches, query: Any, k: int) -> list[Found]:
    return list(itertools.islice(matches.every(query, k), k))


def scores(found: list[Found]) -> list[float]:
    return [round(one.score, 4) for one in found]


def test_the_best_are_those_of_all(ask: Opened) -> None:
    rng = random.Random(9)
    for _ in range(60):
        matches, query = ask(" ".join(rng.sample(WORDS[2:25], rng.randint(2, 7))))
        best = matches.best(query, 10)
        assert len(best) == CANDIDATES
        assert scores(best[:10]) == scores(exactly(matches, query.whole, 10))


def test_what_is_left_out_is_not_among_the_best(ask: Opened) -> None:
    matches, query = ask(f"{WORDS[8]} {WORDS[12]} {WORDS[20]} -{WORDS[1]}")
    best = matches.best(query, 10)
    assert best
    everything = {(one.artifact, one.ordinal): one.score for one in matches.every(query.whole, 6_000)}
    for one in best:
        assert round(everything[one.artifact, one.ordinal], 4) == round(one.score, 4)


@pytest.mark.parametrize("typed", [WORDS[8], f'"{WORDS[2]} {WORDS[3]}" {WORDS[8]}', "nothing nowhere"])
def test_other_queries_take_one_step(ask: Opened, typed: str) -> None:
    matches, query = ask(typed)
    assert matches.best(query, 10) == []


def test_a_filter_that_none_of_the_best_passes_finds_the_others(store: Fabricator) -> None:
    many = [Doc(f"{at:03}".encode(), "red apples, red apples", label="fruit") for at in range(300)]
    store.run([*many, Doc(b"last", "red things and some other words, among them apples", label="other")])
    with Search(store.directory) as reader:
        assert [hit.path for hit in reader.find("red apples", k=1, label="other")] == ["last"]
        assert reader.find("red apples", k=5)[0].path == "000"
