"""The graph is exactly what comparing every document with every other gives."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.graph.corpora import ROOT, Doc, corpus, documents_of
from tests.graph.naive import Naive
from tui_scraper.engine.graph.build import build
from tui_scraper.engine.graph.cycles import cycles
from tui_scraper.engine.graph.model import KINDS, Graph


def graph_of(docs: list[Doc]) -> Graph:
    texts = [(at, doc.clean) for at, doc in enumerate(docs) if doc.clean is not None]
    return build(documents_of(docs), lambda: iter(texts), ROOT)


def check(docs: list[Doc]) -> Graph:
    found, expected = graph_of(docs), Naive(docs)
    edges = Counter({(one.source, one.target, str(one.kind)): one.count for one in found.edges()})
    assert edges - expected.edges == Counter()
    assert expected.edges - edges == Counter()
    broken = Counter({(one.source, one.target, str(one.kind)): one.count for one in found.broken()})
    assert broken - expected.broken == Counter()
    assert expected.broken - broken == Counter()
    for mine, theirs in ((found.elsewhere, expected.elsewhere), (found.ambiguous, expected.ambiguous)):
        counts = {str(kind): count for kind, count in zip(KINDS, mine.tolist(), strict=True) if count}
        assert counts == dict(theirs)
    return found


@pytest.mark.parametrize("seed", range(30))
def test_small_corpora_agree_with_a_naive_reference(seed: int) -> None:
    check(corpus(seed, 40 + seed * 5))


def test_two_thousand_documents_agree_with_a_naive_reference() -> None:
    docs = corpus(1, 3_700)
    assert len(docs) >= 2_000
    found = check(docs)
    assert {str(kind) for kind, count in found.by_kind().items() if count} == set(map(str, KINDS))
    assert found.ambiguous.sum() and len(found.broken_sources)


def test_cycles_are_the_documents_that_reach_each_other() -> None:
    for seed in range(20):
        found = graph_of(corpus(seed, 60))
        reaches = [{at} for at in range(len(found))]
        for _ in range(len(found)):
            before = list(map(len, reaches))
            for edge in found.edges():
                reaches[edge.source] |= reaches[edge.target]
            if list(map(len, reaches)) == before:
                break
        expected = {
            frozenset(other for other in reaches[at] if at in reaches[other]) for at in range(len(found))
        }
        assert {frozenset(one) for one in cycles(found)} == {one for one in expected if len(one) > 1}
