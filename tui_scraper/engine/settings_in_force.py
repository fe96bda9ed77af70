"""Which settings a run works with, and what a change of them redoes.

The settings file decides, except after a rollback: then the settings of the point that was gone back to stay
in force, and the keys of the file that differ wait until the person accepts them. Otherwise going back would
be undone by the very run that follows. What no document's result depends on (workers, where to export,
how the screen looks) takes effect at once, always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from tui_scraper.engine.labels.taxonomy import from_settings
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.phases.base import Phase
from tui_scraper.engine.phases.registry import DOCUMENT_PHASE_MODULES
from tui_scraper.engine.settings import Settings, recorded
from tui_scraper.engine.store.connection import open_state, snapshot
from tui_scraper.engine.store.head import Head, read_head
from tui_scraper.engine.store.runs import settings_of

DOCUMENT_SECTIONS = ("input", "clean", "chunk", "classify", "index")
"""The sections that the results of documents may depend on."""

_AT_ONCE: Mapping[str, tuple[str, ...]] = {
    "classify": (
        *("api_version", "api_key_env", "api_key_file", "docs_per_request", "timeout_s", "max_retries"),
        *("concurrency", "budget_usd", "budget_tokens", "unsaved_tokens", "on_budget", "on_outage"),
        *("price_in_usd", "price_cached_usd", "price_out_usd"),
    ),
    "index": ("api_key_env", "api_key_file", "price_usd"),
}
"""Settings that no label and no vector depends on: money, pace and keys are always those of today."""

_LONGEST_VALUE = 40

_REDONE = {
    PhaseName.INPUT: ("checked again", ""),
    PhaseName.CLEAN: ("read again", ", chunks and labels reused where the text is the same"),
    PhaseName.CHUNK: ("re-chunked", ", classification reused where the digest is the same"),
    PhaseName.CLASSIFY: ("re-labelled", ""),
    PhaseName.INDEX: ("re-indexed", ", vectors reused where the text is the same"),
}


@dataclass(frozen=True)
class KeyChange:
    """A setting that differs. `key` is `section.key`; `touches` are the phases whose results depend on it."""

    key: str
    before: object
    after: object
    touches: tuple[PhaseName, ...]

    def __str__(self) -> str:
        values = f"{_shown(self.before)} → {_shown(self.after)}"
        return f"{self.key} changed" + (f" ({values})" if len(values) <= _LONGEST_VALUE else "")


@dataclass(frozen=True)
class InForce:
    """What a run works with. `waiting` are the keys of the file that differ and are not accepted yet.

    `elsewhere`: the settings gone back to name another endpoint than those of the file. The key that is set
    now is for the latter, so neither is asked.
    """

    settings: Settings
    waiting: tuple[KeyChange, ...] = ()
    elsewhere: bool = False


def in_force(state: apsw.Connection, wanted: Settings, *, accept: bool) -> InForce:
    """The settings that a run which wants `wanted` works with."""
    head = read_head(state)
    kept = settings_at(state, head)
    if not head.pinned or accept or kept is None:
        return InForce(wanted)
    at_once = {f"{section}.{key}" for section, keys in _AT_ONCE.items() for key in keys}
    waiting = tuple(change for change in changes(kept, wanted) if change.key not in at_once)
    return InForce(with_those_of_today(kept, wanted), waiting, _elsewhere(kept, wanted))


def in_force_at(directory: Path, wanted: Settings, *, accept: bool = False) -> InForce:
    """The same for the workspace in a directory, read from its store. Raises StoreError."""
    connection = open_state(directory, read_only=True)
    try:
        with snapshot(connection, directory):
            return in_force(connection, wanted, accept=accept)
    finally:
        connection.close()


def with_those_of_today(kept: Settings, wanted: Settings) -> Settings:
    """`wanted`, but with what documents' results depend on as in `kept`."""
    pinned = {name: getattr(kept, name) for name in DOCUMENT_SECTIONS}
    for section, keys in _AT_ONCE.items():
        today = {key: getattr(getattr(wanted, section), key) for key in keys}
        pinned[section] = pinned[section].model_copy(update=today)
    return wanted.model_copy(update=pinned)


def _elsewhere(kept: Settings, wanted: Settings) -> bool:
    labels = kept.classify.base_url != wanted.classify.base_url
    return labels or (kept.index.embeddings != "none" and kept.index.base_url != wanted.index.base_url)


def settings_at(state: apsw.Connection, head: Head) -> Settings | None:
    """The settings that are in force at a point of history; None before the first run."""
    text = settings_of(state, head.run)
    return None if text is None else recorded(text)


def labels_at(state: apsw.Connection, head: Head) -> list[str]:
    """The labels that documents can have at a point of history; [] before the first run."""
    settings = settings_at(state, head)
    if settings is None:
        return []
    return [label.name for label in from_settings(settings.classify.labels).labels]


def changes(before: Settings, after: Settings) -> list[KeyChange]:
    """The settings that documents' results may depend on and that differ."""
    found = []
    for name in DOCUMENT_SECTIONS:
        old, new = getattr(before, name), getattr(after, name)
        for key in type(old).model_fields:
            values = getattr(old, key), getattr(new, key)
            if values[0] != values[1]:
                section = old.model_copy(update={key: values[1]})
                changed = before.model_copy(update={name: section})
                touched = _touched(before, changed)
                found.append(KeyChange(f"{name}.{key}", values[0], values[1], touched))
    return found


def _touched(before: Settings, after: Settings) -> tuple[PhaseName, ...]:
    phases: Mapping[PhaseName, Phase] = DOCUMENT_PHASE_MODULES
    return tuple(name for name, phase in phases.items() if phase.relevant(before) != phase.relevant(after))


def sentences(
    found: Sequence[KeyChange], phases: Sequence[PhaseName], redone: Mapping[PhaseName, int]
) -> tuple[str, ...]:
    """What a change of settings does, for a person.

    `phases` are those whose lineage changed, `redone` how many documents had passed each with the settings
    before and have not with the new ones.
    """
    said: list[str] = []
    explained: set[PhaseName] = set()
    for change in found:
        if change.touches:
            first = change.touches[0]
            explained.update(change.touches)
            verb, tail = _REDONE[first]
            what = (
                f"{redone.get(first, 0):,} documents {verb}{tail}"
                if redone.get(first, 0)
                else "nothing redone"
            )
            said.append(f"{change}: {what}.")
        elif change.key in {"input.include", "input.exclude", "input.gitignore"}:
            said.append(f"{change}: what it lets in or leaves out is seen by the scan.")
    first_changed = next(iter(phases), None)
    if first_changed is not None and first_changed not in explained and redone.get(first_changed, 0):
        verb, tail = _REDONE[first_changed]
        why = {
            PhaseName.INDEX: "The search index is new",
            PhaseName.CLASSIFY: "Another backend labels now",
        }.get(first_changed, "This version reads differently")
        said.append(f"{why}: {redone[first_changed]:,} documents {verb}{tail}.")
    return tuple(said)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float | str) else "…"
