"""A workspace against a trivial model of it, whatever happens in whatever order.

    python -m tests.chaos.model --examples 2000 --seed 1

The model (`judging.py`) is a dictionary of the files, the pure function that says what becomes of a document
(`folder.py`), and frozen copies: of what the head showed at each checkpoint, and when it was moved away. Runs
end anywhere, files come and go, settings change, results are damaged, and the process is killed: what is
on the disk then is a copy of the database files whose write-ahead log ends anywhere in what the last step
has written.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.chaos.folder import (
    CHUNK,
    CLASSIFY,
    CLEAN,
    CONTENTS,
    INDEX,
    NAMES,
    OKAPI,
    OPTIONS,
    TEXTS,
    ZEBRA,
    File,
    settings_of,
)
from tests.chaos.judging import Seen
from tests.chaos.lives import Workplace
from tests.chaos.looking import View, shown
from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.models import PHASES, PhaseName
from tui_scraper.engine.store.checkpoints import changed_since_checkpoint, name_checkpoint
from tui_scraper.engine.store.garbage import Garbage
from tui_scraper.engine.store.gc import sweep
from tui_scraper.engine.store.members import SEPARATOR
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo
from tui_scraper.engine.store.setbacks import put_back
from tui_scraper.engine.store.writer import Operation

NUMBER = st.integers(0, 1_000)
PHASE = st.sampled_from(list(PHASES))
CHANGE = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(list(CONTENTS))),
    st.tuples(
        st.sampled_from(["touch", "rename", "remove", "bring back", "change without a sign"]),
        st.sampled_from(NAMES),
        st.just(""),
    ),
)
CHANGES = st.lists(CHANGE, max_size=2)
OPTION = st.one_of(st.none(), st.integers(0, len(OPTIONS) - 1))


class History(Workplace, RuleBasedStateMachine):
    """The rules: everything that may happen to a workspace."""

    @initialize(complete=st.booleans())
    def start(self, complete: bool = False) -> None:
        self.begin()
        if complete:
            self.run_to_the_end()

    def teardown(self) -> None:
        self.remove()

    # --- what changes before a run ---

    def _prepare(self, changes: Sequence[tuple[str, bytes, str]], option: int | None) -> None:
        """Files change and a setting, before a run."""
        for what, name, content in changes:
            self._change(what, name, content)
        self.chosen = tuple(1 - old if place == option else old for place, old in enumerate(self.chosen))

    def _change(self, what: str, name: bytes, content: str) -> None:
        file = self.folder.files.get(name)
        if what == "write":
            self.folder.write(name, CONTENTS[content])
        elif what == "bring back":
            if b"moved/" + name in self.folder.files:
                self.folder.rename(b"moved/" + name, name)
            elif self.gone:
                self.folder.put(*self.gone.popitem())
        elif file is None:
            return
        elif what == "touch":
            self.folder.touch(name)
        elif what == "rename":
            self.folder.rename(name, b"moved/" + name)
        elif what == "change without a sign":
            if file.data in (ZEBRA, OKAPI):
                self.folder.put(name, File(OKAPI if file.data == ZEBRA else ZEBRA, file.mtime_ns))
        elif len(self.folder.files) > 1:  # nothing is judged gone from an empty folder
            self.gone[name] = self.folder.remove(name)

    @rule(number=NUMBER, phase=st.sampled_from([None, PhaseName.INPUT, CLEAN, CLASSIFY]))
    def be_in_trouble(self, number: int, phase: PhaseName | None) -> None:
        """A document makes its reader crash from now on; or all trouble is over."""
        paths = sorted(self.model.view.documents) or sorted(self.folder.files)
        if phase is None:
            self.trouble.clear()
        else:
            self.trouble[paths[number % len(paths)]] = phase

    # --- runs ---

    @rule(changes=CHANGES, option=OPTION, accept=st.booleans())
    def run_to_the_end(
        self,
        changes: Sequence[tuple[str, bytes, str]] = (),
        option: int | None = None,
        accept: bool = False,
    ) -> None:
        self._prepare(changes, option)
        self.do(lambda: self._run(PhaseName.OUTPUT, accept=accept), atomic=False)

    @rule(
        changes=CHANGES,
        option=OPTION,
        through=st.sampled_from(
            [PhaseName.OUTPUT, PhaseName.OUTPUT, INDEX, CLASSIFY, CHUNK, CLEAN, PHASES[0]]
        ),
        most=st.one_of(st.none(), st.integers(0, 6)),
        early=st.sampled_from([None, None, 0, 1, 3]),
        marks=st.sampled_from([(), ("scan",), ("batch",), ("scan", "batch")]),
        meddle=st.sampled_from([None, "write", "remove"]),
        retry=st.booleans(),
        number=NUMBER,
    )
    def run_in_part(
        self,
        changes: Sequence[tuple[str, bytes, str]] = (),
        option: int | None = None,
        through: PhaseName = PhaseName.OUTPUT,
        most: int | None = None,
        early: int | None = None,
        marks: tuple[str, ...] = (),
        meddle: str | None = None,
        retry: bool = False,
        number: int = 0,
    ) -> None:
        """A run that ends anywhere, while documents change and failures are tried again."""

        def meddling() -> None:
            name = sorted(self.folder.files)[number % len(self.folder.files)]
            if meddle is not None and not self.folder.files[name].data.startswith(b"PK"):
                self._change(meddle, name, list(TEXTS)[number % len(TEXTS)])

        self._prepare(changes, option)
        self.do(
            lambda: self._run(
                through, accept=False, most=most, early=early, marks=marks, meddling=meddling, retry=retry
            ),
            atomic=False,
        )

    def _run(
        self,
        through: PhaseName,
        *,
        accept: bool,
        most: int | None = None,
        early: int | None = None,
        marks: tuple[str, ...] = (),
        meddling: Callable[[], None] = lambda: None,
        retry: bool = False,
    ) -> None:
        before, lineages = self.model.view, self.stage.head.lineages
        wanted, pinned = shown(settings_of(self.chosen)), False
        if before.pinned and not accept:
            pinned, wanted = before.settings != wanted, before.settings
        assert self.stage.begin(settings_of(self.chosen), accept=accept, through=through) == wanted
        self.adopt()
        assert (self.model.view.settings, self.model.view.pinned) == (wanted, pinned)
        same = self.stage.head.lineages == lineages
        if same:
            self.model.check_kept(before)
        if most == 0 and early == 0:
            return  # stopped before anything was scanned
        self._scan(early, "scan" in marks)
        assert {path for path in self.model.view.documents if SEPARATOR not in path} == set(self.model.seen)
        self.model.check_possible(self.oracle)
        if same:
            self.model.check_kept(before, finished=early is not None)
        self.model.moved = False
        meddling()
        complete = self._work(most, marks)
        if retry:
            self.stage.call(put_back())
            self.stage.rewind()
            complete = self._work(most, marks)
        if complete:
            self.model.check_complete(self.oracle, through)
            if self.stage.call(changed_since_checkpoint):
                self._mark(through)
            assert not self.stage.call(changed_since_checkpoint)

    def _scan(self, early: int | None, mark: bool) -> None:
        seen = self.model.seen
        for name, file in self.folder.files.items():
            if name not in seen or seen[name].stamp != file.stamp:
                seen[name] = Seen(file.data, file.stamp)

        def midway() -> None:
            if mark:
                self._mark(PhaseName.INPUT)
            if early is not None:
                self.stage.work(early, lambda: None)
                self.adopt()

        self.stage.scan(midway)
        for name in set(seen) - set(self.folder.files):
            del seen[name]
        self.adopt()

    def _work(self, most: int | None, marks: tuple[str, ...]) -> bool:
        self.adopt()
        before = self.model.view

        def each() -> None:
            if "batch" in marks:
                self._mark(CLEAN)

        complete = self.stage.work(most, each)
        self.adopt()
        self.model.check_possible(self.oracle)
        self.model.check_kept(before, finished=True)
        return complete

    def _mark(self, phase: PhaseName) -> None:
        point = self.stage.mark(phase)
        assert point not in self.model.points
        self.adopt()
        self.model.points[point] = self.model.view

    # --- going back ---

    @rule(phase=PHASE, fresh=st.sampled_from([False, False, True]))
    def roll_back_to_a_phase(self, phase: PhaseName, fresh: bool) -> None:
        kept = PHASES[: PHASES.index(phase) + 1]

        def step() -> None:
            before = self.model.view
            if not before.settings:
                with pytest.raises(UsageError):
                    self.stage.call(roll_back_to_phase(phase, fresh=fresh))
                return
            newest = self.stage.state.execute("SELECT coalesce(max(id), 0) FROM artifact").get
            point = self._move(roll_back_to_phase(phase, fresh=fresh))
            documents = {path: document.only(kept) for path, document in before.documents.items()}
            kept_view = View(documents, before.settings, True)
            assert self.model.view == kept_view.without(self.stage.eyes.lost_now())
            assert point not in self.model.points
            self.model.points[point] = kept_view
            if fresh:
                self.model.asked_anew[self.stage.head.branch] = newest

        self.do(step)

    @precondition(lambda self: self.model.points)
    @rule(number=NUMBER)
    def roll_back_to_a_checkpoint(self, number: int) -> None:
        point = self._point(number)

        def step() -> None:
            assert self._move(roll_back_to_checkpoint(point)) == point
            wanted = dataclasses.replace(self.model.points[point], pinned=True)
            assert self.model.view == wanted.without(self.stage.eyes.lost_now())

        self.do(step)

    @rule()
    def undo(self) -> None:
        def step() -> None:
            if not self.model.moves:
                with pytest.raises(UsageError):
                    self.stage.call(undo())
                return
            wanted = self.model.moves[-1]
            self._move(undo())
            assert self.model.view == wanted.without(self.stage.eyes.lost_now())

        self.do(step)

    def _move(self, operation: Operation[int]) -> int:
        before = self.model.view
        point = int(self.stage.call(operation))
        for (left,) in self.stage.state.execute("SELECT id FROM checkpoint").fetchall():
            if left not in self.model.points and left != point:
                self.model.points[left] = before
        self.model.moves.append(before)
        self.model.moved = True
        self.adopt()
        return point

    @precondition(lambda self: self.model.points)
    @rule(number=NUMBER, name=st.sampled_from(["before", "after", ""]))
    def name_a_checkpoint(self, number: int, name: str) -> None:
        point = self._point(number)

        def step() -> None:
            if name and any(known == name for other, known in self.model.names.items() if other != point):
                with pytest.raises(UsageError):
                    self.stage.call(name_checkpoint(point, name))
                return
            self.stage.call(name_checkpoint(point, name))
            self.model.names.pop(point, None)
            if name:
                self.model.names[point] = name

        self.do(step)

    def _point(self, number: int) -> int:
        points = sorted(self.model.points)
        return points[number % len(points)]

    # --- failures, damage, and the end of the process ---

    @rule(phase=st.sampled_from([None, None, PhaseName.INPUT, CLEAN, CLASSIFY]), number=NUMBER)
    def retry(self, phase: PhaseName | None, number: int) -> None:
        """All that failed, in any phase or in one; or one document, whatever it ended as."""
        bad = sorted(
            (path, name, status)
            for path, document in self.model.view.documents.items()
            for name, (status, *_) in document.results.items()
            if status != "done" and phase in (None, name)
        )
        one = bad[number // 2 % len(bad)][0] if bad and number % 2 else None
        again = {path: name for path, name, status in bad if path == one or (not one and status == "failed")}

        def step() -> None:
            documents = dict(self.model.view.documents)
            for path, name in again.items():
                documents[path] = documents[path].without({name})
            assert self.stage.call(put_back(phase=phase, path=one)) == len(again)
            self.adopt()
            assert self.model.view.documents == documents

        self.do(step)

    @rule(number=NUMBER)
    def lose_what_is_stored(self, number: int) -> None:
        """An artifact is found damaged, and who has it at the head is put back to pending."""
        state = self.stage.state
        artifacts = [row[0] for row in state.execute("SELECT id FROM artifact ORDER BY id")]
        if artifacts:
            self.do(lambda: self._lose(artifacts[number % len(artifacts)]))

    def _lose(self, artifact: int) -> None:
        before = self.model.view
        self.stage.lose(artifact)
        self.adopt()
        assert self.model.view == before.without({artifact})

    @rule(keep=st.sampled_from([None, 0, 1, 3]))
    def collect_garbage(self, keep: int | None) -> None:
        def step() -> None:
            before = self.model.view
            sweep(
                self.stage.workspace.directory,
                self.stage.workspace.writer,
                Garbage(self.stage.state, self.stage.blobs, keep),
            )
            self.adopt()
            assert self.model.view == before
            self.model.forget(self.stage, keep)

        self.do(step)

    @rule(fraction=st.one_of(st.none(), st.integers(0, 1_000).map(lambda number: number / 1_000)))
    def end(self, fraction: float | None) -> None:
        """The process ends, well, or killed when so much of the next step was written; and another begins."""
        if fraction is None:
            self.begin_again()
        self.doomed = fraction


def check(examples: int, steps: int, seeded: int | None = None, *, shrink: bool = True) -> None:
    """Try so many histories of so many steps. Raises what was wrong, with the shortest history that shows it.

    Without a seed they are the same each time. Without `shrink` the history is the first one found.
    """
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=seeded is None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        report_multiple_bugs=False,
    )
    machine = type("Workspace", (History,), {})
    run_state_machine_as_test(machine if seeded is None else seed(seeded)(machine), settings=chosen)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=2_000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    check(options.examples, options.steps, options.seed)
    took = time.monotonic() - began
    print(
        f"{options.examples:,} histories of up to {options.steps} steps agree with the model ({took:,.0f} s)"
    )


if __name__ == "__main__":
    main()
