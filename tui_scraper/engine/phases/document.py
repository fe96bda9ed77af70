"""What a worker does to documents: read, detect, clean, chunk, label.

A document stays in one process, so that its text crosses no process boundary between the phases; each leaves
its own result, keyed and stored apart by the engine. Small documents go through some at a time, phase by
phase: a phase's tables and code stay near the processor then, and what it does for many at once costs less
than for each. That takes a third less time than one document after the other.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from tui_scraper.engine.errors import DocumentError, UnreadFormatError
from tui_scraper.engine.models import WORKER_PHASES, Cause, PhaseName, Status
from tui_scraper.engine.phases.in_hand import InHand, Step
from tui_scraper.engine.phases.steps import STEPS, Allow, Sign
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.wire import DocumentReply, WorkItem, in_groups

_STATUS = {
    Cause.NEEDS_OCR: Status.EMPTY,
    Cause.NO_TEXT: Status.EMPTY,
}
_TOGETHER = 64
_TOGETHER_BYTES = 512_000
"""Documents of that many bytes at most go through the phases together."""
_HELD_CHARS = 1_000_000
"""Some that turn out to hold more (a small archive can) go on alone, before the next ones are read."""

_MEMORY = "Reading this file takes more memory than a worker may use (clean.worker_memory)."


class Watch:
    """What is told of the documents in hand, for whoever ends workers that take too long: here, nobody."""

    def begin(self, version: int, turn: int) -> None:
        """A document is in hand, for the step of that number."""

    def allow(self, seconds: float) -> None:
        """See `Allow`."""

    def end(self) -> None:
        """No document is in hand."""

    def may_go_on(self) -> bool:
        """Whether the document that was in hand has left the process fit for others."""
        return True

    def may_begin(self) -> bool:
        """Whether the process is fit for more documents, while none is open."""
        return True


class Processor:
    """Runs the worker-side phases with one set of settings, through `until` at most.

    With `signs` new texts that are not long come with their signatures.
    """

    def __init__(
        self,
        settings: Settings,
        until: PhaseName = PhaseName.CLASSIFY,
        steps: Sequence[Callable[[Settings, Allow], Step]] = STEPS,
        *,
        watch: Watch | None = None,
        signs: bool = False,
    ) -> None:
        self._watch = watch or Watch()
        wanted = WORKER_PHASES[: WORKER_PHASES.index(until) + 1]
        made = [step(settings, self._watch.allow) for step in steps]
        if signs:
            made.append(Sign(settings, self._watch.allow))
            made.sort(key=lambda step: WORKER_PHASES.index(step.phase))
        self._steps = [step for step in made if step.phase in wanted]
        self.ends = False
        """Whether another process is to go on with what has no reply yet."""

    def process(self, item: WorkItem) -> DocumentReply:
        """Take one document through its phases. A document's own faults become a reply.

        So does everything that a parser raises: a panic of a compiled library is no `Exception`.
        """
        return next(self.process_all([item]))[0]

    def process_all(self, items: Sequence[WorkItem]) -> Iterator[list[DocumentReply]]:
        """As `process` for many, in order, some at a time. Where `Watch` says so it `ends`, perhaps early."""
        self.ends = False
        for group in in_groups(items, _TOGETHER, _TOGETHER_BYTES):
            yield from self._take_on([InHand(item) for item in group], 0)
            self.ends = self.ends or not self._watch.may_begin()
            if self.ends:
                return

    def release(self) -> None:
        """A batch is over: containers that were open for the next member are closed."""
        for step in self._steps:
            step.release()

    def _take_on(self, documents: Sequence[InHand], turn: int) -> Iterator[list[DocumentReply]]:
        """Take documents through the steps from that one on; those that hold much, ahead of the others.

        They hold nothing any more when their replies are there: those that come after them need the memory.
        """
        if turn == len(self._steps):
            replies = [document.reply() for document in documents]
            for document in documents:
                document.let_go()
            yield replies
            return
        step, ended = self._steps[turn], self.ends
        ready: list[InHand] = []
        held, mark = 0, time.thread_time_ns()
        with contextlib.suppress(BaseException):  # `make` comes to the same, and knows whose fault it is
            step.prepare([document for document in documents if document.status is None])
        if step.is_whole:
            _charge(documents, step.phase, mark)
            yield from self._take_on(documents, turn + 1)
            return
        for number, document in enumerate(documents, 1):
            fit = document.status is not None or self._make(step, turn, document)
            ready.append(document)
            held += len(document.data) + len(document.text.text)
            self.ends = self.ends or not fit
            if not fit or held > _HELD_CHARS:
                _charge(ready, step.phase, mark)
                yield from self._take_on(ready, turn + 1)
                if self.ends and not ended:
                    for left in documents[number:]:
                        left.let_go()
                    return
                ready, held, mark = [], 0, time.thread_time_ns()
        if ready:
            _charge(ready, step.phase, mark)
            yield from self._take_on(ready, turn + 1)

    def _make(self, step: Step, turn: int, document: InHand) -> bool:
        """Do a step's work for a document. Returns whether the process is fit for another.

        Once it is not, those that it has begun with are taken to their end.
        """
        self._watch.begin(document.item.version, turn)
        try:
            if not step.restore(document):
                document.phase = step.phase
                step.make(document)
        except DocumentError as error:
            if isinstance(error, UnreadFormatError):
                document.phase = PhaseName.CLEAN  # also where the first bytes were enough to know the format
                document.end(Status.SKIPPED, error.cause, error.message)
            else:
                document.end(_STATUS.get(error.cause, Status.FAILED), error.cause, error.message)
        except MemoryError:
            document.end(Status.FAILED, Cause.TOO_LARGE, _MEMORY)
        except RecursionError:
            document.end(Status.FAILED, Cause.CORRUPT, "The file is nested too deeply to be read.")
        except BaseException as error:
            what = safe_text(f"{type(error).__name__}: {error}", limit=200)
            document.end(Status.FAILED, Cause.CRASHED, f"The reader of this format failed ({what}).")
        finally:
            self._watch.end()
        return not step.strains or self.ends or self._watch.may_go_on()


def _charge(documents: Sequence[InHand], phase: PhaseName, mark: int) -> None:
    """Have documents share the CPU time that this thread has used since the mark."""
    spent_ns, slot = time.thread_time_ns() - mark, WORKER_PHASES.index(phase)
    for document in documents:
        document.cpu_ns[slot] += spent_ns // len(documents)
