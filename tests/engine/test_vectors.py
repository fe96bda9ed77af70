"""Vectors of a model, from a real run over a real socket: what is asked, paid, kept and never asked again."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.running import check_counters, run_once, running, table
from tests.engine.test_model_labels import audit, notices, stopped
from tests.llm.answers import text_hash
from tests.llm.model_server import KEY, ModelServer, serving
from tui_scraper.engine import RunState
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.gc import collect
from tui_scraper.engine.llm import embeddings, preflight
from tui_scraper.engine.search.query import Search
from tui_scraper.engine.searching import Answer, find
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.vectors import ask_models_again, vector_key
from tui_scraper.engine.verify import verify
from tui_scraper.engine.verify.repair import repair
from tui_scraper.engine.workspace import reopen

WORDS = [
    "invoice",
    "meeting",
    "river",
    "chapter",
    "price",
    "clause",
    "server",
    "error",
    "letter",
    "castle",
    "mountain",
    "engine",
    "piano",
]
DOCUMENTS = 40
FIRST = text_hash(f"{embeddings._TEXT} {embeddings._WORDS * (100 - embeddings._TEXT_TOKENS)}".strip())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    rng = random.Random(1)
    for number in range(DOCUMENTS):
        parts = [" ".join(rng.choice(WORDS) for _ in range(70)) for _ in range(rng.randint(1, 8))]
        (folder / f"{number:02}.txt").write_text("\n\n".join(parts))
    (folder / "zebra.txt").write_text("The zebra crossed the savanna while lions slept under acacia trees.")
    return folder


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(preflight, "_FIRST_WAIT_S", 0.05)  # how long it waits is a promise of its own


def asking(server: ModelServer, index: dict[str, object] | None = None, **more: object) -> dict[str, Any]:
    """Settings with vectors of the server, and labels of this machine."""
    return {
        "classify": {"backend": "local", "base_url": server.url, **more},
        "chunk": {"max_tokens": 100, "overlap": 0},
        "index": {"embeddings": "openai", "price_usd": 0.1, **(index or {})},
    }


def texts(server: ModelServer) -> Counter[str]:
    """How often each passage was asked about in a call that was answered well, but for the first calls."""
    return Counter(
        hashed
        for record in server.records
        if record.api == "embeddings" and record.good and record.billed
        for hashed in record.documents.values()
        if FIRST not in record.documents.values()
    )


def search(workspace: Path, query: str, settings: dict[str, Any], **more: Any) -> Answer:
    return find(workspace, query, settings=Settings.model_validate(settings), **more)


def chunks(workspace: Path) -> int:
    return sum(row[0] for row in table(workspace, "SELECT count(*) FROM vector"))


def test_what_has_no_word_of_the_query_in_common_with_it_is_found_by_its_vector(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    found = search(tmp_path / "w", "savanna lions", settings, mode="semantic", k=3)
    assert found.hits[0].path == "zebra.txt"
    assert len(found.hits) == 3
    assert found.hits[0].score > found.hits[1].score
    both = search(tmp_path / "w", "savanna lions", settings)
    assert both.hits[0].path == "zebra.txt"
    assert not both.notice
    without = search(tmp_path / "w", "savanna -lions", settings, mode="semantic", k=50)
    assert "zebra.txt" not in {hit.path for hit in without.hits}


def test_every_passage_is_paid_for_once_and_a_second_run_asks_nothing(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    found = audit(tmp_path / "w")
    assert found.proven
    assert found.vectors.saved == found.vectors.asked == chunks(tmp_path / "w") > DOCUMENTS
    assert max(texts(server).values()) == 1
    billed = sum(record.tokens_in for record in server.records if record.billed)
    assert found.spending.tokens_in == billed
    check_counters(tmp_path / "w")
    calls = len(server.records)
    run_once(source, tmp_path / "w", settings=settings)
    assert len(server.records) == calls


def test_only_passages_that_are_new_are_asked_about_after_an_edit(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    before = len(server.records)
    edited = source / "07.txt"
    edited.write_text(edited.read_text() + "\n\n" + "a new paragraph about glaciers " * 12)
    (source / "08.txt").rename(source / "moved.txt")
    (source / "copy.txt").write_bytes((source / "09.txt").read_bytes())
    run_once(source, tmp_path / "w", settings=settings)
    asked = [record for record in server.records[before:] if record.api == "embeddings"]
    assert sum(len(record.documents) for record in asked) <= 2 + 2  # the first call has two of its own
    assert search(tmp_path / "w", "glaciers", settings, mode="semantic", k=1).hits[0].path == "07.txt"


def test_vectors_can_be_turned_off_and_on_again_for_nothing(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    off = {**settings, "index": {"embeddings": "none"}}
    run_once(source, tmp_path / "w", settings=settings)
    calls = len(server.records)
    run_once(source, tmp_path / "w", settings=off)
    with pytest.raises(TuiScraperError, match="There are no vectors here"):
        search(tmp_path / "w", "lions", off, mode="semantic")
    assert "no vectors here" in search(tmp_path / "w", "lions", off, mode="hybrid").notice
    assert search(tmp_path / "w", "lions", off).hits
    run_once(source, tmp_path / "w", settings=settings)
    assert len(server.records) == calls
    assert search(tmp_path / "w", "lions acacia", settings, mode="semantic", k=1).hits[0].path == "zebra.txt"


def test_a_query_is_paid_for_once_and_is_in_the_ledger(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    before = audit(tmp_path / "w").spending
    calls = len(server.records)
    for _turn in range(3):
        assert search(tmp_path / "w", '"lions slept"', settings).hits[0].path == "zebra.txt"
    assert len(server.records) == calls + 1
    after = audit(tmp_path / "w")
    assert after.proven
    assert after.spending.cost_nano_usd > before.cost_nano_usd


def test_a_query_that_gets_no_vector_is_answered_by_words_and_that_is_said(
    source: Path, server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    gone = asking(server, base_url="http://127.0.0.1:1/v1", timeout_s=1)
    monkeypatch.delenv("OPENAI_API_KEY")
    found = search(tmp_path / "w", "zebra", settings)
    assert found.hits[0].path == "zebra.txt"
    assert found.notice.startswith("Searched for words only: ")
    assert "401" in found.notice
    with pytest.raises(TuiScraperError, match="401"):
        search(tmp_path / "w", "zebra", settings, mode="semantic")
    assert search(tmp_path / "w", "zebra", gone, mode="text").notice == ""


def test_a_search_beside_a_run_has_the_engine_make_the_vector(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    from tui_scraper.control import ask

    settings = asking(server)
    with running(source, tmp_path / "w", settings=settings) as run:
        run.complete()
        assert search(tmp_path / "w", "lions", settings).notice  # nobody to ask is given
        found = search(
            tmp_path / "w",
            "lions under trees",
            settings,
            mode="semantic",
            k=1,
            remote=lambda request: ask(tmp_path / "w", request),
        )
        assert found.hits[0].path == "zebra.txt"
    assert audit(tmp_path / "w").proven


def test_a_budget_that_is_used_up_pauses_and_goes_on_with_nothing_lost(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    budget = 0.0036
    with running(source, tmp_path / "w", settings=asking(server, budget_usd=budget)) as run:
        assert "budget is used up" in stopped(run)
    found = audit(tmp_path / "w")
    assert 0 < found.spending.most_nano_usd <= budget * 1e9
    run_once(source, tmp_path / "w", settings=asking(server))
    assert audit(tmp_path / "w").vectors.repeated == 0
    assert max(texts(server).values()) == 1
    assert search(tmp_path / "w", "acacia", asking(server), mode="semantic", k=1).hits[0].path == "zebra.txt"


def test_on_a_used_up_budget_the_rest_is_indexed_for_words_and_asked_about_later(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    with running(
        source, tmp_path / "w", settings=asking(server, budget_usd=0.0036, on_budget="offline")
    ) as run:
        run.complete()
        said = notices(run)
    assert any("indexed without all vectors (the budget is used up)" in sentence for sentence in said)
    without = table(tmp_path / "w", "SELECT count(*) FROM unembedded")[0][0]
    assert 0 < without <= DOCUMENTS + 1
    workspace = reopen(tmp_path / "w")
    assert workspace.writer.call(ask_models_again()) == without
    workspace.close()
    run_once(source, tmp_path / "w", settings=asking(server))
    assert max(texts(server).values()) == 1
    workspace = reopen(tmp_path / "w")
    assert workspace.writer.call(ask_models_again()) == 0
    workspace.close()
    check_counters(tmp_path / "w")
    audit(tmp_path / "w")


def test_offline_the_run_finishes_with_words_and_keeps_the_vectors_that_are_there(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    (source / "new.txt").write_text("penguins on ice")
    calls = len(server.records)
    with running(source, tmp_path / "w", settings=settings, offline=True) as run:
        run.complete()
        assert any("1 document is indexed without all vectors (offline)" in one for one in notices(run))
    assert len(server.records) == calls
    assert search(tmp_path / "w", "penguins", settings, mode="text").hits[0].path == "new.txt"
    assert search(tmp_path / "w", "lions acacia", settings, mode="semantic", k=1).hits[0].path == "zebra.txt"


@pytest.mark.parametrize("behaviour", ["status_503", "status_500"])
def test_an_endpoint_that_is_lost_from_the_start_is_done_without_where_the_settings_say_so(
    source: Path, tmp_path: Path, behaviour: str
) -> None:
    with serving(script=[behaviour] * 40) as server:
        run_once(source, tmp_path / "w", settings=asking(server, on_outage="offline"))
        assert search(tmp_path / "w", "savanna", asking(server), mode="text").hits[0].path == "zebra.txt"
        with running(source, tmp_path / "other", settings=asking(server)) as run:
            assert "does not answer" in stopped(run)
    with serving() as server:
        workspace = reopen(tmp_path / "w")
        assert workspace.writer.call(ask_models_again()) == DOCUMENTS + 1
        workspace.close()
        run_once(source, tmp_path / "w", settings=asking(server))
    assert audit(tmp_path / "w").vectors.asked


def test_without_a_key_vectors_that_are_asked_for_are_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    settings = {"classify": {"backend": "local"}, "index": {"embeddings": "openai"}}
    with running(source, tmp_path / "w", settings=settings) as run:
        assert stopped(run).startswith("failed 5 There is no API key for the embeddings")


def test_a_key_is_sent_to_no_other_endpoint_than_its_own(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server, {"base_url": "https://embeddings.example/v1"})
    with running(source, tmp_path / "w", settings=settings) as run:
        assert "name it in index.api_key_env" in stopped(run)
    assert not server.records


@pytest.mark.parametrize(
    ("manners", "index", "sentence"),
    [
        ({}, {"model": "text-embedding-3-smal"}, "Did you mean text-embedding-3-small"),
        ({"key": "another"}, {}, "refuses the key"),
        ({"only": ["html"]}, {}, "web page"),
    ],
)
def test_a_model_that_makes_no_vectors_is_refused_before_anything_is_paid(
    source: Path, tmp_path: Path, manners: dict[str, Any], index: dict[str, object], sentence: str
) -> None:
    with (
        serving(**manners) as server,
        running(source, tmp_path / "w", settings=asking(server, index)) as run,
    ):
        said = stopped(run)
    assert said.startswith("failed 5")
    assert sentence in said
    assert not audit(tmp_path / "w").vectors.asked


def test_an_unknown_price_is_refused(source: Path, tmp_path: Path) -> None:
    settings = {
        "classify": {"backend": "local", "base_url": "https://models.example/v1"},
        "index": {"embeddings": "openai", "model": "no-such-model"},
    }
    with running(source, tmp_path / "w", settings=settings) as run:
        assert "Set index.price_usd" in stopped(run)


@pytest.mark.parametrize(
    "rejects", [("dimensions",), ("encoding_format",), ("dimensions", "encoding_format")]
)
def test_an_endpoint_is_asked_as_it_wants_to_be_asked(
    source: Path, tmp_path: Path, rejects: tuple[str, ...]
) -> None:
    with serving(rejects=rejects) as server:
        settings = asking(server, {"dimensions": 32})
        run_once(source, tmp_path / "w", settings=settings)
        found = search(tmp_path / "w", "lions acacia", settings, mode="semantic", k=1)
    assert found.hits[0].path == "zebra.txt"
    assert not found.notice
    space = _space(tmp_path / "w")
    with Search(tmp_path / "w") as reader:
        vector = reader.vector(vector_key(space, "lions acacia"))
    assert vector is not None
    assert len(vector) == (64 if "dimensions" in rejects else 32)


def _space(workspace: Path) -> bytes:
    with Search(workspace) as reader:
        space = reader.space()
    assert space is not None
    return space


def test_passages_that_are_too_long_for_the_model_are_cut_to_what_it_takes(
    source: Path, tmp_path: Path
) -> None:
    with serving(longest=400) as server:
        settings = asking(server)
        with running(source, tmp_path / "w", settings=settings) as run:
            run.complete()
            said = notices(run)
        assert any("of longer ones the first" in sentence for sentence in said)
        assert not table(tmp_path / "w", "SELECT count(*) FROM unembedded")[0][0]
        assert audit(tmp_path / "w").proven
        assert search(tmp_path / "w", "zebra", settings, mode="semantic", k=1).hits[0].path == "zebra.txt"


def test_bad_answers_leave_no_document_out_and_no_vector_wrong(source: Path, tmp_path: Path) -> None:
    with serving(share=0.4, seed=3, deadline_s=1.0, disturbs=("embeddings",)) as server:
        settings = asking(server, timeout_s=1.0, on_outage="offline")
        run_once(source, tmp_path / "w", settings=settings)
        found = audit(tmp_path / "w")
    assert found.proven
    done = table(tmp_path / "w", "SELECT count(DISTINCT version) FROM result WHERE phase = 4 AND status = 1")
    assert done == [(DOCUMENTS + 1,)]
    assert not any(record.right_key and record.behaviour == "foreign" for record in server.records)


def test_files_that_are_lost_are_made_again_without_paying(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    shutil.rmtree(tmp_path / "w" / "vectors")
    assert [damage.what for damage in verify(tmp_path / "w").damages]
    calls = len(server.records)
    found = search(tmp_path / "w", "lions", settings)
    assert "Vectors are missing" in found.notice
    run_once(source, tmp_path / "w", settings=settings)
    assert len(server.records) == calls + 1  # the query
    assert search(tmp_path / "w", "lions", settings, mode="semantic", k=1).hits[0].path == "zebra.txt"
    assert verify(tmp_path / "w").sound


@pytest.mark.parametrize("name", ["signs.1", "values.1", "rows.1", "meta.json"])
def test_a_damaged_file_is_found_and_made_again(
    source: Path, server: ModelServer, tmp_path: Path, name: str
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    [file] = (tmp_path / "w" / "vectors").glob(f"*/{name}")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x55
    file.write_bytes(data)
    report = verify(tmp_path / "w")
    assert [name in damage.where for damage in report.damages] == [True]
    repair(tmp_path / "w")
    calls = len(server.records)
    run_once(source, tmp_path / "w", settings=settings)
    assert verify(tmp_path / "w").sound
    assert len(server.records) == calls
    assert search(tmp_path / "w", "lions", settings, mode="semantic", k=1).hits[0].path == "zebra.txt"


def test_what_was_added_by_a_process_that_ended_before_its_commit_is_cut_off(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    for file in (tmp_path / "w" / "vectors").glob("*/*.1"):
        with file.open("ab") as open_file:
            open_file.write(b"half a row")
    (source / "new.txt").write_text("penguins on ice")
    run_once(source, tmp_path / "w", settings=settings)
    assert verify(tmp_path / "w").sound
    assert search(tmp_path / "w", "penguins", settings, mode="semantic", k=1).hits[0].path == "new.txt"


def test_search_by_meaning_follows_the_head_and_garbage_is_freed(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    settings = asking(server)
    run_once(source, tmp_path / "w", settings=settings)
    (source / "zebra.txt").unlink()
    for number in range(5):
        (source / f"{number:02}.txt").write_text("another text entirely, about glaciers and snow")
    run_once(source, tmp_path / "w", settings=settings)
    paths = {
        hit.path for hit in search(tmp_path / "w", "zebra lions", settings, mode="semantic", k=1000).hits
    }
    assert "zebra.txt" not in paths
    assert len(paths) == DOCUMENTS
    [meta] = (tmp_path / "w" / "vectors").glob("*/meta.json")
    collect(tmp_path / "w", keep=1)
    [part] = {file.suffix for file in meta.parent.glob("rows.*")}
    assert part == ".2"
    assert verify(tmp_path / "w").sound
    again = {
        hit.path for hit in search(tmp_path / "w", "zebra lions", settings, mode="semantic", k=1000).hits
    }
    assert again == paths
    calls = len(server.records)
    (source / "zebra.txt").write_text("The zebra crossed the savanna while lions slept under acacia trees.")
    run_once(source, tmp_path / "w", settings=settings)
    assert len(server.records) == calls  # what was paid for stays, whatever is freed
    assert search(tmp_path / "w", "zebra", settings, k=1).hits[0].path == "zebra.txt"


def _paths(workspace: Path, settings: dict[str, Any]) -> set[str]:
    return {hit.path for hit in search(workspace, "zebra lions", settings, mode="semantic", k=1000).hits}


def test_a_rollback_to_other_settings_brings_their_vectors_back(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    short, long = asking(server, {"dimensions": 16}), asking(server, {"dimensions": 64})
    run_once(source, tmp_path / "w", settings=short)
    first = _space(tmp_path / "w")
    run_once(source, tmp_path / "w", settings=long)
    assert _space(tmp_path / "w") != first
    before = table(tmp_path / "w", "SELECT min(id) FROM checkpoint WHERE phase = 5")[0][0]
    with running(source, tmp_path / "w", settings=long) as run:
        run.complete()
        run.host.roll_back(before)
        run.wait(lambda now: now.state is RunState.STOPPED and now.checkpoint == before, "rollback")
    assert _space(tmp_path / "w") == first
    assert search(tmp_path / "w", "zebra lions", short, mode="semantic", k=1).hits[0].path == "zebra.txt"
