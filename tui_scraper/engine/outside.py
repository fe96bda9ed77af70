"""What a pass asks of models elsewhere: labels, vectors, both or neither.

They are asked at the same time and spend from one budget. Their clients take long to load, so each is loaded
where it is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import apsw

from tui_scraper.engine.asking.telling import Surrounding
from tui_scraper.engine.limits import with_calls_limited, with_limits_of
from tui_scraper.engine.llm.choosing import Backend, Provider, choose, choose_embedder
from tui_scraper.engine.models import PHASES, PhaseName, Spend
from tui_scraper.engine.phases.classify import keep_labels
from tui_scraper.engine.phases.index import keep_vectors
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.settings import ClassifySettings, Settings
from tui_scraper.engine.settings_in_force import InForce
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.head import Head, PhaseConfigs, is_known, read_head
from tui_scraper.engine.store.labelling import config_of_model
from tui_scraper.engine.store.vectors import dimensions_of, space_of

if TYPE_CHECKING:
    from tui_scraper.engine.embedding import Embedding
    from tui_scraper.engine.labelling import Labelling


@dataclass(frozen=True)
class Choice:
    """Who labels in a pass, and who makes vectors (None: nobody)."""

    backend: Backend
    embedder: Provider | None

    @property
    def asks(self) -> bool:
        """Whether any model may be asked."""
        return self.backend.ask or (self.embedder is not None and self.embedder.ask)

    def limited(self, settings: Settings) -> Choice:
        """The same models, with the limits of other settings."""
        backend = replace(self.backend, settings=with_limits_of(self.backend.settings, settings))
        embedder = self.embedder
        if embedder is not None:
            asked = with_calls_limited(embedder.settings, settings.classify)
            embedder = replace(embedder, settings=asked)
        return Choice(backend, embedder)

    def keep(
        self,
        state: apsw.Connection,
        head: Head,
        configs: dict[PhaseName, tuple[int, Mapping[str, object]]],
    ) -> None:
        """Stay with the models whose work is in force, where none can be asked now."""
        if self.backend.wants_model and not self.backend.ask:
            keep_labels(state, head, configs)
        if self.embedder is not None and not self.embedder.ask:
            keep_vectors(state, head, configs)


def choose_models(state: apsw.Connection, request: RunRequest, in_force: InForce) -> Choice:
    """Settle who is asked in a pass. What is there already may be a model's: it stays, key or not.

    Raises PreflightError where a model is wanted and there is no key, UsageError for settings that cannot be.
    """
    paid = config_of_model(state, read_head(state)) is not None
    settings = in_force.settings
    never = "offline" if request.offline else ""
    if not never and in_force.elsewhere:
        never = "the settings gone back to name another endpoint than those of the file"
    goes_through = PHASES.index(request.through).__ge__
    labels = never or ("" if goes_through(PHASES.index(PhaseName.CLASSIFY)) else "offline")
    vectors = never or ("" if goes_through(PHASES.index(PhaseName.INDEX)) else "offline")
    return Choice(
        choose(settings, offline=labels, paid_before=paid), choose_embedder(settings, offline=vectors)
    )


class Unproven(NamedTuple):
    """Who is asked in a pass in place of another, and has never been asked here in this way."""

    labels: bool
    vectors: bool


def unproven(choice: Choice, state: apsw.Connection, configs: PhaseConfigs) -> Unproven:
    """Which models would put what is paid for, or all that can be found, out of force when a pass begins.

    One that is already known in this workspace is not among them: what it has made comes back for nothing,
    whether it can be asked today or not.
    """
    head = read_head(state)
    labels = choice.backend.ask and config_of_model(state, head) is not None
    vectors = choice.embedder is not None and choice.embedder.ask and PhaseName.INDEX in head.lineages
    space = space_of(configs[PhaseName.INDEX])
    return Unproven(
        labels=labels and not is_known(state, PhaseName.CLASSIFY, *configs[PhaseName.CLASSIFY]),
        vectors=vectors and space is not None and not dimensions_of(state, space),
    )


class Outside:
    """The models that one pass asks. Use it in one event loop; `close` it in the end."""

    def __init__(self, labelling: Labelling | None, embedding: Embedding | None) -> None:
        self.labelling = labelling
        self.embedding = embedding

    @property
    def busy(self) -> bool:
        """Whether documents wait for a label or for vectors."""
        return any(one.busy for one in self._those())

    @property
    def again(self) -> bool:
        """Whether it is worth while to offer again what had no room for its label."""
        return self.labelling is not None and self.labelling.again

    def moved(self) -> list[asyncio.Future[None]]:
        """Each resolves when something happens to a document that waits, from now on."""
        return [one.moved() for one in self._those()]

    def pause(self) -> None:
        """Send nothing new; what is in flight comes back."""
        for one in self._those():
            one.pause()

    def resume(self) -> None:
        """Go on."""
        for one in self._those():
            one.resume()

    def limit(self, settings: ClassifySettings) -> None:
        """Take over the limits of other settings; what is in flight comes back all the same."""
        for one in self._those():
            one.limit(settings)

    def spend(self) -> Spend | None:
        """What is spent and how fast, for a screen; None where nobody is asked."""
        labels = self.labelling.spend() if self.labelling is not None else None
        vectors = self.embedding.spend() if self.embedding is not None else None
        if labels is None or vectors is None:
            return labels or vectors
        return replace(
            labels,
            stand_ins=labels.stand_ins + vectors.stand_ins,
            in_flight=labels.in_flight + vectors.in_flight,
            waiting=labels.waiting + vectors.waiting,
            throttled=labels.throttled + vectors.throttled,
            bottleneck=labels.bottleneck or vectors.bottleneck,
            notice=labels.notice or vectors.notice,
        )

    async def close(self) -> None:
        """Send nothing more, wait for what is in flight, and save it."""
        if self.embedding is not None:
            self.embedding.stop()  # labels that come back must not wait for room there
        await asyncio.gather(*(one.close() for one in self._those()))

    def compare(self, directory: Path, tell: Callable[[str], None]) -> None:
        """Say how an estimate that was made before compares with what was spent."""
        if any(self._those()):
            from tui_scraper.engine.kept_estimate import compare

            sentence = compare(directory)
            if sentence:
                tell(sentence)

    def _those(self) -> list[Labelling | Embedding]:
        return [one for one in (self.labelling, self.embedding) if one is not None]


def open_outside(
    choice: Choice, through: PhaseName, configs: PhaseConfigs, hashed: Configs, around: Surrounding
) -> Outside:
    """Get ready to ask. Nothing is sent before there is something to ask."""
    last = PHASES.index(through)
    labels = choice.backend.wants_model and last >= PHASES.index(PhaseName.CLASSIFY)
    vectors = choice.embedder is not None and last >= PHASES.index(PhaseName.INDEX)
    if not (labels or vectors):
        return Outside(None, None)
    from tui_scraper.engine.asking.parts import Company

    company = Company()
    labelling: Labelling | None = None
    embedding: Embedding | None = None
    if labels:
        from tui_scraper.engine.labelling import Labelling

        labelling = Labelling(choice.backend, hashed, around, company)
    if vectors:
        from tui_scraper.engine.embedding import Embedding

        space = space_of(configs[PhaseName.INDEX])
        assert choice.embedder is not None
        assert space is not None
        embedding = Embedding(choice.embedder, space, choice.backend.settings, around, company)
    return Outside(labelling, embedding)
