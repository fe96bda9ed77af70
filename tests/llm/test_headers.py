"""Headers of replies are read without trust: what cannot be true is as if it were not there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_scraper.engine.llm.gate import parse_duration, retry_after
from tui_scraper.engine.llm.headers import Quota, lowered, quota

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("6m0s", 360.0), ("59ms", 0.059), ("1h2m3.5s", 3723.5), ("17", 17.0), (" 1.5 ", 1.5), ("0s", 0.0)),
        *(("0", 0.0), ("250us", 0.00025), ("250µs", 0.00025), ("8.64s", 8.64), ("1e3", 1000.0), (".5s", 0.5)),
        *(
            (None, None),
            ("", None),
            (" ", None),
            ("soon", None),
            ("5 bananas", None),
            ("s", None),
            ("1m2", None),
        ),
        *(("-5", None), ("-5s", None), ("nan", None), ("inf", None), ("1e999", None), ("9" * 400, None)),
        *(
            ("1_000", None),
            ("١٧", None),
            ("1" * 60 + "h", float("1" * 60) * 3600),
            ("1d", None),
            ("0x10", None),
        ),
    ],
)
def test_durations(text: str | None, seconds: float | None) -> None:
    assert parse_duration(text) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        *(
            ({}, None),
            ({"retry-after": "3"}, 3.0),
            ({"Retry-After": "0.25"}, 0.25),
            ({"RETRY-AFTER": "0"}, 0.0),
        ),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"Retry-After-Ms": "rubbish", "retry-after": "2"}, 2.0),
        ({"retry-after-ms": "-1"}, None),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 13:00:30 +0100"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:59:30 GMT"}, None),
        ({"retry-after": "Sun, 99 Mar 2026 11:59:30 GMT"}, None),
        *(({"retry-after": text}, None) for text in ("", "-1", "nan", "inf", "later", "\x00", "1e999")),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "1e308"}, 1e308),
    ],
)
def test_what_a_reply_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "expected"),
    [
        ("500", "499", "120ms", Quota(500, 499, 0.12)),
        ("500", "0", "1m0s", Quota(500, 0, 60)),
        ("0", "-1", "nan", Quota()),
        ("1e308", "", "1e308", Quota()),
        ("inf", "none", "", Quota()),
        ("0.001", "3", "-3s", Quota(None, 3, None)),
    ],
)
def test_limits_that_cannot_be_are_not_there(limit: str, remaining: str, reset: str, expected: Quota) -> None:
    told = {"Limit": limit, "Remaining": remaining, "Reset": reset}
    headers = {f"X-RateLimit-{name}-Tokens": value for name, value in told.items()}
    assert quota(lowered(headers), "tokens") == expected
    assert quota(lowered(headers), "requests") == Quota()


@given(st.text())
def test_no_text_is_taken_for_a_negative_or_infinite_time(text: str) -> None:
    for seconds in (parse_duration(text), retry_after({"retry-after": text}, NOW)):
        assert seconds is None or 0 <= seconds < float("inf")
