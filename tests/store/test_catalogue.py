"""The catalogue says of every document what its row says, and finds and orders them by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.histories import STEPS, History
from tests.ui.stored import HOSTILE, Bad, write_failures
from tui_scraper.engine import Cause, Status
from tui_scraper.engine.document_details import DocumentReader
from tui_scraper.engine.models import DocumentRow, Order
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.catalogue import Catalogue
from tui_scraper.engine.store.head import STATUSES


def look(directory: Path) -> tuple[Catalogue, list[DocumentRow]]:
    with DocumentReader(directory) as reader:
        catalogue = reader.catalogue()
        rows = reader.rows(catalogue.versions.tolist())
        assert reader.first(3) == rows[:3]
        assert len(rows) == len(catalogue) == reader.count()
    return catalogue, rows


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, max_size=14))
def test_it_says_what_the_rows_say(tmp_path_factory: pytest.TempPathFactory, steps: Sequence[Any]) -> None:
    store = History(tmp_path_factory.mktemp("store"))
    try:
        for step in steps:
            store.step(*step)
        catalogue, rows = look(store.directory)
    finally:
        store.writer.close()
    assert [row.path.encode() for row in rows] == sorted(row.path.encode() for row in rows)
    for place, row in enumerate(rows):
        assert STATUSES[catalogue.status[place]] is row.status, row
        assert catalogue.causes[catalogue.cause[place]] == row.cause
        if row.status is not Status.PENDING:  # of what is under way a label of before may show
            assert catalogue.labels[catalogue.label[place]] == row.labels, row
            assert catalogue.methods[catalogue.method[place]] == row.method
            sure = catalogue.confidence[place]
            assert row.confidence is None if np.isnan(sure) else abs(sure - row.confidence) < 1e-6
    for order in Order:
        assert sorted(catalogue.sort(catalogue.select(""), order).tolist()) == list(range(len(rows)))


@pytest.fixture
def found(tmp_path: Path) -> tuple[Catalogue, list[DocumentRow]]:
    documents = [
        Bad("Reports/Bilanz Ärger.pdf", size_bytes=5),
        Bad("reports/notes.txt", Cause.NO_TEXT, "No text.", Status.EMPTY, size_bytes=900),
        Bad("reports/ÄRGER.txt", Cause.CORRUPT, "Broken.", size_bytes=70),
        Bad("報告書.pdf", Cause.UNSUPPORTED, "Not read.", Status.SKIPPED),
        Bad(HOSTILE),
        Bad("two\nlines.txt"),
    ]
    write_failures(tmp_path / "w", documents)
    return look(tmp_path / "w")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", 6),
        ("ärger", ["Reports/Bilanz Ärger.pdf", "reports/ÄRGER.txt"]),
        ("REPORTS", 3),
        ("reports -ärger", ["reports/notes.txt"]),
        ("報告", ["報告書.pdf"]),
        ("status:empty", ["reports/notes.txt"]),
        ("-status:failed", ["reports/notes.txt", "報告書.pdf"]),
        ("corrupt", ["reports/ÄRGER.txt"]),
        ("path:corrupt", []),
        ("label:tax", []),
        ("[/final]", 1),
        ("lines", 1),
        (".*", []),
        ("-", 0),
        ("<60", []),
    ],
)
def test_a_query_finds_what_a_row_shows(
    found: tuple[Catalogue, list[DocumentRow]], query: str, names: list[str] | int
) -> None:
    catalogue, rows = found
    chosen = [rows[place].path for place in catalogue.select(query)]
    assert (len(chosen) if isinstance(names, int) else chosen) == names


def test_the_largest_come_first(found: tuple[Catalogue, list[DocumentRow]]) -> None:
    catalogue, rows = found
    sizes = [rows[place].size_bytes for place in catalogue.sort(catalogue.select("reports"), Order.LARGEST)]
    assert sizes == [900, 70, 5]


def test_what_a_person_has_decided_comes_after_what_nobody_is_sure_of() -> None:
    labels = [("human", 1.0), ("openai", None), ("local", 0.9), ("local", 0.2)]
    catalogue = Catalogue(*(np.arange(1, 6, dtype=np.int64),) * 2, b"a\nb\nc\nd\ne\n", np.arange(0, 10, 2))
    for place, (method, sure) in enumerate(labels):
        catalogue.give(place, StoredLabel(["x"], sure, method, []))
    ordered = catalogue.sort(catalogue.select(""), Order.LEAST_SURE)
    assert ordered.tolist() == [3, 2, 1, 0, 4]


def test_an_empty_workspace_has_an_empty_catalogue(tmp_path: Path) -> None:
    write_failures(tmp_path / "w", [])
    catalogue, rows = look(tmp_path / "w")
    assert (len(catalogue), rows) == (0, [])
    assert catalogue.select("anything").tolist() == []


def test_it_is_filtered_by_what_is_there_more_than_once_where_that_is_known() -> None:
    paths = b"a\nb\nc\nd\n"
    found = Catalogue(np.arange(1, 5), np.ones(4, np.int64), paths, np.arange(0, 8, 2))
    assert found.lacks_copies("is:duplicate") and not found.lacks_copies("duplicate is it")
    assert not len(found.select("is:duplicate")) and not len(found.select("-duplicate:exact"))
    flags = {"first": [1, 0, 0, 0], "exact": [0, 1, 0, 0], "near": [0, 0, 1, 0]}
    found.copies = {name: np.array(values, np.bool_) for name, values in flags.items()}
    for query, rows in (
        ("is:duplicate", [1, 2]),
        ("IS:dup", [1, 2]),
        ("is:nothing", []),
        ("-is:duplicate", [0, 3]),
        ("duplicate:exact", [1]),
        ("duplicate:n", [2]),
        ("duplicate:first", [0]),
        ("is:duplicate -c", [1]),
        ("duplicate:", []),
    ):
        assert found.select(query).tolist() == rows, query
