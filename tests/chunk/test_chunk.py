"""What chunks promise: exact slices and counts, the limit, full coverage, structure, linear work."""

from __future__ import annotations

import os
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui_scraper.engine import tokens
from tui_scraper.engine.phases.chunk import Outline, chunk, relevant
from tui_scraper.engine.settings import ChunkSettings, Settings
from tui_scraper.engine.tokens import Ruler, count
from tui_scraper.engine.wire import Chunk, CleanText

FAMILY = "👨‍👩‍👧‍👦"
PIECES = [
    " ", "  ", "\n", "\n\n", "\n \n", "\t", "\r\n", "\u2028", "\u00a0", "\u3000", "\x1f", "\ufeff",
    "a", "B", " foo", " bar", " The", " end.", " Why? ", "HTMLParser", "don't", "é", "e\u0301", "1", "4567",
    "/", "!", ". ", ")", "_", "=" * 40, "x" * 50, " " * 200, "漢字", "字。", "क़", "ก", FAMILY, "🇩🇪", "\ud800",
    "\n# Heading\n", "\n\n## Second level\n\n", "\n```\n", "\n~~~ python\n", "\n- item", "\n| a | b |",
]  # fmt: skip
mixtures = st.lists(st.sampled_from(PIECES), max_size=150).map("".join)
limits = st.sampled_from([16, 17, 24, 64, 512])
PROSE = (
    "Retrieval works best when a passage says one thing. A reader of the passage sees no page around it, "
    "so it has to stand alone. Sentences that are torn apart help nobody.\n\n"
)


def cut(text: str, max_tokens: int = 512, overlap: int = 0, tokenizer: str = "o200k") -> list[Chunk]:
    """The chunks of a text, after checking everything that holds for all of them."""
    options = ChunkSettings.model_validate(
        {"max_tokens": max_tokens, "overlap": overlap, "tokenizer": tokenizer}
    )
    chunks = chunk(CleanText(text), options)
    covered, last_start = 0, -1
    for part in chunks:
        piece = text[part.start : part.end]
        assert piece and piece == piece.strip()
        assert part.tokens == count(piece, tokenizer) <= max_tokens
        assert part.start > last_start
        assert part.end > covered
        if part.start < covered:
            assert count(text[part.start : covered], tokenizer) <= overlap
        else:
            assert not text[covered : part.start].strip()
        covered, last_start = part.end, part.start
    assert not text[covered:].strip()
    return chunks


def texts(text: str, chunks: list[Chunk]) -> list[str]:
    return [text[part.start : part.end] for part in chunks]


# Exactness


@settings(max_examples=300, deadline=None)
@given(mixtures, limits, st.sampled_from([0.0, 0.02, 0.25, 0.5]), st.sampled_from(["o200k", "cl100k"]))
@example("", 16, 0.0, "o200k")
@example(" \n\x1f ", 16, 0.5, "o200k")
def test_every_promise_holds_for_any_mixture(
    text: str, max_tokens: int, overlap: float, tokenizer: str
) -> None:
    cut(text, max_tokens, int(max_tokens * overlap), tokenizer)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), limits)
