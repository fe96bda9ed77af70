"""The graph as a file: read back by others, and safe whatever a document is called."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.graph.corpora import corpus
from tests.graph.test_exact import graph_of
from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.graph.files import write_graph
from tui_scraper.engine.graph.model import Graph
from tui_scraper.engine.safe_text import safe_text, show_path

HOSTILE = ('"];\n}', "<data>&amp;]]>", "a\\", 'b\\"', "\ufffe\x00\x1b[31m", "-->", "文書", "x\udcff")
_XML = "{http://graphml.graphdrawing.org/xmlns}"


@pytest.fixture(scope="module")
def graph() -> tuple[Graph, list[str]]:
    docs = corpus(3, 200)
    paths = [safe_text(show_path(doc.path)) for doc in docs]
    for at, name in enumerate(HOSTILE):
        paths[at] = safe_text(name)
    return graph_of(docs), paths


def test_json_lines_hold_every_reference(tmp_path: Path, graph: tuple[Graph, list[str]]) -> None:
    found, paths = graph
    assert write_graph(found, paths, tmp_path / "g.jsonl", "jsonl") == len(found.sources)
    lines = (tmp_path / "g.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    expected = [(paths[one.source], paths[one.target], one.kind, one.count) for one in found.edges()]
    assert [tuple(json.loads(line).values()) for line in lines] == expected


def test_graphml_is_well_formed_and_complete(tmp_path: Path, graph: tuple[Graph, list[str]]) -> None:
    found, paths = graph
    write_graph(found, paths, tmp_path / "g.graphml", "graphml")
    tree = ElementTree.parse(tmp_path / "g.graphml").getroot()
    nodes = [node.findtext(f"{_XML}data") for node in tree.iter(f"{_XML}node")]
    assert nodes == [path.replace("\ufffe", "\ufffd") for path in paths]
    edges = [(edge.get("source"), edge.get("target")) for edge in tree.iter(f"{_XML}edge")]
    assert edges == [(f"n{one.source}", f"n{one.target}") for one in found.edges()]


def test_dot_quotes_what_a_name_may_hold(tmp_path: Path, graph: tuple[Graph, list[str]]) -> None:
    found, paths = graph
    write_graph(found, paths, tmp_path / "g.dot", "dot")
    text = (tmp_path / "g.dot").read_text(encoding="utf-8")
    labels = re.findall(r'^  n\d+ \[label="((?:[^"\\]|\\.)*)"\];$', text, re.MULTILINE)
    assert [re.sub(r"\\(.)", r"\1", label) for label in labels] == paths
    assert text.count(" -> ") == len(found.sources)
    if program := shutil.which("dot"):
        subprocess.run([program, "-Tcanon", str(tmp_path / "g.dot")], check=True, capture_output=True)


def test_two_files_of_one_graph_have_the_same_bytes_and_nothing_is_left_beside(
    tmp_path: Path, graph: tuple[Graph, list[str]]
) -> None:
    found, paths = graph
    for form in ("graphml", "dot", "jsonl"):
        write_graph(found, paths, tmp_path / "one", form)
        before = (tmp_path / "one").read_bytes()
        write_graph(found, paths, tmp_path / "one", form)
        assert (tmp_path / "one").read_bytes() == before
    assert os.listdir(tmp_path) == ["one"]


def test_a_place_that_is_none_is_refused(tmp_path: Path, graph: tuple[Graph, list[str]]) -> None:
    found, paths = graph
    with pytest.raises(UsageError, match="this is a folder"):
        write_graph(found, paths, tmp_path, "dot")
    with pytest.raises(UsageError, match="cannot be written"):
        write_graph(found, paths, tmp_path / "no" / "where", "dot")
