"""What every phase tells the engine about itself.

A phase has a name, a version of its code and the settings that matter to its results. The three
together make its configuration: results made with the same one from the same input are the same,
and are never made twice. Change what a phase makes, and raise its version.

The phases that look at one document at a time run in worker processes, as the steps of `document.py`;
index and output look at the corpus and run in the engine. A new phase is a module with `VERSION` and
`relevant`, entered in `registry.py`, and, where it works on single documents, a `Step`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.head import PhaseConfigs, config_hash


@runtime_checkable
class Phase(Protocol):
    """A module, or an object, that describes a phase."""

    VERSION: int
    """Raised when the same input and settings would give another result."""

    def relevant(self, settings: Settings) -> dict[str, object]:
        """The settings that matter to the result, and nothing else: JSON values."""
        ...


def configurations(
    phases: dict[PhaseName, Phase], settings: Settings, extra: dict[PhaseName, dict[str, object]]
) -> dict[PhaseName, tuple[int, Mapping[str, object]]]:
    """Phase -> (version of its code, the settings that matter), with what only this run knows."""
    return {
        name: (phase.VERSION, phase.relevant(settings) | extra.get(name, {}))
        for name, phase in phases.items()
    }


def hashes(configs: PhaseConfigs) -> Configs:
    """Phase -> hash of its configuration: the left half of the keys of what it makes."""
    return Configs({name: config_hash(name, version, config) for name, (version, config) in configs.items()})
