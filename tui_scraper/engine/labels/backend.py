"""Who decides on labels: the port, and the two backends that need nothing but this machine.

A backend gets a digest and answers with labels of its taxonomy, and with no others: it picks by
index, so whatever a document says about its own label is only words to it. A backend that asks a
model elsewhere takes its place behind the same port, in the engine's own process (workers have no
network and no key), and reads the same digests.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tui_scraper.engine.labels import embedding
from tui_scraper.engine.labels.digest import Digest, cut_example
from tui_scraper.engine.labels.embedding import Vector, split_words
from tui_scraper.engine.labels.linear import LinearModel, TrainingText, softmax
from tui_scraper.engine.labels.rules import KeywordRules
from tui_scraper.engine.labels.taxonomy import Label, Taxonomy
from tui_scraper.engine.wire import LabelResult

MAX_EXAMPLES = 1_000
"""Examples that are learnt from; the system solved has one row for each (1,000: 0.6 s, in
every worker). Of more, the first ones of every label in turn are taken."""

_RULES_TEMPERATURE = 0.22
"""Softmax temperature of keyword scores alone, fitted on the train split of the labelled corpus;
`benchmarks/labels.py` prints the fit."""

_MEDIA_TYPE_LOGIT = 3.0
"""How much a label gains from a format that speaks for it: odds times e^3, about twenty, so that
the licence at its top does not make a C file a legal document."""

_FALLBACK_SHARE = 0.25
"""Probability of the fallback label where nothing speaks for any other; it falls as something does."""

_ALSO_AT_LEAST = 0.25
_ALSO_OF_BEST = 0.5
"""With several labels allowed, those with this probability and this share of the best one's."""

_ALTERNATIVES = 3


class LabelBackend(Protocol):
    """Labels documents from their digests: the same digest always gets the same answer."""

    @property
    def method(self) -> str:
        """How the labels are made, as it is exported: `local` or `rules`."""

    def labels(self, digests: Sequence[Digest]) -> list[LabelResult]:
        """The labels of each document, best first, at least one, with their confidence."""


class RulesBackend:
    """Keywords only."""

    method = "rules"

    def __init__(self, taxonomy: Taxonomy, multi_label: bool) -> None:
        # A taxonomy of bare names has rules too: the names. (The linear model knows them already.)
        self._rules = KeywordRules([(label.name, *label.keywords) for label in taxonomy.matched])
        self._choice = _Choice(taxonomy, multi_label)

    def labels(self, digests: Sequence[Digest]) -> list[LabelResult]:
        """See `LabelBackend`."""
        scores = np.stack([self._rules.score(digest.text, split_words(digest.text)) for digest in digests])
        return self._choice.results(digests, scores / np.float32(_RULES_TEMPERATURE), self.method)


class LocalBackend:
    """Embeddings and words in one linear model, with the keyword rules under it."""

    method = "local"

    def __init__(self, taxonomy: Taxonomy, multi_label: bool, digest_tokens: int) -> None:
        self._model = _learn(taxonomy, digest_tokens)
        self._choice = _Choice(taxonomy, multi_label)

    def labels(self, digests: Sequence[Digest]) -> list[LabelResult]:
        """See `LabelBackend`."""
        texts = [digest.text for digest in digests]
        words = [split_words(text) for text in texts]
        logits = self._model.scores(texts, words) / np.float32(self._model.temperature)
        logits[[not its for its in words]] = 0
        return self._choice.results(digests, logits, self.method)


@functools.lru_cache(maxsize=4)
def _learn(taxonomy: Taxonomy, digest_tokens: int) -> LinearModel:
    """The model of a taxonomy, learnt once a process."""
    labels = taxonomy.matched
    texts = [TrainingText(number, _describe(label), example=False) for number, label in enumerate(labels)]
    texts += [
        TrainingText(number, cut_example(example, digest_tokens), example=True)
        for number, example in _in_turn(labels, MAX_EXAMPLES)
    ]
    return LinearModel(
        texts, len(labels), embedding.load(), KeywordRules([label.keywords for label in labels])
    )


def _describe(label: Label) -> str:
    return ". ".join(filter(None, (label.name, label.description, " ".join(label.keywords))))


def _in_turn(labels: Sequence[Label], most: int) -> list[tuple[int, str]]:
    """At most `most` examples with the number of their label: the first of each, the second, …."""
    longest = max((len(label.examples) for label in labels), default=0)
    turns = (
        (number, label.examples[turn])
        for turn in range(longest)
        for number, label in enumerate(labels)
        if turn < len(label.examples)
    )
    return [example for example, _ in zip(turns, range(most), strict=False)]


class _Choice:
    """From one logit for each label (0: nothing speaks for or against it) to the answer."""

    def __init__(self, taxonomy: Taxonomy, multi_label: bool) -> None:
        self._names = [label.name for label in taxonomy.matched]
        self._multi_label = multi_label
        size = len(self._names)
        self._fallback = taxonomy.fallback.name if taxonomy.fallback else None
        self._fallback_logit: np.float32 | None = None
        if self._fallback is not None:
            self._names.append(self._fallback)
            odds = size * _FALLBACK_SHARE / (1 - _FALLBACK_SHARE)
            self._fallback_logit = np.float32(math.log(max(odds, 1.5)))  # of few labels, ahead of each
        self._hints: dict[str, Vector] = {
            media_type: np.array(
                [_MEDIA_TYPE_LOGIT * (media_type in label.media_types) for label in taxonomy.matched],
                np.float32,
            )
            for media_type in taxonomy.media_types
        }

    def results(self, digests: Sequence[Digest], logits: Vector, method: str) -> list[LabelResult]:
        for row, digest in enumerate(digests):
            if digest.hint in self._hints:
                logits[row] += self._hints[digest.hint]
        if self._fallback_logit is not None:
            fallback = np.full((len(logits), 1), self._fallback_logit)
            logits = np.concatenate((logits, fallback), axis=1)
        rows = softmax(logits).tolist()
        return [self._result(digest, chances, method) for digest, chances in zip(digests, rows, strict=True)]

    def _result(self, digest: Digest, chances: Sequence[float], method: str) -> LabelResult:
        names = self._names
        # Rounded before sorting, so that the last bits of another machine's arithmetic do not
        # decide; equal chances keep the order of the taxonomy.
        ranked = sorted([(-round(chance, 4), number) for number, chance in enumerate(chances)])
        best = -ranked[0][0]
        chosen = [names[ranked[0][1]]]
        if self._multi_label:
            chosen += [
                names[number]
                for chance, number in ranked[1:]
                if -chance >= max(_ALSO_AT_LEAST, best * _ALSO_OF_BEST) and names[number] != self._fallback
            ]
        rest = [entry for entry in ranked[: len(chosen) + _ALTERNATIVES] if names[entry[1]] not in chosen]
        others = [(names[number], -chance) for chance, number in rest[:_ALTERNATIVES]]
        return LabelResult(digest.key, chosen, best, method, others)
