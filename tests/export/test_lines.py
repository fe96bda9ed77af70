"""What reading the lines asks of the database."""

from __future__ import annotations

from typing import Any

import apsw
import pytest
from fabricated_store import Doc, Fabricator

from tui_scraper.engine.export.lines import read_lines
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint


def scanned_for_each_row(state: apsw.Connection, sql: str, bindings: Any) -> list[str]:
    """The tables that a statement goes through from end to end for each row of another."""
    found: list[str] = []
    repeated: set[int] = set()
    read_before: set[int] = set()
    for number, parent, _unused, detail in state.execute(f"EXPLAIN QUERY PLAN {sql}", bindings):
        if parent in repeated or detail.startswith("CORRELATED"):
            repeated.add(number)
        if detail.startswith("SCAN") and (parent in repeated or parent in read_before):
            found.append(detail)
        if detail.startswith(("SCAN", "SEARCH")):
            read_before.add(parent)
    return found


@pytest.mark.parametrize("rolled_back", [False, True])
def test_no_table_is_scanned_for_each_document(store: Fabricator, rolled_back: bool) -> None:
    store.run([Doc(b"a.txt", "some text"), Doc(b"b.txt", "another"), Doc(b"c.txt", "some text")])
    if rolled_back:
        checkpoint = store.writer.call(take_checkpoint(PhaseName.INDEX))
        store.run([Doc(b"d.txt", "of a later scan")])
        store.writer.call(roll_back_to_checkpoint(checkpoint))
    asked: list[tuple[str, Any]] = []

    def note(_cursor: Any, sql: str, bindings: Any) -> bool:
        asked.append((sql, bindings))
        return True

    state = open_state(store.directory, read_only=True)
    blobs = open_blobs(store.directory, read_only=True)
    try:
        head = read_head(state)
        state.exec_trace = note
        rows = list(read_lines(state, blobs, head))
        state.exec_trace = None
        assert len(rows) == 3
        assert len(asked) > 5
        assert {
            sql: found for sql, bindings in asked if (found := scanned_for_each_row(state, sql, bindings))
        } == {}
    finally:
        state.close()
        blobs.close()
