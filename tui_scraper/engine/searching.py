"""Searching a workspace by words, by meaning or both: also has the query's vector made, which costs a little.

Where this machine makes the vectors, it makes that of the query. That of a model is asked for once and then
in the store, under the hash of its words. Who may write has it made: this process, where nobody works in the
workspace, else the engine that does.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import apsw

from tui_scraper.engine.errors import TuiScraperError, UsageError
from tui_scraper.engine.llm.choosing import Provider, asked_for_vectors, choose_embedder
from tui_scraper.engine.llm.errors import PreflightError
from tui_scraper.engine.models import SearchHit
from tui_scraper.engine.phases import index as index_phase
from tui_scraper.engine.search.asked import in_words
from tui_scraper.engine.search.query import Looked, Search
from tui_scraper.engine.search.remarks import about_fields, about_labels, about_languages
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.settings_in_force import labels_at, settings_at, with_those_of_today
from tui_scraper.engine.store.connection import explained, open_blobs, open_state
from tui_scraper.engine.store.head import Head, read_head
from tui_scraper.engine.store.vectors import (
    EMBEDDINGS,
    find_vectors,
    forget_vectors,
    is_made_here,
    made_here,
    read_vector,
    settings_of_vectors,
    space_at,
    vector_key,
)
from tui_scraper.engine.workspace import holder, reopen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Mode = Literal["text", "semantic", "hybrid"]
Remote = Callable[[dict[str, Any]], Mapping[str, Any] | None]
"""Asks the engine that works in the workspace; None where it does not answer."""


OLD_INDEX = (
    "The search index was made by an older version: words are found as they stand, language: finds nothing. "
    "The next run builds it again."
)

_PATIENCE_S, _MOMENT_S = 5.0, 0.1


@dataclass(frozen=True)
class Answer:
    """What was found.

    `notice` says why it was not looked for by meaning although that was wanted, `by_meaning` whether it was.
    `about_words` says what was looked for in place of words that nothing has, and what an older index lacks.
    `pending` documents are not in the index yet, and so cannot be found.
    """

    hits: list[SearchHit]
    notice: str = ""
    pending: int = 0
    by_meaning: bool = False
    about_words: tuple[str, ...] = ()


def find(
    directory: Path,
    query: str,
    *,
    k: int = 10,
    label: str | None = None,
    path: str | None = None,
    mode: Mode | None = None,
    settings: Settings,
    remote: Remote = lambda _request: None,
    may_ask: bool = True,
    typing: bool = False,
) -> Answer:
    """Find the `k` best chunks; see `search.query.search` for words and filters.

    `semantic` finds by meaning, `hybrid` by both; without a mode it is both where there are vectors. What
    cannot be done by meaning is done by words, with a notice. Where meaning alone was asked for it raises
    UsageError if there are no vectors, and whatever kept the query from getting one. Unless it `may_ask` a
    model, only vectors of this machine are searched for by meaning. `typing`: there may be more to come.
    """
    with Search(directory) as reader:
        pending = reader.pending()

        def answer(
            notice: str = "",
            vector: NDArray[np.int8] | None = None,
            *,
            words: bool = True,
            by_meaning: bool = False,
        ) -> Answer:
            looked = reader.look(query, k=k, label=label, path=path, vector=vector, words=words)
            about = about_fields(looked.wanted, query if typing else "") + _about(looked, words=words)
            asks = label is not None or any(one.field == "label" for one in looked.wanted.conditions)
            if asks and not looked.hits and (labels := _labels(directory)):
                about += about_labels(looked.wanted, label, labels)
            if not looked.hits and looked.languages is not None and not looked.old:
                about += about_languages(looked.wanted, looked.languages)
            return Answer(looked.hits, notice, pending, by_meaning, about)

        space = reader.space() if mode != "text" else None
        if not (may_ask or is_made_here(reader.embeddings())):
            return answer()
        if space is None:
            none = _no_vectors(settings)
            if mode == "semantic":
                raise UsageError(none)
            return answer(none if mode == "hybrid" else "")
        held, without = reader.vectors()
        if not held:
            notice = "No document here has its vectors yet; searched for words only."
            return Answer([], notice, pending) if mode == "semantic" else answer(notice)
        have = "1 document has" if without == 1 else f"{without:,} documents have"
        missing = f"{have} not all vectors: what lacks them is found by its words only." if without else ""
        try:
            vector = _vector(directory, in_words(query), space, reader, settings, remote)
            return answer(missing, vector, words=mode != "semantic", by_meaning=vector is not None)
        except TuiScraperError as error:
            if mode == "semantic":
                raise
            return answer(f"Searched for words only: {error}")


def _about(looked: Looked, *, words: bool) -> tuple[str, ...]:
    """What was looked for in place of words; by meaning alone only what is quoted must be there."""
    told = [str(one) for one in looked.replaced if words or not one.by]
    return (*told, *([OLD_INDEX] if looked.old and words else []))


def _labels(directory: Path) -> list[str]:
    """Those that documents can have here."""
    with explained(directory), contextlib.closing(open_state(directory, read_only=True)) as state:
        return labels_at(state, read_head(state))


def _vector(
    directory: Path, words: str, space: bytes, reader: Search, settings: Settings, remote: Remote
) -> NDArray[np.int8] | None:
    """The vector of a query; None for one without words."""
    if not words:
        return None
    made_by = reader.embeddings()
    if is_made_here(made_by):
        made = _made_here(made_by, words)
        return made if made.any() else None  # signs are no words
    with contextlib.suppress(ValueError):  # it is damaged: who may write has it made again
        vector = reader.vector(vector_key(space, words))
        if vector is not None:
            return vector
    deadline = time.monotonic() + _PATIENCE_S
    while holder(directory) is not None:
        answer = remote({"command": "embed", "text": words})
        if answer is not None:
            return unpacked(str(answer["vector"]))
        if time.monotonic() > deadline:  # another search would have ended by now
            raise TuiScraperError("the process that works in this workspace does not answer.")
        time.sleep(_MOMENT_S)
    workspace = reopen(directory, brief=True)
    try:
        return asyncio.run(embed(directory, words, settings, workspace.writer.submit))
    finally:
        workspace.close()


def _no_vectors(settings: Settings) -> str:
    if settings.index.embeddings == "none":
        return 'There are no vectors here: set index.embeddings = "local", and run.'
    return (
        "There are no vectors here yet: `tui-scraper run` makes them (after a rollback to settings without "
        "them, with --accept-settings)."
    )


def _made_here(made_by: object, words: str) -> NDArray[np.int8]:
    from tui_scraper.engine.labels import model_files, use_one_thread

    if made_by != made_here(model_files.identity()):
        raise UsageError(
            "the vectors here were made with another version of the model on this machine; "
            "the next `tui-scraper run` makes them anew."
        )
    use_one_thread()
    from tui_scraper.engine.phases.local_vectors import vector_of

    return vector_of(words)


def packed(vector: NDArray[np.int8]) -> str:
    """A vector, to be sent to another process."""
    return base64.b64encode(vector.tobytes()).decode("ascii")


def unpacked(text: str) -> NDArray[np.int8]:
    """What `packed` has made."""
    import numpy as np

    return np.frombuffer(base64.b64decode(text), np.int8)


async def embed(
    directory: Path, words: str, settings: Settings, submit: Callable[..., Awaitable[Any]]
) -> NDArray[np.int8]:
    """The vector of a query: from the store, or made now by the model that made those of the documents.

    `settings` are those of today; `submit` writes to the store. Raises TuiScraperError with what is in the
    way.
    """
    with explained(directory):
        state = open_state(directory, read_only=True)
        blobs = open_blobs(directory, read_only=True)
        try:
            head = read_head(state)
            space = space_at(state, head)
            if space is None:
                raise UsageError("There are no vectors here.")
            key = vector_key(space, words)
            try:
                known = read_vector(state, blobs, key)
            except ValueError:
                await submit(forget_vectors([find_vectors(state, [key])[key][0]]))
                known = None
            if known is not None:
                return known
            provider, dimensions = _provider(state, head, settings)
            from tui_scraper.engine.llm.embedding_one import embed_one

            return await embed_one(provider, space, words, dimensions, state, submit)
        finally:
            blobs.close()
            state.close()


def _provider(state: apsw.Connection, head: Head, today: Settings) -> tuple[Provider, int]:
    """The model that made the vectors of the head, with a key of today, and how long a vector is to be.

    The key that is set now is for the endpoint that the settings name now, so no other is asked.
    """
    made = settings_at(state, head)
    settings = today
    if made is not None:
        if _address(made) != _address(today):
            raise PreflightError(
                "the vectors here were made at another endpoint than the settings name (--config gives those "
                "of the run)."
            )
        settings = with_those_of_today(made, today)
    provider = choose_embedder(settings, offline="")
    if provider is None or index_phase.relevant(settings)[EMBEDDINGS] != settings_of_vectors(state, head):
        raise PreflightError("the vectors here are of another model or endpoint than the settings name.")
    return provider, settings.index.dimensions


def _address(settings: Settings) -> str:
    return asked_for_vectors(settings).base_url
