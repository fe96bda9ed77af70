"""The linear model: what a taxonomy's own words and examples teach, in closed form.

Every text is seen twice: as its embedding (what it is about, also in words no example used) and
as its weighted words (the very words the examples used). Ridge regression on both together is one
linear system in the number of training texts, solved once per taxonomy, with no random start and
no iteration, so the same taxonomy always gives the same model. A label's name, description and
keywords are a training text too, which is why the same model serves a taxonomy without a single
example. On the labelled corpus, with ten examples for each of twelve labels and nothing else, the
embedding alone reaches .75, the words alone .68, both .76; cosine similarity to the mean of the
examples .70 (`benchmarks/labels.py` measures the whole).

The confidence is a softmax of the scores. Its temperature is fitted on the examples themselves,
each scored by the model that has not seen it: ridge regression gives these leave-one-out scores
for free.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.labels.embedding import StaticEmbedding, Vector, split_words
from tui_scraper.engine.labels.rules import KeywordRules

Matrix = NDArray[np.float64]

_RIDGE = 1.0
_WORDS_SHARE = 0.5
"""Weight of the words against the embedding. Accuracy is flat between .3 and .7."""

_WORDS_SHARE_WITHOUT_EXAMPLES = 0.2
"""A description shares few words with a document; .2 to .3 is best, .5 costs four points. A bare
name shares next to none: with fewer than `_FEW_WORDS` a label, the embedding works alone."""

_FEW_WORDS = 4

_DESCRIPTION_WEIGHT = 4.0
"""How many examples the name, description and keywords of a label count for."""

_RULES_WEIGHT = 0.1
"""Score for each unit of `KeywordRules.score`; two standard deviations of the scores without
examples, half of one with many."""

_PRIOR_TEMPERATURE = 0.05
"""Softmax temperature without examples. Fitted on the train split of the labelled corpus with
descriptions only; see `benchmarks/labels.py`, which prints the fit. It is also the least that a
fit on examples may give: examples that people write are tidier than documents. Those of the general
taxonomy fit .040, under which its labels of 300 Debian files were too sure (ECE .16; at .05 .11).
Real documents as examples (1 to 50 a label) fit .05 to .09."""

_PRIOR_STRENGTH = 4.0
"""Pull of the prior on a fitted temperature, in examples for each squared unit of its logarithm."""

_BLOCK_COLUMNS = 2048


@dataclass(frozen=True, slots=True)
class TrainingText:
    """A text that stands for a label. `example` is False for the label's own description."""

    label: int
    text: str
    example: bool


@dataclass(frozen=True, slots=True)
class _Weighed:
    """The known words of texts, one text after another: whose, which, and how much each counts."""

    texts: NDArray[np.int64]
    words: NDArray[np.int64]
    values: Vector

    def firsts(self) -> NDArray[np.int64]:
        """Where the words of each text that has any begin."""
        return np.flatnonzero(np.diff(self.texts, prepend=-1))


class LinearModel:
    """Scores texts for each label of a taxonomy, and turns scores into probabilities."""

    def __init__(
        self, texts: Sequence[TrainingText], labels: int, embedding: StaticEmbedding, rules: KeywordRules
    ) -> None:
        self._embedding = embedding
        self._rules = rules
        words = [split_words(text.text) for text in texts]
        share = _words_share(texts, words)
        self._index, self._idf = _learn_words(words)
        dense = np.stack([embedding.embed(its) for its in words]).astype(np.float64) * math.sqrt(1 - share)
        sparse = self._weigh([Counter(its) for its in words])

        of_label = np.array([text.label for text in texts])
        targets = np.eye(labels)[of_label]
        weights = _weights(texts, labels)
        mean = weights / weights.sum()
        kernel = dense @ dense.T + share * _words_kernel(sparse, len(texts), len(self._idf))
        # Centring the features means centring the kernel; the mean is over the weighted texts.
        centre = np.eye(len(texts)) - mean
        root = np.sqrt(weights)[:, None]
        centred = root * (centre @ kernel @ centre.T) * root.T
        inverse = np.linalg.inv(centred + _RIDGE * np.eye(len(texts)))
        residual = targets - mean @ targets
        dual = root * (inverse @ (root * residual))
        dual -= mean[:, None] * dual.sum(0)

        self._dense = (dense.T @ dual * math.sqrt(1 - share)).astype(np.float32)
        self._sparse = _words_weights(sparse, dual * share, len(self._idf))
        fitted = kernel @ dual
        # The scores of a text add up to 1; 1/labels is taken off, so that 0 says nothing either way.
        self._bias = (mean @ targets - mean @ fitted - 1.0 / labels).astype(np.float32)
        self.temperature = self._calibrate(
            texts, words, fitted + self._bias + 1.0 / labels, inverse, mean, targets
        )

    def scores(self, texts: Sequence[str], words: Sequence[Sequence[str]]) -> Vector:
        """(texts, labels) scores; 0 says nothing either way, the scale is the model's own.

        `words` are those of each text. Its scores are the same to the last bit whatever is beside it.
        """
        counts = [Counter(its) for its in words]
        self._embedding.learn(counts)
        vectors = np.stack([self._embedding.embed(its) for its in counts])
        # One product for each text: that of many at once adds up in an order that depends on how many.
        scores: Vector = (vectors[:, None, :] @ self._dense)[:, 0, :] + self._bias
        known = self._weigh(counts)
        if len(known.texts):
            firsts, weighted = known.firsts(), known.values[:, None] * self._sparse.take(known.words, axis=0)
            scores[known.texts[firsts]] += np.add.reduceat(weighted, firsts, axis=0)
        rules = np.stack([self._rules.score(text, its) for text, its in zip(texts, words, strict=True)])
        return scores + np.float32(_RULES_WEIGHT) * rules

    def _weigh(self, counts: Sequence[Counter[str]]) -> _Weighed:
        """The known words of texts, each text a unit vector of (1 + log count) * idf."""
        index = self._index
        rows = [[index[word] for word in its if word in index] for its in counts]
        times = [count for its in counts for word, count in its.items() if word in index]
        lengths = np.array([len(its) for its in rows])
        columns = np.array([row for its in rows for row in its], np.int64)
        values = (np.log(np.array(times, np.float32)) + np.float32(1.0)) * self._idf.take(columns)
        some = lengths[lengths > 0]
        if len(some):
            squares = np.add.reduceat(values * values, np.cumsum(some) - some)
            values /= np.sqrt(squares).repeat(some)
        return _Weighed(np.repeat(np.arange(len(rows)), lengths), columns, values)

    def _calibrate(
        self,
        texts: Sequence[TrainingText],
        words: Sequence[Sequence[str]],
        fitted: Matrix,
        inverse: Matrix,
        mean: Matrix,
        targets: Matrix,
    ) -> float:
        """The temperature under which the left-out examples are most likely."""
        counts = Counter(text.label for text in texts if text.example)
        chosen = [i for i, text in enumerate(texts) if text.example and counts[text.label] > 1]
        if not chosen:
            return _PRIOR_TEMPERATURE
        leverage = (1.0 - _RIDGE * np.diag(inverse) + mean)[:, None]
        left_out = ((fitted - leverage * targets) / np.maximum(1.0 - leverage, 1e-3))[chosen]
        rules = np.stack([self._rules.score(texts[i].text, words[i]) for i in chosen])
        fit = fit_temperature(left_out + _RULES_WEIGHT * rules, targets[chosen].argmax(1))
        return max(fit, _PRIOR_TEMPERATURE)


