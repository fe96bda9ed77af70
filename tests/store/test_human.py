"""Labels by hand belong to the content: they hold above rollbacks and settings until they are taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.histories import History
from tui_scraper.engine import PhaseName, UsageError
from tui_scraper.engine.document_details import DocumentReader
from tui_scraper.engine.export.lines import read_rows
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.connection import STATE_FILE, connect, open_blobs, open_state
from tui_scraper.engine.store.head import read_head
from tui_scraper.engine.store.human import give_label, given_since, last_given
from tui_scraper.engine.store.rollback import (
    if_unmoved,
    moves,
    roll_back_to_checkpoint,
    roll_back_to_phase,
)
from tui_scraper.engine.store.setbacks import put_back, set_aside
from tui_scraper.engine.verify import repair, verify


@pytest.fixture
def store(tmp_path: Path) -> Iterator[History]:
    store = History(tmp_path / "w")
    store.work("done", 100)
    yield store
    store.writer.close()


def labels(store: History) -> dict[str, tuple[str, ...]]:
    """Path -> labels, as lists show them; what is exported must say the same."""
    with DocumentReader(store.directory) as reader:
        listed = {
            row.path: (row.labels, row.method) for row in reader.rows(reader.catalogue().versions.tolist())
        }
    state, blobs = (opened(store.directory, read_only=True) for opened in (open_state, open_blobs))
    try:
        exported = {
            row.path: (tuple(row.labels), row.method or "")
            for row in read_rows(state, blobs, read_head(state))
        }
    finally:
        state.close()
        blobs.close()
    assert listed == exported
    return {path: found for path, (found, _method) in listed.items()}


def test_it_holds_above_every_rollback_and_setting(store: History) -> None:
    before = labels(store)
    point = store.writer.call(take_checkpoint(PhaseName.INDEX))
    given = store.writer.call(give_label(["by hand"], path=b"a"))
    assert (given.path, given.labels, given.documents) == ("a", ("by hand",), 1)
    with_it = before | {"a": ("by hand",)}
    assert labels(store) == with_it
    store.writer.call(roll_back_to_checkpoint(point))
    assert labels(store) == with_it
    store.writer.call(roll_back_to_phase(PhaseName.INPUT))
    assert labels(store) == dict.fromkeys(labels(store), ()) | {"a": ("by hand",)}
    store.use(classify=1)
    store.scan({b"a": 1, b"b": 1, b"c.zip": 2})
    store.work("done", 100)
    assert labels(store)["a"] == ("by hand",)
    assert labels(store)["b"] not in {(), ("by hand",)}
    store.writer.call(give_label([], path=b"a"))
    assert labels(store)["a"] not in {(), ("by hand",)}
    store.check()


def test_another_content_of_the_same_file_has_no_such_label(store: History) -> None:
    store.writer.call(give_label(["by hand"], path=b"a"))
    store.scan({b"a": 2, b"b": 1, b"c.zip": 2})
    store.work("done", 100)
    assert labels(store)["a"] != ("by hand",)
    store.scan({b"a": 1, b"b": 1, b"c.zip": 2})
    store.work("done", 100)
    assert labels(store)["a"] == ("by hand",)


def test_what_failed_can_have_one_and_what_was_never_read_cannot(store: History) -> None:
    store.scan({b"a": 1, b"b": 1, b"c.zip": 2, b"broken": 5, b"locked": 6})
    with pytest.raises(UsageError, match="never read"):
        store.writer.call(give_label(["by hand"], path=b"broken"))
    store.work("corrupt", 1)
    store.writer.call(give_label(["by hand"], path=b"broken"))
    assert labels(store)["broken"] == ("by hand",)
    with pytest.raises(UsageError, match="no such document"):
        store.writer.call(give_label(["by hand"], path=b"nowhere"))


def test_a_label_that_nobody_has_seen_is_not_written_over(store: History) -> None:
    with DocumentReader(store.directory) as reader:
        version = reader.version("a")
        (row,) = reader.rows([version])
    store.writer.call(give_label(["one"], version=version, expected=row.labels))
    with pytest.raises(UsageError, match="its label has changed meanwhile: one"):
        store.writer.call(give_label(["two"], version=version, expected=row.labels))
    assert labels(store)["a"] == ("one",)


def test_a_move_decided_on_before_another_one_is_refused(store: History) -> None:
    state = open_state(store.directory, read_only=True)
    try:
        before = moves(state)
    finally:
        state.close()
    store.writer.call(if_unmoved(roll_back_to_phase(PhaseName.CHUNK), before))
    with pytest.raises(UsageError, match="moved meanwhile"):
        store.writer.call(if_unmoved(roll_back_to_phase(PhaseName.CLEAN), before))


def test_it_is_known_whose_label_has_changed_since(store: History) -> None:
    state = open_state(store.directory, read_only=True)
    try:
        assert last_given(state) == 0
        store.writer.call(give_label(["one"], path=b"a"))
        seen = last_given(state)
        assert given_since(state, seen) == []
        (version,) = given_since(state, 0)
        store.writer.call(give_label([], version=version))
        assert given_since(state, seen) == [version]
    finally:
        state.close()


def test_a_label_that_cannot_be_read_is_found_and_taken_away(store: History) -> None:
    store.writer.call(give_label(["by hand"], path=b"a"))
    store.writer.close()
    connection = connect(store.directory / STATE_FILE)
    connection.execute("UPDATE human SET data = x'ff'")
    connection.close()
    (damage,) = (one for one in verify(store.directory).damages if one.where.endswith("human"))
    assert damage.what == "1 labels that people have given cannot be read."
    assert damage.documents == ("a",)
    assert "1 labels of people that cannot be read taken away" in repair(store.directory).done
    assert labels(store)["a"] != ("by hand",)


def test_what_is_set_aside_is_skipped_until_it_is_tried_again(store: History) -> None:
    store.scan({b"a": 1, b"b": 1, b"c.zip": 2, b"broken": 5})
    store.work("corrupt")
    assert store.writer.call(set_aside(path=b"a")) == 0
    assert store.writer.call(set_aside(path=b"broken")) == 1
    store.check()
    with DocumentReader(store.directory) as reader:
        found = reader.details(reader.version("broken"))
    assert found is not None
    assert (str(found.row.status), found.row.cause) == ("skipped", "set aside by hand")
    assert found.message == "It was: corrupt. No."
    store.work()  # it is not work
    assert store.writer.call(set_aside(path=b"broken")) == 0
    assert store.writer.call(put_back(path=b"broken")) == 1
    store.work()
    store.work()  # this store gives a file another content once it can be read, so it is begun anew
    assert labels(store)["broken"]
    store.check()
