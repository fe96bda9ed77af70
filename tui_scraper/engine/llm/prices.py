"""What tokens cost, in whole numbers: pico-dollars a token, nano-dollars a call.

Prices come from `genai-prices`, whose table is inside its wheel; a price in the settings goes before it. A
model with no known price is refused, unless its endpoint is ours: nothing costs $0 because nobody knew.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from tui_scraper.engine.llm.endpoint import Endpoint
from tui_scraper.engine.settings import ClassifySettings

_PICO_PER_MTOK = Decimal(1_000_000)
"""A dollar a million tokens is a million pico-dollars a token."""
_PICO_IN_NANO = 1_000
_TIER_TOKENS = 100_000
"""Some models cost more above a length that no call of ours comes near: prices are asked for below it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a call, as its answer says.

    `cached` were found in the provider's cache, `written` put there; both are among `sent`. `known`: the
    answer said so; else it is the most that the call could take.
    """

    sent: int
    received: int
    cached: int = 0
    written: int = 0
    known: bool = True


@dataclass(frozen=True, slots=True)
class Price:
    """Pico-dollars a token: sent, found in the provider's cache, put there, received. `source` is shown."""

    sent: int
    cached: int
    written: int
    received: int
    source: str

    def cost(self, usage: Usage) -> int:
        """Nano-dollars of a call, rounded up."""
        cached = min(max(usage.cached, 0), usage.sent)
        written = min(max(usage.written, 0), usage.sent - cached)
        plain = usage.sent - cached - written
        pico = plain * self.sent + cached * self.cached + written * self.written
        return -(-(pico + usage.received * self.received) // _PICO_IN_NANO)

    def most(self, sent: int, received: int) -> int:
        """Nano-dollars that a call costs at most, whatever the cache does."""
        dearest = max(self.sent, self.cached, self.written)
        return -(-(sent * dearest + received * self.received) // _PICO_IN_NANO)

    def __str__(self) -> str:
        sent, received = (Decimal(pico) / _PICO_PER_MTOK for pico in (self.sent, self.received))
        out = "" if sent and not received else f" in, ${received.normalize():f} out"
        return f"${sent.normalize():f}{out} a million tokens ({self.source})"


def price_of(
    settings: ClassifySettings,
    endpoint: Endpoint,
    model: str,
    *,
    decisions: bool = False,
    keyless: bool = True,
) -> Price | None:
    """What a model costs there; None where nobody knows.

    `decisions`: as asked by that interface. `keyless`: no key is sent there, so a server of one's own network
    is no gateway that is paid for.
    """
    if settings.price_in_usd is not None and settings.price_out_usd is not None:
        cached = settings.price_cached_usd
        return Price(
            _pico(Decimal(str(settings.price_in_usd))),
            _pico(Decimal(str(settings.price_in_usd if cached is None else cached))),
            _pico(Decimal(str(settings.price_in_usd))),
            _pico(Decimal(str(settings.price_out_usd))),
            "the settings",
        )
    known = _known(endpoint, model, decisions=decisions)
    if known is None and (endpoint.loopback or (endpoint.local and keyless)):
        return Price(0, 0, 0, 0, "a machine of yours")
    return known


def _known(endpoint: Endpoint, model: str, *, decisions: bool) -> Price | None:
    if endpoint.local:
        return None
    import genai_prices

    where: dict[str, str] = {"provider_api_url": endpoint.url}
    if endpoint.is_azure:
        where = {"provider_id": "azure"}
    elif endpoint.is_openai:
        where = {"provider_id": "openai-decisions" if decisions else "openai"}

    def per_token(received: int = 0, **among: int) -> int:
        usage = genai_prices.Usage(input_tokens=_TIER_TOKENS, output_tokens=received, **among)
        total: Decimal = genai_prices.calc_price(usage, model, **where).total_price  # type: ignore[call-overload]
        return _pico(total * _PICO_PER_MTOK / _TIER_TOKENS)

    try:
        sent = per_token()
        cached = per_token(cache_read_tokens=_TIER_TOKENS)
        written = per_token(cache_write_tokens=_TIER_TOKENS)
        return Price(sent, cached, written, per_token(_TIER_TOKENS) - sent, "genai-prices")
    except (LookupError, ValueError):
        return None


def _pico(usd_per_mtok: Decimal) -> int:
    return int((usd_per_mtok * _PICO_PER_MTOK).to_integral_value(ROUND_CEILING))
