"""Who labels in a run: a model elsewhere or this machine, and whether the model may be asked now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from tui_scraper.engine.labels.taxonomy import Taxonomy, from_settings
from tui_scraper.engine.llm.endpoint import NOWHERE, Endpoint, endpoint_of
from tui_scraper.engine.llm.errors import PreflightError
from tui_scraper.engine.llm.keys import Key, find_key
from tui_scraper.engine.llm.prompt import Prompter
from tui_scraper.engine.settings import ClassifySettings, Settings


@dataclass(frozen=True)
class Provider:
    """A model at an endpoint, and how it is asked.

    `ask`: calls may be made; where they may not although answers are wanted, `why_not` says why.
    `may_do_without`: the run goes on where the model turns out not to be usable.
    """

    settings: ClassifySettings
    endpoint: Endpoint
    key: Key | None
    ask: bool
    why_not: str = ""
    may_do_without: bool = False


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

    @property
    def provider(self) -> Provider:
        """The model that is asked for labels."""
        return Provider(
            self.settings.classify, self.endpoint, self.key, self.ask, self.why_not, self.may_do_without
        )

    def prompter(self) -> Prompter:
        """Who writes the requests for labels of this taxonomy."""
        classify = self.settings.classify
        return Prompter(self.taxonomy, multi_label=classify.multi_label, instructions=classify.instructions)

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
    settings: Settings, *, offline: str, paid_before: bool, environ: Mapping[str, str] = os.environ
) -> Backend:
    """Settle what `auto` means here and now.

    `offline` says why no model may be asked, '' where it may. `paid_before`: the labels in force are a
    model's. They stay so without a key or a network: nothing that was paid for is replaced by something worse
    because a key is missing today.

    Raises PreflightError where a model is asked for and there is no key, UsageError for settings that cannot
    be.
    """
    classify = settings.classify
    taxonomy = from_settings(classify.labels)
    wanted = classify.backend
    if wanted in {"local", "rules"}:
        return Backend(settings, taxonomy, NOWHERE, None, ask=False)
    if offline:
        key, usable, endpoint = None, False, NOWHERE
    else:
        endpoint = endpoint_of(classify, environ)
        key = find_key(classify, environ) if _may_have_key(endpoint, classify) else None
        usable = key is not None or (endpoint.local and bool(classify.base_url))
    if wanted == "openai" and not usable and not offline:
        raise PreflightError(
            f"There is no API key: set {classify.api_key_env}, or put the key into a file that only you can "
            'read (classify.api_key_file); classify.backend = "local" and --offline label without one.'
        )
    if usable or paid_before or wanted == "openai":
        model = _with_backend(settings, "openai")
        why_not = "" if usable else (offline or "there is no API key")
        return Backend(model, taxonomy, endpoint, key, usable, why_not, may_do_without=wanted == "auto")
    return Backend(_with_backend(settings, "local"), taxonomy, endpoint, None, ask=False)


def choose_embedder(
    settings: Settings, *, offline: str, environ: Mapping[str, str] = os.environ, keyless: bool = False
) -> Provider | None:
    """The model elsewhere that makes the vectors of passages; None where none of a model are wanted.

    A key goes only to the endpoint that it is meant for: that of the labels to the same address, and to any
    other the one that the settings of the index name. `offline` says why no model may be asked, '' where it
    may. `keyless`: it will do without a key, because nothing is sent.

    Raises PreflightError where there is no key, UsageError for settings that cannot be.
    """
    index, classify = settings.index, settings.classify
    if index.embeddings != "openai":
        return None
    asked = asked_for_vectors(settings)
    if offline:
        return Provider(asked, NOWHERE, None, ask=False, why_not=offline)
    endpoint = endpoint_of(asked, environ)
    own = bool(index.api_key_env or index.api_key_file)
    shared = not own and endpoint.url == endpoint_of(classify, environ).url
    key = None
    if (own or shared) and _may_have_key(endpoint, asked):
        key = find_key(asked, environ, default=shared)
    if key is None and not keyless and not (endpoint.local and bool(asked.base_url)):
        name = asked.api_key_env if own or shared else "one, name it in index.api_key_env"
        raise PreflightError(
            f"There is no API key for the embeddings: set {name}, or put the key into a file that only you "
            'can read (index.api_key_file); index.embeddings = "local" and --offline do without one.'
        )
    return Provider(asked, endpoint, key, ask=True)


def asked_for_vectors(settings: Settings) -> ClassifySettings:
    """How the model of the vectors is asked: as that of the labels, but for what the index has of its own."""
    index = settings.index
    own: dict[str, object] = {
        "model": index.model,
        "price_in_usd": index.price_usd,
        "price_cached_usd": None,
        "price_out_usd": None if index.price_usd is None else 0.0,
    }
    if index.base_url:
        own["base_url"] = index.base_url
    if index.api_key_env or index.api_key_file:
        own["api_key_file"] = index.api_key_file
        own["api_key_env"] = index.api_key_env
    return settings.classify.model_copy(update=own)


def _may_have_key(endpoint: Endpoint, classify: ClassifySettings) -> bool:
    """Whether a key may be sent there: unencrypted only within this machine, or where it was set for that."""
    chosen = classify.api_key_file or classify.api_key_env != ClassifySettings().api_key_env
    return endpoint.encrypted or endpoint.loopback or bool(chosen)


def _with_backend(settings: Settings, backend: str) -> Settings:
    return settings.model_copy(update={"classify": settings.classify.model_copy(update={"backend": backend})})
