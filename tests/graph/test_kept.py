"""The graph of a real workspace: from the store, kept in a file, made anew where that does not fit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.engine.running import run_once
from tui_scraper.engine import kept as files
from tui_scraper.engine.document_details import DocumentReader
from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.graph import kept
from tui_scraper.engine.graph.kept import GRAPH, GraphReader
from tui_scraper.engine.store.connection import open_blobs

FILES = {
    "index.md": "# The index of everything here\n\n[one](one.md) [two](two.md) [gone](gone.md)\n",
    "one.md": "# One\n\nBack to the [index](index.md). See RFC 2119.\n",
    "two.md": "# Two\n\nAs the index of everything here says.\n",
    "alone.txt": "Nothing refers to this and it refers to nothing.\n",
    "rfc2119.txt": "Key words for use in RFCs.\n",
    "1.eml": "From: a@x.org\nMessage-ID: <1@x.org>\nSubject: Hello\n\nHello there, everyone.\n",
    "2.eml": "From: b@x.org\nMessage-ID: <2@x.org>\nIn-Reply-To: <1@x.org>\nSubject: Re: Hi\n\nHi to you.\n",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Path:
    run_once(source, tmp_path / "w")
    return tmp_path / "w"


def references(workspace: Path) -> int:
    with GraphReader(workspace) as reader:
        return len(reader.graph().sources)


def made(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the texts are read when the graph is asked for."""
    calls: list[int] = []
    real = kept.make_graph
    GRAPH.forget()
    monkeypatch.setattr(kept, "make_graph", lambda *arguments: (calls.append(1), real(*arguments))[1])
    assert references(workspace) >= 6
    monkeypatch.setattr(kept, "make_graph", real)
    return len(calls)


