"""Exports open in what people open them with, with the rows that `status` counts; or the test is skipped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fabricated_store import Doc, Fabricator
from test_formats import ALL, DOCS

from tui_scraper.engine.export import export
from tui_scraper.engine.store.reader import Reader

pytestmark = pytest.mark.filterwarnings("ignore")  # other people's code
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

MORE = [
    Doc(f"many/{number:03}.txt".encode(), f"Text {number}. " * 90, title="=1+1; -2") for number in range(40)
]


@pytest.fixture
def exported(store: Fabricator, tmp_path: Path) -> tuple[Path, int]:
    """An export in all formats, and how many documents `status` says there are."""
    store.run([*DOCS, *MORE])
    export(store.directory, tmp_path / "out", formats=ALL)
    with Reader(store.directory) as reader:
        return tmp_path / "out", reader.status().counts.found


def needs(package: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def lines_of(target: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (target / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def in_another_process(code: str, *arguments: object, home: Path) -> Any:
    """Run code that prints JSON last, without network, with its caches in `home`."""
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "VIRTUAL_ENV"}},
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(EXAMPLES),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_pandas(exported: tuple[Path, int]) -> None:
    needs("pandas")
    import pandas as pd

    target, found = exported
    csv = pd.read_csv(target / "documents.csv")
    parquet = pd.read_parquet(target / "documents.parquet")
    jsonl = pd.read_json(target / "documents.jsonl", lines=True)
    assert len(csv) == len(parquet) == len(jsonl) == found
    assert list(csv.path) == list(parquet.path) == list(jsonl.path)
    assert csv.columns[0] == "path"  # and no byte order mark before it
    assert str(parquet.modified[0]) == "2023-11-14 22:13:20.123456+00:00"


def test_polars(exported: tuple[Path, int]) -> None:
    needs("polars")
    import polars as pl

    target, found = exported
    parquet = pl.read_parquet(target / "documents.parquet")
    csv = pl.read_csv(target / "documents.csv")
    jsonl = pl.read_ndjson(target / "documents.jsonl", infer_schema_length=None)
    assert len(csv) == len(parquet) == len(jsonl) == found
    assert csv["path"].to_list() == parquet["path"].to_list() == jsonl["path"].to_list()
    chunks = parquet.explode("chunks").unnest("chunks", separator=".").drop_nulls("chunks.text")
    assert len(chunks) == sum(len(line["chunks"]) for line in lines_of(target))


def test_duckdb(exported: tuple[Path, int]) -> None:
    needs("duckdb")
    import duckdb

    target, found = exported
    for name in ("documents.parquet", "documents.csv", "documents.jsonl"):
        counted = duckdb.sql(f"SELECT count(*), count(DISTINCT id) FROM '{target / name}'")
        assert counted.fetchall() == [(found, found)]
    chunks = duckdb.sql(f"SELECT sum(len(chunks)) FROM '{target}/documents.parquet'").fetchall()[0][0]
    assert chunks == sum(len(line["chunks"]) for line in lines_of(target))


def test_pyarrow_gives_back_what_the_lines_hold(exported: tuple[Path, int]) -> None:
    from pyarrow import parquet

    target, found = exported
    rows = parquet.read_table(target / "documents.parquet").to_pylist()
    assert len(rows) == found
    for row, line in zip(rows, lines_of(target), strict=True):
        modified = row.pop("modified")
        assert f"{modified:%Y-%m-%dT%H:%M:%S.%fZ}" == line.pop("modified")
        assert row == {"path_bytes": None} | line


_LOAD = """
import json, sys
from datasets import load_dataset
data = load_dataset(sys.argv[1], split="train")
row = data[int(sys.argv[2])]
print(json.dumps([data.num_rows, list(data.features), str(data.features), str(row), sorted(data["id"])]))
"""


@pytest.mark.parametrize("formats", [("jsonl",), ("parquet",), ("csv",), ALL])
def test_datasets(
    exported: tuple[Path, int], store: Fabricator, tmp_path: Path, formats: tuple[str, ...]
) -> None:
    needs("datasets")
    target, found = exported
    export(store.directory, tmp_path / "one", formats=formats)
    count, columns, types, _row, ids = in_another_process(_LOAD, tmp_path / "one", 0, home=tmp_path)
    assert count == found
    assert ids == sorted(line["id"] for line in lines_of(target))
    if formats == ("csv",):
        return
    _count, as_parquet, types_as_parquet, *_rest = in_another_process(_LOAD, target, 0, home=tmp_path)
    assert columns == as_parquet
    assert types == types_as_parquet


def test_libreoffice_opens_the_csv(exported: tuple[Path, int], tmp_path: Path) -> None:
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    target, found = exported
    subprocess.run(
        [
            office,
            f"-env:UserInstallation=file://{tmp_path}/profile",
            "--headless",
            "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76,1",
            "--outdir",
            str(tmp_path / "converted"),
            str(target / "documents.csv"),
        ],
        check=True,
        timeout=300,
        capture_output=True,
    )
    lines = (tmp_path / "converted/documents.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == found + 1
    assert sum("=1+1; '-2" in line for line in lines) == len(MORE)  # what it is, not what it would give


_LANGCHAIN = """
import json, sys
from langchain_loader import ExportLoader
chunks = list(ExportLoader(sys.argv[1]).lazy_load())
whole = ExportLoader(sys.argv[1], chunks=False).load()
print(json.dumps([[[one.id, one.page_content, one.metadata] for one in found] for found in (chunks, whole)]))
"""


def test_the_example_for_langchain_loads_it(exported: tuple[Path, int], tmp_path: Path) -> None:
    needs("langchain_core")
    target, _found = exported
    chunks, whole = in_another_process(_LANGCHAIN, target, home=tmp_path)
    done = [line for line in lines_of(target) if line["status"] == "done"]
    assert [(one[0], one[1]) for one in whole] == [(line["id"], line["text"]) for line in done]
    assert [one[1] for one in chunks] == [chunk["text"] for line in done for chunk in line["chunks"]]
    assert {one[2]["label"] for one in chunks} == {line["label"] for line in done}
    assert len({one[0] for one in chunks}) == len(chunks)


_LLAMA_INDEX = """
import json, sys
from llama_index_reader import ExportReader, read_nodes
whole = list(ExportReader().lazy_load_data(sys.argv[1]))
nodes = list(read_nodes(sys.argv[1]))
print(json.dumps([
    [[one.id_, one.text, one.metadata] for one in whole],
    [[one.node_id, one.text, one.start_char_idx, one.ref_doc_id] for one in nodes],
]))
"""


def test_the_example_for_llama_index_loads_it(exported: tuple[Path, int], tmp_path: Path) -> None:
    needs("llama_index")
    target, _found = exported
    whole, nodes = in_another_process(_LLAMA_INDEX, target, home=tmp_path)
    done = [line for line in lines_of(target) if line["status"] == "done"]
    assert [(one[0], one[1]) for one in whole] == [(line["id"], line["text"]) for line in done]
    assert nodes == [
        [f"{line['id']}-{chunk['ordinal']}", chunk["text"], chunk["start"], line["id"]]
        for line in done
        for chunk in line["chunks"]
    ]
