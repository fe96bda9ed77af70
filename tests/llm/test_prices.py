"""Endpoints and what they cost: known, set, free on a machine of one's own, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.llm.caller import split_cost
from tui_scraper.engine.llm.endpoint import OPENAI, endpoint_of
from tui_scraper.engine.llm.prices import Price, Usage, price_of
from tui_scraper.engine.settings import ClassifySettings
from tui_scraper.engine.store.ledger import Paid


def price(model: str, url: str = "", *, decisions: bool = False, **settings: float) -> Price | None:
    chosen = ClassifySettings.model_validate({"base_url": url, **settings})
    return price_of(chosen, endpoint_of(chosen, {}), model, decisions=decisions)


def test_the_default_model_has_a_price() -> None:
    known = price("gpt-6-luna")
    assert known is not None
    assert (known.sent, known.received) == (100_000, 500_000)  # pico-dollars: $0.10 and $0.50 a million
    assert known.written >= known.sent >= known.cached > 0
    decided = price("gpt-6-luna", decisions=True)
    assert decided is not None
    assert decided.received == 0


def test_nobody_knows_the_price_of_a_model_that_does_not_exist() -> None:
    assert price("gpt-9-imaginary") is None
    assert price("gpt-6-luna", "https://models.example.com/v1") is None


def test_a_price_in_the_settings_goes_before_what_is_known() -> None:
    known = price("gpt-6-luna", price_in_usd=2, price_out_usd=8, price_cached_usd=0.5)
    assert known is not None
    assert (known.sent, known.cached, known.received) == (2_000_000, 500_000, 8_000_000)


def test_a_machine_of_ones_own_costs_nothing() -> None:
    for url in ("http://localhost:11434/v1", "http://127.0.0.1:8000/v1", "http://gpu-box:8000/v1"):
        known = price("llama3", url)
        assert known is not None
        assert known.most(10**6, 10**6) == 0


@given(
    st.integers(0, 10**7),
    st.integers(0, 10**7),
    st.integers(0, 10**7),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_no_call_costs_more_than_the_most(a: int, b: int, c: int, sent: int, received: int) -> None:
    some = Price(a, b, c, a + b, "")
    for cached, written in ((0, 0), (sent, 0), (0, sent), (sent // 2, sent // 3), (sent * 2, sent * 2)):
        assert some.cost(Usage(sent, received, cached, written)) <= some.most(sent, received)


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.lists(st.integers(0, 10**5), min_size=1, max_size=16))
def test_the_parts_of_a_pack_add_up_to_the_nano_dollar(cost: int, tokens: int, weights: list[int]) -> None:
    parts = split_cost(Paid(tokens, tokens // 2, tokens // 3, cost), weights)
    assert sum(part.cost_nano_usd for part in parts) == cost
    assert sum(part.tokens_in for part in parts) == tokens
    assert min(part.cost_nano_usd for part in parts) >= 0


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "https://user:secret@api.example.com/v1",
        "https://api.example.com/v1?key=secret",
        "ftp://api.example.com",
        "api.example.com",
        "https://",
        "https://host:port/v1",
    ],
)
def test_an_address_that_will_not_do_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"classify\.base_url") as caught:
        endpoint_of(ClassifySettings(base_url=url), {})
    assert "secret" not in str(caught.value)


def test_the_address_of_the_environment_is_used_where_the_settings_have_none() -> None:
    environ = {"OPENAI_BASE_URL": "http://localhost:1/v1"}
    assert endpoint_of(ClassifySettings(), environ).family == "local"
    assert endpoint_of(ClassifySettings(base_url=OPENAI), environ).is_openai
    assert endpoint_of(ClassifySettings(), {}).is_openai


def test_a_local_server_may_move_to_another_port_without_its_labels_being_asked_for_anew() -> None:
    ports = {endpoint_of(ClassifySettings(base_url=f"http://localhost:{n}/v1"), {}).family for n in (1, 2)}
    assert ports == {"local"}
