"""What `verify` found: checks, each with the damage it saw and where, as data for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN_DOCUMENTS = 10
"""How many paths a damage names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was written.

    `what` is a sentence, `where` the file or table, `documents` the first paths (safe to show) of the
    `document_count` documents at the head that it touches, `repair` what `--repair` does about it.
    """

    what: str
    where: str
    repair: str
    documents: tuple[str, ...] = ()
    document_count: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing that is no damage."""

    text: str


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `looked_at` counts in `unit`: what it went through."""

    name: str
    looked_at: int
    unit: str
    damages: tuple[Damage, ...]
    notes: tuple[Note, ...]
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.damages


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of one workspace, in the order they were made."""

    workspace: str
    checks: tuple[Check, ...]
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether no check found anything."""
        return all(check.sound for check in self.checks)

    @property
    def damages(self) -> tuple[Damage, ...]:
        """What all checks found."""
        return tuple(damage for check in self.checks for damage in check.damages)
