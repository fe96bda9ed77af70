"""Signatures that workers make along with texts are those that would be made of them later."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.running import export_bytes, run_once
from tui_scraper.engine import export
from tui_scraper.engine.duplicates import reading, spool
from tui_scraper.engine.duplicates.kept import _SIGNED_FROM, DUPLICATES, SIGNATURES, DuplicatesReader
from tui_scraper.engine.duplicates.signature import signatures
from tui_scraper.engine.duplicates.spool import Spool
from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.phases import steps
from tui_scraper.engine.phases.document import Processor
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.wire import WorkItem


def rows(number: int, seed: int = 0) -> list[tuple[bytes, bytes]]:
    rng = random.Random(seed)
    return [(rng.randbytes(16), rng.randbytes(256)) for _row in range(number)]


def filled(directory: Path, *some: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What a spool gives back."""
    held = Spool(directory)

    async def add() -> None:
        await asyncio.gather(*(held.add(one) for one in some))

    asyncio.run(add())
    try:
        return [
            (int(key).to_bytes(8, "big"), row.astype("<u2").tobytes())
            for block in held.read()
            for key, row in zip(block.keys, block.matrix, strict=True)
        ]
    finally:
        held.close()


def test_all_that_is_put_in_comes_out_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_HELD_BYTES", 3_000)
    monkeypatch.setattr(spool, "_BLOCK_ROWS", 7)
    batches = [rows(9, seed) for seed in range(20)]
    found = filled(tmp_path, *batches)
    assert sorted(found) == sorted((key[:8], row) for batch in batches for key, row in batch)
    assert not os.listdir(tmp_path)


def test_what_is_no_signature_is_left_out(tmp_path: Path) -> None:
    good = rows(2)
    assert filled(
        tmp_path, [good[0], (b"x" * 16, b""), (b"x" * 16, b"y" * 255), (b"x", b"y" * 256), good[1]]
    ) == [(key[:8], row) for key, row in good]


def test_where_no_file_can_be_made_it_has_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_HELD_BYTES", 3_000)
    found = filled(tmp_path / "nothing", rows(20), rows(3, 1))
    assert found == [(key[:8], row) for key, row in rows(3, 1)]


class _Full(io.FileIO):
    """A file on a disk that fills up in the middle of a row."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > 10_000:
            super().write(bytes(data)[: 10_000 - self.tell()])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_costs_rows_and_never_shifts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_HELD_BYTES", 3_000)
    monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda **_how: _Full(tmp_path / "file", "w+"))
    batches = [rows(20, seed) for seed in range(10)]
    found = filled(tmp_path, *batches)
    assert 19 < len(found) < 60
    assert set(found) <= {(key[:8], row) for batch in batches for key, row in batch}


def test_a_worker_signs_short_texts_and_what_only_lists_has_no_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_SIGNED_CHARS", 300)
    texts = ["some words " * 20, "many words " * 200, "", "Attachments: one.txt, two.txt"]
    items = []
    for number, text in enumerate(texts, 1):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        items.append(WorkItem(number, os.fsencode(path), len(text)))
    for together in (True, False):
        processor = Processor(Settings(), PhaseName.CLEAN, signs=True)
        replies = [
            reply
            for batch in ([items] if together else [[item] for item in items])
            for some in processor.process_all(batch)
            for reply in some
        ]
        made = [reply.clean.signature if reply.clean else None for reply in replies]
        assert made == [signatures([texts[0].strip()])[0].tobytes(), b"", None, bytes(256)]


def write_letters(source: Path) -> None:
    rng = random.Random(3)
    words = [f"word{number}" for number in range(400)]
    for letter in range(12):
        said = [rng.choice(words) for _word in range(120)]
        for copy in range(3):
            said[5 * copy] = f"other{copy}"
            path = source / f"{letter}-{copy}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(" ".join(said))
    (source / "same.txt").write_bytes((source / "0-0.txt").read_bytes())
    (source / "short.txt").write_text("not much")
    (source / "Ünïcode.txt").write_text("Straße und Ähre, İstanbul und ſo weiter. " * 20)


def test_a_run_reads_no_text_again_to_compare_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_letters(tmp_path / "source")

    def refused(_texts: Sequence[str]) -> None:
        raise AssertionError("signed in the engine")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "signatures", refused)
        run_once(tmp_path / "source", tmp_path / "w")
    exported = export_bytes(tmp_path / "w")
    assert b"near_duplicate_of" in exported
    kept = [(tmp_path / "w" / file.name) for file in (DUPLICATES, SIGNATURES)]
    by_workers = sorted_signatures(tmp_path / "w")
    for path in kept:
        path.unlink()
    with DuplicatesReader(tmp_path / "w") as reader:
        reader.duplicates()
    assert sorted_signatures(tmp_path / "w") == by_workers
    export.export(tmp_path / "w", tmp_path / "again")
    assert (tmp_path / "again" / "documents.jsonl").read_bytes() == exported


def sorted_signatures(workspace: Path) -> list[tuple[int, bytes]]:
    found = SIGNATURES.read(workspace, _SIGNED_FROM)
    assert found is not None
    assert len(np.unique(found.keys)) == len(found.keys)
    return sorted((int(key), row.tobytes()) for key, row in zip(found.keys, found.matrix, strict=True))


@pytest.mark.parametrize("fails", [None, StoreError("not now"), OSError("nor now"), MemoryError()])
def test_texts_are_compared_once_and_what_fails_beside_the_end_is_done_in_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Exception | None
) -> None:
    write_letters(tmp_path / "source")
    calls: list[str] = []
    find = reading.Finder.find

    def counted(self: reading.Finder, *given: Any, **named: Any) -> Any:
        calls.append(threading.current_thread().name)
        if fails and len(calls) == 1:
            raise fails
        return find(self, *given, **named)

    monkeypatch.setattr(reading.Finder, "find", counted)
    run_once(tmp_path / "source", tmp_path / "workspace")
    assert len(calls) == (2 if fails else 1)
    run_once(tmp_path / "source", tmp_path / "workspace")
    assert len(calls) == (2 if fails else 1), "nothing has changed"
