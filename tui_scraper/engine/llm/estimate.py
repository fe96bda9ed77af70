"""What labels and vectors of a model will cost and take, reckoned from a sample before anything is spent.

Every figure is a range. Low and high are where the mean of the sample may lie (95%), with what calls take
beside the documents; high also holds answers that have to be asked for again.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tui_scraper.engine.llm.prices import Price, Usage
from tui_scraper.engine.store.profiles import Limits

_SURE = 1.96
"""Standard errors on either side of a mean that hold 95% of a normal distribution."""
_AGAIN = 0.15
"""Share of calls that may have to be made again, in the high figure."""
_AUDITED = 0.02
"""Share of packs of which a document is asked about once more."""
_AROUND_DOCUMENT = 12
"""Tokens of the line that goes before a document."""
_AROUND_CALL = 20
_ANSWER_TOKENS = 9
"""Tokens of `"d12": "label",` with a label of two or three tokens."""
_AROUND_PASSAGE = 8
"""Tokens of the title and the headings that go before a passage."""
_FEWER_TOKENS, _MORE_TOKENS = 0.85, 1.2
"""What another vocabulary than ours makes of a text, in tokens of ours."""
_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Range:
    """A figure that is not known exactly."""

    low: float
    expected: float
    high: float

    def plus(self, other: Range) -> Range:
        """Both together, if they vary together."""
        return Range(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def of(self, factor: float) -> Range:
        """The same, times a factor."""
        return Range(self.low * factor, self.expected * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Stratum:
    """Files that are alike (ending and size), and what was found in those that were looked at.

    `documents` are documents to be labelled per file looked at (more than one in archives), `tokens` those of
    what a model would be shown of each.
    """

    files: int
    documents: Sequence[int]
    tokens: Sequence[int]


@dataclass(frozen=True, slots=True)
class Passages:
    """What was found in the files of a stratum that were looked at: passages in each, and their tokens."""

    files: int
    passages: Sequence[float]
    tokens: Sequence[float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be expected. `seconds` is of the calls alone and None where no limits are known.

    `documents` are those to be labelled, or passages that want a vector; `have` of them have theirs.
    """

    documents: Range
    have: int
    requests: Range
    tokens_in: Range
    tokens_out: Range
    cost_nano_usd: Range
    seconds: Range | None
    bottleneck: str


