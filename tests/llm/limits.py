"""What a real endpoint refuses before a model sees a request: paths, keys, parameters, too many a minute."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.llm.wire import Request

_POSTS = {"/chat/completions": "chat", "/decisions": "decisions", "/embeddings": "embeddings"}


class RefusedError(Exception):
    """A request that is answered with an error, as real endpoints word it."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers
        self.body = error_body(message, kind, param, code)


def error_body(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    """The body of an error as the API documents it."""
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()


def check_key(credential: str | None, key: str | None) -> None:
    """Refuse any key but the right one. Without a right one, every key is."""
    if credential is None:
        raise RefusedError(401, None, "You didn't provide an API key.")
    if key is not None and credential != key:
        shown = f"{credential[:4]}{'*' * 8}{credential[-4:]}" if len(credential) > 16 else "********"
        raise RefusedError(401, "invalid_api_key", f"Incorrect API key provided: {shown}.")


def check_parameters(body: dict[str, Any], rejects: Iterable[str]) -> None:
    """Refuse what this endpoint does not support: a parameter, `PARAMETER=VALUE`, or a kind of output."""
    form = body.get("response_format")
    form = form.get("type") if isinstance(form, dict) else None
    for reject in rejects:
        name, _, value = reject.partition("=")
        if reject in {"json_schema", "json_object"}:
            if form == reject:
                raise RefusedError(
                    400,
                    "unsupported_value",
                    f"'response_format' of type '{reject}' is not supported with this model.",
                    param="response_format",
                )
        elif name in body and value and str(body[name]) == value:
            raise RefusedError(
                400,
                "unsupported_value",
                f"Unsupported value: '{name}' does not support '{value}' with this model.",
                param=name,
            )
        elif name in body and not value:
            raise RefusedError(
                400,
                "unsupported_parameter",
                f"Unsupported parameter: '{name}' is not supported with this model.",
                param=name,
            )


def not_found(request: Request) -> RefusedError:
    """There is nothing at this path."""
    message = f"Unknown request URL: {request.method} {request.path}. Please check the URL for typos."
    return RefusedError(404, None, message)


def route(request: Request) -> tuple[str, str | None]:
    """The API of a request, and the model that its path names. Raises RefusedError."""
    path, named = request.path, None
    for prefix in ("/v1", "/openai/v1", "/openai/deployments", "/openai"):
        if path.startswith(prefix + "/"):
            path = path.removeprefix(prefix)
            break
    else:
        raise not_found(request)
    if prefix == "/openai/deployments":
        named, _, path = path[1:].partition("/")
        path = "/" + path
    if request.method == "POST" and path in _POSTS:
        return _POSTS[path], named
    if request.method == "GET" and path == "/models":
        return "models", None
    if request.method == "GET" and path.startswith("/models/"):
        return "models", path.removeprefix("/models/")
    raise not_found(request)


class _Bucket:
    """Holds what a minute allows, and is filled again continuously."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.size = per_minute
        self.level = float(per_minute)
        self._at = now

    def fill(self, now: float) -> None:
        self.level = min(self.size, self.level + (now - self._at) * self.size / 60)
        self._at = now

    def wait_s(self, level: float) -> float:
        """Until there is so much in it."""
        return max(level - self.level, 0) * 60 / self.size


class Quotas:
    """Requests and tokens a minute; None is unlimited. A refused request takes nothing."""

    def __init__(self, rpm: int | None, tpm: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        now = clock()
        pairs = (("requests", rpm), ("tokens", tpm))
        self._buckets = {what: _Bucket(most, now) for what, most in pairs if most is not None}

    def take(self, tokens: int) -> None:
        """One request of so many tokens. Raises RefusedError."""
        now = self._clock()
        costs = {"requests": 1, "tokens": tokens}
        for what, bucket in self._buckets.items():
            bucket.fill(now)
            if costs[what] > bucket.size:
                message = (
                    f"Request too large on {what} per min: Limit {bucket.size}, Requested {costs[what]}."
                )
                raise RefusedError(429, "rate_limit_exceeded", message, kind=what)
        for what, bucket in self._buckets.items():
            if wait_s := bucket.wait_s(costs[what]):
                raise RefusedError(
                    429,
                    "rate_limit_exceeded",
                    f"Rate limit reached on {what} per min: Limit {bucket.size}. "
                    f"Please try again in {_span(wait_s)}.",
                    kind=what,
                    headers=b"retry-after: %d\r\nretry-after-ms: %d\r\n"
                    % (math.ceil(wait_s), math.ceil(wait_s * 1000)),
                )
        for what, bucket in self._buckets.items():
            bucket.level -= costs[what]

    def headers(self) -> bytes:
        """What every answer tells of the quotas."""
        now = self._clock()
        lines = ""
        for what, bucket in self._buckets.items():
            bucket.fill(now)
            lines += (
                f"x-ratelimit-limit-{what}: {bucket.size}\r\n"
                f"x-ratelimit-remaining-{what}: {int(bucket.level)}\r\n"
                f"x-ratelimit-reset-{what}: {_span(bucket.wait_s(bucket.size))}\r\n"
            )
        return lines.encode()


def _span(seconds: float) -> str:
    """A duration as these headers have it: 17ms, 1.5s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, seconds = divmod(seconds, 60)
    return f"{int(minutes)}m{seconds:.3g}s" if minutes else f"{seconds:.4g}s"
