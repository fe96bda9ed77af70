"""No damaged file hurts the engine, whatever its format: each gets one outcome, in time, in words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.fuzzing import MAX_GROWTH_BYTES, fuzz, fuzz_engine, looks_like_bytes, unclear_message
from tests.chaos.seeds import Corpus, made_seeds
from tui_scraper.engine import Settings

QUICK: dict[str, object] = {"timeout_s": 10.0, "cpu_s": 10}


def test_damaged_files_of_every_format_cost_nothing_but_themselves(tmp_path: Path) -> None:
    settings = Settings.model_validate({"clean": QUICK})
    report = asyncio.run(fuzz(300, seed=20261124, keep=tmp_path, settings=settings))
    assert report.violations == [], str(report)
    assert report.inputs == 300
    assert report.growth_bytes < MAX_GROWTH_BYTES, str(report)


def test_a_run_over_damaged_files_completes_with_a_row_for_each(tmp_path: Path) -> None:
    report = fuzz_engine(60, seed=3, keep=tmp_path, settings={"clean": QUICK})
    assert report.violations == [], str(report)
    assert report.inputs == 60


def test_the_same_seed_makes_the_same_files() -> None:
    seeds = made_seeds()  # some hold the time at which they were made
    first, second = Corpus(seeds, 7), Corpus(seeds, 7)
    assert [first.make(number) for number in range(80)] == [second.make(number) for number in range(80)]
    assert first.make(3) != Corpus(made_seeds(), 8).make(3)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "ValueError",
        "BadZipFile('')",
        'Traceback (most recent call last): File "x.py", line 3',
        "The file is\x1b[31m damaged.",
        "no capital letter.",
        "It ends in the",
        "It is long. " * 50,
    ],
)
def test_what_is_no_sentence_for_a_person_is_found(message: str) -> None:
    assert unclear_message(message)


def test_sentences_and_texts_are_let_through() -> None:
    assert not unclear_message("The PDF is encrypted: it needs a password.")
    assert not unclear_message("The reader of this format failed (ValueError: 'x').")
    assert looks_like_bytes("\ufffd\ue000a" * 30)
    assert not looks_like_bytes("Ordinary text in any script, 日本語 also. " * 10)


@pytest.mark.slow
def test_twenty_thousand_damaged_files_leave_the_engine_as_it_was(tmp_path: Path) -> None:
    report = asyncio.run(fuzz(20_000, seed=1, keep=tmp_path))
    print(report)
    assert report.violations == []
    assert report.growth_bytes < MAX_GROWTH_BYTES
