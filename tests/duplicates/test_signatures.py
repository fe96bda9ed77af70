"""Signatures estimate how much texts have in common, and groups made from them are those of comparing all."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.duplicates.naive import jaccard, runs, stars, words
from tui_scraper.engine.duplicates import signature as module
from tui_scraper.engine.duplicates.grouping import group
from tui_scraper.engine.duplicates.signature import PERMUTATIONS, signature, signatures, wordless

WORDS = [f"word{number}" for number in range(400)]


def equal(one: Any, other: Any) -> float:
    return float((one == other).mean())


def mutated(chance: random.Random, text: list[str], changes: int) -> list[str]:
    mine = list(text)
    for _change in range(changes):
        mine[chance.randrange(len(mine))] = chance.choice(WORDS)
    return mine


def test_they_estimate_the_share_of_common_runs() -> None:
    chance = random.Random(1)
    off = []
    for _pair in range(200):
        text = chance.choices(WORDS, k=300)
        other = mutated(chance, text, chance.randrange(40))
        pair = [" ".join(text), " ".join(other)]
        first, second = signatures(pair)
        off.append(equal(first, second) - jaccard(runs(pair[0]), runs(pair[1])))
    assert abs(np.mean(off)) < 0.01, "it is biased"
    assert np.std(off) < 0.045, "it is less sure than 128 permutations are"


LETTERS = st.text(
    "abcXYZ \n.,-_'09\u00e9\u00df\u0130\u6587\u66f8\u3042\u30ab\u0e01\uac00\ud800\U0001f600\u0301",
    max_size=60,
)


@settings(deadline=None, max_examples=200)
@given(texts=st.lists(LETTERS, min_size=1, max_size=6))
def test_words_are_those_of_a_regular_expression(texts: list[str]) -> None:
    hashes, counts = module._words([text.casefold() for text in texts])
    expected = [words(text) for text in texts]
    assert counts.tolist() == [len(found) for found in expected]
    flat = [word for found in expected for word in found]
    by_hash = dict(zip(hashes.tolist(), flat, strict=True))
    assert [by_hash[one] for one in hashes.tolist()] == flat, "one hash for two words"
    assert len(by_hash) == len(set(flat)), "two hashes for one word"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_a_signature_does_not_depend_on_the_texts_beside_it(seed: int, count: int) -> None:
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(WORDS, k=chance.randrange(60))) for _text in range(count)]
    together = signatures(texts)
    for text, found in zip(texts, together, strict=True):
        assert np.array_equal(signatures([text])[0], found)
        assert signature(text) in (b"", found.tobytes())


def test_case_space_and_punctuation_make_no_difference() -> None:
    text = "The quick brown fox jumps over the lazy dog " * 5
    assert signature(text) == signature(text.upper().replace(" ", ",\n\n")) != b""
    assert len(signature(text)) == 2 * PERMUTATIONS


def test_short_texts_are_alike_only_if_they_say_the_same() -> None:
    assert signature("invoice number 1") == b""
    one, same, other = signatures(["Invoice  number 1", "invoice number 1\n", "invoice number 2"])
    assert np.array_equal(one, same)
    assert equal(one, other) < 0.1


def test_texts_without_words_say_nothing_that_could_be_alike() -> None:
    found = signatures(["", " \n--- *** \n", "one", "One", "word " * 30])
    assert wordless(found).tolist() == [True, True, False, False, False]
    assert wordless(signatures([])).tolist() == []
    leaders, _similarity = group(found, alone=wordless(found))
    assert leaders.tolist() == [0, 1, 2, 2, 4]


def test_signatures_are_those_of_their_version() -> None:
    """Those that are kept are compared with new ones: other numbers need another `SIGNATURE_VERSION`."""
    found = signatures(["The quick brown fox jumps over the lazy dog. " * 5 + "\u6587\u66f8", "short", ""])
    assert (module.SIGNATURE_VERSION, blake3(found.astype("<u2").tobytes()).hexdigest(length=8)) == (
        3,
        "eb57abc4f2251d0b",
    )


def test_a_long_text_is_signed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(2)
    text = " ".join(chance.choices(WORDS, k=20_000))
    whole = signatures([text])[0]
    monkeypatch.setattr(module, "_PIECE_CHARS", 5_000)
    assert equal(signatures([text])[0], whole) > 0.95
    assert signature("x" * 20_000) == b"", "one word, however long"


def test_text_without_spaces_is_taken_character_by_character() -> None:
    chance = random.Random(3)
    text = "".join(chance.choices([chr(code) for code in range(0x4E00, 0x5200)], k=400))
    first, second, other = signatures([text, text[:200] + "\u6587" + text[201:], text[::-1]])
    assert 0.9 < equal(first, second) < 1
    assert equal(first, other) < 0.1


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Signatures of which many are changed copies, and copies of copies, of others."""
    chance = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    count = draw(st.integers(0, 60))
    found = chance.integers(0, 1 << 16, (count, PERMUTATIONS), np.uint16)
    for at in range(1, count):
        if chance.random() < 0.8:
            changes = chance.integers(0, 40)
            found[at] = found[chance.integers(0, at)]
            found[at, chance.integers(0, PERMUTATIONS, changes)] = chance.integers(0, 1 << 16, changes)
    return found


