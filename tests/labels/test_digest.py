"""The digest: bounded, the title and the headings first, whole words, nothing that cannot be encoded."""

from __future__ import annotations

import pytest

from tui_scraper.engine.labels.digest import CHARACTERS_PER_TOKEN, Digest, make_digest
from tui_scraper.engine.wire import Chunk, CleanText

PROSE = "Several plain words follow each other here. " * 400


def chunks_of(text: str, size: int, tokens: int, headings: list[str]) -> list[Chunk]:
    starts = range(0, len(text), size)
    return [
        Chunk(start, min(start + size, len(text)), tokens, headings[min(n, len(headings) - 1)])
        for n, start in enumerate(starts)
    ]


def test_a_short_document_is_its_own_digest() -> None:
    assert make_digest(CleanText("Just this."), [], 160).text == "Just this."
    assert make_digest(CleanText("Just this.", title="A title"), [], 160).text == "A title\nJust this."
    assert (
        make_digest(CleanText("A title\n\nJust this.", title="A title"), [], 160).text.count("A title") == 1
    )


def test_a_long_document_gives_title_headings_opening_and_middle() -> None:
    body = "The beginning. " + PROSE + "MIDDLE " + PROSE
    chunks = [Chunk(0, 400, 100, "Guide > Setup"), Chunk(15 + len(PROSE), 15 + len(PROSE) + 400, 100, "Use")]
    chunks.append(Chunk(len(body) - 10, len(body), 3, "Guide > Setup"))
    lines = make_digest(CleanText(body, title="The manual"), chunks, 100).text.split("\n")
    assert lines[:3] == ["The manual", "Setup", "Use"]
    assert lines[3].startswith("The beginning.")
    assert lines[4].startswith("MIDDLE")


@pytest.mark.parametrize("tokens", [16, 160, 8192])
def test_it_stays_within_its_tokens(tokens: int) -> None:
    text = CleanText(PROSE * 20, title="t" * 1_000)
    found = make_digest(text, chunks_of(text.text, 800, 200, ["h" * 300, "Two", "Three"]), tokens)
    assert len(found.text) <= tokens * 4 + 10  # these chunks have four characters a token
    assert len(found.text) > tokens * 2
    without_counts = make_digest(text, [], tokens)
    assert len(without_counts.text) <= tokens * CHARACTERS_PER_TOKEN + 10


def test_dense_text_gets_the_same_tokens_not_the_same_characters() -> None:
    text = CleanText("漢字の文章です。" * 1_000)
    found = make_digest(text, [Chunk(0, 500, 500)], 160)
    assert 100 <= len(found.text) <= 162


def test_words_are_not_cut_in_two() -> None:
    found = make_digest(CleanText("alphabet " * 1_000), [], 160)
    assert set(found.text.split()) == {"alphabet"}


def test_lone_surrogates_are_left_out() -> None:
    assert make_digest(CleanText("a\ud800b"), [], 160).text == "ab"


def test_the_key_covers_all_that_is_read() -> None:
    keys = {Digest("a").key, Digest("b").key, Digest("a", "text/csv").key, Digest("", "a").key}
    assert len(keys) == 4
    assert Digest("a").key == Digest("a").key
