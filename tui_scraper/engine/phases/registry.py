"""Which module stands for which phase: what the engine asks for versions and settings that matter."""

from __future__ import annotations

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.phases import chunk, classify, clean, index
from tui_scraper.engine.phases import input as input_phase
from tui_scraper.engine.phases.base import Phase

DOCUMENT_PHASE_MODULES: dict[PhaseName, Phase] = {
    PhaseName.INPUT: input_phase,
    PhaseName.CLEAN: clean,
    PhaseName.CHUNK: chunk,
    PhaseName.CLASSIFY: classify,
    PhaseName.INDEX: index,
}
"""The phases that leave a result for each document, in pipeline order."""
