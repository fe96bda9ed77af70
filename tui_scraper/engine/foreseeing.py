"""What a run over a folder would ask and cost, before it begins: for the Start screen. Nothing is sent.

Who labels is settled as a run settles it, with what the workspace knows; the figures are those of
`estimate`, which reads a sample of the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.estimating import GivenUpError, Report, estimate
from tui_scraper.engine.llm.choosing import choose, choose_embedder
from tui_scraper.engine.outside import Choice, choose_models
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.settings_in_force import in_force
from tui_scraper.engine.store.connection import explained, open_state, snapshot
from tui_scraper.engine.store.ledger import read_spending
from tui_scraper.engine.workspace import is_workspace


@dataclass(frozen=True)
class Prospect:
    """Who would be asked in a run, and what its workspace has spent at most so far."""

    choice: Choice
    spent_nano_usd: int

    @property
    def spends(self) -> bool:
        """Whether any of it may cost money."""
        return self.choice.asks


def foresee(source: Path, settings: Settings, directory: Path) -> Prospect:
    """Settle who would be asked in a run. `directory` is its workspace, made or not.

    Raises PreflightError where a model is wanted and there is no key, UsageError for settings that cannot be.
    """
    if is_workspace(directory):
        with (
            contextlib.suppress(StoreError),  # the run itself will say what is wrong
            explained(directory),
            contextlib.closing(open_state(directory, read_only=True)) as state,
            snapshot(state, directory),
        ):
            kept = in_force(state, settings, accept=False)
            choice = choose_models(state, RunRequest(source, settings), kept)
            return Prospect(choice, read_spending(state).most_nano_usd)
    backend = choose(settings, offline="", paid_before=False)
    return Prospect(Choice(backend, choose_embedder(settings, offline="")), 0)


class Estimating:
    """One estimate, made in a thread of the caller's; from any other it can be given up."""

    def __init__(self, source: Path, choice: Choice, directory: Path) -> None:
        self._source, self._choice, self._directory = source, choice, directory
        self._given_up = threading.Event()

    def make(self) -> Report | None:
        """Make it; None where it was given up.

        Raises PreflightError where a price is not known, UsageError where the folder cannot be listed.
        """
        backend, embedder = self._choice.backend, self._choice.embedder
        if embedder is not None and not embedder.ask:
            embedder = None
        making = estimate(self._source, backend, embedder, self._directory, self._given_up.is_set)
        try:
            return asyncio.run(making)
        except GivenUpError:
            return None

    def give_up(self) -> None:
        """End it soon: workers are ended, and a folder is listed no further."""
        self._given_up.set()
