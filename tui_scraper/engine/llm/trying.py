"""Trying a model with one tiny call: for `doctor`, and before another model takes the place of one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tui_scraper.engine.llm.caller import Caller, Submit, caps_of
from tui_scraper.engine.llm.choosing import Backend, Provider
from tui_scraper.engine.llm.client import Client
from tui_scraper.engine.llm.embeddings import EmbeddingPreflight
from tui_scraper.engine.llm.preflight import LabelPreflight, Ready
from tui_scraper.engine.llm.profile import Profile
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.ledger import Caps


async def try_model(backend: Backend, submit: Submit | None = None, known: Profile | None = None) -> Ready:
    """Make one tiny call for a label, first in the way that is known.

    `submit` writes to the store that has the ledger; without one the call is in no ledger and under no cap.
    Raises PreflightError with what is wrong, and CapReachedError where it does not fit under a cap.
    """
    async with _caller(backend.provider, submit) as caller:
        return await LabelPreflight(backend.provider, caller, backend.prompter()).run(known)


async def try_vectors(
    provider: Provider,
    settings: Settings,
    submit: Submit | None = None,
    known: Profile | None = None,
) -> tuple[Ready, int]:
    """Make one tiny call for vectors, and say how long they are. Raises as `try_model`."""
    async with _caller(provider, submit) as caller:
        preflight = EmbeddingPreflight(
            provider, caller, longest=settings.chunk.max_tokens, wanted=settings.index.dimensions
        )
        return await preflight.run(known), preflight.dimensions


@contextlib.asynccontextmanager
async def _caller(provider: Provider, submit: Submit | None) -> AsyncIterator[Caller]:
    settings = provider.settings
    client = Client(provider.endpoint, provider.key, settings.model, settings.timeout_s)
    try:
        yield Caller(
            client,
            submit,
            run=0,
            endpoint=provider.endpoint.family,
            caps=Caps() if submit is None else caps_of(settings),
            effort=settings.reasoning_effort,
        )
    finally:
        await client.close()
