"""A folder of documents, and what becomes of each: what the model knows besides plain dictionaries.

What a document becomes is a pure function of its bytes, its name and the settings. It is asked of the real
worker code, alone and from the start, so the model cannot be wrong about documents in the way a store is:
by what it remembers.
"""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.phases.document import Processor
from tui_scraper.engine.phases.in_hand import InHand, Step
from tui_scraper.engine.phases.steps import STEPS, Allow
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.members import SEPARATOR
from tui_scraper.engine.wire import DocumentReply, WorkItem

CLEAN, CHUNK, CLASSIFY, INDEX = PhaseName.CLEAN, PhaseName.CHUNK, PhaseName.CLASSIFY, PhaseName.INDEX

Result = tuple[str, str, object]
"""(status, cause, value): the hash of a clean text, (hash, tokens) of chunks, labels, or None."""

Results = Mapping[PhaseName, Result]


def boxed(*files: tuple[str, bytes]) -> bytes:
    """A zip archive, the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


ZEBRA = b"Notes about a zebra, twice."
OKAPI = b"Notes about an okapi, once."
"""As long as the one above: a file may become the other without a sign in its directory entry."""
LONG = b"A long letter about the garden, the harbour and the winter. " * 3
BOX = boxed(("x.txt", ZEBRA), ("y.txt", LONG))
BROKEN_BOX = BOX[:-60]
TEXTS = {"zebra": ZEBRA, "okapi": OKAPI, "long": LONG, "axolotl": b"An invoice for an axolotl.", "empty": b""}
CONTENTS = {
    **TEXTS,
    "broken": b"%PDF-1.4 broken",
    "unread": b"8BPS\0\1" + bytes(90),
    "box": BOX,
    "broken box": BROKEN_BOX,
    "other box": boxed(("x.txt", OKAPI)),
    "box in a box": boxed(("x.txt", ZEBRA), ("in.zip", boxed(("z.txt", LONG), ("x.txt", OKAPI)))),
    "box beside nothing": boxed(("in.zip", BOX), ("empty.txt", b"")),
}
"""What files may hold: texts, nothing, something broken, something nobody reads, and containers."""

NAMES = (b"a.txt", b"b.txt", b"c.zip", b"d.zip", b"e.md", b"sub/f.txt")

OPTIONS: tuple[tuple[str, str, tuple[object, object]], ...] = (
    ("input", "max_file_size", (100_000_000, 60)),
    ("input", "archives", (True, False)),
    ("clean", "max_chars", (10_000_000, 20)),
    ("chunk", "max_tokens", (512, 16)),
    (
        "classify",
        "labels",
        (
            [{"name": "animals", "keywords": ["zebra", "okapi"]}, {"name": "rest"}],
            [{"name": "letters", "keywords": ["letter", "invoice"]}, {"name": "rest"}],
        ),
    ),
)
"""Settings that are changed: section, key, the two values."""

Chosen = tuple[int, ...]
"""Which value of each option."""


def settings_of(chosen: Chosen) -> Settings:
    """The settings with these values."""
    values: dict[str, dict[str, object]] = {"classify": {"backend": "rules"}, "chunk": {"overlap": 0}}
    for (section, key, choices), number in zip(OPTIONS, chosen, strict=True):
        values.setdefault(section, {})[key] = choices[number]
    return Settings.model_validate(values)


@dataclass(frozen=True)
class File:
    """A file as it lies on the disk. Its size and `mtime_ns` are all that a scan looks at."""

    data: bytes
    mtime_ns: int

    @property
    def stamp(self) -> tuple[int, int]:
        """What a directory entry tells."""
        return len(self.data), self.mtime_ns


class Folder:
    """A real folder, with a dictionary beside it of what it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[bytes, File] = {}
        self._ticks = 0

    def write(self, name: bytes, data: bytes) -> None:
        """A new file, or another content."""
        self.put(name, File(data, self._tick()))

    def touch(self, name: bytes) -> None:
        """The same content with another time stamp."""
        self.put(name, File(self.files[name].data, self._tick()))

    def rename(self, name: bytes, other: bytes) -> None:
        """Under another name, with its time stamp."""
        file = self.files[name]
        self.remove(name)
        self.put(other, file)

    def remove(self, name: bytes) -> File:
        """Gone, until it is `put` back."""
        os.unlink(self._where(name))
        return self.files.pop(name)

    def put(self, name: bytes, file: File) -> None:
        """A file as it is said to be, time stamp and all."""
        where = self._where(name)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "wb") as opened:
            opened.write(file.data)
        os.utime(where, ns=(file.mtime_ns, file.mtime_ns))
        self.files[name] = file

    def _where(self, name: bytes) -> bytes:
        return os.path.join(os.fsencode(self.path), name)

    def _tick(self) -> int:
        self._ticks += 1
        return 1_600_000_000_000_000_000 + self._ticks * 1_000_000_007


