"""A document in a worker's hand, and what a step of the work on it is."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import BinaryIO, ClassVar

from tui_scraper.engine import tokens
from tui_scraper.engine.labels.digest import Digest
from tui_scraper.engine.models import WORKER_PHASES, Cause, PhaseName, Status
from tui_scraper.engine.phases.clean import Said
from tui_scraper.engine.wire import (
    Chunk,
    ChunkResult,
    CleanResult,
    CleanText,
    DigestText,
    DocumentReply,
    LabelResult,
    Member,
    WorkItem,
)

_NO_TEXT = CleanText("")


class Step:
    """One phase's work, or a part of it, inside a worker. Made once with the settings, used for many.

    `make` reads what earlier steps left in `document` and leaves its own there. `restore` is called
    in its place where an earlier run's result came along with the work item. What is wrong with a
    document is raised as a DocumentError.
    """

    phase: ClassVar[PhaseName]
    strains: ClassVar[bool] = False
    """Whether a document may leave the process unfit for others here: what is asked then costs some time."""
    is_whole: ClassVar[bool] = False
    """Whether `prepare` is all there is to it."""

    def prepare(self, documents: Sequence[InHand]) -> None:
        """Do for some documents at once what makes `make` cheaper. Where it fails `make` does without."""

    def make(self, document: InHand) -> None:
        """Do the phase's work."""
        raise NotImplementedError

    def restore(self, document: InHand) -> bool:
        """Take over a stored result. Returns False where there is none, so that it must be made."""
        del document
        return False

    def release(self) -> None:
        """Let go of what is only kept from one document of a batch to the next."""


class InHand:
    """A document in a worker's hand: what the steps have made of it so far, and what that took.

    `status` is None until it fails, `cpu_ns` its CPU time in each phase.
    """

    def __init__(self, item: WorkItem) -> None:
        self.item = item
        self.phase = item.start
        self.status: Status | None = None
        self.data = b""
        self.text = _NO_TEXT
        self.lengths: tokens.Lengths | None = None
        self.chunks: list[Chunk] = []
        self.content = b""
        self.media_type = item.media_type
        self.said: Said | None = None
        self.clean: CleanResult | None = None
        self.chunk: ChunkResult | None = None
        self.vectors = b""
        self.read: tuple[Digest, LabelResult] | None = None
        self.label: LabelResult | None = None
        self.to_ask: DigestText | None = None
        self.stream: BinaryIO | None = None
        self.opened = contextlib.ExitStack()
        self.members: list[Member] | None = None
        self.cpu_ns = [0, 0, 0, 0]
        self._cause: Cause | None = None
        self._message = ""

    @property
    def name(self) -> bytes:
        """The path that the document's type may be guessed by: in its container, if it is in one."""
        return self.item.inside[-1] if self.item.inside else self.item.path

    def end(self, status: Status, cause: Cause, message: str) -> None:
        """It does not get through the phase that it is in, and nothing of that phase remains."""
        self.status, self._cause, self._message = status, cause, message
        results, phase = (self.clean, self.chunk, self.label), WORKER_PHASES.index(self.phase)
        self.let_go()
        if phase > WORKER_PHASES.index(PhaseName.CLEAN):
            self.clean = results[0]
        if phase > WORKER_PHASES.index(PhaseName.CHUNK):
            self.chunk = results[1]

    def let_go(self) -> None:
        """Hold nothing that takes memory."""
        self.opened.close()
        self.data, self.text, self.chunks, self.lengths = b"", _NO_TEXT, [], None
        self.clean, self.chunk, self.label, self.to_ask = None, None, None, None
        self.said, self.read, self.vectors, self.stream = None, None, b"", None

    def reply(self) -> DocumentReply:
        """What goes back to the engine."""
        return DocumentReply(
            version=self.item.version,
            status=self.status or Status.DONE,
            phase=self.phase,
            cause=self._cause,
            message=self._message,
            content=self.content,
            media_type=self.media_type,
            clean=self.clean,
            chunk=self.chunk,
            label=self.label,
            members=self.members,
            to_ask=self.to_ask,
            cpu_ns=(self.cpu_ns[0], self.cpu_ns[1], self.cpu_ns[2], self.cpu_ns[3]),
        )