def test_the_second_question_reads_nothing(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made(workspace, monkeypatch) == 1
    assert made(workspace, monkeypatch) == 0
    assert stat.S_IMODE((workspace / GRAPH.name).stat().st_mode) == 0o600
    assert not [name for name in os.listdir(workspace) if name.startswith(".graph-")]
    assert run("verify", "-w", workspace).code == 0


def test_what_changes_the_documents_changes_the_graph(
    source: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert references(workspace) == 6
    (source / "alone.txt").write_text("Now it cites the index of everything here, among others.\n")
    run_once(source, workspace)
    assert references(workspace) == 7
    run("rollback", "clean", "--yes", "-w", workspace)
    assert made(workspace, monkeypatch) == 1
    (source / "gone.md").write_text("# Not gone\n")
    run_once(source, workspace)
    with GraphReader(workspace) as reader:
        assert not list(reader.graph().broken())


@pytest.mark.parametrize("at", [0, 20, 60, 200, -1])
def test_a_damaged_file_is_made_anew(workspace: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    references(workspace)
    data = bytearray((workspace / GRAPH.name).read_bytes())
    data[at] ^= 0x40
    (workspace / GRAPH.name).write_bytes(data)
    assert made(workspace, monkeypatch) == 1
    (workspace / GRAPH.name).write_bytes(bytes(data[: len(data) // 2]))
    assert made(workspace, monkeypatch) == 1
    assert made(workspace, monkeypatch) == 0


def test_a_file_of_another_program_or_of_another_workspace_is_not_used(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    references(workspace)
    monkeypatch.setattr(files, "__version__", "0.0.1")
    assert made(workspace, monkeypatch) == 1
    (workspace / GRAPH.name).unlink()
    (workspace / GRAPH.name).symlink_to("/dev/zero")
    assert made(workspace, monkeypatch) == 1


def test_where_it_cannot_be_kept_it_is_made_all_the_same(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.tempfile, "mkstemp", refused)
    assert made(workspace, monkeypatch) == 1
    assert not (workspace / GRAPH.name).exists()


def test_a_damaged_text_is_a_sentence_with_its_name(workspace: Path) -> None:
    blobs = open_blobs(workspace)
    blobs.execute("UPDATE blob SET data = zeroblob(20) WHERE id = (SELECT min(id) FROM blob)")
    blobs.close()
    with pytest.raises(StoreError, match=r"its text cannot be read"), GraphReader(workspace) as reader:
        reader.graph()


def test_a_document_knows_its_neighbours_once_the_graph_is_there(workspace: Path) -> None:
    with DocumentReader(workspace) as reader:
        version = reader.version("index.md")
        before = reader.details(version)
        assert before is not None and before.neighbours is None
        references(workspace)
        after = reader.details(version)
    assert after is not None and after.neighbours is not None
    assert after.neighbours.refers_to == (("hyperlink", "one.md"), ("hyperlink", "two.md"))
    assert after.neighbours.referred_by == (("hyperlink", "one.md"), ("title", "two.md"))
    assert after.neighbours.broken == (("hyperlink", "gone.md"),)


def test_the_command_lists_shows_and_exports(workspace: Path, tmp_path: Path) -> None:
    (summary,) = run("graph", "-w", workspace, "--json").objects
    assert (summary["documents"], summary["references"], summary["broken"]) == (7, 6, 1)
    assert summary["kinds"] == {"hyperlink": 3, "reply": 1, "rfc": 1, "title": 1}
    assert summary["cycles"] == 1
    assert summary["most_referred"][0] == {"path": "index.md", "referrers": 2}
    said = run("graph", "-w", workspace).out
    for part in ("7   2 of them nothing refers to", "reply", "most referred to", "--broken lists them"):
        assert part in said
    (near,) = run("graph", "index.md", "-w", workspace, "--json").objects
    assert [one["path"] for one in near["refers_to"]] == ["one.md", "two.md"]
    assert [(one["path"], one["kind"]) for one in near["referred_by"]] == [
        ("one.md", "hyperlink"), ("two.md", "title"),
    ]  # fmt: skip
    assert "is referred to by: nothing" in run("graph", "alone.txt", "-w", workspace).out
    assert run("graph", "--broken", "-w", workspace).out == "hyperlink  index.md → gone.md\n"
    (circle,) = run("graph", "--cycles", "-w", workspace, "--json").objects
    assert circle == {"size": 3, "documents": ["index.md", "one.md", "two.md"]}
    assert "lead to each other" in run("graph", "--cycles", "-w", workspace).out
    assert run("graph", "--cycles", "--kind", "reply", "-w", workspace).out.startswith("No documents lead")
    assert run("graph", "--most", "1", "-w", workspace).out == "        2  index.md\n"
    assert run("graph", "--unreferenced", "-w", workspace).out == "2.eml\nalone.txt\n"
    target = tmp_path / "graph.dot"
    assert "7 documents and 6 references written" in run("graph", "--export", target, "-w", workspace).out
    assert target.read_text().startswith("digraph")
    assert run("graph", "--export", target, "--format", "jsonl", "-w", workspace).code == 0
    assert len(target.read_text().splitlines()) == 6
    run("graph", "--export", target, "--format", "jsonl", "--kind", "reply", "--kind", "rfc", "-w", workspace)
    assert len(target.read_text().splitlines()) == 2


def test_what_is_asked_wrongly_ends_with_2(workspace: Path, tmp_path: Path) -> None:
    unknown = run("graph", "nothing.md", "-w", workspace)
    assert (unknown.code, "there is no such document here" in unknown.err) == (2, True)
    assert run("graph", "--format", "dot", "-w", workspace).code == 2
    assert run("graph", "--broken", "--cycles", "-w", workspace).code == 2
    assert run("graph", "--export", tmp_path, "-w", workspace).code == 2
    assert run("graph", "--kind", "love", "-w", workspace).code == 2


def test_show_tells_of_references_once_they_are_worked_out(workspace: Path) -> None:
    assert "`tui-scraper graph` works out" in run("show", "index.md", "-w", workspace).out
    references(workspace)
    said = run("show", "index.md", "-w", workspace).out
    for part in (
        "refers to hyperlink one.md",
        "broken    hyperlink gone.md",
        "referrers hyperlink one.md",
        "title",
    ):
        assert part in " ".join(said.split()) or part in said
    (found,) = run("show", "index.md", "-w", workspace, "--json").objects
    assert found["referred_by"] == [
        {"path": "one.md", "kind": "hyperlink"}, {"path": "two.md", "kind": "title"},
    ]  # fmt: skip
    (mail,) = run("show", "2.eml", "-w", workspace, "--json").objects
    assert [link["kind"] for link in mail["links"]] == ["reference"]
