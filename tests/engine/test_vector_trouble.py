"""What goes wrong with vectors: none is lost, paid for twice, or wrong without a word."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine import test_vectors
from tests.engine.running import run_once, running, table
from tests.engine.test_model_labels import audit, stopped
from tests.engine.test_vectors import DOCUMENTS, asking, search
from tests.llm.model_server import KEY, ModelServer, serving
from tui_scraper.control import ask
from tui_scraper.engine import embedding
from tui_scraper.engine.asking.vectors import Passage, PassagePacks
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.llm.embeddings import EmbeddingPreflight, is_too_long
from tui_scraper.engine.llm.errors import CallError, Verdict, judge_status
from tui_scraper.engine.llm.profile import Profile
from tui_scraper.engine.passages import kept
from tui_scraper.engine.phases import index as index_phase
from tui_scraper.engine.workspace import Workspace, holder

source = test_vectors.source


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def both(server: ModelServer, **more: object) -> dict[str, Any]:
    """Labels and vectors of the server."""
    return asking(server, backend="openai", price_in_usd=0.1, price_out_usd=0.5, **more)


def test_a_used_up_budget_is_told_also_while_labels_wait_for_vectors(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_CAPACITY_BYTES", 5_000)
    with serving(latency_s=0.02) as server:
        settings = both(server, budget_usd=0.006, docs_per_request=1)
        with running(source, tmp_path / "w", settings=settings) as run:
            assert "budget is used up" in stopped(run)
        assert audit(tmp_path / "w").proven
        run_once(source, tmp_path / "w", settings=both(server))
    found = audit(tmp_path / "w")
    assert found.proven
    assert (found.labels.repeated, found.vectors.repeated) == (0, 0)


def test_labels_and_vectors_of_a_model_together_give_both(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    snapshot = run_once(source, tmp_path / "w", settings=both(server))
    found = audit(tmp_path / "w")
    assert found.proven
    assert found.labels.saved == DOCUMENTS + 1
    assert snapshot.spend is not None
    assert snapshot.spend.backend == "openai"
    assert search(tmp_path / "w", "lions", both(server), mode="semantic", k=1).hits[0].path == "zebra.txt"


def test_a_run_is_not_over_while_documents_are_on_their_way_to_the_index(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_phase, "_HELD_BYTES", 2_000)
    settings = {"classify": {"backend": "local"}, "index": {"embeddings": "openai"}}
    snapshot = run_once(source, tmp_path / "w", settings=settings, offline=True)
    assert snapshot.counts.done == DOCUMENTS + 1
    assert table(tmp_path / "w", "SELECT count(*) FROM unembedded") == [(DOCUMENTS + 1,)]


def test_a_key_of_today_is_not_sent_to_the_endpoint_of_yesterday(source: Path, tmp_path: Path) -> None:
    with serving() as old, serving(key="sk-another-key-0123456789") as new:
        run_once(source, tmp_path / "w", settings=asking(old))
        calls = len(old.records)
        found = search(tmp_path / "w", "lions", asking(new))
        assert "another endpoint" in found.notice
        assert (len(old.records), len(new.records)) == (calls, 0)


def test_one_query_in_two_shells_is_one_call(source: Path, tmp_path: Path) -> None:
    with serving(latency_s=0.5, jitter=0) as server:
        settings = asking(server)
        with running(source, tmp_path / "w", settings=settings) as run:
            run.complete()
            calls = len(server.records)
            answers: list[Any] = []
            request = {"command": "embed", "text": "lions under trees"}
            shells = [
                threading.Thread(target=lambda: answers.append(ask(tmp_path / "w", request))) for _ in "ab"
            ]
            for shell in shells:
                shell.start()
            for shell in shells:
                shell.join()
            assert answers[0] == answers[1]
            assert len(server.records) == calls + 1
    assert audit(tmp_path / "w").proven


def test_an_engine_ends_although_a_query_is_in_flight(source: Path, tmp_path: Path) -> None:
    with serving(latency_s=0.05) as server:
        with running(source, tmp_path / "w", settings=asking(server)) as run:
            run.complete()
        server.manners = replace(server.manners, latency_s=5.0)
        with running(source, tmp_path / "w", settings=asking(server)) as run:
            run.complete()
            calls = len(server.records)
            shell = threading.Thread(target=_gives_up, args=(tmp_path / "w",), daemon=True)
            shell.start()
            while len(server.records) == calls:
                pass
            assert run.host.close(10)
        found = audit(tmp_path / "w")
    assert found.proven
    assert [(call.kind, call.state) for call in found.unanswered] == [("embed", "lost")]


def _gives_up(workspace: Path) -> None:
    try:
        ask(workspace, {"command": "embed", "text": "lions under trees"})
    except TuiScraperError:
        return


def test_a_damaged_vector_of_a_query_is_made_again_once(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    search(tmp_path / "w", "lions", settings)
    blob = table(tmp_path / "w", "SELECT max(blob) FROM vector")[0][0]
    workspace = Workspace(tmp_path / "w", source)
    workspace.writer.call(
        lambda transaction: transaction.blobs.execute(
            "UPDATE blob SET data = x'00' WHERE id = ?", (blob,)
        ).fetchall()
    )
    workspace.close()
    calls = len(server.records)
    for _turn in range(3):
        assert not search(tmp_path / "w", "lions", settings).notice
    assert len(server.records) == calls + 1
    assert audit(tmp_path / "w").proven


def test_a_vector_of_another_length_is_not_kept(source: Path, server: ModelServer, tmp_path: Path) -> None:
    settings = asking(server, {"dimensions": 0})
    run_once(source, tmp_path / "w", settings=settings)
    server.manners = replace(server.manners, dimensions=32)
    found = search(tmp_path / "w", "lions", settings)
    assert "not with a vector like those of the documents" in found.notice
    assert found.hits[0].path == "zebra.txt"
    (source / "new.txt").write_text("penguins on ice")
    with running(source, tmp_path / "w", settings=settings) as run:
        assert "it is another model" in stopped(run)
    server.manners = replace(server.manners, dimensions=64)
    run_once(source, tmp_path / "w", settings=settings)
    assert search(tmp_path / "w", "lions", settings, mode="semantic", k=1).hits[0].path == "zebra.txt"
    audit(tmp_path / "w")


def test_a_run_waits_for_a_search_that_has_the_workspace_for_a_moment(source: Path, tmp_path: Path) -> None:
    with serving(latency_s=1.0, jitter=0) as server:
        settings = asking(server)
        run_once(source, tmp_path / "w", settings=settings)
        shell = threading.Thread(target=lambda: search(tmp_path / "w", "lions", settings), daemon=True)
        shell.start()
        while holder(tmp_path / "w") is None and shell.is_alive():
            pass
        assert run_once(source, tmp_path / "w", settings=settings).counts.done == DOCUMENTS + 1
        shell.join()


def test_a_search_says_what_it_may_miss(source: Path, server: ModelServer, tmp_path: Path) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings, offline=True)
    found = search(tmp_path / "w", "lions", settings)
    assert "No document here has its vectors yet" in found.notice
    assert found.hits[0].path == "zebra.txt"
    assert not server.records


def test_a_model_that_cannot_be_used_does_not_empty_the_search(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings | {"index": {"embeddings": "none"}})
    for before in ({"embeddings": "none"}, settings["index"]):
        run_once(source, tmp_path / "w", settings=settings | {"index": before})
        with running(
            source, tmp_path / "w", settings=asking(server, {"model": "text-embedding-3-smal"})
        ) as run:
            said = stopped(run)
        assert said.startswith("failed 5")
        assert "The search stays as it is." in said
        assert search(tmp_path / "w", "savanna", settings, mode="text").hits
    assert search(tmp_path / "w", "lions", settings, mode="semantic").hits[0].path == "zebra.txt"


@pytest.mark.parametrize(
    ("status", "code", "message", "long"),
    [
        (400, "", "This model's maximum context length is 512 tokens, you requested 600.", True),
        (400, "context_length_exceeded", "no", True),
        (413, "", "Input validation error: `inputs` must have less than 512 tokens. Given: 600", True),
        (500, "", "input is too large to process. increase the physical batch size", True),
        (422, "", "batch size 128 > maximum allowed batch size 32", False),
        (400, "", "dimensions must not exceed the maximum of 384", False),
        (504, "", "context deadline exceeded", False),
        (429, "", "Rate limit exceeded: maximum 10 requests", False),
    ],
)
def test_only_what_says_so_is_taken_for_too_long(status: int, code: str, message: str, long: bool) -> None:
    error = CallError(judge_status(status, code, "", message, None), message, status=status, code=code)
    assert is_too_long(error) is long


def test_a_refusal_of_the_length_of_vectors_does_not_cut_the_texts() -> None:
    preflight = EmbeddingPreflight.__new__(EmbeddingPreflight)
    preflight._longest = 512
    message = "dimensions must not exceed the maximum context size of 384"
    error = CallError(Verdict.SPLIT, message, status=400, parameter="dimensions")
    other = preflight._after_refusal(Profile(api="embeddings", most_tokens=100), error)
    assert other == Profile(api="embeddings", dimensions=False)


def test_numbers_are_kept_as_directions_or_not_at_all() -> None:
    tiny = kept([1e-310, 0.0])
    assert tiny is not None
    assert tiny.tolist() == [127, 0]
    assert kept([1e308, -1e308]) is not None
    for nothing in ([], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]):
        assert kept(nothing) is None


def test_a_size_that_was_too_much_is_not_tried_again_at_once() -> None:
    packs = PassagePacks()
    for number in range(1_000):
        packs.add(Passage(b"%d" % number, "text", 10))
    first = packs.take()
    assert len(first) == 128
    packs.put_back(first, smaller=True)
    sizes = []
    for _turn in range(8):
        sizes.append(len(packs.take()))
        packs.went_well()
    assert max(sizes) < 128
    packs.limit_to(10)
    assert len(packs.take()) == 10


async def test_what_is_submitted_after_the_end_is_refused(tmp_path: Path, source: Path) -> None:
    workspace = await asyncio.to_thread(Workspace, tmp_path / "w", source)
    await asyncio.to_thread(workspace.close)
    with pytest.raises(TuiScraperError, match="closed"):
        await workspace.writer.submit(lambda _transaction: None)
