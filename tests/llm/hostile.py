"""What a reply's headers can hold."""

from __future__ import annotations

HOSTILE = ("", "rubbish", "-1", "0", "nan", "inf", "-inf", "1e308", "1e-308", "1", "9" * 400, "\x00", "1e12")
LIMIT_HEADERS = [
    f"x-ratelimit-{part}-{kind}"
    for kind in ("requests", "tokens")
    for part in ("limit", "remaining", "reset")
]
