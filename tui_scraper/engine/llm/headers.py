"""What a reply's headers say of the provider's limits, read without trust.

Providers, proxies and local servers write these headers in several ways, and some write nonsense. Whatever
cannot be true is None here, so that nothing behind this module has to doubt a number again.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+", re.ASCII | re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_LONGEST_TEXT = 64

_MOST_PER_MIN = 1e12
"""More than any provider sells: a larger limit is a mistake."""
_LONGEST_RESET_S = 32 * 86400.0
"""Quotas are by the minute, day or month: a later reset is a mistake."""


@dataclass(frozen=True)
class Quota:
    """One limit of the provider, as a reply tells it. What a reply leaves out or garbles is None."""

    limit: float | None = None
    """Units (requests or tokens) a minute. At least 1."""
    remaining: float | None = None
    """Units left when the provider decided on the call."""
    reset_s: float | None = None
    """Until nothing of the limit is used: the bucket is full, or the window has ended."""


def parse_duration(text: str | None) -> float | None:
    """Seconds of a duration such as `6m0s`, `59ms`, `1h2m3.5s` (Go, OpenAI) or `17` (seconds).

    None for what is not one: rubbish, negative or infinite.
    """
    plain = _number(text)
    if plain is not None or text is None:
        return plain
    text = str(text).strip()
    at, seconds = 0, 0.0
    while at < len(text) <= _LONGEST_TEXT and (part := _PART.match(text, at)):
        seconds += float(part[1]) * _UNITS_S[part[2]]
        at = part.end()
    return seconds if text and at == len(text) and math.isfinite(seconds) else None


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds a reply asks to wait: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date.

    Dates are counted from `now` (default: this machine's clock). None where there is none, it is rubbish or
    lies in the past. A huge value is returned as it is.
    """
    plain = lowered(headers)
    milliseconds = _number(plain.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = plain.get("retry-after")
    seconds = parse_duration(text)
    if seconds is not None or not text:
        return seconds
    try:
        until = email.utils.parsedate_to_datetime(str(text))
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        waiting_s = (until - (now or datetime.fromtimestamp(time.time(), UTC))).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return waiting_s if waiting_s >= 0 else None


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with names in lower case."""
    return {str(name).lower(): value for name, value in headers.items()}


def quota(plain: Mapping[str, str], kind: str) -> Quota:
    """What headers with lower-case names say of `requests` or `tokens`."""
    limit = _number(plain.get(f"x-ratelimit-limit-{kind}"))
    reset_s = parse_duration(plain.get(f"x-ratelimit-reset-{kind}"))
    return Quota(
        limit if limit is not None and 1 <= limit <= _MOST_PER_MIN else None,
        _number(plain.get(f"x-ratelimit-remaining-{kind}")),
        reset_s if reset_s is not None and reset_s <= _LONGEST_RESET_S else None,
    )


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    text = str(text).strip()
    if len(text) > _LONGEST_TEXT or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