def reckon(
    strata: Sequence[Stratum],
    *,
    labelled: int,
    pack: int,
    prompt_tokens: int,
    price: Price,
    limits: Limits,
) -> Estimate:
    """Reckon the whole from a sample.

    `labelled` documents have their label already, `pack` go together, `prompt_tokens` are those of a request
    without its documents.
    """
    documents = _minus(_total(strata, [stratum.documents for stratum in strata]), labelled)
    mean = _mean([count for stratum in strata for count in stratum.tokens])
    requests = Range(
        math.ceil(documents.low / pack),
        math.ceil(documents.expected / pack * (1 + _AUDITED)),
        math.ceil(documents.high / max(pack // 2, 1) * (1 + _AGAIN)),
    )
    around, each = prompt_tokens + _AROUND_CALL, _AROUND_DOCUMENT
    tokens_in = Range(
        requests.low * around + documents.low * (mean.low + each),
        requests.expected * around + documents.expected * (mean.expected + each),
        requests.high * around + documents.high * (mean.high + each) * (1 + _AGAIN),
    )
    tokens_out = Range(
        documents.low * _ANSWER_TOKENS * 0.7,
        documents.expected * _ANSWER_TOKENS,
        documents.high * _ANSWER_TOKENS * (1.5 + _AGAIN),
    )
    cost = Range(
        *(
            float(price.cost(Usage(math.ceil(sent), math.ceil(received))))
            for sent, received in (
                (tokens_in.low, tokens_out.low),
                (tokens_in.expected, tokens_out.expected),
                (tokens_in.high, tokens_out.high),
            )
        )
    )
    seconds, bottleneck = _seconds(requests, tokens_in, limits)
    return Estimate(documents, labelled, requests, tokens_in, tokens_out, cost, seconds, bottleneck)


def reckon_vectors(
    strata: Sequence[Passages], *, have: int, together: int, most_tokens: int, price: Price, limits: Limits
) -> Estimate:
    """Reckon the vectors of all passages from a sample.

    `have` passages have theirs already, `together` go in a call, with at most `most_tokens`. Tokens are
    counted in our vocabulary; that of the model may make more or fewer of the same text.
    """
    whole = _total(strata, [stratum.passages for stratum in strata])
    passages = _minus(whole, have)
    tokens = _total(strata, [stratum.tokens for stratum in strata])
    share = passages.expected / whole.expected if whole.expected else 0.0
    around = _AROUND_PASSAGE
    sent = Range(
        tokens.low * share * _FEWER_TOKENS,
        tokens.expected * share + passages.expected * around,
        (tokens.high * share + passages.high * around) * _MORE_TOKENS * (1 + _AGAIN),
    )
    requests = Range(
        math.ceil(max(passages.low / together, sent.low / most_tokens)),
        math.ceil(max(passages.expected / together, sent.expected / most_tokens)),
        math.ceil(max(passages.high / together, sent.high / most_tokens) * (1 + _AGAIN)),
    )
    cost = Range(*(float(price.cost(Usage(math.ceil(n), 0))) for n in (sent.low, sent.expected, sent.high)))
    seconds, bottleneck = _seconds(requests, sent, limits)
    return Estimate(passages, have, requests, sent, Range(0.0, 0.0, 0.0), cost, seconds, bottleneck)


def _seconds(requests: Range, tokens: Range, limits: Limits) -> tuple[Range | None, str]:
    """How long the calls take where the endpoint's limits are what binds; None where none is known."""
    found = []
    if limits.requests_per_min:
        found.append((requests.of(60 / limits.requests_per_min), "requests per minute"))
    if limits.tokens_per_min:
        found.append((tokens.of(60 / limits.tokens_per_min), "tokens per minute"))
    return max(found, key=lambda pair: pair[0].expected, default=(None, ""))


def _total(strata: Sequence[Stratum | Passages], looked_at: Sequence[Sequence[float]]) -> Range:
    """The sum over all files, from those looked at in each stratum (stratified, Cochran 1977, 5.3)."""
    total = variance = 0.0
    for stratum, values in zip(strata, looked_at, strict=True):
        n = len(values)
        if not n:
            continue
        mean = sum(values) / n
        total += stratum.files * mean
        if 1 < n < stratum.files:
            spread = sum((value - mean) ** 2 for value in values) / (n - 1)
            variance += stratum.files**2 * (1 - n / stratum.files) * spread / n
    error = _SURE * math.sqrt(variance)
    return Range(max(0.0, total - error), total, total + error)


def _mean(values: Sequence[int]) -> Range:
    if not values:
        return Range(0.0, 0.0, 0.0)
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1))
    error = _SURE * spread / math.sqrt(len(values))
    return Range(max(0.0, mean - error), mean, mean + error)


def total_of(strata: Sequence[Stratum]) -> Range:
    """Documents in all files."""
    return _total(strata, [stratum.documents for stratum in strata])


def _minus(total: Range, some: int) -> Range:
    return Range(*(max(0.0, value - some) for value in (total.low, total.expected, total.high)))


@dataclass(frozen=True, slots=True)
class Projection:
    """What the whole costs and takes at the 50th and the 90th percentile, from a pilot."""

    documents: int
    p50: float
    p90: float


def project(costs: Sequence[float], documents: int, seed: int = 0) -> Projection:
    """From what the documents of a pilot have cost (or taken) to the whole: the bootstrap (Efron 1979).

    The same pilot gives the same figures.
    """
    if not costs:
        return Projection(documents, 0.0, 0.0)
    rng = random.Random(seed)  # noqa: S311  no secret depends on it
    sums = sorted(sum(rng.choices(costs, k=len(costs))) / len(costs) for _turn in range(_RESAMPLES))
    return Projection(documents, sums[_RESAMPLES // 2] * documents, sums[_RESAMPLES * 9 // 10] * documents)
