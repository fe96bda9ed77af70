"""Search by meaning from the command line, with what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.engine.running import run_once
from tests.engine.test_model_labels import write_documents
from tests.llm.model_server import KEY, ModelServer, serving

WANTED = {
    "TUI_SCRAPER_INDEX__EMBEDDINGS": "openai",
    "TUI_SCRAPER_INDEX__PRICE_USD": "0.02",
    "TUI_SCRAPER_CLASSIFY__BACKEND": "local",
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as found:
        yield found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = write_documents(tmp_path / "source", 20)
    (folder / "zebra.txt").write_text("The zebra crossed the savanna while lions slept under acacia trees.")
    return folder


def environment(server: ModelServer) -> dict[str, str]:
    return {**WANTED, "OPENAI_API_KEY": KEY, "TUI_SCRAPER_CLASSIFY__BASE_URL": server.url}


def test_what_was_embedded_is_found_by_meaning_and_accounted_for(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    env = environment(server)
    ended = run("run", source, "-w", tmp_path / "w", **env)
    assert ended.code == 0, ended.err
    assert "Vectors are asked of text-embedding-3-small" in ended.out
    by_meaning = ("--mode", "semantic", "-k", "2", "--json")
    found = run("search", "lions under trees", *by_meaning, "-w", tmp_path / "w", **env)
    assert [found.code, found.err] == [0, ""]
    assert found.objects[0]["path"] == "zebra.txt"
    assert set(found.objects[0]) == {
        "path",
        "title",
        "label",
        "score",
        "chunk",
        "start",
        "end",
        "snippet",
        "marks",
    }
    both = run("search", "lions under trees", "-k", "1", "-w", tmp_path / "w", **env)
    assert "zebra.txt" in both.out
    audit = run("audit", "-w", tmp_path / "w", "--json", **env).objects[0]
    assert audit["proven"]
    assert audit["vectors"]["saved"] == audit["vectors"]["passages_asked"] == 22  # the query is one
    assert "vectors saved" in run("audit", "-w", tmp_path / "w", **env).out
    status = run("status", "-w", tmp_path / "w", "--json", **env).objects[0]
    assert status["without_vectors"] == 0
    assert status["cost_usd"] > 0


def test_without_vectors_meaning_is_refused_and_both_is_words(source: Path, tmp_path: Path) -> None:
    none = {"TUI_SCRAPER_INDEX__EMBEDDINGS": "none"}
    assert run("run", source, "-w", tmp_path / "w", **none).code == 0
    ended = run("search", "lions", "--mode", "semantic", "-w", tmp_path / "w")
    assert ended.code == 2
    assert "no vectors here yet: `tui-scraper run` makes them" in ended.err
    wanted = run("search", "lions", "--mode", "semantic", "-w", tmp_path / "w", **none)
    assert 'set index.embeddings = "local"' in wanted.err
    both = run("search", "lions", "--mode", "hybrid", "-w", tmp_path / "w")
    assert both.code == 0
    assert "no vectors here" in both.err
    assert "zebra.txt" in both.out
    assert run("search", "lions", "-w", tmp_path / "w").err == ""


def test_without_a_key_meaning_is_found_with_vectors_of_this_machine(source: Path, tmp_path: Path) -> None:
    assert run("run", source, "-w", tmp_path / "w").code == 0
    found = run("search", "animals", "--mode", "semantic", "-k", "1", "-w", tmp_path / "w")
    assert (found.code, found.err) == (0, "")
    assert "zebra.txt" in found.out
    words = run("search", "animals", "--mode", "text", "-w", tmp_path / "w")
    assert words.out.startswith("Nothing")


def test_documents_without_vectors_are_counted_and_asked_about_again(
    source: Path, server: ModelServer, tmp_path: Path
) -> None:
    env = environment(server)
    ended = run("run", source, "-w", tmp_path / "w", "--offline", **env)
    assert ended.code == 0, ended.err
    assert "21 documents are indexed without all vectors (offline)" in ended.out
    assert not server.records
    assert "21 documents without all vectors" in run("status", "-w", tmp_path / "w", **env).out
    again = run("retry", "--method", "openai", "-w", tmp_path / "w", **env)
    assert "21 documents are pending again" in again.out
    assert run("run", source, "-w", tmp_path / "w", **env).code == 0
    assert run("status", "-w", tmp_path / "w", "--json", **env).objects[0]["without_vectors"] == 0
    assert run("verify", "-w", tmp_path / "w", **env).code == 0


def test_an_estimate_and_a_pilot_tell_of_vectors(source: Path, server: ModelServer, tmp_path: Path) -> None:
    env = environment(server)
    before = run("estimate", source, "-w", tmp_path / "w", "--json", **{**env, "OPENAI_API_KEY": ""})
    assert before.code == 0, before.err
    [found] = before.objects
    assert found["vectors"]["passages"]["expected"] == 21
    assert 0 < found["cost_usd"]["low"] <= found["cost_usd"]["expected"] <= found["cost_usd"]["high"]
    assert found["documents"] is None
    lines = run("estimate", source, "-w", tmp_path / "w", **env).out
    assert "21 to get a vector" in lines
    pilot = run("estimate", source, "-w", tmp_path / "w", "--pilot", "10", **env)
    assert "10 with vectors" in pilot.out
    after = run("estimate", source, "-w", tmp_path / "w", "--json", **env).objects[0]
    assert (after["vectors"]["have"], after["vectors"]["passages"]["expected"]) == (10, 11)
    ended = run("run", source, "-w", tmp_path / "w", **env)
    assert "Estimated $0.0" in ended.out


def test_an_estimate_of_both_adds_them_up(source: Path, server: ModelServer, tmp_path: Path) -> None:
    env = {
        **environment(server),
        "TUI_SCRAPER_CLASSIFY__BACKEND": "openai",
        "TUI_SCRAPER_CLASSIFY__PRICE_IN_USD": "0.1",
        "TUI_SCRAPER_CLASSIFY__PRICE_OUT_USD": "0.5",
    }
    ended = run("estimate", source, "-w", tmp_path / "w", **env)
    assert ended.code == 0, ended.err
    assert "21 to label" in ended.out
    assert "21 to get a vector" in ended.out
    assert "together   $" in ended.out


def test_doctor_tries_the_model_of_the_vectors(server: ModelServer, tmp_path: Path) -> None:
    ended = run("doctor", "-w", tmp_path / "w", **environment(server))
    assert "text-embedding-3-small at" in ended.out
    assert "makes vectors of 512 numbers" in ended.out
    bad = run("doctor", "-w", tmp_path / "w", **{**environment(server), "OPENAI_API_KEY": "sk-not-this-one"})
    assert bad.code == 1
    assert "refuses the key" in bad.out


def test_search_says_how_much_it_cannot_find_yet(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "w")
    assert run("search", "savanna", "-w", tmp_path / "w").err == ""
    (source / "new.txt").write_text("A savanna of its own.")
    run_once(source, tmp_path / "w", through="chunk")
    found = run("search", "savanna", "-w", tmp_path / "w")
    assert found.err == "1 document is not in the index yet.\n"
    assert "zebra.txt" in found.out
