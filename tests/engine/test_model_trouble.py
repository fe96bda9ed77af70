"""Labels of a model when things go wrong: nothing is forgotten, nothing hangs, nothing leaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.running import Running, export_bytes, rows, run_once, running, table
from tests.engine.test_model_labels import asking, audit, notices, stopped, write_documents
from tests.llm.model_server import KEY, serving
from tui_scraper.engine import PhaseName, RunState
from tui_scraper.engine.llm.choosing import choose
from tui_scraper.engine.llm.endpoint import endpoint_of
from tui_scraper.engine.llm.prices import price_of
from tui_scraper.engine.settings import ClassifySettings, Settings


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def methods(workspace: Path) -> set[str]:
    return {row["method"] for row in rows(workspace).values()}


def roll_back(run: Running, target: PhaseName) -> None:
    run.complete()
    run.host.roll_back(target)
    run.wait(lambda now: now.state is RunState.STOPPED and "Rolled back" in now.notice, "rollback")


def test_what_had_to_wait_outside_is_not_forgotten_by_a_run_that_is_stopped(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 700)
    run_once(source, tmp_path / "w", settings={"classify": {"backend": "rules"}}, sample=1)
    with serving() as server:
        wanted = asking(server, near_duplicates=True) | {"engine": {"checkpoint_every_s": 0.0}}
        with running(source, tmp_path / "w", settings=wanted) as run:
            run.wait(lambda now: now.checkpoint > 6 and now.phases[2].done > 100, "checkpoints while reading")
            run.host.stop()
            run.wait_for_end()
        run_once(source, tmp_path / "w", settings=asking(server, near_duplicates=True))
    assert len(rows(tmp_path / "w")) == 700
    assert None not in {row["label"] for row in rows(tmp_path / "w").values()}


def test_a_pack_that_waits_while_the_budget_runs_out_is_labelled_here(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 60)
    script = ["good"] * 25 + ["status_500", "good"] * 40
    with serving(script=script, latency_s=0.02) as server:
        little = asking(server, budget_usd=0.0042, on_budget="offline", docs_per_request=1)
        run_once(source, tmp_path / "w", settings=little)
    assert methods(tmp_path / "w") == {"openai", "local"}


def test_what_is_in_flight_does_not_make_the_budget_look_used_up(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 120)
    with serving(latency_s=0.2) as server:
        run_once(source, tmp_path / "all", settings=asking(server, docs_per_request=1))
        cost = audit(tmp_path / "all").spending.cost_nano_usd / 1e9
        enough = asking(server, docs_per_request=1, budget_usd=cost * 1.1)
        run_once(source, tmp_path / "w", settings=enough)
    assert methods(tmp_path / "w") == {"openai"}
    assert audit(tmp_path / "w").spending.most_nano_usd <= cost * 1.1e9


def test_the_budget_of_today_holds_after_a_rollback(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 30)
    with serving() as server:
        with running(source, tmp_path / "w", settings=asking(server, budget_usd=50.0)) as run:
            roll_back(run, PhaseName.CHUNK)
        with running(source, tmp_path / "w", settings=asking(server, budget_usd=0.0001)) as run:
            run.complete()  # the labels are there
        (source / "new.txt").write_text("something new about a river")
        with running(source, tmp_path / "w", settings=asking(server, budget_usd=0.0001)) as run:
            assert "The budget is used up" in stopped(run)


def test_a_key_of_today_does_not_go_to_the_endpoint_of_then(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 10)
    with serving() as then, serving() as today:
        with running(source, tmp_path / "w", settings=asking(then)) as run:
            roll_back(run, PhaseName.CHUNK)
        before = len(then.records)
        (source / "new.txt").write_text("something new about a river")
        run_once(source, tmp_path / "w", settings=asking(today))
        assert len(then.records) == before
        assert not today.records
    assert rows(tmp_path / "w")["new.txt"]["method"] == "local"


@pytest.mark.parametrize("backend", ["auto", "openai"])
def test_offline_asks_nobody_not_even_a_machine_of_ones_own(backend: str) -> None:
    settings = Settings.model_validate(
        {"classify": {"backend": backend, "base_url": "http://localhost:1/v1"}}
    )
    assert not choose(settings, offline="offline", paid_before=False).ask
    assert choose(settings, offline="", paid_before=False).ask


def test_labels_stay_where_the_environment_names_another_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_documents(tmp_path / "source", 20)
    with serving() as server:
        run_once(source, tmp_path / "w", settings=asking(server))
    paid = export_bytes(tmp_path / "w")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example.com/v1")
    run_once(source, tmp_path / "w", settings={"classify": {"backend": "openai"}}, offline=True)
    assert export_bytes(tmp_path / "w") == paid


def test_a_pack_that_always_takes_too_long_is_asked_about_in_smaller_ones(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 4)
    script = ["good"] * 2 + ["slow_over_deadline"] * 4 + ["good"]
    with serving(decisions=False, script=script, deadline_s=0.5) as server:
        run_once(source, tmp_path / "w", settings=asking(server, timeout_s=0.5, docs_per_request=4))
        sizes = [len(record.documents) for record in server.records]
    assert methods(tmp_path / "w") == {"openai"}
    assert 2 in sizes


def test_a_document_that_fails_alone_while_others_do_not_is_given_up(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 1)
    script = ["good", "good", *(["status_500"] * 4 + ["good"]) * 8]
    with serving(decisions=False, script=script) as server:
        run_once(source, tmp_path / "w", settings=asking(server, max_retries=1))
    assert methods(tmp_path / "w") == {"local"}


def test_a_profile_that_cannot_say_several_labels_is_not_used_for_them(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 10)
    with serving() as server:
        run_once(source, tmp_path / "w", settings=asking(server))
        before = len(server.records)
        run_once(source, tmp_path / "w", settings=asking(server, multi_label=True))
        assert {record.api for record in server.records[before:]} <= {"chat", "models"}


def test_nothing_of_the_environment_goes_along_to_an_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-gateway-secret: hush")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    source = write_documents(tmp_path / "source", 3)
    with serving() as server:
        run_once(source, tmp_path / "w", settings=asking(server))
        assert server.records
        assert server.names
        assert not {"x-gateway-secret", "openai-organization"} & server.names


def test_a_gateway_of_the_network_that_takes_a_key_is_not_free() -> None:
    for url in ("http://litellm:4000/v1", "https://llm-gateway.internal/v1", "http://192.168.1.20/v1"):
        classify = ClassifySettings(base_url=url)
        endpoint = endpoint_of(classify, {})
        assert price_of(classify, endpoint, "gpt-4o", keyless=False) is None
        assert price_of(classify, endpoint, "gpt-4o", keyless=True) is not None
    plain = Settings.model_validate({"classify": {"base_url": "http://192.168.1.20/v1"}})
    assert choose(plain, offline="", paid_before=False, environ={"OPENAI_API_KEY": KEY}).key is None
    named = Settings.model_validate(
        {"classify": {"base_url": "http://192.168.1.20/v1", "api_key_env": "MINE"}}
    )
    assert choose(named, offline="", paid_before=False, environ={"MINE": KEY}).key is not None


def test_an_address_in_the_environment_means_nothing_where_no_model_is_wanted() -> None:
    environ = {"OPENAI_BASE_URL": "http://gateway.corp.example/v1"}
    for backend in ("local", "rules"):
        settings = Settings.model_validate({"classify": {"backend": backend}})
        assert choose(settings, offline="", paid_before=False, environ=environ).settings == settings
    assert not choose(Settings(), offline="offline", paid_before=False, environ=environ).ask


def test_a_text_without_a_label_is_not_paid_for_again_in_the_same_run(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.zip").write_bytes(_zip("one.txt", "the same words"))
    for number in range(30):
        (source / f"{number}.txt").write_text("the same words")
    with serving(decisions=False, only=["refusal"], script=["good"]) as server:
        wanted = asking(server, docs_per_request=1)
        with running(source, tmp_path / "w", settings=wanted) as run:
            run.complete()
            said = notices(run)
    same = [path for path, row in rows(tmp_path / "w").items() if row["text"].strip() == "the same words"]
    assert len(same) >= 30
    assert any("labelled on this machine" in sentence for sentence in said)
    asked = table(tmp_path / "w", "SELECT key, count(*) FROM ledger_key GROUP BY key")
    assert max(count for _key, count in asked) <= 3


def _zip(name: str, text: str) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


def test_several_hundred_labels_are_reserved_for_as_they_are_sent(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 16)
    labels = [{"name": f"label number {number} of very many", "description": "x"} for number in range(200)]
    with serving() as server:
        run_once(source, tmp_path / "w", settings=asking(server, labels=labels))
        most = max(record.tokens_in for record in server.records)
    reserved = table(tmp_path / "w", "SELECT max(tokens_in) FROM ledger WHERE state = 'settled'")[0][0]
    assert most == reserved  # what was billed is what is entered
    assert audit(tmp_path / "w").proven


@pytest.mark.parametrize("backend", ["openai", "auto"])
def test_a_model_that_cannot_be_used_takes_no_label_out_of_force(tmp_path: Path, backend: str) -> None:
    source = write_documents(tmp_path / "source", 20)
    with serving() as server:
        run_once(source, tmp_path / "w", settings=asking(server))
        exported = export_bytes(tmp_path / "w")
        misspelt = asking(server, backend=backend, model="gpt-5-nanno")
        with running(source, tmp_path / "w", settings=misspelt) as run:
            said = stopped(run)
        assert said.startswith("failed 5")
        assert "gpt-5-nanno" in said
        assert "The labels stay as they are." in said
        assert export_bytes(tmp_path / "w") == exported
        with running(source, tmp_path / "w", settings=asking(server), offline=True) as run:
            assert run.complete().phases[3].done == 20


def test_a_model_that_was_used_before_is_gone_back_to_without_asking_it(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 20)
    with serving() as first:
        wanted = asking(first)
        run_once(source, tmp_path / "w", settings=wanted)
    with serving() as second:
        run_once(source, tmp_path / "w", settings=asking(second, instructions="Think of the reader."))
        run_once(source, tmp_path / "w", settings=wanted)  # nobody answers there any more
    assert methods(tmp_path / "w") == {"openai"}


def test_a_trial_that_takes_long_can_be_stopped_and_changes_nothing(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 20)
    with serving() as server:
        run_once(source, tmp_path / "w", settings=asking(server))
    exported = export_bytes(tmp_path / "w")
    with serving(latency_s=30) as slow:
        other = asking(slow, instructions="Think of the reader.")
        with running(source, tmp_path / "w", settings=other) as run:
            run.wait(lambda _now: bool(slow.records), "call")
            run.host.stop()
            run.wait_for_end()
    assert export_bytes(tmp_path / "w") == exported
    assert len(audit(tmp_path / "w").unanswered) == 1
