"""Tokens without tables are those with tables, for every character and any text, or none are given."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest
import quicktok
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui_scraper.engine import slow_tokens
from tui_scraper.engine.slow_tokens import SlowVocabulary

PIECES = [
    " ", "  ", "\n", "\n\n", "\t", "\r", "\r\n", "\v", "\u2028", "\x85", "\u00a0", "\u3000", "\x1c", "\x1f",
    "a", "B", "foo", " bar", "HTMLParser", "don't", "I'LL", "'s", "'", "’s", "é", "e\u0301", "Dž", "ʰ", "½",
    "1", "23", "4567", "/", "!", ".", ")", "_", "-", "=" * 40, "漢", "字。", "क़", "ก", "👨\u200d👩\u200d👧",
    "Ⅷ", "🇩🇪", "\x00", "\x7f", "\ufeff", "<|endoftext|>",
]  # fmt: skip
mixtures = st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map("".join)
TABLES = quicktok.get_encoding("o200k_base")


def with_tables(text: str) -> list[int]:
    tokens, _offsets = TABLES.encode_batch([text], 1)
    return [len(TABLES.decode_single_token_bytes(int(token))) for token in tokens]


@pytest.fixture(scope="module")
def without_tables() -> SlowVocabulary:
    return SlowVocabulary()


@pytest.fixture(autouse=True)
def unspent(without_tables: SlowVocabulary) -> None:
    without_tables._left = slow_tokens._ALLOWANCE


def compare(characters: Iterable[int]) -> int:
    """Compare some characters among others of every kind. Returns how many there were."""
    vocabulary, seen = SlowVocabulary(), 0
    for character in map(chr, characters):
        if unicodedata.category(character) in {"Cn", "Cs", "Co"} or character == "ſ":
            continue
        text = f" {character}a{character}B{character}{character} 1{character}\n{character}/'{character} "
        vocabulary._left = slow_tokens._ALLOWANCE
        assert vocabulary.lengths(text) == with_tables(text), f"U+{ord(character):04X}"
        seen += 1
    return seen


def test_characters_of_every_script_are_cut_as_with_tables() -> None:
    assert compare([*range(0x3400), *range(0x3400, 0x20000, 61), *range(0x1F000, 0x1FB00)]) > 15_000


@pytest.mark.slow
def test_every_character_is_cut_as_with_tables() -> None:
    assert compare(range(0x110000)) > 140_000


@settings(max_examples=300, deadline=None)
@given(text=mixtures)
@example("'S 'Ll  x")
def test_mixtures_are_cut_as_with_tables(without_tables: SlowVocabulary, text: str) -> None:
    assert without_tables.lengths(text) == with_tables(text)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_is_cut_as_with_tables_or_not_at_all(without_tables: SlowVocabulary, text: str) -> None:
    found = without_tables.lengths(text)
    assert found is None or found == with_tables(text)


def test_what_is_written_here_is_cut_as_with_tables(without_tables: SlowVocabulary) -> None:
    for path in [*Path(__file__).parents[2].glob("docs/*.md"), *Path(__file__).parent.glob("*.py")]:
        text = path.read_text(encoding="utf-8")[:100_000]
        found = without_tables.lengths(text)
        if not set(text) & {"ſ", "\ud800"}:
            assert found == with_tables(text), path.name


@pytest.mark.parametrize("text", ["a\U000e0fff", "a\ud800", "it'ſ", "ab" * 400, "é" * 300], ids=ascii)
def test_where_it_takes_tables_nothing_is_said(without_tables: SlowVocabulary, text: str) -> None:
    assert without_tables.lengths(text) is None
    assert not without_tables.is_spent


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("word " * 1_000, id="much text"),
        pytest.param("\n".join(f"{number:x}" * 12 for number in range(900)), id="much to merge"),
    ],
)
def test_it_says_no_more_when_it_has_done_as_much_as_tables_cost(text: str) -> None:
    vocabulary, turns = SlowVocabulary(), 0
    while (found := vocabulary.lengths(text)) is not None:
        assert sum(found) == len(text)
        turns += 1
    assert vocabulary.is_spent
    assert 1 <= turns <= slow_tokens._ALLOWANCE // len(text)
    assert vocabulary.lengths("one more") is None


def test_the_vocabulary_is_the_one_that_is_known_and_another_is_refused() -> None:
    sound = Path(slow_tokens._FILE).read_bytes()
    ranks = slow_tokens._parse(sound)
    for token in (b"!", b" the", " 東京".encode(), b" cocos"):
        assert TABLES.decode_single_token_bytes(ranks[token]) == token
    for other in (b"", sound[:-1], sound + b"\x00", sound.replace(b"cocos", b"coco!")):
        with pytest.raises(ValueError, match="another"):
            slow_tokens._parse(other)


def test_a_process_that_expects_little_counts_alike_and_builds_tables_when_it_was_more() -> None:
    code = """
from tui_scraper.engine import tokens
text = "It's the first of many words, naïve as they are: 12345.\\n" * 100
assert tokens.expect_little()
counted, vocabulary = tokens.count(text), tokens._load("o200k")
ruler = tokens.Ruler(text)
slices = [ruler.count(at, at + 300) for at in range(0, 5000, 300)]
assert not vocabulary.has_tables and not tokens.is_overtaxed()
tokens.count("a\\ud800")
assert vocabulary.has_tables and tokens.is_overtaxed()
assert tokens.count(text) == counted
ruler = tokens.Ruler(text)
assert [ruler.count(at, at + 300) for at in range(0, 5000, 300)] == slices
tokens.preload()
assert not tokens.is_overtaxed()
assert not tokens.is_overtaxed("cl100k") and not tokens.expect_little("cl100k")
print(counted)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert int(done.stdout) > 1_000
