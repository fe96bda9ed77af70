"""A workspace, its folder and its model, in a process that may be killed in any step.

What a kill leaves is not left to chance: it is a copy of the database files in which the write-ahead log
ends somewhere in what the step has written. `blob.db` is committed first, so it has all of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.chaos.folder import BOX, BROKEN_BOX, NAMES, OPTIONS, ZEBRA, Chosen, File, Folder, Oracle
from tests.chaos.judging import Model, Seen
from tests.chaos.stage import Stage
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.members import SEPARATOR
from tui_scraper.engine.wire import DocumentReply

SHARED_MEMORY = Path("/dev/shm")
"""A fast disk that need not survive anything: what a crash leaves is made by copying, not by luck."""


class Workplace:
    """All that there is. `doomed` is how much of the next step is written before the process is killed."""

    oracle = Oracle()

    def begin(self) -> None:
        """A new folder and a new workspace."""
        shared = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
        self.root = Path(tempfile.mkdtemp(prefix="history-", dir=shared))
        self.folder = Folder(self.root / "source")
        for name, data in zip(NAMES, (ZEBRA, b"", BROKEN_BOX, BOX), strict=False):
            self.folder.write(name, data)
        self.gone: dict[bytes, File] = {}
        self.chosen: Chosen = (0,) * len(OPTIONS)
        self.trouble: dict[bytes, PhaseName] = {}
        self.model = Model()
        self.doomed: float | None = None
        self._lives = 0
        self.stage = self._open()

    def begin_again(self) -> None:
        """End well, and open the workspace in another process."""
        self.stage.close()
        self.stage = self._open()
        self.model.check(self.stage)

    def remove(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "stage"):
            self.stage.close()
            shutil.rmtree(self.root)

    def adopt(self) -> None:
        """Take what the store shows for what is known: it is judged right after."""
        self.model.view = self.stage.look()

    def do(self, step: Callable[[], None], *, atomic: bool = True) -> None:
        """Take a step; and where the process is to be killed in it, find what it leaves."""
        fraction, self.doomed = self.doomed, None
        saved, before = self.model.copy(), self._files() if fraction is not None else {}
        step()
        if fraction is not None:
            after = self._files()
            assert after["state.db"] == before["state.db"]  # all that the step has written is in the log
            old, new = before["state.db-wal"], after["state.db-wal"]
            same = _shared(old, new)
            after["state.db-wal"] = new[: same + int((len(new) - same) * fraction)]
            self.stage.close()
            self._lives += 1
            self.stage = self._open(after)
            if len(after["state.db-wal"]) < len(new):
                self._recover(saved, atomic=atomic)
        self.model.check(self.stage)

    def _recover(self, saved: Model, *, atomic: bool) -> None:
        after = self.model.view
        self.model.recover(self.stage, saved)
        self.adopt()
        if atomic:
            assert self.model.view in (saved.view, after)
        else:
            self.model.check_possible(self.oracle)

    def _files(self) -> dict[str, bytes]:
        return {
            file.name: file.read_bytes()
            for file in self.stage.directory.iterdir()
            if file.is_file() and not file.name.endswith("-shm")
        }

    def _open(self, files: Mapping[str, bytes] | None = None) -> Stage:
        directory = self.root / f"workspace-{self._lives}"
        if files is not None:
            directory.mkdir()
            for name, data in files.items():
                (directory / name).write_bytes(data)
        model = self.model
        return Stage(
            directory,
            self.folder.path,
            model.made,
            model.lost,
            model.asked_anew,
            self.trouble,
            self._answered,
        )

    def _answered(self, path: bytes, read: bool, reply: DocumentReply) -> None:
        """A worker has looked at a document: what it has read is what is known of the file now."""
        name = path.split(SEPARATOR)[0]
        on_disk, seen = self.folder.files.get(name), self.model.seen.get(name)
        if reply.cause is not None and (path in self.trouble or on_disk is None):
            self.model.blamed.add((path, reply.phase, str(reply.cause)))
        elif read and name == path and seen is not None and on_disk is not None:
            assert not reply.content or reply.content == digest(on_disk.data)
            self.model.seen[name] = Seen(on_disk.data, seen.stamp)


def _shared(old: bytes, new: bytes) -> int:
    """How many bytes both begin with: all the old ones, unless a kill left some there that do not count."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[:middle] == new[:middle] else (low, middle - 1)
    return low
