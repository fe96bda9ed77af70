"""The vector of one text, such as a query: a call by itself, in the ledger like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import apsw

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.llm.caller import Caller
from tui_scraper.engine.llm.choosing import Provider
from tui_scraper.engine.llm.client import Client, UnreadableAnswerError
from tui_scraper.engine.llm.embeddings import EmbeddingPreflight, Vector, price_of_vectors, vectors_in
from tui_scraper.engine.llm.errors import CallError, Verdict
from tui_scraper.engine.llm.preflight import Ready
from tui_scraper.engine.llm.profile import decode_profile
from tui_scraper.engine.llm.requests import EmbeddingRequest
from tui_scraper.engine.store.ledger import Caps
from tui_scraper.engine.store.profiles import read_profile, remember_profile
from tui_scraper.engine.store.vectors import StoredVectors, record_vectors

_TRIES = 3
_FIRST_WAIT_S = 0.3
_MOST_WAIT_S = 2.0
_LONGEST_TOKENS = 64
_NANO = 1_000_000_000


async def embed_one(
    provider: Provider,
    key: bytes,
    text: str,
    dimensions: int,
    state: apsw.Connection,
    submit: Callable[..., Awaitable[Any]],
) -> Vector:
    """Have the vector of a text made, and save it under its key.

    Raises TuiScraperError with what is in the way: PreflightError, CapReachedError, or no answer.
    """
    settings, url = provider.settings, provider.endpoint.url
    client = Client(provider.endpoint, provider.key, settings.model, settings.timeout_s, most=2)
    try:
        caps = Caps(
            round(settings.budget_usd * _NANO), settings.budget_tokens or None, settings.unsaved_tokens
        )
        caller = Caller(client, submit, run=0, endpoint=provider.endpoint.family, caps=caps, effort="none")
        known = decode_profile(read_profile(state, url, settings.model))
        if known is not None and known.api == "embeddings":
            ready = Ready(known, price_of_vectors(provider))
        else:
            trial = EmbeddingPreflight(provider, caller, longest=_LONGEST_TOKENS, wanted=dimensions)
            ready = await trial.run(None)
            await submit(remember_profile(url, settings.model, ready.profile.encode()))
        request = EmbeddingRequest("embed", (key,), (text,), dimensions)
        return await _ask(caller, ready, request, submit)
    finally:
        await client.close()


async def _ask(
    caller: Caller, ready: Ready, request: EmbeddingRequest, submit: Callable[..., Awaitable[Any]]
) -> Vector:
    problem = ""
    for attempt in range(_TRIES):
        try:
            answered = await caller.call(request, ready.profile, ready.price)
        except UnreadableAnswerError as error:
            problem = str(error)
        except CallError as error:
            problem = str(error)
            if error.verdict is not Verdict.RETRY or (error.retry_after_s or 0.0) > _MOST_WAIT_S:
                break
            if attempt + 1 < _TRIES:
                await asyncio.sleep(max(error.retry_after_s or 0.0, _FIRST_WAIT_S * 2**attempt))
        else:
            vector = vectors_in(answered.reply, 1).get(0)
            keys = [] if vector is None else list(request.keys)
            stored = StoredVectors(0, b"") if vector is None else StoredVectors(len(vector), vector.tobytes())
            await submit(record_vectors(keys, stored, answered.call, answered.paid))
            if vector is not None:
                return vector
            problem = "It answers, but not with a vector."
    raise TuiScraperError(f"{caller.client.model} does not answer. {problem}")
