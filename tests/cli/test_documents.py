"""Commands about documents one by one, with and without an engine at work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.engine.corpus import write_corpus
from tests.engine.running import export_bytes, running
from tui_scraper.engine import RunState


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "source", 6)
    assert run("run", tmp_path / "source", "-w", tmp_path / "w").code == 3
    return tmp_path / "w"


def test_documents_lists_all_or_what_a_filter_lets_through(workspace: Path) -> None:
    every = run("documents", "-w", workspace, "--json").objects
    exported = [json.loads(line) for line in export_bytes(workspace).splitlines()]
    assert len(every) == len(exported)
    by_path = {row["path"]: row for row in exported}
    for one in every:
        if one["path"] in by_path:  # a name that a terminal could act on is shown otherwise
            row = by_path[one["path"]]
            assert [one[key] for key in ("status", "label", "labels", "confidence", "method", "size")] == [
                row[key] for key in ("status", "label", "labels", "confidence", "method", "size")
            ]
    failed = run("documents", "-w", workspace, "--filter", "status:failed", "--json").objects
    assert [one["path"] for one in failed] == ["broken.pdf"]
    first, second, *_ = run("documents", "-w", workspace, "--order", "least sure", "--json").objects
    assert first["confidence"] <= second["confidence"]
    assert len(run("documents", "-w", workspace, "-n", "2").out.splitlines()) == 2
    assert "No document is like that." in run("documents", "-w", workspace, "--filter", "nowhere").out


def test_show_tells_all_of_a_document(workspace: Path) -> None:
    said = run("show", "guide.md", "-w", workspace).out
    for part in ("guide.md", "✓ done", "label", "Chunk 1 of", "How to read this.", "characters"):
        assert part in said
    (found,) = run("show", "broken.pdf", "-w", workspace, "--json").objects
    assert found["error"]["phase"] == "clean"
    assert found["text"] == ""
    unknown = run("show", "nothing.pdf", "-w", workspace)
    assert (unknown.code, "there is no such document here" in unknown.err) == (2, True)


def test_a_document_can_be_named_as_lists_show_it(workspace: Path) -> None:
    listed = [one["path"] for one in run("documents", "-w", workspace, "--json").objects]
    odd = [path for path in listed if "␛" in path or "\\x" in path or " break" in path]
    assert len(odd) == 3, listed
    for path in odd:
        assert run("show", path, "-w", workspace, "--json").objects[0]["path"] == path
        assert run("label", path, "legal", "-w", workspace).code == 0
    several = run("label", "guide.md", "legal", "news", "-w", workspace)
    assert (several.code, "A document has one label here" in several.err) == (2, True)
    assert run("label", "guide.md", "legal", "legal", "-w", workspace).code == 0


def test_a_label_is_given_accepted_and_taken_away(workspace: Path) -> None:
    said = run("label", "guide.md", "Legal", "-w", workspace).out
    assert said == "guide.md is labelled by hand: legal. The next run exports it so.\n"
    assert "legal by hand" in run("show", "guide.md", "-w", workspace).out
    wrong = run("label", "guide.md", "legla", "-w", workspace)
    assert (wrong.code, "did you mean 'legal'?" in wrong.err) == (2, True)
    assert run("label", "guide.md", "-w", workspace).code == 2
    assert "was never read" not in run("label", "broken.pdf", "legal", "-w", workspace).err
    (before,) = run("documents", "-w", workspace, "--filter", "path:page.html", "--json").objects
    (accepted,) = run("label", "page.html", "--accept", "-w", workspace, "--json").objects
    assert accepted["labels"] == before["labels"]
    assert len(run("documents", "-w", workspace, "--filter", "method:human", "--json").objects) == 3
    assert "no longer labelled" in run("label", "guide.md", "--clear", "-w", workspace).out
    assert run("verify", "-w", workspace).code == 0


def test_what_failed_is_set_aside_and_no_longer_ends_a_run_with_3(workspace: Path) -> None:
    assert run("skip", "-w", workspace).code == 2
    assert "no failed document" in run("skip", "guide.md", "-w", workspace).err
    assert "1 document is set aside" in run("skip", "broken.pdf", "-w", workspace).out
    assert run("run", workspace.parent / "source", "-w", workspace).code == 0
    assert "0 documents" in run("retry", "-w", workspace).out
    assert "1 document is" in run("retry", "--cause", "set aside by hand", "-w", workspace).out
    assert run("run", workspace.parent / "source", "-w", workspace).code == 3


def test_an_engine_that_works_there_does_it_itself(workspace: Path) -> None:
    with running(workspace.parent / "source", workspace) as it:
        it.wait(lambda now: now.state is RunState.COMPLETE, "the end")
        assert "state      complete (process " in run("status", "-w", workspace).out
        assert "labelled by hand: legal" in run("label", "guide.md", "legal", "-w", workspace).out
        refused = run("label", "nothing.md", "legal", "-w", workspace)
        assert refused.code == 2
        assert "1 document is set aside" in run("skip", "--cause", "corrupt", "-w", workspace).out
        it.wait(lambda now: any("labelled by hand" in line.text for line in now.log), "the log")
        said = run("retry", "broken.pdf", "-w", workspace).out
        assert said == "1 document is worked on again by the engine that runs here.\n"
        it.wait(lambda now: now.counts.failed == 1 and now.state is RunState.COMPLETE, "the second try")
        assert run("checkpoints", "name", "1", "first", "-w", workspace).code == 0
        assert "first" in run("checkpoints", "-w", workspace).out
