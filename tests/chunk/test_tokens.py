"""Token counts are exact, whatever the text, and a ruler's answers equal counts of the slice alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_scraper.engine import tokens
from tui_scraper.engine.tokens import Ruler, count

VOCABULARIES = ["o200k", "cl100k"]

# What the vocabularies' splitting rules treat differently, mixed so that it meets in every order.
PIECES = [
    " ", "  ", "\n", "\n\n", "\t", "\r", "\r\n", "\u2028", "\x85", "\u00a0", "\u3000", "\x1f", "\ufeff",
    "a", "B", "foo", " bar", "HTMLParser", "don't", "'s", "'", "é", "e\u0301", "ſ", "İ", "1", "23", "4567",
    "/", "!", ".", ")", "_", "-", "=" * 40, "漢", "字。", "क़", "ก", "👨‍👩‍👧", "🇩🇪", "\ud800", "<|endoftext|>",
]  # fmt: skip
mixtures = st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map("".join)


def test_known_counts() -> None:
    # Published by the vendor for these vocabularies: https://github.com/openai/tiktoken tests and cookbook.
    assert count("hello world", "o200k") == 2
    assert count("hello world", "cl100k") == 2
    assert count("tiktoken is great!", "cl100k") == 6
    assert count("お誕生日おめでとう", "cl100k") == 9
    assert count("お誕生日おめでとう", "o200k") == 8
    assert count("") == 0


def test_special_tokens_are_plain_text() -> None:
    assert count("<|endoftext|>") > 1


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_lone_surrogates_count_as_the_replacement_character(vocabulary: str) -> None:
    assert count("a\ud800b \udc80\udfff", vocabulary) == count("a\ufffdb \ufffd\ufffd", vocabulary)
    assert Ruler("a\ud800b", vocabulary).count(0, 3) == count("a\ufffdb", vocabulary)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@settings(max_examples=150, deadline=None)
@given(text=mixtures, data=st.data())
def test_a_slice_has_as_many_tokens_as_on_its_own(vocabulary: str, text: str, data: st.DataObject) -> None:
    ruler, at = Ruler(text, vocabulary), 0
    while at < len(text):
        assert at <= ruler.reach(at, data.draw(st.integers(1, 40))) <= len(text)
        end = data.draw(st.integers(at + 1, len(text)))
        assert ruler.count(at, end) == count(text[at:end], vocabulary)
        at += data.draw(st.integers(1, 12))
        ruler.forget(at)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@settings(max_examples=60, deadline=None)
@given(text=mixtures, data=st.data())
def test_counts_are_exact_where_windows_meet(vocabulary: str, text: str, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_WINDOW_CHARS", 24)
        patch.setattr(tokens, "_SEAM_SEARCH_CHARS", 12)
        ruler, at = Ruler(text, vocabulary), 0
        while at < len(text):
            ruler.reach(at, data.draw(st.integers(1, 30)))
            end = data.draw(st.integers(at + 1, len(text)))
            assert ruler.count(at, end) == count(text[at:end], vocabulary)
            at += data.draw(st.integers(1, 12))
            ruler.forget(at)


def test_a_ruler_tokenizes_only_the_ends_of_a_slice_again() -> None:
    text = "The quick brown fox jumps over the lazy dog.\n" * 400
    ruler = Ruler(text)
    ruler.reach(0, 5000)
    before = ruler.characters_tokenized
    assert ruler.count(3, 17_000) == count(text[3:17_000])
    assert ruler.characters_tokenized - before < 40


def test_reach_and_distance_agree() -> None:
    text = "One two three four five six seven eight nine ten. " * 50
    ruler = Ruler(text)
    end = ruler.reach(0, 100)
    assert ruler.distance(0, end, 1000) == 100 == count(text[:end])
    assert ruler.distance(0, len(text), 50) == 50
    assert ruler.reach(0, 10**6) == len(text)


def test_a_preloaded_vocabulary_counts_alike_in_a_forked_child() -> None:
    # In a process of its own: the test runner has threads, and forking those is what workers never do.
    script = """
import os
from tui_scraper.engine.tokens import count, preload
preload("o200k", "cl100k")
text = "Some text, 漢字 and more.\\n" * 50
counts = str([count(text, name) for name in ("o200k", "cl100k")]).encode()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, str([count(text, name) for name in ("o200k", "cl100k")]).encode())
    os._exit(0)
os.wait()
assert os.read(reading, 100) == counts, counts
print("alike")
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.stdout == "alike\n", result.stderr


def test_an_unknown_vocabulary_is_an_error() -> None:
    with pytest.raises(KeyError):
        count("a", "p50k")