@dataclass(frozen=True)
class Outcome:
    """What becomes of a document, and what is inside it (None: it is no container)."""

    results: Results
    members: tuple[bytes, ...] | None


def outcome_of(reply: DocumentReply) -> Outcome:
    """What a worker's answer amounts to, for a document that nothing was known of."""
    results: dict[PhaseName, Result] = {}
    if reply.clean is not None:
        results[CLEAN] = ("done", "", reply.clean.output)
    if reply.chunk is not None:
        results[CHUNK] = ("done", "", (reply.chunk.output, reply.chunk.tokens))
    if reply.label is not None:
        results[CLASSIFY] = ("done", "", tuple(reply.label.labels))
    if reply.status is Status.DONE:
        results[INDEX] = ("done", "", None)
    else:
        results[reply.phase] = (str(reply.status), str(reply.cause), None)
    members = None if reply.members is None else tuple(member.name for member in reply.members)
    return Outcome(results, members)


@dataclass
class Oracle:
    """Says what a document becomes. Asks the worker code once for each document and settings."""

    _known: dict[tuple[bytes, bytes, Chosen], Outcome] = field(default_factory=dict)
    _processors: dict[Chosen, Processor] = field(default_factory=dict)

    def ask(self, data: bytes, path: bytes, chosen: Chosen) -> Outcome:
        """What becomes of `path` when its file (itself, or the one that it is inside) holds `data`."""
        key = (data, path, chosen)
        if key not in self._known:
            if chosen not in self._processors:
                self._processors[chosen] = Processor(settings_of(chosen))
            processor = self._processors[chosen]
            name, *inside = path.split(SEPARATOR)
            with tempfile.TemporaryDirectory() as scratch:
                folder = Folder(Path(scratch))
                folder.write(name, data)
                where = os.path.join(os.fsencode(scratch), name)
                self._known[key] = outcome_of(processor.process(WorkItem(1, where, len(data), inside=inside)))
                processor.release()
        return self._known[key]


class _Troubled(Step):
    """A worker's step that fails for documents that are in trouble there."""

    def __init__(self, step: Step, in_trouble: Callable[[int], PhaseName | None]) -> None:
        self.phase, self.strains = step.phase, step.strains
        self.prepare, self.restore, self.release = step.prepare, step.restore, step.release
        self._step = step
        self._in_trouble = in_trouble

    def make(self, document: InHand) -> None:
        if self._in_trouble(document.item.version) is self.phase:
            raise DocumentError(Cause.CRASHED, "The reader crashed, this time.")
        self._step.make(document)


Make = Callable[[Settings, Allow], Step]


def troubled(in_trouble: Callable[[int], PhaseName | None]) -> tuple[Make, ...]:
    """The steps of a worker in whose hands documents may be in trouble: version -> the phase that fails."""

    def around(step: Make) -> Make:
        return lambda settings, allow: _Troubled(step(settings, allow), in_trouble)

    return tuple(around(step) for step in STEPS)
