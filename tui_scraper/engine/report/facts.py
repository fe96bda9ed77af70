"""The facts of a report. Every text in them has passed through `safe_text`; money is in nano-dollars."""

from __future__ import annotations

from dataclasses import dataclass

from tui_scraper.engine.models import Cause, PhaseName, Status, StatusReport

UNSURE = 0.6
"""A label that is less sure than this is worth a person's look; the filter `<60` lists them."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some documents that have something in common. `name` is '' where it is not known."""

    name: str
    documents: int
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Sized:
    """One document, and how large it is."""

    path: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of the `looked_at` texts: all there are, or `sampled`: of documents drawn by lot."""

    groups: tuple[Group, ...] = ()
    looked_at: int = 0
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What the documents are. `size_bytes` are those of files; what is inside them is `inside_bytes`.

    `containers` are the files and members that others are inside of, those with the most members first, and
    `container_count` how many there are.
    """

    size_bytes: int
    inside_bytes: int
    types: tuple[Group, ...]
    languages: Languages
    biggest: tuple[Sized, ...]
    containers: tuple[Group, ...]
    container_count: int


@dataclass(frozen=True, slots=True)
class Maker:
    """Who has labelled: the method, and the model where it was one."""

    method: str
    model: str
    documents: int


@dataclass(frozen=True, slots=True)
class Unsure:
    """A document whose label is among the least sure."""

    path: str
    labels: tuple[str, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels in force. A document with several is counted under each.

    `confidence` are ten numbers of documents: less than 10 % sure, less than 20 %, and so on; `unsaid` are
    those whose label says nothing of how sure it is, people's labels among them.
    """

    documents: int = 0
    groups: tuple[Group, ...] = ()
    makers: tuple[Maker, ...] = ()
    confidence: tuple[int, ...] = (0,) * 10
    unsaid: int = 0
    unsure: int = 0
    least_sure: tuple[Unsure, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A document that did not get through, and what was said of it."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Documents that are failed, skipped or empty for one cause in one phase, and what to do about it."""

    phase: PhaseName
    status: Status
    cause: Cause
    documents: int
    what_to_do: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model was asked for. `calls` were answered; `unanswered` may have been billed."""

    kind: str
    model: str
    endpoint: str
    calls: int
    unanswered: int
    tokens_in: int
    tokens_out: int
    cost_nano_usd: int


@dataclass(frozen=True, slots=True)
class Estimated:
    """The estimate that was made last, and what was spent since. Ranges are (low, expected, high)."""

    documents: tuple[int, int, int]
    cost_nano_usd: tuple[int, int, int]
    spent_nano_usd: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What models were paid. Nothing in it where none was ever asked.

    `open_nano_usd` may have been spent by calls without an answer. `budget_nano_usd` is None where no model
    is wanted. `shared` documents have a label that was paid for once for several with the same text, which
    saved `shared_nano_usd`; `near` have that of a document which is nearly the same. `stand_ins` were
    labelled on this machine because the model could not be had, `without_vectors` not embedded.
    """

    calls: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    cost_nano_usd: int
    open_nano_usd: int
    budget_nano_usd: int | None
    models: tuple[ModelUse, ...]
    estimate: Estimated | None
    shared: int
    shared_nano_usd: int
    near: int
    stand_ins: int
    without_vectors: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds of work: documents that were `read` in it, and those that got `through`.

    Through is what has its label, or has ended without one. What was taken over from an earlier run is in
    neither. `start_s` counts the time in which runs went on, without that between them.
    """

    start_s: float
    seconds: float
    read: int
    through: int


@dataclass(frozen=True, slots=True)
class PhaseWork:
    """When a phase was at work: spans of (start, end) in seconds of work, and the documents it took."""

    phase: PhaseName
    documents: int
    spans: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        """How long it was at work in all, as exactly as checkpoints tell."""
        return sum(end - start for start, end in self.spans)


@dataclass(frozen=True, slots=True)
class Run:
    """A run. `started` is Unix time, `start_s` where it begins in the time of work."""

    number: int
    started: float
    start_s: float
    seconds: float
    state: str
    through: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it went, as checkpoints tell. `runs` are the last of `run_count`.

    `taken_over` are labels that were there before the run which needed them: their documents are in no rate.
    `freed` results were taken out by gc, so that nothing is known of their pace.
    """

    run_count: int
    seconds: float
    read: int
    through: int
    taken_over: int
    freed: int
    stretches: tuple[Stretch, ...]
    phases: tuple[PhaseWork, ...]
    runs: tuple[Run, ...]

    @property
    def documents(self) -> int:
        """Documents that got through; where runs went no further than reading, those that were read."""
        return max(self.through, self.read)

    @property
    def rate(self) -> float | None:
        """Documents a second over all the time of work; None where nothing is known of it."""
        return self.documents / self.seconds if self.documents and self.seconds > 0 else None

    @property
    def peak(self) -> float | None:
        """Documents a second in the best stretch."""
        by_reading = self.read > self.through
        rates = [(one.read if by_reading else one.through, one.seconds) for one in self.stretches]
        return max((count / seconds for count, seconds in rates if seconds > 0), default=None)


@dataclass(frozen=True, slots=True)
class CopyGroup:
    """Documents that are the same, or nearly: how many, how large one is, and some of their paths."""

    documents: int
    size_bytes: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CopyGroups:
    """Groups of documents of which one would do: `extra` are the others. The worst first."""

    count: int = 0
    extra: int = 0
    extra_bytes: int = 0
    worst: tuple[CopyGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class Copies:
    """`exact` have the same bytes. `near` is None where nobody has looked for what is nearly the same."""

    exact: CopyGroups
    near: CopyGroups | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A move of the head: a rollback, or one taken back. `to` is a checkpoint."""

    time: float
    why: str
    to: int


@dataclass(frozen=True, slots=True)
class Named:
    """A checkpoint that a person has named."""

    checkpoint: int
    name: str
    phase: PhaseName
    time: float


@dataclass(frozen=True, slots=True)
class History:
    """Checkpoints and moves of the head; `moves` and `named` are the last of them."""

    checkpoints: int
    head: int
    branches: int
    move_count: int
    moves: tuple[Move, ...]
    named: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. `settings` are those in force that are not the defaults, a line each.

    `versions` are (what, which): of the program, of what it stands on, and of the phases' results.
    """

    made: float
    status: StatusReport
    found: Found
    labels: Labels
    troubles: tuple[Trouble, ...]
    spent: Spent
    pace: Pace
    copies: Copies
    history: History
    settings: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
