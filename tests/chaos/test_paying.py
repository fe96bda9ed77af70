"""Kill runs that pay for labels (`python -m tests.chaos.paying` does it at length)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.paying import kill_and_pay


def test_nothing_saved_is_paid_for_again_after_kills(tmp_path: Path) -> None:
    outcome = kill_and_pay(tmp_path, documents=240, kills=3, seed=5)
    assert outcome.kills == 3


def test_no_vector_is_paid_for_again_after_kills(tmp_path: Path) -> None:
    outcome = kill_and_pay(tmp_path, documents=700, kills=3, seed=5, latency_s=0.2, vectors=True)
    assert outcome.kills == 3


@pytest.mark.slow
def test_ten_thousand_vectors_and_twenty_kills(tmp_path: Path) -> None:
    outcome = kill_and_pay(tmp_path, documents=10_000, kills=20, seed=1, vectors=True)
    assert outcome.kills == 20


@pytest.mark.slow
def test_two_thousand_documents_and_twenty_kills(tmp_path: Path) -> None:
    outcome = kill_and_pay(tmp_path, documents=2_000, kills=20, seed=1)
    assert outcome.kills == 20
