"""Whatever happens to a workspace, it shows what a trivial model says, and any point can be gone back to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.folder import CLEAN
from tests.chaos.model import History, check
from tui_scraper.engine.models import PhaseName


@pytest.fixture
def history() -> Iterator[History]:
    history = History()
    history.start()
    yield history
    history.teardown()


def test_random_histories_agree_with_the_model() -> None:
    check(examples=20, steps=20)


@pytest.mark.slow
def test_many_long_random_histories_agree_with_the_model() -> None:
    check(examples=2_000, steps=40)


def test_a_container_that_failed_is_read_again_in_the_first_run_after_an_undo(history: History) -> None:
    history.run_to_the_end()
    history.roll_back_to_a_phase(phase=CLEAN, fresh=False)
    history.run_to_the_end([("write", b"a.txt", "okapi")])
    history.undo()
    history.run_to_the_end()


SIZE_LIMIT, CHUNK_SIZE = 0, 3
"""Options: one makes the limit smaller than a long text, the other cuts it into more chunks."""


def test_a_document_above_the_size_limit_is_refused_again_when_it_is_tried_again(history: History) -> None:
    history.run_to_the_end([("write", b"e.md", "long")])
    history.run_to_the_end(option=SIZE_LIMIT)
    history.retry(phase=None, number=0)
    history.run_to_the_end()


def test_a_container_that_was_not_read_yet_is_not_refused_for_its_size(history: History) -> None:
    history.be_in_trouble(number=2, phase=PhaseName.INPUT)  # c.zip
    history.run_to_the_end()
    history.run_to_the_end(option=SIZE_LIMIT)


def test_what_was_lost_is_made_again_after_an_undo(history: History) -> None:
    history.run_to_the_end()
    history.roll_back_to_a_phase(phase=PhaseName.INPUT, fresh=False)
    history.lose_what_is_stored(number=0)
    history.undo()
    history.run_to_the_end()


def test_what_is_lost_under_other_settings_is_made_again_when_they_come_back(history: History) -> None:
    history.run_to_the_end()
    history.run_to_the_end(option=CHUNK_SIZE)
    history.lose_what_is_stored(number=1)  # the chunks of a.txt under the settings before
    history.run_to_the_end(option=CHUNK_SIZE)


def test_what_is_lost_is_pending_under_all_settings_that_share_it(history: History) -> None:
    history.run_to_the_end()
    history.run_to_the_end(option=CHUNK_SIZE)
    history.lose_what_is_stored(number=0)  # the clean text of a.txt
    history.run_in_part(option=CHUNK_SIZE, most=0, early=0)


def test_nothing_is_inside_a_container_that_was_refused_where_an_undo_comes_back_to(
    history: History,
) -> None:
    history.be_in_trouble(number=3, phase=PhaseName.INPUT)  # d.zip
    history.run_to_the_end()
    history.be_in_trouble(number=0, phase=None)
    history.roll_back_to_a_phase(phase=PhaseName.OUTPUT, fresh=False)
    history.retry(phase=None, number=0)
    history.run_to_the_end()
    history.undo()
    history.run_to_the_end()
