"""The labels a document can get: those of the settings, or those of `general.toml`.

A taxonomy is made canonical here (keywords sorted, case-folded, without doubles), so that two
ways of writing the same one are one taxonomy, with one model and one set of cached results.
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from tui_scraper.engine.settings import LabelSettings

FALLBACK_NAMES = frozenset({"other", "others", "misc", "miscellaneous", "unknown", "unsorted", "none"})
"""A label with one of these names, no keywords and no examples, is not matched by what it means
(nothing means "other"): it takes the documents that fit none of the rest."""


@dataclass(frozen=True, slots=True)
class Label:
    """One label. `media_types` are formats that speak for it (`text/x-*`: all that begin so).

    Settings cannot name any.
    """

    name: str
    description: str = ""
    keywords: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()

    @property
    def fallback(self) -> bool:
        """This label is for what fits no other."""
        return self.name.casefold() in FALLBACK_NAMES and not self.keywords and not self.examples


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """All labels, in their order. `matched` are those with a meaning, `fallback` the one without."""

    labels: tuple[Label, ...]

    @property
    def matched(self) -> tuple[Label, ...]:
        """The labels that documents are compared with."""
        return tuple(label for label in self.labels if label != self.fallback)

    @property
    def fallback(self) -> Label | None:
        """The first label for what fits no other, if at least two others are left."""
        found = next((label for label in self.labels if label.fallback), None)
        return found if len(self.labels) > 2 else None

    @property
    def media_types(self) -> frozenset[str]:
        """The media types that make a difference."""
        return frozenset(name for label in self.labels for name in label.media_types)

    def hint(self, media_type: str) -> str:
        """The entry of `media_types` that a media type falls under, exact before prefix, or ''."""
        known = self.media_types
        if media_type in known:
            return media_type
        prefixes = [name for name in known if name.endswith("*") and media_type.startswith(name[:-1])]
        return max(prefixes, key=len, default="")


def from_settings(labels: Sequence[LabelSettings]) -> Taxonomy:
    """The taxonomy of the settings; without any labels there, the general one."""
    if not labels:
        return general()
    return Taxonomy(
        tuple(_canonical(label.name, label.description, label.keywords, label.examples) for label in labels)
    )


@functools.lru_cache(maxsize=1)
def general() -> Taxonomy:
    """The taxonomy that is used where the settings have none."""
    path = os.path.join(os.path.dirname(__file__), "general.toml")
    with open(path, "rb") as file:
        labels = tomllib.load(file)["labels"]
    return Taxonomy(tuple(_canonical(**label) for label in labels))


def _canonical(
    name: str,
    description: str = "",
    keywords: Sequence[str] = (),
    examples: Sequence[str] = (),
    media_types: Sequence[str] = (),
) -> Label:
    return Label(
        name=name,
        description=" ".join(description.split()),
        keywords=tuple(sorted({keyword.casefold().strip() for keyword in keywords} - {""})),
        examples=tuple(example for example in examples if example.strip()),
        media_types=tuple(sorted(media_types)),
    )
