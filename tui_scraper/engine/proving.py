"""Before another model takes the place of one that was paid for: one tiny call shows whether it works.

Settings are in force from the moment a run begins, and what other settings have made is out of force then.
A name that is misspelt must not put the labels of every document aside, or empty the search.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import apsw

from tui_scraper.engine.llm.caller import Submit
from tui_scraper.engine.llm.choosing import Provider
from tui_scraper.engine.llm.errors import PreflightError
from tui_scraper.engine.llm.preflight import Ready
from tui_scraper.engine.llm.profile import Profile, decode_profile
from tui_scraper.engine.llm.trying import try_model, try_vectors
from tui_scraper.engine.outside import Choice, Unproven
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.ledger import CapReachedError
from tui_scraper.engine.store.profiles import read_profile, remember_profile
from tui_scraper.engine.store.writer import Writer


async def prove(
    unproven: Unproven, choice: Choice, state: apsw.Connection, writer: Writer, tell: Callable[[str], None]
) -> None:
    """Try the models that are new here. The calls are in the ledger, of no run.

    Raises PreflightError where one cannot be used, and CapReachedError where no call fits under a cap and the
    settings say to stop then. Nothing has changed in either case.
    """
    if unproven.labels:

        async def labels(submit: Submit, known: Profile | None) -> Ready:
            return await try_model(choice.backend, submit, known)

        await _prove(choice.backend.provider, labels, state, writer, tell, "The labels stay as they are.")
    embedder = choice.embedder
    if unproven.vectors and embedder is not None:

        async def vectors(submit: Submit, known: Profile | None) -> Ready:
            ready, _dimensions = await try_vectors(embedder, choice.backend.settings, submit, known)
            return ready

        await _prove(embedder, vectors, state, writer, tell, "The search stays as it is.")


async def _prove(
    provider: Provider,
    attempt: Callable[[Submit, Profile | None], Awaitable[Ready]],
    state: apsw.Connection,
    writer: Writer,
    tell: Callable[[str], None],
    unchanged: str,
) -> None:
    model, url = provider.settings.model, provider.endpoint.url
    known = decode_profile(read_profile(state, url, model))
    tell(f"{safe_text(model)} at {provider.endpoint.shown} is new here: it is tried before anything changes.")
    try:
        ready = await attempt(writer.submit, known)
    except PreflightError as error:
        raise PreflightError(f"{error} {unchanged}") from None
    except CapReachedError as error:
        if provider.settings.on_budget == "offline":
            return  # that is for the run to tell
        raise CapReachedError(f"{error} {unchanged}") from None
    if ready.profile != known:
        await writer.submit(remember_profile(url, model, ready.profile.encode()))
