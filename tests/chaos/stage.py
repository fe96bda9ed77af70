"""A workspace that is worked on step by step, as a run does it, but never by chance.

The steps are those of `pipeline.py` and `batches.py` with their own parts (begin, scan, plan, commit, index,
checkpoint), one after the other in this thread. The workers' code runs here, too. So a run can be ended
after any step, and the same steps always leave the same workspace.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.folder import troubled
from tests.chaos.looking import Eyes, View, shown
from tui_scraper.engine.feeding import BatchSize, Payloads, batches, plan, work_item
from tui_scraper.engine.models import PHASES, PhaseName
from tui_scraper.engine.phases.base import hashes
from tui_scraper.engine.phases.document import Processor
from tui_scraper.engine.phases.input import Walk
from tui_scraper.engine.pipeline import Pipeline
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.runlog import RunLog
from tui_scraper.engine.scanning import Scan
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.settings_in_force import in_force
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.committing import commit_replies
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.head import (
    PHASE_NUMBER,
    SALT,
    Head,
    read_head,
    salts,
)
from tui_scraper.engine.store.lost import put_lost_back, take_away
from tui_scraper.engine.store.recording import Indexed, record_indexed, reuse
from tui_scraper.engine.store.results import Work, reached, unfinished
from tui_scraper.engine.store.writer import Operation, Transaction
from tui_scraper.engine.wire import DocumentReply
from tui_scraper.engine.workspace import Workspace

CLEAN, CHUNK, CLASSIFY, INDEX = PhaseName.CLEAN, PhaseName.CHUNK, PhaseName.CLASSIFY, PhaseName.INDEX
_PAGE = 5


Key = tuple[PhaseName, bytes]
Made = dict[Key, tuple[int, int]]
"""What was made, by what it was made from -> (artifact, a result that was there after it)."""


@dataclass
class Stage:
    """One opening of a workspace.

    What outlives it: `made`, `lost` (artifact -> what it held), `asked_anew` (the newest artifact at the time
    when phases were asked anew, by their salt). `trouble` says which phase fails for which document.
    `answered` is told of each document that a worker had: its path, whether its file was read, the reply.
    """

    directory: Path
    source: Path
    made: Made
    lost: dict[int, object]
    asked_anew: dict[int, int]
    trouble: dict[bytes, PhaseName]
    answered: Callable[[bytes, bool, DocumentReply], None]
    _processors: dict[tuple[str, PhaseName], Processor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.directory, self.source)
        self.log = RunLog(self.directory)
        self.state = open_state(self.directory, read_only=True)
        self.blobs = open_blobs(self.directory, read_only=True)
        self.eyes = Eyes(self.state, self.blobs, self.lost)
        self.through = PhaseName.OUTPUT
        self.after = 0

    def close(self) -> None:
        """Close everything, as a process that ends well."""
        self.log.close()
        self.state.close()
        self.blobs.close()
        self.workspace.close()

    def call(self, operation: Operation[Any]) -> Any:
        """Have the writer carry an operation out."""
        return self.workspace.writer.call(operation)

    def look(self, head: Head | None = None) -> View:
        """All that the head shows, or another."""
        return self.eyes.look(head)

    @property
    def head(self) -> Head:
        """Where the workspace stands."""
        return read_head(self.state)

    # --- the steps of a run ---

    def begin(self, wanted: Settings, *, accept: bool, through: PhaseName) -> str:
        """Begin a run. Returns the settings that it works with, as `View.settings`."""
        found = in_force(self.state, wanted, accept=accept)
        request = RunRequest(self.source, wanted, through=through, accept_settings=accept)

        async def operation() -> Any:
            pipeline = Pipeline(
                self.workspace, request, found, self.log, lambda _now: None, lambda _event: None
            )
            return await pipeline._begin(False)

        begun = asyncio.run(operation())
        self.through, self.settings, self.number = through, found.settings, begun.scan
        self.configs: Configs = hashes(begun.configs)
        self.after = self.settled = self.head.settled
        return shown(found.settings)

    def scan(self, midway: Callable[[], None]) -> None:
        """Scan the folder. `midway` is called when what is new is known, and not yet what is gone."""
        walk = Walk(os.fsencode(self.source), self.settings.input)
        Scan(
            self.number, walk, self.settings.input, self.workspace.writer, self.state, midway, lambda: False
        ).run()

    def work(self, most: int | None, each: Callable[[], None]) -> bool:
        """Feed and work, until `most` documents were in a worker's hands. `each` is called after every batch.

        Returns whether nothing is left to do.
        """
        given = 0
        while True:
            page, reached_id = unfinished(self.state, self.head, self.after, _PAGE, self.through)
            if reached_id == self.after:
                return True
            limit_bytes = self.settings.input.max_file_size
            planned = plan(self.state, page, self.configs, self.through, limit_bytes)
            if planned.reuse:
                self._check_anew(planned.reuse)
                self.call(reuse(planned.reuse))
            if planned.index:
                self._index([(work, work.reached[2].artifact) for work in planned.index])
            self._check_needed(planned.work)
            in_hand = [work.version for work in planned.work]
            for batch in batches(planned.work, BatchSize(2)):
                if most is not None and given >= most:
                    self.settled = min(in_hand) - 1
                    return False
                self._batch(batch)
                given += len(batch)
                in_hand = [version for version in in_hand if version not in {work.version for work in batch}]
                self.settled = min(in_hand) - 1 if in_hand else reached_id
                each()
            self.after = self.settled = reached_id

    def rewind(self) -> None:
        """Failures were put back to pending: look at all documents again."""
        self.after = self.settled = 0

    def mark(self, phase: PhaseName) -> int:
        """Take a checkpoint, as a run does."""
        settled = self.settled if PHASES.index(self.through) >= PHASES.index(INDEX) else 0
        return int(self.call(take_checkpoint(phase, settled)))

    def _batch(self, batch: Sequence[Work]) -> None:
        payloads = Payloads(self.state, self.blobs)
        processor = self._processor()
        source = os.fsencode(self.source)
        self._in_hand = {work.version: work.path for work in batch}
        pairs = []
        for work in batch:
            item = work_item(work, source, payloads)
            pairs.append((work, processor.process(item)))
            self.answered(work.path, item.clean is None, pairs[-1][1])
        processor.release()
        finished = self.call(commit_replies(pairs, self.configs))
        by_version = {work.version: work for work in batch}
        if PHASES.index(self.through) >= PHASES.index(INDEX):
            self._index([(by_version[one.version], one.chunks) for one in finished if one.chunks is not None])
        self._note_made(pairs)

    def _processor(self) -> Processor:
        until = min(self.through, CLASSIFY, key=PHASES.index)
        key = shown(self.settings), until
        if key not in self._processors:
            steps = troubled(lambda version: self.trouble.get(self._in_hand[version]))
            self._processors[key] = Processor(self.settings, until, steps)
        return self._processors[key]

    def _index(self, ready: Sequence[tuple[Work, int | None]]) -> None:
        entries = [
            Indexed(
                work.version, work.size_bytes, work.reached[4].attempt if 4 in work.reached else 0, artifact
            )
            for work, artifact in ready
            if artifact is not None
        ]
        if entries:
            self.call(record_indexed(entries))

    # --- nothing is made twice ---

    def _check_needed(self, handed: Sequence[Work]) -> None:
        """Whatever a worker is asked for must not have been made before."""
        for work in handed:
            for key in self._keys(work):
                assert key not in self.made, f"{work.path!r}: {key[0]} is asked for again"
                break  # only the first phase: the worker makes the others on the way

    def _keys(self, work: Work) -> Iterator[Key]:
        """What is asked for, by what it would be made from; nothing while that is not known."""
        done = {number for number, result in work.reached.items() if result.status == 1}
        if 1 not in done:
            if work.content and work.size_bytes <= self.settings.input.max_file_size:
                yield CLEAN, self.configs[CLEAN] + work.content + work.media_type.encode()
        elif 2 not in done:
            yield CHUNK, self.configs[CHUNK] + self._output(work.reached[1].artifact)
        elif 3 not in done:
            chunks = str((work.reached[2].artifact, work.media_type)).encode()
            yield CLASSIFY, self.configs[CLASSIFY] + chunks

    def _note_made(self, pairs: Sequence[tuple[Work, DocumentReply]]) -> None:
        head = self.head
        newest = self.state.execute("SELECT max(seq) FROM result").get
        now = reached(self.state, head, [work.version for work, _reply in pairs])
        for work, reply in pairs:
            found = now[work.version]
            for phase, made in ((CLEAN, reply.clean), (CHUNK, reply.chunk), (CLASSIFY, reply.label)):
                result = found.get(PHASE_NUMBER[phase])
                if made is None or result is None or result.status != 1 or result.artifact is None:
                    continue
                media_type = reply.media_type or work.media_type
                if phase is CLEAN:
                    source = reply.content + media_type.encode()
                elif phase is CHUNK:
                    source = self._output(found[1].artifact)
                else:
                    source = str((found[2].artifact, media_type)).encode()
                self.made[phase, self.configs[phase] + source] = result.artifact, newest

    def _check_anew(self, entries: Sequence[tuple[Work, int, int, int]]) -> None:
        """What was to be asked anew is not taken over from before that."""
        asked = {
            PHASE_NUMBER[phase]: self.asked_anew.get(int(str(salt[SALT])))
            for phase, salt in salts(self.state, self.head).items()
        }
        for work, phase, artifact, _tokens in entries:
            mark = asked.get(phase)
            assert mark is None or artifact > mark, (
                f"{work.path!r}: an old result answers what was asked anew"
            )

    def _output(self, artifact: int | None) -> bytes:
        return bytes(self.state.execute("SELECT output FROM artifact WHERE id = ?", (artifact,)).get)

    # --- damage ---

    def lose(self, artifact: int) -> None:
        """Take away what an artifact holds, as a repair does."""
        self.lost.setdefault(artifact, self.eyes.value(artifact))
        for key in [key for key, (made, _seq) in self.made.items() if made == artifact]:
            del self.made[key]

        def operation(transaction: Transaction) -> None:
            take_away(transaction.state, [artifact])
            put_lost_back(transaction)

        self.call(operation)


def _attempts(work: Work) -> int:
    return work.reached[4].attempt if 4 in work.reached else 0
