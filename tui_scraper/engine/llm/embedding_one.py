"""The vector of one text, such as a query: a call by itself, in the ledger like any other."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import apsw

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.llm.caller import Answered, Caller, caps_of
from tui_scraper.engine.llm.choosing import Provider
from tui_scraper.engine.llm.client import Client, UnreadableAnswerError
from tui_scraper.engine.llm.embeddings import price_of_vectors, vectors_in
from tui_scraper.engine.llm.errors import CallError, Verdict
from tui_scraper.engine.llm.preflight import Ready
from tui_scraper.engine.llm.profile import Profile, decode_profile
from tui_scraper.engine.llm.requests import EmbeddingRequest
from tui_scraper.engine.passages import Vector
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.profiles import read_profile
from tui_scraper.engine.store.vectors import StoredVectors, record_vectors, vector_key

_TRIES = 3
_FIRST_WAIT_S = 0.3
_MOST_WAIT_S = 2.0
_PATIENCE_S = 8.0


async def embed_one(
    provider: Provider,
    space: bytes,
    text: str,
    dimensions: int,
    state: apsw.Connection,
    submit: Callable[..., Awaitable[Any]],
) -> Vector:
    """Have the vector of a text made, and save it among those of its space. It takes a few seconds at most.

    Raises TuiScraperError with what is in the way: PreflightError, CapReachedError, or no answer.
    """
    settings, url = provider.settings, provider.endpoint.url
    client = Client(provider.endpoint, provider.key, settings.model, settings.timeout_s, most=2)
    try:
        caps = caps_of(settings)
        caller = Caller(client, submit, run=0, endpoint=provider.endpoint.family, caps=caps, effort="none")
        known = decode_profile(read_profile(state, url, settings.model))
        if known is None or known.api != "embeddings":
            known = Profile(api="embeddings")
        ready = Ready(known, price_of_vectors(provider))
        request = EmbeddingRequest("embed", (vector_key(space, text),), (text,), dimensions)
        async with asyncio.timeout(_PATIENCE_S):
            return await _ask(caller, ready, request, functools.partial(_save, submit, space))
    except TimeoutError:
        raise TuiScraperError(
            f"{safe_text(settings.model)} has not answered within {_PATIENCE_S:g} s."
        ) from None
    finally:
        await client.close()


async def _ask(
    caller: Caller,
    ready: Ready,
    request: EmbeddingRequest,
    save: Callable[[Sequence[bytes], Vector | None, Answered], Awaitable[bool]],
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
            if await save(request.keys, vector, answered) and vector is not None:
                return vector
            problem = "It answers, but not with a vector like those of the documents."
    raise TuiScraperError(f"{safe_text(caller.client.model)} made no vector of the query. {problem}")


async def _save(
    submit: Callable[..., Awaitable[Any]],
    space: bytes,
    keys: Sequence[bytes],
    vector: Vector | None,
    answered: Answered,
) -> bool:
    stored = StoredVectors(0, b"") if vector is None else StoredVectors(len(vector), vector.tobytes())
    saved = () if vector is None else keys
    return bool(await submit(record_vectors(space, saved, stored, answered.call, answered.paid)))
