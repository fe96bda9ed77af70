"""How a comparison of two points of history is printed: totals, then some documents of each kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.histories import History
from tui_scraper import plain_history
from tui_scraper.engine import PhaseName
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.reader import Reader


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    """A workspace whose second checkpoint has another label for each of 30 documents; one came, one went."""
    history = History(tmp_path_factory.mktemp("compared") / "workspace")
    history.scan({b"%02d.txt" % number: 1 for number in range(31)})
    history.work()
    first = history.writer.call(take_checkpoint(PhaseName.INDEX))
    history.use(classify=1)
    history.scan({b"%02d.txt" % number: 1 for number in range(1, 32)})
    history.work("done", 30)
    history.work("corrupt")
    second = history.writer.call(take_checkpoint(PhaseName.INDEX))
    history.writer.close()
    yield history.directory, first, second


def test_people_see_totals_and_at_most_twenty_documents_of_each_kind(
    workspace: tuple[Path, int, int],
) -> None:
    directory, first, second = workspace
    with Reader(directory) as reader, reader.compare(first, second) as comparison:
        lines = list(plain_history.comparison_lines(comparison))
    assert lines[0].split() == ["checkpoint", str(first), "checkpoint", str(second), "difference"]
    assert [line.split() for line in lines[1:4]] == [
        ["found", "31", "31"],
        ["done", "31", "30", "−1"],
        ["failed", "0", "1", "+1"],
    ]
    assert "32 documents differ." in lines
    came = lines.index("came · 1")
    assert lines[came + 1] == "  31.txt · failed (corrupt)"
    gone = lines.index("gone · 1")
    assert lines[gone + 1].startswith("  00.txt · done · ")
    labels = lines.index("labels changed · 30")
    assert lines[labels + 1].startswith("  01.txt · ")
    assert " → " in lines[labels + 1]
    assert lines[labels + 21] == "  … and 10 more"
    assert len({len(line) for line in lines[1:4] if "+" in line or "−" in line}) == 1  # columns line up


def test_programs_get_one_object_of_totals_and_one_for_each_document(
    workspace: tuple[Path, int, int],
) -> None:
    directory, first, second = workspace
    with Reader(directory) as reader, reader.compare(first, second) as comparison:
        record = plain_history.comparison_record(comparison)
        documents = [plain_history.difference_record(one) for one in comparison.documents()]
    assert json.loads(json.dumps([record, *documents])) == [record, *documents]
    assert (record["a"], record["b"]) == (first, second)
    totals = {"found": 31, "done": 31, "failed": 0, "skipped": 0, "empty": 0, "pending": 0}
    assert record["documents"] == {"a": totals, "b": {**totals, "done": 30, "failed": 1}}
    assert set(record) == {"a", "b", "documents", "tokens", "cost_usd", "chunk_tokens", "labels_cost_usd"}
    assert len(documents) == 32
    assert documents[0]["path"] == "00.txt"
    assert documents[0]["changes"] == ["gone"]
    assert documents[0]["b"] is None
    assert documents[-1]["b"] == {"status": "failed", "cause": "corrupt", "labels": [], "confidence": None}
    with Reader(directory) as reader, reader.compare(first) as comparison:
        assert plain_history.comparison_record(comparison)["b"] is None
