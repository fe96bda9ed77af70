"""`report`: on the terminal, as data and as a page; beside a run, on a disk that can only be read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from tests.cli.test_commands import run
from tests.engine.corpus import write_corpus
from tests.engine.running import running
from tests.engine.test_model_labels import write_documents
from tests.llm.model_server import KEY, ModelServer, serving
from tui_scraper.engine import RunState

PRICES = {"TUI_SCRAPER_CLASSIFY__PRICE_IN_USD": "1", "TUI_SCRAPER_CLASSIFY__PRICE_OUT_USD": "5"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("made")
    write_corpus(base / "source", 6)
    assert run("run", base / "source", "-w", base / "w").code == 3
    return base / "w"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as found:
        yield found


def test_the_figures_are_those_of_status_and_failures(made: Path) -> None:
    (found,) = run("report", "-w", made, "--json").objects
    (status,) = run("status", "-w", made, "--json").objects
    assert {key: found[key] for key in status} == status
    failures = run("failures", "-w", made, "--json").objects
    assert sum(one["documents"] for one in found["failures"]) == len(failures)
    sentences = {(one["path"], one["message"]) for one in failures}
    for one in found["failures"]:
        assert {(each["path"], each["message"]) for each in one["examples"]} <= sentences
    documents = run("documents", "-w", made, "--json").objects
    assert found["labels"]["documents"] == sum(one["label"] is not None for one in documents)
    assert found["pace"]["documents"] == status["found"]
    assert found["file"] is None


def test_a_person_reads_the_same_in_lines_and_is_told_what_to_do(made: Path) -> None:
    said = run("report", "-w", made)
    assert said.code == 0
    for words in (
        "documents done;",
        "broken.pdf",
        "Put an undamaged copy in its place",
        "no model was asked",
    ):
        assert words in said.out
    assert "\x1b" not in said.out
    assert max(map(len, said.out.splitlines())) < 200


def test_the_page_is_written_whole_and_only_over_a_report(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    first = run("report", target, "-w", made)
    assert (first.code, str(target) in first.out) == (0, True)
    (second,) = run("report", target, "-w", made, "--json").objects
    assert second["file"] == str(target)
    tree = LexborHTMLParser(target.read_text(encoding="utf-8"))
    assert f"{second['done']:,} of {second['found']:,} documents done" in tree.css_first(".headline").text()
    (tmp_path / "mine.html").write_text("mine")
    refused = run("report", tmp_path / "mine.html", "-w", made)
    assert (refused.code, refused.out) == (2, "")
    assert "not a report of tui-scraper; it was left as it is" in refused.err
    assert (tmp_path / "mine.html").read_text() == "mine"
    assert run("report", tmp_path / "mine.html", "-w", made, "--force").code == 0
    assert run("report", tmp_path / "none" / "x.html", "-w", made).code == 2
    assert run("report", "/dev/full", "-w", made, "--force").code == 2
    assert sorted(os.listdir(tmp_path)) == ["mine.html", "report.html"]


def test_it_reads_a_workspace_that_cannot_be_written(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    assert run("report", tmp_path / "report.html", "-w", copy).code == 0
    after = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    for name, content in before.items():
        if not name.endswith(("-shm", "-wal")):
            assert after[name] == content, name


def test_beside_a_run_it_tells_of_one_moment(tmp_path: Path) -> None:
    write_corpus(tmp_path / "source", 200)
    with running(tmp_path / "source", tmp_path / "w") as engine:
        engine.wait(lambda now: now.counts.found > 50, "some documents")
        seen = []
        while not seen or engine.host.snapshot().state is RunState.RUNNING:
            (found,) = run("report", "-w", tmp_path / "w", "--json").objects
            states = [found[name] for name in ("done", "failed", "skipped", "empty", "pending")]
            assert sum(states) == found["found"] == sum(one["documents"] for one in found["media_types"])
            labelled = found["phases"].get("classify", {}).get("done", 0)
            assert found["labels"]["documents"] == labelled
            seen.append(found["state"])
            if len(seen) > 40:
                break
        assert "running" in seen or "complete" in seen


def test_what_was_paid_is_held_against_the_estimate_and_no_estimate_is_forgotten(
    tmp_path: Path, server: ModelServer
) -> None:
    source = write_documents(tmp_path / "source", 30)
    shutil.copy(source / sorted(os.listdir(source))[0], source / "copy.txt")
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, **PRICES}
    assert run("estimate", source, "-w", tmp_path / "w", **environment).code == 0
    assert "Estimated" in run("run", source, "-w", tmp_path / "w", **environment).out
    assert "Estimated" not in run("run", source, "-w", tmp_path / "w", **environment).out  # said once
    (found,) = run("report", "-w", tmp_path / "w", "--json").objects
    (audited,) = run("audit", "-w", tmp_path / "w", "--json").objects
    spent = found["spent"]
    assert spent["cost_usd"] == audited["cost_usd"] > 0
    assert sum(one["cost_usd"] for one in spent["models"]) == pytest.approx(spent["cost_usd"])
    assert sum(one["calls"] for one in spent["models"]) == spent["calls"] == audited["calls"]
    assert spent["estimate"]["spent_since_usd"] == spent["cost_usd"]
    low, expected, high = spent["estimate"]["cost_usd"]
    assert 0 < low <= expected <= high
    assert spent["shared_labels"]["documents"] == 1
    assert 0 < spent["shared_labels"]["saved_usd"] < spent["cost_usd"]
    assert spent["budget_usd"] == 1.0
    said = run("report", "-w", tmp_path / "w").out
    assert "estimated $" in said
    assert "spent since" in said
    assert "1 document took the label of another with the same text" in said


def test_what_gc_has_freed_is_said_to_be_missing_from_the_pace(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "source", 12)
    assert run("run", source, "-w", tmp_path / "w").code == 0
    assert run("run", source, "-w", tmp_path / "w", TUI_SCRAPER_CHUNK__MAX_TOKENS="256").code == 0
    (before,) = run("report", "-w", tmp_path / "w", "--json").objects
    assert before["pace"]["freed_results"] == 0
    assert run("gc", "--keep", "1", "-w", tmp_path / "w").code == 0
    (after,) = run("report", "-w", tmp_path / "w", "--json").objects
    assert after["pace"]["freed_results"] > 0
    assert after["labels"] == before["labels"]
    assert "that `gc` has freed since are not counted" in run("report", "-w", tmp_path / "w").out


def test_a_workspace_without_a_run_and_no_workspace_at_all(tmp_path: Path) -> None:
    nothing = run("report", "-w", tmp_path)
    assert (nothing.code, "there is no workspace" in nothing.err) == (2, True)
    (tmp_path / "empty").mkdir()
    assert run("run", tmp_path / "empty", "-w", tmp_path / "w").code == 0
    (found,) = run("report", "-w", tmp_path / "w", "--json").objects
    assert found["found"] == 0
    assert found["pace"]["per_second"] is None
    assert "Nothing has been found here yet." in run("report", tmp_path / "r.html", "-w", tmp_path / "w").out
    assert json.loads(run("report", "-w", tmp_path / "w", "--json").out)["failures"] == []


def test_near_duplicates_that_the_export_has_found_are_told(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    lines = [f"Line {number} of a letter that was sent to more than one." for number in range(60)]
    for name, last in (("first", "Dear Ann"), ("second", "Dear Bob"), ("third", "Dear Eve")):
        (tmp_path / "source" / f"{name}.txt").write_text("\n".join([*lines, last]))
    (tmp_path / "source" / "other.txt").write_text("Nothing of that kind.")
    assert run("run", tmp_path / "source", "-w", tmp_path / "w").code == 0
    said = run("report", "-w", tmp_path / "w").out
    assert "1 group with nearly the same text: 2 more than needed" in said
    assert run("report", tmp_path / "page.html", "-w", tmp_path / "w").code == 0
    body = LexborHTMLParser((tmp_path / "page.html").read_text()).body
    assert body is not None
    assert "1 group with nearly the same text" in body.text()
    assert "second.txt" in body.text()
