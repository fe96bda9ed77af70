"""Files may have any time that a file system can give them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.engine.running import rows, run_once, running

_SECONDS = {
    "before-1970.txt": -86_400 * 365,
    "first.txt": 0,
    "of-2261.txt": 9_200_000_000,
    "of-2300.txt": 10_413_792_000,
    "of-9999.txt": 253_402_300_799,
    "last.txt": 10**14,
}


def test_a_run_over_files_of_all_ages_is_complete_and_redoes_none(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, seconds in _SECONDS.items():
        (source / name).write_text(f"A text about {name}.")
        try:
            os.utime(source / name, ns=(0, seconds * 10**9 + 5))
        except (OSError, OverflowError):
            pytest.skip(f"no file can be of {name} here")
    run_once(source, tmp_path / "workspace")
    modified = {path: row["modified"] for path, row in rows(tmp_path / "workspace").items()}
    assert modified["before-1970.txt"].startswith("1969-01-01T")
    assert modified["first.txt"] == "1970-01-01T00:00:00.000000Z"
    assert modified["of-2261.txt"].startswith("2261-07-")
    with running(source, tmp_path / "workspace") as run:
        assert run.complete().counts.done == len(_SECONDS)
    (source / "last.txt").write_text("Another text, of today.")
    with running(source, tmp_path / "workspace") as run:
        assert run.complete().counts.done == len(_SECONDS)
    assert "of today" in rows(tmp_path / "workspace")["last.txt"]["text"]
