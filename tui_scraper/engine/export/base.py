"""The export in place as the base of the next one: the lines that are still true are carried over.

A line is carried over only if everything it was made from is what it was made from then. Two kinds of
reasons say so, and each alone must hold:

- The store says that nothing happened to it: the export is on the head's branch and lineages, the document
  has the version it had, no phase has recorded a result for that version since, and no person has given it
  a label. All of these are numbered as they are committed, so four numbers of the export's record tell.
- The line itself says what does not follow from results: the path, the size and the time stamp, the
  members, and what the document is a copy of are compared with what the state tables say now.

What the file holds is believed because its hash is that of the manifest, and the manifest's that of the
record. The hash is known only at the end; until then nothing is put in place. Whatever does not fit
raises UnfitBaseError, and everything is exported anew.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec

from tui_scraper.engine.export.documents import Copy, Document
from tui_scraper.engine.export.formats.jsonl import JSONL
from tui_scraper.engine.export.formats.port import Tally
from tui_scraper.engine.export.formats.sink import READ_BYTES
from tui_scraper.engine.export.manifest import ExportedFile, Manifest
from tui_scraper.engine.export.record import recorded
from tui_scraper.engine.export.row import beginning
from tui_scraper.engine.store.fingerprint import Fingerprint
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.human import given_since

_MOST_RESULTS = 500_000
"""With more new results than that, remembering their versions takes tens of megabytes and saves little."""
_LONGEST_LINE_BYTES = 1_000_000_000
"""More than any line has. In a damaged file, one that does not end would take all memory."""


class UnfitBaseError(Exception):
    """The export in place cannot be the base of another."""


class _Key(msgspec.Struct, gc=False):
    """What must be known of a line that is not carried over."""

    path: str
    id: str
    status: str
    chunks: list[msgspec.Raw]
    path_bytes: str | None = None

    def order(self) -> bytes:
        """What the file is sorted by."""
        return self.path.encode() if self.path_bytes is None else base64.b64decode(self.path_bytes)


def open_base(state: apsw.Connection, head: Head, target: Path, now: Fingerprint) -> Base | None:
    """The export in `target` as a base for one of what the head holds `now`; None where it cannot be one."""
    found = recorded(state, target)
    if found is None:
        return None
    mark, manifest = found
    if not mark.leads_to(now) or now.seq - mark.seq > _MOST_RESULTS:
        return None
    lines = next((file for file in manifest.files if file.name == JSONL.file), None)
    if lines is None:
        return None
    changed = state.execute(
        f"SELECT DISTINCT r.version FROM result r WHERE r.seq > ? AND {head.visible()}",  # noqa: S608
        (mark.seq,),
    )
    versions = frozenset([*(row[0] for row in changed), *given_since(state, mark.given)])
    return Base(target / JSONL.file, lines, manifest, mark, versions)


class Base:
    """Walks through the lines of an earlier export beside the documents found now, both in path order.

    `changed` are the versions with a result, or a person's label, that the export did not know. `carried`
    counts the lines carried over: all that the file holds, less those that were not.
    """

    def __init__(
        self,
        path: Path,
        expected: ExportedFile,
        manifest: Manifest,
        mark: Fingerprint,
        changed: frozenset[int],
    ) -> None:
        self._expected = expected
        self._mark = mark
        self._changed = changed
        self._hashed = hashlib.sha256()
        self._decode = msgspec.json.Decoder(_Key).decode
        self.carried = Tally(manifest.documents, manifest.chunks, Counter(manifest.counts))
        self._lines = self._read(path)
        self._line = next(self._lines, None)
        self._key: _Key | None = None
        self._order = b""

    def take(self, document: Document, copy: Copy) -> bytes | None:
        """The line of a document if it is still true, else None. Ask in the order of the file."""
        start = beginning(document)
        line = self._line
        if line is None or not line.startswith(start):
            line = self._search(document)
            if line is None:
                return None
        if not self._holds(document, line, start, copy):
            self._drop()
            return None
        self._step()
        return line

    def finish(self) -> None:
        """Go through the rest of the file.

        Raises UnfitBaseError where the file was not what the record says; nothing of it may be used then.
        """
        while self._line is not None:
            self._drop()
        if self._hashed.hexdigest() != self._expected.sha256:
            raise UnfitBaseError("its contents are not those that were written")
        if self.carried.counts.total() != self.carried.rows:
            raise UnfitBaseError("its manifest counts other rows than it holds")

    def _search(self, document: Document) -> bytes | None:
        """Go on to the line of a document. None where it has no line."""
        uid = document.uid.hex()
        while self._line is not None:
            key = self._current_key()
            if key.id == uid:
                return self._line
            if self._order >= document.path:  # two may have one path, inside two containers of one path
                return None
            self._drop()
        return None

    def _holds(self, document: Document, line: bytes, start: bytes, copy: Copy) -> bool:
        mark = self._mark
        if document.version > mark.version or document.since > mark.scan or document.version in self._changed:
            return False
        if not (line.startswith(start) and line.endswith(b',"members":%d}\n' % document.members)):
            return False
        # A quotation mark inside a string is escaped, so these bytes can only be the field itself.
        at = line.rfind(b',"duplicate_of":')
        wanted = (b"null" if one is None else b'"%b"' % one.encode() for one in copy)
        return at > 0 and line.startswith(
            b',"duplicate_of":%b,"near_duplicate_of":%b,"links":' % tuple(wanted), at
        )

    def _drop(self) -> None:
        key = self._current_key()
        self.carried -= Tally(1, len(key.chunks), Counter([key.status]))
        self._step()

    def _current_key(self) -> _Key:
        assert self._line is not None
        if self._key is None:
            try:
                self._key = self._decode(self._line)
                self._order = self._key.order()
            except (msgspec.MsgspecError, ValueError) as error:
                raise UnfitBaseError(str(error)) from error
        return self._key

    def _step(self) -> None:
        self._line, self._key = next(self._lines, None), None

    def _read(self, path: Path) -> Iterator[bytes]:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb", buffering=READ_BYTES) as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_size != self._expected.size_bytes:
                    raise UnfitBaseError("it has another size")
                while line := file.readline(_LONGEST_LINE_BYTES):
                    self._hashed.update(line)
                    yield line
        except OSError as error:
            raise UnfitBaseError(str(error)) from error
