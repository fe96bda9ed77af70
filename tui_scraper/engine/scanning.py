"""The scan: what is new, changed, touched or gone since the last pass over the source folder.

A file whose size and times are as recorded costs one look at its directory entry. One that differs is
read and hashed, and only other content makes it changed. The time of modification is whatever a program
has set; that of the last change is the file system's own, so content that was put in the place of other
content with its size and time stamp is found, too. It runs in a thread beside the
pipeline, which takes up what has been registered while the scan goes on.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.phases.input import Walk, folder_identity
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import InputSettings
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.connection import explained
from tui_scraper.engine.store.scans import (
    FoundFile,
    KnownFile,
    end_scan,
    known_files,
    moved_files,
    register,
    vanish,
)
from tui_scraper.engine.store.writer import Writer

_BATCH = 500


@dataclass
class Tally:
    """What a scan found, for the log. `moved` are those of the new ones that are known under another name."""

    found: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    moved: int = 0
    ignored: dict[str, int] = field(default_factory=dict)


@dataclass
class Scan:
    """One scan. `run` blocks; `registered` is called, in that thread, when documents were added.

    `number` is that of the scan at the head; what it registers after a checkpoint has a higher one.
    """

    number: int
    walk: Walk
    settings: InputSettings
    writer: Writer
    state: apsw.Connection
    registered: Callable[[], None]
    stopping: Callable[[], bool]
    tally: Tally = field(default_factory=Tally)
    _may_have_moved: bool = False

    def run(self) -> Tally:
        """Pass over the folder. Returns early, without judging what is gone, when told to stop.

        Raises FolderUnreachableError where the folder cannot be listed, StoreError where the store fails.
        """
        with explained(self.source):
            last = int(self.state.execute("SELECT coalesce(max(id), 0) FROM document").get)
            self._may_have_moved = self.state.execute(
                "SELECT 1 FROM version INDEXED BY version_moved WHERE content IS NOT NULL LIMIT 1"
            ).get
        seen = bytearray(last + 1)
        place = folder_identity(self.walk.source)
        batch: list[FoundFile] = []
        for file in self.walk.files():
            batch.append(file)
            if len(batch) >= _BATCH:
                self._take(batch, seen)
                batch = []
                if self.stopping():
                    return self.tally
        if batch:
            self._take(batch, seen)
        if self.stopping():
            return self.tally
        if folder_identity(self.walk.source) == place:
            self._judge_gone(seen)
        else:
            self.walk.warn(
                f"{safe_text(str(self.source))}: this folder was taken away or replaced while it was looked "
                "through. Nothing was marked as gone; the next pass looks again."
            )
        self.tally.ignored = dict(self.walk.ignored)
        self.writer.call(end_scan(self.tally.ignored))
        return self.tally

    @property
    def source(self) -> Path:
        """The source folder, for messages."""
        return Path(os.fsdecode(self.walk.source))

    def _take(self, batch: list[FoundFile], seen: bytearray) -> None:
        with explained(self.source):
            known = known_files(self.state, [file.path for file in batch])
        new: list[FoundFile] = []
        changed: list[tuple[FoundFile, KnownFile]] = []
        touched: list[tuple[FoundFile, KnownFile]] = []
        for file in batch:
            before = known.get(file.path)
            if before is None:
                new.append(file)
                continue
            seen[before.document] = 1
            alike = (file.size_bytes, file.mtime_ns) == (before.size_bytes, before.mtime_ns)
            if alike and before.ctime_ns == file.ctime_ns:
                continue
            unknown = alike and before.ctime_ns is None
            (touched if unknown or self._same_content(file, before) else changed).append((file, before))
        self.tally.found += len(batch)
        self.tally.new += len(new)
        self.tally.changed += len(changed)
        if new and self._may_have_moved:
            new = self._recognise(new)
        if new or changed or touched:
            self.writer.call(register(new, changed, touched))
            self.registered()

    def _recognise(self, new: list[FoundFile]) -> list[FoundFile]:
        """Find out which new files are known ones under another name: what was made of them is theirs.

        A file of the same size and time stamp is read to be sure. The ending must be the same, because the
        type of a document may depend on it.
        """
        with explained(self.source):
            twins = moved_files(self.state, new)
        if not twins:
            return new
        recognised = []
        for file in new:
            known = {
                content: media_type
                for content, media_type, path in twins.get(file.path, ())
                if _ending(path) == _ending(file.path)
            }
            content = self._content_of(file.path) if known else None
            if content in known and content is not None:
                self.tally.moved += 1
                recognised.append(dataclasses.replace(file, content=content, media_type=known[content]))
            else:
                recognised.append(file)
        return recognised

    def _same_content(self, file: FoundFile, before: KnownFile) -> bool:
        if before.content is None or file.size_bytes != before.size_bytes:
            return False
        return self._content_of(file.path) == before.content

    def _content_of(self, relative: bytes) -> bytes | None:
        from tui_scraper.engine.extract.reading import read_file  # most scans meet no such file

        path = os.path.join(self.walk.source, relative)
        try:
            content = read_file(
                path, self.settings.max_file_size, self.settings.follow_symlinks, lambda _type: True
            )
        except DocumentError:
            return None
        return digest(content.data)

    def _judge_gone(self, seen: bytearray) -> None:
        if not self.tally.found and len(seen) > 1:
            self.walk.warn(
                f"{safe_text(str(self.source))}: this folder is empty now. Nothing was marked as gone, "
                "because a disk that is not mounted looks the same."
            )
            return
        after, gone = 0, list[int]()
        unreadable = tuple(path for path in self.walk.unreadable if path.endswith(b"/"))
        unseen = frozenset(self.walk.unreadable)
        while True:
            with explained(self.source):
                rows: Any = self.state.execute(
                    """SELECT d.id, v.id, d.path FROM document d
                    JOIN version v ON v.document = d.id AND v.scan_to IS NULL
                    WHERE d.id > ? AND d.id < ? AND d.parent = 0 AND v.scan_from < ?
                    ORDER BY d.id LIMIT 5000""",
                    (after, len(seen), self.number),  # one that came back begins with this scan
                ).fetchall()
            if not rows:
                break
            after = rows[-1][0]
            gone.extend(
                version
                for document, version, path in rows
                if not (seen[document] or path in unseen or (unreadable and path.startswith(unreadable)))
            )
        for start in range(0, len(gone), _BATCH):
            self.writer.call(vanish(gone[start : start + _BATCH]))
        self.tally.gone = len(gone)


def _ending(path: bytes) -> bytes:
    return os.path.splitext(path)[1].lower()
