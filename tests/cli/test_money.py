"""The commands about money, and what `run` and `doctor` say of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.engine.test_model_labels import write_documents
from tests.llm.model_server import KEY, ModelServer, serving

PRICES = {"TUI_SCRAPER_CLASSIFY__PRICE_IN_USD": "0.1", "TUI_SCRAPER_CLASSIFY__PRICE_OUT_USD": "0.5"}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(rpm=6_000) as found:
        yield found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_documents(tmp_path / "source", 30)


def key_for(server: ModelServer) -> dict[str, str]:
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, **PRICES}


def test_an_estimate_needs_no_key_and_no_network_and_spends_nothing(source: Path, tmp_path: Path) -> None:
    ended = run("estimate", source, "-w", tmp_path / "w", "--json")
    assert ended.code == 0, ended.err
    [found] = ended.objects
    assert found["documents"] == {"low": 30, "expected": 30, "high": 30}
    assert 0 < found["cost_usd"]["low"] <= found["cost_usd"]["expected"] <= found["cost_usd"]["high"]
    assert found["model"] == "gpt-6-luna"
    assert found["calls_s"] is None
    assert not (tmp_path / "w" / "state.db").exists()


def test_an_estimate_is_compared_with_what_was_spent(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    assert run("estimate", source, "-w", tmp_path / "w", **key_for(server)).code == 0
    ended = run("run", source, "-w", tmp_path / "w", **key_for(server))
    assert ended.code == 0
    assert "Estimated $0.00" in ended.out
    assert "spent $0.00" in ended.out
    again = run("estimate", source, "-w", tmp_path / "w", "--json", **key_for(server)).objects[0]
    assert again["labelled"] == 30
    assert again["requests"]["expected"] == 0


def test_a_later_estimate_knows_the_limits_of_the_endpoint(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    assert run("run", source, "-w", tmp_path / "w", "--sample", "5", **key_for(server)).code == 0
    ended = run("estimate", source, "-w", tmp_path / "w", **key_for(server))
    assert "bound by requests per minute" in ended.out
    assert "25 to label beside 5 that have their label" in ended.out


def test_a_pilot_is_real_and_is_kept(source: Path, server: ModelServer, tmp_path: Path) -> None:
    ended = run("estimate", source, "--pilot", "10", "-w", tmp_path / "w", "--json", **key_for(server))
    assert ended.code == 0, ended.err
    pilot = ended.objects[-1]
    assert (pilot["event"], pilot["files"], pilot["looked_at"], pilot["labelled"]) == ("pilot", 30, 10, 10)
    assert 0 < pilot["cost_usd"]["p50"] <= pilot["cost_usd"]["p90"]
    asked = sum(len(record.documents) for record in server.records)
    assert run("run", source, "-w", tmp_path / "w", **key_for(server)).code == 0
    assert sum(len(record.documents) for record in server.records) == asked + 21  # 20, and one to try


def test_a_gateway_nearby_that_wants_a_key_is_not_estimated_as_free(source: Path, tmp_path: Path) -> None:
    gateway = {"OPENAI_BASE_URL": "https://10.0.0.1:9/v1", "OPENAI_API_KEY": KEY}
    refused = run("estimate", source, "-w", tmp_path / "w", TUI_SCRAPER_CLASSIFY__MODEL="ours", **gateway)
    assert refused.code == 5
    assert "Nobody here knows what ours costs" in refused.err
    assert "Traceback" not in refused.err


def test_labels_that_are_made_here_cost_nothing_to_estimate(source: Path, tmp_path: Path) -> None:
    ended = run("estimate", source, "-w", tmp_path / "w", TUI_SCRAPER_CLASSIFY__BACKEND="local")
    assert ended.code == 2
    assert "cost nothing" in ended.err


def test_the_budget_ends_a_run_with_four_and_more_of_it_goes_on(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    little = run("run", source, "-w", tmp_path / "w", "--budget", "0.0001", **key_for(server))
    assert little.code == 4
    assert "budget is used up" in little.err
    assert run("run", source, "-w", tmp_path / "w", "--budget", "1", **key_for(server)).code == 0
    audit = run("audit", "-w", tmp_path / "w", "--json")
    assert audit.code == 0
    [found] = audit.objects
    assert found["proven"]
    assert (found["labels_saved"], found["repeated"], found["unanswered"]) == (30, 0, [])
    assert "Every payment is accounted for" in run("audit", "-w", tmp_path / "w").out


def test_events_tell_of_labels_and_limits(source: Path, server: ModelServer, tmp_path: Path) -> None:
    ended = run("run", source, "-w", tmp_path / "w", "--json", **key_for(server))
    events = ended.objects
    assert any(event["event"] == "labels" and "It answers" in event["message"] for event in events)
    finished = events[-1]
    assert finished["event"] == "run_finished"
    assert finished["cost_usd"] > 0
    assert finished["tokens"]["in"] > 0
    assert KEY not in ended.out + ended.err


def test_a_key_that_is_refused_ends_a_run_with_five(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    wrong = {**key_for(server), "OPENAI_API_KEY": "sk-not-the-right-one-12345"}
    ended = run("run", source, "-w", tmp_path / "w", TUI_SCRAPER_CLASSIFY__BACKEND="openai", **wrong)
    assert ended.code == 5
    assert "refuses the key ($OPENAI_API_KEY)" in ended.err
    assert "sk-not-the" not in ended.out + ended.err


def test_what_was_labelled_here_is_asked_about_later(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    model = {"TUI_SCRAPER_CLASSIFY__BACKEND": "openai", **key_for(server)}
    assert run("run", source, "-w", tmp_path / "w", "--offline", **model).code == 0
    assert not server.records
    lacking = "30 documents labelled on this machine in place of the model"
    assert lacking in run("audit", "-w", tmp_path / "w").out
    assert run("audit", "-w", tmp_path / "w", "--json").objects[0]["stand_ins"] == 30
    again = run("retry", "-w", tmp_path / "w", "--method", "openai")
    assert "30 documents are pending again" in again.out
    assert run("run", source, "-w", tmp_path / "w", **model).code == 0
    audit = run("audit", "-w", tmp_path / "w", "--json").objects[0]
    assert (audit["labels_saved"], audit["stand_ins"]) == (30, 0)
    assert "0 documents are pending" in run("retry", "-w", tmp_path / "w", "--method", "openai").out


def test_nobody_has_labels_of_a_model_retried_that_never_wanted_any(source: Path, tmp_path: Path) -> None:
    assert run("run", source, "-w", tmp_path / "w").code == 0
    ended = run("retry", "-w", tmp_path / "w", "--method", "openai")
    assert ended.code == 2
    assert "not those of a model" in ended.err
    both = run("retry", "-w", tmp_path / "w", "--method", "openai", "--cause", "timeout")
    assert both.code == 2


def test_doctor_tries_the_model_once(server: ModelServer) -> None:
    ended = run("doctor", **key_for(server))
    assert "answers with a label" in ended.out
    assert "price" in ended.out
    assert len([record for record in server.records if record.documents]) == 1
    assert KEY not in ended.out
    without = run("doctor")
    assert "OPENAI_API_KEY is not set" in without.out
    unknown = run("doctor", OPENAI_API_KEY=KEY, TUI_SCRAPER_CLASSIFY__MODEL="gpt-9")
    assert "Nobody here knows what gpt-9 costs" in unknown.out


@pytest.mark.parametrize("amount", ["-1", "lots", "nan", "1e99"])
def test_a_budget_is_an_amount_of_money(source: Path, amount: str) -> None:
    ended = run("run", source, "--budget", amount)
    assert ended.code == 2
    assert "amount of dollars" in ended.err
