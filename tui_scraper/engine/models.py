"""What flows through the engine and what the outside sees of it: frozen data, no behaviour.

Nothing here imports a library, so the command line, the TUI, the workers and the store can all
share these words at no cost in start-up time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class PhaseName(StrEnum):
    """The six phases, in pipeline order."""

    INPUT = "input"
    CLEAN = "clean"
    CHUNK = "chunk"
    CLASSIFY = "classify"
    INDEX = "index"
    OUTPUT = "output"


PHASES: tuple[PhaseName, ...] = tuple(PhaseName)

WORKER_PHASES: tuple[PhaseName, ...] = PHASES[:4]
"""The phases that run in worker processes."""


class Status(StrEnum):
    """The one state of a found document."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    EMPTY = "empty"


class Cause(StrEnum):
    """Why a document is failed, skipped or empty. The values are shown and exported as they are."""

    ENCRYPTED = "encrypted"
    CORRUPT = "corrupt"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too large"
    TIMEOUT = "timeout"
    CRASHED = "crashed the parser"
    NO_PERMISSION = "no permission"
    VANISHED = "vanished"
    CHANGED = "changed while read"
    READ_ERROR = "read error"
    NEEDS_OCR = "needs OCR"
    NO_TEXT = "no text"
    SET_ASIDE = "set aside by hand"


class Order(StrEnum):
    """What comes first in a list of documents."""

    PATH = "path"
    LEAST_SURE = "least sure"
    LARGEST = "largest"


class RunState(StrEnum):
    """What the engine is doing. `watching`: a pass is complete, and the next change begins another."""

    IDLE = "idle"
    SCANNING = "scanning"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETE = "complete"
    WATCHING = "watching"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents by status. found = done + failed + skipped + empty + pending, always.

    `inside` are those found that are members of other documents.
    """

    found: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    empty: int = 0
    pending: int = 0
    inside: int = 0


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """How far one phase is.

    `total` is the number of documents that will reach this phase as far as is known now; it
    grows while the scan runs and shrinks when documents fail in an earlier phase.
    `rate` is documents a second over the last few seconds, None before the first.
    The ETA is in seconds, by bytes still to do rather than by documents; None while unknown.
    """

    name: PhaseName
    done: int = 0
    total: int = 0
    failed: int = 0
    skipped: int = 0
    empty: int = 0
    rate: float | None = None
    eta_s: float | None = None
    eta_low_s: float | None = None
    eta_high_s: float | None = None
    active: bool = False
    cpu_ms_per_doc: float | None = None

    @property
    def complete(self) -> bool:
        """Nothing is left for this phase (as far as is known now)."""
        return self.done + self.failed + self.skipped + self.empty >= self.total


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the run's log, ready for a terminal: `text` has passed through `safe_text`."""

    number: int
    time: float
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Spend:
    """What labels of a model have cost so far, and what limits their pace.

    Money is what the workspace has spent in all; `open_nano_usd` may have been spent by calls without an
    answer. `taken_over` are documents whose label was there already, `stand_ins` those labelled on this
    machine in its place, in this run. Limits are None while the endpoint has not told them; `…_used` are of
    the last minute.
    """

    backend: str
    model: str
    budget_nano_usd: int
    spent_nano_usd: int
    open_nano_usd: int
    calls: int
    tokens_in: int
    tokens_out: int
    taken_over: int
    stand_ins: int
    requests_per_min: float | None
    requests_used: int
    tokens_per_min: float | None
    tokens_used: int
    in_flight: int
    waiting: int
    concurrency: int
    docs_per_request: int
    throttled: int
    bottleneck: str
    notice: str


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What a run is allowed, which a person may change while it goes on; it holds until the engine ends.

    `workers` 0 is one for each core, `concurrency` None as many calls as the endpoint takes. `asks`: a model
    is asked in this run, so that money and calls limit something.
    """

    budget_usd: float
    workers: int
    concurrency: int | None
    asks: bool


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """Everything a front end shows of a run, at one instant. Made by the engine, never changed.

    Times are seconds; `started` is Unix time. `idle_s` is the time since the last document was committed.
    `memory_full`: nothing is taken up because memory is above its limit.
    `notice` is a sentence the person should see (why the run is paused, for instance). `workspace` is the
    path as the system has it: whoever shows it makes it safe for a terminal. `tokens_counted` is the
    number of o200k tokens in all chunks made so far; `tokens_in`/`tokens_out` are tokens sent to and received
    from a model. `spend` is there where one is asked. `limits` are those in force, once there is an engine.
    `given` counts the labels that people have given or taken away since then.
    """

    state: RunState = RunState.IDLE
    source: str = ""
    workspace: str = ""
    started: float = 0.0
    elapsed_s: float = 0.0
    idle_s: float = 0.0
    phases: tuple[PhaseProgress, ...] = field(
        default_factory=lambda: tuple(PhaseProgress(name) for name in PHASES)
    )
    counts: Counts = Counts()
    ignored: int = 0
    through: PhaseName = PhaseName.OUTPUT
    tokens_in: int = 0
    tokens_out: int = 0
    cost_nano_usd: int = 0
    tokens_counted: int = 0
    method: str = ""
    checkpoint: int = 0
    memory_bytes: int = 0
    memory_full: bool = False
    workers: int = 0
    sandbox: str = ""
    bottleneck: str = ""
    eta_s: float | None = None
    eta_low_s: float | None = None
    eta_high_s: float | None = None
    notice: str = ""
    log: tuple[LogLine, ...] = ()
    export_dir: str = ""
    spend: Spend | None = None
    limits: RunLimits | None = None
    given: int = 0


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Where a workspace stands, read from its store without an engine.

    `phases` maps a phase to its documents by status (`total` included). `without_vectors` are in the index,
    but not with all the vectors that are wanted. `state` is `running`
    while another process holds the workspace, else how the last run ended.
    """

    workspace: str
    source: str
    state: str
    counts: Counts
    ignored: dict[str, int]
    phases: dict[str, dict[str, int]]
    tokens_in: int
    tokens_out: int
    cost_nano_usd: int
    head: int
    sandbox: str
    without_vectors: int = 0


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A document that is failed, skipped or empty, as `failures` and the Failed screen show it."""

    version: int
    path: str
    phase: PhaseName
    status: Status
    cause: Cause
    message: str
    attempts: int
    time: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as lists show it. `cause` is '' unless it is failed, skipped or empty.

    `labels` are best first, empty for none; `confidence` is None where nobody has said how sure the label is.
    """

    version: int
    path: str
    status: Status
    cause: str
    size_bytes: int
    media_type: str
    labels: tuple[str, ...]
    confidence: float | None
    method: str


