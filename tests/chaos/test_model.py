"""Whatever happens to a workspace, it shows what a trivial model says, and any point can be gone back to."""

from __future__ import annotations

import pytest

from tests.chaos.model import check


def test_random_histories_agree_with_the_model() -> None:
    check(examples=20, steps=20)


@pytest.mark.slow
def test_many_long_random_histories_agree_with_the_model() -> None:
    check(examples=2_000, steps=40)
