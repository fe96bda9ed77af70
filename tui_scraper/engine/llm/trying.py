"""Trying a model without a workspace: what `doctor` does. The call is not kept in any ledger."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tui_scraper.engine.llm.caller import Caller
from tui_scraper.engine.llm.choosing import Backend, Provider
from tui_scraper.engine.llm.client import Client
from tui_scraper.engine.llm.embeddings import EmbeddingPreflight
from tui_scraper.engine.llm.preflight import LabelPreflight, Ready
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.ledger import Caps


async def try_model(backend: Backend) -> Ready:
    """Make one tiny call for a label. Raises PreflightError with what is wrong."""
    async with _caller(backend.provider) as caller:
        return await LabelPreflight(backend.provider, caller, backend.prompter()).run(None)


async def try_vectors(provider: Provider, settings: Settings) -> tuple[Ready, int]:
    """Make one tiny call for vectors, and say how long they are. Raises PreflightError with what is wrong."""
    async with _caller(provider) as caller:
        preflight = EmbeddingPreflight(
            provider, caller, longest=settings.chunk.max_tokens, wanted=settings.index.dimensions
        )
        return await preflight.run(None), preflight.dimensions


@contextlib.asynccontextmanager
async def _caller(provider: Provider) -> AsyncIterator[Caller]:
    settings = provider.settings
    client = Client(provider.endpoint, provider.key, settings.model, settings.timeout_s)
    try:
        yield Caller(
            client,
            None,
            run=0,
            endpoint=provider.endpoint.family,
            caps=Caps(),
            effort=settings.reasoning_effort,
        )
    finally:
        await client.close()
