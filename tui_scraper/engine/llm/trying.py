"""Trying a model without a workspace: what `doctor` does. The call is not kept in any ledger."""

from __future__ import annotations

from tui_scraper.engine.llm.caller import Caller
from tui_scraper.engine.llm.choosing import Backend
from tui_scraper.engine.llm.client import Client
from tui_scraper.engine.llm.preflight import LabelPreflight, Ready
from tui_scraper.engine.store.ledger import Caps


async def try_model(backend: Backend) -> Ready:
    """Make one tiny call. Raises PreflightError with what is wrong."""
    settings = backend.settings.classify
    client = Client(backend.endpoint, backend.key, settings.model, settings.timeout_s)
    try:
        caller = Caller(
            client,
            None,
            run=0,
            endpoint=backend.endpoint.family,
            caps=Caps(),
            effort=settings.reasoning_effort,
        )
        return await LabelPreflight(backend.provider, caller, backend.prompter()).run(None)
    finally:
        await client.close()
