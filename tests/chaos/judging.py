"""The model of a workspace, and what it says of what the store shows."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.folder import CHUNK, CLASSIFY, CLEAN, INDEX, OPTIONS, Oracle, Outcome, settings_of
from tests.chaos.looking import Document, View, shown
from tests.chaos.stage import Made, Stage
from tests.engine.running import check_counters
from tui_scraper.engine.models import PHASES, PhaseName, Status
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.counters import Totals, read_totals
from tui_scraper.engine.store.head import DOCUMENT_PHASES, decode_head, read_point
from tui_scraper.engine.store.members import SEPARATOR
from tui_scraper.engine.store.reader import Reader, counts_of
from tui_scraper.engine.store.results import unfinished

CHOICES = {shown(settings_of(chosen)): chosen for chosen in itertools.product((0, 1), repeat=len(OPTIONS))}
"""Which options the settings in force are."""

EMPTY = View({}, "", False)


class Seen(NamedTuple):
    """A file as it was last looked at: what was read, and what the directory entry said before that."""

    data: bytes
    stamp: tuple[int, int]


@dataclass
class Model:
    """What is known of a workspace.

    `seen` is the folder as it was last looked at. `points` are what the head showed at each checkpoint,
    `moves` what it showed when it was moved away, `names` those of checkpoints. `blamed` is every failure
    that was an accident: (path, phase, cause). `moved`: the head was moved since the last run. For the
    others see `Stage`.
    """

    view: View = EMPTY
    seen: dict[bytes, Seen] = field(default_factory=dict)
    points: dict[int, View] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    moves: list[View] = field(default_factory=list)
    blamed: set[tuple[bytes, PhaseName, str]] = field(default_factory=set)
    asked_anew: dict[int, int] = field(default_factory=dict)
    lost: dict[int, object] = field(default_factory=dict)
    made: Made = field(default_factory=dict)
    moved: bool = False
    checks: int = 0

    def copy(self) -> Model:
        """As it is now. Views never change, so they are shared."""
        return Model(**{part.name: copy.copy(getattr(self, part.name)) for part in fields(self)})

    def ask(self, oracle: Oracle, path: bytes) -> Outcome:
        """What a document becomes under the settings in force."""
        name = path.split(SEPARATOR)[0]
        return oracle.ask(self.seen[name].data, path, CHOICES[self.view.settings])

    def check_kept(self, before: View, *, finished: bool = False) -> None:
        """What a document has become stays, unless it, or the settings, changed."""
        for path, document in self.view.documents.items():
            known = before.documents.get(path)
            if known is None or known.version != document.version or (finished and not known.finished):
                continue
            again = self.moved and known.results.get(CLEAN, ("",))[0] == "failed"  # see `match_members`
            assert document == known or again, f"{path!r}: {known} became {document}"

    def check_possible(self, oracle: Oracle) -> None:
        """Every result is what the document becomes under these settings, or an accident; none has a gap."""
        for path, document in self.view.documents.items():
            wanted = self.ask(oracle, path).results
            for phase, result in document.results.items():
                accident = (path, phase, result[1]) in self.blamed
                assert accident or wanted.get(phase) == result, f"{path!r}: {phase} is {result}, not {wanted}"
            done = [phase for phase in DOCUMENT_PHASES[1:] if phase in document.results]
            if PhaseName.INPUT in document.results:
                assert not done, f"{path!r} was refused and has {done}"
            assert self.lost or tuple(done) == DOCUMENT_PHASES[1 : 1 + len(done)], f"{path!r} has only {done}"

    def check_complete(self, oracle: Oracle, through: PhaseName) -> None:
        """A run that came to its end has left nothing to do, and all members of all containers."""
        documents = self.view.documents
        inside: dict[bytes, set[bytes]] = {path: set() for path in documents}
        for path, document in documents.items():
            if document.parent is not None:
                inside[document.parent].add(path)
            bad = any(status != "done" for status, *_ in document.results.values())
            assert not set(document.artifacts.values()) & self.lost.keys(), (
                f"{path!r}: what it became is lost"
            )
            for phase in DOCUMENT_PHASES[1 : PHASES.index(through) + 1]:
                assert bad or phase in document.results, f"{path!r} is still pending in {phase}"
        if PHASES.index(through) < PHASES.index(CLEAN):
            return
        for path, document in documents.items():
            outcome = self.ask(oracle, path)
            read = PhaseName.INPUT not in document.results and (
                document.results.get(CLEAN) == outcome.results.get(CLEAN)
            )
            wanted = {path + SEPARATOR + name for name in (outcome.members if read else None) or ()}
            assert inside[path] == wanted, f"{path!r} holds {inside[path]}, not {wanted}"

    def recover(self, stage: Stage, saved: Model) -> None:
        """A step was killed that would have led from `saved` to here: some of its commits were not made."""
        state = stage.state
        known = saved.points | self.points
        self.points = {row[0]: known[row[0]] for row in state.execute("SELECT id FROM checkpoint")}
        names = dict(state.execute("SELECT id, name FROM checkpoint WHERE name IS NOT NULL").fetchall())
        assert names in (saved.names, self.names)
        self.names = names
        moves = state.execute("SELECT count(*) FROM reflog").get
        assert moves in (len(saved.moves), len(self.moves))
        self.moves = saved.moves if moves == len(saved.moves) else self.moves
        newest = int(state.execute("SELECT coalesce(max(seq), 0) FROM result").get)
        for key in [key for key, (_artifact, seq) in self.made.items() if seq > newest]:
            del self.made[key]
        self.lost.update(saved.lost)
        self.seen = self._seen_by(state, saved)
        self.moved = True

    def forget(self, stage: Stage, keep: int | None) -> None:
        """Garbage was collected: what history has forgotten cannot be gone back to, and may be made again."""
        state = stage.state
        points = {row[0] for row in state.execute("SELECT id FROM checkpoint")}
        newest = set(sorted(self.points)[-keep:] if keep else ())
        kept = self.points.keys() if keep is None else {*self.names, *newest, stage.head.checkpoint}
        assert kept & self.points.keys() <= points <= self.points.keys()
        self.points = {point: self.points[point] for point in points}
        self.moves = self.moves if keep is None else self.moves[-keep:] if keep else []
        assert state.execute("SELECT count(*) FROM reflog").get == len(self.moves)
        artifacts = {row[0] for row in state.execute("SELECT id FROM artifact")}
        for key in [
            key for key, (made, _seq) in self.made.items() if made not in artifacts or key[0] is CLASSIFY
        ]:
            del self.made[key]
        for point in self.points:
            self.check_point(stage, point)

    def check_point(self, stage: Stage, point: int) -> None:
        """A checkpoint shows what the head showed when it was taken."""
        head = read_point(stage.state, point)
        assert head is not None
        seen, known = stage.look(head), self.points[point]
        assert (seen.documents, seen.settings) == (known.documents, known.settings), f"checkpoint {point}"

    def _seen_by(self, state: Any, saved: Model) -> dict[bytes, Seen]:
        """What the store knows of the folder, before the step or after it."""
        rows: Any = state.execute(
            """SELECT path, size_bytes, mtime_ns, content FROM version v JOIN document d ON d.id = v.document
            WHERE scan_to IS NULL AND parent = 0"""
        ).fetchall()
        seen = {}
        for path, size_bytes, mtime_ns, content in rows:
            (seen[path], *_later) = [
                known
                for known in (self.seen.get(path), saved.seen.get(path))
                if known and known.stamp == (size_bytes, mtime_ns) and content in (None, digest(known.data))
            ]
        return seen

    def check(self, stage: Stage) -> None:
        """The store shows what is known, whomever one asks."""
        view = stage.look()
        assert view == self.view
        check_counters(stage.directory)
        totals = read_totals(stage.state, stage.head)
        counted = _counted(view.documents)
        assert _nonzero(totals) == counted
        assert totals.inside.n == sum(document.parent is not None for document in view.documents.values())
        counts = counts_of(totals)
        assert counts.found == len(view.documents)
        assert counts.done + counts.failed + counts.skipped + counts.empty + counts.pending == counts.found
        pending = {path for path, document in view.documents.items() if not document.finished}
        assert counts.pending == len(pending)
        if view.settings:
            assert {work.path for work in unfinished(stage.state, stage.head, 0, 1_000, INDEX)[0]} == pending
        self._check_history(stage)
        self._check_reader(stage.directory)

    def _check_history(self, stage: Stage) -> None:
        """What could be gone back to is what it was: the newest checkpoints, one of the others, and undo."""
        points = sorted(self.points)
        self.checks += 1
        for point in {*points[-3:], *points[self.checks % max(1, len(points)) :][:1]}:
            self.check_point(stage, point)
        if self.moves:
            (before,) = stage.state.execute("SELECT before FROM reflog ORDER BY id DESC LIMIT 1").fetchone()
            assert stage.look(decode_head(stage.state, before)) == self.moves[-1]

    def _check_reader(self, directory: Path) -> None:
        with Reader(directory) as reader:
            bad = {(row.path, row.phase, str(row.status), str(row.cause)) for row in reader.all_failures()}
            points = {point.id: point for point in reader.checkpoints(everything=True)}
        assert bad == {
            (path.decode(), phase, status, cause)
            for path, document in self.view.documents.items()
            for phase, (status, cause, _value) in document.results.items()
            if status != "done"
        }
        assert points.keys() == self.points.keys()
        assert {key: point.name for key, point in points.items() if point.name} == self.names
        for key, point in points.items():
            counted = {(phase, status): n for phase, by in point.counts.items() for status, n in by.items()}
            wanted = _counted(self.points[key].documents)
            assert counted == {(str(phase), str(status)): n for (phase, status), (n, *_) in wanted.items()}


Counted = dict[tuple[PhaseName, Status], tuple[int, int, int]]
"""(documents, bytes, tokens) by phase and status."""


def _counted(documents: Mapping[bytes, Document]) -> Counted:
    counted: Counted = {}

    def add(phase: PhaseName, status: Status, size_bytes: int, tokens: int) -> None:
        n, size, more = counted.get((phase, status), (0, 0, 0))
        counted[phase, status] = n + 1, size + size_bytes, more + tokens

    for document in documents.values():
        if PhaseName.INPUT not in document.results:
            add(PhaseName.INPUT, Status.DONE, document.size_bytes, 0)
        for phase, (status, _cause, value) in document.results.items():
            tokens = value[1] if phase is CHUNK and isinstance(value, tuple) else 0
            add(phase, Status(status), document.size_bytes, tokens)
    return counted


def _nonzero(totals: Totals) -> Counted:
    return {
        (phase, status): (count.n, count.size_bytes, count.tokens)
        for phase, by_status in totals.items()
        for status, count in by_status.items()
        if count.n
    }