def fit_temperature(scores: Matrix, labels: NDArray[np.int64], prior: float = _PRIOR_TEMPERATURE) -> float:
    """The softmax temperature of least log loss, held near `prior` where there are few scores."""
    best, least = prior, math.inf
    for step in range(-30, 31):
        temperature = prior * 10 ** (step / 20)
        logits = scores / temperature
        top = logits.max(1, keepdims=True)
        log_sum = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
        loss = float((log_sum - logits[np.arange(len(labels)), labels]).sum())
        loss += _PRIOR_STRENGTH * math.log(temperature / prior) ** 2
        if loss < least:
            best, least = temperature, loss
    return best


def softmax(logits: Vector) -> Vector:
    """Probabilities of each row of logits."""
    powers: Vector = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _words_share(texts: Sequence[TrainingText], words: Sequence[Sequence[str]]) -> float:
    if any(text.example for text in texts):
        return _WORDS_SHARE
    return _WORDS_SHARE_WITHOUT_EXAMPLES if sum(map(len, words)) >= _FEW_WORDS * len(texts) else 0.0


def _weights(texts: Sequence[TrainingText], labels: int) -> NDArray[np.float64]:
    """Descriptions count for several examples, and no label wins by having more examples."""
    counts = Counter(text.label for text in texts if text.example)
    usual = sum(counts.values()) / max(1, len(counts))
    return np.array(
        [math.sqrt(usual / counts[text.label]) if text.example else _DESCRIPTION_WEIGHT for text in texts]
    )


def _learn_words(texts: Sequence[Sequence[str]]) -> tuple[dict[str, int], Vector]:
    """A row for each word of the training texts, and its inverse document frequency."""
    frequency: Counter[str] = Counter()
    for words in texts:
        frequency.update(dict.fromkeys(words, 1))
    idf = [math.log((1 + len(texts)) / (1 + count)) + 1 for count in frequency.values()]
    return {word: row for row, word in enumerate(frequency)}, np.array(idf, np.float32)


def _blocks(sparse: _Weighed, texts: int, columns: int) -> list[tuple[int, Vector]]:
    """The texts-by-words matrix in slices of columns, so that its zeros never fill the memory."""
    blocks = []
    for start in range(0, columns, _BLOCK_COLUMNS):
        inside = (sparse.words >= start) & (sparse.words < start + _BLOCK_COLUMNS)
        block = np.zeros((texts, min(_BLOCK_COLUMNS, columns - start)), np.float32)
        block[sparse.texts[inside], sparse.words[inside] - start] = sparse.values[inside]
        blocks.append((start, block))
    return blocks


def _words_kernel(sparse: _Weighed, texts: int, columns: int) -> Matrix:
    kernel = np.zeros((texts, texts))
    for _, block in _blocks(sparse, texts, columns):
        kernel += block @ block.T
    return kernel


def _words_weights(sparse: _Weighed, dual: Matrix, columns: int) -> Vector:
    weights = np.zeros((columns, dual.shape[1]), np.float32)
    for start, block in _blocks(sparse, len(dual), columns):
        weights[start : start + block.shape[1]] = block.T @ dual
    return weights
