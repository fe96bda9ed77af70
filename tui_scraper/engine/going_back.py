"""What a rollback would do, before it is done: what becomes pending, what stays in the store, what it costs.

Everything is read from counters, so the answer takes as long for a million documents as for ten, unless it is
about a checkpoint from before there were any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import apsw

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.models import PHASES, Counts, PhaseName, Status
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.settings_in_force import KeyChange, changes, sentences, settings_at
from tui_scraper.engine.store.checkpoints import find_checkpoint
from tui_scraper.engine.store.connection import open_state, snapshot
from tui_scraper.engine.store.counters import PhaseCount, Totals, counts_of, read_totals, totals_at
from tui_scraper.engine.store.head import DOCUMENT_PHASES, Head, decode_head, read_head, read_point
from tui_scraper.engine.store.rollback import moves


@dataclass(frozen=True)
class Preview:
    """What going back does.

    `hidden` are the documents by phase whose results the head would no longer show. All of them stay in the
    store; `cached` is how many of them are taken from there when they are asked for again with the settings
    that are in force then, `cached_nano_usd` and `cached_tokens` what they cost once. `redo_nano_usd` and
    `redo_tokens` is what making the rest again would cost, estimated by what it did cost. `tried_again` are
    documents that had failed, were skipped or empty. `waiting` are the settings of the file that differ from
    those in force then, `if_accepted` says what taking them would redo. `head` is the checkpoint that the
    head returns to (0: none), `moves` how often it has been moved so far.
    """

    target: str
    before: Counts
    after: Counts
    hidden: Mapping[PhaseName, int]
    cached: Mapping[PhaseName, int]
    tried_again: int
    cached_tokens: int
    cached_nano_usd: int
    redo_tokens: int
    redo_nano_usd: int
    waiting: tuple[KeyChange, ...]
    if_accepted: tuple[str, ...]
    head: int
    moves: int


def find_target(directory: Path, word: str) -> PhaseName | int:
    """What a person means: a phase, or a checkpoint by its id or name.

    Raises UsageError where there is no such thing.
    """
    if word in set(PHASES):
        return PhaseName(word)
    state = open_state(directory, read_only=True)
    try:
        return find_checkpoint(state, word)
    finally:
        state.close()


def preview(directory: Path, target: PhaseName | int, wanted: Settings, *, fresh: bool = False) -> Preview:
    """What going back to a phase or a checkpoint does. `wanted` are the settings of the file.

    Raises UsageError where there is nothing to go back to, StoreError.
    """
    state = open_state(directory, read_only=True)
    try:
        with snapshot(state, directory):
            head = read_head(state)
            if not head.lineages:
                raise UsageError("There is nothing to roll back: this workspace has not run yet.")
            now = read_totals(state, head)
            if isinstance(target, PhaseName):
                then, point = _kept(now, target), head
            else:
                found = read_point(state, target)
                if found is None:
                    raise UsageError(f"There is no checkpoint {target}.")
                then, point = totals_at(state, found), found
            return _compare(state, str(target), now, then, point, wanted, fresh)
    finally:
        state.close()


def preview_undo(directory: Path, wanted: Settings) -> Preview:
    """What taking the last move of the head back does; see `preview`."""
    state = open_state(directory, read_only=True)
    try:
        with snapshot(state, directory):
            row = state.execute("SELECT before, why FROM reflog ORDER BY id DESC LIMIT 1").fetchone()
            if row is None:
                raise UsageError("There is nothing to undo: this workspace was not rolled back.")
            point = decode_head(state, str(row[0]))
            now = read_totals(state, read_head(state))
            then = read_totals(state, point)
            return _compare(state, f"before: {row[1]}", now, then, point, wanted, fresh=False)
    finally:
        state.close()


def _kept(totals: Totals, phase: PhaseName) -> Totals:
    """The totals when only results through `phase` are kept."""
    kept = Totals(
        {
            name: dict(by_status) if PHASES.index(name) <= PHASES.index(phase) else {}
            for name, by_status in totals.items()
        }
    )
    kept.inside = totals.inside
    kept.causes = {key: n for key, n in totals.causes.items() if key[0] in kept and kept[key[0]]}
    return kept


def _compare(
    state: apsw.Connection,
    target: str,
    now: Totals,
    then: Totals,
    point: Head,
    wanted: Settings,
    fresh: bool,
) -> Preview:
    hidden = {
        phase: n for phase in DOCUMENT_PHASES[1:] if (n := _count(now, phase).n - _count(then, phase).n) > 0
    }
    labels = _count(now, PhaseName.CLASSIFY), _count(then, PhaseName.CLASSIFY)
    tokens = max(0, labels[0].tokens - labels[1].tokens)
    cost = max(0, labels[0].cost_nano_usd - labels[1].cost_nano_usd)
    settings = settings_at(state, point)
    waiting = tuple(changes(settings, wanted)) if settings is not None else ()
    touched = tuple(phase for phase in DOCUMENT_PHASES if any(phase in change.touches for change in waiting))
    redone = {phase: _count(then, phase).n for phase in touched}
    before, after = counts_of(now), counts_of(then)
    return Preview(
        target=target,
        before=before,
        after=after,
        hidden=hidden,
        cached={} if fresh else hidden,
        tried_again=max(0, _bad(before) - _bad(after)),
        cached_tokens=0 if fresh else tokens,
        cached_nano_usd=0 if fresh else cost,
        redo_tokens=tokens if fresh else 0,
        redo_nano_usd=cost if fresh else 0,
        waiting=waiting,
        if_accepted=sentences(waiting, touched, redone),
        head=point.checkpoint,
        moves=moves(state),
    )


def _count(totals: Totals, phase: PhaseName) -> PhaseCount:
    return totals[phase].get(Status.DONE, PhaseCount())


def _bad(counts: Counts) -> int:
    return counts.failed + counts.skipped + counts.empty