@dataclass(frozen=True, slots=True)
class CauseCount:
    """How many documents share a phase, status and cause."""

    phase: PhaseName
    status: Status
    cause: Cause
    count: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A point in the history of a workspace. `counts` maps phase -> status -> documents; None: not kept.

    `why` says what made one that a run did not take by itself: a move of the head. `run` is the run whose
    settings were in force.
    """

    id: int
    parent: int | None
    time: float
    phase: PhaseName
    counts: dict[str, dict[str, int]] | None
    tokens: int
    cost_nano_usd: int
    name: str | None
    head: bool
    note: str | None = None
    why: str = ""
    branch: int = 1
    run: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointDetails:
    """A checkpoint with what came after it (`children`) and the settings in force then, as JSON values.

    `counts` are those of the checkpoint, also where it has kept none.
    """

    checkpoint: Checkpoint
    counts: dict[str, dict[str, int]]
    children: tuple[int, ...]
    settings: dict[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One chunk that answers a query: `text`, from `start` to `end` of the clean text.

    Marks are where words that were looked for begin and end, in characters of the snippet and of the text.
    """

    path: str
    title: str
    label: str | None
    score: float
    chunk: int
    start: int
    end: int
    snippet: str
    text: str = ""
    snippet_marks: tuple[tuple[int, int], ...] = ()
    text_marks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class FolderSurvey:
    """A quick look at a folder before a run: counted from directory entries alone.

    `by_type` maps a file ending ('.pdf', or '' for none) to (files, bytes). `complete` is False
    when the survey stopped at its time limit.
    """

    source: str
    files: int
    size_bytes: int
    by_type: tuple[tuple[str, int, int], ...]
    ignored: int
    complete: bool
