"""An endpoint where four of ten requests go wrong in every way there is: all documents get a label."""

from __future__ import annotations

import stat
from pathlib import Path

import psutil
import pytest

from tests.chaos.paying import write_documents
from tests.engine.running import ENDED, rows, running
from tests.llm.answers import label_of
from tests.llm.journal import foreign_keys
from tests.llm.model_server import KEY, serving
from tui_scraper.engine import RunSnapshot, RunState
from tui_scraper.engine.labels.taxonomy import general
from tui_scraper.engine.store.reader import Reader

NAMES = [label.name for label in general().labels]
GOOD_AT_FIRST = 30
"""Requests that are answered well, so that the first twenty calls are worth going on."""


def label_all(directory: Path, documents: int, seed: int, deadline_s: float, kinds: int) -> None:
    """Label documents over such an endpoint, and look at everything that it could have spoiled."""
    source, workspace = directory / "source", directory / "workspace"
    write_documents(source, documents, seed)
    with serving(share=0.4, seed=seed, script=["good"] * GOOD_AT_FIRST, deadline_s=1.0) as server:
        classify: dict[str, object] = {
            "backend": "openai",
            "base_url": server.url,
            "timeout_s": 1.0,
            "price_in_usd": 0.1,
            "price_out_usd": 0.5,
            "budget_usd": 100.0,
            "docs_per_request": 4,
        }
        memory: list[int] = []
        with running(source, workspace, settings={"classify": classify}) as run:

            def over(now: RunSnapshot) -> bool:
                memory.append(psutil.Process().memory_info().rss)
                return run.host.ended or now.state in {*ENDED, RunState.PAUSED}

            run.wait(over, "end", deadline_s)
            run.complete()
        records = list(server.records)
    found = rows(workspace)
    assert len(found) == documents
    by_model = {path: row for path, row in found.items() if row["method"] == "openai"}
    assert len(by_model) >= 0.98 * documents
    wrong = [path for path, row in by_model.items() if row["label"] != label_of(row["text"].strip(), NAMES)]
    assert not wrong, "labels that the model did not give"
    assert {row["method"] for row in found.values()} <= {"openai", "local"}
    assert {row["label"] for row in found.values()} <= set(NAMES)
    assert not foreign_keys(records)
    assert len({record.behaviour for record in records}) >= kinds
    for path in workspace.rglob("*"):
        if path.is_file() and not stat.S_ISSOCK(path.stat().st_mode):
            assert KEY.encode() not in path.read_bytes(), path
    with Reader(workspace) as reader:
        audit = reader.audit()
    assert audit.proven
    half = memory[len(memory) // 3 :]
    assert max(half) - half[0] < 80_000_000, "memory grows"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def test_whatever_the_endpoint_does_every_document_is_labelled(tmp_path: Path) -> None:
    label_all(tmp_path, documents=800, seed=3, deadline_s=100.0, kinds=25)


@pytest.mark.slow
def test_ten_thousand_documents_over_a_bad_endpoint(tmp_path: Path) -> None:
    label_all(tmp_path, documents=10_000, seed=1, deadline_s=600.0, kinds=80)
