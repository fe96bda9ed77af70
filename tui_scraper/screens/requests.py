"""What screens ask the app to have done."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message

from tui_scraper.engine.models import Cause, PhaseName


class Retry(Message):
    """The person wants documents back to pending: one version, or all of a phase and cause."""

    def __init__(
        self, *, version: int | None = None, cause: Cause | None = None, phase: PhaseName | None = None
    ) -> None:
        super().__init__()
        self.version = version
        self.cause = cause
        self.phase = phase


class SetAside(Message):
    """The person has looked at a failed document, and wants it to count as skipped."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = version


class LabelByHand(Message):
    """The person gives a document a label; without any, takes the one given by hand away."""

    def __init__(self, version: int, labels: Sequence[str], seen: Sequence[str]) -> None:
        """`seen` are the labels that it had when the person decided."""
        super().__init__()
        self.version = version
        self.labels = tuple(labels)
        self.seen = tuple(seen)


class GoBack(Message):
    """The person has decided to go back: to a phase, a checkpoint, or (None) where the head was before.

    `moves` is how often the head had been moved when they decided.
    """

    def __init__(self, target: PhaseName | int | None, moves: int) -> None:
        super().__init__()
        self.target = target
        self.moves = moves
