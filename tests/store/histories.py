"""Histories of a store: random steps of runs, rollbacks and checkpoints, as a person could take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.store.test_promises import Store, reply
from tui_scraper.engine import PhaseName, UsageError
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.checkpoints import name_checkpoint, take_checkpoint
from tui_scraper.engine.store.codec import digest, pack
from tui_scraper.engine.store.committing import commit_replies
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.counters import count_anew
from tui_scraper.engine.store.head import Head, config_hash, config_of, read_head, read_point
from tui_scraper.engine.store.human import give_label
from tui_scraper.engine.store.ledger import mend_spending
from tui_scraper.engine.store.recording import Indexed, record_indexed
from tui_scraper.engine.store.results import Work
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo
from tui_scraper.engine.store.setbacks import put_back, set_aside
from tui_scraper.engine.store.writer import Transaction, Writer
from tui_scraper.engine.wire import Chunk, ChunkResult, CleanResult, CleanText, DocumentReply, LabelResult

PATHS = [b"a", b"b", b"c.zip", b"d.zip", b"e\xff"]

STEPS = st.one_of(
    st.tuples(st.just("scan"), st.dictionaries(st.sampled_from(PATHS), st.integers(1, 3))),
    st.tuples(
        st.just("work"),
        st.sampled_from(["done", "done", "done", "corrupt", "refused", "empty", "late"]),
        st.integers(1, 4),
    ),
    st.tuples(st.just("work"), st.just("done"), st.just(100)),
    st.tuples(st.just("retry"), st.sampled_from([None, *PhaseName][:6])),
    st.tuples(st.just("use"), st.sampled_from(["input", "clean", "chunk", "classify"]), st.integers(0, 2)),
    st.tuples(st.just("checkpoint")),
    st.tuples(st.just("checkpoint")),
    st.tuples(st.just("to phase"), st.sampled_from(list(PhaseName)), st.booleans()),
    st.tuples(st.just("to checkpoint"), st.integers(0, 20)),
    st.tuples(st.just("undo")),
    st.tuples(st.just("name"), st.integers(0, 20)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("label"), st.sampled_from(PATHS), st.integers(0, 2)),
    st.tuples(st.just("set aside"), st.sampled_from(PATHS)),
)


class History(Store):
    """A store that steps are taken in. Labels differ by document, content and settings; some cost money."""

    def __init__(self, directory: Path) -> None:
        self.setting = 0
        self._moved = False
        super().__init__(directory)
        self.scan({b"a": 1, b"b": 1, b"c.zip": 2})

    def use(self, **changed: int) -> None:
        super().use(**changed)
        self.setting = changed.get("classify", 0)

    def step(self, name: str, *values: Any) -> None:
        """Take a step; one that cannot be taken here is none."""
        match name:
            case "scan":
                self.scan(values[0])
            case "work":
                self.work(*values)
            case "retry":
                self.writer.call(put_back(phase=values[0]))
            case "use":
                self.use(**{values[0]: values[1]})
            case "checkpoint":
                self.writer.call(take_checkpoint(PhaseName.CLEAN))
            case "to phase":
                self.writer.call(roll_back_to_phase(values[0], fresh=values[1]))
                self._stay()
            case "to checkpoint" if known := self.checkpoints():
                self.writer.call(roll_back_to_checkpoint(known[values[0] % len(known)]))
                self._stay()
            case "undo":
                try:
                    self.writer.call(undo())
                except UsageError:  # there is nothing to undo yet
                    return
                self._stay()
            case "name" if known := self.checkpoints():
                chosen = known[values[0] % len(known)]
                self.writer.call(name_checkpoint(chosen, f"point {chosen}"))
            case "label":
                labels = [(), ("report",), ("by hand", "report")][values[1]]
                try:
                    self.writer.call(give_label(labels, path=values[0]))
                except UsageError:  # it is not there, or was never read
                    return
            case "set aside":
                self.writer.call(set_aside(path=values[0]))
            case "restart":
                self.writer.close()
                self.writer = Writer(self.directory)

    def scan(self, contents: dict[bytes, int]) -> None:
        super().scan(contents)
        self._contents, self._moved = contents, False

    def work(self, outcome: str = "done", limit: int = 1000) -> None:
        if self._moved:
            self.scan(self._contents)  # no run works where it has not looked
        chosen = self.pending()[:limit]
        pairs = [(work, self._own(work, reply(work, outcome))) for work in chosen]
        attempts = {work.version: work.reached[4].attempt if 4 in work.reached else 0 for work in chosen}
        before = self.writer.call(lambda transaction: transaction.last_artifact)
        finished = self.writer.call(commit_replies(pairs, self.configs))
        self.writer.call(_pay(before))
        entries = [
            Indexed(one.version, one.size_bytes, attempts[one.version], one.chunks)
            for one in finished
            if one.chunks
        ]
        if entries:
            self.writer.call(record_indexed(entries))

    def _stay(self) -> None:
        """Go on with the settings of where the head has gone, as a run does."""
        self._moved = True
        state = open_state(self.directory, read_only=True)
        try:
            found = {phase: config_of(state, lineage) for phase, lineage in read_head(state).lineages.items()}
        finally:
            state.close()
        self.configs = Configs({phase: config_hash(phase, *config) for phase, config in found.items()})
        self.setting = int(str(found[PhaseName.CLASSIFY][1]["setting"]))

    def _own(self, work: Work, answer: DocumentReply) -> DocumentReply:
        """The answer with a text, chunks and a label that fewer documents share."""
        if answer.clean is not None:
            text = CleanText(f"text {work.size_bytes:05} {work.path[:1].hex()}")
            clean = CleanResult(*pack(text), len(text.text))
            answer = msgspec.structs.replace(answer, clean=clean, content=digest(text.text.encode()))
        if answer.chunk is not None:
            tokens = 2 + work.size_bytes % 3
            answer = msgspec.structs.replace(
                answer, chunk=ChunkResult(*pack([Chunk(0, 13, tokens)]), 1, tokens)
            )
        if answer.label is None:
            return answer
        number = work.size_bytes + 7 * len(work.path)
        label = LabelResult(
            digest(f"{number} {self.setting}".encode()),
            [("report", "letter", "invoice")[(number + self.setting) % 3]],
            0.5 + number % 50 / 100,
            ("rules", "local", "openai", "human")[number % 4],
            [],
        )
        return msgspec.structs.replace(answer, label=label)

    def checkpoints(self) -> list[int]:
        """The ids of all checkpoints."""
        state = open_state(self.directory, read_only=True)
        try:
            return [row[0] for row in state.execute("SELECT id FROM checkpoint ORDER BY id")]
        finally:
            state.close()


def _pay(before: int) -> Any:
    """Let every third label made since artifact `before` have cost something."""

    def operation(transaction: Transaction) -> None:
        state = transaction.state
        state.execute(
            "UPDATE artifact SET cost_nano_usd = 1000 + id WHERE id > ? AND phase = 3 AND id % 3 = 0",
            (before,),
        )
        state.execute(
            """INSERT INTO ledger(run, kind, endpoint, model, state, tokens_in, tokens_out, cost_nano_usd,
            time) SELECT 0, 'label', 'e', 'm', 'settled', 10, 1, cost_nano_usd, 0 FROM artifact WHERE id > ?
            AND cost_nano_usd > 0""",
            (before,),
        )
        mend_spending(state)
        count_anew(state)

    return operation


def points(state: Any) -> list[Head]:
    """Every point of history that can be looked at: the checkpoints, and the head as it is."""
    found = [read_point(state, row[0]) for row in state.execute("SELECT id FROM checkpoint ORDER BY id")]
    return [*(point for point in found if point is not None), read_head(state)]
