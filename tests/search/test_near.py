"""What is found by meaning is as the query says, by the rules that words go by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from fabricated_store import MTIME_NS, Doc, Fabricator

from tui_scraper.engine.models import PhaseName, SearchHit
from tui_scraper.engine.search import hits as hits_module
from tui_scraper.engine.search import query as query_module
from tui_scraper.engine.search.hits import Hits
from tui_scraper.engine.search.holders import Filter
from tui_scraper.engine.search.query import Search, search
from tui_scraper.engine.search.vector_files import VectorFiles, VectorReader
from tui_scraper.engine.store.vectors import EMBEDDINGS, held_by, made_here, space_of

DIMENSIONS = 64
AIM = np.full(DIMENSIONS, 100, np.int8)


def with_vectors(store: Fabricator, docs: Sequence[Doc]) -> None:
    """Index documents, each with a vector that is a little further from the aim than the one before."""
    store.settings[PhaseName.INDEX] = (1, {EMBEDDINGS: made_here("a model")})
    store.configure()
    finished = store.run(docs)
    space = space_of(store.settings[PhaseName.INDEX])
    assert space is not None
    files = VectorFiles(store.directory, space)
    noise = np.random.default_rng(0).permutation(DIMENSIONS)
    for number, item in enumerate(sorted(finished, key=lambda item: item.version)):
        vector = AIM.copy()
        vector[noise[: 1 + number * 20 // len(docs)]] -= np.int8(min(90, 1 + number))
        files.add(item.chunks or 0, [0], vector[np.newaxis, :])
    files.commit()
    held_by(store.writer)(space, files.rows)
    files.close()


def near(store: Fabricator, query: str, *, words: bool = False, k: int = 10) -> list[SearchHit]:
    with Search(store.directory) as reader:
        return reader.find(query, k=k, vector=AIM, words=words)


def paths(store: Fabricator, query: str, *, words: bool = False, k: int = 10) -> set[str]:
    return {hit.path for hit in near(store, query, words=words, k=k)}


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("plan", "invoice draft reports other"),
        ("plan -invoi*", "draft reports other"),
        ("plan -title:draft", "invoice reports other"),
        ("plan -draft", "invoice reports"),
        ('plan -"final words"', "invoice draft reports"),
        ('plan -"heads the"', "invoice draft reports other"),  # the end of a title and the start of a text
        ('"final words"', "other"),
        ('plan "plan one"', "draft"),
        ('"the plan" -invoi*', "draft reports other"),
        ('"invoices"', "invoice"),  # just so
        ('"invoice"', ""),
        ('"heads the"', ""),
        ('plan "no such words"', ""),
        ("title:repor*", "reports"),
        ("title:report", "reports"),
        ("title:reprots", "reports"),
        ('title:"annual reports"', "reports"),
        ("title:nothing", ""),
        ("plan language:de", "other"),
    ],
)
def test_what_is_quoted_or_left_out_and_titles_are_the_same_by_meaning_as_by_words(
    store: Fabricator, query: str, found: str, words: bool
) -> None:
    with_vectors(
        store,
        [
            Doc(b"invoice", "The plan of the invoices."),
            Doc(b"draft", "The plan one.", title="A draft"),
            Doc(b"reports", "The plan two.", title="Annual reports"),
            Doc(b"other", "the plan, a draft, final words", title="What heads", language="de"),
        ],
    )
    assert paths(store, query, words=words) == set(found.split())


def test_quoted_words_that_many_have_are_looked_for_in_the_nearest(
    store: Fabricator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_module, "_FEW_CHUNKS", 3)
    texts = ["the old plan" if number % 2 else "the plan, old" for number in range(20)]
    with_vectors(store, [Doc(f"{number}".encode(), f"{text} {number}") for number, text in enumerate(texts)])
    odd = {str(number) for number in range(1, 20, 2)}
    assert paths(store, '"old plan"', k=20) == odd
    assert paths(store, '"old plan" -7', k=20) == odd - {"7"}


def test_one_that_is_not_near_enough_does_not_end_the_search(
    store: Fabricator, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = [Doc(f"{number}".encode(), f"plan {number}") for number in range(20)]
    with_vectors(store, docs)
    nearest = VectorReader.nearest

    def with_far_ones_between(self: VectorReader, *args: Any) -> Iterator[tuple[float, int, int]]:
        for score, artifact, ordinal in nearest(self, *args):  # as at the border of two pages
            yield 0.1, 1_000_000 + artifact, ordinal
            yield score, artifact, ordinal

    monkeypatch.setattr(VectorReader, "nearest", with_far_ones_between)
    assert len(near(store, "nothingsuch", words=True, k=20)) == 20


def test_few_texts_are_kept_however_many_are_looked_into(
    store: Fabricator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_vectors(store, [Doc(f"{number:03}".encode(), f"plan draft {number}") for number in range(100)])
    made: list[Hits] = []
    init = Hits.__init__

    def noted(self: Hits, *args: Any) -> None:
        made.append(self)
        init(self, *args)

    monkeypatch.setattr(Hits, "__init__", noted)
    assert near(store, "plan -draft") == []
    assert len(made) == 1
    assert 0 < len(made[0]._texts) <= hits_module._KEPT
    assert 0 < len(made[0]._chunks) <= hits_module._KEPT


def test_a_rare_kind_is_found_by_meaning_without_a_look_at_all_that_is_nearer(
    store: Fabricator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_scraper.engine.search.query._TRIED", 20)
    many = [Doc(f"many/{number}".encode(), f"plan {number}") for number in range(200)]
    with_vectors(store, [*many, Doc(b"rare", "plan", media_type="application/pdf")])
    looked_up: list[int] = []
    look_up = Filter._look_up

    def noted(self: Filter, artifact: int) -> Any:
        looked_up.append(artifact)
        return look_up(self, artifact)

    monkeypatch.setattr(Filter, "_look_up", noted)
    assert paths(store, "budget type:pdf") == {"rare"}
    assert len(looked_up) <= 30


def test_documents_of_the_far_future_are_found_where_no_date_is_asked_for(
    store: Fabricator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_scraper.engine.search.query._TRIED", 5)
    many = [Doc(f"many/{number}".encode(), f"plan {number}") for number in range(30)]
    far = 5 * 10**18
    with_vectors(
        store,
        [
            *many,
            Doc(b"far", "plan of the future", media_type="application/pdf", mtime_ns=far),
            Doc(b"now", "plan of now", media_type="application/pdf", mtime_ns=MTIME_NS),
        ],
    )
    assert {hit.path for hit in search(store.directory, "plan type:pdf")} == {"far", "now"}
    for words in (False, True):
        assert paths(store, "plan type:pdf", words=words) == {"far", "now"}
        assert paths(store, "plan date:>2100", words=words) == {"far"}
        assert paths(store, "plan type:pdf date:..2200", words=words) == {"far", "now"}
        assert paths(store, "plan type:pdf date:..9999", words=words) == {"far", "now"}
