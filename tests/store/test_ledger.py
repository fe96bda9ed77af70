"""Money: no cap is passed, whatever calls cost, fail or are lost; and all is accounted for."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.ledger import (
    Answers,
    CapReachedError,
    Caps,
    Intent,
    Paid,
    audit,
    lose,
    lose_all,
    mend_spending,
    read_spending,
    release,
    reserve,
    settle,
    sum_up,
)
from tui_scraper.engine.store.writer import Transaction, Writer


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    found = Writer(tmp_path)
    yield found
    found.close()


def intent(
    cost: int = 100, tokens: int = 50, keys: tuple[bytes, ...] = (b"k",), kind: str = "label"
) -> Intent:
    return Intent(0, kind, "endpoint", "model", tokens, 10, cost, keys)


def settled(writer: Writer, call: int, paid: Paid, saved: tuple[bytes, ...] = ()) -> None:
    def operation(transaction: Transaction) -> None:
        settle(transaction, call, paid, saved)

    writer.call(operation)


@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32), cap=st.integers(0, 3_000), tokens=st.one_of(st.none(), st.integers(0, 4_000))
)
def test_no_cap_is_passed_by_a_nano_dollar(directory: Path, seed: int, cap: int, tokens: int | None) -> None:
    """A thousand random runs: calls overlap, cost up to what was reserved, fail, are lost, or are killed."""
    rng = random.Random(seed)
    state = open_state(directory)
    transaction: Any = SimpleNamespace(state=state)  # all of a transaction that the ledger uses
    caps = Caps(cap, tokens)
    billed = billed_tokens = 0
    flying: dict[int, Intent] = {}
    try:
        state.execute("BEGIN")
        for _step in range(rng.randrange(1, 40)):
            action = rng.random()
            if action < 0.5 or not flying:
                wanted = intent(rng.randrange(0, 900), rng.randrange(0, 900), (rng.randbytes(4),))
                with contextlib.suppress(CapReachedError):
                    flying[reserve(wanted, caps)(transaction)] = wanted
            elif action < 0.8:
                call, wanted = flying.popitem()
                cost = rng.randrange(wanted.cost_nano_usd + 1)
                sent, received = rng.randrange(wanted.tokens_in + 1), rng.randrange(wanted.tokens_out + 1)
                settle(transaction, call, Paid(sent, 0, received, cost), wanted.keys)
                billed, billed_tokens = billed + cost, billed_tokens + sent + received
            elif action < 0.9:
                call, wanted = flying.popitem()
                release(call, "503")(transaction)
            elif action < 0.97:
                call, wanted = flying.popitem()
                lose(call, "timeout")(transaction)
                billed += wanted.cost_nano_usd  # the provider may well have billed it
                billed_tokens += wanted.tokens_in + wanted.tokens_out
            else:
                lose_all(transaction)
                for wanted in flying.values():
                    billed += wanted.cost_nano_usd
                    billed_tokens += wanted.tokens_in + wanted.tokens_out
                flying.clear()
            in_flight = sum(wanted.cost_nano_usd for wanted in flying.values())
            assert billed + in_flight <= cap
            if tokens is not None:
                flying_tokens = sum(wanted.tokens_in + wanted.tokens_out for wanted in flying.values())
                assert billed_tokens + flying_tokens <= tokens
            spent = read_spending(state)
            assert spent.most_nano_usd == billed + in_flight
        assert sum_up(state).cost_nano_usd == read_spending(state).cost_nano_usd
    finally:
        state.execute("ROLLBACK")
        state.close()


def test_a_refused_call_leaves_nothing(writer: Writer) -> None:
    with pytest.raises(CapReachedError, match="The budget is used up"):
        writer.call(reserve(intent(cost=101), Caps(100)))
    state = open_state(writer.directory, read_only=True)
    assert state.execute("SELECT count(*) FROM ledger").get == 0
    assert read_spending(state).most_nano_usd == 0
    state.close()


def test_an_answer_is_entered_once(writer: Writer) -> None:
    call = writer.call(reserve(intent(), Caps()))
    settled(writer, call, Paid(40, 5, 2, 30), (b"k",))
    settled(writer, call, Paid(40, 5, 2, 30), (b"k",))
    writer.call(release(call, "late"))
    state = open_state(writer.directory, read_only=True)
    spent = read_spending(state)
    assert (spent.calls, spent.tokens_in, spent.tokens_cached, spent.cost_nano_usd) == (1, 40, 5, 30)
    assert (spent.open_tokens, spent.open_nano_usd) == (0, 0)
    state.close()


def test_a_lost_call_that_is_answered_after_all_is_settled(writer: Writer) -> None:
    call = writer.call(reserve(intent(), Caps()))
    writer.call(lose(call, "timeout"))
    settled(writer, call, Paid(40, 0, 2, 30), (b"k",))
    state = open_state(writer.directory, read_only=True)
    assert read_spending(state).most_nano_usd == 30
    state.close()


def test_tokens_without_a_label_add_up_until_labels_come(writer: Writer) -> None:
    caps = Caps(unsaved_tokens=100)
    for _turn in range(2):
        settled(writer, writer.call(reserve(intent(), caps)), Paid(50, 0, 10, 1))
    with pytest.raises(CapReachedError, match="120 tokens were paid and nothing came of them"):
        writer.call(reserve(intent(), caps))
    more = Caps(unsaved_tokens=1_000)
    settled(writer, writer.call(reserve(intent(), more)), Paid(50, 0, 10, 1), (b"k",))
    writer.call(reserve(intent(), caps))


def test_the_audit_finds_what_was_paid_twice_and_says_whether_a_lost_call_explains_it(writer: Writer) -> None:
    lost = writer.call(reserve(intent(keys=(b"a", b"b")), Caps()))
    writer.call(lose_all)
    settled(writer, writer.call(reserve(intent(keys=(b"a",)), Caps())), Paid(1, 0, 1, 1), (b"a",))
    settled(writer, writer.call(reserve(intent(keys=(b"c", b"d")), Caps())), Paid(1, 0, 1, 1), (b"c",))
    state = open_state(writer.directory, read_only=True)
    found = audit(state)
    assert found.proven
    assert found.labels == Answers(asked=3, saved=2, unusable=1)
    assert [(call.call, call.keys, call.repeated) for call in found.unanswered] == [(lost, 2, 1)]
    settled(writer, writer.call(reserve(intent(keys=(b"c",)), Caps())), Paid(1, 0, 1, 1), (b"c",))
    found = audit(state)
    assert not found.proven
    assert (found.labels.repeated, found.labels.explained) == (1, 0)
    state.close()


def test_sums_are_mended_and_what_is_missing_stays_counted(writer: Writer) -> None:
    for _turn in range(3):
        settled(writer, writer.call(reserve(intent(), Caps())), Paid(40, 0, 2, 30), (b"k",))

    def damage(transaction: Transaction) -> None:
        transaction.state.execute("DELETE FROM ledger WHERE id = 2")
        mend_spending(transaction.state)

    writer.call(damage)
    state = open_state(writer.directory, read_only=True)
    assert read_spending(state).cost_nano_usd == 90
    assert sum_up(state).cost_nano_usd == 90
    with pytest.raises(CapReachedError):
        writer.call(reserve(intent(cost=11), Caps(100)))
    state.close()