@settings(deadline=None, max_examples=150)
@given(matrix=matrices(), alike=st.sampled_from([0.76, 0.8, 0.85, 0.95, 1.0]))
def test_groups_are_those_of_comparing_every_text_with_every_other(
    matrix: np.ndarray[Any, Any], alike: float
) -> None:
    leaders, similarity = group(matrix, alike)
    every = [[equal(one, other) for other in matrix] for one in matrix]
    assert leaders.tolist() == stars(every, alike)
    for at, leader in enumerate(leaders.tolist()):
        assert leaders[leader] == leader, "who stands for others stands for itself"
        assert similarity[at] == pytest.approx(every[at][leader])
        assert similarity[at] >= alike, "a chain has led away from the one that stands for it"


def test_a_chain_is_cut_where_it_leads_away() -> None:
    matrix = np.tile(np.arange(PERMUTATIONS, dtype=np.uint16), (40, 1))
    for at in range(1, 40):
        matrix[at] = matrix[at - 1]
        matrix[at, 3 * at : 3 * at + 3] += 1_000
    leaders, similarity = group(matrix, 0.85)
    assert len(set(leaders.tolist())) > 3
    assert similarity.min() >= 0.85


def test_form_letters_by_the_thousand_are_told_apart_and_their_copies_found() -> None:
    chance = np.random.default_rng(4)
    letters = chance.integers(0, 1 << 16, (3_000, PERMUTATIONS), np.uint16)
    form = chance.random(letters.shape) < 0.75
    letters[form] = np.broadcast_to(letters[0], letters.shape)[form]
    letters[2_000:] = letters[:1_000]
    for row in letters[2_000:]:
        row[chance.integers(0, PERMUTATIONS, 8)] = chance.integers(0, 1 << 16, 8)
    leaders, _similarity = group(letters)
    assert (leaders[:2_000] == np.arange(2_000)).all()
    assert (leaders[2_000:] == np.arange(1_000)).mean() > 0.99


def test_of_those_that_share_its_bands_a_text_is_compared_with_the_latest() -> None:
    """What bounds the work: its like is found behind 31 others in each band, not behind 32."""
    chance = np.random.default_rng(6)
    like = chance.integers(0, 1 << 16, PERMUTATIONS, np.uint16)
    for others, leader in ((31, 0), (32, 32 * 32 + 1)):
        between = chance.integers(0, 1 << 16, (32, others, PERMUTATIONS), np.uint16)
        for band in range(32):
            between[band, :, 4 * band : 4 * band + 4] = like[4 * band : 4 * band + 4]
        leaders, _similarity = group(
            np.concatenate((like[None], between.reshape(-1, PERMUTATIONS), like[None]))
        )
        assert leaders[-1] == leader


def test_comparing_many_gives_signs_of_life_and_can_be_stopped() -> None:
    chance = np.random.default_rng(5)
    matrix = chance.integers(0, 1 << 16, (10_000, PERMUTATIONS), np.uint16)
    matrix[5_000:] = matrix[:5_000]
    told: list[tuple[int, int]] = []
    leaders, _similarity = group(matrix, progress=lambda done, of: told.append((done, of)))
    assert (leaders[5_000:] == np.arange(5_000)).all()
    assert told == sorted(told) and len({done for done, _of in told}) > 3
    assert told[-1] == (10_000, 10_000)

    def stop(done: int, _of: int) -> None:
        if done:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        group(matrix, progress=stop)


def test_a_worker_does_not_grow_by_it() -> None:
    """One that took much memory would be replaced after each batch, and begin with the tables again."""
    code = (
        "import resource\n"
        "from tui_scraper.engine.duplicates.signature import signature\n"
        "import rensa\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert signature('The quick brown fox jumps over it. ' * 50)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown_kb = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
    assert grown_kb < 30_000
