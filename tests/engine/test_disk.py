"""What a person is told when the disk refuses, and what a run does then."""

from __future__ import annotations

import errno
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tui_scraper.engine import disk
from tui_scraper.engine.errors import StoreBlockedError, StoreError, StoreFullError
from tui_scraper.engine.export import folder
from tui_scraper.engine.search.text_index import DamagedIndexError, _explained
from tui_scraper.engine.store import connection
from tui_scraper.engine.store.connection import explained


@pytest.mark.parametrize(
    ("number", "kind", "code", "says"),
    [
        (errno.ENOSPC, StoreFullError, 4, "disk is full. Free some space and start again"),
        (errno.EDQUOT, StoreFullError, 4, "your quota is used up. Free some space"),
        (errno.EROFS, StoreBlockedError, 4, "read-only now. Make it writable"),
        (errno.EFBIG, StoreFullError, 4, "no file as large as this one is allowed"),
        (errno.EMFILE, StoreError, 1, "too many open files. Raise the limit (`ulimit -n`)"),
        (errno.EIO, StoreError, 1, "reported an error (Input/output error)"),
    ],
)
def test_a_disk_that_time_mends_pauses_a_run_and_a_broken_one_ends_it(
    tmp_path: Path, number: int, kind: type[StoreError], code: int, says: str
) -> None:
    for raising in (explained, folder.explained):
        with pytest.raises(StoreError) as caught, raising(tmp_path):
            raise OSError(number, "refused")
        assert type(caught.value) is kind
        assert caught.value.exit_code == code
        assert says in str(caught.value)
        assert "verything finished so far is saved" in str(caught.value)
        assert str(tmp_path) in str(caught.value)


def test_what_failed_first_is_told_and_not_what_failed_because_of_it(tmp_path: Path) -> None:
    with pytest.raises(StoreFullError), explained(tmp_path):
        try:
            raise apsw.FullError("database or disk is full")
        finally:
            raise apsw.SQLError("cannot rollback - no transaction is active")


def test_the_name_of_a_place_cannot_act_on_a_terminal() -> None:
    assert "\x1b" not in str(disk.refusal("/tmp/\x1b]52;c;AA\x07", errno.EIO))


def test_a_place_that_takes_files_has_no_error(tmp_path: Path) -> None:
    assert disk.state_of(tmp_path) == 0
    assert disk.state_of(tmp_path / "not-there-yet") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_errors_is_not_blamed_for_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened for writing"), explained(tmp_path):
        apsw.Connection(str(tmp_path / "none" / "state.db"))
    with pytest.raises(FileNotFoundError), explained(tmp_path):
        (tmp_path / "none").read_bytes()


@pytest.mark.parametrize(
    ("text", "kind"),
    [  # as tantivy 0.26 says it
        ("An IO error occurred: 'Read-only file system (os error 30)'", StoreBlockedError),
        (
            "Failed to open file for write: 'IoError { io_error: Os { code: 28, kind: StorageFull,",
            StoreFullError,
        ),
        ('… PathError { path: "/w/index/.tmp6", err: Os { code: 122, kind: QuotaExceeded', StoreFullError),
        ("Internal error: 'Input/output error (os error 5)'", StoreError),
        ("An error occurred in a thread: 'An index writer was killed.. A worker thread …'", StoreError),
        ("Failed to open file for read: 'FileDoesNotExist(\"a.idx\")'", DamagedIndexError),
    ],
)
def test_an_index_on_a_failing_disk_is_not_called_damaged(
    tmp_path: Path, text: str, kind: type[StoreError]
) -> None:
    with pytest.raises(StoreError) as caught, _explained(tmp_path):
        raise ValueError(text)
    assert type(caught.value) is kind


def test_a_database_that_another_program_keeps_locked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_BUSY_MS", 1)
    with (
        closing(connection.open_state(tmp_path)) as ours,
        closing(apsw.Connection(str(tmp_path / "state.db"))) as theirs,
    ):
        theirs.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(StoreError, match=r"state.db: another program keeps .* is saved; end that program"),
            explained(tmp_path / "state.db", ours),
            ours,
        ):
            ours.execute("DELETE FROM ledger")
