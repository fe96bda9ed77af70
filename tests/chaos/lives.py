"""A workspace, its folder and its model, in a process that may be killed in any step.

What a kill leaves is not left to chance: it is a copy of the database files, taken after each commit of a
step, in which the write-ahead logs end anywhere in what the next commit writes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.folder import BOX, BROKEN_BOX, NAMES, OPTIONS, ZEBRA, Chosen, File, Folder, Oracle
from tests.chaos.judging import Model, Seen
from tests.chaos.stage import Stage
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE
from tui_scraper.engine.store.members import SEPARATOR
from tui_scraper.engine.verify.checking import verify
from tui_scraper.engine.wire import DocumentReply

SHARED_MEMORY = Path("/dev/shm")
"""A fast disk that need not survive anything: what a crash leaves is made by copying, not by luck."""


_LOGS = (f"{BLOB_FILE}-wal", f"{STATE_FILE}-wal")
"""In the order in which a commit writes them."""


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
        self.verify()
        self.stage = self._open()
        self.model.check(self.stage)

    def verify(self) -> None:
        """What is left when the process has ended well is sound in every other way, too.

        There is no index here, and what was lost on purpose is damage.
        """
        unsure = {"index", "exports", *(("artifacts",) if self.model.lost else ())}
        report = verify(self.stage.directory)
        wrong = [
            str(damage) for check in report.checks if check.name not in unsure for damage in check.damages
        ]
        assert not wrong, "\n".join(wrong)

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
        if fraction is None:
            step()
        else:
            saved = self.model.copy()
            commits = self._watched(step)
            left = commits[-1] if fraction == 1 else _cut(commits, fraction)
            files = self._files() | left
            self.stage.close()
            self._lives += 1
            self.stage = self._open(files)
            if left != commits[-1]:
                self._recover(saved, atomic=atomic)
        self.model.check(self.stage)

    def _watched(self, step: Callable[[], None]) -> list[dict[str, bytes]]:
        """Take a step. Returns the databases' files before it and after each of its commits."""
        writer = self.stage.workspace.writer
        commit = writer._commit
        commits = [self._databases()]

        def watched(group: Any) -> Any:
            outcomes = commit(group)
            commits.append(self._databases())
            return outcomes

        writer._commit = watched  # type: ignore[method-assign]
        try:
            step()
        finally:
            writer._commit = commit  # type: ignore[method-assign]
        return commits

    def _databases(self) -> dict[str, bytes]:
        return {name: (self.stage.directory / name).read_bytes() for name in (*_LOGS, STATE_FILE, BLOB_FILE)}

    def _recover(self, saved: Model, *, atomic: bool) -> None:
        after = self.model.view
        self.model.recover(self.stage, saved)
        self.adopt()
        if atomic:
            assert self.model.view in (saved.view, after)
        elif self.model.view != saved.view:  # else the run may not have begun, and the folder is as it was
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
            read = read and bool(reply.content)
        if read and name == path and seen is not None and on_disk is not None:
            assert not reply.content or reply.content == digest(on_disk.data)
            self.model.seen[name] = Seen(on_disk.data, seen.stamp)


def _cut(commits: list[dict[str, bytes]], fraction: float) -> dict[str, bytes]:
    """The databases as they are when this much was written, in the order in which it is."""
    at = fraction * (len(commits) - 1)
    before, after = commits[int(at)], commits[min(int(at) + 1, len(commits) - 1)]
    assert all(before[name] == after[name] for name in (STATE_FILE, BLOB_FILE))  # all is in the logs still
    left = dict(before)
    for place, log in enumerate(_LOGS):
        written = min(1.0, max(0.0, (at - int(at)) * len(_LOGS) - place))
        if written > 0:
            same = _shared(before[log], after[log])
            left[log] = after[log][: same + int((len(after[log]) - same) * written)]
    return left


def _shared(old: bytes, new: bytes) -> int:
    """How many bytes both begin with: all the old ones, unless a kill left some there that do not count."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[:middle] == new[:middle] else (low, middle - 1)
    return low
