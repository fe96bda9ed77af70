"""Reads the facts of a report, all of one moment, in a connection that cannot write."""

from __future__ import annotations

import dataclasses
import platform
import time
from pathlib import Path
from typing import Any

import apsw

from tui_scraper import __version__
from tui_scraper.engine.alike import read_duplicates
from tui_scraper.engine.causes import WHAT_TO_DO
from tui_scraper.engine.models import PHASES, Cause, PhaseName, Status
from tui_scraper.engine.report.documents import Corpus, Tell
from tui_scraper.engine.report.facts import (
    Copies,
    CopyGroups,
    Example,
    Facts,
    History,
    Move,
    Named,
    Trouble,
)
from tui_scraper.engine.report.labels import read_labels
from tui_scraper.engine.report.money import read_spent
from tui_scraper.engine.report.pace import read_pace
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.settings_file import differing
from tui_scraper.engine.settings_in_force import settings_at
from tui_scraper.engine.store.connection import SCHEMA_VERSION, snapshot
from tui_scraper.engine.store.counters import Totals, read_totals
from tui_scraper.engine.store.head import Head, config_of, read_head
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.store.setbacks import bad_results

_EXAMPLES, _MOVES, _NAMED = 3, 6, 6
_MESSAGE_CHARS = 300
_ORDER = (Status.FAILED, Status.EMPTY, Status.SKIPPED)


def read_facts(
    directory: Path, *, locked: bool = False, state: str = "", tell: Tell = lambda _what, _done: None
) -> Facts:
    """Read them. `locked`: another process is working in the workspace; `state` is what its engine says.

    Raises StoreError where the workspace cannot be read.
    """
    with _FactsReader(directory) as reader:
        facts = reader.facts(tell, locked=locked)
    status = dataclasses.replace(facts.status, state=state or facts.status.state)
    return dataclasses.replace(facts, status=status)


class _FactsReader(Reader):
    """A reader that adds up. It works beside a running engine, and on a disk that can only be read."""

    def facts(self, tell: Tell, *, locked: bool) -> Facts:
        """All of one moment."""
        with snapshot(self._state, self._directory):
            now, head = time.time(), read_head(self._state)
            totals = read_totals(self._state, head)
            settings = settings_at(self._state, head)
            corpus = Corpus(self._state, head, tell)
            labels, shared = read_labels(self._state, head, corpus, tell)
            return Facts(
                made=now,
                status=self._status(head, locked=locked),
                found=corpus.found(totals, self._blobs),
                labels=labels,
                troubles=tuple(self._troubles(head, totals)),
                spent=read_spent(self._state, head, self._directory, settings, shared),
                pace=read_pace(self._state, now, locked=locked),
                copies=Copies(corpus.copies(), self._near(head, corpus)),
                history=self._history(head),
                settings=tuple(map(safe_text, differing(settings))) if settings is not None else (),
                versions=tuple(self._versions(head)),
            )

    def _near(self, head: Head, corpus: Corpus) -> CopyGroups | None:
        """Groups of documents with nearly the same text, where they are known: the export looks for them."""
        found = read_duplicates(self._directory, self._state, head)
        return corpus.near(found) if found is not None else None

    def _troubles(self, head: Head, totals: Totals) -> list[Trouble]:
        found = []
        for (phase, status, name), count in totals.causes.items():
            cause = Cause(name)
            rows = bad_results(
                self._state,
                head,
                cause=cause,
                phase=phase,
                status=status,
                limit=_EXAMPLES,
                expected={phase: count},
            )
            examples = tuple(
                Example(safe_text(show_path(row.path)), safe_text(row.message, limit=_MESSAGE_CHARS))
                for row in rows
            )
            found.append(Trouble(phase, status, cause, count, WHAT_TO_DO[cause], examples))
        found.sort(
            key=lambda one: (_ORDER.index(one.status), -one.documents, PHASES.index(one.phase), one.cause)
        )
        return found

    def _history(self, head: Head) -> History:
        count: Any = self._state.execute
        moves: Any = count(
            "SELECT time, why, json_extract(after, '$.checkpoint') FROM reflog ORDER BY id DESC LIMIT ?",
            (_MOVES,),
        ).fetchall()
        named: Any = count(
            """SELECT id, name, phase, time FROM checkpoint WHERE name IS NOT NULL
            ORDER BY id DESC LIMIT ?""",
            (_NAMED,),
        ).fetchall()
        return History(
            checkpoints=count("SELECT count(*) FROM checkpoint").get,
            head=head.checkpoint,
            branches=count("SELECT count(*) FROM branch").get,
            move_count=count("SELECT count(*) FROM reflog").get,
            moves=tuple(Move(when, safe_text(why), to or 0) for when, why, to in moves[::-1]),
            named=tuple(
                Named(number, safe_text(name), PHASES[phase], when)
                for number, name, phase, when in named[::-1]
            ),
        )

    def _versions(self, head: Head) -> list[tuple[str, str]]:
        found = [
            ("tui-scraper", __version__),
            ("Python", platform.python_version()),
            ("SQLite", apsw.sqlite_lib_version()),
            ("schema of the workspace", str(SCHEMA_VERSION)),
        ]
        for phase in (PhaseName.CLEAN, PhaseName.CHUNK, PhaseName.CLASSIFY, PhaseName.INDEX):
            lineage = head.lineages.get(phase)
            if lineage is not None:
                found.append((f"results of {phase}", f"version {config_of(self._state, lineage)[0]}"))
        return found