def test_every_promise_holds_for_any_text(text: str, max_tokens: int) -> None:
    cut(text, max_tokens, max_tokens // 2)


@settings(max_examples=50, deadline=None)
@given(mixtures)
def test_the_same_text_gives_the_same_chunks(text: str) -> None:
    assert cut(text, 24, 8) == cut(text, 24, 8)


@pytest.mark.parametrize(
    "text",
    [
        "a" + " " * 1_000_000 + "b",
        "a" * 1_000_000,
        "漢字" * 20_000,
        FAMILY * 2_000,
        "e" + "\u0301" * 20_000,
        "🇩🇪" * 10_000,
        "\ud800" * 5_000,
        "# a\n\n" * 10_000,
        "# a\n# b\n" * 10_000,
        "```\n" * 10_000,
        "\n" * 100_000 + "x",
        "- item\n" * 10_000,
        "=" * 20_000,
        "\u200d" * 10_000,
        "{" + '"key":[1,2,3],' * 10_000 + "}",
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_the_limit_holds_without_places_to_cut(text: str) -> None:
    cut(text, 512, 64)
    cut(text[:40_000], 16, 8)


def test_no_text_no_chunks() -> None:
    assert cut("") == cut(" \n\t \u3000") == []


@pytest.mark.parametrize("overlap", [0, 8])
def test_graphemes_stay_whole(overlap: int) -> None:
    for grapheme in (FAMILY, "e\u0301\u0323", "🇩🇪", "👍🏽", "각", "क्षि"):
        text = unicodedata.normalize("NFC", grapheme * 300)
        whole = unicodedata.normalize("NFC", grapheme)
        for piece in texts(text, cut(text, 24, overlap)):
            assert piece.replace(whole, "") == "", grapheme


# Structure


def test_a_text_that_fits_is_one_chunk() -> None:
    text = f"\n{PROSE}  "
    assert texts(text, cut(text)) == [text.strip()]


def test_paragraphs_are_kept_whole() -> None:
    text = PROSE * 12
    for piece in texts(text, cut(text, 128)):
        assert piece.count("Retrieval") >= 2
        assert piece.startswith("Retrieval")
        assert piece.endswith("nobody.")


def test_long_paragraphs_are_cut_after_sentences() -> None:
    text = " ".join(f"Sentence {n} of Dr. Smith, e.g. this one, ends here." for n in range(200))
    for piece in texts(text, cut(text, 64)):
        assert piece.startswith("Sentence")
        assert piece.endswith("ends here.")


def test_sentences_without_spaces_are_cut_after_their_mark() -> None:
    text = "これは日本語の文章です。" * 200
    for piece in texts(text, cut(text, 64)):
        assert piece.endswith("。")


def test_rows_and_items_are_kept_whole() -> None:
    rows = "\n".join(f"| row {n} | Some text. Then more | 3.14 |" for n in range(200))
    items = "\n".join(f"- item {n}. And what it says: something" for n in range(200))
    for text in (rows, items):
        for piece in texts(text, cut(text, 64)):
            assert set(piece.split("\n")) <= set(text.split("\n"))


def test_without_sentences_words_are_kept_whole() -> None:
    text = "word another longer-word " * 500
    for piece in texts(text, cut(text, 64)):
        assert set(piece.split()) <= {"word", "another", "longer-word"}


def test_a_fenced_block_that_fits_is_kept_whole() -> None:
    code = "```python\n" + "def f(x):\n    # not a heading\n\n    return x\n\n\n" * 6 + "```"
    text = PROSE * 3 + code + "\n\n" + PROSE * 3
    assert any(code in piece for piece in texts(text, cut(text, 160, 16)))


def test_a_fenced_block_that_does_not_fit_is_cut_at_lines() -> None:
    lines = [f"call(number_{n}, 'A sentence. Inside a string')" for n in range(200)]
    text = "```\n" + "\n".join(lines) + "\n```"
    for piece in texts(text, cut(text, 64)):
        assert set(piece.split("\n")) <= {*lines, "```"}


def test_a_heading_stays_with_its_text() -> None:
    text = "".join(f"# Chapter {n}\n\n## Part {n}\n\n" + PROSE * (n % 5 + 1) for n in range(40))
    for piece in texts(text, cut(text, 100, 20)):
        assert not piece.rsplit("\n", 1)[-1].startswith("#")


def test_a_title_without_markup_stays_with_its_text() -> None:
    text = "".join(f"{n}. Basic Permissions\n\n" + PROSE for n in range(30))
    for piece in texts(text, cut(text, 128)):
        assert not piece.endswith("Permissions")


def test_sizeable_main_sections_share_no_chunk() -> None:
    text = "# Book\n\n" + "".join(f"## Section{n}\n\n" + PROSE * (4 + n % 9) for n in range(30))
    for max_tokens in (128, 200, 512):
        for piece in texts(text, cut(text, max_tokens, 32)):
            assert piece.count("## Section") <= 1
            assert "\n## Section" not in piece or piece.startswith("# Book")


def test_small_sections_share_chunks() -> None:
    text = "".join(f"## Term {n}\n\nIt means {n}.\n\n" for n in range(600))
    chunks = cut(text)
    assert len(chunks) <= 1.25 * count(text) / 512
    assert all(piece.startswith("## Term") for piece in texts(text, chunks))


def test_subsections_that_fit_stay_with_their_section() -> None:
    section = "## Section\n\n" + PROSE + "### First\n\n" + PROSE + "### Second\n\n" + PROSE
    text = "# Book\n\n" + section * 4
    pieces = texts(text, cut(text, 300))
    assert pieces[1:] == [section.strip()] * 3


def test_no_section_ends_in_a_tiny_piece() -> None:
    for paragraphs in range(8, 20):
        text = "word " * 1 + PROSE * paragraphs
        assert min(part.tokens for part in cut(text, 256)) >= 32


# Headings


def test_the_heading_is_the_path_of_titles() -> None:
    text = (
        "# The *Guide* ##\n\n" + PROSE * 4 + "## [Install](https://example.org/x) `it`\n\n" + PROSE * 9
        + "### snake_case __stays__\n\n" + PROSE * 9 + "# Other\n\n" + PROSE * 4
    )  # fmt: skip
    headings = list(dict.fromkeys(part.heading for part in cut(text, 128)))
    assert headings == [
        "The Guide",
        "The Guide > Install it",
        "The Guide > Install it > snake_case stays",
        "Other",
    ]


def test_what_only_looks_like_a_heading_is_none() -> None:
    text = "#hashtag\n\n# comment one\n# comment two\n\n    # indented\n\n```\n# code\n```\n\n# " + "x" * 300
    assert cut(text)[0].heading == ""
    assert not Outline(text, len(text)).starts


def test_an_unclosed_fence_hides_nothing() -> None:
    text = "```\ncode\n\n# Heading\n\ntext"
    assert len(Outline(text, len(text)).starts) == 1


def test_headings_are_bounded() -> None:
    text = "".join("#" * level + " " + f"long title {level} " * 11 + "\n\n" for level in range(1, 7))
    assert max(len(part.heading) for part in cut(text + PROSE * 20, 64)) <= 6 * 80 + 5 * 3


# Overlap


def test_overlap_repeats_whole_sentences() -> None:
    text = "".join(f"Sentence number {n} says something short. " for n in range(400))
    chunks = cut(text, 128, 32)
    for before, part in pairwise(chunks):
        assert part.start < before.end
        assert text[part.start :].startswith("Sentence")


def test_overlap_does_not_cross_headings() -> None:
    text = "".join(f"# Part {n}\n\n" + PROSE * 6 for n in range(6))
    chunks = cut(text, 128, 60)
    assert any(part.start < before.end for before, part in pairwise(chunks))
    for before, part in pairwise(chunks):
        if text[before.end :].lstrip().startswith("# Part"):
            assert part.start >= before.end


def test_without_overlap_chunks_are_disjoint() -> None:
    chunks = cut(PROSE * 40, 64, 0)
    assert all(part.start >= before.end for before, part in pairwise(chunks))


# Work


@pytest.mark.parametrize(
    "unit",
    [PROSE, "a", "漢", "\n", "x ", "# a\n\n", "## b\n\nc\n\n# d\n\n", "```\n", "e\u0301", ". ", FAMILY, "🇩",
     " \u0301", "\n  ", "- b\n", ".))"],
    ids=ascii,
)  # fmt: skip
def test_work_grows_with_the_length_of_the_text(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rulers: list[Ruler] = []

    class Watched(Ruler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            rulers.append(self)

    monkeypatch.setattr(tokens, "Ruler", Watched)
    work = []
    for size in (30_000, 120_000):
        rulers.clear()
        text = (unit * (size // len(unit)))[: size - 1] + "z"
        chunk(CleanText(text), ChunkSettings(max_tokens=64, overlap=16))
        work.append(sum(ruler.characters_tokenized for ruler in rulers) / size)
    assert work[1] <= work[0] * 1.1 + 0.1
    assert work[1] <= 4


@pytest.mark.parametrize("vocabulary", ["o200k", "cl100k"])
def test_texts_that_were_tokenized_together_are_cut_as_each_alone(vocabulary: str) -> None:
    tokens.preload(vocabulary)
    settings = ChunkSettings(max_tokens=64, overlap=16, tokenizer=vocabulary)
    texts = [
        "",
        " \n ",
        "short",
        "  between white space \n",
        "A sentence of some words. " * 60,
        "# Head\n\nText\n\n" * 30,
        "文章はここで終わります。" * 40,
        "e\u0301 👩‍👩‍👧 " * 80,
        "lone \ud800 surrogates \udfff here " * 20,
        "x" * 300_000,
    ]
    lengths = tokens.lengths_of(texts, vocabulary)
    assert lengths[-1] is None, "too long to be held"
    for text, its in zip(texts, lengths, strict=True):
        assert chunk(CleanText(text), settings, its) == chunk(CleanText(text), settings)
        if its is not None:
            assert len(its) == count(text, vocabulary)
            assert its.sum() == len(text.encode("utf-8", "surrogatepass"))


def test_memory_holds_a_window_and_not_the_text() -> None:
    text = "Some words and a number 12.\n" * 60_000
    ruler, at, most = Ruler(text), 0, 0
    while at < len(text):
        at = ruler.reach(at, 500)
        ruler.forget(at)
        most = max(most, len(ruler._ends))
    assert most < 150_000 < count(text)


# Settings


def test_relevant_settings_are_those_that_change_the_result() -> None:
    assert relevant(Settings()) == {"max_tokens": 512, "overlap": 64, "tokenizer": "o200k"}


# Real documents


def _corpora() -> Path:
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "corpora"
    return Path(os.environ.get("TUI_SCRAPER_CORPORA") or beside)


def test_real_documents_keep_every_promise() -> None:
    corpora = _corpora()
    if not corpora.is_dir():
        pytest.skip("no corpora: set TUI_SCRAPER_CORPORA to their folder")
    names = [*sorted((corpora / "hard/files/txt").iterdir()), *sorted((corpora / "hard/files/md").iterdir())]
    names += sorted((corpora / "labelled/debian_sections/science").iterdir())[:40]
    for name in names:
        text = name.read_bytes()[:200_000].decode("utf-8", "surrogateescape")
        cut(text, 512, 64)
        cut(text[:20_000], 48, 12)
