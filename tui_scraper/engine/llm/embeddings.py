"""Vectors of a model elsewhere: how much it is shown at once, what of its answer is usable, a first call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from tui_scraper.engine.llm.caller import Answered, Caller
from tui_scraper.engine.llm.choosing import Provider
from tui_scraper.engine.llm.client import Reply
from tui_scraper.engine.llm.errors import TOO_LONG, CallError, PreflightError, Verdict
from tui_scraper.engine.llm.preflight import Preflight
from tui_scraper.engine.llm.prices import Price, price_of
from tui_scraper.engine.llm.profile import Profile, negotiate
from tui_scraper.engine.llm.requests import EmbeddingRequest
from tui_scraper.engine.passages import Vector, kept
from tui_scraper.engine.safe_text import safe_text

MOST_TOKENS = 8_000
"""Of one text, to begin with: the models of OpenAI take 8,191."""
TOGETHER = 128
TOKENS_TOGETHER = 60_000
"""What goes in a call: passages, and their tokens, which a small account is allowed in a minute."""
LEAST_TOKENS = 32
_MANY_TOKENS = 2_048
_TEXT = "Invoice no. 4711. Three items. Total due: 100.00, payable within 30 days."
_TEXT_TOKENS = 24
_WORDS = "word "
"""Repeated, each is a token of its own, in every vocabulary."""

_TOO_LONG = (
    *("context length", "context size", "too long", "token limit", "too many tokens", "max_length"),
    *("maximum sequence", "must have less than"),
)
"""What servers say of a text that is too long for them."""
_TOO_LONG_IN_ANY_STATUS = ("input is too large to process",)
"""llama.cpp answers 500."""


def vectors_in(reply: Reply, count: int) -> dict[int, Vector]:
    """The usable vectors of an answer, by the place of their text. What is missing has none."""
    found = {at: kept(vector) for at, vector in reply.vectors.items() if 0 <= at < count}
    return {at: vector for at, vector in found.items() if vector is not None}


def is_too_long(error: CallError) -> bool:
    """Whether an endpoint refuses a single text because of its length.

    Only where it says so: a passage that is cut is cut for ever, and limits and timeouts are "exceeded", too.
    """
    words = error.message.lower()
    if any(sign in words for sign in _TOO_LONG_IN_ANY_STATUS):
        return True
    refused = error.verdict is Verdict.SPLIT and not error.throttled
    return refused and (
        error.code in TOO_LONG or error.status == 413 or any(sign in words for sign in _TOO_LONG)
    )


def fewer(tokens: int) -> int:
    """How many tokens of a text to try, where so many were too many."""
    return max(LEAST_TOKENS, tokens // 2 if tokens > _MANY_TOKENS else tokens * 3 // 4)


def price_of_vectors(provider: Provider) -> Price:
    """What they cost. Raises PreflightError where nobody knows: nothing is sent then."""
    settings, endpoint = provider.settings, provider.endpoint
    price = price_of(settings, endpoint, settings.model, keyless=provider.key is None)
    if price is None:
        raise PreflightError(
            f"Nobody here knows what {safe_text(settings.model)} costs at {endpoint.shown}: nothing is sent. "
            "Set index.price_usd (dollars a million tokens), or choose a model with a known price."
        )
    return price


class EmbeddingPreflight(Preflight):
    """Tries whether a model answers with vectors, how long they are, and how long a text it takes.

    `longest` is the number of tokens that the longest passage has, `wanted` how long the vectors are to be
    (0: as it comes). Afterwards `dimensions` says how long they are.
    """

    aim = "a vector"

    def __init__(
        self,
        provider: Provider,
        caller: Caller,
        *,
        longest: int,
        wanted: int,
        say: Callable[[str], None] = lambda _sentence: None,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(provider, caller, say, rest)
        self._provider = provider
        self._longest = min(longest, MOST_TOKENS)
        self._wanted = wanted
        self.dimensions = 0

    def _begin(self, known: Profile | None) -> Profile:
        if known is not None and known.api == "embeddings":
            return msgspec.structs.replace(known, dimensions=True)  # the settings may ask for others now
        return Profile(api="embeddings")

    def _priced(self, profile: Profile) -> tuple[Profile, Price]:
        return profile, price_of_vectors(self._provider)

    def request(self) -> EmbeddingRequest:
        """The tiny call."""
        return EmbeddingRequest("canary", (), (_TEXT,), self._wanted)

    def _trial(self, profile: Profile) -> EmbeddingRequest:
        long = _WORDS * (min(self._longest, profile.most_tokens or MOST_TOKENS) - _TEXT_TOKENS)
        return EmbeddingRequest("canary", (), (f"{_TEXT} {long}".strip(),), self._wanted)

    def _after_refusal(self, profile: Profile, error: CallError) -> Profile | None:
        most = min(self._longest, profile.most_tokens or MOST_TOKENS)
        if is_too_long(error) and not error.parameter and most > LEAST_TOKENS:
            return msgspec.structs.replace(profile, most_tokens=fewer(most))
        other = negotiate(profile, error)
        return other if other is None else msgspec.structs.replace(other, most_tokens=0)

    def _is_good(self, answered: Answered) -> bool:
        found = vectors_in(answered.reply, 1)
        self.dimensions = len(found[0]) if found else 0
        return bool(found)

    def _otherwise(self, profile: Profile, answered: Answered) -> Profile:
        del answered
        return self._simpler(profile, "It answers, but not with vectors.")

    def _simpler(self, profile: Profile, why: str) -> Profile:
        if not profile.base64:
            raise self._unusable(why)
        return msgspec.structs.replace(profile, base64=False)
