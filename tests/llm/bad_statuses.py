"""Behaviours that are an error with a status: sound ones, odd ones, and some whose words are hostile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import formatdate

from tests.llm.behaviours import LABELS, Act, Bill, Client, Exchange, add, behaviour
from tests.llm.limits import error_body

FAKE_KEY = "sk-proj-NotAKeyButItLooksLikeOne0123456789abcdef"
OSC_52 = "\x1b]52;c;cm0gLXJmIH4=\x07"
"""Puts a command on the clipboard of a terminal that shows it as it is."""
DAY_S = 86_400

RETRY, SPLIT, FAIL, PAUSE = Client.RETRY, Client.SPLIT, Client.FAIL, Client.PAUSE
NOTHING, INPUT = Bill.NOTHING, Bill.INPUT


# --- statuses -------------------------------------------------------------------------------------


def _error(
    status: int, code: str | None, message: str, kind: str, headers: Callable[[], bytes] = lambda: b""
) -> Act:
    async def act(x: Exchange) -> None:
        await x.say(error_body(message, kind, None, code), status, headers())

    return act


for _status, _client, _code, _message in (
    (400, SPLIT, None, "Invalid request."),
    (401, FAIL, "invalid_api_key", "Incorrect API key provided."),
    (403, FAIL, "unsupported_country_region_territory", "Country, region, or territory not supported."),
    (404, FAIL, "model_not_found", "The model does not exist or you do not have access to it."),
    (408, RETRY, None, "Request timed out."),
    (409, RETRY, None, "The resource was changed by another request."),
    (413, SPLIT, None, "Request entity too large."),
    (422, SPLIT, None, "Unprocessable entity."),
    (429, RETRY, "rate_limit_exceeded", "Rate limit reached."),
    (500, RETRY, None, "The server had an error while processing your request."),
    (502, RETRY, None, "Bad gateway."),
    (503, RETRY, None, "The engine is currently overloaded."),
    (504, RETRY, None, "Gateway timeout."),
    (529, RETRY, None, "Overloaded."),
):
    _kind = "server_error" if _status >= 500 else "invalid_request_error"
    add(
        f"status_{_status}",
        f"Answer with {_status} and an error as the API documents it.",
        _error(_status, _code, _message, _kind),
        _client,
        INPUT if _status == 408 else NOTHING,  # Azure bills what was processed until then
        status=_status,
        fatal=_client is FAIL,
    )

for _name, _says, _client, _header in (
    ("retry_after_0", "429 with Retry-After: 0.", RETRY, lambda: b"retry-after: 0\r\n"),
    ("retry_after_day", "429 with Retry-After: 86400.", PAUSE, lambda: b"retry-after: %d\r\n" % DAY_S),
    (
        "retry_after_garbage",
        "429 with a Retry-After of no form.",
        RETRY,
        lambda: b"retry-after: soon(ish)\r\n",
    ),
    ("retry_after_negative", "429 with Retry-After: -5.", RETRY, lambda: b"retry-after: -5\r\n"),
    ("retry_after_nan", "429 with Retry-After: nan.", RETRY, lambda: b"retry-after: nan\r\n"),
    (
        "retry_after_date",
        "429 with an HTTP date two seconds from now in Retry-After.",
        RETRY,
        lambda: b"retry-after: %b\r\n" % formatdate(time.time() + 2, usegmt=True).encode(),
    ),
    ("retry_after_ms", "429 with retry-after-ms: 20.", RETRY, lambda: b"retry-after-ms: 20\r\n"),
):
    add(
        _name,
        _says,
        _error(429, "rate_limit_exceeded", "Rate limit reached.", "requests", _header),
        _client,
        status=429,
        fatal=_client is PAUSE,
    )

add(
    "insufficient_quota",
    "429 that no waiting helps: the account has no money left.",
    _error(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
    ),
    PAUSE,
    status=429,
    fatal=True,
)
add(
    "context_too_long",
    "400 with the code context_length_exceeded.",
    _error(
        400,
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens.",
        "invalid_request_error",
    ),
    SPLIT,
    status=400,
)
add(
    "prompt_filtered",
    "400 with the code content_filter, as Azure does, which bills what it has read.",
    _error(
        400,
        "content_filter",
        "The response was filtered due to the prompt triggering the content management policy.",
        "invalid_request_error",
    ),
    SPLIT,
    INPUT,
    status=400,
    apis=LABELS,
)


# --- words of errors ------------------------------------------------------------------------------


@behaviour(SPLIT, status=400)
async def hostile_message(x: Exchange) -> None:
    """400 whose message has control characters, OSC 52 and something that looks like a key."""
    message = f"Bad\x00 \x1b[2J\x1b]0;title\x07{OSC_52}\u202e key {FAKE_KEY}\r\n\x9b31m"
    await x.say(error_body(message, "invalid_request_error", None, None), 400)


@behaviour(SPLIT, status=400)
async def echoes_own_key(x: Exchange) -> None:
    """400 whose message has the key of the request, which must not get into any log."""
    message = f"Rejected: authorization=Bearer {x.request.credential}"
    await x.say(error_body(message, "invalid_request_error", None, None), 400)


for _name, _body in (
    ("error_body_list", ["it", "failed"]),
    ("error_body_string", "it failed"),
    ("error_body_null", None),
    ("error_is_string", {"error": "it failed"}),
    ("error_is_list", {"error": [{"message": 5}]}),
):

    def _raw_error(body: object) -> Act:
        async def act(x: Exchange) -> None:
            await x.say(json.dumps(body).encode(), 500)

        return act

    add(_name, f"500 with the body {json.dumps(_body)}.", _raw_error(_body), RETRY, status=500)


@behaviour(RETRY)
async def error_with_200(x: Exchange) -> None:
    """200 whose body is an error."""
    await x.say(error_body("Upstream failed.", "server_error", None, None))
