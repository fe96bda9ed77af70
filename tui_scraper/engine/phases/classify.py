"""The classify phase: one label (or several) of the taxonomy for each document.

A label depends on the settings and the digest, never on a file's name, its place or its
neighbours, so it is stored under the digest's hash and identical digests share it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tui_scraper.engine.labels import model_files, use_one_thread
from tui_scraper.engine.labels.digest import Digest, make_digest
from tui_scraper.engine.labels.taxonomy import Taxonomy, from_settings
from tui_scraper.engine.llm import prompt
from tui_scraper.engine.llm.endpoint import endpoint_of
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.settings import ClassifySettings, Settings
from tui_scraper.engine.wire import Chunk, CleanText, LabelResult

if TYPE_CHECKING:
    import apsw

    from tui_scraper.engine.store.head import Head

VERSION = 1


def relevant(settings: Settings) -> dict[str, object]:
    """Everything that a label depends on besides the digest, as plain JSON values.

    `auto` is `local` here: what it means in a run is settled before (`llm.choosing`). For `rules` only names
    and keywords count. How a model is asked in detail (its profile, documents a call) does not count: it is
    the same question.
    """
    classify = settings.classify
    taxonomy = from_settings(classify.labels)
    if classify.backend == "openai":
        near = {"near_duplicates": True} if classify.near_duplicates else {}
        return near | {
            "method": "openai",
            "endpoint": endpoint_of(classify).family,
            "model": classify.model,
            "prompt": prompt.VERSION,
            "effort": classify.reasoning_effort,
            "instructions": classify.instructions.strip(),
            "multi_label": classify.multi_label,
            "digest_tokens": classify.digest_tokens,
            "taxonomy": [
                {key: value for key, value in label.items() if key != "media_types"}
                for label in _plain(taxonomy)
            ],
        }
    rules = classify.backend == "rules"
    found: dict[str, object] = {
        "method": "rules" if rules else "local",
        "multi_label": classify.multi_label,
        "digest_tokens": classify.digest_tokens,
        "taxonomy": [_rules_part(label) if rules else label for label in _plain(taxonomy)],
    }
    if not rules:
        found["embedding"] = model_files.identity()
    return found


_OF_THE_ENDPOINT = ("endpoint", "model", "prompt", "effort")


def keep_labels(
    state: apsw.Connection, head: Head, configs: dict[PhaseName, tuple[int, Mapping[str, object]]]
) -> None:
    """Where no model can be asked now: stay with the one whose labels are in force, whatever is set.

    Its labels are paid for. Another name of the endpoint, in an environment that has none, would hide them
    all behind labels of this machine.
    """
    from tui_scraper.engine.store.labelling import config_of_model  # no worker needs it

    found = config_of_model(state, head)
    if found is not None:
        version, kept = found
        _version, wanted = configs[PhaseName.CLASSIFY]
        configs[PhaseName.CLASSIFY] = version, {**wanted, **{key: kept.get(key) for key in _OF_THE_ENDPOINT}}


def _plain(taxonomy: Taxonomy) -> list[dict[str, object]]:
    return [
        {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(label).items()}
        for label in taxonomy.labels
    ]


def _rules_part(label: dict[str, object]) -> dict[str, object]:
    # Whether there are examples decides if a label named "other" is a fallback.
    kept = {key: label[key] for key in ("name", "keywords", "media_types")}
    return {**kept, "has_examples": bool(label["examples"])}


class Classifier:
    """Labels documents with one set of settings. Learns the taxonomy when it is made."""

    def __init__(self, settings: ClassifySettings) -> None:
        # Not before it is needed: the engine's own process asks for `relevant` alone.
        use_one_thread()
        from tui_scraper.engine.labels.backend import LabelBackend, LocalBackend, RulesBackend

        taxonomy = from_settings(settings.labels)
        self._digest_tokens = settings.digest_tokens
        self._hint = functools.lru_cache(maxsize=256)(taxonomy.hint)
        self._backend: LabelBackend
        if settings.backend == "rules":
            self._backend = RulesBackend(taxonomy, settings.multi_label)
        else:
            self._backend = LocalBackend(taxonomy, settings.multi_label, settings.digest_tokens)

    def classify(self, text: CleanText, chunks: Sequence[Chunk], media_type: str) -> LabelResult:
        """Label one document. Never fails: with nothing to go on the confidence is low."""
        return self.label(self.digest(text, chunks, media_type))

    def digest(self, text: CleanText, chunks: Sequence[Chunk], media_type: str) -> Digest:
        """What is read of a document for its label."""
        return make_digest(text, chunks, self._digest_tokens, self._hint(media_type))

    def label(self, digest: Digest) -> LabelResult:
        """The label of what was read of a document."""
        return self.labels([digest])[0]

    def labels(self, digests: Sequence[Digest]) -> list[LabelResult]:
        """The labels of what was read of documents, which takes less time than one after the other."""
        return self._backend.labels(digests) if digests else []
