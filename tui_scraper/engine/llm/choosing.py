"""Who labels in a run: a model elsewhere or this machine, and whether the model may be asked now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from tui_scraper.engine.labels.taxonomy import Taxonomy, from_settings
from tui_scraper.engine.llm.endpoint import Endpoint, endpoint_of
from tui_scraper.engine.llm.errors import PreflightError
from tui_scraper.engine.llm.keys import Key, find_key
from tui_scraper.engine.settings import Settings


@dataclass(frozen=True)
class Backend:
    """What a run labels with. `settings.classify.backend` is `openai`, `local` or `rules` here, never `auto`.

    `ask`: calls may be made. Where they may not although labels of a model are wanted, `why_not` says why,
    and labels of this machine stand in. `may_do_without`: that also holds where the model turns out not to be
    usable.
    """

    settings: Settings
    taxonomy: Taxonomy
    endpoint: Endpoint
    key: Key | None
    ask: bool
    why_not: str = ""
    may_do_without: bool = False

    def settled(self, settings: Settings) -> Settings:
        """Other settings, with `auto` in them meaning what it means here."""
        if settings.classify.backend != "auto":
            return settings
        return _with_backend(settings, self.settings.classify.backend)

    @property
    def wants_model(self) -> bool:
        """Whether labels of a model are wanted."""
        return self.settings.classify.backend == "openai"


def choose(
    settings: Settings, *, offline: bool, paid_before: bool, environ: Mapping[str, str] = os.environ
) -> Backend:
    """Settle what `auto` means here and now.

    `paid_before`: the labels in force are a model's. They stay so without a key or a network: nothing that
    was paid for is replaced by something worse because a key is missing today.

    Raises PreflightError where a model is asked for and there is no key, UsageError for settings that cannot
    be.
    """
    classify = settings.classify
    taxonomy = from_settings(classify.labels)
    endpoint = endpoint_of(classify, environ)
    wanted = classify.backend
    if wanted in {"local", "rules"}:
        return Backend(settings, taxonomy, endpoint, None, ask=False)
    key = None if offline else find_key(classify, environ)
    usable = key is not None or (endpoint.local and bool(classify.base_url))
    if wanted == "openai" and not usable and not offline:
        raise PreflightError(
            f"There is no API key: set {classify.api_key_env}, or put the key into a file that only you can "
            'read (classify.api_key_file); classify.backend = "local" and --offline label without one.'
        )
    if usable or paid_before or wanted == "openai":
        model = _with_backend(settings, "openai")
        why_not = "" if usable else ("offline" if offline else "there is no API key")
        return Backend(model, taxonomy, endpoint, key, usable, why_not, may_do_without=wanted == "auto")
    return Backend(_with_backend(settings, "local"), taxonomy, endpoint, None, ask=False)


def _with_backend(settings: Settings, backend: str) -> Settings:
    return settings.model_copy(update={"classify": settings.classify.model_copy(update={"backend": backend})})
